// SPDX-License-Identifier: GPL-2.0
/* The open descriptors of a clone: opened again, or handed over by its ghost. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cxlfork_fixture.h"

static char dir[64];

static char *in_dir(const char *name)
{
	static char path[4][128];
	static int next;
	char *p = path[next++ % 4];

	snprintf(p, 128, "%s/%s", dir, name);
	return p;
}

static void make_dir(void)
{
	strcpy(dir, "/tmp/cxlfork-fd-XXXXXX");
	CHECK(mkdtemp(dir));
}

static void remove_dir(void)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CHECK(!system(command));
}

CXL_TEST(regular_files)
{
	struct cxl *cxl = &self->cxl;
	int rd, wr, append, cloexec, shared, dup, high;
	char c, text[16] = "";
	struct stat st;
	long id;

	make_dir();
	write_file(in_dir("read"), "0123456789", 10);
	write_file(in_dir("write"), "abcdefghij", 10);
	write_file(in_dir("append"), "begin-", 6);
	rd = open(in_dir("read"), O_RDONLY);
	wr = open(in_dir("write"), O_RDWR);
	append = open(in_dir("append"), O_WRONLY | O_APPEND);
	cloexec = open(in_dir("read"), O_RDONLY | O_CLOEXEC);
	shared = open(in_dir("read"), O_RDONLY);
	dup = fcntl(shared, F_DUPFD_CLOEXEC, 0);
	high = fcntl(rd, F_DUPFD, 700);
	ASSERT_LE(0, rd);
	ASSERT_LE(0, append);
	ASSERT_EQ(700, high);
	ASSERT_EQ(3, lseek(rd, 3, SEEK_SET));
	ASSERT_EQ(5, lseek(wr, 5, SEEK_SET));
	ASSERT_EQ(7, lseek(dup, 7, SEEK_SET));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(read(rd, &c, 1) == 1 && c == '3');
		CHECK(lseek(high, 0, SEEK_CUR) == 4);
		CHECK(write(wr, "X", 1) == 1);
		CHECK(pread(wr, text, 10, 0) == 10 && !memcmp(text, "abcdeXghij", 10));
		CHECK(write(rd, "x", 1) == -1 && errno == EBADF);
		CHECK(write(append, "end", 3) == 3);
		CHECK(lseek(append, 0, SEEK_SET) == 0 && write(append, "!", 1) == 1);
		CHECK((fcntl(append, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND));
		CHECK(fcntl(cloexec, F_GETFD) == FD_CLOEXEC);
		CHECK(fcntl(rd, F_GETFD) == 0);
		/* dup'ed descriptors have one offset, but flags of their own. */
		CHECK(read(shared, &c, 1) == 1 && c == '7');
		CHECK(lseek(dup, 0, SEEK_CUR) == 8);
		CHECK(fcntl(shared, F_GETFD) == 0 && fcntl(dup, F_GETFD) == FD_CLOEXEC);
		CHECK(lseek(cloexec, 0, SEEK_CUR) == 0);
		CHECK(!fstat(wr, &st) && st.st_size == 10);
		/* And none that was not there. */
		CHECK(fcntl(high + 1, F_GETFD) == -1 && fcntl(high - 1, F_GETFD) == -1);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	/* The parent's offsets are its own. */
	EXPECT_EQ(3, lseek(rd, 0, SEEK_CUR));
	EXPECT_EQ(7, lseek(shared, 0, SEEK_CUR));
	EXPECT_EQ(10, read_file(in_dir("append"), text, sizeof(text)));
	EXPECT_EQ(0, memcmp(text, "begin-end!", 10));
	remove_dir();
}

CXL_TEST(directories_and_devices)
{
	struct cxl *cxl = &self->cxl;
	int d, path, null, zero, urandom, full;
	struct stat st, own;
	char buffer[16];
	long id;

	make_dir();
	write_file(in_dir("file"), "x", 1);
	d = open(dir, O_RDONLY | O_DIRECTORY);
	path = open(in_dir("file"), O_PATH);
	null = open("/dev/null", O_RDWR);
	zero = open("/dev/zero", O_RDONLY);
	urandom = open("/dev/urandom", O_RDONLY);
	full = open("/dev/full", O_WRONLY);
	ASSERT_LE(0, full);
	ASSERT_EQ(0, fstat(path, &own));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(!fstatat(d, "file", &st, 0) && st.st_ino == own.st_ino);
		CHECK(!fstat(path, &st) && st.st_ino == own.st_ino);
		CHECK(read(path, buffer, 1) == -1 && errno == EBADF);
		CHECK(write(null, "x", 1) == 1 && read(null, buffer, 1) == 0);
		memset(buffer, 1, sizeof(buffer));
		CHECK(read(zero, buffer, 16) == 16 && is_zero(buffer, 16));
		CHECK(read(urandom, buffer, 16) == 16 && !is_zero(buffer, 16));
		CHECK(write(full, "x", 1) == -1 && errno == ENOSPC);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	remove_dir();
}

