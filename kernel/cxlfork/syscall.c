// SPDX-License-Identifier: GPL-2.0
/*
 * cxlfork() and cxlrestore(): arguments in, obstacles out.
 */
#include <linux/capability.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/cxlfork.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/pid.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>

/**
 * struct cxlfork_job - a checkpoint of another process
 * @req:	what is asked for
 * @ref:	who waits, and the process
 * @work:	runs in the process, on its way to user space
 * @exec_id:	the program for which permission was given
 * @done:	@req.result is set
 *
 * While it waits for the process it holds no reference on the pool: that can be
 * for ever.
 */
struct cxlfork_job {
	struct cxlfork_request	req;
	refcount_t		ref;
	struct callback_head	work;
	u64			exec_id;
	struct completion	done;
};

static void cxlfork_job_put(struct cxlfork_job *job)
{
	if (!refcount_dec_and_test(&job->ref))
		return;
	cxlfork_log_free(&job->req.log);
	kvfree(job->req.handover);
	kfree(job);
}

static void cxlfork_job_run(struct callback_head *work)
{
	struct cxlfork_job *job = container_of(work, struct cxlfork_job, work);
	struct cxlfork_pool *pool = job->req.pool;

	if (current->self_exec_id != job->exec_id) {
		cxlfork_obstacle(&job->req.log, CXLFORK_REASON_TASK_STATE,
				 "the process has executed another program meanwhile");
		job->req.result = -EAGAIN;
	} else if (!cxlfork_pool_try_hold(pool)) {
		job->req.result = -ENODEV;
	} else {
		job->req.result = cxlfork_checkpoint(&job->req);
		cxlfork_pool_put(pool);
	}
	complete(&job->done);
	cxlfork_job_put(job);
}

/*
 * Let @task checkpoint itself before it returns to user space.  Uses the caller's
 * reference on the pool up.
 */
static long cxlfork_other(struct cxlfork_job *job, struct task_struct *task)
{
	int ret;

	if (task_is_stopped_or_traced(task)) {
		cxlfork_obstacle(&job->req.log, CXLFORK_REASON_TASK_STATE,
				 "the process is stopped: it has to run");
		cxlfork_pool_put(job->req.pool);
		return -EBUSY;
	}
	cxlfork_pool_put(job->req.pool);
	init_task_work(&job->work, cxlfork_job_run);
	refcount_inc(&job->ref);
	ret = task_work_add(task, &job->work, TWA_SIGNAL);
	if (ret) {
		cxlfork_job_put(job);
		return ret;
	}
	if (wait_for_completion_interruptible(&job->done)) {
		if (task_work_cancel(task, &job->work)) {
			cxlfork_job_put(job);
			return -EINTR;
		}
		/* It is at it: the result belongs to this call. */
		if (wait_for_completion_killable(&job->done))
			return -EINTR;
	}
	return job->req.result;
}

static struct task_struct *cxlfork_target(int pidfd, u64 *exec_id)
{
	struct task_struct *task;
	unsigned int flags;

	if (pidfd == -1) {
		get_task_struct(current);
		return current;
	}
	task = pidfd_get_task(pidfd, &flags);
	if (IS_ERR(task))
		return task;
	*exec_id = READ_ONCE(task->self_exec_id);
	if (ptrace_may_access(task, PTRACE_MODE_ATTACH_REALCREDS) &&
	    !(task->flags & PF_KTHREAD))
		return task;
	put_task_struct(task);
	return ERR_PTR(-EPERM);
}

/**
 * cxlfork_good_name - is this the name of a checkpoint?
 * @name:	it
 * @len:	bytes, without a NUL
 *
 * Return: whether it is.
 */
bool cxlfork_good_name(const char *name, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		if (!isascii(name[i]) || !isgraph(name[i]) || name[i] == '/')
			return false;
	return len && len < CXLFORK_NAME_MAX;
}

/**
 * cxlfork_copy_name - the name of a checkpoint
 * @name:	gets it, CXLFORK_NAME_MAX bytes, zeroed
 * @from:	user address; 0: none
 * @len:	bytes, without a NUL
 *
 * Return: 0, -EFAULT, or -EINVAL: not a name.
 */
int cxlfork_copy_name(char *name, u64 from, u32 len)
{
	if (!from && !len)
		return 0;
	if (!from || !len || len >= CXLFORK_NAME_MAX)
		return -EINVAL;
	if (copy_from_user(name, u64_to_user_ptr(from), len))
		return -EFAULT;
	return cxlfork_good_name(name, len) ? 0 : -EINVAL;
}

/* Copy an array of the caller's; @max entries at most. */
static void *cxlfork_copy_array(u64 from, u32 nr, size_t size, u32 max)
{
	if (!nr)
		return NULL;
	if (nr > max)
		return ERR_PTR(-E2BIG);
	return vmemdup_array_user(u64_to_user_ptr(from), nr, size);
}

static struct cxlfork_job *cxlfork_new_job(const struct cxlfork_args *args,
					   struct cxlfork_args __user *uargs)
{
	struct cxlfork_job *job;
	struct cxlfork_request *req;
	struct cxlfork_pool *pool;
	s32 *handover;
	int ret;

