// SPDX-License-Identifier: GPL-2.0
/*
 * What operations of the memory manager cost, in ticks of the TSC: where the lab
 * was booted with --icount, these are guest instructions.
 *
 *   bench unused	fork, faults, mmap, mprotect, mremap, exit
 *   bench leaf MB	restore, first writes, unsharing, exit of a clone, and of a
 *			forked child of the same size
 *
 * A line each: name, median, minimum, maximum of ROUNDS; separated by tabs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/cxlfork.h>

#define NR_cxlfork	480
#define NR_cxlrestore	481

#define PAGE	4096UL
#define LEAF	(2UL << 20)
#define ROUNDS	15
#define CHANNEL	100

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static inline uint64_t now(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static int ascending(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(const char *name, uint64_t *ticks)
{
	qsort(ticks, ROUNDS, sizeof(*ticks), ascending);
	printf("%s\t%lu\t%lu\t%lu\n", name, ticks[ROUNDS / 2], ticks[0], ticks[ROUNDS - 1]);
	fflush(stdout);
}

static char *map(size_t len)
{
	char *p = mmap(NULL, len + LEAF, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	must(p != MAP_FAILED, "mmap");
	p = (char *)(((uintptr_t)p + LEAF - 1) & ~(LEAF - 1));
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

static void touch(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE)
		p[i]++;
}

/* --- unused: each returns the ticks of what it does */

static char *area;	/* AREA bytes, touched */
static int file;

#define AREA	(16 * LEAF)

