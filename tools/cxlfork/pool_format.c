// SPDX-License-Identifier: GPL-2.0
/* Superblock, host slots and directory of a pool. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cxlfork.h"
#include "crc32c.h"
#include "le.h"
#include "pool_format.h"

/* Bytes of a directory entry that its head covers. */
#define ENTRY_COVERED                        \
	(sizeof(struct cxlfork_ckpt_entry) - \
	 offsetof(struct cxlfork_ckpt_entry, head))

bool is_text(const __u8 *text, size_t size)
{
	size_t i;

	for (i = 0; i < size && text[i]; i++)
		if (text[i] < ' ' || text[i] == 0x7f)
			return false;
	return i < size;
}

bool unreadable(struct findings *findings, const char *what)
{
	findings->err = errno;
	return problem(findings, BAD_UNREADABLE, "%s can't be read: %s", what,
		       region_strerror(findings->err));
}

/* All of a head but its CRC. */
static bool check_label(struct findings *findings,
			const struct cxlfork_head *head, __u32 magic,
			__u32 length)
{
	if (le32(head->magic) != magic)
		return problem(findings, BAD_MAGIC,
			       "magic is 0x%08x, not 0x%08x", le32(head->magic),
			       magic);
	if (le32(head->version) != CXLFORK_FORMAT_VERSION)
		return problem(findings, BAD_VERSION, "version %u is not known",
			       le32(head->version));
	if (le32(head->length) != length)
		return problem(findings, BAD_LENGTH, "covers %u bytes, not %u",
			       le32(head->length), length);
	return true;
}

bool check_head(struct findings *findings, const void *data,
		const struct cxlfork_head *head, __u32 magic, __u32 length)
{
	__u32 crc;

	if (!check_label(findings, head, magic, length))
		return false;
	crc = crc32c_head(data, head, length);
	if (le32(head->crc) != crc)
		return problem(findings, BAD_CRC,
			       "CRC is 0x%08x, its bytes give 0x%08x",
			       le32(head->crc), crc);
	return true;
}

/* Does [off, off + length) lie behind the superblock and below @end? */
static bool lies_within(__u64 off, __u64 length, __u64 end)
{
	return off >= sizeof(struct cxlfork_super) && !(off & 4095) &&
	       off <= end && length <= end - off;
}

__u32 share_extents(const struct geometry *geo)
{
	__u64 start = ((__u64)geo->first_extent + 7) & ~7ULL;

	if (start >= geo->nr_extents)
		return 0;
	return ((geo->nr_extents - start) / geo->nr_slots) & ~7ULL;
}

bool share_has(const struct geometry *geo, __u32 slot, __u32 extent)
{
	__u64 start = ((__u64)geo->first_extent + 7) & ~7ULL;
	__u32 share = share_extents(geo);

	start += (__u64)slot * share;
	return extent >= start && extent < start + share;
}

bool base_ok(const struct geometry *geo, __u64 base)
{
	return !(base & (CXLFORK_EXTENT_SIZE - 1)) && base < PHYS_END &&
	       geo->size <= PHYS_END - base;
}

static bool check_numbers(const struct cxlfork_super *super,
			  const struct geometry *geo, __u64 region_size,
			  struct findings *findings)
{
	size_t before = findings->nr;

	if (le64(super->extent_size) != CXLFORK_EXTENT_SIZE)
		problem(findings, BAD_SUPER_EXTENT_SIZE, "extent size %llu",
			le64(super->extent_size));
	if (!geo->size || geo->size & (CXLFORK_EXTENT_SIZE - 1))
		problem(findings, BAD_SUPER_SIZE,
			"size %llu is no multiple of an extent", geo->size);
	if (geo->size > region_size)
		problem(findings, BAD_SUPER_REGION,
			"size %llu is more than the region's %llu", geo->size,
			region_size);
	if (geo->nr_extents != geo->size >> CXLFORK_EXTENT_SHIFT)
		problem(findings, BAD_SUPER_NR_EXTENTS,
			"%u extents do not make up the size", geo->nr_extents);
	if (!geo->first_extent || geo->first_extent >= geo->nr_extents)
		problem(findings, BAD_SUPER_FIRST_EXTENT,
			"first extent %u of %u", geo->first_extent,
			geo->nr_extents);
	if (!geo->nr_slots || geo->nr_slots > CXLFORK_MAX_SLOTS)
		problem(findings, BAD_SUPER_NR_SLOTS, "%u host slots",
			geo->nr_slots);
	if (le64(super->slot_size) != CXLFORK_SLOT_SIZE)
		problem(findings, BAD_SUPER_SLOT_SIZE, "slot size %llu",
			le64(super->slot_size));
	if (le32(super->nr_ckpts) != CXLFORK_MAX_CKPTS)
		problem(findings, BAD_SUPER_NR_CKPTS,
			"%u directory entries a slot", le32(super->nr_ckpts));
	if (geo->flags & ~CXLFORK_POOL_COHERENT)
		problem(findings, BAD_SUPER_FLAGS, "unknown flags 0x%x",
			geo->flags);
	if (findings->nr == before && !(geo->flags & CXLFORK_POOL_COHERENT) &&
	    !share_extents(geo))
		problem(findings, BAD_SUPER_SHARES,
			"%u extents for checkpoints, %u hosts",
			geo->nr_extents - geo->first_extent, geo->nr_slots);
	if (all_zero(super->uuid, sizeof(super->uuid)))
		problem(findings, BAD_SUPER_UUID, "uuid of zero");
	check_reserved(findings, "superblock", super->reserved,
		       sizeof(super->reserved));
	check_reserved(findings, "superblock: reserved0", &super->reserved0,
		       sizeof(super->reserved0));
	return findings->nr == before;
}

