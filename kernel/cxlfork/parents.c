// SPDX-License-Identifier: GPL-2.0
/*
 * Opening the parents of a checkpoint: those whose pages its leaves map beside its
 * own.
 *
 * Nobody refers to parents: they are kept by the host that has the child in its
 * directory, as long as it is there; and the child stays as long as somebody
 * refers to it.  A parent has to have the same owner as its child, so that no image
 * can name what its owner could not restore.
 */
#include <linux/cxlfork.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "crc.h"

static int cxlfork_bad_parent(struct cxlfork_log *log, u64 id, const char *why)
{
	cxlfork_obstacle(log, CXLFORK_REASON_IMAGE,
			 "the checkpoint is damaged: its parent %#llx %s", id, why);
	return -EUCLEAN;
}

static bool cxlfork_image_is(const struct cxlfork_image *image,
			     const struct cxlfork_ckpt *ckpt)
{
	return le32_to_cpu(image->head.magic) == CXLFORK_MAGIC_IMAGE &&
	       le32_to_cpu(image->head.version) == CXLFORK_FORMAT_VERSION &&
	       le32_to_cpu(image->head.length) == sizeof(*image) &&
	       le32_to_cpu(image->head.crc) ==
			cxlfork_head_crc(&image->head, sizeof(*image)) &&
	       le64_to_cpu(image->id) == ckpt->id &&
	       le32_to_cpu(image->nr_extents) == ckpt->nr_extents;
}

/* What may be mapped of a parent: its extents. */
static int cxlfork_parent_extents(struct cxlfork_template *t, const struct cxlfork_ckpt *parent,
				  struct cxlfork_log *log)
{
	struct cxlfork_pool *pool = t->pool;
	struct cxlfork_image *image;
	int ret = -ENOMEM;
	const char *what;
	u32 *extents;

	image = kvmalloc(sizeof(*image), GFP_KERNEL_ACCOUNT);
	extents = kvmalloc_array(parent->nr_extents, sizeof(*extents), GFP_KERNEL_ACCOUNT);
	if (!image || !extents)
		goto out;
	pool->ops->refresh(pool, parent->first >> CXLFORK_EXTENT_SHIFT);
	if (pool->ops->read(pool, parent->first, image, sizeof(*image))) {
		ret = cxlfork_bad_parent(log, parent->id, "can't be read (memory error)");
		goto out;
	}
	ret = 0;
	what = cxlfork_image_is(image, parent) ?
		cxlfork_read_table(pool, parent, image, extents, t->space.extents) :
		"its header is wrong";
	if (what)
		ret = cxlfork_bad_parent(log, parent->id, what);
out:
	kvfree(extents);
	kvfree(image);
	return ret;
}

static int cxlfork_open_parent(struct cxlfork_template *t, const struct cxlfork_parent *raw,
			       struct cxlfork_log *log)
{
	u64 id = le64_to_cpu(raw->id);
	struct cxlfork_ckpt parent;
	int ret;

	ret = t->pool->ops->parent(t->pool, t->id, id, &parent);
	if (ret == -ENOENT)
		return cxlfork_bad_parent(log, id, "does not exist");
	if (ret == -EUCLEAN)
		return cxlfork_bad_parent(log, id, "is damaged, or is not kept");
	if (ret) {
		cxlfork_obstacle(log, CXLFORK_REASON_POOL,
				 "the pool can't give parent %#llx (error %d)", id, -ret);
		return ret;
	}
	if (parent.uid != t->ckpt->uid)
		return cxlfork_bad_parent(log, id, "belongs to another user");
	if (parent.first != le64_to_cpu(raw->first))
		return cxlfork_bad_parent(log, id, "is in another place");
	return cxlfork_parent_extents(t, &parent, log);
}

/**
 * cxlfork_template_parents - open the parents of a checkpoint
 * @t:		the template: referred to, its extents and sections are read
 * @log:	gets the reason if that can't be
 *
 * Their extents are added to where the leaves may point.
 *
 * Context: process context, sleeps.
 * Return: 0, -EUCLEAN, -ENOMEM or another -errno of the pool.
 */
int cxlfork_template_parents(struct cxlfork_template *t, struct cxlfork_log *log)
{
	const struct cxlfork_parent *raw = t->sec[CXLFORK_SEC_PARENTS].data;
	u32 nr = t->sec[CXLFORK_SEC_PARENTS].nr, i;
	u64 id, last = 0;
	int ret;

	/* They are kept as long as the directory says that there are so many. */
	if (nr > CXLFORK_MAX_PARENTS || nr != t->ckpt->nr_parents) {
		cxlfork_obstacle(log, CXLFORK_REASON_IMAGE,
				 "the checkpoint is damaged: it has %u parents, and %u in the directory",
				 nr, t->ckpt->nr_parents);
		return -EUCLEAN;
	}
	for (i = 0; i < nr; i++) {
		id = le64_to_cpu(raw[i].id);
		if (id <= last || id == t->id)
			return cxlfork_bad_parent(log, id, "must not be one");
		ret = cxlfork_open_parent(t, &raw[i], log);
		if (ret)
			return ret;
		last = id;
	}
	return 0;
}
