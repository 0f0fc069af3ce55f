// SPDX-License-Identifier: GPL-2.0
/* Checks of an image: mappings, leaf tables and what they map. */
#include <stdio.h>

#include "image.h"
#include "le.h"

/* x86-64 page table entries */
#define PTE_PRESENT	BIT_ULL(0)
#define PTE_USER	BIT_ULL(2)
#define PTE_ACCESSED	BIT_ULL(5)
#define PTE_PROTNONE	BIT_ULL(8)
#define PTE_SPECIAL	BIT_ULL(9)
#define PTE_PFN		0x000ffffffffff000ULL
#define PTE_PKEY_SHIFT	59
#define PTE_NX		BIT_ULL(63)

#define RWX	(CXLFORK_VMA_READ | CXLFORK_VMA_WRITE | CXLFORK_VMA_EXEC)
#define ANONYMOUS_ONLY	(CXLFORK_VMA_WIPEONFORK | CXLFORK_VMA_DROPPABLE | \
			 CXLFORK_VMA_GROWSDOWN)
#define NR_PKEYS	16

static void check_vma(const struct image *image, __u32 i,
		      struct findings *findings)
{
	const struct cxlfork_vma *vma = &image_vmas(image)[i];
	__u64 start = le64(vma->start), end = le64(vma->end);
	__u32 flags = le32(vma->flags), file = le32(vma->file);

	if (start >= end || end > USER_END || (start | end) & (PAGE_BYTES - 1))
		problem(findings, BAD_VMA_RANGE, "vma %u: 0x%llx-0x%llx", i,
			start, end);
	if (i && start < le64(vma[-1].end))
		problem(findings, BAD_VMA_ORDER,
			"vma %u: starts before the end of the last one", i);
	if (flags & ~CXLFORK_VMA_ALL)
		problem(findings, BAD_VMA_FLAGS, "vma %u: flags 0x%x", i,
			flags);
	if (flags & RWX & ~(flags / CXLFORK_VMA_MAYREAD))
		problem(findings, BAD_VMA_PERMS,
			"vma %u: flags 0x%x allow what they may not", i, flags);
	if (le32(vma->pkey) >= NR_PKEYS)
		problem(findings, BAD_VMA_PKEY, "vma %u: protection key %u", i,
			le32(vma->pkey));
	if (file != CXLFORK_NO_FILE && file >= image->sec[CXLFORK_SEC_FILES].nr)
		problem(findings, BAD_VMA_FILE, "vma %u: file %u", i, file);
	if (flags & CXLFORK_VMA_MAYSHARE &&
	    (file == CXLFORK_NO_FILE || flags & CXLFORK_VMA_MAYWRITE))
		problem(findings, BAD_VMA_SHARED,
			"vma %u: shared, but not a read-only file", i);
	if (file != CXLFORK_NO_FILE && flags & ANONYMOUS_ONLY)
		problem(findings, BAD_VMA_ANON,
			"vma %u: of a file, with flags 0x%x of memory", i,
			flags);
	if (le64(vma->pgoff) > (file == CXLFORK_NO_FILE ? ~0ULL : ~0ULL >> 12) -
			       ((end - start) >> 12))
		problem(findings, BAD_VMA_PGOFF,
			"vma %u: offset of 0x%llx pages", i, le64(vma->pgoff));
	if (vma->reserved)
		problem(findings, BAD_RESERVED, "vma %u: reserved word is 0x%x",
			i, le32(vma->reserved));
}

void check_vmas(const struct image *image, struct findings *findings)
{
	const struct section *sec = &image->sec[CXLFORK_SEC_VMAS];
	__u32 i;

	if (sec->data && !sec->nr)
		problem(findings, BAD_VMAS, "vmas: there are none");
	for (i = 0; i < sec->nr; i++)
		check_vma(image, i, findings);
}

/* What an entry has to be, its address apart. */
static __u64 wanted_bits(const struct cxlfork_vma *vma)
{
	__u32 flags = le32(vma->flags);
	__u64 bits = PTE_SPECIAL |
		     (__u64)le32(vma->pkey) << PTE_PKEY_SHIFT;

	if (!(flags & RWX))
		return bits | PTE_PROTNONE;
	if (!(flags & CXLFORK_VMA_EXEC))
		bits |= PTE_NX;
	return bits | PTE_PRESENT | PTE_USER;
}

