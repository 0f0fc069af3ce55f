/* SPDX-License-Identifier: GPL-2.0 */
/* The checksum of the on-CXL format. */
#ifndef _CXLFORK_CRC_H
#define _CXLFORK_CRC_H

#include <linux/crc32c.h>
#include <linux/cxlfork.h>

static inline u32 cxlfork_crc(const void *data, size_t len)
{
	return ~crc32c(~0, data, len);
}

/* CRC of a structure in local memory that starts with @head. */
static inline u32 cxlfork_head_crc(const struct cxlfork_head *head, size_t len)
{
	struct cxlfork_head first = *head;
	u32 crc;

	first.crc = 0;
	crc = crc32c(~0, &first, sizeof(first));
	return ~crc32c(crc, head + 1, len - sizeof(first));
}

static inline void cxlfork_seal(struct cxlfork_head *head, u32 magic, size_t len)
{
	head->magic = cpu_to_le32(magic);
	head->version = cpu_to_le32(CXLFORK_FORMAT_VERSION);
	head->length = cpu_to_le32(len);
	head->crc = cpu_to_le32(cxlfork_head_crc(head, len));
}

#endif /* _CXLFORK_CRC_H */
