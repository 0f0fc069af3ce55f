// SPDX-License-Identifier: GPL-2.0
/* Clones: the caller becomes one, or a child of it does. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

int cxlfork_restore(int pool, const struct cxlfork_order *order,
		    struct cxlfork_reports *reports)
{
	struct cxlrestore_args args = {
		.id		= order->id,
		.pool_fd	= pool,
		.payload	= (uintptr_t)order->payload,
		.payload_size	= order->payload_size,
		.fds		= (uintptr_t)order->fds,
		.nr_fds		= order->nr_fds,
	};

	cxlfork__reports_reset(reports);
	if (reports && reports->room) {
		args.reports = (uintptr_t)reports->list;
		args.nr_reports = reports->room;
	}
	cxlrestore(&args, sizeof(args));	/* comes back only to say why not */
	cxlfork__reports_settle(reports, args.nr_reports);
	return -1;
}

/* What a ghost that failed tells its parent; its records follow. */
struct failure {
	int		err;
	unsigned int	found;
};

static bool write_all(int fd, const void *from, size_t size)
{
	const char *at = from;

	while (size) {
		ssize_t n = write(fd, at, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		size -= n;
	}
	return true;
}

/* Returns bytes read: fewer than @size at the end of the file. */
static size_t read_all(int fd, void *to, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, (char *)to + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += n;
	}
	return done;
}

/* In the child: async-signal-safe functions only. */
static void ghost(int pool, const struct cxlfork_order *order,
		  unsigned int flags, struct cxlfork_reports *reports, int fd)
{
	struct failure failure = { 0 };

	if (flags & CXLFORK_SPAWN_SETSID)
		setsid();
	cxlfork_restore(pool, order, reports);
	failure.err = errno;
	failure.found = reports ? reports->found : 0;
	if (write_all(fd, &failure, sizeof(failure)) && reports)
		write_all(fd, reports->list, cxlfork_reports_count(reports) *
			  sizeof(*reports->list));
	_exit(127);
}

/*
 * The pipe closes when the ghost becomes the clone, which has the image's
 * descriptors only: an end of file without a word is success.
 */
pid_t cxlfork_spawn(int pool, const struct cxlfork_order *order,
		    unsigned int flags, struct cxlfork_reports *reports)
{
	struct failure failure;
	int fds[2], err;
	size_t size;
	pid_t pid;

	cxlfork__reports_reset(reports);
	if (flags & ~CXLFORK_SPAWN_SETSID) {
		errno = EINVAL;
		return -1;
	}
	if (pipe2(fds, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid < 0) {
		err = errno;
		close(fds[0]);
		close(fds[1]);
		errno = err;
		return -1;
	}
	if (pid == 0)
		ghost(pool, order, flags, reports, fds[1]);

	close(fds[1]);
	size = read_all(fds[0], &failure, sizeof(failure));
	if (size == 0) {
		close(fds[0]);
		return pid;
	}
	err = size == sizeof(failure) && failure.err ? failure.err : EPIPE;
	if (size == sizeof(failure) && reports) {
		reports->found = failure.found;
		size = cxlfork_reports_count(reports) * sizeof(*reports->list);
		if (read_all(fds[0], reports->list, size) != size)
			cxlfork__reports_reset(reports);
	}
	close(fds[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = err;
	return -1;
}
