// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations of the memory manager in clones, each shadowed by a model of
 * what the memory must hold; the same while the pool is drained, and in forked
 * children, as a reference.
 *
 *   CXLFORK_SEED=N	replay (each run prints its seed)
 *   CXLFORK_OPS=N	operations of each process
 *   CXLFORK_FAIL=1	with fault injection set up (make-it-fail): allocations fail
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>
#include "stress.h"

#define CLONES	3

static struct stress_order order;
static void *file_content;
static size_t file_size;

/* A child has no file of its own: the mapping is still of its parent's. */
static int run(bool clone)
{
	if (clone)
		set_cloned();
	else
		order.flags &= ~ORDER_OWN_FILE;
	stress_run(&order);
	return 0;
}

/* All are clones now, or have ended: from here on there are no new ones. */
static void wait_for_clones(const pid_t *pids)
{
	siginfo_t ended;
	char name[16];
	int i;

	for (i = 0; i < CLONES; i++) {
		snprintf(name, sizeof(name), "%d", pids[i]);
		ended.si_pid = 0;
		while (stat_of(name, "checkpoint") < 0 && !ended.si_pid) {
			waitid(P_PID, pids[i], &ended, WEXITED | WNOHANG | WNOWAIT);
			usleep(1000);
		}
	}
}

/* Takes their pages from CXL memory, some at a time, while they work. */
static bool drain_meanwhile(void)
{
	struct cxlfork_pool_drain drain;
	uint64_t copied = 0, lost = 0;
	int fd = open("/dev/cxlfork", O_RDWR);
	int ret;

	do {
		drain = (struct cxlfork_pool_drain){ .budget = 32 };
		ret = ioctl(fd, CXLFORK_IOC_DRAIN, &drain);
		copied += drain.copied;
		lost += drain.lost;
		usleep(5000);
	} while (!ret && drain.users);
	if (ret)
		perror("# CXLFORK_IOC_DRAIN");
	printf("# %llu pages drained\n", (unsigned long long)copied);
	close(fd);
	return !ret && copied && !lost;
}

/* Several at once, each with its own part of the random sequence. */
static bool together(int pool, long id, uint64_t seed, bool drained)
{
	const char *ops = getenv("CXLFORK_OPS");
	pid_t pids[CLONES];
	bool good = true;
	int i, status;

	order = (struct stress_order){
		.ops = ops ? atol(ops) : 60,
		.flags = ORDER_OWN_FILE | (getenv("CXLFORK_FAIL") ? ORDER_FAIL : 0),
	};
	for (i = 0; i < CLONES; i++) {
		struct cxlrestore_args args = {
			.id = id, .pool_fd = pool, .payload = (uintptr_t)&order,
			.payload_size = sizeof(order),
		};

		order.seed = seed + i;
		if (id < 0) {
			if (!fork_child())
				_exit((st.depth = 0, run(false)));
			continue;
		}
		pids[i] = fork();
		if (pids[i])
			continue;
		stress_own_file(file_content, file_size);
		sys_cxlrestore(&args, sizeof(args));
		perror("# cxlrestore");
		_exit(1);
	}
	if (drained) {
		wait_for_clones(pids);
		good = drain_meanwhile();
	}
	for (i = 0; i < CLONES; i++)
		good &= wait(&status) > 0 && !status;
	return good;
}

static uint64_t pick_seed(void)
{
	const char *s = getenv("CXLFORK_SEED");
	uint32_t seed = 0;

	if (s)
		return strtoull(s, NULL, 0);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = getpid();
	return seed;
}

int main(void)
{
	int pool = open("/dev/cxlfork", O_RDWR);
	uint64_t seed = pick_seed();
	struct cxlfork_args args = {
		.pool_fd = pool, .pidfd = -1, .payload = (uintptr_t)&order,
		.payload_size = sizeof(order),
	};
	bool good, drained, same;
	__u64 remove;
	long id;

	printf("TAP version 13\n");
	if (pool < 0 || getuid()) {
		printf("1..0 # SKIP %s\n", pool < 0 ? "no pool" : "not root");
		return 4;
	}
	printf("1..3\n# CXLFORK_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	stress_setup();
	file_content = stress_read_file(&file_size);
	id = sys_cxlfork(&args, sizeof(args));
	if (!id)
		_exit(run(true));
	if (id < 0) {
		printf("not ok 1 checkpoint: %s\n", strerror(errno));
		return 1;
	}
	good = together(pool, id, seed, false);
	printf("%s 1 clones hold what the model says\n", good ? "ok" : "not ok");
	fflush(stdout);
	drained = together(pool, id, seed, true);
	printf("%s 2 and while the pool is drained\n", drained ? "ok" : "not ok");
	fflush(stdout);
	remove = id;
	ioctl(pool, CXLFORK_IOC_REMOVE, &remove);
	same = together(pool, -1, seed, false);
	printf("%s 3 forked children as well\n", same ? "ok" : "not ok");
	unlink(STRESS_FILE);
	rmdir(STRESS_DIR);
	printf("# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:0 error:0\n",
	       good + drained + same, !good + !drained + !same);
	return !good || !drained || !same;
}
