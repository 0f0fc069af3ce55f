/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CXLfork: what existing files of mm/ and fs/ call.
 *
 * A *leaf* here is a PTE table that lies in CXL memory (or is a rebased copy
 * that the clones of one host share) and that software never writes.  A PMD
 * that points at one is marked by _PAGE_SPECIAL and lacks _PAGE_RW.  A
 * *cxl-pte* is a present, special, read-only PTE that maps a page of a pool,
 * in a leaf or in a local copy of one.  A *huge* PMD here is a special,
 * read-only one that maps a 2 MiB page of a pool.
 *
 * While no pool is attached all of this is behind one static key that is off.
 * See Documentation/cxlfork/design.rst for who calls what and why.
 */
#ifndef _LINUX_CXLFORK_HOOKS_H
#define _LINUX_CXLFORK_HOOKS_H

#include <linux/jump_label.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>

struct mmu_gather;
struct pid;
struct pid_namespace;
struct seq_file;
struct task_struct;
struct vm_area_struct;
struct vm_fault;
struct zap_details;

#ifdef CONFIG_CXLFORK

DECLARE_STATIC_KEY_FALSE(cxlfork_key);

#define CXLFORK_PMD_MASK	(_PAGE_PRESENT | _PAGE_PSE | _PAGE_SPECIAL)
#define CXLFORK_PMD_LEAF	(_PAGE_PRESENT | _PAGE_SPECIAL)

static inline bool cxlfork_enabled(void)
{
	return static_branch_unlikely(&cxlfork_key);
}

/* Is this PMD (a value that the caller has loaded) one that maps a leaf? */
static inline bool cxlfork_pmd_leaf(pmd_t pmd)
{
	return cxlfork_enabled() &&
	       (pmd_val(pmd) & CXLFORK_PMD_MASK) == CXLFORK_PMD_LEAF;
}

bool __cxlfork_pmd_huge(pmd_t pmd);

/* Likewise: one that maps a 2 MiB page of a pool? */
static inline bool cxlfork_pmd_huge(pmd_t pmd)
{
	return IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) && cxlfork_enabled() &&
	       (pmd_val(pmd) & (_PAGE_PSE | _PAGE_SPECIAL)) == (_PAGE_PSE | _PAGE_SPECIAL) &&
	       __cxlfork_pmd_huge(pmd);
}

/* Likewise: what has to be unshared before a part of it changes? */
static inline bool cxlfork_pmd_shared(pmd_t pmd)
{
	return cxlfork_pmd_leaf(pmd) || cxlfork_pmd_huge(pmd);
}

struct page *__cxlfork_pte_page(pte_t pte);

/* The CXL page that @pte maps, or NULL if it is no cxl-pte. */
static inline struct page *cxlfork_pte_page(pte_t pte)
{
	if (!cxlfork_enabled() || !pte_special(pte) || !pte_present(pte))
		return NULL;
	return __cxlfork_pte_page(pte);
}

static inline bool cxlfork_pte(pte_t pte)
{
	return cxlfork_pte_page(pte);
}

/* For cxlfork_unshare() where the address is not known. */
#define CXLFORK_ANY_ADDR	(~0UL)

int __cxlfork_unshare(struct mm_struct *mm, pmd_t *pmd, unsigned long addr);
int __cxlfork_unshare_range(struct mm_struct *mm, unsigned long start,
			    unsigned long end, bool edges);
vm_fault_t __cxlfork_fault(struct vm_fault *vmf);
void __cxlfork_prepare_collapse(struct vm_area_struct *vma, unsigned long addr);
vm_fault_t __cxlfork_huge_wp(struct vm_fault *vmf);
struct page *__cxlfork_follow_huge(unsigned int flags);
bool __cxlfork_zap(struct mmu_gather *tlb, pmd_t *pmd, unsigned long addr,
		   unsigned long end);
void __cxlfork_free_leaf(struct mmu_gather *tlb, pmd_t *pmd, unsigned long addr);
struct page *__cxlfork_wp_source(struct vm_fault *vmf, struct page *copy);
int __cxlfork_dup_mm(struct mm_struct *mm, struct mm_struct *oldmm);
void __cxlfork_exit_mm(struct mm_struct *mm);

