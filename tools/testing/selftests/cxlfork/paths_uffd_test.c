// SPDX-License-Identifier: GPL-2.0
/* Paths: userfaultfd on memory that lies in CXL. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "cxlfork_fixture.h"
#include "paths_knobs.h"

#define PM_UFFD_WP	(1ULL << 57)

static int uffd;
static volatile int missing_faults, wp_faults;
static unsigned char source[PAGE] __attribute__((aligned(4096)));

static void uffd_open(struct path *p, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0)
		path_skip(p, "no userfaultfd");
	if (ioctl(uffd, UFFDIO_API, &api))
		path_skip(p, "userfaultfd lacks a feature");
	fill(source, PAGE, 77);
}

static long uffd_register(void *start, size_t len, uint64_t mode)
{
	struct uffdio_register reg = { .range = { (uintptr_t)start, len }, .mode = mode };

	return ioctl(uffd, UFFDIO_REGISTER, &reg);
}

static long uffd_unregister(void *start, size_t len)
{
	struct uffdio_range range = { (uintptr_t)start, len };

	return ioctl(uffd, UFFDIO_UNREGISTER, &range);
}

static long uffd_copy(void *to)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)to, .src = (uintptr_t)source, .len = PAGE };

	return ioctl(uffd, UFFDIO_COPY, &copy);
}

static long uffd_zero(void *to, size_t len)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)to, len } };

	return ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
}

static long uffd_protect(void *start, size_t len, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)start, len },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &wp);
}

/* The bytes moved where it was a part, else the ioctl's result. */
static long uffd_move(void *to, void *from, size_t len, uint64_t mode)
{
	struct uffdio_move move = {
		.dst = (uintptr_t)to, .src = (uintptr_t)from, .len = len, .mode = mode,
	};
	long ret = ioctl(uffd, UFFDIO_MOVE, &move);

	return ret && move.move > 0 ? move.move : ret;
}

static void *handler(void *unused)
{
	struct pollfd pfd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;
	char *at;

	for (;;) {
		if (poll(&pfd, 1, -1) < 0 || read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			return NULL;
		at = (char *)(uintptr_t)(msg.arg.pagefault.address & ~(PAGE - 1));
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
			wp_faults++;
			CHECK(!uffd_protect(at, PAGE, false));
		} else {
			missing_faults++;
			CHECK(!uffd_copy(at));
		}
	}
}

static void start_handler(void)
{
	pthread_t thread;

	missing_faults = 0;
	wp_faults = 0;
	CHECK(!pthread_create(&thread, NULL, handler, NULL));
}

/* Which pages are write-protected: a checksum, and how many. */
static void see_protected(struct path *p, const char *what, void *start, size_t len)
{
	static uint64_t entries[ANON_LEN / PAGE];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned int nr = 0, sum = 0, i, pages = len / PAGE;

	CHECK(pread(fd, entries, pages * 8, (uintptr_t)start / PAGE * 8) == pages * 8);
	close(fd);
	for (i = 0; i < pages; i++)
		if (entries[i] & PM_UFFD_WP) {
			nr++;
			sum = sum * 31 + i;
		}
	see(p, "%s: %u pages are write-protected, %08x", what, nr, sum);
}

