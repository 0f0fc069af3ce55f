// SPDX-License-Identifier: GPL-2.0
/*
 * Making a checkpoint: plan the image, reserve its extents, write pages, leaf
 * tables and state, publish.  What a clone has not written stays where it is, see
 * heritage.c.
 *
 * Runs in the context of the process that is checkpointed.  Nothing is written
 * before it is known that all can be cloned and that there is room for it.
 */
#include <linux/align.h>
#include <linux/cxlfork.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include "crc.h"

/*
 * How often it is tried if pages become local meanwhile, of which it was planned
 * that they stay where they are: somebody drains the pool, or writes to the memory
 * of the process.
 */
#define CXLFORK_TRIES	3

/**
 * struct cxlfork_writer - an image on its way
 * @snap:	what goes in beside pages
 * @ckpt:	its extents
 * @image:	its header
 * @vmas:	the mappings, as in the image
 * @nr_vmas:	how many
 * @leaves:	the leaves, as in the image
 * @nr_leaves:	how many
 * @dirty:	their dirty bits
 * @heritage:	pages that stay where they are
 * @nr_local:	pages in local memory
 * @nr_local_huge: pages of 2 MiB among them
 * @nr_pages:	data pages planned
 * @nr_huge:	pages of 2 MiB planned; they are the first of the data pages
 * @used:	data pages written, as if all of the huge ones were
 * @used_huge:	pages of 2 MiB written
 * @chunk:	pages of the leaf that is written
 * @table:	that leaf
 * @page:	a page of CXL memory that may have a memory error
 */
struct cxlfork_writer {
	struct cxlfork_snapshot	*snap;
	struct cxlfork_ckpt	*ckpt;
	struct cxlfork_image	*image;
	struct cxlfork_vma	*vmas;
	u32			nr_vmas;
	struct cxlfork_leaf	*leaves;
	u32			nr_leaves;
	__le64			(*dirty)[CXLFORK_LEAF_ENTRIES / 64];
	struct cxlfork_heritage	*heritage;
	u64			nr_local;
	u64			nr_local_huge;
	u64			nr_pages;
	u64			nr_huge;
	u64			used;
	u64			used_huge;
	struct cxlfork_chunk	*chunk;
	u64			*table;
	void			*page;
};

/**
 * struct cxlfork_plan - going through the pages for the first time
 * @w:		the image
 * @vma:	mapping that is looked at
 * @inherited:	pages of ancestors in the current 2 MiB
 * @ancestor:	whose the last of them is
 */
struct cxlfork_plan {
	struct cxlfork_writer		*w;
	struct vm_area_struct		*vma;
	unsigned int			inherited;
	struct cxlfork_ancestor		*ancestor;
};

static void cxlfork_plan_inherited(void *arg, struct page *page)
{
	struct cxlfork_plan *plan = arg;
	struct cxlfork_ancestor *ancestor = cxlfork_ancestor_of(plan->w->heritage, page);

	if (!ancestor)
		return;
	ancestor->pages++;
	plan->ancestor = ancestor;
	plan->inherited++;
}

