// SPDX-License-Identifier: GPL-2.0
/* The checker's cases: superblock, hosts, directory, extents, what holds what. */
#include <endian.h>

#include "fsck_test.h"
#include "util.h"

static void try_list(struct synth *s, const struct damage *list, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		try_damage(s, &list[i]);
}

static void test_super(struct synth *s)
{
	struct cxlfork_super *super = s->super;
	__u64 *uuid = (__u64 *)super->uuid;
	const struct damage list[] = {
		D("version of the format", super->head.version, 9, BAD_SUPER_VERSION),
		D("foreign data", super->head.magic, 0x12345678, BAD_SUPER_FORMAT),
		D("length", super->head.length, 64, BAD_LENGTH),
		{ "no uuid", POKES(POKE(uuid[0], 0), POKE(uuid[1], 0)), KINDS(BAD_SUPER_UUID) },
		D("size", super->size, SYNTH_SIZE - 4096, BAD_SUPER_SIZE, BAD_SUPER_NR_EXTENTS),
		D("no size", super->size, 0, BAD_SUPER_SIZE, BAD_SUPER_NR_EXTENTS),
		D("size beyond the region", super->size, 1ULL << 40, BAD_SUPER_REGION,
		  BAD_SUPER_NR_EXTENTS),
		D("extent size", super->extent_size, 4096, BAD_SUPER_EXTENT_SIZE),
		D("number of extents", super->nr_extents, 7, BAD_SUPER_NR_EXTENTS),
		D("first extent", super->first_extent, SYNTH_EXTENTS, BAD_SUPER_FIRST_EXTENT),
		D("first extent 0", super->first_extent, 0, BAD_SUPER_FIRST_EXTENT),
		D("host slots", super->nr_slots, 17, BAD_SUPER_NR_SLOTS),
		D("no host slots", super->nr_slots, 0, BAD_SUPER_NR_SLOTS),
		D("slot size", super->slot_size, 65536, BAD_SUPER_SLOT_SIZE),
		D("directory size", super->nr_ckpts, 1, BAD_SUPER_NR_CKPTS),
		D("flags", super->flags, 3, BAD_SUPER_FLAGS),
		D("too small for shares", super->flags, 0, BAD_SUPER_SHARES),
		D("place of the slots", super->slots_off, 1ULL << 21, BAD_SUPER_SLOTS_OFF),
		D("slots in the superblock", super->slots_off, 0, BAD_SUPER_SLOTS_OFF),
		D("place of the extent table", super->etable_off, 4, BAD_SUPER_ETABLE_OFF),
		D("extent table far out", super->etable_off, ~0ULL - 4095, BAD_SUPER_ETABLE_OFF),
		D("slots over the extent table", super->etable_off, SYNTH_SLOTS_OFF + 4096,
		  BAD_SUPER_OVERLAP),
		D("superblock: reserved", super->reserved[100], 1, BAD_RESERVED),
		D("superblock: reserved0", super->reserved0, 1, BAD_RESERVED),
	};

	try_list(s, list, ARRAY_SIZE(list));
}

