// SPDX-License-Identifier: GPL-2.0
/*
 * A ghost becomes a clone.  Everything that can fail is done beside the ghost;
 * then one switch of the address space, as in exec, and the rest can't fail.
 *
 * Of the ghost stay: credentials, namespaces, cgroup, limits, seccomp, pid.
 */
#include <linux/binfmts.h>
#include <linux/cxlfork.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs_struct.h>
#include <linux/io_uring.h>
#include <linux/mm.h>
#include <linux/namei.h>
#include <linux/perf_event.h>
#include <linux/posix-timers.h>
#include <linux/rseq.h>
#include <linux/sched/mm.h>
#include <linux/sched/numa_balancing.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/syscall_user_dispatch.h>
#include <linux/uprobes.h>
#include <linux/user_events.h>

static int cxlfork_check_ghost(struct cxlfork_restore *r)
{
	const char *why;

	if (!thread_group_empty(current) || !thread_group_leader(current) ||
	    refcount_read(&cxlfork_sighand()->count) != 1) {
		cxlfork_obstacle(&r->log, CXLFORK_REASON_GHOST,
				 "the caller has threads or shares its signal handlers");
		return -EBUSY;
	}
	why = cxlfork_arch_ghost();
	if (why) {
		cxlfork_obstacle(&r->log, CXLFORK_REASON_GHOST, "%s", why);
		return -EBUSY;
	}
	return 0;
}

static int cxlfork_find_cwd(struct cxlfork_restore *r)
{
	const char *name = cxlfork_template_string(r->template,
						   cxlfork_template_task(r->template)->cwd);
	int ret;

	ret = kern_path(name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &r->cwd);
	if (!ret)
		ret = path_permission(&r->cwd, MAY_EXEC | MAY_CHDIR);
	if (ret)
		cxlfork_report(&r->log, CXLFORK_REASON_FILE, -1, 0, 0, -ret,
			       "working directory %s can't be entered on this host (error %d)",
			       name, -ret);
	return ret;
}

static int cxlfork_prepare(struct cxlfork_restore *r)
{
	struct cxlfork_template *t = r->template;
	int ret;

	ret = cxlfork_check_ghost(r);
	if (!ret)
		ret = cxlfork_restore_open_files(r);
	if (!ret)
		ret = cxlfork_find_cwd(r);
	if (!ret)
		ret = cxlfork_restore_fds(r);
	if (!ret)
		ret = cxlfork_restore_mm(r);
	if (ret)
		return ret;
	ret = cxlfork_arch_prepare(t->sec[CXLFORK_SEC_XSTATE].data,
				   t->sec[CXLFORK_SEC_XSTATE].len, &r->pkru, &r->fpstate);
	if (ret == -EUCLEAN)
		cxlfork_obstacle(&r->log, CXLFORK_REASON_CPU,
				 "this CPU can't take the extended register state");
	/* From here on only a fatal signal or lack of memory stops it. */
	if (!ret)
		ret = cxlfork_restore_own_fds(r);
	if (!ret && current->fs->users > 1)
		ret = unshare_fs_struct();
	return ret;
}

static void cxlfork_set_signals(const struct cxlfork_template *t)
{
	const struct cxlfork_sigaction *in = t->sec[CXLFORK_SEC_SIGACTIONS].data;
	const struct cxlfork_task *task = cxlfork_template_task(t);
	sigset_t mask = { .sig[0] = le64_to_cpu(task->sigmask) };
	int i;

	spin_lock_irq(&cxlfork_sighand()->siglock);
	for (i = 0; i < _NSIG; i++) {
		struct sigaction *sa = &cxlfork_sighand()->action[i].sa;

		if (sig_kernel_only(i + 1))
			continue;
		sa->sa_handler = (__sighandler_t)le64_to_cpu(in[i].handler);
		sa->sa_flags = le64_to_cpu(in[i].flags) & UAPI_SA_FLAGS;
		sa->sa_restorer = (__sigrestore_t)le64_to_cpu(in[i].restorer);
		sa->sa_mask.sig[0] = le64_to_cpu(in[i].mask) &
				     ~(sigmask(SIGKILL) | sigmask(SIGSTOP));
	}
	spin_unlock_irq(&cxlfork_sighand()->siglock);
	clear_restore_sigmask();
	set_current_blocked(&mask);

	current->sas_ss_sp = le64_to_cpu(task->altstack_sp);
	current->sas_ss_size = le64_to_cpu(task->altstack_size);
	current->sas_ss_flags = le32_to_cpu(task->altstack_flags);
}

