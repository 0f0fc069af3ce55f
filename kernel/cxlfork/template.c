// SPDX-License-Identifier: GPL-2.0
/*
 * Open checkpoints.  The first restore of a checkpoint on a host reads, copies
 * and checks all it needs of the image; further ones find that done.  A template
 * whose last clone has ended is kept for a while, without a reference on the
 * checkpoint: an id is never used twice and a published image does not change,
 * so that what was found out holds if the pool still has that id.
 *
 * The image is input from another machine: nothing is used before it is copied
 * to local memory and checked there.  What can't be copied, the leaf tables, is
 * checked entry by entry before it is attached.
 */
#include <linux/align.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/cxlfork.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>
#include "crc.h"

/* Templates without a clone that are kept. */
#define CXLFORK_IDLE_MAX	16

static DEFINE_MUTEX(cxlfork_templates_lock);
static LIST_HEAD(cxlfork_templates);

u64 cxlfork_template_id(const struct cxlfork_template *t)
{
	return t->id;
}

/* Where in the region a place of the image is; valid to the end of its extent. */
static u64 cxlfork_template_place(const struct cxlfork_template *t, u64 offset)
{
	u64 extent = t->extents[offset >> CXLFORK_EXTENT_SHIFT];

	return (extent << CXLFORK_EXTENT_SHIFT) + (offset & (CXLFORK_EXTENT_SIZE - 1));
}

/**
 * cxlfork_template_at - a place in the image
 * @t:		the template; its table of extents is checked
 * @offset:	logical offset, inside the image
 *
 * Return: the address in CXL memory; valid to the end of its extent.
 */
void *cxlfork_template_at(const struct cxlfork_template *t, u64 offset)
{
	return t->pool->addr + cxlfork_template_place(t, offset);
}

/**
 * cxlfork_template_read - copy a part of the image
 * @t:		the template; its table of extents is checked
 * @offset:	logical offset
 * @to:		local memory
 * @len:	bytes, inside the image
 *
 * Return: 0, or -EIO: a memory error.
 */
