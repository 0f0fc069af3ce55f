// SPDX-License-Identifier: GPL-2.0
/*
 * The directory: reading entries of any host, and the life of this host's own
 * ones after they were published.
 */
#include <linux/string.h>

#include "fork.h"

/**
 * cxlf_entry_read - read and check what was published
 * @cd: pool
 * @slot: whose
 * @idx: which
 * @gen: generation it has to have
 * @entry: a copy
 *
 * The publication word is not looked at.
 *
 * Context: any; caller holds live or admin, geo is valid, @slot and @idx are
 * in range.
 * Return: 0; -EUCLEAN: damaged; -EIO.
 */
int cxlf_entry_read(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen,
		    struct cxlfork_ckpt_entry *entry)
{
	const struct cxlf_geo *geo = &cd->geo;
	u64 first, bytes;
	int err;

	err = cxlf_read(cd, cxlf_entry_off(cd, slot, idx), entry,
			sizeof(*entry));
	if (err)
		return err;
	err = cxlf_head_check(&entry->head, &entry->head, CXLFORK_MAGIC_CKPT,
			      sizeof(*entry) -
			      offsetof(struct cxlfork_ckpt_entry, head));
	if (err)
		return -EUCLEAN;

	first = le64_to_cpu(entry->first);
	bytes = le64_to_cpu(entry->bytes);
	if (le64_to_cpu(entry->id) != CXLFORK_ID(gen, slot, idx) ||
	    !IS_ALIGNED(first, CXLFORK_EXTENT_SIZE) ||
	    first >> CXLFORK_EXTENT_SHIFT < geo->first_extent ||
	    first >> CXLFORK_EXTENT_SHIFT >= geo->nr_extents ||
	    !bytes || !IS_ALIGNED(bytes, CXLFORK_EXTENT_SIZE) ||
	    bytes >> CXLFORK_EXTENT_SHIFT >
		    geo->nr_extents - geo->first_extent ||
	    bytes >> CXLFORK_EXTENT_SHIFT > CXLF_IMAGE_EXTENTS ||
	    le64_to_cpu(entry->pages) > bytes >> PAGE_SHIFT ||
	    le32_to_cpu(entry->mode) & ~0777 ||
	    !cxlf_name_ok(entry->name, sizeof(entry->name)))
		return -EUCLEAN;
	return 0;
}

/**
 * cxlf_entry_word - change the state of an own entry
 * @cd: pool
 * @idx: which
 * @state: enum cxlfork_ckpt_state
 *
 * Context: any; caller holds cd->lock.
 */
void cxlf_entry_word(struct cxlf_dev *cd, u32 idx, u32 state)
{
	struct cxlf_entry *e = &cd->own[idx];

	e->state = state;
	cxlf_store(cd, cxlf_entry_off(cd, cd->slot, idx),
		   CXLFORK_WORD(e->gen, state));
}

/**
 * cxlf_entry_refs - how many references all hosts have on a checkpoint
 * @cd: pool
 * @slot: its owner
 * @idx: its entry
 * @gen: its generation
 *
 * Every slot counts, whatever state its host is in: one that is silent may
 * just be slow.
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: their sum.
 */
u32 cxlf_entry_refs(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	u32 s, sum = 0;
	u64 ref;

	for (s = 0; s < cd->geo.nr_slots; s++) {
		ref = cxlf_load(cd, cxlf_ref_off(cd, s, slot, idx));
		if (CXLFORK_REF_GEN(ref) == gen)
			sum += CXLFORK_REF_COUNT(ref);
	}
	return sum;
}

/**
 * cxlf_entry_reap - free an own checkpoint that is RETIRING if it is unused
 * @cd: pool
 * @idx: its entry
 *
 * Context: process context, sleeps; caller holds cd->lock.
 */
void cxlf_entry_reap(struct cxlf_dev *cd, u32 idx)
{
	struct cxlf_entry *e = &cd->own[idx];

	if (e->damaged || e->state != CXLFORK_CKPT_RETIRING)
		return;
	/* RETIRING was stored; whoever raised a reference before is seen. */
	mb();
	if (cxlf_entry_refs(cd, cd->slot, idx, e->gen))
		return;
	if (cxlf_extents_sweep(cd, CXLFORK_ID(e->gen, cd->slot, idx)))
		return;
	cxlf_entry_word(cd, idx, CXLFORK_CKPT_FREE);
}

