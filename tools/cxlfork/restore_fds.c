// SPDX-License-Identifier: GPL-2.0
/* Descriptors that a restore hands over: own ones, sockets, files. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "restore_fds.h"

bool handover_has(const struct handover *to, int image_fd)
{
	__u32 i;

	for (i = 0; i < to->nr; i++)
		if (to->map[i].image_fd == image_fd)
			return true;
	return false;
}

static void add(struct argp_state *state, struct handover *to, int image_fd,
		int ghost_fd)
{
	if (handover_has(to, image_fd))
		argp_error(state, "descriptor %d is handed over twice",
			   image_fd);
	if (to->nr == CXLFORK_HANDOVER_MAX)
		argp_error(state, "at most %d descriptors can be handed over",
			   CXLFORK_HANDOVER_MAX);
	to->map[to->nr].image_fd = image_fd;
	to->map[to->nr].ghost_fd = ghost_fd;
	to->nr++;
}

/* Split NUMBER=REST; returns the number and the rest. */
static int split(struct argp_state *state, const char *what, const char *text,
		 const char **rest)
{
	const char *equals = strchr(text, '=');
	char number[16];

	if (!equals || (size_t)(equals - text) >= sizeof(number))
		argp_error(state, "%s: `%s' is not of the form IMAGE_FD=...",
			   what, text);
	memcpy(number, text, equals - text);
	number[equals - text] = '\0';
	*rest = equals + 1;
	return parse_number(state, what, number, 0, INT32_MAX);
}

void handover_fd(struct argp_state *state, struct handover *to,
		 const char *text)
{
	const char *rest;
	int image_fd = split(state, "--fd", text, &rest);
	int ghost_fd = parse_number(state, "--fd", rest, 0, INT32_MAX);

	if (fcntl(ghost_fd, F_GETFD) < 0)
		argp_failure(state, EXIT_TROUBLE, errno,
			     "--fd: descriptor %d", ghost_fd);
	add(state, to, image_fd, ghost_fd);
}

void handover_file(struct argp_state *state, struct handover *to, int image_fd,
		   const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0666);

	if (fd < 0)
		argp_failure(state, EXIT_TROUBLE, errno, "%s", path);
	add(state, to, image_fd, fd);
}

static int listen_on(const struct addrinfo *ai)
{
	int fd, err, on = 1;

	fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC,
		    ai->ai_protocol);
	if (fd < 0)
		return -1;
	if (!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
	    !bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, SOMAXCONN))
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

void handover_listen(struct argp_state *state, struct handover *to,
		     const char *text)
{
	struct addrinfo *list, *ai, hints = {
		.ai_family	= AF_UNSPEC,
		.ai_socktype	= SOCK_STREAM,
		.ai_flags	= AI_PASSIVE | AI_NUMERICSERV,
	};
	const char *rest, *colon;
	char *addr = NULL, port[8];
	int image_fd = split(state, "--listen", text, &rest);
	int fd = -1, ret;

	colon = strrchr(rest, ':');
	if (colon) {
		size_t len = colon - rest;

		if (len >= 2 && rest[0] == '[' && rest[len - 1] == ']')
			addr = strndup(rest + 1, len - 2);
		else if (len)
			addr = strndup(rest, len);
	}
	snprintf(port, sizeof(port), "%u",
		 (__u16)parse_number(state, "--listen: port",
				     colon ? colon + 1 : rest, 0, 65535));
	if (!addr)
		hints.ai_family = AF_INET;	/* a port alone: all of IPv4 */
	ret = getaddrinfo(addr, port, &hints, &list);
	if (ret)
		argp_failure(state, EXIT_TROUBLE, 0, "--listen %s: %s", text,
			     gai_strerror(ret));
	for (ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = listen_on(ai);
	if (fd < 0)
		argp_failure(state, EXIT_TROUBLE, errno, "--listen %s", text);
	freeaddrinfo(list);
	free(addr);
	add(state, to, image_fd, fd);
}