int cxlfork_template_read(const struct cxlfork_template *t, u64 offset, void *to, size_t len)
{
	while (len) {
		size_t n = min_t(u64, len, CXLFORK_EXTENT_SIZE -
					   (offset & (CXLFORK_EXTENT_SIZE - 1)));

		if (t->pool->ops->read(t->pool, cxlfork_template_place(t, offset), to, n))
			return -EIO;
		to += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static u64 cxlfork_image_bytes(const struct cxlfork_template *t)
{
	return (u64)le32_to_cpu(t->image->nr_extents) << CXLFORK_EXTENT_SHIFT;
}

/* [offset, offset + len) lies in the image. */
static bool cxlfork_in_image(const struct cxlfork_template *t, u64 offset, u64 len)
{
	u64 bytes = cxlfork_image_bytes(t);

	return offset <= bytes && len <= bytes - offset;
}

static int cxlfork_damaged(struct cxlfork_log *log, const char *what)
{
	cxlfork_obstacle(log, CXLFORK_REASON_IMAGE, "the checkpoint is damaged: %s", what);
	return -EUCLEAN;
}

static int cxlfork_read_header(struct cxlfork_template *t, struct cxlfork_log *log)
{
	struct cxlfork_ckpt *ckpt = t->ckpt;
	struct cxlfork_image *image;

	image = kvmalloc(sizeof(*image), GFP_KERNEL_ACCOUNT);
	t->image = image;
	if (!image)
		return -ENOMEM;
	t->pool->ops->refresh(t->pool, t->first >> CXLFORK_EXTENT_SHIFT);
	if (t->pool->ops->read(t->pool, t->first, image, sizeof(*image)))
		return cxlfork_damaged(log, "its header can't be read (memory error)");
	if (le32_to_cpu(image->head.magic) != CXLFORK_MAGIC_IMAGE)
		return cxlfork_damaged(log, "its header has no magic");
	if (le32_to_cpu(image->head.version) != CXLFORK_FORMAT_VERSION) {
		cxlfork_obstacle(log, CXLFORK_REASON_VERSION,
				 "the checkpoint has format %u, this kernel knows %u",
				 le32_to_cpu(image->head.version), CXLFORK_FORMAT_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (le32_to_cpu(image->head.length) != sizeof(*image) ||
	    le32_to_cpu(image->head.crc) != cxlfork_head_crc(&image->head, sizeof(*image)))
		return cxlfork_damaged(log, "its header's checksum is wrong");
	if (le64_to_cpu(image->id) != ckpt->id)
		return cxlfork_damaged(log, "its header belongs to another checkpoint");
	if (!IS_ALIGNED(le64_to_cpu(image->phys_base), CXLFORK_EXTENT_SIZE) ||
	    (le64_to_cpu(image->phys_base) & ~(u64)PTE_PFN_MASK))
		return cxlfork_damaged(log, "its physical base is no possible one");
	if (cxlfork_image_bytes(t) != ckpt->bytes)
		return cxlfork_damaged(log, "header and directory differ in its size");
	return cxlfork_arch_compatible(image, log);
}

/**
 * cxlfork_read_table - read the table of extents of an image
 * @pool:	where it is
 * @ckpt:	the checkpoint: its id and place
 * @image:	checked copy of its header
 * @extents:	gets the table
 * @seen:	bitmap of extents; these are added
 *
 * Each one is in the region, the checkpoint's own, and there once.  What this host
 * may have cached of them is dropped.
 *
 * Context: process context, sleeps.
 * Return: NULL, or what is wrong.
 */
const char *cxlfork_read_table(struct cxlfork_pool *pool, const struct cxlfork_ckpt *ckpt,
			       const struct cxlfork_image *image, u32 *extents,
			       unsigned long *seen)
{
	u32 nr = le32_to_cpu(image->nr_extents), i;
	u64 offset = le64_to_cpu(image->extents_off);
	size_t len = (size_t)nr * sizeof(__le32);
	__le32 *raw = (__le32 *)extents;

	if (offset < sizeof(*image) || offset > CXLFORK_EXTENT_SIZE ||
	    len > CXLFORK_EXTENT_SIZE - offset)
		return "its table of extents is out of place";
	if (pool->ops->read(pool, ckpt->first + offset, raw, len))
		return "its table of extents can't be read (memory error)";
	if (le32_to_cpu(image->extents_crc) != cxlfork_crc(raw, len))
		return "the checksum of its table of extents is wrong";
	for (i = 0; i < nr; i++) {
		u32 extent = le32_to_cpu(raw[i]);

		if (extent >= pool->nr_extents ||
		    pool->ops->owner_of(pool, extent) != ckpt->id ||
		    __test_and_set_bit(extent, seen))
			return "it names an extent that is not its own";
		extents[i] = extent;
		if (i)
			pool->ops->refresh(pool, extent);
	}
	if ((u64)extents[0] << CXLFORK_EXTENT_SHIFT != ckpt->first)
		return "its first extent is not where it starts";
	return NULL;
}

static int cxlfork_read_extents(struct cxlfork_template *t, struct cxlfork_log *log)
{
	struct cxlfork_pool *pool = t->pool;
	u32 nr = le32_to_cpu(t->image->nr_extents);
	const char *what;

	if (!nr || nr > pool->nr_extents)
		return cxlfork_damaged(log, "it has no or too many extents");
	t->extents = kvmalloc_array(nr, sizeof(*t->extents), GFP_KERNEL_ACCOUNT);
	t->space.extents = kvcalloc(BITS_TO_LONGS(pool->nr_extents), sizeof(long),
				    GFP_KERNEL_ACCOUNT);
	if (!t->extents || !t->space.extents)
		return -ENOMEM;
	what = cxlfork_read_table(pool, t->ckpt, t->image, t->extents, t->space.extents);
	if (what)
		return cxlfork_damaged(log, what);
	t->space.image_base = le64_to_cpu(t->image->phys_base);
	t->space.host_base = pool->base;
	t->space.size = pool->size;
	return 0;
}

static int cxlfork_read_sections(struct cxlfork_template *t, struct cxlfork_log *log)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		const struct cxlfork_section *s = &t->image->sections[i];
		u64 offset = le64_to_cpu(s->offset), len = le64_to_cpu(s->length);

		/* All together: in what cxlfork() writes they don't overlap. */
		sum += len;
		if (!IS_ALIGNED(offset, 8) || !cxlfork_in_image(t, offset, len) ||
		    len > SZ_1G || sum > cxlfork_image_bytes(t) ||
		    le32_to_cpu(s->entry_size) != cxlfork_entry_size[i] ||
		    len % cxlfork_entry_size[i]) {
			cxlfork_obstacle(log, CXLFORK_REASON_IMAGE,
					 "the checkpoint is damaged: section %u is out of place",
					 i);
			return -EUCLEAN;
		}
		t->sec[i].data = kvmalloc(len + 1, GFP_KERNEL_ACCOUNT);
		if (!t->sec[i].data)
			return -ENOMEM;
		t->sec[i].len = len;
		t->sec[i].nr = len / cxlfork_entry_size[i];
		if (cxlfork_template_read(t, offset, t->sec[i].data, len))
			return cxlfork_damaged(log, "a section can't be read (memory error)");
		if (le32_to_cpu(s->crc) != cxlfork_crc(t->sec[i].data, len)) {
			cxlfork_obstacle(log, CXLFORK_REASON_IMAGE,
					 "the checkpoint is damaged: section %u has a wrong checksum",
					 i);
			return -EUCLEAN;
		}
	}
	return 0;
}

static int cxlfork_check_layout(struct cxlfork_template *t, struct cxlfork_log *log)
{
	u64 leaves_off = le64_to_cpu(t->image->leaves_off);
	u64 data_off = le64_to_cpu(t->image->data_off);
	u64 nr_leaves = le64_to_cpu(t->image->nr_leaves);
	u64 nr_pages = le64_to_cpu(t->image->nr_pages);

	if (nr_leaves != t->sec[CXLFORK_SEC_LEAVES].nr ||
	    nr_leaves != t->sec[CXLFORK_SEC_DIRTY].nr ||
	    !PAGE_ALIGNED(leaves_off) || !PAGE_ALIGNED(data_off) ||
	    !cxlfork_in_image(t, leaves_off, nr_leaves * PAGE_SIZE) ||
	    nr_pages > cxlfork_image_bytes(t) >> PAGE_SHIFT ||
	    !cxlfork_in_image(t, data_off, nr_pages * PAGE_SIZE))
		return cxlfork_damaged(log, "leaf tables or pages are out of place");
	return 0;
}

/* It is on no list (any more). */
void cxlfork_template_free(struct cxlfork_template *t)
{
	u32 i;

	for (i = 0; t->leaves && i < t->nr_leaves; i++)
		if (t->leaves[i].local)
			free_page((unsigned long)t->leaves[i].table);
	kvfree(t->leaves);
	kvfree(t->vmas);
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++)
		kvfree(t->sec[i].data);
	kvfree(t->space.extents);
	kvfree(t->extents);
	kvfree(t->image);
	kfree(t);
}

/*
 * Free idle templates: all of a pool's, or (no pool) those over the limit and
 * those that no clone was ever made of: something may be wrong with them.
 */
static void cxlfork_templates_trim(struct cxlfork_pool *pool)
{
	struct cxlfork_template *t, *next;
	unsigned int nr = 0;

	lockdep_assert_held(&cxlfork_templates_lock);
	list_for_each_entry_safe(t, next, &cxlfork_templates, node) {
		if (t->ckpt || (pool ? t->pool != pool :
				t->proven && ++nr <= CXLFORK_IDLE_MAX))
			continue;
		list_del(&t->node);
		cxlfork_template_free(t);
	}
}

/**
 * cxlfork_templates_drop - forget what is known of a pool's checkpoints
 * @pool:	pool that is unregistered; no checkpoint of it is in use
 *
 * Context: process context, sleeps.
 */
void cxlfork_templates_drop(struct cxlfork_pool *pool)
{
	mutex_lock(&cxlfork_templates_lock);
	cxlfork_templates_trim(pool);
	mutex_unlock(&cxlfork_templates_lock);
}

/*
 * Give up the references on checkpoints whose last user is gone, a grace period
 * later: until then somebody may still walk a leaf.
 */
static void cxlfork_templates_idle(struct work_struct *work)
{
	struct cxlfork_ckpt *ckpts[CXLFORK_IDLE_MAX];
	struct cxlfork_template *t;
	unsigned int nr = 0;

	mutex_lock(&cxlfork_templates_lock);
	list_for_each_entry(t, &cxlfork_templates, node) {
		if (!t->ckpt || refcount_read(&t->ref))
			continue;
		if (nr == ARRAY_SIZE(ckpts)) {
			queue_work(system_unbound_wq, work);
			break;
		}
		ckpts[nr++] = t->ckpt;
		t->ckpt = NULL;
	}
	mutex_unlock(&cxlfork_templates_lock);
	if (!nr)
		return;
	synchronize_rcu();
	mutex_lock(&cxlfork_templates_lock);
	cxlfork_templates_trim(NULL);
	mutex_unlock(&cxlfork_templates_lock);
	while (nr--) {
		struct cxlfork_pool *pool = ckpts[nr]->pool;

		pool->ops->put(ckpts[nr]);
		cxlfork_pool_put(pool);
	}
}

static DECLARE_WORK(cxlfork_idle_work, cxlfork_templates_idle);

/**
 * cxlfork_templates_close - let nobody open a checkpoint, or let them again
 * @pool:	of which pool
 * @close:	which
 *
 * Context: process context, sleeps.
 */
void cxlfork_templates_close(struct cxlfork_pool *pool, bool close)
{
	mutex_lock(&cxlfork_templates_lock);
	pool->draining = close;
	mutex_unlock(&cxlfork_templates_lock);
}

/**
 * cxlfork_templates_users - who uses checkpoints of a pool
 * @pool:	the pool
 *
 * If nobody does, this host has no reference on any of them, either.
 *
 * Context: process context, sleeps.
 * Return: how many address spaces and calls.
 */
u64 cxlfork_templates_users(struct cxlfork_pool *pool)
{
	struct cxlfork_template *t;
	bool idle;
	u64 nr;

	do {
		nr = 0;
		idle = false;
		mutex_lock(&cxlfork_templates_lock);
		list_for_each_entry(t, &cxlfork_templates, node) {
			if (t->pool != pool || !t->ckpt)
				continue;
			nr += refcount_read(&t->ref);
			idle |= !refcount_read(&t->ref);
		}
		mutex_unlock(&cxlfork_templates_lock);
		if (!nr)
			flush_work(&cxlfork_idle_work);
	} while (!nr && idle);
	return nr;
}

static int cxlfork_template_read_all(struct cxlfork_template *t, struct cxlfork_log *log)
{
	int ret;

	ret = cxlfork_read_header(t, log);
	if (!ret)
		ret = cxlfork_read_extents(t, log);
	if (!ret)
		ret = cxlfork_read_sections(t, log);
	if (!ret)
		ret = cxlfork_template_parents(t, log);
	if (!ret)
		ret = cxlfork_check_layout(t, log);
	if (!ret)
		ret = cxlfork_template_check(t, log);
	return ret;
}

static struct cxlfork_template *cxlfork_template_new(struct cxlfork_ckpt *ckpt,
						     struct cxlfork_log *log)
{
	struct cxlfork_template *t;
	int ret;

	t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);
	if (!t)
		return ERR_PTR(-ENOMEM);
	t->ckpt = ckpt;
	t->pool = ckpt->pool;
	t->id = ckpt->id;
	t->first = ckpt->first;
	t->trusted = cxlfork_trust();
	mutex_init(&t->lock);
	ret = cxlfork_template_read_all(t, log);
	if (!ret) {
		list_add(&t->node, &cxlfork_templates);
		return t;
	}
	cxlfork_template_free(t);
	return ERR_PTR(ret);
}