static void test_hosts(struct synth *s)
{
	struct cxlfork_slot *slots = s->slots;
	struct cxlfork_host *a = &slots[0].host, *b = &slots[1].host, *c = &slots[2].host;
	__u64 *uuid = (__u64 *)b->host_uuid, *other = (__u64 *)a->host_uuid;
	const struct damage list[] = {
		D("host: magic", a->head.magic, 0, BAD_MAGIC),
		D("host: version", a->head.version, 1, BAD_VERSION),
		D("host: length", a->head.length, 512, BAD_LENGTH),
		D("host: state", a->state, 4, BAD_HOST_STATE),
		D("host: fenced is no state", a->state, CXLFORK_HOST_FENCED, BAD_HOST_STATE),
		D("host: claim", a->claim, 1, BAD_HOST_CLAIM),
		D("host: no boot epoch", a->boot_epoch, 0, BAD_HOST_BOOT_EPOCH, BAD_HOST_EPOCH),
		D("host: other epoch", b->epoch, 5, BAD_HOST_EPOCH),
		D("host: base", b->phys_base, 4096, BAD_HOST_BASE),
		D("host: base far out", b->phys_base, 1ULL << 52, BAD_HOST_BASE),
		D("host: region far out", b->phys_base, (1ULL << 52) - (1 << 21), BAD_HOST_BASE),
		D("host: name", b->name[2], 7, BAD_HOST_TEXT),
		D("host: kernel", b->kernel[0], 127, BAD_HOST_TEXT),
		{ "host: twice", POKES(POKE(uuid[0], other[0]), POKE(uuid[1], other[1]),
				       POKE(b->claim, a->claim)), KINDS(BAD_HOST_TWICE) },
		D("host: reserved0", a->reserved0, 1, BAD_RESERVED),
		D("host: reserved1", a->reserved1[9], 1, BAD_RESERVED),
		D("host: reserved2", a->reserved2[9], 1, BAD_RESERVED),
		D("host: reserved3", a->reserved3[9], 1, BAD_RESERVED),
		D("host: reserved4", a->reserved4[9], 1, BAD_RESERVED),
		D("slot: reserved0", slots[0].reserved0[3455], 1, BAD_RESERVED),
		D("slot: reserved1", slots[0].reserved1[12287], 1, BAD_RESERVED),
		D("nobody: state", slots[3].host.state, CXLFORK_HOST_ALIVE, BAD_SLOT_UNCLAIMED),
		D("nobody: checkpoint", slots[3].ckpts[4].word,
		  CXLFORK_WORD(1, CXLFORK_CKPT_LIVE), BAD_SLOT_UNCLAIMED),
		D("nobody: reference", slots[3].refs[0][SYNTH_IDX],
		  CXLFORK_REF(SYNTH_GEN, 0, 1), BAD_SLOT_UNCLAIMED),
		D("nobody: time", slots[3].restored[9][9], 1700000000, BAD_SLOT_UNCLAIMED),
		/* while it attaches its record need not be whole */
		{ "attaching", POKES(POKE(b->state, 0), POKE(b->boot_epoch, 3),
				     POKE(b->name[0], 1)) },
		{ "attaching: record cut off", POKES(POKE(b->state, 0), POKE(b->head.magic, 0)) },
		D("fence: of itself", slots[0].fences[0], 1, BAD_FENCE_SELF),
		D("fence: of nobody", slots[0].fences[3], 1, BAD_FENCE_NOBODY),
		D("fence: of no slot", slots[0].fences[15], 1, BAD_FENCE_NOBODY),
		{ "fence: of a later epoch",
		  POKES(POKE(slots[0].fences[2], 9), POKE(slots[2].refs[0][5], 0)),
		  KINDS(BAD_FENCE_FUTURE), .doubts = 1 },
		{ "fence: of an earlier epoch",
		  POKES(POKE(c->boot_epoch, 4), POKE(c->epoch, 4),
			POKE(slots[2].refs[0][5], 0), POKE(slots[2].refs[1][7], 0)),
		  KINDS(BAD_FENCE_STALE) },
		{ "fence: of an earlier epoch, by one that has left",
		  POKES(POKE(c->boot_epoch, 4), POKE(c->epoch, 4), POKE(a->state, 2),
			POKE(slots[2].refs[0][5], 0), POKE(slots[2].refs[1][7], 0)) },
		{ "fence: of one that is just coming back",
		  POKES(POKE(c->epoch, 4), POKE(c->state, 0)) },
	};

	try_list(s, list, ARRAY_SIZE(list));
}

