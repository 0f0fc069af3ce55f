// SPDX-License-Identifier: GPL-2.0
/* Changes to a pool that was right. */
#include <stdio.h>
#include <string.h>

#include "crc32c.h"
#include "util.h"
#include "mutate.h"

#define PAGE	4096ULL
#define PFN	0x000ffffffffff000ULL

__u32 input_u8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

__u32 input_u16(struct input *in)
{
	__u32 low = input_u8(in);

	return low | input_u8(in) << 8;
}

__u64 input_u64(struct input *in)
{
	__u64 val = 0;
	int i;

	for (i = 0; i < 64; i += 8)
		val |= (__u64)input_u8(in) << i;
	return val;
}

static void put(struct mutate *m, __u64 off, const void *from, size_t len)
{
	const __u8 *byte = from;

	for (; len--; off++, byte++) {
		if (off >= m->p->size || m->p->mem[off] == *byte ||
		    m->nr == MUTATE_LOG)
			continue;
		m->bytes[m->nr].off = off;
		m->bytes[m->nr].is = *byte;
		m->bytes[m->nr++].was = m->p->mem[off];
		m->p->mem[off] = *byte;
		if (m->mirror)
			m->mirror[off] = *byte;
	}
}

void mutate_undo(struct mutate *m)
{
	__u64 off;

	while (m->nr) {
		m->nr--;
		off = m->bytes[m->nr].off;
		if (m->p->mem[off] != m->bytes[m->nr].is)
			continue;
		m->p->mem[off] = m->bytes[m->nr].was;
		if (m->mirror)
			m->mirror[off] = m->bytes[m->nr].was;
	}
}

/* --- where */

enum what {
	/* of the pool */
	SUPER, HOST, FENCES,
	ENTRY, WORD, ETABLE, REFS, KEEPS, RESTORED,
	/* of the image */
	HEADER, SECTION, BODY, EXTENTS, TABLE,
	PAGES,
	NR_WHATS,
};

static const char *const names[NR_WHATS] = {
	"super", "host", "fences", "entry", "word", "etable", "refs", "keeps",
	"restored", "header", "section", "body", "extents", "table", "page",
};

/* A bit for each of them. */
static __u32 whats(unsigned int kinds)
{
	__u32 mask = 0;

	if (kinds & MUTATE_POOL)
		mask |= (1 << HEADER) - 1;
	if (kinds & MUTATE_DIR)
		mask |= (1 << HEADER) - (1 << ENTRY);
	if (kinds & MUTATE_IMAGE)
		mask |= (1 << TABLE) - (1 << HEADER);
	if (kinds & MUTATE_LEAVES)
		mask |= 1 << TABLE;
	if (kinds & MUTATE_PAGES)
		mask |= 1 << PAGES;
	return mask;
}

static enum what pick(struct input *in, __u32 mask)
{
	__u32 n = input_u8(in), i;

	n %= __builtin_popcount(mask);
	for (i = 0; i < NR_WHATS; i++)
		if (mask & 1 << i && !n--)
			return i;
	return TABLE;
}

/* Offset of a field of @len bytes of a structure, in words of 4. */
static __u64 field(struct input *in, __u64 at, __u64 len)
{
	return at + input_u16(in) % (len / 4) * 4;
}

static __u64 place_slot(struct mutate *m, struct input *in, enum what what)
{
	__u32 which = input_u8(in) % m->p->super.nr_slots, n = input_u16(in);
	__u64 slot;

	if ((int)which == m->spare)
		which = CXLFORK_ID_SLOT(m->p->id);
	slot = places_slot(m->p, which);

	/* The directory of the checkpoint at hand, and its entry, more often. */
	switch (what) {
	case HOST:
		return field(in, slot, offsetof(struct cxlfork_host, reserved3));
	case FENCES:
		return slot + offsetof(struct cxlfork_slot, fences) +
		       n % m->p->super.nr_slots * 8;
	case ENTRY:
		return field(in, n & 1 ? m->p->entry_off :
			     slot + offsetof(struct cxlfork_slot, ckpts) +
			     (n >> 1) % 10 * sizeof(struct cxlfork_ckpt_entry),
			     sizeof(struct cxlfork_ckpt_entry) - 56);
	case WORD:
		return n & 1 ? m->p->entry_off :
		       slot + offsetof(struct cxlfork_slot, ckpts) +
		       (n >> 1) % 10 * sizeof(struct cxlfork_ckpt_entry);
	default:
		break;
	}
	slot += what == REFS ? offsetof(struct cxlfork_slot, refs) :
		what == KEEPS ? offsetof(struct cxlfork_slot, keeps) :
				offsetof(struct cxlfork_slot, restored);
	if (n & 1)
		n = CXLFORK_ID_SLOT(m->p->id) * CXLFORK_MAX_CKPTS +
		    CXLFORK_ID_IDX(m->p->id);
	else
		n = n >> 9 << 7 | (n >> 1) % 10;
	return slot + n % (CXLFORK_MAX_SLOTS * CXLFORK_MAX_CKPTS) * 8;
}

