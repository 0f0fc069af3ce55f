// SPDX-License-Identifier: GPL-2.0
/*
 * Between bind and unbind: is there a format, is this host attached to it, can
 * checkpoints be had.
 */
#include <linux/string.h>

#include "fork.h"

/**
 * cxlf_geo_set - what the superblock says, or that there is none
 * @cd: pool, not attached
 * @geo: checked copy of it, or NULL
 *
 * Context: process context, sleeps; caller holds admin; takes live for write.
 */
void cxlf_geo_set(struct cxlf_dev *cd, const struct cxlf_geo *geo)
{
	struct cxlfork_pool *pool = &cd->pool;

	down_write(&cd->live);
	memset(&cd->geo, 0, sizeof(cd->geo));
	pool->size = 0;
	pool->coherent = false;
	pool->nr_extents = 0;
	cd->usable = geo;
	if (geo) {
		cd->geo = *geo;
		pool->size = geo->size;
		pool->coherent = cxlf_coherent(cd);
		pool->nr_extents = geo->nr_extents;
	}
	up_write(&cd->live);
}

/**
 * cxlf_geo_read - look at the superblock (again)
 * @cd: pool, not attached
 * @reason: CXLF_REASON_MAX bytes: why it can't be used, on error
 *
 * Context: process context, sleeps; caller holds admin; takes live for write.
 * Return: as cxlf_super_read().
 */
int cxlf_geo_read(struct cxlf_dev *cd, char *reason)
{
	struct cxlf_geo geo;
	int err;

	cxlf_geo_set(cd, NULL);
	err = cxlf_super_read(cd, &geo, reason);
	if (!err)
		cxlf_geo_set(cd, &geo);
	return err;
}

/**
 * cxlf_close - no new handles
 * @cd: pool
 *
 * Context: process context, sleeps; caller holds admin; takes live for write.
 * Return: how many handles there are.
 */
int cxlf_close(struct cxlf_dev *cd)
{
	down_write(&cd->live);
	cd->closed = true;
	up_write(&cd->live);
	return atomic_read(&cd->handles);
}

/**
 * cxlf_open - handles can be had
 * @cd: pool: this host has its slot
 *
 * Context: process context, sleeps; caller holds admin; takes live for write.
 */
void cxlf_open(struct cxlf_dev *cd)
{
	down_write(&cd->live);
	cd->attached = true;
	cd->closed = false;
	up_write(&cd->live);
}

/* The core waits for whoever uses the pool.  Caller holds admin. */
static void cxlf_unregister(struct cxlf_dev *cd)
{
	if (cd->registered)
		cxlfork_unregister_pool(&cd->pool);
	cd->registered = false;
}

/**
 * cxlf_detach - give the slot up, for now
 * @cd: pool: attached, closed, without handles
 *
 * Context: process context, sleeps; caller holds admin; takes live for write.
 */
void cxlf_detach(struct cxlf_dev *cd)
{
	cxlf_unregister(cd);
	down_write(&cd->live);
	cd->attached = false;
	cd->closed = false;
	up_write(&cd->live);
	WRITE_ONCE(cd->drainer, NULL);
	cxlf_slot_detach(cd);
	cxlf_guard_all(cd, false);
}

/**
 * cxlf_attach - get a slot, and let the core know
 * @cd: pool: geo is valid, not attached
 * @reason: CXLF_REASON_MAX bytes: why not, on error
 *
 * Context: process context, sleeps, for seconds if this host crashed; caller
 * holds admin; takes live for write.
 * Return: 0, what cxlf_slot_attach() says, or what the core says.
 */
int cxlf_attach(struct cxlf_dev *cd, char *reason)
{
	int err;

	err = cxlf_tcg_attach(cd);
	if (err) {
		strscpy(reason, "out of memory", CXLF_REASON_MAX);
		return err;
	}
	err = cxlf_slot_attach(cd, reason);
	if (err)
		return err;
	err = cxlf_guard_all(cd, true);
	if (err)
		dev_warn(cd->dev, "published memory stays writable on this host (%d)\n",
			 err);
	cxlf_open(cd);
	err = cxlfork_register_pool(&cd->pool);
	cd->registered = !err;
	if (err) {
		snprintf(reason, CXLF_REASON_MAX,
			 "the kernel doesn't take the pool (%d)", err);
		cxlf_close(cd);
		cxlf_detach(cd);
		return err;
	}
	dev_info(cd->dev, "attached to pool %pUb as slot %u\n", cd->geo.uuid,
		 cd->slot);
	cxlf_reason(cd, "");
	return 0;
}

/**
 * cxlf_try - attach to what is on the region now
 * @cd: pool, not attached
 * @reason: CXLF_REASON_MAX bytes: why not, on error
 *
 * When that can't be, it is tried again as soon as there is another pool; when
 * another host stands in the way, until it doesn't.
 *
 * Context: process context, sleeps, for seconds if this host crashed; caller
 * holds admin; takes live for write.
 * Return: as cxlf_super_read() and cxlf_attach().
 */
int cxlf_try(struct cxlf_dev *cd, char *reason)
{
	int err;

	reason[0] = '\0';
	memset(&cd->tried, 0, sizeof(cd->tried));
	err = cxlf_geo_read(cd, reason);
	if (!err) {
		err = cxlf_attach(cd, reason);
		/* What is busy now may not be so for long. */
		if (err && err != -EINTR && err != -EBUSY)
			cd->tried = cd->geo;
	}
	if (err) {
		if (strcmp(reason, cd->reason))
			dev_warn(cd->dev, "not attached: %s\n", reason);
		cxlf_reason(cd, reason);
		queue_delayed_work(system_unbound_wq, &cd->await, HZ);
	}
	return err;
}

/**
 * cxlf_await - attach when another host has formatted the region
 * @work: cxlf_dev.await
 *
 * Context: work queue, sleeps; takes admin.
 */
void cxlf_await(struct work_struct *work)
{
	struct cxlf_dev *cd = container_of(work, struct cxlf_dev, await.work);
	char reason[CXLF_REASON_MAX];

	if (mutex_trylock(&cd->admin)) {
		if (cd->attached || cd->closed) {
			mutex_unlock(&cd->admin);
			return;
		}
		if (!cd->usable || !cxlf_super_is(cd, &cd->tried))
			cxlf_try(cd, reason);
		mutex_unlock(&cd->admin);
	}
	queue_delayed_work(system_unbound_wq, &cd->await, HZ);
}
