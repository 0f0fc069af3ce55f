// SPDX-License-Identifier: GPL-2.0
/* The parents of an image: checkpoints whose pages its leaves map, too. */
#include <stdlib.h>

#include "image.h"
#include "le.h"

/* Find a parent's image; what is wrong with it itself is said elsewhere. */
static struct image *locate(const struct image *image,
			    const struct ckpt *child, __u64 id, __u64 first,
			    struct findings *findings)
{
	struct findings own = { 0 };
	struct image *parent;
	struct ckpt ckpt;

	if (!ckpt_load(image->region, image->geo, id, &ckpt) ||
	    (ckpt.state != CXLFORK_CKPT_LIVE &&
	     ckpt.state != CXLFORK_CKPT_RETIRING &&
	     ckpt.state != CXLFORK_CKPT_FREEING)) {
		problem(findings, BAD_PARENT_GONE,
			"parent 0x%llx does not exist", id);
		return NULL;
	}
	parent = malloc(sizeof(*parent));
	if (!parent) {
		no_memory(findings);
		return NULL;
	}
	if (!ckpt_check(image->geo, &ckpt, &own) ||
	    !image_locate(parent, image->region, image->geo, &ckpt, &own)) {
		problem(findings, BAD_PARENT_DAMAGED,
			"parent 0x%llx is damaged", id);
		free(parent);
		parent = NULL;
	} else if (le64(ckpt.entry.first) != first) {
		problem(findings, BAD_PARENT_FIRST,
			"parent 0x%llx: image at 0x%llx", id, first);
	}
	if (parent && ckpt.entry.uid != child->entry.uid)
		problem(findings, BAD_PARENT_OWNER,
			"parent 0x%llx is uid %u's, this one uid %u's", id,
			le32(ckpt.entry.uid), le32(child->entry.uid));
	if (own.no_memory)
		no_memory(findings);
	findings_free(&own);
	return parent;
}

void image_open_parents(struct image *image, const struct ckpt *ckpt,
			struct findings *findings)
{
	const struct section *sec = &image->sec[CXLFORK_SEC_PARENTS];
	const struct cxlfork_parent *list = sec->data;
	__u64 last = 0;
	__u32 i;

	image->parents_unknown = !list || sec->nr > CXLFORK_MAX_PARENTS;
	if (list && sec->nr != le32(ckpt->entry.nr_parents))
		problem(findings, BAD_PARENT_COUNT,
			"%u parents, the directory says %u", sec->nr,
			le32(ckpt->entry.nr_parents));
	if (image->parents_unknown)
		return;
	for (i = 0; i < sec->nr; i++) {
		__u64 id = le64(list[i].id);
		struct parent *parent = &image->parents[image->nr_parents++];

		parent->id = id;
		if (i && id <= last)
			problem(findings, BAD_PARENT_ORDER,
				"parent 0x%llx follows 0x%llx", id, last);
		last = id;
		if (id == ckpt->id)
			problem(findings, BAD_PARENT_SELF,
				"it is its own parent");
		else
			parent->image = locate(image, ckpt, id,
					       le64(list[i].first), findings);
	}
}

void image_close_parents(struct image *image)
{
	__u32 i;

	for (i = 0; i < image->nr_parents; i++) {
		if (image->parents[i].image)
			image_close(image->parents[i].image);
		free(image->parents[i].image);
		image->parents[i].image = NULL;
	}
	image->nr_parents = 0;
}

bool parents_have_page(const struct image *image, __u64 offset)
{
	__u32 i;

	if (image->parents_unknown)
		return true;
	for (i = 0; i < image->nr_parents; i++) {
		const struct parent *parent = &image->parents[i];

		if (parent->id != image->id &&
		    (!parent->image || image_has_page(parent->image, offset)))
			return true;
	}
	return false;
}
