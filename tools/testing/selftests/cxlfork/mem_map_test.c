// SPDX-License-Identifier: GPL-2.0
/* A clone that changes its address space: above all parts of a shared leaf. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define SIZE	(4 * LEAF)

/* A 4-leaf area, filled; the clone runs @in_clone on it, twice. */
#define CLONE_TEST(name)						\
	static void name##_clone(char *map);				\
	CXL_TEST(name)							\
	{								\
		struct cxl *cxl = &self->cxl;				\
		char *map = map_leaves(SIZE);				\
		long id;						\
									\
		fill(map, SIZE, 1);					\
		id = cxl_fork(cxl);					\
		if (!id) {						\
			name##_clone(map);				\
			_exit(0);					\
		}							\
		EXPECT_CLONE_OK(cxl, id);				\
		EXPECT_CLONE_OK(cxl, id);				\
		EXPECT_TRUE(is_filled(map, SIZE, 1));			\
	}								\
	static void name##_clone(char *map)

/* Is @page of the filled area as it was? */
static bool same(const char *now, size_t page)
{
	return is_part(now, PAGE, 1, page * PAGE);
}

static int in_child(int (*body)(char *map), char *map)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid)
		_exit(body(map));
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int child_writes(char *map)
{
	CHECK(is_filled(map, SIZE, 1));
	fill(map, SIZE, 2);
	CHECK(is_filled(map, SIZE, 2));
	return 3;
}

CLONE_TEST(fork_then_child_writes)
{
	CHECK(in_child(child_writes, map) == 3);
	CHECK(is_filled(map, SIZE, 1));
	/* Now from a page table that is half local. */
	map[5 * PAGE + 9] = 1;
	map[5 * PAGE + 9] = 0;
	CHECK(in_child(child_writes, map) == 3);
	CHECK(is_filled(map, SIZE, 1));
}

static int slow_child(char *map)
{
	usleep(100000);
	CHECK(is_filled(map, SIZE, 1));
	return 4;
}

CLONE_TEST(fork_then_parent_writes)
{
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (!pid)
		_exit(slow_child(map));
	fill(map, SIZE, 5);
	CHECK(waitpid(pid, &status, 0) == pid && status == 4 << 8);
	CHECK(is_filled(map, SIZE, 5));
}

static int finds_byte(char *map)
{
	return map[LEAF] == 1 && is_filled(map, LEAF, 1) ? 5 : 6;
}

static int deep(char *map)
{
	CHECK(is_filled(map, SIZE, 1));
	map[LEAF] = 1;
	return in_child(finds_byte, map);
}

CLONE_TEST(fork_twice)
{
	CHECK(in_child(deep, map) == 5);
	CHECK(is_filled(map, SIZE, 1));
}

CLONE_TEST(vfork_and_exec)
{
	pid_t pid;
	int status;

	pid = vfork();
	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(is_filled(map, SIZE, 1));
	execl("/bin/sh", "sh", "-c", "exit 0", NULL);
	_exit(1);
}

