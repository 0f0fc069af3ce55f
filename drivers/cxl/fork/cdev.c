// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/cxlfork, the control device.
 *
 * Everybody may open it (0666), as everybody may call fork(): a descriptor is
 * how the system calls are told which pool is meant.  What can be done with a
 * checkpoint is decided by who opened the descriptor, see access.c; formatting,
 * declaring hosts dead and raw reading need CAP_SYS_ADMIN, as does seeing
 * physical addresses.  A site that wants to narrow down who can fill the pool
 * sets a quota (kernel.cxlfork.quota_mib) or gives the node another mode (udev).
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "fork.h"

#define CXLF_BOUNCE	SZ_64K

static struct cxlf_dev *cxlf_cdev_dev;

static int cxlf_ioc_info(struct cxlf_dev *cd, void __user *arg)
{
	struct cxlfork_pool_info info = { .slot = CXLF_NO_SLOT };
	bool admin = capable(CAP_SYS_ADMIN);
	u32 free;

	down_read(&cd->live);
	info.size = cd->region;
	if (admin)
		info.phys_base = cd->base;
	if (cd->usable) {
		info.version = cd->geo.version;
		info.size = cd->geo.size;
		info.extent_size = CXLFORK_EXTENT_SIZE;
		info.nr_extents = cd->geo.nr_extents - cd->geo.first_extent;
		info.nr_slots = cd->geo.nr_slots;
		info.nr_ckpts = CXLFORK_MAX_CKPTS;
		info.flags = cd->geo.flags;
		memcpy(info.uuid, cd->geo.uuid, sizeof(info.uuid));
		if (!cxlf_extents_count(cd, &free, NULL))
			info.free_extents = free;
	}
	if (cd->attached && !cd->lost) {
		info.state = CXLFORK_POOL_ATTACHED;
		info.slot = cd->slot;
	}
	up_read(&cd->live);
	if (info.state == CXLFORK_POOL_UNFORMATTED) {
		spin_lock(&cd->reason_lock);
		strscpy_pad(info.reason, cd->reason, sizeof(info.reason));
		spin_unlock(&cd->reason_lock);
	}
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int cxlf_ioc_host(struct cxlf_dev *cd, void __user *arg)
{
	struct cxlfork_host_info info;
	int err = -ENODEV;

	if (copy_from_user(&info, arg, sizeof(info)))
		return -EFAULT;
	down_read(&cd->live);
	if (cd->usable)
		err = cxlf_host_info(cd, &info);
	up_read(&cd->live);
	if (err)
		return err;
	if (!capable(CAP_SYS_ADMIN))
		info.phys_base = 0;
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int cxlf_ioc_list(struct cxlf_dev *cd, const struct file *file,
			 void __user *arg)
{
	struct cxlfork_ckpt_info info;
	int err = -ENODEV;

	if (copy_from_user(&info, arg, sizeof(info)))
		return -EFAULT;
	down_read(&cd->live);
	if (cd->usable)
		err = cxlf_list(cd, file, &info);
	up_read(&cd->live);
	if (err)
		return err;
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int cxlf_ioc_remove(struct cxlf_dev *cd, const struct file *file,
			   u64 __user *arg)
{
	u64 id;

	if (get_user(id, arg))
		return -EFAULT;
	return cxlf_remove(cd, file, id);
}

static int cxlf_ioc_format(struct cxlf_dev *cd, void __user *arg)
{
	struct cxlfork_pool_format args;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	memset(args.reason, 0, sizeof(args.reason));
	err = cxlf_format(cd, &args);
	if (copy_to_user(arg, &args, sizeof(args)))
		return -EFAULT;
	return err;
}

static int cxlf_ioc_fence(struct cxlf_dev *cd, void __user *arg)
{
	struct cxlfork_pool_fence args;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	memset(args.reason, 0, sizeof(args.reason));
	err = cxlf_fence_host(cd, &args);
	if (copy_to_user(arg, &args, sizeof(args)))
		return -EFAULT;
	return err;
}

static int cxlf_ioc_set(struct cxlf_dev *cd, const struct file *file,
			void __user *arg)
{
	struct cxlfork_ckpt_set args;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	return cxlf_set(cd, file, &args);
}

static int cxlf_ioc_drain(struct cxlf_dev *cd, const struct file *file,
			  void __user *arg)
{
	struct cxlfork_pool_drain args;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	err = cxlf_drain(cd, file, &args);
	if (copy_to_user(arg, &args, sizeof(args)))
		return -EFAULT;
	return err;
}

static int cxlf_ioc_lost(struct cxlf_dev *cd, void __user *arg)
{
	struct cxlfork_lost lost;
	int err = -ENODEV;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&lost, arg, sizeof(lost)))
		return -EFAULT;
	down_read(&cd->live);
	if (cd->usable)
		err = cxlfork_pool_lost(&cd->pool, &lost);
	up_read(&cd->live);
	if (err)
		return err;
	return copy_to_user(arg, &lost, sizeof(lost)) ? -EFAULT : 0;
}

static long cxlf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct cxlf_dev *cd = cxlf_cdev_dev;
	void __user *at = (void __user *)arg;

	switch (cmd) {
	case CXLFORK_IOC_INFO:
		return cxlf_ioc_info(cd, at);
	case CXLFORK_IOC_HOST:
		return cxlf_ioc_host(cd, at);
	case CXLFORK_IOC_LIST:
		return cxlf_ioc_list(cd, file, at);
	case CXLFORK_IOC_REMOVE:
		return cxlf_ioc_remove(cd, file, at);
	case CXLFORK_IOC_FORMAT:
		return cxlf_ioc_format(cd, at);
	case CXLFORK_IOC_FENCE:
		return cxlf_ioc_fence(cd, at);
	case CXLFORK_IOC_SET:
		return cxlf_ioc_set(cd, file, at);
	case CXLFORK_IOC_DRAIN:
		return cxlf_ioc_drain(cd, file, at);
	case CXLFORK_IOC_LOST:
		return cxlf_ioc_lost(cd, at);
	case CXLFORK_IOC_EXPORT:
		return cxlfork_export(&cd->pool, file, at);
	case CXLFORK_IOC_IMPORT:
		return cxlfork_import(&cd->pool, at);
	default:
		return -ENOTTY;
	}
}

