// SPDX-License-Identifier: GPL-2.0
/* Checkpoints as streams of bytes: out of a pool, into one. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"

int cxlfork_export(int pool, __u64 id, __u64 *most,
		   struct cxlfork_reports *reports)
{
	struct cxlfork_export args = { .id = id };
	int fd;

	cxlfork__reports_reset(reports);
	if (reports && reports->room) {
		args.reports = (uintptr_t)reports->list;
		args.nr_reports = reports->room;
	}
	fd = ioctl(pool, CXLFORK_IOC_EXPORT, &args);
	if (fd < 0)
		cxlfork__reports_settle(reports, args.nr_reports);
	else if (most)
		*most = args.bytes;
	return fd;
}

int cxlfork_import(int pool, const struct cxlfork_request *req)
{
	const char *name = req ? req->name : NULL;
	size_t len = name ? strlen(name) : 0;
	struct cxlfork_import args = { 0 };

	if (len >= CXLFORK_NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (len) {
		args.name = (uintptr_t)name;
		args.name_len = len;
	}
	if (req) {
		args.flags = req->flags;
		args.ttl = req->ttl;
		args.mode = req->mode;
	}
	return ioctl(pool, CXLFORK_IOC_IMPORT, &args);
}

__s64 cxlfork_commit(int import, struct cxlfork_reports *reports)
{
	struct cxlfork_commit args = { 0 };

	cxlfork__reports_reset(reports);
	if (reports && reports->room) {
		args.reports = (uintptr_t)reports->list;
		args.nr_reports = reports->room;
	}
	if (!ioctl(import, CXLFORK_IOC_COMMIT, &args))
		return args.id;
	cxlfork__reports_settle(reports, args.nr_reports);
	return -1;
}