static void test_directory(struct synth *s)
{
	struct cxlfork_ckpt_entry *other = &s->slots[2].ckpts[0], *child = s->child;
	struct cxlfork_ckpt_entry *freed = s->freed, *writing = s->writing;
	const struct damage list[] = {
		D("state", freed->word, CXLFORK_WORD(7, 5), BAD_CKPT_STATE, BAD_EXTENT_LOST),
		D("generation 0", other->word, CXLFORK_WORD(0, CXLFORK_CKPT_WRITING),
		  BAD_CKPT_GEN, BAD_MAGIC),
		D("generation too large", other->word,
		  CXLFORK_WORD(CXLFORK_GEN_MAX + 1, CXLFORK_CKPT_FREE), BAD_CKPT_GEN),
		D("generation gone on", freed->word, CXLFORK_WORD(8, CXLFORK_CKPT_RETIRING),
		  BAD_ENTRY_ID, BAD_EXTENT_LOST),
		D("first", freed->first, 1ULL << 40, BAD_ENTRY_FIRST),
		D("first, in the metadata", freed->first, 0, BAD_ENTRY_FIRST),
		D("first, within an extent", freed->first, (7 << 21) + 4096, BAD_ENTRY_FIRST),
		D("bytes", freed->bytes, (2 << 21) + 4096, BAD_ENTRY_BYTES),
		D("no bytes", writing->bytes, 0, BAD_ENTRY_BYTES),
		D("pages of one that is written", writing->pages, 513, BAD_ENTRY_PAGES),
		D("parents of one that is written", writing->nr_parents, 16,
		  BAD_ENTRY_PARENTS),
		D("too many bytes", writing->bytes, 8ULL << 21, BAD_ENTRY_BYTES),
		D("pages", freed->pages, 2 * 512 + 1, BAD_ENTRY_PAGES),
		D("mode", freed->mode, 07777, BAD_ENTRY_MODE),
		D("name", freed->name[0], '\n', BAD_ENTRY_NAME),
		D("name without an end", writing->name[0], 27, BAD_ENTRY_NAME),
		D("parents", child->nr_parents, 16, BAD_ENTRY_PARENTS),
		D("reserved", freed->reserved[55], 1, BAD_RESERVED),
		D("reserved0", writing->reserved0[47], 1, BAD_RESERVED),
		{ "CRC", POKES(POKE(freed->created, 5)), KINDS(BAD_CRC), .raw = true },
		/* a power cut may leave it so */
		{ "CRC of one that is written", POKES(POKE(writing->created, 5)), .raw = true },
		D("written: magic", writing->head.magic, 5, BAD_MAGIC),
		D("written: version", writing->head.version, 1, BAD_VERSION),
		D("written: length", writing->head.length, 1, BAD_LENGTH),
		D("written: id", writing->id, SYNTH_ID, BAD_ENTRY_ID),
		D("written: bytes", writing->bytes, 5, BAD_ENTRY_BYTES),
		D("written: mode", writing->mode, ~0U, BAD_ENTRY_MODE),
		/* name and uid, on different hosts */
		{ "name taken", POKES(POKE(child->name[6], 0)), KINDS(BAD_NAME_TWICE) },
		{ "name taken, by another uid", POKES(POKE(child->name[6], 0),
						      POKE(child->uid, 1000)),
		  KINDS(BAD_PARENT_OWNER) },
		{ "name taken, of one that is written",
		  POKES(POKE(writing->name[0], 'o'), POKE(writing->name[1], 'l'),
			POKE(writing->name[2], 'd'), POKE(writing->name[3], 0)) },
		{ "expires", POKES(POKE(s->entry->expires, 1)) },
		D("expires, but was never used", other->expires, 1, BAD_EXPIRES),
	};

	try_list(s, list, ARRAY_SIZE(list));
}

static void test_extents(struct synth *s)
{
	const struct damage list[] = {
		D("lost extent", s->etable[5], CXLFORK_ID(9, 0, 3), BAD_EXTENT_LOST),
		D("extent of nonsense", s->etable[5], 0x1234567800ff, BAD_EXTENT_LOST),
		D("extent of one freed before", s->etable[5], CXLFORK_ID(6, 1, 7),
		  BAD_EXTENT_LOST),
		D("extent of nobody's slot", s->etable[5], CXLFORK_ID(1, 3, 0), BAD_EXTENT_LOST),
		D("extent not in the image", s->etable[5], SYNTH_ID, BAD_EXTENT_UNNAMED),
		D("image's extent is free", s->etable[2], 0, BAD_EXTENT_OWNER),
		D("image's extent is another's", s->etable[4], SYNTH_FREED_ID,
		  BAD_EXTENT_OWNER),
		{ "extent in two images",
		  POKES(POKE(s->child->bytes, 2 << 21), POKE(s->child_image->nr_extents, 2),
			POKE(s->child_extents[1], 2)),
		  KINDS(BAD_EXTENT_OWNER, BAD_EXTENT_TWICE) },
		D("too many of one that is written", s->etable[5], SYNTH_WRITING_ID,
		  BAD_EXTENT_MANY),
		{ "too many of one that is freed",
		  POKES(POKE(s->etable[5], SYNTH_FREED_ID), POKE(s->etable[1], SYNTH_FREED_ID)),
		  KINDS(BAD_EXTENT_MANY) },
		{ "all of one that is written are to be claimed", POKES(POKE(s->etable[3], 0)) },
		D("data extent marked meta", s->etable[1], CXLFORK_EXTENT_META,
		  BAD_EXTENT_NOT_META),
		D("meta extent not marked", s->etable[0], 0, BAD_EXTENT_META),
		D("meta extent claimed", s->etable[0], SYNTH_FREED_ID, BAD_EXTENT_META),
	};

	try_list(s, list, ARRAY_SIZE(list));
}

