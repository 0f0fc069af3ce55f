// SPDX-License-Identifier: GPL-2.0
/* cxlfork restore: a clone as a child, in the background, or from a ghost. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "restore_fds.h"

#define NR_REPORTS	32

/* Of the flags of a task, as in <linux/sched.h>. */
#define PF_EXITING	0x4

struct input {
	struct common		common;
	struct cxlfork_order	order;
	struct handover		handover;
	const char		*what;
	const char		*pidfile;
	const char		*ghost;
	const char		*payload_file;
	bool			detach;
};

enum {
	OPTION_PIDFILE = OPTION_KEY,
	OPTION_PAYLOAD,
	OPTION_PAYLOAD_FILE,
	OPTION_FD,
	OPTION_LISTEN,
	OPTION_GHOST,
	OPTION_STDIN,
	OPTION_STDOUT,
	OPTION_STDERR,
};

static const struct argp_option options[] = {
	{ "detach", 'd', NULL, 0,
	  "Leave the clone in the background, in a session of its own, and print its pid; standard input, output and error are /dev/null unless given",
	  0 },
	{ "pidfile", OPTION_PIDFILE, "FILE", 0, "Write the pid to FILE", 0 },
	{ "payload", OPTION_PAYLOAD, "STRING", 0,
	  "What the clone finds in its payload buffer", 0 },
	{ "payload-file", OPTION_PAYLOAD_FILE, "FILE", 0,
	  "Likewise, the bytes of FILE (-: standard input)", 0 },
	{ "fd", OPTION_FD, "IMAGE_FD=FD", 0,
	  "Hand over descriptor FD; it is IMAGE_FD in the clone", 0 },
	{ "listen", OPTION_LISTEN, "IMAGE_FD=[ADDR:]PORT", 0,
	  "Hand over a TCP socket that listens there", 0 },
	{ "stdin", OPTION_STDIN, "FILE", 0, "Hand over FILE as input", 0 },
	{ "stdout", OPTION_STDOUT, "FILE", 0,
	  "Hand over FILE as output (appended to)", 0 },
	{ "stderr", OPTION_STDERR, "FILE", 0,
	  "Hand over FILE as error output (appended to)", 0 },
	{ "ghost", OPTION_GHOST, "SOCKET", 0,
	  "Order it from the cxlfork-ghost that waits at SOCKET, and print its pid",
	  0 },
	{ 0 },
};

