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

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/path.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <uapi/linux/cxlfork.h>
#include <uapi/linux/cxlfork_format.h>

struct dev_pagemap;
struct file;
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
 * @name:	or empty
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
	u32			nr_parents;
	char			name[CXLFORK_NAME_MAX];
};

/**
 * struct cxlfork_ckpt_attr - what a new checkpoint is to be
 * @name:	NUL-terminated, may be empty
 * @uid:	owner
 * @gid:	group
 * @mode:	permission bits
 * @bytes:	logical bytes its image needs
 * @pages:	data pages that are stored, for the directory
 * @parents:	ids of the checkpoints whose pages it will map, too
 * @nr_parents:	how many, at most CXLFORK_MAX_PARENTS
 * @quota:	bytes that all checkpoints of @uid may take; 0: any
 * @ttl:	seconds until it expires, or 0
 * @pin:	this host pins it
 * @privileged:	who asks may take what is reserved (CAP_SYS_RESOURCE)
 */
struct cxlfork_ckpt_attr {
	char	name[CXLFORK_NAME_MAX];
	u32	uid;
	u32	gid;
	u32	mode;
	u64	bytes;
	u64	pages;
	const u64 *parents;
	u32	nr_parents;
	u64	quota;
	u64	ttl;
	bool	pin;
	bool	privileged;
};

/**
 * struct cxlfork_pool_ops - what a pool does for the core
 * @create:	reserve a directory entry (WRITING) and all extents; nothing else
 *		is written.  -ENOSPC with @missing set to the bytes that are
 *		missing (0: no directory entry is free), -EDQUOT likewise with the
 *		bytes beyond the quota, -EEXIST: its owner has a checkpoint of
 *		that name, on some host, -ESTALE: a parent can't be kept.  The
 *		extents are writable by this host.  The parents are kept from now
 *		on; the caller runs in a clone that maps their pages.
 * @publish:	order all that was written before, then make it LIVE; from now on
 *		the extents are read-only.  The caller keeps no reference:
 *		@ckpt is freed.
 * @abort:	give everything back; @ckpt is freed
 * @get:	take a reference of this host on a LIVE checkpoint: -ENOENT if
 *		there is none of this id (never was, is gone, or is on its way)
 * @put:	drop it; @ckpt is freed.  May be called from a work queue; sleeps
 * @restored:	remember when a clone was made of it last
 * @refresh:	before an extent of a published image is used: what this host has
 *		cached of it is dropped if the pool isn't coherent
 * @read:	copy a part of a published image, by offset in the region; -EIO
 * @owner_of:	id of the checkpoint that an extent belongs to
 * @parent:	look at a parent of a checkpoint that is referred to: -EUCLEAN if
 *		nobody keeps it for that one
 */
struct cxlfork_pool_ops {
	struct cxlfork_ckpt *(*create)(struct cxlfork_pool *pool,
				       const struct cxlfork_ckpt_attr *attr,
				       u64 *missing);
	int (*publish)(struct cxlfork_ckpt *ckpt);
	void (*abort)(struct cxlfork_ckpt *ckpt);
	struct cxlfork_ckpt *(*get)(struct cxlfork_pool *pool, u64 id);
	void (*put)(struct cxlfork_ckpt *ckpt);
	void (*restored)(struct cxlfork_ckpt *ckpt);
	void (*refresh)(struct cxlfork_pool *pool, u32 extent);
	int (*read)(struct cxlfork_pool *pool, u64 off, void *to, size_t len);
	u64 (*owner_of)(struct cxlfork_pool *pool, u32 extent);
	int (*parent)(struct cxlfork_pool *pool, u64 child, u64 id,
		      struct cxlfork_ckpt *parent);
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
 * @coherent:	loads see other hosts' stores
 * @killed:	the core's: what lies there may change, nothing of it is used any more
 * @nr_extents:	extents of the region
 * @draining:	no new clones
 * @bad:	memory errors, see poison.c; the driver initialises it
 * @users:	the core's: registration, calls under way and open checkpoints
 * @idle:	the core's: @users has come to zero
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
	bool				coherent;
	bool				killed;
	u32				nr_extents;
	bool				draining;
	struct list_head		bad;
	struct delayed_work		lose;
	refcount_t			users;
	struct completion		idle;
};

