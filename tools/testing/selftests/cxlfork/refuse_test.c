// SPDX-License-Identifier: GPL-2.0
/*
 * What can't be cloned yet is refused before anything is written, with the
 * exact reason: state of the task, and descriptors.
 */
#include <asm/ldt.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#include "cxlfork_fixture.h"

/* Try; a clone that comes into being nevertheless ends at once. */
static long try(struct cxl *cxl)
{
	long id;

	cxl_init(cxl);
	id = cxl_call(cxl);
	if (!id)
		_exit(0);
	return id > 0 ? 0 : -errno;
}

/* Refused, for @reason and nothing else; and nothing was written. */
#define EXPECT_REFUSED(cxl, why)						\
	do {									\
		EXPECT_EQ(-EOPNOTSUPP, try(cxl));				\
		EXPECT_EQ(1, (cxl)->args.nr_reports);				\
		EXPECT_EQ(why, (cxl)->reports[0].reason) {			\
			TH_LOG("%.160s", (cxl)->reports[0].text);		\
		}								\
		EXPECT_EQ((cxl)->free, cxl_free_extents(cxl));			\
	} while (0)

static volatile int tids[2];

static void *waits(void *arg)
{
	if (arg)
		*(volatile int *)arg = gettid();
	pause();
	return NULL;
}

CXL_TEST(threads)
{
	struct cxl *cxl = &self->cxl;
	pthread_t t[2];
	char path[64];
	int i, k;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_create(&t[i], NULL, waits, (void *)&tids[i]));
		while (!tids[i])
			usleep(1000);
	}
	EXPECT_REFUSED(cxl, CXLFORK_REASON_THREADS);
	EXPECT_EQ(3, cxl->reports[0].value);
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d", tids[i]);
		pthread_cancel(t[i]);
		pthread_join(t[i], NULL);
		/* The last bit of a thread ends after it was joined. */
		for (k = 0; k < 3000 && !access(path, F_OK); k++)
			usleep(10000);
	}
	/* Alone again. */
	EXPECT_EQ(0, try(cxl));
}

static int waits_too(void *arg)
{
	pause();
	return 0;
}

CXL_TEST(shared_memory_map)
{
	struct cxl *cxl = &self->cxl;
	char *stack = map_anon(64 * 1024);
	pid_t pid = clone(waits_too, stack + 64 * 1024, CLONE_VM | SIGCHLD, NULL);

	ASSERT_GT(pid, 0);
	EXPECT_REFUSED(cxl, CXLFORK_REASON_SHARED_MM);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_EQ(0, try(cxl));
}

CXL_TEST(async_io)
{
	struct cxl *cxl = &self->cxl;
	aio_context_t context = 0;
	unsigned int i;

	if (syscall(SYS_io_setup, 8, &context))
		SKIP(return, "io_setup: %s", strerror(errno));
	/* Its ring is a mapping besides. */
	EXPECT_EQ(-EOPNOTSUPP, try(cxl));
	EXPECT_NE(NULL, cxl_report(cxl, CXLFORK_REASON_TASK_STATE));
	for (i = 0; i < cxl->args.nr_reports; i++)
		EXPECT_TRUE(cxl->reports[i].reason == CXLFORK_REASON_TASK_STATE ||
			    cxl->reports[i].start == context);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
}

CXL_TEST(uring)
{
	struct cxl *cxl = &self->cxl;
	struct io_uring_params p = { 0 };
	int fd = syscall(SYS_io_uring_setup, 4, &p);
	char *ring;

	if (fd < 0)
		SKIP(return, "io_uring_setup: %s", strerror(errno));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_FD);
	EXPECT_EQ(fd, cxl->reports[0].fd);
	ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	ASSERT_NE(MAP_FAILED, ring);
	close(fd);
	EXPECT_REFUSED(cxl, CXLFORK_REASON_VMA);
	EXPECT_EQ((uintptr_t)ring, cxl->reports[0].start);
}

CXL_TEST(local_descriptor_table)
{
	struct cxl *cxl = &self->cxl;
	/* a writable data segment of all memory */
	struct user_desc desc = { 0, 0, 0xfffff, 1, 0, 0, 1, 0, 1 };

	if (syscall(SYS_modify_ldt, 1, &desc, sizeof(desc)))
		SKIP(return, "modify_ldt: %s", strerror(errno));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_ARCH);
}

