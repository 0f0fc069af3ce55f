// SPDX-License-Identifier: GPL-2.0
/*
 * Fencing: a host that was declared dead, and who takes care of what it left.
 *
 * Nobody writes into another host's slot because it is silent: it may just be
 * slow.  An administrator, or the fabric manager, may know that it is dead, and
 * says so on one of the others.  That one stores the dead host's epoch in its
 * own slot.  From then on it writes the dead host's directory and frees its
 * extents, as that host would.
 *
 * When the dead host boots it raises its epoch, which ends the fence, and then
 * waits until its caretaker, which looks once a second, has noticed and let go.
 * With the epoch raised before the caretakers' words are looked at, and the
 * epoch looked at after the caretaker's word was stored, one sees the other.
 */
#include <linux/bits.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/string.h>

#include "fork.h"

/* How long a host that comes back waits for its caretaker to let go. */
#define CXLF_CARE_END_MS	5000
#define CXLF_CARE_STEP_MS	50
/* After how many upkeeps a new caretaker begins. */
#define CXLF_CARES_AFTER	2

static u64 cxlf_epoch(struct cxlf_dev *cd, u32 slot)
{
	return cxlf_load(cd, cxlf_epoch_off(cd, slot));
}

/* Has @by declared @slot, as it is now, dead? */
static bool cxlf_fenced_by(struct cxlf_dev *cd, u32 slot, u32 by)
{
	u64 fence = cxlf_load(cd, cxlf_fence_off(cd, by, slot));

	return fence && fence == cxlf_epoch(cd, slot);
}

/**
 * cxlf_fenced_slot - is a host declared dead?
 * @cd: pool
 * @slot: which
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: whether it is.
 */
bool cxlf_fenced_slot(struct cxlf_dev *cd, u32 slot)
{
	u64 epoch = cxlf_epoch(cd, slot);
	u32 by;

	for (by = 0; by < cd->geo.nr_slots && epoch; by++)
		if (cxlf_load(cd, cxlf_fence_off(cd, by, slot)) == epoch)
			return true;
	return false;
}

/**
 * cxlf_fenced - the hosts that are declared dead
 * @cd: pool
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: a bit for the slot of each.
 */
u32 cxlf_fenced(struct cxlf_dev *cd)
{
	u32 s, mask = 0;

	for (s = 0; s < cd->geo.nr_slots; s++)
		if (cxlf_fenced_slot(cd, s))
			mask |= BIT(s);
	return mask;
}

/* May this host be at work? */
static bool cxlf_at_work(struct cxlf_dev *cd, u32 slot)
{
	return cxlf_host_state(cd, slot) == CXLFORK_HOST_ALIVE &&
	       !cxlf_fenced_slot(cd, slot);
}

/**
 * cxlf_caretaker - who takes care of a fenced host's checkpoints
 * @cd: pool
 * @slot: of the fenced host
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: slot of the caretaker, or CXLF_NO_SLOT.
 */
u32 cxlf_caretaker(struct cxlf_dev *cd, u32 slot)
{
	u32 by;

	for (by = 0; by < cd->geo.nr_slots; by++)
		if (cxlf_fenced_by(cd, slot, by) && cxlf_at_work(cd, by))
			return by;
	return CXLF_NO_SLOT;
}

/**
 * cxlf_cares - does this host take care of a fenced one's checkpoints?
 * @cd: pool
 * @slot: of the fenced host
 *
 * Not at once: who was its caretaker until now may be at it, and looks again
 * before each thing that it does.
 *
 * Context: any; caller holds cd->lock.
 * Return: whether it does.
 */
bool cxlf_cares(struct cxlf_dev *cd, u32 slot)
{
	return cd->cares[slot] >= CXLF_CARES_AFTER &&
	       cxlf_caretaker(cd, slot) == cd->slot;
}

static void cxlf_fence_store(struct cxlf_dev *cd, u32 slot, u64 epoch)
{
	cd->fences[slot] = epoch;
	cd->cares[slot] = 0;
	cd->settled &= ~BIT(slot);
	cxlf_store(cd, cxlf_fence_off(cd, cd->slot, slot), epoch);
}

/**
 * cxlf_fences_load - whom this host had declared dead before its last boot
 * @cd: pool
 *
 * Those who are still dead stay so.
 *
 * Context: process context; caller holds admin and cd->lock.
 */
