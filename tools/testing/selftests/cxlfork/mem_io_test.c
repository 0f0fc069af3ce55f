// SPDX-License-Identifier: GPL-2.0
/* The kernel and other processes reach into memory of a clone that lies in CXL. */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"

#define SIZE	(2 * LEAF)

/* Read and write system calls, with the buffer across a boundary of leaves. */
CXL_TEST(read_and_write)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE), *copy;
	int fd;
	long id;

	fill(map, SIZE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
		CHECK(fd >= 0);
		CHECK(write(fd, map, SIZE) == (ssize_t)SIZE);
		copy = map_anon(SIZE);
		CHECK(pread(fd, copy, SIZE, 0) == (ssize_t)SIZE);
		CHECK(is_filled(copy, SIZE, 1));
		fill(copy, SIZE, 2);
		CHECK(pwrite(fd, copy, SIZE, 0) == (ssize_t)SIZE);
		CHECK(pread(fd, map + LEAF - 2 * PAGE, 4 * PAGE, LEAF - 2 * PAGE) ==
		      (ssize_t)(4 * PAGE));
		CHECK(!memcmp(map + LEAF - 2 * PAGE, copy + LEAF - 2 * PAGE, 4 * PAGE));
		CHECK(is_filled(map, LEAF - 2 * PAGE, 1));
		CHECK(pread(fd, map, SIZE, 0) == (ssize_t)SIZE);
		CHECK(is_filled(map, SIZE, 2));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_TRUE(is_filled(map, SIZE, 1));
}

/* Direct I/O pins pages: never those in CXL. */
CXL_TEST(direct_io)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE), *dir = getenv("CXLFORK_DIRECT_DIR"), path[256];
	struct statfs fs;
	int fd;
	long id;

	/* tmpfs takes O_DIRECT, but goes through the page cache all the same. */
	if (statfs(dir ?: ".", &fs) || fs.f_type == TMPFS_MAGIC ||
	    fs.f_type == OVERLAYFS_SUPER_MAGIC)
		SKIP(return, "no block device below %s: set CXLFORK_DIRECT_DIR", dir ?: ".");
	snprintf(path, sizeof(path), "%s/direct", dir ?: ".");
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
	if (fd < 0)
		SKIP(return, "%s: %s (set CXLFORK_DIRECT_DIR)", path, strerror(errno));
	close(fd);
	fill(map, SIZE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		char *copy = map_anon(SIZE);

		fd = open(path, O_RDWR | O_DIRECT);
		CHECK(fd >= 0);
		CHECK(pwrite(fd, map, LEAF, 0) == (ssize_t)LEAF);
		CHECK(is_filled(map, SIZE, 1));
		CHECK(pread(fd, copy, LEAF, 0) == (ssize_t)LEAF);
		CHECK(is_filled(copy, LEAF, 1));
		fill(copy, LEAF, 2);
		CHECK(pwrite(fd, copy, LEAF, 0) == (ssize_t)LEAF);
		/* Into the second leaf, which nobody has touched. */
		CHECK(pread(fd, map + LEAF, LEAF, 0) == (ssize_t)LEAF);
		CHECK(is_filled(map + LEAF, LEAF, 2));
		CHECK(is_filled(map, LEAF, 1));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
	unlink(path);
}

