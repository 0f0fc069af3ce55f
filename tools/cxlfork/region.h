/* SPDX-License-Identifier: GPL-2.0 */
/* The bytes of a CXL region, from wherever they can be read. */
#ifndef CXLFORK_REGION_H
#define CXLFORK_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

/**
 * struct region - what is read
 * @size:	bytes
 * @fd:		control device of a pool, or backing file
 * @memory:	read this instead of @fd, if set
 */
struct region {
	__u64		size;
	int		fd;
	const void	*memory;
};

/* Open the backing file of a region, or a device; 0, or -1 and errno. */
int region_open(struct region *region, const char *path);
/* The region of a pool that is open. */
int region_of_pool(struct region *region, int pool);
void region_close(struct region *region);

/* All of [@offset, @offset + @size); or false, and errno. */
bool region_read(const struct region *region, __u64 offset, void *to,
		 size_t size);

/* What the errno of region_read() means. */
const char *region_strerror(int err);

#endif /* CXLFORK_REGION_H */
