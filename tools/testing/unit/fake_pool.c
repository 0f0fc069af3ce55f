// SPDX-License-Identifier: GPL-2.0
/*
 * To be preloaded: the control device, played, so that the commands that look
 * after a pool can be tested on any kernel.  A process has its own, and it
 * begins anew with each.
 *
 * Hosts: node0 is this one, node1 is silent, node2 is declared dead and node0
 * takes care of it; slot 3 is free.  A checkpoint takes one extent, one is free.
 *
 * An exported checkpoint is STREAM bytes, "x" each.  FAKE_SLOW=N: they come one
 * by one, in N tenths of a second; FAKE_BROKEN: none can be read.  FAKE_USER:
 * nobody special asks.  FAKE_QUIET: what is set is not said.  FAKE_NO_SYNC: a
 * folder can't be brought to the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cxlfork.h"
#include "util.h"

#define EXTENT		(2ULL << 20)
#define OTHER_UID	1234
#define STREAM		40

/* Times of checkpoints: long ago, so that what expires has expired. */
static struct cxlfork_ckpt_info ckpts[] = {
	{ .id = 0x10100, .name = "web", .created = 1000, .restored = 5000 },
	{ .id = 0x10101, .name = "old", .created = 1000 },
	{ .id = 0x10102, .name = "busy", .created = 900, .refs = 2, .held = 2 },
	{ .id = 0x10103, .name = "kept", .created = 800, .keeps = 1 },
	{ .id = 0x10104, .name = "child", .created = 900, .restored = 3000,
	  .nr_parents = 1 },
	{ .id = 0x10105, .name = "pinned", .created = 900, .pins = 5 },
	{ .id = 0x10106, .name = "new", .state = CXLFORK_CKPT_WRITING },
	{ .id = 0x10200, .name = "late", .created = 6000, .expires = 7000 },
	{ .id = 0x10201, .name = "used", .created = 6000, .expires = 7000,
	  .refs = 1, .held = 1 },
	{ .id = 0x10300, .name = "theirs", .created = 500, .uid = OTHER_UID },
	{ .id = 0x10301, .name = "web", .created = 9000, .uid = OTHER_UID },
	/* as the system call takes it, not the command */
	{ .id = 0x10302, .name = "4711", .created = 900, .pins = 1 },
};

static __u64 free_extents = 1;

static struct cxlfork_ckpt_info *find(__u64 id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ckpts); i++)
		if (ckpts[i].id == id && ckpts[i].bytes)
			return &ckpts[i];
	return NULL;
}

static void begin(void)
{
	static bool begun;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ckpts) && !begun; i++) {
		ckpts[i].bytes = EXTENT;
		ckpts[i].owner = (ckpts[i].id >> 8 & 0xff) - 1;
		if (!ckpts[i].state)
			ckpts[i].state = CXLFORK_CKPT_LIVE;
	}
	begun = true;
}

static int fake_info(struct cxlfork_pool_info *info)
{
	memset(info, 0, sizeof(*info));
	info->state = CXLFORK_POOL_ATTACHED;
	info->version = 2;
	info->size = 16 * EXTENT;
	info->extent_size = EXTENT;
	info->nr_extents = 13;
	info->free_extents = free_extents;
	info->nr_slots = 4;
	info->flags = CXLFORK_POOL_COHERENT;
	return 0;
}

static int fake_host(struct cxlfork_host_info *info)
{
	__u32 slot = info->slot;

	memset(info, 0, sizeof(*info));
	info->slot = slot;
	info->caretaker = ~0U;
	if (slot > 2)
		return 0;
	info->state = slot == 2 ? CXLFORK_HOST_FENCED : CXLFORK_HOST_ALIVE;
	if (slot == 2)
		info->caretaker = 0;
	info->silent_ms = slot ? 60000 : 0;
	info->boot_epoch = slot + 1;
	snprintf(info->name, sizeof(info->name), "node%u", slot);
	return 0;
}

static int fake_list(struct cxlfork_ckpt_info *info)
{
	__u64 i;

	for (i = info->cursor; i < ARRAY_SIZE(ckpts); i++) {
		if (!ckpts[i].bytes)
			continue;
		*info = ckpts[i];
		info->cursor = i + 1;
		return 0;
	}
	return -ENOENT;
}

static int fake_remove(const __u64 *id)
{
	struct cxlfork_ckpt_info *ckpt = find(*id);

	if (!ckpt)
		return -ENOENT;
	if (ckpt->uid == OTHER_UID)
		return -EPERM;
	if (ckpt->pins)
		return -EBUSY;
	if (ckpt->refs || ckpt->keeps) {
		ckpt->state = CXLFORK_CKPT_RETIRING;
		return 0;
	}
	if (ckpt->nr_parents)
		find(0x10103)->keeps--;
	ckpt->bytes = 0;
	free_extents++;
	return 0;
}

