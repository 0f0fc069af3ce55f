/* SPDX-License-Identifier: GPL-2.0 */
/* What every program needs and libc does not have. */
#ifndef CXLFORK_UTIL_H
#define CXLFORK_UTIL_H

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define BIT_ULL(nr)		(1ULL << (nr))
#define __noreturn		__attribute__((__noreturn__))
#define __used			__attribute__((__used__))
#define __printf(format, args)	__attribute__((__format__(printf, format, args)))

#endif /* CXLFORK_UTIL_H */
