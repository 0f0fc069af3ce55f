/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Superblock, host slots and directory of a pool, read from the region and
 * checked; nothing of it is trusted.
 */
#ifndef CXLFORK_POOL_FORMAT_H
#define CXLFORK_POOL_FORMAT_H

#include "findings.h"
#include "region.h"
#include <linux/cxlfork.h>
#include <linux/cxlfork_format.h>

/* What the superblock says, checked. */
struct geometry {
	__u64	size;
	__u64	slots_off;
	__u64	etable_off;
	__u32	nr_extents;
	__u32	first_extent;
	__u32	nr_slots;
	__u32	flags;
	__u8	uuid[16];
};

enum super_state {
	SUPER_OK,
	SUPER_DAMAGED,		/* the findings say how */
	SUPER_NONE,		/* not formatted, foreign, or unreadable */
	SUPER_VERSION,		/* a version that isn't known here */
};

enum super_state super_load(const struct region *region, struct geometry *geo,
			    struct findings *findings);

/*
 * On a pool that isn't coherent each host claims extents in its own share only:
 * how many these are, and whether one is in the share of a slot.
 */
__u32 share_extents(const struct geometry *geo);
bool share_has(const struct geometry *geo, __u32 slot, __u32 extent);

/* Can the region start at this physical address? */
#define PHYS_END	BIT_ULL(52)
bool base_ok(const struct geometry *geo, __u64 base);

/* Check a head whose structure starts at @data; says what's wrong. */
bool check_head(struct findings *findings, const void *data,
		const struct cxlfork_head *head, __u32 magic, __u32 length);

/* Say that region_read() has failed to read @what.  Always returns false. */
bool unreadable(struct findings *findings, const char *what);

/* Is it NUL-terminated, without control characters? */
bool is_text(const __u8 *text, size_t size);

/* Offsets of a slot's parts. */
__u64 slot_off(const struct geometry *geo, __u32 slot);
__u64 entry_off(const struct geometry *geo, __u32 slot, __u32 idx);

/* One slot's all, read at once. */
bool slot_load(const struct region *region, const struct geometry *geo,
	       __u32 slot, struct cxlfork_slot *to);

/**
 * struct ckpt - a directory entry
 * @id:		by its place and generation
 * @state:	enum cxlfork_ckpt_state
 * @entry:	the rest; only to be believed after ckpt_check()
 */
struct ckpt {
	__u64				id;
	__u32				state;
	struct cxlfork_ckpt_entry	entry;
};

/* Read the entry that an id is about; false: it is about another one now. */
bool ckpt_load(const struct region *region, const struct geometry *geo,
	       __u64 id, struct ckpt *to);
/* Take an entry out of a slot that was read. */
void ckpt_take(const struct cxlfork_slot *from, __u32 slot, __u32 idx,
	       struct ckpt *to);
/*
 * Find what is meant: an entry of this id in any state but free, or else a live
 * one of this name, the caller's own or the only one.  0, -ENOENT, -ENOTUNIQ,
 * -ENOMEM; or the errno of a slot that can't be read, where it may be.
 */
int ckpt_find(const struct region *region, const struct geometry *geo,
	      const char *what, struct ckpt *found);
/* Check what the entry of a checkpoint says that is being written. */
bool ckpt_check_known(const struct geometry *geo, const struct ckpt *ckpt,
		      struct findings *findings);
/* Check what a published entry says. */
bool ckpt_check(const struct geometry *geo, const struct ckpt *ckpt,
		struct findings *findings);

#endif /* CXLFORK_POOL_FORMAT_H */
