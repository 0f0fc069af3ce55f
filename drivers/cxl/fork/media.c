// SPDX-License-Identifier: GPL-2.0
/*
 * Loads and stores of metadata in CXL memory.
 *
 * Nothing else in this module dereferences an address of the region's
 * metadata: here is where an offset is held against the end of the region,
 * where a pool without cross-host coherence is refreshed before it is read,
 * and where a store is on its way to the device before the next one begins.
 */
#include <linux/cacheflush.h>
#include <linux/crc32c.h>
#include <linux/libnvdimm.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "fork.h"

static void *cxlf_at(struct cxlf_dev *cd, u64 off, u64 len)
{
	if (WARN_ON_ONCE(!cd->addr || off > cd->region ||
			 len > cd->region - off))
		return NULL;
	return cd->addr + off;
}

/* What another host wrote gets visible on a pool that isn't coherent. */
static void cxlf_refresh(struct cxlf_dev *cd, void *at, size_t len)
{
	if (!cxlf_coherent(cd))
		clflush_cache_range(at, len);
}

/**
 * cxlf_load - read one word
 * @cd: pool
 * @off: where, a multiple of 8
 *
 * Context: any; the region is mapped (live, or admin while it isn't attached).
 * Return: the word, from this one look at it.
 */
u64 cxlf_load(struct cxlf_dev *cd, u64 off)
{
	__le64 *at = cxlf_at(cd, off, sizeof(*at));

	if (!at)
		return 0;
	cxlf_refresh(cd, at, sizeof(*at));
	return le64_to_cpu(READ_ONCE(*at));
}

/**
 * cxlf_store - write one word that only this host writes
 * @cd: pool
 * @off: where, a multiple of 8
 * @val: the word
 *
 * It is written back before the next store is issued, so that what a power cut
 * leaves behind is in the order of the program.
 *
 * Context: any, with cd->lock, or admin while the pool isn't attached.
 */
void cxlf_store(struct cxlf_dev *cd, u64 off, u64 val)
{
	__le64 *at = cxlf_at(cd, off, sizeof(*at));

	if (!at || READ_ONCE(cd->lost))
		return;
	WRITE_ONCE(*at, cpu_to_le64(val));
	arch_wb_cache_pmem(at, sizeof(*at));
	pmem_wmb();
}

/**
 * cxlf_cas - write one word that other hosts may write too
 * @cd: pool
 * @off: where, a multiple of 8
 * @old: what is there
 * @new: what shall be there
 *
 * On a pool that isn't coherent this host must be the only one that writes
 * the word's cache line.
 *
 * Context: any, with cd->lock, or admin while the pool isn't attached.
 * Return: whether @old was there.
 */
bool cxlf_cas(struct cxlf_dev *cd, u64 off, u64 old, u64 new)
{
	__le64 *at = cxlf_at(cd, off, sizeof(*at));
	u64 was = (__force u64)cpu_to_le64(old);

	if (!at || READ_ONCE(cd->lost))
		return false;
	if (!cxlf_coherent(cd)) {
		if (cxlf_load(cd, off) != old)
			return false;
		cxlf_store(cd, off, new);
		return true;
	}
	if (cmpxchg((__force u64 *)at, was, (__force u64)cpu_to_le64(new)) !=
	    was)
		return false;
	arch_wb_cache_pmem(at, sizeof(*at));
	pmem_wmb();
	return true;
}

/**
 * cxlf_read - copy a structure out of the region
 * @cd: pool
 * @off: where
 * @to: local memory
 * @len: bytes
 *
 * Context: any; the region is mapped.
 * Return: 0, or -EIO: poisoned, or beyond the end.
 */
int cxlf_read(struct cxlf_dev *cd, u64 off, void *to, size_t len)
{
	void *at = cxlf_at(cd, off, len);

	if (!at)
		return -EIO;
	cxlf_refresh(cd, at, len);
	return copy_mc_to_kernel(to, at, len) ? -EIO : 0;
}

