// SPDX-License-Identifier: GPL-2.0
/*
 * A checkpoint as a stream of bytes, see <linux/cxlfork_stream.h>: a descriptor
 * that makes record after record as it is read.
 *
 * Pages are found through the entries of the leaves, wherever in the pool they
 * lie.  The checkpoint was opened as a restore opens it, and so is as it should
 * be; but what lies in CXL memory another host may change meanwhile, and each
 * place is looked at again before it is read.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include "crc.h"
#include "transfer.h"

/**
 * struct cxlfork_export_file - an open export
 * @transfer:	ended with its pool
 * @io:		one reader at a time
 * @template:	what is exported; a counted reference
 * @log:	what is wrong with a leaf; nobody reads it
 * @stream:	how far it has come
 * @stage:	type of the next record; 0: there is none
 * @index:	section or leaf that it is of
 * @pos:	byte of the section, or entry of the leaf, that it starts with
 * @filled:	entries of the leaf that were there
 * @error:	it can't go on
 * @record:	the one that is read
 * @len:	bytes of it
 * @done:	bytes of it that were read
 */
struct cxlfork_export_file {
	struct cxlfork_transfer	transfer;
	struct mutex		io;	/* one reader at a time */
	struct cxlfork_template	*template;
	struct cxlfork_log	log;
	struct cxlfork_stream	stream;
	u32			stage;
	u32			index;
	u64			pos;
	u32			filled;
	int			error;
	struct cxlfork_record	*record;
	size_t			len;
	size_t			done;
};

/* The pages of parents are in the stream, and so there are no parents. */
static u64 cxlfork_export_length(const struct cxlfork_template *t, u32 section)
{
	return section == CXLFORK_SEC_PARENTS ? 0 : t->sec[section].len;
}

static u64 cxlfork_export_huge(const struct cxlfork_template *t)
{
	u64 nr = 0;
	u32 i;

	for (i = 0; i < t->nr_leaves; i++)
		nr += t->leaves[i].huge;
	return nr;
}

/* Finish the record: @len bytes are behind its header. */
static void cxlfork_export_seal(struct cxlfork_export_file *e, u32 type, u32 index, u32 len)
{
	struct cxlfork_record *rec = e->record;

	rec->magic = cpu_to_le32(CXLFORK_RECORD_MAGIC);
	rec->type = cpu_to_le32(type);
	rec->index = cpu_to_le32(index);
	rec->length = cpu_to_le32(len);
	rec->prev = e->stream.prev;
	rec->crc = 0;
	rec->crc = cpu_to_le32(cxlfork_crc(rec, sizeof(*rec) + len));
	e->stream.prev = rec->crc;
	e->len = sizeof(*rec) + len;
	e->done = 0;
	e->stream.bytes += e->len;
	e->stream.records++;
}

static void cxlfork_export_start(struct cxlfork_export_file *e)
{
	struct cxlfork_stream_start *start = (void *)(e->record + 1);
	const struct cxlfork_template *t = e->template;
	const struct cxlfork_image *image = t->image;
	u32 i;

	BUILD_BUG_ON(CXLFORK_NR_SECTIONS > CXLFORK_STREAM_SECTIONS);
	BUILD_BUG_ON(sizeof(start->cpu) != sizeof(image->cpu));
	BUILD_BUG_ON(sizeof(start->vdso_id) != sizeof(image->vdso_id));
	BUILD_BUG_ON(sizeof(start->kernel) != sizeof(image->kernel));

	memset(start, 0, sizeof(*start));
	start->version = cpu_to_le32(CXLFORK_STREAM_VERSION);
	start->format = image->head.version;
	start->page_shift = image->page_shift;
	start->machine = image->machine;
	start->nr_leaves = image->nr_leaves;
	start->nr_pages = cpu_to_le64(t->nr_pages);
	start->nr_huge = cpu_to_le64(cxlfork_export_huge(t));
	start->xfeatures = image->xfeatures;
	start->exported = cpu_to_le64(ktime_get_real_seconds());
	memcpy(start->cpu, image->cpu, sizeof(start->cpu));
	memcpy(start->vdso_id, image->vdso_id, sizeof(start->vdso_id));
	memcpy(start->kernel, image->kernel, sizeof(start->kernel));
	strscpy((char *)start->name, t->ckpt->name, sizeof(start->name));
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		start->lengths[i] = cpu_to_le64(cxlfork_export_length(t, i));
		start->entry_sizes[i] = cpu_to_le32(cxlfork_entry_size[i]);
	}
	cxlfork_export_seal(e, CXLFORK_REC_START, 0, sizeof(*start));
	e->stage = CXLFORK_REC_SECTION;
}