static bool check_places(const struct geometry *geo, struct findings *findings)
{
	__u64 meta = (__u64)geo->first_extent << CXLFORK_EXTENT_SHIFT;
	__u64 slots = (__u64)geo->nr_slots * CXLFORK_SLOT_SIZE;
	__u64 etable = (__u64)geo->nr_extents * sizeof(__le64);

	if (!lies_within(geo->slots_off, slots, meta))
		return problem(findings, BAD_SUPER_SLOTS_OFF,
			       "host slots at 0x%llx", geo->slots_off);
	if (!lies_within(geo->etable_off, etable, meta))
		return problem(findings, BAD_SUPER_ETABLE_OFF,
			       "extent table at 0x%llx", geo->etable_off);
	if (geo->slots_off < geo->etable_off + etable &&
	    geo->etable_off < geo->slots_off + slots)
		return problem(findings, BAD_SUPER_OVERLAP,
			       "slots and extent table overlap");
	return true;
}

enum super_state super_load(const struct region *region, struct geometry *geo,
			    struct findings *findings)
{
	struct cxlfork_super super;

	findings_at(findings, "superblock");
	if (!region_read(region, 0, &super, sizeof(super))) {
		unreadable(findings, "it");
		return SUPER_NONE;
	}
	if (le32(super.head.magic) != CXLFORK_MAGIC_SUPER) {
		problem(findings, BAD_SUPER_FORMAT, "%s",
			all_zero(&super, 16) ? "the region is not formatted" :
					       "the region holds foreign data");
		return SUPER_NONE;
	}
	if (le32(super.head.version) != CXLFORK_FORMAT_VERSION) {
		problem(findings, BAD_SUPER_VERSION,
			"format version %u; only %u is known here",
			le32(super.head.version), CXLFORK_FORMAT_VERSION);
		return SUPER_VERSION;
	}
	if (!check_head(findings, &super, &super.head, CXLFORK_MAGIC_SUPER,
			sizeof(super)))
		return SUPER_DAMAGED;

	geo->size = le64(super.size);
	geo->slots_off = le64(super.slots_off);
	geo->etable_off = le64(super.etable_off);
	geo->nr_extents = le32(super.nr_extents);
	geo->first_extent = le32(super.first_extent);
	geo->nr_slots = le32(super.nr_slots);
	geo->flags = le32(super.flags);
	memcpy(geo->uuid, super.uuid, sizeof(geo->uuid));
	if (!check_numbers(&super, geo, region->size, findings) ||
	    !check_places(geo, findings))
		return SUPER_DAMAGED;
	return SUPER_OK;
}

__u64 slot_off(const struct geometry *geo, __u32 slot)
{
	return geo->slots_off + (__u64)slot * CXLFORK_SLOT_SIZE;
}

__u64 entry_off(const struct geometry *geo, __u32 slot, __u32 idx)
{
	return slot_off(geo, slot) + offsetof(struct cxlfork_slot, ckpts) +
	       idx * sizeof(struct cxlfork_ckpt_entry);
}

bool slot_load(const struct region *region, const struct geometry *geo,
	       __u32 slot, struct cxlfork_slot *to)
{
	return region_read(region, slot_off(geo, slot), to, sizeof(*to));
}

void ckpt_take(const struct cxlfork_slot *from, __u32 slot, __u32 idx,
	       struct ckpt *to)
{
	__u64 word = le64(from->ckpts[idx].word);

	to->entry = from->ckpts[idx];
	to->state = CXLFORK_WORD_STATE(word);
	to->id = CXLFORK_ID(CXLFORK_WORD_GEN(word), slot, idx);
}

bool ckpt_load(const struct region *region, const struct geometry *geo,
	       __u64 id, struct ckpt *to)
{
	int slot = CXLFORK_ID_SLOT(id);
	__u32 idx = CXLFORK_ID_IDX(id);
	__u64 word;

	if (slot < 0 || (__u32)slot >= geo->nr_slots ||
	    idx >= CXLFORK_MAX_CKPTS ||
	    !region_read(region, entry_off(geo, slot, idx), &to->entry,
			 sizeof(to->entry)))
		return false;
	word = le64(to->entry.word);
	to->state = CXLFORK_WORD_STATE(word);
	to->id = CXLFORK_ID(CXLFORK_WORD_GEN(word), slot, idx);
	return to->id == id;
}

