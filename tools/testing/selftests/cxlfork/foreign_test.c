// SPDX-License-Identifier: GPL-2.0
/* Checkpoints of another process, by pidfd, whatever it is doing. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "cxlfork_fixture.h"

#define SIZE	LEAF

/**
 * struct victim - a process to be checkpointed
 * @pid:	of it
 * @pidfd:	of it
 * @peer:	our end of its CHANNEL
 */
struct victim {
	pid_t	pid;
	int	pidfd;
	int	peer;
};

static char *map;

static void start(struct victim *v, void (*body)(void))
{
	int ch[2];

	map = map_leaves(SIZE);
	fill(map, SIZE, 1);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ch));
	v->pid = fork();
	if (!v->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ch[0]);
		CHECK(dup2(ch[1], CHANNEL) == CHANNEL);
		close(ch[1]);
		put_byte(CHANNEL, 'r');
		body();
		_exit(99);
	}
	close(ch[1]);
	v->peer = ch[0];
	v->pidfd = syscall(SYS_pidfd_open, v->pid, 0);
	CHECK(get_byte(v->peer) == 'r');
	usleep(100000); /* well in its system call */
}

static long checkpoint(struct cxl *cxl, struct victim *v, uint64_t flags)
{
	int channel = CHANNEL;
	long id;

	cxl_init(cxl);
	cxl->args.pidfd = v->pidfd;
	cxl->args.flags = flags;
	cxl->args.handover = (uintptr_t)&channel;
	cxl->args.nr_handover = 1;
	id = cxl_call(cxl);
	if (id < 0)
		show_reports("cxlfork", cxl->reports, cxl->args.nr_reports);
	return id;
}

static int end(struct victim *v)
{
	int status;

	CHECK(waitpid(v->pid, &status, 0) == v->pid);
	close(v->peer);
	close(v->pidfd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void computes(void)
{
	volatile unsigned long n = 0, limit = 20000000;
	struct pollfd p = { .fd = CHANNEL, .events = POLLIN };

	/* Runs until it is told to stop, with values in registers all the time. */
	for (;;) {
		unsigned long a = 1, b = 1, i;

		for (i = 0; i < 5000; i++) {
			unsigned long c = a + b;

			a = b;
			b = c ^ i;
		}
		n += a != 0;
		CHECK(n < limit);
		if (poll(&p, 1, 0) > 0)
			break;
	}
	CHECK(get_byte(CHANNEL) == 'e');
	CHECK(n > 0);
	CHECK(is_filled(map, SIZE, 1));
	_exit(11);
}

CXL_TEST(computing)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;
	struct ghost g;
	long id;

	start(&v, computes);
	id = checkpoint(cxl, &v, 0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	put_byte(g.peer, 'e');
	EXPECT_EQ(11, ghost_wait(&g));
	put_byte(v.peer, 'e');
	EXPECT_EQ(11, end(&v));
}

/* Never in the kernel at all. */
static volatile int spin = 1;

static void spins(void)
{
	signal(SIGALRM, SIG_DFL);
	while (spin)
		;
	_exit(12);
}

CXL_TEST(spinning)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;
	struct ghost g;
	long id;

	start(&v, spins);
	id = checkpoint(cxl, &v, 0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	usleep(50000);
	EXPECT_EQ(0, kill(g.pid, 0));
	kill(g.pid, SIGTERM);
	EXPECT_EQ(1000 + SIGTERM, ghost_wait(&g));
	kill(v.pid, SIGTERM);
	EXPECT_EQ(1000 + SIGTERM, end(&v));
}

static void reads(void)
{
	char c;

	CHECK(read(CHANNEL, &c, 1) == 1);
	CHECK(is_filled(map, SIZE, 1));
	_exit(c);
}

CXL_TEST(in_read)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;
	struct ghost g;
	long id;

	start(&v, reads);
	id = checkpoint(cxl, &v, 0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	put_byte(g.peer, 21);
	EXPECT_EQ(21, ghost_wait(&g));
	/* The parent noticed nothing. */
	put_byte(v.peer, 22);
	EXPECT_EQ(22, end(&v));
}

static void sleeps(void)
{
	struct timespec time = { .tv_sec = 600 };

	if (nanosleep(&time, NULL) == -1 && errno == EINTR) {
		CHECK(is_filled(map, SIZE, 1));
		_exit(31);
	}
	_exit(32);
}

CXL_TEST(in_nanosleep)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;
	struct ghost g;
	long id;

	start(&v, sleeps);
	id = checkpoint(cxl, &v, 0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	EXPECT_EQ(31, ghost_wait(&g));
	/* The parent sleeps on. */
	usleep(50000);
	EXPECT_EQ(0, waitpid(v.pid, NULL, WNOHANG));
	kill(v.pid, SIGKILL);
	EXPECT_EQ(1000 + SIGKILL, end(&v));
}

static void polls(void)
{
	struct pollfd p = { .fd = CHANNEL, .events = POLLIN };
	int n;

	/* As everybody writes it. */
	while ((n = poll(&p, 1, 600000)) == -1 && errno == EINTR)
		;
	CHECK(n == 1 && (p.revents & POLLIN));
	_exit(get_byte(CHANNEL));
}

CXL_TEST(in_poll)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;
	struct ghost g;
	long id;

	start(&v, polls);
	id = checkpoint(cxl, &v, 0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	usleep(50000);
	put_byte(g.peer, 41);
	EXPECT_EQ(41, ghost_wait(&g));
	put_byte(v.peer, 42);
	EXPECT_EQ(42, end(&v));
}

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

static void suspends(void)
{
	sigset_t none, usr1, now;

	signal(SIGUSR1, on_signal);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	put_byte(CHANNEL, 's');
	while (!caught)
		sigsuspend(&none);
	CHECK(!sigprocmask(SIG_BLOCK, NULL, &now) && sigismember(&now, SIGUSR1));
	_exit(51);
}

CXL_TEST(in_sigsuspend)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;
	struct ghost g;
	long id;

	start(&v, suspends);
	EXPECT_EQ('s', get_byte(v.peer));
	usleep(100000);
	id = checkpoint(cxl, &v, 0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	usleep(100000);
	EXPECT_EQ(0, kill(g.pid, SIGUSR1));
	EXPECT_EQ(51, ghost_wait(&g));
	EXPECT_EQ(0, kill(v.pid, SIGUSR1));
	EXPECT_EQ(51, end(&v));
}

CXL_TEST(kill_after)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;
	struct ghost g;
	long id;

	start(&v, reads);
	id = checkpoint(cxl, &v, CXLFORK_KILL);
	ASSERT_GT(id, 0);
	EXPECT_EQ(1000 + SIGKILL, end(&v));
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	put_byte(g.peer, 61);
	EXPECT_EQ(61, ghost_wait(&g));
}

/* A refusal kills nobody. */
static void has_pipe(void)
{
	int p[2];

	CHECK(!pipe(p));
	put_byte(CHANNEL, 'p');
	reads();
}

CXL_TEST(check_and_refusal)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;

	start(&v, has_pipe);
	EXPECT_EQ('p', get_byte(v.peer));
	EXPECT_EQ(0, checkpoint(cxl, &v, CXLFORK_CHECK));
	EXPECT_EQ(2, cxl->args.nr_reports);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
	EXPECT_EQ(-1, checkpoint(cxl, &v, CXLFORK_KILL));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
	usleep(50000);
	EXPECT_EQ(0, waitpid(v.pid, NULL, WNOHANG));
	put_byte(v.peer, 71);
	EXPECT_EQ(71, end(&v));

	/* CHECK with nothing in the way, and with KILL: nothing happens. */
	start(&v, reads);
	EXPECT_EQ(0, checkpoint(cxl, &v, CXLFORK_CHECK | CXLFORK_KILL));
	EXPECT_EQ(0, cxl->args.nr_reports);
	put_byte(v.peer, 72);
	EXPECT_EQ(72, end(&v));
}

