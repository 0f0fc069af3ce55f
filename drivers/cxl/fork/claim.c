// SPDX-License-Identifier: GPL-2.0
/*
 * A directory entry for a new checkpoint: is its name free, has its owner any
 * quota left, on any host of the pool.
 *
 * An entry says what it is going to be before it says WRITING, and only then
 * are all others looked at.  Of two hosts that want the same name at the same
 * time each sees the other, or the later one sees the earlier one: never both get
 * it, but it may be that neither does.  The quota likewise.
 */
#include <linux/delay.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "fork.h"

#define CXLF_CENSUS_TRIES	20
#define CXLF_RESERVED		16	/* entries */

/**
 * struct cxlf_census - what the checkpoints there are say against a new one
 * @name:	it wants, or empty
 * @uid:	of its owner
 * @taken:	the owner has one of this name
 * @bytes:	all of the owner's take
 */
struct cxlf_census {
	const char	*name;
	u32		uid;
	bool		taken;
	u64		bytes;
};

static void cxlf_census_add(struct cxlf_census *c, u32 state, u32 uid,
			    const char *name, u64 bytes)
{
	if (uid != c->uid)
		return;
	c->bytes += bytes;
	if (c->name[0] && !cxlf_retiring(state) &&
	    !strncmp(name, c->name, CXLFORK_NAME_MAX))
		c->taken = true;
}

/* This host's own, but for the new one: what counts is local memory. */
static void cxlf_census_own(struct cxlf_dev *cd, struct cxlf_census *c, u32 new)
{
	struct cxlf_entry *e;

	for (e = cd->own; e < cd->own + CXLFORK_MAX_CKPTS; e++)
		if (!e->damaged && e != cd->own + new &&
		    e->state != CXLFORK_CKPT_FREE)
			cxlf_census_add(c, e->state, e->uid, e->name, e->bytes);
}

/*
 * An entry that can't be read may be one that is being published just now.  If it
 * stays so its host has died there, or it is damaged: it has neither name nor owner.
 */
static int cxlf_census_read(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen,
			    struct cxlfork_ckpt_entry *entry)
{
	u32 tries;
	int err;

	for (tries = 0; tries < CXLF_CENSUS_TRIES; tries++) {
		err = cxlf_entry_known(cd, slot, idx, gen, entry);
		if (!err)
			break;
		usleep_range(50, 100);
	}
	return err;
}

static void cxlf_census_of(struct cxlf_dev *cd, struct cxlf_census *c, u32 slot)
{
	struct cxlfork_ckpt_entry entry;
	u32 idx, state;
	u64 word;

	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
		word = cxlf_load(cd, cxlf_entry_off(cd, slot, idx));
		state = CXLFORK_WORD_STATE(word);
		if (state == CXLFORK_CKPT_FREE || state > CXLFORK_CKPT_FREEING)
			continue;
		if (cxlf_census_read(cd, slot, idx, CXLFORK_WORD_GEN(word),
				     &entry))
			continue;
		cxlf_census_add(c, state, le32_to_cpu(entry.uid), entry.name,
				le64_to_cpu(entry.bytes));
	}
}

static int cxlf_census_check(struct cxlf_dev *cd,
			     const struct cxlfork_ckpt_attr *attr, u32 idx,
			     u64 bytes, u64 *missing)
{
	struct cxlf_census c = { .name = attr->name, .uid = attr->uid };
	u32 s;

	if (!attr->name[0] && !attr->quota)
		return 0;
	/* The own entry says WRITING; now look at the others. */
	mb();
	cxlf_census_own(cd, &c, idx);
	for (s = 0; s < cd->geo.nr_slots; s++)
		if (s != cd->slot && cxlf_load(cd, cxlf_claim_off(cd, s)))
			cxlf_census_of(cd, &c, s);
	if (c.taken)
		return -EEXIST;
	if (attr->quota && c.bytes + bytes > attr->quota) {
		*missing = c.bytes + bytes - attr->quota;
		return -EDQUOT;
	}
	return 0;
}

