// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of this host, from bind to unbind: mapped, attached, closed.
 */
#include <linux/err.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/string.h>

#include "fork.h"

static const struct cxlfork_pool_ops cxlf_ops = {
	.create		= cxlf_create,
	.publish	= cxlf_publish,
	.abort		= cxlf_abort,
	.get		= cxlf_get,
	.put		= cxlf_put,
};

/*
 * One pool a host.  It outlives the device: a descriptor of the control device
 * and the core may look at it at any time.
 */
static struct cxlf_dev cxlf_dev;

/**
 * cxlf_reason - why the pool is not attached
 * @cd: pool
 * @reason: one line for CXLFORK_IOC_INFO, or ""
 *
 * Context: any but interrupts.
 */
void cxlf_reason(struct cxlf_dev *cd, const char *reason)
{
	spin_lock(&cd->reason_lock);
	strscpy(cd->reason, reason, sizeof(cd->reason));
	spin_unlock(&cd->reason_lock);
}

/**
 * cxlf_enter - begin to work with the attached pool
 * @cd: pool
 *
 * Context: process context, sleeps; takes live for read.
 * Return: 0: cxlf_leave() is due; -ENODEV: no pool is attached.
 */
int cxlf_enter(struct cxlf_dev *cd)
{
	down_read(&cd->live);
	if (cd->attached && !cd->closed)
		return 0;
	up_read(&cd->live);
	return -ENODEV;
}

/**
 * cxlf_leave - end what cxlf_enter() began
 * @cd: pool
 *
 * Context: process context.
 */
