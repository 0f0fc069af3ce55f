// SPDX-License-Identifier: GPL-2.0
/* Operations that change mappings, or what is known of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "stress.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

static long address(unsigned long page)
{
	return (long)at_page(page);
}

static void advise(unsigned long at, unsigned long n, int advice)
{
	must(at, SYS_madvise, ARGS(address(at), n * PAGE, advice));
}

/* Where locked pages of the file become writable they are copied at once. */
static void populated(unsigned long at, unsigned long n)
{
	unsigned long i;

	for (i = at; i < at + n; i++)
		if (st.page[i].flags & P_LOCKED)
			st.page[i].flags &= ~P_CACHE;
}

static void op_mprotect(unsigned long at, unsigned long n)
{
	static const int which[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC,
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE | PROT_EXEC,
	};
	int prot = which[rnd(7)];
	unsigned long i;

	n = run_of(at, n, 0);
	if (!n)
		return;
	must(at, SYS_mprotect, ARGS(address(at), n * PAGE, prot));
	for (i = at; i < at + n; i++)
		st.page[i].prot = prot;
	populated(at, n);
}

/* There and back at once: what is there must not notice. */
static void op_none_and_back(unsigned long at, unsigned long n)
{
	unsigned long i, page;

	n = run_of(at, n, W_READ | W_WRITE);
	if (!n)
		return;
	page = at + rnd(n);
	must(at, SYS_mprotect, ARGS(address(at), n * PAGE, PROT_NONE));
	if (!faults(page, rnd(2)))
		die("PROT_NONE, but no fault", page);
	must(at, SYS_mprotect, ARGS(address(at), n * PAGE, PROT_READ));
	if (!faults(page, true))
		die("PROT_READ, but no fault", page);
	must(at, SYS_mprotect, ARGS(address(at), n * PAGE, PROT_READ | PROT_WRITE));
	for (i = at; i < at + n; i++)
		st.page[i].prot = PROT_READ | PROT_WRITE;
	populated(at, n);
	check_range(at, n, false);
}

static void op_munmap(unsigned long at, unsigned long n)
{
	/* So that there is enough left to work on. */
	if (n > 100 && rnd(3))
		return;
	must(at, SYS_munmap, ARGS(address(at), n * PAGE));
	set_unmapped(at, n);
	if (!faults(at + rnd(n), rnd(2)))
		die("unmapped, but no fault", at);
}

static void map_fresh(unsigned long at, unsigned long n, int flags)
{
	must(at, SYS_mmap,
	     ARGS(address(at), n * PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | flags, -1));
	set_fresh(at, n, PROT_READ | PROT_WRITE);
}

static void op_mmap_over(unsigned long at, unsigned long n)
{
	static const int more[] = { 0, 0, MAP_POPULATE, MAP_NORESERVE };

	map_fresh(at, n, MAP_FIXED | more[rnd(4)]);
}

/* The next hole, and only that. */
static void op_mmap_hole(unsigned long at, unsigned long n)
{
	while (at < AREA_PAGES && (st.page[at].flags & P_MAPPED))
		at++;
	n = run_of(at, n, W_HOLE);
	if (!n)
		return;
	map_fresh(at, n, MAP_FIXED_NOREPLACE);
	if (rnd(2))
		store(at + rnd(n), MIDDLE, rnd_value());
}

static void op_mmap_huge(unsigned long at, unsigned long n)
{
	unsigned long i;

	(void)n;
	at &= ~(LEAF_PAGES - 1);
	map_fresh(at, LEAF_PAGES, MAP_FIXED);
	advise(at, LEAF_PAGES, MADV_HUGEPAGE);
	for (i = 0; i < LEAF_PAGES; i += 1 + rnd(100))
		store_all(at + i, rnd_value());
}

