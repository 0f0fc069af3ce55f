/* SPDX-License-Identifier: GPL-2.0 */
/* The checker of a whole pool. */
#ifndef CXLFORK_FSCK_H
#define CXLFORK_FSCK_H

#include "pool_format.h"

/* What was looked at. */
struct fsck_counts {
	__u32	hosts;
	__u32	ckpts;
	__u32	images;
	__u32	extents_used;
	__u32	extents_free;
	__u64	leaves;
	__u64	pages;
};

/*
 * Check everything.  What isn't SUPER_OK or SUPER_DAMAGED can't be checked;
 * then the findings say why.
 */
enum super_state fsck_run(const struct region *region,
			  struct fsck_counts *counts,
			  struct findings *findings);

#endif /* CXLFORK_FSCK_H */
