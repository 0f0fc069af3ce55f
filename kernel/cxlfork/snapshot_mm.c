// SPDX-License-Identifier: GPL-2.0
/*
 * The address space of the process that is checkpointed: its mappings and the
 * files they map.  The pages are checkpoint.c's.
 */
#include <linux/cxlfork.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pkeys.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>

/* The kernel's flags and the format's, where they mean the same. */
static const struct {
	u32		flag;
	vm_flags_t	vm_flag;
} cxlfork_vm_flag_table[] = {
	{ CXLFORK_VMA_READ,		VM_READ },
	{ CXLFORK_VMA_WRITE,		VM_WRITE },
	{ CXLFORK_VMA_EXEC,		VM_EXEC },
	{ CXLFORK_VMA_MAYREAD,		VM_MAYREAD },
	{ CXLFORK_VMA_MAYWRITE,		VM_MAYWRITE },
	{ CXLFORK_VMA_MAYEXEC,		VM_MAYEXEC },
	{ CXLFORK_VMA_MAYSHARE,		VM_MAYSHARE },
	{ CXLFORK_VMA_GROWSDOWN,	VM_GROWSDOWN },
	{ CXLFORK_VMA_ACCOUNT,		VM_ACCOUNT },
	{ CXLFORK_VMA_NORESERVE,	VM_NORESERVE },
	{ CXLFORK_VMA_HUGEPAGE,		VM_HUGEPAGE },
	{ CXLFORK_VMA_NOHUGEPAGE,	VM_NOHUGEPAGE },
	{ CXLFORK_VMA_WIPEONFORK,	VM_WIPEONFORK },
	{ CXLFORK_VMA_DROPPABLE,	VM_DROPPABLE },
	{ CXLFORK_VMA_DONTDUMP,		VM_DONTDUMP },
	{ CXLFORK_VMA_SEQ_READ,		VM_SEQ_READ },
	{ CXLFORK_VMA_RAND_READ,	VM_RAND_READ },
#ifdef CONFIG_64BIT
	{ CXLFORK_VMA_SEALED,		VM_SEALED },
#endif
};

/**
 * cxlfork_vm_flags - VM_* of a mapping in an image
 * @flags:	CXLFORK_VMA_*
 * @pkey:	protection key
 *
 * Also what vm_get_page_prot() is asked for when its leaf entries are made and
 * checked, on all hosts.
 *
 * Return: the flags; VM_SOFTDIRTY is set, as for every new mapping.
 */
vm_flags_t cxlfork_vm_flags(u32 flags, u32 pkey)
{
	vm_flags_t vm_flags = VM_SOFTDIRTY;
	int i;

	for (i = 0; i < ARRAY_SIZE(cxlfork_vm_flag_table); i++)
		if (flags & cxlfork_vm_flag_table[i].flag)
			vm_flags |= cxlfork_vm_flag_table[i].vm_flag;
#ifdef CONFIG_ARCH_HAS_PKEYS
	vm_flags |= ((vm_flags_t)pkey << VM_PKEY_SHIFT) & ARCH_VM_PKEY_FLAGS;
#endif
	return vm_flags;
}

static u32 cxlfork_vma_flags(vm_flags_t vm_flags)
{
	u32 flags = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(cxlfork_vm_flag_table); i++)
		if (vm_flags & cxlfork_vm_flag_table[i].vm_flag)
			flags |= cxlfork_vm_flag_table[i].flag;
	return flags;
}

/* The index of a mapped file; what it is called and like is looked up later. */
static int cxlfork_snapshot_file(struct cxlfork_snapshot *snap, struct file *file,
				 __le32 *index)
{
	const struct inode *inode = file_user_inode(file);
	u32 nr = snap->mapped.len / sizeof(file);
	void *known;
	int ret = 0;

	known = xa_load(&snap->inodes, (unsigned long)inode / sizeof(inode));
	if (known) {
		*index = cpu_to_le32(xa_to_value(known));
		return 0;
	}
	ret = xa_err(xa_store(&snap->inodes, (unsigned long)inode / sizeof(inode),
			      xa_mk_value(nr), GFP_KERNEL));
	if (!ret)
		ret = cxlfork_buf_add_file(&snap->mapped, file);
	*index = cpu_to_le32(nr);
	return ret;
}

