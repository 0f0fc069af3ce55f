// SPDX-License-Identifier: GPL-2.0
/* Paths: madvise and process_madvise. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "cxlfork_fixture.h"
#include "fail.h"
#include "paths.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static void advise(struct path *p, const char *what, void *at, size_t len, int advice)
{
	see_ret(p, what, madvise(at, len, advice));
}

static void see_all(struct path *p)
{
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_mem(p, "sparse", p->sparse, SPARSE_LEN);
	see_mem(p, "file", p->file, FILE_LEN);
}

PATH(madvise_dontneed, "MADV_DONTNEED")
{
	p->anon[6 * PAGE] = 1;
	advise(p, "part", p->anon + 5 * PAGE, 7 * PAGE, MADV_DONTNEED);
	advise(p, "whole", p->anon + LEAF, LEAF, MADV_DONTNEED);
	advise(p, "across", p->anon + 3 * LEAF - PAGE, 2 * PAGE, MADV_DONTNEED);
	advise(p, "file", p->file + 3 * PAGE, LEAF, MADV_DONTNEED);
	see_all(p);
	memset(p->anon + LEAF, 3, PAGE);
	see_all(p);
}

/* Stale translations of pages that were read would show the old content. */
PATH(madvise_dontneed_read_before, "MADV_DONTNEED of what was just read")
{
	cpu_set_t set;
	size_t at;

	/* On another CPU it would pass whatever the kernel does. */
	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
	for (at = 0; at < ANON_LEN; at += LEAF) {
		see_mem(p, "before", p->anon + at, LEAF);
		CHECK(!madvise(p->anon + at, LEAF, MADV_DONTNEED));
		see(p, "2 MiB %zu: zero: %d", at / LEAF, is_zero(p->anon + at, LEAF));
	}
}

PATH(madvise_dontneed_without_memory, "MADV_DONTNEED while allocations fail")
{
	unsigned int nth;
	long ret = -1;

	for (nth = 1; nth < 40 && ret; nth++) {
		inject_on(p, nth);
		ret = madvise(p->anon + 5 * PAGE, LEAF, MADV_DONTNEED);
		fail_done();
		CHECK(!ret || errno == ENOMEM || errno == EAGAIN);
	}
	see_ret(p, "at last", ret);
	see_all(p);
}

/* The kernel may free the pages, and need not: only what is written then counts. */
PATH(madvise_free, "MADV_FREE")
{
	size_t i;

	advise(p, "part", p->anon + 5 * PAGE, 7 * PAGE, MADV_FREE);
	advise(p, "whole", p->anon + LEAF, LEAF, MADV_FREE);
	for (i = 5; i < 12; i++)
		memset(p->anon + i * PAGE, i, PAGE);
	memset(p->anon + LEAF, 3, LEAF);
	see_all(p);
}

PATH(madvise_cold, "MADV_COLD")
{
	p->anon[PAGE] = 1;
	advise(p, "anon", p->anon, ANON_LEN, MADV_COLD);
	advise(p, "part", p->sparse + PAGE, 9 * PAGE, MADV_COLD);
	advise(p, "huge", p->huge, HUGE_LEN, MADV_COLD);
	see_all(p);
	see_mem(p, "huge", p->huge, HUGE_LEN);
}

PATH(madvise_pageout, "MADV_PAGEOUT")
{
	memset(p->anon + LEAF, 1, 20 * PAGE);
	advise(p, "anon", p->anon, ANON_LEN, MADV_PAGEOUT);
	advise(p, "file", p->file, FILE_LEN, MADV_PAGEOUT);
	see_all(p);
}

PATH(madvise_willneed, "MADV_WILLNEED")
{
	advise(p, "anon", p->anon, ANON_LEN, MADV_WILLNEED);
	advise(p, "file", p->file, FILE_LEN, MADV_WILLNEED);
	see_all(p);
}

PATH(madvise_populate_read, "MADV_POPULATE_READ")
{
	advise(p, "anon", p->anon, ANON_LEN, MADV_POPULATE_READ);
	advise(p, "sparse", p->sparse, SPARSE_LEN, MADV_POPULATE_READ);
	advise(p, "read-only", p->mixed + MIXED_RO, MIXED_LEN - MIXED_RO, MADV_POPULATE_READ);
	advise(p, "hole", p->mixed, MIXED_LEN, MADV_POPULATE_READ);
	see_all(p);
}

PATH(madvise_populate_write, "MADV_POPULATE_WRITE")
{
	advise(p, "anon", p->anon, 2 * LEAF, MADV_POPULATE_WRITE);
	advise(p, "sparse", p->sparse, SPARSE_LEN, MADV_POPULATE_WRITE);
	advise(p, "read-only", p->mixed + MIXED_RO, MIXED_LEN - MIXED_RO, MADV_POPULATE_WRITE);
	see_all(p);
}