static int cxlfork_plan_leaf(void *arg, unsigned long addr, unsigned int nr, bool huge)
{
	struct cxlfork_plan *plan = arg;
	struct cxlfork_writer *w = plan->w;
	struct cxlfork_buf *buf = &w->snap->sec[CXLFORK_SEC_LEAVES];
	struct cxlfork_leaf *leaf;

	addr &= PMD_MASK;
	leaf = w->nr_leaves ? (struct cxlfork_leaf *)buf->data + w->nr_leaves - 1 : NULL;
	if (!leaf || le64_to_cpu(leaf->addr) != addr) {
		leaf = cxlfork_buf_add(buf, sizeof(*leaf));
		if (!leaf)
			return -ENOMEM;
		leaf->addr = cpu_to_le64(addr);
		if (vma_is_anonymous(plan->vma) && plan->vma->vm_start <= addr &&
		    plan->vma->vm_end - addr >= PMD_SIZE)
			leaf->flags = cpu_to_le32(CXLFORK_LEAF_WHOLE);
		w->nr_leaves++;
	}
	if (huge && vma_is_accessible(plan->vma)) {
		leaf->flags |= cpu_to_le32(CXLFORK_LEAF_HUGE);
		if (plan->inherited)
			plan->ancestor->huge++;
		else
			w->nr_local_huge++;
	}
	w->nr_local += nr - plan->inherited;
	plan->inherited = 0;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int cxlfork_lost_page(struct cxlfork_writer *w, const struct vm_area_struct *vma)
{
	cxlfork_report(&w->snap->req->log, CXLFORK_REASON_VMA, -1, vma->vm_start,
		       vma->vm_end, 0, "a page is lost (memory error)");
	return -EHWPOISON;
}

/* Which leaves there will be, and for how many pages. */
static int cxlfork_plan_leaves(struct cxlfork_writer *w)
{
	struct cxlfork_plan plan = { .w = w };
	u32 i;
	int ret;

	w->snap->sec[CXLFORK_SEC_LEAVES].len = 0;
	w->snap->sec[CXLFORK_SEC_DIRTY].len = 0;
	w->nr_leaves = 0;
	w->nr_local = 0;
	w->nr_local_huge = 0;
	w->used_huge = 0;

	for (i = 0; i < w->nr_vmas; i++) {
		if (!cxlfork_vma_has_pages(le32_to_cpu(w->vmas[i].flags)))
			continue;
		plan.vma = cxlfork_find_vma(&w->vmas[i]);
		if (!plan.vma)
			return -EAGAIN;
		ret = cxlfork_count(plan.vma, cxlfork_plan_leaf, cxlfork_plan_inherited,
				    &plan);
		if (ret)
			return ret == -EHWPOISON ? cxlfork_lost_page(w, plan.vma) : ret;
	}
	w->leaves = w->snap->sec[CXLFORK_SEC_LEAVES].data;
	w->dirty = cxlfork_buf_add(&w->snap->sec[CXLFORK_SEC_DIRTY],
				   w->nr_leaves * sizeof(*w->dirty));
	return w->dirty ? 0 : -ENOMEM;
}

/* Which pages are to be stored; @keep: some may stay where they are. */
static int cxlfork_plan_pages(struct cxlfork_writer *w, bool keep)
{
	struct cxlfork_heritage *h = w->heritage;
	struct cxlfork_ancestor *a;
	int ret;

	ret = cxlfork_heritage_decide(h, keep, &w->snap->sec[CXLFORK_SEC_PARENTS]);
	if (ret)
		return ret;
	w->nr_pages = w->nr_local;
	w->nr_huge = w->nr_local_huge;
	for (a = h->ancestors; a < h->ancestors + h->nr; a++) {
		if (a->kept)
			continue;
		w->nr_pages += a->pages;
		w->nr_huge += a->huge;
	}
	w->used = w->nr_huge * CXLFORK_LEAF_ENTRIES;
	return 0;
}

/* Where everything goes; returns the bytes that takes. */
static u64 cxlfork_plan_layout(struct cxlfork_writer *w)
{
	u64 len[CXLFORK_NR_SECTIONS], bytes = 0;
	u32 i;

	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		len[i] = w->snap->sec[i].len;
		bytes += ALIGN(len[i], 8);
	}
	bytes += sizeof(*w->image) + PAGE_SIZE + (w->nr_leaves + w->nr_pages) * PAGE_SIZE;
	if (w->nr_huge)
		bytes += CXLFORK_EXTENT_SIZE;
	return cxlfork_layout(w->image, len, cxlfork_extents_table(bytes), w->nr_leaves,
			      w->nr_pages, w->nr_huge);
}

static int cxlfork_reserve_planned(struct cxlfork_writer *w)
{
	struct cxlfork_request *req = w->snap->req;
	struct cxlfork_ckpt_attr attr = {
		.uid = req->uid,
		.gid = req->gid,
		.mode = req->mode,
		.pages = w->nr_pages,
		.bytes = cxlfork_plan_layout(w),
		.parents = w->heritage->parents,
		.nr_parents = w->heritage->nr_parents,
		.quota = req->quota,
		.privileged = req->unlimited,
		.ttl = req->ttl,
		.pin = req->flags & CXLFORK_PIN,
	};
	struct cxlfork_ckpt *ckpt;

	strscpy(attr.name, req->name, sizeof(attr.name));
	ckpt = cxlfork_image_create(req->pool, &attr, &req->log);
	if (IS_ERR(ckpt))
		return PTR_ERR(ckpt);
	w->ckpt = ckpt;
	return 0;
}

