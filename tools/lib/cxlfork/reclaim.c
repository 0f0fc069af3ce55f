// SPDX-License-Identifier: GPL-2.0
/* Delete what nobody needs until enough is free. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cxlfork.h"

/* How long an owner may take to give memory back that was deleted. */
#define SETTLE_TRIES	20
#define SETTLE_NS	100000000L

/**
 * struct candidate - a checkpoint of the list
 * @info:	as it was listed
 * @expired:	its time has come
 * @done:	it was deleted, or that has failed
 */
struct candidate {
	struct cxlfork_ckpt_info	info;
	bool				expired;
	bool				done;
};

/**
 * struct list - all checkpoints, in the order in which they are deleted
 * @items:	they
 * @nr:		how many
 * @room:	how many fit at @items
 * @done:	ids of those that this or an earlier pass is done with
 * @nr_done:	how many
 */
struct list {
	struct candidate	*items;
	size_t			nr;
	size_t			room;
	__u64			*done;
	size_t			nr_done;
};

static bool list_done(struct list *list, struct candidate *c)
{
	__u64 *done = reallocarray(list->done, list->nr_done + 1,
				   sizeof(*done));

	if (!done)
		return false;
	list->done = done;
	done[list->nr_done++] = c->info.id;
	c->done = true;
	return true;
}

static bool is_done(const struct list *list, __u64 id)
{
	size_t i;

	for (i = 0; i < list->nr_done; i++)
		if (list->done[i] == id)
			return true;
	return false;
}

static bool list_add(struct list *list, const struct cxlfork_ckpt_info *info,
		     __u64 now)
{
	size_t room = list->room ? 2 * list->room : 64;
	struct candidate *items;

	if (list->nr == list->room) {
		items = reallocarray(list->items, room, sizeof(*items));
		if (!items)
			return false;
		list->items = items;
		list->room = room;
	}
	memset(&list->items[list->nr], 0, sizeof(*items));
	list->items[list->nr].info = *info;
	list->items[list->nr].expired = info->expires && info->expires <= now;
	list->items[list->nr].done = is_done(list, info->id);
	list->nr++;
	return true;
}

static __u64 last_use(const struct cxlfork_ckpt_info *info)
{
	return info->restored > info->created ? info->restored : info->created;
}

static int by_worth(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->expired != y->expired)
		return x->expired ? -1 : 1;
	if (last_use(&x->info) != last_use(&y->info))
		return last_use(&x->info) < last_use(&y->info) ? -1 : 1;
	return x->info.id < y->info.id ? -1 : x->info.id > y->info.id;
}

static int list_load(int pool, struct list *list)
{
	struct cxlfork_ckpt_info info = { 0 };
	__u64 now = time(NULL);
	int ret;

	list->nr = 0;
	while ((ret = cxlfork_next(pool, &info)) > 0) {
		if (!list_add(list, &info, now)) {
			errno = ENOMEM;
			return -1;
		}
	}
	if (list->nr)
		qsort(list->items, list->nr, sizeof(*list->items), by_worth);
	return ret;
}

/* What becomes of a checkpoint if it is deleted, or why it isn't. */
static enum cxlfork_reclaimed judge(const struct candidate *c)
{
	const struct cxlfork_ckpt_info *info = &c->info;

	if (info->state != CXLFORK_CKPT_LIVE)
		return CXLFORK_RECLAIM_UNFINISHED;
	if (info->pins)
		return CXLFORK_RECLAIM_PINNED;
	if (!info->refs && !info->keeps)
		return CXLFORK_RECLAIM_FREED;
	/* It can't be restored any more: let it go with its last user. */
	if (c->expired)
		return CXLFORK_RECLAIM_RETIRED;
	return info->refs ? CXLFORK_RECLAIM_IN_USE : CXLFORK_RECLAIM_PARENT;
}

