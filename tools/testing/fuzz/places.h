/* SPDX-License-Identifier: GPL-2.0 */
/* Where the structures of a pool lie, as found while it was right. */
#ifndef FUZZ_PLACES_H
#define FUZZ_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <linux/cxlfork.h>
#include <linux/cxlfork_format.h>

#define PLACES_EXTENTS	4096

/**
 * struct places - a pool and one checkpoint of it
 * @mem:	the region
 * @size:	its bytes
 * @id:		of the checkpoint
 * @super:	as it was
 * @entry_off:	of the directory entry
 * @image:	header, as it was
 * @extents:	as they were
 * @nr_extents:	how many
 */
struct places {
	__u8			*mem;
	__u64			size;
	__u64			id;
	struct cxlfork_super	super;
	__u64			entry_off;
	struct cxlfork_image	image;
	__u32			extents[PLACES_EXTENTS];
	__u32			nr_extents;
};

/* Return: NULL, or what is wrong. */
const char *places_find(struct places *p, void *mem, __u64 size, __u64 id);
/* Offset in the region of a logical offset of the image, which is inside. */
__u64 places_image(const struct places *p, __u64 logical);
/* Offset in the region of a slot. */
__u64 places_slot(const struct places *p, __u32 slot);

#endif /* FUZZ_PLACES_H */
