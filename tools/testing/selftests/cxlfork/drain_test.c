// SPDX-License-Identifier: GPL-2.0
/*
 * Draining the pool: clones go on as if nothing had happened, without a page in
 * CXL memory, and without a reference on the checkpoint.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"
#include "fail.h"

#define LEAVES	(2 * LEAF)
#define HUGE	(2 * LEAF)

static char *whole, *sparse, *hidden, *split, *huge;

/* Memory of each kind that a clone can have in CXL memory. */
static void set_up(void)
{
	size_t i;

	whole = map_leaves(LEAVES);
	fill(whole, LEAVES, 1);
	sparse = map_leaves(LEAF);
	for (i = 0; i < LEAF; i += 2 * PAGE)
		fill(sparse + i, PAGE, 2);
	hidden = map_leaves(LEAF);
	fill(hidden, LEAF, 3);
	CHECK(!mprotect(hidden, LEAF, PROT_NONE));
	/* a leaf that two mappings share */
	split = map_leaves(LEAF);
	fill(split, LEAF, 4);
	CHECK(!mprotect(split + LEAF / 2, LEAF / 2, PROT_READ));
	huge = map_leaves(HUGE);
	CHECK(!madvise(huge, HUGE, MADV_HUGEPAGE));
	fill(huge, HUGE, 5);
}

static bool is_same(void)
{
	bool same = is_filled(whole, LEAVES, 1) && is_filled(split, LEAF, 4) &&
		    is_filled(huge, HUGE, 5);
	size_t i;

	for (i = 0; i < LEAF; i += 2 * PAGE)
		same &= is_filled(sparse + i, PAGE, 2) && is_zero(sparse + i + PAGE, PAGE);
	CHECK(!mprotect(hidden, LEAF, PROT_READ | PROT_WRITE));
	return same && is_filled(hidden, LEAF, 3);
}

/* All of it can be written, and what was written stays. */
static bool can_write(void)
{
	CHECK(!mprotect(split + LEAF / 2, LEAF / 2, PROT_READ | PROT_WRITE));
	fill(whole, LEAVES, 11);
	fill(sparse, LEAF, 12);
	fill(hidden, LEAF, 13);
	fill(split, LEAF, 14);
	fill(huge, HUGE, 15);
	return is_filled(whole, LEAVES, 11) && is_filled(sparse, LEAF, 12) &&
	       is_filled(hidden, LEAF, 13) && is_filled(split, LEAF, 14) &&
	       is_filled(huge, HUGE, 15);
}

/* Says "r", goes on when it is told to. */
static void __attribute__((noreturn)) clone_main(void)
{
	put_byte(CHANNEL, 'r');
	CHECK(get_byte(CHANNEL) == 'g');
	CHECK(is_same());
	CHECK(can_write());
	CHECK(stat_of("self", "pages_cxl") == 0);
	_exit(0);
}

static int open_pool(void)
{
	return open("/dev/cxlfork", O_RDWR | O_CLOEXEC);
}

static int step(int fd, uint64_t budget, struct cxlfork_pool_drain *drain)
{
	memset(drain, 0, sizeof(*drain));
	drain->budget = budget;
	return ioctl(fd, CXLFORK_IOC_DRAIN, drain) ? -errno : 0;
}

/* Until nobody is left; the sum is in *drain. */
static int drain_all(int fd, struct cxlfork_pool_drain *drain)
{
	uint64_t copied = 0, lost = 0;
	int ret, i;

	for (i = 0; i < 20000; i++) {
		ret = step(fd, 1024, drain);
		copied += drain->copied;
		lost += drain->lost;
		if (ret || !drain->users)
			break;
		if (!drain->copied)
			usleep(1000);
	}
	drain->copied = copied;
	drain->lost = lost;
	return ret ?: drain->users ? -ETIMEDOUT : 0;
}

static long stat_pid(pid_t pid, const char *name)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return stat_of(text, name);
}