static void cxlfork_export_section(struct cxlfork_export_file *e)
{
	const struct cxlfork_template *t = e->template;
	u32 len;

	while (e->index < CXLFORK_NR_SECTIONS &&
	       e->pos == cxlfork_export_length(t, e->index)) {
		e->index++;
		e->pos = 0;
	}
	if (e->index == CXLFORK_NR_SECTIONS) {
		e->stage = CXLFORK_REC_PAGES;
		e->index = 0;
		return;
	}
	len = min_t(u64, cxlfork_export_length(t, e->index) - e->pos, CXLFORK_STREAM_CHUNK);
	memcpy(e->record + 1, t->sec[e->index].data + e->pos, len);
	e->pos += len;
	cxlfork_export_seal(e, CXLFORK_REC_SECTION, e->index, len);
}

/* Copy the page that @entry maps. */
static int cxlfork_export_page(const struct cxlfork_template *t, u64 entry, void *to)
{
	struct cxlfork_pool *pool = t->pool;
	/* Of a PROT_NONE entry, too. */
	u64 offset = PFN_PHYS(pte_pfn(__pte(entry))) - pool->base;

	if (offset >= pool->size || !test_bit(offset >> CXLFORK_EXTENT_SHIFT, t->space.extents))
		return -EUCLEAN;
	return pool->ops->read(pool, offset, to, PAGE_SIZE);
}

/* What is in up to 32 entries from e->pos on; may be nothing. */
static int cxlfork_export_window(struct cxlfork_export_file *e,
				 const struct cxlfork_template_leaf *leaf)
{
	const u64 at = le64_to_cpu(e->template->image->leaves_off) +
		       (u64)e->index * PAGE_SIZE + e->pos * sizeof(u64);
	struct cxlfork_stream_pages *head = (void *)(e->record + 1);
	u64 entries[CXLFORK_STREAM_WINDOW];
	u32 present = 0, young = 0, data = 0, nr = 0, i;
	void *to = head + 1;
	int ret;

	/* A table in CXL memory may have got a memory error since it was checked. */
	if (leaf->local)
		memcpy(entries, leaf->table + e->pos, sizeof(entries));
	else if (!leaf->huge &&
		 cxlfork_template_read(e->template, at, entries, sizeof(entries)))
		return -EIO;
	for (i = 0; i < CXLFORK_STREAM_WINDOW; i++) {
		u64 entry = leaf->huge ? leaf->entry + (e->pos + i) * PAGE_SIZE : entries[i];

		if (!entry)
			continue;
		ret = cxlfork_export_page(e->template, entry, to);
		if (ret)
			return ret;
		present |= BIT(i);
		if (entry & _PAGE_ACCESSED)
			young |= BIT(i);
		if (memchr_inv(to, 0, PAGE_SIZE)) {
			data |= BIT(i);
			to += PAGE_SIZE;
			nr++;
		}
	}
	head->first = cpu_to_le32(e->pos);
	head->present = cpu_to_le32(present);
	head->young = cpu_to_le32(young);
	head->data = cpu_to_le32(data);
	e->filled += hweight32(present);
	e->pos += CXLFORK_STREAM_WINDOW;
	if (present) {
		e->stream.pages += nr;
		cxlfork_export_seal(e, CXLFORK_REC_PAGES, e->index, to - (void *)head);
	}
	return 0;
}

