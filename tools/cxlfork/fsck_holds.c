// SPDX-License-Identifier: GPL-2.0
/*
 * The checker: what holds what.
 *
 * A host raises its word and looks again whether the checkpoint is still
 * there.  One that died in between leaves a word behind that says too much:
 * that is right, and means nothing, until it boots again.  Of a host that is
 * seen to live it is not.
 */
#include <stdlib.h>

#include "fsck_pool.h"
#include "le.h"

/**
 * struct hold - a reference or keep word, and the entry it is about
 * @id:		by its place and the word's generation
 * @now:	by its place and the entry's generation
 * @state:	of the entry
 * @count:	that the word says
 * @gone:	what it is about isn't there any more
 */
struct hold {
	__u64	id;
	__u64	now;
	__u32	state;
	__u32	count;
	bool	gone;
};

static bool fenced(const struct fsck *f, __u32 slot)
{
	return f->fenced & BIT_ULL(slot);
}

static __u64 entry_word(const struct fsck *f, __u32 slot, __u32 idx)
{
	return le64(f->slots[slot].ckpts[idx].word);
}

bool ckpt_held(const struct fsck *f, const struct ckpt *ckpt)
{
	__u32 owner = CXLFORK_ID_SLOT(ckpt->id), idx = CXLFORK_ID_IDX(ckpt->id);
	__u64 gen = CXLFORK_ID_GEN(ckpt->id), ref, keep;
	__u32 s;

	for (s = 0; s < f->geo.nr_slots; s++) {
		ref = le64(f->slots[s].refs[owner][idx]);
		keep = le64(f->slots[s].keeps[owner][idx]);
		/* Who isn't attached (yet) has nothing mapped. */
		if (!fenced(f, s) && host_state(f, s) == CXLFORK_HOST_ALIVE &&
		    CXLFORK_REF_GEN(ref) == gen && CXLFORK_REF_COUNT(ref))
			return true;
		if (CXLFORK_KEEP_GEN(keep) == gen && CXLFORK_KEEP_COUNT(keep))
			return true;
	}
	return false;
}

/* What a word is about; false: nothing that there can be. */
static bool take_hold(struct fsck *f, __u32 owner, __u32 idx, __u64 word,
		      bool keep, struct hold *hold)
{
	const char *what = keep ? "keeps" : "refers to";
	__u64 gen = CXLFORK_REF_GEN(word), entry, now;

	hold->count = CXLFORK_REF_COUNT(word);
	hold->id = CXLFORK_ID(gen, owner, idx);
	if (owner >= f->geo.nr_slots || !host_claimed(f, owner) || !gen)
		return problem(f->findings,
			       keep ? BAD_KEEP_NOWHERE : BAD_REF_NOWHERE,
			       "%s slot %u, entry %u, generation %llu", what,
			       owner, idx, gen);
	entry = entry_word(f, owner, idx);
	now = CXLFORK_WORD_GEN(entry);
	hold->now = CXLFORK_ID(now, owner, idx);
	hold->state = CXLFORK_WORD_STATE(entry);
	hold->gone = gen != now || hold->state == CXLFORK_CKPT_FREE;
	if (gen > now)
		return problem(f->findings,
			       keep ? BAD_KEEP_FUTURE : BAD_REF_FUTURE,
			       "%s 0x%llx, but its entry is at 0x%llx", what,
			       hold->id, hold->now);
	return true;
}

/*
 * A word says too much.  That is right of a host that is declared dead, or just
 * attaches: it has yet to put it right.  And of one that has crashed, if a crash
 * can have this result, @by_crash; but who knows whether it has?
 * Return: whether it is wrong.
 */
static bool inexcusable(struct fsck *f, __u32 slot, bool by_crash)
{
	if (fenced(f, slot) || host_state(f, slot) == CXLFORK_HOST_FREE)
		return false;
	if (!by_crash || f->lives & BIT_ULL(slot) ||
	    host_state(f, slot) == CXLFORK_HOST_DETACHED)
		return true;
	f->counts->doubts++;
	return false;
}

