// SPDX-License-Identifier: GPL-2.0
/*
 * The network between the nodes of a lab: an Ethernet switch whose ports are
 * connections to a Unix socket, in the framing of QEMU's stream netdev (length
 * in network order, frame). Touches no network of the host. A node that is
 * paused loses frames, as on a real wire, and holds up nobody.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PORTS		64
#define FRAME_MAX	(128 * 1024)
#define QUEUE_MAX	(4 * 1024 * 1024)
#define MACS		256

struct port {
	int fd;
	uint8_t *in;		/* a frame being received, with its length */
	size_t in_len;
	uint8_t *out;		/* bytes to be sent */
	size_t out_len, out_size;
};

struct mac {
	uint8_t addr[6];
	int port;
};

static struct port ports[PORTS];
static struct mac macs[MACS];
static unsigned int next_mac;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void drop(int n)
{
	struct port *p = &ports[n];
	int i;

	close(p->fd);
	free(p->in);
	free(p->out);
	memset(p, 0, sizeof(*p));
	p->fd = -1;
	for (i = 0; i < MACS; i++)
		if (macs[i].port == n)
			macs[i].port = -1;
}

static int find_mac(const uint8_t *addr)
{
	int i;

	for (i = 0; i < MACS; i++)
		if (macs[i].port >= 0 && !memcmp(macs[i].addr, addr, 6))
			return i;
	return -1;
}

static void learn(const uint8_t *addr, int port)
{
	int i = find_mac(addr);

	if (i < 0) {
		i = next_mac++ % MACS;
		memcpy(macs[i].addr, addr, 6);
	}
	macs[i].port = port;
}

static int flush(int n)
{
	struct port *p = &ports[n];
	ssize_t sent;

	if (!p->out_len)
		return 0;
	sent = send(p->fd, p->out, p->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	p->out_len -= sent;
	memmove(p->out, p->out + sent, p->out_len);
	return 0;
}

static void queue(int n, const uint8_t *data, size_t len)
{
	struct port *p = &ports[n];

	if (p->fd < 0 || p->out_len + len > QUEUE_MAX)
		return;		/* lost */
	if (p->out_len + len > p->out_size) {
		size_t size = (p->out_len + len) * 2;
		uint8_t *out = realloc(p->out, size);

		if (!out)
			return;
		p->out = out;
		p->out_size = size;
	}
	memcpy(p->out + p->out_len, data, len);
	p->out_len += len;
}

/* One whole frame, length word included, from a port. */
static void forward(int from, const uint8_t *data, size_t len)
{
	const uint8_t *eth = data + 4;
	int i, to;

	if (len < 4 + 14)
		return;
	if (!(eth[6] & 1))
		learn(eth + 6, from);
	to = eth[0] & 1 ? -1 : find_mac(eth);
	if (to >= 0) {
		if (macs[to].port != from)
			queue(macs[to].port, data, len);
		return;
	}
	for (i = 0; i < PORTS; i++)
		if (i != from)
			queue(i, data, len);
}

static int receive(int n)
{
	struct port *p = &ports[n];
	ssize_t got = recv(p->fd, p->in + p->in_len, FRAME_MAX - p->in_len, MSG_DONTWAIT);
	size_t at = 0;
	uint32_t len;

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (!got)
		return -1;
	p->in_len += got;
	while (p->in_len - at >= 4) {
		memcpy(&len, p->in + at, 4);
		len = ntohl(len);
		if (len > FRAME_MAX - 4)
			return -1;
		if (p->in_len - at < 4 + len)
			break;
		forward(n, p->in + at, 4 + len);
		at += 4 + len;
	}
	p->in_len -= at;
	memmove(p->in, p->in + at, p->in_len);
	return 0;
}

static void accept_one(int s)
{
	int i, fd = accept(s, NULL, NULL);

	if (fd < 0)
		return;
	for (i = 0; i < PORTS && ports[i].fd >= 0; i++)
		;
	if (i < PORTS)
		ports[i].in = malloc(FRAME_MAX);
	if (i == PORTS || !ports[i].in) {
		close(fd);
		return;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	ports[i].fd = fd;
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct pollfd p[PORTS + 1];
	int s, i;

	if (argc != 2 || strlen(argv[1]) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "usage: labswitch SOCKET\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	strcpy(addr.sun_path, argv[1]);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	if (s < 0 || bind(s, (struct sockaddr *)&addr, sizeof(addr)) || listen(s, PORTS))
		die(argv[1]);
	for (i = 0; i < PORTS; i++)
		ports[i].fd = -1;
	for (i = 0; i < MACS; i++)
		macs[i].port = -1;
	for (;;) {
		for (i = 0; i < PORTS; i++) {
			p[i].fd = ports[i].fd;
			p[i].events = POLLIN | (ports[i].out_len ? POLLOUT : 0);
			p[i].revents = 0;
		}
		p[PORTS].fd = s;
		p[PORTS].events = POLLIN;
		p[PORTS].revents = 0;
		if (poll(p, PORTS + 1, -1) < 0 && errno != EINTR)
			die("poll");
		for (i = 0; i < PORTS; i++)
			if (p[i].fd >= 0 && (p[i].revents & ~POLLOUT) && receive(i))
				drop(i);
		for (i = 0; i < PORTS; i++)
			if (ports[i].fd >= 0 && flush(i))
				drop(i);
		if (p[PORTS].revents)
			accept_one(s);
	}
}