/* Everything is copied, in steps of the wanted size; what it was is as it was. */
CXL_TEST(contents)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_pool_drain drain;
	long id, pages, tables;
	uint64_t copied = 0;
	struct ghost g;
	int fd;

	set_up();
	id = cxl_fork_channel(cxl);
	if (!id)
		clone_main();
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	EXPECT_EQ('r', get_byte(g.peer));
	pages = stat_pid(g.pid, "pages_cxl");
	tables = stat_pid(g.pid, "leaves_shared");
	EXPECT_GT(pages, (long)((LEAVES + HUGE) / PAGE));
	EXPECT_GT(tables, 0);

	fd = open_pool();
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, step(fd, 0, &drain));
	EXPECT_EQ(pages, drain.pages);
	EXPECT_EQ(1, drain.users);
	EXPECT_EQ(0, drain.copied);
	while (drain.users && copied <= 2UL * pages) {
		ASSERT_EQ(0, step(fd, 256, &drain));
		/* never more than it was asked for and one huge page */
		EXPECT_LE(drain.copied, 256 + 512);
		copied += drain.copied;
		EXPECT_EQ(0, drain.lost);
	}
	EXPECT_EQ(pages, copied);
	EXPECT_EQ(0, stat_pid(g.pid, "pages_cxl"));
	EXPECT_EQ(0, stat_pid(g.pid, "leaves_shared"));
	EXPECT_EQ(0, stat_pid(g.pid, "huge_cxl"));
	EXPECT_EQ(0, stat_pid(g.pid, "pages_lost"));
	EXPECT_EQ(pages, stat_pid(g.pid, "pages_localised"));
	EXPECT_EQ(id, stat_pid(g.pid, "checkpoint"));
	close(fd);

	/* The checkpoint can go, and what it took is free, while the clone lives. */
	EXPECT_EQ(0, cxl_remove(cxl, id));
	EXPECT_TRUE(cxl_settled(cxl));
	put_byte(g.peer, 'g');
	EXPECT_EQ(0, ghost_wait(&g));
}

/* A child of a clone maps the same pages, and needs them no more either. */
CXL_TEST(children)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_pool_drain drain;
	struct ghost g[2];
	int fd, i, p[2];
	long id;

	set_up();
	id = cxl_fork_channel(cxl);
	if (!id) {
		pid_t child;
		int status;

		CHECK(!pipe(p));
		fill(whole, LEAF, 1);	/* its own, with the same content */
		child = fork();
		if (!child) {
			CHECK(get_byte(p[0]) == 'g');
			CHECK(is_same());
			CHECK(can_write());
			_exit(0);
		}
		CHECK(child > 0);
		put_byte(CHANNEL, 'r');
		CHECK(get_byte(CHANNEL) == 'g');
		CHECK(is_same());
		CHECK(can_write());
		put_byte(p[1], 'g');
		CHECK(waitpid(child, &status, 0) == child && !status);
		/* no clone any more: its children are like any other's */
		child = fork();
		if (!child)
			_exit(stat_of("self", "pages_cxl") > 0);
		CHECK(waitpid(child, &status, 0) == child && !status);
		_exit(0);
	}
	ASSERT_GT(id, 0);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, cxl_run_channel(cxl, id, &g[i]));
		EXPECT_EQ('r', get_byte(g[i].peer));
	}
	fd = open_pool();
	EXPECT_EQ(0, step(fd, 0, &drain));
	EXPECT_EQ(4, drain.users);
	EXPECT_EQ(0, drain_all(fd, &drain));
	close(fd);
	EXPECT_EQ(0, cxl_remove(cxl, id));
	EXPECT_TRUE(cxl_settled(cxl));
	for (i = 0; i < 2; i++) {
		put_byte(g[i].peer, 'g');
		EXPECT_EQ(0, ghost_wait(&g[i]));
	}
}

/* While it is drained there are no new clones; afterwards there are again. */
CXL_TEST(no_new_clones)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_pool_drain drain;
	struct ghost g = { 0 };
	int fd, other;
	long id;

	id = cxl_fork(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	fd = open_pool();
	other = open_pool();
	EXPECT_EQ(0, step(fd, 0, &drain));
	EXPECT_EQ(-EBUSY, step(other, 0, &drain));
	ghost_start(cxl, &g, id);
	EXPECT_EQ(ENODEV, g.error);
	EXPECT_EQ(1, g.args.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_POOL, g.reports[0].reason);
	ghost_wait(&g);
	close(fd);
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_EQ(0, step(other, 0, &drain));
	EXPECT_EQ(0, drain.users);
	close(other);
	EXPECT_CLONE_OK(cxl, id);
}

CXL_TEST(arguments)
{
	struct cxlfork_pool_drain drain = { .flags = 1 };
	int status;

	EXPECT_EQ(-1, ioctl(self->cxl.pool, CXLFORK_IOC_DRAIN, &drain));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->cxl.pool, CXLFORK_IOC_DRAIN, NULL));
	EXPECT_EQ(EFAULT, errno);
	if (!fork()) {
		CHECK(!setresuid(1000, 1000, 1000));
		_exit(step(self->cxl.pool, 0, &drain) != -EPERM);
	}
	wait(&status);
	EXPECT_EQ(0, status);
}