static void check_ref(struct fsck *f, __u32 slot, __u32 owner, __u32 idx)
{
	__u64 word = le64(f->slots[slot].refs[owner][idx]);
	struct hold hold;

	if (!word || !take_hold(f, owner, idx, word, false, &hold) ||
	    !hold.count)
		return;
	if (host_state(f, slot) == CXLFORK_HOST_DETACHED) {
		problem(f->findings, BAD_REF_DETACHED,
			"%u references to 0x%llx", hold.count, hold.id);
	} else if (hold.gone) {
		/* One at a time is raised before it is looked again. */
		if (inexcusable(f, slot, hold.count == 1))
			problem(f->findings, BAD_REF_VANISHED,
				"%u references to 0x%llx, which does not exist",
				hold.count, hold.id);
	} else if (hold.state == CXLFORK_CKPT_WRITING) {
		problem(f->findings, BAD_REF_WRITING,
			"%u references to 0x%llx, which is being written",
			hold.count, hold.id);
	} else if (!fenced(f, slot)) {
		f->counts->refs += hold.count;
	}
}

/* Any time, but of something that there was once. */
static void check_restored(struct fsck *f, __u32 slot, __u32 owner, __u32 idx)
{
	__u64 when = le64(f->slots[slot].restored[owner][idx]);

	if (when && (owner >= f->geo.nr_slots || !host_claimed(f, owner) ||
		     !CXLFORK_WORD_GEN(entry_word(f, owner, idx))))
		problem(f->findings, BAD_RESTORED_NOWHERE,
			"has restored slot %u, entry %u at %llu", owner, idx,
			when);
}

void check_refs(struct fsck *f, __u32 slot)
{
	__u32 owner, idx;

	findings_at(f->findings, "slot %u", slot);
	for (owner = 0; owner < CXLFORK_MAX_SLOTS; owner++) {
		for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
			check_ref(f, slot, owner, idx);
			check_restored(f, slot, owner, idx);
		}
	}
}

/**
 * struct children - what a host's keeps have to say
 * @need:	for each entry of all slots: its checkpoints that have the one
 *		that is there now as a parent
 * @maybe:	checkpoints of it of which that isn't known
 */
struct children {
	__u32	need[CXLFORK_MAX_SLOTS][CXLFORK_MAX_CKPTS];
	__u32	maybe;
};

static void count_children(const struct fsck *f, __u32 slot,
			   struct children *children)
{
	const struct family *family;
	struct ckpt ckpt, parent;
	__u32 idx, i;

	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
		family = family_of(f, slot, idx);
		ckpt_take(&f->slots[slot], slot, idx, &ckpt);
		if (ckpt.state == CXLFORK_CKPT_FREE)
			continue;
		if (!family->known)
			children->maybe++;
		for (i = 0; i < family->nr; i++)
			if (find_ckpt(f, family->ids[i], &parent) &&
			    parent.state != CXLFORK_CKPT_WRITING)
				children->need[CXLFORK_ID_SLOT(parent.id)]
					      [CXLFORK_ID_IDX(parent.id)]++;
	}
}

static void check_keep(struct fsck *f, __u32 slot, __u32 owner, __u32 idx,
		       const struct children *children)
{
	__u64 word = le64(f->slots[slot].keeps[owner][idx]);
	__u32 need = children->need[owner][idx];
	struct hold hold = { 0 };

	if (word && !take_hold(f, owner, idx, word, true, &hold))
		return;
	if (need > (word && !hold.gone ? hold.count : 0)) {
		problem(f->findings, BAD_KEEP_LOW,
			"keeps slot %u, entry %u %u times; %u of its checkpoints have it as a parent",
			owner, idx, hold.gone ? 0 : hold.count, need);
		return;
	}
	if (!hold.count)
		return;
	if (!hold.gone && hold.state == CXLFORK_CKPT_WRITING)
		problem(f->findings, BAD_KEEP_WRITING,
			"keeps 0x%llx, which is being written", hold.id);
	else if (hold.count > need + children->maybe &&
		 inexcusable(f, slot, true))
		problem(f->findings, BAD_KEEP_HIGH,
			"keeps 0x%llx %u times; %u of its checkpoints have it as a parent",
			hold.id, hold.count, need);
}

void check_keeps(struct fsck *f, __u32 slot)
{
	struct children *children = calloc(1, sizeof(*children));
	__u32 owner, idx;

	if (!children) {
		no_memory(f->findings);
		return;
	}
	count_children(f, slot, children);
	findings_at(f->findings, "slot %u", slot);
	for (owner = 0; owner < CXLFORK_MAX_SLOTS; owner++)
		for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++)
			check_keep(f, slot, owner, idx, children);
	free(children);
}
