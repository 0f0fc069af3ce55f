/* SPDX-License-Identifier: GPL-2.0 */
/* CRC32C as the on-CXL format uses it. */
#ifndef CXLFORK_CRC32C_H
#define CXLFORK_CRC32C_H

#include <stddef.h>
#include <linux/types.h>
#include <linux/cxlfork_format.h>

/* Seed ~0, result inverted. */
__u32 crc32c(const void *data, size_t size);

/*
 * Of @length bytes at @data, with head->crc taken for zero; @head lies in them.
 */
__u32 crc32c_head(const void *data, const struct cxlfork_head *head,
		  size_t length);

#endif /* CXLFORK_CRC32C_H */
