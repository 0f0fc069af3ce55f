// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer target: changes to a pool that was right, then all checks.
 *
 * The input is a sequence of changes: where (3 bytes, in the metadata or in
 * an image's first extent), how many bytes (1), the bytes.  CRCs are made
 * right again, as a hostile host would do, unless the first byte says not to.
 */
#include <stdlib.h>
#include <string.h>

#include "fsck.h"
#include "fuzz.h"
#include "synth.h"

/* What is worth changing: metadata, and the images up to their leaf tables. */
#define META_BYTES	(SYNTH_ETABLE_OFF + SYNTH_EXTENTS * sizeof(__le64))
#define IMAGE_BYTES	(40960UL)

static __u8 *place(const struct synth *s, __u32 at)
{
	at %= META_BYTES + 2 * IMAGE_BYTES;
	if (at < META_BYTES)
		return s->mem + at;
	at -= META_BYTES;
	if (at < IMAGE_BYTES)
		return (__u8 *)s->image + at;
	return (__u8 *)s->child_image + at - IMAGE_BYTES;
}

static void put_right(void *image, const struct synth *s, const __u8 *right)
{
	memcpy(image, right + ((__u8 *)image - s->mem), IMAGE_BYTES + 8);
}

int fuzz_format(const __u8 *data, size_t size)
{
	static struct synth synth;
	static void *mem, *right;
	struct region region = { .size = SYNTH_SIZE };
	struct findings findings = { 0 };
	struct fsck_pulse pulse = { 0 };
	struct fsck_counts counts;
	bool seal;

	if (!mem) {
		mem = malloc(SYNTH_SIZE);
		right = malloc(SYNTH_SIZE);
		if (!mem || !right)
			abort();
		synth_build(&synth, mem);
		memcpy(right, mem, SYNTH_SIZE);
	}
	if (!size)
		return 0;
	seal = !(data[0] & 1);
	pulse.taken = data[0] & 2;	/* all hosts are seen to live */
	data++;
	size--;
	while (size > 4) {
		__u32 at = data[0] | data[1] << 8 | data[2] << 16;
		size_t n = data[3] % 9;

		data += 4;
		size -= 4;
		if (n > size)
			n = size;
		memcpy(place(&synth, at), data, n);
		data += n;
		size -= n;
	}
	if (seal)
		synth_seal(&synth);
	region.memory = mem;
	fsck_run(&region, &pulse, &counts, &findings);
	findings_free(&findings);
	/* put right what can have been changed */
	memcpy(mem, right, META_BYTES);
	put_right(synth.image, &synth, right);
	put_right(synth.child_image, &synth, right);
	return 0;
}
