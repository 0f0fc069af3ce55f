// SPDX-License-Identifier: GPL-2.0
/* SHA-256 (FIPS 180-4). */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "sha256.h"

static const __u32 k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline __u32 ror(__u32 x, int n)
{
	return x >> n | x << (32 - n);
}

static void block(__u32 *state, const __u8 *data)
{
	__u32 w[64], s[8], t1, t2;
	int i;

	memcpy(w, data, SHA256_BLOCK);
	for (i = 0; i < 16; i++)
		w[i] = be32toh(w[i]);
	for (; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^
			w[i - 15] >> 3) +
		       (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);

	memcpy(s, state, sizeof(s));
	for (i = 0; i < 64; i++) {
		t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
		     ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
		t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
		     ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
		memmove(s + 1, s, 7 * sizeof(*s));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (i = 0; i < 8; i++)
		state[i] += s[i];
}

void sha256_start(struct sha256 *hash)
{
	static const __u32 start[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memcpy(hash->state, start, sizeof(start));
	hash->total = 0;
}

void sha256_take(struct sha256 *hash, const void *data, size_t size)
{
	size_t have = hash->total % SHA256_BLOCK, part;
	const __u8 *at = data;

	hash->total += size;
	if (have) {
		part = SHA256_BLOCK - have;
		if (part > size)
			part = size;
		memcpy(hash->block + have, at, part);
		if (have + part < SHA256_BLOCK)
			return;
		block(hash->state, hash->block);
		at += part;
		size -= part;
	}
	for (; size >= SHA256_BLOCK; at += SHA256_BLOCK, size -= SHA256_BLOCK)
		block(hash->state, at);
	memcpy(hash->block, at, size);
}

const char *sha256_text(struct sha256 *hash, char *text)
{
	static const __u8 end[SHA256_BLOCK] = { 0x80 };
	__u64 bits = htobe64(hash->total * 8);
	size_t have = hash->total % SHA256_BLOCK;
	int i;

	sha256_take(hash, end, 1 + (SHA256_BLOCK + 55 - have) % SHA256_BLOCK);
	sha256_take(hash, &bits, sizeof(bits));
	for (i = 0; i < 8; i++)
		sprintf(text + 8 * i, "%08x", hash->state[i]);
	return text;
}
