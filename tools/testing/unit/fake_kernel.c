// SPDX-License-Identifier: GPL-2.0
/*
 * To be preloaded: the two system calls, played with fork() and _exit(), so
 * that the commands and the Python module can be tested on any kernel.
 *
 * FAKE_OBSTACLES=N: refuse, with N records.  FAKE_EXIT=N: the status that a
 * clone exits with; FAKE_SIGNAL=N: the signal it dies from.  FAKE_GONE=N: there is
 * no checkpoint of this id.  FAKE_EXEC: a clone becomes a program that sleeps.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cxlfork.h"

#define NR_CXLFORK	480
#define NR_CXLRESTORE	481
#define FAKE_ID		0x10100

static int number(const char *name)
{
	const char *text = getenv(name);

	return text ? atoi(text) : 0;
}

static long refuse(struct cxlfork_report *list, __u32 *nr)
{
	__u32 i, found = number("FAKE_OBSTACLES");

	for (i = 0; i < found && i < *nr; i++) {
		memset(&list[i], 0, sizeof(list[i]));
		list[i].reason = CXLFORK_REASON_FD;
		list[i].fd = 3 + i;
		snprintf(list[i].text, sizeof(list[i].text), "a socket");
	}
	*nr = found;
	if (!found)
		return 0;
	errno = EOPNOTSUPP;
	return -1;
}

static long fake_cxlfork(struct cxlfork_args *args)
{
	struct cxlfork_report *list = (void *)args->reports;
	long refused = refuse(list, &args->nr_reports);
	static const char payload[] = "hello";

	if (args->flags & CXLFORK_CHECK)
		return 0;
	if (refused)
		return refused;
	if (args->pidfd >= 0)
		return FAKE_ID;
	if (fork()) {
		wait(NULL);		/* the clone speaks first */
		return FAKE_ID;
	}
	args->payload_size = sizeof(payload) - 1;
	memcpy((void *)args->payload, payload, args->payload_size);
	return 0;
}

/* A clone that says what it was given, to what is its standard output. */
static long fake_cxlrestore(struct cxlrestore_args *args)
{
	const struct cxlfork_fd_map *map = (void *)args->fds;
	int out = STDOUT_FILENO;
	__u32 i;

	if (refuse((void *)args->reports, &args->nr_reports))
		return -1;
	if (args->id == (__u64)number("FAKE_GONE")) {
		errno = ENOENT;
		return -1;
	}
	for (i = 0; i < args->nr_fds; i++)
		if (map[i].image_fd == STDOUT_FILENO)
			out = map[i].ghost_fd;
	dprintf(out, "clone of 0x%llx: %.*s", args->id, (int)args->payload_size,
		(const char *)args->payload);
	for (i = 0; i < args->nr_fds; i++)
		dprintf(out, " %d", map[i].image_fd);
	dprintf(out, "\n");
	if (number("FAKE_SIGNAL"))
		raise(number("FAKE_SIGNAL"));
	if (number("FAKE_EXEC"))
		execlp("sleep", "sleep", "600", NULL);
	_exit(number("FAKE_EXIT"));
}

long syscall(long nr, ...)
{
	long args[6], ret;
	va_list list;
	int i;

	va_start(list, nr);
	for (i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);
	if (nr == NR_CXLFORK)
		return fake_cxlfork((void *)args[0]);
	if (nr == NR_CXLRESTORE)
		return fake_cxlrestore((void *)args[0]);

	register long r10 __asm__("r10") = args[3];
	register long r8 __asm__("r8") = args[4];
	register long r9 __asm__("r9") = args[5];

	__asm__ volatile ("syscall" : "=a" (ret)
			  : "a" (nr), "D" (args[0]), "S" (args[1]),
			    "d" (args[2]), "r" (r10), "r" (r8), "r" (r9)
			  : "rcx", "r11", "memory");
	if (ret >= 0 || ret < -4095)
		return ret;
	errno = -ret;
	return -1;
}