/* Cookie in dev_pagemap.owner: tells a CXL page of a pool from any other. */
extern const char cxlfork_pgmap_owner;

int cxlfork_register_pool(struct cxlfork_pool *pool);
void cxlfork_unregister_pool(struct cxlfork_pool *pool);
int cxlfork_unregister_idle_pool(struct cxlfork_pool *pool);
void cxlfork_pool_kill(struct cxlfork_pool *pool);
bool cxlfork_pool_sever(struct cxlfork_pool *pool);
void cxlfork_pool_evacuate(struct cxlfork_pool *pool);
int cxlfork_guard(struct cxlfork_pool *pool, u32 extent, u32 nr, bool readonly);
int cxlfork_drain_begin(struct cxlfork_pool *pool);
int cxlfork_drain(struct cxlfork_pool *pool, struct cxlfork_pool_drain *drain);
void cxlfork_drain_end(struct cxlfork_pool *pool);
void cxlfork_pool_init_bad(struct cxlfork_pool *pool);
int cxlfork_pool_poisoned(struct cxlfork_pool *pool, u64 offset, u64 id);
bool cxlfork_pool_bad(struct cxlfork_pool *pool, const unsigned long *extents);
void cxlfork_pool_mark_bad(struct cxlfork_pool *pool, unsigned long *extents, u32 nr);
int cxlfork_pool_lost(struct cxlfork_pool *pool, struct cxlfork_lost *lost);
void cxlfork_pool_forget_bad(struct cxlfork_pool *pool);
struct cxlfork_pool *cxlfork_pool_of(const struct file *file);
struct cxlfork_pool *cxlfork_pool_get(int fd);
bool cxlfork_pool_try_hold(struct cxlfork_pool *pool);
void cxlfork_pool_hold(struct cxlfork_pool *pool);
void cxlfork_pool_put(struct cxlfork_pool *pool);

/*
 * mm/cxlfork: leaves and the pages they map
 */

struct cxlfork_template;

/**
 * struct cxlfork_mm - what an address space with CXL pages holds
 * @node:	in the list of all of them
 * @mm:		the address space
 * @template:	the open checkpoint; a counted reference.  NULL once it has been
 *		localised: it has no CXL page any more.  Changes with the mmap lock
 *		held for writing
 * @id:		of the checkpoint
 * @next:	the localiser's: where to go on
 * @no_memory:	the drain's: it could not be localised for want of memory
 * @late:	the drain's: its mmap lock is taken, others come first
 * @unshared:	leaves that were copied because something was to be written
 * @split:	2 MiB pages that 4 KiB entries map since, for the same reason
 * @cow:	CXL pages that a write copied
 * @cow_huge:	2 MiB pages that a write copied
 * @gup:	CXL pages that a pin or a remote access copied
 * @localised:	CXL pages that were copied because their pool was to go away
 * @lost:	CXL pages in whose place there is a marker
 */
struct cxlfork_mm {
	struct list_head	node;
	struct mm_struct	*mm;
	struct cxlfork_template	*template;
	u64			id;
	unsigned long		next;
	bool			no_memory;
	bool			late;
	atomic_long_t		unshared;
	atomic_long_t		split;
	atomic_long_t		cow;
	atomic_long_t		cow_huge;
	atomic_long_t		gup;
	atomic_long_t		localised;
	atomic_long_t		lost;
};

/**
 * struct cxlfork_space - where the entries of an image's leaves may point
 * @image_base:	physical base of the region that the leaves were made for
 * @host_base:	physical base of the region here
 * @size:	bytes of the region
 * @extents:	bitmap of the extents that belong to the image, or to a parent
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
 * @nr:		how many of @page are set
 */
