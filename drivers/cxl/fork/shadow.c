// SPDX-License-Identifier: GPL-2.0
/*
 * Caches that nobody keeps coherent, played: for tests (CXL_FORK_DEBUG).
 *
 * An emulated pool is coherent, so that a flush that is missing goes unnoticed.
 * With the module option "shadow" this host sees metadata through copies of its
 * own, a cache line each.  A line is fetched when it is first touched and then
 * stays as it is, whatever other hosts store, until the code flushes it; what
 * this host stores stays here until the code writes it back, a whole line at a
 * time.  Non-temporal stores arrive with the next fence.  Of what has not, a
 * power cut loses some lines and not others.
 *
 * What clones map and what the core writes into an image by-passes this.
 */
#include <linux/bitops.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "fork.h"

#define CXLF_LINE	64U

static bool cxlf_shadow;
module_param_named(shadow, cxlf_shadow, bool, 0444);
MODULE_PARM_DESC(shadow, "see metadata through caches that aren't coherent (tests)");

/**
 * struct cxlf_shadow_page - the lines of one page that this host has cached
 * @data:	their contents
 * @valid:	lines that are cached
 * @dirty:	of those, the ones that memory doesn't have yet
 * @pending:	of those, the ones that the next fence sends there
 */
struct cxlf_shadow_page {
	u8	data[PAGE_SIZE];
	u64	valid;
	u64	dirty;
	u64	pending;
};

static DEFINE_XARRAY(cxlf_shadow_pages);
static DEFINE_SPINLOCK(cxlf_shadow_lock);

/**
 * cxlf_shadow_on - is this host's view of metadata a private one?
 *
 * Context: any.
 * Return: whether it is.
 */
bool cxlf_shadow_on(void)
{
	return cxlf_shadow;
}

static struct cxlf_shadow_page *cxlf_shadow_page(u64 off)
{
	unsigned long index = off >> PAGE_SHIFT;
	struct cxlf_shadow_page *page = xa_load(&cxlf_shadow_pages, index);

	if (page)
		return page;
	page = kzalloc(sizeof(*page), GFP_ATOMIC);
	if (WARN_ON_ONCE(!page ||
			 xa_err(xa_store(&cxlf_shadow_pages, index, page,
					 GFP_ATOMIC)))) {
		kfree(page);
		return NULL;
	}
	return page;
}

/* Return: whether there was something to write. */
static bool cxlf_line_out(struct cxlf_dev *cd, struct cxlf_shadow_page *page,
			  u64 off)
{
	u64 bit = BIT_ULL((off & ~PAGE_MASK) / CXLF_LINE);

	if (!(page->dirty & bit))
		return false;
	memcpy_flushcache(cd->addr + off, page->data + (off & ~PAGE_MASK),
			  CXLF_LINE);
	page->dirty &= ~bit;
	page->pending &= ~bit;
	return true;
}

/* Return: whether it was cached, and is something else in memory by now. */
static bool cxlf_line_forget(struct cxlf_dev *cd, struct cxlf_shadow_page *page,
			     u64 off)
{
	u64 bit = BIT_ULL((off & ~PAGE_MASK) / CXLF_LINE);

	if (!(page->valid & bit))
		return false;
	page->valid &= ~bit;
	return memcmp(cd->addr + off, page->data + (off & ~PAGE_MASK),
		      CXLF_LINE);
}

/* Copy [off, off + len) of one line between the cache and @buf. */
static void cxlf_line_copy(struct cxlf_dev *cd, u64 off, void *buf, size_t len,
			   bool in)
{
	struct cxlf_shadow_page *page = cxlf_shadow_page(off);
	u64 line = round_down(off, CXLF_LINE), bit;
	u8 *at;

	if (!page)
		return;
	bit = BIT_ULL((line & ~PAGE_MASK) / CXLF_LINE);
	at = page->data + (line & ~PAGE_MASK);
	if (!(page->valid & bit)) {
		memcpy(at, cd->addr + line, CXLF_LINE);
		page->valid |= bit;
	}
	at += off - line;
	if (in) {
		memcpy(at, buf, len);
		page->dirty |= bit;
	} else {
		memcpy(buf, at, len);
	}
}

static void cxlf_shadow_copy(struct cxlf_dev *cd, u64 off, void *buf,
			     size_t len, bool in)
{
	size_t part;

	spin_lock(&cxlf_shadow_lock);
	for (; len; len -= part) {
		part = min_t(size_t, len, CXLF_LINE - off % CXLF_LINE);
		cxlf_line_copy(cd, off, buf, part, in);
		off += part;
		buf += part;
	}
	spin_unlock(&cxlf_shadow_lock);
}

/**
 * cxlf_shadow_read - load
 * @cd: pool
 * @off: where
 * @to: local memory
 * @len: bytes
 *
 * Context: any but interrupts; the region is mapped.
 */
