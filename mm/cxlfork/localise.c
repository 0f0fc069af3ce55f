// SPDX-License-Identifier: GPL-2.0
/*
 * Localise: copy all CXL pages of an address space to local memory, so that
 * what they lie in can go away.  What can't be copied is lost: a marker takes
 * the place of its entry, and whoever touches that page gets SIGBUS.
 *
 * Entries of CXL pages only ever get fewer (fork() adds another address space),
 * so that it is done in pieces, each under the mmap lock for reading.  As
 * mremap() may have moved some behind our back in between, all is looked at
 * once more under that lock for writing before the checkpoint is let go.
 */
#include <linux/cxlfork.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/oom.h>
#include <linux/pagewalk.h>
#include <linux/pgalloc.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <asm/tlbflush.h>

#define CXLFORK_BATCH	32
#define CXLFORK_ANY_PFN	ULONG_MAX

/* Nobody is to be killed for a copy that can be given up. */
#define CXLFORK_GFP	(GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * Entries of CXL pages below one PMD.  Copies: NULL where the page can't be
 * read, or is to be lost.
 */
struct cxlfork_batch {
	unsigned int	nr;
	unsigned long	addr[CXLFORK_BATCH];
	unsigned long	pfn[CXLFORK_BATCH];
	struct folio	*copy[CXLFORK_BATCH];
};

/* Those of one page frame, or of any.  Return: where to go on. */
static unsigned long cxlfork_gather(struct cxlfork_batch *b, struct mm_struct *mm,
				    pmd_t *pmd, unsigned long addr, unsigned long end,
				    unsigned long pfn)
{
	pte_t *start, *pte;
	spinlock_t *ptl;

	b->nr = 0;
	start = pte_offset_map_lock(mm, pmd, addr, &ptl);
	if (!start)
		return end;
	__acquire(ptl); /* sparse can't know that it is taken */
	for (pte = start; addr != end && b->nr < CXLFORK_BATCH; pte++, addr += PAGE_SIZE) {
		pte_t entry = ptep_get(pte);

		if (!cxlfork_pte(entry) || (pfn != CXLFORK_ANY_PFN && pte_pfn(entry) != pfn))
			continue;
		b->addr[b->nr] = addr;
		b->pfn[b->nr] = pte_pfn(entry);
		b->copy[b->nr++] = NULL;
	}
	pte_unmap_unlock(start, ptl);
	return addr;
}

/* Copy what was gathered; -ENOMEM: only the first ones, @b->nr says how many. */
static int cxlfork_copy_batch(struct cxlfork_batch *b, struct vm_area_struct *vma)
{
	unsigned int i;

	for (i = 0; i < b->nr; i++) {
		struct page *page = pfn_to_page(b->pfn[i]);
		struct folio *folio;

		if (PageHWPoison(page))
			continue;
		folio = vma_alloc_folio(CXLFORK_GFP, 0, vma, b->addr[i], false);
		if (!folio || mem_cgroup_charge(folio, vma->vm_mm, CXLFORK_GFP)) {
			if (folio)
				folio_put(folio);
			b->nr = i;
			return -ENOMEM;
		}
		if (copy_mc_user_highpage(&folio->page, page, b->addr[i], vma)) {
			folio_put(folio);
			continue;
		}
		__folio_mark_uptodate(folio);
		/* See __cxlfork_wp_source(). */
		folio_set_dirty(folio);
		b->copy[i] = folio;
	}
	return 0;
}

/*
 * The copy is mapped read-only, as by an unsharing fault: the first write finds
 * that it is this process's own.
 */
static pte_t cxlfork_local_entry(struct vm_area_struct *vma, struct folio *folio,
				 pte_t old)
{
	pte_t entry = mk_pte(&folio->page, vma->vm_page_prot);

	entry = pte_young(old) ? pte_mkyoung(entry) : pte_mkold(entry);
	if (pte_soft_dirty(old))
		entry = pte_mksoft_dirty(entry);
	if (pte_uffd_wp(old))
		entry = pte_mkuffd_wp(entry);
	return entry;
}

