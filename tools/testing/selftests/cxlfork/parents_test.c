// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoints of clones store what the clone has written and no more; the rest
 * stays in the checkpoints that they come from, which are kept.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <linux/cxlfork_format.h>

#include "cxlfork_fixture.h"

#define LEAVES		4
#define SIZE		(LEAVES * LEAF)
#define LEAF_PAGES	(LEAF / PAGE)
#define NR_PAGES	(SIZE / PAGE)

/* What a clone writes beside what the test wants: stack, libc's data. */
#define SLACK		64

/* Checkpoints of a line: more than can be parents of one. */
#define LONG_LINE	18

static bool find(const struct cxl *cxl, long id, struct cxlfork_ckpt_info *info)
{
	memset(info, 0, sizeof(*info));
	while (!ioctl(cxl->pool, CXLFORK_IOC_LIST, info))
		if ((long)info->id == id)
			return true;
	memset(info, 0, sizeof(*info));
	return false;
}

static struct cxlfork_ckpt_info info_of(const struct cxl *cxl, long id)
{
	struct cxlfork_ckpt_info info;

	find(cxl, id, &info);
	return info;
}

/* The one page of each leaf that generation @nr writes. */
static size_t page_of(int nr, int leaf)
{
	return leaf * LEAF_PAGES + (nr * 37 + leaf * 5) % LEAF_PAGES;
}

static void write_pages(char *map, int nr)
{
	int k;

	for (k = 0; k < LEAVES; k++)
		fill(map + page_of(nr, k) * PAGE, PAGE, 100000 * nr + k);
}

/* Is each page as the last generation that wrote it has left it? */
static bool is_generation(const char *map, int nr)
{
	unsigned int seed;
	size_t page;
	int g, k;

	for (page = 0; page < NR_PAGES; page++) {
		k = page / LEAF_PAGES;
		seed = page;
		for (g = 1; g <= nr; g++)
			if (page_of(g, k) == page)
				seed = 100000 * g + k;
		if (!is_filled(map + page * PAGE, PAGE, seed)) {
			dprintf(2, "# generation %d: page %zu is not as %u\n", nr, page, seed);
			return false;
		}
	}
	return true;
}

static char *first_generation(void)
{
	char *map = map_leaves(SIZE);
	size_t page;

	for (page = 0; page < NR_PAGES; page++)
		fill(map + page * PAGE, PAGE, page);
	return map;
}

/*
 * The first of a line: its checkpoint.  Clones of that, and of those to follow,
 * look whether all is there, and do what they are told: (c)hange some pages and
 * make the next checkpoint, make it at (o)nce, or (e)nd.
 */
static long begin_line(struct cxl *cxl, char *map)
{
	bool clone = false;
	size_t page;
	int nr = 0;
	char what;
	long id;

	while (!(id = cxl_fork_channel(cxl))) {
		clone = true;
		CHECK(is_generation(map, nr));
		what = get_byte(CHANNEL);
		if (what == 'c') {
			write_pages(map, ++nr);
		} else if (what != 'o') {
			CHECK(what == 'e');
			/* Nobody else sees what a clone writes: pages of each leaf. */
			for (page = 0; page < NR_PAGES; page += 16)
				fill(map + page * PAGE, PAGE, 5);
			for (page = 0; page < NR_PAGES; page += 16)
				CHECK(is_filled(map + page * PAGE, PAGE, 5));
			_exit(7);
		}
	}
	CHECK(id > 0);
	if (!clone)
		return id;
	CHECK(write(CHANNEL, &id, sizeof(id)) == sizeof(id));
	CHECK(get_byte(CHANNEL) == 'e');
	_exit(0);
}

static long told(struct cxl *cxl, struct ghost *clone, char what)
{
	long next;

	put_byte(clone->peer, what);
	if (read(clone->peer, &next, sizeof(next)) != sizeof(next))
		return 0;
	cxl->ids[cxl->nr_ids++] = next;
	return next;
}

/* A clone of @id makes a checkpoint of itself and waits: the id, or 0. */
static long next_of(struct cxl *cxl, long id, struct ghost *clone, char what)
{
	if (cxl_run_channel(cxl, id, clone))
		return 0;
	return told(cxl, clone, what);
}

