// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors in a pool: only clones that map the page learn of it, and only
 * when they touch it.  Checkpoints it belongs to get no new clones on this host.
 */
#include <linux/cxlfork.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

/* How long to wait for mmap locks that were taken. */
#define CXLFORK_LOSE_AGAIN	(HZ / 10)

/**
 * struct cxlfork_bad_page - a page that can't be read
 * @node:	in the pool's list, until the region is let go
 * @lost:	what is told of it
 * @busy:	a clone could not be looked at yet
 */
struct cxlfork_bad_page {
	struct list_head	node;
	struct cxlfork_lost	lost;
	bool			busy;
};

static DEFINE_SPINLOCK(cxlfork_bad_lock);

/* Has to be on the list before clones are looked for: see cxlfork_pool_bad(). */
static struct cxlfork_bad_page *cxlfork_note_bad(struct cxlfork_pool *pool, u64 offset, u64 id)
{
	struct cxlfork_bad_page *bad, *new;

	new = kzalloc(sizeof(*new), GFP_KERNEL | __GFP_NOFAIL);
	new->lost.offset = offset;
	new->lost.id = id;
	spin_lock(&cxlfork_bad_lock);
	list_for_each_entry(bad, &pool->bad, node) {
		if (bad->lost.offset == offset) {
			spin_unlock(&cxlfork_bad_lock);
			kfree(new);
			return bad;
		}
	}
	list_add_tail(&new->node, &pool->bad);
	spin_unlock(&cxlfork_bad_lock);
	pr_err("cxlfork: memory error in the pool at %#llx, checkpoint %#llx\n", offset, id);
	return new;
}

/* Take it from all clones that can be looked at now; @own: current is none of those. */
static bool cxlfork_lose(struct cxlfork_pool *pool, struct cxlfork_bad_page *bad, bool *own)
{
	unsigned long pfn = PHYS_PFN(pool->base + bad->lost.offset);
	struct mm_struct *mm = NULL;
	bool busy = false;
	u64 clones = 0;
	long lost;

	while ((mm = cxlfork_next_mm(mm))) {
		lost = cxlfork_lose_page(mm, pfn);
		clones += lost > 0;
		busy |= lost == -EBUSY;
		*own |= lost == -EBUSY && mm == current->mm;
	}
	spin_lock(&cxlfork_bad_lock);
	bad->lost.clones += clones;
	bad->busy |= busy;
	spin_unlock(&cxlfork_bad_lock);
	if (clones)
		pr_err("cxlfork: %llu clone(s) have lost the page at %#llx\n", clones,
		       bad->lost.offset);
	return busy;
}

static void cxlfork_lose_again(struct work_struct *work)
{
	struct cxlfork_pool *pool = container_of(to_delayed_work(work), struct cxlfork_pool,
						 lose);
	struct cxlfork_bad_page *bad;
	bool busy = false, own = false;

	/* None leaves the list before this work is cancelled. */
	spin_lock(&cxlfork_bad_lock);
	list_for_each_entry(bad, &pool->bad, node) {
		if (!bad->busy)
			continue;
		bad->busy = false;
		spin_unlock(&cxlfork_bad_lock);
		busy |= cxlfork_lose(pool, bad, &own);
		spin_lock(&cxlfork_bad_lock);
	}
	spin_unlock(&cxlfork_bad_lock);
	if (busy)
		schedule_delayed_work(&pool->lose, CXLFORK_LOSE_AGAIN);
}

/**
 * cxlfork_pool_init_bad - a pool without memory errors
 * @pool:	the pool
 *
 * Context: any.
 */
void cxlfork_pool_init_bad(struct cxlfork_pool *pool)
{
	INIT_LIST_HEAD(&pool->bad);
	INIT_DELAYED_WORK(&pool->lose, cxlfork_lose_again);
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_init_bad, CXLFORK);