CXL_TEST(stopped_or_traced)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;
	int status;

	start(&v, reads);
	kill(v.pid, SIGSTOP);
	ASSERT_EQ(v.pid, waitpid(v.pid, &status, WUNTRACED));
	EXPECT_EQ(-1, checkpoint(cxl, &v, 0));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_NE(NULL, cxl_report(cxl, CXLFORK_REASON_TASK_STATE));
	kill(v.pid, SIGCONT);
	put_byte(v.peer, 73);
	EXPECT_EQ(73, end(&v));
}

static void be_nobody(void)
{
	CHECK(!setresgid(65534, 65534, 65534));
	CHECK(!setresuid(65534, 65534, 65534));
	prctl(PR_SET_DUMPABLE, 1);
}

/* What counts is who has opened the pool. */
static int the_pool;

static void be_nobody_and_open(void)
{
	be_nobody();
	CHECK(dup2(open("/dev/cxlfork", O_RDWR), the_pool) == the_pool);
}

static int try_as_nobody(struct cxl *cxl, struct victim *v)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		be_nobody();
		_exit(checkpoint(cxl, v, 0) == -1 ? errno : 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

CXL_TEST(nobody_may_not)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .before = be_nobody_and_open };
	struct victim v;
	long id;

	if (getuid())
		SKIP(return, "not root");
	the_pool = cxl->pool;
	start(&v, reads);
	EXPECT_EQ(EPERM, try_as_nobody(cxl, &v));
	EXPECT_EQ(cxl->free, cxl_free_extents(cxl));
	id = checkpoint(cxl, &v, 0);
	ASSERT_GT(id, 0);
	g.channel = true;
	ghost_start(cxl, &g, id);
	EXPECT_EQ(EACCES, g.error);
	EXPECT_EQ(1, g.args.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_PERMISSION, g.reports[0].reason);
	EXPECT_EQ(200, ghost_wait(&g));
	put_byte(v.peer, 74);
	EXPECT_EQ(74, end(&v));
}

/* Whose the checkpoint is says who made it; root restores it as root. */
static void nobody_reads(void)
{
	be_nobody();
	put_byte(CHANNEL, 'n');
	CHECK(get_byte(CHANNEL) == 'g');
	_exit(getuid() ? 75 : 76);
}

CXL_TEST(credentials_are_the_ghosts)
{
	struct cxl *cxl = &self->cxl;
	struct victim v;
	struct ghost g;
	long id;

	if (getuid())
		SKIP(return, "not root");
	start(&v, nobody_reads);
	EXPECT_EQ('n', get_byte(v.peer));
	usleep(50000);
	id = checkpoint(cxl, &v, 0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	put_byte(g.peer, 'g');
	EXPECT_EQ(76, ghost_wait(&g));
	put_byte(v.peer, 'g');
	EXPECT_EQ(75, end(&v));
}

TEST_HARNESS_MAIN
