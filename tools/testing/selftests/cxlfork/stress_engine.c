// SPDX-License-Identifier: GPL-2.0
/*
 * The engine: the area, one operation after the other, system calls that may fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "stress.h"

#define MAX_CHILDREN	2
#define MAX_DEPTH	2
#define GOLDEN		0x9e3779b97f4a7c15ULL

struct stress st;

static pid_t child[MAX_CHILDREN];

/* --- system calls */

/* From here on, allocations of this thread fail, as fault injection was told to. */
static int inject_on(void)
{
	int fd;

	if (!(st.order.flags & ORDER_FAIL))
		return -1;
	fd = open("/proc/thread-self/make-it-fail", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		die("make-it-fail", 0);
	return fd;
}

static void inject_off(int fd)
{
	int error = errno;

	if (fd < 0)
		return;
	if (write(fd, "0", 1) != 1)
		die("make-it-fail", 0);
	close(fd);
	errno = error;
}

/* In a child, which has inherited it, and whose own switch is another file. */
static void inject_off_here(void)
{
	int i, fd;

	if (!(st.order.flags & ORDER_FAIL))
		return;
	for (i = 0; i < 1000; i++) {
		fd = open("/proc/thread-self/make-it-fail", O_WRONLY | O_CLOEXEC);
		if (fd >= 0) {
			inject_off(fd);
			return;
		}
	}
	die("make-it-fail", 0);
}

/* A system call that may fail: -1 and errno. */
long may(long nr, const long args[6])
{
	int fd = inject_on();
	long ret = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);

	inject_off(fd);
	return ret;
}

/*
 * One that must not, but for lack of memory; then it is tried again, without fault
 * injection. It must be one that can be repeated whatever its first try has done.
 */
long must(unsigned long at, long nr, const long args[6])
{
	long ret = may(nr, args);
	int i;

	for (i = 0; ret == -1 && i < 50; i++) {
		if (errno != ENOMEM && errno != EAGAIN)
			break;
		st.result.refused++;
		if (i)
			usleep(10000);
		ret = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	}
	if (ret == -1)
		die("system call", at);
	return ret;
}

/* --- children */