/* The pages come and go while they are copied. */
CXL_TEST(busy_clone)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_pool_drain drain;
	struct ghost g;
	int fd;
	long id;

	set_up();
	id = cxl_fork_channel(cxl);
	if (!id) {
		char *at = map_leaves(LEAVES), *p = whole;
		unsigned int i;

		put_byte(CHANNEL, 'r');
		CHECK(!fcntl(CHANNEL, F_SETFL, O_NONBLOCK));
		/* moved, written, given back and forked, until told to stop */
		for (i = 0; get_byte(CHANNEL) != 'g'; i++) {
			char *to = p == whole ? at : whole;
			size_t n = i % 512 * PAGE;

			CHECK(mremap(p, LEAVES, LEAVES, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
			p = to;
			CHECK(is_part(p + n, PAGE, 1, n));
			sparse[n] = 77;
			CHECK(!madvise(huge + n, PAGE, MADV_DONTNEED));
			if (!fork())
				_exit(!is_filled(p, LEAVES, 1));
			CHECK(wait(NULL) > 0);
		}
		CHECK(is_filled(p, LEAVES, 1));
		CHECK(stat_of("self", "pages_cxl") == 0);
		_exit(0);
	}
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	EXPECT_EQ('r', get_byte(g.peer));
	fd = open_pool();
	EXPECT_EQ(0, drain_all(fd, &drain));
	EXPECT_EQ(0, drain.lost);
	close(fd);
	put_byte(g.peer, 'g');
	EXPECT_EQ(0, ghost_wait(&g));
}

/* --- threads that write while their pages are copied */

#define THREADS	3

static volatile bool stop;

/* Adds to a counter of its own in each page; how often, it says itself. */
static void *count_up(void *arg)
{
	unsigned long *counters = (unsigned long *)whole + 8 + (long)arg, n = 0;
	size_t i, step = PAGE / sizeof(long);

	while (!stop) {
		for (i = 0; i < LEAVES / PAGE; i++)
			*(volatile unsigned long *)&counters[i * step] += 1;
		n++;
	}
	return (void *)n;
}

/* No store is lost between the page in CXL memory and its copy. */
CXL_TEST(threads)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_pool_drain drain;
	struct ghost g;
	int fd;
	long id;

	set_up();
	id = cxl_fork_channel(cxl);
	if (!id) {
		unsigned long *word = (unsigned long *)whole + 8;
		pthread_t thread[THREADS];
		void *n;
		long t;
		size_t i;

		put_byte(CHANNEL, 'r');
		for (t = 0; t < THREADS; t++)
			CHECK(!pthread_create(&thread[t], NULL, count_up, (void *)t));
		CHECK(get_byte(CHANNEL) == 'g');
		stop = true;
		for (t = 0; t < THREADS; t++) {
			CHECK(!pthread_join(thread[t], &n));
			CHECK(n);
			for (i = 0; i < LEAVES / PAGE; i++)
				CHECK(word[i * (PAGE / sizeof(long)) + t] == (unsigned long)n);
		}
		CHECK(is_filled(huge, HUGE, 5));
		_exit(0);
	}
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	EXPECT_EQ('r', get_byte(g.peer));
	fd = open_pool();
	/* small steps: the threads get to all places meanwhile */
	do {
		ASSERT_EQ(0, step(fd, 1, &drain));
	} while (drain.users);
	close(fd);
	put_byte(g.peer, 'g');
	EXPECT_EQ(0, ghost_wait(&g));
}

/* --- without memory */

/*
 * Each step has one allocation that fails.  The clone keeps what it has, and is
 * tried again when the pool is drained anew.
 */
CXL_TEST(without_memory)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_pool_drain drain;
	unsigned int n, failed = 0;
	struct ghost g;
	long id, left;
	int fd, ret;

	if (!fail_begin(false))
		SKIP(return, NO_FAULT_INJECTION);
	set_up();
	id = cxl_fork_channel(cxl);
	if (!id)
		clone_main();
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	EXPECT_EQ('r', get_byte(g.peer));
	for (n = 1; n < 200; n++) {
		fd = open_pool();
		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, step(fd, 0, &drain));
		fail_nth(n);
		ret = step(fd, 16, &drain);
		fail_nth(0);
		EXPECT_TRUE(!ret || ret == -ENOMEM);
		EXPECT_EQ(0, drain.lost);
		failed += ret == -ENOMEM;
		EXPECT_EQ(ret == -ENOMEM ? 1 : 0, drain.stuck);
		left = stat_pid(g.pid, "pages_cxl");
		close(fd);
		if (!left)
			break;
	}
	EXPECT_GT(failed, 10);
	TH_LOG("%u of %u steps failed, %ld pages were left", failed, n, left);
	fd = open_pool();
	EXPECT_EQ(0, drain_all(fd, &drain));
	close(fd);
	put_byte(g.peer, 'g');
	EXPECT_EQ(0, ghost_wait(&g));
}

TEST_HARNESS_MAIN