/* What user space has registered with the kernel for this thread. */
static void cxlfork_set_registered(const struct cxlfork_task *task)
{
	current->clear_child_tid = (int __user *)le64_to_cpu(task->clear_tid);
#ifdef CONFIG_FUTEX
	current->robust_list = (void __user *)le64_to_cpu(task->robust_list);
#endif
#ifdef CONFIG_RSEQ
	rseq_execve(current);
	if (task->rseq) {
		current->rseq = (void __user *)le64_to_cpu(task->rseq);
		current->rseq_len = le32_to_cpu(task->rseq_len);
		current->rseq_sig = le32_to_cpu(task->rseq_sig);
		/* An interrupted critical section has to be aborted. */
		rseq_preempt(current);
	}
#endif
}

/* Probes and profilers of this host learn of the new mappings. */
static void cxlfork_announce_vmas(void)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	VMA_ITERATOR(vmi, mm, 0);

	mmap_write_lock(mm);
	for_each_vma(vmi, vma) {
		perf_event_mmap(vma);
		if (vma->vm_file)
			uprobe_mmap(vma);
	}
	mmap_write_unlock(mm);
}

static void cxlfork_set_task(struct cxlfork_restore *r)
{
	const struct cxlfork_task *task = cxlfork_template_task(r->template);

	set_fs_pwd(current->fs, &r->cwd);
	current->fs->umask = le32_to_cpu(task->umask);
	current->personality = le32_to_cpu(task->personality);
	__set_task_comm(current, task->comm, true);
	perf_event_exec();
	cxlfork_announce_vmas();
	WRITE_ONCE(current->self_exec_id, current->self_exec_id + 1);
	cxlfork_set_signals(r->template);
	cxlfork_set_registered(task);
	cxlfork_arch_restore(task, r->pkru, r->fpstate);
}

static void cxlfork_drop_timers(void)
{
#ifdef CONFIG_POSIX_TIMERS
	spin_lock_irq(&cxlfork_sighand()->siglock);
	posix_cpu_timers_exit(current);
	spin_unlock_irq(&cxlfork_sighand()->siglock);
	exit_itimers(current);
	flush_itimer_signals();
#endif
}

/* As exec does it: switch to the new address space, drop what hung on the old. */
static int cxlfork_become(struct cxlfork_restore *r)
{
	struct mm_struct *mm = r->mm;
	int ret;

	io_uring_task_cancel();
	sched_mm_cid_before_execve(current);
	ret = exec_mmap(mm);
	if (ret) {
		sched_mm_cid_after_execve(current);
		return ret;
	}
	r->mm = NULL;
	current->flags &= ~(PF_RANDOMIZE | PF_FORKNOEXEC);
	clear_syscall_work_syscall_user_dispatch(current);
	arch_setup_new_exec();
	up_write(&current->signal->exec_update_lock);
	sched_mm_cid_after_execve(current);
	user_events_execve(current);
	task_numa_free(current, false);
	cxlfork_drop_timers();
	return 0;
}

static void cxlfork_restore_free(struct cxlfork_restore *r)
{
	u32 i;

	if (r->mm)
		mmput(r->mm);
	for (i = 0; r->files && i < r->template->sec[CXLFORK_SEC_FILES].nr; i++)
		if (r->files[i])
			fput(r->files[i]);
	kvfree(r->files);
	for (i = 0; r->fds && i < r->template->sec[CXLFORK_SEC_FDS].nr; i++)
		if (r->fds[i])
			fput(r->fds[i]);
	kvfree(r->fds);
	kvfree(r->fpstate);
	if (r->cwd.mnt)
		path_put(&r->cwd);
}

/**
 * cxlfork_restore - become a clone
 * @r:		the restore; its template is open
 *
 * Context: system call of the ghost.
 * Return: on success what the system call is to return in the clone, whose
 * registers are in place; or -errno, then the ghost is as it was.
 */
long cxlfork_restore(struct cxlfork_restore *r)
{
	int ret;

	ret = cxlfork_prepare(r);
	if (!ret)
		ret = cxlfork_become(r);
	if (!ret) {
		r->template->pool->ops->restored(r->template->ckpt);
		WRITE_ONCE(r->template->proven, true);
		/* Who kills all clones has looked at the ghost, or is seen here. */
		smp_mb();
		if (READ_ONCE(r->template->pool->killed))
			send_sig(SIGKILL, current, 1);
		cxlfork_restore_install_fds(r);
		cxlfork_set_task(r);
	}
	cxlfork_restore_free(r);
	return ret ?: current_pt_regs()->ax;
}
