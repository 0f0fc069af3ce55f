// SPDX-License-Identifier: GPL-2.0
/*
 * The descriptor that a stream is written to: puts records together, checks
 * them one by one and has an image made of them, which a last call publishes.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>
#include <linux/uio.h>
#include "crc.h"
#include "transfer.h"

/**
 * struct cxlfork_import_file - an open import
 * @transfer:	ended with its pool
 * @io:		one writer at a time
 * @in:		what is made of it
 * @log:	the first thing that was wrong
 * @stream:	how far it has come
 * @type:	of the last record
 * @index:	of the last record
 * @error:	it can't go on
 * @held:	in.pool is held
 * @published:	nothing more to do
 * @record:	the one that is written
 * @len:	bytes of it so far
 */
struct cxlfork_import_file {
	struct cxlfork_transfer	transfer;
	struct mutex		io;	/* one writer at a time */
	struct cxlfork_incoming	in;
	struct cxlfork_log	log;
	struct cxlfork_stream	stream;
	u32			type;
	u32			index;
	int			error;
	bool			held;
	bool			published;
	struct cxlfork_record	*record;
	size_t			len;
};

static int cxlfork_import_bad(struct cxlfork_import_file *im, const char *what)
{
	cxlfork_report(&im->log, CXLFORK_REASON_STREAM, -1, 0, 0, im->stream.bytes,
		       "the stream is damaged at byte %llu: %s", im->stream.bytes, what);
	return -EBADMSG;
}

/* The header is there; what it says of the length is needed to go on. */
static int cxlfork_import_header(struct cxlfork_import_file *im)
{
	const struct cxlfork_record *rec = im->record;

	if (le32_to_cpu(rec->magic) != CXLFORK_RECORD_MAGIC)
		return cxlfork_import_bad(im, im->stream.records ? "a record has no magic" :
					      "this is no exported checkpoint");
	if (le32_to_cpu(rec->length) > CXLFORK_RECORD_MAX)
		return cxlfork_import_bad(im, "a record is too long");
	if (rec->prev != im->stream.prev)
		return cxlfork_import_bad(im, "a record is missing or out of order");
	return 0;
}

static int cxlfork_import_last(struct cxlfork_import_file *im, const void *data, u32 len)
{
	const struct cxlfork_stream_end *end = data;

	if (len != sizeof(*end) || le64_to_cpu(end->bytes) != im->stream.bytes ||
	    le64_to_cpu(end->records) != im->stream.records ||
	    le64_to_cpu(end->pages) != im->stream.pages)
		return cxlfork_import_bad(im, "its end does not fit the rest");
	return cxlfork_incoming_seal(&im->in);
}

/* The record is complete, as its checksum proves: what it says counts. */
static int cxlfork_import_dispatch(struct cxlfork_import_file *im)
{
	u32 type = le32_to_cpu(im->record->type), index = le32_to_cpu(im->record->index);
	u32 len = le32_to_cpu(im->record->length);
	bool several = type == CXLFORK_REC_SECTION || type == CXLFORK_REC_PAGES;
	bool first = type == CXLFORK_REC_START;
	const void *data = im->record + 1;

	if (first != !im->stream.records || type < im->type || type > CXLFORK_REC_END ||
	    (type == im->type && index < im->index) || (index && !several))
		return cxlfork_import_bad(im, "a record that does not belong there");
	im->type = type;
	im->index = index;
	im->in.at = im->stream.bytes;
	switch (type) {
	case CXLFORK_REC_START:
		return cxlfork_incoming_start(&im->in, data, len);
	case CXLFORK_REC_SECTION:
		return cxlfork_incoming_section(&im->in, index, data, len);
	case CXLFORK_REC_PAGES:
		im->stream.pages += len / CXLFORK_STREAM_PAGE;
		return cxlfork_incoming_pages(&im->in, index, data, len);
	default:
		return cxlfork_import_last(im, data, len);
	}
}

