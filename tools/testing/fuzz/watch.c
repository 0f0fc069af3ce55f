// SPDX-License-Identifier: GPL-2.0
/*
 * Who writes what.
 *
 * A mirror has what the fuzzed host is known to have written and what the others
 * have (mutate.c writes to both).  What differs after an operation is what that
 * operation wrote, and the format says what a host may write: its own slot; the
 * claim of a free one; of a host that it has declared dead the publication words;
 * and of the extent table words from zero to its own and back.
 */
#include "watch.h"

static u8 *begin, *mirror;
static u64 meta;	/* bytes that are watched */
static u64 whole;	/* bytes that there are */
/* Before the operation. */
static struct cxlf_entry own[CXLFORK_MAX_CKPTS];
static struct cxlf_geo geo;
static bool usable, attached;
static u32 slot_was;

static DECLARE_BITMAP(dirty, 1 << 16);

static void wrote(const volatile void *at, size_t len)
{
	u64 off = (const volatile u8 *)at - host.view;

	/* It may have one for a while only. */
	if (host.cd->slot != CXLF_NO_SLOT)
		slot_was = host.cd->slot;
	if (off < whole)
		bitmap_set(dirty, off / PAGE_SIZE,
			   (off + len - 1) / PAGE_SIZE - off / PAGE_SIZE + 1);
}

static u64 word_of(const u8 *mem, u64 off)
{
	return off > whole - 8 ? 0 : get_unaligned_le64(mem + off);
}

void watch_init(const void *from, u64 size)
{
	meta = size;
	whole = host.size;
	begin = malloc(whole);
	mirror = malloc(whole);
	if (!begin || !mirror)
		shim_bug("no memory");
	memcpy(begin, from, whole);
	memcpy(mirror, from, whole);
	shim_wrote = wrote;
}

/* Where the superblock may have moved things to. */
static u64 watched(void)
{
	u64 end = (u64)geo.first_extent << CXLFORK_EXTENT_SHIFT;
	u64 slots = geo.slots_off +
		    (u64)geo.nr_slots * CXLFORK_SLOT_SIZE;

	if (slots <= meta && geo.etable_off + geo.nr_extents * 8ULL <= meta)
		return meta;
	return min(end, whole);
}

static u64 used;
u8 *watch_reset(void)
{
	u64 len = max(used, meta);

	memcpy(host.mem, begin, len);
	memcpy(mirror, begin, len);
	used = 0;
	return mirror;
}

void watch_before(void)
{
	memcpy(own, host.cd->own, sizeof(own));
	geo = host.cd->geo;
	usable = host.cd->usable;
	slot_was = host.cd->slot;
	attached = host.cd->attached;
}

static u64 my_claim(void)
{
	uuid_t uuid;

	uuid_parse(host.uuid, &uuid);
	return (get_unaligned_le64(uuid.b) ^ get_unaligned_le64(uuid.b + 8)) | 1;
}

static bool mine(u32 slot)
{
	return slot == host.cd->slot || slot == slot_was ||
	       word_of(host.mem, cxlf_claim_off(host.cd, slot)) == my_claim();
}

/* This host has declared that one dead, or had when the operation began. */
static bool cared_for(u32 slot)
{
	u64 fence, epoch = word_of(host.mem, cxlf_epoch_off(host.cd, slot));

	if (host.cd->slot == CXLF_NO_SLOT)
		return false;
	fence = word_of(host.mem, cxlf_fence_off(host.cd, host.cd->slot, slot));
	return fence && fence == epoch;
}

/* Somebody has: what it refers to doesn't count. */
static bool fenced(u32 slot)
{
	u64 epoch = word_of(host.mem, cxlf_epoch_off(host.cd, slot));
	u32 by;

	for (by = 0; by < geo.nr_slots && epoch; by++)
		if (word_of(host.mem, cxlf_fence_off(host.cd, by, slot)) == epoch)
			return true;
	return false;
}

/* The publication word before the operation. */
static u64 was_word(u32 slot, u32 idx)
{
	if (slot == slot_was && attached && own[idx].gen)
		return CXLFORK_WORD(own[idx].gen, own[idx].state);
	return word_of(mirror, cxlf_entry_off(host.cd, slot, idx));
}

static u32 users(u32 slot, u32 idx, u64 gen)
{
	u32 s, sum = 0;
	u64 ref, keep;

	for (s = 0; s < geo.nr_slots; s++) {
		ref = word_of(host.mem, cxlf_ref_off(host.cd, s, slot, idx));
		keep = word_of(host.mem, cxlf_keep_off(host.cd, s, slot, idx));
		if (CXLFORK_REF_GEN(ref) == gen && !fenced(s))
			sum += CXLFORK_REF_COUNT(ref);
		if (CXLFORK_KEEP_GEN(keep) == gen)
			sum += CXLFORK_KEEP_COUNT(keep);
	}
	return sum;
}