/* An entry that is not present has its address inverted (L1TF). */
static __u64 entry_addr(__u64 entry)
{
	return (entry & PTE_PRESENT ? entry : ~entry) & PTE_PFN;
}

__u64 entry_target(const struct image *image, __u64 entry)
{
	return entry_addr(entry) - image->phys_base;
}

/* Does it map a data page of this image, or of a parent? */
static bool maps_data(const struct image *image, __u64 entry)
{
	__u64 offset = entry_target(image, entry);

	return image_has_page(image, offset) ||
	       parents_have_page(image, offset);
}

static bool check_entry(const struct image *image,
			const struct cxlfork_vma *vma, __u64 addr, __u64 entry,
			struct findings *findings)
{
	__u64 bits = entry & ~(PTE_PFN | PTE_ACCESSED);

	if (!vma)
		return problem(findings, BAD_PTE_NOWHERE,
			       "leaf entry for 0x%llx, where nothing is mapped",
			       addr);
	if (!vma_has_pages(le32(vma->flags)))
		return problem(findings, BAD_PTE_KEEPLESS,
			       "leaf entry for 0x%llx, whose mapping keeps no pages",
			       addr);
	if (bits != wanted_bits(vma))
		return problem(findings, BAD_PTE_BITS,
			       "leaf entry 0x%llx for 0x%llx: its mapping asks for 0x%llx",
			       entry, addr, wanted_bits(vma));
	if (!maps_data(image, entry))
		return problem(findings, BAD_PTE_TARGET,
			       "leaf entry 0x%llx for 0x%llx maps no data page of the image",
			       entry, addr);
	return true;
}

/**
 * struct walk - addresses go up, and mappings with them
 * @vma:	first mapping that ends above the last address asked for
 * @pages:	entries that there are
 */
struct walk {
	__u32	vma;
	__u64	pages;
};

static const struct cxlfork_vma *vma_at(const struct image *image,
					struct walk *walk, __u64 addr)
{
	const struct cxlfork_vma *vmas = image_vmas(image);
	__u32 nr = image->sec[CXLFORK_SEC_VMAS].nr;

	while (walk->vma < nr && le64(vmas[walk->vma].end) <= addr)
		walk->vma++;
	if (walk->vma < nr && le64(vmas[walk->vma].start) <= addr)
		return &vmas[walk->vma];
	return NULL;
}

/* After vma_at(): does the next mapping start below @end? */
static bool vma_below(const struct image *image, const struct walk *walk,
		      __u64 end)
{
	return walk->vma < image->sec[CXLFORK_SEC_VMAS].nr &&
	       le64(image_vmas(image)[walk->vma].start) < end;
}

static void check_dirty(const struct image *image, __u64 i,
			const __le64 *entries, struct findings *findings)
{
	const struct section *sec = &image->sec[CXLFORK_SEC_DIRTY];
	const __le64 *words;
	unsigned int n;

	if (!sec->data || i >= sec->nr)
		return;
	words = (const __le64 *)sec->data + i * (CXLFORK_LEAF_ENTRIES / 64);
	for (n = 0; n < CXLFORK_LEAF_ENTRIES; n++) {
		if (le64(words[n / 64]) >> (n % 64) & 1 && !entries[n]) {
			problem(findings, BAD_DIRTY_EMPTY,
				"leaf %llu: entry %u is dirty and maps nothing",
				i, n);
			return;
		}
	}
}

/* A page of 2 MiB is one extent, mapped from its start to its end. */
static void check_huge(const struct image *image, __u64 i,
		       const struct cxlfork_vma *vma, const __le64 *entries,
		       struct findings *findings)
{
	__u64 first = entry_target(image, le64(entries[0]));
	unsigned int n;

	/* A PMD with an inverted address is nothing that anybody makes. */
	if (vma && !(le32(vma->flags) & RWX)) {
		problem(findings, BAD_LEAF_HUGE,
			"leaf %llu: its mapping allows no access", i);
		return;
	}
	for (n = 0; n < CXLFORK_LEAF_ENTRIES; n++) {
		if (entry_target(image, le64(entries[n])) != first + n * PAGE_BYTES ||
		    first % CXLFORK_EXTENT_SIZE) {
			problem(findings, BAD_LEAF_HUGE,
				"leaf %llu: its pages are not one of 2 MiB", i);
			return;
		}
	}
}

