// SPDX-License-Identifier: GPL-2.0
/*
 * Building the address space of a clone, beside the ghost's own.  The cost is
 * that of its mappings, one entry for each leaf that one mapping covers, and a
 * copied table for each that several share.  No page is looked at.
 */
#include <linux/binfmts.h>
#include <linux/cxlfork.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/khugepaged.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/security.h>
#include <linux/slab.h>

static int cxlfork_file_obstacle(struct cxlfork_restore *r, const char *path,
				 const char *why, int ret)
{
	cxlfork_report(&r->log, CXLFORK_REASON_FILE, -1, 0, 0, -ret, "%s: %s", path, why);
	return ret;
}

static int cxlfork_open_mapped(struct cxlfork_restore *r, u32 i)
{
	const struct cxlfork_file *was =
		(struct cxlfork_file *)r->template->sec[CXLFORK_SEC_FILES].data + i;
	const char *path = cxlfork_template_string(r->template, was->path);
	struct cxlfork_file is = { };
	struct file *file;
	const char *differs;
	int ret;

	file = cxlfork_open(path, O_RDONLY | O_LARGEFILE, 0);
	if (IS_ERR(file)) {
		u32 reason = PTR_ERR(file) == -ESTALE ?
				CXLFORK_REASON_FILE_CHANGED : CXLFORK_REASON_FILE;

		cxlfork_report(&r->log, reason, -1, 0, 0, -PTR_ERR(file),
			       "%s can't be opened on this host (error %ld)",
			       path, -PTR_ERR(file));
		return PTR_ERR(file);
	}
	r->files[i] = file;
	if (!S_ISREG(file_inode(file)->i_mode)) {
		cxlfork_report(&r->log, CXLFORK_REASON_FILE_CHANGED, -1, 0, 0, 0,
			       "%s is not the file that was checkpointed: no regular file", path);
		return -ESTALE;
	}
	if (!file->f_op->mmap || cxlfork_pseudo_file(file))
		return cxlfork_file_obstacle(r, path, "not a file that can be mapped", -EACCES);
	ret = cxlfork_file_identity(file, &is);
	if (ret)
		return cxlfork_file_obstacle(r, path, "can't be read", ret);
	differs = cxlfork_file_differs(was, &is);
	if (differs) {
		cxlfork_report(&r->log, CXLFORK_REASON_FILE_CHANGED, -1, 0, 0, 0,
			       "%s is not the file that was checkpointed: its %s differs",
			       path, differs);
		return -ESTALE;
	}
	return 0;
}

/**
 * cxlfork_restore_open_files - open the mapped files, see that they are the same
 * @r:		the restore; gets them
 *
 * With the ghost's credentials and in its root.
 *
 * Return: 0 or -errno; the first obstacle is noted.
 */
int cxlfork_restore_open_files(struct cxlfork_restore *r)
{
	u32 nr = r->template->sec[CXLFORK_SEC_FILES].nr, i;
	int ret = 0;

	r->files = kvcalloc(nr + 1, sizeof(*r->files), GFP_KERNEL);
	if (!r->files)
		return -ENOMEM;
	for (i = 0; i < nr && !ret; i++)
		ret = fatal_signal_pending(current) ? -EINTR : cxlfork_open_mapped(r, i);
	return ret;
}

/* What mmap() would ask of one mapping, before it takes the mmap lock. */
static int cxlfork_may_map_one(struct file *file, const struct cxlfork_template_vma *v)
{
	unsigned long flags = MAP_FIXED | (v->flags & CXLFORK_VMA_MAYSHARE ?
					   MAP_SHARED : MAP_PRIVATE);
	unsigned long prot = 0;
	int ret;

	ret = security_mmap_addr(v->start);
	if (ret)
		return ret;
	/*
	 * The ghost's own promise (PR_SET_MDWE) binds the clone.  Anonymous memory
	 * comes with content: it was written before it was executable.
	 */
	if (map_deny_write_exec(file ? v->vm_flags : v->vm_flags & ~VM_EXEC, v->vm_flags))
		return -EACCES;
	prot |= v->flags & CXLFORK_VMA_READ ? PROT_READ : 0;
	prot |= v->flags & CXLFORK_VMA_WRITE ? PROT_WRITE : 0;
	prot |= v->flags & CXLFORK_VMA_EXEC ? PROT_EXEC : 0;
	if (file && (prot & PROT_EXEC) && path_noexec(&file->f_path))
		return -EPERM;
	return security_mmap_file(file, prot, flags | (file ? 0 : MAP_ANONYMOUS));
}

