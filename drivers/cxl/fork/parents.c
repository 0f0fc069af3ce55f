// SPDX-License-Identifier: GPL-2.0
/*
 * Parents: checkpoints whose pages another one's leaves map, and what holds
 * them.
 *
 * A keep word counts the checkpoints of one directory that have a certain one
 * as a parent.  It is never added to or taken from, but follows from the
 * directory: up before a child is published, down after it was freed.  Whoever
 * finds it too high, after a crash, puts it right by counting again: the host
 * itself when it boots, or the one that takes care of it.  What can't be read
 * lowers nothing.
 *
 * A parent may be RETIRING.  The clone that is checkpointed holds a reference on
 * its own checkpoint, whose owner keeps the parents of that.  So a hold can move
 * from host to host, and the owner, which looks at one after the other, could
 * miss it on all of them.  Therefore it says FREEING before it looks for the
 * last time, and whoever raises a keep looks afterwards whether it says so.
 */
#include <linux/crc32c.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "fork.h"

/* Copy a part of an image; its header is at hand and checked. */
static int cxlf_parents_piece(struct cxlf_dev *cd, u64 first,
			      const struct cxlfork_image *image, u64 off,
			      void *to, size_t len)
{
	u64 table = first + le64_to_cpu(image->extents_off);
	__le32 word;
	u64 place;
	u32 extent;
	size_t n;

	while (len) {
		if (off >> CXLFORK_EXTENT_SHIFT >= le32_to_cpu(image->nr_extents) ||
		    cxlf_read(cd, table + (off >> CXLFORK_EXTENT_SHIFT) * sizeof(word),
			      &word, sizeof(word)))
			return -EUCLEAN;
		extent = le32_to_cpu(word);
		if (extent >= cd->geo.nr_extents ||
		    cxlf_load(cd, cxlf_etable_off(cd, extent)) !=
			    le64_to_cpu(image->id))
			return -EUCLEAN;
		place = off & (CXLFORK_EXTENT_SIZE - 1);
		n = min_t(u64, len, CXLFORK_EXTENT_SIZE - place);
		if (cxlf_read(cd, ((u64)extent << CXLFORK_EXTENT_SHIFT) + place,
			      to, n))
			return -EUCLEAN;
		to += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int cxlf_parents_header(struct cxlf_dev *cd, u64 id, u64 first,
			       struct cxlfork_image *image)
{
	u64 off;

	if (cxlf_load(cd, cxlf_etable_off(cd, first >> CXLFORK_EXTENT_SHIFT)) !=
		    id ||
	    cxlf_read(cd, first, image, sizeof(*image)) ||
	    cxlf_head_check(image, &image->head, CXLFORK_MAGIC_IMAGE,
			    sizeof(*image)) ||
	    le64_to_cpu(image->id) != id ||
	    le32_to_cpu(image->nr_extents) > CXLF_IMAGE_EXTENTS)
		return -EUCLEAN;
	off = le64_to_cpu(image->extents_off);
	return off > CXLFORK_EXTENT_SIZE -
		     le32_to_cpu(image->nr_extents) * sizeof(__le32) ?
		-EUCLEAN : 0;
}

static int cxlf_parents_read(struct cxlf_dev *cd, u64 id,
			     const struct cxlfork_ckpt_entry *entry,
			     struct cxlfork_image *image, struct cxlf_parents *p)
{
	const struct cxlfork_section *sec = &image->sections[CXLFORK_SEC_PARENTS];
	struct cxlfork_parent raw[CXLFORK_MAX_PARENTS];
	u32 nr = le32_to_cpu(entry->nr_parents), slot, idx, i;
	u64 first = le64_to_cpu(entry->first), gen;
	size_t len = nr * sizeof(*raw);
	int err;

	err = cxlf_parents_header(cd, id, first, image);
	if (!err && le64_to_cpu(sec->length) != len)
		err = -EUCLEAN;
	if (!err)
		err = cxlf_parents_piece(cd, first, image,
					 le64_to_cpu(sec->offset), raw, len);
	if (!err && ~crc32c(~0, raw, len) != le32_to_cpu(sec->crc))
		err = -EUCLEAN;
	for (i = 0; i < nr && !err; i++) {
		p->ids[i] = le64_to_cpu(raw[i].id);
		if (!cxlf_id_split(cd, p->ids[i], &slot, &idx, &gen))
			err = -EUCLEAN;
	}
	if (!err)
		p->nr = nr;
	return err;
}

/**
 * cxlf_parents_load - which parents a checkpoint has
 * @cd: pool
 * @slot: whose
 * @idx: which
 * @word: its publication word
 * @p: the answer
 *
 * Context: process context, sleeps; caller holds cd->lock, geo is valid.
 */
void cxlf_parents_load(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word,
		       struct cxlf_parents *p)
{
	u32 state = CXLFORK_WORD_STATE(word);
	u64 gen = CXLFORK_WORD_GEN(word);
	struct cxlfork_ckpt_entry entry;
	struct cxlfork_image *image;

	memset(p, 0, sizeof(*p));
	if (state == CXLFORK_CKPT_FREE || state == CXLFORK_CKPT_WRITING)
		return;
	p->unsure = true;
	if (state > CXLFORK_CKPT_FREEING || gen > CXLFORK_GEN_MAX ||
	    cxlf_entry_read(cd, slot, idx, gen, &entry))
		return;
	if (!entry.nr_parents) {
		p->unsure = false;
		return;
	}
	image = kmalloc(sizeof(*image), GFP_KERNEL);
	if (image)
		p->unsure = cxlf_parents_read(cd, CXLFORK_ID(gen, slot, idx),
					      &entry, image, p);
	kfree(image);
	if (p->unsure)
		dev_err_ratelimited(cd->dev, "the parents of checkpoint %#llx can't be read: they are kept\n",
				    CXLFORK_ID(gen, slot, idx));
}

static u32 cxlf_children(const struct cxlf_parents *table, u64 id, bool *unsure)
{
	const struct cxlf_parents *p;
	u32 i, count = 0;

	*unsure = false;
	for (p = table; p < table + CXLFORK_MAX_CKPTS; p++) {
		*unsure |= p->unsure;
		for (i = 0; i < p->nr; i++)
			count += p->ids[i] == id;
	}
	return count;
}

static u64 cxlf_keep_of(struct cxlf_dev *cd, u32 slot, u32 owner, u32 idx)
{
	return slot == cd->slot ? cd->keeps[owner][idx] :
		cxlf_load(cd, cxlf_keep_off(cd, slot, owner, idx));
}

/* Make what @slot keeps of one checkpoint what its directory (@table) says. */
static void cxlf_keep_settle(struct cxlf_dev *cd, u32 slot,
			     const struct cxlf_parents *table, u64 id)
{
	u32 owner, idx, count;
	u64 gen, was, keep;
	bool same, unsure;

	if (!cxlf_id_split(cd, id, &owner, &idx, &gen))
		return;
	was = cxlf_keep_of(cd, slot, owner, idx);
	same = CXLFORK_KEEP_GEN(was) == gen;
	count = cxlf_children(table, id, &unsure);
	if (same && unsure)
		count = max(count, CXLFORK_KEEP_COUNT(was));
	keep = CXLFORK_KEEP(gen, same && CXLFORK_KEEP_PIN(was), count);
	if (keep == was || (!same && !count))
		return;
	if (slot == cd->slot)
		cxlf_keep_store(cd, owner, idx, keep);
	else if (cxlf_cares(cd, slot))
		cxlf_store(cd, cxlf_keep_off(cd, slot, owner, idx), keep);
}

/**
 * cxlf_keeps_settle - make all that a host keeps what its directory says
 * @cd: pool
 * @slot: this host's, or that of one that this host takes care of
 * @table: parents of each checkpoint of its directory
 *
 * Pins are not touched.
 *
 * Context: process context; caller holds cd->lock.
 */
void cxlf_keeps_settle(struct cxlf_dev *cd, u32 slot,
		       const struct cxlf_parents *table)
{
	u32 owner, idx, i;
	u64 keep;

	for (owner = 0; owner < cd->geo.nr_slots; owner++) {
		for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
			keep = cxlf_keep_of(cd, slot, owner, idx);
			if (CXLFORK_KEEP_COUNT(keep))
				cxlf_keep_settle(cd, slot, table,
						 CXLFORK_ID(CXLFORK_KEEP_GEN(keep),
							    owner, idx));
		}
	}
	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++)
		for (i = 0; i < table[idx].nr; i++)
			cxlf_keep_settle(cd, slot, table, table[idx].ids[i]);
}

