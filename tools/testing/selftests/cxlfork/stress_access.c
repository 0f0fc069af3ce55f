// SPDX-License-Identifier: GPL-2.0
/* Operations that read and write memory, directly and by way of the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "stress.h"

#define SOME	16

/* What was not stored by store(). */
static void stored(unsigned long page, unsigned int which, uint32_t value)
{
	st.page[page].value[which] = value;
	if (st.page[page].file)
		st.page[page].flags = (st.page[page].flags & ~P_CACHE) | P_PRIVATE;
	check_page(page, false);
}

static void op_read(unsigned long at, unsigned long n)
{
	check_range(at, n, rnd(2));
}

static void op_write(unsigned long at, unsigned long n)
{
	unsigned long i;

	for (i = at; i < at + n && i < at + 40; i++)
		if (run_of(i, 1, W_WRITE | W_READ))
			store(i, rnd(3), rnd_value());
}

static void op_write_all(unsigned long at, unsigned long n)
{
	unsigned long i;

	for (i = at; i < at + n && i < at + 40; i++)
		if (run_of(i, 1, W_WRITE | W_READ))
			store_all(i, rnd_value());
}

/* One store to two pages, at best in two leaves. */
static void op_write_across(unsigned long at, unsigned long n)
{
	uint32_t both[2] = { rnd_value(), rnd_value() };
	uint64_t value;

	if (rnd(2))
		at |= LEAF_PAGES - 1;
	n = run_of(at, 2, W_READ | W_WRITE);
	if (n < 2)
		return;
	settle(at);
	settle(at + 1);
	memcpy(&value, both, sizeof(value));
	*(volatile uint64_t *)(at_page(at + 1) - 4) = value;
	stored(at, LAST, both[0]);
	stored(at + 1, FIRST, both[1]);
}

static void op_fault(unsigned long at, unsigned long n)
{
	const struct page_model *p = &st.page[at];
	bool write = rnd(2), wanted;

	(void)n;
	wanted = !(p->flags & P_MAPPED) || !(p->prot & PROT_READ) ||
		 (write && !(p->prot & PROT_WRITE));
	if (write && !wanted)
		settle(at);
	if (faults(at, write) != wanted)
		die(wanted ? "no fault" : "a fault", at);
	if (write && !wanted)
		store(at, FIRST, rnd_value());
}

static void op_vm_readv(unsigned long at, unsigned long n)
{
	uint32_t got[4] = { 0 };
	struct iovec remote[4], local = { got, sizeof(got) };
	unsigned long offset[] = { 0, PAGE / 2, PAGE - 4, 8 };
	int i;

	(void)n;
	if (!run_of(at, 1, W_READ | W_SURE))
		return;
	for (i = 0; i < 4; i++)
		remote[i] = (struct iovec){ at_page(at) + offset[i], 4 };
	if (process_vm_readv(getpid(), &local, 1, remote, 4, 0) != sizeof(got))
		die("process_vm_readv", at);
	if (memcmp(got, st.page[at].value, sizeof(got)))
		die("process_vm_readv got something else", at);
}

static void op_vm_writev(unsigned long at, unsigned long n)
{
	uint32_t value = rnd_value();
	struct iovec remote = { at_page(at), 4 }, local = { &value, 4 };

	(void)n;
	if (!run_of(at, 1, W_READ | W_WRITE))
		return;
	settle(at);
	if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) != 4)
		die("process_vm_writev", at);
	stored(at, FIRST, value);
}

/* Whatever the protection is. */
static void op_proc_mem(unsigned long at, unsigned long n)
{
	uint32_t value = rnd_value(), got = 0;
	int fd;

	(void)n;
	if (!run_of(at, 1, W_SURE))
		return;
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("/proc/self/mem", at);
	if (pread(fd, &got, 4, (off_t)at_page(at) + PAGE / 2) != 4)
		die("read of /proc/self/mem", at);
	if (got != st.page[at].value[MIDDLE])
		die("/proc/self/mem holds something else", at);
	if (pwrite(fd, &value, 4, (off_t)at_page(at) + PAGE / 2) != 4)
		die("write to /proc/self/mem", at);
	stored(at, MIDDLE, value);
	if (pread(fd, &got, 4, (off_t)at_page(at) + PAGE / 2) != 4 || got != value)
		die("/proc/self/mem does not hold what was written", at);
	close(fd);
}

struct sibling_write {
	unsigned long	page;
	uint32_t	value;
};

static int by_mem(pid_t pid, const struct sibling_write *w, int nr)
{
	char path[40];
	int i, fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	for (i = 0; i < nr; i++)
		if (pwrite(fd, &w[i].value, 4, (off_t)at_page(w[i].page)) != 4)
			return 2;
	return 0;
}

