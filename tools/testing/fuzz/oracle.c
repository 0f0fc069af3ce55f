// SPDX-License-Identifier: GPL-2.0
/*
 * What has to hold of a checkpoint that was accepted.
 *
 * Written from the format's description, not from the code that checks: where the
 * two know the same fact they know it from different places.
 */
#include "host.h"
#include "oracle.h"

#define PFN		0x000ffffffffff000ULL
/* Bits of an entry, by their place in the architecture's manual. */
#define P		(1ULL << 0)
#define RW		(1ULL << 1)
#define US		(1ULL << 2)
#define A		(1ULL << 5)
#define PS		(1ULL << 7)
#define NONE		(1ULL << 8)
#define SPECIAL		(1ULL << 9)
#define NX		(1ULL << 63)
#define USER_END	((1ULL << 47) - 4096)

static const struct cxlfork_vma *raw_vma(const struct cxlfork_template *t, u32 i)
{
	return (struct cxlfork_vma *)t->sec[CXLFORK_SEC_VMAS].data + i;
}

static void check_string(const struct cxlfork_template *t, __le32 at)
{
	const char *s = cxlfork_template_string(t, at);
	const char *end = (char *)t->sec[CXLFORK_SEC_STRINGS].data +
			  t->sec[CXLFORK_SEC_STRINGS].len;

	shim_assert(s && *s == '/' && s + strlen(s) <= end && strlen(s) < PATH_MAX);
}

static void check_vmas(const struct cxlfork_template *t)
{
	const u32 private = CXLFORK_VMA_WIPEONFORK | CXLFORK_VMA_DROPPABLE |
			    CXLFORK_VMA_GROWSDOWN;
	u64 floor = 0;
	u32 i;

	shim_assert(t->nr_vmas && t->nr_vmas == t->sec[CXLFORK_SEC_VMAS].nr);
	for (i = 0; i < t->nr_vmas; i++) {
		const struct cxlfork_template_vma *v = &t->vmas[i];

		shim_assert(v->start >= floor && v->start < v->end && v->end <= USER_END);
		shim_assert(!(v->start & 4095) && !(v->end & 4095));
		floor = v->end;
		/* What may not be is not, and nobody shares what can be written. */
		shim_assert(!((v->vm_flags & VM_READ) && !(v->vm_flags & VM_MAYREAD)));
		shim_assert(!((v->vm_flags & VM_WRITE) && !(v->vm_flags & VM_MAYWRITE)));
		shim_assert(!((v->vm_flags & VM_EXEC) && !(v->vm_flags & VM_MAYEXEC)));
		shim_assert(!(v->vm_flags & VM_SHARED));
		shim_assert(!((v->vm_flags & VM_MAYSHARE) && (v->vm_flags & VM_MAYWRITE)));
		if (v->file == CXLFORK_NO_FILE) {
			shim_assert(!(v->vm_flags & VM_MAYSHARE));
			continue;
		}
		shim_assert(v->file < t->sec[CXLFORK_SEC_FILES].nr);
		shim_assert(!(v->flags & private));
		shim_assert(v->pgoff + (v->end - v->start) / 4096 >= v->pgoff &&
			    v->pgoff + (v->end - v->start) / 4096 <= 1ULL << 52);
	}
}

static void check_fds(const struct cxlfork_template *t)
{
	const struct cxlfork_file *files = t->sec[CXLFORK_SEC_FILES].data;
	const struct cxlfork_fd *fds = t->sec[CXLFORK_SEC_FDS].data;
	s64 last = -1;
	u32 i;

	for (i = 0; i < t->sec[CXLFORK_SEC_FILES].nr; i++) {
		check_string(t, files[i].path);
		shim_assert(files[i].verity_len <= sizeof(files[i].verity));
		shim_assert(files[i].build_id_len <= sizeof(files[i].build_id));
	}
	for (i = 0; i < t->sec[CXLFORK_SEC_FDS].nr; i++) {
		shim_assert(fds[i].fd > last && fds[i].fd <= INT_MAX);
		last = fds[i].fd;
		shim_assert(fds[i].kind <= CXLFORK_FD_POOL);
		if (fds[i].flags & CXLFORK_FD_SAME)
			shim_assert(fds[i].same < i &&
				    !(fds[fds[i].same].flags & CXLFORK_FD_SAME));
		else if (fds[i].kind == CXLFORK_FD_REGULAR ||
			 fds[i].kind == CXLFORK_FD_CHARDEV)
			check_string(t, fds[i].path);
	}
}

