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
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/asm.h>

#include "fork.h"

#ifdef CONFIG_CXL_FORK_DEBUG
static unsigned int cxlf_cut_after;
module_param_named(cut_after, cxlf_cut_after, uint, 0644);
MODULE_PARM_DESC(cut_after, "write nothing any more after that many stores (tests)");

/* As if the power went out here: for the pool, this host is dead. */
static void cxlf_cut(struct cxlf_dev *cd)
{
	if (!READ_ONCE(cxlf_cut_after) || --cxlf_cut_after)
		return;
	WRITE_ONCE(cd->lost, true);
	cxlf_shadow_lose(cd);
	cxlf_reason(cd, "stopped after a store (cut_after); bind again");
}
#else
static void cxlf_cut(struct cxlf_dev *cd)
{
}
#endif

/* Not on a pool whose words are changed by compare-and-swap. */
static bool cxlf_shadowed(const struct cxlf_dev *cd)
{
	return cxlf_shadow_on() && !cxlf_coherent(cd);
}

static void *cxlf_at(struct cxlf_dev *cd, u64 off, u64 len)
{
	if (WARN_ON_ONCE(!cd->addr || off > cd->region ||
			 len > cd->region - off))
		return NULL;
	return cd->addr + off;
}

/* What another host wrote gets visible on a pool that isn't coherent. */
static void cxlf_refresh(struct cxlf_dev *cd, u64 off, u64 len,
			 enum cxlf_flush kind, unsigned long ip)
{
	if (cxlf_coherent(cd) || cxlf_flush_skipped(kind, ip))
		return;
	if (!cxlf_shadowed(cd))
		clflush_cache_range(cd->addr + off, len);
	else if (cxlf_shadow_flush(cd, off, len, true))
		cxlf_flush_found(kind, ip);
}

/*
 * One load, of a word that may have a memory error: copy_mc_to_kernel() may take
 * several.  Other hosts read the same words: none of them goes down for that.
 */
static bool cxlf_peek(const __le64 *at, __le64 *word)
{
	bool bad = true;

	asm volatile("1: movq %[at], %[word]\n"
		     "   movb $0, %[bad]\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE(1b, 2b, EX_TYPE_DEFAULT_MCE_SAFE)
		     : [word] "=&r" (*word), [bad] "+qm" (bad)
		     : [at] "m" (*at));
	return !bad;
}

static u64 cxlf_load_by(struct cxlf_dev *cd, u64 off, unsigned long ip)
{
	__le64 *at = cxlf_at(cd, off, sizeof(*at)), word;

	if (!at)
		return 0;
	cxlf_refresh(cd, off, sizeof(word), CXLF_FLUSH_LOAD, ip);
	if (cxlf_shadowed(cd)) {
		cxlf_shadow_read(cd, off, &word, sizeof(word));
	} else if (!cxlf_peek(at, &word)) {
		/* First of all nothing is stored for what isn't known. */
		WRITE_ONCE(cd->lost, true);
		WRITE_ONCE(cd->sick, true);
		return 0;
	}
	return le64_to_cpu(word);
}

/**
 * cxlf_load - read one word
 * @cd: pool
 * @off: where, a multiple of 8
 *
 * Context: any; the region is mapped (live, or admin while it isn't attached).
 * Return: the word, from this one look at it; 0 if it can't be read: then this
 * host stores nothing any more, see cxlf_slot_lost().
 */
u64 cxlf_load(struct cxlf_dev *cd, u64 off)
{
	return cxlf_load_by(cd, off, _RET_IP_);
}

static void cxlf_write_back(struct cxlf_dev *cd, void *at, u64 off,
			    unsigned long ip)
{
	if (cxlf_flush_skipped(CXLF_FLUSH_STORE, ip))
		return;
	if (cxlf_shadowed(cd) &&
	    cxlf_shadow_flush(cd, off, sizeof(__le64), false))
		cxlf_flush_found(CXLF_FLUSH_STORE, ip);
	arch_wb_cache_pmem(at, sizeof(__le64));
	pmem_wmb();
}

