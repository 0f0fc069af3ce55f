// SPDX-License-Identifier: GPL-2.0
/*
 * Clones that do random operations, again and again, on one host; see the scenario
 * of this name.
 *
 * usage: stress checkpoint SEED MASTER
 *		does some operations, checkpoints itself, writes the file that it maps
 *		to MASTER; prints the id
 *        stress clones ID MASTER SEED SECONDS CLONES [CGROUP]
 *		so many at a time; one of them in CGROUP/tight, the others in
 *		CGROUP/wide
 *        stress replay ID MASTER SEED OPS FLAGS
 *		one clone
 *
 * CXLFORK_FAIL=1: with fault injection set up, allocations of every other clone fail.
 * CXLFORK_STRAY=1: something is wrong in each clone, which has to be found.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "stress.h"

#define MAX_CLONES	32
#define WORST		20	/* failures, then it ends */

static struct stress_order order;

struct slot {
	pid_t			pid;
	struct stress_order	order;
	int			result;		/* pipe */
	double			kill_at;	/* 0: not */
	bool			killed;
};

static struct slot slots[MAX_CLONES];
static void *file_content;
static size_t file_size;
static const char *cgroup;
static long pool, id;
static struct {
	long ended, killed, oom, not_started, failed, ops, refused, direct;
} total;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "see the head of stress.c\n");
	exit(2);
}

static void save_file(const char *master)
{
	size_t size;
	void *content = stress_read_file(&size);
	FILE *f = fopen(master, "w");

	if (!f || fwrite(content, 1, size, f) != size || fclose(f)) {
		perror(master);
		exit(1);
	}
	free(content);
}

static void load_file(const char *master)
{
	FILE *f = fopen(master, "r");

	file_size = FILE_PAGES * PAGE;
	file_content = malloc(file_size);
	if (!f || !file_content || fread(file_content, 1, file_size, f) != file_size) {
		perror(master);
		exit(1);
	}
	fclose(f);
}

static void say_result(void)
{
	if (write(1, &st.result, sizeof(st.result)) != sizeof(st.result))
		_exit(3);
}

static void __attribute__((noreturn)) be_clone(void)
{
	set_cloned();
	/* A result of nothing: the ghost has become a clone. */
	say_result();
	stress_run(&order);
	say_result();
	_exit(0);
}

static int checkpoint(uint64_t seed, const char *master)
{
	const struct stress_order before = {
		.seed = seed, .ops = 40, .flags = ORDER_OWN_FILE,
	};
	struct cxlfork_report reports[8] = { 0 };
	struct cxlfork_args args = {
		.pidfd = -1, .nr_reports = 8, .reports = (uintptr_t)reports,
		.payload = (uintptr_t)&order, .payload_size = sizeof(order),
	};
	long made;

	args.pool_fd = open("/dev/cxlfork", O_RDWR | O_CLOEXEC);
	stress_setup();
	stress_run(&before);
	save_file(master);
	made = sys_cxlfork(&args, sizeof(args));
	if (!made)
		be_clone();
	unlink(STRESS_FILE);
	rmdir(STRESS_DIR);
	if (made < 0) {
		perror("cxlfork");
		show_reports("cxlfork", reports, args.nr_reports);
		return 1;
	}
	printf("%#lx\n", made);
	return 0;
}

static void join_cgroup(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", cgroup, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1) {
		perror(path);
		_exit(2);
	}
	close(fd);
}

static void __attribute__((noreturn)) be_ghost(const struct stress_order *o, int out)
{
	struct cxlfork_report reports[NR_REPORTS] = { 0 };
	struct cxlrestore_args args = {
		.id = id, .pool_fd = pool, .payload = (uintptr_t)o,
		.payload_size = sizeof(*o), .nr_reports = NR_REPORTS,
		.reports = (uintptr_t)reports,
	};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup)
		join_cgroup(o->flags & ORDER_TIGHT ? "tight" : "wide");
	stress_own_file(file_content, file_size);
	dup2(out, 1);
	sys_cxlrestore(&args, sizeof(args));
	if (errno == ENOMEM && (o->flags & ORDER_TIGHT))
		_exit(4);
	perror("# cxlrestore");
	show_reports("cxlrestore", reports, args.nr_reports);
	_exit(1);
}

static void start(struct slot *s, double end)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK)) {
		perror("pipe");
		exit(1);
	}
	s->killed = false;
	s->kill_at = (s->order.flags & ORDER_STRAY) || rnd(4) ? 0 : now() + rnd(8000) / 1000.0;
	s->order.seconds = end > now() ? end - now() + 1 : 1;
	fflush(stdout);
	s->pid = fork();
	if (!s->pid)
		be_ghost(&s->order, p[1]);
	if (s->pid < 0) {
		perror("fork");
		exit(1);
	}
	close(p[1]);
	s->result = p[0];
}

