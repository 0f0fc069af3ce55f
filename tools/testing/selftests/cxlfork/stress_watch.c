// SPDX-License-Identifier: GPL-2.0
/*
 * Operations that watch memory, or tell the kernel where it should lie: soft-dirty,
 * PAGEMAP_SCAN, userfaultfd, protection keys, NUMA, the figures of /proc.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include "stress.h"

#define SOFT_DIRTY	(1ULL << 55)
#define SOME		24

/* Newer than the headers of some distributions. */
#define SCAN_WP_MATCHING	1ULL
#define SCAN_CHECK_WPASYNC	2ULL
#define SCAN_IS_WRITTEN		2ULL

struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN		_IOWR('f', 16, struct scan_arg)

#define WP_UNPOPULATED	(1 << 13)
#define WP_ASYNC	(1 << 15)

struct move_arg {
	uint64_t dst, src, len, mode;
	int64_t move;
};

#define MOVE		_IOWR(UFFDIO, 0x05, struct move_arg)

/* Writes to some pages of a range; which ones. */
static int write_some(unsigned long at, unsigned long n, unsigned long *page)
{
	unsigned long i;
	int nr = 0;

	for (i = at; i < at + n && nr < SOME; i += 1 + rnd(30))
		if (run_of(i, 1, W_READ | W_WRITE)) {
			store(i, rnd(3), rnd_value());
			page[nr++] = i;
		}
	return nr;
}

static void op_soft_dirty(unsigned long at, unsigned long n)
{
	unsigned long page[SOME];
	uint64_t entry;
	int fd, nr, i;

	fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "4", 1) != 1)
		die("clear_refs", at);
	close(fd);
	check_range(at, n, false);
	nr = write_some(at, n, page);
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < nr; i++) {
		if (pread(fd, &entry, 8, (off_t)at_page(page[i]) / PAGE * 8) != 8)
			die("pagemap", page[i]);
		if (!(entry & SOFT_DIRTY))
			die("written, but not soft-dirty", page[i]);
	}
	close(fd);
}

static int uffd_open(unsigned long at, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		die("userfaultfd", at);
	return fd;
}

static bool uffd_register(int fd, unsigned long at, unsigned long n, uint64_t mode)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)at_page(at), n * PAGE }, .mode = mode,
	};
	int i;

	for (i = 0; i < 20; i++) {
		if (!ioctl(fd, UFFDIO_REGISTER, &reg))
			return true;
		if (errno != ENOMEM)
			die("UFFDIO_REGISTER", at);
		usleep(10000);
	}
	return false;
}

static void uffd_close(int fd, unsigned long at, unsigned long n)
{
	struct uffdio_range range = { (uintptr_t)at_page(at), n * PAGE };

	/* Otherwise by its end. */
	if (rnd(2) && ioctl(fd, UFFDIO_UNREGISTER, &range))
		die("UFFDIO_UNREGISTER", at);
	close(fd);
}

/* Which pages were written is what PAGEMAP_SCAN says. */
static void op_scan(unsigned long at, unsigned long n)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	static struct scan_region found[512];
	struct scan_arg arg = {
		.size = sizeof(arg), .flags = SCAN_WP_MATCHING | SCAN_CHECK_WPASYNC,
		.vec = (uintptr_t)found, .vec_len = 512,
		.category_mask = SCAN_IS_WRITTEN, .return_mask = SCAN_IS_WRITTEN,
	};
	unsigned long page[SOME];
	int uffd, nr, i, k, regions;

	n = run_of(at, n < 512 ? n : 512, W_ANON | W_READ | W_WRITE);
	if (n) {
		uffd = uffd_open(at, WP_ASYNC | WP_UNPOPULATED);
		if (uffd_register(uffd, at, n, UFFDIO_REGISTER_MODE_WP)) {
			arg.start = (uintptr_t)at_page(at);
			arg.end = (uintptr_t)at_page(at + n);
			/* all as not written */
			if (ioctl(fd, SCAN, &arg) < 0)
				die("PAGEMAP_SCAN", at);
			nr = write_some(at, n, page);
			regions = ioctl(fd, SCAN, &arg);
			for (i = 0; i < nr; i++) {
				uint64_t address = (uintptr_t)at_page(page[i]);

				for (k = 0; k < regions; k++)
					if (found[k].start <= address && address < found[k].end)
						break;
				if (k >= regions)
					die("written, but PAGEMAP_SCAN does not say so", page[i]);
			}
		}
		uffd_close(uffd, at, n);
		check_range(at, n, false);
	}
	close(fd);
}