static bool has_name(const struct ckpt *ckpt, const char *name)
{
	return *name && ckpt->state == CXLFORK_CKPT_LIVE &&
	       is_text(ckpt->entry.name, sizeof(ckpt->entry.name)) &&
	       !strcmp((const char *)ckpt->entry.name, name);
}

/**
 * struct search - as cxlfork_lookup() goes about it
 * @id:		what it is if it is an id, or 0
 * @name:	and if it is a name
 * @own:	the caller's that have the name
 * @others:	other users' that have it
 * @is_id:	it is an id that there is
 * @unread:	a slot can't be read: errno
 */
struct search {
	__u64		id;
	const char	*name;
	unsigned int	own;
	unsigned int	others;
	bool		is_id;
	int		unread;
};

/* Is this it, or is it better than what there was? */
static bool fits(struct search *search, const struct ckpt *ckpt)
{
	if (search->is_id || ckpt->state == CXLFORK_CKPT_FREE)
		return false;
	search->is_id = ckpt->id == search->id;
	if (search->is_id)
		return true;
	if (!has_name(ckpt, search->name))
		return false;
	if (le32(ckpt->entry.uid) == geteuid()) {
		search->own++;
		return true;
	}
	search->others++;
	return !search->own;
}

static int verdict(const struct search *search)
{
	unsigned int nr = search->own ?: search->others;

	if (search->is_id || nr == 1)
		return 0;
	if (nr)
		return -ENOTUNIQ;
	return -(search->unread ?: ENOENT);
}

int ckpt_find(const struct region *region, const struct geometry *geo,
	      const char *what, struct ckpt *found)
{
	struct cxlfork_slot *slot = malloc(sizeof(*slot));
	struct search search = { .name = what };
	struct ckpt ckpt;
	__u32 s, i;

	if (!slot)
		return -ENOMEM;
	cxlfork_parse_id(what, &search.id);
	for (s = 0; s < geo->nr_slots; s++) {
		if (!slot_load(region, geo, s, slot)) {
			search.unread = errno;
			continue;
		}
		for (i = 0; i < CXLFORK_MAX_CKPTS; i++) {
			ckpt_take(slot, s, i, &ckpt);
			if (fits(&search, &ckpt))
				*found = ckpt;
		}
	}
	free(slot);
	return verdict(&search);
}

/* What is there from the beginning. */
static void check_known(const struct geometry *geo, const struct ckpt *ckpt,
			struct findings *findings)
{
	const struct cxlfork_ckpt_entry *entry = &ckpt->entry;
	__u64 data = (__u64)geo->first_extent << CXLFORK_EXTENT_SHIFT;
	__u64 bytes = le64(entry->bytes);

	if (le64(entry->id) != ckpt->id)
		problem(findings, BAD_ENTRY_ID, "says it is 0x%llx",
			le64(entry->id));
	if (!bytes || bytes & (CXLFORK_EXTENT_SIZE - 1) ||
	    bytes > geo->size - data)
		problem(findings, BAD_ENTRY_BYTES, "takes %llu bytes", bytes);
	if (le64(entry->pages) > bytes >> 12)
		problem(findings, BAD_ENTRY_PAGES, "%llu pages in %llu bytes",
			le64(entry->pages), bytes);
	if (le32(entry->nr_parents) > CXLFORK_MAX_PARENTS)
		problem(findings, BAD_ENTRY_PARENTS, "%u parents",
			le32(entry->nr_parents));
	if (le32(entry->mode) & ~0777U)
		problem(findings, BAD_ENTRY_MODE, "mode 0%o",
			le32(entry->mode));
	if (!is_text(entry->name, sizeof(entry->name)))
		problem(findings, BAD_ENTRY_NAME, "name is no text");
	check_reserved(findings, "entry: reserved0", entry->reserved0,
		       sizeof(entry->reserved0));
	check_reserved(findings, "entry", entry->reserved,
		       sizeof(entry->reserved));
}

bool ckpt_check_known(const struct geometry *geo, const struct ckpt *ckpt,
		      struct findings *findings)
{
	const struct cxlfork_head *head = &ckpt->entry.head;
	size_t before = findings->nr;

	/*
	 * It is written again when the rest is known, and a power cut may come
	 * amidst of that: both times with the same bytes, but for the CRC.
	 */
	if (!check_label(findings, head, CXLFORK_MAGIC_CKPT, ENTRY_COVERED))
		return false;
	check_known(geo, ckpt, findings);
	return findings->nr == before;
}

bool ckpt_check(const struct geometry *geo, const struct ckpt *ckpt,
		struct findings *findings)
{
	const struct cxlfork_ckpt_entry *entry = &ckpt->entry;
	size_t before = findings->nr;
	__u64 first = le64(entry->first);

	if (!check_head(findings, &entry->head, &entry->head,
			CXLFORK_MAGIC_CKPT, ENTRY_COVERED))
		return false;
	check_known(geo, ckpt, findings);
	if (first & (CXLFORK_EXTENT_SIZE - 1) || first >= geo->size ||
	    first >> CXLFORK_EXTENT_SHIFT < geo->first_extent)
		problem(findings, BAD_ENTRY_FIRST, "image at 0x%llx", first);
	return findings->nr == before;
}