/* With the table's lock held: a copy, or a marker, for one entry. */
static bool cxlfork_replace_pte(struct vm_area_struct *vma, unsigned long addr,
				pte_t *pte, unsigned long pfn, struct folio *copy)
{
	pte_t entry = ptep_get(pte);

	/* A write has copied it meanwhile, or it was unmapped. */
	if (!cxlfork_pte(entry) || pte_pfn(entry) != pfn)
		return false;
	entry = ptep_get_and_clear(vma->vm_mm, addr, pte);
	if (copy) {
		entry = cxlfork_local_entry(vma, copy, entry);
		folio_add_new_anon_rmap(copy, vma, addr, RMAP_EXCLUSIVE);
		folio_add_lru_vma(copy, vma);
	} else {
		entry = make_pte_marker(PTE_MARKER_POISONED);
	}
	set_pte_at(vma->vm_mm, addr, pte, entry);
	return true;
}

static void cxlfork_replace_ptes(struct cxlfork_localise *l, struct cxlfork_batch *b,
				 struct vm_area_struct *vma, pmd_t *pmd,
				 unsigned long end)
{
	unsigned long first = b->addr[0], copied = 0, lost = 0;
	struct mm_struct *mm = vma->vm_mm;
	pte_t *start, *pte;
	spinlock_t *ptl;
	unsigned int i;

	start = pte_offset_map_lock(mm, pmd, first, &ptl);
	if (!start)
		return;
	__acquire(ptl);
	for (i = 0; i < b->nr; i++) {
		pte = start + ((b->addr[i] - first) >> PAGE_SHIFT);
		if (!cxlfork_replace_pte(vma, b->addr[i], pte, b->pfn[i], b->copy[i]))
			continue;
		if (b->copy[i])
			copied++;
		else
			lost++;
		b->copy[i] = NULL;
	}
	add_mm_counter(mm, MM_ANONPAGES, copied);
	/*
	 * Old and new page are the same and can't be written, and who wants to make
	 * the new one writable waits for the lock: it does no harm if some CPU sees
	 * the old one until here.
	 */
	flush_tlb_mm_range(mm, first, end, PAGE_SHIFT, false);
	pte_unmap_unlock(start, ptl);
	atomic_long_add(copied, &mm->cxlfork->localised);
	atomic_long_add(lost, &mm->cxlfork->lost);
	l->copied += copied;
	l->lost += lost;
}

static void cxlfork_replace_batch(struct cxlfork_localise *l, struct cxlfork_batch *b,
				  struct vm_area_struct *vma, pmd_t *pmd)
{
	unsigned long end = b->addr[b->nr - 1] + PAGE_SIZE;
	struct mmu_notifier_range range;
	unsigned int i;

	mmu_notifier_range_init(&range, MMU_NOTIFY_CLEAR, 0, vma->vm_mm, b->addr[0], end);
	mmu_notifier_invalidate_range_start(&range);
	cxlfork_replace_ptes(l, b, vma, pmd, end);
	mmu_notifier_invalidate_range_end(&range);
	/* Those that were not needed. */
	for (i = 0; i < b->nr; i++)
		if (b->copy[i])
			folio_put(b->copy[i]);
}

/* See that there is a table of this address space's own, or nothing. */
static int cxlfork_own_table(struct cxlfork_localise *l, struct mm_struct *mm,
			     pmd_t *pmd, unsigned long addr)
{
	gfp_t gfp = GFP_PGTABLE_USER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	int ret;

	if (!cxlfork_pmd_shared(READ_ONCE(*pmd)))
		return 0;
	/* Without a charge: nobody is to be killed for the want of it. */
	if (l->lose)
		gfp = (GFP_PGTABLE_USER & ~__GFP_ACCOUNT) | __GFP_NOFAIL;
	ret = cxlfork_unshare_gfp(mm, pmd, addr, gfp, true);
	if (ret < 0)
		return ret;
	atomic_long_add(ret, &mm->cxlfork->lost);
	l->lost += ret;
	return 0;
}

