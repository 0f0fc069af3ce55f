// SPDX-License-Identifier: GPL-2.0
/* Paths: futexes, membarrier, rseq, protection keys. */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "cxlfork_fixture.h"
#include "paths.h"

#define RW	(PROT_READ | PROT_WRITE)

static long futex(void *word, int op, unsigned int value, const struct timespec *timeout,
		  void *word2, unsigned int value3)
{
	return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static const struct timespec soon = { 0, 10000000 };

struct waiter {
	struct path	*p;
	uint32_t	*word;
	int		op;
	long		ret;
};

static void *wait_on(void *arg)
{
	struct waiter *w = arg;

	w->ret = futex(w->word, w->op, 0, NULL, NULL, 0);
	return NULL;
}

/* Wait and wake on a word that the parent wrote and this process has not. */
static void wake_one(struct path *p, uint32_t *word, int private)
{
	struct waiter w = { p, word, FUTEX_WAIT | private, -1 };
	pthread_t t;
	int i;

	see_ret(p, "wait, other value", futex(word, FUTEX_WAIT | private, *word + 1, NULL,
					      NULL, 0));
	see_ret(p, "wait, timeout", futex(word, FUTEX_WAIT | private, *word, &soon, NULL, 0));
	CHECK(!*word);
	CHECK(!pthread_create(&t, NULL, wait_on, &w));
	for (i = 0; i < 10000 && futex(word, FUTEX_WAKE | private, 1, NULL, NULL, 0) != 1; i++)
		usleep(2000);
	CHECK(!pthread_join(t, NULL));
	see(p, "woken: %s", i < 10000 && !w.ret ? "yes" : "NO");
}

/* fill() leaves zeros there. */
#define ZERO_WORD(p, page) ((uint32_t *)((p)->anon + (page) * PAGE + 64))

PATH(futex_private, "futex: private wait and wake")
{
	wake_one(p, ZERO_WORD(p, 3), FUTEX_PRIVATE_FLAG);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

PATH(futex_shared, "futex: shared operations on private memory")
{
	wake_one(p, ZERO_WORD(p, 3), 0);
	wake_one(p, (uint32_t *)(p->file + 3 * PAGE + 64), 0);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

PATH(futex_requeue, "futex: requeue, wake_op, bitset")
{
	struct waiter w = { p, ZERO_WORD(p, 3), FUTEX_WAIT_PRIVATE, -1 };
	uint32_t *other = ZERO_WORD(p, 600);
	pthread_t t;
	int i;

	CHECK(!pthread_create(&t, NULL, wait_on, &w));
	for (i = 0; i < 10000; i++) {
		if (futex(w.word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)1, other, 0) == 1)
			break;
		usleep(2000);
	}
	see(p, "requeued: %s", i < 10000 ? "yes" : "NO");
	see_ret(p, "wake there", futex(other, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	CHECK(!pthread_join(t, NULL));
	see_ret(p, "wake_op", futex(w.word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, other,
				    FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)));
	see(p, "words: %u %u", *w.word, *other);
	see_ret(p, "bitset", futex(w.word, FUTEX_WAIT_BITSET_PRIVATE, 1, NULL, NULL, 1));
	see_mem(p, "anon", p->anon, ANON_LEN);
}

static void *lock_and_wait(void *arg)
{
	struct waiter *w = arg;

	w->ret = futex(w->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
	if (!w->ret)
		futex(w->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
	return NULL;
}

PATH(futex_pi, "futex: priority inheritance")
{
	struct waiter w = { p, ZERO_WORD(p, 9), 0, -1 };
	pthread_t t;

	see_ret(p, "lock", futex(w.word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
	see(p, "mine: %s", (*w.word & FUTEX_TID_MASK) == (uint32_t)gettid() ? "yes" : "NO");
	CHECK(!pthread_create(&t, NULL, lock_and_wait, &w));
	usleep(20000);
	see_ret(p, "unlock", futex(w.word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
	CHECK(!pthread_join(t, NULL));
	see(p, "the other's: %ld, word %u", w.ret, *w.word & FUTEX_TID_MASK);
	*w.word = 0;
	see_mem(p, "anon", p->anon, ANON_LEN);
}

/* A mutex in memory that the parent wrote; a thread ends while it holds it. */
static void *lock_and_end(void *arg)
{
	pthread_mutex_lock(arg);
	return NULL;
}

PATH(futex_robust, "futex: robust list")
{
	pthread_mutex_t *m = (pthread_mutex_t *)(p->anon + 11 * PAGE + 64);
	pthread_mutexattr_t attr;
	pthread_t t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	CHECK(!pthread_mutex_init(m, &attr));
	CHECK(!pthread_create(&t, NULL, lock_and_end, m));
	CHECK(!pthread_join(t, NULL));
	see(p, "owner died: %s", pthread_mutex_lock(m) == EOWNERDEAD ? "yes" : "NO");
	see(p, "consistent: %d", pthread_mutex_consistent(m));
	see(p, "unlocked: %d", pthread_mutex_unlock(m));
}

PATH(membarrier_all, "membarrier")
{
	see_ret(p, "query", syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) > 0);
	see_ret(p, "global", syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	see_ret(p, "register", syscall(SYS_membarrier,
				       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	p->anon[0] = 1;
	see_ret(p, "expedited", syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	see_mem(p, "anon", p->anon, ANON_LEN);
}

/*
 * The kernel writes the CPU's number there, when it switches back to a thread.
 * glibc has registered one for each of its own threads: this is another's.
 */
static int register_rseq(void *arg)
{
	struct path *p = arg;
	uint32_t *area = (uint32_t *)(p->anon + 13 * PAGE + 64);
	int i;

	memset(area, 0, 32);
	area[0] = -1;
	area[1] = -1;
	see_ret(p, "register", syscall(SYS_rseq, area, 32, 0, 0x53053053));
	for (i = 0; i < 20; i++)
		sched_yield();
	see(p, "a CPU: %s", area[1] < 64 ? "yes" : "NO");
	see_ret(p, "unregister", syscall(SYS_rseq, area, 32, 1, 0x53053053));
	_exit(0);
}

PATH(rseq_area, "rseq: an area in memory that the parent wrote")
{
	char *stack = map_anon(16 * PAGE);
	pid_t pid = clone(register_rseq, stack + 16 * PAGE, CLONE_VM | SIGCHLD, p);

	CHECK(pid > 0);
	see_child(p, "its user", pid);
	see_mem(p, "rest", p->anon + LEAF, ANON_LEN - LEAF);
}

PATH(pkeys, "protection keys: part and whole")
{
	int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);

	if (key < 0)
		path_skip(p, "no protection keys here (%s)", strerrorname_np(errno));
	see(p, "key %d", key);
	see_ret(p, "part", pkey_mprotect(p->anon + 3 * PAGE, 5 * PAGE, RW, key));
	see_ret(p, "whole", pkey_mprotect(p->anon + LEAF, LEAF, RW, key));
	see_fault(p, "read", p->anon + 3 * PAGE, PATH_READ);
	see_fault(p, "read", p->anon + LEAF + PAGE, PATH_READ);
	see_ret(p, "reading", pkey_set(key, PKEY_DISABLE_WRITE));
	see_fault(p, "read", p->anon + LEAF + PAGE, PATH_READ);
	see_fault(p, "write", p->anon + LEAF + PAGE, PATH_WRITE);
	see_ret(p, "writing", pkey_set(key, 0));
	see_fault(p, "write", p->anon + LEAF + PAGE, PATH_WRITE);
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_maps(p, "maps", p->anon, p->anon + ANON_LEN);
}

TEST_HARNESS_MAIN