static int cxlf_release(struct inode *inode, struct file *file)
{
	cxlf_drain_release(cxlf_cdev_dev, file);
	return 0;
}

static loff_t cxlf_llseek(struct file *file, loff_t off, int whence)
{
	struct cxlf_dev *cd = cxlf_cdev_dev;
	u64 size;

	down_read(&cd->live);
	size = cd->region;
	up_read(&cd->live);
	return fixed_size_llseek(file, off, whence, size);
}

/* Through a buffer: a page fault while live is held could wait for itself. */
static ssize_t cxlf_bounce(struct cxlf_dev *cd, u64 pos, void *buf, size_t len)
{
	ssize_t got;

	down_read(&cd->live);
	if (!cd->addr) {
		got = -ENODEV;
	} else if (pos >= cd->region) {
		got = 0;
	} else {
		got = min_t(u64, len, cd->region - pos);
		if (cxlf_read(cd, pos, buf, got))
			got = -EIO;
	}
	up_read(&cd->live);
	return got;
}

static ssize_t cxlf_read_raw(struct file *file, char __user *to, size_t len,
			     loff_t *ppos)
{
	struct cxlf_dev *cd = cxlf_cdev_dev;
	ssize_t got = 0, done = 0;
	void *buf;

	/* Whoever opened it: it may be the standard input of something setuid. */
	if (!file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (*ppos < 0)
		return -EINVAL;
	buf = kvmalloc(min_t(size_t, len, CXLF_BOUNCE), GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	while (len) {
		if (fatal_signal_pending(current)) {
			got = -EINTR;
			break;
		}
		got = cxlf_bounce(cd, *ppos, buf,
				  min_t(size_t, len, CXLF_BOUNCE));
		if (got <= 0)
			break;
		if (copy_to_user(to, buf, got)) {
			got = -EFAULT;
			break;
		}
		to += got;
		len -= got;
		done += got;
		*ppos += got;
		cond_resched();
	}
	kvfree(buf);
	return done ?: got;
}

/* No mmap: pages of the pool get into an address space by cxlrestore() only. */
const struct file_operations cxlf_fops = {
	.owner		= THIS_MODULE,
	.release	= cxlf_release,
	.llseek		= cxlf_llseek,
	.read		= cxlf_read_raw,
	.unlocked_ioctl	= cxlf_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice cxlf_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "cxlfork",
	.fops	= &cxlf_fops,
	.mode	= 0666,
};

/**
 * cxlf_cdev_init - create the control device
 * @cd: what it controls
 *
 * Context: module initialisation.
 * Return: 0 or a negative errno.
 */
int cxlf_cdev_init(struct cxlf_dev *cd)
{
	cxlf_cdev_dev = cd;
	return misc_register(&cxlf_misc);
}

/**
 * cxlf_cdev_exit - remove the control device
 *
 * Context: module exit; nobody has it open.
 */
void cxlf_cdev_exit(void)
{
	misc_deregister(&cxlf_misc);
}