CLONE_TEST(munmap_part)
{
	CHECK(!munmap(map + LEAF + 3 * PAGE, 5 * PAGE));
	CHECK(same(map + LEAF + 2 * PAGE, 512 + 2));
	CHECK(same(map + LEAF + 8 * PAGE, 512 + 8));
	/* What comes there is new. */
	CHECK(mmap(map + LEAF + 3 * PAGE, 5 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
	      map + LEAF + 3 * PAGE);
	CHECK(is_zero(map + LEAF + 3 * PAGE, 5 * PAGE));
	/* Over a boundary of leaves; a whole leaf; all but a page. */
	CHECK(!munmap(map + 2 * LEAF - PAGE, 2 * PAGE));
	CHECK(same(map + 2 * LEAF - 2 * PAGE, 1022));
	CHECK(same(map + 2 * LEAF + PAGE, 1025));
	CHECK(!munmap(map, LEAF));
	CHECK(!munmap(map + 3 * LEAF + PAGE, LEAF - PAGE));
	CHECK(same(map + 3 * LEAF, 3 * 512));
}

CLONE_TEST(map_over)
{
	char *p = mmap(map + LEAF + PAGE, LEAF, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	CHECK(p == map + LEAF + PAGE);
	CHECK(is_zero(p, LEAF));
	CHECK(same(map + LEAF, 512));
	CHECK(same(map + 2 * LEAF + PAGE, 1025));
	fill(p, LEAF, 9);
	CHECK(is_filled(p, LEAF, 9));
}

CLONE_TEST(mprotect_whole)
{
	CHECK(!mprotect(map, SIZE, PROT_READ));
	CHECK(is_filled(map, SIZE, 1));
	CHECK(!mprotect(map, SIZE, PROT_NONE));
	CHECK(!mprotect(map, SIZE, PROT_READ | PROT_WRITE));
	CHECK(is_filled(map, SIZE, 1));
	fill(map, SIZE, 2);
	CHECK(is_filled(map, SIZE, 2));
}

static int write_byte(char *p)
{
	*(volatile char *)p = 1;
	return 0;
}

static int read_byte(char *p)
{
	return *(volatile char *)p == 77;
}

#define SEGV	(1000 + SIGSEGV)

CLONE_TEST(mprotect_part)
{
	char *ro = map + LEAF + 7 * PAGE, *none = map + LEAF + 30 * PAGE;

	CHECK(!mprotect(ro, 3 * PAGE, PROT_READ));
	CHECK(!mprotect(none, PAGE, PROT_NONE));
	CHECK(in_child(write_byte, ro) == SEGV);
	CHECK(in_child(write_byte, ro + 2 * PAGE) == SEGV);
	CHECK(in_child(write_byte, ro + 3 * PAGE) == 0);
	CHECK(in_child(write_byte, ro - 1) == 0);
	CHECK(in_child(read_byte, none) == SEGV);
	CHECK(in_child(read_byte, none + PAGE) == 0);
	CHECK(!mprotect(ro, 3 * PAGE, PROT_READ | PROT_WRITE));
	CHECK(!mprotect(none, PAGE, PROT_READ | PROT_WRITE));
	CHECK(is_filled(map, SIZE, 1));
	/* Over a boundary of leaves. */
	CHECK(!mprotect(map + 2 * LEAF - 4 * PAGE, 8 * PAGE, PROT_READ));
	CHECK(in_child(write_byte, map + 2 * LEAF) == SEGV);
	CHECK(in_child(write_byte, map + 2 * LEAF + 4 * PAGE) == 0);
	CHECK(is_filled(map, SIZE, 1));
}

CLONE_TEST(mremap_move)
{
	char *to = map_leaves(SIZE), *p;

	/* Aligned: whole leaves move. */
	p = mremap(map, 2 * LEAF, 2 * LEAF, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	CHECK(p == to);
	CHECK(is_filled(p, 2 * LEAF, 1));
	p[LEAF] ^= 1;
	CHECK(same(p + LEAF + PAGE, 513));
	p[LEAF] ^= 1;
	CHECK(is_filled(p, 2 * LEAF, 1));
	/* Not aligned: entry by entry. */
	p = mremap(map + 2 * LEAF, LEAF, LEAF, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to + 2 * LEAF + 3 * PAGE);
	CHECK(p == to + 2 * LEAF + 3 * PAGE);
	CHECK(same(p, 1024));
	CHECK(same(p + 511 * PAGE, 1024 + 511));
	CHECK(same(map + 3 * LEAF, 3 * 512));
	/* Part of a leaf. */
	p = mremap(map + 3 * LEAF + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map);
	CHECK(p == map);
	CHECK(same(p, 3 * 512 + 1));
	CHECK(same(map + 3 * LEAF + 2 * PAGE, 3 * 512 + 2));
	fill(p, PAGE, 8);
	CHECK(is_filled(p, PAGE, 8));
}

CLONE_TEST(mremap_grow_and_shrink)
{
	char *p = mremap(map, SIZE, SIZE + 3 * LEAF + PAGE, MREMAP_MAYMOVE);

	CHECK(p != MAP_FAILED);
	CHECK(is_filled(p, SIZE, 1));
	CHECK(is_zero(p + SIZE, 3 * LEAF + PAGE));
	fill(p + SIZE - PAGE, 2 * PAGE, 3);
	CHECK(is_filled(p + SIZE - PAGE, 2 * PAGE, 3));
	CHECK(is_filled(p, SIZE - PAGE, 1));
	p = mremap(p, SIZE + 3 * LEAF + PAGE, LEAF + 7 * PAGE, 0);
	CHECK(p != MAP_FAILED);
	CHECK(is_filled(p, LEAF + 7 * PAGE, 1));
	p = mremap(p, LEAF + 7 * PAGE, LEAF + 9 * PAGE, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED);
	CHECK(is_zero(p + LEAF + 7 * PAGE, 2 * PAGE));
}

CLONE_TEST(mremap_dontunmap)
{
	char *p = mremap(map, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	CHECK(p != MAP_FAILED);
	CHECK(is_filled(p, SIZE, 1));
	CHECK(is_zero(map, SIZE));
}

CLONE_TEST(dontneed)
{
	CHECK(!madvise(map + LEAF + PAGE, 3 * PAGE, MADV_DONTNEED));
	CHECK(is_zero(map + LEAF + PAGE, 3 * PAGE));
	CHECK(same(map + LEAF, 512));
	CHECK(same(map + LEAF + 4 * PAGE, 512 + 4));
	CHECK(!madvise(map + 2 * LEAF, LEAF, MADV_DONTNEED));
	CHECK(is_zero(map + 2 * LEAF, LEAF));
	CHECK(same(map + 3 * LEAF, 3 * 512));
	CHECK(!madvise(map, SIZE, MADV_DONTNEED));
	CHECK(is_zero(map, SIZE));
	fill(map, SIZE, 4);
	CHECK(is_filled(map, SIZE, 4));
}

/* None of these may lose data. */
CLONE_TEST(harmless_advice)
{
	static const int advice[] = {
		MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_SEQUENTIAL, MADV_RANDOM, MADV_NORMAL,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_POPULATE_READ,
		MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_POPULATE_WRITE,
	};
	unsigned int i;

	for (i = 0; i < sizeof(advice) / sizeof(*advice); i++) {
		CHECK(!madvise(map + LEAF + 5 * PAGE, LEAF, advice[i]) || errno == EINVAL);
		CHECK(is_filled(map, SIZE, 1));
	}
	CHECK(!madvise(map, SIZE, MADV_POPULATE_READ));
	CHECK(!madvise(map, SIZE, MADV_POPULATE_WRITE));
	CHECK(is_filled(map, SIZE, 1));
}

/* MADV_FREE may drop pages, but gives zeros or the old content. */
CLONE_TEST(free_lazily)
{
	size_t i;

	CHECK(!madvise(map + LEAF, LEAF, MADV_FREE));
	for (i = 0; i < 512; i++)
		CHECK(is_zero(map + LEAF + i * PAGE, PAGE) ||
		      same(map + LEAF + i * PAGE, 512 + i));
	fill(map + LEAF, LEAF, 3);
	CHECK(is_filled(map + LEAF, LEAF, 3));
}

CLONE_TEST(collapse)
{
	int ret = madvise(map + LEAF, LEAF, MADV_COLLAPSE);

	CHECK(!ret || errno == EINVAL || errno == EAGAIN || errno == EBUSY || errno == ENOMEM);
	CHECK(is_filled(map, SIZE, 1));
	fill(map, SIZE, 2);
	CHECK(is_filled(map, SIZE, 2));
}

CLONE_TEST(lock)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	CHECK(!mlock(map, LEAF + 5 * PAGE));
	CHECK(is_filled(map, SIZE, 1));
	CHECK(!munlock(map, LEAF + 5 * PAGE));
	CHECK(!mlock2(map, SIZE, MLOCK_ONFAULT));
	CHECK(!munlockall());
	CHECK(!mlockall(MCL_CURRENT | MCL_FUTURE));
	CHECK(is_filled(map, SIZE, 1));
	CHECK(!munlockall());
}

CLONE_TEST(seal_and_wipe)
{
	CHECK(!madvise(map + LEAF, LEAF, MADV_WIPEONFORK));
	CHECK(is_filled(map, SIZE, 1));
	CHECK(!madvise(map + 3 * LEAF, 2 * PAGE, MADV_DONTFORK));
	CHECK(in_child(read_byte, map + 3 * LEAF) == SEGV);
	CHECK(in_child(read_byte, map + 3 * LEAF + 2 * PAGE) == 0);
	CHECK(is_filled(map, SIZE, 1));
}

static int child_wiped(char *map)
{
	CHECK(is_zero(map + LEAF, LEAF));
	CHECK(same(map, 0) && same(map + 2 * LEAF, 1024));
	return 7;
}

CLONE_TEST(wiped_in_child)
{
	CHECK(!madvise(map + LEAF, LEAF, MADV_WIPEONFORK));
	CHECK(in_child(child_wiped, map) == 7);
	CHECK(is_filled(map, SIZE, 1));
}

CXL_TEST(heap_grows)
{
	struct cxl *cxl = &self->cxl;
	char *start = sbrk(0), *p;
	long id;

	ASSERT_NE((void *)-1, sbrk(5 * LEAF + 3 * PAGE));
	fill(start, 5 * LEAF, 1);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(sbrk(0) == start + 5 * LEAF + 3 * PAGE);
		p = sbrk(2 * LEAF);
		CHECK(p == start + 5 * LEAF + 3 * PAGE);
		CHECK(is_zero(p, 2 * LEAF));
		CHECK(is_filled(start, 5 * LEAF, 1));
		fill(p, 2 * LEAF, 2);
		CHECK(!brk(start + 2 * LEAF + PAGE));
		CHECK(is_filled(start, 2 * LEAF + PAGE, 1));
		CHECK(sbrk(LEAF) == start + 2 * LEAF + PAGE);
		CHECK(is_zero(start + 2 * LEAF + PAGE, LEAF));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
}

static long __attribute__((noinline)) down(int depth)
{
	volatile char frame[4096];

	frame[0] = depth;
	frame[4095] = depth;
	return depth ? down(depth - 1) + frame[0] : 0;
}

CXL_TEST(stack_grows)
{
	struct cxl *cxl = &self->cxl;
	long id = cxl_fork(cxl);

	if (!id) {
		CHECK(down(1000) != 1);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

TEST_HARNESS_MAIN
