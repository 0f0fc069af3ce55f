// SPDX-License-Identifier: GPL-2.0
/*
 * Arguments of both system calls: what is refused, with which error, and that a
 * refusal leaves nothing behind.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"

static long fork_with(struct cxl *cxl, size_t size)
{
	long ret = sys_cxlfork(&cxl->args, size);

	if (!ret && !(cxl->args.flags & CXLFORK_CHECK))
		_exit(99); /* a clone that there must not be */
	return ret < 0 ? -errno : ret;
}

static long restore_with(const struct cxlrestore_args *args, size_t size)
{
	return sys_cxlrestore((struct cxlrestore_args *)args, size) < 0 ? -errno : 0;
}

/* Two pages; the second one can't be read or written. */
static void *page_before_hole(void)
{
	char *p = map_anon(2 * PAGE);

	munmap(p + PAGE, PAGE);
	return p;
}

CXL_TEST(fork_sizes)
{
	struct cxl *cxl = &self->cxl;
	char *big = map_anon(2 * PAGE);
	long id;

	cxl_init(cxl);
	EXPECT_EQ(-EINVAL, fork_with(cxl, 0));
	EXPECT_EQ(-EINVAL, fork_with(cxl, 1));
	EXPECT_EQ(-EINVAL, fork_with(cxl, CXLFORK_ARGS_SIZE_VER0 - 1));
	memcpy(big, &cxl->args, sizeof(cxl->args));
	EXPECT_EQ(-1, sys_cxlfork((void *)big, PAGE + 1));
	EXPECT_EQ(E2BIG, errno);
	EXPECT_EQ(-1, sys_cxlfork((void *)big, ~0UL));
	EXPECT_EQ(E2BIG, errno);

	/* A newer caller: fine as long as it asks for nothing new. */
	big[sizeof(cxl->args)] = 1;
	EXPECT_EQ(-1, sys_cxlfork((void *)big, sizeof(cxl->args) + 8));
	EXPECT_EQ(E2BIG, errno);
	big[sizeof(cxl->args)] = 0;
	big[PAGE - 1] = 1;
	EXPECT_EQ(-1, sys_cxlfork((void *)big, PAGE));
	EXPECT_EQ(E2BIG, errno);
	big[PAGE - 1] = 0;
	id = sys_cxlfork((void *)big, PAGE);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	cxl->ids[cxl->nr_ids++] = id;
	EXPECT_EQ(0, cxl_run(cxl, id));
}

CXL_TEST(fork_flags)
{
	struct cxl *cxl = &self->cxl;
	int bit;

	for (bit = 0; bit < 64; bit++) {
		if (CXLFORK_FLAGS & (1ULL << bit))
			continue;
		cxl_init(cxl);
		cxl->args.flags = 1ULL << bit;
		EXPECT_EQ(-EINVAL, fork_with(cxl, sizeof(cxl->args))) {
			TH_LOG("flag %d", bit);
		}
	}
}

