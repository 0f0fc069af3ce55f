// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoints that leave the pool as a stream of bytes and come back: page for
 * page the same, whatever the pieces they are read and written in.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cxlfork_fixture.h"
#include "stream.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define CHUNK	(1UL << 20)
#define NOBODY	65534

/* What a process can have: in its clone all of it is as it was. */
struct memory {
	char	*mixed;		/* two leaves: data, zeros, holes */
	char	*none;		/* not accessible */
	char	*code;		/* executable */
	char	*file;		/* private, of a file, one page of zeros written */
	char	*huge;		/* 2 MiB pages */
};

#define DATA_PAGES	300
#define ZERO_PAGES	200
#define HUGE_LEN	(2 * LEAF)

static void make_memory(struct memory *m)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	m->mixed = map_leaves(2 * LEAF);
	fill(m->mixed, DATA_PAGES * PAGE, 1);
	/* Written, though with zeros, across the border of the leaves. */
	memset(m->mixed + LEAF - ZERO_PAGES / 2 * PAGE, 0, ZERO_PAGES * PAGE);
	m->none = map_anon(9 * PAGE);
	fill(m->none, 9 * PAGE, 2);
	CHECK(!mprotect(m->none, 9 * PAGE, PROT_NONE));
	m->code = map_anon(3 * PAGE);
	memset(m->code, 0xc3, 3 * PAGE); /* ret */
	CHECK(!mprotect(m->code, 3 * PAGE, PROT_READ | PROT_EXEC));
	m->file = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(m->file != MAP_FAILED);
	memset(m->file + PAGE, 0, PAGE);
	close(fd);
	m->huge = map_leaves(HUGE_LEN);
	madvise(m->huge, HUGE_LEN, MADV_HUGEPAGE);
	fill(m->huge, HUGE_LEN, 3);
	madvise(m->huge, HUGE_LEN, MADV_COLLAPSE);
}

static int check_memory(const struct memory *m)
{
	CHECK(is_filled(m->mixed, DATA_PAGES * PAGE, 1));
	CHECK(is_zero(m->mixed + DATA_PAGES * PAGE, 2 * LEAF - DATA_PAGES * PAGE));
	CHECK(is_filled(m->huge, HUGE_LEN, 3));
	CHECK(!mprotect(m->none, 9 * PAGE, PROT_READ));
	CHECK(is_filled(m->none, 9 * PAGE, 2));
	((void (*)(void))m->code)();
	((void (*)(void))(m->code + 2 * PAGE))();
	CHECK(!memcmp(m->file, ELFMAG, SELFMAG));
	CHECK(is_zero(m->file + PAGE, PAGE));
	/* And it is private memory, as it was. */
	fill(m->mixed, 2 * LEAF, 4);
	CHECK(is_filled(m->mixed, 2 * LEAF, 4));
	fill(m->huge, HUGE_LEN, 5);
	CHECK(is_filled(m->huge, HUGE_LEN, 5));
	return 0;
}

static long fork_memory(struct cxl *cxl)
{
	struct memory m;
	long id;

	make_memory(&m);
	id = cxl_fork(cxl);
	if (!id)
		_exit(check_memory(&m));
	return id;
}

static uint32_t state_of(const struct cxl *cxl, long id)
{
	struct cxlfork_ckpt_info info = { 0 };

	while (!ioctl(cxl->pool, CXLFORK_IOC_LIST, &info))
		if ((long)info.id == id)
			return info.state;
	return CXLFORK_CKPT_FREE;
}

static const struct cxlfork_stream_start *start_of(const struct stream *s)
{
	return (void *)(s->data + sizeof(struct cxlfork_record));
}

/* There, away, back: and it says the same as before. */
CXL_TEST(round_trip)
{
	struct cxl *cxl = &self->cxl;
	struct stream s, again;
	struct import im;
	long id;

	id = fork_memory(cxl);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	TH_LOG("%zu bytes: %llu pages, %llu times 2 MiB", s.len, start_of(&s)->nr_pages,
	       start_of(&s)->nr_huge);
	ASSERT_EQ(0, cxl_remove(cxl, id));
	ASSERT_TRUE(cxl_settled(cxl));

	ASSERT_LT(0, stream_import(cxl->pool, NULL, &s, CHUNK, &im)) {
		TH_LOG("%s: %.160s", strerror(im.error), im.report.text);
	}
	cxl->ids[cxl->nr_ids++] = im.id;
	EXPECT_NE(id, im.id);
	EXPECT_EQ(CXLFORK_CKPT_LIVE, state_of(cxl, im.id));
	/* Before a clone sets accessed bits. */
	ASSERT_EQ(0, stream_export(cxl->pool, im.id, CHUNK, &again));
	EXPECT_TRUE(stream_same(&s, &again));
	EXPECT_EQ(0, cxl_run(cxl, im.id));
	EXPECT_EQ(0, cxl_run(cxl, im.id));
	stream_free(&again);
	stream_free(&s);
}