static int cxlf_entry_pick(struct cxlf_dev *cd, bool privileged)
{
	struct cxlf_entry *e, *end = cd->own + CXLFORK_MAX_CKPTS;

	/* As of disks: who is no one special can't take the last ones. */
	if (!privileged)
		end -= CXLF_RESERVED;
	for (e = cd->own; e < end; e++)
		if (!e->damaged && e->state == CXLFORK_CKPT_FREE &&
		    e->gen < CXLFORK_GEN_MAX)
			return e - cd->own;
	return -ENOSPC;
}

/**
 * cxlf_entry_seal - write what an own entry says, its word apart
 * @cd: pool
 * @idx: which
 * @first: offset of its image, or 0: not known yet
 *
 * Context: any; caller holds cd->lock; the entry is FREE or WRITING.
 */
void cxlf_entry_seal(struct cxlf_dev *cd, u32 idx, u64 first)
{
	const size_t head = offsetof(struct cxlfork_ckpt_entry, head);
	const struct cxlf_entry *e = &cd->own[idx];
	struct cxlfork_ckpt_entry entry = {
		.id	 = cpu_to_le64(CXLFORK_ID(e->gen, cd->slot, idx)),
		.first	 = cpu_to_le64(first),
		.bytes	 = cpu_to_le64(e->bytes),
		.pages	 = cpu_to_le64(e->pages),
		.created = cpu_to_le64(ktime_get_real_seconds()),
		.uid	 = cpu_to_le32(e->uid),
		.gid	 = cpu_to_le32(e->gid),
		.mode	 = cpu_to_le32(e->mode),
		.nr_parents = cpu_to_le32(cd->parents[idx].nr),
	};

	memcpy(entry.name, e->name, sizeof(entry.name));
	cxlf_head_seal(&entry.head, &entry.head, CXLFORK_MAGIC_CKPT,
		       sizeof(entry) - head);
	cxlf_write(cd, cxlf_entry_off(cd, cd->slot, idx) + head, &entry.head,
		   sizeof(entry) - head);
	cxlf_fence(cd);
}

/**
 * cxlf_claim_entry - get a directory entry for a new checkpoint
 * @cd: pool
 * @attr: what it is to be
 * @bytes: extents it takes, in bytes
 * @idx: which entry: WRITING
 * @missing: with -EDQUOT: bytes beyond the quota
 *
 * Context: process context, sleeps; caller holds cd->lock, pool is attached.
 * Return: 0; -EEXIST: its owner has one of this name, or is about to, on some
 * host; -EDQUOT; -ENOSPC: no entry is free.
 */
int cxlf_claim_entry(struct cxlf_dev *cd, const struct cxlfork_ckpt_attr *attr,
		     u64 bytes, u32 *idx, u64 *missing)
{
	struct cxlf_entry *e;
	struct cxlf_parents *p;
	int i, err;

	i = cxlf_entry_pick(cd, attr->privileged);
	if (i < 0)
		return i;
	e = &cd->own[i];
	e->gen++;
	e->uid = attr->uid;
	e->gid = attr->gid;
	e->mode = attr->mode;
	e->pages = attr->pages;
	e->bytes = bytes;
	e->ttl = attr->ttl;
	e->pin = attr->pin;
	strscpy_pad(e->name, attr->name, sizeof(e->name));
	p = &cd->parents[i];
	p->nr = attr->nr_parents;
	p->unsure = false;
	memcpy(p->ids, attr->parents, p->nr * sizeof(*p->ids));
	cxlf_entry_seal(cd, i, 0);
	cxlf_entry_word(cd, i, CXLFORK_CKPT_WRITING);

	err = cxlf_census_check(cd, attr, i, bytes, missing);
	if (err)
		cxlf_entry_give_up(cd, i);
	*idx = i;
	return err;
}
