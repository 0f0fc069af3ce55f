// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a task, in the on-CXL format but in local memory.  Everything
 * that can't be cloned is noted; nothing is changed.
 *
 * Runs in the context of the process that is checkpointed: it is in the kernel
 * and alone, and so stands still.
 */
#include <linux/cxlfork.h>
#include <linux/capability.h>
#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/posix-timers.h>
#include <linux/rcupdate.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

/* Bytes of one entry of each section. */
const u32 cxlfork_entry_size[CXLFORK_NR_SECTIONS] = {
	[CXLFORK_SEC_TASK]	 = sizeof(struct cxlfork_task),
	[CXLFORK_SEC_XSTATE]	 = 1,
	[CXLFORK_SEC_MM]	 = sizeof(struct cxlfork_mm_state),
	[CXLFORK_SEC_VMAS]	 = sizeof(struct cxlfork_vma),
	[CXLFORK_SEC_STRINGS]	 = 1,
	[CXLFORK_SEC_FILES]	 = sizeof(struct cxlfork_file),
	[CXLFORK_SEC_FDS]	 = sizeof(struct cxlfork_fd),
	[CXLFORK_SEC_SIGACTIONS] = sizeof(struct cxlfork_sigaction),
	[CXLFORK_SEC_LEAVES]	 = sizeof(struct cxlfork_leaf),
	[CXLFORK_SEC_DIRTY]	 = sizeof(__le64) * CXLFORK_LEAF_ENTRIES / 64,
	[CXLFORK_SEC_PARENTS]	 = sizeof(struct cxlfork_parent),
};

/**
 * cxlfork_buf_add - append zeroed bytes
 * @buf:	the buffer
 * @len:	how many
 *
 * Return: their place, valid until the next call; or NULL: no memory, or too much.
 */
void *cxlfork_buf_add(struct cxlfork_buf *buf, size_t len)
{
	size_t need = buf->len + len;
	void *place;

	/* No section is larger. */
	if (need > SZ_1G)
		return NULL;
	if (need > buf->cap) {
		size_t cap = max_t(size_t, need, buf->cap * 2);
		void *data;

		cap = max_t(size_t, cap, 256);
		data = kvrealloc(buf->data, cap, GFP_KERNEL_ACCOUNT);
		if (!data)
			return NULL;
		buf->data = data;
		buf->cap = cap;
	}
	place = buf->data + buf->len;
	memset(place, 0, len);
	buf->len = need;
	return place;
}

/* Append a reference on a file. */
int cxlfork_buf_add_file(struct cxlfork_buf *buf, struct file *file)
{
	struct file **place = cxlfork_buf_add(buf, sizeof(file));

	if (!place)
		return -ENOMEM;
	*place = get_file(file);
	return 0;
}

/**
 * cxlfork_snapshot_string - keep a string
 * @snap:	the snapshot
 * @s:		NUL-terminated
 * @at:		gets its place; must not lie in a buffer of @snap that grows
 *
 * Return: 0 or -ENOMEM.
 */
int cxlfork_snapshot_string(struct cxlfork_snapshot *snap, const char *s, __le32 *at)
{
	struct cxlfork_buf *buf = &snap->sec[CXLFORK_SEC_STRINGS];
	size_t place = buf->len, len = strlen(s) + 1;
	char *copy = cxlfork_buf_add(buf, len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, s, len);
	*at = cpu_to_le32(place);
	return 0;
}

/**
 * cxlfork_snapshot_path - keep the name of a file
 * @snap:	the snapshot
 * @path:	where it is
 * @at:		gets the place of the name
 *
 * The name is absolute in the task's own root; deleted files, memfds and their
 * like, and what is mounted outside of it, have none.
 *
 * Context: process context, sleeps; no mmap lock is held.
 * Return: 0; -ENOENT: it has no name (any more); or -ENOMEM.
 */
int cxlfork_snapshot_path(struct cxlfork_snapshot *snap, const struct path *path,
			  __le32 *at)
{
	struct path root;
	char *buf, *name;
	int ret = -ENOENT;

	*at = cpu_to_le32(CXLFORK_NO_STRING);
	if (d_unlinked(path->dentry))
		return -ENOENT;
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	get_fs_root(current->fs, &root);
	name = __d_path(path, &root, buf, PATH_MAX);
	path_put(&root);
	if (!IS_ERR_OR_NULL(name))
		ret = cxlfork_snapshot_string(snap, name, at);
	kfree(buf);
	return ret;
}

static bool cxlfork_mm_is_shared(void)
{
	struct task_struct *p;
	bool shared = false;

	/* A reader of /proc raises the count as well: look who it is. */
	if (atomic_read(&current->mm->mm_users) == 1)
		return false;
	rcu_read_lock();
	for_each_process(p) {
		if (same_thread_group(p, current) || (p->flags & PF_KTHREAD))
			continue;
		shared = process_shares_mm(p, current->mm);
		if (shared)
			break;
	}
	rcu_read_unlock();
	return shared;
}

static bool cxlfork_has_timers(void)
{
	struct signal_struct *sig = current->signal;
	bool has = hrtimer_active(&sig->real_timer);

#ifdef CONFIG_POSIX_TIMERS
	has = has || READ_ONCE(sig->it[CPUCLOCK_PROF].expires) ||
	      READ_ONCE(sig->it[CPUCLOCK_VIRT].expires) || !hlist_empty(&sig->posix_timers);
#endif
	return has;
}

/*
 * A signal that is pending and blocked: user space will want to wait for it. One
 * that is not blocked comes to the process at once, as if just after.
 */
