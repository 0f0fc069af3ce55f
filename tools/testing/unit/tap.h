/* SPDX-License-Identifier: GPL-2.0 */
/* Test Anything Protocol. */
#ifndef CXLFORK_TAP_H
#define CXLFORK_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "util.h"

static unsigned int tap_nr, tap_failed;

/* One test's outcome. */
static inline bool __printf(2, 3)
ok(bool passed, const char *fmt, ...)
{
	va_list args;

	printf("%sok %u ", passed ? "" : "not ", ++tap_nr);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	if (!passed)
		tap_failed++;
	return passed;
}

/* Print the plan; the exit status. */
static inline int tap_done(void)
{
	printf("1..%u\n", tap_nr);
	return tap_failed ? 1 : 0;
}

#endif /* CXLFORK_TAP_H */
