// SPDX-License-Identifier: GPL-2.0
/*
 * Shared leaves: PTE tables in CXL memory, below ordinary address spaces; and
 * 2 MiB pages there, as far as they are treated alike.
 *
 * A leaf is immutable to software.  Who has to write an entry unshares first:
 * the table is copied to local memory and the PMD pointed at the copy.  That
 * is a one-way transition; a leaf is attached only while an address space is
 * built, before anybody else can see it (attach.c).
 *
 * The old leaf keeps its content and stays readable after the PMD was switched
 * (its template is held until the address space is gone, or has no CXL page and
 * all walkers have left), so that walkers which hold the old table need no care,
 * as long as they only read.
 */
#include <linux/cxlfork.h>
#include <linux/export.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>
#include <asm/tlb.h>
#include <asm/tlbflush.h>

/* On as long as this host has a pool. */
struct static_key_false cxlfork_key = STATIC_KEY_FALSE_INIT;
EXPORT_SYMBOL_GPL(cxlfork_key);

const char cxlfork_pgmap_owner;
EXPORT_SYMBOL_NS_GPL(cxlfork_pgmap_owner, CXLFORK);

/**
 * cxlfork_pfn_page - the CXL page of a page frame
 * @pfn:	page frame that a special entry maps
 *
 * Context: any.
 * Return: the page, or NULL if it is no page of a pool.
 */
struct page *cxlfork_pfn_page(unsigned long pfn)
{
	struct page *page;

	if (is_zero_pfn(pfn) || !pfn_valid(pfn))
		return NULL;
	page = pfn_to_page(pfn);
	if (!is_zone_device_page(page))
		return NULL;
	return page->pgmap->owner == &cxlfork_pgmap_owner ? page : NULL;
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
	return cxlfork_pfn_page(pte_pfn(pte));
}

/* The entries of a local table that maps what a 2 MiB page's @pmd maps. */
static void cxlfork_fill_table(pgtable_t table, pmd_t pmd)
{
	pgprot_t prot = pgprot_large_2_4k(__pgprot(pmd_flags(pmd) & ~_PAGE_PSE));
	pte_t *pte = page_address(table);
	int i;

	for (i = 0; i < PTRS_PER_PTE; i++)
		pte[i] = pfn_pte(pmd_pfn(pmd) + i, prot);
}

static void cxlfork_flush(struct mm_struct *mm, unsigned long addr, unsigned int shift)
{
	if (addr == CXLFORK_ANY_ADDR)
		flush_tlb_mm(mm);
	else
		flush_tlb_mm_range(mm, addr & PMD_MASK, (addr & PMD_MASK) + PMD_SIZE,
				   shift, true);
}

/* A device that has gone away reads as all ones, which no entry is. */
static bool cxlfork_read_leaf(pgtable_t table, pmd_t pmd)
{
	return !PageHWPoison(pmd_page(pmd)) &&
	       !copy_mc_to_kernel(page_address(table), (void *)pmd_page_vaddr(pmd),
				  PAGE_SIZE) &&
	       memchr_inv(page_address(table), 0xff, PAGE_SIZE);
}

/* What it has mapped nobody knows: whoever touches any of it gets SIGBUS. */
static void cxlfork_lose_leaf(pgtable_t table)
{
	pte_t *pte = page_address(table);
	int i;

	for (i = 0; i < PTRS_PER_PTE; i++)
		pte[i] = make_pte_marker(PTE_MARKER_POISONED);
}

/**
 * cxlfork_unshare_gfp - give an address space a table of its own
 * @mm:		the address space
 * @pmd:	entry that may point at a leaf, or map a 2 MiB page of a pool
 * @addr:	an address below it; CXLFORK_ANY_ADDR will do for a leaf
 * @gfp:	how to allocate the table: GFP_PGTABLE_USER and modifiers
 * @lose:	if the leaf can't be read all it may have mapped is lost
 *
 * What is mapped does not change.  Whoever loses a race against another unshare
 * succeeds.
 *
 * Context: process context, sleeps; the mmap lock or the VMA lock is held, so
 * that @pmd stays.
 * Return: 0, then there is a local table (or nothing) below @pmd; if all was
 * lost, how many pages that may be; -ENOMEM; or -EHWPOISON: the leaf can't be read.
 */