static int end(struct ghost *clone)
{
	put_byte(clone->peer, 'e');
	return ghost_wait(clone);
}

/* A clone that needs not be told. */
static int run_alone(struct cxl *cxl, long id)
{
	struct ghost clone;

	if (cxl_run_channel(cxl, id, &clone))
		return -1;
	return ghost_wait(&clone);
}

static int run(struct cxl *cxl, long id)
{
	struct ghost clone;

	if (cxl_run_channel(cxl, id, &clone))
		return -1;
	return end(&clone);
}

/* A few pages are written, a few pages are stored. */
CXL_TEST(few_pages)
{
	struct cxl *cxl = &self->cxl;
	char *map = first_generation();
	long first = begin_line(cxl, map), second;
	struct cxlfork_ckpt_info a, b;
	struct ghost clone;
	uint64_t free;

	ASSERT_GT(first, 0);
	a = info_of(cxl, first);
	EXPECT_EQ(0, a.nr_parents);
	EXPECT_EQ(0, a.keeps);
	EXPECT_LE(NR_PAGES, a.pages);
	free = cxl_free_extents(cxl);
	second = next_of(cxl, first, &clone, 'c');
	ASSERT_GT(second, 0);
	EXPECT_EQ(0, end(&clone));

	a = info_of(cxl, first);
	b = info_of(cxl, second);
	EXPECT_EQ(1, b.nr_parents);
	EXPECT_EQ(0, b.keeps);
	EXPECT_EQ(1, a.keeps);
	EXPECT_LE(LEAVES, b.pages);
	EXPECT_GE(LEAVES + SLACK, b.pages);
	EXPECT_EQ(LEAF, b.bytes);
	EXPECT_EQ(free - 1, cxl_free_extents(cxl));

	EXPECT_EQ(7, run(cxl, second));
	EXPECT_EQ(7, run(cxl, first));
	EXPECT_EQ(7, run(cxl, second));
}

/* Nothing at all is written. */
CXL_TEST(no_pages)
{
	struct cxl *cxl = &self->cxl;
	char *map = first_generation();
	long first = begin_line(cxl, map), second;
	struct cxlfork_ckpt_info info;
	struct ghost clone;

	ASSERT_GT(first, 0);
	second = next_of(cxl, first, &clone, 'o');
	ASSERT_GT(second, 0);
	EXPECT_EQ(0, end(&clone));
	info = info_of(cxl, second);
	EXPECT_EQ(1, info.nr_parents);
	EXPECT_GE(SLACK, info.pages);
	ASSERT_EQ(0, cxl_remove(cxl, first));
	EXPECT_EQ(7, run(cxl, second));
}

CXL_TEST(line_of_eight)
{
	struct cxl *cxl = &self->cxl;
	char *map = first_generation();
	struct cxlfork_ckpt_info info;
	struct ghost clone;
	int i;

	ASSERT_LT(0, begin_line(cxl, map));
	for (i = 1; i < 8; i++) {
		ASSERT_LT(0, next_of(cxl, cxl->ids[i - 1], &clone, 'c'));
		EXPECT_EQ(0, end(&clone));
		info = info_of(cxl, cxl->ids[i]);
		EXPECT_EQ(i, info.nr_parents);
		EXPECT_EQ(LEAF, info.bytes);
	}
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(7 - i, info_of(cxl, cxl->ids[i]).keeps);
		EXPECT_EQ(7, run(cxl, cxl->ids[i]));
	}
	/* The oldest first: they stay, but can't be restored. */
	for (i = 0; i < 7; i++)
		ASSERT_EQ(0, cxl_remove(cxl, cxl->ids[i]));
	usleep(2500000);
	for (i = 0; i < 7; i++) {
		info = info_of(cxl, cxl->ids[i]);
		EXPECT_EQ(CXLFORK_CKPT_RETIRING, info.state);
		EXPECT_EQ(7 - i, info.keeps);
		memset(&clone, 0, sizeof(clone));
		ghost_start(cxl, &clone, cxl->ids[i]);
		EXPECT_EQ(ENOENT, clone.error);
		EXPECT_EQ(200, ghost_wait(&clone));
	}
	EXPECT_EQ(7, run(cxl, cxl->ids[7]));
	/* The last one takes all with it. */
	ASSERT_EQ(0, cxl_remove(cxl, cxl->ids[7]));
	EXPECT_TRUE(cxl_settled(cxl));
	for (i = 0; i < 8; i++)
		EXPECT_FALSE(find(cxl, cxl->ids[i], &info));
	cxl->nr_ids = 0;
}