static int fake_fence(struct cxlfork_pool_fence *fence)
{
	if (fence->flags & CXLFORK_FENCE_FORCE)
		return 0;
	snprintf(fence->reason, sizeof(fence->reason),
		 "the host in slot %u is alive; switch it off first",
		 fence->slot);
	return -EBUSY;
}

static int fake_set(const struct cxlfork_ckpt_set *set)
{
	struct cxlfork_ckpt_info *ckpt = find(set->id);

	if (!ckpt)
		return -ENOENT;
	if (set->flags & CXLFORK_SET_TTL && ckpt->owner)
		return -EREMOTE;
	if (getenv("FAKE_QUIET"))
		return 0;
	if (set->flags & CXLFORK_SET_TTL)
		printf("expires in %llu s\n", set->ttl);
	else
		printf("%s\n", set->flags & CXLFORK_SET_PIN ? "pinned" :
							      "let go");
	return 0;
}

static void fill_pipe(int to, int tenths)
{
	int i;

	if (fork())
		return;
	for (i = 0; i < STREAM; i++) {
		usleep(tenths * 100000 / STREAM);
		if (write(to, "x", 1) != 1)
			break;
	}
	_exit(0);
}

static int fake_export(struct cxlfork_export *args)
{
	const char *slow = getenv("FAKE_SLOW");
	struct cxlfork_ckpt_info *ckpt = find(args->id);
	struct cxlfork_report *report = (void *)args->reports;
	int p[2];

	if (ckpt && ckpt->uid == OTHER_UID) {
		if (args->nr_reports) {
			report->reason = CXLFORK_REASON_PERMISSION;
			report->fd = -1;
			snprintf(report->text, sizeof(report->text),
				 "checkpoint belongs to user %u", OTHER_UID);
			args->nr_reports = 1;
		}
		return -EACCES;
	}
	args->nr_reports = 0;
	if (!ckpt)
		return -ENOENT;
	args->bytes = 2 * STREAM;
	/* A folder can be opened, but not read. */
	if (getenv("FAKE_BROKEN"))
		return open("/", O_RDONLY | O_CLOEXEC);
	if (pipe(p))
		return -errno;
	fill_pipe(p[1], slow ? atoi(slow) : 0);
	close(p[1]);
	return p[0];
}

static int fake_import(const struct cxlfork_import *args)
{
	int fd;

	if (args->name)
		printf("name %.*s\n", (int)args->name_len, (char *)args->name);
	if (args->ttl || args->mode || args->flags)
		printf("ttl %llu mode %o flags %llu\n", args->ttl, args->mode,
		       args->flags);
	fd = memfd_create("import", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int fake_commit(int fd, struct cxlfork_commit *args)
{
	struct cxlfork_report *report = (void *)args->reports;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size != STREAM && args->nr_reports) {
		report->reason = CXLFORK_REASON_STREAM;
		report->fd = -1;
		snprintf(report->text, sizeof(report->text),
			 "the stream is damaged at byte %llu: it ends too early",
			 (__u64)st.st_size);
	}
	args->nr_reports = st.st_size != STREAM;
	args->id = 0x10107;
	return st.st_size == STREAM ? 0 : -EBADMSG;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int err;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	begin();
	switch (request) {
	case CXLFORK_IOC_INFO:
		err = fake_info(arg);
		break;
	case CXLFORK_IOC_HOST:
		err = fake_host(arg);
		break;
	case CXLFORK_IOC_LIST:
		err = fake_list(arg);
		break;
	case CXLFORK_IOC_REMOVE:
		err = fake_remove(arg);
		break;
	case CXLFORK_IOC_FENCE:
		err = fake_fence(arg);
		break;
	case CXLFORK_IOC_SET:
		err = fake_set(arg);
		break;
	case CXLFORK_IOC_EXPORT:
		err = fake_export(arg);
		break;
	case CXLFORK_IOC_IMPORT:
		err = fake_import(arg);
		break;
	case CXLFORK_IOC_LOST:
		err = getenv("FAKE_USER") ? -EPERM : -ENOENT;
		break;
	case CXLFORK_IOC_COMMIT:
		err = fake_commit(fd, arg);
		break;
	default:
		err = -ENOTTY;
	}
	if (err >= 0)
		return err;
	errno = -err;
	return -1;
}

ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
	if (!getenv("FAKE_USER"))
		return syscall(SYS_pread64, fd, to, size, offset);
	errno = EPERM;
	return -1;
}

int fsync(int fd)
{
	struct stat st;

	if (!getenv("FAKE_NO_SYNC") || fstat(fd, &st) || !S_ISDIR(st.st_mode))
		return syscall(SYS_fsync, fd);
	errno = EIO;
	return -1;
}