static void check_state(const struct cxlfork_template *t)
{
	const struct cxlfork_task *task = t->sec[CXLFORK_SEC_TASK].data;
	const struct cxlfork_mm_state *mm = t->sec[CXLFORK_SEC_MM].data;

	shim_assert(t->sec[CXLFORK_SEC_TASK].len == sizeof(*task));
	shim_assert(t->sec[CXLFORK_SEC_MM].len == sizeof(*mm));
	shim_assert(t->sec[CXLFORK_SEC_SIGACTIONS].len ==
		    64 * sizeof(struct cxlfork_sigaction));
	/* Ring 3, 64 bit; nothing points to the kernel. */
	shim_assert(task->regs[17] == 0x33 && task->regs[20] == 0x2b);
	shim_assert(task->regs[16] < USER_END && task->regs[19] < USER_END);
	shim_assert(task->fsbase < USER_END && task->gsbase < USER_END);
	shim_assert(task->rseq + task->rseq_len <= USER_END);
	shim_assert(task->payload <= USER_END &&
		    task->payload + task->payload_max <= USER_END);
	shim_assert(memchr(task->comm, 0, sizeof(task->comm)));
	check_string(t, task->cwd);
	shim_assert(mm->exe < t->sec[CXLFORK_SEC_FILES].nr);
	shim_assert(mm->nr_auxv <= CXLFORK_AUXV_WORDS);
	shim_assert(mm->brk <= USER_END && mm->mmap_base <= USER_END);
	shim_assert(mm->vdso < USER_END);
}

static void check_leaves(const struct cxlfork_template *t)
{
	u64 floor = 0, pages = 0;
	u32 i;

	for (i = 0; i < t->nr_leaves; i++) {
		const struct cxlfork_template_leaf *leaf = &t->leaves[i];
		const struct cxlfork_template_vma *v;

		shim_assert(!(leaf->addr & (CXLFORK_EXTENT_SIZE - 1)));
		shim_assert(leaf->addr >= floor && leaf->addr < USER_END);
		floor = leaf->addr + CXLFORK_EXTENT_SIZE;
		shim_assert(leaf->vma < t->nr_vmas);
		v = &t->vmas[leaf->vma];
		shim_assert(v->end > leaf->addr && v->start < floor);
		if (leaf->whole)
			shim_assert(v->start <= leaf->addr && v->end >= floor &&
				    v->file == CXLFORK_NO_FILE &&
				    (v->vm_flags & VM_MAYWRITE));
		shim_assert(!leaf->huge || leaf->whole);
		pages += leaf->nr_pages;
	}
	if (t->sec[CXLFORK_SEC_PARENTS].nr)
		shim_assert(pages >= t->image->nr_pages);
	else
		shim_assert(pages == t->image->nr_pages);
}

void oracle_template(const struct cxlfork_template *t)
{
	u32 i, bits = 0;

	for (i = 0; i < t->image->nr_extents; i++) {
		shim_assert(t->extents[i] < host.size / CXLFORK_EXTENT_SIZE);
		shim_assert(test_bit(t->extents[i], t->space.extents));
	}
	/* Not one that is not the image's. */
	for (i = 0; i < host.size / CXLFORK_EXTENT_SIZE; i++)
		bits += test_bit(i, t->space.extents);
	if (t->sec[CXLFORK_SEC_PARENTS].nr)
		shim_assert(bits > t->image->nr_extents);
	else
		shim_assert(bits == t->image->nr_extents);
	check_vmas(t);
	check_fds(t);
	check_state(t);
	check_leaves(t);
}