static uint64_t fork_exit_wait(void)
{
	uint64_t t = now();
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	must(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	return now() - t;
}

static uint64_t fault_write(void)
{
	char *p = map(LEAF);
	uint64_t t = now();

	touch(p, LEAF);
	t = now() - t;
	munmap(p, LEAF);
	return t;
}

static uint64_t fault_read(void)
{
	volatile char *p = map(LEAF);
	uint64_t t = now();
	size_t i;

	for (i = 0; i < LEAF; i += PAGE)
		p[i];
	t = now() - t;
	munmap((char *)p, LEAF);
	return t;
}

static uint64_t fault_file(void)
{
	volatile char *p = mmap(NULL, LEAF, PROT_READ, MAP_PRIVATE, file, 0);
	uint64_t t = now();
	size_t i;

	must(p != MAP_FAILED, "mmap of the file");
	for (i = 0; i < LEAF; i += PAGE)
		p[i];
	t = now() - t;
	munmap((char *)p, LEAF);
	return t;
}

static uint64_t fault_cow(void)
{
	uint64_t t;
	int fds[2];
	pid_t pid;

	must(!pipe(fds), "pipe");
	pid = fork();
	if (!pid) {
		t = now();
		touch(area, LEAF);
		t = now() - t;
		must(write(fds[1], &t, sizeof(t)) == sizeof(t), "write");
		_exit(0);
	}
	must(read(fds[0], &t, sizeof(t)) == sizeof(t), "read");
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	return t;
}

static uint64_t mmap_munmap(void)
{
	uint64_t t = now();
	int i;

	for (i = 0; i < 64; i++) {
		void *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		munmap(p, PAGE);
	}
	return now() - t;
}

static uint64_t munmap_touched(void)
{
	char *p = map(4 * LEAF);
	uint64_t t;

	touch(p, 4 * LEAF);
	t = now();
	munmap(p, 4 * LEAF);
	return now() - t;
}

static uint64_t mprotect_range(void)
{
	uint64_t t = now();

	must(!mprotect(area + LEAF, 2 * LEAF, PROT_READ) &&
	     !mprotect(area + LEAF, 2 * LEAF, PROT_READ | PROT_WRITE), "mprotect");
	return now() - t;
}

static uint64_t mremap_pages(void)
{
	char *p = map(LEAF), *to = map(2 * LEAF);
	uint64_t t;

	touch(p, LEAF);
	t = now();
	must(mremap(p, LEAF, LEAF, MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE) == to + PAGE,
	     "mremap");
	t = now() - t;
	munmap(to, 2 * LEAF);
	return t;
}

static uint64_t dontneed(void)
{
	char *p = map(LEAF);
	uint64_t t;

	touch(p, LEAF);
	t = now();
	must(!madvise(p + PAGE, LEAF - 2 * PAGE, MADV_DONTNEED), "madvise");
	t = now() - t;
	munmap(p, LEAF);
	return t;
}

static uint64_t loop(void)
{
	uint64_t t = now();
	unsigned int i;

	/* two instructions a turn: the unit of measurement */
	asm volatile("1: dec %0; jnz 1b" : "=r"(i) : "0"(500000));
	return now() - t;
}

static const struct {
	const char	*name;
	uint64_t	(*run)(void);
} unused[] = {
	{ "loop of 1000000 instructions",	loop },
	{ "fork, exit, wait, 32 MB touched",	fork_exit_wait },
	{ "512 write faults",			fault_write },
	{ "512 read faults",			fault_read },
	{ "2 MB of a cached file",		fault_file },
	{ "512 copies on write",		fault_cow },
	{ "64 times mmap, munmap",		mmap_munmap },
	{ "munmap of 8 MB touched",		munmap_touched },
	{ "mprotect of 4 MB, and back",		mprotect_range },
	{ "mremap of 512 pages",		mremap_pages },
	{ "MADV_DONTNEED of 510 pages",		dontneed },
};

static int bench_unused(void)
{
	uint64_t ticks[ROUNDS];
	unsigned int i, round;
	char name[] = "/tmp/bench-XXXXXX";

	file = mkstemp(name);
	must(file >= 0 && !unlink(name), "file");
	area = map(AREA);
	touch(area, AREA);
	for (i = 0; i < LEAF; i += PAGE)
		must(write(file, area, PAGE) == PAGE, "write");
	for (i = 0; i < ARRAY_SIZE(unused); i++) {
		unused[i].run();
		for (round = 0; round < ROUNDS; round++)
			ticks[round] = unused[i].run();
		report(unused[i].name, ticks);
	}
	return 0;
}

/* --- leaf */

/* What a clone or child measures of itself. */
struct own {
	uint64_t	became;		/* ticks from cxlrestore() or fork() to user space */
	uint64_t	first_write;	/* the first in 2 MiB */
	uint64_t	next_write;	/* another in the same */
	uint64_t	mprotect;	/* of one page elsewhere */
};

static char *memory;
static size_t size;
static uint64_t payload;	/* when the ghost, or the parent, asked */

static void measure_own(struct own *own, int fd, bool work)
{
	uint64_t t;

	if (work) {
		t = now();
		memory[LEAF + 5 * PAGE] = 1;
		own->first_write = now() - t;
		t = now();
		memory[LEAF + 6 * PAGE] = 1;
		own->next_write = now() - t;
		t = now();
		must(!mprotect(memory + 3 * LEAF, PAGE, PROT_READ), "mprotect");
		own->mprotect = now() - t;
	}
	must(write(fd, own, sizeof(*own)) == sizeof(*own), "write");
	/* Until it is told to end. */
	must(read(fd, own, 1) == 1, "read");
	_exit(0);
}

static void ghost(int pool, long id, int fd)
{
	struct cxlfork_fd_map map = { CHANNEL, CHANNEL };
	struct cxlrestore_args args = {
		.pool_fd = pool, .id = id, .fds = (uintptr_t)&map, .nr_fds = 1,
		.payload = (uintptr_t)&payload, .payload_size = sizeof(payload),
	};

	must(dup2(fd, CHANNEL) == CHANNEL, "dup2");
	payload = now();
	syscall(NR_cxlrestore, &args, sizeof(args));
	must(false, "cxlrestore");
}

/* Start one, hear what it says of itself, end it: how long that took. */
static uint64_t start_and_end(int pool, long id, bool work, struct own *own)
{
	int sv[2], status;
	uint64_t t;
	pid_t pid;

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socketpair");
	payload = now();
	pid = fork();
	if (!pid) {
		own->became = now() - payload;
		if (id)
			ghost(pool, id, sv[1]);
		measure_own(own, sv[1], work);
	}
	must(pid > 0, "fork");
	close(sv[1]);
	must(read(sv[0], own, sizeof(*own)) == sizeof(*own), "it did not say what it measured");
	t = now();
	must(write(sv[0], "x", 1) == 1, "write");
	must(waitpid(pid, &status, 0) == pid && !status, "it did not end well");
	close(sv[0]);
	return now() - t;
}

struct series {
	uint64_t	became[ROUNDS], first[ROUNDS], next[ROUNDS], mprotect[ROUNDS],
			end[ROUNDS];
};

static void measure(int pool, long id, bool work, struct series *s)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct own own = { 0 };

		s->end[i] = start_and_end(pool, id, work, &own);
		s->became[i] = own.became;
		s->first[i] = own.first_write;
		s->next[i] = own.next_write;
		s->mprotect[i] = own.mprotect;
	}
}