static int cxlfork_export_pages(struct cxlfork_export_file *e)
{
	const struct cxlfork_template_leaf *leaf;
	int ret;

	if (e->index == e->template->nr_leaves) {
		e->stage = CXLFORK_REC_END;
		return 0;
	}
	leaf = &e->template->leaves[e->index];
	if (!e->pos) {
		e->filled = 0;
		ret = cxlfork_template_leaf(e->template, e->index, &e->log);
		if (ret)
			return ret;
	}
	ret = cxlfork_export_window(e, leaf);
	if (!ret && e->pos == CXLFORK_LEAF_ENTRIES) {
		/* Somebody changes it. */
		if (e->filled != leaf->nr_pages)
			return -EUCLEAN;
		e->index++;
		e->pos = 0;
	}
	return ret;
}

static void cxlfork_export_end(struct cxlfork_export_file *e)
{
	struct cxlfork_stream_end *end = (void *)(e->record + 1);

	end->bytes = cpu_to_le64(e->stream.bytes);
	end->records = cpu_to_le64(e->stream.records);
	end->pages = cpu_to_le64(e->stream.pages);
	cxlfork_export_seal(e, CXLFORK_REC_END, 0, sizeof(*end));
	e->stage = 0;
}

/* The next record, if there is one. */
static int cxlfork_export_next(struct cxlfork_export_file *e)
{
	e->len = 0;
	e->done = 0;
	mutex_lock(&e->transfer.lock);
	while (e->stage && !e->len && !e->error) {
		if (cxlfork_transfer_over(&e->transfer))
			e->error = -ENODEV;
		else if (e->stage == CXLFORK_REC_START)
			cxlfork_export_start(e);
		else if (e->stage == CXLFORK_REC_SECTION)
			cxlfork_export_section(e);
		else if (e->stage == CXLFORK_REC_PAGES)
			e->error = cxlfork_export_pages(e);
		else
			cxlfork_export_end(e);
	}
	mutex_unlock(&e->transfer.lock);
	return e->error;
}

static ssize_t cxlfork_export_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct cxlfork_export_file *e = iocb->ki_filp->private_data;
	size_t n, done = 0;
	int ret;

	if (mutex_lock_interruptible(&e->io))
		return -ERESTARTSYS;
	for (ret = 0; iov_iter_count(to); done += n) {
		if (e->done == e->len) {
			ret = done && signal_pending(current) ? -EINTR :
							       cxlfork_export_next(e);
			if (ret || !e->len)
				break;
		}
		n = copy_to_iter((void *)e->record + e->done, e->len - e->done, to);
		e->done += n;
		if (!n) {
			ret = -EFAULT;
			break;
		}
		cond_resched();
	}
	mutex_unlock(&e->io);
	return done ?: ret;
}

static void cxlfork_export_give_up(struct cxlfork_transfer *x)
{
	struct cxlfork_export_file *e = container_of(x, struct cxlfork_export_file, transfer);

	if (e->template)
		cxlfork_template_put(e->template);
	e->template = NULL;
}

static int cxlfork_export_release(struct inode *inode, struct file *file)
{
	struct cxlfork_export_file *e = file->private_data;

	cxlfork_transfer_end(&e->transfer);
	kvfree(e->record);
	kfree(e);
	return 0;
}

static const struct file_operations cxlfork_export_fops = {
	.owner		= THIS_MODULE,
	.read_iter	= cxlfork_export_read,
	.splice_read	= copy_splice_read,
	.release	= cxlfork_export_release,
};