static void finish(struct input *in, struct argp_state *state)
{
	int fd;

	if (!in->what)
		argp_error(state, "which checkpoint? give its ID or NAME");
	if (in->payload_file && in->order.payload)
		argp_error(state, "--payload or --payload-file, not both");
	for (fd = 0; fd < 3 && in->detach && !in->ghost; fd++)
		if (!handover_has(&in->handover, fd))
			handover_file(state, &in->handover, fd, "/dev/null",
				      fd ? O_WRONLY : O_RDONLY);
	in->order.fds = in->handover.map;
	in->order.nr_fds = in->handover.nr;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &in->common;
		return 0;
	case 'd':
		in->detach = true;
		return 0;
	case OPTION_PIDFILE:
		in->pidfile = arg;
		return 0;
	case OPTION_PAYLOAD:
		if (strlen(arg) > CXLFORK_PAYLOAD_MAX)
			argp_error(state, "a payload has at most %d bytes",
				   CXLFORK_PAYLOAD_MAX);
		in->order.payload = arg;
		in->order.payload_size = strlen(arg);
		return 0;
	case OPTION_PAYLOAD_FILE:
		in->payload_file = arg;
		return 0;
	case OPTION_FD:
		handover_fd(state, &in->handover, arg);
		return 0;
	case OPTION_LISTEN:
		handover_listen(state, &in->handover, arg);
		return 0;
	case OPTION_STDIN:
		handover_file(state, &in->handover, 0, arg, O_RDONLY);
		return 0;
	case OPTION_STDOUT:
		handover_file(state, &in->handover, 1, arg,
			      O_WRONLY | O_CREAT | O_APPEND);
		return 0;
	case OPTION_STDERR:
		handover_file(state, &in->handover, 2, arg,
			      O_WRONLY | O_CREAT | O_APPEND);
		return 0;
	case OPTION_GHOST:
		in->ghost = arg;
		return 0;
	case ARGP_KEY_ARG:
		one_argument(state, &in->what, arg, "checkpoint");
		return 0;
	case ARGP_KEY_END:
		finish(in, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse_option, "ID|NAME",
	"Make a clone of a checkpoint. Without --detach or --ghost it is a child that is waited for, and the exit status is the clone's (128 + N: it died from signal N).",
	common_children, NULL, NULL,
};

/* Read the payload; 0 or -1 with the complaint made. */
static int load_payload(struct input *in, char *buf)
{
	int fd = STDIN_FILENO;
	size_t size = 0;
	ssize_t n = 0;

	if (!in->payload_file)
		return 0;
	if (strcmp(in->payload_file, "-"))
		fd = open(in->payload_file, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && size <= CXLFORK_PAYLOAD_MAX) {
		n = read(fd, buf + size, CXLFORK_PAYLOAD_MAX + 1 - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		size += n;
	}
	if (fd < 0 || n < 0) {
		complain_file(&in->common, errno, "%s", in->payload_file);
		return -1;
	}
	if (fd != STDIN_FILENO)
		close(fd);
	if (size > CXLFORK_PAYLOAD_MAX) {
		complain_text(&in->common, EMSGSIZE, NULL,
			      "%s: a payload has at most %d bytes",
			      in->payload_file, CXLFORK_PAYLOAD_MAX);
		return -1;
	}
	in->order.payload = buf;
	in->order.payload_size = size;
	return 0;
}

/* 0 or an errno. */
static int write_pidfile(const struct input *in, pid_t pid)
{
	FILE *file;

	if (!in->pidfile)
		return 0;
	file = fopen(in->pidfile, "we");
	if (!file || fprintf(file, "%d\n", pid) < 0 || fclose(file))
		return errno;
	return 0;
}

static void complain_pidfile(const struct input *in, pid_t pid, int err)
{
	complain_file(&in->common, err, "the clone runs as process %d, but %s",
		      pid, in->pidfile);
}

static pid_t clone_pid;

static void pass_on(int sig)
{
	int err = errno;

	kill(clone_pid, sig);
	errno = err;
}

/* Wait for the clone; signals that want to end us are for it. */
static int wait_for(pid_t pid)
{
	static const int passed[] = { SIGHUP, SIGTERM, SIGUSR1, SIGUSR2 };
	struct sigaction action = { .sa_handler = pass_on };
	int status;
	size_t i;

	clone_pid = pid;
	for (i = 0; i < ARRAY_SIZE(passed); i++)
		sigaction(passed[i], &action, NULL);
	/* the terminal sends these to the clone as well */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_TROUBLE;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

/* The clone runs, whatever has become of the pidfile. */
static void print_pid(const struct input *in, pid_t pid, int pidfile_err)
{
	struct json_object *object;

	if (!in->common.json) {
		printf("%d\n", pid);
		if (pidfile_err)
			complain_pidfile(in, pid, pidfile_err);
	} else {
		object = json_object_new_object();
		json_hex(object, "id", in->order.id);
		json_num(object, "pid", pid);
		if (pidfile_err) {
			json_str(object, "pidfile_error",
				 strerror(pidfile_err));
			json_num(object, "errno", pidfile_err);
		}
		print_json(object);
	}
	fflush(stdout);
}

/* A field of /proc/PID/stat, from what follows the name, which is the 2nd. */
static unsigned long stat_field(const char *at, int nr)
{
	int i;

	for (i = 2; at && i < nr; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoul(at, NULL, 10) : 0;
}

/*
 * Has it begun to end?  A ghost has one thread; a clone may go on without its
 * first one.
 */
static bool is_ending(pid_t pid)
{
	char path[32], line[512] = "";
	char *at = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(line, sizeof(line), file))
		at = strrchr(line, ')');
	fclose(file);
	return stat_field(at, 9) & PF_EXITING && stat_field(at, 20) <= 1;
}

/*
 * The library takes the end of a pipe for success: it closes when the child
 * becomes the clone, and when it dies.  Who dies has begun to end before that.
 * Returns the signal that the child has died from, or 0.
 */
static int killed_by(pid_t pid)
{
	siginfo_t info = { 0 };

	while (!waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
	       !info.si_pid) {
		if (!is_ending(pid))
			return 0;
		usleep(1000);
	}
	return info.si_pid && info.si_code != CLD_EXITED ? info.si_status : 0;
}

static pid_t start(int pool, const struct input *in,
		   struct cxlfork_reports *reports)
{
	if (in->ghost)
		return cxlfork_spawn_via(pool, in->ghost, &in->order, reports);
	return cxlfork_spawn(pool, &in->order,
			     in->detach ? CXLFORK_SPAWN_SETSID : 0, reports);
}

static bool look_up(int pool, struct input *in)
{
	struct cxlfork_ckpt_info info;

	if (cxlfork_lookup(pool, in->what, &info))
		return false;
	in->order.id = info.id;
	return true;
}

/* -1 and the exit status: it was said why. */
static pid_t start_what(int pool, struct input *in,
			struct cxlfork_reports *reports, int *status)
{
	bool is_id = cxlfork_parse_id(in->what, &in->order.id);
	__u64 id = in->order.id;
	pid_t pid;

	if (!is_id && !look_up(pool, in)) {
		if (errno == ENOENT)
			*status = complain_text(&in->common, errno, NULL,
						"there is no live checkpoint `%s'",
						in->what);
		else
			*status = complain(&in->common, errno, NULL, "%s",
					   in->what);
		return -1;
	}
	/* What may be an id is for the kernel to judge; else it is a name. */
	pid = start(pool, in, reports);
	if (pid < 0 && errno == ENOENT && is_id) {
		if (look_up(pool, in) && in->order.id != id)
			pid = start(pool, in, reports);
		else
			errno = ENOENT;
	}
	if (pid < 0 && in->ghost && errno == ESRCH)
		*status = complain_text(&in->common, errno, reports,
					"the ghost at %s has no pid here: give the order in its pid namespace, or in an outer one",
					in->ghost);
	else if (pid < 0)
		*status = complain(&in->common, errno, reports,
				   "checkpoint %s can't be restored%s%s",
				   in->what,
				   in->ghost ? " by the ghost at " : "",
				   in->ghost ? in->ghost : "");
	return pid;
}

int cmd_restore(int argc, char **argv)
{
	static char payload[CXLFORK_PAYLOAD_MAX + 1];
	struct cxlfork_report list[NR_REPORTS];
	struct cxlfork_reports reports = { .room = NR_REPORTS, .list = list };
	static struct input in;
	int pool, status, err, sig;
	pid_t pid;

	parse("cxlfork restore", &argp, argc, argv, &in);
	if (load_payload(&in, payload))
		return EXIT_TROUBLE;
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	pid = start_what(pool, &in, &reports, &status);
	if (pid < 0)
		return status;
	sig = in.detach && !in.ghost ? killed_by(pid) : 0;
	if (sig)
		return complain_text(&in.common, 0, NULL,
				     "checkpoint %s: the clone ended at once, by signal %d",
				     in.what, sig);
	err = write_pidfile(&in, pid);
	if (in.detach || in.ghost) {
		print_pid(&in, pid, err);
		return err ? EXIT_NO : 0;
	}
	if (err)
		complain_pidfile(&in, pid, err);
	return wait_for(pid);
}