static int cxlfork_may_map(struct cxlfork_restore *r)
{
	struct cxlfork_template *t = r->template;
	int ret = 0;
	u32 i;

	for (i = 0; i < t->nr_vmas && !ret; i++) {
		const struct cxlfork_template_vma *v = &t->vmas[i];

		ret = cxlfork_may_map_one(v->file == CXLFORK_NO_FILE ? NULL : r->files[v->file],
					  v);
		if (ret)
			cxlfork_report(&r->log, CXLFORK_REASON_PERMISSION, -1,
				       v->start, v->end, -ret,
				       "mapping %lx-%lx is not permitted here (error %d)",
				       v->start, v->end, -ret);
	}
	return ret;
}

static int cxlfork_map_file(struct vm_area_struct *vma, struct file *file,
			    const struct cxlfork_template_vma *v)
{
	vm_flags_t vm_flags = v->vm_flags;
	int ret;

	if (find_vma_intersection(vma->vm_mm, v->start, v->end))
		return -EEXIST;
	if (path_noexec(&file->f_path))
		vm_flags &= ~VM_MAYEXEC;
	vm_flags_init(vma, vm_flags);
	vma->vm_pgoff = v->pgoff;
	vma->vm_file = get_file(file);
	ret = call_mmap(file, vma);
	if (ret) {
		vma->vm_ops = NULL; /* not opened: nothing to close */
		return ret;
	}
	ret = insert_vm_struct(vma->vm_mm, vma);
	if (ret)
		return ret;
	/*
	 * A file system that changes the mapping is none we know how to clone.  It
	 * may have filled in entries, too: the mapping is there, and goes with the
	 * address space.
	 */
	return vma->vm_flags != vm_flags || vma_is_anonymous(vma) ? -EMEDIUMTYPE : 0;
}

static void cxlfork_discard_vma(struct vm_area_struct *vma)
{
	if (vma->vm_file) {
		if (vma->vm_ops && vma->vm_ops->close)
			vma->vm_ops->close(vma);
		fput(vma->vm_file);
	}
	vm_area_free(vma);
}

static int cxlfork_map_vma(struct cxlfork_restore *r, const struct cxlfork_template_vma *v)
{
	unsigned long pages = (v->end - v->start) >> PAGE_SHIFT;
	struct mm_struct *mm = r->mm;
	struct vm_area_struct *vma;
	int ret;

	if (!may_expand_vm(mm, v->vm_flags, pages)) {
		cxlfork_report(&r->log, CXLFORK_REASON_LIMIT, -1, v->start, v->end, 0,
			       "mapping %lx-%lx: over RLIMIT_AS or RLIMIT_DATA",
			       v->start, v->end);
		return -ENOMEM;
	}
	vma = vm_area_alloc(mm);
	if (!vma)
		return -ENOMEM;
	vma->vm_start = v->start;
	vma->vm_end = v->end;
	vma->vm_page_prot = v->prot;
	if (v->file == CXLFORK_NO_FILE) {
		vma_set_anonymous(vma);
		vm_flags_init(vma, v->vm_flags);
		ret = insert_vm_struct(mm, vma);
	} else {
		ret = cxlfork_map_file(vma, r->files[v->file], v);
	}
	if (ret) {
		if (ret != -EMEDIUMTYPE)
			cxlfork_discard_vma(vma);
		cxlfork_report(&r->log, CXLFORK_REASON_FILE, -1, v->start, v->end, -ret,
			       "mapping %lx-%lx can't be made here (error %d)",
			       v->start, v->end, -ret);
		return ret;
	}
	vm_stat_account(mm, v->vm_flags, pages);
	khugepaged_enter_vma(vma, vma->vm_flags);
	return 0;
}

/*
 * A mapping with CXL pages is one that was written: fork() has to copy it.  @next is
 * the first mapping for which that was not said yet.
 */
