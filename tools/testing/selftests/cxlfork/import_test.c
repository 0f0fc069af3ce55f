// SPDX-License-Identifier: GPL-2.0
/*
 * Streams that are damaged, cut off, or made up: an errno, a reason, and nothing
 * is left in the pool.
 */
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cxlfork_fixture.h"
#include "stream.h"

#define CHUNK		(1UL << 20)
#define BYTES		100	/* that are flipped */
#define MADE_UP		100	/* streams with right checksums and wrong content */

static char *mixed;

/* Two leaves, the first with a hole, so that its windows can be told apart. */
static long fork_small(struct cxl *cxl)
{
	long id;

	mixed = map_leaves(2 * LEAF);
	fill(mixed + 40 * PAGE, 60 * PAGE, 1);
	fill(mixed + LEAF, 3 * PAGE, 2);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(is_filled(mixed + 40 * PAGE, 60 * PAGE, 1));
		CHECK(is_filled(mixed + LEAF, 3 * PAGE, 2));
		_exit(0);
	}
	return id;
}

static struct cxlfork_stream_start *start_of(struct stream *s)
{
	return (void *)(stream_find(s, CXLFORK_REC_START, 0) + 1);
}

static struct cxlfork_record *section_of(struct stream *s, uint32_t type)
{
	struct cxlfork_record *rec;
	uint32_t i;

	for (i = 0; (rec = stream_find(s, CXLFORK_REC_SECTION, i)); i++)
		if (le32toh(rec->index) == type)
			return rec;
	CHECK(0);
	return NULL;
}

static void *section(struct stream *s, uint32_t type)
{
	return section_of(s, type) + 1;
}

static struct cxlfork_stream_pages *pages(struct stream *s, uint32_t nth)
{
	return (void *)(stream_find(s, CXLFORK_REC_PAGES, nth) + 1);
}

/* Change a field, in the byte order of the stream. */
#define ADD32(field, n)	((field) = htole32(le32toh(field) + (n)))
#define ADD64(field, n)	((field) = htole64(le64toh(field) + (n)))

/* The first record of pages of our two leaves: what follows it is ours as well. */
static uint32_t our_pages(struct stream *s)
{
	struct cxlfork_leaf *leaf = section(s, CXLFORK_SEC_LEAVES);
	struct cxlfork_record *rec;
	uint32_t i;

	for (i = 0; (rec = stream_find(s, CXLFORK_REC_PAGES, i)); i++)
		if (le64toh(leaf[le32toh(rec->index)].addr) == (uintptr_t)mixed)
			return i;
	CHECK(0);
	return 0;
}

static struct cxlfork_vma *our_vma(struct stream *s)
{
	struct cxlfork_vma *vma = section(s, CXLFORK_SEC_VMAS);

	while (le64toh(vma->end) <= (uintptr_t)mixed)
		vma++;
	return vma;
}

static void version(struct stream *s)
{
	ADD32(start_of(s)->version, 1);
}

static void format(struct stream *s)
{
	ADD32(start_of(s)->format, 1);
}

static void machine(struct stream *s)
{
	ADD32(start_of(s)->machine, 1);
}

static void vdso(struct stream *s)
{
	start_of(s)->vdso_id[3] ^= 1;
}

static void start_short(struct stream *s)
{
	stream_resize(s, stream_find(s, CXLFORK_REC_START, 0),
		      sizeof(struct cxlfork_stream_start) - 4);
}

static void start_long(struct stream *s)
{
	stream_resize(s, stream_find(s, CXLFORK_REC_START, 0),
		      sizeof(struct cxlfork_stream_start) + 4);
}

static void start_empty(struct stream *s)
{
	stream_resize(s, stream_find(s, CXLFORK_REC_START, 0), 0);
}

static void start_twice(struct stream *s)
{
	stream_double(s, stream_find(s, CXLFORK_REC_START, 0));
}

static void start_missing(struct stream *s)
{
	stream_drop(s, stream_find(s, CXLFORK_REC_START, 0));
}

static void name_endless(struct stream *s)
{
	memset(start_of(s)->name, 'x', sizeof(start_of(s)->name));
}

static void name_odd(struct stream *s)
{
	strcpy((char *)start_of(s)->name, "a/b");
}

static void section_unknown(struct stream *s)
{
	ADD64(start_of(s)->lengths[CXLFORK_NR_SECTIONS], 1);
}

static void section_huge(struct stream *s)
{
	start_of(s)->lengths[CXLFORK_SEC_STRINGS] = htole64(1ULL << 62);
}

