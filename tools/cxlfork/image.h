/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The image of a checkpoint, read from the region; it is hostile until
 * checked.  image_open() makes the tables safe to walk: what is in them is for
 * image_check().
 */
#ifndef CXLFORK_IMAGE_H
#define CXLFORK_IMAGE_H

#include "pool_format.h"

#define PAGE_BYTES		4096ULL
#define LEAF_BYTES		(CXLFORK_LEAF_ENTRIES * PAGE_BYTES)
#define USER_END		0x7ffffffff000ULL	/* TASK_SIZE_MAX */
#define NOT_OURS		0xffffffffU

/**
 * struct section - a section, read into local memory
 * @data:	its bytes, @nr entries; NULL: none or unusable
 * @length:	bytes
 * @nr:		entries
 */
struct section {
	void	*data;
	__u64	length;
	__u32	nr;
};

struct image;

/**
 * struct parent - a checkpoint whose pages the leaves map, too
 * @id:		of it
 * @image:	its image, header and extents only; NULL: unusable
 */
struct parent {
	__u64		id;
	struct image	*image;
};

/**
 * struct image - an image
 * @region:	where it is
 * @id:		of the checkpoint
 * @geo:	of the pool
 * @header:	local copy, its head and the numbers below checked
 * @extents:	extents of the image
 * @nr_extents:	how many
 * @place:	for each extent of the pool: which of the image, or NOT_OURS
 * @size:	logical bytes
 * @leaves_off:	logical offset of the leaf tables
 * @data_off:	logical offset of the data pages
 * @phys_base:	base of the region in leaf entries
 * @nr_leaves:	leaf tables
 * @nr_pages:	data pages
 * @sec:	the sections
 * @nr_parents:	entries at @parents
 * @parents:	those it names, in its order
 * @parents_unknown: it isn't known which these are
 */
struct image {
	const struct region	*region;
	const struct geometry	*geo;
	__u64			id;
	struct cxlfork_image	header;
	__u32			*extents;
	__u32			nr_extents;
	__u32			*place;
	__u64			size;
	__u64			leaves_off;
	__u64			data_off;
	__u64			phys_base;
	__u64			nr_leaves;
	__u64			nr_pages;
	struct section		sec[CXLFORK_NR_SECTIONS];
	__u32			nr_parents;
	struct parent		parents[CXLFORK_MAX_PARENTS];
	bool			parents_unknown;
};

/*
 * Open the image of a checkpoint whose entry was checked.  False: it makes no
 * sense at all.  Sections that can't be used are left empty; the findings say
 * why.
 */
bool image_open(struct image *image, const struct region *region,
		const struct geometry *geo, const struct ckpt *ckpt,
		struct findings *findings);
void image_close(struct image *image);

/* Only the header and where the image is: no sections, no parents. */
bool image_locate(struct image *image, const struct region *region,
		  const struct geometry *geo, const struct ckpt *ckpt,
		  struct findings *findings);

/* Parts of image_open() and image_close(). */
void image_open_parents(struct image *image, const struct ckpt *ckpt,
			struct findings *findings);
void image_close_parents(struct image *image);

/* Bytes of the image by logical offset. */
bool image_read(const struct image *image, __u64 offset, void *to, size_t size);

/* Check all that is in the sections and leaf tables. */
void image_check(const struct image *image, struct findings *findings);

const char *section_name(unsigned int type);

/* The string at @offset, or NULL. */
const char *image_string(const struct image *image, __u32 offset);

/* One table of leaf entries. */
bool image_leaf(const struct image *image, __u64 leaf, __le64 *entries);

/* Is there a data page of the image at this offset of the region? */
bool image_has_page(const struct image *image, __u64 offset);
/* One of a parent's?  A parent that is unusable may have any page. */
bool parents_have_page(const struct image *image, __u64 offset);

/* Region offset that a leaf entry maps. */
__u64 entry_target(const struct image *image, __u64 entry);

/* Do pages of such a mapping travel with the image? */
bool vma_has_pages(__u32 flags);

/* The sections as what they are. */
static inline const struct cxlfork_task *image_task(const struct image *image)
{
	return image->sec[CXLFORK_SEC_TASK].data;
}

static inline const struct cxlfork_mm_state *
image_mm(const struct image *image)
{
	return image->sec[CXLFORK_SEC_MM].data;
}

static inline const struct cxlfork_vma *image_vmas(const struct image *image)
{
	return image->sec[CXLFORK_SEC_VMAS].data;
}

static inline const struct cxlfork_file *image_files(const struct image *image)
{
	return image->sec[CXLFORK_SEC_FILES].data;
}

static inline const struct cxlfork_fd *image_fds(const struct image *image)
{
	return image->sec[CXLFORK_SEC_FDS].data;
}

static inline const struct cxlfork_leaf *image_leaves(const struct image *image)
{
	return image->sec[CXLFORK_SEC_LEAVES].data;
}

/* Parts of image_check(). */
void check_state(const struct image *image, struct findings *findings);
void check_vmas(const struct image *image, struct findings *findings);
void check_files(const struct image *image, struct findings *findings);
void check_leaves(const struct image *image, struct findings *findings);

#endif /* CXLFORK_IMAGE_H */