struct cxlfork_chunk {
	struct page	*page[CXLFORK_LEAF_ENTRIES];
	DECLARE_BITMAP(young, CXLFORK_LEAF_ENTRIES);
	DECLARE_BITMAP(dirty, CXLFORK_LEAF_ENTRIES);
	DECLARE_BITMAP(absent, CXLFORK_LEAF_ENTRIES);
	unsigned int	nr;
};

struct page *cxlfork_pfn_page(unsigned long pfn);
int cxlfork_mm_init(struct mm_struct *mm, struct cxlfork_template *template);
struct cxlfork_template *cxlfork_mm_forget(struct mm_struct *mm);
struct mm_struct *cxlfork_next_mm(struct mm_struct *mm);

/**
 * enum cxlfork_wait - what to do about an mmap lock that is taken
 * @CXLFORK_WAIT_KILLABLE:	wait, until a fatal signal comes
 * @CXLFORK_WAIT_EVER:		wait
 * @CXLFORK_WAIT_NOT:		do without; only who reads is waited for
 */
enum cxlfork_wait {
	CXLFORK_WAIT_KILLABLE,
	CXLFORK_WAIT_EVER,
	CXLFORK_WAIT_NOT,
};

/**
 * struct cxlfork_localise - how to get rid of an address space's CXL pages
 * @budget:	pages after which to return; 0: not before all is done
 * @lose:	copy nothing: whoever touches one of them gets SIGBUS.  Never fails
 *		for want of memory
 * @wait:	for locks
 * @copied:	pages that were copied to local memory
 * @lost:	pages that couldn't be read, or were to be lost
 */
struct cxlfork_localise {
	unsigned long	budget;
	bool		lose;
	enum cxlfork_wait wait;
	unsigned long	copied;
	unsigned long	lost;
};

int cxlfork_unshare_gfp(struct mm_struct *mm, pmd_t *pmd, unsigned long addr,
			gfp_t gfp, bool lose);
long cxlfork_mm_pages(struct mm_struct *mm);
int cxlfork_localise(struct mm_struct *mm, struct cxlfork_localise *l);
long cxlfork_lose_page(struct mm_struct *mm, unsigned long pfn);
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
bool cxlfork_localise_huge(struct vm_area_struct *vma, pmd_t *pmd, unsigned long addr);
#else
static inline bool cxlfork_localise_huge(struct vm_area_struct *vma, pmd_t *pmd,
					 unsigned long addr)
{
	return false;
}
#endif

/*
 * What cxlfork_count() has found in 2 MiB: an address there, how many pages;
 * @huge: they are one page of 2 MiB.
 */
typedef int (*cxlfork_counted_fn)(void *arg, unsigned long addr, unsigned int nr,
				  bool huge);
/* One of these pages lies in CXL memory; called before, may not sleep. */
typedef void (*cxlfork_cxl_fn)(void *arg, struct page *page);

pmd_t *cxlfork_alloc_pmd(struct mm_struct *mm, unsigned long addr);
int cxlfork_attach_leaf(struct mm_struct *mm, unsigned long addr, phys_addr_t table);
int cxlfork_attach_huge(struct mm_struct *mm, unsigned long addr, u64 entry);
int cxlfork_copy_leaf(struct mm_struct *mm, unsigned long addr, const u64 *table);
u64 cxlfork_make_entry(unsigned long pfn, pgprot_t prot, bool young);
int cxlfork_check_entries(const struct cxlfork_space *space, const u64 *src,
			  u64 *dst, unsigned int first, unsigned int end,
			  pgprot_t prot);
int cxlfork_collect(struct vm_area_struct *vma, unsigned long start,
		    unsigned long end, struct cxlfork_chunk *chunk);
int cxlfork_count(struct vm_area_struct *vma, cxlfork_counted_fn counted,
		  cxlfork_cxl_fn cxl, void *arg);
void cxlfork_chunk_release(struct cxlfork_chunk *chunk);

/*
 * kernel/cxlfork: what is said about obstacles (report.c)
 */