/**
 * cxlf_write - copy a structure into the region, by-passing the cache
 * @cd: pool
 * @off: where
 * @from: local memory
 * @len: bytes
 *
 * Needs cxlf_fence() before a store that says that it is there.
 *
 * Context: any, with cd->lock, or admin while the pool isn't attached.
 */
void cxlf_write(struct cxlf_dev *cd, u64 off, const void *from, size_t len)
{
	void *at = cxlf_at(cd, off, len);

	if (at && !READ_ONCE(cd->lost))
		memcpy_flushcache(at, from, len);
}

/**
 * cxlf_zero - clear a part of the region, by-passing the cache
 * @cd: pool
 * @off: where, a multiple of 8
 * @len: bytes, a multiple of 8
 *
 * Context: process context, sleeps; otherwise as cxlf_write().
 */
void cxlf_zero(struct cxlf_dev *cd, u64 off, u64 len)
{
	while (len) {
		size_t part = min_t(u64, len, PAGE_SIZE);

		cxlf_write(cd, off, page_address(ZERO_PAGE(0)), part);
		off += part;
		len -= part;
		cond_resched();
	}
}

/**
 * cxlf_fence - all stores before come before all stores after
 *
 * Context: any.
 */
void cxlf_fence(void)
{
	pmem_wmb();
}

/**
 * cxlf_evict - leave no line of a range in this host's caches
 * @cd: pool
 * @off: where
 * @len: bytes
 *
 * For memory that this host gives away on a pool that isn't coherent: a dirty
 * line written back later would destroy what its next owner stores there.
 *
 * Context: process context, sleeps; the region is mapped.
 */
void cxlf_evict(struct cxlf_dev *cd, u64 off, u64 len)
{
	void *at = cxlf_at(cd, off, len);

	if (!at || cxlf_coherent(cd))
		return;
	while (len) {
		unsigned int part = min_t(u64, len, SZ_64K);

		clflush_cache_range(at, part);
		at += part;
		len -= part;
		cond_resched();
	}
}

static u32 cxlf_crc(const void *buf, struct cxlfork_head *head, u32 len)
{
	__le32 was = head->crc;
	u32 crc;

	head->crc = 0;
	crc = ~crc32c(~0, buf, len);
	head->crc = was;
	return crc;
}

/**
 * cxlf_head_seal - fill in the head of a structure
 * @buf: where the head's coverage starts, local memory
 * @head: in @buf
 * @magic: CXLFORK_MAGIC_*
 * @len: bytes it covers
 *
 * Context: any.
 */
void cxlf_head_seal(void *buf, struct cxlfork_head *head, u32 magic, u32 len)
{
	head->magic = cpu_to_le32(magic);
	head->version = cpu_to_le32(CXLFORK_FORMAT_VERSION);
	head->length = cpu_to_le32(len);
	head->crc = cpu_to_le32(cxlf_crc(buf, head, len));
}

/**
 * cxlf_head_check - does a structure say what it should, undamaged?
 * @buf: where the head's coverage starts, local memory
 * @head: in @buf
 * @magic: CXLFORK_MAGIC_*
 * @len: bytes it has to cover
 *
 * Context: any.
 * Return: 0; -EMEDIUMTYPE: something else; -EPROTONOSUPPORT: of another
 * version; -EUCLEAN: damaged.
 */
int cxlf_head_check(void *buf, struct cxlfork_head *head, u32 magic, u32 len)
{
	if (le32_to_cpu(head->magic) != magic)
		return -EMEDIUMTYPE;
	if (le32_to_cpu(head->version) != CXLFORK_FORMAT_VERSION)
		return -EPROTONOSUPPORT;
	if (le32_to_cpu(head->length) != len ||
	    le32_to_cpu(head->crc) != cxlf_crc(buf, head, len))
		return -EUCLEAN;
	return 0;
}

/**
 * cxlf_name_ok - can this be the name of a checkpoint?
 * @name: local memory
 * @size: bytes of it
 *
 * Context: any.
 * Return: whether it ends with a NUL and has no control characters.
 */
bool cxlf_name_ok(const u8 *name, size_t size)
{
	size_t len = strnlen(name, size), i;

	if (len == size)
		return false;
	for (i = 0; i < len; i++)
		if (name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return true;
}