static void op_mmap_file(unsigned long at, unsigned long n)
{
	int prot = rnd(3) ? PROT_READ | PROT_WRITE : PROT_READ;
	unsigned long from = rnd(FILE_PAGES);
	int fd;

	if (n > FILE_PAGES - from)
		n = FILE_PAGES - from;
	fd = open(STRESS_FILE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(STRESS_FILE, at);
	must(at, SYS_mmap,
	     ARGS(address(at), n * PAGE, prot, MAP_PRIVATE | MAP_FIXED, fd, from * PAGE));
	close(fd);
	set_file(at, n, prot, from);
}

/* What a move has made of the place where it began. */
static void set_moved(unsigned long at, unsigned long n, bool stays)
{
	unsigned long i;

	if (!stays) {
		set_unmapped(at, n);
		return;
	}
	for (i = at; i < at + n; i++) {
		st.page[i].flags &= ~P_LOCKED;
		set_dropped(i, 1);
	}
}

/* It may begin in one mapping and end in another: then it is refused. */
static void op_move(unsigned long at, unsigned long n)
{
	unsigned long to = rnd(AREA_PAGES), i;
	bool stays = !rnd(4);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (stays ? MREMAP_DONTUNMAP : 0);
	long ret;

	if (rnd(2)) {
		/* a whole leaf to the place of another */
		at &= ~(LEAF_PAGES - 1);
		to &= ~(LEAF_PAGES - 1);
		n = LEAF_PAGES;
	} else if (rnd(2)) {
		/* to the same place in another leaf */
		to = (to & ~(LEAF_PAGES - 1)) + at % LEAF_PAGES;
	}
	n = run_of(at, n, 0);
	for (i = at; i < at + n; i++)
		if (st.page[i].prot != st.page[at].prot || !st.page[i].file != !st.page[at].file)
			break;
	n = i - at;
	if (!n || to + n > AREA_PAGES || (to < at + n && at < to + n))
		return;
	ret = may(SYS_mremap, ARGS(address(at), n * PAGE, n * PAGE, flags, address(to)));
	if (ret == -1) {
		if (errno != EFAULT && errno != ENOMEM)
			die("mremap", at);
		st.result.refused += errno == ENOMEM;
		/* The new place may be unmapped all the same. */
		must(to, SYS_munmap, ARGS(address(to), n * PAGE));
		set_unmapped(to, n);
	} else {
		/*
		 * Where the old place is a part of its mapping, and there is no memory to
		 * split that, it stays, empty, with no error: so does any kernel.
		 */
		if (!stays && (st.order.flags & (ORDER_FAIL | ORDER_TIGHT)))
			must(at, SYS_munmap, ARGS(address(at), n * PAGE));
		for (i = 0; i < n; i++)
			st.page[to + i] = st.page[at + i];
		set_moved(at, n, stays);
	}
	check_range(at, n, false);
	check_range(to, n, false);
}

static void op_shrink(unsigned long at, unsigned long n)
{
	unsigned long keep;

	n = run_of(at, n, 0);
	if (n < 2)
		return;
	keep = 1 + rnd(n - 1);
	must(at, SYS_mremap, ARGS(address(at), n * PAGE, keep * PAGE));
	set_unmapped(at + keep, n - keep);
}

/* Into the hole behind it. Where the mapping began somewhere else it is refused. */
static void op_grow(unsigned long at, unsigned long n)
{
	const struct page_model *last;
	unsigned long more, i;

	while (at < AREA_PAGES && !(st.page[at].flags & P_MAPPED))
		at++;
	n = run_of(at, AREA_PAGES, 0);
	more = run_of(at + n, 1 + rnd(700), W_HOLE);
	if (!n || !more)
		return;
	last = &st.page[at + n - 1];
	if (last->file && last->file + more > FILE_PAGES)
		return;
	/* The last page is in the mapping that grows. */
	at += n - 1;
	if (may(SYS_mremap, ARGS(address(at), PAGE, (1 + more) * PAGE)) == -1) {
		if (errno != EFAULT && errno != ENOMEM && errno != EAGAIN)
			die("mremap", at);
		st.result.refused += errno == ENOMEM;
		return;
	}
	for (i = at + 1; i <= at + more; i++) {
		if (last->file)
			set_file(i, 1, last->prot, last->file + i - at - 1);
		else
			set_fresh(i, 1, last->prot);
		st.page[i].flags |= last->flags & (P_LOCKED | P_WIPE | P_DONTFORK);
	}
	populated(at, more + 1);
	check_range(at, more + 1, false);
}

static void op_dontneed(unsigned long at, unsigned long n)
{
	n = run_of(at, n, 0);
	if (!n)
		return;
	if (run_of(at, n, W_UNLOCKED) == n)
		advise(at, n, MADV_DONTNEED);
	else
		advise(at, n, MADV_DONTNEED_LOCKED);
	set_dropped(at, n);
}

/* The pages may be gone any time, until they are written. */
static void op_free(unsigned long at, unsigned long n)
{
	unsigned long i;

	n = run_of(at, n, W_ANON | W_UNLOCKED);
	if (!n)
		return;
	advise(at, n, MADV_FREE);
	for (i = at; i < at + n; i++) {
		st.page[i].flags |= P_EITHER;
		st.page[i].other = 0;
	}
}

/* Advice that changes no content. Some is refused here and there. */
static void op_advise(unsigned long at, unsigned long n)
{
	static const int advice[] = {
		MADV_COLD, MADV_PAGEOUT, MADV_PAGEOUT, MADV_WILLNEED, MADV_SEQUENTIAL,
		MADV_RANDOM, MADV_NORMAL, MADV_HUGEPAGE, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
		MADV_DONTDUMP, MADV_DODUMP, MADV_MERGEABLE, MADV_MERGEABLE, MADV_UNMERGEABLE,
	};

	may(SYS_madvise, ARGS(address(at), n * PAGE, advice[rnd(15)]));
	check_range(at, n > 50 ? 50 : n, true);
}

static void op_collapse(unsigned long at, unsigned long n)
{
	(void)n;
	at &= ~(LEAF_PAGES - 1);
	may(SYS_madvise, ARGS(address(at), LEAF, MADV_COLLAPSE));
	check_range(at, LEAF_PAGES, rnd(2));
}

static void op_populate(unsigned long at, unsigned long n)
{
	unsigned long i;

	if (rnd(2)) {
		n = run_of(at, n, W_READ);
		if (n)
			advise(at, n, MADV_POPULATE_READ);
		return;
	}
	n = run_of(at, n, W_WRITE);
	if (!n)
		return;
	advise(at, n, MADV_POPULATE_WRITE);
	for (i = at; i < at + n; i++)
		if (st.page[i].file)
			st.page[i].flags = (st.page[i].flags & ~P_CACHE) |
					   (st.page[i].flags & P_EITHER ? 0 : P_PRIVATE);
	check_range(at, n, false);
}

static void op_process_madvise(unsigned long at, unsigned long n)
{
	static const int advice[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_COLLAPSE };
	struct iovec range[2] = {
		{ at_page(at), n * PAGE }, { at_page(rnd(AREA_PAGES - 8)), 8 * PAGE },
	};
	int fd = syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0)
		die("pidfd_open", at);
	may(SYS_process_madvise, ARGS(fd, (long)range, 2, advice[rnd(4)]));
	close(fd);
	check_range(at, n, false);
}

