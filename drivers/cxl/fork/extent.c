// SPDX-License-Identifier: GPL-2.0
/*
 * Extents: whose they are is in the extent table, one word each.
 *
 * A word goes from zero to the id of a checkpoint and back.  On a coherent
 * pool that is a compare-and-swap and any host may claim any extent; on
 * another one each host claims in its own share, whole cache lines of the
 * table.  An id is in the table only while its directory entry is WRITING,
 * LIVE, RETIRING or FREEING: the entry comes first and goes last.
 */
#include <linux/bitmap.h>
#include <linux/moduleparam.h>

#include "fork.h"

static bool cxlf_guard_on = true;
module_param_named(guard, cxlf_guard_on, bool, 0444);
MODULE_PARM_DESC(guard, "map published memory read-only in the kernel (default: Y)");

#define CXLF_WALK_WORDS	64

/**
 * cxlf_etable_walk - look at words of the extent table
 * @cd: pool
 * @from: first extent
 * @to: the one after the last
 * @fn: gets a copy of each word
 * @arg: for @fn
 *
 * Context: process context, sleeps; caller holds live or admin, geo is valid.
 * Return: 0 or -EIO.
 */
int cxlf_etable_walk(struct cxlf_dev *cd, u32 from, u32 to,
		     cxlf_word_fn fn, void *arg)
{
	__le64 words[CXLF_WALK_WORDS];
	u32 i, n;
	int err;

	for (; from < to; from += n) {
		n = min_t(u32, to - from, CXLF_WALK_WORDS);
		err = cxlf_read(cd, cxlf_etable_off(cd, from), words,
				n * sizeof(*words));
		if (err)
			return err;
		for (i = 0; i < n; i++)
			fn(cd, from + i, le64_to_cpu(words[i]), arg);
		cond_resched();
	}
	return 0;
}

/**
 * cxlf_share_words - extents that one host may claim on a non-coherent pool
 * @geo: of the pool; sizes and numbers are checked
 *
 * The shares are neighbours.  The first one starts at the first multiple of 8
 * that isn't below first_extent; what is left at the end belongs to nobody.
 *
 * Context: any.
 * Return: how many, a multiple of 8; may be 0.
 */
u32 cxlf_share_words(const struct cxlf_geo *geo)
{
	u64 start = ALIGN((u64)geo->first_extent, 8);

	if (start >= geo->nr_extents)
		return 0;
	return rounddown((u32)(geo->nr_extents - start) / geo->nr_slots, 8);
}

/* Where this host may claim: [*from, *to). */
static void cxlf_share(struct cxlf_dev *cd, u32 *from, u32 *to)
{
	u32 words;

	*from = cd->geo.first_extent;
	*to = cd->geo.nr_extents;
	if (cxlf_coherent(cd))
		return;
	if (cd->slot == CXLF_NO_SLOT) {
		*to = *from;
		return;
	}
	words = cxlf_share_words(&cd->geo);
	*from = ALIGN(*from, 8) + cd->slot * words;
	*to = *from + words;
}

static void cxlf_count_fn(struct cxlf_dev *cd, u32 extent, u64 word, void *arg)
{
	if (!word)
		(*(u32 *)arg)++;
}

/**
 * cxlf_extents_count - how many extents are free
 * @cd: pool
 * @total: of the pool, or NULL
 * @ours: that this host can claim, or NULL
 *
 * Other hosts claim and free at the same time.
 *
 * Context: process context, sleeps; caller holds live or admin, geo is valid.
 * Return: 0 or -EIO.
 */
int cxlf_extents_count(struct cxlf_dev *cd, u32 *total, u32 *ours)
{
	u32 from, to;
	int err = 0;

	if (total) {
		*total = 0;
		err = cxlf_etable_walk(cd, cd->geo.first_extent,
				       cd->geo.nr_extents, cxlf_count_fn,
				       total);
	}
	if (!err && ours) {
		*ours = 0;
		cxlf_share(cd, &from, &to);
		err = cxlf_etable_walk(cd, from, to, cxlf_count_fn, ours);
	}
	return err;
}

static void cxlf_taken_fn(struct cxlf_dev *cd, u32 extent, u64 word, void *arg)
{
	if (!word)
		__clear_bit(extent, arg);
}

static u32 cxlf_claim_run(struct cxlf_dev *cd, u64 id, u32 at, u32 nr,
			  u32 *extents)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		if (!cxlf_cas(cd, cxlf_etable_off(cd, at + i), 0, id))
			break;
		extents[i] = at + i;
	}
	return i;
}

/**
 * cxlf_extents_claim - claim extents for a checkpoint
 * @cd: pool
 * @id: of the checkpoint; its entry is WRITING
 * @nr: how many
 * @extents: their numbers, in runs that are as long as can be
 * @missing: with -ENOSPC: how many were not to be had
 *
 * All or none.
 *
 * Context: process context, sleeps; caller holds cd->lock.
 * Return: 0, -ENOSPC, -ENOMEM or -EIO.
 */
