// SPDX-License-Identifier: GPL-2.0
/*
 * The pool that the driver has registered: found by descriptor, pinned by use.
 */
#include <linux/cxlfork.h>
#include <linux/cxlfork_hooks.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/set_memory.h>

static DEFINE_MUTEX(cxlfork_pool_lock);
static struct cxlfork_pool *cxlfork_the_pool;

/**
 * cxlfork_register_pool - offer a pool to the system calls
 * @pool:	attached pool; must stay until it is unregistered
 *
 * Context: process context.
 * Return: 0, or -EBUSY: this host has one already.
 */
int cxlfork_register_pool(struct cxlfork_pool *pool)
{
	int ret = 0;

	mutex_lock(&cxlfork_pool_lock);
	if (cxlfork_the_pool) {
		ret = -EBUSY;
	} else {
		pool->draining = false;
		pool->killed = false;
		refcount_set(&pool->users, 1);
		init_completion(&pool->idle);
		cxlfork_the_pool = pool;
		static_branch_inc(&cxlfork_key);
	}
	mutex_unlock(&cxlfork_pool_lock);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_register_pool, CXLFORK);

/* Nobody uses it any more, and nobody can. */
static void cxlfork_unregistered(struct cxlfork_pool *pool)
{
	cxlfork_templates_drop(pool);
	static_branch_dec(&cxlfork_key);
}

/**
 * cxlfork_unregister_pool - end the use of a pool
 * @pool:	registered pool
 *
 * New calls fail at once.  All clones are localised; returns when nobody uses
 * its memory any more.  Those that are just being made, or end, are waited for,
 * however long that takes.
 *
 * Context: process context, sleeps; can't be interrupted.
 */
void cxlfork_unregister_pool(struct cxlfork_pool *pool)
{
	mutex_lock(&cxlfork_pool_lock);
	if (WARN_ON_ONCE(cxlfork_the_pool != pool)) {
		mutex_unlock(&cxlfork_pool_lock);
		return;
	}
	cxlfork_the_pool = NULL;
	mutex_unlock(&cxlfork_pool_lock);

	cxlfork_transfers_end(pool);
	if (!refcount_dec_and_test(&pool->users)) {
		do
			cxlfork_pool_evacuate(pool);
		while (!wait_for_completion_timeout(&pool->idle, HZ));
	}
	cxlfork_unregistered(pool);
}
EXPORT_SYMBOL_NS_GPL(cxlfork_unregister_pool, CXLFORK);

/**
 * cxlfork_unregister_idle_pool - end the use of a pool that nobody uses
 * @pool:	registered pool
 *
 * Exports and imports are ended.
 *
 * Context: process context, sleeps.
 * Return: 0, or -EBUSY: a call is at work.
 */
int cxlfork_unregister_idle_pool(struct cxlfork_pool *pool)
{
	int ret = 0;

	cxlfork_transfers_end(pool);
	mutex_lock(&cxlfork_pool_lock);
	/* Who has none can't get one without the lock. */
	if (cxlfork_the_pool == pool && refcount_dec_if_one(&pool->users))
		cxlfork_the_pool = NULL;
	else
		ret = -EBUSY;
	mutex_unlock(&cxlfork_pool_lock);
	if (ret)
		return ret;
	cxlfork_unregistered(pool);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_unregister_idle_pool, CXLFORK);

/**
 * cxlfork_pool_kill - end all clones of a pool, and what is copied from or to it
 * @pool:	whose memory may change from now on, or go away
 *
 * Context: process context.
 */
void cxlfork_pool_kill(struct cxlfork_pool *pool)
{
	struct cxlfork_template *template;
	struct task_struct *p, *t;
	struct cxlfork_mm *cm;

	WRITE_ONCE(pool->killed, true);
	/* Who becomes a clone just now sees that, or is seen here. */
	smp_mb();
	cxlfork_transfers_kill(pool);
	rcu_read_lock();
	for_each_process_thread(p, t) {
		if (t->flags & PF_KTHREAD)
			continue;
		/* As long as it is locked its mm, and what that holds, stays. */
		task_lock(t);
		cm = t->mm ? t->mm->cxlfork : NULL;
		template = cm ? READ_ONCE(cm->template) : NULL;
		if (template && template->pool == pool)
			send_sig(SIGKILL, t, 1);
		task_unlock(t);
	}
	rcu_read_unlock();
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_kill, CXLFORK);