static void test_refs(struct synth *s)
{
	struct cxlfork_slot *slots = s->slots;
	const struct damage list[] = {
		D("reference beyond the slots", slots[0].refs[9][0], CXLFORK_REF(1, 0, 1),
		  BAD_REF_NOWHERE),
		D("reference to nobody's", slots[0].refs[3][0], CXLFORK_REF(1, 0, 1),
		  BAD_REF_NOWHERE),
		D("reference of no generation", slots[0].refs[0][0], CXLFORK_REF(0, 0, 1),
		  BAD_REF_NOWHERE),
		D("wish of no generation", slots[0].refs[0][0], CXLFORK_REF(0, 1, 0),
		  BAD_REF_NOWHERE),
		D("reference to what is yet to come", slots[0].refs[1][7], CXLFORK_REF(7, 0, 1),
		  BAD_REF_FUTURE),
		D("wish about what is yet to come", slots[0].refs[1][7], CXLFORK_REF(7, 1, 0),
		  BAD_REF_FUTURE),
		D("reference to one that is written", slots[0].refs[1][0], CXLFORK_REF(1, 0, 1),
		  BAD_REF_WRITING),
		D("two references to what is gone", slots[0].refs[1][7], CXLFORK_REF(6, 0, 2),
		  BAD_REF_VANISHED),
		{ "a live host's reference to what is gone",
		  POKES(POKE(slots[0].refs[1][7], CXLFORK_REF(6, 0, 1))),
		  KINDS(BAD_REF_VANISHED), .lives = true },
		{ "a live host's reference to an earlier generation",
		  POKES(POKE(slots[0].refs[1][7], CXLFORK_REF(3, 0, 1))),
		  KINDS(BAD_REF_VANISHED), .lives = true },
		/* it may have died before it looked again */
		{ "a reference to what is gone",
		  POKES(POKE(slots[0].refs[1][7], CXLFORK_REF(6, 0, 1))), .doubts = 1 },
		{ "a dead host's references to what is gone",
		  POKES(POKE(slots[2].refs[1][7], CXLFORK_REF(6, 0, 7))), .lives = true },
		{ "references from before, while it attaches",
		  POKES(POKE(slots[1].host.state, CXLFORK_HOST_FREE),
			POKE(slots[1].refs[1][7], CXLFORK_REF(6, 0, 7))), .lives = true },
		D("restored beyond the slots", slots[0].restored[9][0], 1,
		  BAD_RESTORED_NOWHERE),
		D("restored what never was", slots[0].restored[1][1], 1, BAD_RESTORED_NOWHERE),
		{ "restored what was", POKES(POKE(slots[0].restored[1][7], 1)) },
		D("references of one that has left", slots[1].host.state,
		  CXLFORK_HOST_DETACHED, BAD_REF_DETACHED),
	};

	try_list(s, list, ARRAY_SIZE(list));
}

static void test_keeps(struct synth *s)
{
	struct cxlfork_slot *slots = s->slots;
	__le64 *word = &slots[1].keeps[0][SYNTH_IDX];
	const struct damage list[] = {
		D("keep beyond the slots", slots[0].keeps[9][0], CXLFORK_KEEP(1, 0, 1),
		  BAD_KEEP_NOWHERE),
		D("pin of no generation", slots[0].keeps[0][0], CXLFORK_KEEP(0, 1, 0),
		  BAD_KEEP_NOWHERE),
		D("keep of what is yet to come", slots[0].keeps[1][7], CXLFORK_KEEP(7, 1, 0),
		  BAD_KEEP_FUTURE),
		D("keep of one that is written", slots[0].keeps[1][0], CXLFORK_KEEP(1, 0, 1),
		  BAD_KEEP_WRITING),
		{ "pin of one that is written",
		  POKES(POKE(slots[1].keeps[1][0], CXLFORK_KEEP(1, 1, 0))) },
		D("no keep of the parent", *word, 0, BAD_KEEP_LOW),
		D("keep of an earlier parent", *word, CXLFORK_KEEP(SYNTH_GEN - 1, 0, 1),
		  BAD_KEEP_LOW),
		{ "one more than known: of the one that is written",
		  POKES(POKE(*word, CXLFORK_KEEP(SYNTH_GEN, 0, 2))), .lives = true },
		{ "a live host keeps too many",
		  POKES(POKE(*word, CXLFORK_KEEP(SYNTH_GEN, 0, 3))), KINDS(BAD_KEEP_HIGH),
		  .lives = true },
		{ "a live host keeps what is gone",
		  POKES(POKE(slots[0].keeps[1][7], CXLFORK_KEEP(6, 0, 2))),
		  KINDS(BAD_KEEP_HIGH), .lives = true },
		{ "one that may have died keeps too many",
		  POKES(POKE(*word, CXLFORK_KEEP(SYNTH_GEN, 0, 3))), .doubts = 1 },
		{ "one that has left keeps too many",
		  POKES(POKE(slots[1].host.state, CXLFORK_HOST_DETACHED),
			POKE(slots[1].refs[0][SYNTH_IDX], 0),
			POKE(*word, CXLFORK_KEEP(SYNTH_GEN, 0, 3))), KINDS(BAD_KEEP_HIGH) },
		{ "a dead host keeps too many",
		  POKES(POKE(slots[2].keeps[0][SYNTH_IDX], CXLFORK_KEEP(SYNTH_GEN, 0, 3))),
		  .lives = true },
		/* what is kept is used, and has to be whole */
		{ "one that is freed, but kept",
		  POKES(POKE(slots[2].keeps[0][5], CXLFORK_KEEP(7, 0, 1))), KINDS(BAD_MAGIC) },
		{ "one that is freed at this moment, but referred to",
		  POKES(POKE(s->freed->word, CXLFORK_WORD(7, CXLFORK_CKPT_FREEING)),
			POKE(slots[0].refs[0][5], CXLFORK_REF(7, 0, 1))) },
		{ "one that is freed, but referred to",
		  POKES(POKE(slots[0].refs[0][5], CXLFORK_REF(7, 0, 1))), KINDS(BAD_MAGIC) },
	};

	try_list(s, list, ARRAY_SIZE(list));
}