static void cxlf_store_by(struct cxlf_dev *cd, u64 off, u64 val,
			  unsigned long ip)
{
	__le64 *at = cxlf_at(cd, off, sizeof(*at)), word = cpu_to_le64(val);

	if (!at || READ_ONCE(cd->lost))
		return;
	if (cxlf_shadowed(cd))
		cxlf_shadow_write(cd, off, &word, sizeof(word), false);
	else
		WRITE_ONCE(*at, word);
	cxlf_write_back(cd, at, off, ip);
	cxlf_cut(cd);
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
	cxlf_store_by(cd, off, val, _RET_IP_);
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
	/* A memory error is met by a load. */
	if (cxlf_load_by(cd, off, _RET_IP_) != old || READ_ONCE(cd->lost))
		return false;
	if (!cxlf_coherent(cd)) {
		cxlf_store_by(cd, off, new, _RET_IP_);
		return true;
	}
	if (cmpxchg((__force u64 *)at, was, (__force u64)cpu_to_le64(new)) !=
	    was)
		return false;
	cxlf_write_back(cd, at, off, _RET_IP_);
	cxlf_cut(cd);
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
	cxlf_refresh(cd, off, len, CXLF_FLUSH_READ, _RET_IP_);
	if (!cxlf_shadowed(cd))
		return copy_mc_to_kernel(to, at, len) ? -EIO : 0;
	cxlf_shadow_read(cd, off, to, len);
	return 0;
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

	if (!at || READ_ONCE(cd->lost))
		return;
	if (cxlf_shadowed(cd))
		cxlf_shadow_write(cd, off, from, len, true);
	else
		memcpy_flushcache(at, from, len);
	cxlf_cut(cd);
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
 * @cd: pool
 *
 * Context: any.
 */
void cxlf_fence(struct cxlf_dev *cd)
{
	if (cxlf_flush_skipped(CXLF_FLUSH_FENCE, _RET_IP_) ||
	    READ_ONCE(cd->lost))
		return;
	if (cxlf_shadowed(cd) && cxlf_shadow_fence(cd))
		cxlf_flush_found(CXLF_FLUSH_FENCE, _RET_IP_);
	pmem_wmb();
}

static void cxlf_flush_range(struct cxlf_dev *cd, u64 off, u64 len,
			     unsigned long ip)
{
	if (cxlf_shadowed(cd) && cxlf_shadow_flush(cd, off, len, true))
		cxlf_flush_found(CXLF_FLUSH_IMAGE, ip);
	while (len) {
		unsigned int part = min_t(u64, len, SZ_64K);

		clflush_cache_range(cd->addr + off, part);
		off += part;
		len -= part;
		cond_resched();
	}
}

/**
 * cxlf_refresh_image - see an image as it was published
 * @cd: pool
 * @off: of an extent of it
 * @len: bytes
 *
 * On a pool that isn't coherent this host's caches may hold what was there
 * before.  Once is enough: what is published doesn't change.
 *
 * Context: process context, sleeps; the region is mapped.
 */
void cxlf_refresh_image(struct cxlf_dev *cd, u64 off, u64 len)
{
	if (cxlf_at(cd, off, len) && !cxlf_coherent(cd) &&
	    !cxlf_flush_skipped(CXLF_FLUSH_IMAGE, _RET_IP_))
		cxlf_flush_range(cd, off, len, _RET_IP_);
}

/**
 * cxlf_image_read - copy a part of an image out of the region
 * @cd: pool
 * @off: where; cxlf_refresh_image() has been there
 * @to: local memory
 * @len: bytes
 *
 * Context: any; the region is mapped.
 * Return: 0, or -EIO: poisoned, or beyond the end.
 */
int cxlf_image_read(struct cxlf_dev *cd, u64 off, void *to, size_t len)
{
	void *at = cxlf_at(cd, off, len);

	if (!at)
		return -EIO;
	if (!cxlf_shadowed(cd))
		return copy_mc_to_kernel(to, at, len) ? -EIO : 0;
	cxlf_shadow_read(cd, off, to, len);
	return 0;
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
