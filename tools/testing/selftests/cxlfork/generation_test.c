// SPDX-License-Identifier: GPL-2.0
/* Checkpoints of clones: each generation finds what the one before it left. */
#include <sys/mman.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"

#define SIZE	(4 * LEAF)

/*
 * Each generation changes a leaf and checkpoints itself; the next one finds all
 * changes so far.  A clone that made a checkpoint restores it itself, and
 * removes it after that.
 */
static int generation(struct cxl *cxl, char *map, int nr, int last)
{
	int ret;
	long id;

	if (nr == last)
		return 50 + nr;
	id = cxl_fork(cxl);
	CHECK(id >= 0);
	if (!id) {
		int k;

		for (k = 0; k < 4; k++)
			CHECK(is_filled(map + k * LEAF, LEAF, k <= nr ? 20 + k : 1));
		fill(map + (nr + 1) * LEAF, LEAF, 20 + nr + 1);
		_exit(generation(cxl, map, nr + 1, last));
	}
	ret = cxl_run(cxl, id);
	CHECK(!cxl_remove(cxl, id));
	return ret;
}

CXL_TEST(three)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE);
	int k;

	for (k = 0; k < 4; k++)
		fill(map + k * LEAF, LEAF, 1);
	fill(map, LEAF, 20);
	EXPECT_EQ(53, generation(cxl, map, 0, 3));
	cxl->nr_ids = 0;
	EXPECT_TRUE(cxl_settled(cxl));
}

/* The first checkpoint is gone before the second one is restored. */
CXL_TEST(orphan)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE);
	struct ghost a;
	char reply[32] = "";
	long first, second;
	int k;

	for (k = 0; k < 4; k++)
		fill(map + k * LEAF, LEAF, 1);
	first = cxl_fork_channel(cxl);
	if (!first) {
		fill(map, LEAF, 2);
		second = cxl_fork_channel(cxl);
		CHECK(second >= 0);
		if (!second) {
			CHECK(is_filled(map, LEAF, 2));
			CHECK(is_filled(map + LEAF, LEAF, 1));
			CHECK(is_filled(map + 3 * LEAF, LEAF, 1));
			fill(map + LEAF, 3 * LEAF, 3);
			CHECK(is_filled(map + LEAF, 3 * LEAF, 3));
			_exit(7);
		}
		CHECK(write(CHANNEL, &second, sizeof(second)) == sizeof(second));
		_exit(0);
	}
	ASSERT_GT(first, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, first, &a));
	ASSERT_EQ((ssize_t)sizeof(second), read(a.peer, reply, sizeof(second)));
	memcpy(&second, reply, sizeof(second));
	EXPECT_EQ(0, ghost_wait(&a));
	cxl->ids[cxl->nr_ids++] = second;
	ASSERT_EQ(0, cxl_remove(cxl, first));
	for (k = 0; k < 2; k++) {
		ASSERT_EQ(0, cxl_run_channel(cxl, second, &a));
		EXPECT_EQ(7, ghost_wait(&a));
	}
}

/* Many checkpoints of the same process: each is what it was at its time. */
CXL_TEST(snapshots)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(LEAF);
	int k;
	long id;

	for (k = 0; k < 5; k++) {
		fill(map, LEAF, k);
		id = cxl_fork(cxl);
		if (!id) {
			CHECK(is_filled(map, LEAF, k));
			_exit(k);
		}
		ASSERT_GT(id, 0);
	}
	for (k = 4; k >= 0; k--)
		EXPECT_EQ(k, cxl_run(cxl, cxl->ids[k]));
}

TEST_HARNESS_MAIN
