// SPDX-License-Identifier: GPL-2.0
/* Areas with a special meaning, and what a clone's memory looks like to tools. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

#define SIZE	(2 * LEAF)

/* What is to be different in each process comes back empty, or not at all. */
CXL_TEST(uniqueness)
{
	struct cxl *cxl = &self->cxl;
	char *wiped = map_leaves(SIZE), *kept_out = map_leaves(SIZE), *mixed = map_leaves(LEAF);
	char *droppable = mmap(NULL, LEAF, PROT_READ | PROT_WRITE,
			       MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	unsigned char v;
	long id;

	ASSERT_NE(MAP_FAILED, droppable);
	fill(wiped, SIZE, 1);
	fill(kept_out, SIZE, 2);
	fill(droppable, LEAF, 3);
	fill(mixed, LEAF, 4);
	ASSERT_EQ(0, madvise(wiped, SIZE, MADV_WIPEONFORK));
	ASSERT_EQ(0, madvise(kept_out, SIZE, MADV_DONTFORK));
	ASSERT_EQ(0, madvise(mixed + 8 * PAGE, 8 * PAGE, MADV_WIPEONFORK));
	ASSERT_EQ(0, madvise(mixed + 32 * PAGE, 8 * PAGE, MADV_DONTFORK));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_zero(wiped, SIZE));
		CHECK(is_zero(droppable, LEAF));
		CHECK(mincore(kept_out, PAGE, &v) && errno == ENOMEM);
		CHECK(mincore(mixed + 32 * PAGE, PAGE, &v) && errno == ENOMEM);
		CHECK(is_zero(mixed + 8 * PAGE, 8 * PAGE));
		CHECK(is_filled(mixed, 8 * PAGE, 4));
		CHECK(mixed[16 * PAGE] && mixed[40 * PAGE]);
		/* They are still such areas: a child of the clone finds them empty. */
		fill(wiped, SIZE, 5);
		if (!fork())
			_exit(!is_zero(wiped, SIZE));
		CHECK(wait(NULL) > 0);
		CHECK(is_filled(wiped, SIZE, 5));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_TRUE(is_filled(wiped, SIZE, 1));
	EXPECT_TRUE(is_filled(kept_out, SIZE, 2));
}

static char *area;
static int uffd;

static void *handler(void *arg)
{
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	char *page = map_anon(PAGE);
	struct uffd_msg msg;

	fill(page, PAGE, 7);
	for (;;) {
		if (poll(&p, 1, -1) < 0 || read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			return NULL;
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
			struct uffdio_writeprotect wp = { .range = {
				msg.arg.pagefault.address & ~(PAGE - 1), PAGE } };

			++*(volatile int *)arg;
			CHECK(!ioctl(uffd, UFFDIO_WRITEPROTECT, &wp));
		} else {
			struct uffdio_copy copy = {
				.dst = msg.arg.pagefault.address & ~(PAGE - 1),
				.src = (uintptr_t)page, .len = PAGE };

			++*(volatile int *)arg;
			CHECK(!ioctl(uffd, UFFDIO_COPY, &copy));
		}
	}
}

static void start_uffd(uint64_t mode, volatile int *count)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)area, SIZE }, .mode = mode };
	pthread_t thread;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	CHECK(uffd >= 0);
	CHECK(!ioctl(uffd, UFFDIO_API, &api));
	CHECK(!ioctl(uffd, UFFDIO_REGISTER, &reg));
	CHECK(!pthread_create(&thread, NULL, handler, (void *)count));
}