static int cxlfork_localise_table(struct cxlfork_localise *l, struct vm_area_struct *vma,
				  pmd_t *pmd, unsigned long addr, unsigned long end)
{
	struct cxlfork_batch b;
	int ret = 0;

	while (addr != end && !ret) {
		addr = cxlfork_gather(&b, vma->vm_mm, pmd, addr, end, CXLFORK_ANY_PFN);
		if (b.nr && !l->lose)
			ret = cxlfork_copy_batch(&b, vma);
		if (b.nr)
			cxlfork_replace_batch(l, &b, vma, pmd);
		cond_resched();
	}
	return ret;
}

/* Localise what 2 MiB map.  Return: > 0: that was something, let the lock go. */
static int cxlfork_localise_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
				struct mm_walk *walk)
{
	struct cxlfork_localise *l = walk->private;
	unsigned long done = l->copied + l->lost;
	struct vm_area_struct *vma = walk->vma;
	int ret;

	walk->action = ACTION_CONTINUE;
	if (!l->lose && cxlfork_localise_huge(vma, pmd, addr)) {
		l->copied += PTRS_PER_PTE;
	} else {
		ret = cxlfork_own_table(l, walk->mm, pmd, addr);
		if (!ret)
			ret = cxlfork_localise_table(l, vma, pmd, addr, end);
		if (ret)
			return ret;
	}
	walk->mm->cxlfork->next = end;
	if (l->wait == CXLFORK_WAIT_KILLABLE && fatal_signal_pending(current))
		return -EINTR;
	return l->copied + l->lost != done;
}

/* Any PMD or entry of a CXL page will do. */
static int cxlfork_find_pages(pmd_t *pmd, unsigned long addr, unsigned long end,
			      struct mm_walk *walk)
{
	struct cxlfork_batch b;

	walk->action = ACTION_CONTINUE;
	cond_resched();
	if (cxlfork_pmd_shared(*pmd))
		return 1;
	while (addr != end) {
		addr = cxlfork_gather(&b, walk->mm, pmd, addr, end, CXLFORK_ANY_PFN);
		if (b.nr)
			return 1;
	}
	return 0;
}

/* Only mappings that fork() would copy have CXL pages. */
static int cxlfork_may_have_pages(unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	return !walk->vma->anon_vma;
}

static const struct mm_walk_ops cxlfork_localise_ops = {
	.pmd_entry	= cxlfork_localise_pmd,
	.test_walk	= cxlfork_may_have_pages,
	.walk_lock	= PGWALK_RDLOCK,
};

/* Locks each mapping: faults under its lock have ended then. */
static const struct mm_walk_ops cxlfork_find_ops = {
	.pmd_entry	= cxlfork_find_pages,
	.test_walk	= cxlfork_may_have_pages,
	.walk_lock	= PGWALK_WRLOCK,
};

static int cxlfork_lock_mm(struct mm_struct *mm, enum cxlfork_wait wait, bool write)
{
	if (wait == CXLFORK_WAIT_KILLABLE)
		return write ? mmap_write_lock_killable(mm) : mmap_read_lock_killable(mm);
	if (wait == CXLFORK_WAIT_NOT && !write)
		return mmap_read_trylock(mm) ? 0 : -EBUSY;
	if (write)
		mmap_write_lock(mm);
	else
		mmap_read_lock(mm);
	return 0;
}

/* One piece.  Return: > 0: there is more; 0: the end is reached. */
static int cxlfork_localise_piece(struct mm_struct *mm, struct cxlfork_localise *l)
{
	struct cxlfork_mm *cm = mm->cxlfork;
	int ret;

	ret = cxlfork_lock_mm(mm, l->wait, false);
	if (ret)
		return ret;
	/* Reaped, or a child that fork() has given up: it ends. */
	if (check_stable_address_space(mm))
		ret = -ESRCH;
	else if (cm->next < mm->task_size)
		ret = walk_page_range(mm, cm->next, mm->task_size,
				      &cxlfork_localise_ops, l);
	mmap_read_unlock(mm);
	cond_resched();
	return ret;
}

