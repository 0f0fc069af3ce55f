/* SPDX-License-Identifier: GPL-2.0 */
/* Changes to a pool that was right, as a hostile host might make them. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include "places.h"

/**
 * struct input - what decides: bytes of the fuzzer, or of a random generator
 * @at:		what is left
 * @left:	bytes of it; after the end all are zero
 */
struct input {
	const __u8	*at;
	size_t		left;
};

__u32 input_u8(struct input *in);
__u32 input_u16(struct input *in);
__u64 input_u64(struct input *in);

#define MUTATE_LOG	65536

/**
 * struct mutate - changes to a pool
 * @p:		the pool
 * @mirror:	changed likewise, or NULL: tells these changes from others'
 * @bytes:	what was there before, and is now
 * @nr:		how many of them
 * @spare:	a slot that isn't touched: what its host writes is not to be undone;
 *		or -1
 * @about:	the last change, for people
 */
struct mutate {
	struct places	*p;
	__u8		*mirror;
	struct {
		__u64	off;
		__u8	was, is;
	}		bytes[MUTATE_LOG];
	__u32		nr;
	int		spare;
	char		about[160];
};

/* What is changed. */
enum mutate_kind {
	MUTATE_POOL	= 1,	/* superblock, slots, directories, extent table */
	MUTATE_DIR	= 2,	/* of these, what concerns checkpoints */
	MUTATE_IMAGE	= 4,	/* header and sections: what has a checksum */
	MUTATE_LEAVES	= 8,
	MUTATE_PAGES	= 16,	/* data pages: anything goes */
};

/* One change. */
void mutate_one(struct mutate *m, struct input *in, unsigned int kinds);
/* Checksums are right again, as far as what they cover can be found. */
void mutate_seal(struct mutate *m, unsigned int kinds);
/* It is another checkpoint from now on, the @gen-th of its directory entry. */
void mutate_renew(struct mutate *m, __u64 gen);
/* All is as it was, but for what somebody else has changed meanwhile. */
void mutate_undo(struct mutate *m);

#endif /* FUZZ_MUTATE_H */
