// SPDX-License-Identifier: GPL-2.0
/*
 * CXLFORK_IOC_DRAIN: the core does it, here is who may, and until when.
 */
#include <linux/atomic.h>
#include <linux/fs.h>

#include "fork.h"

/**
 * cxlf_drain - localise some pages of this host's clones
 * @cd: pool
 * @file: descriptor of the control device
 * @args: from and for user space
 *
 * Permission has been checked.  No lock is held meanwhile: clones that end drop
 * their references.
 *
 * Context: process context, sleeps.
 * Return: 0; -EINVAL: no such flags; -ENODEV: no pool is attached; -EBUSY:
 * another descriptor does it; what cxlfork_drain() says.
 */
int cxlf_drain(struct cxlf_dev *cd, const struct file *file,
	       struct cxlfork_pool_drain *args)
{
	const struct file *other;
	int err = 0;

	if (args->flags)
		return -EINVAL;
	if (!cxlfork_pool_try_hold(&cd->pool))
		return -ENODEV;
	other = cmpxchg(&cd->drainer, NULL, file);
	if (other && other != file) {
		err = -EBUSY;
	} else if (!other) {
		err = cxlfork_drain_begin(&cd->pool);
		if (err)
			WRITE_ONCE(cd->drainer, NULL);
	}
	if (!err)
		err = cxlfork_drain(&cd->pool, args);
	cxlfork_pool_put(&cd->pool);
	return err;
}

/**
 * cxlf_drain_release - a descriptor is closed
 * @cd: pool
 * @file: it
 *
 * Context: process context, sleeps.
 */
void cxlf_drain_release(struct cxlf_dev *cd, const struct file *file)
{
	if (READ_ONCE(cd->drainer) != file)
		return;
	cxlfork_drain_end(&cd->pool);
	WRITE_ONCE(cd->drainer, NULL);
}
