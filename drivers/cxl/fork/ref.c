// SPDX-License-Identifier: GPL-2.0
/*
 * References on checkpoints of any host.
 *
 * The restorer raises its own word, then looks again whether the checkpoint is
 * LIVE; the owner says RETIRING, then looks at everybody's words.  With a full
 * barrier between the two on either side one of them sees the other.
 */
#include <linux/err.h>
#include <linux/timekeeping.h>

#include "fork.h"

/**
 * cxlf_id_split - where the directory entry of a checkpoint is
 * @cd: pool
 * @id: of the checkpoint
 * @slot: of the host that has it in its directory
 * @idx: its entry there
 * @gen: generation of the entry
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: whether the id can be one.
 */
bool cxlf_id_split(struct cxlf_dev *cd, u64 id, u32 *slot, u32 *idx, u64 *gen)
{
	int s = CXLFORK_ID_SLOT(id);

	*idx = CXLFORK_ID_IDX(id);
	*gen = CXLFORK_ID_GEN(id);
	*slot = s;
	return s >= 0 && s < cd->geo.nr_slots && *idx < CXLFORK_MAX_CKPTS &&
	       *gen && *gen <= CXLFORK_GEN_MAX;
}

/**
 * cxlf_ref_store - write this host's reference word for an entry
 * @cd: pool
 * @owner: slot of the directory
 * @idx: entry in it
 * @ref: CXLFORK_REF()
 *
 * Context: any; caller holds cd->lock.
 */
void cxlf_ref_store(struct cxlf_dev *cd, u32 owner, u32 idx, u64 ref)
{
	cd->refs[owner][idx] = ref;
	cxlf_store(cd, cxlf_ref_off(cd, cd->slot, owner, idx), ref);
}

/**
 * cxlf_ref_of - this host's reference word for a generation of an entry
 * @cd: pool
 * @owner: slot of the directory
 * @idx: entry in it
 * @gen: generation
 * @ref: the word
 *
 * Context: any; caller holds cd->lock.
 * Return: 0, or -EIO: it still refers to another generation, which its owner
 * should not have freed.
 */
int cxlf_ref_of(struct cxlf_dev *cd, u32 owner, u32 idx, u64 gen, u64 *ref)
{
	*ref = cd->refs[owner][idx];
	if (CXLFORK_REF_GEN(*ref) == gen)
		return 0;
	if (CXLFORK_REF_COUNT(*ref)) {
		dev_err_ratelimited(cd->dev, "slot %u has reused directory entry %u, which this host refers to\n",
				    owner, idx);
		return -EIO;
	}
	*ref = CXLFORK_REF(gen, 0, 0);
	return 0;
}

static void cxlf_ref_lower(struct cxlf_dev *cd, u32 owner, u32 idx)
{
	u64 ref = cd->refs[owner][idx];

	if (WARN_ON_ONCE(!CXLFORK_REF_COUNT(ref)))
		return;
	cxlf_ref_store(cd, owner, idx, ref - 1);
}

/**
 * cxlf_refs_load - take the reference table over from the last boot
 * @cd: pool
 *
 * What was mapped then is gone: drops all references.  Wishes to delete stay.
 *
 * Context: process context; caller holds admin and cd->lock, the slot is this
 * host's.
 */
void cxlf_refs_load(struct cxlf_dev *cd)
{
	u32 owner, idx;
	u64 was, ref;

	for (owner = 0; owner < CXLFORK_MAX_SLOTS; owner++) {
		for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
			/* Of this line something will be written one day. */
			cxlf_load(cd, cxlf_restored_off(cd, cd->slot, owner, idx));
			was = cxlf_load(cd, cxlf_ref_off(cd, cd->slot, owner,
							 idx));
			ref = was - CXLFORK_REF_COUNT(was);
			cd->refs[owner][idx] = ref;
			if (ref != was)
				cxlf_ref_store(cd, owner, idx, ref);
		}
	}
}

/* With the reference raised: is it there, and does it make sense? */
static int cxlf_get_checked(struct cxlf_dev *cd, struct cxlfork_ckpt *ckpt,
			    u32 slot, u32 idx, u64 gen)
{
	struct cxlfork_ckpt_entry entry;
	u32 extent;
	int err;

	if (cxlf_load(cd, cxlf_entry_off(cd, slot, idx)) !=
	    CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE))
		return -ENOENT;
	if (cxlf_entry_expired(cd, slot, idx, gen))
		return -ETIME;
	err = cxlf_entry_read(cd, slot, idx, gen, &entry);
	if (err)
		return err;
	ckpt->id = CXLFORK_ID(gen, slot, idx);
	ckpt->first = le64_to_cpu(entry.first);
	ckpt->bytes = le64_to_cpu(entry.bytes);
	ckpt->nr_extents = ckpt->bytes >> CXLFORK_EXTENT_SHIFT;
	ckpt->uid = le32_to_cpu(entry.uid);
	ckpt->gid = le32_to_cpu(entry.gid);
	ckpt->mode = le32_to_cpu(entry.mode);
	ckpt->nr_parents = le32_to_cpu(entry.nr_parents);
	strscpy(ckpt->name, (char *)entry.name, sizeof(ckpt->name));
	extent = ckpt->first >> CXLFORK_EXTENT_SHIFT;
	if (cxlf_load(cd, cxlf_etable_off(cd, extent)) != ckpt->id)
		return -EUCLEAN;
	return 0;
}

