// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations of the memory manager in clones, each shadowed by a model of
 * what the memory must hold; the same in forked children, as a reference.
 *
 *   CXLFORK_SEED=N	replay (each run prints its seed)
 *   CXLFORK_OPS=N	operations of each process
 *   CXLFORK_FAIL=1	with fault injection set up (make-it-fail): allocations fail
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cxlfork_test.h"

#define LEAVES	12UL
#define PAGES	(LEAVES * LEAF / PAGE)
#define CLONES	3
#define UNMAPPED -1

static unsigned char *area;
static int tag[PAGES];		/* what a page holds, or UNMAPPED */
static unsigned char prot[PAGES];
static uint64_t state;
static long refused;		/* operations that failed for lack of memory */

static unsigned int rnd(unsigned int below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 20) % below;
}

/* Let allocations of this process fail, as fault injection was told to. */
static void inject(bool on)
{
	int fd;

	if (!getenv("CXLFORK_FAIL"))
		return;
	fd = open("/proc/self/make-it-fail", O_WRONLY);
	if (fd < 0 || write(fd, on ? "1" : "0", 1) != 1)
		_exit(77);
	close(fd);
}

static void die(const char *what, unsigned long page)
{
	inject(false);
	fprintf(stderr, "# %s: page %lu, tag %d, protection %u: %s\n", what, page,
		tag[page], prot[page], strerror(errno));
	_exit(1);
}

static int *word(unsigned long page)
{
	return (int *)(area + page * PAGE + 8);
}

static void check(void)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++)
		if (tag[i] != UNMAPPED && (prot[i] & PROT_READ) &&
		    *(volatile int *)word(i) != tag[i])
			die("content", i);
}

static void set(unsigned long from, unsigned long n, int value, int protection)
{
	unsigned long i;

	for (i = from; i < from + n; i++) {
		tag[i] = value;
		if (protection >= 0)
			prot[i] = protection;
	}
}

static bool mapped(unsigned long from, unsigned long n)
{
	unsigned long i;

	for (i = from; i < from + n; i++)
		if (tag[i] == UNMAPPED)
			return false;
	return true;
}

/* Failed: for lack of memory only; then without fault injection once more. */
static void again(const char *what, unsigned long page)
{
	if (errno != ENOMEM && errno != EAGAIN)
		die(what, page);
	refused++;
	inject(false);
}

static void op_write(unsigned long at, unsigned long n)
{
	unsigned long i;

	inject(false);	/* an OOM here is a SIGBUS or worse: not what is tested */
	for (i = at; i < at + n && i < at + 30; i++)
		if (tag[i] != UNMAPPED && (prot[i] & PROT_WRITE)) {
			tag[i] = rnd(1 << 24);
			*word(i) = tag[i];
		}
}

static void op_mprotect(unsigned long at, unsigned long n)
{
	static const int which[] = { PROT_NONE, PROT_READ, 3, 3 };
	int p = which[rnd(4)];
	unsigned long i;

	if (!mapped(at, n))
		return;
	if (mprotect(area + at * PAGE, n * PAGE, p)) {
		again("mprotect", at);
		if (mprotect(area + at * PAGE, n * PAGE, p))
			die("mprotect again", at);
	}
	for (i = at; i < at + n; i++)
		prot[i] = p;
}

static void op_munmap(unsigned long at, unsigned long n)
{
	if (rnd(3))
		return;
	if (munmap(area + at * PAGE, n * PAGE)) {
		again("munmap", at);
		if (munmap(area + at * PAGE, n * PAGE))
			die("munmap again", at);
	}
	set(at, n, UNMAPPED, -1);
}

static void op_dontneed(unsigned long at, unsigned long n)
{
	if (!mapped(at, n))
		return;
	if (madvise(area + at * PAGE, n * PAGE, MADV_DONTNEED)) {
		again("MADV_DONTNEED", at);
		if (madvise(area + at * PAGE, n * PAGE, MADV_DONTNEED))
			die("MADV_DONTNEED again", at);
	}
	set(at, n, 0, -1);
}

