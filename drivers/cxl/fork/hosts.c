// SPDX-License-Identifier: GPL-2.0
/*
 * The hosts of a pool, as another host sees them: who there is, and who gives
 * signs of life.
 */
#include <linux/delay.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "fork.h"

#define CXLF_WATCH_STEP_MS	100

/**
 * cxlf_host_state - what a slot is
 * @cd: pool
 * @slot: which
 *
 * A slot that is claimed counts as ALIVE unless it says clearly that it isn't.
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: enum cxlfork_host_state.
 */
u32 cxlf_host_state(struct cxlf_dev *cd, u32 slot)
{
	if (!cxlf_load(cd, cxlf_claim_off(cd, slot)))
		return CXLFORK_HOST_FREE;
	if (cxlf_load(cd, cxlf_state_off(cd, slot)) == CXLFORK_HOST_DETACHED)
		return CXLFORK_HOST_DETACHED;
	return CXLFORK_HOST_ALIVE;
}

/**
 * cxlf_host_read - read and check who has a slot
 * @cd: pool
 * @slot: which
 * @host: a copy; also filled in when it is damaged
 *
 * Context: any; caller holds live or admin, geo is valid.
 * Return: 0; -EUCLEAN, -EMEDIUMTYPE, -EPROTONOSUPPORT: damaged, or being
 * written just now; -EIO.
 */
int cxlf_host_read(struct cxlf_dev *cd, u32 slot, struct cxlfork_host *host)
{
	int err;

	err = cxlf_read(cd, cxlf_slot_off(cd, slot), host, sizeof(*host));
	if (err) {
		memset(host, 0, sizeof(*host));
		return err;
	}
	return cxlf_head_check(host, &host->head, CXLFORK_MAGIC_SLOT,
			       offsetof(struct cxlfork_host, claim));
}

struct cxlf_sign {
	u64 state;
	u64 heartbeat;
};

static void cxlf_sign_read(struct cxlf_dev *cd, u32 slot, struct cxlf_sign *s)
{
	s->state = cxlf_load(cd, cxlf_state_off(cd, slot));
	s->heartbeat = cxlf_load(cd, cxlf_heartbeat_off(cd, slot));
}

/**
 * cxlf_hosts_watch - is one of these hosts alive?
 * @cd: pool
 * @mask: a bit for each slot to watch
 * @silent: a bit for each that is attached as far as the pool knows, but gave
 *	no sign of life
 *
 * Takes CXLF_WATCH_MS unless there is nobody to watch, or somebody lives.
 *
 * Context: process context, sleeps; caller holds admin, geo is valid.
 * Return: slot of a live host; -ENOENT: none is; -EINTR.
 */
int cxlf_hosts_watch(struct cxlf_dev *cd, u32 mask, u32 *silent)
{
	struct cxlf_sign was[CXLFORK_MAX_SLOTS], is;
	unsigned int waited;
	u32 s;

	*silent = 0;
	for (s = 0; s < cd->geo.nr_slots; s++) {
		if (!(mask & BIT(s)) ||
		    cxlf_host_state(cd, s) != CXLFORK_HOST_ALIVE)
			continue;
		*silent |= BIT(s);
		cxlf_sign_read(cd, s, &was[s]);
	}

	for (waited = 0; *silent && waited < CXLF_WATCH_MS;
	     waited += CXLF_WATCH_STEP_MS) {
		msleep_interruptible(CXLF_WATCH_STEP_MS);
		if (signal_pending(current))
			return -EINTR;
		for (s = 0; s < cd->geo.nr_slots; s++) {
			if (!(*silent & BIT(s)))
				continue;
			cxlf_sign_read(cd, s, &is);
			if (memcmp(&is, &was[s], sizeof(is)))
				return s;
		}
	}
	return -ENOENT;
}

static u64 cxlf_now_ms(void)
{
	return ktime_to_ms(ktime_get_boottime());
}

/**
 * cxlf_hosts_look - note who has given a sign of life since the last look
 * @cd: pool
 *
 * Context: process context; caller holds cd->lock, geo is valid.
 */
void cxlf_hosts_look(struct cxlf_dev *cd)
{
	u64 now = cxlf_now_ms(), heartbeat;
	struct cxlf_seen *seen;
	u32 s;

	for (s = 0; s < cd->geo.nr_slots; s++) {
		seen = &cd->seen[s];
		heartbeat = cxlf_load(cd, cxlf_heartbeat_off(cd, s));
		if (seen->when && seen->heartbeat == heartbeat)
			continue;
		seen->heartbeat = heartbeat;
		seen->when = now;
	}
}

/* What it has, and what it holds. */
static void cxlf_host_count(struct cxlf_dev *cd, struct cxlfork_host_info *info)
{
	u32 slot = info->slot, s, idx;
	u64 word;

	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
		word = cxlf_load(cd, cxlf_entry_off(cd, slot, idx));
		info->ckpts += CXLFORK_WORD_STATE(word) != CXLFORK_CKPT_FREE;
	}
	for (s = 0; s < cd->geo.nr_slots; s++) {
		for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
			word = cxlf_load(cd, cxlf_ref_off(cd, slot, s, idx));
			info->refs = min_t(u64, (u64)info->refs +
					   CXLFORK_REF_COUNT(word), U32_MAX);
			word = cxlf_load(cd, cxlf_keep_off(cd, slot, s, idx));
			info->pins += CXLFORK_KEEP_PIN(word);
		}
	}
}

/**
 * cxlf_host_info - tell user space about a slot
 * @cd: pool
 * @info: in: slot; out: the rest
 *
 * Context: process context, sleeps; caller holds live, geo is valid.
 * Return: 0, or -EINVAL: no such slot.
 */
int cxlf_host_info(struct cxlf_dev *cd, struct cxlfork_host_info *info)
{
	u32 slot = info->slot;
	struct cxlfork_host host;

	if (slot >= cd->geo.nr_slots)
		return -EINVAL;
	memset(info, 0, sizeof(*info));
	info->slot = slot;
	info->caretaker = CXLF_NO_SLOT;
	info->state = cxlf_host_state(cd, slot);
	if (info->state == CXLFORK_HOST_FREE)
		return 0;
	if (cxlf_fenced_slot(cd, slot)) {
		info->state = CXLFORK_HOST_FENCED;
		info->caretaker = cxlf_caretaker(cd, slot);
	}
	cxlf_host_count(cd, info);

	mutex_lock(&cd->lock);
	cxlf_hosts_look(cd);
	info->heartbeat = cd->seen[slot].heartbeat;
	info->silent_ms = cxlf_now_ms() - cd->seen[slot].when;
	mutex_unlock(&cd->lock);

	if (cxlf_host_read(cd, slot, &host))
		return 0;
	info->boot_epoch = le64_to_cpu(host.boot_epoch);
	info->phys_base = le64_to_cpu(host.phys_base);
	memcpy(info->host_uuid, host.host_uuid, sizeof(info->host_uuid));
	memcpy(info->name, host.name, sizeof(info->name) - 1);
	memcpy(info->kernel, host.kernel, sizeof(info->kernel) - 1);
	return 0;
}
