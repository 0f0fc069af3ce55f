// SPDX-License-Identifier: GPL-2.0
/*
 * 2 MiB pages in CXL memory, each mapped by one special, read-only, clean PMD.
 *
 * Such a PMD is like a shared leaf in what it asks of others: who has to change
 * a part of it unshares first, which here means to map its 512 pages by a local
 * table (leaf.c).  But the PMD itself is this address space's own, and no table
 * is deposited below it, so that __split_huge_pmd() must never see one.  A write
 * copies all of it to a local huge page, where there is one to be had.
 */
#include <linux/cxlfork.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pgalloc.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include "../internal.h"

/* It can be done without. */
#define CXLFORK_GFP_TABLE	(GFP_PGTABLE_USER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/**
 * __cxlfork_pmd_huge - does a special huge PMD map a page of a pool?
 * @pmd:	the entry
 *
 * Context: any.
 */
bool __cxlfork_pmd_huge(pmd_t pmd)
{
	return cxlfork_pfn_page(pmd_pfn(pmd));
}

/**
 * cxlfork_attach_huge - map 2 MiB by one entry
 * @mm:		the address space, see cxlfork_mm_init()
 * @addr:	a multiple of 2 MiB; one private anonymous mapping covers all of it
 * @entry:	leaf entry of the first page, which is aligned to 2 MiB; checked
 *
 * Context: @mm is not active yet, its mmap lock is held for writing.
 * Return: 0, -ENOMEM, or -EEXIST: something is mapped there.
 */
int cxlfork_attach_huge(struct mm_struct *mm, unsigned long addr, u64 entry)
{
	pmd_t *pmd = cxlfork_alloc_pmd(mm, addr);
	pte_t pte = __pte(entry);

	mmap_assert_write_locked(mm);
	if (!pmd)
		return -ENOMEM;
	if (!pmd_none(*pmd))
		return -EEXIST;
	/* Read-only, clean and special, as the entry was. */
	set_pmd(pmd, pmd_mkhuge(pfn_pmd(pte_pfn(pte),
					pgprot_4k_2_large(pte_pgprot(pte)))));
	return 0;
}

static struct folio *cxlfork_alloc_huge(struct vm_area_struct *vma, unsigned long addr)
{
	struct folio *folio;
	gfp_t gfp;

	if (!thp_vma_allowable_order(vma, vma->vm_flags, TVA_IN_PF | TVA_ENFORCE_SYSFS,
				     PMD_ORDER))
		return NULL;
	gfp = vma_thp_gfp_mask(vma);
	folio = vma_alloc_folio(gfp, HPAGE_PMD_ORDER, vma, addr, true);
	if (!folio)
		return NULL;
	if (mem_cgroup_charge(folio, vma->vm_mm, gfp)) {
		folio_put(folio);
		return NULL;
	}
	folio_throttle_swaprate(folio, gfp);
	return folio;
}

static int cxlfork_copy_huge(struct folio *folio, struct page *src,
			     struct vm_area_struct *vma, unsigned long addr)
{
	int i;

	for (i = 0; i < HPAGE_PMD_NR; i++) {
		if (PageHWPoison(src + i) ||
		    copy_mc_user_highpage(folio_page(folio, i), src + i,
					  addr + i * PAGE_SIZE, vma))
			return -EHWPOISON;
		cond_resched();
	}
	__folio_mark_uptodate(folio);
	/* See __cxlfork_wp_source(). */
	folio_set_dirty(folio);
	return 0;
}

/* Put a copy in the place of the page in CXL memory; false: it has changed. */
static bool cxlfork_replace_huge(struct vm_fault *vmf, struct folio *folio,
				 pgtable_t table)
{
	unsigned long addr = vmf->address & HPAGE_PMD_MASK;
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vma->vm_mm;
	pmd_t entry, old;

	vmf->ptl = pmd_lock(mm, vmf->pmd);
	/* But for the accessed bit, which the hardware may have set. */
	if (!cxlfork_pmd_huge(*vmf->pmd) ||
	    pmd_pfn(*vmf->pmd) != pmd_pfn(vmf->orig_pmd)) {
		spin_unlock(vmf->ptl);
		return false;
	}
	/*
	 * Never none: who zaps, unshares or collects without having the lock would
	 * find nothing here, and go on.
	 */
	old = pmdp_invalidate(vma, addr, vmf->pmd);
	entry = mk_huge_pmd(&folio->page, vma->vm_page_prot);
	if (vmf->flags & FAULT_FLAG_WRITE)
		entry = maybe_pmd_mkwrite(pmd_mkdirty(entry), vma);
	else if (pmd_soft_dirty(old))
		entry = pmd_mksoft_dirty(entry);
	folio_add_new_anon_rmap(folio, vma, addr, RMAP_EXCLUSIVE);
	folio_add_lru_vma(folio, vma);
	pgtable_trans_huge_deposit(mm, vmf->pmd, table);
	set_pmd_at(mm, addr, vmf->pmd, entry);
	update_mmu_cache_pmd(vma, vmf->address, vmf->pmd);
	add_mm_counter(mm, MM_ANONPAGES, HPAGE_PMD_NR);
	mm_inc_nr_ptes(mm);
	deferred_split_folio(folio, false);
	spin_unlock(vmf->ptl);
	return true;
}

