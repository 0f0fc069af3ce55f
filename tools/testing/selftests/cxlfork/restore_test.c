// SPDX-License-Identifier: GPL-2.0
/*
 * Restores that must fail: an errno and a reason, the ghost lives on and works,
 * and once the obstacle is gone the same checkpoint can be restored.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"

static char dir[64];
static char file[128];
static char *ghosts_own;
static volatile int caught;

static void on_signal(int sig)
{
	caught = sig;
}

static void before(void)
{
	ghosts_own = map_anon(LEAF);
	fill(ghosts_own, LEAF, 77);
	signal(SIGUSR1, on_signal);
	CHECK(!chdir("/"));
	CHECK(!prctl(PR_SET_NAME, "ghost"));
}

/* Memory, descriptors, signals, threads: all is the ghost's, and works. */
static int after(void)
{
	char cwd[64], name[16];
	int p[2], status;
	pid_t pid;

	CHECK(is_filled(ghosts_own, LEAF, 77));
	fill(ghosts_own, LEAF, 78);
	CHECK(is_filled(ghosts_own, LEAF, 78));
	CHECK(raise(SIGUSR1) == 0 && caught == SIGUSR1);
	CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/"));
	CHECK(!prctl(PR_GET_NAME, name) && !strcmp(name, "ghost"));
	CHECK(!pipe(p) && write(p[1], "x", 1) == 1 && read(p[0], cwd, 1) == 1);
	pid = fork();
	if (!pid)
		_exit(is_filled(ghosts_own, LEAF, 78) ? 5 : 6);
	CHECK(waitpid(pid, &status, 0) == pid && status == 5 << 8);
	CHECK(stat_of("self", "checkpoint") == -1);
	return 201;
}

/* Refused with @err, for @why; the ghost ends as after() says. */
#define EXPECT_NO_RESTORE(cxl, id, g, err, why)				\
	do {								\
		(g)->before = (g)->before ?: before;			\
		(g)->after = (g)->after ?: after;			\
		ghost_start(cxl, g, id);				\
		EXPECT_EQ(err, (g)->error);				\
		EXPECT_EQ(1, (g)->args.nr_reports);			\
		EXPECT_EQ(why, (g)->reports[0].reason) {		\
			TH_LOG("%.160s", (g)->reports[0].text);		\
		}							\
		EXPECT_LT(10, strlen((g)->reports[0].text));		\
		EXPECT_EQ(201, ghost_wait(g));				\
	} while (0)

static long fork_with_file(struct cxl *cxl, struct stat *st)
{
	char *content = map_anon(4 * PAGE), *map;
	int fd;
	long id;

	strcpy(dir, "/tmp/cxlfork-restore-XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/mapped", dir);
	fill(content, 4 * PAGE, 1);
	write_file(file, content, 4 * PAGE);
	fd = open(file, O_RDONLY);
	CHECK(!fstat(fd, st));
	map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(map != MAP_FAILED);
	close(fd);
	map[PAGE] ^= 1;
	id = cxl_fork(cxl);
	if (!id) {
		map[PAGE] ^= 1;
		_exit(is_filled(map, 4 * PAGE, 1) ? 0 : 1);
	}
	return id;
}

static void set_mtime(const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	CHECK(!utimensat(AT_FDCWD, file, times, 0));
}

CXL_TEST(file_changed)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { 0 };
	struct stat st;
	char command[300];
	long id = fork_with_file(cxl, &st);
	int fd;

	ASSERT_GT(id, 0);
	/* Its time, as coarse as the kernel's clock for files is. */
	usleep(20000);
	ASSERT_EQ(0, utimensat(AT_FDCWD, file, NULL, 0));
	EXPECT_NO_RESTORE(cxl, id, &g, ESTALE, CXLFORK_REASON_FILE_CHANGED);
	EXPECT_NE(NULL, strstr(g.reports[0].text, file));
	set_mtime(&st);
	EXPECT_EQ(0, cxl_run(cxl, id));
	/* Its content. */
	usleep(20000);
	fd = open(file, O_RDWR);
	ASSERT_EQ(1, pwrite(fd, "X", 1, 5000));
	EXPECT_NO_RESTORE(cxl, id, &g, ESTALE, CXLFORK_REASON_FILE_CHANGED);
	/* Its size. */
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	set_mtime(&st);
	EXPECT_NO_RESTORE(cxl, id, &g, ESTALE, CXLFORK_REASON_FILE_CHANGED);
	close(fd);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	EXPECT_EQ(0, system(command));
}

