// SPDX-License-Identifier: GPL-2.0
/* Paths: mprotect, munmap, mmap, mremap, brk, mlock, mseal. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cxlfork_fixture.h"
#include "fail.h"
#include "paths.h"

#define RW	(PROT_READ | PROT_WRITE)

#ifndef __NR_mseal
#define __NR_mseal 462
#endif

static void see_anon(struct path *p)
{
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_maps(p, "maps", p->anon, p->anon + ANON_LEN);
}

PATH(mprotect_part, "mprotect: a part of 2 MiB")
{
	see_ret(p, "mprotect", mprotect(p->anon + 10 * PAGE, 20 * PAGE, PROT_READ));
	see_fault(p, "write", p->anon + 10 * PAGE, PATH_WRITE);
	see_fault(p, "write before", p->anon + 9 * PAGE, PATH_WRITE);
	see_fault(p, "write after", p->anon + 30 * PAGE, PATH_WRITE);
	see_ret(p, "back", mprotect(p->anon + 10 * PAGE, 20 * PAGE, RW));
	see_fault(p, "write", p->anon + 10 * PAGE, PATH_WRITE);
	see_anon(p);
}

PATH(mprotect_whole, "mprotect: whole 2 MiB, and across")
{
	see_ret(p, "mprotect", mprotect(p->anon + LEAF, LEAF, PROT_READ));
	see_fault(p, "write", p->anon + LEAF + 8, PATH_WRITE);
	see_ret(p, "across", mprotect(p->anon + 3 * LEAF - PAGE, LEAF + 2 * PAGE, PROT_READ));
	see_fault(p, "write", p->anon + 3 * LEAF, PATH_WRITE);
	see_ret(p, "back", mprotect(p->anon, ANON_LEN, RW));
	see_fault(p, "write", p->anon + 3 * LEAF, PATH_WRITE);
	see_anon(p);
}

PATH(mprotect_none, "mprotect: PROT_NONE and back")
{
	see_ret(p, "none", mprotect(p->anon + LEAF, LEAF + 3 * PAGE, PROT_NONE));
	see_fault(p, "read", p->anon + LEAF, PATH_READ);
	see_fault(p, "write", p->anon + 2 * LEAF, PATH_WRITE);
	see_ret(p, "back", mprotect(p->anon + LEAF, LEAF + 3 * PAGE, RW));
	see_fault(p, "read", p->anon + LEAF, PATH_READ);
	see_fault(p, "write", p->anon + 2 * LEAF, PATH_WRITE);
	see_anon(p);
}

/* Whatever allocation fails: it is said, and nothing is changed by half. */
PATH(mprotect_without_memory, "mprotect while allocations fail")
{
	unsigned char *at = p->anon + 5 * PAGE;
	unsigned int nth;
	long ret = -1;
	size_t i;

	for (nth = 1; nth < 40 && ret; nth++) {
		inject_on(p, nth);
		ret = mprotect(at, 3 * LEAF, PROT_READ);
		CHECK(fail_done() || !ret);
		CHECK(!ret || errno == ENOMEM);
		for (i = 0; ret && i < 3 * LEAF; i += 100 * PAGE)
			at[i + 100]++;
	}
	see_ret(p, "at last", ret);
	see_fault(p, "write", at + LEAF, PATH_WRITE);
	see_ret(p, "back", mprotect(at, 3 * LEAF, RW));
	see_fault(p, "write", at + LEAF, PATH_WRITE);
}

PATH(munmap_part, "munmap: a part of 2 MiB")
{
	see_ret(p, "munmap", munmap(p->anon + 100 * PAGE, 50 * PAGE));
	see_fault(p, "read", p->anon + 120 * PAGE, PATH_READ);
	see_mem(p, "before", p->anon, 100 * PAGE);
	see_mem(p, "after", p->anon + 150 * PAGE, ANON_LEN - 150 * PAGE);
	see_maps(p, "maps", p->anon, p->anon + ANON_LEN);
}

PATH(munmap_edges, "munmap: across leaves, both edges in part")
{
	see_ret(p, "munmap", munmap(p->anon + LEAF - 3 * PAGE, 2 * LEAF + 6 * PAGE));
	see_mem(p, "before", p->anon, LEAF - 3 * PAGE);
	see_mem(p, "after", p->anon + 3 * LEAF + 3 * PAGE, 3 * LEAF - 3 * PAGE);
	see_fault(p, "read", p->anon + 2 * LEAF, PATH_READ);
	see_maps(p, "maps", p->anon, p->anon + ANON_LEN);
}