static void section_longer(struct stream *s)
{
	ADD64(start_of(s)->lengths[CXLFORK_SEC_STRINGS], 1);
}

static void section_shorter(struct stream *s)
{
	ADD64(start_of(s)->lengths[CXLFORK_SEC_STRINGS], -1);
}

static void section_entry(struct stream *s)
{
	ADD32(start_of(s)->entry_sizes[CXLFORK_SEC_VMAS], 8);
}

static void section_odd(struct stream *s)
{
	ADD64(start_of(s)->lengths[CXLFORK_SEC_VMAS], 1);
}

static void section_parents(struct stream *s)
{
	ADD64(start_of(s)->lengths[CXLFORK_SEC_PARENTS], sizeof(struct cxlfork_parent));
	/* And so many pages fewer of its own. */
	ADD64(start_of(s)->nr_pages, -50);
}

static void section_missing(struct stream *s)
{
	stream_drop(s, section_of(s, CXLFORK_SEC_MM));
}

static void section_twice(struct stream *s)
{
	stream_double(s, section_of(s, CXLFORK_SEC_MM));
}

static void section_number(struct stream *s)
{
	section_of(s, CXLFORK_SEC_DIRTY)->index = htole32(CXLFORK_NR_SECTIONS);
}

static void section_order(struct stream *s)
{
	section_of(s, CXLFORK_SEC_VMAS)->index = htole32(CXLFORK_SEC_TASK);
}

static void section_none(struct stream *s)
{
	stream_resize(s, section_of(s, CXLFORK_SEC_MM), 0);
}

static void vma_flags(struct stream *s)
{
	our_vma(s)->flags = htole32(~0U);
}

static void vma_order(struct stream *s)
{
	our_vma(s)->start = 0;
}

static void vma_beyond(struct stream *s)
{
	our_vma(s)->end = htole64(~0ULL << 12);
}

static void vma_shared(struct stream *s)
{
	our_vma(s)->flags |= htole32(CXLFORK_VMA_MAYSHARE);
}

static void vma_readonly(struct stream *s)
{
	our_vma(s)->flags &= ~htole32(CXLFORK_VMA_MAYWRITE);
}

static void vma_shrunk(struct stream *s)
{
	/* The leaf still says that one mapping covers it. */
	ADD64(our_vma(s)->start, PAGE);
}

static void registers(struct stream *s)
{
	struct cxlfork_task *task = section(s, CXLFORK_SEC_TASK);

	task->regs[16] = htole64(0xffffffff81000000ULL);
}

/* What no restore stumbles over, but the format doesn't have it. */
static void header_cpu(struct stream *s)
{
	start_of(s)->cpu[CXLFORK_CPU_WORDS] = htole32(1);
}

static void header_kernel(struct stream *s)
{
	start_of(s)->kernel[0] = '\n';
}

static void string_endless(struct stream *s)
{
	struct cxlfork_record *rec = section_of(s, CXLFORK_SEC_STRINGS);

	((char *)(rec + 1))[le32toh(rec->length) - 1] = 'x';
}

static void xstate_features(struct stream *s)
{
	((uint64_t *)section(s, CXLFORK_SEC_XSTATE))[64] |= htole64(1ULL << 62);
}

static void xstate_compact(struct stream *s)
{
	((uint64_t *)section(s, CXLFORK_SEC_XSTATE))[65] = htole64(1ULL << 63);
}

static void xstate_reserved(struct stream *s)
{
	((uint64_t *)section(s, CXLFORK_SEC_XSTATE))[71] = htole64(1);
}

static void vma_reserved(struct stream *s)
{
	our_vma(s)->reserved = htole32(1);
}

static void file_flags(struct stream *s)
{
	((struct cxlfork_file *)section(s, CXLFORK_SEC_FILES))->flags = htole32(1);
}

static void file_time(struct stream *s)
{
	((struct cxlfork_file *)section(s, CXLFORK_SEC_FILES))->mtime_nsec = htole32(1000000000);
}

static void file_digest(struct stream *s)
{
	struct cxlfork_file *file = section(s, CXLFORK_SEC_FILES);

	CHECK(le32toh(file->verity_len) < sizeof(file->verity));
	file->verity[sizeof(file->verity) - 1] = 1;
}

static void fd_reserved(struct stream *s)
{
	((struct cxlfork_fd *)section(s, CXLFORK_SEC_FDS))->reserved = htole32(1);
}