/* A mapped file that can't be named: each of its mappings is an obstacle. */
static void cxlfork_file_obstacle(struct cxlfork_snapshot *snap, u32 file, struct file *f)
{
	const struct cxlfork_vma *v = snap->sec[CXLFORK_SEC_VMAS].data;
	u32 nr = snap->sec[CXLFORK_SEC_VMAS].len / sizeof(*v), i;
	bool mapped = false;

	for (i = 0; i < nr && snap->req->log.nr <= snap->req->log.capacity; i++) {
		if (le32_to_cpu(v[i].file) != file)
			continue;
		mapped = true;
		cxlfork_report(&snap->req->log, CXLFORK_REASON_PATH, -1,
			       le64_to_cpu(v[i].start), le64_to_cpu(v[i].end), 0,
			       "mapping %llx-%llx: its file %pD has no path (deleted or out of reach)",
			       le64_to_cpu(v[i].start), le64_to_cpu(v[i].end), f);
	}
	if (!mapped)
		cxlfork_obstacle(&snap->req->log, CXLFORK_REASON_PATH,
				 "the program %pD has no path (deleted or out of reach)", f);
}

/* Names and identities, without the mmap lock: file systems have locks of theirs. */
static int cxlfork_snapshot_files(struct cxlfork_snapshot *snap)
{
	struct file **files = snap->mapped.data;
	u32 nr = snap->mapped.len / sizeof(*files), i;

	for (i = 0; i < nr; i++) {
		struct cxlfork_file id = { }, *out;
		int ret;

		if (fatal_signal_pending(current))
			return -EINTR;
		ret = cxlfork_file_identity(files[i], &id);
		if (!ret)
			ret = cxlfork_snapshot_path(snap, file_user_path(files[i]), &id.path);
		if (ret == -ENOMEM)
			return ret;
		if (ret)
			cxlfork_file_obstacle(snap, i, files[i]);
		out = cxlfork_buf_add(&snap->sec[CXLFORK_SEC_FILES], sizeof(*out));
		if (!out)
			return -ENOMEM;
		*out = id;
	}
	return 0;
}

/* Why this mapping can't be cloned, or NULL. */
static const char *cxlfork_vma_obstacle(struct vm_area_struct *vma)
{
	if (is_vm_hugetlb_page(vma))
		return "hugetlb memory";
	if (vma->vm_flags & VM_SHADOW_STACK)
		return "shadow stack";
	if (vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP | VM_IO))
		return "device memory";
	if (vma->vm_flags & __VM_UFFD_FLAGS)
		return "registered with userfaultfd";
	if (vma->vm_flags & VM_GROWSUP)
		return "grows upwards";
	if (vma_is_anonymous(vma))
		return NULL;
	if (!vma->vm_file)
		return "special mapping";
	if (!S_ISREG(file_inode(vma->vm_file)->i_mode) || cxlfork_pseudo_file(vma->vm_file))
		return "maps a file that is not a regular one";
	if (vma->vm_flags & VM_SHARED)
		return "shared and writable";
	if (vma->vm_file->f_path.mnt->mnt_flags & MNT_INTERNAL)
		return "memfd or shared memory";
	return NULL;
}

/* The vDSO and its data are mapped anew, at the same place. */
static bool cxlfork_vma_is_vdso(struct vm_area_struct *vma)
{
	const char *name;

	if (!vma->vm_ops || !vma->vm_ops->name)
		return false;
	name = vma->vm_ops->name(vma);
	return name && (!strcmp(name, "[vdso]") || !strcmp(name, "[vvar]"));
}

/**
 * cxlfork_find_vma - the mapping that was recorded
 * @v:		its record
 *
 * Nobody should have changed it since, but others have ways to: a userfaultfd,
 * process_madvise().
 *
 * Context: the mmap lock of current is held.
 * Return: the mapping, or NULL: it is not the same any more.
 */
struct vm_area_struct *cxlfork_find_vma(const struct cxlfork_vma *v)
{
	struct vm_area_struct *vma = vma_lookup(current->mm, le64_to_cpu(v->start));

	if (!vma || vma->vm_start != le64_to_cpu(v->start) ||
	    vma->vm_end != le64_to_cpu(v->end) || cxlfork_vma_obstacle(vma) ||
	    cxlfork_vma_flags(vma->vm_flags) != le32_to_cpu(v->flags))
		return NULL;
	return vma;
}

