// SPDX-License-Identifier: GPL-2.0
/* Paths: pages of 2 MiB. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "cxlfork_fixture.h"
#include "fail.h"
#include "paths.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/*
 * All below is nothing without: a clone has its 2 MiB pages as such.  The reference
 * has them as the parent had: the checkpoint was made of the same.
 */
static void need_huge(struct path *p)
{
	see_mem(p, "huge", p->huge, HUGE_LEN);
	if (p->clone)
		CHECK(stat_of("self", "huge_cxl") == (long)(HUGE_LEN / LEAF));
}

static void see_huge(struct path *p)
{
	see_mem(p, "huge", p->huge, HUGE_LEN);
	see_maps(p, "maps", p->huge, p->huge + HUGE_LEN);
}

PATH(huge_write, "2 MiB page: write")
{
	need_huge(p);
	p->huge[LEAF + 77] = 1;
	see_huge(p);
	if (p->clone) {
		CHECK(stat_of("self", "faults_cow_huge") == 1);
		CHECK(stat_of("self", "huge_local") == 1);
	}
}

/* Local huge pages are not to be had: 4 KiB are copied, the rest stays. */
PATH(huge_write_small, "2 MiB page: write where no local one is to be had")
{
	need_huge(p);
	see_ret(p, "NOHUGEPAGE", madvise(p->huge, HUGE_LEN, MADV_NOHUGEPAGE));
	p->huge[LEAF + 77] = 1;
	see_huge(p);
	if (p->clone) {
		CHECK(stat_of("self", "huge_split") == 1);
		CHECK(stat_of("self", "huge_local") == 0);
		CHECK(stat_of("self", "huge_cxl") == (long)(HUGE_LEN / LEAF) - 1);
	}
}

PATH(huge_write_without_memory, "2 MiB page: write while allocations fail")
{
	unsigned int nth;

	need_huge(p);
	for (nth = 1; nth < 9; nth++) {
		inject_on(p, nth);
		p->huge[nth * LEAF / 4 + 5] = nth;
		fail_done();
	}
	see_huge(p);
}

PATH(huge_mprotect, "2 MiB page: mprotect of a part, of all")
{
	need_huge(p);
	see_ret(p, "part", mprotect(p->huge + 5 * PAGE, 3 * PAGE, PROT_READ));
	see_fault(p, "write", p->huge + 6 * PAGE, PATH_WRITE);
	see_ret(p, "all", mprotect(p->huge + LEAF, LEAF, PROT_NONE));
	see_fault(p, "read", p->huge + LEAF, PATH_READ);
	see_ret(p, "back", mprotect(p->huge, HUGE_LEN, PROT_READ | PROT_WRITE));
	see_fault(p, "write", p->huge + LEAF, PATH_WRITE);
	see_huge(p);
}

PATH(huge_munmap, "2 MiB page: munmap of a part, of all")
{
	need_huge(p);
	see_ret(p, "part", munmap(p->huge + 5 * PAGE, 3 * PAGE));
	see_ret(p, "all", munmap(p->huge + LEAF, LEAF));
	see_mem(p, "before", p->huge, 5 * PAGE);
	see_mem(p, "after", p->huge + 8 * PAGE, LEAF - 8 * PAGE);
	see_mem(p, "last", p->huge + 2 * LEAF, LEAF);
	see_maps(p, "maps", p->huge, p->huge + HUGE_LEN);
}

PATH(huge_mremap, "2 MiB page: mremap aligned, odd, of a part")
{
	unsigned char *to = map_leaves(5 * LEAF);

	need_huge(p);
	munmap(to, 5 * LEAF);
	see(p, "aligned: %d", mremap(p->huge, LEAF, LEAF, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	if (p->clone)
		CHECK(stat_of("self", "huge_cxl") == (long)(HUGE_LEN / LEAF));
	see(p, "odd: %d", mremap(p->huge + LEAF, LEAF, LEAF, MREMAP_MAYMOVE | MREMAP_FIXED,
				 to + LEAF + PAGE) == to + LEAF + PAGE);
	see(p, "part: %d", mremap(p->huge + 2 * LEAF, 9 * PAGE, 9 * PAGE,
				  MREMAP_MAYMOVE | MREMAP_FIXED, to + 3 * LEAF) == to + 3 * LEAF);
	see_mem(p, "aligned", to, LEAF);
	see_mem(p, "odd", to + LEAF + PAGE, LEAF);
	see_mem(p, "part", to + 3 * LEAF, 9 * PAGE);
	see_mem(p, "rest", p->huge + 2 * LEAF + 9 * PAGE, LEAF - 9 * PAGE);
	to[3] = 1;
	see_mem(p, "aligned", to, LEAF);
}

PATH(huge_fork, "2 MiB page: fork")
{
	pid_t pid;

	need_huge(p);
	p->huge[0]++;
	pid = fork();
	if (!pid) {
		see_mem(p, "child", p->huge, HUGE_LEN);
		p->huge[LEAF] = 1;
		see_mem(p, "child", p->huge, HUGE_LEN);
		_exit(0);
	}
	see_child(p, "child", pid);
	p->huge[2 * LEAF] = 1;
	see_huge(p);
}

PATH(huge_advice, "2 MiB page: madvise")
{
	need_huge(p);
	see_ret(p, "COLD part", madvise(p->huge, 9 * PAGE, MADV_COLD));
	see_ret(p, "PAGEOUT", madvise(p->huge, HUGE_LEN, MADV_PAGEOUT));
	see_ret(p, "WILLNEED", madvise(p->huge, HUGE_LEN, MADV_WILLNEED));
	see_ret(p, "COLLAPSE", madvise(p->huge, HUGE_LEN, MADV_COLLAPSE));
	see_ret(p, "POPULATE_READ", madvise(p->huge, HUGE_LEN, MADV_POPULATE_READ));
	see_huge(p);
	see_ret(p, "DONTNEED part", madvise(p->huge + 3 * PAGE, PAGE, MADV_DONTNEED));
	see_ret(p, "DONTNEED", madvise(p->huge + LEAF, LEAF, MADV_DONTNEED));
	see_ret(p, "POPULATE_WRITE", madvise(p->huge + 2 * LEAF, LEAF, MADV_POPULATE_WRITE));
	see_huge(p);
}

PATH(huge_lock, "2 MiB page: mlock")
{
	need_huge(p);
	see_ret(p, "mlock", mlock(p->huge, LEAF));
	see_ret(p, "part", mlock(p->huge + LEAF + PAGE, PAGE));
	see_status(p, "VmLck");
	see_huge(p);
	see_ret(p, "munlock", munlock(p->huge, HUGE_LEN));
	see_huge(p);
}

PATH(huge_pin, "2 MiB page: pinned for reading and for writing")
{
	struct iovec iov = { p->huge + 7 * PAGE, PAGE }, to = { p->huge + LEAF + 9 * PAGE, PAGE };
	unsigned char page[PAGE];
	int fds[2];

	need_huge(p);
	CHECK(!pipe(fds));
	see_ret(p, "vmsplice", vmsplice(fds[1], &iov, 1, 0));
	see_ret(p, "read", read(fds[0], page, PAGE));
	see_mem(p, "spliced", page, PAGE);
	memset(page, 8, PAGE);
	iov = (struct iovec){ page, PAGE };
	see_ret(p, "process_vm_writev", process_vm_writev(getpid(), &iov, 1, &to, 1, 0));
	see_huge(p);
}

TEST_HARNESS_MAIN
