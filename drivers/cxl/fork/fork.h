/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pool of checkpoints in a CXL region: what the files of cxl_fork.ko know
 * of each other.  The format is in <linux/cxlfork_format.h>, the interface to
 * the core in <linux/cxlfork.h>.
 *
 * Locks, outermost first:
 *
 *   admin  mutex: bind, unbind, attach, detach, format, one at a time.  May be
 *          held for seconds (other hosts are watched).
 *   live   rwsem: held for read by whoever looks at the mapping or works with
 *          an attached pool, for write to change what they rely on (mapped,
 *          geo, attached, closed).  Never held over a copy to or from user
 *          space: handles are dropped from mm code.
 *   lock   mutex: what this host writes in the pool (its slot, directory and
 *          reference table, claims in the extent table) and the local copies
 *          of it.  One writer a host, one host a cache line.
 *
 * Nothing in CXL memory is a lock.
 */
#ifndef _CXL_FORK_H
#define _CXL_FORK_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/cxlfork.h>
#include <linux/device.h>
#include <linux/memremap.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#define CXLF_NO_SLOT		U32_MAX
#define CXLF_REASON_MAX		128

/* How long another host is watched before it counts as silent. */
#define CXLF_WATCH_MS		2500
/* How long a deletion waits for the owner before it says EINPROGRESS. */
#define CXLF_REMOVE_MS		3000

/* Most extents one image can have: their table fits in the first of them. */
#define CXLF_IMAGE_EXTENTS	((u32)((CXLFORK_EXTENT_SIZE - 4096) / 4))

/**
 * struct cxlf_geo - the superblock, copied once and checked
 * @uuid:	of the pool
 * @crc:	of the superblock: tells it from an earlier one with this @uuid
 * @size:	bytes of the pool
 * @slots_off:	offset of the first slot
 * @etable_off:	offset of the extent table
 * @version:	of the format
 * @nr_extents:	extents of the pool
 * @first_extent: first one that can hold checkpoints
 * @nr_slots:	host slots
 * @flags:	CXLFORK_POOL_*
 */
struct cxlf_geo {
	u8	uuid[16];
	u32	crc;
	u64	size;
	u64	slots_off;
	u64	etable_off;
	u32	version;
	u32	nr_extents;
	u32	first_extent;
	u32	nr_slots;
	u32	flags;
};

/**
 * struct cxlf_entry - an entry of this host's own directory
 * @gen:	generation
 * @state:	enum cxlfork_ckpt_state
 * @damaged:	what CXL memory says makes no sense: never used again
 * @uid:	owner
 * @gid:	group
 * @mode:	permission bits
 * @pages:	data pages
 * @bytes:	extents it takes, in bytes
 * @ttl:	while it is WRITING: seconds it is to live, or 0: for ever
 * @pin:	likewise: whether it is to be pinned
 * @name:	or empty
 *
 * Local memory.  Loaded when the host attaches; from then on it decides, and
 * CXL memory is only written.
 */
struct cxlf_entry {
	u64	gen;
	u32	state;
	bool	damaged;
	u32	uid;
	u32	gid;
	u32	mode;
	u64	pages;
	u64	bytes;
	u64	ttl;
	bool	pin;
	char	name[CXLFORK_NAME_MAX];
};

/**
 * struct cxlf_parents - the parents of one checkpoint of a directory
 * @nr:		how many
 * @unsure:	there may be others: entry or image can't be read
 * @ids:	their ids
 */
struct cxlf_parents {
	u32	nr;
	bool	unsure;
	u64	ids[CXLFORK_MAX_PARENTS];
};

/**
 * struct cxlf_seen - when another host last gave a sign of life
 * @heartbeat:	its counter then
 * @when:	CLOCK_BOOTTIME in milliseconds, 0: never looked
 */
struct cxlf_seen {
	u64	heartbeat;
	u64	when;
};

