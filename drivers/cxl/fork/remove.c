// SPDX-License-Identifier: GPL-2.0
/*
 * Deleting checkpoints, of this host and of others.
 */
#include <linux/capability.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/user_namespace.h>

#include "fork.h"

#define CXLF_REMOVE_STEP_MS	50

/* Is it there, may it be deleted?  Return: 1: it isn't LIVE any more. */
static int cxlf_remove_check(struct cxlf_dev *cd, const struct file *file,
			     u32 slot, u32 idx, u64 gen)
{
	u64 word = cxlf_load(cd, cxlf_entry_off(cd, slot, idx));
	u32 uid = U32_MAX, gid = U32_MAX, mode = 0, pins;
	struct cxlfork_ckpt_entry entry;

	if (CXLFORK_WORD_GEN(word) != gen ||
	    (CXLFORK_WORD_STATE(word) != CXLFORK_CKPT_LIVE &&
	     !cxlf_retiring(CXLFORK_WORD_STATE(word))))
		return -ENOENT;
	if (!cxlf_entry_read(cd, slot, idx, gen, &entry)) {
		uid = le32_to_cpu(entry.uid);
		gid = le32_to_cpu(entry.gid);
		mode = le32_to_cpu(entry.mode);
	}
	if (!cxlf_may_change(file, uid, gid, mode))
		return -EPERM;
	if (cxlf_retiring(CXLFORK_WORD_STATE(word)))
		return 1;
	cxlf_entry_keeps(cd, slot, idx, gen, &pins);
	/* A host that is gone for good can't take its pin back. */
	if (pins && file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN))
		pins &= ~cxlf_fenced(cd);
	return pins ? -EBUSY : 0;
}

/* This host can do it: return 1.  Or its host has to be asked. */
static int cxlf_remove_here(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	if (slot != cd->slot && !cxlf_cares(cd, slot))
		return 0;
	/* Of this host's own it decides, and not what others can write. */
	if (slot == cd->slot && (cd->own[idx].damaged ||
				 cxlf_entry_own_word(cd, idx) !=
				 CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE)))
		return -ENOENT;
	cxlf_entry_retire(cd, slot, idx, CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE));
	/* Its parents may be free with it. */
	if (slot != cd->slot)
		cxlf_keeps_care(cd, slot);
	if (READ_ONCE(cd->lost))
		return -ENODEV;
	/* Somebody has pinned it at the last moment. */
	return cxlf_load(cd, cxlf_entry_off(cd, slot, idx)) ==
	       CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE) ? -EBUSY : 1;
}

/* Return: 1: it isn't LIVE any more. */
static int cxlf_remove_ask(struct cxlf_dev *cd, const struct file *file,
			   u32 slot, u32 idx, u64 gen)
{
	u64 ref;
	int err;

	err = cxlf_remove_check(cd, file, slot, idx, gen);
	if (err)
		return err;
	err = cxlf_remove_here(cd, slot, idx, gen);
	if (err)
		return err;
	err = cxlf_ref_of(cd, slot, idx, gen, &ref);
	if (err)
		return err;
	cxlf_ref_store(cd, slot, idx,
		       CXLFORK_REF(gen, 1, CXLFORK_REF_COUNT(ref)));
	return 0;
}

static void cxlf_remove_unask(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	u64 ref;

	mutex_lock(&cd->lock);
	ref = cd->refs[slot][idx];
	if (CXLFORK_REF_GEN(ref) == gen && CXLFORK_REF_DEL(ref))
		cxlf_ref_store(cd, slot, idx,
			       CXLFORK_REF(gen, 0, CXLFORK_REF_COUNT(ref)));
	mutex_unlock(&cd->lock);
}

/* Return: 0: the owner has seen it. */
static int cxlf_remove_seen(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	u32 pins;
	u64 word;
	int err;

	err = cxlf_enter(cd);
	if (err)
		return err;
	word = cxlf_load(cd, cxlf_entry_off(cd, slot, idx));
	cxlf_entry_keeps(cd, slot, idx, gen, &pins);
	/* For a pin of the last moment its host makes it LIVE again. */
	if (word == CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE) ||
	    (word == CXLFORK_WORD(gen, CXLFORK_CKPT_RETIRING) &&
	     pins & ~cxlf_fenced(cd)))
		err = -EINPROGRESS;
	else
		cxlf_remove_unask(cd, slot, idx, gen);
	cxlf_leave(cd);
	return err;
}

/* The time is over.  What is pinned now isn't to go when it is unpinned one day. */
static int cxlf_remove_later(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	int err = -EINPROGRESS;
	u32 pins;

	if (cxlf_enter(cd))
		return -ENODEV;
	cxlf_entry_keeps(cd, slot, idx, gen, &pins);
	if (pins & ~cxlf_fenced(cd)) {
		cxlf_remove_unask(cd, slot, idx, gen);
		err = -EBUSY;
	}
	cxlf_leave(cd);
	return err;
}

/**
 * cxlf_remove - delete a checkpoint
 * @cd: pool
 * @file: the control device, as it was opened by the one who wants it
 * @id: of the checkpoint
 *
 * It can't be restored any more; it is freed with its last clone.  Another
 * host's is deleted by that host, which is asked to and waited for, or by the
 * one that takes care of it.
 *
 * Context: process context, sleeps; takes live and cd->lock.
 * Return: 0 (also if it was on its way already); -ENODEV: no pool is attached;
 * -ENOENT: no checkpoint has this id; -EPERM: neither the owner nor somebody whom
 * its mode allows it, nor CAP_SYS_ADMIN; -EBUSY: it is pinned; -EINPROGRESS: its
 * host is silent, or a signal came, and will delete it when it looks; -EIO.
 */
int cxlf_remove(struct cxlf_dev *cd, const struct file *file, u64 id)
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
	err = cxlf_remove_ask(cd, file, slot, idx, gen);
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
	return cxlf_remove_later(cd, slot, idx, gen);
}