/* What children get. */
static void op_fork_advice(unsigned long at, unsigned long n)
{
	static const struct {
		int advice;
		unsigned int set, clear;
	} which[] = {
		{ MADV_WIPEONFORK, P_WIPE, 0 }, { MADV_KEEPONFORK, 0, P_WIPE },
		{ MADV_DONTFORK, P_DONTFORK, 0 }, { MADV_DOFORK, 0, P_DONTFORK },
		{ MADV_KEEPONFORK, 0, P_WIPE }, { MADV_DOFORK, 0, P_DONTFORK },
	};
	unsigned int i = rnd(6);
	unsigned long page;

	n = run_of(at, n, W_ANON);
	if (!n)
		return;
	advise(at, n, which[i].advice);
	for (page = at; page < at + n; page++)
		st.page[page].flags = (st.page[page].flags | which[i].set) & ~which[i].clear;
}

static void op_mlock(unsigned long at, unsigned long n)
{
	unsigned long i;

	n = run_of(at, n, W_READ);
	if (!n)
		return;
	if (rnd(2)) {
		must(at, SYS_mlock, ARGS(address(at), n * PAGE));
		for (i = at; i < at + n; i++)
			st.page[i].flags |= P_LOCKED;
		populated(at, n);
	} else {
		must(at, SYS_mlock2, ARGS(address(at), n * PAGE, MLOCK_ONFAULT));
		for (i = at; i < at + n; i++)
			st.page[i].flags |= P_LOCKED;
	}
	check_range(at, n, false);
}

static void op_munlock(unsigned long at, unsigned long n)
{
	unsigned long i;

	if (!rnd(4)) {
		must(at, SYS_munlockall, ARGS(0));
		at = 0;
		n = AREA_PAGES;
	} else {
		n = run_of(at, n, 0);
		if (!n)
			return;
		must(at, SYS_munlock, ARGS(address(at), n * PAGE));
	}
	for (i = at; i < at + n; i++)
		st.page[i].flags &= ~P_LOCKED;
}

const struct stress_op stress_map_ops[] = {
	{ "mprotect", op_mprotect, 8 },
	{ "mprotect to PROT_NONE and back", op_none_and_back, 4 },
	{ "munmap", op_munmap, 4 },
	{ "mmap over", op_mmap_over, 4 },
	{ "mmap into a hole", op_mmap_hole, 8 },
	{ "mmap 2 MiB pages", op_mmap_huge, 2 },
	{ "mmap the file", op_mmap_file, 3 },
	{ "mremap moves", op_move, 10 },
	{ "mremap shrinks", op_shrink, 2 },
	{ "mremap grows", op_grow, 3 },
	{ "MADV_DONTNEED", op_dontneed, 6 },
	{ "MADV_FREE", op_free, 4 },
	{ "madvise", op_advise, 8 },
	{ "MADV_COLLAPSE", op_collapse, 3 },
	{ "MADV_POPULATE", op_populate, 4 },
	{ "process_madvise", op_process_madvise, 3 },
	{ "madvise for fork", op_fork_advice, 3 },
	{ "mlock", op_mlock, 4 },
	{ "munlock", op_munlock, 4 },
	{ }
};
