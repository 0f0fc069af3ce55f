// SPDX-License-Identifier: GPL-2.0
/* Where the structures of a pool lie. */
#include <string.h>

#include "places.h"

__u64 places_image(const struct places *p, __u64 logical)
{
	return p->extents[logical / CXLFORK_EXTENT_SIZE] * CXLFORK_EXTENT_SIZE +
	       logical % CXLFORK_EXTENT_SIZE;
}

__u64 places_slot(const struct places *p, __u32 slot)
{
	return p->super.slots_off + (__u64)slot * CXLFORK_SLOT_SIZE;
}

const char *places_find(struct places *p, void *mem, __u64 size, __u64 id)
{
	struct cxlfork_ckpt_entry entry;
	__u64 off;

	memset(p, 0, sizeof(*p));
	p->mem = mem;
	p->size = size;
	p->id = id;
	memcpy(&p->super, mem, sizeof(p->super));
	if (p->super.head.magic != CXLFORK_MAGIC_SUPER ||
	    p->super.head.version != CXLFORK_FORMAT_VERSION || p->super.size > size)
		return "no pool of this version";
	if (CXLFORK_ID_SLOT(id) < 0 || CXLFORK_ID_SLOT(id) >= (int)p->super.nr_slots ||
	    CXLFORK_ID_IDX(id) >= CXLFORK_MAX_CKPTS)
		return "no id of this pool";
	p->entry_off = places_slot(p, CXLFORK_ID_SLOT(id)) +
		       offsetof(struct cxlfork_slot, ckpts) +
		       CXLFORK_ID_IDX(id) * sizeof(entry);
	memcpy(&entry, p->mem + p->entry_off, sizeof(entry));
	if (entry.word != CXLFORK_WORD(CXLFORK_ID_GEN(id), CXLFORK_CKPT_LIVE) ||
	    entry.first > size - sizeof(p->image))
		return "no such checkpoint";
	memcpy(&p->image, p->mem + entry.first, sizeof(p->image));
	p->nr_extents = p->image.nr_extents;
	off = entry.first + p->image.extents_off;
	if (!p->nr_extents || p->nr_extents > PLACES_EXTENTS ||
	    off > size - p->nr_extents * sizeof(__u32))
		return "the image makes no sense";
	memcpy(p->extents, p->mem + off, p->nr_extents * sizeof(__u32));
	for (off = 0; off < p->nr_extents; off++)
		if ((p->extents[off] + 1) * CXLFORK_EXTENT_SIZE > size)
			return "an extent of the image is outside";
	return NULL;
}