CXL_TEST(zero_pages)
{
	struct cxl *cxl = &self->cxl;
	uint64_t left_out = 0, pages = 0;
	struct cxlfork_export args = { 0 };
	const struct cxlfork_stream_end *end;
	struct cxlfork_record *rec;
	struct stream s;
	uint32_t i;
	long id;
	int fd;

	id = fork_memory(cxl);
	ASSERT_GT(id, 0);
	fd = export_open(cxl->pool, id, &args);
	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	for (i = 0; (rec = stream_find(&s, CXLFORK_REC_PAGES, i)); i++) {
		const struct cxlfork_stream_pages *w = (void *)(rec + 1);

		pages += __builtin_popcount(w->present);
		left_out += __builtin_popcount(w->present & ~w->data);
	}
	EXPECT_EQ(start_of(&s)->nr_pages, pages);
	/* Those of the mixed area and the one of the file; nothing else is known. */
	EXPECT_LE(ZERO_PAGES + 1, left_out);
	end = (void *)(stream_find(&s, CXLFORK_REC_END, 0) + 1);
	EXPECT_EQ(pages - left_out, end->pages);
	/* What it would be with them is what was said it would be at most, or nearly. */
	EXPECT_LE(s.len + left_out * PAGE, args.bytes);
	EXPECT_GE(s.len + left_out * PAGE + left_out * PAGE / 2, args.bytes);
	stream_free(&s);
}

CXL_TEST(huge_pages)
{
	struct cxl *cxl = &self->cxl;
	char *huge = map_leaves(HUGE_LEN);
	struct import im;
	struct stream s;
	long id;

	madvise(huge, HUGE_LEN, MADV_HUGEPAGE);
	fill(huge, HUGE_LEN, 3);
	if (madvise(huge, HUGE_LEN, MADV_COLLAPSE))
		SKIP(return, "no 2 MiB pages here (MADV_COLLAPSE: %s)", strerror(errno));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_filled(huge, HUGE_LEN, 3));
		CHECK(stat_of("self", "huge_cxl") == HUGE_LEN / LEAF);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	EXPECT_EQ(HUGE_LEN / LEAF, start_of(&s)->nr_huge);
	ASSERT_LT(0, stream_import(cxl->pool, NULL, &s, CHUNK, &im));
	cxl->ids[cxl->nr_ids++] = im.id;
	EXPECT_EQ(0, cxl_run(cxl, im.id));
	stream_free(&s);
}

/*
 * The checkpoint of a clone stores little, and is exported whole: it comes back
 * without the one that the clone was made of.
 */
