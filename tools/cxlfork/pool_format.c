// SPDX-License-Identifier: GPL-2.0
/* Superblock, host slots and directory of a pool. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cxlfork.h"
#include "crc32c.h"
#include "le.h"
#include "pool_format.h"

bool is_text(const __u8 *text, size_t size)
{
	size_t i;

	for (i = 0; i < size && text[i]; i++)
		if (text[i] < ' ' || text[i] == 0x7f)
			return false;
	return i < size;
}

bool check_head(struct findings *findings, const void *data,
		const struct cxlfork_head *head, __u32 magic, __u32 length)
{
	__u32 crc;

	if (le32(head->magic) != magic)
		return problem(findings, "magic is 0x%08x, not 0x%08x",
			       le32(head->magic), magic);
	if (le32(head->version) != CXLFORK_FORMAT_VERSION)
		return problem(findings, "version %u is not known",
			       le32(head->version));
	if (le32(head->length) != length)
		return problem(findings, "covers %u bytes, not %u",
			       le32(head->length), length);
	crc = crc32c_head(data, head, length);
	if (le32(head->crc) != crc)
		return problem(findings, "CRC is 0x%08x, its bytes give 0x%08x",
			       le32(head->crc), crc);
	return true;
}

static bool all_zero(const void *data, size_t size)
{
	const __u8 *at = data;
	size_t i;

	for (i = 0; i < size; i++)
		if (at[i])
			return false;
	return true;
}

/* Does [off, off + length) lie behind the superblock and below @end? */
static bool lies_within(__u64 off, __u64 length, __u64 end)
{
	return off >= sizeof(struct cxlfork_super) && !(off & 4095) &&
	       off <= end && length <= end - off;
}

static bool check_numbers(const struct cxlfork_super *super,
			  const struct geometry *geo, __u64 region_size,
			  struct findings *findings)
{
	size_t before = findings->nr;

	if (le64(super->extent_size) != CXLFORK_EXTENT_SIZE)
		problem(findings, "extent size %llu",
			le64(super->extent_size));
	if (!geo->size || geo->size & (CXLFORK_EXTENT_SIZE - 1))
		problem(findings, "size %llu is no multiple of an extent",
			geo->size);
	if (geo->size > region_size)
		problem(findings, "size %llu is more than the region's %llu",
			geo->size, region_size);
	if (geo->nr_extents != geo->size >> CXLFORK_EXTENT_SHIFT)
		problem(findings, "%u extents do not make up the size",
			geo->nr_extents);
	if (!geo->first_extent || geo->first_extent >= geo->nr_extents)
		problem(findings, "first extent %u of %u", geo->first_extent,
			geo->nr_extents);
	if (!geo->nr_slots || geo->nr_slots > CXLFORK_MAX_SLOTS)
		problem(findings, "%u host slots", geo->nr_slots);
	if (le64(super->slot_size) != CXLFORK_SLOT_SIZE)
		problem(findings, "slot size %llu", le64(super->slot_size));
	if (le32(super->nr_ckpts) != CXLFORK_MAX_CKPTS)
		problem(findings, "%u directory entries a slot",
			le32(super->nr_ckpts));
	if (geo->flags & ~CXLFORK_POOL_COHERENT)
		problem(findings, "unknown flags 0x%x", geo->flags);
	return findings->nr == before;
}

static bool check_places(const struct geometry *geo, struct findings *findings)
{
	__u64 meta = (__u64)geo->first_extent << CXLFORK_EXTENT_SHIFT;
	__u64 slots = (__u64)geo->nr_slots * CXLFORK_SLOT_SIZE;
	__u64 etable = (__u64)geo->nr_extents * sizeof(__le64);

	if (!lies_within(geo->slots_off, slots, meta))
		return problem(findings, "host slots at 0x%llx",
			       geo->slots_off);
	if (!lies_within(geo->etable_off, etable, meta))
		return problem(findings, "extent table at 0x%llx",
			       geo->etable_off);
	if (geo->slots_off < geo->etable_off + etable &&
	    geo->etable_off < geo->slots_off + slots)
		return problem(findings, "slots and extent table overlap");
	return true;
}

enum super_state super_load(const struct region *region, struct geometry *geo,
			    struct findings *findings)
{
	struct cxlfork_super super;

	findings_at(findings, "superblock");
	if (!region_read(region, 0, &super, sizeof(super))) {
		problem(findings, "can't be read");
		return SUPER_NONE;
	}
	if (le32(super.head.magic) != CXLFORK_MAGIC_SUPER) {
		problem(findings, all_zero(&super, 16) ?
			"the region is not formatted" :
			"the region holds foreign data");
		return SUPER_NONE;
	}
	if (le32(super.head.version) != CXLFORK_FORMAT_VERSION) {
		problem(findings, "format version %u; only %u is known here",
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

static bool is_meant(const struct ckpt *ckpt, __u64 id, const char *name)
{
	if (ckpt->state == CXLFORK_CKPT_FREE)
		return false;
	if (id)
		return ckpt->id == id;
	return ckpt->state == CXLFORK_CKPT_LIVE &&
	       is_text(ckpt->entry.name, sizeof(ckpt->entry.name)) &&
	       !strcmp((const char *)ckpt->entry.name, name);
}

int ckpt_find(const struct region *region, const struct geometry *geo,
	      const char *what, struct ckpt *found)
{
	struct cxlfork_slot *slot = malloc(sizeof(*slot));
	struct ckpt ckpt;
	__u64 id = 0;
	__u32 s, i;
	int nr = 0;

	if (!slot)
		return -1;
	cxlfork_parse_id(what, &id);
	for (s = 0; s < geo->nr_slots; s++) {
		if (!slot_load(region, geo, s, slot))
			continue;
		for (i = 0; i < CXLFORK_MAX_CKPTS; i++) {
			ckpt_take(slot, s, i, &ckpt);
			if (!is_meant(&ckpt, id, what))
				continue;
			*found = ckpt;
			nr++;
		}
	}
	free(slot);
	return nr;
}

bool ckpt_check(const struct geometry *geo, const struct ckpt *ckpt,
		struct findings *findings)
{
	const struct cxlfork_ckpt_entry *entry = &ckpt->entry;
	size_t before = findings->nr;
	__u64 first = le64(entry->first), bytes = le64(entry->bytes);
	__u64 data = (__u64)geo->first_extent << CXLFORK_EXTENT_SHIFT;

	if (!check_head(findings, &entry->head, &entry->head,
			CXLFORK_MAGIC_CKPT, sizeof(*entry) -
			offsetof(struct cxlfork_ckpt_entry, head)))
		return false;
	if (le64(entry->id) != ckpt->id)
		problem(findings, "says it is 0x%llx", le64(entry->id));
	if (first & (CXLFORK_EXTENT_SIZE - 1) || first < data ||
	    first >= geo->size)
		problem(findings, "image at 0x%llx", first);
	if (!bytes || bytes & (CXLFORK_EXTENT_SIZE - 1) ||
	    bytes > geo->size - data)
		problem(findings, "takes %llu bytes", bytes);
	if (le64(entry->pages) > bytes >> 12)
		problem(findings, "%llu pages are more than its %llu bytes",
			le64(entry->pages), bytes);
	if (le32(entry->mode) & ~0777U)
		problem(findings, "mode 0%o", le32(entry->mode));
	if (!is_text(entry->name, sizeof(entry->name)))
		problem(findings, "name is no text");
	return findings->nr == before;
}