static int cxlfork_import_record(struct cxlfork_import_file *im)
{
	struct cxlfork_record *rec = im->record;
	__le32 crc = rec->crc;
	int ret;

	rec->crc = 0;
	if (le32_to_cpu(crc) != cxlfork_crc(rec, im->len))
		return cxlfork_import_bad(im, "a record's checksum is wrong");
	mutex_lock(&im->transfer.lock);
	ret = cxlfork_transfer_over(&im->transfer) ? -ENODEV : cxlfork_import_dispatch(im);
	mutex_unlock(&im->transfer.lock);
	im->stream.prev = crc;
	im->stream.bytes += im->len;
	im->stream.records++;
	im->len = 0;
	return ret;
}

/* Take what is still missing of the record; returns the bytes. */
static size_t cxlfork_import_take(struct cxlfork_import_file *im, struct iov_iter *from)
{
	size_t want = sizeof(*im->record), n;

	if (im->len >= want)
		want += le32_to_cpu(im->record->length);
	n = copy_from_iter((void *)im->record + im->len, want - im->len, from);
	im->len += n;
	if (im->len == sizeof(*im->record) && n)
		im->error = cxlfork_import_header(im);
	if (!im->error && im->len >= sizeof(*im->record) &&
	    im->len == sizeof(*im->record) + le32_to_cpu(im->record->length))
		im->error = cxlfork_import_record(im);
	return n;
}

static ssize_t cxlfork_import_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct cxlfork_import_file *im = iocb->ki_filp->private_data;
	size_t n, done = 0;
	int ret = 0;

	if (mutex_lock_interruptible(&im->io))
		return -ERESTARTSYS;
	while (iov_iter_count(from)) {
		if (!im->error && im->in.sealed)
			im->error = cxlfork_import_bad(im, "it goes on after its end");
		ret = im->error;
		if (ret)
			break;
		if (done && signal_pending(current))
			break;
		n = cxlfork_import_take(im, from);
		if (!n) {
			ret = -EFAULT;
			break;
		}
		done += n;
		cond_resched();
	}
	/* At once, not with the next write: there may be none. */
	if (im->error)
		done = 0;
	mutex_unlock(&im->io);
	return done ?: im->error ?: ret;
}

static int cxlfork_import_publish(struct cxlfork_import_file *im, u64 *id)
{
	struct cxlfork_incoming *in = &im->in;
	int ret;

	if (!in->sealed)
		return cxlfork_import_bad(im, "it ends too early");
	mutex_lock(&im->transfer.lock);
	ret = -ENODEV;
	if (!cxlfork_transfer_over(&im->transfer)) {
		*id = in->ckpt->id;
		ret = in->pool->ops->publish(in->ckpt);
		in->ckpt = NULL;
		if (ret)
			*id = 0;
	}
	mutex_unlock(&im->transfer.lock);
	im->published = !ret;
	return ret;
}

static long cxlfork_import_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct cxlfork_commit __user *uargs = (void __user *)arg;
	struct cxlfork_import_file *im = file->private_data;
	struct cxlfork_commit args;
	struct cxlfork_log log;
	u64 id = 0;
	int ret;

	if (cmd != CXLFORK_IOC_COMMIT)
		return -ENOTTY;
	if (copy_from_user(&args, uargs, sizeof(args)))
		return -EFAULT;
	if (args.reserved)
		return -EINVAL;
	if (mutex_lock_interruptible(&im->io))
		return -ERESTARTSYS;
	if (im->published) {
		mutex_unlock(&im->io);
		return -EALREADY;
	}
	if (!im->error)
		im->error = cxlfork_import_publish(im, &id);
	ret = im->error;
	log = im->log;
	log.capacity = min(log.capacity, args.nr_reports);
	if (cxlfork_log_copy(&log, args.reports, &uargs->nr_reports) ||
	    put_user(id, &uargs->id))
		ret = ret ?: -EFAULT;
	mutex_unlock(&im->io);
	return ret;
}

