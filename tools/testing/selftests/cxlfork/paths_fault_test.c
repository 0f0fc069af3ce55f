// SPDX-License-Identifier: GPL-2.0
/* Paths: page faults, fork, exec, exit. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cxlfork_fixture.h"
#include "fail.h"
#include "paths.h"

PATH(fault_read, "page fault: read")
{
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_mem(p, "sparse", p->sparse, SPARSE_LEN);
	see_mem(p, "file", p->file, FILE_LEN);
	see_mem(p, "huge", p->huge, HUGE_LEN);
}

PATH(fault_write, "page fault: write")
{
	size_t i;

	for (i = 0; i < ANON_LEN; i += 37 * PAGE)
		p->anon[i + 5] = i / PAGE;
	for (i = 0; i < SPARSE_LEN; i += 37 * PAGE)
		p->sparse[i + 5] = i / PAGE;
	for (i = 0; i < FILE_LEN; i += 37 * PAGE)
		p->file[i + 5] = i / PAGE;
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_mem(p, "sparse", p->sparse, SPARSE_LEN);
	see_mem(p, "file", p->file, FILE_LEN);
}

/* Eight bytes that lie in two pages, and in two leaves. */
PATH(fault_misaligned, "page fault: access across pages and leaves")
{
	volatile uint64_t *pages = (uint64_t *)(p->anon + 3 * PAGE - 3);
	volatile uint64_t *leaves = (uint64_t *)(p->anon + LEAF - 5);

	see(p, "before: %lx %lx", (long)*pages, (long)*leaves);
	*pages = 0x1122334455667788;
	*leaves = 0x99aabbccddeeff00;
	see(p, "after: %lx %lx", (long)*pages, (long)*leaves);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

/* mov $7, %eax; ret: in one page, and in two leaves. */
static const unsigned char code[] = { 0xb8, 7, 0, 0, 0, 0xc3 };

PATH(fault_fetch, "page fault: instruction fetch")
{
	unsigned char *one = p->anon + 5 * PAGE, *two = p->anon + LEAF - 3;

	see_fault(p, "fetch, not executable", one, PATH_EXEC);
	memcpy(one, code, sizeof(code));
	memcpy(two, code, sizeof(code));
	see_ret(p, "mprotect", mprotect(p->anon, ANON_LEN, PROT_READ | PROT_EXEC));
	see(p, "in a page: %d", ((int (*)(void))one)());
	see(p, "across leaves: %d", ((int (*)(void))two)());
	see_fault(p, "write, not writable", one, PATH_WRITE);
}

/* A page that the parent wrote and that only the clone makes executable. */
PATH(fault_fetch_shared, "page fault: instruction fetch from memory not written here")
{
	/* fill() leaves zeros: add %al, (%rax) with rax 0 */
	see_ret(p, "mprotect", mprotect(p->anon, LEAF, PROT_READ | PROT_EXEC));
	see_fault(p, "fetch of what the parent wrote", p->anon + 8, PATH_EXEC);
	see_mem(p, "anon", p->anon, LEAF);
}

#define THREADS 4

struct worker {
	struct path	*p;
	int		nr;
};

static void *write_interleaved(void *arg)
{
	struct worker *w = arg;
	size_t i;

	for (i = 0; i < ANON_LEN; i += 16 * PAGE)
		w->p->anon[i + 100 * (w->nr + 1)] = w->nr + 1;
	return NULL;
}

PATH(fault_threads, "page faults of threads at the same time")
{
	struct worker w[THREADS];
	pthread_t t[THREADS];
	int i;

	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ p, i };
		CHECK(!pthread_create(&t[i], NULL, write_interleaved, &w[i]));
	}
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_join(t[i], NULL));
	see_mem(p, "anon", p->anon, ANON_LEN);
}

static volatile bool stop;

static void *protect_again_and_again(void *arg)
{
	struct path *p = arg;

	while (!stop) {
		CHECK(!mprotect(p->anon + LEAF, LEAF, PROT_READ));
		CHECK(!mprotect(p->anon + LEAF, LEAF, PROT_READ | PROT_WRITE));
		CHECK(!mprotect(p->anon + 3 * LEAF + 7 * PAGE, 9 * PAGE, PROT_READ));
	}
	return NULL;
}