static void fd_offset(struct stream *s)
{
	((struct cxlfork_fd *)section(s, CXLFORK_SEC_FDS))->pos = htole64(1ULL << 63);
}

static void dirty_nowhere(struct stream *s)
{
	uint32_t leaf = le32toh(stream_find(s, CXLFORK_REC_PAGES, our_pages(s))->index);

	/* Of the first leaf's pages those from the 40th on are there. */
	((uint64_t *)section(s, CXLFORK_SEC_DIRTY))[leaf * 8] |= htole64(1);
}

static void leaf_addr(struct stream *s)
{
	ADD64(((struct cxlfork_leaf *)section(s, CXLFORK_SEC_LEAVES))->addr, PAGE);
}

static void leaf_pages(struct stream *s)
{
	ADD32(((struct cxlfork_leaf *)section(s, CXLFORK_SEC_LEAVES))->nr_pages, 1);
}

static void leaf_huge(struct stream *s)
{
	((struct cxlfork_leaf *)section(s, CXLFORK_SEC_LEAVES))->flags = htole32(3);
}

static void number_leaves(struct stream *s)
{
	ADD64(start_of(s)->nr_leaves, 1);
}

static void number_pages(struct stream *s)
{
	ADD64(start_of(s)->nr_pages, 1);
}

static void number_pages_vast(struct stream *s)
{
	start_of(s)->nr_pages = htole64(~0ULL);
}

static void number_huge(struct stream *s)
{
	ADD64(start_of(s)->nr_huge, 1);
}

static void pages_first(struct stream *s)
{
	ADD32(pages(s, our_pages(s))->first, 1);
}

static void pages_beyond(struct stream *s)
{
	pages(s, our_pages(s))->first = htole32(CXLFORK_LEAF_ENTRIES);
}

static void pages_none(struct stream *s)
{
	struct cxlfork_record *rec = stream_find(s, CXLFORK_REC_PAGES, our_pages(s));

	memset(rec + 1, 0, sizeof(struct cxlfork_stream_pages));
	stream_resize(s, rec, sizeof(struct cxlfork_stream_pages));
}

static void pages_young(struct stream *s)
{
	struct cxlfork_stream_pages *w = pages(s, our_pages(s));

	w->young |= ~w->present;
}

static void pages_data(struct stream *s)
{
	struct cxlfork_stream_pages *w = pages(s, our_pages(s));

	w->data |= ~w->present;
}

static void pages_few(struct stream *s)
{
	struct cxlfork_stream_pages *w = pages(s, our_pages(s));

	w->data &= w->data - 1;
}

static void pages_headless(struct stream *s)
{
	stream_resize(s, stream_find(s, CXLFORK_REC_PAGES, our_pages(s)), 8);
}

static void pages_missing(struct stream *s)
{
	stream_drop(s, stream_find(s, CXLFORK_REC_PAGES, our_pages(s)));
}

static void pages_last_missing(struct stream *s)
{
	stream_drop(s, stream_find(s, CXLFORK_REC_PAGES,
				   stream_count(s, CXLFORK_REC_PAGES) - 1));
}

static void pages_twice(struct stream *s)
{
	stream_double(s, stream_find(s, CXLFORK_REC_PAGES, our_pages(s)));
}

static void pages_more(struct stream *s)
{
	struct cxlfork_record *rec = stream_find(s, CXLFORK_REC_PAGES, our_pages(s));
	struct cxlfork_stream_pages *w = (void *)(rec + 1);

	/* One that is not there, and is zero. */
	CHECK(~w->present);
	w->present |= w->present + 1;
}

static void pages_leaf(struct stream *s)
{
	ADD32(stream_find(s, CXLFORK_REC_PAGES, our_pages(s))->index, 1);
}

static void pages_before_sections(struct stream *s)
{
	stream_find(s, CXLFORK_REC_SECTION, 3)->type = htole32(CXLFORK_REC_PAGES);
}

static void pages_outside(struct stream *s)
{
	struct cxlfork_leaf *leaf = section(s, CXLFORK_SEC_LEAVES);
	uint32_t i = le32toh(stream_find(s, CXLFORK_REC_PAGES, our_pages(s))->index);

	/* The mapping ends before the pages of its second leaf do. */
	our_vma(s)->end = htole64((uintptr_t)mixed + LEAF + PAGE);
	leaf[i + 1].flags = 0;
}

static void type_unknown(struct stream *s)
{
	stream_find(s, CXLFORK_REC_PAGES, 0)->type = htole32(CXLFORK_REC_END + 1);
}

