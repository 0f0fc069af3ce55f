// SPDX-License-Identifier: GPL-2.0
/* Mappings that can't be cloned yet are refused, each with its exact place. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "cxlfork_fixture.h"

static long try(struct cxl *cxl)
{
	long id;

	cxl_init(cxl);
	id = cxl_call(cxl);
	if (!id)
		_exit(0);
	return id > 0 ? 0 : -errno;
}

/* Refused for this mapping alone; without it, not. */
#define EXPECT_REFUSED_AT(cxl, why, p, len)						\
	do {									\
		EXPECT_EQ(-EOPNOTSUPP, try(cxl));				\
		EXPECT_EQ(1, (cxl)->args.nr_reports);				\
		EXPECT_EQ(why, (cxl)->reports[0].reason);			\
		EXPECT_EQ((uintptr_t)(p), (cxl)->reports[0].start);		\
		EXPECT_EQ((uintptr_t)(p) + (len), (cxl)->reports[0].end);	\
		EXPECT_EQ(-1, (cxl)->reports[0].fd);				\
		EXPECT_LT(20, strlen((cxl)->reports[0].text));			\
		EXPECT_EQ((cxl)->free, cxl_free_extents(cxl));			\
	} while (0)

#define RW	(PROT_READ | PROT_WRITE)

CXL_TEST(shared_anonymous)
{
	struct cxl *cxl = &self->cxl;
	char *p = mmap(NULL, 3 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	EXPECT_REFUSED_AT(cxl, CXLFORK_REASON_VMA, p, 3 * PAGE);
	ASSERT_EQ(0, mprotect(p, 3 * PAGE, PROT_READ));
	EXPECT_REFUSED_AT(cxl, CXLFORK_REASON_VMA, p, 3 * PAGE);
	ASSERT_EQ(0, munmap(p, 3 * PAGE));
	EXPECT_EQ(0, try(cxl));
}

CXL_TEST(shared_file)
{
	struct cxl *cxl = &self->cxl;
	char path[] = "/tmp/cxlfork-shared-XXXXXX", *p;
	int fd = mkstemp(path);

	ASSERT_EQ(0, ftruncate(fd, 2 * PAGE));
	p = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(fd);
	EXPECT_REFUSED_AT(cxl, CXLFORK_REASON_VMA, p, 2 * PAGE);
	unlink(path);
}

CXL_TEST(memfd)
{
	struct cxl *cxl = &self->cxl;
	int fd = memfd_create("test", 0);
	char *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	close(fd);
	EXPECT_REFUSED_AT(cxl, CXLFORK_REASON_VMA, p, PAGE);
	munmap(p, PAGE);

	/* Private: nobody else can open what is below it. */
	fd = memfd_create("test", 0);
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	p = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	close(fd);
	EXPECT_EQ(-EOPNOTSUPP, try(cxl));
	EXPECT_EQ(1, cxl->args.nr_reports);
	EXPECT_TRUE(cxl->reports[0].reason == CXLFORK_REASON_VMA ||
		    cxl->reports[0].reason == CXLFORK_REASON_PATH);
	EXPECT_EQ((uintptr_t)p, cxl->reports[0].start);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
}

CXL_TEST(sysv_shared_memory)
{
	struct cxl *cxl = &self->cxl;
	int id = shmget(IPC_PRIVATE, 2 * PAGE, 0600);
	char *p;

	if (id < 0)
		SKIP(return, "shmget: %s", strerror(errno));
	p = shmat(id, NULL, 0);
	ASSERT_NE((void *)-1, p);
	EXPECT_REFUSED_AT(cxl, CXLFORK_REASON_VMA, p, 2 * PAGE);
	ASSERT_EQ(0, shmdt(p));
	p = shmat(id, NULL, SHM_RDONLY);
	ASSERT_NE((void *)-1, p);
	EXPECT_EQ(-EOPNOTSUPP, try(cxl));
	EXPECT_EQ((uintptr_t)p, cxl->reports[0].start);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
	ASSERT_EQ(0, shmdt(p));
	shmctl(id, IPC_RMID, NULL);
	EXPECT_EQ(0, try(cxl));
}

CXL_TEST(huge_pages)
{
	struct cxl *cxl = &self->cxl;
	char *p, was[32] = "";

	read_file("/proc/sys/vm/nr_hugepages", was, sizeof(was) - 1);
	if (!getuid() && atoi(was) < 4)
		write_file("/proc/sys/vm/nr_hugepages", "4", 1);
	p = mmap(NULL, 2 * LEAF, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED)
		SKIP(return, "no huge pages: %s", strerror(errno));
	p[0] = 1;
	EXPECT_REFUSED_AT(cxl, CXLFORK_REASON_VMA, p, 2 * LEAF);
	munmap(p, 2 * LEAF);
	if (!getuid())
		write_file("/proc/sys/vm/nr_hugepages", was, strlen(was));
	EXPECT_EQ(0, try(cxl));
}

static void uffd_register(struct __test_metadata *_metadata, struct cxl *cxl, uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = mode };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	char *p = map_leaves(LEAF);

	if (fd < 0)
		SKIP(return, "userfaultfd: %s", strerror(errno));
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	reg.range.start = (uintptr_t)p + 4 * PAGE;
	reg.range.len = 8 * PAGE;
	ASSERT_EQ(0, ioctl(fd, UFFDIO_REGISTER, &reg));
	EXPECT_EQ(-EOPNOTSUPP, try(cxl));
	EXPECT_EQ(2, cxl->args.nr_reports);
	EXPECT_NE(NULL, cxl_report_fd(cxl, fd));
	ASSERT_NE(NULL, cxl_report(cxl, CXLFORK_REASON_VMA));
	EXPECT_EQ((uintptr_t)p + 4 * PAGE, cxl_report(cxl, CXLFORK_REASON_VMA)->start);
	EXPECT_EQ((uintptr_t)p + 12 * PAGE, cxl_report(cxl, CXLFORK_REASON_VMA)->end);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
	close(fd);
	EXPECT_EQ(0, try(cxl));
}

