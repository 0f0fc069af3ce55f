// SPDX-License-Identifier: GPL-2.0
/*
 * One allocation of a call fails, now this, now that: the caller learns of it, the
 * pool has nothing of it, and the next call is as good as ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cxlfork_fixture.h"
#include "fail.h"
#include "stream.h"

#define CHUNK		(1UL << 20)

enum { A_CLONE = 60, NO_MEMORY, OTHER_ERROR };

/* Each of the first, then some of them: there are many. */
static unsigned int later(unsigned int nth, unsigned int *seed)
{
	return nth + 1 + rand_r(seed) % (1 + nth / 8);
}

static char *memory;

/* More than a leaf, and not from its start. */
static void set_up(void)
{
	memory = map_leaves(2 * LEAF);
	fill(memory + 5 * PAGE, LEAF, 1);
}

static bool as_it_was(void)
{
	return is_filled(memory + 5 * PAGE, LEAF, 1);
}

/* False: this kernel can't. */
static bool begin(unsigned int *seed)
{
	if (!fail_begin(true))
		return false;
	*seed = time(NULL);
	printf("# seed %u\n", *seed);
	set_up();
	return true;
}

CXL_TEST(checkpoint)
{
	struct cxl *cxl = &self->cxl;
	unsigned int seed, n, refused = 0;
	bool missing = true;
	int error;
	long id;

	if (!begin(&seed))
		SKIP(return, NO_FAULT_INJECTION);
	for (n = 1; missing; n = later(n, &seed)) {
		cxl_init(cxl);
		fail_nth(n);
		id = cxl_call(cxl);
		error = errno;
		missing = fail_done();
		if (!id)
			_exit(as_it_was() ? 0 : 1);
		if (id > 0) {
			ASSERT_EQ(0, cxl_run(cxl, id));
			ASSERT_EQ(0, cxl_remove(cxl, id));
		} else {
			ASSERT_EQ(ENOMEM, error) {
				TH_LOG("allocation %u", n);
			}
			refused++;
		}
		ASSERT_TRUE(cxl_settled(cxl)) {
			TH_LOG("allocation %u: extents are gone", n);
		}
	}
	TH_LOG("%u checkpoints were refused, up to allocation %u", refused, n);
	EXPECT_LT(0, refused);
	fail_end();
}

static int try_restore(const struct cxl *cxl, long id, unsigned int nth)
{
	struct cxlrestore_args args = { .id = id, .pool_fd = cxl->pool };
	int status;
	pid_t pid = fork();

	if (!pid) {
		fail_nth(nth);
		syscall(__NR_cxlrestore, &args, sizeof(args));
		status = errno;
		fail_nth(0);
		_exit(status == ENOMEM ? NO_MEMORY : OTHER_ERROR);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

CXL_TEST(restore)
{
	struct cxl *cxl = &self->cxl;
	unsigned int seed, n, refused = 0, clones = 0;
	int end;
	long id;

	if (!begin(&seed))
		SKIP(return, NO_FAULT_INJECTION);
	id = cxl_fork(cxl);
	if (!id)
		_exit(as_it_was() ? A_CLONE : 1);
	ASSERT_GT(id, 0);
	/* Whether one has failed only the ghost could say, and it is a clone. */
	for (n = 1; clones < 30; n = later(n, &seed)) {
		end = try_restore(cxl, id, n);
		ASSERT_TRUE(end == A_CLONE || end == NO_MEMORY) {
			TH_LOG("allocation %u: %d", n, end);
		}
		refused += end == NO_MEMORY;
		clones = end == A_CLONE ? clones + 1 : 0;
	}
	TH_LOG("%u ghosts were refused, up to allocation %u", refused, n);
	EXPECT_LT(0, refused);
	fail_end();
}

/* Without memory of its own: what it needs is in @room.  0 or errno. */
static int try_export(const struct cxl *cxl, long id, const struct stream *s, struct stream *room)
{
	struct cxlfork_export args = { 0 };
	int fd = export_open(cxl->pool, id, &args), error;
	ssize_t n;

	if (fd < 0)
		return errno;
	room->len = 0;
	while ((n = read(fd, room->data + room->len, room->size - room->len)) > 0)
		room->len += n;
	error = n < 0 ? errno : 0;
	close(fd);
	return error ?: stream_same(s, room) ? 0 : EBADMSG;
}

CXL_TEST(export_and_import)
{
	struct cxl *cxl = &self->cxl;
	unsigned int seed, n, i, refused = 0;
	bool missing = true;
	struct stream s, room;
	struct import im;
	uint64_t used;
	long id;

	if (!begin(&seed))
		SKIP(return, NO_FAULT_INJECTION);
	id = cxl_fork(cxl);
	if (!id)
		_exit(as_it_was() ? 0 : 1);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	stream_copy(&room, &s);
	room.size = s.len;
	used = cxl_free_extents(cxl);
	for (n = 1; missing; n = later(n, &seed)) {
		int error;

		fail_nth(n);
		error = try_export(cxl, id, &s, &room);
		missing = fail_done();
		ASSERT_TRUE(!error || error == ENOMEM) {
			TH_LOG("export, allocation %u: %s", n, strerror(error));
		}
		refused += error == ENOMEM;
	}
	TH_LOG("%u exports were refused, up to allocation %u", refused, n);
	EXPECT_LT(0, refused);
	refused = 0;
	for (n = 1, missing = true; missing; n = later(n, &seed)) {
		fail_nth(n);
		stream_import(cxl->pool, NULL, &s, CHUNK, &im);
		missing = fail_done();
		if (im.id > 0) {
			ASSERT_EQ(0, cxl_run(cxl, im.id));
			ASSERT_EQ(0, cxl_remove(cxl, im.id));
		} else {
			ASSERT_EQ(ENOMEM, im.error) {
				TH_LOG("import, allocation %u: %s", n, strerror(im.error));
			}
			refused++;
		}
		/* Those of what was restored come back a moment later. */
		for (i = 0; i < 1200 && cxl_free_extents(cxl) != used; i++)
			usleep(50000);
		ASSERT_LT(i, 1200) {
			TH_LOG("import, allocation %u: extents are gone", n);
		}
	}
	TH_LOG("%u imports were refused, up to allocation %u", refused, n);
	EXPECT_LT(0, refused);
	stream_free(&room);
	stream_free(&s);
	fail_end();
}

TEST_HARNESS_MAIN