/* How many 2 MiB pages a range is mapped by, in KiB. */
static long huge_kb(const void *at)
{
	unsigned long from, to;
	bool inside = false;
	char line[256];
	long kb = -1;
	FILE *f = fopen("/proc/self/smaps", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') < strchr(line, ' ') &&
		    sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from <= (unsigned long)at && to > (unsigned long)at;
		else if (inside)
			sscanf(line, "AnonHugePages: %ld", &kb);
	}
	fclose(f);
	return kb;
}

PATH(madvise_collapse, "MADV_COLLAPSE")
{
	advise(p, "HUGEPAGE", p->anon, ANON_LEN, MADV_HUGEPAGE);
	advise(p, "nothing is writable", p->anon + LEAF, 2 * LEAF, MADV_COLLAPSE);
	p->anon[LEAF + 9] = 1;
	p->anon[2 * LEAF + 9] = 1;
	advise(p, "a page of each", p->anon + LEAF, 2 * LEAF, MADV_COLLAPSE);
	see_all(p);
	see(p, "huge: %ld kB", huge_kb(p->anon));
	advise(p, "file", p->file, LEAF, MADV_COLLAPSE);
	see_all(p);
}

PATH(madvise_hugepage, "MADV_HUGEPAGE, MADV_NOHUGEPAGE")
{
	advise(p, "HUGEPAGE", p->anon, ANON_LEN, MADV_HUGEPAGE);
	p->anon[LEAF + 3] = 1;
	advise(p, "part", p->anon + 2 * LEAF + PAGE, LEAF, MADV_NOHUGEPAGE);
	p->anon[2 * LEAF + 3] = 1;
	see_all(p);
	see_maps(p, "maps", p->anon, p->anon + ANON_LEN);
}

static void see_in_child(struct path *p, const void *at, size_t len)
{
	pid_t pid = fork();

	if (!pid) {
		see_fault(p, "child", at, PATH_READ);
		see_mem(p, "child: before", p->anon, LEAF);
		see_mem(p, "child: after", p->anon + 3 * LEAF, 3 * LEAF);
		_exit(0);
	}
	see_child(p, "child", pid);
}

PATH(madvise_wipeonfork, "MADV_WIPEONFORK")
{
	advise(p, "whole", p->anon + LEAF, LEAF, MADV_WIPEONFORK);
	advise(p, "part", p->anon + 2 * LEAF + 5 * PAGE, 3 * PAGE, MADV_WIPEONFORK);
	see_in_child(p, p->anon + LEAF + 8, LEAF);
	see_in_child(p, p->anon + 2 * LEAF + 5 * PAGE + 8, PAGE);
	see_all(p);
	advise(p, "KEEPONFORK", p->anon + LEAF, LEAF, MADV_KEEPONFORK);
	see_in_child(p, p->anon + LEAF + 8, LEAF);
}

PATH(madvise_dontfork, "MADV_DONTFORK")
{
	advise(p, "whole", p->anon + LEAF, LEAF, MADV_DONTFORK);
	advise(p, "part", p->anon + 2 * LEAF + 5 * PAGE, 3 * PAGE, MADV_DONTFORK);
	see_in_child(p, p->anon + LEAF + 8, LEAF);
	see_in_child(p, p->anon + 2 * LEAF + 6 * PAGE, PAGE);
	see_in_child(p, p->anon + 2 * LEAF + 8, PAGE);
	see_all(p);
}

PATH(madvise_dontdump, "MADV_DONTDUMP")
{
	advise(p, "part", p->anon + 7 * PAGE, 2 * LEAF, MADV_DONTDUMP);
	see_all(p);
	advise(p, "DODUMP", p->anon, ANON_LEN, MADV_DODUMP);
	see_maps(p, "maps", p->anon, p->anon + ANON_LEN);
}

/* From another process, which is no clone. */
PATH(process_madvise_other, "process_madvise")
{
	static const int advice[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_COLLAPSE };
	struct iovec iov[] = { { p->anon, 2 * LEAF }, { p->sparse + PAGE, 20 * PAGE } };
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	unsigned int i;
	pid_t pid;

	CHECK(pidfd >= 0);
	p->anon[LEAF] = 1;
	pid = fork();
	if (!pid) {
		for (i = 0; i < 4; i++) {
			int nr = advice[i] == MADV_COLLAPSE ? 1 : 2;

			see_ret(p, "process_madvise",
				syscall(SYS_process_madvise, pidfd, iov, nr, advice[i], 0));
		}
		_exit(0);
	}
	see_child(p, "child", pid);
	see_all(p);
}

TEST_HARNESS_MAIN
