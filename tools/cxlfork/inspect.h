/* SPDX-License-Identifier: GPL-2.0 */
/* A checkpoint that is shown. */
#ifndef CXLFORK_INSPECT_H
#define CXLFORK_INSPECT_H

#include "cli.h"
#include "image.h"

/**
 * struct view - what is shown
 * @ckpt:	directory entry
 * @image:	its image
 * @vma_pages:	for each mapping: data pages in it
 * @whole:	leaves that can be attached as they are
 * @huge:	leaves that are one page of 2 MiB
 * @dirty:	pages that the parent wrote
 * @parent_pages: for each parent: pages of it that are mapped
 * @leaves:	list each leaf
 */
struct view {
	struct ckpt	ckpt;
	struct image	image;
	__u64		*vma_pages;
	__u64		whole;
	__u64		huge;
	__u64		dirty;
	__u64		parent_pages[CXLFORK_MAX_PARENTS];
	bool		leaves;
};

const char *fd_kind_name(__u32 kind);

/* "rwxp" and so on; @buf has 5 bytes. */
const char *vma_perms(const struct cxlfork_vma *vma, char *buf);

/* The flags of a mapping that are not in its permissions, one name after the
 * other from *@flags; NULL: no more.
 */
const char *next_vma_flag(__u32 *flags);

/* Name of a mapped file or a special mapping, as it is; "" if none. */
const char *vma_label(const struct view *view, const struct cxlfork_vma *vma);

void print_view(const struct view *view, const struct findings *findings);
void print_view_json(const struct view *view, const struct findings *findings);

#endif /* CXLFORK_INSPECT_H */