PATH(fault_during_mprotect, "page faults while another thread changes protections")
{
	pthread_t t;
	int round;
	size_t i;

	stop = false;
	CHECK(!pthread_create(&t, NULL, protect_again_and_again, p));
	for (round = 1; round < 4; round++)
		for (i = 0; i < LEAF; i += 8 * PAGE) {
			p->anon[i + 9] = round;
			p->anon[4 * LEAF + i + 9] = round;
			CHECK(p->anon[LEAF + i + 8 * 32] == p->anon[LEAF + i + 8 * 32]);
		}
	stop = true;
	CHECK(!pthread_join(t, NULL));
	see_mem(p, "anon", p->anon, ANON_LEN);
}

/* A fault for which memory is out is done again: it succeeds at last. */
PATH(fault_without_memory, "page fault while allocations fail")
{
	unsigned int nth;

	for (nth = 1; nth < 12; nth++) {
		inject_on(p, nth);
		p->anon[nth * LEAF / 3] = nth;
		fail_done();
	}
	see_mem(p, "anon", p->anon, ANON_LEN);
}

PATH(fork_child, "fork: child and parent write")
{
	int go[2];
	pid_t pid;

	p->anon[0] = 1;
	CHECK(!pipe(go));
	pid = fork();
	if (!pid) {
		get_byte(go[0]);
		see_mem(p, "child: anon", p->anon, ANON_LEN);
		see_mem(p, "child: sparse", p->sparse, SPARSE_LEN);
		see_mem(p, "child: file", p->file, FILE_LEN);
		memset(p->anon + LEAF, 3, 10 * PAGE);
		see_mem(p, "child: anon", p->anon, ANON_LEN);
		_exit(3);
	}
	memset(p->anon + 2 * LEAF, 2, 10 * PAGE);
	put_byte(go[1], 'g');
	see_child(p, "child", pid);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

PATH(fork_grandchild, "fork of a forked child")
{
	pid_t pid = fork();

	if (!pid) {
		pid_t grandchild;

		p->anon[LEAF] = 7;
		grandchild = fork();
		if (!grandchild) {
			p->anon[2 * LEAF] = 8;
			see_mem(p, "grandchild: anon", p->anon, ANON_LEN);
			_exit(4);
		}
		see_child(p, "grandchild", grandchild);
		see_mem(p, "child: anon", p->anon, ANON_LEN);
		_exit(5);
	}
	see_child(p, "child", pid);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

PATH(fork_without_memory, "fork while allocations fail")
{
	unsigned int nth;
	pid_t pid;

	for (nth = 1; nth < 400; nth += 23) {
		inject_on(p, nth);
		pid = fork();
		if (!pid)
			_exit(is_filled(p->anon, ANON_LEN, ANON_SEED) ? 0 : 2);
		fail_done();
		if (pid > 0) {
			int status = -1;

			CHECK(waitpid(pid, &status, 0) == pid && !status);
		}
	}
	see_mem(p, "anon", p->anon, ANON_LEN);
}

PATH(vfork_child, "vfork: the child writes the parent's memory")
{
	pid_t pid = vfork();

	if (!pid) {
		p->anon[3 * LEAF] = 9;
		_exit(6);
	}
	see_child(p, "child", pid);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

PATH(exec_program, "exec")
{
	pid_t pid;

	p->anon[0] = 1;
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", "exit 9", NULL);
		_exit(127);
	}
	see_child(p, "child that executes", pid);
	see_mem(p, "anon", p->anon, ANON_LEN);
	execl("/bin/sh", "sh", "-c", "exit 11", NULL);
}

PATH(exit_untouched, "exit of an untouched process")
{
	see(p, "nothing is touched");
}

static void *fault_for_ever(void *arg)
{
	struct path *p = arg;
	size_t i;

	for (i = 0;; i = (i + 4099) % ANON_LEN)
		p->anon[i]++;
	return NULL;
}

PATH(exit_group_under_fault, "exit_group while threads fault")
{
	pthread_t t;
	int i;

	see(p, "exit_group");
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&t, NULL, fault_for_ever, p));
	usleep(20000);
	_exit(12);
}

PATH(kill_under_fault, "SIGKILL while threads fault")
{
	pthread_t t;
	int i;

	see(p, "SIGKILL");
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&t, NULL, fault_for_ever, p));
	usleep(20000);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

TEST_HARNESS_MAIN
