// SPDX-License-Identifier: GPL-2.0
/*
 * The directory: reading entries of any host, and the life of this host's own
 * ones after they were published.
 */
#include <linux/bits.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "fork.h"

/**
 * cxlf_entry_known - read and check what is known of a checkpoint from the start
 * @cd: pool
 * @slot: whose
 * @idx: which
 * @gen: generation it has to have
 * @entry: a copy
 *
 * While it is WRITING that is its size, its owner and its name.  The publication
 * word is not looked at.
 *
 * Context: any; caller holds live or admin, geo is valid, @slot and @idx are
 * in range.
 * Return: 0; -EUCLEAN: damaged, or being written just now; -EIO.
 */
int cxlf_entry_known(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen,
		     struct cxlfork_ckpt_entry *entry)
{
	const struct cxlf_geo *geo = &cd->geo;
	u64 bytes;
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
	bytes = le64_to_cpu(entry->bytes);
	if (le64_to_cpu(entry->id) != CXLFORK_ID(gen, slot, idx) ||
	    !bytes || !IS_ALIGNED(bytes, CXLFORK_EXTENT_SIZE) ||
	    bytes >> CXLFORK_EXTENT_SHIFT >
		    geo->nr_extents - geo->first_extent ||
	    bytes >> CXLFORK_EXTENT_SHIFT > CXLF_IMAGE_EXTENTS ||
	    le32_to_cpu(entry->mode) & ~0777 ||
	    !cxlf_name_ok(entry->name, sizeof(entry->name)))
		return -EUCLEAN;
	return 0;
}

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
 * Context: as cxlf_entry_known().
 * Return: 0; -EUCLEAN: damaged; -EIO.
 */
int cxlf_entry_read(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen,
		    struct cxlfork_ckpt_entry *entry)
{
	const struct cxlf_geo *geo = &cd->geo;
	u64 first;
	int err;

	err = cxlf_entry_known(cd, slot, idx, gen, entry);
	if (err)
		return err;
	first = le64_to_cpu(entry->first);
	if (!IS_ALIGNED(first, CXLFORK_EXTENT_SIZE) ||
	    first >> CXLFORK_EXTENT_SHIFT < geo->first_extent ||
	    first >> CXLFORK_EXTENT_SHIFT >= geo->nr_extents ||
	    le64_to_cpu(entry->pages) > le64_to_cpu(entry->bytes) >> PAGE_SHIFT ||
	    le32_to_cpu(entry->nr_parents) > CXLFORK_MAX_PARENTS)
		return -EUCLEAN;
	return 0;
}

static void cxlf_word_store(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen,
			    u32 state)
{
	if (slot == cd->slot)
		cd->own[idx].state = state;
	cxlf_store(cd, cxlf_entry_off(cd, slot, idx), CXLFORK_WORD(gen, state));
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
	cxlf_word_store(cd, cd->slot, idx, cd->own[idx].gen, state);
}

/**
 * cxlf_entry_own_word - the publication word of an own entry
 * @cd: pool
 * @idx: which
 *
 * Context: any; caller holds cd->lock.
 * Return: the word, from local memory.
 */
u64 cxlf_entry_own_word(struct cxlf_dev *cd, u32 idx)
{
	return CXLFORK_WORD(cd->own[idx].gen, cd->own[idx].state);
}

/**
 * cxlf_entry_refs - how many references all hosts have on a checkpoint
 * @cd: pool
 * @slot: its owner
 * @idx: its entry
 * @gen: its generation
 *
 * Every slot counts but those of hosts that are declared dead, whatever state its
 * host is in: one that is silent may just be slow.
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
		if (CXLFORK_REF_GEN(ref) != gen || !CXLFORK_REF_COUNT(ref))
			continue;
		/* A host that boots raises its epoch before it refers to anything. */
		rmb();
		if (!cxlf_fenced_slot(cd, s))
			sum += CXLFORK_REF_COUNT(ref);
	}
	return sum;
}