PATH(munmap_whole, "munmap: whole leaves")
{
	see_ret(p, "munmap", munmap(p->anon + LEAF, 2 * LEAF));
	see_ret(p, "all of sparse", munmap(p->sparse, SPARSE_LEN));
	see_mem(p, "before", p->anon, LEAF);
	see_mem(p, "after", p->anon + 3 * LEAF, 3 * LEAF);
	see_fault(p, "read", p->anon + 2 * LEAF, PATH_READ);
	see_maps(p, "maps", p->anon, p->anon + ANON_LEN);
}

PATH(munmap_without_memory, "munmap while allocations fail")
{
	unsigned int nth;
	long ret = -1;

	for (nth = 1; nth < 60 && ret; nth++) {
		inject_on(p, nth);
		ret = munmap(p->anon + 7 * PAGE, LEAF);
		CHECK(fail_done() || !ret);
		CHECK(!ret || errno == ENOMEM);
		if (ret)
			CHECK(is_filled(p->anon, ANON_LEN, ANON_SEED));
	}
	see_ret(p, "at last", ret);
	see_mem(p, "before", p->anon, 7 * PAGE);
	see_mem(p, "after", p->anon + LEAF + 7 * PAGE, ANON_LEN - LEAF - 7 * PAGE);
}

PATH(mmap_hole, "mmap into a hole of 2 MiB")
{
	unsigned char *hole = p->mixed + MIXED_HOLE;

	see(p, "mmap: %d", mmap(hole, 8 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS |
				MAP_FIXED_NOREPLACE, -1, 0) == hole);
	see(p, "zero: %d", is_zero(hole, 8 * PAGE));
	memset(hole, 7, 8 * PAGE);
	see_mem(p, "below", p->mixed, MIXED_HOLE);
	see_mem(p, "hole", hole, 8 * PAGE);
	see_mem(p, "above", p->mixed + MIXED_RO, MIXED_LEN - MIXED_RO);
	see_maps(p, "maps", p->mixed, p->mixed + MIXED_LEN);
}

PATH(mmap_hole_made, "mmap into a hole that munmap made")
{
	unsigned char *hole = p->anon + LEAF + 33 * PAGE;

	CHECK(!munmap(hole, 4 * PAGE));
	see(p, "mmap: %d", mmap(hole, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS |
				MAP_POPULATE | MAP_FIXED_NOREPLACE, -1, 0) == hole);
	see(p, "zero: %d", is_zero(hole, 2 * PAGE));
	see_fault(p, "beyond", hole + 2 * PAGE, PATH_READ);
	see_mem(p, "around", p->anon, LEAF + 33 * PAGE);
	see_maps(p, "maps", p->anon, p->anon + ANON_LEN);
}

PATH(mmap_over, "mmap MAP_FIXED over a part, and over whole leaves")
{
	see(p, "part: %d", mmap(p->anon + 3 * PAGE, 9 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS |
				MAP_FIXED, -1, 0) == p->anon + 3 * PAGE);
	see(p, "whole: %d", mmap(p->anon + 2 * LEAF, 2 * LEAF, RW, MAP_PRIVATE | MAP_ANONYMOUS |
				 MAP_FIXED, -1, 0) == p->anon + 2 * LEAF);
	see_mem(p, "anon", p->anon, ANON_LEN);
	memset(p->anon + 2 * LEAF + PAGE, 1, PAGE);
	see_anon(p);
}

