// SPDX-License-Identifier: GPL-2.0
/* The checker of a whole pool: who owns, who refers to what. */
#include <stdlib.h>
#include <string.h>

#include "fsck.h"
#include "image.h"
#include "le.h"

/**
 * struct fsck - a pool as it was read, all of it at the start
 * @region:	where it is
 * @geo:	superblock
 * @slots:	all host slots
 * @owners:	extent table
 * @counts:	see there
 * @findings:	see there
 */
struct fsck {
	const struct region	*region;
	struct geometry		geo;
	struct cxlfork_slot	*slots;
	__u64			*owners;
	struct fsck_counts	*counts;
	struct findings		*findings;
};

static bool load(struct fsck *f)
{
	__u32 i;

	f->slots = calloc(f->geo.nr_slots, sizeof(*f->slots));
	f->owners = calloc(f->geo.nr_extents, sizeof(*f->owners));
	if (!f->slots || !f->owners)
		return problem(f->findings, "out of memory");
	for (i = 0; i < f->geo.nr_slots; i++) {
		findings_at(f->findings, "slot %u", i);
		if (!slot_load(f->region, &f->geo, i, &f->slots[i]))
			return problem(f->findings, "can't be read");
	}
	findings_at(f->findings, "extent table");
	if (!region_read(f->region, f->geo.etable_off, f->owners,
			 f->geo.nr_extents * sizeof(__le64)))
		return problem(f->findings, "can't be read");
	for (i = 0; i < f->geo.nr_extents; i++)
		f->owners[i] = le64(f->owners[i]);
	return true;
}

static bool slot_claimed(const struct fsck *f, __u32 slot)
{
	return f->slots[slot].host.claim;
}

static void check_identity(struct fsck *f, __u32 slot)
{
	const struct cxlfork_host *host = &f->slots[slot].host;
	__u64 state = le64(host->state), uuid;
	__u32 i;

	if (state > CXLFORK_HOST_DETACHED)
		problem(f->findings, "state %llu", state);
	/* One that is being claimed has no identity yet. */
	if (state == CXLFORK_HOST_FREE)
		return;
	if (!check_head(f->findings, host, &host->head, CXLFORK_MAGIC_SLOT,
			offsetof(struct cxlfork_host, claim)))
		return;
	memcpy(&uuid, host->host_uuid, sizeof(uuid));
	if (le64(host->claim) != (le64(uuid) | 1))
		problem(f->findings, "claimed by 0x%llx, which is not its host",
			le64(host->claim));
	if (le64(host->phys_base) & (PAGE_BYTES - 1))
		problem(f->findings, "physical base 0x%llx",
			le64(host->phys_base));
	if (!host->boot_epoch)
		problem(f->findings, "boot epoch 0");
	if (!is_text(host->name, sizeof(host->name)) ||
	    !is_text(host->kernel, sizeof(host->kernel)))
		problem(f->findings, "name or kernel release is no text");
	for (i = 0; i < slot; i++)
		if (slot_claimed(f, i) &&
		    !memcmp(f->slots[i].host.host_uuid, host->host_uuid,
			    sizeof(host->host_uuid)))
			problem(f->findings, "the same host as in slot %u", i);
}

/* Whether a host that has no slot left nothing behind. */
static void check_unclaimed(struct fsck *f, __u32 slot)
{
	const struct cxlfork_slot *s = &f->slots[slot];
	struct ckpt ckpt;
	__u32 i, o;

	if (s->host.state)
		problem(f->findings, "nobody's, but in state %llu",
			le64(s->host.state));
	for (i = 0; i < CXLFORK_MAX_CKPTS; i++) {
		ckpt_take(s, slot, i, &ckpt);
		if (ckpt.state != CXLFORK_CKPT_FREE)
			problem(f->findings, "nobody's, but has checkpoint 0x%llx",
				ckpt.id);
	}
	for (o = 0; o < CXLFORK_MAX_SLOTS; o++)
		for (i = 0; i < CXLFORK_MAX_CKPTS; i++)
			if (s->refs[o][i])
				problem(f->findings, "nobody's, but refers to slot %u, entry %u",
					o, i);
}

/* The directory entry that an id is about, if it is in use. */
static bool find_ckpt(const struct fsck *f, __u64 id, struct ckpt *ckpt)
{
	int slot = CXLFORK_ID_SLOT(id);
	__u32 idx = CXLFORK_ID_IDX(id);

	if (slot < 0 || (__u32)slot >= f->geo.nr_slots ||
	    idx >= CXLFORK_MAX_CKPTS || !slot_claimed(f, slot))
		return false;
	ckpt_take(&f->slots[slot], slot, idx, ckpt);
	return ckpt->id == id && ckpt->state != CXLFORK_CKPT_FREE &&
	       ckpt->state <= CXLFORK_CKPT_RETIRING;
}

static void check_refs(struct fsck *f, __u32 slot)
{
	struct ckpt ckpt;
	__u32 o, i;

	for (o = 0; o < CXLFORK_MAX_SLOTS; o++) {
		for (i = 0; i < CXLFORK_MAX_CKPTS; i++) {
			__u64 word = le64(f->slots[slot].refs[o][i]);
			__u64 id = CXLFORK_ID(CXLFORK_REF_GEN(word), o, i);

			if (!CXLFORK_REF_COUNT(word))
				continue;
			if (!find_ckpt(f, id, &ckpt) ||
			    ckpt.state == CXLFORK_CKPT_WRITING)
				problem(f->findings,
					"holds %u references to 0x%llx, which does not exist",
					CXLFORK_REF_COUNT(word), id);
		}
	}
}

