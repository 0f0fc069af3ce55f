// SPDX-License-Identifier: GPL-2.0
/* What a clone finds in its memory, and that its writes stay its own. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"

#define SIZE	(8 * MB)

static char in_data[3 * PAGE] = "initialised";
static char in_bss[3 * MB];
static const char in_rodata[] = "read only";

CXL_TEST(everywhere)
{
	struct cxl *cxl = &self->cxl;
	char on_stack[64 * 1024];
	char *heap = malloc(64 * 1024), *big = malloc(4 * MB), *map = map_anon(SIZE);
	long id;

	fill(on_stack, sizeof(on_stack), 1);
	fill(heap, 64 * 1024, 2);
	fill(big, 4 * MB, 3);
	fill(map, SIZE, 4);
	fill(in_bss, sizeof(in_bss), 5);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_filled(on_stack, sizeof(on_stack), 1));
		CHECK(is_filled(heap, 64 * 1024, 2));
		CHECK(is_filled(big, 4 * MB, 3));
		CHECK(is_filled(map, SIZE, 4));
		CHECK(is_filled(in_bss, sizeof(in_bss), 5));
		CHECK(!strcmp(in_data, "initialised") && !strcmp(in_rodata, "read only"));
		fill(on_stack, sizeof(on_stack), 11);
		fill(heap, 64 * 1024, 12);
		fill(big, 4 * MB, 13);
		fill(map, SIZE, 14);
		fill(in_bss, sizeof(in_bss), 15);
		CHECK(is_filled(on_stack, sizeof(on_stack), 11));
		CHECK(is_filled(heap, 64 * 1024, 12));
		CHECK(is_filled(big, 4 * MB, 13));
		CHECK(is_filled(map, SIZE, 14));
		CHECK(is_filled(in_bss, sizeof(in_bss), 15));
		free(heap);
		free(big);
		CHECK(malloc(8 * MB));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	/* A second clone finds nothing of what the first one wrote. */
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_TRUE(is_filled(on_stack, sizeof(on_stack), 1));
	EXPECT_TRUE(is_filled(heap, 64 * 1024, 2));
	EXPECT_TRUE(is_filled(big, 4 * MB, 3));
	EXPECT_TRUE(is_filled(map, SIZE, 4));
	EXPECT_TRUE(is_filled(in_bss, sizeof(in_bss), 5));
}

/* Reading copies nothing; a write copies a page and unshares one leaf. */
CXL_TEST(nothing_is_copied)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE);
	long id;

	fill(map, SIZE, 1);
	id = cxl_fork(cxl);
	if (!id) {
		long shared, local, cxl_pages, stat_local;

		CHECK(is_filled(map, SIZE, 1));
		shared = stat_of("self", "leaves_shared");
		local = stat_of("self", "pages_local");
		cxl_pages = stat_of("self", "pages_cxl");
		CHECK(shared >= (long)(SIZE / LEAF));
		CHECK(cxl_pages >= (long)(SIZE / PAGE));
		CHECK(local < 64);
		map[LEAF + 5 * PAGE] = 1;
		CHECK(stat_of("self", "leaves_shared") == shared - 1);
		stat_local = stat_of("self", "pages_local");
		CHECK(stat_local > local && stat_local <= local + 4);
		map[LEAF + 6 * PAGE] = 1;
		CHECK(stat_of("self", "leaves_shared") == shared - 1);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

/* Two clones at a time, and the parent, all writing. */
CXL_TEST(two_at_once)
{
	struct cxl *cxl = &self->cxl;
	struct ghost a, b;
	char *map = map_leaves(SIZE), who;
	long id;

	fill(map, SIZE, 1);
	id = cxl_fork_channel(cxl);
	if (!id) {
		who = get_byte(CHANNEL);
		CHECK(is_filled(map, SIZE, 1));
		put_byte(CHANNEL, 'r');
		CHECK(get_byte(CHANNEL) == 'w');
		fill(map, SIZE, who);
		put_byte(CHANNEL, 'w');
		CHECK(get_byte(CHANNEL) == 'c');
		CHECK(is_filled(map, SIZE, who));
		_exit(0);
	}
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &a));
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &b));
	put_byte(a.peer, 'a');
	put_byte(b.peer, 'b');
	EXPECT_EQ('r', get_byte(a.peer));
	EXPECT_EQ('r', get_byte(b.peer));
	put_byte(a.peer, 'w');
	put_byte(b.peer, 'w');
	fill(map, SIZE, 'p');
	EXPECT_EQ('w', get_byte(a.peer));
	EXPECT_EQ('w', get_byte(b.peer));
	put_byte(a.peer, 'c');
	put_byte(b.peer, 'c');
	EXPECT_EQ(0, ghost_wait(&a));
	EXPECT_EQ(0, ghost_wait(&b));
	EXPECT_TRUE(is_filled(map, SIZE, 'p'));
}