/* When there are too many ancestors a new line begins. */
CXL_TEST(too_many)
{
	struct cxl *cxl = &self->cxl;
	char *map = first_generation();
	struct cxlfork_ckpt_info info;
	struct ghost clone;
	int i;

	ASSERT_LT(0, begin_line(cxl, map));
	for (i = 1; i < LONG_LINE; i++) {
		ASSERT_LT(0, next_of(cxl, cxl->ids[i - 1], &clone, 'c'));
		EXPECT_EQ(0, end(&clone));
		info = info_of(cxl, cxl->ids[i]);
		EXPECT_EQ(i % (CXLFORK_MAX_PARENTS + 1), info.nr_parents);
		EXPECT_EQ(!info.nr_parents, info.pages >= NR_PAGES);
		EXPECT_EQ(!info.nr_parents, info.bytes > LEAF);
	}
	EXPECT_EQ(7, run(cxl, cxl->ids[LONG_LINE - 1]));
	EXPECT_EQ(7, run(cxl, cxl->ids[CXLFORK_MAX_PARENTS]));
	/* The old line is not needed for the new one. */
	for (i = 0; i <= CXLFORK_MAX_PARENTS; i++)
		ASSERT_EQ(0, cxl_remove(cxl, cxl->ids[i]));
	for (i = 0; i < 600 && find(cxl, cxl->ids[0], &info); i++)
		usleep(100000);
	for (i = 0; i <= CXLFORK_MAX_PARENTS; i++) {
		EXPECT_FALSE(find(cxl, cxl->ids[i], &info));
		cxl->ids[i] = 0;
	}
	EXPECT_EQ(7, run(cxl, cxl->ids[LONG_LINE - 1]));
}

/* A clone whose checkpoint was deleted is checkpointed, and so are its clones. */
CXL_TEST(deleted_parents)
{
	struct cxl *cxl = &self->cxl;
	char *map = first_generation();
	struct cxlfork_ckpt_info info;
	struct ghost clone;
	long id[4];
	int i;

	id[0] = begin_line(cxl, map);
	ASSERT_LT(0, id[0]);
	for (i = 1; i < 4; i++) {
		ASSERT_EQ(0, cxl_run_channel(cxl, id[i - 1], &clone));
		ASSERT_EQ(0, cxl_remove(cxl, id[i - 1]));
		EXPECT_EQ(CXLFORK_CKPT_RETIRING, info_of(cxl, id[i - 1]).state);
		id[i] = told(cxl, &clone, 'c');
		ASSERT_LT(0, id[i]);
		EXPECT_EQ(0, end(&clone));
		info = info_of(cxl, id[i]);
		EXPECT_EQ(i, info.nr_parents);
		EXPECT_EQ(LEAF, info.bytes);
	}
	usleep(2500000);
	EXPECT_EQ(7, run(cxl, id[3]));
	for (i = 0; i < 3; i++) {
		info = info_of(cxl, id[i]);
		EXPECT_EQ(CXLFORK_CKPT_RETIRING, info.state);
		EXPECT_EQ(3 - i, info.keeps);
	}
}

/* Two clones of one checkpoint are two parents' children, not each other's. */
CXL_TEST(siblings)
{
	struct cxl *cxl = &self->cxl;
	char *map = first_generation();
	long first = begin_line(cxl, map), a, b, c;
	struct ghost clone;

	ASSERT_GT(first, 0);
	a = next_of(cxl, first, &clone, 'c');
	EXPECT_EQ(0, end(&clone));
	b = next_of(cxl, first, &clone, 'c');
	EXPECT_EQ(0, end(&clone));
	c = next_of(cxl, b, &clone, 'c');
	EXPECT_EQ(0, end(&clone));
	EXPECT_EQ(3, info_of(cxl, first).keeps);
	EXPECT_EQ(0, info_of(cxl, a).keeps);
	EXPECT_EQ(1, info_of(cxl, b).keeps);
	EXPECT_EQ(2, info_of(cxl, c).nr_parents);
	ASSERT_EQ(0, cxl_remove(cxl, b));
	EXPECT_EQ(7, run(cxl, a));
	EXPECT_EQ(7, run(cxl, c));
	ASSERT_EQ(0, cxl_remove(cxl, a));
	EXPECT_EQ(2, info_of(cxl, first).keeps);
	EXPECT_EQ(7, run(cxl, c));
}