void oracle_extents(const struct cxlfork_template *t)
{
	const struct cxlfork_parent *parents = t->sec[CXLFORK_SEC_PARENTS].data;
	u32 i, k;
	u64 id;

	for (i = 0; i < host.size / CXLFORK_EXTENT_SIZE; i++) {
		if (!test_bit(i, t->space.extents))
			continue;
		id = get_unaligned_le64(host.mem + cxlf_etable_off(host.cd, i));
		for (k = 0; k < t->sec[CXLFORK_SEC_PARENTS].nr; k++)
			if (parents[k].id == id)
				break;
		shim_assert(id == t->id || k < t->sec[CXLFORK_SEC_PARENTS].nr);
	}
}

/* Is this what the mapping at @addr may have as an entry? */
static void check_entry(const struct cxlfork_template *t, u64 addr, u64 entry)
{
	const struct cxlfork_template_vma *v;
	u64 where, want;
	u32 i;

	for (i = 0; i < t->nr_vmas && t->vmas[i].end <= addr; i++)
		;
	shim_assert(i < t->nr_vmas && t->vmas[i].start <= addr);
	v = &t->vmas[i];
	/* Private memory that travels, and nothing else. */
	shim_assert((v->flags & CXLFORK_VMA_MAYWRITE) &&
		    !(v->flags & (CXLFORK_VMA_MAYSHARE | CXLFORK_VMA_WIPEONFORK |
				  CXLFORK_VMA_DROPPABLE)));

	want = SPECIAL | (u64)raw_vma(t, i)->pkey << 59;
	if (v->flags & (CXLFORK_VMA_READ | CXLFORK_VMA_WRITE | CXLFORK_VMA_EXEC))
		want |= P | US | (v->flags & CXLFORK_VMA_EXEC ? 0 : NX);
	else
		want |= NONE;
	shim_assert((entry & ~PFN & ~A) == want);

	where = (entry & P ? entry : ~entry) & PFN;
	shim_assert(where >= t->pool->base && where - t->pool->base < host.size);
	shim_assert(test_bit((where - t->pool->base) / CXLFORK_EXTENT_SIZE,
			     t->space.extents));
}

void oracle_leaf(const struct cxlfork_template *t, u32 i, bool stable)
{
	const struct cxlfork_template_leaf *leaf = &t->leaves[i];
	u32 k, nr = 0;

	if (leaf->huge) {
		check_entry(t, leaf->addr, leaf->entry);
		shim_assert(!((leaf->entry & PFN) % CXLFORK_EXTENT_SIZE));
		return;
	}
	/* Only what is trusted, wholly, and has the right base may lie there. */
	if (!leaf->local) {
		shim_assert(t->trusted && leaf->whole);
		shim_assert(t->image->phys_base == t->pool->base);
		if (!stable)
			return;
	}
	for (k = 0; k < CXLFORK_LEAF_ENTRIES; k++) {
		if (!leaf->table[k])
			continue;
		check_entry(t, leaf->addr + k * 4096, leaf->table[k]);
		nr++;
	}
	shim_assert(nr == leaf->nr_pages);
}

void oracle_mm(const struct cxlfork_template *t, const struct mm_struct *mm, u32 i)
{
	const struct cxlfork_template_leaf *leaf = &t->leaves[i];
	const struct shim_pmd *at = NULL;
	u64 pmd;
	u32 k;

	for (k = 0; k < mm->nr_pmds; k++)
		if (mm->pmds[k].addr == leaf->addr)
			at = &mm->pmds[k];
	shim_assert(at);
	pmd = at->pmd.pmd;
	if (leaf->huge) {
		shim_assert((pmd & (PS | SPECIAL)) == (PS | SPECIAL) && !(pmd & RW));
	} else if (leaf->whole) {
		shim_assert((pmd & (P | US | SPECIAL)) == (P | US | SPECIAL));
		shim_assert(!(pmd & (RW | PS)));
		shim_assert((pmd & PFN) == (u64)leaf->table && !at->own);
	} else {
		/* A table of the clone's own, with what was checked. */
		shim_assert(at->own && !(pmd & (PS | SPECIAL)));
		shim_assert(!memcmp((void *)(unsigned long)(pmd & PFN), leaf->table, 4096));
	}
}
