// SPDX-License-Identifier: GPL-2.0
/*
 * This host's slot: who it is, how it gets its slot and comes back to it after
 * a crash, and its heartbeat.
 */
#include <linux/ctype.h>
#include <linux/dmi.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/unaligned.h>
#include <linux/utsname.h>
#include <linux/uuid.h>

#include "fork.h"

static char *cxlf_host_uuid;
module_param_named(host_uuid, cxlf_host_uuid, charp, 0444);
MODULE_PARM_DESC(host_uuid, "identity of this host (default: the SMBIOS system UUID)");

static int cxlf_slot_wanted = -1;
module_param_named(slot, cxlf_slot_wanted, int, 0444);
MODULE_PARM_DESC(slot, "host slot to take; a pool that isn't coherent needs it");

#define CXLF_SICK	"memory error in what the pool says of itself; bind again"

static int cxlf_identity(uuid_t *uuid, char *reason)
{
	const char *text = cxlf_host_uuid;

	if (!text)
		text = dmi_get_system_info(DMI_PRODUCT_UUID);
	if (!text) {
		strscpy(reason, "this host has no SMBIOS system UUID; set cxl_fork.host_uuid",
			CXLF_REASON_MAX);
		return -ENXIO;
	}
	if (uuid_parse(text, uuid) || uuid_is_null(uuid)) {
		snprintf(reason, CXLF_REASON_MAX,
			 "not a UUID that can tell hosts apart: %.40s", text);
		return -EINVAL;
	}
	return 0;
}

static u64 cxlf_claim_word(const uuid_t *uuid)
{
	return (get_unaligned_le64(uuid->b) ^ get_unaligned_le64(uuid->b + 8)) | 1;
}

/*
 * The slot that the administrator gave this host.  Two hosts that look for a
 * free one at the same time could take the same, without an atomic operation.
 */
static int cxlf_slot_given(struct cxlf_dev *cd, u64 mine, char *reason)
{
	int s = cxlf_slot_wanted;

	if (s < 0) {
		strscpy(reason,
			"the pool isn't coherent: cxl_fork.slot has to say which slot is this host's",
			CXLF_REASON_MAX);
		return -EINVAL;
	}
	if (s >= cd->geo.nr_slots) {
		snprintf(reason, CXLF_REASON_MAX,
			 "cxl_fork.slot=%d: the pool has %u slots",
			 s, cd->geo.nr_slots);
		return -EINVAL;
	}
	/* If it were this host's it would have been found. */
	if (cxlf_load(cd, cxlf_claim_off(cd, s))) {
		snprintf(reason, CXLF_REASON_MAX,
			 "cxl_fork.slot=%d: that slot is another host's", s);
		return -EBUSY;
	}
	cxlf_store(cd, cxlf_claim_off(cd, s), mine);
	return s;
}

/*
 * The slot that this host had before, or a free one.  @unsure: it is not known
 * that whoever claimed it is gone.
 */
static int cxlf_slot_pick(struct cxlf_dev *cd, const uuid_t *uuid, bool *unsure,
			  char *reason)
{
	u64 mine = cxlf_claim_word(uuid);
	struct cxlfork_host host;
	int torn = -ENOENT, err;
	u32 s;

	*unsure = true;
	for (s = 0; s < cd->geo.nr_slots; s++) {
		if (cxlf_load(cd, cxlf_claim_off(cd, s)) != mine)
			continue;
		err = cxlf_host_read(cd, s, &host);
		if (!err && !memcmp(host.host_uuid, uuid->b, sizeof(uuid->b))) {
			/* What it holds there would be nobody's. */
			if (cxlf_slot_wanted >= 0 && s != cxlf_slot_wanted) {
				snprintf(reason, CXLF_REASON_MAX,
					 "cxl_fork.slot=%d: this host has slot %u already",
					 cxlf_slot_wanted, s);
				return -EBUSY;
			}
			*unsure = cxlf_host_state(cd, s) == CXLFORK_HOST_ALIVE &&
				  !cxlf_fenced_slot(cd, s);
			return s;
		}
		/* Claimed, and then the power went out. */
		if (err && torn < 0 && (cxlf_slot_wanted < 0 || s == cxlf_slot_wanted))
			torn = s;
	}
	if (torn >= 0)
		return torn;

	*unsure = false;
	if (!cxlf_coherent(cd) || cxlf_slot_wanted >= 0)
		return cxlf_slot_given(cd, mine, reason);
	for (s = 0; s < cd->geo.nr_slots; s++)
		if (cxlf_cas(cd, cxlf_claim_off(cd, s), 0, mine))
			return s;
	snprintf(reason, CXLF_REASON_MAX, "all %u host slots are taken",
		 cd->geo.nr_slots);
	return -EUSERS;
}