/**
 * cxlf_entry_keeps - what holds a checkpoint beyond the boot of a host
 * @cd: pool
 * @slot: its owner
 * @idx: its entry
 * @gen: its generation
 * @pins: a bit for the slot of each host that has pinned it
 *
 * Also what a dead host holds: its checkpoints live on.
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: how many checkpoints have it as a parent.
 */
u32 cxlf_entry_keeps(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen, u32 *pins)
{
	u32 s, sum = 0;
	u64 keep;

	*pins = 0;
	for (s = 0; s < cd->geo.nr_slots; s++) {
		keep = cxlf_load(cd, cxlf_keep_off(cd, s, slot, idx));
		if (CXLFORK_KEEP_GEN(keep) != gen)
			continue;
		sum += CXLFORK_KEEP_COUNT(keep);
		if (CXLFORK_KEEP_PIN(keep))
			*pins |= BIT(s);
	}
	return sum;
}

/**
 * cxlf_entry_give_up - take back what was said of a checkpoint to come
 * @cd: pool
 * @idx: an own entry: WRITING, without extents
 *
 * Context: process context; caller holds cd->lock.
 */
void cxlf_entry_give_up(struct cxlf_dev *cd, u32 idx)
{
	cxlf_entry_word(cd, idx, CXLFORK_CKPT_FREE);
	cxlf_keeps_freed(cd, cd->slot, idx);
}

/**
 * cxlf_entry_free - free a checkpoint that nobody can refer to
 * @cd: pool
 * @slot: its owner: this host, or one that this host takes care of
 * @idx: its entry
 * @gen: its generation
 *
 * Context: process context, sleeps; caller holds cd->lock.
 * Return: whether it is free now.
 */
bool cxlf_entry_free(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	if (cxlf_extents_sweep(cd, CXLFORK_ID(gen, slot, idx)))
		return false;
	cxlf_word_store(cd, slot, idx, gen, CXLFORK_CKPT_FREE);
	cxlf_keeps_freed(cd, slot, idx);
	return true;
}

/*
 * Does anybody hold it?  References first: who makes a keep of one raises that
 * before it drops the reference.
 */
static bool cxlf_entry_held(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	u32 pins;

	return cxlf_entry_refs(cd, slot, idx, gen) ||
	       cxlf_entry_keeps(cd, slot, idx, gen, &pins);
}

/**
 * cxlf_entry_reap - free a checkpoint that is RETIRING if it is unused
 * @cd: pool
 * @slot: its owner: this host, or one that this host takes care of
 * @idx: its entry
 * @word: its publication word
 *
 * Context: process context, sleeps; caller holds cd->lock.
 * Return: whether it is free now.
 */
bool cxlf_entry_reap(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word)
{
	u64 gen = CXLFORK_WORD_GEN(word);

	if (!cxlf_retiring(CXLFORK_WORD_STATE(word)))
		return false;
	/* RETIRING was stored; whoever raised a reference before is seen. */
	mb();
	if (CXLFORK_WORD_STATE(word) == CXLFORK_CKPT_RETIRING) {
		if (cxlf_entry_held(cd, slot, idx, gen))
			return false;
		cxlf_word_store(cd, slot, idx, gen, CXLFORK_CKPT_FREEING);
		/* Whoever raised a keep before is seen, see parents.c. */
		mb();
	}
	if (!cxlf_entry_held(cd, slot, idx, gen))
		return cxlf_entry_free(cd, slot, idx, gen);
	cxlf_word_store(cd, slot, idx, gen, CXLFORK_CKPT_RETIRING);
	return false;
}

/**
 * cxlf_entry_retire - delete a checkpoint
 * @cd: pool
 * @slot: its owner: this host, or one that this host takes care of
 * @idx: its entry
 * @word: its publication word: LIVE
 *
 * Freed now, or when the last reference is dropped.
 *
 * Context: process context, sleeps; caller holds cd->lock.
 * Return: whether it is free now.
 */
