// SPDX-License-Identifier: GPL-2.0
/*
 * Checking what an open checkpoint says: mappings, files, descriptors, task,
 * leaves.  The sections are local copies whose checksums are right, but who
 * computed those may be hostile.
 */
#include <linux/cxlfork.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pkeys.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* Open and mapped files that an image can name. */
#define CXLFORK_MAX_FILES	BIT(20)

static int cxlfork_bad(struct cxlfork_log *log, const char *what, u64 which)
{
	cxlfork_obstacle(log, CXLFORK_REASON_IMAGE,
			 "the checkpoint is damaged: %s (%#llx)", what, which);
	return -EUCLEAN;
}

/**
 * cxlfork_template_string - a string of the image
 * @t:		the template
 * @at:		its place
 *
 * Return: the string, NUL-terminated, or NULL: there is none.
 */
const char *cxlfork_template_string(const struct cxlfork_template *t, __le32 at)
{
	u32 place = le32_to_cpu(at);

	if (place >= t->sec[CXLFORK_SEC_STRINGS].len)
		return NULL;
	/* The section's copy has one byte more than its length: a NUL. */
	return t->sec[CXLFORK_SEC_STRINGS].data + place;
}

static bool cxlfork_good_path(const struct cxlfork_template *t, __le32 at)
{
	const char *path = cxlfork_template_string(t, at);

	return path && path[0] == '/' && strnlen(path, PATH_MAX) < PATH_MAX;
}

static int cxlfork_check_vma(struct cxlfork_template *t, u32 i, unsigned long floor,
			     struct cxlfork_log *log)
{
	const struct cxlfork_vma *v = (struct cxlfork_vma *)t->sec[CXLFORK_SEC_VMAS].data + i;
	u64 start = le64_to_cpu(v->start), end = le64_to_cpu(v->end);
	u64 pgoff = le64_to_cpu(v->pgoff);
	u32 flags = le32_to_cpu(v->flags), pkey = le32_to_cpu(v->pkey);
	u32 file = le32_to_cpu(v->file);

	if (offset_in_page(start) || offset_in_page(end) || start < floor ||
	    start >= end || end > TASK_SIZE_MAX)
		return cxlfork_bad(log, "a mapping is out of place", start);
	if ((flags & ~CXLFORK_VMA_ALL) || v->reserved)
		return cxlfork_bad(log, "a mapping has unknown flags", start);
	if (pkey > 15 || (pkey && !arch_pkeys_enabled()))
		return cxlfork_bad(log, "a mapping has a protection key that is none", start);
	/* What mmap() and mprotect() would never let happen. */
	if ((flags & CXLFORK_VMA_READ && !(flags & CXLFORK_VMA_MAYREAD)) ||
	    (flags & CXLFORK_VMA_WRITE && !(flags & CXLFORK_VMA_MAYWRITE)) ||
	    (flags & CXLFORK_VMA_EXEC && !(flags & CXLFORK_VMA_MAYEXEC)))
		return cxlfork_bad(log, "a mapping allows what it may not", start);
	if (file == CXLFORK_NO_FILE) {
		if (flags & CXLFORK_VMA_MAYSHARE)
			return cxlfork_bad(log, "a shared mapping has no file", start);
	} else {
		if (file >= t->sec[CXLFORK_SEC_FILES].nr)
			return cxlfork_bad(log, "a mapping's file is out of range", start);
		if (pgoff > (ULONG_MAX >> PAGE_SHIFT) - ((end - start) >> PAGE_SHIFT))
			return cxlfork_bad(log, "a file offset overflows", start);
		if (flags & (CXLFORK_VMA_WIPEONFORK | CXLFORK_VMA_DROPPABLE |
			     CXLFORK_VMA_GROWSDOWN))
			return cxlfork_bad(log, "a file mapping has wrong flags", start);
		if ((flags & CXLFORK_VMA_MAYSHARE) && (flags & CXLFORK_VMA_MAYWRITE))
			return cxlfork_bad(log, "a shared mapping is writable", start);
	}