/* Checkpoint oneself; clones measure, and write if @work. */
static long checkpoint(int pool, bool work)
{
	int32_t channel = CHANNEL;
	struct cxlfork_args args = {
		.pool_fd = pool, .pidfd = -1, .handover = (uintptr_t)&channel, .nr_handover = 1,
		.payload = (uintptr_t)&payload, .payload_size = sizeof(payload),
	};
	long id = syscall(NR_cxlfork, &args, sizeof(args));
	struct own own = { 0 };

	if (!id) {
		own.became = now() - payload;
		measure_own(&own, CHANNEL, work);
	}
	must(id > 0, "cxlfork");
	return id;
}

/* The process that is checkpointed: first its forked children, as reference. */
static void __attribute__((noreturn)) parent(int pool, int fd)
{
	static struct series s;
	int work;

	memory = map(size);
	touch(memory, size);
	measure(pool, 0, false, &s);
	report("fork", s.became);
	report("exit of an untouched child", s.end);
	measure(pool, 0, true, &s);
	report("child: first write in 2 MiB", s.first);
	report("child: next write there", s.next);
	report("child: mprotect of a page", s.mprotect);

	/* Where the ids go; clones have another in its place. */
	must(dup2(fd, CHANNEL) == CHANNEL, "dup2");
	close(fd);
	for (work = 0; work < 2; work++) {
		long id = checkpoint(pool, work);

		must(write(CHANNEL, &id, sizeof(id)) == sizeof(id), "write");
	}
	_exit(0);
}

static int bench_leaf(size_t mb)
{
	static struct series s;
	int pool = open("/dev/cxlfork", O_RDWR | O_CLOEXEC), ids[2];
	struct own own = { 0 };
	long idle, busy;
	pid_t pid;

	must(pool >= 0, "/dev/cxlfork");
	size = mb << 20;
	must(!pipe(ids), "pipe");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(ids[0]);
		parent(pool, ids[1]);
	}
	close(ids[1]);
	must(read(ids[0], &idle, sizeof(idle)) == sizeof(idle) &&
	     read(ids[0], &busy, sizeof(busy)) == sizeof(busy), "no checkpoint");
	waitpid(pid, NULL, 0);

	start_and_end(pool, idle, false, &own);
	printf("the first cxlrestore on this host\t%lu\t%lu\t%lu\n", own.became, own.became,
	       own.became);
	measure(pool, idle, false, &s);
	report("cxlrestore", s.became);
	report("exit of an untouched clone", s.end);
	start_and_end(pool, busy, true, &own);
	measure(pool, busy, true, &s);
	report("clone: first write in 2 MiB", s.first);
	report("clone: next write there", s.next);
	report("clone: mprotect of a page", s.mprotect);
	report("exit of a clone that wrote 2 pages", s.end);
	must(!ioctl(pool, CXLFORK_IOC_REMOVE, &idle) && !ioctl(pool, CXLFORK_IOC_REMOVE, &busy),
	     "delete");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "unused"))
		return bench_unused();
	if (argc == 3 && !strcmp(argv[1], "leaf") && atoi(argv[2]) >= 16)
		return bench_leaf(atoi(argv[2]));
	fprintf(stderr, "usage: bench unused | leaf MEGABYTES\n");
	return 2;
}
