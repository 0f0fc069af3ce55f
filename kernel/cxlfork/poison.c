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

struct cxlfork_bad_page {
	struct list_head	node;
	struct cxlfork_lost	lost;
};

static DEFINE_SPINLOCK(cxlfork_bad_lock);

/* Has to be on the list before clones are looked for: see cxlfork_pool_lost(). */
static int cxlfork_note_bad(struct cxlfork_pool *pool, u64 offset, u64 id)
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
			return -EEXIST;
		}
	}
	list_add_tail(&new->node, &pool->bad);
	spin_unlock(&cxlfork_bad_lock);
	return 0;
}

static void cxlfork_note_clones(struct cxlfork_pool *pool, u64 offset, u64 clones)
{
	struct cxlfork_bad_page *bad;

	spin_lock(&cxlfork_bad_lock);
	list_for_each_entry(bad, &pool->bad, node)
		if (bad->lost.offset == offset)
			bad->lost.clones += clones;
	spin_unlock(&cxlfork_bad_lock);
}

/**
 * cxlfork_pool_poisoned - a page of a pool can't be read any more
 * @pool:	the pool
 * @offset:	of the page in the region
 * @id:		of the checkpoint it belongs to, or 0
 *
 * When this returns nobody maps it: what had is SIGBUS to whoever touches it.
 *
 * Context: process context, sleeps; no mmap lock is held.
 */
void cxlfork_pool_poisoned(struct cxlfork_pool *pool, u64 offset, u64 id)
{
	unsigned long pfn = PHYS_PFN(pool->base + offset);
	struct mm_struct *mm = NULL;
	u64 clones = 0;

	/* Once more: the first report may still be at work. */
	if (!cxlfork_note_bad(pool, offset, id))
		pr_err("cxlfork: memory error in the pool at %#llx, checkpoint %#llx\n",
		       offset, id);
	while ((mm = cxlfork_next_mm(mm)))
		clones += cxlfork_lose_page(mm, pfn) > 0;
	if (clones) {
		cxlfork_note_clones(pool, offset, clones);
		pr_err("cxlfork: %llu clone(s) have lost the page at %#llx\n", clones, offset);
	}
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_poisoned, CXLFORK);

/**
 * cxlfork_pool_bad - is there a memory error in these extents?
 * @pool:	the pool
 * @extents:	bitmap of them
 *
 * Whoever maps pages of them asks while the address space is on the list and its
 * mmap lock is held for writing: either this is true, or the address space is
 * found when the error is noted.
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
		found |= test_bit(bad->lost.offset >> CXLFORK_EXTENT_SHIFT, extents);
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

	list_for_each_entry_safe(bad, next, &pool->bad, node)
		kfree(bad);
	INIT_LIST_HEAD(&pool->bad);
}
EXPORT_SYMBOL_NS_GPL(cxlfork_pool_forget_bad, CXLFORK);