static void type_zero(struct stream *s)
{
	stream_find(s, CXLFORK_REC_PAGES, 0)->type = 0;
}

static void index_odd(struct stream *s)
{
	stream_find(s, CXLFORK_REC_END, 0)->index = htole32(1);
}

static void end_missing(struct stream *s)
{
	stream_drop(s, stream_find(s, CXLFORK_REC_END, 0));
}

static void end_twice(struct stream *s)
{
	stream_double(s, stream_find(s, CXLFORK_REC_END, 0));
}

static void end_long(struct stream *s)
{
	stream_resize(s, stream_find(s, CXLFORK_REC_END, 0),
		      sizeof(struct cxlfork_stream_end) + 8);
}

static const struct damage {
	const char	*what;
	void		(*make)(struct stream *s);
	int		error;
	uint32_t	reason;
} damages[] = {
#define BAD(what)		{ #what, what, EBADMSG, CXLFORK_REASON_STREAM }
#define IMAGE(what)		{ #what, what, EUCLEAN, CXLFORK_REASON_IMAGE }
#define OTHER(what, error, why)	{ #what, what, error, CXLFORK_REASON_##why }
	OTHER(version, EPROTONOSUPPORT, VERSION), OTHER(format, EPROTONOSUPPORT, VERSION),
	OTHER(machine, ENOEXEC, KERNEL), OTHER(vdso, ENOEXEC, KERNEL),
	BAD(start_short), BAD(start_long), BAD(start_empty), BAD(start_twice),
	BAD(start_missing), BAD(name_endless), BAD(name_odd),
	BAD(section_unknown), BAD(section_huge), BAD(section_longer), BAD(section_shorter),
	BAD(section_entry), BAD(section_odd), BAD(section_parents), BAD(section_missing),
	BAD(section_twice),
	BAD(section_number), BAD(section_order), BAD(section_none),
	IMAGE(vma_flags), IMAGE(vma_order), IMAGE(vma_beyond), IMAGE(vma_shared),
	IMAGE(vma_readonly), BAD(vma_shrunk), IMAGE(registers),
	BAD(header_cpu), BAD(header_kernel), IMAGE(string_endless), IMAGE(xstate_features),
	IMAGE(xstate_compact), IMAGE(xstate_reserved), IMAGE(vma_reserved), IMAGE(file_flags),
	IMAGE(file_time), IMAGE(file_digest), IMAGE(fd_reserved), IMAGE(fd_offset),
	BAD(dirty_nowhere),
	IMAGE(leaf_addr), IMAGE(leaf_pages), IMAGE(leaf_huge),
	BAD(number_leaves), IMAGE(number_pages), IMAGE(number_pages_vast), BAD(number_huge),
	BAD(pages_first), BAD(pages_beyond), BAD(pages_none), BAD(pages_young),
	BAD(pages_data), BAD(pages_few), BAD(pages_headless), BAD(pages_missing),
	BAD(pages_last_missing), BAD(pages_twice), BAD(pages_more), BAD(pages_leaf),
	BAD(pages_before_sections), BAD(pages_outside),
	BAD(type_unknown), BAD(type_zero), BAD(index_odd),
	BAD(end_missing), BAD(end_twice), BAD(end_long),
};

/* Nothing of it is in the pool any more, at once. */
#define EXPECT_REFUSED(cxl, im, used, what)					\
	do {									\
		EXPECT_NE(0, (im)->error);					\
		EXPECT_EQ(1, (im)->nr_reports) {				\
			TH_LOG("%s: no reason is given", what);			\
		}								\
		EXPECT_LT(10, strlen((im)->report.text));			\
		EXPECT_EQ(used, cxl_free_extents(cxl)) {			\
			TH_LOG("%s: extents are gone", what);			\
		}								\
	} while (0)