PATH(uffd_missing, "userfaultfd: missing pages, UFFDIO_COPY and UFFDIO_ZEROPAGE")
{
	unsigned char *leaf = p->anon + 3 * LEAF;

	make_mixed(p);
	uffd_open(p, 0);
	see_ret(p, "register anon", uffd_register(p->anon, ANON_LEN,
						  UFFDIO_REGISTER_MODE_MISSING));
	see_ret(p, "register sparse", uffd_register(p->sparse, SPARSE_LEN,
						    UFFDIO_REGISTER_MODE_MISSING));
	see_ret(p, "copy where a page is", uffd_copy(leaf));
	see_ret(p, "zero where a page is", uffd_zero(leaf + PAGE, PAGE));
	/* a part of a leaf, a whole one, a part of a mixed one */
	see_ret(p, "dontneed", madvise(leaf + 3 * PAGE, 8 * PAGE, MADV_DONTNEED));
	see_ret(p, "dontneed leaf", madvise(leaf + LEAF, LEAF, MADV_DONTNEED));
	see_ret(p, "dontneed mixed", madvise(p->anon + LEAF, 16 * PAGE, MADV_DONTNEED));
	see_ret(p, "copy", uffd_copy(leaf + 3 * PAGE));
	see_ret(p, "copy again", uffd_copy(leaf + 3 * PAGE));
	see_ret(p, "zero", uffd_zero(leaf + 4 * PAGE, 2 * PAGE));
	see_ret(p, "zero over the end", uffd_zero(leaf + 10 * PAGE, 2 * PAGE));
	see_ret(p, "copy into an empty leaf", uffd_copy(leaf + LEAF + 7 * PAGE));
	see_ret(p, "copy into a mixed leaf", uffd_copy(p->anon + LEAF + PAGE));
	see_ret(p, "copy into a hole", uffd_copy(p->sparse + PAGE));
	see_ret(p, "copy beside a hole", uffd_copy(p->sparse));
	start_handler();
	touch_pages(leaf + 6 * PAGE, 4 * PAGE, 1);
	touch_pages(leaf + LEAF, LEAF / 4, 7);
	touch_pages(p->sparse, SPARSE_LEN / 4, 1);
	see_mem(p, "anon, faulted in", p->anon, ANON_LEN);
	see(p, "%d missing faults", missing_faults);
	see_ret(p, "unregister", uffd_unregister(p->sparse, SPARSE_LEN));
	close(uffd);
	see_all(p);
}

/* The range is not registered when the pages go: the leaf is shared then. */
PATH(uffd_missing_late, "userfaultfd: registered after MADV_DONTNEED of a shared leaf")
{
	see_ret(p, "dontneed", madvise(p->anon + 5 * PAGE, 3 * PAGE, MADV_DONTNEED));
	see_ret(p, "dontneed leaf", madvise(p->anon + LEAF, LEAF, MADV_DONTNEED));
	uffd_open(p, 0);
	see_ret(p, "register", uffd_register(p->anon, 2 * LEAF, UFFDIO_REGISTER_MODE_MISSING));
	see_ret(p, "copy", uffd_copy(p->anon + 5 * PAGE));
	see_ret(p, "zero", uffd_zero(p->anon + 6 * PAGE, PAGE));
	see_ret(p, "zero a leaf", uffd_zero(p->anon + LEAF, LEAF));
	see_ret(p, "copy where zeros are", uffd_copy(p->anon + LEAF));
	see_ret(p, "unregister", uffd_unregister(p->anon, 2 * LEAF));
	touch_pages(p->anon + LEAF, LEAF, 5);
	see_all(p);
}