/**
 * struct cxlfork_log - obstacles found so far
 * @records:	room for @capacity of them
 * @capacity:	how many fit
 * @nr:		how many were found; may be more
 */
struct cxlfork_log {
	struct cxlfork_report	*records;
	u32			capacity;
	u32			nr;
};

int cxlfork_log_init(struct cxlfork_log *log, u32 capacity);
void cxlfork_log_free(struct cxlfork_log *log);
int cxlfork_log_copy(const struct cxlfork_log *log, u64 reports, u32 __user *nr);
__printf(7, 8)
void cxlfork_report(struct cxlfork_log *log, u32 reason, int fd,
		    unsigned long start, unsigned long end, u64 value,
		    const char *fmt, ...);
#define cxlfork_obstacle(log, reason, fmt, ...) \
	cxlfork_report(log, reason, -1, 0, 0, 0, fmt, ##__VA_ARGS__)

/*
 * kernel/cxlfork: making a checkpoint (snapshot*.c, checkpoint.c, heritage.c)
 */

/**
 * struct cxlfork_buf - bytes that grow
 * @data:	kvmalloc()ed
 * @len:	used
 * @cap:	allocated
 */
struct cxlfork_buf {
	void	*data;
	size_t	len;
	size_t	cap;
};

extern const u32 cxlfork_entry_size[CXLFORK_NR_SECTIONS];

void *cxlfork_buf_add(struct cxlfork_buf *buf, size_t len);
int cxlfork_buf_add_file(struct cxlfork_buf *buf, struct file *file);

/**
 * struct cxlfork_request - one call of cxlfork()
 * @pool:	where to
 * @flags:	CXLFORK_*
 * @name:	or empty
 * @uid:	who asks: owns the checkpoint
 * @gid:	likewise
 * @handover:	descriptors that are not looked at
 * @nr_handover: how many
 * @payload:	buffer in the checkpointed process, or 0
 * @payload_max: its size
 * @payload_size_at: user address of the number that says how much was received
 * @mode:	permission bits of the checkpoint
 * @ttl:	seconds until it expires, or 0
 * @quota:	bytes that all checkpoints of @uid may take, or 0: any
 * @unlimited:	the asking process has CAP_SYS_RESOURCE
 * @self:	the process asks for itself: a clone returns 0
 * @privileged:	the asking process has CAP_CHECKPOINT_RESTORE
 * @log:	what stands in the way
 * @result:	id, 0 or -errno
 */
struct cxlfork_request {
	struct cxlfork_pool	*pool;
	u64			flags;
	char			name[CXLFORK_NAME_MAX];
	u32			uid;
	u32			gid;
	s32			*handover;
	u32			nr_handover;
	u64			payload;
	u32			payload_max;
	u64			payload_size_at;
	u32			mode;
	u64			ttl;
	u64			quota;
	bool			unlimited;
	bool			self;
	bool			privileged;
	struct cxlfork_log	log;
	long			result;
};

/**
 * struct cxlfork_snapshot - a task's state in the on-CXL format, pages apart
 * @req:	what it is made for
 * @sec:	sections
 * @inodes:	index of each mapped file, by inode
 * @mapped:	an open file of each, with a reference
 * @files:	index of the first descriptor of each open file, by file
 * @opened:	these files, with a reference, so that none is another meanwhile
 */
struct cxlfork_snapshot {
	struct cxlfork_request	*req;
	struct cxlfork_buf	sec[CXLFORK_NR_SECTIONS];
	struct xarray		inodes;
	struct cxlfork_buf	mapped;
	struct xarray		files;
	struct cxlfork_buf	opened;
};

int cxlfork_snapshot_string(struct cxlfork_snapshot *snap, const char *s, __le32 *at);
int cxlfork_snapshot_path(struct cxlfork_snapshot *snap, const struct path *path,
			  __le32 *at);
int cxlfork_snapshot_task(struct cxlfork_snapshot *snap);
int cxlfork_snapshot_mm(struct cxlfork_snapshot *snap);
struct vm_area_struct *cxlfork_find_vma(const struct cxlfork_vma *v);
int cxlfork_snapshot_fds(struct cxlfork_snapshot *snap);
long cxlfork_checkpoint(struct cxlfork_request *req);
bool cxlfork_good_name(const char *name, u32 len);
int cxlfork_copy_name(char *name, u64 from, u32 len);

/**
 * struct cxlfork_ancestor - a checkpoint that a clone maps pages of
 * @id:		its id
 * @first:	offset of its header
 * @pages:	pages of it that the clone maps
 * @huge:	pages of 2 MiB among them
 * @kept:	it becomes a parent: the pages stay where they are
 */
struct cxlfork_ancestor {
	u64	id;
	u64	first;
	u64	pages;
	u64	huge;
	bool	kept;
};

/**
 * struct cxlfork_heritage - what a clone that is checkpointed need not store
 * @pool:	where it is
 * @whose:	by extent: whose it is, 1 + index in @ancestors; 0: nobody's that
 *		counts.  NULL: nothing is inherited
 * @ancestors:	the clone's checkpoint and the parents of that, ids ascending
 * @nr:		how many
 * @parents:	ids of those that become parents
 * @nr_parents:	how many
 */
struct cxlfork_heritage {
	struct cxlfork_pool	*pool;
	u8			*whose;
	struct cxlfork_ancestor	ancestors[CXLFORK_MAX_PARENTS + 1];
	u32			nr;
	u64			parents[CXLFORK_MAX_PARENTS];
	u32			nr_parents;
};

int cxlfork_heritage_open(struct cxlfork_heritage *h, const struct cxlfork_request *req);
void cxlfork_heritage_close(struct cxlfork_heritage *h);
struct cxlfork_ancestor *cxlfork_ancestor_of(struct cxlfork_heritage *h, struct page *page);
int cxlfork_heritage_decide(struct cxlfork_heritage *h, bool keep, struct cxlfork_buf *sec);

/*
 * kernel/cxlfork: an image that is written (layout.c)
 */

u64 cxlfork_layout(struct cxlfork_image *image, const u64 *len, u64 table,
		   u64 nr_leaves, u64 nr_pages, bool huge);
u64 cxlfork_extents_table(u64 bytes);
struct cxlfork_ckpt *cxlfork_image_create(struct cxlfork_pool *pool,
					  const struct cxlfork_ckpt_attr *attr,
					  struct cxlfork_log *log);
u64 cxlfork_image_place(const struct cxlfork_ckpt *ckpt, u64 offset);
void cxlfork_image_write(struct cxlfork_ckpt *ckpt, u64 offset, const void *data, size_t len);
int cxlfork_image_seal(struct cxlfork_ckpt *ckpt, struct cxlfork_image *image);

/* A private mapping whose resident pages travel. */
static inline bool cxlfork_vma_has_pages(u32 flags)
{
	return (flags & CXLFORK_VMA_MAYWRITE) &&
	       !(flags & (CXLFORK_VMA_MAYSHARE | CXLFORK_VMA_WIPEONFORK |
			  CXLFORK_VMA_DROPPABLE));
}

/* current's own: nobody else replaces it. */
static inline struct sighand_struct *cxlfork_sighand(void)
{
	return rcu_dereference_protected(current->sighand, true);
}

vm_flags_t cxlfork_vm_flags(u32 flags, u32 pkey);
/* What open() can be asked for again: never to create or truncate. */
#define CXLFORK_OPEN_FLAGS						\
	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | __O_SYNC | O_DIRECT |	\
	 O_LARGEFILE | O_DIRECTORY | O_NOATIME | O_PATH)

