// SPDX-License-Identifier: GPL-2.0
/*
 * cxlfork-ghost: a process that waits, prepared, to become a clone.
 *
 * It is started ahead of time with the credentials, namespaces, cgroup, limits
 * and seccomp filters that the clone shall have, and sleeps until it gets an
 * order (see ghost.h).  Without libc: VmRSS is 16 KiB (28 after an order that
 * failed) and VmPTE 24, measured on 6.12.
 */
#include <errno.h>

#include "ghost.h"
#include "ghost_sys.h"

#ifndef __NR_cxlrestore
# define __NR_cxlrestore	481
#endif

#define CONNECTION	0	/* without --socket: standard input is one */
#define ORDER_SECONDS	5	/* who connects has to say what he wants */

#define CONTROL_SIZE	CMSG_SPACE((GHOST_FDS_MAX + 1) * sizeof(int))

static struct {
	struct ghost_order	order;
	__u8			payload[CXLFORK_PAYLOAD_MAX];
} message;

static struct ghost_reply reply;

/**
 * struct received - descriptors that came with an order
 * @fds:	the pool's control device, then those for the clone
 * @nr:		how many
 */
struct received {
	int	fds[GHOST_FDS_MAX + 1];
	int	nr;
};

/* The compiler may ask for these two. */
void *memset(void *to, int value, size_t size);
void *memcpy(void *to, const void *from, size_t size);

