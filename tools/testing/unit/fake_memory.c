// SPDX-License-Identifier: GPL-2.0
/*
 * To be preloaded: memory of FAKE_NO_MEMORY bytes, exactly that many, is not to
 * be had.
 */
#include <errno.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
	const char *refused = getenv("FAKE_NO_MEMORY");

	if (!refused || size != strtoul(refused, NULL, 10))
		return __libc_malloc(size);
	errno = ENOMEM;
	return NULL;
}
