// SPDX-License-Identifier: GPL-2.0
/*
 * What a process that is checkpointed has in memory: its resident pages, a
 * 2 MiB range of addresses at a time.
 */
#include <linux/cxlfork.h>
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/swap.h>
#include <linux/swapops.h>

struct cxlfork_collect {
	struct cxlfork_chunk	*chunk;		/* NULL: only count */
	cxlfork_counted_fn	counted;
	cxlfork_cxl_fn		cxl;
	void			*arg;
	unsigned int		count;
};

/*
 * A CXL page has no count; the address space holds its template.  Not all device
 * memory is like that (DEVICE_COHERENT).
 */
static bool cxlfork_has_count(struct page *page)
{
	return !cxlfork_pfn_page(page_to_pfn(page));
}

static void cxlfork_take(struct cxlfork_collect *c, unsigned long addr,
			 struct page *page, bool young, bool dirty)
{
	struct cxlfork_chunk *chunk = c->chunk;
	unsigned int i = pte_index(addr);

	c->count++;
	if (!chunk) {
		if (!cxlfork_has_count(page))
			c->cxl(c->arg, page);
		return;
	}
	if (cxlfork_has_count(page))
		get_page(page);
	chunk->page[i] = page;
	chunk->nr++;
	__assign_bit(i, chunk->young, young);
	__assign_bit(i, chunk->dirty, dirty);
}

static int cxlfork_take_pte(struct cxlfork_collect *c,
			    struct vm_area_struct *vma, unsigned long addr, pte_t pte)
{
	struct page *page;

	if (pte_none(pte))
		return 0;
	if (!pte_present(pte)) {
		swp_entry_t entry = pte_to_swp_entry(pte);

		/* Nothing to keep, though the place is marked. */
		if (is_pte_marker_entry(entry) && !is_poisoned_swp_entry(entry))
			return 0;
		if (is_hwpoison_entry(entry) || is_poisoned_swp_entry(entry))
			return -EHWPOISON;
		c->count++;
		if (c->chunk)
			__set_bit(pte_index(addr), c->chunk->absent);
		return 0;
	}
	page = vm_normal_page(vma, addr, pte);
	if (!page)
		page = cxlfork_pte_page(pte);
	/* The shared zero page: the clone finds zeros without help. */
	if (page && !is_zero_page(page))
		cxlfork_take(c, addr, page, pte_young(pte), pte_dirty(pte));
	return 0;
}

static int cxlfork_counted(struct cxlfork_collect *c, unsigned long addr, bool huge)
{
	return c->counted && c->count ? c->counted(c->arg, addr, c->count, huge) : 0;
}

static int cxlfork_collect_pmd(pmd_t *pmd, unsigned long addr,
			       unsigned long end, struct mm_walk *walk)
{
	struct cxlfork_collect *c = walk->private;
	unsigned long from = addr;
	struct vm_area_struct *vma = walk->vma;
	pte_t *start, *pte;
	spinlock_t *ptl;
	bool huge = false;
	int ret = 0;

	c->count = 0;
	ptl = pmd_trans_huge_lock(pmd, vma);
	if (ptl) {
		__acquire(ptl); /* sparse can't know that it is taken */
		if (!pmd_present(*pmd)) {
			for (; addr != end; addr += PAGE_SIZE, c->count++)
				if (c->chunk)
					__set_bit(pte_index(addr), c->chunk->absent);
		} else if (!is_huge_zero_pmd(*pmd)) {
			struct page *page = pmd_page(*pmd) + pte_index(addr);

			huge = vma_is_anonymous(vma) && end - addr == PMD_SIZE;
			for (; addr != end; addr += PAGE_SIZE, page++)
				cxlfork_take(c, addr, page, pmd_young(*pmd),
					     pmd_dirty(*pmd));
		}
		spin_unlock(ptl);
		return cxlfork_counted(c, from, huge);
	}
	start = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
	if (!start) {
		walk->action = ACTION_AGAIN;
		return 0;
	}
	__acquire(ptl);
	for (pte = start; addr != end && !ret; pte++, addr += PAGE_SIZE)
		ret = cxlfork_take_pte(c, vma, addr, ptep_get(pte));
	pte_unmap_unlock(start, ptl);
	cond_resched();
	return ret ?: cxlfork_counted(c, from, false);
}

static const struct mm_walk_ops cxlfork_collect_ops = {
	.pmd_entry	= cxlfork_collect_pmd,
	.walk_lock	= PGWALK_RDLOCK,
};

/**
 * cxlfork_collect - the pages of a range
 * @vma:	private mapping
 * @start:	first address
 * @end:	first address after them, in the same 2 MiB
 * @chunk:	to add to; zeroed before the first call for these 2 MiB
 *
 * What is swapped out is brought in.  The process does not run meanwhile.
 *
 * Context: the mmap lock of the mapping's mm is held for reading; sleeps.
 * Return: 0; or -errno, then cxlfork_chunk_release() is still due.
 */
int cxlfork_collect(struct vm_area_struct *vma, unsigned long start,
		    unsigned long end, struct cxlfork_chunk *chunk)
{
	struct cxlfork_collect c = { .chunk = chunk };
	unsigned int i;
	int ret;

	bitmap_zero(chunk->absent, CXLFORK_LEAF_ENTRIES);
	ret = walk_page_range(vma->vm_mm, start, end, &cxlfork_collect_ops, &c);
	if (ret)
		return ret;

	for_each_set_bit(i, chunk->absent, CXLFORK_LEAF_ENTRIES) {
		struct page *page;
		long got;

		got = get_user_pages_remote(vma->vm_mm,
					    (start & PMD_MASK) + i * PAGE_SIZE, 1,
					    FOLL_FORCE, &page, NULL);
		if (got != 1)
			return got < 0 ? got : -EFAULT;
		chunk->page[i] = page;
		chunk->nr++;
		/* Anonymous memory that went to swap was written once. */
		__set_bit(i, chunk->dirty);
	}
	return 0;
}

/**
 * cxlfork_count - how many pages cxlfork_collect() would find
 * @vma:	private mapping
 * @counted:	called for each 2 MiB that has any, in ascending order; may return
 *		an error
 * @cxl:	called for each of them that lies in CXL memory; may not sleep
 * @arg:	for @counted and @cxl
 *
 * Context: the mmap lock of the mapping's mm is held for reading; sleeps.
 * Return: 0 or -errno.
 */
int cxlfork_count(struct vm_area_struct *vma, cxlfork_counted_fn counted,
		  cxlfork_cxl_fn cxl, void *arg)
{
	struct cxlfork_collect c = { .counted = counted, .cxl = cxl, .arg = arg };

	return walk_page_range(vma->vm_mm, vma->vm_start, vma->vm_end,
			       &cxlfork_collect_ops, &c);
}

/**
 * cxlfork_chunk_release - drop what cxlfork_collect() holds
 * @chunk:	the pages; zeroed afterwards
 */
void cxlfork_chunk_release(struct cxlfork_chunk *chunk)
{
	unsigned int i;

	for (i = 0; i < CXLFORK_LEAF_ENTRIES; i++)
		if (chunk->page[i] && cxlfork_has_count(chunk->page[i]))
			put_page(chunk->page[i]);
	memset(chunk, 0, sizeof(*chunk));
}