CXL_TEST(parents)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(2 * LEAF);
	struct cxlfork_ckpt_info info = { 0 };
	long id, child = 0;
	struct import im;
	struct stream s;
	struct ghost g;

	fill(map, 2 * LEAF, 1);
	id = cxl_fork_channel(cxl);
	if (!id) {
		fill(map + 7 * PAGE, PAGE, 2);
		child = cxl_fork_channel(cxl);
		CHECK(child >= 0);
		if (child)
			CHECK(write(CHANNEL, &child, sizeof(child)) == sizeof(child));
		CHECK(is_filled(map, 7 * PAGE, 1));
		CHECK(is_filled(map + 7 * PAGE, PAGE, 2));
		CHECK(is_part(map + 8 * PAGE, 2 * LEAF - 8 * PAGE, 1, 8 * PAGE));
		_exit(0);
	}
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	ASSERT_EQ((ssize_t)sizeof(child), read(g.peer, &child, sizeof(child)));
	EXPECT_EQ(0, ghost_wait(&g));
	cxl->ids[cxl->nr_ids++] = child;
	while (!ioctl(cxl->pool, CXLFORK_IOC_LIST, &info) && (long)info.id != child)
		;
	ASSERT_EQ(child, (long)info.id);
	EXPECT_EQ(1, info.nr_parents);
	EXPECT_GT(2 * LEAF / PAGE, info.pages);

	ASSERT_EQ(0, stream_export(cxl->pool, child, CHUNK, &s));
	EXPECT_LT(2 * LEAF / PAGE, start_of(&s)->nr_pages);
	EXPECT_EQ(0, start_of(&s)->lengths[CXLFORK_SEC_PARENTS]);
	EXPECT_EQ(0, cxl_remove(cxl, child));
	EXPECT_EQ(0, cxl_remove(cxl, id));
	ASSERT_TRUE(cxl_settled(cxl));
	ASSERT_LT(0, stream_import(cxl->pool, NULL, &s, CHUNK, &im)) {
		TH_LOG("%s: %.160s", strerror(im.error), im.report.text);
	}
	cxl->ids[cxl->nr_ids++] = im.id;
	ASSERT_EQ(0, cxl_run_channel(cxl, im.id, &g));
	EXPECT_EQ(0, ghost_wait(&g));
	stream_free(&s);
}

/* The pieces that are read and written are nobody's business. */
CXL_TEST(pieces)
{
	static const size_t chunks[] = { 1, 7, 24, 4096, 65537, 3 * CHUNK };
	struct cxl *cxl = &self->cxl;
	struct stream s, other;
	struct import im;
	unsigned int i;
	long id;

	id = cxl_fork(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	for (i = 0; i < sizeof(chunks) / sizeof(*chunks); i++) {
		ASSERT_EQ(0, stream_export(cxl->pool, id, chunks[i], &other));
		EXPECT_TRUE(stream_same(&s, &other));
		stream_free(&other);
		ASSERT_LT(0, stream_import(cxl->pool, NULL, &s, chunks[i], &im)) {
			TH_LOG("%zu bytes at a time: %s: %.160s", chunks[i],
			       strerror(im.error), im.report.text);
		}
		EXPECT_EQ(0, cxl_run(cxl, im.id));
		EXPECT_EQ(0, cxl_remove(cxl, im.id));
	}
	stream_free(&s);
}

/* From pool to pool without user space seeing a byte. */
CXL_TEST(splice)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_export args = { 0 };
	struct import im;
	int from, to, p[2];
	ssize_t n, m;
	long id;

	id = cxl_fork(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	from = export_open(cxl->pool, id, &args);
	to = import_open(cxl->pool, NULL);
	ASSERT_LE(0, from);
	ASSERT_LE(0, to);
	ASSERT_EQ(0, pipe(p));
	while ((n = splice(from, NULL, p[1], NULL, 65536, 0)) > 0) {
		while (n) {
			m = splice(p[0], NULL, to, NULL, n, 0);
			ASSERT_LT(0, m) {
				TH_LOG("splice: %s", strerror(errno));
			}
			n -= m;
		}
	}
	EXPECT_EQ(0, n) {
		TH_LOG("splice: %s", strerror(errno));
	}
	ASSERT_LT(0, import_commit(to, &im)) {
		TH_LOG("%s: %.160s", strerror(im.error), im.report.text);
	}
	cxl->ids[cxl->nr_ids++] = im.id;
	EXPECT_EQ(0, cxl_run(cxl, im.id));
	close(from);
	close(to);
}

/* An open export is a user of the checkpoint: its deletion waits. */
CXL_TEST(holds)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_export args = { 0 };
	struct cxlfork_record rec;
	uint64_t used, left;
	char buf[4096];
	ssize_t n;
	long id;
	int fd;

	id = fork_memory(cxl);
	ASSERT_GT(id, 0);
	fd = export_open(cxl->pool, id, &args);
	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)sizeof(rec), read(fd, &rec, sizeof(rec)));
	used = cxl_free_extents(cxl);
	ASSERT_EQ(0, cxl_remove(cxl, id));
	EXPECT_EQ(CXLFORK_CKPT_RETIRING, state_of(cxl, id));
	EXPECT_EQ(ENOENT, -cxl_run(cxl, id));
	for (left = 0; (n = read(fd, buf, sizeof(buf))) > 0; left += n)
		;
	EXPECT_EQ(0, n);
	EXPECT_LT(DATA_PAGES * PAGE, left);
	EXPECT_EQ(0, read(fd, buf, sizeof(buf)));
	EXPECT_EQ(used, cxl_free_extents(cxl));
	close(fd);
	/* The fixture waits for the extents. */
	EXPECT_TRUE(cxl_settled(cxl));
	EXPECT_EQ(CXLFORK_CKPT_FREE, state_of(cxl, id));
}

