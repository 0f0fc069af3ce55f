// SPDX-License-Identifier: GPL-2.0
/*
 * The agent of a lab node. For each connection: sends the banner, reads a
 * LAB_RUN frame, runs the command and carries its standard streams until it
 * exits. The host is the only one that can reach it.
 *
 * LAB_RUN: strings, each ended by a zero byte: "i" where the command gets a
 * standard input ("-" where not); working directory; number of variables and
 * the variables; then the command and its arguments.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab-guest.h"

#define CHUNK	65536

struct run {
	int sock;
	pid_t pid;
	int in, out, err;	/* our ends of the command's pipes, or -1 */
	int sigchld;		/* readable once the command may have exited */
	char *buf;		/* the frame being handed to the command */
	size_t at, len;
	int in_eof;
};

static int chld_pipe[2];

static int read_all(int fd, void *to, size_t len)
{
	char *at = to;

	while (len) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= n;
	}
	return 0;
}

static int write_all(int fd, const void *from, size_t len)
{
	const char *at = from;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= n;
	}
	return 0;
}

static int send_frame(int fd, int type, const void *data, uint32_t len)
{
	/* one write where it is small: one packet, one wake-up */
	static char out[LAB_FRAME_HEAD + CHUNK];
	uint32_t be = htonl(len);

	out[0] = type;
	memcpy(out + 1, &be, 4);
	memcpy(out + LAB_FRAME_HEAD, data, len);
	return write_all(fd, out, LAB_FRAME_HEAD + len);
}

static int send_u32(int fd, int type, uint32_t value)
{
	value = htonl(value);
	return send_frame(fd, type, &value, sizeof(value));
}

/* A frame from the host, malloc'd and with a zero byte after it. */
static char *recv_frame(int fd, int *type, uint32_t *len)
{
	unsigned char head[LAB_FRAME_HEAD];
	char *data;

	if (read_all(fd, head, sizeof(head)))
		return NULL;
	*type = head[0];
	memcpy(len, head + 1, 4);
	*len = ntohl(*len);
	if (*len > LAB_FRAME_MAX)
		return NULL;
	data = malloc(*len + 1);
	if (!data || read_all(fd, data, *len)) {
		free(data);
		return NULL;
	}
	data[*len] = '\0';
	return data;
}

static void fail(int sock, const char *what, const char *name, int status)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "lab: %s %s: %s\n", what, name,
			 strerror(errno));

	send_frame(sock, LAB_STDERR, text,
		   n < (int)sizeof(text) ? n : (int)sizeof(text) - 1);
	send_u32(sock, LAB_EXIT, status);
}

static void child(char *dir, char **env, char **argv, int in, int out, int err)
{
	static const char msg[] = "lab: cannot run ";
	int fd;

	setsid();
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	closefrom(3);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	fd = open("/proc/self/oom_score_adj", O_WRONLY);
	if (fd >= 0) {
		if (write(fd, "0", 1) != 1)
			perror("lab: oom_score_adj");
		close(fd);
	}
	environ = env;
	if (chdir(*dir ? dir : "/root")) {
		perror(dir);
		_exit(126);
	}
	execvp(argv[0], argv);
	fd = errno;
	if (write(2, msg, sizeof(msg) - 1) < 0)
		_exit(126);
	errno = fd;
	perror(argv[0]);
	_exit(fd == ENOENT ? 127 : 126);
}