static const __u8 decisive[] = {
	CXLFORK_SEC_TASK, CXLFORK_SEC_MM, CXLFORK_SEC_VMAS, CXLFORK_SEC_VMAS,
	CXLFORK_SEC_FDS, CXLFORK_SEC_LEAVES,
};

static __u64 place_image(struct mutate *m, struct input *in, enum what what)
{
	const struct cxlfork_image *image = &m->p->image;
	const struct cxlfork_section *sec;
	__u64 n;

	switch (what) {
	case HEADER:
		return field(in, places_image(m->p, 0),
			     offsetof(struct cxlfork_image, sections));
	case SECTION:
		return field(in, places_image(m->p, 0) +
			     offsetof(struct cxlfork_image, sections),
			     sizeof(image->sections));
	case EXTENTS:
		return places_image(m->p, image->extents_off) +
		       input_u16(in) % m->p->nr_extents * 4;
	case BODY:
		/* Most of them in what has most to say. */
		n = input_u8(in);
		sec = &image->sections[n & 1 ? decisive[(n >> 1) % ARRAY_SIZE(decisive)] :
				       (n >> 1) % CXLFORK_NR_SECTIONS];
		if (sec->length < 4)
			sec = &image->sections[CXLFORK_SEC_TASK];
		n = sec->length / 4;
		return places_image(m->p, sec->offset + input_u16(in) % n * 4);
	case TABLE:
		n = input_u8(in) % (image->nr_leaves ?: 1);
		return places_image(m->p, image->leaves_off + n * PAGE +
				    (input_u16(in) & 511) * 8);
	default:
		n = input_u16(in) % (image->nr_pages ?: 1);
		return places_image(m->p, image->data_off + n * PAGE) +
		       (input_u16(in) & 511) * 8;
	}
}

static __u64 place(struct mutate *m, struct input *in, enum what what)
{
	if (what == SUPER)
		return field(in, 0, offsetof(struct cxlfork_super, reserved));
	if (what == ETABLE)
		return m->p->super.etable_off +
		       input_u16(in) % m->p->super.nr_extents * 8;
	return what < HEADER ? place_slot(m, in, what) : place_image(m, in, what);
}

/* --- what */

static const __u64 values[] = {
	0, 1, 2, 3, 7, 8, 127, 128, 255, 4095, 4096, 4097, 65535, 65536,
	(1 << 21) - 1, 1 << 21, 1 << 30, (1 << 30) + 8, 0x7fffffff, 0x80000000,
	0xffffffff, 1ULL << 32, 1ULL << 40, (1ULL << 40) - 1, (1ULL << 47) - PAGE,
	1ULL << 47, 1ULL << 52, 1ULL << 63, ~0ULL, ~0ULL - 1, -PAGE, -8ULL,
	0xffff888000001000, 0xffffffff81000000,
};

/* An entry of a leaf that maps something else. */
static __u64 other_page(struct mutate *m, struct input *in, __u64 entry)
{
	__u64 base = m->p->image.phys_base, where;
	__u32 n = input_u8(in);

	switch (n % 8) {
	case 0:
		where = input_u64(in);
		break;
	case 1:
		where = base + input_u16(in) % m->p->super.nr_extents *
			       CXLFORK_EXTENT_SIZE;
		break;
	case 2:
		where = base + m->p->size + (n >> 3) * PAGE;
		break;
	case 3:
		where = base - (n >> 3) * PAGE;
		break;
	case 4:
		where = 0x1000000 + (n >> 3) * CXLFORK_EXTENT_SIZE;
		break;
	case 5:
		where = entry + ((n >> 3) + 1) * PAGE;
		break;
	case 6:
		where = ~entry;
		break;
	default:
		where = base + places_image(m->p, n >> 3 << 12);
		break;
	}
	return (entry & ~PFN) | (where & PFN);
}

static __u64 change(struct mutate *m, struct input *in, enum what what, __u64 was,
		    int len)
{
	__u32 op = input_u8(in), n = input_u8(in);
	const __s32 step = (__s8)n;
	__u64 off;

	switch (op % 8) {
	case 0:
		return was ^ 1ULL << (n & (8 * len - 1));
	case 1:
		return values[n % (ARRAY_SIZE(values))];
	case 2:
		return was + step;
	case 3:
		return was + step * PAGE;
	case 4:
		return was + step * CXLFORK_EXTENT_SIZE;
	case 5:
		return input_u64(in);
	case 6:
		if (what == TABLE)
			return other_page(m, in, was);
		if (what == WORD)
			return (was & ~255ULL) | (n & 3);
		if (what == ETABLE)
			return n & 1 ? m->p->id :
			       CXLFORK_ID(n >> 4, n >> 1 & 1, n >> 2 & 3);
		if (what == REFS || what == KEEPS)
			return CXLFORK_REF(CXLFORK_ID_GEN(m->p->id), n & 1, n >> 1);
		break;
	}
	/* What stands somewhere else, in a structure of the same kind. */
	off = place(m, in, what);
	if (off > m->p->size - len)
		return was;
	was = 0;
	memcpy(&was, m->p->mem + off, len);
	return was;
}