/* Whoever makes these knows how to compute a checksum. */
CXL_TEST(made_up)
{
	struct cxl *cxl = &self->cxl;
	struct stream s, bad;
	struct import im;
	uint64_t used;
	unsigned int i;
	long id;

	id = fork_small(cxl);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	used = cxl_free_extents(cxl);
	for (i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		const struct damage *d = &damages[i];

		stream_copy(&bad, &s);
		d->make(&bad);
		stream_seal(&bad);
		EXPECT_EQ(-1, stream_import(cxl->pool, NULL, &bad, CHUNK, &im)) {
			cxl_remove(cxl, im.id);
		}
		EXPECT_EQ(d->error, im.error) {
			TH_LOG("%s: %s", d->what, strerror(im.error));
		}
		EXPECT_EQ(d->reason, im.report.reason) {
			TH_LOG("%s: %.160s", d->what, im.report.text);
		}
		EXPECT_REFUSED(cxl, &im, used, d->what);
		stream_free(&bad);
	}
	/* And the tools of this test are not what is wrong. */
	stream_copy(&bad, &s);
	stream_seal(&bad);
	EXPECT_EQ(0, memcmp(s.data, bad.data, s.len));
	EXPECT_LT(0, stream_import(cxl->pool, NULL, &bad, CHUNK, &im));
	cxl->ids[cxl->nr_ids++] = im.id;
	EXPECT_EQ(0, cxl_run(cxl, im.id));
	stream_free(&bad);
	stream_free(&s);
}

/* A byte that is not what it was: in the first and last record of each kind, and anywhere. */
CXL_TEST(flipped)
{
	struct cxl *cxl = &self->cxl;
	unsigned int seed = time(NULL), i, type, k;
	size_t at[BYTES + 64], nr = 0;
	struct cxlfork_record *rec;
	struct import im;
	struct stream s;
	uint64_t used;
	long id;

	TH_LOG("seed %u", seed);
	id = fork_small(cxl);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	used = cxl_free_extents(cxl);
	for (type = CXLFORK_REC_START; type <= CXLFORK_REC_END; type++) {
		for (k = 0; k < 2; k++) {
			rec = stream_find(&s, type, k ? stream_count(&s, type) - 1 : 0);
			/* Each field of the header, then the bytes. */
			for (i = 0; i < sizeof(*rec); i += 4)
				at[nr++] = (unsigned char *)rec - s.data + i + 1;
			at[nr++] = (unsigned char *)(rec + 1) - s.data;
			at[nr++] = (unsigned char *)(rec + 1) - s.data + le32toh(rec->length) - 1;
		}
	}
	ASSERT_GE(64, nr);
	for (i = 0; i < BYTES; i++)
		at[nr++] = (rand_r(&seed) * (RAND_MAX + 1ULL) + rand_r(&seed)) % s.len;
	for (i = 0; i < nr; i++) {
		unsigned char flip = 1 << rand_r(&seed) % 8;
		char what[64];

		snprintf(what, sizeof(what), "byte %zu ^ %#x", at[i], flip);
		s.data[at[i]] ^= flip;
		EXPECT_EQ(-1, stream_import(cxl->pool, NULL, &s, CHUNK, &im)) {
			TH_LOG("%s: imported", what);
			cxl_remove(cxl, im.id);
		}
		EXPECT_EQ(EBADMSG, im.error);
		EXPECT_EQ(CXLFORK_REASON_STREAM, im.report.reason);
		/* It says where: the record that the byte is in. */
		EXPECT_GE(at[i], im.report.value);
		EXPECT_REFUSED(cxl, &im, used, what);
		s.data[at[i]] ^= flip;
	}
	EXPECT_LT(0, stream_import(cxl->pool, NULL, &s, CHUNK, &im));
	cxl->ids[cxl->nr_ids++] = im.id;
	stream_free(&s);
}

/* Wrong content anywhere, right checksums: refused, or a checkpoint like any other. */
CXL_TEST(random)
{
	struct cxl *cxl = &self->cxl;
	unsigned int seed = time(NULL), i, k, taken = 0;
	struct stream s, bad;
	struct import im;
	uint64_t used;
	long id;

	TH_LOG("seed %u", seed);
	id = fork_small(cxl);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	used = cxl_free_extents(cxl);
	for (i = 0; i < MADE_UP; i++) {
		uint32_t type = rand_r(&seed) % 4 + CXLFORK_REC_START;
		struct cxlfork_record *rec;
		char what[32];

		snprintf(what, sizeof(what), "stream %u", i);
		stream_copy(&bad, &s);
		rec = stream_find(&bad, type, rand_r(&seed) % stream_count(&bad, type));
		for (k = rand_r(&seed) % 3 + 1; k; k--) {
			uint32_t len = le32toh(rec->length);

			/* What is said of pages is more likely to matter than they are. */
			if (type == CXLFORK_REC_PAGES)
				len = sizeof(struct cxlfork_stream_pages);
			((unsigned char *)(rec + 1))[rand_r(&seed) % len] = rand_r(&seed);
		}
		stream_seal(&bad);
		if (stream_import(cxl->pool, NULL, &bad, CHUNK, &im) > 0) {
			taken++;
			EXPECT_EQ(0, cxl_remove(cxl, im.id));
			EXPECT_EQ(used, cxl_free_extents(cxl));
		} else {
			EXPECT_REFUSED(cxl, &im, used, what);
		}
		stream_free(&bad);
	}
	TH_LOG("%u refused, %u imported", MADE_UP - taken, taken);
	EXPECT_GT(MADE_UP, taken);
	stream_free(&s);
}