/**
 * struct cxlf_dev - the pool of this host
 * @pool:	what the core sees
 * @admin:	see the top of this file
 * @live:	see the top of this file
 * @lock:	see the top of this file
 * @dev:	DAX device that is bound, or NULL
 * @pgmap:	of its pages
 * @addr:	the region in the direct map; NULL: not mapped
 * @base:	its host physical address
 * @region:	its bytes
 * @usable:	@geo is valid
 * @attached:	this host has a slot
 * @closed:	no new checkpoint handles
 * @registered:	the core knows @pool
 * @lost:	somebody has formatted the region under this host, or declared
 *		this host dead: it writes nothing any more
 * @sick:	lost, for a word that can't be read, and nobody has been told yet
 * @geo:	checked copy of the superblock
 * @slot:	of this host, or CXLF_NO_SLOT
 * @epoch:	of this boot
 * @heartbeat:	last one written
 * @own:	this host's directory
 * @parents:	of the checkpoints in it
 * @refs:	this host's reference table
 * @keeps:	this host's table of what it keeps beyond this boot
 * @fences:	hosts that this one has declared dead: their epoch, or 0
 * @cares:	for how many upkeeps this host has been the caretaker of each
 * @settled:	a bit for each of them whose keeps are what its directory says
 * @seen:	signs of life of the others
 * @ran:	under TCG: for each extent the checkpoint that this host has used
 *		it for; else NULL
 * @nr_ran:	how many
 * @handles:	struct cxlfork_ckpt that exist
 * @idle:	woken when @handles gets zero
 * @drainer:	descriptor that keeps new clones away
 * @pulse:	work queue of @beat: others watch it, also when memory is short
 * @beat:	heartbeat, once a second
 * @upkeep:	what other hosts want of this one's directory, once a second
 * @await:	while not attached: looks for a format, once a second
 * @tried:	the pool that this host could not attach to
 * @reason_lock: protects @reason
 * @reason:	why the pool is not attached
 */
struct cxlf_dev {
	struct cxlfork_pool	pool;
	struct mutex		admin;	/* state changes, one at a time */
	struct rw_semaphore	live;
	struct mutex		lock;	/* what this host writes */
	struct device		*dev;
	struct dev_pagemap	pgmap;
	void			*addr;
	phys_addr_t		base;
	u64			region;
	bool			usable;
	bool			attached;
	bool			closed;
	bool			registered;
	bool			lost;
	bool			sick;
	struct cxlf_geo		geo;
	u32			slot;
	u64			epoch;
	u64			heartbeat;
	struct cxlf_entry	own[CXLFORK_MAX_CKPTS];
	struct cxlf_parents	parents[CXLFORK_MAX_CKPTS];
	u64			refs[CXLFORK_MAX_SLOTS][CXLFORK_MAX_CKPTS];
	u64			keeps[CXLFORK_MAX_SLOTS][CXLFORK_MAX_CKPTS];
	u64			fences[CXLFORK_MAX_SLOTS];
	u32			cares[CXLFORK_MAX_SLOTS];
	u32			settled;
	struct cxlf_seen	seen[CXLFORK_MAX_SLOTS];
	u64			*ran;
	u32			nr_ran;
	atomic_t		handles;
	wait_queue_head_t	idle;
	const struct file	*drainer;
	struct workqueue_struct	*pulse;
	struct delayed_work	beat;
	struct delayed_work	upkeep;
	struct delayed_work	await;
	struct cxlf_geo		tried;
	spinlock_t		reason_lock;	/* reason */
	char			reason[CXLF_REASON_MAX];
};

static inline struct cxlf_dev *to_cxlf_dev(struct cxlfork_pool *pool)
{
	return container_of(pool, struct cxlf_dev, pool);
}

static inline bool cxlf_coherent(const struct cxlf_dev *cd)
{
	return cd->geo.flags & CXLFORK_POOL_COHERENT;
}

