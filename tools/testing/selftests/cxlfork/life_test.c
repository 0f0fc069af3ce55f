// SPDX-License-Identifier: GPL-2.0
/*
 * How long a checkpoint lives and whose it is: pins, expiry, references, quota,
 * names, and who may list, restore, change and delete it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cxlfork_fixture.h"

#define NOBODY		65534
#define SOMEBODY	65533
#define QUOTA		"/proc/sys/kernel/cxlfork/quota_mib"
#define TRUST		"/proc/sys/kernel/cxlfork/trust_hosts"

static bool lookup(const struct cxl *cxl, long id, struct cxlfork_ckpt_info *info)
{
	memset(info, 0, sizeof(*info));
	while (!ioctl(cxl->pool, CXLFORK_IOC_LIST, info))
		if (info->id == (__u64)id)
			return true;
	return false;
}

/* The last clone's reference is dropped a moment after it has ended. */
static bool goes(const struct cxl *cxl, long id)
{
	struct cxlfork_ckpt_info info;
	int i;

	for (i = 0; i < 600 && lookup(cxl, id, &info); i++)
		usleep(100000);
	return i < 600;
}

static int change(const struct cxl *cxl, long id, uint64_t flags, uint64_t ttl)
{
	struct cxlfork_ckpt_set set = { .flags = flags, .id = id, .ttl = ttl };

	return ioctl(cxl->pool, CXLFORK_IOC_SET, &set) ? errno : 0;
}

static int drop(const struct cxl *cxl, long id)
{
	__u64 which = id;

	return ioctl(cxl->pool, CXLFORK_IOC_REMOVE, &which) ? errno : 0;
}

static int set_knob(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		err = errno;
	close(fd);
	return err;
}

static void become(struct cxl *cxl, uid_t uid)
{
	int fd;

	CHECK(!setresgid(uid, uid, uid));
	CHECK(!setresuid(uid, uid, uid));
	prctl(PR_SET_DUMPABLE, 1);
	fd = open("/dev/cxlfork", O_RDWR);
	CHECK(dup2(fd, cxl->pool) == cxl->pool);
	close(fd);
}

/* What @fn returns for another user. */
static int as(struct cxl *cxl, uid_t uid, int (*fn)(struct cxl *cxl, long id), long id)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		become(cxl, uid);
		_exit(fn(cxl, id));
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A checkpoint of the caller, whose clones end with 0. */
static long plain(struct cxl *cxl)
{
	long id = cxl_fork(cxl);

	if (!id)
		_exit(0);
	return id;
}

CXL_TEST(pinned)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_ckpt_info info;
	long id = plain(cxl);

	ASSERT_GT(id, 0);
	EXPECT_EQ(0, change(cxl, id, CXLFORK_SET_PIN, 0));
	ASSERT_TRUE(lookup(cxl, id, &info));
	EXPECT_NE(0, info.pins);
	EXPECT_EQ(EBUSY, drop(cxl, id));
	/* Not even its time counts. */
	EXPECT_EQ(0, change(cxl, id, CXLFORK_SET_TTL, 1));
	sleep(3);
	EXPECT_EQ(0, cxl_run(cxl, id));
	EXPECT_EQ(0, change(cxl, id, CXLFORK_SET_TTL, 0));
	EXPECT_EQ(0, change(cxl, id, CXLFORK_SET_UNPIN, 0));
	ASSERT_TRUE(lookup(cxl, id, &info));
	EXPECT_EQ(0, info.pins);
	EXPECT_EQ(0, drop(cxl, id));
	EXPECT_TRUE(goes(cxl, id));
}

CXL_TEST(pinned_from_the_start)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_ckpt_info info;
	long id;

	cxl_init(cxl);
	cxl->args.flags = CXLFORK_PIN;
	id = cxl_call(cxl);
	if (!id)
		_exit(0);
	ASSERT_GT(id, 0);
	ASSERT_TRUE(lookup(cxl, id, &info));
	EXPECT_NE(0, info.pins);
	EXPECT_EQ(EBUSY, drop(cxl, id));
	EXPECT_EQ(0, change(cxl, id, CXLFORK_SET_UNPIN, 0));
}

