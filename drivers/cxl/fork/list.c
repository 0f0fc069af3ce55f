// SPDX-License-Identifier: GPL-2.0
/*
 * The directories of all hosts, for people.
 */
#include <linux/bits.h>
#include <linux/string.h>

#include "fork.h"

/* How often an entry that changes under our eyes is looked at again. */
#define CXLF_LIST_TRIES	3

/* Who holds it, and when it was used last. */
static void cxlf_list_holders(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen,
			      struct cxlfork_ckpt_info *info)
{
	u64 ref, when;
	u32 s;

	info->keeps = cxlf_entry_keeps(cd, slot, idx, gen, &info->pins);
	for (s = 0; s < cd->geo.nr_slots; s++) {
		ref = cxlf_load(cd, cxlf_ref_off(cd, s, slot, idx));
		if (CXLFORK_REF_GEN(ref) == gen && CXLFORK_REF_COUNT(ref) &&
		    !cxlf_fenced_slot(cd, s)) {
			info->refs += CXLFORK_REF_COUNT(ref);
			info->held |= BIT(s);
		}
		when = cxlf_load(cd, cxlf_restored_off(cd, s, slot, idx));
		info->restored = max_t(u64, info->restored, when);
	}
}

static void cxlf_list_one(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word,
			  struct cxlfork_ckpt_info *info)
{
	u64 gen = CXLFORK_WORD_GEN(word);
	struct cxlfork_ckpt_entry entry;

	info->id = CXLFORK_ID(gen, slot, idx);
	info->state = CXLFORK_WORD_STATE(word);
	if (info->state == CXLFORK_CKPT_FREEING)
		info->state = CXLFORK_CKPT_RETIRING;
	info->owner = slot;
	/* Nobody's, unless the entry says whose. */
	info->uid = U32_MAX;
	info->gid = U32_MAX;
	cxlf_list_holders(cd, slot, idx, gen, info);
	info->expires = cxlf_load(cd, cxlf_expires_off(cd, slot, idx));
	if (info->state == CXLFORK_CKPT_WRITING ?
	    cxlf_entry_known(cd, slot, idx, gen, &entry) :
	    cxlf_entry_read(cd, slot, idx, gen, &entry))
		return;
	info->uid = le32_to_cpu(entry.uid);
	info->gid = le32_to_cpu(entry.gid);
	info->mode = le32_to_cpu(entry.mode);
	info->created = le64_to_cpu(entry.created);
	info->bytes = le64_to_cpu(entry.bytes);
	info->pages = le64_to_cpu(entry.pages);
	info->first = le64_to_cpu(entry.first);
	info->nr_parents = le32_to_cpu(entry.nr_parents);
	memcpy(info->name, entry.name, sizeof(info->name));
	/* That was an earlier checkpoint of this entry. */
	if (info->restored < info->created)
		info->restored = 0;
}

static bool cxlf_listed(u64 word)
{
	u32 state = CXLFORK_WORD_STATE(word);

	return state != CXLFORK_CKPT_FREE && state <= CXLFORK_CKPT_FREEING &&
	       CXLFORK_WORD_GEN(word) <= CXLFORK_GEN_MAX;
}

/**
 * cxlf_list - the next checkpoint
 * @cd: pool
 * @file: the control device, as it was opened by the one who asks
 * @info: in: cursor; out: all of it
 *
 * A checkpoint whose entry is damaged is listed with no size and no owner, to
 * those who see everything.  One that is being written has no first extent yet.
 *
 * Context: process context, sleeps; caller holds live, geo is valid.
 * Return: 0, or -ENOENT: that was the last one.
 */
int cxlf_list(struct cxlf_dev *cd, const struct file *file,
	      struct cxlfork_ckpt_info *info)
{
	u64 end = (u64)cd->geo.nr_slots * CXLFORK_MAX_CKPTS;
	u64 n = info->cursor, word, off;
	u32 slot, idx, tries;

	for (; n < end; n++) {
		cond_resched();
		slot = n / CXLFORK_MAX_CKPTS;
		idx = n % CXLFORK_MAX_CKPTS;
		off = cxlf_entry_off(cd, slot, idx);
		for (tries = 0; tries < CXLF_LIST_TRIES; tries++) {
			word = cxlf_load(cd, off);
			if (!cxlf_listed(word))
				break;
			memset(info, 0, sizeof(*info));
			cxlf_list_one(cd, slot, idx, word, info);
			info->cursor = n + 1;
			if (cxlf_load(cd, off) == word)
				break;
		}
		/* If it never stood still: not for long, then. */
		if (cxlf_listed(word) &&
		    cxlf_may_see(file, info->uid, info->gid, info->mode))
			return 0;
	}
	return -ENOENT;
}