static int cxlfork_reserve(struct cxlfork_writer *w)
{
	int ret;

	ret = cxlfork_plan_pages(w, true);
	if (!ret)
		ret = cxlfork_reserve_planned(w);
	if (ret != -ESTALE)
		return ret;
	/* A parent can't be kept: take all with us. */
	return cxlfork_plan_pages(w, false) ?: cxlfork_reserve_planned(w);
}

/* Does a page stay where it is? */
static bool cxlfork_stays(struct cxlfork_writer *w, struct page *page)
{
	const struct cxlfork_ancestor *ancestor = cxlfork_ancestor_of(w->heritage, page);

	return ancestor && ancestor->kept;
}

static void cxlfork_write_entry(struct cxlfork_writer *w, unsigned long pfn, unsigned int i,
				pgprot_t prot)
{
	/* Without coherence nobody's page walker may write to it. */
	bool young = !w->ckpt->pool->coherent || test_bit(i, w->chunk->young);

	w->table[i] = cxlfork_make_entry(pfn, prot, young);
}

/* One page: copy it to its place, make its entry. */
static int cxlfork_write_page(struct cxlfork_writer *w, struct page *page, u64 nr,
			      unsigned int i, pgprot_t prot)
{
	u64 offset = le64_to_cpu(w->image->data_off) + nr * PAGE_SIZE;
	struct cxlfork_ckpt *ckpt = w->ckpt;
	void *from, *map;

	map = kmap_local_page(page);
	from = map;
	if (is_zone_device_page(page))
		from = copy_mc_to_kernel(w->page, map, PAGE_SIZE) ? NULL : w->page;
	if (from)
		cxlfork_image_write(ckpt, offset, from, PAGE_SIZE);
	kunmap_local(map);
	if (!from)
		return -EHWPOISON;
	offset = cxlfork_image_place(ckpt, offset);
	cxlfork_write_entry(w, PHYS_PFN(ckpt->pool->base + offset), i, prot);
	return 0;
}

/* Pages of 4 KiB, where there are any. */
static int cxlfork_write_pages(struct cxlfork_writer *w, unsigned int first,
			       unsigned int end, pgprot_t prot)
{
	unsigned int i;
	int ret;

	for (i = first; i < end; i++) {
		struct page *page = w->chunk->page[i];

		if (!page)
			continue;
		if (cxlfork_stays(w, page)) {
			cxlfork_write_entry(w, page_to_pfn(page), i, prot);
			continue;
		}
		if (w->used == w->nr_pages)
			return -EAGAIN; /* somebody else wrote, or localises */
		ret = cxlfork_write_page(w, page, w->used++, i, prot);
		if (ret)
			return ret;
	}
	return 0;
}

/* Is it all of a 2 MiB page that stays where it is? */
static bool cxlfork_huge_stays(struct cxlfork_writer *w)
{
	struct page **page = w->chunk->page;
	unsigned int i;

	if (!page[0] || !cxlfork_stays(w, page[0]) ||
	    !IS_ALIGNED(page_to_pfn(page[0]), CXLFORK_LEAF_ENTRIES))
		return false;
	for (i = 1; i < CXLFORK_LEAF_ENTRIES; i++)
		if (!page[i] || page_to_pfn(page[i]) != page_to_pfn(page[0]) + i)
			return false;
	return true;
}

/* A page of 2 MiB.  What reclaim took of it meanwhile (MADV_FREE) is zero. */
static int cxlfork_write_huge(struct cxlfork_writer *w, pgprot_t prot)
{
	unsigned int i;
	int ret = 0;
	u64 nr;

	if (cxlfork_huge_stays(w))
		return cxlfork_write_pages(w, 0, CXLFORK_LEAF_ENTRIES, prot);
	if (w->used_huge == w->nr_huge)
		return -EAGAIN;
	nr = w->used_huge++ * CXLFORK_LEAF_ENTRIES;
	for (i = 0; i < CXLFORK_LEAF_ENTRIES && !ret; i++)
		ret = cxlfork_write_page(w, w->chunk->page[i] ?: ZERO_PAGE(0), nr + i, i, prot);
	w->chunk->nr = CXLFORK_LEAF_ENTRIES;
	return ret;
}