void cxlf_fences_load(struct cxlf_dev *cd)
{
	u64 fence;
	u32 s;

	cd->settled = 0;
	for (s = 0; s < CXLFORK_MAX_SLOTS; s++) {
		fence = cxlf_load(cd, cxlf_fence_off(cd, cd->slot, s));
		cd->fences[s] = fence;
		cd->cares[s] = 0;
		if (fence && (s >= cd->geo.nr_slots || s == cd->slot ||
			      fence != cxlf_epoch(cd, s)))
			cxlf_fence_store(cd, s, 0);
	}
}

/* A host that may still write into this host's directory. */
static u32 cxlf_care_by(struct cxlf_dev *cd)
{
	u32 by;

	for (by = 0; by < cd->geo.nr_slots; by++)
		if (by != cd->slot &&
		    cxlf_load(cd, cxlf_fence_off(cd, by, cd->slot)) &&
		    cxlf_at_work(cd, by))
			return by;
	return CXLF_NO_SLOT;
}

/**
 * cxlf_care_ended - wait until nobody takes care of this host's directory
 * @cd: pool: this host has raised its epoch
 * @reason: CXLF_REASON_MAX bytes: why not, on error
 *
 * A caretaker that was itself declared dead doesn't count.
 *
 * Context: process context, sleeps; caller holds admin and cd->lock.
 * Return: 0, or -EBUSY: somebody does and doesn't answer.
 */
int cxlf_care_ended(struct cxlf_dev *cd, char *reason)
{
	unsigned long end = jiffies + msecs_to_jiffies(CXLF_CARE_END_MS);
	u32 by;

	/* The epoch is up: whoever declares this host dead now sees it. */
	mb();
	while ((by = cxlf_care_by(cd)) != CXLF_NO_SLOT) {
		if (time_after(jiffies, end)) {
			snprintf(reason, CXLF_REASON_MAX,
				 "the host in slot %u takes care of this one's checkpoints and doesn't answer; is it dead, too?",
				 by);
			return -EBUSY;
		}
		msleep(CXLF_CARE_STEP_MS);
	}
	return 0;
}

/* Do what a dead host would do when it boots. */
static void cxlf_care_for(struct cxlf_dev *cd, u32 slot)
{
	u32 idx, state;
	u64 word;

	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
		word = cxlf_load(cd, cxlf_entry_off(cd, slot, idx));
		state = CXLFORK_WORD_STATE(word);
		if (CXLFORK_WORD_GEN(word) > CXLFORK_GEN_MAX ||
		    state == CXLFORK_CKPT_FREE)
			continue;
		if (!cxlf_cares(cd, slot))
			return;
		if (state == CXLFORK_CKPT_WRITING)
			cxlf_entry_free(cd, slot, idx, CXLFORK_WORD_GEN(word));
		else if (cxlf_retiring(state))
			cxlf_entry_reap(cd, slot, idx, word);
		else if (state == CXLFORK_CKPT_LIVE &&
			 cxlf_entry_unwanted(cd, slot, idx, word))
			cxlf_entry_retire(cd, slot, idx, word);
	}
	cxlf_keeps_care(cd, slot);
}

/**
 * cxlf_care - take care of the hosts that this one has declared dead
 * @cd: pool
 *
 * Lets go of those that have booted since.
 *
 * Context: process context, sleeps; caller holds cd->lock, pool is attached.
 */
void cxlf_care(struct cxlf_dev *cd)
{
	u32 s;

	for (s = 0; s < cd->geo.nr_slots; s++) {
		if (!cd->fences[s])
			continue;
		if (cd->fences[s] != cxlf_epoch(cd, s)) {
			cxlf_fence_store(cd, s, 0);
			dev_info(cd->dev, "the host in slot %u is back\n", s);
			continue;
		}
		if (cxlf_caretaker(cd, s) != cd->slot) {
			cd->cares[s] = 0;
			cd->settled &= ~BIT(s);
			continue;
		}
		if (cd->cares[s] < CXLF_CARES_AFTER) {
			cd->cares[s]++;
			continue;
		}
		cxlf_care_for(cd, s);
	}
}

static int cxlf_fence_check(struct cxlf_dev *cd,
			    struct cxlfork_pool_fence *args, char *reason)
{
	u32 state, silent;
	int err;

