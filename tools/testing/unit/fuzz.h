/* SPDX-License-Identifier: GPL-2.0 */
/* The name that libFuzzer calls. */
#ifndef CXLFORK_FUZZ_H
#define CXLFORK_FUZZ_H

#include <stddef.h>
#include <linux/types.h>

int fuzz_format(const __u8 *data, size_t size)
	__asm__("LLVMFuzzerTestOneInput");

#endif /* CXLFORK_FUZZ_H */