/* How long the stream will be if no page is all zero. */
static u64 cxlfork_export_most(const struct cxlfork_template *t)
{
	u64 pages = t->nr_pages, len;
	u64 records = 2, bytes;
	u32 i;

	bytes = sizeof(struct cxlfork_stream_start) + sizeof(struct cxlfork_stream_end);
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		len = cxlfork_export_length(t, i);
		bytes += len;
		records += DIV_ROUND_UP_ULL(len, CXLFORK_STREAM_CHUNK);
	}
	for (i = 0; i < t->nr_leaves; i++) {
		u32 windows = min_t(u32, t->leaves[i].nr_pages,
				    CXLFORK_LEAF_ENTRIES / CXLFORK_STREAM_WINDOW);

		bytes += windows * sizeof(struct cxlfork_stream_pages);
		records += windows;
	}
	return bytes + pages * PAGE_SIZE + records * sizeof(struct cxlfork_record);
}

static int cxlfork_export_open(struct cxlfork_export_file *e, const struct file *control,
			       struct cxlfork_export *args, struct cxlfork_log *log)
{
	struct cxlfork_pool *pool = e->transfer.pool;
	struct cxlfork_template *t = ERR_PTR(-ENODEV);

	mutex_lock(&e->transfer.lock);
	/* Listed first, then asked for the pool: whoever ends that comes by. */
	if (!e->transfer.ended && cxlfork_pool_try_hold(pool)) {
		t = cxlfork_template_open(pool, args->id, control, log);
		if (!IS_ERR(t)) {
			e->template = t;
			args->bytes = cxlfork_export_most(t);
		}
		cxlfork_pool_put(pool);
	}
	mutex_unlock(&e->transfer.lock);
	return PTR_ERR_OR_ZERO(t);
}

static struct file *cxlfork_export_file(struct cxlfork_pool *pool)
{
	struct cxlfork_export_file *e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	struct file *file = ERR_PTR(-ENOMEM);

	if (!e)
		return file;
	mutex_init(&e->io);
	e->stage = CXLFORK_REC_START;
	e->record = kvmalloc(sizeof(*e->record) + CXLFORK_RECORD_MAX, GFP_KERNEL_ACCOUNT);
	if (e->record)
		file = anon_inode_getfile("[cxlfork-export]", &cxlfork_export_fops, e,
					  O_RDONLY | O_CLOEXEC);
	if (IS_ERR(file)) {
		kvfree(e->record);
		kfree(e);
		return file;
	}
	stream_open(file_inode(file), file);
	cxlfork_transfer_begin(&e->transfer, pool, cxlfork_export_give_up);
	return file;
}

/**
 * cxlfork_export - CXLFORK_IOC_EXPORT
 * @pool:	the pool
 * @control:	its control device, as it was opened
 * @uargs:	struct cxlfork_export
 *
 * Context: process context, sleeps; no lock of the pool is held.
 * Return: a descriptor, or -errno: what cxlfork_template_open() says, and -ENODEV.
 */
int cxlfork_export(struct cxlfork_pool *pool, const struct file *control,
		   struct cxlfork_export __user *uargs)
{
	struct cxlfork_export args;
	struct cxlfork_log log = { };
	struct file *file;
	int fd = -1, ret;

	if (copy_from_user(&args, uargs, sizeof(args)))
		return -EFAULT;
	if (args.flags || args.reserved)
		return -EINVAL;
	ret = cxlfork_log_init(&log, args.nr_reports);
	if (ret)
		return ret;
	file = cxlfork_export_file(pool);
	ret = PTR_ERR_OR_ZERO(file);
	if (ret)
		goto out;
	ret = cxlfork_export_open(file->private_data, control, &args, &log);
	if (!ret) {
		fd = get_unused_fd_flags(O_CLOEXEC);
		ret = fd;
	}
	if (cxlfork_log_copy(&log, args.reports, &uargs->nr_reports) ||
	    put_user(args.bytes, &uargs->bytes))
		ret = -EFAULT;
	if (ret >= 0) {
		fd_install(fd, file);
	} else {
		if (fd >= 0)
			put_unused_fd(fd);
		fput(file);
	}
out:
	cxlfork_log_free(&log);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_export, CXLFORK);
