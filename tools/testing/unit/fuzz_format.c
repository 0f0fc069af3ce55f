// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer target: changes to a pool that was right, then all checks.
 *
 * The input is a sequence of changes: where (3 bytes, in the metadata or in
 * the image's first extent), how many bytes (1), the bytes.  CRCs are made
 * right again, as a hostile host would do, unless the first byte is odd.
 */
#include <stdlib.h>
#include <string.h>

#include "fsck.h"
#include "fuzz.h"
#include "synth.h"

/* What is worth changing: metadata, and the image up to its leaf tables. */
#define META_BYTES	(SYNTH_ETABLE_OFF + SYNTH_EXTENTS * sizeof(__le64))
#define IMAGE_BYTES	(40960UL)

static __u8 *place(const struct synth *s, __u32 at)
{
	at %= META_BYTES + IMAGE_BYTES;
	if (at < META_BYTES)
		return s->mem + at;
	return (__u8 *)s->image + at - META_BYTES;
}

int fuzz_format(const __u8 *data, size_t size)
{
	static struct synth synth;
	static void *mem, *right;
	struct region region = { .size = SYNTH_SIZE };
	struct findings findings = { 0 };
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
	fsck_run(&region, &counts, &findings);
	findings_free(&findings);
	/* put right what can have been changed */
	memcpy(mem, right, META_BYTES);
	memcpy(synth.image, (__u8 *)right + ((__u8 *)synth.image - synth.mem),
	       IMAGE_BYTES + 8);
	return 0;
}