CXL_TEST(fork_pointers)
{
	struct cxl *cxl = &self->cxl;
	char *page = page_before_hole();
	struct cxlfork_args *edge = (void *)(page + PAGE - sizeof(*edge) / 2);

	EXPECT_EQ(-1, sys_cxlfork(NULL, sizeof(cxl->args)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, sys_cxlfork((void *)0xffff888000000000UL, sizeof(cxl->args)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, sys_cxlfork(edge, sizeof(*edge)));
	EXPECT_EQ(EFAULT, errno);

	cxl_init(cxl);
	cxl->args.name = (uintptr_t)page + PAGE - 2;
	cxl->args.name_len = 4;
	EXPECT_EQ(-EFAULT, fork_with(cxl, sizeof(cxl->args)));
	cxl_init(cxl);
	cxl->args.handover = (uintptr_t)page + PAGE - 4;
	cxl->args.nr_handover = 2;
	EXPECT_EQ(-EFAULT, fork_with(cxl, sizeof(cxl->args)));
	cxl_init(cxl);
	cxl->args.handover = 0xffff888000000000UL;
	cxl->args.nr_handover = 1;
	EXPECT_EQ(-EFAULT, fork_with(cxl, sizeof(cxl->args)));
	cxl_init(cxl);
	cxl->args.payload = 0xffff888000000000UL;
	cxl->args.payload_size = 64;
	EXPECT_GT(0, fork_with(cxl, sizeof(cxl->args)));
}

/* Obstacles that can't be told: the error is EFAULT, and nothing was made. */
CXL_TEST(fork_reports_pointer)
{
	struct cxl *cxl = &self->cxl;
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	cxl_init(cxl);
	cxl->args.reports = 8;
	EXPECT_EQ(-EFAULT, fork_with(cxl, sizeof(cxl->args)));
	/* With room for none they are counted. */
	cxl_init(cxl);
	cxl->args.reports = 0;
	cxl->args.nr_reports = 0;
	EXPECT_EQ(-EOPNOTSUPP, fork_with(cxl, sizeof(cxl->args)));
	EXPECT_EQ(2, cxl->args.nr_reports);
	/* With room for one, both are counted, one is told. */
	cxl_init(cxl);
	cxl->args.nr_reports = 1;
	EXPECT_EQ(-EOPNOTSUPP, fork_with(cxl, sizeof(cxl->args)));
	EXPECT_EQ(2, cxl->args.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_FD, cxl->reports[0].reason);
	EXPECT_EQ(CXLFORK_REASON_NONE, cxl->reports[1].reason);
	/* More than the kernel will keep. */
	cxl_init(cxl);
	cxl->args.nr_reports = ~0U;
	EXPECT_EQ(-EOPNOTSUPP, fork_with(cxl, sizeof(cxl->args)));
	EXPECT_EQ(2, cxl->args.nr_reports);
}

/* An error of the arguments leaves no report that is none. */
CXL_TEST(fork_reports_count)
{
	struct cxl *cxl = &self->cxl;

	cxl_init(cxl);
	cxl->args.flags = 1ULL << 63;
	EXPECT_EQ(-EINVAL, fork_with(cxl, sizeof(cxl->args)));
	EXPECT_EQ(0, cxl->args.nr_reports);
	cxl_init(cxl);
	cxl->args.pool_fd = -1;
	EXPECT_EQ(-EBADF, fork_with(cxl, sizeof(cxl->args)));
	EXPECT_EQ(0, cxl->args.nr_reports);
	cxl_init(cxl);
	cxl->args.name = (uintptr_t)"a/b";
	cxl->args.name_len = 3;
	EXPECT_EQ(-EINVAL, fork_with(cxl, sizeof(cxl->args)));
	EXPECT_LE(cxl->args.nr_reports, 1);
	cxl_init(cxl);
	cxl->args.pidfd = 999;
	EXPECT_EQ(-EBADF, fork_with(cxl, sizeof(cxl->args)));
	EXPECT_EQ(0, cxl->args.nr_reports);
}

CXL_TEST(fork_descriptors)
{
	struct cxl *cxl = &self->cxl;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	cxl_init(cxl);
	cxl->args.pool_fd = -1;
	EXPECT_EQ(-EBADF, fork_with(cxl, sizeof(cxl->args)));
	cxl->args.pool_fd = 999;
	EXPECT_EQ(-EBADF, fork_with(cxl, sizeof(cxl->args)));
	cxl->args.pool_fd = null;
	EXPECT_EQ(-ENOTTY, fork_with(cxl, sizeof(cxl->args)));

	cxl_init(cxl);
	cxl->args.pidfd = -2;
	EXPECT_EQ(-EINVAL, fork_with(cxl, sizeof(cxl->args)));
	cxl->args.pidfd = 999;
	EXPECT_EQ(-EBADF, fork_with(cxl, sizeof(cxl->args)));
	cxl->args.pidfd = null;
	EXPECT_EQ(-EBADF, fork_with(cxl, sizeof(cxl->args)));

	/* A process that has ended. */
	pid = fork();
	if (!pid)
		_exit(0);
	cxl->args.pidfd = syscall(SYS_pidfd_open, pid, 0);
	ASSERT_LE(0, cxl->args.pidfd);
	waitid(P_PID, pid, NULL, WEXITED | WNOWAIT);
	EXPECT_EQ(-ESRCH, fork_with(cxl, sizeof(cxl->args)));
	waitpid(pid, NULL, 0);
	EXPECT_EQ(-ESRCH, fork_with(cxl, sizeof(cxl->args)));
}

CXL_TEST(fork_too_many)
{
	struct cxl *cxl = &self->cxl;
	int *many = map_anon(sizeof(int) * (CXLFORK_HANDOVER_MAX + 1));
	char *buffer = map_anon(CXLFORK_PAYLOAD_MAX + PAGE);

	cxl_init(cxl);
	cxl->args.handover = (uintptr_t)many;
	cxl->args.nr_handover = CXLFORK_HANDOVER_MAX + 1;
	EXPECT_EQ(-E2BIG, fork_with(cxl, sizeof(cxl->args)));
	cxl->args.nr_handover = ~0U;
	EXPECT_EQ(-E2BIG, fork_with(cxl, sizeof(cxl->args)));

	cxl_init(cxl);
	cxl->args.payload = (uintptr_t)buffer;
	cxl->args.payload_size = CXLFORK_PAYLOAD_MAX + 1;
	EXPECT_EQ(-EINVAL, fork_with(cxl, sizeof(cxl->args)));
	cxl->args.payload_size = ~0U;
	EXPECT_EQ(-EINVAL, fork_with(cxl, sizeof(cxl->args)));
	/* A payload buffer in another process. */
	cxl->args.payload_size = 16;
	cxl->args.pidfd = syscall(SYS_pidfd_open, getppid(), 0);
	EXPECT_EQ(-EINVAL, fork_with(cxl, sizeof(cxl->args)));
}

/* CXLFORK_CHECK makes nothing and says 0 although there is nothing in the way. */
CXL_TEST(fork_check)
{
	struct cxl *cxl = &self->cxl;
	int fds[2];

	cxl_init(cxl);
	cxl->args.flags = CXLFORK_CHECK;
	EXPECT_EQ(0, fork_with(cxl, sizeof(cxl->args)));
	EXPECT_EQ(0, cxl->args.nr_reports);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));

	ASSERT_EQ(CHANNEL, dup2(2, CHANNEL));
	ASSERT_EQ(0, pipe(fds));
	cxl_init(cxl);
	cxl->args.flags = CXLFORK_CHECK;
	EXPECT_EQ(0, fork_with(cxl, sizeof(cxl->args)));
	EXPECT_LE(2, cxl->args.nr_reports);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
}