/* Deleted, and not free yet. */
static inline bool cxlf_retiring(u32 state)
{
	return state == CXLFORK_CKPT_RETIRING || state == CXLFORK_CKPT_FREEING;
}

/* Places, as offsets from the start of the region. */

static inline u64 cxlf_slot_off(const struct cxlf_dev *cd, u32 slot)
{
	return cd->geo.slots_off + (u64)slot * CXLFORK_SLOT_SIZE;
}

static inline u64 cxlf_claim_off(const struct cxlf_dev *cd, u32 slot)
{
	return cxlf_slot_off(cd, slot) + offsetof(struct cxlfork_host, claim);
}

static inline u64 cxlf_state_off(const struct cxlf_dev *cd, u32 slot)
{
	return cxlf_slot_off(cd, slot) + offsetof(struct cxlfork_host, state);
}

static inline u64 cxlf_heartbeat_off(const struct cxlf_dev *cd, u32 slot)
{
	return cxlf_slot_off(cd, slot) +
	       offsetof(struct cxlfork_host, heartbeat);
}

static inline u64 cxlf_epoch_off(const struct cxlf_dev *cd, u32 slot)
{
	return cxlf_slot_off(cd, slot) + offsetof(struct cxlfork_host, epoch);
}

static inline u64 cxlf_fence_off(const struct cxlf_dev *cd, u32 slot, u32 whom)
{
	return cxlf_slot_off(cd, slot) + offsetof(struct cxlfork_slot, fences) +
	       whom * sizeof(__le64);
}

static inline u64 cxlf_entry_off(const struct cxlf_dev *cd, u32 slot, u32 idx)
{
	return cxlf_slot_off(cd, slot) + offsetof(struct cxlfork_slot, ckpts) +
	       idx * sizeof(struct cxlfork_ckpt_entry);
}

static inline u64 cxlf_expires_off(const struct cxlf_dev *cd, u32 slot, u32 idx)
{
	return cxlf_entry_off(cd, slot, idx) +
	       offsetof(struct cxlfork_ckpt_entry, expires);
}

static inline u64 cxlf_ref_off(const struct cxlf_dev *cd, u32 slot, u32 owner,
			       u32 idx)
{
	return cxlf_slot_off(cd, slot) + offsetof(struct cxlfork_slot, refs) +
	       (owner * CXLFORK_MAX_CKPTS + idx) * sizeof(__le64);
}

static inline u64 cxlf_keep_off(const struct cxlf_dev *cd, u32 slot, u32 owner,
				u32 idx)
{
	return cxlf_slot_off(cd, slot) + offsetof(struct cxlfork_slot, keeps) +
	       (owner * CXLFORK_MAX_CKPTS + idx) * sizeof(__le64);
}

static inline u64 cxlf_restored_off(const struct cxlf_dev *cd, u32 slot,
				    u32 owner, u32 idx)
{
	return cxlf_slot_off(cd, slot) +
	       offsetof(struct cxlfork_slot, restored) +
	       (owner * CXLFORK_MAX_CKPTS + idx) * sizeof(__le64);
}

static inline u64 cxlf_etable_off(const struct cxlf_dev *cd, u32 extent)
{
	return cd->geo.etable_off + (u64)extent * sizeof(__le64);
}

/* What makes a pool work that isn't coherent. */
enum cxlf_flush {
	CXLF_FLUSH_LOAD,	/* before a word is read */
	CXLF_FLUSH_READ,	/* before a structure is read */
	CXLF_FLUSH_STORE,	/* after a word was written */
	CXLF_FLUSH_FENCE,	/* after structures were written */
	CXLF_FLUSH_IMAGE,	/* before an image is used */
};

