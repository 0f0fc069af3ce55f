// SPDX-License-Identifier: GPL-2.0
/*
 * The superblock: is there one, can it be used, and how it gets there.
 */
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "fork.h"

/* Where format puts the slots; the extent table comes after them. */
#define CXLF_SLOTS_OFF		SZ_64K

static int cxlf_no(char *reason, int err, const char *text)
{
	strscpy(reason, text, CXLF_REASON_MAX);
	return err;
}

/* Does [off, off + len) lie between the superblock and @end? */
static bool cxlf_within(u64 off, u64 len, u64 end)
{
	return off >= sizeof(struct cxlfork_super) &&
	       IS_ALIGNED(off, PAGE_SIZE) && off <= end && len <= end - off;
}

static int cxlf_super_check(struct cxlf_dev *cd, const struct cxlfork_super *sb,
			    struct cxlf_geo *geo, char *reason)
{
	u64 meta, slots_len, etable_len;

	memcpy(geo->uuid, sb->uuid, sizeof(geo->uuid));
	geo->crc = le32_to_cpu(sb->head.crc);
	geo->version = le32_to_cpu(sb->head.version);
	geo->size = le64_to_cpu(sb->size);
	geo->nr_extents = le32_to_cpu(sb->nr_extents);
	geo->first_extent = le32_to_cpu(sb->first_extent);
	geo->nr_slots = le32_to_cpu(sb->nr_slots);
	geo->flags = le32_to_cpu(sb->flags);
	geo->slots_off = le64_to_cpu(sb->slots_off);
	geo->etable_off = le64_to_cpu(sb->etable_off);

	if (le64_to_cpu(sb->extent_size) != CXLFORK_EXTENT_SIZE)
		return cxlf_no(reason, -EUCLEAN, "superblock: extent size");
	if (!geo->size || !IS_ALIGNED(geo->size, CXLFORK_EXTENT_SIZE))
		return cxlf_no(reason, -EUCLEAN, "superblock: size");
	if (geo->size > cd->region)
		return cxlf_no(reason, -EUCLEAN,
			       "superblock: the pool is larger than the region");
	if (geo->nr_extents != geo->size >> CXLFORK_EXTENT_SHIFT)
		return cxlf_no(reason, -EUCLEAN,
			       "superblock: number of extents");
	if (!geo->first_extent || geo->first_extent >= geo->nr_extents)
		return cxlf_no(reason, -EUCLEAN, "superblock: first extent");
	if (!geo->nr_slots || geo->nr_slots > CXLFORK_MAX_SLOTS ||
	    le64_to_cpu(sb->slot_size) != CXLFORK_SLOT_SIZE)
		return cxlf_no(reason, -EUCLEAN, "superblock: host slots");
	if (le32_to_cpu(sb->nr_ckpts) != CXLFORK_MAX_CKPTS)
		return cxlf_no(reason, -EUCLEAN, "superblock: directory size");
	if (geo->flags & ~CXLFORK_POOL_COHERENT)
		return cxlf_no(reason, -EPROTONOSUPPORT,
			       "superblock: flags this kernel doesn't know");

	meta = (u64)geo->first_extent << CXLFORK_EXTENT_SHIFT;
	slots_len = (u64)geo->nr_slots * CXLFORK_SLOT_SIZE;
	etable_len = (u64)geo->nr_extents * sizeof(__le64);
	if (!cxlf_within(geo->slots_off, slots_len, meta))
		return cxlf_no(reason, -EUCLEAN,
			       "superblock: place of the host slots");
	if (!cxlf_within(geo->etable_off, etable_len, meta))
		return cxlf_no(reason, -EUCLEAN,
			       "superblock: place of the extent table");
	if (geo->slots_off < geo->etable_off + etable_len &&
	    geo->etable_off < geo->slots_off + slots_len)
		return cxlf_no(reason, -EUCLEAN,
			       "superblock: slots and extent table overlap");
	if (!(geo->flags & CXLFORK_POOL_COHERENT) && !cxlf_share_words(geo))
		return cxlf_no(reason, -EUCLEAN,
			       "superblock: too small to be shared out");
	return 0;
}