static void ended(struct slot *s, int status)
{
	struct stress_result result;
	bool was_clone = false;

	while (read(s->result, &result, sizeof(result)) == sizeof(result)) {
		was_clone = true;
		total.ops += result.done;
		total.refused += result.refused;
		total.direct += result.direct;
	}
	close(s->result);
	s->pid = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		total.ended++;
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 4) {
		total.not_started++;
	} else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && s->killed) {
		total.killed++;
	} else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
		   (s->order.flags & ORDER_TIGHT)) {
		*(was_clone ? &total.oom : &total.not_started) += 1;
	} else {
		total.failed++;
		printf("# FAILED: clone %llu (flags %u): status %#x\n",
		       (unsigned long long)s->order.seed, s->order.flags, status);
	}
}

static struct slot *slot_of(pid_t pid, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (slots[i].pid == pid)
			return &slots[i];
	return NULL; /* an orphan of a clone that was killed */
}

static void progress(double began)
{
	printf("# %3.0f s: %ld clones ended well, %ld killed, %ld OOM-killed, %ld not started, ",
	       now() - began, total.ended, total.killed, total.oom, total.not_started);
	printf("%ld operations, %ld with O_DIRECT, %ld calls without memory; %ld failed\n",
	       total.ops, total.direct, total.refused, total.failed);
	fflush(stdout);
}

static int clones(uint64_t seed, double seconds, int nr)
{
	unsigned int fail = getenv("CXLFORK_FAIL") ? ORDER_FAIL : 0;
	unsigned int stray = getenv("CXLFORK_STRAY") ? ORDER_STRAY : 0;
	double began = now(), end = began + seconds, said = began;
	int i, status, alive = 0;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* The seed of each clone: seed * 1000000 + how many there were before. */
	st.rng = seed * 0x9e3779b97f4a7c15ULL + 1;
	seed *= 1000000;
	do {
		for (i = 0; i < nr && now() < end && total.failed < WORST; i++) {
			if (slots[i].pid)
				continue;
			slots[i].order.seed = seed++;
			slots[i].order.ops = 20 + rnd(cgroup && !i ? 30 : 120);
			slots[i].order.flags = ORDER_OWN_FILE | (seed & 1 ? fail : 0) | stray |
					       (cgroup && !i ? ORDER_TIGHT : 0);
			start(&slots[i], end);
		}
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			struct slot *s = slot_of(pid, nr);

			if (s)
				ended(s, status);
		}
		for (i = 0, alive = 0; i < nr; i++) {
			struct slot *s = &slots[i];

			alive += !!s->pid;
			if (s->pid && s->kill_at && now() > s->kill_at && !s->killed) {
				s->killed = true;
				kill(s->pid, SIGKILL);
			}
		}
		if (now() - said >= 10) {
			said += 10;
			progress(began);
		}
		usleep(20000);
	} while (alive || (now() < end && total.failed < WORST));
	/* Orphans end by themselves: their parents are gone. */
	while (wait(&status) > 0)
		;
	progress(began);
	return total.failed || !total.ended;
}

static int replay(uint64_t seed, uint32_t ops, uint32_t flags)
{
	struct slot *s = &slots[0];
	int status;

	s->order = (struct stress_order){ seed, ops, 3600, flags };
	start(s, now() + 3600);
	s->kill_at = 0;
	waitpid(s->pid, &status, 0);
	ended(s, status);
	progress(now());
	return !!total.failed;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "checkpoint"))
		return checkpoint(strtoull(argv[2], NULL, 0), argv[3]);
	if (argc < 6)
		usage();
	pool = open("/dev/cxlfork", O_RDWR | O_CLOEXEC);
	if (pool < 0) {
		perror("/dev/cxlfork");
		return 1;
	}
	id = strtoull(argv[2], NULL, 0);
	load_file(argv[3]);
	if (!strcmp(argv[1], "clones") && argc <= 8) {
		int nr = argc > 6 ? atoi(argv[6]) : 1;

		cgroup = argc > 7 ? argv[7] : NULL;
		if (nr < 1 || nr > MAX_CLONES)
			usage();
		return clones(strtoull(argv[4], NULL, 0), atof(argv[5]), nr);
	}
	if (!strcmp(argv[1], "replay") && argc == 7)
		return replay(strtoull(argv[4], NULL, 0), atoi(argv[5]), atoi(argv[6]));
	usage();
}