struct file *cxlfork_open(const char *path, int flags, u32 rdev);
bool cxlfork_pseudo_file(struct file *file);
int cxlfork_file_identity(struct file *file, struct cxlfork_file *id);
const char *cxlfork_file_differs(const struct cxlfork_file *was,
				 const struct cxlfork_file *is);

/* What user space may have derived its choice of code from (x86.c). */
void cxlfork_arch_identity(struct cxlfork_image *image);
int cxlfork_arch_compatible(const struct cxlfork_image *image, struct cxlfork_log *log);
int cxlfork_arch_snapshot(struct cxlfork_snapshot *snap, struct cxlfork_task *task);
void cxlfork_arch_snapshot_mm(struct cxlfork_mm_state *state);
int cxlfork_arch_check_mm(const struct cxlfork_mm_state *state);
int cxlfork_arch_restore_mm(struct mm_struct *mm, const struct cxlfork_mm_state *state);
int cxlfork_arch_check_task(const struct cxlfork_task *task);
int cxlfork_arch_check_xstate(const void *xstate, size_t len, u64 xfeatures);
const char *cxlfork_arch_ghost(void);
int cxlfork_arch_prepare(const void *xstate, size_t len, u32 *pkru, void **fpstate);
void cxlfork_arch_restore(const struct cxlfork_task *task, u32 pkru, const void *fpstate);