/**
 * cxlf_entry_retire - delete an own checkpoint
 * @cd: pool
 * @idx: its entry, LIVE
 *
 * Freed now, or when the last reference is dropped.
 *
 * Context: process context, sleeps; caller holds cd->lock.
 */
void cxlf_entry_retire(struct cxlf_dev *cd, u32 idx)
{
	cxlf_entry_word(cd, idx, CXLFORK_CKPT_RETIRING);
	cxlf_entry_reap(cd, idx);
}

static void cxlf_entry_load(struct cxlf_dev *cd, u32 idx)
{
	u64 word = cxlf_load(cd, cxlf_entry_off(cd, cd->slot, idx));
	struct cxlf_entry *e = &cd->own[idx];
	struct cxlfork_ckpt_entry entry;

	memset(e, 0, sizeof(*e));
	e->gen = CXLFORK_WORD_GEN(word);
	e->state = CXLFORK_WORD_STATE(word);
	e->uid = U32_MAX;
	e->gid = U32_MAX;
	if (e->state > CXLFORK_CKPT_RETIRING || e->gen > CXLFORK_GEN_MAX) {
		dev_err(cd->dev, "directory entry %u makes no sense, won't be used\n",
			idx);
		e->damaged = true;
		return;
	}
	if (e->state != CXLFORK_CKPT_LIVE && e->state != CXLFORK_CKPT_RETIRING)
		return;
	if (cxlf_entry_read(cd, cd->slot, idx, e->gen, &entry)) {
		dev_err(cd->dev, "checkpoint %#llx is damaged\n",
			CXLFORK_ID(e->gen, cd->slot, idx));
		return;
	}
	e->uid = le32_to_cpu(entry.uid);
	e->gid = le32_to_cpu(entry.gid);
	e->mode = le32_to_cpu(entry.mode);
	e->pages = le64_to_cpu(entry.pages);
	memcpy(e->name, entry.name, sizeof(e->name));
}

/**
 * cxlf_dir_load - take this host's directory over from its last boot
 * @cd: pool
 *
 * What was being written when the power went out is given back; what was
 * being deleted is deleted, unless somebody refers to it.  It may be asked
 * for again after a failure.
 *
 * Context: process context, sleeps; caller holds admin and cd->lock, the slot
 * is this host's and its references are dropped.
 * Return: 0 or -EIO.
 */
int cxlf_dir_load(struct cxlf_dev *cd)
{
	u32 idx;
	int err;

	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++)
		cxlf_entry_load(cd, idx);
	/* The extents first: an id in the table always has its entry. */
	err = cxlf_extents_sweep(cd, 0);
	if (err)
		return err;
	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
		if (cd->own[idx].damaged)
			continue;
		if (cd->own[idx].state == CXLFORK_CKPT_WRITING)
			cxlf_entry_word(cd, idx, CXLFORK_CKPT_FREE);
		cxlf_entry_reap(cd, idx);
	}
	return 0;
}

static bool cxlf_entry_unwanted(struct cxlf_dev *cd, u32 idx)
{
	u32 s;
	u64 ref;

	for (s = 0; s < cd->geo.nr_slots; s++) {
		ref = cxlf_load(cd, cxlf_ref_off(cd, s, cd->slot, idx));
		if (CXLFORK_REF_GEN(ref) == cd->own[idx].gen &&
		    CXLFORK_REF_DEL(ref))
			return true;
	}
	return false;
}

/**
 * cxlf_dir_upkeep - do what other hosts want of this host's checkpoints
 * @cd: pool
 *
 * Deletes what they ask to delete, and frees what they don't use any more.
 *
 * Context: process context, sleeps; caller holds cd->lock, pool is attached.
 */
void cxlf_dir_upkeep(struct cxlf_dev *cd)
{
	u32 idx;

	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
		if (cd->own[idx].damaged)
			continue;
		if (cd->own[idx].state == CXLFORK_CKPT_RETIRING)
			cxlf_entry_reap(cd, idx);
		else if (cd->own[idx].state == CXLFORK_CKPT_LIVE &&
			 cxlf_entry_unwanted(cd, idx))
			cxlf_entry_retire(cd, idx);
	}
}
