/* SPDX-License-Identifier: GPL-2.0 */
/* Little-endian numbers of the on-CXL format. */
#ifndef CXLFORK_LE_H
#define CXLFORK_LE_H

#include <endian.h>
#include <linux/types.h>

/* As __u64, which is not what le64toh() returns, for printf() and friends. */
static inline __u64 le64(__le64 value)
{
	return le64toh(value);
}

static inline __u32 le32(__le32 value)
{
	return le32toh(value);
}

#endif /* CXLFORK_LE_H */