void mutate_one(struct mutate *m, struct input *in, unsigned int kinds)
{
	enum what what = pick(in, whats(kinds));
	__u64 off = place(m, in, what), was = 0, is;
	int len = off & 4 ? 4 : 8;

	/* Most fields of 8 bytes start at a multiple of 8; what doesn't has 4. */
	if (input_u8(in) & 1 && what < TABLE && what != WORD)
		len = 4;
	if (off > m->p->size - len)
		return;
	memcpy(&was, m->p->mem + off, len);
	is = change(m, in, what, was, len);
	put(m, off, &is, len);
	snprintf(m->about, sizeof(m->about), "%s: %#llx: %#llx -> %#llx",
		 names[what], off, was, is);
}

/* --- checksums */

static void put_u32(struct mutate *m, __u64 off, __u32 val)
{
	put(m, off, &val, sizeof(val));
}

static void seal_head(struct mutate *m, __u64 off, __u32 len)
{
	struct cxlfork_head *head = (struct cxlfork_head *)(m->p->mem + off);

	put_u32(m, off + offsetof(struct cxlfork_head, crc),
		crc32c_head(head, head, len));
}

/* The checksum of a part of the image; false: there is no such part. */
static bool crc_of(struct mutate *m, __u64 logical, __u64 len, __u32 *crc)
{
	static __u8 copy[1 << 20];
	__u64 bytes = m->p->nr_extents * CXLFORK_EXTENT_SIZE, done, n;

	if (logical > bytes || len > bytes - logical || len > sizeof(copy))
		return false;
	for (done = 0; done < len; done += n) {
		n = CXLFORK_EXTENT_SIZE - (logical + done) % CXLFORK_EXTENT_SIZE;
		if (n > len - done)
			n = len - done;
		memcpy(copy + done, m->p->mem + places_image(m->p, logical + done), n);
	}
	*crc = crc32c(copy, len);
	return true;
}

static void seal_image(struct mutate *m)
{
	__u64 first = places_image(m->p, 0), at;
	struct cxlfork_image image;
	__u32 crc;
	int i;

	memcpy(&image, m->p->mem + first, sizeof(image));
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		at = first + offsetof(struct cxlfork_image, sections) +
		     i * sizeof(struct cxlfork_section);
		if (crc_of(m, image.sections[i].offset, image.sections[i].length, &crc))
			put_u32(m, at + offsetof(struct cxlfork_section, crc), crc);
	}
	if (crc_of(m, image.extents_off, image.nr_extents * 4ULL, &crc))
		put_u32(m, first + offsetof(struct cxlfork_image, extents_crc), crc);
	seal_head(m, first, sizeof(image));
}

/* Those entries that have, or had, something in them. */
static void seal_entries(struct mutate *m, __u64 slot)
{
	const size_t head = offsetof(struct cxlfork_ckpt_entry, head);
	struct cxlfork_ckpt_entry *entry;
	__u64 at;
	int i;

	for (i = 0; i < 10; i++) {
		at = slot + offsetof(struct cxlfork_slot, ckpts) + i * sizeof(*entry);
		entry = (struct cxlfork_ckpt_entry *)(m->p->mem + at);
		if (entry->head.magic)
			seal_head(m, at + head, sizeof(*entry) - head);
	}
}

void mutate_seal(struct mutate *m, unsigned int kinds)
{
	const size_t head = offsetof(struct cxlfork_ckpt_entry, head);
	__u32 s;

	if (kinds & MUTATE_IMAGE)
		seal_image(m);
	if (kinds & (MUTATE_DIR | MUTATE_POOL))
		seal_head(m, m->p->entry_off + head,
			  sizeof(struct cxlfork_ckpt_entry) - head);
	if (!(kinds & MUTATE_POOL))
		return;
	for (s = 0; s < m->p->super.nr_slots; s++) {
		if (!((struct cxlfork_head *)(m->p->mem + places_slot(m->p, s)))->magic)
			continue;
		seal_head(m, places_slot(m->p, s), offsetof(struct cxlfork_host, claim));
		seal_entries(m, places_slot(m->p, s));
	}
	seal_head(m, 0, sizeof(struct cxlfork_super));
}

void mutate_renew(struct mutate *m, __u64 gen)
{
	struct places *p = m->p;
	__u64 word = CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE);
	__u32 i;

	p->id = CXLFORK_ID(gen, CXLFORK_ID_SLOT(p->id), CXLFORK_ID_IDX(p->id));
	p->image.id = p->id;
	put(m, places_image(p, offsetof(struct cxlfork_image, id)), &p->id, sizeof(p->id));
	for (i = 0; i < p->nr_extents; i++)
		put(m, p->super.etable_off + p->extents[i] * 8ULL, &p->id, sizeof(p->id));
	put(m, p->entry_off + offsetof(struct cxlfork_ckpt_entry, id), &p->id,
	    sizeof(p->id));
	mutate_seal(m, MUTATE_IMAGE | MUTATE_DIR);
	put(m, p->entry_off, &word, sizeof(word));
	m->nr = 0;
}