/*
 * kernel/cxlfork: what an administrator decides (sysctl.c)
 */
u64 cxlfork_quota(void);
bool cxlfork_trust(void);

/*
 * kernel/cxlfork: a checkpoint as a stream of bytes (transfer.c, export.c,
 * import.c, incoming.c)
 */
int cxlfork_export(struct cxlfork_pool *pool, const struct file *control,
		   struct cxlfork_export __user *uargs);
int cxlfork_import(struct cxlfork_pool *pool, struct cxlfork_import __user *uargs);
void cxlfork_transfers_end(struct cxlfork_pool *pool);
void cxlfork_transfers_kill(struct cxlfork_pool *pool);

/*
 * kernel/cxlfork: a checkpoint that is open on this host (template*.c)
 */

/**
 * struct cxlfork_template_vma - a mapping, decoded
 * @start:	first byte
 * @end:	first byte after it
 * @flags:	CXLFORK_VMA_*
 * @vm_flags:	VM_*
 * @prot:	vm_page_prot
 * @pgoff:	in pages
 * @file:	index of its file, or CXLFORK_NO_FILE
 */
struct cxlfork_template_vma {
	unsigned long	start;
	unsigned long	end;
	u32		flags;
	vm_flags_t	vm_flags;
	pgprot_t	prot;
	unsigned long	pgoff;
	u32		file;
};

/**
 * struct cxlfork_template_leaf - a leaf, decoded
 * @addr:	first address
 * @vma:	index of the first mapping below it
 * @whole:	that mapping is anonymous and covers all of it
 * @huge:	one page of 2 MiB
 * @nr_pages:	entries that map a page, as the image says
 * @entry:	@huge, once checked: the entry of its first page; not zero
 * @table:	once checked: the table to attach (@whole) or to copy
 * @local:	@table is a page of this host
 */
struct cxlfork_template_leaf {
	unsigned long	addr;
	u32		vma;
	bool		whole;
	bool		huge;
	bool		local;
	u32		nr_pages;
	u64		entry;
	const u64	*table;
};

/**
 * struct cxlfork_template - an open checkpoint
 * @ref:	address spaces and callers that use it; 0: it is idle
 * @node:	in the list of open ones, the last used first
 * @pool:	where it is
 * @id:		of the checkpoint
 * @first:	offset of its header
 * @ckpt:	the pool's reference; NULL while it is idle
 * @proven:	a clone was made of it: worth keeping
 * @trusted:	leaves may be attached where they lie: the hosts are trusted
 * @image:	checked copy of the header
 * @extents:	checked copy of the table of extents
 * @space:	where leaf entries may point
 * @sec:	checked copies of the sections
 * @vmas:	mappings, ascending, disjoint
 * @nr_vmas:	how many
 * @leaves:	leaves, ascending
 * @nr_leaves:	how many
 * @nr_pages:	pages that they map, of the checkpoint and of its parents
 * @lock:	protects leaves[].table and .local
 */