PATH(mmap_file_over, "mmap of a shared file over a part")
{
	int fd;

	fd = memfd_create("over", 0);
	CHECK(fd >= 0 && !ftruncate(fd, 16 * PAGE));
	see(p, "mmap: %d", mmap(p->anon + 5 * PAGE, 16 * PAGE, RW, MAP_SHARED | MAP_FIXED,
				fd, 0) == p->anon + 5 * PAGE);
	memset(p->anon + 5 * PAGE, 4, 16 * PAGE);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

PATH(mremap_out, "mremap: pages out of a leaf")
{
	unsigned char *to = map_leaves(LEAF);

	see(p, "moved: %d", mremap(p->anon + 9 * PAGE, 20 * PAGE, 20 * PAGE,
				   MREMAP_MAYMOVE | MREMAP_FIXED, to + 3 * PAGE) == to + 3 * PAGE);
	see_mem(p, "there", to, LEAF);
	see_fault(p, "here", p->anon + 10 * PAGE, PATH_READ);
	memset(to + 3 * PAGE, 5, PAGE);
	see_mem(p, "there", to, LEAF);
	see_mem(p, "rest", p->anon + 29 * PAGE, ANON_LEN - 29 * PAGE);
}

PATH(mremap_in, "mremap: pages into a leaf")
{
	unsigned char *from = map_anon(8 * PAGE);

	memset(from, 6, 8 * PAGE);
	see(p, "moved: %d", mremap(from, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				   p->anon + LEAF + 50 * PAGE) == p->anon + LEAF + 50 * PAGE);
	see_anon(p);
	see(p, "hole: %d", mremap(p->sparse, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				  p->mixed + MIXED_HOLE) == p->mixed + MIXED_HOLE);
	see_mem(p, "below", p->mixed, MIXED_HOLE + 8 * PAGE);
	see_mem(p, "above", p->mixed + MIXED_RO, MIXED_LEN - MIXED_RO);
}

PATH(mremap_leaves, "mremap: whole leaves, aligned and not")
{
	unsigned char *to = map_leaves(6 * LEAF);

	see(p, "aligned: %d", mremap(p->anon + LEAF, 2 * LEAF, 2 * LEAF,
				     MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	see(p, "odd: %d", mremap(p->anon + 3 * LEAF, 2 * LEAF, 2 * LEAF,
				 MREMAP_MAYMOVE | MREMAP_FIXED,
				 to + 2 * LEAF + 5 * PAGE) == to + 2 * LEAF + 5 * PAGE);
	see_mem(p, "there", to, 6 * LEAF);
	to[3] = 1;
	to[3 * LEAF] = 1;
	see_mem(p, "there", to, 6 * LEAF);
	see_mem(p, "rest", p->anon, LEAF);
	see_mem(p, "rest", p->anon + 5 * LEAF, LEAF);
	see_maps(p, "maps", p->anon, p->anon + ANON_LEN);
}

PATH(mremap_shrink, "mremap: shrink")
{
	see(p, "shrunk: %d", mremap(p->anon, ANON_LEN, 2 * LEAF + 3 * PAGE, 0) == p->anon);
	see_mem(p, "rest", p->anon, 2 * LEAF + 3 * PAGE);
	see_fault(p, "beyond", p->anon + 2 * LEAF + 3 * PAGE, PATH_READ);
}

PATH(mremap_grow, "mremap: grow in place, and by moving")
{
	unsigned char *to = map_leaves(2 * ANON_LEN), *moved;

	CHECK(!munmap(p->anon + 4 * LEAF, 2 * LEAF));
	see(p, "in place: %d", mremap(p->anon, 4 * LEAF, 4 * LEAF + 9 * PAGE, 0) == p->anon);
	see_mem(p, "grown", p->anon, 4 * LEAF + 9 * PAGE);
	munmap(to, 2 * ANON_LEN);
	moved = mremap(p->anon, 4 * LEAF + 9 * PAGE, ANON_LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	see(p, "moved: %d", moved == to);
	see_mem(p, "moved", moved, ANON_LEN);
	moved[LEAF + 3] = 1;
	moved[ANON_LEN - 1] = 1;
	see_mem(p, "written", moved, ANON_LEN);
}

PATH(mremap_dontunmap, "mremap: MREMAP_DONTUNMAP")
{
	unsigned char *to = mremap(p->anon, ANON_LEN, ANON_LEN,
				   MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	CHECK(to != MAP_FAILED);
	see_mem(p, "there", to, ANON_LEN);
	see(p, "here, empty: %d", is_zero(p->anon, ANON_LEN));
	p->anon[LEAF] = 1;
	to[LEAF] = 2;
	see_mem(p, "there", to, ANON_LEN);
	see_mem(p, "here", p->anon, ANON_LEN);
}

/* Splits the mapping before it moves anything; locked, but nothing is copied by that. */
PATH(mremap_dontunmap_locked, "mremap: MREMAP_DONTUNMAP of a locked part")
{
	unsigned char *from[] = { p->anon, p->huge }, *to;
	size_t i;

	for (i = 0; i < 2; i++) {
		CHECK(!mlock2(from[i], 3 * LEAF, MLOCK_ONFAULT));
		to = mremap(from[i] + 5 * PAGE, 2 * LEAF, 2 * LEAF,
			    MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
		CHECK(to != MAP_FAILED);
		see_mem(p, "there", to, 2 * LEAF);
		see_mem(p, "here", from[i], 3 * LEAF);
		to[LEAF] = 2;
		from[i][LEAF] = 3;
		see_mem(p, "written there", to, 2 * LEAF);
		see_mem(p, "written here", from[i], 3 * LEAF);
		see_maps(p, "maps", from[i], from[i] + 3 * LEAF);
	}
}

PATH(mremap_without_memory, "mremap while allocations fail")
{
	unsigned char *to = map_leaves(4 * LEAF), *got = MAP_FAILED;
	unsigned int nth;

	munmap(to, 4 * LEAF);
	for (nth = 1; nth < 60 && got == MAP_FAILED; nth++) {
		inject_on(p, nth);
		got = mremap(p->anon + 3 * PAGE, 2 * LEAF, 2 * LEAF,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE);
		fail_done();
		if (got == MAP_FAILED)
			CHECK(errno == ENOMEM && is_filled(p->anon, ANON_LEN, ANON_SEED));
	}
	see(p, "at last: %d", got == to + PAGE);
	see_mem(p, "there", to + PAGE, 2 * LEAF);
	see_mem(p, "rest", p->anon, 3 * PAGE);
}

PATH(brk_heap, "brk: shrink and grow")
{
	unsigned char *heap = sbrk(0);

	see(p, "grow: %d", sbrk(3 * LEAF) == heap);
	memset(heap, 9, 3 * LEAF);
	see(p, "shrink: %d", !brk(heap + LEAF));
	see(p, "grow: %d", !brk(heap + 2 * LEAF));
	see_mem(p, "heap", (void *)(((uintptr_t)heap + 7) & ~7UL), LEAF - 8);
	see(p, "zero: %d", is_zero((void *)(((uintptr_t)heap + LEAF + PAGE) & ~(PAGE - 1)),
				   LEAF - 2 * PAGE));
}

PATH(stack_grows, "growth of the stack")
{
	unsigned char big[64 * 1024];
	volatile unsigned char *at = big;
	size_t i;

	for (i = 0; i < sizeof(big); i += 512)
		at[i] = i >> 9;
	see_mem(p, "stack", big + (8 - (uintptr_t)big % 8) % 8, 512);
}

PATH(mlock_range, "mlock, mlock2, munlock")
{
	see_ret(p, "mlock", mlock(p->anon + 5 * PAGE, LEAF));
	see_status(p, "VmLck");
	see_ret(p, "mlock2 ONFAULT", mlock2(p->sparse, SPARSE_LEN, MLOCK_ONFAULT));
	see_status(p, "VmLck");
	see_mem(p, "sparse", p->sparse, SPARSE_LEN);
	p->anon[LEAF] = 1;
	see_anon(p);
	see_ret(p, "munlock", munlock(p->anon, ANON_LEN));
	see_ret(p, "munlock", munlock(p->sparse, SPARSE_LEN));
	see_status(p, "VmLck");
	see_anon(p);
}

PATH(mlock_all, "mlockall, munlockall")
{
	see_ret(p, "mlockall", mlockall(MCL_CURRENT | MCL_FUTURE));
	see_mem(p, "anon", p->anon, ANON_LEN);
	p->anon[LEAF + 5] = 1;
	see(p, "mapped since: %d", is_zero(map_anon(LEAF), LEAF));
	see_ret(p, "munlockall", munlockall());
	see_anon(p);
}

PATH(mseal_part, "mseal")
{
	see_ret(p, "mseal", syscall(__NR_mseal, p->anon + LEAF + 3 * PAGE, 5 * PAGE, 0));
	see_ret(p, "munmap", munmap(p->anon + LEAF, LEAF));
	see_ret(p, "mprotect", mprotect(p->anon + LEAF, LEAF, PROT_READ));
	see_ret(p, "DONTNEED", madvise(p->anon + LEAF, LEAF, MADV_DONTNEED));
	see_fault(p, "write", p->anon + LEAF + 3 * PAGE, PATH_WRITE);
	see_anon(p);
}

/* What is accounted has to be the same; what lies in CXL memory is not RSS. */
PATH(counters, "/proc/PID/status: sizes")
{
	static const char * const same[] = { "VmSize", "VmLck", "VmData", "VmStk",
					     "VmExe", "VmLib", "VmSwap" };
	unsigned int i;

	p->anon[0] = 1;
	munmap(p->anon + LEAF, 3 * PAGE);
	for (i = 0; i < ARRAY_SIZE(same); i++)
		see_status(p, same[i]);
}

TEST_HARNESS_MAIN