/**
 * cxlfork_guard - let this host write extents, or no longer
 * @pool:	the pool
 * @extent:	first extent
 * @nr:		how many
 * @readonly:	write-protect them in the direct map, or lift that
 *
 * A store by mistake, by whatever part of the kernel, then faults at the
 * culprit and not in all the clones of the pod.  The page walker of the
 * hardware sets accessed bits all the same: it uses physical addresses.
 *
 * Context: process context, sleeps.
 * Return: 0 or -errno.
 */
int cxlfork_guard(struct cxlfork_pool *pool, u32 extent, u32 nr, bool readonly)
{
	const u32 step = 1U << 20; /* pages are counted by an int there */
	unsigned long addr;
	int pages, ret = 0;
	u32 n;

	for (; nr && !ret; nr -= n, extent += n) {
		n = min(nr, step);
		pages = n << (CXLFORK_EXTENT_SHIFT - PAGE_SHIFT);
		addr = (unsigned long)pool->addr +
		       ((unsigned long)extent << CXLFORK_EXTENT_SHIFT);
		ret = readonly ? set_memory_ro(addr, pages) : set_memory_rw(addr, pages);
	}
	return ret;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_guard, CXLFORK);

/**
 * cxlfork_pool_of - the pool behind an open file
 * @file:	its control device
 *
 * Context: process context.
 * Return: the pool, pinned; or -ENOTTY: no control device of a pool, -ENODEV: the
 * pool is unformatted or gone.
 */
struct cxlfork_pool *cxlfork_pool_of(const struct file *file)
{
	struct cxlfork_pool *pool;

	mutex_lock(&cxlfork_pool_lock);
	pool = cxlfork_the_pool;
	if (!pool)
		pool = ERR_PTR(-ENODEV);
	else if (file->f_op != pool->fops)
		pool = ERR_PTR(-ENOTTY);
	else if (!try_module_get(pool->owner))
		pool = ERR_PTR(-ENODEV);
	else
		refcount_inc(&pool->users);
	mutex_unlock(&cxlfork_pool_lock);
	return pool;
}

/**
 * cxlfork_pool_get - the pool behind a descriptor
 * @fd:		of its control device
 *
 * Context: process context.
 * Return: as cxlfork_pool_of(), or -EBADF: no such descriptor.
 */
struct cxlfork_pool *cxlfork_pool_get(int fd)
{
	CLASS(fd, f)(fd);

	return fd_empty(f) ? ERR_PTR(-EBADF) : cxlfork_pool_of(fd_file(f));
}

void cxlfork_pool_hold(struct cxlfork_pool *pool)
{
	__module_get(pool->owner);
	refcount_inc(&pool->users);
}

/**
 * cxlfork_pool_try_hold - take a reference on what was the pool once
 * @pool:	compared only, if it is not the pool any more
 *
 * Return: whether it still is; then cxlfork_pool_put() is due.
 */
bool cxlfork_pool_try_hold(struct cxlfork_pool *pool)
{
	bool held;

	mutex_lock(&cxlfork_pool_lock);
	held = pool == cxlfork_the_pool && try_module_get(pool->owner);
	if (held)
		refcount_inc(&pool->users);
	mutex_unlock(&cxlfork_pool_lock);
	return held;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_try_hold, CXLFORK);

void cxlfork_pool_put(struct cxlfork_pool *pool)
{
	struct module *owner = pool->owner;

	if (refcount_dec_and_test(&pool->users))
		complete(&pool->idle);
	module_put(owner);
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_put, CXLFORK);