struct cxlfork_template {
	refcount_t			ref;
	struct list_head		node;
	struct cxlfork_pool		*pool;
	u64				id;
	u64				first;
	struct cxlfork_ckpt		*ckpt;
	bool				proven;
	bool				trusted;
	struct cxlfork_image		*image;
	u32				*extents;
	struct cxlfork_space		space;
	struct {
		void	*data;
		size_t	len;
		u32	nr;
	}				sec[CXLFORK_NR_SECTIONS];
	struct cxlfork_template_vma	*vmas;
	u32				nr_vmas;
	struct cxlfork_template_leaf	*leaves;
	u32				nr_leaves;
	u64				nr_pages;
	struct mutex			lock;	/* leaves[].table and .local */
};

struct cxlfork_template *cxlfork_template_open(struct cxlfork_pool *pool, u64 id,
					       const struct file *file,
					       struct cxlfork_log *log);
void cxlfork_template_free(struct cxlfork_template *t);
int cxlfork_template_check(struct cxlfork_template *t, struct cxlfork_log *log);
int cxlfork_template_parents(struct cxlfork_template *t, struct cxlfork_log *log);
const char *cxlfork_read_table(struct cxlfork_pool *pool, const struct cxlfork_ckpt *ckpt,
			       const struct cxlfork_image *image, u32 *extents,
			       unsigned long *seen);
int cxlfork_template_leaf(struct cxlfork_template *t, u32 i, struct cxlfork_log *log);
void cxlfork_templates_drop(struct cxlfork_pool *pool);
void cxlfork_templates_close(struct cxlfork_pool *pool, bool close);
u64 cxlfork_templates_users(struct cxlfork_pool *pool);
void *cxlfork_template_at(const struct cxlfork_template *t, u64 offset);
int cxlfork_template_read(const struct cxlfork_template *t, u64 offset, void *to, size_t len);
const char *cxlfork_template_string(const struct cxlfork_template *t, __le32 at);
void cxlfork_template_hold(struct cxlfork_template *template);
void cxlfork_template_put(struct cxlfork_template *template);
u64 cxlfork_template_id(const struct cxlfork_template *template);

static inline const struct cxlfork_task *
cxlfork_template_task(const struct cxlfork_template *t)
{
	return t->sec[CXLFORK_SEC_TASK].data;
}

static inline const struct cxlfork_mm_state *
cxlfork_template_mm(const struct cxlfork_template *t)
{
	return t->sec[CXLFORK_SEC_MM].data;
}

/*
 * kernel/cxlfork: becoming a clone (restore*.c)
 */

/**
 * struct cxlfork_restore - one call of cxlrestore(), until nothing can fail
 * @pool_file:	the pool's control device as the ghost has it open
 * @template:	what to become
 * @log:	what stands in the way
 * @files:	mapped files, opened here
 * @mm:		the address space that is built
 * @cwd:	working directory
 * @fds:	open files, by index of the descriptor section
 * @fd_map:	descriptors handed over
 * @nr_fd_map:	how many
 * @payload:	what to put into the payload buffer
 * @payload_size: bytes of it
 * @pkru:	protection key rights
 * @fpstate:	extended registers, in this CPU's form
 */
struct cxlfork_restore {
	struct file		*pool_file;
	struct cxlfork_template	*template;
	struct cxlfork_log	log;
	struct file		**files;
	struct mm_struct	*mm;
	struct path		cwd;
	struct file		**fds;
	struct cxlfork_fd_map	*fd_map;
	u32			nr_fd_map;
	void			*payload;
	u32			payload_size;
	u32			pkru;
	void			*fpstate;
};

int cxlfork_restore_open_files(struct cxlfork_restore *r);
int cxlfork_restore_mm(struct cxlfork_restore *r);
int cxlfork_restore_fds(struct cxlfork_restore *r);
int cxlfork_restore_own_fds(struct cxlfork_restore *r);
void cxlfork_restore_install_fds(struct cxlfork_restore *r);
long cxlfork_restore(struct cxlfork_restore *r);

#endif /* _LINUX_CXLFORK_H */