CXL_TEST(restore_arguments)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_report reports[2];
	char *big = map_anon(2 * PAGE), *page = page_before_hole();
	const struct cxlrestore_args good = {
		.id = 1, .pool_fd = cxl->pool, .nr_reports = 2, .reports = (uintptr_t)reports,
	};
	struct cxlrestore_args args = good;
	int bit;

	EXPECT_EQ(-EINVAL, restore_with(&args, 0));
	EXPECT_EQ(-EINVAL, restore_with(&args, CXLRESTORE_ARGS_SIZE_VER0 - 1));
	EXPECT_EQ(-E2BIG, restore_with(&args, PAGE + 1));
	EXPECT_EQ(-EFAULT, restore_with(NULL, sizeof(args)));
	memcpy(big, &args, sizeof(args));
	big[sizeof(args) + 3] = 1;
	EXPECT_EQ(-E2BIG, restore_with((void *)big, sizeof(args) + 8));
	big[sizeof(args) + 3] = 0;
	EXPECT_EQ(-ENOENT, restore_with((void *)big, PAGE));
	for (bit = 0; bit < 64; bit++) {
		args = good;
		args.flags = 1ULL << bit;
		EXPECT_EQ(-EINVAL, restore_with(&args, sizeof(args)));
	}
	args = good;
	args.pool_fd = -1;
	EXPECT_EQ(-EBADF, restore_with(&args, sizeof(args)));
	args.pool_fd = 1;
	EXPECT_EQ(-ENOTTY, restore_with(&args, sizeof(args)));
	args = good;
	args.fds = (uintptr_t)page + PAGE - 8;
	args.nr_fds = 2;
	EXPECT_EQ(-EFAULT, restore_with(&args, sizeof(args)));
	args.nr_fds = CXLFORK_HANDOVER_MAX + 1;
	EXPECT_EQ(-E2BIG, restore_with(&args, sizeof(args)));
	args = good;
	args.payload = (uintptr_t)page + PAGE - 8;
	args.payload_size = 9;
	EXPECT_EQ(-EFAULT, restore_with(&args, sizeof(args)));
	args.payload_size = CXLFORK_PAYLOAD_MAX + 1;
	EXPECT_EQ(-E2BIG, restore_with(&args, sizeof(args)));
	args = good;
	args.reports = 16;
	EXPECT_EQ(-EFAULT, restore_with(&args, sizeof(args)));
}

CXL_TEST(restore_ids)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_report reports[2];
	const uint64_t ids[] = { 0, 1, ~0ULL, ~0ULL >> 1, 0x100, 0x1ff00,
				 0xffffffff0101, 0xffff1101, 1ULL << 63 };
	struct cxlrestore_args args;
	unsigned int i;
	long id;

	for (i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		args = (struct cxlrestore_args){ .id = ids[i], .pool_fd = cxl->pool,
			.nr_reports = 2, .reports = (uintptr_t)reports };
		memset(reports, 0, sizeof(reports));
		EXPECT_EQ(-ENOENT, restore_with(&args, sizeof(args))) {
			TH_LOG("id %#lx", (long)ids[i]);
		}
		EXPECT_EQ(1, args.nr_reports);
		EXPECT_EQ(CXLFORK_REASON_NO_CHECKPOINT, reports[0].reason);
	}

	/* One that was. */
	id = cxl_fork(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_remove(cxl, id));
	args = (struct cxlrestore_args){ .id = id, .pool_fd = cxl->pool, .nr_reports = 2,
		.reports = (uintptr_t)reports };
	EXPECT_EQ(-ENOENT, restore_with(&args, sizeof(args)));
	EXPECT_EQ(CXLFORK_REASON_NO_CHECKPOINT, reports[0].reason);
	EXPECT_EQ(-1, cxl_remove(cxl, id));
	EXPECT_EQ(ENOENT, errno);
}

TEST_HARNESS_MAIN