/* The pages of one mapping below one leaf. */
static int cxlfork_write_part(struct cxlfork_writer *w, const struct cxlfork_vma *v,
			      const struct cxlfork_leaf *leaf)
{
	unsigned long addr = le64_to_cpu(leaf->addr);
	unsigned long start = max_t(unsigned long, le64_to_cpu(v->start), addr);
	unsigned long end = min_t(unsigned long, le64_to_cpu(v->end), addr + PMD_SIZE);
	vm_flags_t flags = cxlfork_vm_flags(le32_to_cpu(v->flags), le32_to_cpu(v->pkey));
	pgprot_t prot = vm_get_page_prot(flags);
	struct vm_area_struct *vma = cxlfork_find_vma(v);
	int ret;

	if (!vma)
		return -EAGAIN;
	ret = cxlfork_collect(vma, start, end, w->chunk);
	if (!ret && le32_to_cpu(leaf->flags) & CXLFORK_LEAF_HUGE)
		ret = cxlfork_write_huge(w, prot);
	else if (!ret)
		ret = cxlfork_write_pages(w, pte_index(start),
					  pte_index(start) + ((end - start) >> PAGE_SHIFT),
					  prot);
	return ret == -EHWPOISON ? cxlfork_lost_page(w, vma) : ret;
}

/* The pages of leaf @i, and its table as number @out; returns the pages. */
static int cxlfork_write_leaf(struct cxlfork_writer *w, u32 i, u32 *first, u32 out)
{
	unsigned long addr = le64_to_cpu(w->leaves[i].addr);
	int ret = 0, nr;
	u32 v, j;

	memset(w->table, 0, PAGE_SIZE);
	while (le64_to_cpu(w->vmas[*first].end) <= addr)
		(*first)++;
	for (v = *first; v < w->nr_vmas && !ret; v++) {
		if (le64_to_cpu(w->vmas[v].start) >= addr + PMD_SIZE)
			break;
		if (cxlfork_vma_has_pages(le32_to_cpu(w->vmas[v].flags)))
			ret = cxlfork_write_part(w, &w->vmas[v], &w->leaves[i]);
	}
	nr = w->chunk->nr;
	w->leaves[out] = w->leaves[i];
	w->leaves[out].nr_pages = cpu_to_le32(nr);
	for (j = 0; j < ARRAY_SIZE(w->dirty[out]); j++)
		w->dirty[out][j] = cpu_to_le64(w->chunk->dirty[j]);
	cxlfork_chunk_release(w->chunk);
	if (!ret && nr)
		cxlfork_image_write(w->ckpt, le64_to_cpu(w->image->leaves_off) + out * PAGE_SIZE,
				    w->table, PAGE_SIZE);
	return ret ?: nr;
}

/* All leaves.  Clean file pages may have gone since: an empty leaf is left out. */
static int cxlfork_write_leaves(struct cxlfork_writer *w)
{
	u32 i, first = 0, out = 0;

	for (i = 0; i < w->nr_leaves; i++) {
		int ret = cxlfork_write_leaf(w, i, &first, out);

		if (ret < 0)
			return ret;
		out += ret > 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (READ_ONCE(w->snap->req->pool->killed))
			return -ESTALE;
		cond_resched();
	}
	w->nr_leaves = out;
	w->snap->sec[CXLFORK_SEC_LEAVES].len = out * sizeof(*w->leaves);
	w->snap->sec[CXLFORK_SEC_DIRTY].len = out * sizeof(*w->dirty);
	return 0;
}

/* Sections, table of extents, header. */
static int cxlfork_write_state(struct cxlfork_writer *w)
{
	struct cxlfork_image *image = w->image;
	u32 i;

	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		const struct cxlfork_buf *buf = &w->snap->sec[i];

		image->sections[i].length = cpu_to_le64(buf->len);
		image->sections[i].crc = cpu_to_le32(cxlfork_crc(buf->data, buf->len));
		cxlfork_image_write(w->ckpt, le64_to_cpu(image->sections[i].offset),
				    buf->data, buf->len);
	}
	image->nr_leaves = cpu_to_le64(w->nr_leaves);
	image->nr_pages = cpu_to_le64(w->used);
	cxlfork_arch_identity(image);
	return cxlfork_image_seal(w->ckpt, image);
}

