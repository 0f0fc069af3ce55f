// SPDX-License-Identifier: GPL-2.0
/*
 * An image that is written: where its parts go, room for it, bytes into it.
 */
#include <linux/align.h>
#include <linux/cxlfork.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crc.h"

/**
 * cxlfork_layout - lay an image out
 * @image:	its header; gets the offsets of all parts
 * @len:	bytes of each section
 * @table:	bytes for the table of extents, a multiple of 8
 * @nr_leaves:	leaf tables
 * @nr_pages:	data pages
 * @huge:	pages of 2 MiB are among them: these are the first data pages, each
 *		an extent of its own
 *
 * Return: the bytes that takes.
 */
u64 cxlfork_layout(struct cxlfork_image *image, const u64 *len, u64 table,
		   u64 nr_leaves, u64 nr_pages, bool huge)
{
	u64 offset = sizeof(*image);
	u32 i;

	image->extents_off = cpu_to_le64(offset);
	offset += table;
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		struct cxlfork_section *s = &image->sections[i];

		s->offset = cpu_to_le64(offset);
		s->entry_size = cpu_to_le32(cxlfork_entry_size[i]);
		offset += ALIGN(len[i], 8);
	}
	offset = PAGE_ALIGN(offset);
	image->leaves_off = cpu_to_le64(offset);
	offset += nr_leaves * PAGE_SIZE;
	if (huge)
		offset = ALIGN(offset, CXLFORK_EXTENT_SIZE);
	image->data_off = cpu_to_le64(offset);
	return offset + nr_pages * PAGE_SIZE;
}

/**
 * cxlfork_extents_table - bytes for a table of extents
 * @bytes:	all that the image holds beside it; the table takes room itself
 *
 * Return: enough, a multiple of 8.
 */
u64 cxlfork_extents_table(u64 bytes)
{
	return ALIGN((DIV_ROUND_UP_ULL(bytes, CXLFORK_EXTENT_SIZE - sizeof(__le32)) + 2) *
		     sizeof(__le32), 8);
}

/**
 * cxlfork_image_create - have the pool reserve what an image needs
 * @pool:	where
 * @attr:	what it is to be
 * @log:	gets the reason if it can't be
 *
 * Return: the checkpoint, WRITING; or what cxlfork_pool_ops.create() says.
 */
struct cxlfork_ckpt *cxlfork_image_create(struct cxlfork_pool *pool,
					  const struct cxlfork_ckpt_attr *attr,
					  struct cxlfork_log *log)
{
	struct cxlfork_ckpt *ckpt;
	u64 missing = 0;

	ckpt = pool->ops->create(pool, attr, &missing);
	if (!IS_ERR(ckpt))
		return ckpt;
	if (PTR_ERR(ckpt) == -ENOSPC && missing)
		cxlfork_report(log, CXLFORK_REASON_NO_SPACE, -1, 0, 0, missing,
			       "the pool is full: %llu MiB are needed, %llu MiB are missing",
			       DIV_ROUND_UP_ULL(attr->bytes, SZ_1M),
			       DIV_ROUND_UP_ULL(missing, SZ_1M));
	else if (PTR_ERR(ckpt) == -ENOSPC)
		cxlfork_obstacle(log, CXLFORK_REASON_NO_SPACE,
				 "this host's directory is full: delete a checkpoint");
	else if (PTR_ERR(ckpt) == -EDQUOT)
		cxlfork_report(log, CXLFORK_REASON_QUOTA, -1, 0, 0, missing,
			       "user %u's checkpoints may take %llu MiB in all: %llu MiB too much; delete some",
			       attr->uid, attr->quota / SZ_1M,
			       DIV_ROUND_UP_ULL(missing, SZ_1M));
	else if (PTR_ERR(ckpt) == -EEXIST)
		cxlfork_obstacle(log, CXLFORK_REASON_NAME,
				 "there is a checkpoint named %s already", attr->name);
	return ckpt;
}

/**
 * cxlfork_image_place - where a byte of an image lies
 * @ckpt:	the checkpoint, WRITING
 * @offset:	logical offset
 *
 * Return: its offset in the region.
 */
u64 cxlfork_image_place(const struct cxlfork_ckpt *ckpt, u64 offset)
{
	return ((u64)ckpt->extents[offset >> CXLFORK_EXTENT_SHIFT] << CXLFORK_EXTENT_SHIFT) |
	       (offset & (CXLFORK_EXTENT_SIZE - 1));
}

/**
 * cxlfork_image_write - write bytes of an image
 * @ckpt:	the checkpoint, WRITING
 * @offset:	logical offset
 * @data:	local memory
 * @len:	bytes; they end inside the image
 *
 * Non-temporal: other hosts are to find it in memory, not in our caches.
 */
void cxlfork_image_write(struct cxlfork_ckpt *ckpt, u64 offset, const void *data, size_t len)
{
	while (len) {
		size_t n = min_t(u64, len, CXLFORK_EXTENT_SIZE -
					   (offset & (CXLFORK_EXTENT_SIZE - 1)));

		memcpy_flushcache(ckpt->pool->addr + cxlfork_image_place(ckpt, offset),
				  data, n);
		data += n;
		offset += n;
		len -= n;
	}
}

/**
 * cxlfork_image_seal - write the table of extents and the header
 * @ckpt:	the checkpoint, WRITING
 * @image:	its header, laid out and filled in but for what is known here
 *
 * Return: 0, -ENOMEM, or -EOVERFLOW: a bug.
 */
int cxlfork_image_seal(struct cxlfork_ckpt *ckpt, struct cxlfork_image *image)
{
	size_t len = ckpt->nr_extents * sizeof(__le32);
	__le32 *extents;
	u32 i;

	/* cxlfork_extents_table() was wrong? */
	if (WARN_ON_ONCE(len > le64_to_cpu(image->sections[0].offset) -
			       le64_to_cpu(image->extents_off)))
		return -EOVERFLOW;
	extents = kvmalloc(len, GFP_KERNEL);
	if (!extents)
		return -ENOMEM;
	for (i = 0; i < ckpt->nr_extents; i++)
		extents[i] = cpu_to_le32(ckpt->extents[i]);
	cxlfork_image_write(ckpt, le64_to_cpu(image->extents_off), extents, len);
	image->extents_crc = cpu_to_le32(cxlfork_crc(extents, len));
	kvfree(extents);

	image->id = cpu_to_le64(ckpt->id);
	image->phys_base = cpu_to_le64(ckpt->pool->base);
	image->nr_extents = cpu_to_le32(ckpt->nr_extents);
	cxlfork_seal(&image->head, CXLFORK_MAGIC_IMAGE, sizeof(*image));
	cxlfork_image_write(ckpt, 0, image, sizeof(*image));
	return 0;
}
