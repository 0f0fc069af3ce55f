// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_DONTNEED of a part of a leaf, or of a page of 2 MiB, while another thread is
 * the first to write to it: one makes it local, the other clears entries, in whichever
 * order.  What was dropped must not come back.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"

#define LEAVES		32	/* one race each */
#define HUGE_LEAVES	12	/* likewise, where they are all filled */
#define CLONES		4
#define PAGES		32UL	/* there are, at the start of each leaf */
#define WRITTEN		0x6e6577UL

/* What is dropped of each leaf, and the page that is written; in pages. */
struct race {
	size_t	from, to;
	size_t	page;
	bool	by_kernel;	/* written through /proc/self/mem */
	bool	huge;		/* a page of 2 MiB, not a leaf */
};

static unsigned char *area;
static const struct race *race;
static int mem;
static int go, done;	/* rounds */

static unsigned char *leaf_of(int round)
{
	return area + round * LEAF;
}

static int nr_leaves(void)
{
	return race->huge ? HUGE_LEAVES : LEAVES;
}

/*
 * The threads come in every order: each round by another difference of time, up to
 * what a copy of what is raced for takes.
 */
static void dawdle(int nth)
{
	int turns = nth % nr_leaves() * (race->huge ? 40000 : 150);

	while (turns-- > 0)
		__asm__ volatile("" ::: "memory");
}

static void wait_until(const int *counter, int value)
{
	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < value)
		sched_yield();
}

static void *dropper(void *arg)
{
	size_t len = (race->to - race->from) * PAGE;
	int round;

	for (round = 0; round < nr_leaves(); round++) {
		wait_until(&go, round + 1);
		dawdle(round * 53);
		CHECK(!madvise(leaf_of(round) + race->from * PAGE, len, MADV_DONTNEED));
		__atomic_store_n(&done, round + 1, __ATOMIC_RELEASE);
	}
	return arg;
}

static void write_word(unsigned char *at)
{
	uint64_t value = WRITTEN;

	if (race->by_kernel)
		CHECK(pwrite(mem, &value, sizeof(value), (off_t)at) == sizeof(value));
	else
		*(volatile uint64_t *)at = value;
}

/* The word that was written is beside those that fill() wrote. */
static void check_leaf(const unsigned char *leaf)
{
	size_t i;

	for (i = 0; i < PAGES; i++) {
		bool dropped = i >= race->from && i < race->to;
		unsigned char page[PAGE];
		uint64_t word;

		memcpy(page, leaf + i * PAGE, PAGE);
		memcpy(&word, page + 8, sizeof(word));
		memset(page + 8, 0, sizeof(word));
		CHECK(word == (i == race->page ? WRITTEN : 0) || (dropped && !word));
		CHECK(dropped ? is_zero(page, PAGE) : is_part(page, PAGE, 1, i * PAGE));
	}
}

static void run_race(bool clone)
{
	pthread_t thread;
	int round;

	go = 0;
	done = 0;
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	CHECK(mem >= 0);
	CHECK(!clone || race->huge || stat_of("self", "leaves_shared") >= LEAVES);
	CHECK(!clone || !race->huge || stat_of("self", "huge_cxl") == HUGE_LEAVES);
	CHECK(!pthread_create(&thread, NULL, dropper, NULL));
	for (round = 0; round < nr_leaves(); round++) {
		__atomic_store_n(&go, round + 1, __ATOMIC_RELEASE);
		dawdle(round * 29);
		write_word(leaf_of(round) + race->page * PAGE + 8);
		wait_until(&done, round + 1);
		check_leaf(leaf_of(round));
	}
	CHECK(!pthread_join(thread, NULL));
	for (round = 0; round < nr_leaves(); round++)
		check_leaf(leaf_of(round));
}

/* In clones, and in a forked child: it would see what is wrong with the test. */
static bool all_is_well(struct cxl *cxl, const struct race *this)
{
	bool well = true;
	int i, status = -1;
	pid_t pid;
	long id;

	race = this;
	area = map_leaves(nr_leaves() * LEAF);
	if (race->huge)
		madvise(area, nr_leaves() * LEAF, MADV_HUGEPAGE);
	for (i = 0; i < nr_leaves(); i++)
		fill(leaf_of(i), PAGES * PAGE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		run_race(true);
		_exit(0);
	}
	for (i = 0; id > 0 && i < CLONES; i++)
		well &= !cxl_run(cxl, id);
	pid = fork();
	if (!pid) {
		run_race(false);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && !status && id > 0 && well;
}

CXL_TEST(part_written_beside)
{
	static const struct race this = { .from = 8, .to = 24, .page = 2 };

	EXPECT_TRUE(all_is_well(&self->cxl, &this));
}

CXL_TEST(part_written_within)
{
	static const struct race this = { .from = 8, .to = 24, .page = 12 };

	EXPECT_TRUE(all_is_well(&self->cxl, &this));
}

CXL_TEST(part_written_by_kernel)
{
	static const struct race this = { .from = 8, .to = 24, .page = 2, .by_kernel = true };

	EXPECT_TRUE(all_is_well(&self->cxl, &this));
}

CXL_TEST(leaf_written)
{
	static const struct race this = { .to = LEAF / PAGE, .page = 12 };

	EXPECT_TRUE(all_is_well(&self->cxl, &this));
}

CXL_TEST(leaf_written_by_kernel)
{
	static const struct race this = { .to = LEAF / PAGE, .page = 12, .by_kernel = true };

	EXPECT_TRUE(all_is_well(&self->cxl, &this));
}

CXL_TEST(part_of_huge_written)
{
	static const struct race this = { .from = 8, .to = 24, .page = 2, .huge = true };

	EXPECT_TRUE(all_is_well(&self->cxl, &this));
}

CXL_TEST(huge_written)
{
	static const struct race this = { .to = LEAF / PAGE, .page = 12, .huge = true };

	EXPECT_TRUE(all_is_well(&self->cxl, &this));
}

CXL_TEST(huge_written_by_kernel)
{
	static const struct race this = {
		.to = LEAF / PAGE, .page = 12, .by_kernel = true, .huge = true,
	};

	EXPECT_TRUE(all_is_well(&self->cxl, &this));
}

TEST_HARNESS_MAIN