/* Splits the LAB_RUN frame and starts the command. */
static int start(struct run *r, char *data, uint32_t len)
{
	int in[2] = { -1, -1 }, out[2], err[2];
	char **words, *at, *dir;
	size_t n = 0, i, vars;
	int want_in;

	for (i = 0; i < len; i++)
		n += !data[i];
	words = calloc(n + 1, sizeof(*words));
	if (!words || n < 4)
		return -1;
	for (i = 0, at = data; i < n; i++, at += strlen(at) + 1)
		words[i] = at;
	want_in = words[0][0] == 'i';
	dir = words[1];
	vars = strtoul(words[2], NULL, 10);
	if (n < 4 + vars)
		return -1;
	/* words: flags dir count var... command...; end the variables */
	memmove(words + 2, words + 3, vars * sizeof(*words));
	words[2 + vars] = NULL;

	if (!want_in)
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	else if (pipe2(in, O_CLOEXEC))
		return -1;
	if (in[0] < 0 || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return -1;
	r->pid = fork();
	if (r->pid < 0)
		return -1;
	if (!r->pid)
		child(dir, words + 2, words + 3 + vars, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	r->in = in[1];
	r->out = out[0];
	r->err = err[0];
	if (r->in >= 0)
		fcntl(r->in, F_SETFL, O_NONBLOCK);
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	fcntl(r->err, F_SETFL, O_NONBLOCK);
	return 0;
}

/* Carries what the command wrote; what: 0 more may come, 1 ended. */
static int carry(struct run *r, int *fd, int type)
{
	static char data[CHUNK];
	ssize_t n = read(*fd, data, sizeof(data));

	if (n > 0)
		return send_frame(r->sock, type, data, n) ? -1 : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	close(*fd);
	*fd = -1;
	return 1;
}

static void feed(struct run *r)
{
	ssize_t n = 0;

	if (r->in < 0) {
		r->len = 0;
	} else if (r->at < r->len) {
		n = write(r->in, r->buf + r->at, r->len - r->at);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			close(r->in);	/* the command reads no more */
			r->in = -1;
			r->len = 0;
		} else if (n > 0) {
			r->at += n;
		}
	}
	if (r->buf && r->at >= r->len) {
		free(r->buf);
		r->buf = NULL;
		r->at = 0;
		r->len = 0;
	}
	if (!r->buf && r->in_eof && r->in >= 0) {
		close(r->in);
		r->in = -1;
	}
}

/* One frame from the host; false: the host is gone. */
static int from_host(struct run *r)
{
	uint32_t len, signo;
	int type;
	char *data = recv_frame(r->sock, &type, &len);

	if (!data)
		return 0;
	if (type == LAB_STDIN && len) {
		r->buf = data;
		r->at = 0;
		r->len = len;
		feed(r);
		return 1;
	}
	if (type == LAB_STDIN) {
		r->in_eof = 1;
		feed(r);
	} else if (type == LAB_SIGNAL && len == sizeof(signo)) {
		memcpy(&signo, data, sizeof(signo));
		kill(-r->pid, ntohl(signo));
	}
	free(data);
	return 1;
}

static void serve(int sock)
{
	struct run r = { .sock = sock, .in = -1, .out = -1, .err = -1 };
	int type, status, gone = 0;
	uint32_t len;
	char *data;

	if (write_all(sock, LAB_BANNER, strlen(LAB_BANNER)))
		return;
	data = recv_frame(sock, &type, &len);
	if (!data || type != LAB_RUN)
		return;
	if (start(&r, data, len)) {
		fail(sock, "cannot start a command", "", 125);
		return;
	}
	for (;;) {
		struct pollfd p[5] = {
			{ .fd = r.buf ? -1 : sock, .events = POLLIN },
			{ .fd = r.out, .events = POLLIN },
			{ .fd = r.err, .events = POLLIN },
			{ .fd = r.buf ? r.in : -1, .events = POLLOUT },
			{ .fd = chld_pipe[0], .events = POLLIN },
		};

		if (poll(p, 5, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents && carry(&r, &r.out, LAB_STDOUT) < 0)
			gone = 1;
		if (p[2].revents && carry(&r, &r.err, LAB_STDERR) < 0)
			gone = 1;
		if (p[3].revents)
			feed(&r);
		if (p[0].revents && !from_host(&r))
			gone = 1;
		if (gone) {
			/* like a terminal that goes away, then for good */
			kill(-r.pid, SIGHUP);
			sleep(1);
			kill(-r.pid, SIGKILL);
			return;
		}
		if (waitpid(r.pid, &status, WNOHANG) != r.pid)
			continue;
		/* what it wrote is in the pipes; its children may hold them */
		while (r.out >= 0 && !carry(&r, &r.out, LAB_STDOUT))
			;
		while (r.err >= 0 && !carry(&r, &r.err, LAB_STDERR))
			;
		send_u32(sock, LAB_EXIT, WIFSIGNALED(status) ?
			 128 + WTERMSIG(status) : WEXITSTATUS(status));
		shutdown(sock, SHUT_WR);
		return;
	}
}

static void on_chld_one(int sig)
{
	int saved = errno;

	(void)sig;
	if (write(chld_pipe[1], "", 1) < 0 && errno != EAGAIN)
		_exit(125);
	errno = saved;
}

static void on_chld_all(int sig)
{
	int saved = errno;

	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

static void set_chld(void (*fn)(int))
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = SA_NOCLDSTOP };

	sigaction(SIGCHLD, &sa, NULL);
}

void lab_agent(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(LAB_CTL_PORT),
	};
	int s, c, one = 1;

	signal(SIGPIPE, SIG_IGN);
	set_chld(on_chld_all);
	inet_pton(AF_INET, LAB_CTL_ADDR, &addr.sin_addr);
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s < 0 || bind(s, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(s, 64)) {
		lab_log("FATAL: no agent: %s", strerror(errno));
		for (;;)
			pause();
	}
	lab_log("ready");
	for (;;) {
		c = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (c < 0)
			continue;
		if (!fork()) {
			close(s);
			setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one,
				   sizeof(one));
			if (pipe2(chld_pipe, O_CLOEXEC | O_NONBLOCK))
				_exit(125);
			set_chld(on_chld_one);
			serve(c);
			_exit(0);
		}
		close(c);
	}
}