/* media.c: every access to metadata in CXL memory */
u64 cxlf_load(struct cxlf_dev *cd, u64 off);
void cxlf_store(struct cxlf_dev *cd, u64 off, u64 val);
bool cxlf_cas(struct cxlf_dev *cd, u64 off, u64 old, u64 new);
int cxlf_read(struct cxlf_dev *cd, u64 off, void *to, size_t len);
void cxlf_write(struct cxlf_dev *cd, u64 off, const void *from, size_t len);
void cxlf_zero(struct cxlf_dev *cd, u64 off, u64 len);
void cxlf_fence(struct cxlf_dev *cd);
void cxlf_refresh_image(struct cxlf_dev *cd, u64 off, u64 len);
int cxlf_image_read(struct cxlf_dev *cd, u64 off, void *to, size_t len);
void cxlf_head_seal(void *buf, struct cxlfork_head *head, u32 magic, u32 len);
int cxlf_head_check(void *buf, struct cxlfork_head *head, u32 magic, u32 len);
bool cxlf_name_ok(const u8 *name, size_t size);

/* shadow.c: caches of a pool that isn't coherent, for tests */
#ifdef CONFIG_CXL_FORK_DEBUG
bool cxlf_shadow_on(void);
void cxlf_shadow_read(struct cxlf_dev *cd, u64 off, void *to, size_t len);
void cxlf_shadow_write(struct cxlf_dev *cd, u64 off, const void *from,
		       size_t len, bool nontemporal);
bool cxlf_shadow_flush(struct cxlf_dev *cd, u64 off, u64 len, bool forget);
bool cxlf_shadow_fence(struct cxlf_dev *cd);
void cxlf_shadow_bind(void);
void cxlf_shadow_lose(struct cxlf_dev *cd);
/* skip.c: flushes that are left out, for tests */
bool cxlf_flush_skipped(enum cxlf_flush kind, unsigned long ip);
void cxlf_flush_found(enum cxlf_flush kind, unsigned long ip);
void cxlf_skip_init(void);
void cxlf_skip_exit(void);
#else
static inline bool cxlf_shadow_on(void)
{
	return false;
}

static inline void cxlf_shadow_read(struct cxlf_dev *cd, u64 off, void *to,
				    size_t len) { }
static inline void cxlf_shadow_write(struct cxlf_dev *cd, u64 off,
				     const void *from, size_t len,
				     bool nontemporal) { }
static inline bool cxlf_shadow_flush(struct cxlf_dev *cd, u64 off, u64 len,
				     bool forget)
{
	return false;
}

static inline bool cxlf_shadow_fence(struct cxlf_dev *cd)
{
	return false;
}

static inline void cxlf_shadow_bind(void) { }
static inline void cxlf_shadow_lose(struct cxlf_dev *cd) { }

static inline bool cxlf_flush_skipped(enum cxlf_flush kind, unsigned long ip)
{
	return false;
}

static inline void cxlf_flush_found(enum cxlf_flush kind, unsigned long ip) { }
static inline void cxlf_skip_init(void) { }
static inline void cxlf_skip_exit(void) { }
#endif

/* super.c */
bool cxlf_super_is(struct cxlf_dev *cd, const struct cxlf_geo *geo);
int cxlf_super_read(struct cxlf_dev *cd, struct cxlf_geo *geo, char *reason);
int cxlf_super_format(struct cxlf_dev *cd, u32 nr_slots, u32 flags,
		      const u8 *uuid, char *reason);

/* slot.c */
int cxlf_slot_attach(struct cxlf_dev *cd, char *reason);
void cxlf_slot_detach(struct cxlf_dev *cd);
bool cxlf_slot_lost(struct cxlf_dev *cd);

/* hosts.c */
u32 cxlf_host_state(struct cxlf_dev *cd, u32 slot);
int cxlf_host_read(struct cxlf_dev *cd, u32 slot, struct cxlfork_host *host);
int cxlf_hosts_watch(struct cxlf_dev *cd, u32 mask, u32 *silent);
void cxlf_hosts_look(struct cxlf_dev *cd);
int cxlf_host_info(struct cxlf_dev *cd, struct cxlfork_host_info *info);