static int cxlfork_snapshot_vma(struct cxlfork_snapshot *snap, struct vm_area_struct *vma)
{
	struct cxlfork_log *log = &snap->req->log;
	const char *why;
	struct cxlfork_vma *out;
	__le32 file = cpu_to_le32(CXLFORK_NO_FILE);
	int ret;

	/* What a child of fork() would not get, a clone does not get. */
	if ((vma->vm_flags & VM_DONTCOPY) || cxlfork_vma_is_vdso(vma))
		return 0;
	why = cxlfork_vma_obstacle(vma);
	if (why) {
		cxlfork_report(log, CXLFORK_REASON_VMA, -1, vma->vm_start, vma->vm_end,
			       vma->vm_flags, "mapping %lx-%lx: %s", vma->vm_start,
			       vma->vm_end, why);
		return 0;
	}
	if (!vma_is_anonymous(vma)) {
		ret = cxlfork_snapshot_file(snap, vma->vm_file, &file);
		if (ret)
			return ret;
	}
	out = cxlfork_buf_add(&snap->sec[CXLFORK_SEC_VMAS], sizeof(*out));
	if (!out)
		return -ENOMEM;
	out->start = cpu_to_le64(vma->vm_start);
	out->end = cpu_to_le64(vma->vm_end);
	out->flags = cpu_to_le32(cxlfork_vma_flags(vma->vm_flags));
	out->pkey = cpu_to_le32(vma_pkey(vma));
	out->pgoff = cpu_to_le64(vma->vm_pgoff);
	out->file = file;
	return 0;
}

static int cxlfork_snapshot_mm_fields(struct cxlfork_snapshot *snap)
{
	struct mm_struct *mm = current->mm;
	struct cxlfork_mm_state *s;
	struct file *exe;
	int i, ret;

	s = cxlfork_buf_add(&snap->sec[CXLFORK_SEC_MM], sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->start_code = cpu_to_le64(mm->start_code);
	s->end_code = cpu_to_le64(mm->end_code);
	s->start_data = cpu_to_le64(mm->start_data);
	s->end_data = cpu_to_le64(mm->end_data);
	s->start_brk = cpu_to_le64(mm->start_brk);
	s->brk = cpu_to_le64(mm->brk);
	s->start_stack = cpu_to_le64(mm->start_stack);
	s->arg_start = cpu_to_le64(mm->arg_start);
	s->arg_end = cpu_to_le64(mm->arg_end);
	s->env_start = cpu_to_le64(mm->env_start);
	s->env_end = cpu_to_le64(mm->env_end);
	s->mmap_base = cpu_to_le64(mm->mmap_base);
	BUILD_BUG_ON(AT_VECTOR_SIZE > CXLFORK_AUXV_WORDS);
	s->nr_auxv = cpu_to_le32(AT_VECTOR_SIZE);
	for (i = 0; i < AT_VECTOR_SIZE; i++)
		s->auxv[i] = cpu_to_le64(mm->saved_auxv[i]);
	cxlfork_arch_snapshot_mm(s);

	s->exe = cpu_to_le32(CXLFORK_NO_FILE);
	exe = get_mm_exe_file(mm);
	if (!exe) {
		cxlfork_obstacle(&snap->req->log, CXLFORK_REASON_PATH,
				 "the process has no program file");
		return 0;
	}
	ret = cxlfork_snapshot_file(snap, exe, &s->exe);
	fput(exe);
	return ret;
}

static int cxlfork_snapshot_vmas(struct cxlfork_snapshot *snap)
{
	struct vm_area_struct *vma;
	int ret;

	VMA_ITERATOR(vmi, current->mm, 0);

	ret = cxlfork_snapshot_mm_fields(snap);
	for_each_vma(vmi, vma) {
		if (ret)
			break;
		ret = fatal_signal_pending(current) ? -EINTR : cxlfork_snapshot_vma(snap, vma);
		cond_resched();
	}
	return ret;
}

/**
 * cxlfork_snapshot_mm - mappings and mapped files of current
 * @snap:	gets them; obstacles are noted in its log
 *
 * Context: process context; takes and drops the mmap lock.
 * Return: 0 or -errno.
 */
int cxlfork_snapshot_mm(struct cxlfork_snapshot *snap)
{
	int ret;

	if (mmap_read_lock_killable(current->mm))
		return -EINTR;
	ret = cxlfork_snapshot_vmas(snap);
	mmap_read_unlock(current->mm);
	return ret ?: cxlfork_snapshot_files(snap);
}