/* Of what root of this host has called it: text, for whoever prints it. */
static void cxlf_host_text(char *to, const char *from, size_t size)
{
	strscpy(to, from, size);
	for (; *to; to++)
		if (iscntrl(*to))
			*to = '?';
}

static int cxlf_host_write(struct cxlf_dev *cd, const uuid_t *uuid)
{
	struct cxlfork_host host = {}, was;
	size_t len = offsetof(struct cxlfork_host, claim);

	cd->epoch = cxlf_load(cd, cxlf_epoch_off(cd, cd->slot));
	if (!cxlf_host_read(cd, cd->slot, &was))
		cd->epoch = max(cd->epoch, le64_to_cpu(was.boot_epoch));
	/* As good as damaged: no host boots as often. */
	if (cd->epoch > S64_MAX)
		return -EUCLEAN;
	cd->epoch++;
	memcpy(host.host_uuid, uuid->b, sizeof(host.host_uuid));
	host.boot_epoch = cpu_to_le64(cd->epoch);
	host.phys_base = cpu_to_le64(cd->base);
	host.attached = cpu_to_le64(ktime_get_real_seconds());
	cxlf_host_text(host.name, init_utsname()->nodename, sizeof(host.name));
	cxlf_host_text(host.kernel, init_utsname()->release, sizeof(host.kernel));
	cxlf_head_seal(&host, &host.head, CXLFORK_MAGIC_SLOT, len);
	cxlf_write(cd, cxlf_slot_off(cd, cd->slot), &host, len);
	cxlf_fence(cd);
	/* Of a fence this is the end. */
	cxlf_store(cd, cxlf_epoch_off(cd, cd->slot), cd->epoch);
	cd->heartbeat = cxlf_load(cd, cxlf_heartbeat_off(cd, cd->slot)) + 1;
	cxlf_store(cd, cxlf_heartbeat_off(cd, cd->slot), cd->heartbeat);
	return 0;
}

static void cxlf_say_lost(struct cxlf_dev *cd, const char *why)
{
	cxlf_reason(cd, why);
	dev_crit(cd->dev, "%s\n", why);
	cxlfork_pool_kill(&cd->pool);
}

static void cxlf_lose(struct cxlf_dev *cd, const char *why)
{
	if (!xchg(&cd->lost, true))
		cxlf_say_lost(cd, why);
}

/**
 * cxlf_slot_lost - is the pool gone that this host was attached to?
 * @cd: pool
 *
 * Somebody may format the region while this host is silent, or declare this
 * host dead.  From then on it writes nothing and hands out nothing; its clones
 * are killed, since what they map may change under them.
 *
 * Context: process context; the pool is attached.
 * Return: whether it is.
 */
bool cxlf_slot_lost(struct cxlf_dev *cd)
{
	/*
	 * Found by a load, wherever that was.  Clones end here, too: nobody looks any
	 * more whether this host is declared dead, and they lose what they map.
	 */
	if (READ_ONCE(cd->sick) && xchg(&cd->sick, false))
		cxlf_say_lost(cd, CXLF_SICK);
	if (READ_ONCE(cd->lost))
		return true;
	if (!cxlf_super_is(cd, &cd->geo))
		cxlf_lose(cd, "the pool was formatted by another host; bind again");
	else if (cxlf_load(cd, cxlf_epoch_off(cd, cd->slot)) != cd->epoch)
		cxlf_lose(cd, "another host has taken this one's slot over; bind again");
	else if (cxlf_fenced_slot(cd, cd->slot))
		cxlf_lose(cd, "another host has declared this one dead; bind again");
	return READ_ONCE(cd->lost);
}

static void cxlf_beat(struct work_struct *work)
{
	struct cxlf_dev *cd = container_of(work, struct cxlf_dev, beat.work);
	u64 off = cxlf_heartbeat_off(cd, cd->slot);

	if (cxlf_slot_lost(cd))
		return;
	if (cxlf_load(cd, off) != cd->heartbeat) {
		cxlf_lose(cd, "another host writes to this one's slot: the same UUID? bind again");
		return;
	}
	cxlf_store(cd, off, ++cd->heartbeat);
	queue_delayed_work(cd->pulse, &cd->beat, HZ);
}

/* Not with the heartbeat, which others watch: whoever has the lock may take long. */
static void cxlf_upkeep(struct work_struct *work)
{
	struct cxlf_dev *cd = container_of(work, struct cxlf_dev, upkeep.work);

	if (READ_ONCE(cd->lost))
		return;
	mutex_lock(&cd->lock);
	cxlf_hosts_look(cd);
	cxlf_dir_upkeep(cd);
	cxlf_care(cd);
	mutex_unlock(&cd->lock);
	queue_delayed_work(system_unbound_wq, &cd->upkeep, HZ);
}