CXL_TEST(file_removed)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { 0 };
	struct stat st;
	char other[160], command[300];
	long id = fork_with_file(cxl, &st);

	ASSERT_GT(id, 0);
	snprintf(other, sizeof(other), "%s/other", dir);
	ASSERT_EQ(0, rename(file, other));
	EXPECT_NO_RESTORE(cxl, id, &g, ENOENT, CXLFORK_REASON_FILE);
	EXPECT_NE(NULL, strstr(g.reports[0].text, file));
	/* A directory, a fifo, a device in its place. */
	ASSERT_EQ(0, mkdir(file, 0700));
	EXPECT_NO_RESTORE(cxl, id, &g, ESTALE, CXLFORK_REASON_FILE_CHANGED);
	ASSERT_EQ(0, rmdir(file));
	ASSERT_EQ(0, symlink("/dev/zero", file));
	EXPECT_NO_RESTORE(cxl, id, &g, ESTALE, CXLFORK_REASON_FILE_CHANGED);
	ASSERT_EQ(0, unlink(file));
	ASSERT_EQ(0, rename(other, file));
	EXPECT_EQ(0, cxl_run(cxl, id));
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	EXPECT_EQ(0, system(command));
}

/* A fifo instead, and no writer: refused, not waited for. */
CXL_TEST(file_is_now_a_fifo)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { 0 };
	struct stat st;
	char command[300];
	long id = fork_with_file(cxl, &st);

	ASSERT_GT(id, 0);
	ASSERT_EQ(0, unlink(file));
	ASSERT_EQ(0, mkfifo(file, 0600));
	EXPECT_NO_RESTORE(cxl, id, &g, ESTALE, CXLFORK_REASON_FILE_CHANGED);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	EXPECT_EQ(0, system(command));
}

CXL_TEST(no_working_directory)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { 0 };
	char cwd[128];
	long id;

	strcpy(dir, "/tmp/cxlfork-restore-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, chdir(dir));
	id = cxl_fork(cxl);
	if (!id)
		_exit(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, dir) ? 0 : 1);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, chdir("/"));
	ASSERT_EQ(0, rmdir(dir));
	EXPECT_NO_RESTORE(cxl, id, &g, ENOENT, CXLFORK_REASON_FILE);
	EXPECT_NE(NULL, strstr(g.reports[0].text, dir));
	ASSERT_EQ(0, mkdir(dir, 0700));
	EXPECT_EQ(0, cxl_run(cxl, id));
	rmdir(dir);
}

static void little_memory(void)
{
	struct rlimit as = { 64 * MB, 64 * MB };

	before();
	CHECK(!setrlimit(RLIMIT_AS, &as));
}

static void little_data(void)
{
	struct rlimit data = { 16 * MB, 16 * MB };

	before();
	CHECK(!setrlimit(RLIMIT_DATA, &data));
}

CXL_TEST(limits)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .before = little_memory }, h = { .before = little_data };
	char *map = map_leaves(128 * MB);
	long id;

	fill(map, LEAF, 1);
	id = cxl_fork(cxl);
	if (!id)
		_exit(!is_filled(map, LEAF, 1));
	ASSERT_GT(id, 0);
	/* A process that is over its limit itself is a ghost that can't do much. */
	munmap(map, 128 * MB);
	EXPECT_NO_RESTORE(cxl, id, &g, ENOMEM, CXLFORK_REASON_LIMIT);
	EXPECT_EQ((uintptr_t)map, g.reports[0].start);
	EXPECT_NO_RESTORE(cxl, id, &h, ENOMEM, CXLFORK_REASON_LIMIT);
	EXPECT_EQ((uintptr_t)map, h.reports[0].start);
	EXPECT_EQ(0, cxl_run(cxl, id));
}

static pthread_t thread;

static void *waits(void *arg)
{
	pause();
	return NULL;
}

static void with_threads(void)
{
	before();
	CHECK(!pthread_create(&thread, NULL, waits, NULL));
}

static int after_threads(void)
{
	CHECK(!pthread_cancel(thread) && !pthread_join(thread, NULL));
	return after();
}

CXL_TEST(ghost_with_threads)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .before = with_threads, .after = after_threads };
	long id = cxl_fork(cxl);

	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	EXPECT_NO_RESTORE(cxl, id, &g, EBUSY, CXLFORK_REASON_GHOST);
	EXPECT_EQ(0, cxl_run(cxl, id));
}

struct shared_ghost {
	struct cxl		*cxl;
	struct cxlrestore_args	args;
	struct cxlfork_report	reports[2];
	int			error;
};

static int shared_ghost(void *arg)
{
	struct shared_ghost *s = arg;

	s->error = sys_cxlrestore(&s->args, sizeof(s->args)) ? errno : 0;
	return 33;
}

