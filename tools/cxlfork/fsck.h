/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The checker of a whole pool.  It knows the format only, not what the kernel
 * does; nothing is shared with the kernel but the header that defines it.
 */
#ifndef CXLFORK_FSCK_H
#define CXLFORK_FSCK_H

#include "pool_format.h"

/**
 * struct fsck_counts - what was looked at
 * @hosts:	slots that are claimed
 * @ckpts:	directory entries in use
 * @images:	images that could be opened
 * @parents:	parents that these name, together
 * @extents_used: extents of checkpoints
 * @extents_free: those of nobody
 * @leaves:	leaf tables
 * @pages:	data pages
 * @refs:	references that count
 * @doubts:	what is right only if the host that wrote it is dead; another
 *		look, with the same struct fsck_pulse, tells
 */
struct fsck_counts {
	__u32	hosts;
	__u32	ckpts;
	__u32	images;
	__u32	parents;
	__u32	extents_used;
	__u32	extents_free;
	__u64	leaves;
	__u64	pages;
	__u64	refs;
	__u32	doubts;
};

/**
 * struct fsck_pulse - who was seen to live; all zero before the first look
 * @taken:	the first look has been
 * @heartbeat:	of each host then
 */
struct fsck_pulse {
	bool	taken;
	__u64	heartbeat[CXLFORK_MAX_SLOTS];
};

/*
 * Check everything.  What isn't SUPER_OK or SUPER_DAMAGED can't be checked;
 * then the findings say why.
 */
enum super_state fsck_run(const struct region *region,
			  struct fsck_pulse *pulse, struct fsck_counts *counts,
			  struct findings *findings);

#endif /* CXLFORK_FSCK_H */