/*
 * Copy all 2 MiB.  VM_FAULT_DONE_COW; 0: something has changed; VM_FAULT_FALLBACK:
 * no huge page is to be had, or not all of this one can be read.
 */
static vm_fault_t cxlfork_cow_huge(struct vm_fault *vmf)
{
	unsigned long addr = vmf->address & HPAGE_PMD_MASK;
	struct vm_area_struct *vma = vmf->vma;
	vm_fault_t ret = VM_FAULT_FALLBACK;
	struct mmu_notifier_range range;
	struct folio *folio;
	pgtable_t table;
	bool replaced;

	folio = cxlfork_alloc_huge(vma, addr);
	table = folio ? __pte_alloc_one(vma->vm_mm, CXLFORK_GFP_TABLE) : NULL;
	/* The page stays: the address space holds its template. */
	if (!table || cxlfork_copy_huge(folio, pmd_page(vmf->orig_pmd), vma, addr))
		goto out;
	mmu_notifier_range_init(&range, MMU_NOTIFY_CLEAR, 0, vma->vm_mm, addr,
				addr + HPAGE_PMD_SIZE);
	mmu_notifier_invalidate_range_start(&range);
	replaced = cxlfork_replace_huge(vmf, folio, table);
	mmu_notifier_invalidate_range_end(&range);
	if (replaced)
		return VM_FAULT_DONE_COW;
	ret = 0;
out:
	if (table)
		pte_free(vma->vm_mm, table);
	if (folio)
		folio_put(folio);
	return ret;
}

/**
 * __cxlfork_huge_wp - a write to (or an unsharing fault in) a 2 MiB CXL page
 * @vmf:	the fault; its orig_pmd maps a 2 MiB page of a pool
 *
 * Context: as do_huge_pmd_wp_page().
 * Return: 0: done, or something has changed; VM_FAULT_FALLBACK: 4 KiB pages are
 * mapped now, go on with one of them; VM_FAULT_OOM.
 */
vm_fault_t __cxlfork_huge_wp(struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->vma->vm_mm;
	vm_fault_t ret = VM_FAULT_FALLBACK;

	/* A pin asks for one page: 2 MiB would be a bad trade. */
	if (!(vmf->flags & FAULT_FLAG_UNSHARE)) {
		ret = cxlfork_cow_huge(vmf);
		if (ret == VM_FAULT_FALLBACK)
			count_vm_event(THP_FAULT_FALLBACK);
	}
	if (ret == VM_FAULT_DONE_COW) {
		count_vm_event(THP_FAULT_ALLOC);
		count_memcg_event_mm(mm, THP_FAULT_ALLOC);
		atomic_long_inc(&mm->cxlfork->cow_huge);
		return 0;
	}
	if (ret == VM_FAULT_FALLBACK && cxlfork_unshare(mm, vmf->pmd, vmf->address))
		ret = VM_FAULT_OOM;
	return ret;
}

/**
 * cxlfork_localise_huge - copy a 2 MiB CXL page to a local huge page
 * @vma:	its mapping, which covers all of it
 * @pmd:	the entry that maps it
 * @addr:	first address
 *
 * Context: process context, sleeps; the mmap lock is held.
 * Return: whether that was done.
 */
bool cxlfork_localise_huge(struct vm_area_struct *vma, pmd_t *pmd, unsigned long addr)
{
	struct vm_fault vmf = {
		.vma		= vma,
		.address	= addr,
		.pmd		= pmd,
		.orig_pmd	= READ_ONCE(*pmd),
	};

	if (!cxlfork_pmd_huge(vmf.orig_pmd) || cxlfork_cow_huge(&vmf) != VM_FAULT_DONE_COW)
		return false;
	atomic_long_add(HPAGE_PMD_NR, &vma->vm_mm->cxlfork->localised);
	return true;
}

/**
 * __cxlfork_follow_huge - GUP below a PMD that maps a 2 MiB CXL page
 * @flags:	FOLL_*
 *
 * Return: NULL: write fault; ERR_PTR(-EMLINK): unsharing fault;
 * ERR_PTR(-EEXIST): it is there, and nobody wants the page.
 */
struct page *__cxlfork_follow_huge(unsigned int flags)
{
	if (flags & FOLL_WRITE)
		return NULL;
	return ERR_PTR(flags & (FOLL_GET | FOLL_PIN) ? -EMLINK : -EEXIST);
}