static void check_extent(u32 extent, u64 was, u64 is, bool raced)
{
	u64 id = was ?: is, word;
	u32 slot = CXLFORK_ID_SLOT(id), idx = CXLFORK_ID_IDX(id);

	if ((was && is) || extent < geo.first_extent || id == U64_MAX ||
	    slot >= geo.nr_slots || idx >= CXLFORK_MAX_CKPTS)
		shim_bug("extent %u: %#llx -> %#llx", extent, was, is);
	if (slot != host.cd->slot && (is || (!cared_for(slot) && !raced)) && !mine(slot))
		shim_bug("extent %u of another host: %#llx -> %#llx", extent, was, is);
	if (is || raced)
		return;
	word = was_word(slot, idx);
	if (CXLFORK_WORD_GEN(word) == CXLFORK_ID_GEN(id) &&
	    (CXLFORK_WORD_STATE(word) == CXLFORK_CKPT_LIVE ||
	     CXLFORK_WORD_STATE(word) == CXLFORK_CKPT_RETIRING) &&
	    users(slot, idx, CXLFORK_ID_GEN(id)))
		shim_bug("extent %u is freed, but %#llx is used", extent, id);
}

static void check_other_slot(u32 slot, u64 off, u64 was, u64 is, bool raced)
{
	u64 at = off - cxlf_slot_off(host.cd, slot);
	u64 in = (at - offsetof(struct cxlfork_slot, ckpts)) %
		 sizeof(struct cxlfork_ckpt_entry);

	if (off == cxlf_claim_off(host.cd, slot) && !was && is == my_claim())
		return;
	/* What it keeps for its checkpoints is counted anew; pins stay, or go. */
	if (at >= offsetof(struct cxlfork_slot, keeps) &&
	    at < offsetof(struct cxlfork_slot, keeps) + sizeof(((struct cxlfork_slot *)0)->keeps) &&
	    (cared_for(slot) || raced) &&
	    (!CXLFORK_KEEP_PIN(is) ||
	     (CXLFORK_KEEP_PIN(was) && CXLFORK_KEEP_GEN(was) == CXLFORK_KEEP_GEN(is))))
		return;
	if (at < offsetof(struct cxlfork_slot, ckpts) ||
	    at >= offsetof(struct cxlfork_slot, refs) || (!cared_for(slot) && !raced))
		shim_bug("slot %u, offset %#llx: %#llx -> %#llx", slot, at, was, is);
	/* The expiry; or the word, on its way to being free. */
	if (in == offsetof(struct cxlfork_ckpt_entry, expires))
		return;
	if (in || CXLFORK_WORD_GEN(was) != CXLFORK_WORD_GEN(is) ||
	    (CXLFORK_WORD_STATE(is) != CXLFORK_CKPT_FREE &&
	     CXLFORK_WORD_STATE(is) != CXLFORK_CKPT_RETIRING))
		if (!raced)
			shim_bug("slot %u's entry, offset %#llx: %#llx -> %#llx", slot,
				 at, was, is);
}

static void check_word(u64 off, bool raced)
{
	u64 was = word_of(mirror, off), is = word_of(host.mem, off);
	u64 slots = (u64)geo.nr_slots * CXLFORK_SLOT_SIZE;
	u32 slot;

	if (!usable)
		shim_bug("unformatted, offset %#llx: %#llx -> %#llx", off, was, is);
	if (off >= geo.etable_off && off < geo.etable_off + geo.nr_extents * 8ULL) {
		check_extent((off - geo.etable_off) / 8, was, is, raced);
	} else if (off >= geo.slots_off && off < geo.slots_off + slots) {
		slot = (off - geo.slots_off) / CXLFORK_SLOT_SIZE;
		if (!mine(slot))
			check_other_slot(slot, off, was, is, raced);
	} else {
		shim_bug("offset %#llx: %#llx -> %#llx", off, was, is);
	}
}

void watch_after(bool raced, bool all)
{
	struct cxlf_geo now = host.cd->geo;
	u64 len, page, off;

	shim_other_host = NULL;
	/* What it has attached to; or what it has just left. */
	if (host.cd->usable) {
		geo = host.cd->geo;
		usable = true;
	}
	host.cd->geo = geo;
	len = watched();
	used = max(used, len);
	/* Of what the checks need nothing is put right before all are done. */
	for (page = 0; page < len; page += PAGE_SIZE) {
		if (!all && !test_bit(page / PAGE_SIZE, dirty))
			continue;
		for (off = page; off < page + PAGE_SIZE; off += 8)
			if (word_of(host.mem, off) != word_of(mirror, off))
				check_word(off, raced);
	}
	for (page = 0; page < len; page += PAGE_SIZE) {
		if (!test_bit(page / PAGE_SIZE, dirty))
			continue;
		__clear_bit(page / PAGE_SIZE, dirty);
		memcpy(mirror + page, host.mem + page, PAGE_SIZE);
	}
	host.cd->geo = now;
}

void watch_forgive(void)
{
	geo = host.cd->geo;
	used = max(used, watched());
	memcpy(mirror, host.mem, max(used, meta));
	memset(dirty, 0, sizeof(dirty));
}
