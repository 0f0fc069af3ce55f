// SPDX-License-Identifier: GPL-2.0
/* Orders for a ghost that waits on a socket: see cxlfork-ghost(1). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "ghost.h"
#include "internal.h"

static int connect_ghost(const char *path, pid_t *pid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	socklen_t size = sizeof(struct ucred);
	struct ucred cred;
	int fd, err;

	if (len >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(addr.sun_path, path, len);
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';	/* abstract */
	else
		len++;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&addr,
		    offsetof(struct sockaddr_un, sun_path) + len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size)) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	/* One that can't be seen from here has no pid that could be returned. */
	if (cred.pid <= 0) {
		close(fd);
		errno = ESRCH;
		return -1;
	}
	*pid = cred.pid;
	return fd;
}

static int send_order(int fd, int pool, const struct cxlfork_order *order)
{
	union {
		struct cmsghdr	align;
		char		room[CMSG_SPACE(sizeof(int) *
						(GHOST_FDS_MAX + 1))];
	} control;
	struct ghost_order msg = {
		.magic		= GHOST_MAGIC,
		.version	= GHOST_VERSION,
		.id		= order->id,
		.payload_size	= order->payload_size,
		.nr_fds		= order->nr_fds,
	};
	struct iovec parts[2] = {
		{ &msg, sizeof(msg) },
		{ (void *)order->payload, order->payload_size },
	};
	struct msghdr header = { .msg_iov = parts, .msg_iovlen = 2 };
	int fds[GHOST_FDS_MAX + 1];
	struct cmsghdr *cmsg;
	ssize_t n;
	size_t i;

	memset(&control, 0, sizeof(control));
	fds[0] = pool;
	for (i = 0; i < order->nr_fds; i++) {
		msg.image_fds[i] = order->fds[i].image_fd;
		fds[i + 1] = order->fds[i].ghost_fd;
	}
	header.msg_control = &control;
	header.msg_controllen = CMSG_SPACE(sizeof(int) * (order->nr_fds + 1));
	cmsg = CMSG_FIRSTHDR(&header);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * (order->nr_fds + 1));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * (order->nr_fds + 1));
	do {
		n = sendmsg(fd, &header, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

static ssize_t receive(int fd, struct ghost_reply *reply)
{
	ssize_t n;

	do {
		n = recv(fd, reply, sizeof(*reply), 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

/*
 * @sent: 0, or the negative errno of a ghost that has hung up.  Returns 0: it is
 * the clone now; else a negative errno.
 */
static int take_reply(int fd, int sent, struct cxlfork_reports *reports)
{
	struct ghost_reply reply;
	unsigned int nr;
	ssize_t n;

	n = receive(fd, &reply);
	/* It has hung up with our order unread: that is said before its reply. */
	if (n < 0 && errno == ECONNRESET) {
		sent = -errno;
		n = receive(fd, &reply);
	}
	if (n == 0)
		return sent;
	if (n < 0)
		return -errno;
	if ((size_t)n < offsetof(struct ghost_reply, reports) ||
	    reply.magic != GHOST_MAGIC || reply.err <= 0)
		return -EPROTO;
	nr = (n - offsetof(struct ghost_reply, reports)) /
	     sizeof(reply.reports[0]);
	if (reply.nr_reports > nr)
		return -EPROTO;
	if (reports) {
		nr = reply.nr_reports;
		if (nr > reports->room)
			nr = reports->room;
		memcpy(reports->list, reply.reports,
		       nr * sizeof(*reports->list));
		/* of those that did not fit into the reply there are no records */
		reports->found = nr < reports->room || reply.found < nr ?
				 nr : reply.found;
	}
	return -reply.err;
}

pid_t cxlfork_spawn_via(int pool, const char *socket,
			const struct cxlfork_order *order,
			struct cxlfork_reports *reports)
{
	int fd, err;
	pid_t pid;

	cxlfork__reports_reset(reports);
	if (order->nr_fds > GHOST_FDS_MAX ||
	    order->payload_size > CXLFORK_PAYLOAD_MAX) {
		errno = E2BIG;
		return -1;
	}
	fd = connect_ghost(socket, &pid);
	if (fd < 0)
		return -1;
	err = send_order(fd, pool, order) ? -errno : 0;
	if (!err || err == -EPIPE || err == -ECONNRESET)
		err = take_reply(fd, err, reports);
	close(fd);
	if (err) {
		errno = -err;
		return -1;
	}
	return pid;
}