/**
 * cxlf_slot_attach - get this host its slot, and put in order what it left
 * @cd: pool
 * @reason: CXLF_REASON_MAX bytes: why not, on error
 *
 * A host that comes back gets the slot it had.  Its references are dropped
 * (what mapped the memory is gone with the last boot), what it was writing is
 * given back, what it was deleting is deleted if nobody refers to it.  If
 * another host takes care of its directory, that one is asked to stop, and waited
 * for.  Starts the heartbeat.
 *
 * Context: process context, sleeps, for CXLF_WATCH_MS if the slot's last user
 * didn't leave in an orderly way; caller holds admin, geo is valid.
 * Return: 0; -EUSERS: all slots are taken; -EBUSY: a live host has this UUID, or
 * the one that takes care of its directory is silent; -ENXIO, -EINVAL: this host
 * has no identity, or no slot; -EINTR; -EIO.
 */
int cxlf_slot_attach(struct cxlf_dev *cd, char *reason)
{
	bool unsure;
	u32 silent;
	uuid_t uuid;
	int slot, err;

	err = cxlf_identity(&uuid, reason);
	if (err)
		return err;
	slot = cxlf_slot_pick(cd, &uuid, &unsure, reason);
	if (slot < 0)
		return slot;
	if (unsure) {
		err = cxlf_hosts_watch(cd, BIT(slot), &silent);
		if (err >= 0) {
			snprintf(reason, CXLF_REASON_MAX,
				 "slot %d: a live host has the same UUID", slot);
			return -EBUSY;
		}
		if (err != -ENOENT) {
			strscpy(reason, "interrupted", CXLF_REASON_MAX);
			return err;
		}
	}

	mutex_lock(&cd->lock);
	cd->slot = slot;
	memset(cd->seen, 0, sizeof(cd->seen));
	/* From here to ALIVE the record need not be whole.  (The load: see the line as it is.) */
	cxlf_load(cd, cxlf_state_off(cd, slot));
	cxlf_store(cd, cxlf_state_off(cd, slot), CXLFORK_HOST_FREE);
	/*
	 * References first: once the epoch is up they would count again, and what
	 * they refer to may be gone.
	 */
	cxlf_refs_load(cd);
	err = cxlf_host_write(cd, &uuid);
	if (err)
		strscpy(reason, "the record of this host's slot is damaged", CXLF_REASON_MAX);
	else
		err = cxlf_care_ended(cd, reason);
	if (!err) {
		cxlf_keeps_load(cd);
		cxlf_fences_load(cd);
		err = cxlf_dir_load(cd);
		if (err)
			strscpy(reason, "the extent table can't be read",
				CXLF_REASON_MAX);
	}
	/* It may have taken long, and have looked dead. */
	mb();
	if (!err && cxlf_fenced_slot(cd, slot)) {
		strscpy(reason, "another host has declared this one dead while it attached",
			CXLF_REASON_MAX);
		err = -EBUSY;
	}
	if (READ_ONCE(cd->lost)) {
		strscpy(reason, CXLF_SICK, CXLF_REASON_MAX);
		err = -EIO;
	}
	if (err) {
		cd->slot = CXLF_NO_SLOT;
	} else {
		cxlf_store(cd, cxlf_heartbeat_off(cd, slot), ++cd->heartbeat);
		cxlf_store(cd, cxlf_state_off(cd, slot), CXLFORK_HOST_ALIVE);
		cxlf_hosts_look(cd);
	}
	mutex_unlock(&cd->lock);
	if (err)
		return err;

	INIT_DELAYED_WORK(&cd->beat, cxlf_beat);
	INIT_DELAYED_WORK(&cd->upkeep, cxlf_upkeep);
	queue_delayed_work(cd->pulse, &cd->beat, HZ);
	queue_delayed_work(system_unbound_wq, &cd->upkeep, HZ);
	return 0;
}

/**
 * cxlf_slot_detach - leave in an orderly way
 * @cd: pool
 *
 * The slot stays this host's, with all that it has published.
 *
 * Context: process context, sleeps; caller holds admin, no handle is left and
 * there will be no new one.
 */
void cxlf_slot_detach(struct cxlf_dev *cd)
{
	/* Before a reboot that did not come. */
	if (cd->slot == CXLF_NO_SLOT)
		return;
	cancel_delayed_work_sync(&cd->beat);
	cancel_delayed_work_sync(&cd->upkeep);
	mutex_lock(&cd->lock);
	cxlf_store(cd, cxlf_state_off(cd, cd->slot), CXLFORK_HOST_DETACHED);
	cd->slot = CXLF_NO_SLOT;
	mutex_unlock(&cd->lock);
}