/* The mappings of a clone are not those of its parent any more. */
CXL_TEST(changed_mappings)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE), *moved = map_leaves(LEAF);
	struct cxlfork_ckpt_info info;
	long first, second = 0;
	struct ghost clone;

	fill(map, SIZE, 1);
	first = cxl_fork_channel(cxl);
	if (!first) {
		CHECK(!mprotect(map, 16 * PAGE, PROT_NONE));
		CHECK(!mprotect(map + LEAF, LEAF, PROT_READ));
		CHECK(!munmap(map + 2 * LEAF + 9 * PAGE, 100 * PAGE));
		CHECK(mremap(map + 3 * LEAF, LEAF, LEAF, MREMAP_MAYMOVE | MREMAP_FIXED,
			     moved) == moved);
		moved[PAGE]++;
		second = cxl_fork_channel(cxl);
		CHECK(second >= 0);
		if (second) {
			CHECK(write(CHANNEL, &second, sizeof(second)) == sizeof(second));
			_exit(0);
		}
		/* Neither to be read nor to be written. */
		CHECK(access(map + PAGE, F_OK) < 0 && errno == EFAULT);
		CHECK(uname((struct utsname *)(map + LEAF + PAGE)) < 0 && errno == EFAULT);
		CHECK(!mprotect(map, 2 * LEAF, PROT_READ | PROT_WRITE));
		CHECK(is_filled(map, 2 * LEAF + 9 * PAGE, 1));
		CHECK(is_part(map + 2 * LEAF + 109 * PAGE, LEAF - 109 * PAGE, 1,
			      2 * LEAF + 109 * PAGE));
		moved[PAGE]--;
		CHECK(is_part(moved, LEAF, 1, 3 * LEAF));
		fill(map, 2 * LEAF, 3);
		CHECK(is_filled(map, 2 * LEAF, 3));
		_exit(7);
	}
	ASSERT_GT(first, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, first, &clone));
	ASSERT_EQ((ssize_t)sizeof(second), read(clone.peer, &second, sizeof(second)));
	EXPECT_EQ(0, ghost_wait(&clone));
	cxl->ids[cxl->nr_ids++] = second;
	info = info_of(cxl, second);
	EXPECT_EQ(1, info.nr_parents);
	EXPECT_GE(1 + SLACK, info.pages);
	EXPECT_EQ(7, run_alone(cxl, second));
	EXPECT_EQ(7, run_alone(cxl, second));
}

/* Of three 2 MiB pages one is written, one is split, one stays whole. */
CXL_TEST(huge_pages)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(3 * LEAF);
	struct cxlfork_ckpt_info info;
	long first, second = 0, local;
	struct ghost clone;

	madvise(map, 3 * LEAF, MADV_HUGEPAGE);
	fill(map, 3 * LEAF, 1);
	first = cxl_fork_channel(cxl);
	if (!first) {
		CHECK(stat_of("self", "huge_cxl") == 3);
		fill(map, LEAF, 2);
		/* One, if there was a huge page to be had. */
		local = stat_of("self", "huge_local");
		CHECK(!mprotect(map + LEAF + PAGE, PAGE, PROT_READ));
		CHECK(stat_of("self", "huge_cxl") == 1);
		second = cxl_fork_channel(cxl);
		CHECK(second >= 0);
		if (second) {
			CHECK(write(CHANNEL, &second, sizeof(second)) == sizeof(second));
			_exit(0);
		}
		CHECK(stat_of("self", "huge_cxl") == 1 + local);
		CHECK(is_filled(map, LEAF, 2));
		CHECK(is_part(map + LEAF, 2 * LEAF, 1, LEAF));
		CHECK(!mprotect(map + LEAF + PAGE, PAGE, PROT_READ | PROT_WRITE));
		fill(map, 3 * LEAF, 3);
		CHECK(is_filled(map, 3 * LEAF, 3));
		_exit(7);
	}
	ASSERT_GT(first, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, first, &clone));
	ASSERT_EQ((ssize_t)sizeof(second), read(clone.peer, &second, sizeof(second)));
	EXPECT_EQ(0, ghost_wait(&clone));
	cxl->ids[cxl->nr_ids++] = second;
	info = info_of(cxl, second);
	EXPECT_EQ(1, info.nr_parents);
	EXPECT_GE((long)LEAF_PAGES + SLACK, info.pages);
	EXPECT_GE(3 * LEAF, info.bytes);
	EXPECT_EQ(7, run_alone(cxl, second));
	EXPECT_EQ(7, run_alone(cxl, second));
	ASSERT_EQ(0, cxl_remove(cxl, first));
	EXPECT_EQ(7, run_alone(cxl, second));
}

