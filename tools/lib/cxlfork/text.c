// SPDX-License-Identifier: GPL-2.0
/* Words for people: what is the matter, and what to do about it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cxlfork.h"
#include "util.h"

static const struct {
	unsigned int	reason;
	const char	*name;
	const char	*advice;
} reasons[] = {
	{ CXLFORK_REASON_NONE, "none", NULL },
	{ CXLFORK_REASON_THREADS, "threads",
	  "end the other threads before the checkpoint" },
	{ CXLFORK_REASON_SHARED_MM, "shared-mm",
	  "give the process memory of its own (no vfork, no CLONE_VM)" },
	{ CXLFORK_REASON_VMA, "vma",
	  "unmap it, or leave it out with madvise(MADV_DONTFORK)" },
	{ CXLFORK_REASON_FD, "fd",
	  "close it, or mark it for handover" },
	{ CXLFORK_REASON_TASK_STATE, "task-state",
	  "try again when it runs freely" },
	{ CXLFORK_REASON_ARCH, "arch",
	  "only plain 64-bit processes can be cloned" },
	{ CXLFORK_REASON_PATH, "path",
	  "only files that still have a path can be opened again" },
	{ CXLFORK_REASON_PERMISSION, "permission",
	  "needs the right to trace the process and to use the pool" },
	{ CXLFORK_REASON_NO_SPACE, "no-space",
	  "remove checkpoints that are no longer needed (cxlfork rm)" },
	{ CXLFORK_REASON_NAME, "name",
	  "choose another name" },
	{ CXLFORK_REASON_QUOTA, "quota",
	  "remove checkpoints of this user, or raise kernel.cxlfork.quota_mib" },
	{ CXLFORK_REASON_NO_CHECKPOINT, "no-checkpoint",
	  "cxlfork ls shows what there is" },
	{ CXLFORK_REASON_IMAGE, "image",
	  "write the checkpoint anew; cxlfork pool fsck says more" },
	{ CXLFORK_REASON_VERSION, "version",
	  "write and restore with the same version" },
	{ CXLFORK_REASON_KERNEL, "kernel",
	  "restore on a host with the kernel of the checkpoint" },
	{ CXLFORK_REASON_CPU, "cpu",
	  "restore on a host whose CPU has these features" },
	{ CXLFORK_REASON_FILE_CHANGED, "file-changed",
	  "bring back the same file, or write the checkpoint anew" },
	{ CXLFORK_REASON_FILE, "file",
	  "make the file available to the ghost" },
	{ CXLFORK_REASON_HANDOVER, "handover",
	  "cxlfork restore does that with --fd or --listen" },
	{ CXLFORK_REASON_GHOST, "ghost",
	  "restore from a small single-threaded process" },
	{ CXLFORK_REASON_LIMIT, "limit",
	  "raise the ghost's limit" },
	{ CXLFORK_REASON_PAYLOAD, "payload",
	  "pass what the checkpoint has room for" },
	{ CXLFORK_REASON_POOL, "pool",
	  "see cxlfork pool status" },
	{ CXLFORK_REASON_STREAM, "stream",
	  "copy the file again, or export the checkpoint anew" },
};

static const char *advice_of(unsigned int reason)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].advice;
	return NULL;
}

const char *cxlfork_reason_name(unsigned int reason)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].name;
	return "unknown";
}

/* A text that ends in what to do needs no advice. */
static bool advises(const char *text)
{
	return strstr(text, "hand it over") || strstr(text, "delete a");
}

static size_t describe_place(const struct cxlfork_report *report, char *place,
			     size_t size)
{
	int n = 0;

	place[0] = '\0';
	/* The kernel may have said it already. */
	if (!strncmp(report->text, "descriptor ", 11) ||
	    !strncmp(report->text, "mapping ", 8))
		return 0;
	if (report->fd >= 0)
		n = snprintf(place, size, "descriptor %d: ", report->fd);
	else if (report->end)
		n = snprintf(place, size, "mapping 0x%llx-0x%llx: ",
			     report->start,
			     report->end);
	return n;
}

size_t cxlfork_report_line(const struct cxlfork_report *report, char *line,
			   size_t size)
{
	const char *advice = advice_of(report->reason);
	size_t len, i, n = strnlen(report->text, sizeof(report->text));
	char text[sizeof(report->text) + 1], full[CXLFORK_LINE_MAX];

	for (i = 0; i < n; i++)
		text[i] = report->text[i] >= ' ' && report->text[i] <= '~' ?
			  report->text[i] : '?';
	text[n] = '\0';
	if (!n)
		snprintf(text, sizeof(text), "%s (value %llu)",
			 cxlfork_reason_name(report->reason),
			 report->value);

	len = describe_place(report, full, sizeof(full));
	len += snprintf(full + len, sizeof(full) - len, "%s", text);
	if (advice && !advises(text))
		len += snprintf(full + len, sizeof(full) - len, "; %s", advice);
	if (size) {
		if (len >= size)
			len = size - 1;
		memcpy(line, full, len);
		line[len] = '\0';
	}
	return len;
}

const char *cxlfork_ckpt_state_name(unsigned int state)
{
	static const char * const names[] = {
		[CXLFORK_CKPT_FREE]	= "free",
		[CXLFORK_CKPT_WRITING]	= "writing",
		[CXLFORK_CKPT_LIVE]	= "live",
		[CXLFORK_CKPT_RETIRING]	= "retiring",
		[CXLFORK_CKPT_FREEING]	= "freeing",
	};

	return state <= CXLFORK_CKPT_FREEING ? names[state] : "unknown";
}

const char *cxlfork_host_state_name(unsigned int state)
{
	static const char * const names[] = {
		[CXLFORK_HOST_FREE]	= "free",
		[CXLFORK_HOST_ALIVE]	= "alive",
		[CXLFORK_HOST_DETACHED]	= "detached",
		[CXLFORK_HOST_FENCED]	= "fenced",
	};

	return state <= CXLFORK_HOST_FENCED ? names[state] : "unknown";
}

const char *cxlfork_strerror(int err)
{
	switch (err) {
	case ENOSYS:
		return "this kernel has no cxlfork; boot one that is built with CONFIG_CXLFORK";
	case ENOTTY:
		return "this is not the control device of a pool";
	case ENODEV:
	case ENXIO:
		return "no pool is attached; see cxlfork pool status";
	case ENOSPC:
		return "the pool is full; remove checkpoints (cxlfork rm)";
	case EDQUOT:
		return "the quota of its owner is used up (kernel.cxlfork.quota_mib)";
	case ETIME:
		return "the checkpoint has expired";
	case EREMOTE:
		return "only the host that has it in its directory can do this";
	case EOPNOTSUPP:
		return "something of it can't be cloned; cxlfork check says what";
	case EUCLEAN:
		return "the checkpoint is damaged; cxlfork pool fsck says more";
	case ENOEXEC:
		return "the checkpoint is not for this host's kernel or CPU";
	case ESTALE:
		return "a file is not the one that was checkpointed";
	case EMSGSIZE:
		return "the payload is larger than the checkpoint's buffer";
	case ENOTUNIQ:
		return "several users have one of this name; give its id (cxlfork ls)";
	case EINPROGRESS:
		return "its host is silent and will carry it out when it is back";
	case ESRCH:
		return "no such process";
	case EBADMSG:
		return "this is no whole exported checkpoint; copy the file again";
	case EPROTONOSUPPORT:
		return "it was made by another version of CXLfork; use the same on both sides";
	default:
		return strerror(err);
	}
}
