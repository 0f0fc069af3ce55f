// SPDX-License-Identifier: GPL-2.0
/*
 * Leaves: make entries, check them, attach tables.
 */
#include <linux/cxlfork.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>

/**
 * cxlfork_make_entry - the leaf entry of a page
 * @pfn:	page frame
 * @prot:	vm_page_prot of its (private) mapping
 * @young:	set the accessed bit
 *
 * Read-only and clean, whatever @prot: with write permission missing, a dirty
 * bit would make it a shadow stack entry on CPUs that have such.
 *
 * Return: the entry's value.
 */
u64 cxlfork_make_entry(unsigned long pfn, pgprot_t prot, bool young)
{
	pte_t pte = pfn_pte(pfn, prot);

	pte = pte_mkspecial(pte_mkold(pte_mkclean(pte_wrprotect(pte))));
	return pte_val(young ? pte_mkyoung(pte) : pte);
}

/**
 * cxlfork_check_entries - check the entries of a leaf, rebase them
 * @space:	where they may point
 * @src:	the table, in CXL memory: read once, not trusted
 * @dst:	table that gets the entries for this host's base; may be NULL
 * @first:	first entry
 * @end:	first entry after them
 * @prot:	vm_page_prot of the mapping they belong to
 *
 * An entry that passes maps a page of the image's own extents, in exactly the
 * way its mapping asks for.  Anything else would be access to physical memory
 * at the choice of whoever wrote the image.
 *
 * Return: the number of pages mapped, or -EUCLEAN.
 */
int cxlfork_check_entries(const struct cxlfork_space *space, const u64 *src,
			  u64 *dst, unsigned int first, unsigned int end,
			  pgprot_t prot)
{
	/* What all entries of this mapping have in common; page frame 0. */
	const u64 bits = cxlfork_make_entry(0, prot, false);
	/* A PROT_NONE entry stores its page frame inverted (L1TF). */
	const u64 invert = bits & _PAGE_PRESENT ? 0 : PTE_PFN_MASK;
	u64 known = U64_MAX;
	unsigned int i;
	int nr = 0;

	for (i = first; i < end; i++) {
		u64 entry = READ_ONCE(src[i]);
		u64 offset;

		if (!entry)
			continue;
		if (((entry ^ bits) & ~(PTE_PFN_MASK | _PAGE_ACCESSED)) != 0)
			return -EUCLEAN;
		offset = ((entry ^ invert) & PTE_PFN_MASK) - space->image_base;
		if (offset >> CXLFORK_EXTENT_SHIFT != known) {
			known = offset >> CXLFORK_EXTENT_SHIFT;
			if (offset >= space->size || !test_bit(known, space->extents) ||
			    offset_in_page(offset))
				return -EUCLEAN;
		}
		if (dst)
			dst[i] = (entry & ~PTE_PFN_MASK) |
				 ((space->host_base + offset) ^ invert);
		nr++;
	}
	return nr;
}

/* The place of a PMD; tables above it are made. */
pmd_t *cxlfork_alloc_pmd(struct mm_struct *mm, unsigned long addr)
{
	p4d_t *p4d = p4d_alloc(mm, pgd_offset(mm, addr), addr);
	pud_t *pud = p4d ? pud_alloc(mm, p4d, addr) : NULL;

	return pud ? pmd_alloc(mm, pud, addr) : NULL;
}

/**
 * cxlfork_attach_leaf - map 2 MiB by a shared leaf: one entry is written
 * @mm:		the address space, see cxlfork_mm_init()
 * @addr:	a multiple of 2 MiB; one private anonymous mapping covers all of it
 * @table:	physical address of the leaf; checked
 *
 * Context: @mm is not active yet, its mmap lock is held for writing.
 * Return: 0, -ENOMEM, or -EEXIST: something is mapped there.
 */
int cxlfork_attach_leaf(struct mm_struct *mm, unsigned long addr, phys_addr_t table)
{
	pmd_t *pmd = cxlfork_alloc_pmd(mm, addr);

	mmap_assert_write_locked(mm);
	if (!pmd)
		return -ENOMEM;
	if (!pmd_none(*pmd))
		return -EEXIST;
	/* No _PAGE_RW: the hardware refuses writes to all of it as well. */
	set_pmd(pmd, __pmd(table | _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED |
			   _PAGE_SPECIAL));
	return 0;
}

/**
 * cxlfork_copy_leaf - map (a part of) 2 MiB by a local copy of a leaf
 * @mm:		the address space, see cxlfork_mm_init()
 * @addr:	a multiple of 2 MiB
 * @table:	the leaf; checked, for this host's base
 *
 * Context: @mm is not active yet, its mmap lock is held for writing.
 * Return: 0, -ENOMEM, or -EEXIST: something is mapped there.
 */
int cxlfork_copy_leaf(struct mm_struct *mm, unsigned long addr, const u64 *table)
{
	pmd_t *pmd = cxlfork_alloc_pmd(mm, addr);

	mmap_assert_write_locked(mm);
	if (!pmd)
		return -ENOMEM;
	if (!pmd_none(*pmd))
		return -EEXIST;
	if (pte_alloc(mm, pmd))
		return -ENOMEM;
	copy_page((void *)pmd_page_vaddr(*pmd), (void *)table);
	return 0;
}
