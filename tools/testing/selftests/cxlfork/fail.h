/* SPDX-License-Identifier: GPL-2.0 */
/* Allocations that fail (CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC, debugfs). */
#ifndef FAIL_H
#define FAIL_H

#include <stdbool.h>

bool fail_begin(bool slab);
void fail_end(void);
void fail_nth(unsigned int nth);
bool fail_done(void);

#define NO_FAULT_INJECTION "no fault injection: needs CONFIG_FAIL_PAGE_ALLOC and debugfs"

#endif /* FAIL_H */