/* fence.c */
bool cxlf_fenced_slot(struct cxlf_dev *cd, u32 slot);
u32 cxlf_fenced(struct cxlf_dev *cd);
u32 cxlf_caretaker(struct cxlf_dev *cd, u32 slot);
bool cxlf_cares(struct cxlf_dev *cd, u32 slot);
void cxlf_fences_load(struct cxlf_dev *cd);
int cxlf_care_ended(struct cxlf_dev *cd, char *reason);
void cxlf_care(struct cxlf_dev *cd);
int cxlf_fence_host(struct cxlf_dev *cd, struct cxlfork_pool_fence *args);

/* extent.c */
typedef void (*cxlf_word_fn)(struct cxlf_dev *cd, u32 extent, u64 word,
			     void *arg);
int cxlf_etable_walk(struct cxlf_dev *cd, u32 from, u32 to, cxlf_word_fn fn,
		     void *arg);
u32 cxlf_share_words(const struct cxlf_geo *geo);
int cxlf_extents_count(struct cxlf_dev *cd, u32 *total, u32 *ours);
int cxlf_extents_claim(struct cxlf_dev *cd, u64 id, u32 nr, u32 *extents,
		       u32 *missing);
void cxlf_extents_drop(struct cxlf_dev *cd, u64 id, const u32 *extents, u32 nr);
int cxlf_extents_sweep(struct cxlf_dev *cd, u64 id);
int cxlf_guard_extents(struct cxlf_dev *cd, const u32 *extents, u32 nr,
		       bool readonly);
int cxlf_guard_all(struct cxlf_dev *cd, bool readonly);

/* dir.c */
int cxlf_entry_known(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen,
		     struct cxlfork_ckpt_entry *entry);
int cxlf_entry_read(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen,
		    struct cxlfork_ckpt_entry *entry);
void cxlf_entry_word(struct cxlf_dev *cd, u32 idx, u32 state);
u64 cxlf_entry_own_word(struct cxlf_dev *cd, u32 idx);
u32 cxlf_entry_refs(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen);
u32 cxlf_entry_keeps(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen, u32 *pins);
void cxlf_entry_give_up(struct cxlf_dev *cd, u32 idx);
bool cxlf_entry_free(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen);
bool cxlf_entry_reap(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word);
bool cxlf_entry_retire(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word);
bool cxlf_entry_expired(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen);
bool cxlf_entry_unwanted(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word);
int cxlf_dir_load(struct cxlf_dev *cd);
void cxlf_dir_upkeep(struct cxlf_dev *cd);

/* claim.c */
int cxlf_claim_entry(struct cxlf_dev *cd, const struct cxlfork_ckpt_attr *attr,
		     u64 bytes, u32 *idx, u64 *missing);

/* ckpt.c */
struct cxlfork_ckpt *cxlf_handle_alloc(struct cxlf_dev *cd);
void cxlf_handle_free(struct cxlfork_ckpt *ckpt);
struct cxlfork_ckpt *cxlf_create(struct cxlfork_pool *pool,
				 const struct cxlfork_ckpt_attr *attr,
				 u64 *missing);
int cxlf_publish(struct cxlfork_ckpt *ckpt);
void cxlf_abort(struct cxlfork_ckpt *ckpt);

void cxlf_entry_seal(struct cxlf_dev *cd, u32 idx, u64 first);

/* ref.c */
bool cxlf_id_split(struct cxlf_dev *cd, u64 id, u32 *slot, u32 *idx, u64 *gen);
void cxlf_ref_store(struct cxlf_dev *cd, u32 owner, u32 idx, u64 ref);
int cxlf_ref_of(struct cxlf_dev *cd, u32 owner, u32 idx, u64 gen, u64 *ref);
void cxlf_refs_load(struct cxlf_dev *cd);
struct cxlfork_ckpt *cxlf_get(struct cxlfork_pool *pool, u64 id);
void cxlf_put(struct cxlfork_ckpt *ckpt);
void cxlf_restored(struct cxlfork_ckpt *ckpt);

