// SPDX-License-Identifier: GPL-2.0
/* Checkpoints: of the caller, or of another process. */
#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "internal.h"

static int fill_args(struct cxlfork_args *args, int pool,
		     const struct cxlfork_request *req,
		     struct cxlfork_reports *reports)
{
	size_t name_len = req->name ? strlen(req->name) : 0;

	cxlfork__reports_reset(reports);
	if (name_len >= CXLFORK_NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memset(args, 0, sizeof(*args));
	args->flags = req->flags;
	args->pool_fd = pool;
	args->pidfd = -1;
	args->ttl = req->ttl;
	args->mode = req->mode;
	if (name_len) {
		args->name = (uintptr_t)req->name;
		args->name_len = name_len;
	}
	args->handover = (uintptr_t)req->handover;
	args->nr_handover = req->nr_handover;
	if (req->payload) {
		args->payload = (uintptr_t)req->payload;
		args->payload_size = req->payload_size;
	}
	if (reports && reports->room) {
		args->reports = (uintptr_t)reports->list;
		args->nr_reports = reports->room;
	}
	if (req->pid) {
		args->pidfd = pidfd_open(req->pid, 0);
		if (args->pidfd < 0)
			return -1;
	}
	return 0;
}

static void close_pidfd(const struct cxlfork_args *args)
{
	int err = errno;

	if (args->pidfd >= 0)
		close(args->pidfd);
	errno = err;
}

static void call_hook(void (*hook)(void))
{
	int err = errno;

	if (hook)
		hook();
	errno = err;
}

__s64 cxlfork_checkpoint(int pool, struct cxlfork_request *req,
			 struct cxlfork_reports *reports)
{
	const struct cxlfork_hooks *hooks = req->pid ? NULL : req->hooks;
	struct cxlfork_args args;
	__s64 id;

	if (req->flags & CXLFORK_CHECK) {
		cxlfork__reports_reset(reports);
		errno = EINVAL;		/* 0 would mean two things */
		return -1;
	}
	if (fill_args(&args, pool, req, reports))
		return -1;
	if (hooks)
		call_hook(hooks->before);

	id = cxlfork(&args, sizeof(args));

	if (hooks)
		call_hook(id ? hooks->after_parent : hooks->after_clone);
	close_pidfd(&args);
	if (id < 0)
		cxlfork__reports_settle(reports, args.nr_reports);
	if (id == 0)
		req->payload_size = args.payload ? args.payload_size : 0;
	return id;
}

int cxlfork_check(int pool, const struct cxlfork_request *req,
		  struct cxlfork_reports *reports)
{
	struct cxlfork_request check = *req;
	struct cxlfork_args args;
	__s64 ret;

	check.flags = CXLFORK_CHECK;
	check.name = NULL;
	check.payload = NULL;
	check.ttl = 0;
	check.mode = 0;
	if (fill_args(&args, pool, &check, reports))
		return -1;
	ret = cxlfork(&args, sizeof(args));
	close_pidfd(&args);
	cxlfork__reports_settle(reports, args.nr_reports);
	if (ret < 0)
		return -1;
	return reports && reports->room ? (int)reports->found :
					  (int)args.nr_reports;
}