CXL_TEST(pipes)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE);
	long id;

	fill(map, SIZE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		struct iovec iov = { map + LEAF - 2 * PAGE, 4 * PAGE };
		char *copy = map_anon(SIZE);
		int p[2];

		CHECK(!pipe(p));
		CHECK(vmsplice(p[1], &iov, 1, 0) == (ssize_t)(4 * PAGE));
		/* The pipe has a page, but not the one in CXL: it would outlive the clone. */
		CHECK(read(p[0], copy + LEAF - 2 * PAGE, 4 * PAGE) == (ssize_t)(4 * PAGE));
		CHECK(!memcmp(copy + LEAF - 2 * PAGE, map + LEAF - 2 * PAGE, 4 * PAGE));
		CHECK(is_filled(map, SIZE, 1));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

/* A clone that waits, its memory untouched: what @peer does to it from outside. */
#define REMOTE_TEST(name)							\
	static void name##_remote(struct __test_metadata *_metadata,		\
				  struct ghost *g, char *map);			\
	CXL_TEST(name)								\
	{									\
		struct cxl *cxl = &self->cxl;					\
		char *map = map_leaves(SIZE);					\
		struct ghost g;							\
		long id;							\
										\
		fill(map, SIZE, 1);						\
		id = cxl_fork_channel(cxl);					\
		if (!id) {							\
			put_byte(CHANNEL, 'r');					\
			CHECK(get_byte(CHANNEL) == 'w');			\
			CHECK(is_filled(map, LEAF, 1));				\
			CHECK(is_filled(map + LEAF + 4 * PAGE, PAGE, 2));	\
			CHECK(is_filled(map + LEAF + 5 * PAGE, PAGE, 2));	\
			_exit(0);						\
		}								\
		ASSERT_GT(id, 0);						\
		ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));			\
		EXPECT_EQ('r', get_byte(g.peer));				\
		name##_remote(_metadata, &g, map);				\
		put_byte(g.peer, 'w');						\
		EXPECT_EQ(0, ghost_wait(&g));					\
		/* Neither the parent nor the next clone has any of it. */	\
		EXPECT_TRUE(is_filled(map, SIZE, 1));				\
		ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));			\
		EXPECT_EQ('r', get_byte(g.peer));				\
		name##_remote(_metadata, &g, map);				\
		put_byte(g.peer, 'w');						\
		EXPECT_EQ(0, ghost_wait(&g));					\
	}									\
	static void name##_remote(struct __test_metadata *_metadata, struct ghost *g, char *map)

REMOTE_TEST(process_vm)
{
	char *copy = map_anon(SIZE);
	struct iovec here = { copy, SIZE }, there = { map, SIZE };

	EXPECT_EQ((ssize_t)SIZE, process_vm_readv(g->pid, &here, 1, &there, 1, 0));
	EXPECT_TRUE(is_filled(copy, SIZE, 1));
	fill(copy, 2 * PAGE, 2);
	fill(copy + PAGE, PAGE, 2);
	here.iov_len = PAGE;
	there = (struct iovec){ map + LEAF + 4 * PAGE, PAGE };
	EXPECT_EQ((ssize_t)PAGE, process_vm_writev(g->pid, &here, 1, &there, 1, 0));
	there.iov_base = map + LEAF + 5 * PAGE;
	EXPECT_EQ((ssize_t)PAGE, process_vm_writev(g->pid, &here, 1, &there, 1, 0));
	/* Its neighbours are what they were. */
	here = (struct iovec){ copy, SIZE };
	there = (struct iovec){ map, SIZE };
	EXPECT_EQ((ssize_t)SIZE, process_vm_readv(g->pid, &here, 1, &there, 1, 0));
	EXPECT_TRUE(is_filled(copy, LEAF + 4 * PAGE, 1));
	EXPECT_TRUE(is_filled(copy + LEAF + 5 * PAGE, PAGE, 2));
	munmap(copy, SIZE);
}

/* One word only: the rest of the page must be the clone's, not the writer's. */
REMOTE_TEST(ptrace_peek_poke)
{
	uint64_t *page = map_anon(PAGE);
	unsigned int i, k;
	int status;

	fill(page, PAGE, 2);
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, g->pid, 0, 0));
	ASSERT_EQ(g->pid, waitpid(g->pid, &status, 0));
	for (i = 0; i < LEAF; i += 64 * PAGE) {
		errno = 0;
		EXPECT_EQ(*(long *)(map + i), ptrace(PTRACE_PEEKDATA, g->pid, map + i, 0));
		EXPECT_EQ(0, errno);
	}
	for (k = 4; k < 6; k++) {
		char *at = map + LEAF + k * PAGE;

		/* A byte's worth changed, the other words must have stayed. */
		EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, g->pid, at, page[0]));
		for (i = 32; i < 512; i += 32)
			EXPECT_EQ(((long *)at)[i], ptrace(PTRACE_PEEKDATA, g->pid, at + i * 8, 0));
		for (i = 32; i < 512; i += 32)
			EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, g->pid, at + i * 8, page[i]));
	}
	EXPECT_EQ(0, ptrace(PTRACE_DETACH, g->pid, 0, 0));
	munmap(page, PAGE);
}

