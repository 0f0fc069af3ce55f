// SPDX-License-Identifier: GPL-2.0
/* The checker: who has a slot, and who has declared whom dead. */
#include <string.h>

#include "fsck_pool.h"
#include "le.h"

bool host_claimed(const struct fsck *f, __u32 slot)
{
	return f->slots[slot].host.claim;
}

__u64 host_state(const struct fsck *f, __u32 slot)
{
	return le64(f->slots[slot].host.state);
}

static __u64 host_epoch(const struct fsck *f, __u32 slot)
{
	return le64(f->slots[slot].host.epoch);
}

void take_fences(struct fsck *f)
{
	__u32 by, s;
	__u64 fence;

	for (by = 0; by < f->geo.nr_slots; by++) {
		if (!host_claimed(f, by))
			continue;
		for (s = 0; s < f->geo.nr_slots; s++) {
			fence = le64(f->slots[by].fences[s]);
			if (fence && fence == host_epoch(f, s))
				f->fenced |= BIT_ULL(s);
		}
	}
	f->lives &= ~f->fenced;
}

/* Nobody has ever written there. */
static void check_unclaimed(struct fsck *f, __u32 slot)
{
	const __u8 *bytes = (const __u8 *)&f->slots[slot];
	size_t i = 0;

	if (all_zero(bytes, sizeof(f->slots[slot])))
		return;
	while (!bytes[i])
		i++;
	problem(f->findings, BAD_SLOT_UNCLAIMED,
		"nobody's, but its byte %zu is 0x%02x", i, bytes[i]);
}

/* Slots, as far as they can be compared: from the record, or the claim. */
static bool same_host(const struct cxlfork_host *a,
		      const struct cxlfork_host *b)
{
	return a->claim == b->claim &&
	       !memcmp(a->host_uuid, b->host_uuid, sizeof(a->host_uuid));
}

static void check_identity(struct fsck *f, __u32 slot)
{
	const struct cxlfork_host *host = &f->slots[slot].host;
	__le64 uuid[2];

	if (!check_head(f->findings, host, &host->head, CXLFORK_MAGIC_SLOT,
			offsetof(struct cxlfork_host, claim)))
		return;
	memcpy(uuid, host->host_uuid, sizeof(uuid));
	if (le64(host->claim) != ((le64(uuid[0]) ^ le64(uuid[1])) | 1))
		problem(f->findings, BAD_HOST_CLAIM,
			"claimed by 0x%llx, which is not its host",
			le64(host->claim));
	if (!base_ok(&f->geo, le64(host->phys_base)))
		problem(f->findings, BAD_HOST_BASE, "physical base 0x%llx",
			le64(host->phys_base));
	if (!host->boot_epoch)
		problem(f->findings, BAD_HOST_BOOT_EPOCH, "boot epoch 0");
	if (host->epoch != host->boot_epoch)
		problem(f->findings, BAD_HOST_EPOCH,
			"epoch %llu, boot epoch %llu", le64(host->epoch),
			le64(host->boot_epoch));
	if (!is_text(host->name, sizeof(host->name)) ||
	    !is_text(host->kernel, sizeof(host->kernel)))
		problem(f->findings, BAD_HOST_TEXT,
			"name or kernel release is no text");
}

static void check_twice(struct fsck *f, __u32 slot)
{
	__u32 i;

	for (i = 0; i < slot; i++)
		if (host_claimed(f, i) &&
		    same_host(&f->slots[i].host, &f->slots[slot].host))
			problem(f->findings, BAD_HOST_TWICE,
				"the same host as in slot %u", i);
}

static void check_slot_reserved(struct fsck *f, __u32 slot)
{
	const struct cxlfork_slot *s = &f->slots[slot];
	const struct cxlfork_host *host = &s->host;

	check_reserved(f->findings, "host: reserved0", &host->reserved0,
		       sizeof(host->reserved0));
	check_reserved(f->findings, "host: reserved1", host->reserved1,
		       sizeof(host->reserved1));
	check_reserved(f->findings, "host: reserved2", host->reserved2,
		       sizeof(host->reserved2));
	check_reserved(f->findings, "host: reserved3", host->reserved3,
		       sizeof(host->reserved3));
	check_reserved(f->findings, "host: reserved4", host->reserved4,
		       sizeof(host->reserved4));
	check_reserved(f->findings, "slot: reserved0", s->reserved0,
		       sizeof(s->reserved0));
	check_reserved(f->findings, "slot: reserved1", s->reserved1,
		       sizeof(s->reserved1));
}

/* Whom this host has declared dead. */
static void check_fence(struct fsck *f, __u32 slot, __u32 whom)
{
	__u64 fence = le64(f->slots[slot].fences[whom]);

	if (!fence)
		return;
	if (whom == slot)
		problem(f->findings, BAD_FENCE_SELF,
			"has declared itself dead, in epoch %llu", fence);
	else if (whom >= f->geo.nr_slots || !host_claimed(f, whom))
		problem(f->findings, BAD_FENCE_NOBODY,
			"has declared slot %u dead, in epoch %llu", whom,
			fence);
	else if (fence > host_epoch(f, whom))
		problem(f->findings, BAD_FENCE_FUTURE,
			"has declared slot %u dead, in epoch %llu; it is in %llu",
			whom, fence, host_epoch(f, whom));
	/*
	 * Who comes back waits for whoever is attached to let go, unless that
	 * one is declared dead itself.  Who isn't attached lets go when it is.
	 */
	else if (fence < host_epoch(f, whom) &&
		 host_state(f, whom) == CXLFORK_HOST_ALIVE &&
		 host_state(f, slot) == CXLFORK_HOST_ALIVE &&
		 !(f->fenced & BIT_ULL(slot)))
		problem(f->findings, BAD_FENCE_STALE,
			"still takes care of slot %u as of epoch %llu; it is in %llu",
			whom, fence, host_epoch(f, whom));
}

void check_host(struct fsck *f, __u32 slot)
{
	__u64 state = host_state(f, slot);
	__u32 s;

	findings_at(f->findings, "slot %u", slot);
	if (!host_claimed(f, slot)) {
		check_unclaimed(f, slot);
		return;
	}
	f->counts->hosts++;
	if (state > CXLFORK_HOST_DETACHED)
		problem(f->findings, BAD_HOST_STATE, "state %llu", state);
	/* While it attaches its record need not be whole. */
	else if (state != CXLFORK_HOST_FREE)
		check_identity(f, slot);
	check_twice(f, slot);
	check_slot_reserved(f, slot);
	for (s = 0; s < CXLFORK_MAX_SLOTS; s++)
		check_fence(f, slot, s);
}