/**
 * cxlfork_pool_poisoned - a page of a pool can't be read any more
 * @pool:	the pool
 * @offset:	of the page in the region
 * @id:		of the checkpoint it belongs to, or 0
 *
 * When this returns nobody maps it, or soon: what had is SIGBUS to whoever touches
 * it.  The handling of memory errors, of any memory, is in progress once at a time:
 * it must not wait for the mmap lock of a clone, which may be held for as long as
 * some storage does not answer.  Where it is, that clone has its turn later.
 *
 * Context: process context, sleeps; no mmap lock is held.
 * Return: 0, or -EBUSY: current is such a clone.
 */
int cxlfork_pool_poisoned(struct cxlfork_pool *pool, u64 offset, u64 id)
{
	bool own = false;

	/* Once more: the first report may still be at work. */
	if (cxlfork_lose(pool, cxlfork_note_bad(pool, offset, id), &own))
		schedule_delayed_work(&pool->lose, CXLFORK_LOSE_AGAIN);
	return own ? -EBUSY : 0;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_poisoned, CXLFORK);

/**
 * cxlfork_pool_bad - is there a memory error in these extents?
 * @pool:	the pool
 * @extents:	bitmap of them
 *
 * Whoever maps pages of them asks while the address space is on the list and its
 * mmap lock is held for writing: either this is true, or the address space is
 * found after the error was noted.
 *
 * Context: any.
 * Return: whether there is one.
 */
bool cxlfork_pool_bad(struct cxlfork_pool *pool, const unsigned long *extents)
{
	struct cxlfork_bad_page *bad;
	bool found = false;

	spin_lock(&cxlfork_bad_lock);
	list_for_each_entry(bad, &pool->bad, node)
		/* The region may be larger than the pool. */
		found |= bad->lost.offset < pool->size &&
			 test_bit(bad->lost.offset >> CXLFORK_EXTENT_SHIFT, extents);
	spin_unlock(&cxlfork_bad_lock);
	return found;
}

/**
 * cxlfork_pool_mark_bad - which extents have memory errors
 * @pool:	the pool
 * @extents:	bitmap: their bits are set
 * @nr:		its size
 *
 * Context: any.
 */
void cxlfork_pool_mark_bad(struct cxlfork_pool *pool, unsigned long *extents, u32 nr)
{
	struct cxlfork_bad_page *bad;

	spin_lock(&cxlfork_bad_lock);
	list_for_each_entry(bad, &pool->bad, node)
		if (bad->lost.offset >> CXLFORK_EXTENT_SHIFT < nr)
			__set_bit(bad->lost.offset >> CXLFORK_EXTENT_SHIFT, extents);
	spin_unlock(&cxlfork_bad_lock);
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_mark_bad, CXLFORK);

/**
 * cxlfork_pool_lost - list the memory errors
 * @pool:	the pool
 * @lost:	@lost->cursor says which; is filled in
 *
 * Context: any.
 * Return: 0, or -ENOENT: these were all.
 */
int cxlfork_pool_lost(struct cxlfork_pool *pool, struct cxlfork_lost *lost)
{
	struct cxlfork_bad_page *bad;
	u64 i = 0, cursor = lost->cursor;
	int ret = -ENOENT;

	spin_lock(&cxlfork_bad_lock);
	list_for_each_entry(bad, &pool->bad, node) {
		if (i++ != cursor)
			continue;
		*lost = bad->lost;
		lost->cursor = i;
		ret = 0;
		break;
	}
	spin_unlock(&cxlfork_bad_lock);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_lost, CXLFORK);

/**
 * cxlfork_pool_forget_bad - the region is let go
 * @pool:	the pool; nobody uses it any more
 *
 * Context: process context.
 */
void cxlfork_pool_forget_bad(struct cxlfork_pool *pool)
{
	struct cxlfork_bad_page *bad, *next;

	cancel_delayed_work_sync(&pool->lose);
	list_for_each_entry_safe(bad, next, &pool->bad, node)
		kfree(bad);
	INIT_LIST_HEAD(&pool->bad);
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_forget_bad, CXLFORK);
