// SPDX-License-Identifier: GPL-2.0
/* The bytes of a CXL region, from wherever they can be read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cxlfork.h"
#include "region.h"

int region_of_pool(struct region *region, int pool)
{
	struct cxlfork_pool_info info;

	if (cxlfork_pool_info(pool, &info))
		return -1;
	memset(region, 0, sizeof(*region));
	region->fd = pool;
	region->size = info.size;
	return 0;
}

int region_open(struct region *region, const char *path)
{
	off_t size;
	int fd, err;

	memset(region, 0, sizeof(*region));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size = lseek(fd, 0, SEEK_END);
	if (size < 0) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	region->fd = fd;
	region->size = size;
	return 0;
}

void region_close(struct region *region)
{
	if (!region->memory && region->fd >= 0)
		close(region->fd);
	region->fd = -1;
}

bool region_read(const struct region *region, __u64 offset, void *to,
		 size_t size)
{
	char *at = to;

	if (offset > region->size || size > region->size - offset) {
		errno = ENXIO;
		return false;
	}
	if (region->memory) {
		memcpy(to, (const char *)region->memory + offset, size);
		return true;
	}
	while (size) {
		ssize_t n = pread(region->fd, at, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			errno = EIO;	/* it has become shorter */
		if (n <= 0)
			return false;
		at += n;
		offset += n;
		size -= n;
	}
	return true;
}

const char *region_strerror(int err)
{
	if (err == EPERM)
		return "the memory of a pool is read with CAP_SYS_ADMIN";
	return strerror(err);
}
