// SPDX-License-Identifier: GPL-2.0
/* CRC32C (Castagnoli), by table. */
#include "crc32c.h"

#define POLYNOMIAL	0x82f63b78U	/* reflected */

static __u32 table[256];

static void fill_table(void)
{
	__u32 i, bit, value;

	for (i = 0; i < 256; i++) {
		value = i;
		for (bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ POLYNOMIAL :
					    value >> 1;
		table[i] = value;
	}
}

static __u32 update(__u32 crc, const void *data, size_t size)
{
	const __u8 *at = data;

	if (!table[1])
		fill_table();
	while (size--)
		crc = crc >> 8 ^ table[(crc ^ *at++) & 0xff];
	return crc;
}

__u32 crc32c(const void *data, size_t size)
{
	return ~update(~0U, data, size);
}

__u32 crc32c_head(const void *data, const struct cxlfork_head *head,
		  size_t length)
{
	const __u8 *start = data, *field = (const __u8 *)&head->crc;
	const __u8 *rest = field + sizeof(head->crc);
	static const __u8 zero[sizeof(head->crc)];
	__u32 crc;

	crc = update(~0U, start, field - start);
	crc = update(crc, zero, sizeof(zero));
	return ~update(crc, rest, start + length - rest);
}