CXL_TEST(io_ports)
{
	struct cxl *cxl = &self->cxl;

	if (ioperm(0x80, 1, 1))
		SKIP(return, "ioperm: %s", strerror(errno));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_ARCH);
}

CXL_TEST(personalities)
{
	struct cxl *cxl = &self->cxl;

	ASSERT_LE(0, personality(READ_IMPLIES_EXEC));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_ARCH);
}

CXL_TEST(timers)
{
	struct cxl *cxl = &self->cxl;
	struct itimerval later = { .it_value.tv_sec = 1000 }, off = { 0 };
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_NONE };

	ASSERT_EQ(0, setitimer(ITIMER_REAL, &later, NULL));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_TASK_STATE);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &off, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_VIRTUAL, &later, NULL));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_TASK_STATE);
	ASSERT_EQ(0, setitimer(ITIMER_VIRTUAL, &off, NULL));
	ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_TASK_STATE);
	ASSERT_EQ(0, timer_delete(timer));
	EXPECT_EQ(0, try(cxl));
}

CXL_TEST(pending_signals)
{
	struct cxl *cxl = &self->cxl;
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	ASSERT_EQ(0, raise(SIGUSR1));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_TASK_STATE);
}

CXL_TEST(no_working_directory)
{
	struct cxl *cxl = &self->cxl;
	char dir[] = "/tmp/cxlfork-refuse-XXXXXX";

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, chdir(dir));
	ASSERT_EQ(0, rmdir(dir));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_PATH);
}

static long checkpoint_pid(struct cxl *cxl, pid_t pid)
{
	long id;

	cxl_init(cxl);
	cxl->args.pidfd = syscall(SYS_pidfd_open, pid, 0);
	CHECK(cxl->args.pidfd >= 0);
	id = cxl_call(cxl);
	close(cxl->args.pidfd);
	return id > 0 ? 0 : -errno;
}

