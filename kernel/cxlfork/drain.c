// SPDX-License-Identifier: GPL-2.0
/*
 * Drain: no clone on this host needs the pool any more.  On command, in steps
 * whose caller sees how far it is; or because the pool's memory goes away, which
 * can't be refused.
 */
#include <linux/cxlfork.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

/* One localiser at a time: struct cxlfork_mm's @next and @no_memory are its. */
static DEFINE_MUTEX(cxlfork_drain_lock);

/**
 * cxlfork_drain_begin - from now on there are no new clones
 * @pool:	the pool; its caller sees to it that nobody else drains it
 *
 * Context: process context, sleeps.
 * Return: 0 or -EINTR.
 */
int cxlfork_drain_begin(struct cxlfork_pool *pool)
{
	struct mm_struct *mm;

	if (mutex_lock_killable(&cxlfork_drain_lock))
		return -EINTR;
	cxlfork_templates_close(pool, true);
	/* They may be kept open for ever. */
	cxlfork_transfers_end(pool);
	for (mm = cxlfork_next_mm(NULL); mm; mm = cxlfork_next_mm(mm))
		mm->cxlfork->no_memory = false;
	mutex_unlock(&cxlfork_drain_lock);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_drain_begin, CXLFORK);

/**
 * cxlfork_drain_end - there may be new clones again
 * @pool:	the pool
 *
 * Context: process context, sleeps.
 */
void cxlfork_drain_end(struct cxlfork_pool *pool)
{
	cxlfork_templates_close(pool, false);
}
EXPORT_SYMBOL_NS_GPL(cxlfork_drain_end, CXLFORK);

static int cxlfork_drain_mm(struct mm_struct *mm, struct cxlfork_pool_drain *drain)
{
	u64 done = drain->copied + drain->lost;
	struct cxlfork_localise l = {
		.budget	= drain->budget - done,
		.wait	= CXLFORK_WAIT_KILLABLE,
	};
	int ret;

	if (mm->cxlfork->no_memory || done >= drain->budget)
		return 0;
	ret = cxlfork_localise(mm, &l);
	drain->copied += l.copied;
	drain->lost += l.lost;
	/* Others may have memory: cgroups have limits of their own. */
	if (ret == -ENOMEM)
		mm->cxlfork->no_memory = true;
	return ret == -EINTR ? ret : 0;
}

/*
 * An mmap lock may be held for as long as some storage does not answer: those that
 * are taken come @last, and where pages are only counted not at all.
 */
static int cxlfork_drain_round(struct cxlfork_pool_drain *drain, bool last)
{
	struct mm_struct *mm = NULL;
	long pages;
	int ret;

	while ((mm = cxlfork_next_mm(mm))) {
		if (!last)
			mm->cxlfork->late = rwsem_is_locked(&mm->mmap_lock);
		if (mm->cxlfork->late != last)
			continue;
		ret = cxlfork_drain_mm(mm, drain);
		pages = ret || drain->budget ? ret : cxlfork_mm_pages(mm);
		if (pages < 0) {
			mmput_async(mm);
			return pages;
		}
		drain->pages += pages;
		drain->stuck += mm->cxlfork->no_memory;
	}
	return 0;
}

static int cxlfork_drain_all(struct cxlfork_pool_drain *drain)
{
	int ret = cxlfork_drain_round(drain, false);

	if (!ret && drain->budget && !drain->copied && !drain->lost)
		ret = cxlfork_drain_round(drain, true);
	return ret;
}

/**
 * cxlfork_drain - localise some pages of a pool's clones
 * @pool:	the pool, see cxlfork_drain_begin()
 * @drain:	see there
 *
 * Context: process context, sleeps.
 * Return: 0; -ENOMEM: there was not enough for those that are left; -EINTR.
 */
int cxlfork_drain(struct cxlfork_pool *pool, struct cxlfork_pool_drain *drain)
{
	int ret;

	drain->copied = 0;
	drain->lost = 0;
	drain->pages = 0;
	drain->stuck = 0;
	if (mutex_lock_killable(&cxlfork_drain_lock))
		return -EINTR;
	ret = cxlfork_drain_all(drain);
	mutex_unlock(&cxlfork_drain_lock);
	drain->users = cxlfork_templates_users(pool);
	if (!ret && drain->stuck && drain->stuck == drain->users)
		ret = -ENOMEM;
	return ret;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_drain, CXLFORK);

/* Whose pages are lost. */
static void cxlfork_say_lost(struct mm_struct *mm, unsigned long lost)
{
	struct task_struct *p, *t;

	rcu_read_lock();
	for_each_process(p) {
		for_each_thread(p, t) {
			/* Its first thread may have ended. */
			if (!READ_ONCE(t->mm))
				continue;
			if (READ_ONCE(t->mm) == mm)
				pr_warn("cxlfork: %s[%d] loses %lu pages for want of memory\n",
					p->comm, task_tgid_nr(p), lost);
			break;
		}
	}
	rcu_read_unlock();
}

/**
 * cxlfork_pool_evacuate - get all clones off a pool whose memory goes away
 * @pool:	pool that is unregistered
 *
 * What can't be copied for want of memory is lost: whoever touches it gets
 * SIGBUS.  Clones that are just being made or ending are not waited for.
 *
 * Context: process context, sleeps; can't be interrupted.
 */
void cxlfork_pool_evacuate(struct cxlfork_pool *pool)
{
	struct cxlfork_localise all = { };
	struct mm_struct *mm = NULL;
	unsigned int clones = 0;

	mutex_lock(&cxlfork_drain_lock);
	while ((mm = cxlfork_next_mm(mm))) {
		struct cxlfork_localise l = { .wait = CXLFORK_WAIT_EVER };
		int ret = cxlfork_localise(mm, &l);

		all.copied += l.copied;
		all.lost += l.lost;
		if (ret == -ENOMEM) {
			l.lost = 0;
			l.lose = true;
			ret = cxlfork_localise(mm, &l);
			cxlfork_say_lost(mm, l.lost);
			all.lost += l.lost;
		}
		clones += !ret;
	}
	mutex_unlock(&cxlfork_drain_lock);
	if (clones)
		pr_notice("cxlfork: the pool goes away: of %u clones %lu pages were copied to local memory, %lu are lost\n",
			  clones, all.copied, all.lost);
}

/**
 * cxlfork_pool_sever - take a pool's memory from all clones at once
 * @pool:	the pool
 *
 * For a host that goes down: nothing is copied, and nobody is waited for.
 *
 * Context: process context, sleeps.
 * Return: whether no clone has access to it any more.
 */
bool cxlfork_pool_sever(struct cxlfork_pool *pool)
{
	struct cxlfork_localise l = { .lose = true, .wait = CXLFORK_WAIT_NOT };
	struct mm_struct *mm = NULL;

	cxlfork_templates_close(pool, true);
	/* A drain under way may wait for somebody. */
	if (!mutex_trylock(&cxlfork_drain_lock))
		return false;
	while ((mm = cxlfork_next_mm(mm)))
		cxlfork_localise(mm, &l);
	mutex_unlock(&cxlfork_drain_lock);
	return !cxlfork_templates_users(pool);
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_sever, CXLFORK);
