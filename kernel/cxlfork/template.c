// SPDX-License-Identifier: GPL-2.0
/*
 * Open checkpoints.  The first restore of a checkpoint on a host reads, copies
 * and checks all it needs of the image; further ones find that done, as long as
 * a clone of it is alive here.
 *
 * The image is input from another machine: nothing is used before it is copied
 * to local memory and checked there.  What can't be copied, the leaf tables, is
 * checked entry by entry before it is attached.
 */
#include <linux/align.h>
#include <linux/cxlfork.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "crc.h"

static DEFINE_MUTEX(cxlfork_templates_lock);
static LIST_HEAD(cxlfork_templates);

u64 cxlfork_template_id(const struct cxlfork_template *t)
{
	return t->ckpt->id;
}

/**
 * cxlfork_template_at - a place in the image
 * @t:		the template; its table of extents is checked
 * @offset:	logical offset, inside the image
 *
 * Return: the address in CXL memory; valid to the end of its extent.
 */
void *cxlfork_template_at(struct cxlfork_template *t, u64 offset)
{
	u64 extent = t->extents[offset >> CXLFORK_EXTENT_SHIFT];

	return t->ckpt->pool->addr + (extent << CXLFORK_EXTENT_SHIFT) +
	       (offset & (CXLFORK_EXTENT_SIZE - 1));
}

static void cxlfork_template_read(struct cxlfork_template *t, u64 offset,
				  void *to, size_t len)
{
	while (len) {
		size_t n = min_t(u64, len, CXLFORK_EXTENT_SIZE -
					   (offset & (CXLFORK_EXTENT_SIZE - 1)));

		memcpy(to, cxlfork_template_at(t, offset), n);
		to += n;
		offset += n;
		len -= n;
	}
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
	memcpy(image, ckpt->pool->addr + ckpt->first, sizeof(*image));
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
	if (cxlfork_image_bytes(t) != ckpt->bytes)
		return cxlfork_damaged(log, "header and directory differ in its size");
	return cxlfork_arch_compatible(image, log);
}

/* The table of extents: each one is in the region, ours, and there once. */
static int cxlfork_read_extents(struct cxlfork_template *t, struct cxlfork_log *log)
{
	struct cxlfork_pool *pool = t->ckpt->pool;
	u32 nr = le32_to_cpu(t->image->nr_extents), i;
	u64 offset = le64_to_cpu(t->image->extents_off);
	size_t len = (size_t)nr * sizeof(__le32);
	__le32 *raw;

	if (!nr || nr > pool->nr_extents || offset < sizeof(*t->image) ||
	    offset > CXLFORK_EXTENT_SIZE || len > CXLFORK_EXTENT_SIZE - offset)
		return cxlfork_damaged(log, "its table of extents is out of place");
	t->extents = kvmalloc_array(nr, sizeof(*t->extents), GFP_KERNEL_ACCOUNT);
	t->space.extents = kvcalloc(BITS_TO_LONGS(pool->nr_extents), sizeof(long),
				    GFP_KERNEL_ACCOUNT);
	if (!t->extents || !t->space.extents)
		return -ENOMEM;

	raw = (__le32 *)t->extents;
	memcpy(raw, pool->addr + t->ckpt->first + offset, len);
	if (le32_to_cpu(t->image->extents_crc) != cxlfork_crc(raw, len))
		return cxlfork_damaged(log, "the checksum of its table of extents is wrong");
	for (i = 0; i < nr; i++) {
		u32 extent = le32_to_cpu(raw[i]);

		if (extent >= pool->nr_extents ||
		    le64_to_cpu(READ_ONCE(pool->etable[extent])) != t->ckpt->id ||
		    __test_and_set_bit(extent, t->space.extents))
			return cxlfork_damaged(log, "it names an extent that is not its own");
		t->extents[i] = extent;
	}
	if ((u64)t->extents[0] << CXLFORK_EXTENT_SHIFT != t->ckpt->first)
		return cxlfork_damaged(log, "its first extent is not where it starts");
	t->space.image_base = le64_to_cpu(t->image->phys_base);
	t->space.host_base = pool->base;
	t->space.size = pool->size;
	return 0;
}

