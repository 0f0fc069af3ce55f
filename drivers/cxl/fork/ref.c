// SPDX-License-Identifier: GPL-2.0
/*
 * References on checkpoints of any host, and asking for their deletion.
 *
 * The restorer raises its own word, then looks again whether the checkpoint is
 * LIVE; the owner says RETIRING, then looks at everybody's words.  With a full
 * barrier between the two on either side one of them sees the other.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/user_namespace.h>

#include "fork.h"

#define CXLF_REMOVE_STEP_MS	50

static bool cxlf_id_split(struct cxlf_dev *cd, u64 id, u32 *slot, u32 *idx,
			  u64 *gen)
{
	int s = CXLFORK_ID_SLOT(id);

	*idx = CXLFORK_ID_IDX(id);
	*gen = CXLFORK_ID_GEN(id);
	*slot = s;
	return s >= 0 && s < cd->geo.nr_slots && *idx < CXLFORK_MAX_CKPTS &&
	       *gen && *gen <= CXLFORK_GEN_MAX;
}

static void cxlf_ref_store(struct cxlf_dev *cd, u32 owner, u32 idx, u64 ref)
{
	cd->refs[owner][idx] = ref;
	cxlf_store(cd, cxlf_ref_off(cd, cd->slot, owner, idx), ref);
}

/*
 * This host's word for a generation.  -EIO: it still refers to another
 * generation, which its owner should not have freed.
 */
static int cxlf_ref_of(struct cxlf_dev *cd, u32 owner, u32 idx, u64 gen,
		       u64 *ref)
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
 * checkpoint has this id; -EUCLEAN: its entry is damaged or makes no sense;
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
	if (slot == cd->slot)
		cxlf_entry_reap(cd, idx);
	mutex_unlock(&cd->lock);
	cxlf_handle_free(ckpt);
	up_read(&cd->live);
}

static int cxlf_may_remove(u32 uid)
{
	if (uid != U32_MAX &&
	    uid == from_kuid(&init_user_ns, current_fsuid()))
		return 0;
	return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static int cxlf_remove_own(struct cxlf_dev *cd, u32 idx, u64 gen)
{
	struct cxlf_entry *e = &cd->own[idx];
	int err;

	if (e->damaged || e->gen != gen ||
	    (e->state != CXLFORK_CKPT_LIVE &&
	     e->state != CXLFORK_CKPT_RETIRING))
		return -ENOENT;
	err = cxlf_may_remove(e->uid);
	if (!err && e->state == CXLFORK_CKPT_LIVE)
		cxlf_entry_retire(cd, idx);
	return err;
}

/* Return: 1: it isn't LIVE any more. */
static int cxlf_remove_ask(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	u64 word = cxlf_load(cd, cxlf_entry_off(cd, slot, idx)), ref;
	struct cxlfork_ckpt_entry entry;
	u32 uid = U32_MAX;
	int err;

	if (word != CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE) &&
	    word != CXLFORK_WORD(gen, CXLFORK_CKPT_RETIRING))
		return -ENOENT;
	if (!cxlf_entry_read(cd, slot, idx, gen, &entry))
		uid = le32_to_cpu(entry.uid);
	err = cxlf_may_remove(uid);
	if (err)
		return err;
	if (CXLFORK_WORD_STATE(word) == CXLFORK_CKPT_RETIRING)
		return 1;
	err = cxlf_ref_of(cd, slot, idx, gen, &ref);
	if (err)
		return err;
	cxlf_ref_store(cd, slot, idx,
		       CXLFORK_REF(gen, 1, CXLFORK_REF_COUNT(ref)));
	return 0;
}

/* Return: 0: the owner has seen it. */
static int cxlf_remove_seen(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	u64 ref;
	int err;

	err = cxlf_enter(cd);
	if (err)
		return err;
	if (cxlf_load(cd, cxlf_entry_off(cd, slot, idx)) ==
	    CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE)) {
		err = -EINPROGRESS;
		goto out;
	}
	mutex_lock(&cd->lock);
	ref = cd->refs[slot][idx];
	if (CXLFORK_REF_GEN(ref) == gen && CXLFORK_REF_DEL(ref))
		cxlf_ref_store(cd, slot, idx,
			       CXLFORK_REF(gen, 0, CXLFORK_REF_COUNT(ref)));
	mutex_unlock(&cd->lock);
out:
	cxlf_leave(cd);
	return err;
}

/**
 * cxlf_remove - delete a checkpoint
 * @cd: pool
 * @id: of the checkpoint
 *
 * It can't be restored any more; it is freed with its last clone.  Another
 * host's is deleted by that host, which is asked to and waited for.
 *
 * Context: process context of the one who wants it, sleeps; takes live and
 * cd->lock.
 * Return: 0 (also if it was on its way already); -ENODEV: no pool is attached;
 * -ENOENT: no checkpoint has this id; -EPERM: neither the owner nor
 * CAP_SYS_ADMIN; -EINPROGRESS: its host is silent, or a signal came, and will
 * delete it when it looks; -EIO.
 */
int cxlf_remove(struct cxlf_dev *cd, u64 id)
{
	unsigned long end = jiffies + msecs_to_jiffies(CXLF_REMOVE_MS);
	u32 slot, idx;
	u64 gen;
	int err;

	err = cxlf_enter(cd);
	if (err)
		return err;
	if (!cxlf_id_split(cd, id, &slot, &idx, &gen)) {
		cxlf_leave(cd);
		return -ENOENT;
	}
	mutex_lock(&cd->lock);
	if (slot == cd->slot) {
		err = cxlf_remove_own(cd, idx, gen);
		mutex_unlock(&cd->lock);
		cxlf_leave(cd);
		return err;
	}
	err = cxlf_remove_ask(cd, slot, idx, gen);
	mutex_unlock(&cd->lock);
	cxlf_leave(cd);
	if (err)
		return err < 0 ? err : 0;

	do {
		err = cxlf_remove_seen(cd, slot, idx, gen);
		if (err != -EINPROGRESS)
			return err;
		msleep_interruptible(CXLF_REMOVE_STEP_MS);
	} while (time_before(jiffies, end) && !signal_pending(current));
	return -EINPROGRESS;
}