static struct cxlfork_template *cxlfork_template_find(struct cxlfork_pool *pool, u64 id)
{
	bool trusted = cxlfork_trust();
	struct cxlfork_template *t;

	list_for_each_entry(t, &cxlfork_templates, node)
		if (t->pool == pool && t->id == id && t->trusted == trusted)
			return t;
	return NULL;
}

/* With the pool's reference at hand; it is used up. */
static struct cxlfork_template *cxlfork_template_use(struct cxlfork_ckpt *ckpt,
						     struct cxlfork_log *log)
{
	struct cxlfork_pool *pool = ckpt->pool;
	struct cxlfork_template *t = cxlfork_template_find(pool, ckpt->id);

	if (t && t->ckpt) {
		pool->ops->put(ckpt);
		/* It may be about to become idle: then that finds it in use. */
		if (!refcount_inc_not_zero(&t->ref))
			refcount_set(&t->ref, 1);
		return t;
	}
	cxlfork_pool_hold(pool);
	if (t) {
		t->ckpt = ckpt;
		list_move(&t->node, &cxlfork_templates);
	} else {
		t = cxlfork_template_new(ckpt, log);
	}
	if (IS_ERR(t)) {
		pool->ops->put(ckpt);
		cxlfork_pool_put(pool);
	} else {
		refcount_set(&t->ref, 1);
	}
	return t;
}

