// SPDX-License-Identifier: GPL-2.0
/* The checker's cases: sections that are as large as somebody could make them. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crc32c.h"
#include "fsck_test.h"

/* Takes minutes where the time goes with the square of the size, else none. */
#define HANGS		60	/* seconds */
#define STRINGS		12	/* extents */
#define FILES		12

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
	const struct damage d = { KINDS(BAD_PATH) };
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

void test_large(void)
{
	test_long_string();
}
