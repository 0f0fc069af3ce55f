// SPDX-License-Identifier: GPL-2.0
/*
 * Exports and imports that are open.  They are descriptors that somebody may
 * keep for ever: a pool that has to go does not wait for them but ends them.
 */
#include <linux/workqueue.h>
#include "transfer.h"

/* Taken before any cxlfork_transfer.lock. */
static DEFINE_MUTEX(cxlfork_transfers_lock);
static LIST_HEAD(cxlfork_transfers);

/**
 * cxlfork_transfer_begin - from now on it may be ended
 * @x:		the transfer
 * @pool:	what it uses
 * @end:	see struct cxlfork_transfer
 *
 * Context: process context, sleeps.
 */
void cxlfork_transfer_begin(struct cxlfork_transfer *x, struct cxlfork_pool *pool,
			    void (*end)(struct cxlfork_transfer *transfer))
{
	x->pool = pool;
	x->end = end;
	mutex_init(&x->lock);
	mutex_lock(&cxlfork_transfers_lock);
	list_add(&x->node, &cxlfork_transfers);
	mutex_unlock(&cxlfork_transfers_lock);
}

static void cxlfork_transfer_end_locked(struct cxlfork_transfer *x)
{
	mutex_lock(&x->lock);
	if (!x->ended)
		x->end(x);
	x->ended = true;
	mutex_unlock(&x->lock);
}

/**
 * cxlfork_transfer_end - the last of a transfer: nobody else has it
 * @x:		the transfer; may be freed then
 *
 * Context: process context, sleeps.
 */
void cxlfork_transfer_end(struct cxlfork_transfer *x)
{
	mutex_lock(&cxlfork_transfers_lock);
	list_del(&x->node);
	mutex_unlock(&cxlfork_transfers_lock);
	cxlfork_transfer_end_locked(x);
}

/**
 * cxlfork_transfers_end - end what uses a pool
 * @pool:	the pool
 *
 * Context: process context, sleeps.
 */
void cxlfork_transfers_end(struct cxlfork_pool *pool)
{
	struct cxlfork_transfer *x;

	mutex_lock(&cxlfork_transfers_lock);
	list_for_each_entry(x, &cxlfork_transfers, node)
		if (x->pool == pool)
			cxlfork_transfer_end_locked(x);
	mutex_unlock(&cxlfork_transfers_lock);
}

static struct cxlfork_pool *cxlfork_lost_pool;

static void cxlfork_transfers_lost(struct work_struct *work)
{
	cxlfork_transfers_end(READ_ONCE(cxlfork_lost_pool));
}

static DECLARE_WORK(cxlfork_lost_work, cxlfork_transfers_lost);

/**
 * cxlfork_transfers_kill - end what uses a pool, soon
 * @pool:	the pool
 *
 * Context: any; the caller may hold locks of the pool.
 */
void cxlfork_transfers_kill(struct cxlfork_pool *pool)
{
	WRITE_ONCE(cxlfork_lost_pool, pool);
	queue_work(system_unbound_wq, &cxlfork_lost_work);
}