static void test_parents(struct synth *s)
{
	struct cxlfork_section *sec = &s->child_image->sections[CXLFORK_SEC_PARENTS];
	struct cxlfork_section *up = &s->image->sections[CXLFORK_SEC_PARENTS];
	struct cxlfork_parent *first = (void *)((__u8 *)s->image + ((__u8 *)s->parents -
						(__u8 *)s->child_image));
	const __u64 entry = le64toh(s->child_tables[1][0]);
	const struct damage list[] = {
		D("parents: fewer than the directory says", s->child->nr_parents, 2,
		  BAD_PARENT_COUNT),
		D("parents: none in the directory", s->child->nr_parents, 0, BAD_PARENT_COUNT),
		{ "parents: more than there can be",
		  POKES(POKE(sec->length, 16 * sizeof(*first))), KINDS(BAD_PARENT_COUNT) },
		{ "parents: not in order",
		  POKES(POKE(s->child->nr_parents, 2), POKE(sec->length, 2 * sizeof(*first)),
			POKE(s->parents[1].id, SYNTH_ID),
			POKE(s->parents[1].first, le64toh(s->entry->first))),
		  KINDS(BAD_PARENT_ORDER) },
		D("parents: itself", s->parents[0].id, SYNTH_CHILD_ID, BAD_PARENT_SELF,
		  BAD_PTE_TARGET),
		D("parents: of another generation", s->parents[0].id,
		  CXLFORK_ID(SYNTH_GEN - 1, 0, SYNTH_IDX), BAD_PARENT_GONE),
		D("parents: nonsense", s->parents[0].id, ~0ULL, BAD_PARENT_GONE),
		D("parents: one that is written", s->parents[0].id, SYNTH_WRITING_ID,
		  BAD_PARENT_GONE),
		D("parents: of another user", s->child->uid, 1000, BAD_PARENT_OWNER),
		{ "parents: one that may be freed, or not",
		  POKES(POKE(s->entry->word, CXLFORK_WORD(SYNTH_GEN, CXLFORK_CKPT_FREEING))) },
		D("parents: elsewhere", s->parents[0].first, 2 << 21, BAD_PARENT_FIRST),
		D("parents: damaged", s->image->head.magic, 1, BAD_MAGIC, BAD_PARENT_DAMAGED),
		D("parents: its entry damaged", s->entry->head.version, 1, BAD_VERSION,
		  BAD_PARENT_DAMAGED),
		{ "parents: its own grandchild",
		  POKES(POKE(s->entry->nr_parents, 1), POKE(up->length, sizeof(*first)),
			POKE(first->id, SYNTH_CHILD_ID),
			POKE(first->first, le64toh(s->child->first)),
			POKE(s->slots[0].keeps[1][SYNTH_CHILD_IDX], CXLFORK_KEEP(4, 1, 1))),
		  KINDS(BAD_PARENT_CYCLE) },
		D("entry for a parent's header", s->child_tables[1][0],
		  (entry & 0xfff) | 1ULL << 63 | (SYNTH_BASE + (8 << 20)), BAD_PTE_TARGET),
		{ "CRC of the parents", POKES(POKE(s->parents[0].id, 5)), KINDS(BAD_SECTION_CRC),
		  .raw = true },
	};

	try_list(s, list, ARRAY_SIZE(list));
}

void test_pool_damage(struct synth *s)
{
	test_super(s);
	test_hosts(s);
	test_directory(s);
	test_extents(s);
	test_refs(s);
	test_keeps(s);
	test_parents(s);
}