int cxlfork_unshare_gfp(struct mm_struct *mm, pmd_t *pmd, unsigned long addr,
			gfp_t gfp, bool lose)
{
	pgtable_t new = __pte_alloc_one(mm, gfp);
	pmd_t old = READ_ONCE(*pmd);
	bool leaf = cxlfork_pmd_leaf(old);
	spinlock_t *ptl;
	int lost = 0;

	if (!new)
		return -ENOMEM;
	if (leaf && !cxlfork_read_leaf(new, old)) {
		if (!lose) {
			pte_free(mm, new);
			return -EHWPOISON;
		}
		cxlfork_lose_leaf(new);
		lost = PTRS_PER_PTE;
	}

	ptl = pmd_lock(mm, pmd);
	if (leaf ? !cxlfork_pmd_leaf(*pmd) || pmd_pfn(*pmd) != pmd_pfn(old) :
		   !cxlfork_pmd_huge(*pmd)) {
		spin_unlock(ptl);
		pte_free(mm, new);
		return 0;
	}
	if (!leaf) {
		cxlfork_fill_table(new, *pmd);
		/* As __split_huge_pmd(): no CPU holds both sizes at one time. */
		set_pmd(pmd, pmd_mkinvalid(*pmd));
		cxlfork_flush(mm, addr, PMD_SHIFT);
	}
	mm_inc_nr_ptes(mm);
	smp_wmb(); /* the entries before the table is reachable */
	pmd_populate(mm, pmd, new);
	spin_unlock(ptl);

	/*
	 * Other CPUs may have cached the old PMD, with its missing write
	 * permission, and walk the old leaf: before anybody changes an entry of
	 * the new table they have to see it.
	 */
	if (leaf)
		cxlfork_flush(mm, addr, PAGE_SHIFT);
	atomic_long_inc(leaf ? &mm->cxlfork->unshared : &mm->cxlfork->split);
	return lost;
}

/**
 * __cxlfork_unshare - cxlfork_unshare_gfp() as the hooks need it
 * @mm:		the address space
 * @pmd:	entry that may point at a leaf, or map a 2 MiB page of a pool
 * @addr:	an address below it; CXLFORK_ANY_ADDR will do for a leaf
 *
 * Context: as there.
 * Return: 0, -ENOMEM or -EHWPOISON, as there.
 */