/**
 * cxlf_keeps_raise - keep the parents of a checkpoint that is being made
 * @cd: pool
 * @idx: its entry in this host's directory: WRITING; cd->parents[] and cd->own[]
 *	say what it is to be
 *
 * They are what a clone maps that is checkpointed: this host holds a reference on
 * the clone's checkpoint, which is one of them or has them as parents, until the
 * new one is published.
 *
 * Context: process context; caller holds cd->lock.
 * Return: 0; -ESTALE: one of them can't be kept, or is another user's.  Then the
 * entry is to be given up, see cxlf_entry_give_up().
 */
int cxlf_keeps_raise(struct cxlf_dev *cd, u32 idx)
{
	const struct cxlf_parents *p = &cd->parents[idx];
	struct cxlfork_ckpt_entry entry;
	u32 owner, i, n;
	u64 gen, word;

	for (i = 0; i < p->nr; i++) {
		if (!cxlf_id_split(cd, p->ids[i], &owner, &n, &gen))
			return -ESTALE;
		word = cd->keeps[owner][n];
		if (CXLFORK_KEEP_COUNT(word) && CXLFORK_KEEP_GEN(word) != gen) {
			dev_err_ratelimited(cd->dev, "slot %u has reused directory entry %u, which this host keeps\n",
					    owner, n);
			return -ESTALE;
		}
		cxlf_keep_settle(cd, cd->slot, cd->parents, p->ids[i]);
	}
	/* They are up; if it isn't FREEING now, the owner sees it. */
	mb();
	for (i = 0; i < p->nr; i++) {
		cxlf_id_split(cd, p->ids[i], &owner, &n, &gen);
		word = cxlf_load(cd, cxlf_entry_off(cd, owner, n));
		if (word != CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE) &&
		    word != CXLFORK_WORD(gen, CXLFORK_CKPT_RETIRING))
			return -ESTALE;
		if (cxlf_entry_read(cd, owner, n, gen, &entry) ||
		    le32_to_cpu(entry.uid) != cd->own[idx].uid)
			return -ESTALE;
	}
	return 0;
}

