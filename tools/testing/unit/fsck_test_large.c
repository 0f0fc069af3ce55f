// SPDX-License-Identifier: GPL-2.0
/* The checker's cases: sections that are as large as somebody could make them. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crc32c.h"
#include "fsck_test.h"
#include "util.h"

/* Takes minutes where the time goes with the square of the size, else none. */
#define HANGS		60	/* seconds */
#define STRINGS		12	/* extents */
#define FILES		12
#define FDS		(BIT_ULL(20) + 1)

/* Leaf entries, see synth.c. */
#define DATA_BITS	(BIT_ULL(0) | BIT_ULL(2) | BIT_ULL(9) | BIT_ULL(63))
#define HIDDEN_BITS	(BIT_ULL(8) | BIT_ULL(9))
#define PFN		0x000ffffffffff000ULL

/* The synthetic pool, and behind its extents more that are the first image's. */
static void *build(struct synth *s, __u32 more)
{
	const __u32 total = SYNTH_EXTENTS + more;
	void *mem = calloc(total, CXLFORK_EXTENT_SIZE);
	__u32 i;

	if (!mem)
		exit(2);
	synth_build(s, mem);
	synth_childless(s);
	s->super->size = htole64(total * CXLFORK_EXTENT_SIZE);
	s->super->nr_extents = htole32(total);
	s->entry->bytes = htole64((2 + more) * CXLFORK_EXTENT_SIZE);
	s->image->nr_extents = htole32(2 + more);
	for (i = 0; i < more; i++) {
		s->extents[2 + i] = htole32(SYNTH_EXTENTS + i);
		s->etable[SYNTH_EXTENTS + i] = htole64(SYNTH_ID);
	}
	return mem;
}

/* Let a section start @at extents behind the image's first two. */
static void place(struct synth *s, unsigned int type, __u32 at, size_t length)
{
	struct cxlfork_section *sec = &s->image->sections[type];

	sec->offset = htole64((2 + at) * CXLFORK_EXTENT_SIZE);
	sec->length = htole64(length);
	sec->crc = htole32(crc32c(s->mem + (SYNTH_EXTENTS + at) *
				  CXLFORK_EXTENT_SIZE, length));
}

static void look(struct synth *s, __u32 more, struct findings *findings)
{
	struct region region = { .memory = s->mem };
	struct fsck_pulse pulse = { .taken = true };
	struct cxlfork_image *image = s->image;
	struct fsck_counts counts;

	synth_seal(s);
	image->extents_crc = htole32(crc32c(s->extents, (2 + more) *
					    sizeof(__le32)));
	image->head.crc = htole32(crc32c_head(image, &image->head,
					      sizeof(*image)));
	region.size = (SYNTH_EXTENTS + more) * CXLFORK_EXTENT_SIZE;
	memset(findings, 0, sizeof(*findings));
	alarm(HANGS);
	fsck_run(&region, &pulse, &counts, findings);
	alarm(0);
}

/* Every file names the same string, which fills its section. */
static void test_long_string(void)
{
	const size_t nr = FILES * CXLFORK_EXTENT_SIZE /
			  sizeof(struct cxlfork_file);
	const struct damage d = { KINDS(BAD_PATH, BAD_FILES) };
	const __u32 more = STRINGS + FILES;
	struct findings findings;
	struct synth s;
	void *mem = build(&s, more);
	char *text = (char *)mem + SYNTH_SIZE;

	memset(text, 'a', STRINGS * CXLFORK_EXTENT_SIZE - 1);
	text[0] = '/';
	place(&s, CXLFORK_SEC_STRINGS, 0, STRINGS * CXLFORK_EXTENT_SIZE);
	place(&s, CXLFORK_SEC_FILES, STRINGS, nr * sizeof(*s.files));
	look(&s, more, &findings);
	show(&findings, &d, "many files whose path is all of the strings",
	     findings.nr >= nr);
	findings_free(&findings);
	free(mem);
}

static void test_many_fds(void)
{
	const size_t size = FDS * sizeof(struct cxlfork_fd);
	const __u32 more = size / CXLFORK_EXTENT_SIZE + 1;
	const struct damage d = { KINDS(BAD_FDS) };
	struct findings findings;
	struct cxlfork_fd *fds;
	struct synth s;
	void *mem = build(&s, more);
	__u32 i;

	fds = (void *)((char *)mem + SYNTH_SIZE);
	for (i = 0; i < FDS; i++)
		fds[i].fd = htole32(i);
	place(&s, CXLFORK_SEC_FDS, 0, size);
	look(&s, more, &findings);
	show(&findings, &d, "more descriptors than a process has", true);
	findings_free(&findings);
	free(mem);
}

/* The heap is one page of 2 MiB, and all other pages are behind it. */
static void build_huge(struct synth *s)
{
	const __u64 data = SYNTH_BASE + SYNTH_SIZE;
	static const struct {
		__u32	leaf;
		__u32	entry;
	} others[] = {
		{ 0, 0 }, { 0, 1 }, { 2, 0 }, { 2, 15 }, { 3, 478 }, { 3, 479 },
	};
	__le64 *entry;
	__u64 addr;
	__u32 i;

	s->image->data_off = htole64(2 * CXLFORK_EXTENT_SIZE);
	s->image->nr_pages = htole64(CXLFORK_LEAF_ENTRIES + ARRAY_SIZE(others));
	s->entry->pages = s->image->nr_pages;
	s->leaves[1].flags = htole32(CXLFORK_LEAF_WHOLE | CXLFORK_LEAF_HUGE);
	s->leaves[1].nr_pages = htole32(CXLFORK_LEAF_ENTRIES);
	for (i = 0; i < CXLFORK_LEAF_ENTRIES; i++)
		s->tables[1][i] = htole64((data + i * 4096) | DATA_BITS);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		entry = &s->tables[others[i].leaf][others[i].entry];
		addr = data + CXLFORK_EXTENT_SIZE + i * 4096;
		if (others[i].leaf == 2)
			addr = ~addr & PFN;
		*entry = htole64((le64toh(*entry) & ~PFN) | addr);
	}
}

static void test_huge(void)
{
	const struct damage none = { 0 }, d = { KINDS(BAD_LEAF_HUGE) };
	struct findings findings;
	struct synth s;
	void *mem = build(&s, 2);
	__u64 addr;
	__u32 i;

	build_huge(&s);
	look(&s, 2, &findings);
	show(&findings, &none, "a page of 2 MiB", true);
	findings_free(&findings);

	s.vmas[VMA_HEAP].flags &= ~htole32(CXLFORK_VMA_READ | CXLFORK_VMA_WRITE);
	for (i = 0; i < CXLFORK_LEAF_ENTRIES; i++) {
		addr = le64toh(s.tables[1][i]) & PFN;
		s.tables[1][i] = htole64((~addr & PFN) | HIDDEN_BITS);
	}
	look(&s, 2, &findings);
	show(&findings, &d, "a page of 2 MiB, not to be accessed", true);
	findings_free(&findings);
	free(mem);
}

void test_large(void)
{
	test_long_string();
	test_many_fds();
	test_huge();
}