	t->vmas[i] = (struct cxlfork_template_vma) {
		.start = start,
		.end = end,
		.flags = flags,
		.vm_flags = cxlfork_vm_flags(flags, pkey),
		.pgoff = pgoff,
		.file = file,
	};
	/* What is charged for a mapping that can be written is not the image's say. */
	if ((flags & CXLFORK_VMA_WRITE) && (!(flags & CXLFORK_VMA_NORESERVE) ||
					    sysctl_overcommit_memory == OVERCOMMIT_NEVER))
		t->vmas[i].vm_flags |= VM_ACCOUNT;
	t->vmas[i].prot = vm_get_page_prot(t->vmas[i].vm_flags);
	return 0;
}

static int cxlfork_check_vmas(struct cxlfork_template *t, struct cxlfork_log *log)
{
	unsigned long floor = 0;
	u32 i;
	int ret;

	t->nr_vmas = t->sec[CXLFORK_SEC_VMAS].nr;
	if (!t->nr_vmas || t->nr_vmas > sysctl_max_map_count)
		return cxlfork_bad(log, "too few or too many mappings", t->nr_vmas);
	t->vmas = kvcalloc(t->nr_vmas, sizeof(*t->vmas), GFP_KERNEL_ACCOUNT);
	if (!t->vmas)
		return -ENOMEM;
	for (i = 0; i < t->nr_vmas; i++) {
		ret = cxlfork_check_vma(t, i, floor, log);
		if (ret)
			return ret;
		floor = t->vmas[i].end;
	}
	return 0;
}

static int cxlfork_check_leaves(struct cxlfork_template *t, struct cxlfork_log *log)
{
	const struct cxlfork_leaf *raw = t->sec[CXLFORK_SEC_LEAVES].data;
	u64 stored = le64_to_cpu(t->image->nr_pages);
	unsigned long floor = 0;
	u32 i, v = 0;

	t->nr_leaves = t->sec[CXLFORK_SEC_LEAVES].nr;
	t->leaves = kvcalloc(t->nr_leaves, sizeof(*t->leaves), GFP_KERNEL_ACCOUNT);
	if (!t->leaves)
		return -ENOMEM;
	for (i = 0; i < t->nr_leaves; i++) {
		struct cxlfork_template_leaf *leaf = &t->leaves[i];
		u64 addr = le64_to_cpu(raw[i].addr);
		u32 flags = le32_to_cpu(raw[i].flags);

		if ((addr & ~PMD_MASK) || addr < floor || addr >= TASK_SIZE_MAX)
			return cxlfork_bad(log, "a leaf is out of place", addr);
		while (v < t->nr_vmas && t->vmas[v].end <= addr)
			v++;
		if (v == t->nr_vmas || t->vmas[v].start >= addr + PMD_SIZE)
			return cxlfork_bad(log, "a leaf is below no mapping", addr);
		leaf->addr = addr;
		leaf->vma = v;
		leaf->nr_pages = le32_to_cpu(raw[i].nr_pages);
		/* A file may be truncated: not where a leaf has to be unshared then. */
		leaf->whole = cxlfork_vma_has_pages(t->vmas[v].flags) &&
			      t->vmas[v].file == CXLFORK_NO_FILE &&
			      t->vmas[v].start <= addr && t->vmas[v].end - addr >= PMD_SIZE;
		leaf->huge = flags & CXLFORK_LEAF_HUGE;
		if ((flags & ~(CXLFORK_LEAF_WHOLE | CXLFORK_LEAF_HUGE)) ||
		    (leaf->huge && (!leaf->whole || !(t->vmas[v].vm_flags & VM_ACCESS_FLAGS) ||
				    leaf->nr_pages != CXLFORK_LEAF_ENTRIES)))
			return cxlfork_bad(log, "a leaf has wrong flags", addr);
		if (!leaf->nr_pages || leaf->nr_pages > CXLFORK_LEAF_ENTRIES)
			return cxlfork_bad(log, "a leaf has no or too many pages", addr);
		t->nr_pages += leaf->nr_pages;
		floor = addr + PMD_SIZE;
	}
	/* A parent's pages are mapped, and not stored. */
	if (t->nr_pages < stored ||
	    (t->nr_pages > stored && !t->sec[CXLFORK_SEC_PARENTS].nr))
		return cxlfork_bad(log, "its leaves map too few or too many pages", stored);
	return 0;
}