/* The words of the extents below first_extent say whether it is the table. */
static int cxlf_etable_check(struct cxlf_dev *cd, const struct cxlf_geo *geo,
			     char *reason)
{
	__le64 word;
	u32 i;

	for (i = 0; i < geo->first_extent; i++) {
		if (cxlf_read(cd, geo->etable_off + i * sizeof(word), &word,
			      sizeof(word)))
			return cxlf_no(reason, -EIO,
				       "the extent table can't be read");
		if (le64_to_cpu(word) != CXLFORK_EXTENT_META)
			return cxlf_no(reason, -EUCLEAN,
				       "the extent table is damaged");
		cond_resched();
	}
	return 0;
}

/* A format that a power cut ended right before its last store. */
static bool cxlf_super_unborn(struct cxlfork_super *sb)
{
	bool whole;

	sb->head.magic = cpu_to_le32(CXLFORK_MAGIC_SUPER);
	sb->head.version = cpu_to_le32(CXLFORK_FORMAT_VERSION);
	whole = !cxlf_head_check(sb, &sb->head, CXLFORK_MAGIC_SUPER,
				 sizeof(*sb));
	sb->head.magic = 0;
	sb->head.version = 0;
	return whole;
}

/**
 * cxlf_super_is - is this (still) the superblock of a certain pool?
 * @cd: pool
 * @geo: of that pool
 *
 * Context: any; the region is mapped.
 * Return: whether it is, as far as one look can tell.
 */
bool cxlf_super_is(struct cxlf_dev *cd, const struct cxlf_geo *geo)
{
	struct {
		struct cxlfork_head	head;
		u8			uuid[16];
	} is;

	return !cxlf_read(cd, 0, &is, sizeof(is)) &&
	       le32_to_cpu(is.head.magic) == CXLFORK_MAGIC_SUPER &&
	       le32_to_cpu(is.head.crc) == geo->crc &&
	       !memcmp(is.uuid, geo->uuid, sizeof(is.uuid));
}

/**
 * cxlf_super_read - read and check the superblock
 * @cd: pool
 * @geo: filled in on success
 * @reason: CXLF_REASON_MAX bytes: why not, on error
 *
 * Only the first page is looked at.  Every field is checked, from one copy.
 *
 * Context: process context, sleeps; the region is mapped, caller holds admin.
 * Return: 0; -ENODATA: not formatted (all zero, or a format that was cut off);
 * -EMEDIUMTYPE: foreign data; -EPROTONOSUPPORT: a version or feature this
 * kernel doesn't know; -EUCLEAN: damaged; -EIO; -ENOMEM.
 */
int cxlf_super_read(struct cxlf_dev *cd, struct cxlf_geo *geo, char *reason)
{
	struct cxlfork_super *sb;
	int err;

	sb = kmalloc(sizeof(*sb), GFP_KERNEL);
	if (!sb)
		return cxlf_no(reason, -ENOMEM, "out of memory");

	/* Not known to be coherent before it says so. */
	err = cxlf_read(cd, 0, sb, sizeof(*sb));
	if (err) {
		cxlf_no(reason, err, "the superblock can't be read");
		goto out;
	}

	err = cxlf_head_check(sb, &sb->head, CXLFORK_MAGIC_SUPER, sizeof(*sb));
	switch (err) {
	case 0:
		err = cxlf_super_check(cd, sb, geo, reason);
		if (!err)
			err = cxlf_etable_check(cd, geo, reason);
		break;
	case -EMEDIUMTYPE:
		if (!memchr_inv(sb, 0, sizeof(*sb)) ||
		    (!memchr_inv(sb, 0, 8) && cxlf_super_unborn(sb)))
			err = cxlf_no(reason, -ENODATA, "not formatted");
		else
			cxlf_no(reason, err, "the region holds foreign data");
		break;
	case -EPROTONOSUPPORT:
		snprintf(reason, CXLF_REASON_MAX,
			 "format version %u; this kernel knows version %u only",
			 le32_to_cpu(sb->head.version), CXLFORK_FORMAT_VERSION);
		break;
	default:
		cxlf_no(reason, err, "the superblock is damaged");
		break;
	}
out:
	kfree(sb);
	return err;
}

