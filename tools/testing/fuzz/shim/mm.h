/* SPDX-License-Identifier: GPL-2.0 */
/* x86-64 page tables, and an address space that has nothing else. */
#ifndef SHIM_MM_H
#define SHIM_MM_H

#include "types.h"

#define PAGE_SHIFT		12
#undef PAGE_SIZE
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PMD_SHIFT		21
#define PMD_SIZE		(1UL << PMD_SHIFT)
#define PMD_MASK		(~(PMD_SIZE - 1))
#define TASK_SIZE_MAX		((1UL << 47) - PAGE_SIZE)
#define PTE_PFN_MASK		0x000ffffffffff000UL
#define PFN_PHYS(pfn)		((phys_addr_t)(pfn) << PAGE_SHIFT)
#define PHYS_PFN(addr)		((unsigned long)((addr) >> PAGE_SHIFT))
#define offset_in_page(addr)	((unsigned long)(addr) & ~PAGE_MASK)
#define PAGE_ALIGN(x)		ALIGN(x, PAGE_SIZE)
#define PAGE_ALIGNED(addr)	IS_ALIGNED((unsigned long)(addr), PAGE_SIZE)
#define pte_index(addr)		(((addr) >> PAGE_SHIFT) & 511)

#define _PAGE_PRESENT		BIT(0)
#define _PAGE_RW		BIT(1)
#define _PAGE_USER		BIT(2)
#define _PAGE_ACCESSED		BIT(5)
#define _PAGE_DIRTY		BIT(6)
#define _PAGE_PSE		BIT(7)
#define _PAGE_PROTNONE		BIT(8)
#define _PAGE_SPECIAL		BIT(9)
#define _PAGE_PAT_LARGE		BIT(12)
#define _PAGE_SAVED_DIRTY	BIT(58)
#define _PAGE_NX		BIT(63)

#define VM_READ			BIT(0)
#define VM_WRITE		BIT(1)
#define VM_EXEC			BIT(2)
#define VM_SHARED		BIT(3)
#define VM_MAYREAD		BIT(4)
#define VM_MAYWRITE		BIT(5)
#define VM_MAYEXEC		BIT(6)
#define VM_MAYSHARE		BIT(7)
#define VM_GROWSDOWN		BIT(8)
#define VM_SEQ_READ		BIT(15)
#define VM_RAND_READ		BIT(16)
#define VM_ACCOUNT		BIT(20)
#define VM_NORESERVE		BIT(21)
#define VM_WIPEONFORK		BIT(25)
#define VM_DONTDUMP		BIT(26)
#define VM_SOFTDIRTY		BIT(27)
#define VM_HUGEPAGE		BIT(29)
#define VM_NOHUGEPAGE		BIT(30)
#define VM_PKEY_SHIFT		32
#define ARCH_VM_PKEY_FLAGS	(15UL << VM_PKEY_SHIFT)
#define VM_DROPPABLE		BIT(40)
#define VM_SEALED		BIT(42)
#define VM_ACCESS_FLAGS		(VM_READ | VM_WRITE | VM_EXEC)

#define arch_pkeys_enabled()	true
#define OVERCOMMIT_NEVER	2
extern int sysctl_overcommit_memory;
extern int sysctl_max_map_count;

typedef struct {
	unsigned long pgprot;
} pgprot_t;

typedef struct {
	unsigned long pte;
} pte_t;

typedef struct {
	unsigned long pmd;
} pmd_t;

/* The levels above are not there. */
typedef struct mm_struct pgd_t, p4d_t, pud_t;

#define pgprot_val(x)		((x).pgprot)
#define __pgprot(x)		((pgprot_t){ x })
#define pte_val(x)		((x).pte)
#define __pte(x)		((pte_t){ x })
#define pmd_val(x)		((x).pmd)
#define __pmd(x)		((pmd_t){ x })

/* An entry that is not present holds the inverse of its page frame. */
static inline unsigned long shim_invert(unsigned long val)
{
	return val && !(val & _PAGE_PRESENT) ? PTE_PFN_MASK : 0;
}

static inline pte_t pfn_pte(unsigned long pfn, pgprot_t prot)
{
	return __pte(((pfn << PAGE_SHIFT ^ shim_invert(prot.pgprot)) & PTE_PFN_MASK) |
		     prot.pgprot);
}

static inline unsigned long pte_pfn(pte_t pte)
{
	return ((pte.pte ^ shim_invert(pte.pte)) & PTE_PFN_MASK) >> PAGE_SHIFT;
}

static inline pmd_t pfn_pmd(unsigned long pfn, pgprot_t prot)
{
	return __pmd(pfn_pte(pfn, prot).pte);
}

#define pte_pgprot(x)		__pgprot((x).pte & ~PTE_PFN_MASK)
#define pte_wrprotect(x)	__pte((x).pte & ~_PAGE_RW)
#define pte_mkclean(x)		__pte((x).pte & ~(_PAGE_DIRTY | _PAGE_SAVED_DIRTY))
#define pte_mkold(x)		__pte((x).pte & ~_PAGE_ACCESSED)
#define pte_mkyoung(x)		__pte((x).pte | _PAGE_ACCESSED)
#define pte_mkspecial(x)	__pte((x).pte | _PAGE_SPECIAL)
#define pmd_mkhuge(x)		__pmd((x).pmd | _PAGE_PSE)
#define pmd_none(x)		(!(x).pmd)
#define set_pmd(at, val)	(*(at) = (val))
pgprot_t vm_get_page_prot(vm_flags_t vm_flags);

static inline pgprot_t pgprot_4k_2_large(pgprot_t prot)
{
	return __pgprot((prot.pgprot & ~(_PAGE_PSE | _PAGE_PAT_LARGE)) |
			(prot.pgprot & _PAGE_PSE) << 5);
}

struct shim_pmd {
	unsigned long addr;
	pmd_t pmd;
	bool own;	/* its table is a page of this address space */
};

#define SHIM_PMDS		64
struct mm_struct {
	struct cxlfork_mm *cxlfork;
	struct shim_pmd pmds[SHIM_PMDS];
	unsigned int nr_pmds;
};

pmd_t *shim_pmd(struct mm_struct *mm, unsigned long addr);
#define pgd_offset(mm, addr)	(mm)
#define p4d_alloc(mm, pgd, addr) (pgd)
#define pud_alloc(mm, p4d, addr) (p4d)
#define pmd_alloc(mm, pud, addr) shim_pmd(pud, addr)
int pte_alloc(struct mm_struct *mm, pmd_t *pmd);
#define pmd_page_vaddr(x)	((x).pmd & PTE_PFN_MASK)
#define mmap_assert_write_locked(mm) ((void)(mm))
/* Physical addresses are what memory is called in this process. */
#define __pa(at)		((unsigned long)(at))

unsigned long shim_page(bool zero);
#define __get_free_page(gfp)	shim_page(false)
#define get_zeroed_page(gfp)	shim_page(true)
#define free_page(at)		free((void *)(at))
#define copy_page(to, from)	memcpy(to, from, PAGE_SIZE)
struct page;
#define ZERO_PAGE(addr)		((struct page *)NULL)
void *page_address(const struct page *page);

struct vm_area_struct;

#endif /* SHIM_MM_H */