CXL_TEST(uffd_missing)
{
	uffd_register(_metadata, &self->cxl, UFFDIO_REGISTER_MODE_MISSING);
}

CXL_TEST(uffd_write_protect)
{
	uffd_register(_metadata, &self->cxl, UFFDIO_REGISTER_MODE_WP);
}

CXL_TEST(deleted_file)
{
	struct cxl *cxl = &self->cxl;
	char path[] = "/tmp/cxlfork-deleted-XXXXXX", *p;
	int fd = mkstemp(path);

	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE));
	p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(fd);
	unlink(path);
	EXPECT_REFUSED_AT(cxl, CXLFORK_REASON_PATH, p, 4 * PAGE);
	munmap(p, 4 * PAGE);
	EXPECT_EQ(0, try(cxl));
}

CXL_TEST(secret_memory)
{
	struct cxl *cxl = &self->cxl;
	int fd = syscall(SYS_memfd_secret, 0);
	char *p;

	if (fd < 0)
		SKIP(return, "memfd_secret: %s", strerror(errno));
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		SKIP(return, "no secret memory: %s", strerror(errno));
	EXPECT_REFUSED_AT(cxl, CXLFORK_REASON_VMA, p, PAGE);
}

/* /dev/zero, mapped privately, is anonymous memory like any other. */
CXL_TEST(dev_zero_is_fine)
{
	struct cxl *cxl = &self->cxl;
	int fd = open("/dev/zero", O_RDWR);
	char *p = mmap(NULL, LEAF, RW, MAP_PRIVATE, fd, 0);
	long id;

	ASSERT_NE(MAP_FAILED, p);
	fill(p, LEAF / 2, 1);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_filled(p, LEAF / 2, 1));
		CHECK(is_zero(p + LEAF / 2, LEAF / 2));
		fill(p, LEAF, 2);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

TEST_HARNESS_MAIN