/* The control device itself: the clone can make checkpoints. */
CXL_TEST(pool)
{
	struct cxl *cxl = &self->cxl;
	int again = dup(cxl->pool);
	long id = cxl_fork(cxl);

	if (!id) {
		CHECK(cxl_free_extents(cxl) > 0);
		CHECK(fcntl(cxl->pool, F_GETFD) == FD_CLOEXEC);
		CHECK(fcntl(again, F_GETFD) == 0);
		cxl_init(cxl);
		cxl->args.flags = CXLFORK_CHECK;
		CHECK(!cxl_call(cxl) && !cxl->args.nr_reports);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

CXL_TEST(handover)
{
	struct cxl *cxl = &self->cxl;
	int pipe_in[2], pair[2], theirs[2], handover[3], p[2];
	struct ghost g = { 0 };
	char c = 0, all[16] = "";
	ssize_t n, got = 0;
	long id;

	ASSERT_EQ(0, pipe(pipe_in));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	handover[0] = pipe_in[0];
	handover[1] = pipe_in[1];
	handover[2] = pair[0];
	close(pair[1]);
	cxl_init(cxl);
	cxl->args.handover = (uintptr_t)handover;
	cxl->args.nr_handover = 3;
	id = cxl_call(cxl);
	if (!id) {
		CHECK(read(pipe_in[0], &c, 1) == 1 && c == 'q');
		CHECK(write(pair[0], "answer", 6) == 6);
		/* The other way round: the ghost's socket took a pipe's place. */
		CHECK(write(pipe_in[1], "two", 3) == 3);
		_exit(0);
	}
	ASSERT_GT(id, 0);

	/* Not handed over: refused, with its number. */
	ghost_start(cxl, &g, id);
	EXPECT_EQ(EBADF, g.error);
	ASSERT_LE(1, g.args.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_HANDOVER, g.reports[0].reason);
	EXPECT_EQ(pipe_in[0], g.reports[0].fd);
	EXPECT_EQ(200, ghost_wait(&g));

	/* From a descriptor that is not open. */
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, theirs));
	g = (struct ghost){ .fds = { { pipe_in[0], p[0] }, { pipe_in[1], 888 },
				     { pair[0], theirs[0] } }, .args.nr_fds = 3 };
	ghost_start(cxl, &g, id);
	EXPECT_EQ(EBADF, g.error);
	ASSERT_LE(1, g.args.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_HANDOVER, g.reports[0].reason);
	EXPECT_EQ(pipe_in[1], g.reports[0].fd);
	EXPECT_EQ(888, g.reports[0].value);
	EXPECT_EQ(200, ghost_wait(&g));

	g = (struct ghost){ .fds = { { pipe_in[0], p[0] }, { pipe_in[1], theirs[0] },
				     { pair[0], theirs[0] } }, .args.nr_fds = 3 };
	ghost_start(cxl, &g, id);
	EXPECT_EQ(0, g.error);
	EXPECT_EQ(1, write(p[1], "q", 1));
	EXPECT_EQ(0, ghost_wait(&g));
	close(theirs[0]);
	while ((n = read(theirs[1], all + got, sizeof(all) - 1 - got)) > 0)
		got += n;
	/* The end came: the clone and its ghost have left nothing open. */
	EXPECT_STREQ("answertwo", all);
}

static int out_pipe[2];

static void ghost_std(void)
{
	close(0);
	CHECK(dup2(out_pipe[1], 1) == 1);
}