static int cxlfork_prepare_anon(struct cxlfork_restore *r,
				const struct cxlfork_template_leaf *leaf, u32 *next)
{
	struct cxlfork_template *t = r->template;
	unsigned long end = leaf->addr + PMD_SIZE;
	u32 v;

	for (v = max(leaf->vma, *next); v < t->nr_vmas && t->vmas[v].start < end; v++) {
		struct vm_area_struct *vma;

		*next = v + 1;
		if (!cxlfork_vma_has_pages(t->vmas[v].flags))
			continue;
		vma = vma_lookup(r->mm, t->vmas[v].start);
		if (!vma || anon_vma_prepare(vma))
			return -ENOMEM;
	}
	return 0;
}

static int cxlfork_map_leaves(struct cxlfork_restore *r)
{
	struct cxlfork_template *t = r->template;
	u32 next = 0, i;
	int ret;

	for (i = 0; i < t->nr_leaves; i++) {
		struct cxlfork_template_leaf *leaf = &t->leaves[i];

		ret = cxlfork_template_leaf(t, i, &r->log);
		if (!ret)
			ret = cxlfork_prepare_anon(r, leaf, &next);
		if (ret)
			return ret;
		if (leaf->huge)
			ret = cxlfork_attach_huge(r->mm, leaf->addr, leaf->entry);
		else if (leaf->whole)
			ret = cxlfork_attach_leaf(r->mm, leaf->addr, __pa(leaf->table));
		else
			ret = cxlfork_copy_leaf(r->mm, leaf->addr, leaf->table);
		if (ret)
			return ret;
	}
	return 0;
}

static void cxlfork_set_mm_fields(struct mm_struct *mm, const struct cxlfork_mm_state *s)
{
	u32 i;

	mm->mmap_base = le64_to_cpu(s->mmap_base);
	mm->start_code = le64_to_cpu(s->start_code);
	mm->end_code = le64_to_cpu(s->end_code);
	mm->start_data = le64_to_cpu(s->start_data);
	mm->end_data = le64_to_cpu(s->end_data);
	mm->start_brk = le64_to_cpu(s->start_brk);
	mm->brk = le64_to_cpu(s->brk);
	mm->start_stack = le64_to_cpu(s->start_stack);
	mm->arg_start = le64_to_cpu(s->arg_start);
	mm->arg_end = le64_to_cpu(s->arg_end);
	mm->env_start = le64_to_cpu(s->env_start);
	mm->env_end = le64_to_cpu(s->env_end);
	memset(mm->saved_auxv, 0, sizeof(mm->saved_auxv));
	/* The last pair stays AT_NULL. */
	for (i = 0; i < min_t(u32, le32_to_cpu(s->nr_auxv), AT_VECTOR_SIZE - 2); i++)
		mm->saved_auxv[i] = le64_to_cpu(s->auxv[i]);
}

static int cxlfork_fill_mm(struct cxlfork_restore *r)
{
	struct cxlfork_template *t = r->template;
	const struct cxlfork_mm_state *state = cxlfork_template_mm(t);
	u32 i;
	int ret;

	ret = cxlfork_mm_init(r->mm, t);
	for (i = 0; i < t->nr_vmas && !ret; i++)
		ret = cxlfork_map_vma(r, &t->vmas[i]);
	if (ret)
		return ret;
	ret = cxlfork_arch_restore_mm(r->mm, state);
	if (ret) {
		cxlfork_report(&r->log, CXLFORK_REASON_IMAGE, -1, le64_to_cpu(state->vdso), 0,
			       -ret, "the vDSO can't be mapped at %#llx (error %d)",
			       le64_to_cpu(state->vdso), -ret);
		return ret;
	}
	ret = cxlfork_map_leaves(r);
	if (!ret && cxlfork_pool_bad(t->pool, t->space.extents)) {
		cxlfork_obstacle(&r->log, CXLFORK_REASON_IMAGE,
				 "the checkpoint is damaged: memory errors, just now");
		ret = -EUCLEAN;
	}
	if (!ret)
		cxlfork_set_mm_fields(r->mm, state);
	return ret;
}