bool child_ended_well(int status)
{
	/* The OOM killer has its own taste. */
	if ((st.order.flags & ORDER_TIGHT) && WIFSIGNALED(status) &&
	    WTERMSIG(status) == SIGKILL)
		return true;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* fork(), also with allocations that fail; the child has the model of a child. */
pid_t fork_child(void)
{
	pid_t pid = -1, parent = getpid();
	int i, fd;

	for (i = 0; i < 50 && pid < 0; i++) {
		fd = i ? -1 : inject_on();
		pid = fork();
		if (pid)
			inject_off(fd);
		if (pid < 0) {
			if (errno != ENOMEM && errno != EAGAIN)
				break;
			st.result.refused++;
			usleep(i ? 10000 : 0);
		}
	}
	if (pid < 0)
		die("fork", 0);
	if (pid)
		return pid;
	inject_off_here();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	st.depth++;
	st.children = 0;
	set_forked();
	return 0;
}

/* See how children that went on by themselves have ended. */
void reap(bool wait)
{
	int i, status;
	pid_t pid;

	for (i = 0; i < MAX_CHILDREN; i++) {
		if (!child[i])
			continue;
		do
			pid = waitpid(child[i], &status, wait ? 0 : WNOHANG);
		while (pid < 0 && errno == EINTR);
		if (!pid)
			continue;
		child[i] = 0;
		st.children--;
		if (pid < 0 || !child_ended_well(status))
			die("a child that went on by itself", 0);
	}
}

static void run_ops(uint64_t seed, uint32_t nr, time_t end);

/* A child that does operations as well, while its parent goes on. */
static void go_on(unsigned long at, unsigned long n)
{
	uint32_t nr = 1 + rnd(20);
	uint64_t seed = rnd_value() * GOLDEN;
	int i = 0;

	if (st.children == MAX_CHILDREN || st.depth == MAX_DEPTH)
		return;
	while (child[i])
		i++;
	child[i] = fork_child();
	if (child[i]) {
		st.children++;
		return;
	}
	memset(child, 0, sizeof(child));
	check_range(at, n, true);
	run_ops(seed, nr, 0);
	check_all();
	_exit(0);
}

/* --- one after the other */

static const struct stress_op engine_ops[] = {
	{ "a child that goes on", go_on, 4 },
	{ }
};

static const struct stress_op *const tables[] = {
	engine_ops, stress_access_ops, stress_map_ops, stress_watch_ops, stress_task_ops, NULL
};

static const struct stress_op *pick(uint32_t dice, uint32_t *sum)
{
	const struct stress_op *op;
	int i;

	*sum = 0;
	for (i = 0; tables[i]; i++)
		for (op = tables[i]; op->name; op++) {
			*sum += op->weight;
			if (dice < *sum)
				return op;
		}
	return NULL;
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void seed_rng(uint64_t seed)
{
	int i;

	st.rng = (seed ?: 1) * GOLDEN;
	for (i = 0; i < 8; i++)
		rnd(2);
}

static void run_ops(uint64_t seed, uint32_t nr, time_t end)
{
	uint32_t i, all;

	pick(~0U, &all);
	for (i = 0; i < nr && (!end || now() < end); i++) {
		const struct stress_op *op;
		unsigned long at, n;
		uint32_t sum;

		/* What chance did to the one before does not change this one. */
		seed_rng(seed + i);
		at = rnd(AREA_PAGES);
		n = 1 + rnd(rnd(4) ? 40 : 1200);
		if (!rnd(3))
			at &= ~(LEAF_PAGES - 1);
		if (!rnd(5))
			n = LEAF_PAGES * (1 + rnd(3));
		if (at + n > AREA_PAGES)
			n = AREA_PAGES - at;
		op = pick(rnd(all), &sum);
		st.op = op->name;
		st.past[st.nr_past++ % NR_PAST] = (struct stress_past){ op->name, at, n };
		op->run(at, n);
		st.result.done++;
		reap(false);
		/* A little of it all the time, all of it now and then. */
		st.op = "check";
		check_range(rnd(AREA_PAGES), 16, true);
		if (!rnd(50))
			check_range(0, AREA_PAGES, false);
	}
	reap(true);
}

/* A word of some page, as nobody should write it. */
static void stray_write(void)
{
	unsigned long page;

	seed_rng(~st.order.seed);
	do
		page = rnd(AREA_PAGES);
	while (!run_of(page, 1, W_READ | W_WRITE | W_SURE));
	*(volatile uint32_t *)(at_page(page) + 4 * (2 + rnd(PAGE / 8))) ^= 0x80000000;
}

/* More than there is memory for in a tight cgroup. */
static void write_everywhere(void)
{
	unsigned long page;

	st.op = "write everywhere";
	seed_rng(~st.order.seed);
	for (page = 0; page < AREA_PAGES; page++)
		if (run_of(page, 1, W_READ | W_WRITE))
			store(page, MIDDLE, rnd_value());
}

void stress_run(const struct stress_order *order)
{
	st.order = *order;
	st.result = (struct stress_result){ 0 };
	st.nr_past = 0;
	st.op = "at first";
	check_range(0, AREA_PAGES, false);
	run_ops(order->seed * GOLDEN, order->ops, order->seconds ? now() + order->seconds : 0);
	if (order->flags & ORDER_TIGHT)
		write_everywhere();
	st.op = "at last";
	if (order->flags & ORDER_STRAY)
		stray_write();
	check_all();
}

/* --- the file */

/* As it is when it is checkpointed, and as each ghost has to have it. */
static void write_file_anew(const void *content, size_t size)
{
	const struct timespec when[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
	int fd;

	mkdir(STRESS_DIR, 0700);
	unlink(STRESS_FILE);
	fd = open(STRESS_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, content, size) != (ssize_t)size || futimens(fd, when) ||
	    close(fd)) {
		perror("# " STRESS_FILE);
		_exit(2);
	}
}

/* For a ghost: a file of the same name on a file system that nobody else sees. */
void stress_own_file(const void *content, size_t size)
{
	mkdir(STRESS_DIR, 0700);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("stress", STRESS_DIR, "tmpfs", 0, NULL)) {
		perror("# " STRESS_DIR);
		_exit(2);
	}
	write_file_anew(content, size);
}

void *stress_read_file(size_t *size)
{
	int fd = open(STRESS_FILE, O_RDONLY | O_CLOEXEC);
	const struct timespec when[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
	char *content;

	*size = FILE_PAGES * PAGE;
	content = malloc(*size);
	if (fd < 0 || !content || read(fd, content, *size) != (ssize_t)*size)
		die(STRESS_FILE, 0);
	close(fd);
	/* As others will find it. */
	if (utimensat(AT_FDCWD, STRESS_FILE, when, 0))
		die(STRESS_FILE, 0);
	return content;
}

/* --- the area: anonymous memory, 2 MiB pages, a file */

#define AREA_ADDRESS	0x100000000000UL
#define HUGE_AT		(8 * LEAF_PAGES)
#define HUGE_PAGES	(4 * LEAF_PAGES)
#define FILE_AT		(13 * LEAF_PAGES + 100)

static void map_file(void)
{
	uint32_t *content = malloc(FILE_PAGES * PAGE);
	unsigned long i, j;
	int fd;

	if (!content)
		die("no memory", 0);
	for (i = 0; i < FILE_PAGES; i++) {
		st.file_value[i] = rnd_value();
		for (j = 0; j < PAGE / 4; j++)
			content[i * PAGE / 4 + j] = st.file_value[i];
	}
	write_file_anew(content, FILE_PAGES * PAGE);
	free(content);
	fd = open(STRESS_FILE, O_RDONLY | O_CLOEXEC);
	if (mmap(at_page(FILE_AT), FILE_PAGES * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
		die("mmap", FILE_AT);
	close(fd);
	set_file(FILE_AT, FILE_PAGES, PROT_READ | PROT_WRITE, 0);
}

void stress_setup(void)
{
	unsigned long i;

	st.op = "setup";
	st.rng = 1;
	/* Far from where the kernel looks for room: the area will have holes. */
	st.area = mmap((void *)AREA_ADDRESS, AREA_PAGES * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (st.area != (void *)AREA_ADDRESS)
		die("mmap", 0);
	madvise(st.area, AREA_PAGES * PAGE, MADV_NOHUGEPAGE);
	madvise(at_page(HUGE_AT), HUGE_PAGES * PAGE, MADV_HUGEPAGE);
	catch_faults();
	set_fresh(0, AREA_PAGES, PROT_READ | PROT_WRITE);
	map_file();
	for (i = 0; i < AREA_PAGES; i++) {
		/* Some stay empty, some stay the file's. */
		if (i % 64 < 4 || (st.page[i].file && i % 3))
			continue;
		store_all(i, rnd_value());
		if (i % 5 == 0)
			store(i, i % 3, rnd_value());
	}
}