/*
 * Who may: the owner and the privileged, going by who opened the control device.
 * A clone is all that its parent was; what the mode lets others see is less.
 */
static int cxlfork_check_permission(const struct cxlfork_ckpt *ckpt, const struct file *file,
				    struct cxlfork_log *log)
{
	if ((ckpt->uid != U32_MAX &&
	     uid_eq(file->f_cred->fsuid, make_kuid(&init_user_ns, ckpt->uid))) ||
	    file_ns_capable(file, &init_user_ns, CAP_CHECKPOINT_RESTORE))
		return 0;
	cxlfork_obstacle(log, CXLFORK_REASON_PERMISSION,
			 "checkpoint %#llx is another user's, whose mode does not allow it",
			 ckpt->id);
	return -EACCES;
}

static struct cxlfork_template *cxlfork_template_get(struct cxlfork_pool *pool, u64 id,
						     const struct file *file,
						     struct cxlfork_log *log)
{
	struct cxlfork_ckpt *ckpt = pool->ops->get(pool, id);

	if (IS_ERR(ckpt)) {
		if (PTR_ERR(ckpt) == -ENOENT)
			cxlfork_obstacle(log, CXLFORK_REASON_NO_CHECKPOINT,
					 "there is no live checkpoint %#llx", id);
		else if (PTR_ERR(ckpt) == -ETIME)
			cxlfork_obstacle(log, CXLFORK_REASON_NO_CHECKPOINT,
					 "checkpoint %#llx has expired", id);
		else if (PTR_ERR(ckpt) == -EUCLEAN)
			cxlfork_damaged(log, "its directory entry makes no sense");
		else
			cxlfork_obstacle(log, CXLFORK_REASON_POOL,
					 "the pool can't give checkpoint %#llx (error %ld)",
					 id, -PTR_ERR(ckpt));
		return ERR_CAST(ckpt);
	}
	/* Before anything of it is read. */
	if (cxlfork_check_permission(ckpt, file, log)) {
		pool->ops->put(ckpt);
		return ERR_PTR(-EACCES);
	}
	return cxlfork_template_use(ckpt, log);
}