PATH(uffd_wp, "userfaultfd: write protection, faults handled")
{
	make_mixed(p);
	uffd_open(p, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	see_ret(p, "register", uffd_register(p->anon, ANON_LEN, UFFDIO_REGISTER_MODE_WP));
	see_ret(p, "protect a part", uffd_protect(p->anon + PAGE, 4 * LEAF - PAGE, true));
	see_protected(p, "anon", p->anon, ANON_LEN);
	start_handler();
	see_mem(p, "read", p->anon, ANON_LEN);
	see(p, "%d faults by reads", wp_faults);
	touch_pages(p->anon, ANON_LEN, 37);
	see(p, "%d faults by writes", wp_faults);
	touch_pages(p->anon, ANON_LEN, 37);
	see(p, "%d faults by the same writes again", wp_faults);
	see_protected(p, "anon", p->anon, ANON_LEN);
	see_ret(p, "protect not", uffd_protect(p->anon, LEAF, false));
	touch_pages(p->anon, LEAF, 11);
	see_protected(p, "anon", p->anon, ANON_LEN);
	/* what stays protected is writable again when the descriptor goes */
	see_ret(p, "unregister", uffd_unregister(p->anon, ANON_LEN));
	touch_pages(p->anon, ANON_LEN, 13);
	see(p, "%d faults in all", wp_faults);
	see_protected(p, "anon", p->anon, ANON_LEN);
	see_all(p);
}

PATH(uffd_wp_async, "userfaultfd: write protection that the kernel lifts, holes marked")
{
	make_mixed(p);
	uffd_open(p, UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
	see_ret(p, "register anon", uffd_register(p->anon, ANON_LEN, UFFDIO_REGISTER_MODE_WP));
	see_ret(p, "register sparse",
		uffd_register(p->sparse, SPARSE_LEN, UFFDIO_REGISTER_MODE_WP));
	see_ret(p, "register file", uffd_register(p->file, FILE_LEN, UFFDIO_REGISTER_MODE_WP));
	see_ret(p, "protect anon", uffd_protect(p->anon, 5 * LEAF, true));
	see_ret(p, "protect sparse", uffd_protect(p->sparse, SPARSE_LEN, true));
	see_ret(p, "protect file", uffd_protect(p->file, FILE_LEN, true));
	touch_pages(p->anon, ANON_LEN, 37);
	touch_pages(p->sparse, SPARSE_LEN, 5);
	touch_pages(p->file, FILE_LEN, 7);
	see_ret(p, "dontneed", madvise(p->anon + PAGE, 5 * PAGE, MADV_DONTNEED));
	see_protected(p, "anon", p->anon, ANON_LEN);
	see_protected(p, "sparse", p->sparse, SPARSE_LEN);
	see_protected(p, "file", p->file, FILE_LEN);
	close(uffd);
	see_protected(p, "anon, closed", p->anon, ANON_LEN);
	see_protected(p, "sparse, closed", p->sparse, SPARSE_LEN);
	touch_pages(p->anon, ANON_LEN, 13);
	see_all(p);
}

PATH(uffd_moves, "userfaultfd: UFFDIO_MOVE within and between leaves")
{
	unsigned char *to = p->anon + 4 * LEAF, *from = p->anon;

	uffd_open(p, UFFD_FEATURE_MOVE);
	see_ret(p, "register", uffd_register(to, 2 * LEAF, UFFDIO_REGISTER_MODE_MISSING));
	see_ret(p, "register sparse",
		uffd_register(p->sparse, SPARSE_LEN, UFFDIO_REGISTER_MODE_MISSING));
	see_ret(p, "move onto a page", uffd_move(to, from, PAGE, 0));
	see_ret(p, "dontneed", madvise(to + PAGE, 64 * PAGE, MADV_DONTNEED));
	/* a page that others have as well can't be moved, be it in CXL or the parent's */
	see_ret(p, "move a shared page", uffd_move(to + PAGE, from, PAGE, 0));
	touch_pages(from, 16 * PAGE, 1);
	see_ret(p, "move own pages", uffd_move(to + PAGE, from, 8 * PAGE, 0));
	see_ret(p, "move them again", uffd_move(to + 10 * PAGE, from, PAGE, 0));
	see_ret(p, "holes allowed", uffd_move(to + 10 * PAGE, from, 8 * PAGE,
					      UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES));
	see_ret(p, "from own to shared", uffd_move(to + 20 * PAGE, from + 14 * PAGE,
						   4 * PAGE, 0));
	/* both in one leaf, and into holes that the parent had left */
	touch_pages(p->sparse, SPARSE_LEN, 64);
	see_ret(p, "within a leaf", uffd_move(p->sparse + PAGE, p->sparse, PAGE, 0));
	see_ret(p, "onto an own page", uffd_move(p->sparse, p->sparse + PAGE, 2 * PAGE, 0));
	see_ret(p, "between leaves", uffd_move(p->sparse + LEAF + PAGE,
					       p->sparse + 64 * PAGE, PAGE, 0));
	/* a whole leaf into the place of one */
	touch_pages(from + LEAF, LEAF, 1);
	see_ret(p, "dontneed leaf", madvise(to + LEAF, LEAF, MADV_DONTNEED));
	see_ret(p, "move a leaf", uffd_move(to + LEAF, from + LEAF, LEAF, 0));
	see_ret(p, "unregister", uffd_unregister(to, 2 * LEAF));
	close(uffd);
	see_all(p);
	touch_pages(p->anon, ANON_LEN, 3);
	see_all(p);
}

TEST_HARNESS_MAIN
