// SPDX-License-Identifier: GPL-2.0
/*
 * Shared leaves: PTE tables in CXL memory, below ordinary address spaces.
 *
 * A leaf is immutable to software.  Who has to write an entry unshares first:
 * the table is copied to local memory and the PMD pointed at the copy.  That
 * is a one-way transition; a leaf is attached only while an address space is
 * built, before anybody else can see it (attach.c).
 *
 * The old leaf keeps its content and stays readable after the PMD was switched
 * (its template is held until the address space is gone), so that walkers which
 * hold the old table need no care, as long as they only read.
 */
#include <linux/cxlfork.h>
#include <linux/export.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/sched/coredump.h>
#include <linux/uaccess.h>
#include <asm/tlb.h>
#include <asm/tlbflush.h>

/* On as long as this host has a pool. */
struct static_key_false cxlfork_key = STATIC_KEY_FALSE_INIT;
EXPORT_SYMBOL_GPL(cxlfork_key);

const char cxlfork_pgmap_owner;
EXPORT_SYMBOL_NS_GPL(cxlfork_pgmap_owner, CXLFORK);

static void cxlfork_count_leaf(struct mm_struct *mm, int delta)
{
	if (mm->cxlfork)
		atomic_long_add(delta, &mm->cxlfork->leaves_shared);
}

/**
 * __cxlfork_pte_page - the CXL page that a present special PTE maps
 * @pte:	the entry
 *
 * Context: any.
 * Return: the page, or NULL if it is no page of a pool.
 */
struct page *__cxlfork_pte_page(pte_t pte)
{
	unsigned long pfn = pte_pfn(pte);
	struct page *page;

	if (is_zero_pfn(pfn) || !pfn_valid(pfn))
		return NULL;
	page = pfn_to_page(pfn);
	if (!is_zone_device_page(page))
		return NULL;
	return page->pgmap->owner == &cxlfork_pgmap_owner ? page : NULL;
}

static int cxlfork_unshare_gfp(struct mm_struct *mm, pmd_t *pmd,
			       unsigned long addr, gfp_t gfp)
{
	pmd_t old = READ_ONCE(*pmd);
	pgtable_t new;
	spinlock_t *ptl;

	if (!cxlfork_pmd_leaf(old))
		return 0;
	new = __pte_alloc_one(mm, gfp);
	if (!new)
		return -ENOMEM;
	if (copy_mc_to_kernel(page_address(new), (void *)pmd_page_vaddr(old), PAGE_SIZE)) {
		pte_free(mm, new);
		return -EHWPOISON;
	}

	ptl = pmd_lock(mm, pmd);
	if (!cxlfork_pmd_leaf(*pmd) || pmd_pfn(*pmd) != pmd_pfn(old)) {
		spin_unlock(ptl);
		pte_free(mm, new);
		return 0;
	}
	mm_inc_nr_ptes(mm);
	smp_wmb(); /* the copied entries before the table is reachable */
	pmd_populate(mm, pmd, new);
	spin_unlock(ptl);

	/*
	 * Other CPUs may have cached the old PMD, with its missing write
	 * permission, and walk the old leaf: before anybody changes an entry of
	 * the new table they have to see it.
	 */
	if (addr == CXLFORK_ANY_ADDR)
		flush_tlb_mm(mm);
	else
		flush_tlb_mm_range(mm, addr & PMD_MASK,
				   (addr & PMD_MASK) + PMD_SIZE, PAGE_SHIFT, true);
	cxlfork_count_leaf(mm, -1);
	if (mm->cxlfork)
		atomic_long_inc(&mm->cxlfork->unshared);
	return 0;
}

/**
 * __cxlfork_unshare - give an address space a table of its own
 * @mm:		the address space
 * @pmd:	entry that may point at a leaf
 * @addr:	an address below it, or CXLFORK_ANY_ADDR
 *
 * What the table maps does not change.  Whoever loses a race against another
 * unshare succeeds.
 *
 * Context: process context, sleeps; the mmap lock or the VMA lock is held, so
 * that @pmd stays.
 * Return: 0, then @pmd does not point at a leaf; -ENOMEM; or -EHWPOISON: the
 * leaf can't be read.
 */
int __cxlfork_unshare(struct mm_struct *mm, pmd_t *pmd, unsigned long addr)
{
	return cxlfork_unshare_gfp(mm, pmd, addr, GFP_PGTABLE_USER);
}

static pmd_t *cxlfork_find_pmd(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none_or_clear_bad(pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none_or_clear_bad(p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud) || pud_leaf(*pud) || pud_bad(*pud))
		return NULL;
	return pmd_offset(pud, addr);
}

static int cxlfork_unshare_at(struct mm_struct *mm, unsigned long addr)
{
	pmd_t *pmd = cxlfork_find_pmd(mm, addr);

	return pmd ? cxlfork_unshare(mm, pmd, addr) : 0;
}

/**
 * __cxlfork_unshare_range - unshare before something that can't fail
 * @mm:		the address space
 * @start:	first address
 * @end:	first address after the range
 * @edges:	only leaves that the range covers in part
 *
 * Context: process context, the mmap lock is held.
 * Return: 0 or -ENOMEM; then some leaves may have been unshared.
 */