void cxlf_leave(struct cxlf_dev *cd)
{
	up_read(&cd->live);
}

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
	pool->etable = NULL;
	pool->nr_extents = 0;
	cd->usable = geo;
	if (geo) {
		cd->geo = *geo;
		pool->size = geo->size;
		pool->etable = cd->addr + geo->etable_off;
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
	up_write(&cd->live);
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
 * cxlf_bind - take a region as this host's pool
 * @cd: pool
 * @dev: its DAX device
 * @base: host physical address, a multiple of an extent
 * @len: bytes, a multiple of an extent
 *
 * A region that can't be attached to stays bound, so that it can be looked at
 * and formatted; CXLFORK_IOC_INFO says why.
 *
 * Context: probe; sleeps, for seconds if this host crashed.
 * Return: 0; -EBUSY: there is a pool already; what memremap_pages() says.
 */
int cxlf_bind(struct cxlf_dev *cd, struct device *dev, phys_addr_t base,
	      u64 len)
{
	char reason[CXLF_REASON_MAX] = "";
	struct cxlfork_pool *pool = &cd->pool;
	void *addr;
	int err = 0;

	mutex_lock(&cd->admin);
	if (cd->dev) {
		dev_warn(dev, "refused: %s is the pool of this host, there can be one only\n",
			 dev_name(cd->dev));
		err = -EBUSY;
		goto out;
	}

	memset(&cd->pgmap, 0, sizeof(cd->pgmap));
	cd->pgmap.type = MEMORY_DEVICE_GENERIC;
	cd->pgmap.owner = (void *)&cxlfork_pgmap_owner;
	cd->pgmap.range.start = base;
	cd->pgmap.range.end = base + len - 1;
	cd->pgmap.nr_range = 1;
	addr = memremap_pages(&cd->pgmap, dev_to_node(dev));
	if (IS_ERR(addr)) {
		err = PTR_ERR(addr);
		dev_warn(dev, "can't be mapped (%d)\n", err);
		goto out;
	}

	down_write(&cd->live);
	cd->dev = dev;
	cd->addr = addr;
	cd->base = base;
	cd->region = len;
	cd->closed = false;
	pool->addr = addr;
	pool->base = base;
	up_write(&cd->live);

	err = cxlf_geo_read(cd, reason);
	if (!err)
		err = cxlf_attach(cd, reason);
	if (err) {
		dev_warn(dev, "not attached: %s\n", reason);
		cxlf_reason(cd, reason);
		err = 0;
	}
out:
	mutex_unlock(&cd->admin);
	return err;
}

/**
 * cxlf_unbind - let the region go
 * @cd: pool
 *
 * That can't be refused.  New checkpoints and restores fail at once; while
 * clones live or a checkpoint is being written, this waits, for as long as it
 * takes, and can't be interrupted: their memory would be gone.
 *
 * Context: remove; sleeps.
 */
void cxlf_unbind(struct cxlf_dev *cd)
{
	bool registered;
	int handles;

	mutex_lock(&cd->admin);
	handles = cxlf_close(cd);
	registered = cd->registered;
	cd->registered = false;
	mutex_unlock(&cd->admin);

	if (handles)
		dev_warn(cd->dev, "unbind waits until %d checkpoint(s) are not in use any more\n",
			 handles);
	if (registered)
		cxlfork_unregister_pool(&cd->pool);
	/* Not a hung task, however long it takes. */
	wait_event_idle(cd->idle, !atomic_read(&cd->handles));

	mutex_lock(&cd->admin);
	if (cd->attached)
		cxlf_detach(cd);
	cxlf_geo_set(cd, NULL);
	down_write(&cd->live);
	cd->addr = NULL;
	cd->region = 0;
	cd->pool.addr = NULL;
	cd->pool.base = 0;
	up_write(&cd->live);
	memunmap_pages(&cd->pgmap);
	cd->dev = NULL;
	cxlf_reason(cd, "no DAX device is bound");
	mutex_unlock(&cd->admin);
}

/**
 * cxlf_shutdown - leave before the host goes down
 * @cd: pool
 *
 * If clones still run, the host doesn't say that it has left: it will be
 * silent, and its references end when it boots again.
 *
 * Context: reboot notifier; sleeps.
 */
void cxlf_shutdown(struct cxlf_dev *cd)
{
	/* Formatting, or an unbind: don't hold up the reboot. */
	if (!mutex_trylock(&cd->admin))
		return;
	if (cd->attached && !cxlf_close(cd))
		cxlf_detach(cd);
	mutex_unlock(&cd->admin);
}

static int cxlf_reboot(struct notifier_block *nb, unsigned long action,
		       void *data)
{
	cxlf_shutdown(&cxlf_dev);
	return NOTIFY_DONE;
}

static struct notifier_block cxlf_reboot_nb = {
	.notifier_call = cxlf_reboot,
};

static int __init cxlf_init(void)
{
	struct cxlf_dev *cd = &cxlf_dev;
	int err;

	mutex_init(&cd->admin);
	init_rwsem(&cd->live);
	mutex_init(&cd->lock);
	spin_lock_init(&cd->reason_lock);
	init_waitqueue_head(&cd->idle);
	cd->slot = CXLF_NO_SLOT;
	cd->pool.ops = &cxlf_ops;
	cd->pool.owner = THIS_MODULE;
	cd->pool.fops = &cxlf_fops;
	cd->pool.pgmap = &cd->pgmap;
	cxlf_reason(cd, "no DAX device is bound");

	err = cxlf_cdev_init(cd);
	if (err)
		return err;
	err = register_reboot_notifier(&cxlf_reboot_nb);
	if (err)
		goto err_cdev;
	err = cxlf_dax_init(cd);
	if (err)
		goto err_reboot;
	return 0;

err_reboot:
	unregister_reboot_notifier(&cxlf_reboot_nb);
err_cdev:
	cxlf_cdev_exit();
	return err;
}
module_init(cxlf_init);

static void __exit cxlf_exit(void)
{
	cxlf_dax_exit();
	unregister_reboot_notifier(&cxlf_reboot_nb);
	cxlf_cdev_exit();
}
module_exit(cxlf_exit);

MODULE_DESCRIPTION("CXLfork: pool of checkpoints in CXL memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(CXLFORK);