struct uffd_thread {
	int		fd, stop[2];
	uint32_t	value;
	uint32_t	page[PAGE / 4];
};

/* Missing pages get a value, writes are let through. */
static void *serve(void *arg)
{
	struct uffd_thread *t = arg;
	struct pollfd p[2] = { { t->fd, POLLIN, 0 }, { t->stop[0], POLLIN, 0 } };
	struct uffd_msg msg;

	for (;;) {
		poll(p, 2, -1);
		if (p[1].revents)
			return NULL;
		if (read(t->fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		uint64_t address = msg.arg.pagefault.address & ~(PAGE - 1);
		struct uffdio_copy copy = {
			.dst = address, .src = (uintptr_t)t->page, .len = PAGE,
		};
		struct uffdio_writeprotect wp = { .range = { address, PAGE } };

		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
			ioctl(t->fd, UFFDIO_WRITEPROTECT, &wp);
		else
			ioctl(t->fd, UFFDIO_COPY, &copy);
		/* Whatever went wrong: the fault comes again. */
		ioctl(t->fd, UFFDIO_WAKE, &wp.range);
	}
}

static bool uffd_start(struct uffd_thread *t, pthread_t *thread)
{
	int i;

	t->value = rnd_value();
	for (i = 0; i < (int)PAGE / 4; i++)
		t->page[i] = t->value;
	if (pipe2(t->stop, O_CLOEXEC))
		return false;
	if (!pthread_create(thread, NULL, serve, t))
		return true;
	close(t->stop[0]);
	close(t->stop[1]);
	return false;
}

static void uffd_stop(struct uffd_thread *t, pthread_t thread)
{
	close(t->stop[1]);
	pthread_join(thread, NULL);
	close(t->stop[0]);
}

static void op_uffd_missing(unsigned long at, unsigned long n)
{
	static struct uffd_thread t;
	pthread_t thread;
	unsigned long i;

	n = run_of(at, n < 512 ? n : 512, W_ANON | W_READ | W_WRITE | W_UNLOCKED);
	if (!n)
		return;
	t.fd = uffd_open(at, 0);
	if (uffd_register(t.fd, at, n, UFFDIO_REGISTER_MODE_MISSING) &&
	    uffd_start(&t, &thread)) {
		must(at, SYS_madvise, ARGS((long)at_page(at), n * PAGE, MADV_DONTNEED));
		set_dropped(at, n);
		for (i = at; i < at + n; i += 1 + rnd(8)) {
			(void)*(volatile uint32_t *)at_page(i);
			set_values(i, t.value);
			check_page(i, true);
		}
		uffd_stop(&t, thread);
	}
	uffd_close(t.fd, at, n);
	check_range(at, n, false);
}

static void op_uffd_wp(unsigned long at, unsigned long n)
{
	static struct uffd_thread t;
	struct uffdio_writeprotect wp = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	unsigned long page[SOME];
	pthread_t thread;

	n = run_of(at, n < 512 ? n : 512, W_ANON | W_READ | W_WRITE);
	if (!n)
		return;
	t.fd = uffd_open(at, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (uffd_register(t.fd, at, n, UFFDIO_REGISTER_MODE_WP) && uffd_start(&t, &thread)) {
		wp.range = (struct uffdio_range){ (uintptr_t)at_page(at), n * PAGE };
		if (ioctl(t.fd, UFFDIO_WRITEPROTECT, &wp) && errno != EAGAIN && errno != ENOMEM)
			die("UFFDIO_WRITEPROTECT", at);
		write_some(at, n, page);
		uffd_stop(&t, thread);
	}
	uffd_close(t.fd, at, n);
	check_range(at, n, false);
}

/* Moves one page; one that is shared with anybody is refused. */
static void op_uffd_move(unsigned long at, unsigned long n)
{
	unsigned long to = rnd(AREA_PAGES);
	struct move_arg move = { .len = PAGE };
	int fd;

	(void)n;
	if (to == at || !run_of(at, 1, W_ANON | W_READ | W_WRITE | W_SURE | W_UNLOCKED) ||
	    !run_of(to, 1, W_ANON | W_READ | W_WRITE | W_UNLOCKED))
		return;
	fd = uffd_open(at, 0);
	if (uffd_register(fd, to, 1, UFFDIO_REGISTER_MODE_MISSING)) {
		must(to, SYS_madvise, ARGS((long)at_page(to), PAGE, MADV_DONTNEED));
		set_dropped(to, 1);
		move.dst = (uintptr_t)at_page(to);
		move.src = (uintptr_t)at_page(at);
		if (!ioctl(fd, MOVE, &move)) {
			memcpy(st.page[to].value, st.page[at].value, sizeof(st.page[to].value));
			set_dropped(at, 1);
		}
	}
	close(fd);
	check_page(at, true);
	check_page(to, true);
}

static void op_pkey(unsigned long at, unsigned long n)
{
	int key = pkey_alloc(0, 0);
	unsigned long page;

	if (key < 0)
		return;
	n = run_of(at, n, W_READ | W_WRITE);
	if (n) {
		page = at + rnd(n);
		must(at, SYS_pkey_mprotect,
		     ARGS((long)at_page(at), n * PAGE, PROT_READ | PROT_WRITE, key));
		pkey_set(key, PKEY_DISABLE_WRITE);
		if (!faults(page, true))
			die("protection key: no fault", page);
		/* A signal handler that does not return leaves the key without access. */
		pkey_set(key, PKEY_DISABLE_WRITE);
		check_page(page, true);
		pkey_set(key, PKEY_DISABLE_ACCESS);
		if (!faults(page, false))
			die("protection key: no fault", page);
		pkey_set(key, 0);
		store(page, MIDDLE, rnd_value());
		must(at, SYS_pkey_mprotect,
		     ARGS((long)at_page(at), n * PAGE, PROT_READ | PROT_WRITE, 0));
	}
	pkey_free(key);
}

static void op_numa(unsigned long at, unsigned long n)
{
	unsigned long nodes[1] = { 1 + rnd(3) }, all[1] = { 3 };
	void *pages[SOME];
	int node[SOME], status[SOME], i;

	switch (rnd(4)) {
	case 0: /* MPOL_BIND or MPOL_PREFERRED, MPOL_MF_MOVE; a node may be missing */
		may(SYS_mbind, ARGS((long)at_page(at), n * PAGE, 1 + rnd(2), (long)nodes, 8, 2));
		break;
	case 1:
		may(SYS_mbind, ARGS((long)at_page(at), n * PAGE, 0, 0, 0, 0));
		break;
	case 2:
		for (i = 0; i < SOME; i++) {
			pages[i] = at_page((at + i * 3) % AREA_PAGES);
			node[i] = rnd(2);
		}
		may(SYS_move_pages, ARGS(0, SOME, (long)pages, (long)node, (long)status, 2));
		break;
	default:
		nodes[0] = 1 + rnd(2);
		all[0] ^= nodes[0];
		may(SYS_migrate_pages, ARGS(0, 8, (long)nodes, (long)all));
	}
	check_range(at, n, false);
}

static void op_figures(unsigned long at, unsigned long n)
{
	static const char *const files[] = {
		"smaps", "smaps_rollup", "numa_maps", "maps", "status", "cxlfork_stat",
	};
	static unsigned char core[AREA_PAGES];
	static char text[4096];
	char path[64];
	ssize_t got;
	int fd;

	n = run_of(at, n, 0);
	if (n && mincore(at_page(at), n * PAGE, core))
		die("mincore", at);
	snprintf(path, sizeof(path), "/proc/self/%s", files[rnd(6)]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path, at);
	do
		got = read(fd, text, sizeof(text));
	while (got > 0);
	if (got < 0)
		die(path, at);
	close(fd);
}

const struct stress_op stress_watch_ops[] = {
	{ "soft-dirty", op_soft_dirty, 3 },
	{ "PAGEMAP_SCAN", op_scan, 3 },
	{ "userfaultfd, missing", op_uffd_missing, 3 },
	{ "userfaultfd, write-protect", op_uffd_wp, 3 },
	{ "userfaultfd, move", op_uffd_move, 3 },
	{ "pkey_mprotect", op_pkey, 3 },
	{ "NUMA", op_numa, 4 },
	{ "figures", op_figures, 4 },
	{ }
};