int cxlf_extents_claim(struct cxlf_dev *cd, u64 id, u32 nr, u32 *extents,
		       u32 *missing)
{
	u32 from, to, len = nr, have = 0, got;
	unsigned long *taken, at = 0;
	int err;

	cxlf_share(cd, &from, &to);
	taken = kvcalloc(BITS_TO_LONGS(to), sizeof(*taken), GFP_KERNEL);
	if (!taken)
		return -ENOMEM;
	bitmap_fill(taken, to);
	err = cxlf_etable_walk(cd, from, to, cxlf_taken_fn, taken);
	if (err)
		goto out;
	cxlfork_pool_mark_bad(&cd->pool, taken, to);

	/* One run; else halves of it, quarters, ... */
	while (have < nr) {
		len = min(len, nr - have);
		from = at;
		at = bitmap_find_next_zero_area(taken, to, from, len, 0);
		if (at >= to) {
			at = 0;
			if (from)
				continue;
			if (len == 1)
				break;
			len /= 2;
			continue;
		}
		got = cxlf_claim_run(cd, id, at, len, extents + have);
		have += got;
		/* Also the one that another host was faster to claim. */
		bitmap_set(taken, at, min(got + 1, len));
		cond_resched();
	}
	if (have < nr) {
		cxlf_extents_drop(cd, id, extents, have);
		*missing = nr - have;
		err = -ENOSPC;
	}
out:
	kvfree(taken);
	return err;
}

/**
 * cxlf_extents_drop - give extents back that nobody has seen
 * @cd: pool
 * @id: of the checkpoint, never published
 * @extents: their numbers
 * @nr: how many
 *
 * Context: process context, sleeps; caller holds cd->lock.
 */
void cxlf_extents_drop(struct cxlf_dev *cd, u64 id, const u32 *extents, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (!cxlf_cas(cd, cxlf_etable_off(cd, extents[i]), id, 0))
			dev_err_ratelimited(cd->dev, "extent %u isn't ours any more\n",
					    extents[i]);
}

static void cxlf_sweep_fn(struct cxlf_dev *cd, u32 extent, u64 word, void *arg)
{
	u64 id = *(u64 *)arg;

	if (word == id)
		cxlf_cas(cd, cxlf_etable_off(cd, extent), id, 0);
}

static void cxlf_orphan_fn(struct cxlf_dev *cd, u32 extent, u64 word, void *arg)
{
	struct cxlf_entry *e;

	if (!word || word == CXLFORK_EXTENT_META ||
	    CXLFORK_ID_SLOT(word) != (int)cd->slot ||
	    CXLFORK_ID_IDX(word) >= CXLFORK_MAX_CKPTS)
		return;
	e = &cd->own[CXLFORK_ID_IDX(word)];
	/* What makes no sense stays as it is: rather a leak than a mistake. */
	if (e->damaged || CXLFORK_ID_GEN(word) > e->gen)
		return;
	if (CXLFORK_ID_GEN(word) == e->gen &&
	    (e->state == CXLFORK_CKPT_LIVE || cxlf_retiring(e->state)))
		return;
	cxlf_cas(cd, cxlf_etable_off(cd, extent), word, 0);
}

/**
 * cxlf_extents_sweep - free all extents of one checkpoint, or of lost ones
 * @cd: pool
 * @id: of a checkpoint of this host that nobody refers to; 0: whatever this
 *	host owns for checkpoints that are neither LIVE nor RETIRING, which is
 *	what a crash left behind
 *
 * Context: process context, sleeps; caller holds cd->lock.
 * Return: 0 or -EIO: some are left.
 */
int cxlf_extents_sweep(struct cxlf_dev *cd, u64 id)
{
	return cxlf_etable_walk(cd, cd->geo.first_extent, cd->geo.nr_extents,
				id ? cxlf_sweep_fn : cxlf_orphan_fn, &id);
}

/**
 * cxlf_guard_extents - make extents (not) writable in the direct map
 * @cd: pool
 * @extents: their numbers
 * @nr: how many
 * @readonly: which way
 *
 * Context: process context, sleeps.
 * Return: 0 or a negative errno; some may have changed then.
 */
int cxlf_guard_extents(struct cxlf_dev *cd, const u32 *extents, u32 nr,
		       bool readonly)
{
	u32 i, run;
	int err;

	if (!cxlf_guard_on)
		return 0;
	for (i = 0; i < nr; i += run) {
		run = 1;
		while (i + run < nr && extents[i + run] == extents[i] + run)
			run++;
		err = cxlfork_guard(&cd->pool, extents[i], run, readonly);
		if (err)
			return err;
	}
	return 0;
}

/**
 * cxlf_guard_all - make all of the pool's extents (not) writable
 * @cd: pool
 * @readonly: which way
 *
 * Superblock, slots and extent table are not concerned.
 *
 * Context: process context, sleeps; caller holds admin.
 * Return: 0 or a negative errno.
 */
int cxlf_guard_all(struct cxlf_dev *cd, bool readonly)
{
	if (!cxlf_guard_on)
		return 0;
	return cxlfork_guard(&cd->pool, cd->geo.first_extent,
			     cd->geo.nr_extents - cd->geo.first_extent,
			     readonly);
}
