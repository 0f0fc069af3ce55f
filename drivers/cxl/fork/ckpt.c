// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoints while they are written: reserve, publish, give up.
 */
#include <linux/mm.h>
#include <linux/slab.h>

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

static int cxlf_reserve(struct cxlf_dev *cd, struct cxlfork_ckpt *ckpt,
			const struct cxlfork_ckpt_attr *attr, u64 *missing)
{
	u32 short_of = 0, idx;
	int err;

	err = cxlf_claim_entry(cd, attr, ckpt->bytes, &idx, missing);
	if (err)
		return err;
	ckpt->id = CXLFORK_ID(cd->own[idx].gen, cd->slot, idx);
	err = cxlf_keeps_raise(cd, idx);
	if (err)
		goto err_entry;
	err = cxlf_extents_claim(cd, ckpt->id, ckpt->nr_extents, ckpt->extents,
				 &short_of);
	if (err) {
		*missing = (u64)short_of << CXLFORK_EXTENT_SHIFT;
		goto err_entry;
	}
	err = cxlf_guard_extents(cd, ckpt->extents, ckpt->nr_extents, false);
	if (err)
		goto err_extents;
	ckpt->first = (u64)ckpt->extents[0] << CXLFORK_EXTENT_SHIFT;
	return 0;

err_extents:
	cxlf_guard_extents(cd, ckpt->extents, ckpt->nr_extents, true);
	cxlf_extents_drop(cd, ckpt->id, ckpt->extents, ckpt->nr_extents);
err_entry:
	cxlf_entry_give_up(cd, idx);
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
 * @missing: with -ENOSPC: bytes that are missing, 0: no directory entry is free;
 *	with -EDQUOT: bytes beyond the quota
 *
 * Nothing but the entry and the extent table is written.
 * The extents are writable by this host until cxlf_publish() or cxlf_abort().
 *
 * Context: process context, sleeps; takes live and cd->lock.
 * Return: it, or -ENODEV: no pool is attached; -EINVAL: not a size, a name or
 * a mode; -EEXIST, -EDQUOT: see cxlf_claim_entry(); -ESTALE: a parent can't be
 * kept; -ENOSPC; -EFBIG: no image can be as large; -ENOMEM; -EIO.
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
	    attr->nr_parents > CXLFORK_MAX_PARENTS ||
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
	u32 idx = CXLFORK_ID_IDX(ckpt->id);
	struct cxlf_entry *e = &cd->own[idx];

	cxlf_store(cd, cxlf_expires_off(cd, cd->slot, idx),
		   cxlf_expiry(e->ttl));
	if (e->pin)
		cxlf_keep_store(cd, cd->slot, idx, CXLFORK_KEEP(e->gen, 1, 0));
	/* The image, the entry - and only then the word. */
	cxlf_entry_seal(cd, idx, ckpt->first);
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
		/* What came after the pool was lost was not stored. */
		lost = READ_ONCE(cd->lost);
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
	cxlf_entry_give_up(cd, CXLFORK_ID_IDX(ckpt->id));
	mutex_unlock(&cd->lock);
	cxlf_handle_free(ckpt);
	up_read(&cd->live);
}