/* A record as abi.rst has it: all that nobody uses is zero. */
static bool cxlfork_good_file(const struct cxlfork_template *t, const struct cxlfork_file *file)
{
	u32 verity = le32_to_cpu(file->verity_len), build_id = le32_to_cpu(file->build_id_len);

	return cxlfork_good_path(t, file->path) && !file->flags &&
	       le32_to_cpu(file->mtime_nsec) < NSEC_PER_SEC &&
	       verity <= sizeof(file->verity) && build_id <= sizeof(file->build_id) &&
	       !memchr_inv(file->verity + verity, 0, sizeof(file->verity) - verity) &&
	       !memchr_inv(file->build_id + build_id, 0, sizeof(file->build_id) - build_id);
}

static int cxlfork_check_files(struct cxlfork_template *t, struct cxlfork_log *log)
{
	const struct cxlfork_file *files = t->sec[CXLFORK_SEC_FILES].data;
	const struct cxlfork_fd *fds = t->sec[CXLFORK_SEC_FDS].data;
	u32 i, kind;
	s64 last = -1;

	/*
	 * Hardly a process has as many descriptors, and each takes a while to look at;
	 * of mapped files there is one for each mapping, and the program.
	 */
	if (t->sec[CXLFORK_SEC_FDS].nr > CXLFORK_MAX_FILES ||
	    t->sec[CXLFORK_SEC_FILES].nr > (u64)t->sec[CXLFORK_SEC_VMAS].nr + 1)
		return cxlfork_bad(log, "too many files or descriptors",
				   t->sec[CXLFORK_SEC_FDS].nr);
	for (i = 0; i < t->sec[CXLFORK_SEC_FILES].nr; i++) {
		cond_resched();
		if (!cxlfork_good_file(t, &files[i]))
			return cxlfork_bad(log, "a mapped file's record", i);
	}
	for (i = 0; i < t->sec[CXLFORK_SEC_FDS].nr; i++) {
		u32 fd = le32_to_cpu(fds[i].fd), same = le32_to_cpu(fds[i].same);

		cond_resched();
		kind = le32_to_cpu(fds[i].kind);
		if (fd <= last || fd > INT_MAX || kind > CXLFORK_FD_POOL || fds[i].reserved ||
		    (s64)le64_to_cpu(fds[i].pos) < 0 ||
		    (le32_to_cpu(fds[i].flags) & ~(CXLFORK_FD_CLOEXEC | CXLFORK_FD_SAME)))
			return cxlfork_bad(log, "a descriptor's record", i);
		last = fd;
		if (le32_to_cpu(fds[i].flags) & CXLFORK_FD_SAME) {
			if (same >= i || (le32_to_cpu(fds[same].flags) & CXLFORK_FD_SAME) ||
			    le32_to_cpu(fds[same].kind) != kind)
				return cxlfork_bad(log, "a descriptor's record", i);
		} else if ((kind == CXLFORK_FD_REGULAR || kind == CXLFORK_FD_CHARDEV) &&
			   (!cxlfork_good_path(t, fds[i].path) ||
			    !fds[i].rdev != (kind == CXLFORK_FD_REGULAR))) {
			return cxlfork_bad(log, "a descriptor's record", i);
		}
	}
	return 0;
}

static bool cxlfork_user_range(__le64 addr, u64 len)
{
	u64 start = le64_to_cpu(addr);

	return start <= TASK_SIZE_MAX && len <= TASK_SIZE_MAX - start;
}