static int cxlfork_read_sections(struct cxlfork_template *t, struct cxlfork_log *log)
{
	u32 i;

	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		const struct cxlfork_section *s = &t->image->sections[i];
		u64 offset = le64_to_cpu(s->offset), len = le64_to_cpu(s->length);

		if (!IS_ALIGNED(offset, 8) || !cxlfork_in_image(t, offset, len) ||
		    len > SZ_1G || le32_to_cpu(s->entry_size) != cxlfork_entry_size[i] ||
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
		cxlfork_template_read(t, offset, t->sec[i].data, len);
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

static void cxlfork_template_free(struct cxlfork_template *t)
{
	struct cxlfork_pool *pool = t->ckpt->pool;
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
	pool->ops->put(t->ckpt);
	cxlfork_pool_put(pool);
	kfree(t);
}

static void cxlfork_template_free_work(struct work_struct *work)
{
	cxlfork_template_free(container_of(to_rcu_work(work), struct cxlfork_template, free));
}

static struct cxlfork_template *cxlfork_template_new(struct cxlfork_pool *pool, u64 id,
						     struct cxlfork_log *log)
{
	struct cxlfork_template *t;
	int ret;

	t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);
	if (!t)
		return ERR_PTR(-ENOMEM);
	t->ckpt = pool->ops->get(pool, id);
	if (IS_ERR(t->ckpt)) {
		ret = PTR_ERR(t->ckpt);
		if (ret == -ENOENT)
			cxlfork_obstacle(log, CXLFORK_REASON_NO_CHECKPOINT,
					 "there is no live checkpoint %#llx", id);
		kfree(t);
		return ERR_PTR(ret);
	}
	cxlfork_pool_hold(pool);
	refcount_set(&t->ref, 1);
	mutex_init(&t->lock);
	INIT_RCU_WORK(&t->free, cxlfork_template_free_work);

	ret = cxlfork_read_header(t, log);
	if (!ret)
		ret = cxlfork_read_extents(t, log);
	if (!ret)
		ret = cxlfork_read_sections(t, log);
	if (!ret)
		ret = cxlfork_check_layout(t, log);
	if (!ret)
		ret = cxlfork_template_check(t, log);
	if (!ret)
		return t;
	cxlfork_template_free(t);
	return ERR_PTR(ret);
}

/**
 * cxlfork_template_open - open a checkpoint
 * @pool:	where it is
 * @id:		which
 * @log:	gets the reason if it can't be
 *
 * Context: process context, sleeps.
 * Return: the template with a reference, or ERR_PTR: -ENOENT, -EUCLEAN
 * (damaged), -EPROTONOSUPPORT, -ENOEXEC (not for this host), -ENOMEM.
 */
struct cxlfork_template *cxlfork_template_open(struct cxlfork_pool *pool, u64 id,
					       struct cxlfork_log *log)
{
	struct cxlfork_template *t;

	mutex_lock(&cxlfork_templates_lock);
	list_for_each_entry(t, &cxlfork_templates, node) {
		if (t->ckpt->id == id && t->ckpt->pool == pool) {
			struct cxlfork_ckpt *ckpt = pool->ops->get(pool, id);

			/* Deleted since: its clones live on, but get no sisters. */
			if (IS_ERR(ckpt)) {
				t = ERR_CAST(ckpt);
				cxlfork_obstacle(log, CXLFORK_REASON_NO_CHECKPOINT,
						 "checkpoint %#llx was deleted", id);
			} else {
				pool->ops->put(ckpt);
				cxlfork_template_hold(t);
			}
			goto out;
		}
	}
	t = cxlfork_template_new(pool, id, log);
	if (!IS_ERR(t))
		list_add(&t->node, &cxlfork_templates);
out:
	mutex_unlock(&cxlfork_templates_lock);
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
 * With the last one the host's reference on the checkpoint goes, a grace period
 * later: until then somebody may still walk a leaf.
 *
 * Context: process context, sleeps.
 */
void cxlfork_template_put(struct cxlfork_template *t)
{
	if (!refcount_dec_and_mutex_lock(&t->ref, &cxlfork_templates_lock))
		return;
	list_del(&t->node);
	mutex_unlock(&cxlfork_templates_lock);
	queue_rcu_work(system_unbound_wq, &t->free);
}