static int cxlf_layout(struct cxlf_dev *cd, struct cxlf_geo *geo)
{
	u64 nr = cd->region >> CXLFORK_EXTENT_SHIFT, end;

	nr = min_t(u64, nr, U32_MAX);
	geo->nr_extents = nr;
	geo->size = nr << CXLFORK_EXTENT_SHIFT;
	geo->slots_off = CXLF_SLOTS_OFF;
	geo->etable_off = geo->slots_off +
			  (u64)geo->nr_slots * CXLFORK_SLOT_SIZE;
	end = geo->etable_off + nr * sizeof(__le64);
	end = DIV_ROUND_UP_ULL(end, CXLFORK_EXTENT_SIZE);
	if (end >= nr)
		return -ENOSPC;
	geo->first_extent = end;
	if (!(geo->flags & CXLFORK_POOL_COHERENT) && !cxlf_share_words(geo))
		return -ENOSPC;
	return 0;
}

/**
 * cxlf_super_format - write an empty pool
 * @cd: pool
 * @nr_slots: 1..CXLFORK_MAX_SLOTS
 * @flags: CXLFORK_POOL_*
 * @uuid: of the pool
 * @reason: CXLF_REASON_MAX bytes: why not, on error
 *
 * Whether that may be done is for the caller to know.  While it goes on the
 * region is not formatted: the first thing to go is the old superblock, the
 * last one to come the first 8 bytes of the new one.
 *
 * Context: process context, sleeps; caller holds admin and live for write, the
 * pool isn't attached.
 * Return: 0; -ENOSPC: the region is too small; -ENOMEM.
 */
int cxlf_super_format(struct cxlf_dev *cd, u32 nr_slots, u32 flags,
		      const u8 *uuid, char *reason)
{
	const __le64 extent_meta = cpu_to_le64(CXLFORK_EXTENT_META);
	struct cxlf_geo geo = { .nr_slots = nr_slots, .flags = flags };
	struct cxlfork_super *sb;
	u64 birth;
	u32 i;

	if (cxlf_layout(cd, &geo))
		return cxlf_no(reason, -ENOSPC, "the region is too small");
	sb = kzalloc(sizeof(*sb), GFP_KERNEL);
	if (!sb)
		return cxlf_no(reason, -ENOMEM, "out of memory");

	memcpy(sb->uuid, uuid, sizeof(sb->uuid));
	sb->size = cpu_to_le64(geo.size);
	sb->extent_size = cpu_to_le64(CXLFORK_EXTENT_SIZE);
	sb->nr_extents = cpu_to_le32(geo.nr_extents);
	sb->first_extent = cpu_to_le32(geo.first_extent);
	sb->nr_slots = cpu_to_le32(nr_slots);
	sb->nr_ckpts = cpu_to_le32(CXLFORK_MAX_CKPTS);
	sb->flags = cpu_to_le32(flags);
	sb->slots_off = cpu_to_le64(geo.slots_off);
	sb->slot_size = cpu_to_le64(CXLFORK_SLOT_SIZE);
	sb->etable_off = cpu_to_le64(geo.etable_off);
	sb->created = cpu_to_le64(ktime_get_real_seconds());
	cxlf_head_seal(sb, &sb->head, CXLFORK_MAGIC_SUPER, sizeof(*sb));

	cxlf_zero(cd, 0, sizeof(*sb));
	cxlf_fence(cd);
	cxlf_zero(cd, geo.slots_off, (u64)nr_slots * CXLFORK_SLOT_SIZE);
	cxlf_zero(cd, geo.etable_off, (u64)geo.nr_extents * sizeof(__le64));
	for (i = 0; i < geo.first_extent; i++)
		cxlf_write(cd, geo.etable_off + i * sizeof(__le64),
			   &extent_meta, sizeof(extent_meta));
	cxlf_write(cd, 8, (u8 *)sb + 8, sizeof(*sb) - 8);
	cxlf_fence(cd);
	birth = CXLFORK_MAGIC_SUPER | (u64)CXLFORK_FORMAT_VERSION << 32;
	cxlf_store(cd, 0, birth);
	kfree(sb);
	return 0;
}