REMOTE_TEST(proc_mem)
{
	char *copy = map_anon(SIZE), path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", g->pid);
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ((ssize_t)SIZE, pread(fd, copy, SIZE, (off_t)(uintptr_t)map));
	EXPECT_TRUE(is_filled(copy, SIZE, 1));
	fill(copy, PAGE, 2);
	EXPECT_EQ((ssize_t)PAGE, pwrite(fd, copy, PAGE, (off_t)(uintptr_t)map + LEAF + 4 * PAGE));
	EXPECT_EQ((ssize_t)PAGE, pwrite(fd, copy, PAGE, (off_t)(uintptr_t)map + LEAF + 5 * PAGE));
	close(fd);
	munmap(copy, SIZE);
}

static long futex(void *word, int op, int value, void *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

CXL_TEST(futexes)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE);
	uint32_t *word = (uint32_t *)(map + 3 * PAGE);
	struct timespec soon = { .tv_nsec = 1000000 };
	long id;

	fill(map, SIZE, 1);
	*word = 42;
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(futex(word, FUTEX_WAIT, 41, &soon) == -1 && errno == EAGAIN);
		CHECK(futex(word, FUTEX_WAIT, 42, &soon) == -1 && errno == ETIMEDOUT);
		CHECK(futex(word, FUTEX_WAIT_PRIVATE, 42, &soon) == -1 && errno == ETIMEDOUT);
		CHECK(futex(word, FUTEX_WAKE, 1, NULL) == 0);
		CHECK(*word == 42);
		*word = 0;
		CHECK(!futex(word, FUTEX_LOCK_PI, 0, NULL));
		CHECK((*word & FUTEX_TID_MASK) == (uint32_t)gettid());
		CHECK(!futex(word, FUTEX_UNLOCK_PI, 0, NULL));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

static unsigned int marked(const char *digits)
{
	return (strtol(digits, NULL, 16) ^ 0x155) & 511;
}

/* A clone that dies leaves a core with what was in CXL memory. */
CXL_TEST(core_dump)
{
	struct cxl *cxl = &self->cxl;
	static const char marker[] = "core-marker-";
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char dir[] = "/tmp/cxlfork-core-XXXXXX", path[128], pattern[128] = "";
	char *map = map_leaves(LEAF);
	struct ghost g = { 0 };
	int status, fd, found[512] = { 0 }, missing = 0;
	char *core;
	off_t len;
	long id, i;

	/* One marker a page, which is nowhere else in the process. */
	for (i = 0; i < 512; i++)
		sprintf(map + i * PAGE + 1000, "%s%03lx", marker, i ^ 0x155);
	if (read_file("/proc/sys/kernel/core_pattern", pattern, sizeof(pattern) - 1) <= 0 ||
	    pattern[0] == '|')
		SKIP(return, "core_pattern is %s", pattern);
	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, setrlimit(RLIMIT_CORE, &unlimited));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(!chdir(dir));
		prctl(PR_SET_DUMPABLE, 1);
		map[3 * PAGE] = 1;
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
		_exit(1);
	}
	ASSERT_GT(id, 0);
	ghost_start(cxl, &g, id);
	ASSERT_EQ(0, g.error);
	status = ghost_wait_raw(&g);
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(SIGSEGV, WTERMSIG(status));
	ASSERT_TRUE(WCOREDUMP(status));

	if (strchr(pattern, '/')) {
		snprintf(path, sizeof(path), "sh -c 'mv /tmp/core.*%d* %s/core'", g.pid, dir);
		ASSERT_EQ(0, system(path));
	} else {
		snprintf(path, sizeof(path), "sh -c 'mv %s/core* %s/core 2>&-; true'", dir, dir);
		ASSERT_EQ(0, system(path));
	}
	snprintf(path, sizeof(path), "%s/core", dir);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	len = lseek(fd, 0, SEEK_END);
	core = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, core);
	for (i = 0; len - i >= (off_t)PAGE; i += PAGE)
		if (!memcmp(core + i + 1000, marker, sizeof(marker) - 1))
			found[marked(core + i + 1000 + sizeof(marker) - 1)]++;
	for (i = 0; i < 512; i++)
		missing += !found[i];
	EXPECT_EQ(0, missing);
	unlink(path);
	rmdir(dir);
}

TEST_HARNESS_MAIN