static int by_writev(pid_t pid, const struct sibling_write *w, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		struct iovec remote = { at_page(w[i].page), 4 };
		struct iovec local = { (void *)&w[i].value, 4 };

		if (process_vm_writev(pid, &local, 1, &remote, 1, 0) != 4)
			return 3;
	}
	return 0;
}

static int by_ptrace(pid_t pid, const struct sibling_write *w, int nr)
{
	int i, status;
	long both;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &status, __WALL) != pid)
		return 4;
	for (i = 0; i < nr; i++) {
		errno = 0;
		both = ptrace(PTRACE_PEEKDATA, pid, at_page(w[i].page), 0);
		if (errno)
			return 5;
		both = (both & ~0xffffffffL) | w[i].value;
		if (ptrace(PTRACE_POKEDATA, pid, at_page(w[i].page), both))
			return 6;
	}
	return ptrace(PTRACE_DETACH, pid, 0, 0) ? 7 : 0;
}

/* Another process writes, and reads what is not its own any more. */
static void op_sibling(unsigned long at, unsigned long n)
{
	int (*const how[])(pid_t pid, const struct sibling_write *w, int nr) = {
		by_mem, by_writev, by_ptrace,
	};
	struct sibling_write w[SOME];
	int which = rnd(3), nr, status = 0, i;
	unsigned long page;
	pid_t pid, parent = getpid();

	for (nr = 0, page = at; page < at + n && nr < SOME; page += 1 + rnd(20))
		if (run_of(page, 1, W_READ | W_WRITE)) {
			settle(page);
			w[nr++] = (struct sibling_write){ page, rnd_value() };
		}
	pid = fork_child();
	if (!pid)
		_exit(how[which](parent, w, nr));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status) && child_ended_well(status))
		_exit(0); /* the OOM killer: nobody knows how far it came */
	if (status) {
		fprintf(stderr, "# way %d, status %x\n", which, status);
		die("another process", at);
	}
	for (i = 0; i < nr; i++)
		stored(w[i].page, FIRST, w[i].value);
}

static void op_vmsplice(unsigned long at, unsigned long n)
{
	static uint32_t got[PAGE / 4];
	struct iovec page = { at_page(at), PAGE };
	int p[2];

	(void)n;
	if (!run_of(at, 1, W_READ | W_SURE))
		return;
	if (pipe2(p, O_CLOEXEC))
		die("pipe", at);
	if (vmsplice(p[1], &page, 1, 0) != (ssize_t)PAGE || read(p[0], got, PAGE) != (ssize_t)PAGE)
		die("vmsplice", at);
	if (got[0] != st.page[at].value[FIRST] || got[2] != st.page[at].value[REST] ||
	    got[PAGE / 8] != st.page[at].value[MIDDLE] ||
	    got[PAGE / 4 - 1] != st.page[at].value[LAST])
		die("vmsplice got something else", at);
	close(p[0]);
	close(p[1]);
}

/* A file is written from some pages and read into others, past the page cache. */
static void op_direct(unsigned long at, unsigned long n)
{
	const char *dir = getenv("CXLFORK_DIRECT_DIR");
	unsigned long to = rnd(AREA_PAGES), i;
	char path[256];
	int fd;

	if (!dir)
		return;
	n = run_of(at, n < SOME ? n : SOME, W_READ | W_SURE);
	n = run_of(to, n, W_READ | W_WRITE);
	if (!n || (to < at + n && at < to + n))
		return;
	snprintf(path, sizeof(path), "%s/direct.%d", dir, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
	if (fd < 0 || unlink(path))
		die(path, at);
	for (i = to; i < to + n; i++)
		settle(i);
	if (pwrite(fd, at_page(at), n * PAGE, 0) != (ssize_t)(n * PAGE))
		die("O_DIRECT write", at);
	if (pread(fd, at_page(to), n * PAGE, 0) != (ssize_t)(n * PAGE))
		die("O_DIRECT read", to);
	close(fd);
	st.result.direct++;
	for (i = 0; i < n; i++) {
		memcpy(st.page[to + i].value, st.page[at + i].value,
		       sizeof(st.page[0].value));
		stored(to + i, FIRST, st.page[at + i].value[FIRST]);
		check_page(to + i, true);
	}
}

const struct stress_op stress_access_ops[] = {
	{ "read", op_read, 8 },
	{ "write", op_write, 12 },
	{ "write whole pages", op_write_all, 6 },
	{ "write across pages", op_write_across, 6 },
	{ "fault", op_fault, 6 },
	{ "process_vm_readv", op_vm_readv, 4 },
	{ "process_vm_writev", op_vm_writev, 4 },
	{ "/proc/self/mem", op_proc_mem, 4 },
	{ "another process writes", op_sibling, 4 },
	{ "vmsplice", op_vmsplice, 3 },
	{ "O_DIRECT", op_direct, 3 },
	{ }
};