/* keep.c */
void cxlf_keep_store(struct cxlf_dev *cd, u32 owner, u32 idx, u64 keep);
void cxlf_keeps_load(struct cxlf_dev *cd);
int cxlf_pin(struct cxlf_dev *cd, u32 slot, u32 idx, u64 gen, bool pin);
u64 cxlf_expiry(u64 ttl);
int cxlf_set(struct cxlf_dev *cd, const struct file *file,
	     const struct cxlfork_ckpt_set *args);

/* parents.c */
void cxlf_parents_load(struct cxlf_dev *cd, u32 slot, u32 idx, u64 word,
		       struct cxlf_parents *p);
void cxlf_keeps_settle(struct cxlf_dev *cd, u32 slot,
		       const struct cxlf_parents *table);
int cxlf_keeps_raise(struct cxlf_dev *cd, u32 idx);
void cxlf_keeps_freed(struct cxlf_dev *cd, u32 slot, u32 idx);
void cxlf_keeps_care(struct cxlf_dev *cd, u32 slot);
int cxlf_parent(struct cxlfork_pool *pool, u64 child, u64 id,
		struct cxlfork_ckpt *parent);

/* remove.c */
int cxlf_remove(struct cxlf_dev *cd, const struct file *file, u64 id);

/* access.c */
bool cxlf_may_see(const struct file *file, u32 uid, u32 gid, u32 mode);
bool cxlf_may_pin(const struct file *file, u32 uid);
bool cxlf_may_change(const struct file *file, u32 uid, u32 gid, u32 mode);

/* drain.c */
int cxlf_drain(struct cxlf_dev *cd, const struct file *file,
	       struct cxlfork_pool_drain *args);
void cxlf_drain_release(struct cxlf_dev *cd, const struct file *file);

/* poison.c */
extern const struct dev_pagemap_ops cxlf_pagemap_ops;

/* list.c */
int cxlf_list(struct cxlf_dev *cd, const struct file *file,
	      struct cxlfork_ckpt_info *info);

/* tcg.c */
int cxlf_tcg_attach(struct cxlf_dev *cd);
void cxlf_tcg_free(struct cxlf_dev *cd);
void cxlf_tcg_wrote(struct cxlf_dev *cd, const struct cxlfork_ckpt *ckpt);
int cxlf_tcg_reload(struct cxlf_dev *cd, u64 id);

/* attach.c */
void cxlf_geo_set(struct cxlf_dev *cd, const struct cxlf_geo *geo);
int cxlf_geo_read(struct cxlf_dev *cd, char *reason);
int cxlf_close(struct cxlf_dev *cd);
void cxlf_open(struct cxlf_dev *cd);
void cxlf_detach(struct cxlf_dev *cd);
int cxlf_attach(struct cxlf_dev *cd, char *reason);
int cxlf_try(struct cxlf_dev *cd, char *reason);
void cxlf_await(struct work_struct *work);

/* pool.c */
void cxlf_reason(struct cxlf_dev *cd, const char *reason);
int cxlf_enter(struct cxlf_dev *cd);
void cxlf_leave(struct cxlf_dev *cd);
int cxlf_bind(struct cxlf_dev *cd, struct device *dev, phys_addr_t base,
	      u64 len);
void cxlf_unbind(struct cxlf_dev *cd);
void cxlf_shutdown(struct cxlf_dev *cd);

/* format.c */
int cxlf_format(struct cxlf_dev *cd, struct cxlfork_pool_format *args);

/* dax.c */
int cxlf_dax_init(struct cxlf_dev *cd);
void cxlf_dax_exit(void);

/* cdev.c */
extern const struct file_operations cxlf_fops;
int cxlf_cdev_init(struct cxlf_dev *cd);
void cxlf_cdev_exit(void);

#endif /* _CXL_FORK_H */