static int cxlfork_pending_signal(void)
{
	sigset_t set;

	spin_lock_irq(&cxlfork_sighand()->siglock);
	sigorsets(&set, &current->pending.signal, &current->signal->shared_pending.signal);
	sigandsets(&set, &set, &current->blocked);
	spin_unlock_irq(&cxlfork_sighand()->siglock);
	return set.sig[0] ? __ffs(set.sig[0]) + 1 : 0;
}

static void cxlfork_check_task(struct cxlfork_request *req)
{
	struct cxlfork_log *log = &req->log;
	int sig = cxlfork_pending_signal();

	if (!thread_group_empty(current))
		cxlfork_report(log, CXLFORK_REASON_THREADS, -1, 0, 0, get_nr_threads(current),
			       "%d threads: only a single-threaded process can be cloned",
			       get_nr_threads(current));
	if (cxlfork_mm_is_shared())
		cxlfork_obstacle(log, CXLFORK_REASON_SHARED_MM,
				 "another process shares the address space (vfork or CLONE_VM)");
	if (current->ptrace && !req->self)
		cxlfork_obstacle(log, CXLFORK_REASON_TASK_STATE, "the process is being traced");
	if (get_dumpable(current->mm) != SUID_DUMP_USER && !req->privileged)
		cxlfork_obstacle(log, CXLFORK_REASON_PERMISSION,
				 "setuid or unreadable program: CAP_CHECKPOINT_RESTORE is needed");
	if (cxlfork_has_timers())
		cxlfork_obstacle(log, CXLFORK_REASON_TASK_STATE,
				 "a timer is set (setitimer, alarm or timer_create)");
	if (sig)
		cxlfork_report(log, CXLFORK_REASON_TASK_STATE, -1, 0, 0, sig,
			       "signal %d is pending and blocked", sig);
	if (test_bit(MMF_HAS_UPROBES, &current->mm->flags))
		cxlfork_obstacle(log, CXLFORK_REASON_TASK_STATE, "uprobes are set");
#ifdef CONFIG_AIO
	if (rcu_access_pointer(current->mm->ioctx_table))
		cxlfork_obstacle(log, CXLFORK_REASON_TASK_STATE,
				 "asynchronous I/O (io_setup) in use");
#endif
	if (current->personality & ~(PER_LINUX | ADDR_NO_RANDOMIZE))
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH, "personality %#x", current->personality);
}

static int cxlfork_snapshot_sigactions(struct cxlfork_snapshot *snap)
{
	struct cxlfork_sigaction *out;
	int i;

	out = cxlfork_buf_add(&snap->sec[CXLFORK_SEC_SIGACTIONS], _NSIG * sizeof(*out));
	if (!out)
		return -ENOMEM;
	spin_lock_irq(&cxlfork_sighand()->siglock);
	for (i = 0; i < _NSIG; i++) {
		const struct sigaction *sa = &cxlfork_sighand()->action[i].sa;

		out[i].handler = cpu_to_le64((unsigned long)sa->sa_handler);
		out[i].flags = cpu_to_le64(sa->sa_flags);
		out[i].restorer = cpu_to_le64((unsigned long)sa->sa_restorer);
		out[i].mask = cpu_to_le64(sa->sa_mask.sig[0]);
	}
	spin_unlock_irq(&cxlfork_sighand()->siglock);
	return 0;
}

/* The mask that the task will have in user space. */
static u64 cxlfork_sigmask(void)
{
	return test_restore_sigmask() ? current->saved_sigmask.sig[0] :
					current->blocked.sig[0];
}

/**
 * cxlfork_snapshot_task - the task itself: all but memory and descriptors
 * @snap:	gets it; obstacles are noted in its log
 *
 * Return: 0 or -errno.
 */
int cxlfork_snapshot_task(struct cxlfork_snapshot *snap)
{
	struct cxlfork_request *req = snap->req;
	struct cxlfork_task *task;
	struct path cwd;
	int ret;

	cxlfork_check_task(req);
	task = cxlfork_buf_add(&snap->sec[CXLFORK_SEC_TASK], sizeof(*task));
	if (!task)
		return -ENOMEM;
	ret = cxlfork_arch_snapshot(snap, task);
	if (ret)
		return ret;

	task->sigmask = cpu_to_le64(cxlfork_sigmask());
	task->altstack_sp = cpu_to_le64(current->sas_ss_sp);
	task->altstack_size = cpu_to_le64(current->sas_ss_size);
	task->altstack_flags = cpu_to_le32(current->sas_ss_flags);
	task->umask = cpu_to_le32(current_umask());
#ifdef CONFIG_RSEQ
	task->rseq = cpu_to_le64((unsigned long)current->rseq);
	task->rseq_len = cpu_to_le32(current->rseq_len);
	task->rseq_sig = cpu_to_le32(current->rseq_sig);
#endif
#ifdef CONFIG_FUTEX
	task->robust_list = cpu_to_le64((unsigned long)current->robust_list);
#endif
	task->clear_tid = cpu_to_le64((unsigned long)current->clear_child_tid);
	task->tid = cpu_to_le32(task_pid_vnr(current));
	task->personality = cpu_to_le32(current->personality);
	task->payload = cpu_to_le64(req->payload);
	task->payload_max = cpu_to_le32(req->payload_max);
	task->payload_size_at = cpu_to_le64(req->payload_size_at);
	get_task_comm(task->comm, current);

	get_fs_pwd(current->fs, &cwd);
	ret = cxlfork_snapshot_path(snap, &cwd, &task->cwd);
	path_put(&cwd);
	if (ret == -ENOENT) {
		cxlfork_obstacle(&req->log, CXLFORK_REASON_PATH,
				 "the working directory has no path (deleted or out of reach)");
		ret = 0;
	}
	return ret ?: cxlfork_snapshot_sigactions(snap);
}