CXL_TEST(expires)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_ckpt_info info;
	struct ghost g, late = { .channel = true };
	int channel = CHANNEL, i;
	long id;

	ASSERT_EQ(CHANNEL, dup2(2, CHANNEL));
	cxl_init(cxl);
	cxl->args.ttl = 1000;
	cxl->args.handover = (uintptr_t)&channel;
	cxl->args.nr_handover = 1;
	id = cxl_call(cxl);
	if (!id) {
		put_byte(CHANNEL, 'c');
		_exit(get_byte(CHANNEL) == 'x' ? 71 : 72);
	}
	ASSERT_GT(id, 0);
	ASSERT_TRUE(lookup(cxl, id, &info));
	EXPECT_LE(1000, info.expires - info.created);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	EXPECT_EQ('c', get_byte(g.peer));
	ghost_start(cxl, &late, id);
	EXPECT_EQ(0, late.error);
	kill(late.pid, SIGKILL);
	ghost_wait_raw(&late);
	EXPECT_EQ(0, change(cxl, id, CXLFORK_SET_TTL, 1));
	sleep(3);
	memset(&late, 0, sizeof(late));
	late.channel = true;
	ghost_start(cxl, &late, id);
	/* Expired, or its host has already deleted it for that. */
	EXPECT_TRUE(late.error == ETIME || late.error == ENOENT);
	EXPECT_EQ(CXLFORK_REASON_NO_CHECKPOINT, late.reports[0].reason);
	ghost_wait_raw(&late);
	/* Who runs already goes on. */
	for (i = 0; i < 600 && lookup(cxl, id, &info) && info.state == CXLFORK_CKPT_LIVE; i++)
		usleep(100000);
	ASSERT_TRUE(lookup(cxl, id, &info));
	EXPECT_EQ(CXLFORK_CKPT_RETIRING, info.state);
	EXPECT_EQ(1, info.refs);
	put_byte(g.peer, 'x');
	EXPECT_EQ(71, ghost_wait(&g));
	EXPECT_TRUE(goes(cxl, id));
}

CXL_TEST(references)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_ckpt_info info;
	struct ghost g;
	int i;
	long id = cxl_fork_channel(cxl);

	if (!id) {
		put_byte(CHANNEL, 'c');
		for (;;)
			pause();
	}
	ASSERT_GT(id, 0);
	ASSERT_TRUE(lookup(cxl, id, &info));
	EXPECT_EQ(0, info.refs);
	EXPECT_EQ(0, info.restored);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	EXPECT_EQ('c', get_byte(g.peer));
	ASSERT_TRUE(lookup(cxl, id, &info));
	EXPECT_EQ(1, info.refs);
	EXPECT_EQ(1, __builtin_popcount(info.held));
	EXPECT_GE(info.restored, info.created);
	kill(g.pid, SIGKILL);
	ghost_wait_raw(&g);
	for (i = 0; i < 600; i++) {
		ASSERT_TRUE(lookup(cxl, id, &info));
		if (!info.refs)
			break;
		usleep(100000);
	}
	EXPECT_EQ(0, info.refs);
	EXPECT_EQ(0, info.held);
}

static int restore_it(struct cxl *cxl, long id)
{
	struct ghost g = { };

	ghost_start(cxl, &g, id);
	ghost_wait_raw(&g);
	return g.error;
}

static int see_it(struct cxl *cxl, long id)
{
	struct cxlfork_ckpt_info info;

	return lookup(cxl, id, &info);
}

static int drop_it(struct cxl *cxl, long id)
{
	return drop(cxl, id);
}

static int pin_it(struct cxl *cxl, long id)
{
	return change(cxl, id, CXLFORK_SET_PIN, 0);
}

static int unpin_it(struct cxl *cxl, long id)
{
	return change(cxl, id, CXLFORK_SET_UNPIN, 0);
}

static int fence_it(struct cxl *cxl, long id)
{
	struct cxlfork_pool_fence fence = { .slot = id };

	return ioctl(cxl->pool, CXLFORK_IOC_FENCE, &fence) ? errno : 0;
}

static long with_mode(struct cxl *cxl, unsigned int mode)
{
	long id;

	cxl_init(cxl);
	cxl->args.mode = mode;
	id = cxl_call(cxl);
	if (!id)
		_exit(0);
	return id;
}