/* Who keeps an export or import open does not keep a pool from being drained. */
CXL_TEST(drained)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_pool_drain drain = { .budget = 1 };
	struct cxlfork_export args = { 0 };
	int from, to, admin, i;
	struct stream s;
	struct import im;
	char buf[64];
	long id;

	id = fork_memory(cxl);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	from = export_open(cxl->pool, id, &args);
	to = import_open(cxl->pool, NULL);
	ASSERT_LE(0, from);
	ASSERT_LE(0, to);
	ASSERT_EQ((ssize_t)sizeof(buf), read(from, buf, sizeof(buf)));
	/* As far as it takes to have the extents. */
	ASSERT_EQ((ssize_t)s.len / 2, write(to, s.data, s.len / 2));

	admin = open("/dev/cxlfork", O_RDWR);
	ASSERT_LE(0, admin);
	if (ioctl(admin, CXLFORK_IOC_DRAIN, &drain) && errno == EPERM)
		SKIP(return, "needs CAP_SYS_ADMIN");
	for (i = 0; i < 1200 && drain.users; i++) {
		usleep(50000);
		ASSERT_EQ(0, ioctl(admin, CXLFORK_IOC_DRAIN, &drain));
	}
	EXPECT_EQ(0, drain.users);
	/* What it had of the record it may hand out, no more. */
	for (i = 0; i < 100 && read(from, buf, sizeof(buf)) > 0; i++)
		;
	EXPECT_EQ(-1, read(from, buf, sizeof(buf)));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, write(to, s.data + s.len / 2, s.len - s.len / 2));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, import_commit(to, &im));
	EXPECT_EQ(ENODEV, im.error);
	EXPECT_EQ(-1, export_open(cxl->pool, id, &args));
	EXPECT_EQ(ENODEV, errno);
	close(admin);
	close(from);
	close(to);
	/* And that was all. */
	from = export_open(cxl->pool, id, &args);
	EXPECT_LE(0, from);
	close(from);
	EXPECT_LT(0, stream_import(cxl->pool, NULL, &s, CHUNK, &im));
	cxl->ids[cxl->nr_ids++] = im.id;
	EXPECT_EQ(0, cxl_run(cxl, im.id));
	stream_free(&s);
}

CXL_TEST(descriptors)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_report report = { 0 };
	struct cxlfork_export args = { 0 };
	struct cxlfork_import imp = { 0 };
	char *volatile nowhere = NULL;
	struct import im;
	char buf[64];
	int from, to;
	long id;

	id = cxl_fork(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	from = export_open(cxl->pool, id, &args);
	to = import_open(cxl->pool, NULL);
	ASSERT_LE(0, from);
	ASSERT_LE(0, to);
	EXPECT_EQ(FD_CLOEXEC, fcntl(from, F_GETFD));
	EXPECT_EQ(FD_CLOEXEC, fcntl(to, F_GETFD));
	EXPECT_EQ(-1, lseek(from, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, pread(from, buf, sizeof(buf), 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, pwrite(to, buf, sizeof(buf), 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, write(from, buf, sizeof(buf)));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, read(to, buf, sizeof(buf)));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, from, 0));
	EXPECT_EQ(-1, ioctl(from, CXLFORK_IOC_COMMIT, &im));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(to, CXLFORK_IOC_INFO, &im));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(cxl->pool, CXLFORK_IOC_COMMIT, &im));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, read(from, nowhere, 64));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, write(to, nowhere, 64));
	EXPECT_EQ(EFAULT, errno);
	/* None of this did any harm. */
	EXPECT_EQ(64, read(from, buf, 64));
	EXPECT_EQ(64, write(to, buf, 64));
	close(from);
	close(to);

	args.flags = 1;
	EXPECT_EQ(-1, export_open(cxl->pool, id, &args));
	EXPECT_EQ(EINVAL, errno);
	args = (struct cxlfork_export){ .reserved = 1 };
	EXPECT_EQ(-1, export_open(cxl->pool, id, &args));
	EXPECT_EQ(EINVAL, errno);
	args = (struct cxlfork_export){ .nr_reports = 1, .reports = (uintptr_t)&report };
	EXPECT_EQ(-1, export_open(cxl->pool, id + 0x10000, &args));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(1, args.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_NO_CHECKPOINT, report.reason);
	imp.flags = 1;
	EXPECT_EQ(-1, ioctl(cxl->pool, CXLFORK_IOC_IMPORT, &imp));
	EXPECT_EQ(EINVAL, errno);
	imp = (struct cxlfork_import){ .mode = 0100 };
	EXPECT_EQ(-1, ioctl(cxl->pool, CXLFORK_IOC_IMPORT, &imp));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, import_open(cxl->pool, "a/b"));
	EXPECT_EQ(EINVAL, errno);
	/* Nothing has come: that is no checkpoint. */
	to = import_open(cxl->pool, NULL);
	EXPECT_EQ(-1, import_commit(to, &im));
	EXPECT_EQ(EBADMSG, im.error);
	EXPECT_EQ(CXLFORK_REASON_STREAM, im.report.reason);
	close(to);
}