static int cxlfork_check_task(struct cxlfork_template *t, struct cxlfork_log *log)
{
	const struct cxlfork_task *task = cxlfork_template_task(t);

	if (t->sec[CXLFORK_SEC_TASK].nr != 1 || t->sec[CXLFORK_SEC_SIGACTIONS].nr != _NSIG)
		return cxlfork_bad(log, "not one task and its signals",
				   t->sec[CXLFORK_SEC_TASK].nr);
	if (cxlfork_arch_check_task(task))
		return cxlfork_bad(log, "registers", le64_to_cpu(task->regs[16]));
	if (cxlfork_arch_check_xstate(t->sec[CXLFORK_SEC_XSTATE].data,
				      t->sec[CXLFORK_SEC_XSTATE].len,
				      le64_to_cpu(t->image->xfeatures)))
		return cxlfork_bad(log, "extended state", t->sec[CXLFORK_SEC_XSTATE].len);
	if (!cxlfork_good_path(t, task->cwd))
		return cxlfork_bad(log, "working directory", le32_to_cpu(task->cwd));
	if ((le32_to_cpu(task->umask) & ~0777) ||
	    (le32_to_cpu(task->personality) & ~(PER_LINUX | ADDR_NO_RANDOMIZE)) ||
	    (le32_to_cpu(task->altstack_flags) & ~(SS_DISABLE | SS_AUTODISARM)) ||
	    strnlen(task->comm, sizeof(task->comm)) == sizeof(task->comm))
		return cxlfork_bad(log, "task flags or name", 0);
	/*
	 * Robust list, clear_tid, alternate stack and the handlers of signals are what
	 * system calls take from anybody, and are looked at where they are used.
	 */
	if (!cxlfork_user_range(task->rseq, le32_to_cpu(task->rseq_len)) ||
	    !cxlfork_user_range(task->payload, le32_to_cpu(task->payload_max)) ||
	    !cxlfork_user_range(task->payload_size_at, sizeof(u32)))
		return cxlfork_bad(log, "an address of the task", 0);
	if (task->rseq && (le32_to_cpu(task->rseq_len) < 32 ||
			   !IS_ALIGNED(le64_to_cpu(task->rseq), 32)))
		return cxlfork_bad(log, "the rseq area", le64_to_cpu(task->rseq));
	return 0;
}

static int cxlfork_check_mm(struct cxlfork_template *t, struct cxlfork_log *log)
{
	const struct cxlfork_mm_state *s = cxlfork_template_mm(t);
	const __le64 *field;

	if (t->sec[CXLFORK_SEC_MM].nr != 1)
		return cxlfork_bad(log, "not one address space", t->sec[CXLFORK_SEC_MM].nr);
	for (field = &s->start_code; field <= &s->mmap_base; field++)
		if (le64_to_cpu(*field) > TASK_SIZE_MAX)
			return cxlfork_bad(log, "an address of the address space",
					   le64_to_cpu(*field));
	if (le64_to_cpu(s->start_code) > le64_to_cpu(s->end_code) ||
	    le64_to_cpu(s->start_data) > le64_to_cpu(s->end_data) ||
	    le64_to_cpu(s->start_brk) > le64_to_cpu(s->brk) ||
	    le64_to_cpu(s->arg_start) > le64_to_cpu(s->arg_end) ||
	    le64_to_cpu(s->env_start) > le64_to_cpu(s->env_end) ||
	    offset_in_page(le64_to_cpu(s->mmap_base)) || !s->mmap_base)
		return cxlfork_bad(log, "the order of the address space's parts", 0);
	if (le32_to_cpu(s->exe) >= t->sec[CXLFORK_SEC_FILES].nr)
		return cxlfork_bad(log, "the program file is out of range", le32_to_cpu(s->exe));
	if (le32_to_cpu(s->nr_auxv) > CXLFORK_AUXV_WORDS)
		return cxlfork_bad(log, "the auxiliary vector", le32_to_cpu(s->nr_auxv));
	if (cxlfork_arch_check_mm(s))
		return cxlfork_bad(log, "vDSO or protection keys", le64_to_cpu(s->vdso));
	return 0;
}

/**
 * cxlfork_template_check - check and decode all sections
 * @t:		the template; header, extents and layout are checked
 * @log:	gets the reason
 *
 * Return: 0, -EUCLEAN or -ENOMEM.
 */
int cxlfork_template_check(struct cxlfork_template *t, struct cxlfork_log *log)
{
	size_t strings = t->sec[CXLFORK_SEC_STRINGS].len;
	char *text = t->sec[CXLFORK_SEC_STRINGS].data;
	int ret;

	if (strings && text[strings - 1])
		return cxlfork_bad(log, "the last string does not end", strings);
	text[strings] = '\0';
	ret = cxlfork_check_files(t, log);
	if (!ret)
		ret = cxlfork_check_task(t, log);
	if (!ret)
		ret = cxlfork_check_mm(t, log);
	if (!ret)
		ret = cxlfork_check_vmas(t, log);
	if (!ret)
		ret = cxlfork_check_leaves(t, log);
	return ret;
}