static __u32 count_refs(const struct fsck *f, const struct ckpt *ckpt)
{
	__u32 holder, count = 0;

	for (holder = 0; holder < f->geo.nr_slots; holder++) {
		const struct cxlfork_slot *s = &f->slots[holder];
		__u64 word = le64(s->refs[CXLFORK_ID_SLOT(ckpt->id)]
					    [CXLFORK_ID_IDX(ckpt->id)]);

		if (CXLFORK_REF_GEN(word) == CXLFORK_ID_GEN(ckpt->id))
			count += CXLFORK_REF_COUNT(word);
	}
	return count;
}

static void check_names(struct fsck *f, __u32 slot)
{
	const struct cxlfork_ckpt_entry *ckpts = f->slots[slot].ckpts;
	struct ckpt a, b;
	__u32 i, j;

	for (i = 0; i < CXLFORK_MAX_CKPTS; i++) {
		ckpt_take(&f->slots[slot], slot, i, &a);
		if (a.state != CXLFORK_CKPT_LIVE || !ckpts[i].name[0])
			continue;
		for (j = 0; j < i; j++) {
			ckpt_take(&f->slots[slot], slot, j, &b);
			if (b.state == CXLFORK_CKPT_LIVE &&
			    ckpts[i].uid == ckpts[j].uid &&
			    !memcmp(ckpts[i].name, ckpts[j].name,
				    sizeof(ckpts[i].name)))
				problem(f->findings, "0x%llx and 0x%llx have the same name",
					b.id, a.id);
		}
	}
}

/* Extents of an image and of the table that says whose they are. */
static void check_owner(struct fsck *f, const struct image *image, __u64 id)
{
	__u32 i;

	for (i = 0; i < image->nr_extents; i++) {
		__u32 extent = image->extents[i];

		if (f->owners[extent] != id)
			problem(f->findings, "its extent %u is 0x%llx's by the extent table",
				extent, f->owners[extent]);
	}
	for (i = f->geo.first_extent; i < f->geo.nr_extents; i++)
		if (f->owners[i] == id && image->place[i] == NOT_OURS)
			problem(f->findings,
				"extent %u is its own by the extent table, but not in the image",
				i);
}

static void check_image(struct fsck *f, const struct ckpt *ckpt)
{
	struct image image;

	if (!image_open(&image, f->region, &f->geo, ckpt, f->findings))
		return;
	f->counts->images++;
	f->counts->leaves += image.nr_leaves;
	f->counts->pages += image.nr_pages;
	check_owner(f, &image, ckpt->id);
	image_check(&image, f->findings);
	image_close(&image);
}

static void check_ckpt(struct fsck *f, __u32 slot, __u32 idx)
{
	struct ckpt ckpt;

	ckpt_take(&f->slots[slot], slot, idx, &ckpt);
	if (ckpt.state == CXLFORK_CKPT_FREE)
		return;
	findings_at(f->findings, "checkpoint 0x%llx (slot %u, entry %u)",
		    ckpt.id, slot, idx);
	f->counts->ckpts++;
	if (ckpt.state > CXLFORK_CKPT_RETIRING) {
		problem(f->findings, "state %u", ckpt.state);
		return;
	}
	if (!CXLFORK_ID_GEN(ckpt.id) || CXLFORK_ID_GEN(ckpt.id) > CXLFORK_GEN_MAX)
		problem(f->findings, "generation %llu", CXLFORK_ID_GEN(ckpt.id));
	/* One that is written or freed right now may be half there. */
	if (ckpt.state == CXLFORK_CKPT_WRITING ||
	    (ckpt.state == CXLFORK_CKPT_RETIRING && !count_refs(f, &ckpt)))
		return;
	if (ckpt_check(&f->geo, &ckpt, f->findings))
		check_image(f, &ckpt);
}

static void check_slot(struct fsck *f, __u32 slot)
{
	__u32 i;

	findings_at(f->findings, "slot %u", slot);
	if (!slot_claimed(f, slot)) {
		check_unclaimed(f, slot);
		return;
	}
	f->counts->hosts++;
	check_identity(f, slot);
	check_refs(f, slot);
	check_names(f, slot);
	for (i = 0; i < CXLFORK_MAX_CKPTS; i++)
		check_ckpt(f, slot, i);
}

/* Every extent is free, or somebody's who exists. */
static void check_etable(struct fsck *f)
{
	struct ckpt ckpt;
	__u32 i;

	findings_at(f->findings, "extent table");
	for (i = 0; i < f->geo.nr_extents; i++) {
		bool meta = f->owners[i] == CXLFORK_EXTENT_META;

		if (i < f->geo.first_extent) {
			if (!meta)
				problem(f->findings,
					"extent %u holds the pool's own data, but is 0x%llx's",
					i, f->owners[i]);
		} else if (!f->owners[i]) {
			f->counts->extents_free++;
		} else if (meta) {
			problem(f->findings, "extent %u is marked as the pool's own",
				i);
		} else {
			f->counts->extents_used++;
			if (!find_ckpt(f, f->owners[i], &ckpt))
				problem(f->findings,
					"extent %u is lost: it is 0x%llx's, which does not exist",
					i, f->owners[i]);
		}
	}
}

enum super_state fsck_run(const struct region *region,
			  struct fsck_counts *counts,
			  struct findings *findings)
{
	struct fsck f = { .region = region, .counts = counts,
			  .findings = findings };
	enum super_state state;
	__u32 slot;

	memset(counts, 0, sizeof(*counts));
	state = super_load(region, &f.geo, findings);
	if (state != SUPER_OK)
		return state;
	if (load(&f)) {
		for (slot = 0; slot < f.geo.nr_slots; slot++)
			check_slot(&f, slot);
		check_etable(&f);
	}
	free(f.slots);
	free(f.owners);
	return SUPER_OK;
}
