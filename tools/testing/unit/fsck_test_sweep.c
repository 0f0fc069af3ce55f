// SPDX-License-Identifier: GPL-2.0
/*
 * The checker looks at all of the pool's own data: a bit that is flipped
 * anywhere is found, but for what is listed here as free to be anything.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "fsck_test.h"
#include "util.h"

#define STEP		37	/* bytes: from field to field, and bit to bit */
#define FREE_MAX	2000

/**
 * struct range - bytes of the pool
 * @start:	the first
 * @size:	how many
 */
struct range {
	const __u8	*start;
	size_t		size;
};

static struct range ranges[FREE_MAX];
static size_t nr_ranges;

static void is_free(const void *start, size_t size)
{
	if (nr_ranges == FREE_MAX)
		abort();
	ranges[nr_ranges].start = start;
	ranges[nr_ranges++].size = size;
}

#define IS_FREE(field)	is_free(&(field), sizeof(field))

static bool free_byte(const __u8 *at)
{
	size_t i;

	for (i = 0; i < nr_ranges; i++)
		if (at >= ranges[i].start &&
		    at < ranges[i].start + ranges[i].size)
			return true;
	return false;
}

/* What an entry says before it is LIVE, or after it was. */
static void free_entry(struct cxlfork_ckpt_entry *entry)
{
	__u64 word = le64toh(entry->word);

	switch (CXLFORK_WORD_STATE(word)) {
	case CXLFORK_CKPT_FREE:
		/* another generation, but no state */
		is_free((__u8 *)&entry->word + 1, 7);
		if (CXLFORK_WORD_GEN(word))
			IS_FREE(entry->expires);
		is_free(entry->reserved0, sizeof(*entry) - 16);
		break;
	case CXLFORK_CKPT_WRITING:
		IS_FREE(entry->expires);
		IS_FREE(entry->head.crc);
		IS_FREE(entry->first);
		is_free((__u8 *)&entry->bytes + 2, 2);
		IS_FREE(entry->pages);
		IS_FREE(entry->created);
		IS_FREE(entry->uid);
		IS_FREE(entry->gid);
		is_free(&entry->mode, 2);
		IS_FREE(entry->nr_parents);
		IS_FREE(entry->name);
		break;
	default:
		IS_FREE(entry->expires);
	}
}

static void free_words(__le64 (*words)[CXLFORK_MAX_CKPTS])
{
	__u32 o, i;

	/* a word that says something may well say something else */
	for (o = 0; o < CXLFORK_MAX_SLOTS; o++)
		for (i = 0; i < CXLFORK_MAX_CKPTS; i++)
			if (words[o][i])
				IS_FREE(words[o][i]);
}

static void free_slot(struct synth *s, __u32 slot)
{
	struct cxlfork_slot *sl = &s->slots[slot];
	__u32 o, i;

	if (slot >= SYNTH_HOSTS) {
		IS_FREE(sl->host.claim);	/* somebody begins to attach */
		return;
	}
	IS_FREE(sl->host.heartbeat);
	is_free(&sl->host.state, 1);
	for (o = 0; o < SYNTH_HOSTS; o++)
		is_free(&sl->fences[o], 1);
	free_words(sl->refs);
	free_words(sl->keeps);
	for (i = 0; i < CXLFORK_MAX_CKPTS; i++) {
		free_entry(&sl->ckpts[i]);
		for (o = 0; o < SYNTH_HOSTS; o++)
			if (CXLFORK_WORD_GEN(le64toh(s->slots[o].ckpts[i].word)))
				IS_FREE(sl->restored[o][i]);
	}
}

static size_t sweep(struct synth *s, __u8 *at, const __u8 *end, size_t *missed)
{
	size_t tried = 0, n = 0;

	for (; at < end; at += STEP, n++) {
		if (free_byte(at))
			continue;
		tried++;
		*at ^= 1 << (n % 8);
		if (!problems(s)) {
			printf("# byte %#zx, bit %zu\n", at - s->mem, n % 8);
			++*missed;
		}
		*at ^= 1 << (n % 8);
	}
	return tried;
}

size_t sweep_pool(struct synth *s, size_t *missed)
{
	size_t tried;
	__u32 slot;

	*missed = 0;

	for (slot = 0; slot < SYNTH_SLOTS; slot++)
		free_slot(s, slot);
	tried = sweep(s, s->mem, s->mem + sizeof(*s->super), missed);
	tried += sweep(s, s->mem + SYNTH_SLOTS_OFF,
		       s->mem + SYNTH_ETABLE_OFF +
		       SYNTH_EXTENTS * sizeof(*s->etable), missed);
	return tried;
}