/* Let the checkpoint go.  Return: > 0: there are CXL pages still. */
static int cxlfork_let_go(struct mm_struct *mm, struct cxlfork_localise *l)
{
	struct cxlfork_template *template = NULL;
	int ret;

	ret = cxlfork_lock_mm(mm, l->wait, true);
	if (ret)
		return ret;
	if (check_stable_address_space(mm)) {
		ret = -ESRCH;
	} else {
		ret = walk_page_range(mm, 0, mm->task_size, &cxlfork_find_ops, NULL);
		mm->cxlfork->next = 0;
	}
	if (!ret) {
		/* Truncation may have cleared entries and not flushed them yet. */
		flush_tlb_mm(mm);
		template = cxlfork_mm_forget(mm);
	}
	mmap_write_unlock(mm);
	if (template)
		cxlfork_template_put(template);
	return ret;
}

/**
 * cxlfork_localise - copy the CXL pages of an address space to local memory
 * @mm:		the address space; a reference to its users is held
 * @l:		how, and what was done
 *
 * At most about @l->budget pages (0: all of them); the next call goes on there.
 * One caller at a time.
 *
 * Context: process context, sleeps.
 * Return: 0: it has no CXL page any more, and no reference on the checkpoint;
 * 1: there is more to do; -ENOMEM, -EINTR, -EBUSY (as @l->wait says); -ESRCH: it
 * is about to end.
 */
int cxlfork_localise(struct mm_struct *mm, struct cxlfork_localise *l)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(mm);
	struct mem_cgroup *old = set_active_memcg(memcg);
	unsigned long start = l->copied + l->lost;
	int ret;

	do {
		ret = cxlfork_localise_piece(mm, l);
		if (!ret)
			ret = cxlfork_let_go(mm, l);
	} while (ret > 0 && (!l->budget || l->copied + l->lost - start < l->budget));
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return ret;
}

/* Does a table, or a 2 MiB page, have to be split up for one page's sake? */
static bool cxlfork_pmd_maps(struct mm_struct *mm, pmd_t *pmd, unsigned long addr,
			     unsigned long end, unsigned long pfn)
{
	pmd_t entry = READ_ONCE(*pmd);
	struct cxlfork_batch b;

	if (cxlfork_pmd_huge(entry))
		return pfn - pmd_pfn(entry) < PTRS_PER_PTE;
	if (cxlfork_pmd_leaf(entry) && pmd_pfn(entry) == pfn)
		return true;
	while (addr != end) {
		addr = cxlfork_gather(&b, mm, pmd, addr, end, pfn);
		if (b.nr)
			return true;
	}
	return false;
}

struct cxlfork_bad {
	struct cxlfork_localise	l;
	unsigned long		pfn;
};

static int cxlfork_lose_pmd(pmd_t *pmd, unsigned long addr, unsigned long end,
			    struct mm_walk *walk)
{
	struct cxlfork_bad *bad = walk->private;
	struct cxlfork_batch b;
	int ret;

	walk->action = ACTION_CONTINUE;
	cond_resched();
	if (!cxlfork_pmd_maps(walk->mm, pmd, addr, end, bad->pfn))
		return 0;
	ret = cxlfork_own_table(&bad->l, walk->mm, pmd, addr);
	while (addr != end && !ret) {
		addr = cxlfork_gather(&b, walk->mm, pmd, addr, end, bad->pfn);
		if (b.nr)
			cxlfork_replace_batch(&bad->l, &b, walk->vma, pmd);
	}
	return ret;
}

static const struct mm_walk_ops cxlfork_lose_ops = {
	.pmd_entry	= cxlfork_lose_pmd,
	.test_walk	= cxlfork_may_have_pages,
	.walk_lock	= PGWALK_RDLOCK,
};

/**
 * cxlfork_lose_page - a CXL page, or leaf, can't be read any more
 * @mm:		the address space; a reference to its users is held
 * @pfn:	page frame, marked PageHWPoison()
 *
 * Markers take the place of entries that map it, or that lie in it.
 *
 * Context: process context, sleeps, but not for the mmap lock.
 * Return: how many, or -EBUSY: the mmap lock is taken.
 */
long cxlfork_lose_page(struct mm_struct *mm, unsigned long pfn)
{
	struct cxlfork_bad bad = { .l.lose = true, .pfn = pfn };

	if (!mmap_read_trylock(mm))
		return -EBUSY;
	if (!check_stable_address_space(mm))
		walk_page_range(mm, 0, mm->task_size, &cxlfork_lose_ops, &bad);
	mmap_read_unlock(mm);
	return bad.l.lost;
}
