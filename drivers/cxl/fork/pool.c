// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of this host, from bind to unbind, and the module.
 */
#include <linux/err.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/string.h>

#include "fork.h"

static void cxlf_pool_refresh(struct cxlfork_pool *pool, u32 extent)
{
	cxlf_refresh_image(to_cxlf_dev(pool),
			   (u64)extent << CXLFORK_EXTENT_SHIFT,
			   CXLFORK_EXTENT_SIZE);
}

static int cxlf_pool_read(struct cxlfork_pool *pool, u64 off, void *to,
			  size_t len)
{
	return cxlf_image_read(to_cxlf_dev(pool), off, to, len);
}

static u64 cxlf_pool_owner(struct cxlfork_pool *pool, u32 extent)
{
	struct cxlf_dev *cd = to_cxlf_dev(pool);

	if (extent < cd->geo.first_extent)
		return CXLFORK_EXTENT_META;
	return cxlf_load(cd, cxlf_etable_off(cd, extent));
}

static const struct cxlfork_pool_ops cxlf_ops = {
	.create		= cxlf_create,
	.publish	= cxlf_publish,
	.abort		= cxlf_abort,
	.get		= cxlf_get,
	.put		= cxlf_put,
	.restored	= cxlf_restored,
	.refresh	= cxlf_pool_refresh,
	.read		= cxlf_pool_read,
	.owner_of	= cxlf_pool_owner,
	.parent		= cxlf_parent,
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
	if (cd->attached && !cd->closed && !cxlf_slot_lost(cd))
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
 * cxlf_bind - take a region as this host's pool
 * @cd: pool
 * @dev: its DAX device
 * @base: host physical address, a multiple of an extent
 * @len: bytes, a multiple of an extent
 *
 * A region that can't be attached to stays bound, so that it can be looked at
 * and formatted; CXLFORK_IOC_INFO says why.  When another host formats it this
 * host attaches.
 *
 * Context: probe; sleeps, for seconds if this host crashed.
 * Return: 0; -EBUSY: there is a pool already; what memremap_pages() says.
 */
int cxlf_bind(struct cxlf_dev *cd, struct device *dev, phys_addr_t base,
	      u64 len)
{
	struct cxlfork_pool *pool = &cd->pool;
	char reason[CXLF_REASON_MAX];
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
	cd->pgmap.ops = &cxlf_pagemap_ops;
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
	cd->lost = false;
	cd->sick = false;
	pool->addr = addr;
	pool->base = base;
	up_write(&cd->live);

	cxlf_reason(cd, "");
	cxlf_shadow_bind();
	cxlf_try(cd, reason);
out:
	mutex_unlock(&cd->admin);
	return err;
}

/**
 * cxlf_unbind - let the region go
 * @cd: pool
 *
 * That can't be refused.  New checkpoints and restores fail at once.  Clones are
 * localised: they go on without the pool.  While a checkpoint is being written,
 * this waits, and can't be interrupted: its memory would be gone.
 *
 * Context: remove; sleeps.
 */
void cxlf_unbind(struct cxlf_dev *cd)
{
	bool registered;

	mutex_lock(&cd->admin);
	cxlf_close(cd);
	registered = cd->registered;
	cd->registered = false;
	mutex_unlock(&cd->admin);

	cancel_delayed_work_sync(&cd->await);
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
	cd->base = 0;
	cd->region = 0;
	cd->pool.addr = NULL;
	cd->pool.base = 0;
	up_write(&cd->live);
	memunmap_pages(&cd->pgmap);
	cxlfork_pool_forget_bad(&cd->pool);
	cd->dev = NULL;
	cxlf_reason(cd, "no DAX device is bound");
	mutex_unlock(&cd->admin);
}

/**
 * cxlf_shutdown - leave before the host goes down
 * @cd: pool
 *
 * Clones that still run lose their access: they would end in a moment anyway.  If
 * that can't be done at once, the host doesn't say that it has left: it will be
 * silent, and its references end when it boots again.
 *
 * Context: reboot notifier; sleeps.
 */
void cxlf_shutdown(struct cxlf_dev *cd)
{
	/* Formatting, or an unbind: don't hold up the reboot. */
	if (!mutex_trylock(&cd->admin))
		return;
	if (cd->attached && cxlf_close(cd))
		cxlfork_pool_sever(&cd->pool);
	/* It stays closed: a call that is at work, for whatever time, gets nothing. */
	if (cd->attached && !atomic_read(&cd->handles))
		cxlf_slot_detach(cd);
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
	INIT_DELAYED_WORK(&cd->await, cxlf_await);
	cd->slot = CXLF_NO_SLOT;
	cd->pool.ops = &cxlf_ops;
	cd->pool.owner = THIS_MODULE;
	cd->pool.fops = &cxlf_fops;
	cd->pool.pgmap = &cd->pgmap;
	cxlfork_pool_init_bad(&cd->pool);
	cxlf_reason(cd, "no DAX device is bound");

	cd->pulse = alloc_workqueue("cxl_fork", WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	if (!cd->pulse)
		return -ENOMEM;
	err = cxlf_cdev_init(cd);
	if (err)
		goto err_pulse;
	err = register_reboot_notifier(&cxlf_reboot_nb);
	if (err)
		goto err_cdev;
	cxlf_skip_init();
	err = cxlf_dax_init(cd);
	if (err)
		goto err_skip;
	return 0;

err_skip:
	cxlf_skip_exit();
	unregister_reboot_notifier(&cxlf_reboot_nb);
err_cdev:
	cxlf_cdev_exit();
err_pulse:
	destroy_workqueue(cd->pulse);
	return err;
}
module_init(cxlf_init);

static void __exit cxlf_exit(void)
{
	cxlf_dax_exit();
	cxlf_skip_exit();
	unregister_reboot_notifier(&cxlf_reboot_nb);
	cxlf_cdev_exit();
	cxlf_tcg_free(&cxlf_dev);
	cxlf_shadow_lose(NULL);
	destroy_workqueue(cxlf_dev.pulse);
}
module_exit(cxlf_exit);

MODULE_DESCRIPTION("CXLfork: pool of checkpoints in CXL memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(CXLFORK);
