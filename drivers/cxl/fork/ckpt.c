// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoints while they are written: reserve, publish, give up.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "fork.h"

/**
 * cxlf_handle_alloc - a handle of a checkpoint, for the core
 * @cd: pool
 *
 * The region stays mapped, and this host attached, as long as it exists.
 *
 * Context: process context, sleeps; caller is between cxlf_enter() and
 * cxlf_leave().
 * Return: it, -ENOMEM, or -ENODEV: the region is going away.
 */
struct cxlfork_ckpt *cxlf_handle_alloc(struct cxlf_dev *cd)
{
	struct cxlfork_ckpt *ckpt;

	ckpt = kzalloc(sizeof(*ckpt), GFP_KERNEL);
	if (!ckpt)
		return ERR_PTR(-ENOMEM);
	if (!get_dev_pagemap(PHYS_PFN(cd->base), NULL)) {
		kfree(ckpt);
		return ERR_PTR(-ENODEV);
	}
	ckpt->pool = &cd->pool;
	atomic_inc(&cd->handles);
	return ckpt;
}

/**
 * cxlf_handle_free - the end of a handle
 * @ckpt: from cxlf_handle_alloc()
 *
 * Context: process context, sleeps; caller holds live for read.
 */
void cxlf_handle_free(struct cxlfork_ckpt *ckpt)
{
	struct cxlf_dev *cd = to_cxlf_dev(ckpt->pool);

	kvfree(ckpt->extents);
	kfree(ckpt);
	put_dev_pagemap(&cd->pgmap);
	if (atomic_dec_and_test(&cd->handles))
		wake_up(&cd->idle);
}

static bool cxlf_name_taken(struct cxlf_dev *cd, const char *name, u32 uid)
{
	struct cxlf_entry *e;

	for (e = cd->own; e < cd->own + CXLFORK_MAX_CKPTS; e++)
		if (!e->damaged &&
		    (e->state == CXLFORK_CKPT_WRITING ||
		     e->state == CXLFORK_CKPT_LIVE) &&
		    e->uid == uid && !strcmp(e->name, name))
			return true;
	return false;
}

static int cxlf_entry_pick(struct cxlf_dev *cd)
{
	struct cxlf_entry *e;

	for (e = cd->own; e < cd->own + CXLFORK_MAX_CKPTS; e++)
		if (!e->damaged && e->state == CXLFORK_CKPT_FREE &&
		    e->gen < CXLFORK_GEN_MAX)
			return e - cd->own;
	return -ENOSPC;
}

static int cxlf_reserve(struct cxlf_dev *cd, struct cxlfork_ckpt *ckpt,
			const struct cxlfork_ckpt_attr *attr, u64 *missing)
{
	struct cxlf_entry *e;
	u32 short_of = 0;
	int idx, err;

	if (attr->name[0] && cxlf_name_taken(cd, attr->name, attr->uid))
		return -EEXIST;
	idx = cxlf_entry_pick(cd);
	if (idx < 0)
		return idx;

	e = &cd->own[idx];
	e->gen++;
	e->uid = attr->uid;
	e->gid = attr->gid;
	e->mode = attr->mode;
	e->pages = attr->pages;
	strscpy(e->name, attr->name, sizeof(e->name));
	ckpt->id = CXLFORK_ID(e->gen, cd->slot, idx);
	cxlf_entry_word(cd, idx, CXLFORK_CKPT_WRITING);

	err = cxlf_extents_claim(cd, ckpt->id, ckpt->nr_extents, ckpt->extents,
				 &short_of);
	if (err) {
		*missing = (u64)short_of << CXLFORK_EXTENT_SHIFT;
		goto err_word;
	}
	err = cxlf_guard_extents(cd, ckpt->extents, ckpt->nr_extents, false);
	if (err)
		goto err_extents;
	ckpt->first = (u64)ckpt->extents[0] << CXLFORK_EXTENT_SHIFT;
	return 0;

err_extents:
	cxlf_guard_extents(cd, ckpt->extents, ckpt->nr_extents, true);
	cxlf_extents_drop(cd, ckpt->id, ckpt->extents, ckpt->nr_extents);
err_word:
	cxlf_entry_word(cd, idx, CXLFORK_CKPT_FREE);
	return err;
}

/* How many extents an image takes, and whether there are as many. */
static int cxlf_fits(struct cxlf_dev *cd, u64 bytes, u32 *nr, u64 *missing)
{
	u64 need = (bytes - 1) / CXLFORK_EXTENT_SIZE + 1;
	u32 free;
	int err;

	err = cxlf_extents_count(cd, NULL, &free);
	if (err)
		return err;
	if (need > free) {
		*missing = (need - free) << CXLFORK_EXTENT_SHIFT;
		return -ENOSPC;
	}
	if (need > CXLF_IMAGE_EXTENTS)
		return -EFBIG;
	*nr = need;
	return 0;
}

/**
 * cxlf_create - reserve what a checkpoint needs
 * @pool: pool
 * @attr: what it is to be
 * @missing: with -ENOSPC: bytes that are missing, 0: no directory entry is free
 *
 * Nothing but the entry's publication word and the extent table is written.
 * The extents are writable by this host until cxlf_publish() or cxlf_abort().
 *
 * Context: process context, sleeps; takes live and cd->lock.
 * Return: it, or -ENODEV: no pool is attached; -EINVAL: not a size, a name or
 * a mode; -EEXIST: this host has one of this name and owner; -ENOSPC; -EFBIG:
 * no image can be as large; -ENOMEM; -EIO.
 */