/* One hold of the mmap lock, so that what is planned is what is there. */
static int cxlfork_write_memory(struct cxlfork_writer *w)
{
	struct cxlfork_request *req = w->snap->req;
	int ret;

	ret = mmap_read_lock_killable(current->mm);
	if (ret)
		return ret;
	ret = cxlfork_heritage_open(w->heritage, req);
	if (!ret)
		ret = cxlfork_plan_leaves(w);
	if (!ret)
		ret = cxlfork_reserve(w);
	if (!ret)
		ret = cxlfork_write_leaves(w);
	/* What the clone referred to until now is kept now. */
	mmap_read_unlock(current->mm);
	cxlfork_heritage_close(w->heritage);
	if (ret && w->ckpt) {
		req->pool->ops->abort(w->ckpt);
		w->ckpt = NULL;
	}
	return ret;
}

static int cxlfork_write_image(struct cxlfork_snapshot *snap, u64 *id)
{
	struct cxlfork_writer w = {
		.snap = snap,
		.vmas = snap->sec[CXLFORK_SEC_VMAS].data,
		.nr_vmas = snap->sec[CXLFORK_SEC_VMAS].len / sizeof(struct cxlfork_vma),
	};
	int ret = -ENOMEM, tries = CXLFORK_TRIES;

	w.heritage = kzalloc(sizeof(*w.heritage), GFP_KERNEL);
	w.image = kzalloc(sizeof(*w.image), GFP_KERNEL);
	w.chunk = kzalloc(sizeof(*w.chunk), GFP_KERNEL);
	w.table = kzalloc(PAGE_SIZE, GFP_KERNEL);
	w.page = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!w.heritage || !w.image || !w.chunk || !w.table || !w.page)
		goto out;
	do
		ret = cxlfork_write_memory(&w);
	while (ret == -EAGAIN && --tries);
	if (ret)
		goto out;
	ret = cxlfork_write_state(&w);
	if (ret) {
		snap->req->pool->ops->abort(w.ckpt);
		goto out;
	}
	*id = w.ckpt->id;
	ret = snap->req->pool->ops->publish(w.ckpt);
	if (ret)
		*id = 0;
out:
	kfree(w.page);
	kfree(w.table);
	kfree(w.chunk);
	kfree(w.image);
	kfree(w.heritage);
	return ret;
}

static int cxlfork_snapshot(struct cxlfork_snapshot *snap)
{
	int ret;

	ret = cxlfork_snapshot_task(snap);
	if (!ret)
		ret = cxlfork_snapshot_fds(snap);
	if (!ret)
		ret = cxlfork_snapshot_mm(snap);
	return ret;
}

static void cxlfork_put_files(struct cxlfork_buf *buf)
{
	struct file **files = buf->data;
	u32 i;

	for (i = 0; i < buf->len / sizeof(*files); i++)
		fput(files[i]);
	kvfree(buf->data);
}

static void cxlfork_snapshot_free(struct cxlfork_snapshot *snap)
{
	u32 i;

	cxlfork_put_files(&snap->mapped);
	cxlfork_put_files(&snap->opened);
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++)
		kvfree(snap->sec[i].data);
	xa_destroy(&snap->inodes);
	xa_destroy(&snap->files);
}

/**
 * cxlfork_checkpoint - checkpoint current
 * @req:	what is asked for; gets the obstacles
 *
 * Context: process context of the process to checkpoint, on its way to or from
 * user space, so that its registers are saved.
 * Return: the id (> 0); 0: only checked, see the log; or -errno.
 */
long cxlfork_checkpoint(struct cxlfork_request *req)
{
	struct cxlfork_snapshot snap = { .req = req };
	u64 id = 0;
	int ret;

	if (!current->mm || (current->flags & PF_EXITING))
		return -ESRCH;
	xa_init(&snap.inodes);
	xa_init(&snap.files);
	ret = cxlfork_snapshot(&snap);
	if (!ret && !(req->flags & CXLFORK_CHECK))
		ret = req->log.nr ? -EOPNOTSUPP : cxlfork_write_image(&snap, &id);
	cxlfork_snapshot_free(&snap);
	if (id && (req->flags & CXLFORK_KILL))
		send_sig(SIGKILL, current, 1);
	return ret ?: id;
}