/* Pages that were never there are asked for; those in CXL are there. */
CXL_TEST(uffd_missing)
{
	struct cxl *cxl = &self->cxl;
	static volatile int count;
	long id, i;

	area = map_leaves(SIZE);
	for (i = 0; i < 1024; i += 2)
		fill(area + i * PAGE, PAGE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		start_uffd(UFFDIO_REGISTER_MODE_MISSING, &count);
		for (i = 0; i < 1024; i++)
			CHECK(is_filled(area + i * PAGE, PAGE, i % 2 ? 7 : 1));
		CHECK(count == 512);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
}

CXL_TEST(uffd_write_protect)
{
	struct cxl *cxl = &self->cxl;
	struct uffdio_writeprotect wp;
	static volatile int count;
	long id;

	area = map_leaves(SIZE);
	fill(area, SIZE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		start_uffd(UFFDIO_REGISTER_MODE_WP, &count);
		wp = (struct uffdio_writeprotect){ .range = { (uintptr_t)area, SIZE },
			.mode = UFFDIO_WRITEPROTECT_MODE_WP };
		CHECK(!ioctl(uffd, UFFDIO_WRITEPROTECT, &wp));
		CHECK(is_filled(area, SIZE, 1));
		CHECK(count == 0);
		*(volatile char *)(area + 5 * PAGE + 8) = 1;
		CHECK(count == 1);
		*(volatile char *)(area + 5 * PAGE + 9) = 1;
		CHECK(count == 1);
		*(volatile char *)(area + LEAF + 8) = 1;
		CHECK(count == 2);
		CHECK(is_filled(area, SIZE, 1));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
}

static uint64_t page_entry(const char *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	CHECK(fd >= 0);
	CHECK(pread(fd, &entry, 8, (uintptr_t)p / PAGE * 8) == 8);
	close(fd);
	return entry;
}

#define PM_PRESENT	(1ULL << 63)
#define PM_SOFT_DIRTY	(1ULL << 55)

CXL_TEST(soft_dirty)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE);
	long id, i;

	fill(map, SIZE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		int fd = open("/proc/self/clear_refs", O_WRONLY);

		CHECK(fd >= 0 && write(fd, "4", 1) == 1);
		for (i = 0; i < 1024; i += 17)
			CHECK(!(page_entry(map + i * PAGE) & PM_SOFT_DIRTY));
		CHECK(is_filled(map, SIZE, 1));
		map[LEAF + 3 * PAGE] ^= 1;
		CHECK(page_entry(map + LEAF + 3 * PAGE) & PM_SOFT_DIRTY);
		CHECK(!(page_entry(map + LEAF + 4 * PAGE) & PM_SOFT_DIRTY));
		CHECK(!(page_entry(map + 3 * PAGE) & PM_SOFT_DIRTY));
		map[LEAF + 3 * PAGE] ^= 1;
		CHECK(write(fd, "1", 1) == 1);
		CHECK(is_filled(map, SIZE, 1));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
}

/* A field of the area's part of /proc/self/smaps, in kB. */
static long smaps_kb(const char *map, const char *field)
{
	unsigned long start, end;
	char line[512], key[64];
	bool inside = false;
	long value, found = -1;
	FILE *f = fopen("/proc/self/smaps", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (uintptr_t)map >= start && (uintptr_t)map < end;
		else if (inside && sscanf(line, "%63[^:]: %ld", key, &value) == 2 &&
			 !strcmp(key, field))
			found = value;
	}
	fclose(f);
	return found;
}

CXL_TEST(tools_can_look)
{
	struct cxl *cxl = &self->cxl;
	static const char *const files[] = {
		"maps", "smaps", "smaps_rollup", "numa_maps", "status", "statm", "stat",
		"cxlfork_stat",
	};
	char *map = map_leaves(SIZE), path[64], *buffer = map_anon(MB);
	unsigned char v[SIZE / PAGE];
	unsigned int i;
	long id;

	fill(map, SIZE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
			snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
			CHECK(read_file(path, buffer, MB) > 0 || errno == ENOENT);
		}
		CHECK(smaps_kb(map, "Size") == (long)SIZE / 1024);
		/* CXL pages count in no RSS; local copies do. */
		CHECK(smaps_kb(map, "Rss") == 0);
		CHECK(page_entry(map + 7 * PAGE) & PM_PRESENT);
		map[LEAF + 7 * PAGE] = 1;
		CHECK(smaps_kb(map, "Rss") == 4);
		CHECK(smaps_kb(map, "Private_Dirty") == 4);
		CHECK(!mincore(map, SIZE, v));
		CHECK(v[7] & 1 && v[512 + 7] & 1);
		CHECK(stat_of("self", "pages_cxl") >= 1023);
		/* Looking copies and unshares nothing. */
		CHECK(stat_of("self", "leaves_unshared") >= 0);
		CHECK(smaps_kb(map, "Rss") == 4);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	/* A process that is no clone has an empty file. */
	EXPECT_EQ(0, read_file("/proc/self/cxlfork_stat", buffer, MB));
}

static void *scribbler(void *arg)
{
	char *map = area;
	long me = (long)arg, i;

	for (i = me; i < (long)(SIZE / PAGE); i += 4) {
		CHECK(is_filled(map + i * PAGE, PAGE, 1));
		fill(map + i * PAGE, PAGE, 10 + me);
	}
	return NULL;
}

/* Threads that a clone starts fault on the same leaves at the same time. */
CXL_TEST(threads)
{
	struct cxl *cxl = &self->cxl;
	pthread_t t[4];
	long id, i;

	area = map_leaves(SIZE);
	for (i = 0; i < (long)(SIZE / PAGE); i++)
		fill(area + i * PAGE, PAGE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		for (i = 0; i < 4; i++)
			CHECK(!pthread_create(&t[i], NULL, scribbler, (void *)i));
		for (i = 0; i < 4; i++)
			CHECK(!pthread_join(t[i], NULL));
		for (i = 0; i < (long)(SIZE / PAGE); i++)
			CHECK(is_filled(area + i * PAGE, PAGE, 10 + i % 4));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
}

/* A clone that is killed while it faults. */
static void *endless(void *arg)
{
	for (;;)
		fill(area, SIZE, 3);
	return NULL;
}

CXL_TEST(killed_while_faulting)
{
	struct cxl *cxl = &self->cxl;
	pthread_t t;
	struct ghost g;
	long id;
	int i;

	area = map_leaves(SIZE);
	fill(area, SIZE, 1);
	id = cxl_fork_channel(cxl);
	if (!id) {
		CHECK(!pthread_create(&t, NULL, endless, NULL));
		put_byte(CHANNEL, 'r');
		endless(NULL);
	}
	ASSERT_GT(id, 0);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
		EXPECT_EQ('r', get_byte(g.peer));
		usleep(i * 500);
		kill(g.pid, SIGKILL);
		EXPECT_EQ(1000 + SIGKILL, ghost_wait(&g));
	}
}

TEST_HARNESS_MAIN
