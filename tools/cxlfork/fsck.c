// SPDX-License-Identifier: GPL-2.0
/* The checker of a whole pool: reads it, and has its parts looked at. */
#include <stdlib.h>
#include <string.h>

#include "fsck_pool.h"
#include "le.h"

static bool load_slots(struct fsck *f)
{
	__u32 i;

	for (i = 0; i < f->geo.nr_slots; i++) {
		findings_at(f->findings, "slot %u", i);
		if (!slot_load(f->region, &f->geo, i, &f->slots[i]))
			return unreadable(f->findings, "it");
	}
	return true;
}

static bool load_etable(struct fsck *f)
{
	__u32 i;

	findings_at(f->findings, "extent table");
	if (!region_read(f->region, f->geo.etable_off, f->owners,
			 f->geo.nr_extents * sizeof(__le64)))
		return unreadable(f->findings, "it");
	for (i = 0; i < f->geo.nr_extents; i++)
		f->owners[i] = le64(f->owners[i]);
	return true;
}

static bool load(struct fsck *f)
{
	f->slots = calloc(f->geo.nr_slots, sizeof(*f->slots));
	f->owners = calloc(f->geo.nr_extents, sizeof(*f->owners));
	f->named = calloc(f->geo.nr_extents, sizeof(*f->named));
	f->families = calloc(f->geo.nr_slots * CXLFORK_MAX_CKPTS,
			     sizeof(*f->families));
	if (!f->slots || !f->owners || !f->named || !f->families)
		return no_memory(f->findings);
	return load_slots(f) && load_etable(f);
}

/* Who has raised its heartbeat since the first look? */
static void take_pulse(struct fsck *f, struct fsck_pulse *pulse)
{
	__u64 heartbeat;
	__u32 s;

	for (s = 0; s < f->geo.nr_slots; s++) {
		heartbeat = le64(f->slots[s].host.heartbeat);
		if (!pulse->taken)
			pulse->heartbeat[s] = heartbeat;
		else if (pulse->heartbeat[s] != heartbeat &&
			 host_state(f, s) == CXLFORK_HOST_ALIVE)
			f->lives |= BIT_ULL(s);
	}
	pulse->taken = true;
}

static void check_all(struct fsck *f)
{
	__u32 slot;

	for (slot = 0; slot < f->geo.nr_slots; slot++)
		check_host(f, slot);
	for (slot = 0; slot < f->geo.nr_slots; slot++)
		if (host_claimed(f, slot))
			check_dir(f, slot);
	check_names(f);
	check_cycles(f);
	/* Needs to know all the parents. */
	for (slot = 0; slot < f->geo.nr_slots; slot++) {
		if (!host_claimed(f, slot))
			continue;
		check_refs(f, slot);
		check_keeps(f, slot);
	}
	check_etable(f);
}

enum super_state fsck_run(const struct region *region,
			  struct fsck_pulse *pulse, struct fsck_counts *counts,
			  struct findings *findings)
{
	struct fsck f = { .region = region, .counts = counts,
			  .findings = findings };
	enum super_state state;

	memset(counts, 0, sizeof(*counts));
	state = super_load(region, &f.geo, findings);
	if (state != SUPER_OK)
		return state;
	if (load(&f)) {
		take_pulse(&f, pulse);
		take_fences(&f);
		check_all(&f);
	}
	free(f.slots);
	free(f.owners);
	free(f.named);
	free(f.families);
	return SUPER_OK;
}