static void *map(unsigned long at, unsigned long n)
{
	return mmap(area + at * PAGE, n * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void op_mmap(unsigned long at, unsigned long n)
{
	if (map(at, n) == MAP_FAILED) {
		again("mmap", at);
		if (map(at, n) == MAP_FAILED)
			die("mmap again", at);
	}
	set(at, n, 0, PROT_READ | PROT_WRITE);
}

static void op_mremap(unsigned long at, unsigned long n)
{
	unsigned long to = rnd(PAGES), i;

	if (rnd(2)) {
		/* a whole leaf to the place of another */
		at &= ~511UL;
		to &= ~511UL;
		n = 512;
	}
	if (to + n > PAGES || !mapped(at, n) || (to < at + n && at < to + n))
		return;
	for (i = at; i < at + n; i++)
		if (prot[i] != prot[at])
			return;
	inject(false);
	if (mremap(area + at * PAGE, n * PAGE, n * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   area + to * PAGE) == MAP_FAILED) {
		/* several mappings: the new place is unmapped all the same */
		if (errno != EFAULT)
			die("mremap", at);
		set(to, n, UNMAPPED, -1);
		return;
	}
	for (i = 0; i < n; i++) {
		tag[to + i] = tag[at + i];
		prot[to + i] = prot[at + i];
	}
	set(at, n, UNMAPPED, -1);
}

static void op_fork(unsigned long at, unsigned long n)
{
	int status = 0;
	pid_t child;

	inject(false);
	child = fork();
	if (!child) {
		op_write(at, n);
		check();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("forked child", at);
	check();
}

static void op_mlock(unsigned long at, unsigned long n)
{
	mlock(area + at * PAGE, n * PAGE);
	munlock(area + at * PAGE, n * PAGE);
}

static void op_madvise(unsigned long at, unsigned long n)
{
	static const int advice[10] = {
		MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_SEQUENTIAL, MADV_NORMAL,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, 25 /* COLLAPSE */,
	};

	madvise(area + at * PAGE, n * PAGE, advice[rnd(10)]);
}

static void op_remote(unsigned long at, unsigned long n)
{
	int value = rnd(1 << 20), got = 0;
	struct iovec local = { .iov_base = &got, .iov_len = sizeof(got) };
	struct iovec remote = { .iov_base = word(at), .iov_len = sizeof(got) };

	inject(false);
	if (tag[at] == UNMAPPED || !(prot[at] & PROT_READ))
		return;
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != sizeof(got) || got != tag[at])
		die("process_vm_readv", at);
	if (!(prot[at] & PROT_WRITE))
		return;
	local.iov_base = &value;
	if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) != sizeof(value))
		die("process_vm_writev", at);
	tag[at] = value;
}

#define NR_OPS 14

static void (*const ops[NR_OPS])(unsigned long at, unsigned long n) = {
	op_write, op_write, op_write, op_mprotect, op_mprotect, op_munmap, op_dontneed,
	op_mmap, op_mremap, op_mremap, op_fork, op_mlock, op_madvise, op_remote,
};

static int run(uint64_t seed)
{
	const char *s = getenv("CXLFORK_OPS");
	long i, nr = s ? atol(s) : 60;

	state = seed * 0x9e3779b97f4a7c15ULL + 1;
	for (i = 0; i < 8; i++)
		rnd(2);
	for (i = 0; i < nr; i++) {
		unsigned long at = rnd(PAGES), n = 1 + rnd(rnd(4) ? 40 : 1200);

		if (!rnd(3))
			at &= ~511UL;
		if (!rnd(5))
			n = 512 * (1 + rnd(3));
		if (at + n > PAGES)
			n = PAGES - at;
		inject(true);
		ops[rnd(NR_OPS)](at, n);
		inject(false);
	}
	check();
	return 0;
}

/* Several at once, each with its own part of the random sequence. */
static bool together(int pool, long id, uint64_t seed)
{
	bool good = true;
	int i, status;

	for (i = 0; i < CLONES; i++) {
		uint64_t own = seed + i;
		struct cxlrestore_args args = {
			.id = id, .pool_fd = pool, .payload = (uintptr_t)&own,
			.payload_size = sizeof(own),
		};

		if (fork())
			continue;
		if (id < 0)
			_exit(run(own));
		sys_cxlrestore(&args, sizeof(args));
		perror("# cxlrestore");
		_exit(1);
	}
	for (i = 0; i < CLONES; i++)
		good &= wait(&status) > 0 && !status;
	return good;
}

static uint64_t pick_seed(void)
{
	const char *s = getenv("CXLFORK_SEED");
	uint32_t seed = 0;

	if (s)
		return strtoull(s, NULL, 0);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = getpid();
	return seed;
}

int main(void)
{
	int pool = open("/dev/cxlfork", O_RDWR);
	uint64_t seed = pick_seed(), own = 0;
	struct cxlfork_args args = {
		.pool_fd = pool, .pidfd = -1, .payload = (uintptr_t)&own,
		.payload_size = sizeof(own),
	};
	bool good, same;
	unsigned long i;
	__u64 remove;
	long id;

	printf("TAP version 13\n");
	if (pool < 0) {
		printf("1..0 # SKIP no pool: %s\n", strerror(errno));
		return 4;
	}
	printf("1..2\n# CXLFORK_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	area = mmap(NULL, (LEAVES + 1) * LEAF, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		return 1;
	area = (void *)(((uintptr_t)area + LEAF - 1) & ~(LEAF - 1));
	madvise(area, LEAVES * LEAF, MADV_NOHUGEPAGE);
	for (i = 0; i < PAGES; i++) {
		tag[i] = 100 + i;
		prot[i] = PROT_READ | PROT_WRITE;
		*word(i) = tag[i];
	}
	id = sys_cxlfork(&args, sizeof(args));
	if (!id)
		_exit(run(own));
	if (id < 0) {
		printf("not ok 1 checkpoint: %s\n", strerror(errno));
		return 1;
	}
	good = together(pool, id, seed);
	printf("%s 1 clones hold what the model says\n", good ? "ok" : "not ok");
	fflush(stdout);
	remove = id;
	ioctl(pool, CXLFORK_IOC_REMOVE, &remove);
	same = together(pool, -1, seed);
	printf("%s 2 forked children as well\n", same ? "ok" : "not ok");
	printf("# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:0 error:0\n",
	       good + same, !good + !same);
	return !good || !same;
}