/* The program file: what /proc/PID/exe says, and may not be written. */
static int cxlfork_set_exe(struct cxlfork_restore *r)
{
	struct file *exe = r->files[le32_to_cpu(cxlfork_template_mm(r->template)->exe)];
	int ret;

	ret = path_noexec(&exe->f_path) ? -EACCES : file_permission(exe, MAY_EXEC);
	if (!ret)
		ret = set_mm_exe_file(r->mm, exe);
	if (ret)
		cxlfork_report(&r->log, CXLFORK_REASON_FILE, -1, 0, 0, -ret,
			       "%pD may not be executed here (error %d)", exe, -ret);
	return ret;
}

/*
 * Read or write (FOLL_WRITE) the new address space: 0; -EFAULT: what is there can't
 * be; or -ENOMEM.
 */
static int cxlfork_access(struct cxlfork_restore *r, unsigned long at, void *buf, int len,
			  unsigned int gup_flags)
{
	vm_flags_t needed = gup_flags & FOLL_WRITE ? VM_WRITE : VM_READ;
	struct vm_area_struct *vma;
	int ret;

	if (access_remote_vm(r->mm, at, buf, len, gup_flags) == len)
		return 0;
	mmap_read_lock(r->mm);
	vma = vma_lookup(r->mm, at);
	ret = vma && (vma->vm_flags & needed) && vma->vm_end - at >= len ? -ENOMEM : -EFAULT;
	mmap_read_unlock(r->mm);
	return ret;
}

/*
 * The clone's view of its own id, where set_tid_address() says it is kept, if
 * something is there, and it is that.
 */
static int cxlfork_set_tid(struct cxlfork_restore *r)
{
	const struct cxlfork_task *task = cxlfork_template_task(r->template);
	unsigned long at = le64_to_cpu(task->clear_tid);
	u32 tid = 0;
	int ret;

	if (!at)
		return 0;
	ret = cxlfork_access(r, at, &tid, sizeof(tid), 0);
	if (!ret && tid == le32_to_cpu(task->tid)) {
		tid = task_pid_vnr(current);
		ret = cxlfork_access(r, at, &tid, sizeof(tid), FOLL_WRITE);
	}
	return ret == -EFAULT ? 0 : ret;
}

static int cxlfork_set_payload(struct cxlfork_restore *r)
{
	const struct cxlfork_task *task = cxlfork_template_task(r->template);
	unsigned long at = le64_to_cpu(task->payload);
	unsigned long size_at = le64_to_cpu(task->payload_size_at);
	int ret = 0;

	if (r->payload_size > le32_to_cpu(task->payload_max) || (r->payload_size && !at)) {
		cxlfork_report(&r->log, CXLFORK_REASON_PAYLOAD, -1, 0, 0,
			       le32_to_cpu(task->payload_max),
			       "a payload of %u bytes: the checkpoint takes at most %u",
			       r->payload_size, at ? le32_to_cpu(task->payload_max) : 0);
		return -EMSGSIZE;
	}
	if (r->payload_size)
		ret = cxlfork_access(r, at, r->payload, r->payload_size, FOLL_WRITE);
	if (!ret && size_at)
		ret = cxlfork_access(r, size_at, &r->payload_size, sizeof(u32), FOLL_WRITE);
	if (ret)
		cxlfork_obstacle(&r->log, CXLFORK_REASON_PAYLOAD,
				 "the checkpoint's payload buffer can't be written (error %d)",
				 -ret);
	return ret;
}

/**
 * cxlfork_restore_mm - build the address space of the clone
 * @r:		the restore; its files are open.  Gets the address space.
 *
 * Context: process context of the ghost, which is not changed.
 * Return: 0 or -errno; obstacles are noted.
 */
int cxlfork_restore_mm(struct cxlfork_restore *r)
{
	struct linux_binfmt *binfmt = current->mm->binfmt;
	struct mm_struct *mm;
	int ret;

	ret = cxlfork_may_map(r);
	if (ret)
		return ret;
	mm = mm_alloc();
	if (!mm)
		return -ENOMEM;
	r->mm = mm;
	if (binfmt && try_module_get(binfmt->module))
		mm->binfmt = binfmt;
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	ret = cxlfork_fill_mm(r);
	mmap_write_unlock(mm);
	if (!ret)
		ret = cxlfork_set_exe(r);
	if (!ret)
		ret = cxlfork_set_payload(r);
	if (!ret)
		ret = cxlfork_set_tid(r);
	return ret;
}
