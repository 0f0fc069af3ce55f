/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CXLfork inside the kernel: what the parts know of each other.
 *
 *   pool (drivers/cxl/fork, a module)  ->  image (kernel/cxlfork)
 *     ->  mm (mm/cxlfork)  ->  task (kernel/cxlfork)
 *
 * The hooks that existing files of mm/ use are in <linux/cxlfork_hooks.h>.
 */
#ifndef _LINUX_CXLFORK_H
#define _LINUX_CXLFORK_H

#include <linux/cleanup.h>
#include <linux/refcount.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include <uapi/linux/cxlfork.h>
#include <uapi/linux/cxlfork_format.h>

struct dev_pagemap;
struct file;
struct file_operations;
struct module;
struct cxlfork_pool;

/**
 * struct cxlfork_ckpt - a checkpoint that this host writes or refers to
 * @pool:	where it is
 * @id:		its id
 * @first:	offset of its header
 * @bytes:	extents it takes, in bytes
 * @extents:	while it is written: numbers of its extents; else NULL
 * @nr_extents:	how many
 * @uid:	owner (init_user_ns)
 * @gid:	group (init_user_ns)
 * @mode:	permission bits
 *
 * Allocated and freed by the pool.  Local memory: checked copies of what the
 * directory entry said.
 */
struct cxlfork_ckpt {
	struct cxlfork_pool	*pool;
	u64			id;
	u64			first;
	u64			bytes;
	u32			*extents;
	u32			nr_extents;
	u32			uid;
	u32			gid;
	u32			mode;
};

/**
 * struct cxlfork_ckpt_attr - what a new checkpoint is to be
 * @name:	NUL-terminated, may be empty
 * @uid:	owner
 * @gid:	group
 * @mode:	permission bits
 * @bytes:	logical bytes its image needs
 * @pages:	data pages, for the directory
 */
struct cxlfork_ckpt_attr {
	char	name[CXLFORK_NAME_MAX];
	u32	uid;
	u32	gid;
	u32	mode;
	u64	bytes;
	u64	pages;
};

/**
 * struct cxlfork_pool_ops - what a pool does for the core
 * @create:	reserve a directory entry (WRITING) and all extents; nothing else
 *		is written.  -ENOSPC with @missing set to the bytes that are
 *		missing (0: no directory entry is free), -EEXIST: this host has a
 *		checkpoint of that name.  The extents are writable by this host.
 * @publish:	order all that was written before, then make it LIVE; from now on
 *		the extents are read-only.  The caller keeps no reference:
 *		@ckpt is freed.
 * @abort:	give everything back; @ckpt is freed
 * @get:	take a reference of this host on a LIVE checkpoint: -ENOENT if
 *		there is none of this id (never was, is gone, or is on its way)
 * @put:	drop it; @ckpt is freed.  May be called from a work queue; sleeps
 */
struct cxlfork_pool_ops {
	struct cxlfork_ckpt *(*create)(struct cxlfork_pool *pool,
				       const struct cxlfork_ckpt_attr *attr,
				       u64 *missing);
	int (*publish)(struct cxlfork_ckpt *ckpt);
	void (*abort)(struct cxlfork_ckpt *ckpt);
	struct cxlfork_ckpt *(*get)(struct cxlfork_pool *pool, u64 id);
	void (*put)(struct cxlfork_ckpt *ckpt);
};

/**
 * struct cxlfork_pool - a pool as the core sees it
 * @ops:	what it does
 * @owner:	module, pinned while a checkpoint is in use
 * @fops:	of its control device: how a descriptor is recognised
 * @pgmap:	of its pages; pgmap->owner is &cxlfork_pgmap_owner
 * @base:	host physical address of the region
 * @addr:	the region in the direct map
 * @size:	bytes, a multiple of an extent; 0: unformatted
 * @etable:	extent table (in CXL memory)
 * @nr_extents:	extents of the region
 *
 * One pool a host: a second one is refused.
 */