static int cxlf_get_locked(struct cxlf_dev *cd, struct cxlfork_ckpt *ckpt,
			   u32 slot, u32 idx, u64 gen)
{
	u64 ref;
	int err;

	err = cxlf_ref_of(cd, slot, idx, gen, &ref);
	if (err)
		return err;
	if (CXLFORK_REF_COUNT(ref) == CXLFORK_REF_COUNT_MAX)
		return -EUSERS;
	cxlf_ref_store(cd, slot, idx, ref + 1);
	/* The reference is up; if it isn't RETIRING now, the owner sees it. */
	mb();
	err = cxlf_get_checked(cd, ckpt, slot, idx, gen);
	if (!err)
		err = cxlf_tcg_reload(cd, ckpt->id);
	if (err)
		cxlf_ref_lower(cd, slot, idx);
	return err;
}

/**
 * cxlf_get - take a reference of this host on a checkpoint
 * @pool: pool
 * @id: of the checkpoint
 *
 * Who may is not for the pool to say.
 *
 * Context: process context, sleeps; takes live and cd->lock.
 * Return: its handle, or -ENODEV: no pool is attached; -ENOENT: no LIVE
 * checkpoint has this id; -ETIME: it has expired; -EUCLEAN: its entry is damaged
 * or makes no sense;
 * -EUSERS: too many references; -ENOMEM; -EIO.
 */
struct cxlfork_ckpt *cxlf_get(struct cxlfork_pool *pool, u64 id)
{
	struct cxlf_dev *cd = to_cxlf_dev(pool);
	struct cxlfork_ckpt *ckpt;
	u32 slot, idx;
	u64 gen;
	int err;

	err = cxlf_enter(cd);
	if (err)
		return ERR_PTR(err);
	/* An id that is nonsense makes no store. */
	if (!cxlf_id_split(cd, id, &slot, &idx, &gen) ||
	    cxlf_load(cd, cxlf_entry_off(cd, slot, idx)) !=
	    CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE)) {
		err = -ENOENT;
		goto err_leave;
	}
	ckpt = cxlf_handle_alloc(cd);
	if (IS_ERR(ckpt)) {
		err = PTR_ERR(ckpt);
		goto err_leave;
	}
	mutex_lock(&cd->lock);
	err = cxlf_get_locked(cd, ckpt, slot, idx, gen);
	mutex_unlock(&cd->lock);
	if (err) {
		cxlf_handle_free(ckpt);
		goto err_leave;
	}
	cxlf_leave(cd);
	return ckpt;

err_leave:
	cxlf_leave(cd);
	return ERR_PTR(err);
}

/**
 * cxlf_restored - a clone was made
 * @ckpt: from cxlf_get()
 *
 * Context: process context, sleeps; takes live and cd->lock.
 */
void cxlf_restored(struct cxlfork_ckpt *ckpt)
{
	struct cxlf_dev *cd = to_cxlf_dev(ckpt->pool);
	u64 off = cxlf_restored_off(cd, cd->slot, CXLFORK_ID_SLOT(ckpt->id),
				    CXLFORK_ID_IDX(ckpt->id));

	down_read(&cd->live);
	mutex_lock(&cd->lock);
	cxlf_store(cd, off, ktime_get_real_seconds());
	mutex_unlock(&cd->lock);
	up_read(&cd->live);
}

/**
 * cxlf_put - drop a reference
 * @ckpt: from cxlf_get(); freed
 *
 * Context: process context, sleeps; takes live and cd->lock.
 */
void cxlf_put(struct cxlfork_ckpt *ckpt)
{
	struct cxlf_dev *cd = to_cxlf_dev(ckpt->pool);
	u32 slot = CXLFORK_ID_SLOT(ckpt->id);
	u32 idx = CXLFORK_ID_IDX(ckpt->id);

	down_read(&cd->live);
	mutex_lock(&cd->lock);
	cxlf_ref_lower(cd, slot, idx);
	if (slot == cd->slot && cxlf_retiring(cd->own[idx].state))
		cxlf_entry_reap(cd, slot, idx, cxlf_entry_own_word(cd, idx));
	mutex_unlock(&cd->lock);
	cxlf_handle_free(ckpt);
	up_read(&cd->live);
}
