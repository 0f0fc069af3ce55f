// SPDX-License-Identifier: GPL-2.0
/*
 * The format's checker: a pool that is right is clean; one with any field
 * damaged is not, exactly what is wrong is said, and it is read without harm.
 */
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsck_test.h"
#include "tap.h"

/* Kinds of findings that a case has shown. */
static bool shown[NR_FINDING_KINDS];

/* What a check of @synth finds; @findings to be freed. */
static enum super_state run(const struct synth *synth, bool lives,
			    struct fsck_counts *counts,
			    struct findings *findings)
{
	struct region region = { .size = SYNTH_SIZE, .memory = synth->mem };
	struct fsck_pulse pulse = { .taken = lives };

	/* An earlier look saw other heartbeats: none. */
	memset(findings, 0, sizeof(*findings));
	return fsck_run(&region, &pulse, counts, findings);
}

size_t problems(const struct synth *synth)
{
	struct findings findings;
	struct fsck_counts counts;
	size_t nr;

	run(synth, true, &counts, &findings);
	nr = findings.nr;
	findings_free(&findings);
	return nr;
}

static void print_findings(const struct findings *findings)
{
	char line[FINDING_LINE];
	size_t i;

	for (i = 0; i < findings_listed(findings); i++)
		printf("# %s: %s\n", findings->list[i].place,
		       finding_line(&findings->list[i], line));
}

static void test_clean(struct synth *s)
{
	struct findings findings;
	struct fsck_counts counts;

	ok(run(s, true, &counts, &findings) == SUPER_OK && !findings.nr,
	   "a pool that is right is clean");
	print_findings(&findings);
	findings_free(&findings);
	ok(counts.hosts == SYNTH_HOSTS && counts.ckpts == 4 &&
	   counts.images == 2 && counts.leaves == 2 * SYNTH_NR_LEAVES &&
	   counts.pages == SYNTH_NR_PAGES + 1 && counts.parents == 1 &&
	   counts.refs == 1 && counts.extents_used == 5 &&
	   counts.extents_free == 2 && !counts.doubts,
	   "all of it was looked at");
}

/* Flip one bit of every byte of a structure: its CRC has to tell. */
static void sweep_bytes(struct synth *s, const char *name, void *at,
			size_t size, size_t step)
{
	__u8 *bytes = at;
	size_t i, missed = 0;

	for (i = 0; i < size; i += step) {
		bytes[i] ^= 1 << (i % 8);
		if (!problems(s)) {
			printf("# byte %zu of %s\n", i, name);
			missed++;
		}
		bytes[i] ^= 1 << (i % 8);
	}
	ok(!missed, "%s: each byte damaged is noticed", name);
}

static void test_crcs(struct synth *s)
{
	const struct cxlfork_section *sec = s->image->sections;
	char name[32];
	int i;

	sweep_bytes(s, "superblock", s->super, 128, 1);
	sweep_bytes(s, "superblock's rest", s->super->reserved,
		    sizeof(s->super->reserved), 97);
	sweep_bytes(s, "host slot", &s->slots[0].host,
		    offsetof(struct cxlfork_host, claim), 1);
	sweep_bytes(s, "directory entry", &s->entry->head, sizeof(*s->entry) -
		    offsetof(struct cxlfork_ckpt_entry, head), 1);
	sweep_bytes(s, "image header", s->image,
		    offsetof(struct cxlfork_image, reserved), 1);
	sweep_bytes(s, "image header's rest", s->image->reserved,
		    sizeof(s->image->reserved), 97);
	sweep_bytes(s, "table of extents", s->extents, 8, 1);
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		snprintf(name, sizeof(name), "section %d", i);
		sweep_bytes(s, name, (__u8 *)s->image + le64toh(sec[i].offset),
			    le64toh(sec[i].length), 3);
	}
}

static void poke(const struct poke *p)
{
	__le64 number = htole64(p->value);

	memcpy(p->at, &number, p->size);
}

/* Are the findings of these kinds, all of them and no others? */
static bool exactly(const struct findings *findings, const struct damage *d)
{
	bool found[NR_FINDING_KINDS] = { 0 };
	unsigned int k;
	size_t i;

	for (i = 0; i < findings_listed(findings); i++)
		found[findings->list[i].kind] = true;
	for (k = 0; k < d->nr_kinds; k++) {
		if (!found[d->kinds[k]])
			return false;
		found[d->kinds[k]] = false;
	}
	for (k = 0; k < NR_FINDING_KINDS; k++)
		if (found[k])
			return false;
	return true;
}

void show(const struct findings *findings, const struct damage *d,
	  const char *name, bool passed)
{
	unsigned int k;

	if (!ok(passed && exactly(findings, d), "%s", name)) {
		for (k = 0; k < d->nr_kinds; k++)
			printf("# wanted: %s\n", finding_word(d->kinds[k]));
		print_findings(findings);
		return;
	}
	for (k = 0; k < d->nr_kinds; k++)
		shown[d->kinds[k]] = true;
}

void try_damage(struct synth *s, const struct damage *d)
{
	struct findings findings;
	struct fsck_counts counts;
	void *mem = s->mem;
	int i;

	for (i = 0; i < POKES_MAX && d->pokes[i].at; i++)
		poke(&d->pokes[i]);
	if (!d->raw)
		synth_seal(s);
	run(s, d->lives, &counts, &findings);
	show(&findings, d, d->name, counts.doubts == d->doubts);
	findings_free(&findings);
	synth_build(s, mem);
}

