// SPDX-License-Identifier: GPL-2.0
/* Operations with children and threads, and those that change the mapped file. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "stress.h"

#define NR_THREADS	4

static void wait_for(pid_t pid, bool killed, unsigned long at)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("wait", at);
	if (child_ended_well(status))
		return;
	if (!killed || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		die("a child", at);
}

/* The child writes, then the parent looks. */
static void op_fork(unsigned long at, unsigned long n)
{
	uint32_t value = rnd_value();
	pid_t pid = fork_child();
	unsigned long i;

	if (!pid) {
		check_range(at, n, true);
		for (i = at; i < at + n; i += 7)
			if (run_of(i, 1, W_READ | W_WRITE))
				store(i, i % 3, value);
		check_all();
		_exit(0);
	}
	wait_for(pid, false, at);
	check_range(at, n, true);
}

static void op_exec(unsigned long at, unsigned long n)
{
	pid_t pid = vfork();

	(void)n;
	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(127);
	}
	if (pid < 0 && errno != ENOMEM && errno != EAGAIN)
		die("vfork", at);
	if (pid > 0)
		wait_for(pid, false, at);
}

struct worker {
	unsigned long	at, n, first;
	uint32_t	value;
	pthread_t	thread;
};

/* Every fourth page is this thread's to write; it reads all. */
static void *fault_in(void *arg)
{
	struct worker *w = arg;
	unsigned long i;

	for (i = w->first; i < w->n; i += NR_THREADS) {
		unsigned long page = w->at + i;

		store(page, MIDDLE, w->value + i);
		(void)*(volatile uint32_t *)at_page(w->at + (i * 7 + 1) % w->n);
		if (i % 5 == 0 && !(st.page[page].flags & P_LOCKED)) {
			while (madvise(at_page(page), PAGE, MADV_DONTNEED))
				if (errno != ENOMEM && errno != EAGAIN)
					die("MADV_DONTNEED", page);
			set_dropped(page, 1);
		}
		if (i % 9 == 0) {
			while (mprotect(at_page(page), PAGE, PROT_READ) ||
			       mprotect(at_page(page), PAGE, PROT_READ | PROT_WRITE))
				if (errno != ENOMEM && errno != EAGAIN)
					die("mprotect", page);
			st.page[page].prot = PROT_READ | PROT_WRITE;
		}
		store(page, FIRST, w->value ^ i);
		check_page(page, true);
	}
	return NULL;
}

static void op_threads(unsigned long at, unsigned long n)
{
	struct worker w[NR_THREADS];
	unsigned long i;
	int started;

	n = run_of(at, n, W_READ | W_WRITE | W_SURE);
	if (n < NR_THREADS)
		return;
	for (i = 0; i < NR_THREADS; i++)
		w[i] = (struct worker){ at, n, i, rnd_value() >> 1 };
	for (started = 0; started < NR_THREADS; started++)
		if (pthread_create(&w[started].thread, NULL, fault_in, &w[started]))
			break;
	while (started--)
		pthread_join(w[started].thread, NULL);
	check_range(at, n, true);
}

static void *scribble(void *arg)
{
	struct worker *w = arg;
	unsigned long i;

	for (;;)
		for (i = w->first; i < w->n; i += 3)
			if (st.page[w->at + i].prot & PROT_WRITE)
				*(volatile uint32_t *)at_page(w->at + i) = i;
	return NULL;
}

/* A child ends, or is killed, while its threads fault. */
static void op_exit(unsigned long at, unsigned long n)
{
	bool kill_it = rnd(2);
	pid_t pid = fork_child();
	struct worker w[2];
	pthread_t thread;

	if (!pid) {
		w[0] = (struct worker){ at, n, 0 };
		w[1] = (struct worker){ 0, AREA_PAGES, 1 };
		if (!pthread_create(&thread, NULL, scribble, &w[0]))
			pthread_create(&thread, NULL, scribble, &w[1]);
		usleep(1000 + rnd(20000));
		if (kill_it)
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	wait_for(pid, kill_it, at);
}

static void op_brk(unsigned long at, unsigned long n)
{
	unsigned char *end = sbrk(0);
	unsigned long i;

	(void)n;
	if (sbrk(LEAF) == (void *)-1)
		return;
	for (i = 0; i < LEAF; i += 37 * PAGE)
		if (end[i])
			die("fresh heap is not zero", at);
		else
			end[i] = 1;
	if (sbrk(-LEAF) == (void *)-1)
		die("sbrk", at);
}

/* The file is this process's own, and nobody else has a model of it. */
static int open_own_file(unsigned long from, unsigned long nr)
{
	if (!(st.order.flags & ORDER_OWN_FILE) || st.depth || st.children)
		return -1;
	if (!file_certain(from, nr))
		return -1;
	return open(STRESS_FILE, O_RDWR | O_CLOEXEC);
}

static void op_file_write(unsigned long at, unsigned long n)
{
	unsigned long from = rnd(FILE_PAGES - 8), nr = 1 + rnd(8), i, j;
	static uint32_t page[PAGE / 4];
	int fd = open_own_file(from, nr);

	(void)n;
	if (fd < 0)
		return;
	for (i = from; i < from + nr; i++) {
		uint32_t value = rnd_value();

		for (j = 0; j < PAGE / 4; j++)
			page[j] = value;
		if (pwrite(fd, page, PAGE, i * PAGE) != (ssize_t)PAGE)
			die("write to the file", at);
		file_changed(i, value, false);
	}
	close(fd);
}

static void op_file_punch(unsigned long at, unsigned long n)
{
	unsigned long from = rnd(FILE_PAGES), i;
	int fd;

	if (n > FILE_PAGES - from)
		n = FILE_PAGES - from;
	fd = open_own_file(from, n);
	if (fd < 0)
		return;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from * PAGE, n * PAGE))
		die("fallocate", at);
	for (i = from; i < from + n; i++)
		file_changed(i, 0, false);
	close(fd);
}

/* Shorter, and as long as before. */
static void op_file_truncate(unsigned long at, unsigned long n)
{
	unsigned long from = FILE_PAGES - (rnd(4) ? 1 + n % 100 : 1 + rnd(FILE_PAGES)), i;
	int fd = open_own_file(from, FILE_PAGES - from);

	if (fd < 0)
		return;
	if (ftruncate(fd, from * PAGE))
		die("ftruncate", at);
	for (i = 0; i < AREA_PAGES; i++)
		if (st.page[i].file > from && !faults(i, false))
			die("behind the end of the file, but no fault", i);
	if (ftruncate(fd, FILE_PAGES * PAGE))
		die("ftruncate", at);
	for (i = from; i < FILE_PAGES; i++)
		file_changed(i, 0, true);
	close(fd);
}

const struct stress_op stress_task_ops[] = {
	{ "fork", op_fork, 3 },
	{ "vfork and exec", op_exec, 1 },
	{ "threads", op_threads, 4 },
	{ "exit under fault", op_exit, 3 },
	{ "brk", op_brk, 2 },
	{ "write to the file", op_file_write, 3 },
	{ "punch a hole", op_file_punch, 2 },
	{ "truncate the file", op_file_truncate, 2 },
	{ }
};