static void tell(const struct cxlfork_reclaim *reclaim,
		 const struct candidate *c, enum cxlfork_reclaimed what,
		 int err)
{
	if (reclaim->each)
		reclaim->each(&c->info, what, c->expired, err, reclaim->arg);
}

static bool enough(const struct cxlfork_reclaim *reclaim)
{
	return reclaim->need != CXLFORK_RECLAIM_ALL &&
	       reclaim->need <= reclaim->free;
}

static enum cxlfork_reclaimed remove_one(int pool, struct candidate *c,
					 enum cxlfork_reclaimed what, int *err)
{
	if (!cxlfork_remove(pool, c->info.id))
		return what;
	*err = errno;
	switch (*err) {
	case ENOENT:		/* its host was faster: it has expired */
		*err = 0;
		return what;
	case EINPROGRESS:
		return CXLFORK_RECLAIM_PENDING;
	case EBUSY:
		return CXLFORK_RECLAIM_PINNED;
	default:
		return CXLFORK_RECLAIM_FAILED;
	}
}

/* Return: 1: it has made room; 0; -1. */
static int reclaim_one(int pool, struct cxlfork_reclaim *reclaim,
		       struct list *list, struct candidate *c)
{
	enum cxlfork_reclaimed what = judge(c);
	int err = 0;

	if (c->done || what > CXLFORK_RECLAIM_RETIRED ||
	    (!c->expired && enough(reclaim)))
		return 0;
	if (!list_done(list, c)) {
		errno = ENOMEM;
		return -1;
	}
	if (!reclaim->dry_run)
		what = remove_one(pool, c, what, &err);
	tell(reclaim, c, what, err);
	if (what != CXLFORK_RECLAIM_FREED)
		return 0;
	reclaim->freed += c->info.bytes;
	reclaim->free += c->info.bytes;
	return 1;
}

static int free_bytes(int pool, __u64 *bytes)
{
	struct cxlfork_pool_info info;

	if (cxlfork_pool_info(pool, &info))
		return -1;
	*bytes = info.free_extents * info.extent_size;
	return 0;
}

/* Wait until what was deleted is free; others may have taken it by then. */
static int settle(int pool, struct cxlfork_reclaim *reclaim)
{
	const struct timespec pause = { 0, SETTLE_NS };
	__u64 wanted = reclaim->free;
	int i;

	for (i = 0; i < SETTLE_TRIES; i++) {
		if (free_bytes(pool, &reclaim->free))
			return -1;
		if (reclaim->free >= wanted)
			break;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* A pass over all of them; return: whether one was freed, or -1. */
static int pass(int pool, struct cxlfork_reclaim *reclaim, struct list *list)
{
	bool freed = false;
	size_t i;
	int ret;

	if (list_load(pool, list))
		return -1;
	for (i = 0; i < list->nr; i++) {
		ret = reclaim_one(pool, reclaim, list, &list->items[i]);
		if (ret < 0)
			return -1;
		freed |= ret;
	}
	if (freed && !reclaim->dry_run && settle(pool, reclaim))
		return -1;
	return freed;
}

int cxlfork_reclaim(int pool, struct cxlfork_reclaim *reclaim)
{
	struct list list = { 0 };
	int ret;
	size_t i;

	reclaim->freed = 0;
	if (free_bytes(pool, &reclaim->free))
		return -1;
	/* The parents of what was freed are perhaps nobody's use now. */
	do {
		ret = pass(pool, reclaim, &list);
	} while (ret > 0 && !reclaim->dry_run && !enough(reclaim));
	/* If that wasn't enough: what is left, and why. */
	for (i = 0; ret >= 0 && !enough(reclaim) && i < list.nr; i++)
		if (!list.items[i].done)
			tell(reclaim, &list.items[i], judge(&list.items[i]), 0);
	if (ret >= 0 && reclaim->need != CXLFORK_RECLAIM_ALL &&
	    !enough(reclaim)) {
		errno = ENOSPC;
		ret = -1;
	}
	free(list.items);
	free(list.done);
	return ret < 0 ? -1 : 0;
}