/**
 * cxlf_keeps_freed - a checkpoint is gone: its parents need no longer be kept
 * @cd: pool
 * @slot: its owner: this host, or one that this host takes care of
 * @idx: its entry: FREE
 *
 * Context: process context; caller holds cd->lock.
 */
void cxlf_keeps_freed(struct cxlf_dev *cd, u32 slot, u32 idx)
{
	struct cxlf_parents was;
	u32 i;

	if (slot != cd->slot) {
		/* See cxlf_keeps_care(). */
		cd->settled &= ~BIT(slot);
		return;
	}
	was = cd->parents[idx];
	memset(&cd->parents[idx], 0, sizeof(was));
	if (was.unsure)
		cxlf_keeps_settle(cd, slot, cd->parents);
	for (i = 0; i < was.nr; i++)
		cxlf_keep_settle(cd, slot, cd->parents, was.ids[i]);
}

/**
 * cxlf_keeps_care - what a dead host keeps, after it or its caretaker freed some
 * @cd: pool
 * @slot: a host that this one takes care of; none of its entries is WRITING
 *
 * Context: process context, sleeps; caller holds cd->lock.
 */
void cxlf_keeps_care(struct cxlf_dev *cd, u32 slot)
{
	struct cxlf_parents *table;
	u32 idx;

	if (cd->settled & BIT(slot))
		return;
	table = kvcalloc(CXLFORK_MAX_CKPTS, sizeof(*table), GFP_KERNEL);
	if (!table)
		return;
	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++)
		cxlf_parents_load(cd, slot, idx,
				  cxlf_load(cd, cxlf_entry_off(cd, slot, idx)),
				  &table[idx]);
	cxlf_keeps_settle(cd, slot, table);
	kvfree(table);
	/* If not, whoever does counts again. */
	if (cxlf_cares(cd, slot))
		cd->settled |= BIT(slot);
}

static int cxlf_parent_check(struct cxlf_dev *cd, u64 child, u64 id,
			     struct cxlfork_ckpt *parent)
{
	struct cxlfork_ckpt_entry entry;
	u32 slot, idx, holder, n;
	u64 gen, word;

	if (!cxlf_id_split(cd, child, &holder, &n, &gen) ||
	    !cxlf_id_split(cd, id, &slot, &idx, &gen))
		return -ENOENT;
	word = cxlf_load(cd, cxlf_keep_off(cd, holder, slot, idx));
	if (CXLFORK_KEEP_GEN(word) != gen || !CXLFORK_KEEP_COUNT(word))
		return -EUCLEAN;
	word = cxlf_load(cd, cxlf_entry_off(cd, slot, idx));
	if (CXLFORK_WORD_GEN(word) != gen ||
	    (CXLFORK_WORD_STATE(word) != CXLFORK_CKPT_LIVE &&
	     !cxlf_retiring(CXLFORK_WORD_STATE(word))))
		return -ENOENT;
	if (cxlf_entry_read(cd, slot, idx, gen, &entry))
		return -EUCLEAN;
	parent->id = id;
	parent->first = le64_to_cpu(entry.first);
	parent->bytes = le64_to_cpu(entry.bytes);
	parent->nr_extents = parent->bytes >> CXLFORK_EXTENT_SHIFT;
	parent->uid = le32_to_cpu(entry.uid);
	parent->gid = le32_to_cpu(entry.gid);
	parent->mode = le32_to_cpu(entry.mode);
	return cxlf_tcg_reload(cd, id);
}

/**
 * cxlf_parent - look at a parent of a checkpoint
 * @pool: pool
 * @child: a checkpoint that this host has a reference on
 * @id: what its image names as a parent
 * @parent: gets what the directory says; not a handle
 *
 * It stays as long as the child does, and so as long as the reference.
 *
 * Context: process context, sleeps; takes live and cd->lock.
 * Return: 0, or -ENODEV: no pool is attached; -ENOENT: there is no such
 * checkpoint; -EUCLEAN: its entry is damaged, or nobody keeps it for the child; a
 * negative errno.
 */
int cxlf_parent(struct cxlfork_pool *pool, u64 child, u64 id,
		struct cxlfork_ckpt *parent)
{
	struct cxlf_dev *cd = to_cxlf_dev(pool);
	int err;

	memset(parent, 0, sizeof(*parent));
	err = cxlf_enter(cd);
	if (err)
		return err;
	mutex_lock(&cd->lock);
	err = cxlf_parent_check(cd, child, id, parent);
	mutex_unlock(&cd->lock);
	cxlf_leave(cd);
	return err;
}