void *memset(void *to, int value, size_t size)
{
	void *at = to;

	__asm__ volatile ("rep stosb" : "+D" (at), "+c" (size) : "a" (value)
			  : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
	void *at = to;

	__asm__ volatile ("rep movsb" : "+D" (at), "+S" (from), "+c" (size) :
			  : "memory");
	return to;
}

static size_t length(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

static void say(int fd, const char *text)
{
	sys_write(fd, text, length(text));
}

static __noreturn void die(const char *what, int err)
{
	char number[12];
	int i = sizeof(number) - 1;

	number[i] = '\0';
	for (err = -err; err > 0 && i; err /= 10)
		number[--i] = '0' + err % 10;
	say(2, "cxlfork-ghost: ");
	say(2, what);
	say(2, ": errno ");
	say(2, number + i);
	say(2, "\n");
	sys_exit(1);
}

/* A socket that nobody listens on any more makes place. */
static void remove_stale(const char *path, const struct sockaddr_un *addr,
			 int size)
{
	struct stat st;
	int fd, err;

	if (sys_lstat(path, &st) || !S_ISSOCK(st.st_mode))
		return;
	fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	err = sys_connect(fd, addr, size);
	sys_close(fd);
	if (err == -ECONNREFUSED)
		sys_unlink(path);
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = length(path);
	int fd, size, mask, err;

	if (!len || len >= sizeof(addr.sun_path))
		die(path, -ENAMETOOLONG);
	memcpy(addr.sun_path, path, len);
	size = offsetof(struct sockaddr_un, sun_path) + len;
	if (path[0] == '@')
		addr.sun_path[0] = '\0';	/* abstract */
	else
		size++;
	fd = sys_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC);
	if (fd < 0)
		die("socket", fd);
	mask = sys_umask(0177);
	err = sys_bind(fd, &addr, size);
	if (err == -EADDRINUSE && path[0] != '@') {
		remove_stale(path, &addr, size);
		err = sys_bind(fd, &addr, size);
	}
	sys_umask(mask);
	if (!err)
		err = sys_listen(fd, 8);
	if (err)
		die(path, err);
	return fd;
}

/* Orders are root's and our own user's to give. */
static int may_order(int fd)
{
	struct ucred peer;
	int size = sizeof(peer);

	return !sys_getsockopt(fd, SO_PEERCRED, &peer, &size) &&
	       (peer.uid == 0 || peer.uid == sys_geteuid());
}

static void take_fds(const struct cmsghdr *cmsg, size_t room,
		     struct received *got)
{
	got->nr = 0;
	if (room < CMSG_LEN(0) || cmsg->cmsg_len > room ||
	    cmsg->cmsg_len < CMSG_LEN(0) || cmsg->cmsg_level != SOL_SOCKET ||
	    cmsg->cmsg_type != SCM_RIGHTS)
		return;
	got->nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(got->fds, CMSG_DATA(cmsg), got->nr * sizeof(int));
}

static void drop_fds(const struct received *got)
{
	int i;

	for (i = 0; i < got->nr; i++)
		sys_close(got->fds[i]);
}

/* Wait for an order; its bytes, 0 at the end of the connection, or -errno. */
static long receive(int fd, struct received *got)
{
	union {
		struct cmsghdr	head;
		char		room[CONTROL_SIZE];
	} control;
	struct iovec part = { &message, sizeof(message) };
	struct msghdr header = {
		.msg_iov	= &part,
		.msg_iovlen	= 1,
		.msg_control	= &control,
		.msg_controllen	= sizeof(control),
	};
	long n;

	got->nr = 0;
	do {
		n = sys_recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	} while (n == -EINTR);
	if (n <= 0)
		return n;
	take_fds(&control.head, header.msg_controllen, got);
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -E2BIG;
	return n;
}

static int check_order(long size, const struct received *got)
{
	const struct ghost_order *order = &message.order;

	if (size < (long)sizeof(*order) || order->magic != GHOST_MAGIC ||
	    order->version != GHOST_VERSION)
		return -EPROTO;
	if (order->payload_size != size - sizeof(*order) ||
	    order->nr_fds > GHOST_FDS_MAX || got->nr < 1 ||
	    order->nr_fds != (__u32)got->nr - 1)
		return -EPROTO;
	return 0;
}

/* Returns only a negative errno. */
static int become_clone(const struct received *got)
{
	static struct cxlfork_fd_map map[GHOST_FDS_MAX];
	const struct ghost_order *order = &message.order;
	struct cxlrestore_args args = {
		.id		= order->id,
		.pool_fd	= got->fds[0],
		.nr_reports	= GHOST_REPORTS_MAX,
		.reports	= (unsigned long)reply.reports,
		.payload_size	= order->payload_size,
		.nr_fds		= order->nr_fds,
		.fds		= (unsigned long)map,
	};
	__u32 i;
	int err;

	if (order->payload_size)
		args.payload = (unsigned long)message.payload;
	for (i = 0; i < order->nr_fds; i++) {
		map[i].image_fd = order->image_fds[i];
		map[i].ghost_fd = got->fds[i + 1];
	}
	err = sys3(__NR_cxlrestore, (long)&args, sizeof(args), 0);
	for (i = 0; i < args.nr_reports && i < GHOST_REPORTS_MAX; i++)
		if (!reply.reports[i].reason)
			break;
	reply.nr_reports = i;
	reply.found = i < GHOST_REPORTS_MAX ? i : args.nr_reports;
	return err < 0 ? err : -EPROTO;
}

static void answer(int fd, int err)
{
	reply.magic = GHOST_MAGIC;
	reply.err = -err;
	sys_send(fd, &reply, offsetof(struct ghost_reply, reports) +
		 reply.nr_reports * sizeof(reply.reports[0]), MSG_NOSIGNAL);
}

/* Nobody who may not order is waited for: this is sent before the order comes. */
static void refuse(int fd)
{
	memset(&reply, 0, sizeof(reply));
	answer(fd, -EACCES);
}

/* One order; 0 or -errno when there will be no more on this connection. */
static int serve(int fd)
{
	struct received got;
	long n = receive(fd, &got);
	int err = n < 0 ? n : 0;

	if (n == 0 || (n < 0 && n != -E2BIG)) {
		drop_fds(&got);
		return err;
	}
	memset(&reply, 0, sizeof(reply));
	if (!err)
		err = check_order(n, &got);
	if (!err)
		err = become_clone(&got);
	/* still here: it failed, and nothing has changed */
	drop_fds(&got);
	answer(fd, err);
	return 1;
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

void ghost_start(const long *stack)
{
	const struct timeval limit = { ORDER_SECONDS, 0 };
	const char * const *argv = (const char * const *)(stack + 1);
	int fd, listener, ret;

	if (stack[0] == 1) {
		do {
			ret = serve(CONNECTION);
		} while (ret > 0);
		if (ret && ret != -ECONNRESET)
			die("standard input is no connection", ret);
		sys_exit(0);
	}
	if (stack[0] != 3 || !same(argv[1], "--socket")) {
		say(stack[0] == 2 && same(argv[1], "--help") ? 1 : 2,
		    "Usage: cxlfork-ghost [--socket PATH|@NAME]\n"
		    "Wait for an order, at a socket or on standard input, and become a clone.\n");
		sys_exit(stack[0] == 2 && same(argv[1], "--help") ? 0 : 2);
	}
	listener = listen_at(argv[2]);
	for (;;) {
		fd = sys_accept(listener, SOCK_CLOEXEC);
		if (fd == -EINTR || fd == -ECONNABORTED)
			continue;
		if (fd < 0)
			die("accept", fd);
		sys_setsockopt(fd, SO_RCVTIMEO, &limit, sizeof(limit));
		if (may_order(fd))
			serve(fd);
		else
			refuse(fd);
		sys_close(fd);
	}
}