/* Memory of somebody else's process is nobody's to read; what one has read one may import. */
CXL_TEST(permissions)
{
	struct cxl *cxl = &self->cxl;
	struct stream s;
	int status;
	pid_t pid;
	long id;

	if (getuid())
		SKIP(return, "needs to be root, to become somebody else");
	id = cxl_fork(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	pid = fork();
	if (!pid) {
		struct cxlfork_report report = { 0 };
		struct cxlfork_export args = {
			.nr_reports = 1,
			.reports = (uintptr_t)&report,
		};
		struct cxlfork_ckpt_info info = { 0 };
		struct import im;
		int pool, i;

		/* It is the one who opened the device that counts. */
		CHECK(!setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY));
		i = export_open(cxl->pool, id, &args);
		CHECK(i >= 0);
		close(i);
		pool = open("/dev/cxlfork", O_RDWR);
		CHECK(pool >= 0);
		args.nr_reports = 1;
		CHECK(export_open(pool, id, &args) == -1 && errno == EACCES);
		CHECK(args.nr_reports == 1 && report.reason == CXLFORK_REASON_PERMISSION);
		/* It belongs to whoever imports it. */
		CHECK(stream_import(pool, "nobodys", &s, CHUNK, &im) > 0);
		while (!ioctl(pool, CXLFORK_IOC_LIST, &info) && (long)info.id != im.id)
			;
		CHECK((long)info.id == im.id && info.uid == NOBODY && info.gid == NOBODY);
		CHECK(info.mode == 0600 && !strcmp(info.name, "nobodys"));
		i = export_open(pool, im.id, &args);
		CHECK(i >= 0);
		close(i);
		i = ioctl(pool, CXLFORK_IOC_REMOVE, &info.id);
		CHECK(!i);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	stream_free(&s);
}

/* The name goes with it, unless that is taken or another is wanted. */
CXL_TEST(names)
{
	struct cxl *cxl = &self->cxl;
	struct stream s;
	struct import im;
	long id;

	cxl_init(cxl);
	cxl->args.name = (uintptr_t)"traveller";
	cxl->args.name_len = strlen("traveller");
	id = cxl_call(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	EXPECT_STREQ("traveller", (char *)start_of(&s)->name);
	EXPECT_EQ(-1, stream_import(cxl->pool, NULL, &s, CHUNK, &im));
	EXPECT_EQ(EEXIST, im.error);
	EXPECT_EQ(EEXIST, im.write_error);
	EXPECT_EQ(1, im.nr_reports);
	EXPECT_EQ(CXLFORK_REASON_NAME, im.report.reason);
	EXPECT_NE(NULL, strstr(im.report.text, "traveller"));
	EXPECT_LT(0, stream_import(cxl->pool, "other", &s, CHUNK, &im));
	EXPECT_EQ(0, cxl_remove(cxl, im.id));
	EXPECT_EQ(0, cxl_remove(cxl, id));
	EXPECT_LT(0, stream_import(cxl->pool, NULL, &s, CHUNK, &im));
	cxl->ids[cxl->nr_ids++] = im.id;
	stream_free(&s);
}

TEST_HARNESS_MAIN