	state = cxlf_host_state(cd, args->slot);
	if (state == CXLFORK_HOST_FREE) {
		snprintf(reason, CXLF_REASON_MAX, "no host has slot %u",
			 args->slot);
		return -ENOENT;
	}
	if (!cxlf_epoch(cd, args->slot)) {
		snprintf(reason, CXLF_REASON_MAX,
			 "the host in slot %u has never attached", args->slot);
		return -ENOENT;
	}
	/* Who has left does nothing; what it has left needs a caretaker. */
	if (state == CXLFORK_HOST_DETACHED || args->flags & CXLFORK_FENCE_FORCE)
		return 0;
	err = cxlf_hosts_watch(cd, BIT(args->slot), &silent);
	if (err >= 0) {
		snprintf(reason, CXLF_REASON_MAX,
			 "the host in slot %u is alive; switch it off first",
			 args->slot);
		return -EBUSY;
	}
	return err == -ENOENT ? 0 : err;
}

/* Does another host that may be at it take care of this one? */
static bool cxlf_fenced_elsewhere(struct cxlf_dev *cd, u32 slot)
{
	u32 by;

	for (by = 0; by < cd->geo.nr_slots; by++)
		if (by != cd->slot && cxlf_fenced_by(cd, slot, by) &&
		    cxlf_at_work(cd, by))
			return true;
	return false;
}

/* Whom the dead one took care of needs another caretaker now. */
static void cxlf_fence_inherit(struct cxlf_dev *cd, u32 slot)
{
	u64 fence;
	u32 s;

	for (s = 0; s < cd->geo.nr_slots; s++) {
		if (s == cd->slot || s == slot)
			continue;
		fence = cxlf_load(cd, cxlf_fence_off(cd, slot, s));
		if (fence && fence == cxlf_epoch(cd, s) &&
		    cxlf_caretaker(cd, s) == CXLF_NO_SLOT)
			cxlf_fence_store(cd, s, fence);
	}
}

static int cxlf_fence_locked(struct cxlf_dev *cd, u32 slot, u64 epoch,
			     char *reason)
{
	/* Two that take care of it would be in each other's way. */
	if (cxlf_epoch(cd, slot) == epoch &&
	    cxlf_caretaker(cd, slot) != CXLF_NO_SLOT)
		return 0;
	cxlf_fence_store(cd, slot, epoch);
	cxlf_fence_inherit(cd, slot);
	/*
	 * They are up: a host that has booted meanwhile waits, and of two that
	 * do this at the same time one sees the other.
	 */
	mb();
	if (!cxlf_fenced_elsewhere(cd, slot))
		cd->cares[slot] = CXLF_CARES_AFTER;
	cxlf_care(cd);
	cxlf_dir_upkeep(cd);
	if (READ_ONCE(cd->lost))
		return -ENODEV;
	if (cd->fences[slot] != epoch) {
		strscpy(reason, "that host has booted meanwhile", CXLF_REASON_MAX);
		return -EAGAIN;
	}
	dev_info(cd->dev, "the host in slot %u was declared dead\n", slot);
	return 0;
}

/**
 * cxlf_fence_host - declare a host dead
 * @cd: pool
 * @args: from user space; gets reason
 *
 * Permission has been checked.
 *
 * Context: process context, sleeps for CXLF_WATCH_MS; takes admin, live and
 * cd->lock.
 * Return: 0 (also if it was fenced already); -EINVAL: no such flags or slot, or
 * this host's own; -ENODEV: no pool is attached; -ENOENT: there is no host;
 * -EBUSY: it is alive; -EAGAIN: it has booted meanwhile; -EINTR.
 */
int cxlf_fence_host(struct cxlf_dev *cd, struct cxlfork_pool_fence *args)
{
	char reason[CXLF_REASON_MAX] = "";
	u64 epoch = 0;
	int err;

	if (args->flags & ~CXLFORK_FENCE_FLAGS || args->reserved)
		return -EINVAL;
	err = mutex_lock_interruptible(&cd->admin);
	if (err)
		return err;
	err = cxlf_enter(cd);
	if (err)
		goto out;
	if (args->slot >= cd->geo.nr_slots || args->slot == cd->slot) {
		strscpy(reason, args->slot == cd->slot ?
			"a host can't declare itself dead" : "no such slot",
			sizeof(reason));
		err = -EINVAL;
	} else {
		/* Dead is what it is now, not what boots while it is watched. */
		epoch = cxlf_epoch(cd, args->slot);
		err = cxlf_fence_check(cd, args, reason);
	}
	if (!err) {
		mutex_lock(&cd->lock);
		err = cxlf_fence_locked(cd, args->slot, epoch, reason);
		mutex_unlock(&cd->lock);
	}
	cxlf_leave(cd);
out:
	mutex_unlock(&cd->admin);
	strscpy_pad(args->reason, reason, sizeof(args->reason));
	return err;
}