/* Before a PTE in *@pmd is written: give @mm a table of its own there. */
static inline int cxlfork_unshare(struct mm_struct *mm, pmd_t *pmd,
				  unsigned long addr)
{
	return cxlfork_pmd_shared(READ_ONCE(*pmd)) ?
		__cxlfork_unshare(mm, pmd, addr) : 0;
}

/* Before all PTEs of a range may be written, where an error can be returned. */
static inline int cxlfork_unshare_range(struct mm_struct *mm,
					unsigned long start, unsigned long end)
{
	return cxlfork_enabled() ?
		__cxlfork_unshare_range(mm, start, end, false) : 0;
}

/* Before a range is zapped: the leaves that it covers only in part. */
static inline int cxlfork_unshare_edges(struct mm_struct *mm,
					unsigned long start, unsigned long end)
{
	return cxlfork_enabled() ?
		__cxlfork_unshare_range(mm, start, end, true) : 0;
}

/* A page that a private mapping's fault is to copy to @copy (NULL: not ours). */
static inline struct page *cxlfork_wp_source(struct vm_fault *vmf,
					     struct page *copy)
{
	return cxlfork_enabled() ? __cxlfork_wp_source(vmf, copy) : NULL;
}

/* MADV_COLLAPSE: CXL pages of the 2 MiB at @addr become local ones first. */
static inline void cxlfork_prepare_collapse(struct vm_area_struct *vma,
					    unsigned long addr)
{
	if (cxlfork_enabled())
		__cxlfork_prepare_collapse(vma, addr);
}

static inline void cxlfork_init_mm(struct mm_struct *mm)
{
	mm->cxlfork = NULL;
}

/* Before page tables are copied: what the child's will refer to stays. */
static inline int cxlfork_dup_mm(struct mm_struct *mm, struct mm_struct *oldmm)
{
	return unlikely(oldmm->cxlfork) ? __cxlfork_dup_mm(mm, oldmm) : 0;
}

/* After the last PTE is gone and the TLBs are flushed. */
static inline void cxlfork_exit_mm(struct mm_struct *mm)
{
	if (unlikely(mm->cxlfork))
		__cxlfork_exit_mm(mm);
}

int proc_pid_cxlfork_stat(struct seq_file *m, struct pid_namespace *ns,
			  struct pid *pid, struct task_struct *task);

#else /* !CONFIG_CXLFORK */

#define CXLFORK_ANY_ADDR	(~0UL)

static inline bool cxlfork_pmd_leaf(pmd_t pmd)
{
	return false;
}

static inline bool cxlfork_pmd_huge(pmd_t pmd)
{
	return false;
}

static inline bool cxlfork_pmd_shared(pmd_t pmd)
{
	return false;
}

static inline bool cxlfork_pte(pte_t pte)
{
	return false;
}

static inline int cxlfork_unshare(struct mm_struct *mm, pmd_t *pmd,
				  unsigned long addr)
{
	return 0;
}

static inline int cxlfork_unshare_range(struct mm_struct *mm,
					unsigned long start, unsigned long end)
{
	return 0;
}

static inline int cxlfork_unshare_edges(struct mm_struct *mm,
					unsigned long start, unsigned long end)
{
	return 0;
}

static inline struct page *cxlfork_wp_source(struct vm_fault *vmf,
					     struct page *copy)
{
	return NULL;
}

static inline vm_fault_t __cxlfork_fault(struct vm_fault *vmf)
{
	return 0;
}

static inline vm_fault_t __cxlfork_huge_wp(struct vm_fault *vmf)
{
	return 0;
}

static inline struct page *__cxlfork_follow_huge(unsigned int flags)
{
	return NULL;
}

static inline bool __cxlfork_zap(struct mmu_gather *tlb, pmd_t *pmd,
				 unsigned long addr, unsigned long end)
{
	return false;
}

static inline void __cxlfork_free_leaf(struct mmu_gather *tlb, pmd_t *pmd,
				       unsigned long addr)
{
}

static inline void cxlfork_prepare_collapse(struct vm_area_struct *vma,
					    unsigned long addr)
{
}

static inline void cxlfork_init_mm(struct mm_struct *mm)
{
}

static inline int cxlfork_dup_mm(struct mm_struct *mm, struct mm_struct *oldmm)
{
	return 0;
}

static inline void cxlfork_exit_mm(struct mm_struct *mm)
{
}

#endif /* CONFIG_CXLFORK */
#endif /* _LINUX_CXLFORK_HOOKS_H */