/* 0, 1 and 2 are the ghost's. */
CXL_TEST(standard_ones)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .before = ghost_std };
	char text[16] = "";
	long id;

	ASSERT_EQ(0, pipe2(out_pipe, O_CLOEXEC));
	cxl_init(cxl);
	cxl->args.handover = (uintptr_t)out_pipe;
	cxl->args.nr_handover = 2;
	id = cxl_call(cxl);
	if (!id) {
		CHECK(fcntl(0, F_GETFD) == -1 && errno == EBADF);
		CHECK(write(1, "out", 3) == 3);
		_exit(0);
	}
	ASSERT_GT(id, 0);
	g.fds[0] = (struct cxlfork_fd_map){ out_pipe[0], 2 };
	g.fds[1] = (struct cxlfork_fd_map){ out_pipe[1], 2 };
	g.args.nr_fds = 2;
	ghost_start(cxl, &g, id);
	EXPECT_EQ(0, g.error);
	EXPECT_EQ(0, ghost_wait(&g));
	close(out_pipe[1]);
	EXPECT_EQ(3, read(out_pipe[0], text, sizeof(text)));
	EXPECT_STREQ("out", text);
	EXPECT_EQ(0, read(out_pipe[0], text, sizeof(text)));
}

static int after_limit(void)
{
	/* The ghost's own descriptors are what they were. */
	CHECK(fcntl(2, F_GETFD) >= 0);
	CHECK(open("/dev/null", O_RDONLY) >= 0);
	return 201;
}

static void low_limit(void)
{
	struct rlimit files = { 64, 64 };

	CHECK(!setrlimit(RLIMIT_NOFILE, &files));
}

CXL_TEST(limit)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .before = low_limit, .after = after_limit };
	int high = fcntl(open("/dev/null", O_RDONLY), F_DUPFD, 64);
	long id;

	ASSERT_EQ(64, high);
	id = cxl_fork(cxl);
	if (!id)
		_exit(fcntl(64, F_GETFD) == 0 ? 0 : 1);
	ASSERT_GT(id, 0);
	ghost_start(cxl, &g, id);
	EXPECT_EQ(EMFILE, g.error);
	ASSERT_EQ(1, g.args.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_LIMIT, g.reports[0].reason);
	EXPECT_EQ(64, g.reports[0].fd);
	EXPECT_EQ(201, ghost_wait(&g));
	EXPECT_EQ(0, cxl_run(cxl, id));
}

/* A file that is no longer there, or is another kind of file. */
CXL_TEST(file_is_gone)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .after = after_limit };
	int fd;
	long id;

	make_dir();
	write_file(in_dir("file"), "x", 1);
	fd = open(in_dir("file"), O_RDONLY);
	ASSERT_LE(0, fd);
	id = cxl_fork(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, unlink(in_dir("file")));
	ghost_start(cxl, &g, id);
	EXPECT_EQ(ENOENT, g.error);
	ASSERT_EQ(1, g.args.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_FILE, g.reports[0].reason);
	EXPECT_EQ(fd, g.reports[0].fd);
	EXPECT_NE(NULL, strstr(g.reports[0].text, "/file"));
	EXPECT_EQ(201, ghost_wait(&g));

	ASSERT_EQ(0, mkfifo(in_dir("file"), 0600));
	ASSERT_LE(0, open(in_dir("file"), O_RDWR | O_CLOEXEC)); /* so that open() does not block */
	ghost_start(cxl, &g, id);
	EXPECT_NE(0, g.error);
	EXPECT_EQ(CXLFORK_REASON_FILE_CHANGED, g.reports[0].reason);
	EXPECT_EQ(fd, g.reports[0].fd);
	EXPECT_EQ(201, ghost_wait(&g));

	unlink(in_dir("file"));
	ASSERT_EQ(0, symlink("/dev/null", in_dir("file")));
	ghost_start(cxl, &g, id);
	EXPECT_NE(0, g.error);
	EXPECT_EQ(CXLFORK_REASON_FILE_CHANGED, g.reports[0].reason);
	EXPECT_EQ(201, ghost_wait(&g));
	remove_dir();
}

/* A fifo in the file's place, and nobody at its other end: no ghost may hang. */
CXL_TEST(file_is_now_a_fifo)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .after = after_limit };
	int fd;
	long id;

	make_dir();
	write_file(in_dir("file"), "x", 1);
	fd = open(in_dir("file"), O_RDONLY);
	ASSERT_LE(0, fd);
	id = cxl_fork(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, unlink(in_dir("file")));
	ASSERT_EQ(0, mkfifo(in_dir("file"), 0600));
	ghost_start(cxl, &g, id);
	EXPECT_NE(0, g.error);
	EXPECT_EQ(fd, g.reports[0].fd);
	EXPECT_EQ(201, ghost_wait(&g));
	remove_dir();
}

TEST_HARNESS_MAIN