/* What the parent does afterwards is not in the checkpoint. */
CXL_TEST(parent_goes_on)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(SIZE), *gone = map_leaves(SIZE);
	long id;

	fill(map, SIZE, 1);
	fill(gone, SIZE, 2);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_filled(map, SIZE, 1));
		CHECK(is_filled(gone, SIZE, 2));
		_exit(0);
	}
	ASSERT_GT(id, 0);
	fill(map, SIZE, 3);
	ASSERT_EQ(0, munmap(gone, SIZE));
	EXPECT_EQ(0, cxl_run(cxl, id));
	EXPECT_TRUE(is_filled(map, SIZE, 3));
}

/* Every second page, and holes between mappings in the same leaf. */
CXL_TEST(holes)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(2 * LEAF);
	size_t i;
	long id;

	for (i = 0; i < 2 * LEAF; i += 2 * PAGE)
		fill(map + i, PAGE, i / PAGE);
	ASSERT_EQ(0, munmap(map + LEAF + 16 * PAGE, 16 * PAGE));
	ASSERT_EQ(0, munmap(map + LEAF + 100 * PAGE, PAGE));
	id = cxl_fork(cxl);
	if (!id) {
		unsigned char v;

		for (i = 0; i < 2 * LEAF; i += 2 * PAGE) {
			size_t k = i < LEAF ? 0 : (i - LEAF) / PAGE;

			if ((k >= 16 && k < 32) || k == 100) {
				CHECK(mincore(map + i, PAGE, &v) && errno == ENOMEM);
				continue;
			}
			CHECK(is_filled(map + i, PAGE, i / PAGE));
			if (k != 15 && k != 99 && k != 31)
				CHECK(is_zero(map + i + PAGE, PAGE));
		}
		/* The holes can be filled. */
		CHECK(mmap(map + LEAF + 16 * PAGE, 16 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
		      map + LEAF + 16 * PAGE);
		CHECK(is_zero(map + LEAF + 16 * PAGE, 16 * PAGE));
		fill(map + LEAF + 16 * PAGE, 16 * PAGE, 7);
		CHECK(is_filled(map + LEAF + 16 * PAGE, 16 * PAGE, 7));
		CHECK(is_filled(map + LEAF + 14 * PAGE, PAGE, 512 + 14));
		CHECK(is_filled(map + LEAF + 32 * PAGE, PAGE, 512 + 32));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
}

/* Never touched, only read (zero page), and a wide sparse area. */
CXL_TEST(sparse)
{
	struct cxl *cxl = &self->cxl;
	const size_t wide = 64UL << 30;
	char *map = map_leaves(2 * LEAF), *far;
	size_t i;
	long id;

	far = mmap(NULL, wide, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, far);
	madvise(far, wide, MADV_NOHUGEPAGE);
	ASSERT_TRUE(is_zero(map, LEAF));
	for (i = 0; i < wide; i += wide / 16)
		fill(far + i, PAGE, i >> 30);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_zero(map, 2 * LEAF));
		for (i = 0; i < wide; i += wide / 16) {
			CHECK(is_filled(far + i, PAGE, i >> 30));
			CHECK(!far[i + LEAF]);
			far[i + LEAF] = 1;
			CHECK(is_zero(far + i + PAGE, PAGE));
		}
		fill(map, 2 * LEAF, 3);
		CHECK(is_filled(map, 2 * LEAF, 3));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	/* Less than 8 MiB went into the pool for 64 GiB of addresses. */
	EXPECT_LE(cxl->free - cxl_free_extents(cxl), 4);
}

