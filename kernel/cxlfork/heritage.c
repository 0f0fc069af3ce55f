// SPDX-License-Identifier: GPL-2.0
/*
 * A clone that is checkpointed leaves the pages that it has not written where
 * they are: in the checkpoint that it was made of, or in that one's parents.
 * The leaves of the new checkpoint map them there, and its image names all the
 * checkpoints (not only the nearest) whose pages it uses that way.
 */
#include <linux/bitmap.h>
#include <linux/cxlfork.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

static void cxlfork_add_ancestor(struct cxlfork_heritage *h, u64 id, u64 first)
{
	u32 at = h->nr++;

	/* Ids ascend, as in an image. */
	for (; at && h->ancestors[at - 1].id > id; at--)
		h->ancestors[at] = h->ancestors[at - 1];
	h->ancestors[at] = (struct cxlfork_ancestor){ .id = id, .first = first };
}

/**
 * cxlfork_heritage_open - what current could leave in CXL memory
 * @h:		zeroed; cxlfork_heritage_close() is due
 * @req:	the checkpoint that is asked for
 *
 * Nothing, unless it is a clone of a checkpoint that whoever asks owns, and that
 * has no memory errors that are known.
 *
 * Context: process context, sleeps; current's mmap lock is held, and as long as it
 * is, so is the checkpoint.
 * Return: 0 or -ENOMEM.
 */
int cxlfork_heritage_open(struct cxlfork_heritage *h, const struct cxlfork_request *req)
{
	const struct cxlfork_mm *cm = current->mm->cxlfork;
	const struct cxlfork_parent *raw;
	const struct cxlfork_template *t;
	u32 extent, i;
	u64 owner;

	t = cm ? cm->template : NULL;
	/* Where there is a memory error no child could be restored. */
	if (!t || t->pool != req->pool || t->ckpt->uid != req->uid ||
	    cxlfork_pool_bad(t->pool, t->space.extents))
		return 0;
	h->pool = t->pool;
	h->whose = kvzalloc(t->pool->nr_extents, GFP_KERNEL_ACCOUNT);
	if (!h->whose)
		return -ENOMEM;
	raw = t->sec[CXLFORK_SEC_PARENTS].data;
	for (i = 0; i < t->sec[CXLFORK_SEC_PARENTS].nr; i++)
		cxlfork_add_ancestor(h, le64_to_cpu(raw[i].id), le64_to_cpu(raw[i].first));
	cxlfork_add_ancestor(h, t->id, t->first);
	for_each_set_bit(extent, t->space.extents, t->pool->nr_extents) {
		owner = t->pool->ops->owner_of(t->pool, extent);
		for (i = 0; i < h->nr; i++)
			if (h->ancestors[i].id == owner)
				h->whose[extent] = i + 1;
	}
	return 0;
}

/**
 * cxlfork_heritage_close - end what cxlfork_heritage_open() began
 * @h:		zeroed afterwards
 */
void cxlfork_heritage_close(struct cxlfork_heritage *h)
{
	kvfree(h->whose);
	memset(h, 0, sizeof(*h));
}

/**
 * cxlfork_ancestor_of - the checkpoint that a page belongs to
 * @h:		what could be left in CXL memory
 * @page:	a page of current's
 *
 * Context: any.
 * Return: it, or NULL: the page is to be copied.
 */
struct cxlfork_ancestor *cxlfork_ancestor_of(struct cxlfork_heritage *h, struct page *page)
{
	u64 offset;
	u8 whose;

	if (!h->whose || !is_zone_device_page(page))
		return NULL;
	offset = PFN_PHYS(page_to_pfn(page)) - h->pool->base;
	if (offset >= h->pool->size)
		return NULL;
	whose = h->whose[offset >> CXLFORK_EXTENT_SHIFT];
	return whose ? &h->ancestors[whose - 1] : NULL;
}

/**
 * cxlfork_heritage_decide - which ancestors are to be parents
 * @h:		what could be left in CXL memory; the ancestors' pages are counted
 * @keep:	some at all, if there are not too many
 * @sec:	CXLFORK_SEC_PARENTS of the new image
 *
 * Those whose pages are used.  Where that would be too many, none: all pages are
 * copied, and a new line begins.
 *
 * Return: 0 or -ENOMEM.
 */
int cxlfork_heritage_decide(struct cxlfork_heritage *h, bool keep, struct cxlfork_buf *sec)
{
	struct cxlfork_ancestor *a;
	u32 used = 0;

	for (a = h->ancestors; a < h->ancestors + h->nr; a++)
		used += a->pages != 0;
	keep = keep && used <= CXLFORK_MAX_PARENTS;
	h->nr_parents = 0;
	sec->len = 0;
	for (a = h->ancestors; a < h->ancestors + h->nr; a++) {
		struct cxlfork_parent *parent;

		a->kept = keep && a->pages;
		if (!a->kept)
			continue;
		parent = cxlfork_buf_add(sec, sizeof(*parent));
		if (!parent)
			return -ENOMEM;
		parent->id = cpu_to_le64(a->id);
		parent->first = cpu_to_le64(a->first);
		h->parents[h->nr_parents++] = a->id;
	}
	return 0;
}