/* Cut off at any place: nothing is published, nothing is left. */
CXL_TEST(cut_off)
{
	struct cxl *cxl = &self->cxl;
	struct cxlfork_record *rec;
	struct stream s, part;
	struct import im;
	uint64_t used;
	size_t cuts[10];
	unsigned int i;
	long id;

	id = fork_small(cxl);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	used = cxl_free_extents(cxl);
	for (i = 0; i < 4; i++) {
		rec = stream_find(&s, CXLFORK_REC_START + i, 0);
		cuts[2 * i] = (unsigned char *)rec - s.data;
		cuts[2 * i + 1] = cuts[2 * i] + sizeof(*rec) + 1;
	}
	cuts[8] = s.len / 2;
	cuts[9] = s.len - 1;
	for (i = 0; i < 10; i++) {
		part = s;
		part.len = cuts[i];
		EXPECT_EQ(-1, stream_import(cxl->pool, NULL, &part, CHUNK, &im));
		EXPECT_EQ(0, im.write_error);
		EXPECT_EQ(EBADMSG, im.error);
		EXPECT_EQ(CXLFORK_REASON_STREAM, im.report.reason);
		EXPECT_REFUSED(cxl, &im, used, "cut off");
	}
	stream_free(&s);
}

/* What was written stays written, what failed stays failed, and once is enough. */
CXL_TEST(commit)
{
	struct cxl *cxl = &self->cxl;
	struct stream s;
	struct import im;
	uint64_t used;
	long id;
	int fd;

	id = fork_small(cxl);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	used = cxl_free_extents(cxl);

	fd = import_open(cxl->pool, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)s.len, write(fd, s.data, s.len));
	EXPECT_GT(used, cxl_free_extents(cxl));
	/* All is there, but nobody has said so: */
	close(fd);
	EXPECT_EQ(used, cxl_free_extents(cxl));

	fd = import_open(cxl->pool, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)s.len / 2, write(fd, s.data, s.len / 2));
	EXPECT_EQ(-1, import_commit(fd, &im));
	EXPECT_EQ(EBADMSG, im.error);
	EXPECT_EQ(-1, write(fd, s.data + s.len / 2, s.len - s.len / 2));
	EXPECT_EQ(EBADMSG, errno);
	EXPECT_EQ(-1, import_commit(fd, &im));
	EXPECT_EQ(EBADMSG, im.error);
	close(fd);
	EXPECT_EQ(used, cxl_free_extents(cxl));

	fd = import_open(cxl->pool, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)s.len, write(fd, s.data, s.len));
	ASSERT_LT(0, import_commit(fd, &im));
	cxl->ids[cxl->nr_ids++] = im.id;
	EXPECT_EQ(-1, write(fd, s.data, 1));
	EXPECT_EQ(-1, import_commit(fd, &im));
	EXPECT_EQ(EALREADY, im.error);
	close(fd);
	EXPECT_EQ(0, cxl_run(cxl, cxl->ids[cxl->nr_ids - 1]));
	stream_free(&s);
}

/* The importer is killed: the same. */
CXL_TEST(killed)
{
	struct cxl *cxl = &self->cxl;
	struct stream s;
	int status, p[2];
	uint64_t used;
	char c;
	pid_t pid;
	long id;

	id = fork_small(cxl);
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, stream_export(cxl->pool, id, CHUNK, &s));
	used = cxl_free_extents(cxl);
	ASSERT_EQ(0, pipe(p));
	pid = fork();
	if (!pid) {
		int fd = import_open(cxl->pool, NULL);

		CHECK(fd >= 0);
		CHECK(write(fd, s.data, s.len - 1) == (ssize_t)s.len - 1);
		put_byte(p[1], 'x');
		pause();
	}
	ASSERT_EQ(1, read(p[0], &c, 1));
	EXPECT_GT(used, cxl_free_extents(cxl));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(used, cxl_free_extents(cxl));
	stream_free(&s);
}

TEST_HARNESS_MAIN