struct cxlfork_pool {
	const struct cxlfork_pool_ops	*ops;
	struct module			*owner;
	const struct file_operations	*fops;
	struct dev_pagemap		*pgmap;
	phys_addr_t			base;
	void				*addr;
	u64				size;
	__le64				*etable;
	u32				nr_extents;
};

/* Cookie in dev_pagemap.owner: tells a CXL page of a pool from any other. */
extern const char cxlfork_pgmap_owner;

int cxlfork_register_pool(struct cxlfork_pool *pool);
void cxlfork_unregister_pool(struct cxlfork_pool *pool);
int cxlfork_guard(struct cxlfork_pool *pool, u32 extent, u32 nr, bool readonly);
struct cxlfork_pool *cxlfork_pool_get(int fd);
void cxlfork_pool_put(struct cxlfork_pool *pool);

/*
 * mm/cxlfork: leaves and the pages they map
 */

struct cxlfork_template;

/**
 * struct cxlfork_mm - what an address space with CXL pages holds
 * @template:	the open checkpoint; a counted reference
 * @leaves_shared: PMDs that point at a shared leaf now
 * @unshared:	leaves that were copied because something was to be written
 * @cow:	CXL pages that a write copied
 * @gup:	CXL pages that a pin or a remote access copied
 */
struct cxlfork_mm {
	struct cxlfork_template	*template;
	atomic_long_t		leaves_shared;
	atomic_long_t		unshared;
	atomic_long_t		cow;
	atomic_long_t		gup;
};

/**
 * struct cxlfork_space - where the entries of an image's leaves may point
 * @image_base:	physical base of the region that the leaves were made for
 * @host_base:	physical base of the region here
 * @size:	bytes of the region
 * @extents:	bitmap of the extents that belong to the image
 */
struct cxlfork_space {
	phys_addr_t	image_base;
	phys_addr_t	host_base;
	u64		size;
	unsigned long	*extents;
};

/**
 * struct cxlfork_chunk - the pages that 2 MiB of addresses map
 * @page:	page of each PTE, or NULL; a reference is held but on CXL pages
 * @young:	the PTE's accessed bit
 * @dirty:	the PTE's dirty bit
 * @absent:	not present, but not empty either (swapped out, migrating)
 * @nr:		how many of @page are set, or (when only counting) would be
 */
struct cxlfork_chunk {
	struct page	*page[CXLFORK_LEAF_ENTRIES];
	DECLARE_BITMAP(young, CXLFORK_LEAF_ENTRIES);
	DECLARE_BITMAP(dirty, CXLFORK_LEAF_ENTRIES);
	DECLARE_BITMAP(absent, CXLFORK_LEAF_ENTRIES);
	unsigned int	nr;
};

int cxlfork_mm_init(struct mm_struct *mm, struct cxlfork_template *template);
int cxlfork_attach_leaf(struct mm_struct *mm, unsigned long addr, phys_addr_t table);
int cxlfork_copy_leaf(struct mm_struct *mm, unsigned long addr, const u64 *table);
u64 cxlfork_make_entry(unsigned long pfn, pgprot_t prot, bool young);
int cxlfork_check_entries(const struct cxlfork_space *space, const u64 *src,
			  u64 *dst, unsigned int first, unsigned int end,
			  pgprot_t prot);
int cxlfork_collect(struct vm_area_struct *vma, unsigned long start,
		    unsigned long end, struct cxlfork_chunk *chunk);
long cxlfork_count(struct vm_area_struct *vma, unsigned long start,
		   unsigned long end);
void cxlfork_chunk_release(struct cxlfork_chunk *chunk);

/*
 * kernel/cxlfork: a checkpoint that is open on this host
 */
void cxlfork_template_hold(struct cxlfork_template *template);
void cxlfork_template_put(struct cxlfork_template *template);
u64 cxlfork_template_id(const struct cxlfork_template *template);

#endif /* _LINUX_CXLFORK_H */