int __cxlfork_unshare_range(struct mm_struct *mm, unsigned long start,
			    unsigned long end, bool edges)
{
	unsigned long addr;
	int ret = 0;

	if (!mm->cxlfork || start >= end)
		return 0;
	if (edges) {
		if (start & ~PMD_MASK)
			ret = cxlfork_unshare_at(mm, start);
		if (!ret && (end & ~PMD_MASK))
			ret = cxlfork_unshare_at(mm, end);
		return ret;
	}
	for (addr = start & PMD_MASK; addr < end && !ret; addr += PMD_SIZE) {
		ret = cxlfork_unshare_at(mm, addr);
		cond_resched();
	}
	return ret;
}

/**
 * __cxlfork_fault - a page fault below a PMD that points at a leaf
 * @vmf:	the fault
 *
 * A read of a page that is there needs nothing (another thread may have
 * faulted as well, or the TLB entry was stale): the ordinary path must not get
 * to see it, because it would set the accessed bit in the leaf.
 *
 * Context: as handle_mm_fault().
 * Return: 0: the table is local now, go on; VM_FAULT_NOPAGE: all is done;
 * VM_FAULT_OOM or VM_FAULT_HWPOISON.
 */
vm_fault_t __cxlfork_fault(struct vm_fault *vmf)
{
	pmd_t pmd = READ_ONCE(*vmf->pmd);

	if (!cxlfork_pmd_leaf(pmd))
		return 0;
	if (!(vmf->flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE))) {
		pte_t *table = (pte_t *)pmd_page_vaddr(pmd);

		if (pte_present(READ_ONCE(table[pte_index(vmf->address)])))
			return VM_FAULT_NOPAGE;
	}
	switch (__cxlfork_unshare(vmf->vma->vm_mm, vmf->pmd, vmf->address)) {
	case 0:
		return 0;
	case -EHWPOISON:
		return VM_FAULT_HWPOISON;
	default:
		return VM_FAULT_OOM;
	}
}

/**
 * __cxlfork_wp_source - what a write to a private page has to copy
 * @vmf:	the fault; its orig_pte is mapped read-only
 *
 * Context: page fault.
 * Return: the CXL page, or NULL if it is none.
 */
struct page *__cxlfork_wp_source(struct vm_fault *vmf)
{
	struct page *page = cxlfork_pte_page(vmf->orig_pte);
	struct cxlfork_mm *cm = vmf->vma->vm_mm->cxlfork;

	if (page && cm)
		atomic_long_inc(vmf->flags & (FAULT_FLAG_UNSHARE | FAULT_FLAG_REMOTE) ?
				&cm->gup : &cm->cow);
	return page;
}

/* Forget a leaf; its memory belongs to the template. */
static void cxlfork_detach(struct mmu_gather *tlb, pmd_t *pmd, unsigned long addr)
{
	spinlock_t *ptl = pmd_lock(tlb->mm, pmd);

	if (cxlfork_pmd_leaf(*pmd)) {
		pmd_clear(pmd);
		tlb_flush_pmd_range(tlb, addr & PMD_MASK, PMD_SIZE);
		tlb->freed_tables = 1; /* drop cached upper levels as well */
		cxlfork_count_leaf(tlb->mm, -1);
	}
	spin_unlock(ptl);
}

/**
 * __cxlfork_zap - zap (a part of) 2 MiB that a leaf maps
 * @tlb:	what to flush
 * @vma:	mapping that is zapped
 * @pmd:	points at a leaf
 * @addr:	first address to zap
 * @end:	first address after them, in the same 2 MiB
 * @even_cows:	private copies go as well; CXL pages are such
 *
 * Context: as zap_pmd_range().
 * Return: true: nothing more to do; false: the table is local now, go on.
 */
bool __cxlfork_zap(struct mmu_gather *tlb, struct vm_area_struct *vma,
		   pmd_t *pmd, unsigned long addr, unsigned long end,
		   bool even_cows)
{
	int ret;

	/* At exit free_pgtables() detaches: no entry is looked at. */
	if (tlb->fullmm || !even_cows)
		return true;
	if (end - addr == PMD_SIZE) {
		cxlfork_detach(tlb, pmd, addr);
		return true;
	}
	/* The OOM reaper must not allocate, and there is nothing to reap. */
	if (test_bit(MMF_UNSTABLE, &tlb->mm->flags))
		return true;
	/*
	 * No leaf is below two mappings, and munmap() and madvise() have unshared
	 * those that they cover in part.  What is left is truncation of a mapped
	 * file, under the lock of i_mmap, which reclaim wants as well.
	 */
	ret = cxlfork_unshare_gfp(tlb->mm, pmd, addr,
				  GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC |
				  __GFP_ZERO | __GFP_ACCOUNT);
	if (ret)
		pr_warn_ratelimited("cxlfork: no memory to unmap %lx-%lx of process %d: the pages stay\n",
				    addr, end, current->tgid);
	return ret;
}

/**
 * __cxlfork_free_leaf - free_pte_range() for a leaf
 * @tlb:	what to flush
 * @pmd:	points at a leaf
 * @addr:	an address below it
 *
 * Context: as free_pgtables(); nobody else walks these tables.
 */
void __cxlfork_free_leaf(struct mmu_gather *tlb, pmd_t *pmd, unsigned long addr)
{
	cxlfork_detach(tlb, pmd, addr);
}