int __cxlfork_unshare(struct mm_struct *mm, pmd_t *pmd, unsigned long addr)
{
	return cxlfork_unshare_gfp(mm, pmd, addr, GFP_PGTABLE_USER, false);
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
 * @edges:	only leaves (and 2 MiB pages) that the range covers in part
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
 * @copy:	where to, not mapped yet
 *
 * Nobody has written the copy that an unsharing fault makes, so that its entry
 * is clean.  Its contents are nowhere else all the same, and have to outlive that
 * another process that maps it too gives it up (MADV_FREE): that takes a page
 * for free that is dirty nowhere, see ksm_might_need_to_copy().
 *
 * Context: page fault.
 * Return: the CXL page, or NULL if it is none.
 */
struct page *__cxlfork_wp_source(struct vm_fault *vmf, struct page *copy)
{
	struct page *page = cxlfork_pte_page(vmf->orig_pte);
	struct cxlfork_mm *cm = vmf->vma->vm_mm->cxlfork;

	if (page)
		folio_set_dirty(page_folio(copy));
	if (page && cm)
		atomic_long_inc(vmf->flags & (FAULT_FLAG_UNSHARE | FAULT_FLAG_REMOTE) ?
				&cm->gup : &cm->cow);
	return page;
}

/*
 * Forget a leaf or a 2 MiB page; its memory belongs to the template.  False: a
 * write fault has put something local there meanwhile.
 */
static bool cxlfork_detach(struct mmu_gather *tlb, pmd_t *pmd, unsigned long addr)
{
	spinlock_t *ptl = pmd_lock(tlb->mm, pmd);
	bool shared = cxlfork_pmd_shared(*pmd);

	if (shared && cxlfork_pmd_leaf(*pmd)) {
		/* 512 translations of 4 KiB, and the cached way to them. */
		tlb_flush_pte_range(tlb, addr & PMD_MASK, PMD_SIZE);
		tlb->freed_tables = 1;
	} else if (shared) {
		tlb_flush_pmd_range(tlb, addr & PMD_MASK, PMD_SIZE);
	}
	if (shared)
		pmd_clear(pmd);
	spin_unlock(ptl);
	return shared;
}

/**
 * __cxlfork_zap - zap (a part of) 2 MiB that a leaf or a 2 MiB page maps
 * @tlb:	what to flush
 * @pmd:	see cxlfork_pmd_shared()
 * @addr:	first address to zap
 * @end:	first address after them, in the same 2 MiB
 *
 * Context: as zap_pmd_range().
 * Return: true: nothing more to do; false: the table is local now, go on.
 */
bool __cxlfork_zap(struct mmu_gather *tlb, pmd_t *pmd, unsigned long addr,
		   unsigned long end)
{
	/* At exit free_pgtables() detaches leaves: no entry is looked at. */
	if (tlb->fullmm && cxlfork_pmd_leaf(*pmd))
		return true;
	if (end - addr == PMD_SIZE)
		return cxlfork_detach(tlb, pmd, addr) || pmd_none(*pmd);
	/*
	 * Both are below one mapping that covers them wholly, and whoever unmaps
	 * a part has unshared it where that could fail.  Files are truncated only
	 * where tables are local.
	 */
	VM_WARN_ON_ONCE(1);
	return __cxlfork_unshare(tlb->mm, pmd, addr);
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

/* Does a local table map CXL pages, and is another of its pages writable? */
static bool cxlfork_worth_collapsing(struct mm_struct *mm, pmd_t *pmd,
				     unsigned long addr)
{
	bool writable = false, cxl = false;
	pte_t *start;
	spinlock_t *ptl;
	int i;

	start = pte_offset_map_lock(mm, pmd, addr, &ptl);
	if (!start)
		return false;
	__acquire(ptl); /* sparse can't know that it is taken */
	for (i = 0; i < PTRS_PER_PTE; i++) {
		pte_t pte = ptep_get(start + i);

		writable |= pte_present(pte) && pte_write(pte);
		cxl |= cxlfork_pte(pte);
	}
	pte_unmap_unlock(start, ptl);
	return writable && cxl;
}

static bool cxlfork_maps_page(struct mm_struct *mm, pmd_t *pmd,
			      unsigned long addr)
{
	pte_t *pte;
	spinlock_t *ptl;
	bool ret;

	pte = pte_offset_map_lock(mm, pmd, addr, &ptl);
	if (!pte)
		return false;
	__acquire(ptl);
	ret = cxlfork_pte(ptep_get(pte));
	pte_unmap_unlock(pte, ptl);
	return ret;
}

/**
 * __cxlfork_prepare_collapse - copy the CXL pages of 2 MiB to local memory
 * @vma:	mapping that covers them
 * @addr:	first address
 *
 * Unless collapsing would be refused in any case, for want of a page that is
 * writable, or somebody waits for faults of what is missing, which what goes
 * meanwhile would look like.  If memory is out some pages stay: then it is refused,
 * too.
 *
 * Context: process context, sleeps; the mmap lock is held.
 */
void __cxlfork_prepare_collapse(struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long end = addr + PMD_SIZE;
	struct mm_struct *mm = vma->vm_mm;
	pmd_t *pmd;

	if (!mm->cxlfork || userfaultfd_missing(vma))
		return;
	pmd = cxlfork_find_pmd(mm, addr);
	if (!pmd || cxlfork_pmd_shared(*pmd) ||
	    !cxlfork_worth_collapsing(mm, pmd, addr))
		return;
	for (; addr < end; addr += PAGE_SIZE) {
		if (cxlfork_maps_page(mm, pmd, addr) &&
		    (handle_mm_fault(vma, addr, FAULT_FLAG_UNSHARE | FAULT_FLAG_REMOTE,
				     NULL) & VM_FAULT_ERROR))
			break;
		cond_resched();
	}
	/* A page is collapsed only from the LRU. */
	lru_add_drain_all();
}