/**
 * cxlfork_template_open - open a checkpoint
 * @pool:	where it is
 * @id:		which
 * @file:	the pool's control device, as it was opened: by somebody who may?
 * @log:	gets the reason if it can't be
 *
 * Context: process context, sleeps.
 * Return: the template with a reference, or ERR_PTR: -ENOENT, -ETIME, -EACCES, -EUCLEAN
 * (damaged), -EPROTONOSUPPORT, -ENOEXEC (not for this host), -ENOMEM, -EINTR.
 */
struct cxlfork_template *cxlfork_template_open(struct cxlfork_pool *pool, u64 id,
					       const struct file *file,
					       struct cxlfork_log *log)
{
	struct cxlfork_template *t;

	if (mutex_lock_killable(&cxlfork_templates_lock))
		return ERR_PTR(-EINTR);
	if (pool->draining) {
		cxlfork_obstacle(log, CXLFORK_REASON_POOL,
				 "the pool is being drained on this host: no new clones");
		t = ERR_PTR(-ENODEV);
	} else {
		t = cxlfork_template_get(pool, id, file, log);
	}
	mutex_unlock(&cxlfork_templates_lock);
	if (!IS_ERR(t) && cxlfork_pool_bad(pool, t->space.extents)) {
		cxlfork_template_put(t);
		return ERR_PTR(cxlfork_damaged(log, "memory errors, see cxlfork pool status"));
	}
	return t;
}

void cxlfork_template_hold(struct cxlfork_template *t)
{
	refcount_inc(&t->ref);
}

/**
 * cxlfork_template_put - drop a reference
 * @t:		the template
 *
 * Context: process context, sleeps.
 */
void cxlfork_template_put(struct cxlfork_template *t)
{
	if (!refcount_dec_and_mutex_lock(&t->ref, &cxlfork_templates_lock))
		return;
	mutex_unlock(&cxlfork_templates_lock);
	queue_work(system_unbound_wq, &cxlfork_idle_work);
}