CXL_TEST(another_users)
{
	struct cxl *cxl = &self->cxl;
	long id;

	if (getuid())
		SKIP(return, "not root");
	id = with_mode(cxl, 0);
	ASSERT_GT(id, 0);
	EXPECT_EQ(0, as(cxl, NOBODY, see_it, id));
	EXPECT_EQ(EACCES, as(cxl, NOBODY, restore_it, id));
	EXPECT_EQ(EPERM, as(cxl, NOBODY, drop_it, id));
	EXPECT_EQ(EPERM, as(cxl, NOBODY, pin_it, id));

	id = with_mode(cxl, 0006);
	ASSERT_GT(id, 0);
	EXPECT_EQ(1, as(cxl, NOBODY, see_it, id));
	/* A clone is all that its parent was: no mode gives that away. */
	EXPECT_EQ(EACCES, as(cxl, NOBODY, restore_it, id));
	/* Nor that it stays for ever, at the expense of its owner. */
	EXPECT_EQ(EPERM, as(cxl, NOBODY, pin_it, id));
	EXPECT_EQ(0, pin_it(cxl, id));
	EXPECT_EQ(EBUSY, as(cxl, SOMEBODY, drop_it, id));
	EXPECT_EQ(0, unpin_it(cxl, id));
	EXPECT_EQ(0, as(cxl, NOBODY, drop_it, id));
	EXPECT_TRUE(goes(cxl, id));

	EXPECT_EQ(EPERM, as(cxl, NOBODY, fence_it, 15));
	EXPECT_EQ(-1, with_mode(cxl, 0100));
	EXPECT_EQ(EINVAL, errno);
}

static void as_nobody(void)
{
	CHECK(!setresgid(NOBODY, NOBODY, NOBODY));
	CHECK(!setresuid(NOBODY, NOBODY, NOBODY));
}

/* A descriptor that somebody opened who may is a permission that can be passed on. */
CXL_TEST(opener_counts)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .before = as_nobody };
	char byte;
	long id;
	int pool;

	if (getuid())
		SKIP(return, "not root");
	pool = cxl->pool;
	ASSERT_EQ(1, read(pool, &byte, 1));
	id = cxl_fork(cxl);
	if (!id) {
		/* But not to the clone: its descriptor of the pool is its own. */
		CHECK(getuid() == NOBODY);
		_exit(read(pool, &byte, 1) < 0 && errno == EPERM ? 0 : 73);
	}
	ASSERT_GT(id, 0);
	ghost_start(cxl, &g, id);
	EXPECT_EQ(0, g.error);
	EXPECT_EQ(0, ghost_wait(&g));
}

/* Exit status: bits of what went wrong. */
static int nobodys_own(struct cxl *cxl, long unused)
{
	long id = plain(cxl);
	int bad = 0;

	(void)unused;
	if (id <= 0)
		return 1;
	if (restore_it(cxl, id))
		bad |= 2;
	if (!see_it(cxl, id))
		bad |= 4;
	if (pin_it(cxl, id) || unpin_it(cxl, id))
		bad |= 8;
	if (drop_it(cxl, id))
		bad |= 16;
	return bad;
}

CXL_TEST(ones_own)
{
	struct cxl *cxl = &self->cxl;

	if (getuid())
		SKIP(return, "not root");
	EXPECT_EQ(0, as(cxl, NOBODY, nobodys_own, 0));
}

static long named(struct cxl *cxl)
{
	long id;

	cxl_init(cxl);
	cxl->args.name = (uintptr_t)"life";
	cxl->args.name_len = 4;
	id = cxl_call(cxl);
	if (!id)
		_exit(0);
	return id;
}

static int named_there(struct cxl *cxl, long unused)
{
	long id = named(cxl);

	(void)unused;
	if (id < 0)
		return errno;
	if (named(cxl) != -1 || errno != EEXIST)
		return 200;
	return drop(cxl, id);
}

CXL_TEST(names)
{
	struct cxl *cxl = &self->cxl;
	long id = named(cxl);

	ASSERT_GT(id, 0);
	EXPECT_EQ(-1, named(cxl));
	EXPECT_EQ(EEXIST, errno);
	EXPECT_EQ(CXLFORK_REASON_NAME, cxl->reports[0].reason);
	if (!getuid())
		EXPECT_EQ(0, as(cxl, NOBODY, named_there, 0));
	EXPECT_EQ(0, drop(cxl, id));
	id = named(cxl);
	ASSERT_GT(id, 0);
}

