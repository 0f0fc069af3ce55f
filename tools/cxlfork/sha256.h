/* SPDX-License-Identifier: GPL-2.0 */
/* SHA-256 (FIPS 180-4). */
#ifndef CXLFORK_SHA256_H
#define CXLFORK_SHA256_H

#include <stddef.h>
#include <linux/types.h>

#define SHA256_BYTES		32
#define SHA256_BLOCK		64
#define SHA256_TEXT_MAX		(2 * SHA256_BYTES + 1)

/**
 * struct sha256 - a hash that is being made
 * @state:	so far
 * @total:	bytes taken
 * @block:	those of them that do not fill a block yet
 */
struct sha256 {
	__u32	state[8];
	__u64	total;
	__u8	block[SHA256_BLOCK];
};

void sha256_start(struct sha256 *hash);
void sha256_take(struct sha256 *hash, const void *data, size_t size);
/* The hash in hexadecimal; @text has SHA256_TEXT_MAX bytes. */
const char *sha256_text(struct sha256 *hash, char *text);

#endif /* CXLFORK_SHA256_H */
