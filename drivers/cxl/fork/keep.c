// SPDX-License-Identifier: GPL-2.0
/*
 * What holds a checkpoint beyond the boot of a host: pins.  And how long it is
 * kept at all: the time it expires.
 */
#include <linux/overflow.h>
#include <linux/timekeeping.h>

#include "fork.h"

/**
 * cxlf_keep_store - write this host's keep word for an entry
 * @cd: pool
 * @owner: slot of the directory
 * @idx: entry in it
 * @keep: CXLFORK_KEEP()
 *
 * Context: any; caller holds cd->lock.
 */
void cxlf_keep_store(struct cxlf_dev *cd, u32 owner, u32 idx, u64 keep)
{
	cd->keeps[owner][idx] = keep;
	cxlf_store(cd, cxlf_keep_off(cd, cd->slot, owner, idx), keep);
}

/**
 * cxlf_keeps_load - take the table of keeps over from the last boot
 * @cd: pool
 *
 * Context: process context; caller holds admin and cd->lock, the slot is this
 * host's.
 */
void cxlf_keeps_load(struct cxlf_dev *cd)
{
	u32 owner, idx;

	for (owner = 0; owner < CXLFORK_MAX_SLOTS; owner++)
		for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++)
			cd->keeps[owner][idx] =
				cxlf_load(cd, cxlf_keep_off(cd, cd->slot, owner,
							    idx));
}

/**
 * cxlf_pin - pin a checkpoint for this host, or no longer
 * @cd: pool
 * @slot: its owner
 * @idx: its entry
 * @gen: its generation
 * @pin: which
 *
 * If it is deleted at the same moment, the deletion may win.
 *
 * Context: process context; caller holds cd->lock.
 * Return: 0, or -ENOENT: it isn't LIVE any more.
 */
int cxlf_pin(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen, bool pin)
{
	u64 keep = cd->keeps[slot][idx];
	u32 count = CXLFORK_KEEP_GEN(keep) == gen ? CXLFORK_KEEP_COUNT(keep) : 0;

	cxlf_keep_store(cd, slot, idx, CXLFORK_KEEP(gen, pin, count));
	/* The pin is up; if it isn't RETIRING now, the owner sees it. */
	mb();
	if (!pin || cxlf_load(cd, cxlf_entry_off(cd, slot, idx)) ==
		    CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE))
		return 0;
	cxlf_keep_store(cd, slot, idx, CXLFORK_KEEP(gen, 0, count));
	return -ENOENT;
}

/**
 * cxlf_expiry - when something expires that lives for so long
 * @ttl: seconds; 0: for ever
 *
 * Context: any.
 * Return: seconds since the epoch, or 0: never, or after all that can be counted.
 */
u64 cxlf_expiry(u64 ttl)
{
	u64 when;

	if (!ttl || check_add_overflow((u64)ktime_get_real_seconds(), ttl, &when))
		return 0;
	return when;
}

static int cxlf_set_locked(struct cxlf_dev *cd, const struct file *file,
			   const struct cxlfork_ckpt_set *args, u32 slot,
			   u32 idx, u64 gen)
{
	const u64 pin = args->flags & (CXLFORK_SET_PIN | CXLFORK_SET_UNPIN);
	struct cxlfork_ckpt_entry entry;
	int err = 0;

	if (cxlf_load(cd, cxlf_entry_off(cd, slot, idx)) !=
	    CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE))
		return -ENOENT;
	if (cxlf_entry_read(cd, slot, idx, gen, &entry))
		return -EUCLEAN;
	if (pin ? !cxlf_may_pin(file, le32_to_cpu(entry.uid)) :
	    !cxlf_may_change(file, le32_to_cpu(entry.uid),
			     le32_to_cpu(entry.gid), le32_to_cpu(entry.mode)))
		return -EPERM;
	if (args->flags & CXLFORK_SET_TTL && slot != cd->slot &&
	    !cxlf_cares(cd, slot))
		return -EREMOTE;
	if (pin)
		err = cxlf_pin(cd, slot, idx, gen,
			       args->flags & CXLFORK_SET_PIN);
	if (!err && args->flags & CXLFORK_SET_TTL)
		cxlf_store(cd, cxlf_expires_off(cd, slot, idx),
			   cxlf_expiry(args->ttl));
	/* What came after the pool was lost was not stored. */
	return READ_ONCE(cd->lost) ? -ENODEV : err;
}

/**
 * cxlf_set - change what may change of a checkpoint
 * @cd: pool
 * @file: the control device, as it was opened by the one who wants it
 * @args: what to change
 *
 * Context: process context, sleeps; takes live and cd->lock.
 * Return: 0; -EINVAL: no such flags; -ENODEV: no pool is attached; -ENOENT: no
 * LIVE checkpoint has this id; -EPERM; -EREMOTE: only the host that has it in its
 * directory can; -EUCLEAN: its entry is damaged.
 */
int cxlf_set(struct cxlf_dev *cd, const struct file *file,
	     const struct cxlfork_ckpt_set *args)
{
	const u64 both = CXLFORK_SET_PIN | CXLFORK_SET_UNPIN;
	u32 slot, idx;
	u64 gen;
	int err;

	if (args->flags & ~CXLFORK_SET_FLAGS || !args->flags ||
	    (args->flags & both) == both ||
	    (args->ttl && !(args->flags & CXLFORK_SET_TTL)))
		return -EINVAL;
	err = cxlf_enter(cd);
	if (err)
		return err;
	err = -ENOENT;
	if (cxlf_id_split(cd, args->id, &slot, &idx, &gen)) {
		mutex_lock(&cd->lock);
		err = cxlf_set_locked(cd, file, args, slot, idx, gen);
		mutex_unlock(&cd->lock);
	}
	cxlf_leave(cd);
	return err;
}