/* Checkpoints of 4 MiB and more; the quota is 16 MiB: the 16th doesn't fit. */
static int to_the_limit(struct cxl *cxl, long unused)
{
	const struct cxlfork_report *r;
	char *p = map_anon(4 * MB);
	long ids[16], id = 0;
	int n = 0, err;

	(void)unused;
	fill(p, 4 * MB, 1);
	while (n < 16) {
		id = plain(cxl);
		if (id < 0)
			break;
		ids[n++] = id;
	}
	err = errno;
	r = cxl_report(cxl, CXLFORK_REASON_QUOTA);
	if (id >= 0 || err != EDQUOT || !r || !r->value || r->value > 64 * MB)
		return 100 + n;
	if (!n)
		return 99;
	if (drop(cxl, ids[--n]))
		return 98;
	/* There is room again, for as much. */
	id = plain(cxl);
	if (id < 0)
		return 97;
	ids[n++] = id;
	while (n)
		if (drop(cxl, ids[--n]))
			return 96;
	return 0;
}

CXL_TEST(quota)
{
	struct cxl *cxl = &self->cxl;
	char was[32] = "";

	if (getuid())
		SKIP(return, "not root");
	ASSERT_GT(read_file(QUOTA, was, sizeof(was) - 1), 0);
	ASSERT_EQ(0, set_knob(QUOTA, "16"));
	EXPECT_EQ(0, as(cxl, NOBODY, to_the_limit, 0));
	/* Not for who may exceed limits. */
	ASSERT_EQ(0, set_knob(QUOTA, "1"));
	EXPECT_GT(plain(cxl), 0);
	EXPECT_EQ(0, set_knob(QUOTA, was));
}

CXL_TEST(hosts_not_trusted)
{
	struct cxl *cxl = &self->cxl;
	char *p;
	long id;

	if (getuid())
		SKIP(return, "not root");
	p = map_leaves(4 * LEAF);
	fill(p, 4 * LEAF, 7);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_filled(p, 4 * LEAF, 7));
		fill(p + LEAF, PAGE, 8);
		CHECK(is_filled(p + LEAF, PAGE, 8));
		CHECK(is_part(p, LEAF, 7, 0));
		_exit(0);
	}
	ASSERT_GT(id, 0);
	EXPECT_EQ(0, cxl_run(cxl, id));
	ASSERT_EQ(0, set_knob(TRUST, "0"));
	EXPECT_EQ(0, cxl_run(cxl, id));
	EXPECT_EQ(0, cxl_run(cxl, id));
	ASSERT_EQ(0, set_knob(TRUST, "1"));
	EXPECT_EQ(0, cxl_run(cxl, id));
	EXPECT_EQ(EINVAL, set_knob(TRUST, "2"));
	EXPECT_EQ(0, cxl_run(cxl, id));
}

CXL_TEST(bad_requests)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_pool_fence fence = { };
	struct cxlfork_pool_info info;
	long id = plain(cxl);

	ASSERT_GT(id, 0);
	EXPECT_EQ(EINVAL, change(cxl, id, 0, 0));
	EXPECT_EQ(EINVAL, change(cxl, id, 1 << 8, 0));
	EXPECT_EQ(EINVAL, change(cxl, id, CXLFORK_SET_PIN | CXLFORK_SET_UNPIN, 0));
	EXPECT_EQ(EINVAL, change(cxl, id, CXLFORK_SET_PIN, 1));
	EXPECT_EQ(ENOENT, change(cxl, id + (1 << 16), CXLFORK_SET_PIN, 0));
	EXPECT_EQ(ENOENT, change(cxl, 0, CXLFORK_SET_PIN, 0));
	EXPECT_EQ(ENOENT, drop(cxl, -1));

	cxl_init(cxl);
	cxl->args.reserved = 1;
	EXPECT_EQ(-1, cxl_call(cxl));
	EXPECT_EQ(EINVAL, errno);

	if (getuid())
		return;
	ASSERT_EQ(0, ioctl(cxl->pool, CXLFORK_IOC_INFO, &info));
	fence.slot = info.slot;
	EXPECT_EQ(-1, ioctl(cxl->pool, CXLFORK_IOC_FENCE, &fence));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_NE(0, fence.reason[0]);
	fence.slot = info.nr_slots;
	EXPECT_EQ(-1, ioctl(cxl->pool, CXLFORK_IOC_FENCE, &fence));
	EXPECT_EQ(EINVAL, errno);
	fence.slot = info.nr_slots - 1;
	EXPECT_EQ(-1, ioctl(cxl->pool, CXLFORK_IOC_FENCE, &fence));
	EXPECT_EQ(ENOENT, errno);
	fence.slot = info.slot;
	fence.reserved = 1;
	EXPECT_EQ(-1, ioctl(cxl->pool, CXLFORK_IOC_FENCE, &fence));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