struct cxlfork_ckpt *cxlf_create(struct cxlfork_pool *pool,
				 const struct cxlfork_ckpt_attr *attr,
				 u64 *missing)
{
	struct cxlf_dev *cd = to_cxlf_dev(pool);
	struct cxlfork_ckpt *ckpt;
	int err;
	u32 nr;

	*missing = 0;
	if (!attr->bytes || attr->bytes > S64_MAX || attr->mode & ~0777 ||
	    !cxlf_name_ok(attr->name, sizeof(attr->name)))
		return ERR_PTR(-EINVAL);
	err = cxlf_enter(cd);
	if (err)
		return ERR_PTR(err);
	err = cxlf_fits(cd, attr->bytes, &nr, missing);
	if (err)
		goto err_leave;
	ckpt = cxlf_handle_alloc(cd);
	if (IS_ERR(ckpt)) {
		err = PTR_ERR(ckpt);
		goto err_leave;
	}
	ckpt->uid = attr->uid;
	ckpt->gid = attr->gid;
	ckpt->mode = attr->mode;
	ckpt->nr_extents = nr;
	ckpt->bytes = (u64)nr << CXLFORK_EXTENT_SHIFT;
	ckpt->extents = kvmalloc_array(nr, sizeof(*ckpt->extents), GFP_KERNEL);
	if (!ckpt->extents) {
		err = -ENOMEM;
		goto err_free;
	}
	mutex_lock(&cd->lock);
	err = cxlf_reserve(cd, ckpt, attr, missing);
	mutex_unlock(&cd->lock);
	if (err)
		goto err_free;
	cxlf_leave(cd);
	return ckpt;

err_free:
	cxlf_handle_free(ckpt);
err_leave:
	cxlf_leave(cd);
	return ERR_PTR(err);
}

static void cxlf_entry_publish(struct cxlf_dev *cd, struct cxlfork_ckpt *ckpt)
{
	const size_t head = offsetof(struct cxlfork_ckpt_entry, head);
	u32 idx = CXLFORK_ID_IDX(ckpt->id);
	struct cxlf_entry *e = &cd->own[idx];
	struct cxlfork_ckpt_entry entry = {
		.id	 = cpu_to_le64(ckpt->id),
		.first	 = cpu_to_le64(ckpt->first),
		.bytes	 = cpu_to_le64(ckpt->bytes),
		.pages	 = cpu_to_le64(e->pages),
		.created = cpu_to_le64(ktime_get_real_seconds()),
		.uid	 = cpu_to_le32(e->uid),
		.gid	 = cpu_to_le32(e->gid),
		.mode	 = cpu_to_le32(e->mode),
	};

	memcpy(entry.name, e->name, sizeof(entry.name));
	cxlf_head_seal(&entry.head, &entry.head, CXLFORK_MAGIC_CKPT,
		       sizeof(entry) - head);
	cxlf_write(cd, cxlf_entry_off(cd, cd->slot, idx) + head, &entry.head,
		   sizeof(entry) - head);
	/* The image, the entry - and only then the word. */
	cxlf_fence();
	cxlf_entry_word(cd, idx, CXLFORK_CKPT_LIVE);
}

/**
 * cxlf_publish - make a checkpoint LIVE
 * @ckpt: from cxlf_create(), its image written by non-temporal stores; freed,
 *	whatever is returned
 *
 * From now on all hosts can restore it, and no byte of it changes.
 *
 * Context: process context, sleeps; takes live and cd->lock.
 * Return: 0, or -ESTALE: somebody has formatted the region under this host.
 */
int cxlf_publish(struct cxlfork_ckpt *ckpt)
{
	struct cxlf_dev *cd = to_cxlf_dev(ckpt->pool);
	bool lost;

	down_read(&cd->live);
	if (cxlf_guard_extents(cd, ckpt->extents, ckpt->nr_extents, true))
		dev_warn_ratelimited(cd->dev, "checkpoint %#llx stays writable on this host\n",
				     ckpt->id);
	mutex_lock(&cd->lock);
	lost = cxlf_slot_lost(cd);
	if (!lost) {
		cxlf_entry_publish(cd, ckpt);
		cxlf_tcg_wrote(cd, ckpt);
	}
	mutex_unlock(&cd->lock);
	cxlf_handle_free(ckpt);
	up_read(&cd->live);
	return lost ? -ESTALE : 0;
}

/**
 * cxlf_abort - give up a checkpoint that is being written
 * @ckpt: from cxlf_create(); freed
 *
 * Context: process context, sleeps; takes live and cd->lock.
 */
void cxlf_abort(struct cxlfork_ckpt *ckpt)
{
	struct cxlf_dev *cd = to_cxlf_dev(ckpt->pool);

	down_read(&cd->live);
	mutex_lock(&cd->lock);
	cxlf_guard_extents(cd, ckpt->extents, ckpt->nr_extents, true);
	cxlf_extents_drop(cd, ckpt->id, ckpt->extents, ckpt->nr_extents);
	cxlf_entry_word(cd, CXLFORK_ID_IDX(ckpt->id), CXLFORK_CKPT_FREE);
	mutex_unlock(&cd->lock);
	cxlf_handle_free(ckpt);
	up_read(&cd->live);
}
