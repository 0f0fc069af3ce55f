// SPDX-License-Identifier: GPL-2.0
/*
 * The directories of all hosts, for people.
 */
#include <linux/string.h>

#include "fork.h"

/* How often an entry that changes under our eyes is looked at again. */
#define CXLF_LIST_TRIES	3

static void cxlf_list_writing(struct cxlf_dev *cd, u32 idx, u64 gen,
			      struct cxlfork_ckpt_info *info)
{
	struct cxlf_entry *e = &cd->own[idx];

	mutex_lock(&cd->lock);
	if (e->gen == gen) {
		info->uid = e->uid;
		info->gid = e->gid;
		info->mode = e->mode;
		info->pages = e->pages;
		memcpy(info->name, e->name, sizeof(info->name));
	}
	mutex_unlock(&cd->lock);
}

static void cxlf_list_one(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word,
			  struct cxlfork_ckpt_info *info)
{
	u64 gen = CXLFORK_WORD_GEN(word);
	struct cxlfork_ckpt_entry entry;

	info->id = CXLFORK_ID(gen, slot, idx);
	info->state = CXLFORK_WORD_STATE(word);
	info->owner = slot;
	/* Nobody's, unless the entry says whose. */
	info->uid = U32_MAX;
	info->gid = U32_MAX;
	if (info->state == CXLFORK_CKPT_WRITING) {
		/* Others' entries aren't filled in yet. */
		if (cd->attached && slot == cd->slot)
			cxlf_list_writing(cd, idx, gen, info);
		return;
	}
	info->refs = cxlf_entry_refs(cd, slot, idx, gen);
	if (cxlf_entry_read(cd, slot, idx, gen, &entry))
		return;
	info->uid = le32_to_cpu(entry.uid);
	info->gid = le32_to_cpu(entry.gid);
	info->mode = le32_to_cpu(entry.mode);
	info->created = le64_to_cpu(entry.created);
	info->bytes = le64_to_cpu(entry.bytes);
	info->pages = le64_to_cpu(entry.pages);
	info->first = le64_to_cpu(entry.first);
	memcpy(info->name, entry.name, sizeof(info->name));
}

static bool cxlf_listed(u64 word)
{
	u32 state = CXLFORK_WORD_STATE(word);

	return state != CXLFORK_CKPT_FREE && state <= CXLFORK_CKPT_RETIRING &&
	       CXLFORK_WORD_GEN(word) <= CXLFORK_GEN_MAX;
}

/**
 * cxlf_list - the next checkpoint
 * @cd: pool
 * @info: in: cursor; out: all of it
 *
 * A checkpoint whose entry is damaged is listed with no size and no owner.
 *
 * Context: process context, sleeps; caller holds live, geo is valid.
 * Return: 0, or -ENOENT: that was the last one.
 */
int cxlf_list(struct cxlf_dev *cd, struct cxlfork_ckpt_info *info)
{
	u64 end = (u64)cd->geo.nr_slots * CXLFORK_MAX_CKPTS;
	u64 n = info->cursor, word, off;
	u32 slot, idx, tries;

	for (; n < end; n++) {
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
				return 0;
		}
		/* It never stood still: not for long, then. */
		if (tries == CXLF_LIST_TRIES)
			return 0;
	}
	return -ENOENT;
}
