/* SPDX-License-Identifier: GPL-2.0 */
/* Checkpoints on their way out of a pool or into one. */
#ifndef _CXLFORK_TRANSFER_H
#define _CXLFORK_TRANSFER_H

#include <linux/cxlfork.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <uapi/linux/cxlfork_stream.h>

/**
 * struct cxlfork_transfer - an open export or import
 * @node:	in the list of all
 * @pool:	not to be touched any more once it has ended
 * @lock:	protects what it holds of the pool.  Never held over a copy from or
 *		to user space: the pool may have to go
 * @end:	give all that up; called once, with @lock held
 * @ended:	@end was called
 */
struct cxlfork_transfer {
	struct list_head	node;
	struct cxlfork_pool	*pool;
	struct mutex		lock;	/* see above */
	void			(*end)(struct cxlfork_transfer *transfer);
	bool			ended;
};

void cxlfork_transfer_begin(struct cxlfork_transfer *transfer, struct cxlfork_pool *pool,
			    void (*end)(struct cxlfork_transfer *transfer));
void cxlfork_transfer_end(struct cxlfork_transfer *transfer);

/* Nothing of the pool may be used any more.  Its @lock is held. */
static inline bool cxlfork_transfer_over(const struct cxlfork_transfer *transfer)
{
	return transfer->ended || READ_ONCE(transfer->pool->killed);
}

/**
 * struct cxlfork_stream - how far a stream has come
 * @bytes:	of whole records
 * @records:	how many
 * @pages:	pages of which the bytes were in them
 * @prev:	checksum of the last one
 */
struct cxlfork_stream {
	u64	bytes;
	u64	records;
	u64	pages;
	__le32	prev;
};

/**
 * struct cxlfork_incoming - an image that is made of a stream
 * @pool:	where
 * @log:	what is wrong with the stream
 * @at:		where in the stream the record is that is looked at
 * @attr:	what the checkpoint is to be
 * @start:	what the stream says of itself
 * @sec:	sections, as far as they have come
 * @template:	once they are all there: checked and decoded
 * @ckpt:	from then on: the new checkpoint
 * @table:	entries of the leaf that is filled
 * @leaf:	number of that leaf
 * @vma:	mapping that its last page was in
 * @next:	first entry that may come next
 * @filled:	entries that have come
 * @used:	data pages written, as if all of the huge ones were
 * @used_huge:	pages of 2 MiB written
 * @sealed:	all is written
 */
struct cxlfork_incoming {
	struct cxlfork_pool		*pool;
	struct cxlfork_log		*log;
	u64				at;
	struct cxlfork_ckpt_attr	attr;
	struct cxlfork_stream_start	start;
	struct cxlfork_buf		sec[CXLFORK_NR_SECTIONS];
	struct cxlfork_template		*template;
	struct cxlfork_ckpt		*ckpt;
	u64				*table;
	u32				leaf;
	u32				vma;
	u32				next;
	u32				filled;
	u64				used;
	u64				used_huge;
	bool				sealed;
};

int cxlfork_incoming_start(struct cxlfork_incoming *in, const void *data, u32 len);
int cxlfork_incoming_section(struct cxlfork_incoming *in, u32 type, const void *data, u32 len);
int cxlfork_incoming_pages(struct cxlfork_incoming *in, u32 leaf, const void *data, u32 len);
int cxlfork_incoming_seal(struct cxlfork_incoming *in);
void cxlfork_incoming_free(struct cxlfork_incoming *in);

#endif /* _CXLFORK_TRANSFER_H */