static void check_leaf(const struct image *image, struct walk *walk, __u64 i,
		       struct findings *findings)
{
	const struct cxlfork_leaf *leaf = &image_leaves(image)[i];
	__u64 addr = le64(leaf->addr);
	const struct cxlfork_vma *vma, *first;
	__le64 entries[CXLFORK_LEAF_ENTRIES];
	__u32 n, nr = 0;
	char what[32];

	if (addr & (LEAF_BYTES - 1) || addr > USER_END ||
	    (i && addr <= le64(leaf[-1].addr))) {
		problem(findings, BAD_LEAF_ADDRESS, "leaf %llu: address 0x%llx",
			i, addr);
		return;
	}
	if (le32(leaf->flags) & ~(CXLFORK_LEAF_WHOLE | CXLFORK_LEAF_HUGE) ||
	    le32(leaf->flags) == CXLFORK_LEAF_HUGE)
		problem(findings, BAD_LEAF_FLAGS, "leaf %llu: flags 0x%x", i,
			le32(leaf->flags));
	first = vma_at(image, walk, addr);
	if (!first && !vma_below(image, walk, addr + LEAF_BYTES))
		problem(findings, BAD_LEAF_NOWHERE,
			"leaf %llu: nothing is mapped there", i);
	if (le32(leaf->flags) & CXLFORK_LEAF_WHOLE &&
	    (!first || le64(first->end) - addr < LEAF_BYTES ||
	     le32(first->file) != CXLFORK_NO_FILE ||
	     !vma_has_pages(le32(first->flags))))
		problem(findings, BAD_LEAF_WHOLE,
			"leaf %llu: no private anonymous mapping covers all of it",
			i);
	if (!image_leaf(image, i, entries)) {
		snprintf(what, sizeof(what), "leaf %llu", i);
		unreadable(findings, what);
		return;
	}
	for (n = 0; n < CXLFORK_LEAF_ENTRIES; n++, addr += PAGE_BYTES) {
		if (!entries[n])
			continue;
		nr++;
		vma = vma_at(image, walk, addr);
		if (!check_entry(image, vma, addr, le64(entries[n]),
				 findings))
			break;		/* one of a table is enough */
	}
	walk->pages += nr;
	if (n == CXLFORK_LEAF_ENTRIES && (!nr || nr != le32(leaf->nr_pages)))
		problem(findings, BAD_LEAF_PAGES,
			"leaf %llu: maps %u pages, not %u", i, nr,
			le32(leaf->nr_pages));
	if (le32(leaf->flags) & CXLFORK_LEAF_HUGE)
		check_huge(image, i, first, entries, findings);
	check_dirty(image, i, entries, findings);
}

void check_leaves(const struct image *image, struct findings *findings)
{
	const struct section *sec = &image->sec[CXLFORK_SEC_LEAVES];
	const struct section *dirty = &image->sec[CXLFORK_SEC_DIRTY];
	size_t before = findings->nr;
	struct walk walk = { 0 };
	__u64 i;

	if (dirty->data && dirty->nr != image->nr_leaves)
		problem(findings, BAD_DIRTY, "dirty: of %u leaves, not %llu",
			dirty->nr, image->nr_leaves);
	if (!sec->data)
		return;
	if (sec->nr != image->nr_leaves) {
		problem(findings, BAD_LEAVES,
			"leaves: %u, the header says %llu", sec->nr,
			image->nr_leaves);
		return;
	}
	if (!image->sec[CXLFORK_SEC_VMAS].data)
		return;		/* said already */
	for (i = 0; i < sec->nr; i++)
		check_leaf(image, &walk, i, findings);
	if (findings->nr == before &&
	    (walk.pages < image->nr_pages ||
	     (walk.pages > image->nr_pages && !image->nr_parents &&
	      !image->parents_unknown)))
		problem(findings, BAD_LEAVES_PAGES,
			"leaves map %llu pages, %llu are stored", walk.pages,
			image->nr_pages);
}