static void cxlfork_import_give_up(struct cxlfork_transfer *x)
{
	struct cxlfork_import_file *im = container_of(x, struct cxlfork_import_file, transfer);

	cxlfork_incoming_free(&im->in);
	if (im->held)
		cxlfork_pool_put(x->pool);
	im->held = false;
}

static int cxlfork_import_release(struct inode *inode, struct file *file)
{
	struct cxlfork_import_file *im = file->private_data;

	cxlfork_transfer_end(&im->transfer);
	cxlfork_log_free(&im->log);
	kvfree(im->record);
	kfree(im);
	return 0;
}

static const struct file_operations cxlfork_import_fops = {
	.owner		= THIS_MODULE,
	.write_iter	= cxlfork_import_write,
	.splice_write	= iter_file_splice_write,
	.unlocked_ioctl	= cxlfork_import_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.release	= cxlfork_import_release,
};

static struct file *cxlfork_import_file(struct cxlfork_pool *pool)
{
	struct cxlfork_import_file *im = kzalloc(sizeof(*im), GFP_KERNEL_ACCOUNT);
	struct file *file = ERR_PTR(-ENOMEM);

	if (!im)
		return file;
	mutex_init(&im->io);
	im->in.pool = pool;
	im->in.log = &im->log;
	im->record = kvmalloc(sizeof(*im->record) + CXLFORK_RECORD_MAX, GFP_KERNEL_ACCOUNT);
	if (im->record && !cxlfork_log_init(&im->log, 1))
		file = anon_inode_getfile("[cxlfork-import]", &cxlfork_import_fops, im,
					  O_WRONLY | O_CLOEXEC);
	if (IS_ERR(file)) {
		cxlfork_log_free(&im->log);
		kvfree(im->record);
		kfree(im);
		return file;
	}
	stream_open(file_inode(file), file);
	cxlfork_transfer_begin(&im->transfer, pool, cxlfork_import_give_up);
	/* Listed first, then asked for the pool: whoever ends that comes by. */
	mutex_lock(&im->transfer.lock);
	im->held = !im->transfer.ended && cxlfork_pool_try_hold(pool);
	mutex_unlock(&im->transfer.lock);
	if (im->held)
		return file;
	fput(file);
	return ERR_PTR(-ENODEV);
}

/**
 * cxlfork_import - CXLFORK_IOC_IMPORT
 * @pool:	the pool
 * @uargs:	struct cxlfork_import
 *
 * Context: process context, sleeps; no lock of the pool is held.
 * Return: a descriptor; or -errno: -EINVAL: no name or unknown flags, -ENODEV,
 * -ENOMEM, -EMFILE, -EFAULT.
 */
int cxlfork_import(struct cxlfork_pool *pool, struct cxlfork_import __user *uargs)
{
	struct cxlfork_import_file *im;
	struct cxlfork_ckpt_attr attr = {
		.uid = from_kuid(&init_user_ns, current_fsuid()),
		.gid = from_kgid(&init_user_ns, current_fsgid()),
	};
	struct cxlfork_import args;
	struct file *file;
	int fd, ret;

	if (copy_from_user(&args, uargs, sizeof(args)))
		return -EFAULT;
	if ((args.flags & ~CXLFORK_PIN) || (args.mode & ~0066))
		return -EINVAL;
	attr.mode = 0600 | args.mode;
	attr.ttl = args.ttl;
	attr.pin = args.flags & CXLFORK_PIN;
	attr.privileged = ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
	attr.quota = attr.privileged ? 0 : cxlfork_quota();
	ret = cxlfork_copy_name(attr.name, args.name, args.name_len);
	if (ret)
		return ret;
	file = cxlfork_import_file(pool);
	if (IS_ERR(file))
		return PTR_ERR(file);
	im = file->private_data;
	im->in.attr = attr;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		fput(file);
	else
		fd_install(fd, file);
	return fd;
}
EXPORT_SYMBOL_NS_GPL(cxlfork_import, CXLFORK);
