// SPDX-License-Identifier: GPL-2.0
/*
 * Formatting a region: whether it may be done, and doing it.
 */
#include <linux/bits.h>
#include <linux/string.h>
#include <linux/uuid.h>

#include "fork.h"

/* May this region be formatted?  Caller holds admin. */
static int cxlf_format_check(struct cxlf_dev *cd, bool force, char *reason)
{
	u32 mask = ~0, silent;
	size_t len;
	int err;

	if (atomic_read(&cd->handles)) {
		strscpy(reason, "checkpoints are in use on this host",
			CXLF_REASON_MAX);
		return -EBUSY;
	}
	if (cd->attached) {
		mask &= ~BIT(cd->slot);
	} else {
		err = cxlf_geo_read(cd, reason);
		if (err == -ENODATA || (err && force))
			return 0;
		if (err) {
			len = strlen(reason);
			snprintf(reason + len, CXLF_REASON_MAX - len,
				 "; not formatted without force");
			return err;
		}
	}

	err = cxlf_hosts_watch(cd, mask, &silent);
	if (err >= 0) {
		snprintf(reason, CXLF_REASON_MAX,
			 "the host in slot %d is alive and uses the pool", err);
		return -EBUSY;
	}
	if (err != -ENOENT)
		return err;
	if (silent && !force) {
		snprintf(reason, CXLF_REASON_MAX,
			 "the host in slot %lu is silent but has not left; not formatted without force",
			 __ffs(silent));
		return -EBUSY;
	}
	return 0;
}

static int cxlf_format_locked(struct cxlf_dev *cd,
			      struct cxlfork_pool_format *args, char *reason)
{
	char again[CXLF_REASON_MAX];
	int err;

	if (!cd->addr || cd->closed || cd->lost) {
		strscpy(reason, cd->lost ? "the pool is lost to this host; bind again" :
			"no DAX device is bound", CXLF_REASON_MAX);
		return -ENODEV;
	}
	err = cxlf_format_check(cd, args->flags & CXLFORK_FORMAT_FORCE, reason);
	if (err)
		return err;
	if (cd->attached) {
		/* Nor is it waited for calls, which may wait for a storage. */
		if (cxlf_close(cd) || cxlfork_unregister_idle_pool(&cd->pool)) {
			cxlf_open(cd);
			strscpy(reason, "checkpoints are in use, or calls at work, on this host",
				CXLF_REASON_MAX);
			return -EBUSY;
		}
		cd->registered = false;
		cxlf_detach(cd);
	}

	cxlf_geo_set(cd, NULL);
	down_write(&cd->live);
	err = cxlf_super_format(cd, args->nr_slots ?: CXLFORK_MAX_SLOTS,
				args->pool_flags, args->uuid, reason);
	up_write(&cd->live);
	if (err) {
		/* Nothing was written. */
		cxlf_try(cd, again);
		return err;
	}
	return cxlf_try(cd, reason);
}

/**
 * cxlf_format - format the region and attach to it
 * @cd: pool
 * @args: from user space; gets reason
 *
 * Permission has been checked.
 *
 * Context: process context, sleeps for CXLF_WATCH_MS if there are other hosts;
 * takes admin and live.
 * Return: 0; -EINVAL: no such flags or number of slots; -ENODEV: nothing is
 * bound; -EBUSY: a live host uses the pool, or (without force) one that is
 * silent; -EMEDIUMTYPE, -EPROTONOSUPPORT, -EUCLEAN (without force): foreign,
 * newer, damaged; -ENOSPC: too small; -EINTR; what attaching says.
 */
int cxlf_format(struct cxlf_dev *cd, struct cxlfork_pool_format *args)
{
	char reason[CXLF_REASON_MAX] = "";
	int err;

	if (args->flags & ~CXLFORK_FORMAT_FLAGS ||
	    args->nr_slots > CXLFORK_MAX_SLOTS ||
	    args->pool_flags & ~CXLFORK_POOL_COHERENT)
		return -EINVAL;
	if (!memchr_inv(args->uuid, 0, sizeof(args->uuid)))
		generate_random_uuid(args->uuid);

	err = mutex_lock_interruptible(&cd->admin);
	if (err)
		return err;
	err = cxlf_format_locked(cd, args, reason);
	mutex_unlock(&cd->admin);
	strscpy_pad(args->reason, reason, sizeof(args->reason));
	return err;
}