/* Content behind PROT_NONE and PROT_READ. */
CXL_TEST(protected)
{
	struct cxl *cxl = &self->cxl;
	char *none = map_leaves(2 * LEAF), *ro = map_leaves(2 * LEAF), *part = map_leaves(LEAF);
	long id;

	fill(none, 2 * LEAF, 1);
	fill(ro, 2 * LEAF, 2);
	fill(part, LEAF, 3);
	ASSERT_EQ(0, mprotect(none, 2 * LEAF, PROT_NONE));
	ASSERT_EQ(0, mprotect(ro, 2 * LEAF, PROT_READ));
	ASSERT_EQ(0, mprotect(part + 8 * PAGE, 8 * PAGE, PROT_NONE));
	ASSERT_EQ(0, mprotect(part + 32 * PAGE, 8 * PAGE, PROT_READ | PROT_EXEC));
	id = cxl_fork(cxl);
	if (!id) {
		int zero = open("/dev/zero", O_RDONLY);

		/* The kernel finds them protected ... */
		CHECK(read(zero, none, 1) == -1 && errno == EFAULT);
		CHECK(read(zero, ro + LEAF, 1) == -1 && errno == EFAULT);
		CHECK(read(zero, part + 8 * PAGE, 1) == -1 && errno == EFAULT);
		CHECK(read(zero, part + 32 * PAGE, 1) == -1 && errno == EFAULT);
		CHECK(is_filled(ro, 2 * LEAF, 2));
		/* ... and the content is there. */
		CHECK(!mprotect(none, 2 * LEAF, PROT_READ | PROT_WRITE));
		CHECK(is_filled(none, 2 * LEAF, 1));
		fill(none, 2 * LEAF, 4);
		CHECK(is_filled(none, 2 * LEAF, 4));
		CHECK(!mprotect(part, LEAF, PROT_READ | PROT_WRITE));
		CHECK(is_filled(part, LEAF, 3));
		CHECK(!mprotect(ro, PAGE, PROT_READ | PROT_WRITE));
		fill(ro, PAGE, 6);
		CHECK(is_filled(ro, PAGE, 6));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
}

/* A private mapping of a file: pages written, pages only read, pages untouched. */
CXL_TEST(private_file)
{
	struct cxl *cxl = &self->cxl;
	char path[] = "/tmp/cxlfork-file-XXXXXX", *map, *content = map_anon(LEAF);
	int fd = mkstemp(path);
	long id;

	ASSERT_LE(0, fd);
	fill(content, LEAF, 1);
	ASSERT_EQ((ssize_t)LEAF, write(fd, content, LEAF));
	map = mmap(NULL, LEAF, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	close(fd);
	fill(map, 64 * PAGE, 2);
	ASSERT_TRUE(is_zero(map + 100 * PAGE, PAGE) || map[100 * PAGE] == content[100 * PAGE]);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_filled(map, 64 * PAGE, 2));
		CHECK(!memcmp(map + 64 * PAGE, content + 64 * PAGE, LEAF - 64 * PAGE));
		map[200 * PAGE] ^= 0xff;
		CHECK(map[200 * PAGE] == (char)(content[200 * PAGE] ^ 0xff));
		CHECK(map[200 * PAGE + 256] == content[200 * PAGE + 256]);
		fill(map, LEAF, 3);
		CHECK(is_filled(map, LEAF, 3));
		/* Back to the file's content. */
		CHECK(!madvise(map, LEAF, MADV_DONTNEED));
		CHECK(!memcmp(map, content, LEAF));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_CLONE_OK(cxl, id);
	unlink(path);
}

/* A file mapped shared but only for reading shows what the file is now. */
CXL_TEST(shared_read_only_file)
{
	struct cxl *cxl = &self->cxl;
	int fd = open("/bin/sh", O_RDONLY);
	char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	long id;

	ASSERT_NE(MAP_FAILED, map);
	close(fd);
	ASSERT_EQ(0, memcmp(map, "\177ELF", 4));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(!memcmp(map, "\177ELF", 4));
		CHECK(mprotect(map, PAGE, PROT_READ | PROT_WRITE) && errno == EACCES);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

/* Transparent huge pages of the parent are small pages of the clone. */
CXL_TEST(huge_pages)
{
	struct cxl *cxl = &self->cxl;
	char *map = map_leaves(3 * LEAF);
	long id;

	madvise(map, 3 * LEAF, MADV_HUGEPAGE);
	fill(map, 3 * LEAF, 1);
	ASSERT_EQ(0, mprotect(map + LEAF, 4 * PAGE, PROT_READ));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_filled(map, 3 * LEAF, 1));
		fill(map + 2 * LEAF, LEAF, 2);
		map[3 * PAGE] = 9;
		CHECK(is_filled(map + 2 * LEAF, LEAF, 2));
		CHECK(is_part(map + LEAF, LEAF, 1, LEAF));
		CHECK(is_part(map + 4 * PAGE, LEAF - 4 * PAGE, 1, 4 * PAGE));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_TRUE(is_filled(map, 3 * LEAF, 1));
}

/* A checkpoint that was deleted serves the clones there are, and no others. */
CXL_TEST(deleted_while_used)
{
	struct cxl *cxl = &self->cxl;
	struct ghost a, b = { 0 };
	char *map = map_leaves(SIZE);
	uint64_t free_before;
	long id;

	fill(map, SIZE, 1);
	id = cxl_fork_channel(cxl);
	if (!id) {
		put_byte(CHANNEL, 'r');
		CHECK(get_byte(CHANNEL) == 'c');
		CHECK(is_filled(map, SIZE, 1));
		fill(map, SIZE / 2, 2);
		CHECK(is_filled(map, SIZE / 2, 2));
		_exit(0);
	}
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &a));
	EXPECT_EQ('r', get_byte(a.peer));
	free_before = cxl_free_extents(cxl);
	EXPECT_EQ(0, cxl_remove(cxl, id));
	usleep(200000);
	EXPECT_EQ(free_before, cxl_free_extents(cxl));
	ghost_start(cxl, &b, id);
	EXPECT_EQ(ENOENT, b.error);
	EXPECT_EQ(200, ghost_wait(&b));
	put_byte(a.peer, 'c');
	EXPECT_EQ(0, ghost_wait(&a));
	EXPECT_TRUE(cxl_settled(cxl));
	cxl->ids[0] = 0;
}

TEST_HARNESS_MAIN