/* Extents that no image can be in, on a pool that isn't coherent. */
static void test_shares(struct synth *s)
{
	const struct damage d = { .nr_kinds = 1, .kinds = { BAD_EXTENT_SHARE } };
	struct region region = { .memory = s->mem };
	struct fsck_pulse pulse = { 0 };
	struct findings findings = { 0 };
	struct fsck_counts counts;
	const __u32 nr = 8 + 8 * SYNTH_SLOTS;
	void *mem = s->mem;

	/* More of them than there is memory for, but nothing is in those. */
	region.size = nr * CXLFORK_EXTENT_SIZE;
	s->super->flags = 0;
	s->super->nr_extents = htole32(nr);
	s->super->size = htole64(region.size);
	synth_seal(s);
	fsck_run(&region, &pulse, &counts, &findings);
	show(&findings, &d, "extents outside of all shares", true);
	findings_free(&findings);
	/* slot 1's, of which one is claimed by slot 0 */
	memset(s->etable + 1, 0, 7 * sizeof(*s->etable));
	s->writing->bytes = htole64(2 * CXLFORK_EXTENT_SIZE);
	s->etable[16] = htole64(SYNTH_WRITING_ID);
	s->etable[23] = htole64(SYNTH_WRITING_ID);
	s->entry->word = 0;
	s->child->word = 0;
	memset(s->slots[1].refs, 0, sizeof(s->slots[1].refs));
	memset(s->slots[1].keeps, 0, sizeof(s->slots[1].keeps));
	memset(s->slots[1].restored, 0, sizeof(s->slots[1].restored));
	memset(s->slots[0].keeps, 0, sizeof(s->slots[0].keeps));
	memset(s->slots[2].refs, 0, sizeof(s->slots[2].refs));
	synth_seal(s);
	fsck_run(&region, &pulse, &counts, &findings);
	ok(!findings.nr, "extents in the share of their host");
	print_findings(&findings);
	findings_free(&findings);
	s->etable[15] = htole64(SYNTH_WRITING_ID);
	s->etable[16] = 0;
	fsck_run(&region, &pulse, &counts, &findings);
	show(&findings, &d, "an extent in another host's share", true);
	findings_free(&findings);
	synth_build(s, mem);
}

/* The medium fails behind the first extents. */
static void test_unreadable(struct synth *s)
{
	const struct damage d = { .nr_kinds = 1, .kinds = { BAD_UNREADABLE } };
	struct region region = { .size = SYNTH_SIZE };
	char path[] = "/tmp/cxlfork-fsck-XXXXXX";
	struct fsck_pulse pulse = { 0 };
	struct findings findings = { 0 };
	struct fsck_counts counts;

	region.fd = mkstemp(path);
	unlink(path);
	ok(region.fd >= 0 && write(region.fd, s->mem, 2 << 21) == 2 << 21,
	   "a region that ends early");
	fsck_run(&region, &pulse, &counts, &findings);
	show(&findings, &d, "images that can't be read", true);
	findings_free(&findings);
	region_close(&region);
}

/* What a look finds only if the one before has found it as well. */
static void test_common(void)
{
	struct findings one = { 0 }, two = { 0 };

	findings_at(&one, "here");
	findings_at(&two, "here");
	problem(&one, BAD_REF_WRITING, "passing");
	problem(&one, BAD_KEEP_LOW, "staying");
	problem(&two, BAD_KEEP_HIGH, "staying");
	problem(&two, BAD_KEEP_LOW, "staying");
	findings_common(&two, &one);
	ok(two.nr == 1 && two.list[0].kind == BAD_KEEP_LOW,
	   "only what two looks have found");
	findings_free(&two);
	problem(&two, BAD_KEEP_LOW, "staying");
	findings_common(&two, &one);
	ok(!two.nr, "and in the same place");
	findings_free(&one);
	findings_free(&two);
}

static void test_kinds(void)
{
	unsigned int k, j, missing = 0;

	for (k = 0; k < NR_FINDING_KINDS; k++) {
		if (!shown[k]) {
			printf("# no case has shown: %s\n", finding_word(k));
			missing++;
		}
		for (j = 0; j < k; j++)
			if (!strcmp(finding_word(j), finding_word(k)))
				missing++;
	}
	ok(!missing, "each of %u kinds of findings has a case, and a word of its own",
	   NR_FINDING_KINDS);
}

/* Every field of the header, all ones or zero, with right CRCs: no harm. */
static void test_header_sweep(struct synth *s)
{
	size_t i, end = offsetof(struct cxlfork_image, reserved);
	__u8 *header = (__u8 *)s->image;
	void *mem = s->mem;

	for (i = sizeof(struct cxlfork_head); i < end; i += 4) {
		memset(header + i, 0xff, 4);
		synth_seal(s);
		problems(s);
		memset(header + i, 0, 4);
		synth_seal(s);
		problems(s);
		synth_build(s, mem);
	}
	ok(true, "header fields all ones and zero: read without harm");
}

int main(void)
{
	void *mem = malloc(SYNTH_SIZE);
	size_t tried, missed;
	struct synth synth;

	if (!mem)
		return 2;
	synth_build(&synth, mem);
	test_clean(&synth);
	test_crcs(&synth);
	test_pool_damage(&synth);
	test_image_damage(&synth);
	test_shares(&synth);
	test_unreadable(&synth);
	test_common();
	test_large();
	test_kinds();
	test_header_sweep(&synth);
	tried = sweep_pool(&synth, &missed);
	ok(!missed && tried > 5000, "%zu bits of the pool's own data: each is looked at",
	   tried);
	free(mem);
	return tap_done();
}