static void be_nobody(void)
{
	CHECK(!setresgid(65534, 65534, 65534));
	CHECK(!setresuid(65534, 65534, 65534));
	prctl(PR_SET_DUMPABLE, 1);
}

/* One more checkpoint would be one too many. */
static int no_quota_left(struct cxl *cxl, char *map)
{
	(void)map;
	cxl_init(cxl);
	CHECK(cxl_call(cxl) < 0 && errno == EDQUOT);
	return 0;
}

static int make_one(struct cxl *cxl, char *map)
{
	return begin_line(cxl, map) <= 0;
}

static int as_nobody(int (*fn)(struct cxl *cxl, char *map), struct cxl *cxl, char *map)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		be_nobody();
		_exit(fn(cxl, map));
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* A checkpoint of nobody's: its id. */
static long nobodys(struct cxl *cxl, char *map)
{
	struct cxlfork_ckpt_info info = { 0 };

	if (as_nobody(make_one, cxl, map))
		return 0;
	while (!ioctl(cxl->pool, CXLFORK_IOC_LIST, &info))
		if (info.uid == 65534 && info.state == CXLFORK_CKPT_LIVE)
			return cxl->ids[cxl->nr_ids++] = info.id;
	return 0;
}

/* What another user owns is not made a parent: he could not be kept from it. */
CXL_TEST(other_user)
{
	struct cxl *cxl = &self->cxl;
	char *map = first_generation();
	struct cxlfork_ckpt_info info;
	struct ghost clone;
	long first, second;

	if (getuid())
		SKIP(return, "not root");
	first = nobodys(cxl, map);
	ASSERT_GT(first, 0);
	second = next_of(cxl, first, &clone, 'c');
	ASSERT_GT(second, 0);
	EXPECT_EQ(0, end(&clone));
	info = info_of(cxl, second);
	EXPECT_EQ(0, info.uid);
	EXPECT_EQ(0, info.nr_parents);
	EXPECT_LE(NR_PAGES, info.pages);
	EXPECT_EQ(0, info_of(cxl, first).keeps);
	EXPECT_EQ(7, run(cxl, second));
}

#define QUOTA	"/proc/sys/kernel/cxlfork/quota_mib"

/* What is not stored does not count. */
CXL_TEST(quota)
{
	struct cxl *cxl = &self->cxl;
	struct ghost clone = { .before = be_nobody, .channel = true };
	char *map = first_generation();
	struct cxlfork_ckpt_info info;
	long first, second;
	char was[16] = "";

	if (getuid())
		SKIP(return, "not root");
	ASSERT_LT(0, read_file(QUOTA, was, sizeof(was) - 1));
	write_file(QUOTA, "16", 2);
	first = nobodys(cxl, map);
	EXPECT_GT(first, 0);
	EXPECT_EQ(0, as_nobody(no_quota_left, cxl, map));
	ghost_start(cxl, &clone, first);
	EXPECT_EQ(0, clone.error);
	second = told(cxl, &clone, 'c');
	write_file(QUOTA, was, strlen(was));
	ASSERT_GT(second, 0);
	EXPECT_EQ(0, end(&clone));
	info = info_of(cxl, second);
	EXPECT_EQ(65534, info.uid);
	EXPECT_EQ(1, info.nr_parents);
	EXPECT_EQ(7, run(cxl, second));
}

TEST_HARNESS_MAIN