	if ((args->flags & ~CXLFORK_FLAGS) || args->pidfd < -1 ||
	    (args->payload && args->pidfd != -1) || args->payload_size > CXLFORK_PAYLOAD_MAX ||
	    !access_ok(u64_to_user_ptr(args->payload), args->payload_size) ||
	    (args->mode & ~0066) || args->reserved)
		return ERR_PTR(-EINVAL);
	pool = cxlfork_pool_get(args->pool_fd);
	if (IS_ERR(pool))
		return ERR_CAST(pool);
	job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);
	if (!job) {
		cxlfork_pool_put(pool);
		return ERR_PTR(-ENOMEM);
	}
	refcount_set(&job->ref, 1);
	init_completion(&job->done);
	req = &job->req;
	req->pool = pool;
	req->flags = args->flags;
	req->uid = from_kuid(&init_user_ns, current_fsuid());
	req->gid = from_kgid(&init_user_ns, current_fsgid());
	req->privileged = ns_capable_noaudit(&init_user_ns, CAP_CHECKPOINT_RESTORE);
	req->mode = 0600 | args->mode;
	req->ttl = args->ttl;
	req->unlimited = ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
	req->quota = req->unlimited ? 0 : cxlfork_quota();
	req->payload = args->payload;
	req->payload_max = args->payload ? args->payload_size : 0;
	if (args->pidfd == -1)
		req->payload_size_at = (unsigned long)&uargs->payload_size;

	ret = cxlfork_log_init(&req->log, args->nr_reports);
	if (!ret)
		ret = cxlfork_copy_name(req->name, args->name, args->name_len);
	if (!ret) {
		handover = cxlfork_copy_array(args->handover, args->nr_handover,
					      sizeof(s32), CXLFORK_HANDOVER_MAX);
		if (IS_ERR(handover))
			ret = PTR_ERR(handover);
		else
			req->handover = handover;
		req->nr_handover = args->nr_handover;
	}
	if (!ret)
		return job;
	cxlfork_job_put(job);
	cxlfork_pool_put(pool);
	return ERR_PTR(ret);
}

/**
 * sys_cxlfork - checkpoint a process into the CXL memory of a pool
 * @uargs:	struct cxlfork_args
 * @size:	its size as the caller knows it
 *
 * Return: the checkpoint's id (> 0); 0 in every clone, and for CXLFORK_CHECK;
 * or -errno.  -EOPNOTSUPP: something can't be cloned, see the reports.
 */
SYSCALL_DEFINE2(cxlfork, struct cxlfork_args __user *, uargs, size_t, size)
{
	struct cxlfork_args args;
	struct task_struct *task;
	struct cxlfork_job *job;
	long ret;

	if (size < CXLFORK_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&args, sizeof(args), uargs, size);
	if (ret)
		return ret;
	job = cxlfork_new_job(&args, uargs);
	if (IS_ERR(job))
		return put_user(0, &uargs->nr_reports) ?: PTR_ERR(job);

	task = cxlfork_target(args.pidfd, &job->exec_id);
	if (IS_ERR(task)) {
		ret = PTR_ERR(task);
		cxlfork_pool_put(job->req.pool);
	} else {
		if (task == current) {
			job->req.self = true;
			ret = cxlfork_checkpoint(&job->req);
			cxlfork_pool_put(job->req.pool);
		} else {
			ret = cxlfork_other(job, task);
		}
		put_task_struct(task);
	}
	/* An interrupted wait leaves the log to the process that still fills it. */
	if (ret != -EINTR && cxlfork_log_copy(&job->req.log, args.reports, &uargs->nr_reports) &&
	    ret <= 0)
		ret = -EFAULT;
	cxlfork_job_put(job);
	return ret;
}

static long cxlfork_restore_call(struct cxlfork_restore *r, const struct cxlrestore_args *args)
{
	struct cxlfork_pool *pool;
	long ret;

	/* Looked up once: who opened what is checked decides what may be done. */
	r->pool_file = fget(args->pool_fd);
	if (!r->pool_file)
		return -EBADF;
	pool = cxlfork_pool_of(r->pool_file);
	ret = PTR_ERR_OR_ZERO(pool);
	if (ret)
		goto out;
	r->template = cxlfork_template_open(pool, args->id, r->pool_file, &r->log);
	ret = PTR_ERR_OR_ZERO(r->template);
	if (!ret) {
		ret = cxlfork_restore(r);
		cxlfork_template_put(r->template);
	}
	cxlfork_pool_put(pool);
out:
	fput(r->pool_file);
	return ret;
}

/**
 * sys_cxlrestore - become a clone of a checkpointed process
 * @uargs:	struct cxlrestore_args
 * @size:	its size as the caller knows it
 *
 * Return: only on failure: -errno, with the reason in the reports.
 */
SYSCALL_DEFINE2(cxlrestore, struct cxlrestore_args __user *, uargs, size_t, size)
{
	struct cxlfork_restore r = { };
	struct cxlrestore_args args;
	struct mm_struct *ghost = current->mm;
	void *copy;
	long ret;

	if (size < CXLRESTORE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&args, sizeof(args), uargs, size);
	if (ret)
		return ret;
	ret = -EINVAL;
	if (args.flags & ~CXLRESTORE_FLAGS)
		goto out;
	ret = cxlfork_log_init(&r.log, args.nr_reports);
	if (ret)
		goto out;

	copy = cxlfork_copy_array(args.fds, args.nr_fds, sizeof(*r.fd_map), CXLFORK_HANDOVER_MAX);
	ret = PTR_ERR_OR_ZERO(copy);
	if (ret)
		goto out;
	r.fd_map = copy;
	r.nr_fd_map = args.nr_fds;
	copy = cxlfork_copy_array(args.payload, args.payload_size, 1, CXLFORK_PAYLOAD_MAX);
	ret = PTR_ERR_OR_ZERO(copy);
	if (ret)
		goto out;
	r.payload = copy;
	r.payload_size = args.payload_size;
	ret = cxlfork_restore_call(&r, &args);
out:
	/* The ghost lives: tell it why. */
	if (current->mm == ghost && cxlfork_log_copy(&r.log, args.reports, &uargs->nr_reports))
		ret = -EFAULT;
	kvfree(r.payload);
	kvfree(r.fd_map);
	cxlfork_log_free(&r.log);
	return ret;
}
