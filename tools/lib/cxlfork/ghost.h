/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a waiting ghost is told, and what it answers; internal to this tree.
 *
 * One SOCK_SEQPACKET connection per order, one message each way.  The order
 * is struct ghost_order and right after it the payload; its SCM_RIGHTS are the
 * pool's control device and then nr_fds descriptors for the clone.  A ghost
 * that becomes the clone closes the connection without a word (the kernel does
 * it); one that fails answers with struct ghost_reply and waits on.  Who may not
 * order is told so, with EACCES, before the order has come.
 */
#ifndef CXLFORK_GHOST_H
#define CXLFORK_GHOST_H

#include <linux/cxlfork.h>

#define GHOST_MAGIC		0x4f475843U	/* "CXGO" */
#define GHOST_VERSION		1
#define GHOST_FDS_MAX		252		/* SCM_MAX_FD less the pool */
#define GHOST_REPORTS_MAX	32

struct ghost_order {
	__u32	magic;
	__u32	version;
	__u64	id;
	__u32	payload_size;
	__u32	nr_fds;
	__s32	image_fds[GHOST_FDS_MAX];
};

struct ghost_reply {
	__u32			magic;
	__s32			err;		/* an errno */
	__u32			found;
	__u32			nr_reports;
	struct cxlfork_report	reports[GHOST_REPORTS_MAX];
};

#endif /* CXLFORK_GHOST_H */
