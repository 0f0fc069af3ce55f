// SPDX-License-Identifier: GPL-2.0
/* The control device: what is in the pool, and who uses it. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cxlfork.h"

int cxlfork_open(const char *path)
{
	if (!path)
		path = getenv("CXLFORK_POOL");
	if (!path || !*path)
		path = CXLFORK_DEVICE;
	return open(path, O_RDWR | O_CLOEXEC);
}

int cxlfork_pool_info(int pool, struct cxlfork_pool_info *info)
{
	memset(info, 0, sizeof(*info));
	if (ioctl(pool, CXLFORK_IOC_INFO, info))
		return -1;
	info->reason[sizeof(info->reason) - 1] = '\0';
	return 0;
}

int cxlfork_host_info(int pool, unsigned int slot,
		      struct cxlfork_host_info *info)
{
	memset(info, 0, sizeof(*info));
	info->slot = slot;
	if (ioctl(pool, CXLFORK_IOC_HOST, info))
		return -1;
	info->name[sizeof(info->name) - 1] = '\0';
	info->kernel[sizeof(info->kernel) - 1] = '\0';
	return 0;
}

int cxlfork_pool_format(int pool, struct cxlfork_pool_format *format)
{
	int ret = ioctl(pool, CXLFORK_IOC_FORMAT, format) ? -1 : 0;

	format->reason[sizeof(format->reason) - 1] = '\0';
	return ret;
}

int cxlfork_pool_fence(int pool, struct cxlfork_pool_fence *fence)
{
	int ret = ioctl(pool, CXLFORK_IOC_FENCE, fence) ? -1 : 0;

	fence->reason[sizeof(fence->reason) - 1] = '\0';
	return ret;
}

/* Is this the number of a slot, and of this one? */
static bool is_slot(const char *text, unsigned int slot)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", slot);
	return !strcmp(text, number);
}

int cxlfork_find_host(int pool, const char *what,
		      struct cxlfork_host_info *info)
{
	struct cxlfork_host_info host;
	struct cxlfork_pool_info all;
	unsigned int slot, nr = 0;

	if (cxlfork_pool_info(pool, &all))
		return -1;
	for (slot = 0; slot < all.nr_slots; slot++) {
		if (cxlfork_host_info(pool, slot, &host))
			return -1;
		if (host.state == CXLFORK_HOST_FREE)
			continue;
		if (is_slot(what, slot)) {
			*info = host;
			return 0;
		}
		if (strcmp(host.name, what))
			continue;
		*info = host;
		nr++;
	}
	if (nr == 1)
		return 0;
	errno = nr ? ENOTUNIQ : ENOENT;
	return -1;
}

int cxlfork_pool_drain(int pool, struct cxlfork_pool_drain *drain)
{
	return ioctl(pool, CXLFORK_IOC_DRAIN, drain) ? -1 : 0;
}

int cxlfork_next_lost(int pool, struct cxlfork_lost *lost)
{
	if (ioctl(pool, CXLFORK_IOC_LOST, lost))
		return errno == ENOENT ? 0 : -1;
	return 1;
}

int cxlfork_next(int pool, struct cxlfork_ckpt_info *info)
{
	__u64 cursor = info->cursor;

	memset(info, 0, sizeof(*info));
	info->cursor = cursor;
	if (ioctl(pool, CXLFORK_IOC_LIST, info))
		return errno == ENOENT ? 0 : -1;
	info->name[sizeof(info->name) - 1] = '\0';
	return 1;
}

int cxlfork_lookup(int pool, const char *what, struct cxlfork_ckpt_info *info)
{
	struct cxlfork_ckpt_info next = { 0 };
	unsigned int own = 0, others = 0;
	__u64 id = 0;
	int ret;

	if (!*what) {
		errno = ENOENT;
		return -1;
	}
	cxlfork_parse_id(what, &id);
	while ((ret = cxlfork_next(pool, &next)) > 0) {
		if (id && next.id == id) {
			*info = next;
			return 0;
		}
		if (next.state != CXLFORK_CKPT_LIVE || strcmp(next.name, what))
			continue;
		if (next.uid == geteuid()) {
			*info = next;
			own++;
		} else if (!own) {
			*info = next;
			others++;
		}
	}
	if (ret < 0)
		return -1;
	if (own == 1 || (!own && others == 1))
		return 0;
	errno = own || others ? ENOTUNIQ : ENOENT;
	return -1;
}

int cxlfork_remove(int pool, __u64 id)
{
	__u64 arg = id;

	return ioctl(pool, CXLFORK_IOC_REMOVE, &arg) ? -1 : 0;
}

int cxlfork_pin(int pool, __u64 id, bool pin)
{
	struct cxlfork_ckpt_set set = {
		.flags = pin ? CXLFORK_SET_PIN : CXLFORK_SET_UNPIN,
		.id = id,
	};

	return ioctl(pool, CXLFORK_IOC_SET, &set) ? -1 : 0;
}

int cxlfork_set_ttl(int pool, __u64 id, __u64 ttl)
{
	struct cxlfork_ckpt_set set = { .flags = CXLFORK_SET_TTL, .id = id,
					.ttl = ttl };

	return ioctl(pool, CXLFORK_IOC_SET, &set) ? -1 : 0;
}

bool cxlfork_parse_id(const char *text, __u64 *id)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	unsigned long long value;
	int err, before = errno;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	value = strtoull(text, &end, hex ? 16 : 10);
	err = errno;
	errno = before;
	if (*end || err || !value)
		return false;
	*id = value;
	return true;
}

char *cxlfork_id_text(__u64 id, char *text)
{
	snprintf(text, CXLFORK_ID_TEXT_MAX, "0x%llx", id);
	return text;
}