/* Check a leaf table mapping by mapping; what is below none is not looked at. */
static int cxlfork_check_table(struct cxlfork_template *t,
			       const struct cxlfork_template_leaf *leaf,
			       const u64 *src, u64 *dst)
{
	unsigned long end = leaf->addr + PMD_SIZE;
	u32 v;
	int nr = 0, ret;

	for (v = leaf->vma; v < t->nr_vmas && t->vmas[v].start < end; v++) {
		const struct cxlfork_template_vma *vma = &t->vmas[v];
		unsigned long from = max(vma->start, leaf->addr);
		unsigned long to = min(vma->end, end);

		if (!cxlfork_vma_has_pages(vma->flags))
			continue;
		ret = cxlfork_check_entries(&t->space, src, dst, pte_index(from),
					    pte_index(from) + ((to - from) >> PAGE_SHIFT),
					    vma->prot);
		if (ret < 0)
			return ret;
		nr += ret;
	}
	return nr;
}

/* A page of 2 MiB is mapped by what its first entry says; no other is used. */
static int cxlfork_check_huge(struct cxlfork_template *t, struct cxlfork_template_leaf *leaf,
			      u64 offset, struct cxlfork_log *log)
{
	u64 entry, checked = 0;

	if (cxlfork_template_read(t, offset, &entry, sizeof(entry)) ||
	    cxlfork_check_entries(&t->space, &entry, &checked, 0, 1,
				  t->vmas[leaf->vma].prot) != 1 ||
	    !IS_ALIGNED(pte_pfn(__pte(checked)), CXLFORK_LEAF_ENTRIES))
		return cxlfork_bad(log, "a 2 MiB page maps what it must not", leaf->addr);
	/* Whoever else is here comes to the same value. */
	WRITE_ONCE(leaf->entry, checked);
	return 0;
}

/**
 * cxlfork_template_leaf - make a leaf ready to be attached or copied
 * @t:		the template
 * @i:		index of the leaf
 * @log:	gets the reason
 *
 * Once a leaf and host, whoever comes first: every entry is checked.  Where the
 * region has another physical base than on the host that wrote the image, or
 * where the hosts aren't trusted, the checked entries are put into a table of this
 * host, which all its clones share.  Of a 2 MiB page only the first entry counts.
 *
 * Context: process context, sleeps.
 * Return: 0, then leaves[i].table (@huge: .entry) is set; -EUCLEAN or -ENOMEM.
 */
int cxlfork_template_leaf(struct cxlfork_template *t, u32 i, struct cxlfork_log *log)
{
	struct cxlfork_template_leaf *leaf = &t->leaves[i];
	u64 *copy, *dst = NULL;
	u64 offset;
	int nr, ret = -ENOMEM;

	/* Pairs with the release below: checked entries. */
	if (smp_load_acquire(&leaf->table) || READ_ONCE(leaf->entry))
		return 0;
	offset = le64_to_cpu(t->image->leaves_off) + (u64)i * PAGE_SIZE;
	if (leaf->huge)
		return cxlfork_check_huge(t, leaf, offset, log);
	copy = (u64 *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!copy)
		goto out;
	if (!leaf->whole || !t->trusted || t->space.image_base != t->space.host_base) {
		dst = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!dst)
			goto out;
	}
	nr = cxlfork_template_read(t, offset, copy, PAGE_SIZE) ? -EIO :
		cxlfork_check_table(t, leaf, copy, dst);
	if (nr != leaf->nr_pages) {
		ret = cxlfork_bad(log, "a leaf maps what it must not", leaf->addr);
		goto out;
	}

	mutex_lock(&t->lock);
	if (!leaf->table) {
		leaf->local = dst;
		/* Pairs with the acquire above: checked entries first. */
		smp_store_release(&leaf->table, dst ?: cxlfork_template_at(t, offset));
		dst = NULL;
	}
	mutex_unlock(&t->lock);
	ret = 0;
out:
	free_page((unsigned long)copy);
	free_page((unsigned long)dst);
	return ret;
}
