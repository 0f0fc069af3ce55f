// SPDX-License-Identifier: GPL-2.0
/*
 * The host whose kernel is fuzzed.
 *
 * What the module asks of a DAX device and of the core is done here.  The region
 * is mapped twice: as this host sees it, with what is published write-protected and
 * nothing mapped before and behind it; and as the other hosts see it.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "host.h"

struct host host = { .trust = true };
const char cxlfork_pgmap_owner;
static const struct group_info no_groups;

static const struct cred root = {
	.fsuid = { 0 }, .fsgid = { 0 }, .group_info = &no_groups,
};

static const struct cred nobody = {
	.fsuid = { HOST_NOBODY }, .fsgid = { HOST_NOBODY }, .group_info = &no_groups,
};

const struct file host_root = { .f_cred = &root, .privileged = true };
const struct file host_nobody = { .f_cred = &nobody };

static bool registered;

void *memremap_pages(struct dev_pagemap *pgmap, int node)
{
	return host.view;
}

const char *dmi_get_system_info(int field)
{
	return host.uuid;
}

const struct file_operations cxlf_fops;

int cxlf_cdev_init(struct cxlf_dev *cd)
{
	host.cd = cd;
	return 0;
}

void cxlf_cdev_exit(void)
{
}

int cxlf_dax_init(struct cxlf_dev *cd)
{
	return 0;
}

void cxlf_dax_exit(void)
{
}

int cxlfork_register_pool(struct cxlfork_pool *pool)
{
	shim_assert(!registered);
	registered = true;
	refcount_set(&pool->users, 1);
	return 0;
}

void cxlfork_unregister_pool(struct cxlfork_pool *pool)
{
	shim_assert(registered);
	registered = false;
	/* Whoever still uses it would have to let go. */
	shim_assert(refcount_read(&pool->users) == 1);
	cxlfork_templates_drop(pool);
}

int cxlfork_unregister_idle_pool(struct cxlfork_pool *pool)
{
	if (refcount_read(&pool->users) > 1)
		return -EBUSY;
	cxlfork_unregister_pool(pool);
	return 0;
}

bool cxlfork_pool_try_hold(struct cxlfork_pool *pool)
{
	if (registered)
		refcount_inc(&pool->users);
	return registered;
}

void cxlfork_pool_hold(struct cxlfork_pool *pool)
{
	refcount_inc(&pool->users);
}

void cxlfork_pool_put(struct cxlfork_pool *pool)
{
	shim_assert(refcount_read(&pool->users) > 1);
	pool->users.count--;
}

/* There are no clones to be parted from it. */
const struct dev_pagemap_ops cxlf_pagemap_ops;

bool cxlfork_pool_sever(struct cxlfork_pool *pool)
{
	return true;
}

struct mm_struct *cxlfork_next_mm(struct mm_struct *mm)
{
	return NULL;
}

long cxlfork_lose_page(struct mm_struct *mm, unsigned long pfn)
{
	return 0;
}

void cxlfork_pool_kill(struct cxlfork_pool *pool)
{
	host.killed = true;
}

int cxlfork_guard(struct cxlfork_pool *pool, u32 extent, u32 nr, bool readonly)
{
	u64 at = (u64)extent << CXLFORK_EXTENT_SHIFT;
	u64 len = (u64)nr << CXLFORK_EXTENT_SHIFT;

	shim_assert(at <= host.size && len <= host.size - at);
	if (mprotect(host.view + at, len, readonly ? PROT_READ : PROT_READ | PROT_WRITE))
		shim_bug("mprotect: %s", strerror(errno));
	return 0;
}

bool cxlfork_trust(void)
{
	return host.trust;
}

u64 cxlfork_quota(void)
{
	return 0;
}

static u8 *map(int fd, u64 size)
{
	u8 *at = mmap(NULL, size + 2 * CXLFORK_EXTENT_SIZE, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		shim_bug("mmap: %s", strerror(errno));
	at += CXLFORK_EXTENT_SIZE;
	if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 0) == MAP_FAILED)
		shim_bug("mmap: %s", strerror(errno));
	return at;
}

void host_init(u64 size)
{
	int fd = memfd_create("region", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size))
		shim_bug("memfd: %s", strerror(errno));
	host.view = map(fd, size);
	host.mem = map(fd, size);
	host.size = size;
	close(fd);
	if (shim_module_init())
		shim_bug("the module can't be loaded");
}

void host_bind(u64 base)
{
	static struct device dev = { .name = "dax0.0" };

	host.killed = false;
	if (cxlf_bind(host.cd, &dev, base, host.size))
		shim_bug("the device can't be bound");
}

void host_unbind(void)
{
	cxlf_unbind(host.cd);
	shim_assert(!registered && !atomic_read(&host.cd->handles));
	/* What was attached is writable again; or it was never attached. */
	if (mprotect(host.view, host.size, PROT_READ | PROT_WRITE))
		shim_bug("mprotect: %s", strerror(errno));
}
