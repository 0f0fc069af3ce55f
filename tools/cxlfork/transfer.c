// SPDX-License-Identifier: GPL-2.0
/* Many bytes from one descriptor to another. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "transfer.h"

#define CHUNK		(1024 * 1024)

/* Seconds before anything is shown, and between two times. */
#define PATIENCE	2.0
#define INTERVAL	0.5

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void show(const struct transfer *t)
{
	char done[HUMAN_MAX], total[HUMAN_MAX];

	fprintf(stderr, "\rcxlfork: %s", human_size(done, t->done));
	if (t->total)
		fprintf(stderr, " of %s%s", t->most ? "at most " : "",
			human_size(total, t->total));
	fputs("\033[K", stderr);
	fflush(stderr);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			errno = EIO;	/* nothing does that, but would for ever */
		if (n <= 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

/* The next chunk; 0: it was the last one. */
static ssize_t copy_chunk(struct transfer *t, char *buf)
{
	ssize_t n;

	t->reading = true;
	do {
		n = read(t->from, buf, CHUNK);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	t->reading = false;
	if (write_all(t->to, buf, n))
		return -1;
	t->done += n;
	return n;
}

int transfer(struct transfer *t)
{
	double next = isatty(STDERR_FILENO) ? now() + PATIENCE : 0;
	static char buf[CHUNK];
	bool shown = false;
	ssize_t n;
	int err;

	t->done = 0;
	t->reading = false;
	while ((n = copy_chunk(t, buf)) > 0) {
		if (!next || now() < next)
			continue;
		show(t);
		shown = true;
		next = now() + INTERVAL;
	}
	err = errno;
	if (shown)
		fputs("\r\033[K", stderr);
	errno = err;
	return n;
}