static int run_shared(struct cxl *cxl, long id, int flags, struct shared_ghost *s)
{
	char *stack = map_anon(256 * 1024);
	int status;
	pid_t pid;

	*s = (struct shared_ghost){ .args = { .id = id, .pool_fd = cxl->pool, .nr_reports = 2,
				    .reports = (uintptr_t)s->reports } };
	pid = clone(shared_ghost, stack + 256 * 1024, flags | SIGCHLD, s);
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	munmap(stack, 256 * 1024);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* What a ghost shares with another process is not torn away from that one. */
CXL_TEST(ghost_that_shares)
{
	struct cxl *cxl = &self->cxl;
	struct shared_ghost s;
	char *map = map_leaves(LEAF), cwd[64];
	int null;
	long id;

	fill(map, LEAF, 1);
	ASSERT_EQ(0, chdir("/tmp"));
	id = cxl_fork(cxl);
	if (!id) {
		fill(map, LEAF, 2);
		CHECK(!chdir("/") && !close(cxl->pool));
		_exit(7);
	}
	ASSERT_GT(id, 0);
	/* Signal handlers: no. */
	EXPECT_EQ(33, run_shared(cxl, id, CLONE_VM | CLONE_SIGHAND, &s));
	EXPECT_EQ(EBUSY, s.error);
	EXPECT_EQ(CXLFORK_REASON_GHOST, s.reports[0].reason);
	/* Memory, as a child of vfork() does; descriptors; directories. */
	EXPECT_EQ(7, run_shared(cxl, id, CLONE_VM | CLONE_VFORK, &s));
	EXPECT_TRUE(is_filled(map, LEAF, 1));
	EXPECT_EQ(7, run_shared(cxl, id, CLONE_VM, &s));
	EXPECT_TRUE(is_filled(map, LEAF, 1));
	null = open("/dev/null", O_RDONLY);
	EXPECT_EQ(7, run_shared(cxl, id, CLONE_FILES | CLONE_FS, &s));
	EXPECT_EQ(0, fcntl(null, F_GETFD));
	EXPECT_LE(0, fcntl(cxl->pool, F_GETFD));
	EXPECT_STREQ("/tmp", getcwd(cwd, sizeof(cwd)));
}

CXL_TEST(payloads)
{
	struct cxl *cxl = &self->cxl;
	char buffer[64], *sent = map_anon(PAGE), *gone;
	struct ghost g = { .args = { .payload = (uintptr_t)sent, .payload_size = 1 } };
	struct ghost h = { .args = { .payload = (uintptr_t)sent, .payload_size = 65 } };
	long id = cxl_fork(cxl);

	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	EXPECT_NO_RESTORE(cxl, id, &g, EMSGSIZE, CXLFORK_REASON_PAYLOAD);
	EXPECT_EQ(0, g.reports[0].value);
	cxl_init(cxl);
	cxl->args.payload = (uintptr_t)buffer;
	cxl->args.payload_size = sizeof(buffer);
	id = cxl_call(cxl);
	if (!id)
		_exit(cxl->args.payload_size);
	ASSERT_GT(id, 0);
	EXPECT_NO_RESTORE(cxl, id, &h, EMSGSIZE, CXLFORK_REASON_PAYLOAD);
	EXPECT_EQ(64, h.reports[0].value);
	h.args.payload_size = 64;
	ghost_start(cxl, &h, id);
	EXPECT_EQ(0, h.error);
	EXPECT_EQ(64, ghost_wait(&h));

	/* A buffer that can't be written. */
	gone = map_anon(PAGE);
	ASSERT_EQ(0, munmap(gone, PAGE));
	cxl_init(cxl);
	cxl->args.payload = (uintptr_t)gone;
	cxl->args.payload_size = PAGE;
	id = cxl_call(cxl);
	if (!id)
		_exit(0);
	if (id > 0)
		EXPECT_NO_RESTORE(cxl, id, &g, EFAULT, CXLFORK_REASON_PAYLOAD);
	else
		EXPECT_EQ(EFAULT, errno);
}

/* A hundred refusals leave as much memory free as one. */
static void no_handover(void)
{
}

CXL_TEST(many_refusals)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(4 * LEAF);
	int i;
	long id;

	fill(map, 4 * LEAF, 1);
	id = cxl_fork_channel(cxl);
	if (!id)
		_exit(!is_filled(map, 4 * LEAF, 1));
	ASSERT_GT(id, 0);
	for (i = 0; i < 20; i++) {
		struct ghost g = { .before = no_handover };

		ghost_start(cxl, &g, id);
		EXPECT_EQ(EBADF, g.error);
		EXPECT_EQ(CXLFORK_REASON_HANDOVER, g.reports[0].reason);
		EXPECT_EQ(CHANNEL, g.reports[0].fd);
		EXPECT_EQ(200, ghost_wait(&g));
	}
}

TEST_HARNESS_MAIN