void cxlf_shadow_read(struct cxlf_dev *cd, u64 off, void *to, size_t len)
{
	cxlf_shadow_copy(cd, off, to, len, false);
}

/**
 * cxlf_shadow_write - store
 * @cd: pool
 * @off: where
 * @from: local memory
 * @len: bytes
 * @nontemporal: it is under way: the next fence sends it to memory
 *
 * Context: any but interrupts; the region is mapped.
 */
void cxlf_shadow_write(struct cxlf_dev *cd, u64 off, const void *from,
		       size_t len, bool nontemporal)
{
	u64 line = round_down(off, CXLF_LINE), end = off + len;
	struct cxlf_shadow_page *page;

	cxlf_shadow_copy(cd, off, (void *)from, len, true);
	if (!nontemporal)
		return;
	spin_lock(&cxlf_shadow_lock);
	for (; line < end; line += CXLF_LINE) {
		page = cxlf_shadow_page(line);
		if (page)
			page->pending |= BIT_ULL((line & ~PAGE_MASK) / CXLF_LINE);
	}
	spin_unlock(&cxlf_shadow_lock);
}

/**
 * cxlf_shadow_flush - write back, and forget
 * @cd: pool
 * @off: where
 * @len: bytes
 * @forget: the lines aren't cached any more
 *
 * Context: any but interrupts; the region is mapped.
 * Return: whether memory, or what this host sees of it, is different now.
 */
bool cxlf_shadow_flush(struct cxlf_dev *cd, u64 off, u64 len, bool forget)
{
	u64 line = round_down(off, CXLF_LINE), end = off + len;
	struct cxlf_shadow_page *page;
	bool found = false;

	spin_lock(&cxlf_shadow_lock);
	while (line < end) {
		page = xa_load(&cxlf_shadow_pages, line >> PAGE_SHIFT);
		if (!page) {
			line = round_down(line, PAGE_SIZE) + PAGE_SIZE;
			continue;
		}
		found |= cxlf_line_out(cd, page, line);
		if (forget)
			found |= cxlf_line_forget(cd, page, line);
		line += CXLF_LINE;
	}
	spin_unlock(&cxlf_shadow_lock);
	return found;
}

/**
 * cxlf_shadow_fence - non-temporal stores arrive
 * @cd: pool
 *
 * Context: any but interrupts; the region is mapped.
 * Return: whether there were some.
 */
bool cxlf_shadow_fence(struct cxlf_dev *cd)
{
	struct cxlf_shadow_page *page;
	unsigned long index, bit;
	bool found = false;
	u64 pending;

	spin_lock(&cxlf_shadow_lock);
	xa_for_each(&cxlf_shadow_pages, index, page) {
		pending = page->pending;
		for_each_set_bit(bit, (unsigned long *)&pending, 64)
			found |= cxlf_line_out(cd, page,
					       ((u64)index << PAGE_SHIFT) +
					       bit * CXLF_LINE);
		page->valid &= ~pending;
		page->pending = 0;
	}
	spin_unlock(&cxlf_shadow_lock);
	return found;
}

/**
 * cxlf_shadow_bind - a driver comes, and finds what another one has cached
 *
 * Caches know nothing of drivers: what was read before the pool was left, and
 * what there was before it was formatted, is still there.  But nothing that was
 * not written back, which only tests leave (skip.c).
 *
 * Context: any but interrupts.
 */
void cxlf_shadow_bind(void)
{
	struct cxlf_shadow_page *page;
	unsigned long index;

	spin_lock(&cxlf_shadow_lock);
	xa_for_each(&cxlf_shadow_pages, index, page) {
		page->valid &= ~page->dirty;
		page->dirty = 0;
		page->pending = 0;
	}
	spin_unlock(&cxlf_shadow_lock);
}

/**
 * cxlf_shadow_lose - nothing is cached any more
 * @cd: pool, or NULL: nothing of it arrives
 *
 * The power went out.  What wasn't written back has arrived, or it has not: all
 * of a page, nothing, or some lines.
 *
 * Context: any but interrupts; @cd's region is mapped.
 */
void cxlf_shadow_lose(struct cxlf_dev *cd)
{
	struct cxlf_shadow_page *page;
	unsigned long index, bit;
	u64 arrives;
	u32 dice;

	spin_lock(&cxlf_shadow_lock);
	xa_for_each(&cxlf_shadow_pages, index, page) {
		dice = get_random_u32_below(3);
		arrives = dice == 2 ? get_random_u64() : dice ? U64_MAX : 0;
		arrives &= cd ? page->dirty : 0;
		for_each_set_bit(bit, (unsigned long *)&arrives, 64)
			cxlf_line_out(cd, page, ((u64)index << PAGE_SHIFT) +
				      bit * CXLF_LINE);
		kfree(page);
	}
	xa_destroy(&cxlf_shadow_pages);
	spin_unlock(&cxlf_shadow_lock);
}
