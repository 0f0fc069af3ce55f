/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the checker share. */
#ifndef CXLFORK_FSCK_POOL_H
#define CXLFORK_FSCK_POOL_H

#include "fsck.h"
#include "image.h"

/**
 * struct family - the parents of a checkpoint
 * @known:	its image says so
 * @nr:		entries at @ids
 * @ids:	theirs
 */
struct family {
	bool	known;
	__u32	nr;
	__u64	ids[CXLFORK_MAX_PARENTS];
};

/**
 * struct fsck - a pool as it was read, all of it but the images at the start
 * @region:	where it is
 * @geo:	superblock
 * @slots:	all host slots
 * @owners:	extent table
 * @named:	for each extent the image that has it in its table, or 0
 * @families:	for each directory entry: its parents
 * @fenced:	a bit for each slot whose host is declared dead
 * @lives:	a bit for each slot whose host was seen to be alive
 * @counts:	see there
 * @findings:	see there
 */
struct fsck {
	const struct region	*region;
	struct geometry		geo;
	struct cxlfork_slot	*slots;
	__u64			*owners;
	__u64			*named;
	struct family		*families;
	__u32			fenced;
	__u32			lives;
	struct fsck_counts	*counts;
	struct findings		*findings;
};

static inline struct family *family_of(const struct fsck *f, __u32 slot,
				       __u32 idx)
{
	return &f->families[slot * CXLFORK_MAX_CKPTS + idx];
}

/* fsck_hosts.c: who has a slot, who is declared dead */
bool host_claimed(const struct fsck *f, __u32 slot);
__u64 host_state(const struct fsck *f, __u32 slot);
void take_fences(struct fsck *f);
void check_host(struct fsck *f, __u32 slot);

/* fsck_dir.c: directory entries and their images */
bool find_ckpt(const struct fsck *f, __u64 id, struct ckpt *ckpt);
void check_dir(struct fsck *f, __u32 slot);
void check_names(struct fsck *f);
void check_cycles(struct fsck *f);

/* fsck_holds.c: references and keeps */
bool ckpt_held(const struct fsck *f, const struct ckpt *ckpt);
void check_refs(struct fsck *f, __u32 slot);
void check_keeps(struct fsck *f, __u32 slot);

/* fsck_extents.c: the extent table */
void check_extents_of(struct fsck *f, const struct image *image);
void check_extents_limit(struct fsck *f, const struct ckpt *ckpt);
void check_etable(struct fsck *f);

#endif /* CXLFORK_FSCK_POOL_H */
