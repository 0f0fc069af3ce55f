// SPDX-License-Identifier: GPL-2.0
/* The pool that is changed: the made-up one, with a 2 MiB page in its image, too. */
#include "seed.h"

#define EXTENT		5
#define ADDR		0xc00000ULL
#define DIRTY_OFF	(8192 + 8960)
#define ENTRY_BITS	(1ULL | 1 << 2 | 1 << 9 | 1ULL << 63)

void seed_build(void *mem)
{
	struct cxlfork_section *sec;
	struct cxlfork_fd *fds;
	struct synth s;
	int i;

	synth_build(&s, mem);
	s.etable[EXTENT] = SYNTH_ID;
	s.extents[2] = EXTENT;
	s.image->nr_extents = 3;
	s.entry->bytes += CXLFORK_EXTENT_SIZE;
	s.entry->pages += CXLFORK_LEAF_ENTRIES;
	s.image->nr_pages += CXLFORK_LEAF_ENTRIES;

	s.fds[FD_NULL].rdev = 0x103;
	fds = (void *)((__u8 *)s.child_image + ((__u8 *)s.fds - (__u8 *)s.image));
	fds[FD_NULL].rdev = 0x103;
	/* The stack stays the last mapping, and its leaf the last leaf. */
	s.vmas[VMA_STACK + 1] = s.vmas[VMA_STACK];
	s.vmas[VMA_STACK] = s.vmas[VMA_HEAP];
	s.vmas[VMA_STACK].start = ADDR;
	s.vmas[VMA_STACK].end = ADDR + CXLFORK_EXTENT_SIZE;
	sec = s.image->sections;
	sec[CXLFORK_SEC_VMAS].length += sizeof(s.vmas[0]);

	s.leaves[4] = s.leaves[3];
	s.leaves[3] = (struct cxlfork_leaf){
		.addr = ADDR,
		.nr_pages = CXLFORK_LEAF_ENTRIES,
		.flags = CXLFORK_LEAF_WHOLE | CXLFORK_LEAF_HUGE,
	};
	s.image->nr_leaves++;
	sec[CXLFORK_SEC_LEAVES].length += sizeof(s.leaves[0]);
	for (i = 0; i < CXLFORK_LEAF_ENTRIES; i++) {
		s.tables[4][i] = s.tables[3][i];
		s.tables[3][i] = (SYNTH_BASE + EXTENT * CXLFORK_EXTENT_SIZE +
				  i * 4096) | ENTRY_BITS;
	}
	/* No page of these two was written: where the bits lie is free. */
	sec[CXLFORK_SEC_DIRTY].offset = DIRTY_OFF;
	sec[CXLFORK_SEC_DIRTY].length += CXLFORK_LEAF_ENTRIES / 8;
	synth_seal(&s);
}
