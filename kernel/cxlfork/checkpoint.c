// SPDX-License-Identifier: GPL-2.0
/*
 * Making a checkpoint: plan the image, reserve its extents, write pages, leaf
 * tables and state, publish.
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
 * @nr_pages:	data pages planned
 * @nr_huge:	pages of 2 MiB planned; they are the first of the data pages
 * @used:	data pages written, as if all of the huge ones were
 * @used_huge:	pages of 2 MiB written
 * @chunk:	pages of the leaf that is written
 * @table:	that leaf
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
	u64			nr_pages;
	u64			nr_huge;
	u64			used;
	u64			used_huge;
	struct cxlfork_chunk	*chunk;
	u64			*table;
};

struct cxlfork_plan {
	struct cxlfork_writer		*w;
	struct vm_area_struct		*vma;
};

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
		w->nr_huge++;
	}
	w->nr_pages += nr;
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* Which leaves there will be, and for how many pages. */
static int cxlfork_plan_leaves(struct cxlfork_writer *w)
{
	struct cxlfork_plan plan = { .w = w };
	u32 i;
	int ret;

	for (i = 0; i < w->nr_vmas; i++) {
		if (!cxlfork_vma_has_pages(le32_to_cpu(w->vmas[i].flags)))
			continue;
		plan.vma = cxlfork_find_vma(&w->vmas[i]);
		if (!plan.vma)
			return -EAGAIN;
		ret = cxlfork_count(plan.vma, cxlfork_plan_leaf, &plan);
		if (ret)
			return ret;
	}
	w->used = w->nr_huge * CXLFORK_LEAF_ENTRIES;
	w->leaves = w->snap->sec[CXLFORK_SEC_LEAVES].data;
	w->dirty = cxlfork_buf_add(&w->snap->sec[CXLFORK_SEC_DIRTY],
				   w->nr_leaves * sizeof(*w->dirty));
	return w->dirty ? 0 : -ENOMEM;
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

static int cxlfork_reserve(struct cxlfork_writer *w)
{
	struct cxlfork_request *req = w->snap->req;
	struct cxlfork_ckpt_attr attr = {
		.uid = req->uid,
		.gid = req->gid,
		.mode = req->mode,
		.pages = w->nr_pages,
		.bytes = cxlfork_plan_layout(w),
		.quota = req->quota,
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

/* One page: copy it to its place, make its entry. */
static void cxlfork_write_page(struct cxlfork_writer *w, struct page *page, u64 nr,
			       unsigned int i, pgprot_t prot)
{
	u64 offset = le64_to_cpu(w->image->data_off) + nr * PAGE_SIZE;
	struct cxlfork_ckpt *ckpt = w->ckpt;
	void *from;

	from = kmap_local_page(page);
	cxlfork_image_write(ckpt, offset, from, PAGE_SIZE);
	kunmap_local(from);
	offset = cxlfork_image_place(ckpt, offset);
	w->table[i] = cxlfork_make_entry(PHYS_PFN(ckpt->pool->base + offset), prot,
					 !ckpt->pool->coherent ||
					 test_bit(i, w->chunk->young));
}

/* Pages of 4 KiB, where there are any. */
static int cxlfork_write_pages(struct cxlfork_writer *w, unsigned int first,
			       unsigned int end, pgprot_t prot)
{
	unsigned int i;

	for (i = first; i < end; i++) {
		if (!w->chunk->page[i])
			continue;
		if (w->used == w->nr_pages)
			return -EAGAIN; /* somebody else gave the process more pages */
		cxlfork_write_page(w, w->chunk->page[i], w->used++, i, prot);
	}
	return 0;
}

/* A page of 2 MiB.  What reclaim took of it meanwhile (MADV_FREE) is zero. */
static void cxlfork_write_huge(struct cxlfork_writer *w, pgprot_t prot)
{
	u64 nr = w->used_huge++ * CXLFORK_LEAF_ENTRIES;
	unsigned int i;

	for (i = 0; i < CXLFORK_LEAF_ENTRIES; i++)
		cxlfork_write_page(w, w->chunk->page[i] ?: ZERO_PAGE(0), nr + i, i, prot);
	w->chunk->nr = CXLFORK_LEAF_ENTRIES;
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
	if (ret)
		return ret;
	if (!(le32_to_cpu(leaf->flags) & CXLFORK_LEAF_HUGE))
		return cxlfork_write_pages(w, pte_index(start),
					   pte_index(start) + ((end - start) >> PAGE_SHIFT),
					   prot);
	cxlfork_write_huge(w, prot);
	return 0;
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

static int cxlfork_write_image(struct cxlfork_snapshot *snap, u64 *id)
{
	struct cxlfork_writer w = {
		.snap = snap,
		.vmas = snap->sec[CXLFORK_SEC_VMAS].data,
		.nr_vmas = snap->sec[CXLFORK_SEC_VMAS].len / sizeof(struct cxlfork_vma),
	};
	int ret = -ENOMEM;

	w.image = kzalloc(sizeof(*w.image), GFP_KERNEL);
	w.chunk = kzalloc(sizeof(*w.chunk), GFP_KERNEL);
	w.table = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!w.image || !w.chunk || !w.table)
		goto out;
	/* One hold of the mmap lock, so that what is planned is what is there. */
	ret = mmap_read_lock_killable(current->mm);
	if (ret)
		goto out;
	ret = cxlfork_plan_leaves(&w);
	if (!ret)
		ret = cxlfork_reserve(&w);
	if (!ret)
		ret = cxlfork_write_leaves(&w);
	mmap_read_unlock(current->mm);
	if (!ret)
		ret = cxlfork_write_state(&w);
	if (ret) {
		if (w.ckpt)
			snap->req->pool->ops->abort(w.ckpt);
		goto out;
	}
	*id = w.ckpt->id;
	ret = snap->req->pool->ops->publish(w.ckpt);
	if (ret)
		*id = 0;
out:
	kfree(w.table);
	kfree(w.chunk);
	kfree(w.image);
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