/* The program was deleted while it runs. */
CXL_TEST(no_program)
{
	struct cxl *cxl = &self->cxl;
	char exe[32], program[64];
	pid_t pid;
	unsigned int i;

	ASSERT_EQ(0, system("cp /bin/sleep /tmp/cxlfork-sleep"));
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/tmp/cxlfork-sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	while (readlink(exe, program, sizeof(program)) < 8 || memcmp(program, "/tmp/cxl", 8))
		usleep(1000);
	EXPECT_EQ(0, checkpoint_pid(cxl, pid));
	cxl_close(cxl);
	EXPECT_TRUE(cxl_settled(cxl));
	unlink("/tmp/cxlfork-sleep");
	EXPECT_EQ(-EOPNOTSUPP, checkpoint_pid(cxl, pid));
	EXPECT_LE(1, cxl->args.nr_reports);
	for (i = 0; i < cxl->args.nr_reports && i < NR_REPORTS; i++)
		EXPECT_EQ(CXLFORK_REASON_PATH, cxl->reports[i].reason);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

CXL_TEST(traced)
{
	struct cxl *cxl = &self->cxl;
	pid_t pid = fork();

	if (!pid)
		waits(NULL);
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, 0, 0));
	EXPECT_GT(0, checkpoint_pid(cxl, pid));
	EXPECT_NE(NULL, cxl_report(cxl, CXLFORK_REASON_TASK_STATE));
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Not readable by its own user: what is in it must not get out either. */
CXL_TEST(not_dumpable)
{
	struct cxl *cxl = &self->cxl;
	int status;
	pid_t pid;

	if (getuid())
		SKIP(return, "not root");
	pid = fork();
	if (!pid) {
		CHECK(!setresuid(65534, 65534, 65534));
		CHECK(!prctl(PR_SET_DUMPABLE, 0));
		CHECK(try(cxl) == -EOPNOTSUPP);
		CHECK(cxl->args.nr_reports == 1);
		CHECK(cxl->reports[0].reason == CXLFORK_REASON_PERMISSION);
		CHECK(!prctl(PR_SET_DUMPABLE, 1));
		CHECK(try(cxl) == 0);
		cxl_close(cxl);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* All kinds of descriptors at once: each is reported, with its number. */
CXL_TEST(descriptors)
{
	struct cxl *cxl = &self->cxl;
	struct { const char *what; int fd; } kinds[24];
	char path[] = "/tmp/cxlfork-gone-XXXXXX";
	int n = 0, p[2], s[2], i;
	sigset_t none;

#define KIND(text, open)	(kinds[n].what = text, kinds[n].fd = (open),	\
				 ({ ASSERT_LE(0, kinds[n].fd) TH_LOG("%s", text); }), n++)
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	sigemptyset(&none);
	KIND("pipe", p[0]);
	KIND("pipe", p[1]);
	KIND("unix socket", s[0]);
	KIND("unix socket", s[1]);
	KIND("TCP socket", socket(AF_INET, SOCK_STREAM, 0));
	KIND("eventfd", eventfd(0, 0));
	KIND("epoll", epoll_create1(0));
	KIND("memfd", memfd_create("test", 0));
	KIND("timerfd", timerfd_create(CLOCK_MONOTONIC, 0));
	KIND("signalfd", signalfd(-1, &none, 0));
	KIND("inotify", inotify_init1(0));
	KIND("pidfd", syscall(SYS_pidfd_open, getpid(), 0));
	KIND("deleted file", mkstemp(path));
	unlink(path);
	KIND("nameless file", open("/tmp", O_TMPFILE | O_RDWR, 0600));
	KIND("/proc file", open("/proc/self/status", O_RDONLY));
	KIND("/proc directory", open("/proc/self", O_RDONLY));
	KIND("namespace", open("/proc/self/ns/mnt", O_RDONLY));
	KIND("terminal", open("/dev/ptmx", O_RDWR | O_NOCTTY));
	KIND("message queue", syscall(SYS_mq_open, "cxlfork", O_RDWR | O_CREAT, 0600, NULL));
	EXPECT_EQ(-EOPNOTSUPP, try(cxl));
	EXPECT_EQ(n, (int)cxl->args.nr_reports);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
	/* There is not room for all at once: close those that were found. */
	for (i = 0; i < n; i++) {
		const struct cxlfork_report *r;

		EXPECT_EQ(-EOPNOTSUPP, try(cxl));
		r = cxl_report_fd(cxl, kinds[i].fd);
		EXPECT_NE(NULL, r) {
			TH_LOG("%s was not reported", kinds[i].what);
		}
		if (r)
			EXPECT_GT(strlen(r->text), 10);
		close(kinds[i].fd);
	}
	syscall(SYS_mq_unlink, "cxlfork");
	EXPECT_EQ(0, try(cxl));
}

/* A lock that a clone would have lost. */
CXL_TEST(locked_file)
{
	struct cxl *cxl = &self->cxl;
	char path[] = "/tmp/cxlfork-lock-XXXXXX";
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = mkstemp(path);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, flock(fd, LOCK_EX));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_FD);
	EXPECT_EQ(fd, cxl->reports[0].fd);
	ASSERT_EQ(0, flock(fd, LOCK_UN));
	ASSERT_EQ(0, fcntl(fd, F_SETLK, &whole));
	EXPECT_REFUSED(cxl, CXLFORK_REASON_FD);
	whole.l_type = F_UNLCK;
	ASSERT_EQ(0, fcntl(fd, F_SETLK, &whole));
	EXPECT_EQ(0, try(cxl));
	unlink(path);
}

/* Obstacles of every kind are told in one call. */
CXL_TEST(all_at_once)
{
	struct cxl *cxl = &self->cxl;
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct cxlfork_report *r;
	int p[2];
	pthread_t t;

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, pthread_create(&t, NULL, waits, NULL));
	EXPECT_EQ(-EOPNOTSUPP, try(cxl));
	EXPECT_EQ(4, cxl->args.nr_reports);
	EXPECT_NE(NULL, cxl_report(cxl, CXLFORK_REASON_THREADS));
	EXPECT_NE(NULL, cxl_report_fd(cxl, p[0]));
	EXPECT_NE(NULL, cxl_report_fd(cxl, p[1]));
	r = cxl_report(cxl, CXLFORK_REASON_VMA);
	ASSERT_NE(NULL, r);
	EXPECT_EQ((uintptr_t)shared, r->start);
	EXPECT_EQ((uintptr_t)shared + PAGE, r->end);
	EXPECT_EQ(-1, r->fd);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
}

TEST_HARNESS_MAIN