bool cxlf_entry_retire(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word)
{
	u64 gen = CXLFORK_WORD_GEN(word);
	u32 pins;

	cxlf_word_store(cd, slot, idx, gen, CXLFORK_CKPT_RETIRING);
	/* Whoever pinned it and still saw it LIVE is seen: the pin holds. */
	mb();
	cxlf_entry_keeps(cd, slot, idx, gen, &pins);
	if (pins & ~cxlf_fenced(cd)) {
		cxlf_word_store(cd, slot, idx, gen, CXLFORK_CKPT_LIVE);
		return false;
	}
	return cxlf_entry_reap(cd, slot, idx,
			       CXLFORK_WORD(gen, CXLFORK_CKPT_RETIRING));
}

/**
 * cxlf_entry_expired - has a checkpoint's time come?
 * @cd: pool
 * @slot: its owner
 * @idx: its entry
 * @gen: its generation
 *
 * Not that of one that is pinned.
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: whether it has.
 */
bool cxlf_entry_expired(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen)
{
	u64 expires = cxlf_load(cd, cxlf_expires_off(cd, slot, idx));
	u32 pins;

	if (!expires || ktime_get_real_seconds() < expires)
		return false;
	cxlf_entry_keeps(cd, slot, idx, gen, &pins);
	return !pins;
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
	cxlf_parents_load(cd, cd->slot, idx, word, &cd->parents[idx]);
	if (e->state > CXLFORK_CKPT_FREEING || e->gen > CXLFORK_GEN_MAX) {
		dev_err(cd->dev, "directory entry %u makes no sense, won't be used\n",
			idx);
		e->damaged = true;
		return;
	}
	if (e->state != CXLFORK_CKPT_LIVE && !cxlf_retiring(e->state))
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
	e->bytes = le64_to_cpu(entry.bytes);
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
	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++)
		if (!cd->own[idx].damaged &&
		    cd->own[idx].state == CXLFORK_CKPT_WRITING)
			cxlf_entry_word(cd, idx, CXLFORK_CKPT_FREE);
	cxlf_keeps_settle(cd, cd->slot, cd->parents);
	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++)
		if (!cd->own[idx].damaged)
			cxlf_entry_reap(cd, cd->slot, idx,
					cxlf_entry_own_word(cd, idx));
	return 0;
}

/**
 * cxlf_entry_unwanted - is a LIVE checkpoint to be deleted?
 * @cd: pool
 * @slot: its owner
 * @idx: its entry
 * @word: its publication word
 *
 * Some host has been asked to delete it, or its time has come; and nobody has
 * pinned it.  Whether a dead host's pin stands in the way of a deletion was decided
 * where it was asked for.
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: whether it is.
 */
bool cxlf_entry_unwanted(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word)
{
	u64 gen = CXLFORK_WORD_GEN(word), ref;
	u32 s, pins;

	if (cxlf_entry_expired(cd, slot, idx, gen))
		return true;
	for (s = 0; s < cd->geo.nr_slots; s++) {
		ref = cxlf_load(cd, cxlf_ref_off(cd, s, slot, idx));
		if (CXLFORK_REF_GEN(ref) == gen && CXLFORK_REF_DEL(ref))
			break;
	}
	if (s == cd->geo.nr_slots)
		return false;
	cxlf_entry_keeps(cd, slot, idx, gen, &pins);
	return !(pins & ~cxlf_fenced(cd));
}

/**
 * cxlf_dir_upkeep - do what other hosts want of this host's checkpoints
 * @cd: pool
 *
 * Deletes what they ask to delete and what has expired, and frees what they
 * don't use any more.
 *
 * Context: process context, sleeps; caller holds cd->lock, pool is attached.
 */
void cxlf_dir_upkeep(struct cxlf_dev *cd)
{
	u32 idx;
	bool freed;
	u64 word;

	/* With a child that is freed its parents may be. */
	do {
		freed = false;
		for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
			if (cd->own[idx].damaged)
				continue;
			word = cxlf_entry_own_word(cd, idx);
			if (cxlf_retiring(cd->own[idx].state))
				freed |= cxlf_entry_reap(cd, cd->slot, idx,
							 word);
			else if (cd->own[idx].state == CXLFORK_CKPT_LIVE &&
				 cxlf_entry_unwanted(cd, cd->slot, idx, word))
				freed |= cxlf_entry_retire(cd, cd->slot, idx,
							   word);
		}
	} while (freed);
}
