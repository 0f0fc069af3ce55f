// SPDX-License-Identifier: GPL-2.0
/* Paths: other processes and the kernel look into memory, and change it. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cxlfork_fixture.h"
#include "paths.h"

/* A child with the other's memory at hand: it reads and writes its parent. */
static void by_child(struct path *p, void (*act)(struct path *p, pid_t parent))
{
	pid_t parent = getpid(), pid;

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	pid = fork();
	if (!pid) {
		act(p, parent);
		_exit(0);
	}
	see_child(p, "child", pid);
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_mem(p, "mixed", p->mixed, MIXED_HOLE);
	see_mem(p, "read-only", p->mixed + MIXED_RO, MIXED_LEN - MIXED_RO);
	see_mem(p, "huge", p->huge, HUGE_LEN);
}

static void vm_read_and_write(struct path *p, pid_t pid)
{
	static unsigned char buf[3 * LEAF];
	struct iovec own = { buf, sizeof(buf) }, there = { p->anon, sizeof(buf) };

	see_ret(p, "readv", process_vm_readv(pid, &own, 1, &there, 1, 0));
	see_mem(p, "read", buf, sizeof(buf));
	memset(buf, 7, sizeof(buf));
	own.iov_len = 3 * PAGE;
	there = (struct iovec){ p->anon + LEAF - PAGE, 3 * PAGE };
	see_ret(p, "writev", process_vm_writev(pid, &own, 1, &there, 1, 0));
	there.iov_base = p->huge + LEAF + 5 * PAGE;
	see_ret(p, "writev, huge", process_vm_writev(pid, &own, 1, &there, 1, 0));
	there.iov_base = p->mixed + MIXED_RO;
	see_ret(p, "writev, read-only", process_vm_writev(pid, &own, 1, &there, 1, 0));
	there.iov_base = p->mixed + MIXED_HOLE;
	see_ret(p, "readv, hole", process_vm_readv(pid, &own, 1, &there, 1, 0));
}

PATH(process_vm, "process_vm_readv, process_vm_writev")
{
	by_child(p, vm_read_and_write);
}

static void proc_mem(struct path *p, pid_t pid)
{
	static unsigned char buf[2 * LEAF];
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/mem", pid);
	fd = open(name, O_RDWR);
	CHECK(fd >= 0);
	see_ret(p, "read", pread(fd, buf, sizeof(buf), (off_t)p->anon + LEAF));
	see_mem(p, "read", buf, sizeof(buf));
	memset(buf, 9, PAGE);
	see_ret(p, "write", pwrite(fd, buf, PAGE, (off_t)p->anon + LEAF + 77));
	see_ret(p, "write, read-only",
		pwrite(fd, buf, PAGE, (off_t)p->mixed + MIXED_RO + 3 * PAGE));
	see_ret(p, "write, huge", pwrite(fd, buf, PAGE, (off_t)p->huge + 3 * PAGE));
	see_ret(p, "read, hole", pread(fd, buf, PAGE, (off_t)p->mixed + MIXED_HOLE));
}

PATH(proc_pid_mem, "/proc/PID/mem: read, write, also read-only mappings")
{
	by_child(p, proc_mem);
}

static void peek_and_poke(struct path *p, pid_t pid)
{
	long word;

	/* The tracee waits for us: it is stopped by the attach. */
	CHECK(!ptrace(PTRACE_ATTACH, pid, NULL, NULL) && waitpid(pid, NULL, __WALL) == pid);
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, p->anon + LEAF, NULL);
	see(p, "peek: %lx, errno %d", word, errno);
	see_ret(p, "poke", ptrace(PTRACE_POKEDATA, pid, p->anon + LEAF, 0x1234567890L));
	see_ret(p, "poke, read-only", ptrace(PTRACE_POKETEXT, pid, p->mixed + MIXED_RO, 0x77L));
	see_ret(p, "poke, huge", ptrace(PTRACE_POKEDATA, pid, p->huge + LEAF + 8, 0x88L));
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, p->anon + LEAF, NULL);
	see(p, "peek: %lx, errno %d", word, errno);
	CHECK(!ptrace(PTRACE_DETACH, pid, NULL, NULL));
}

PATH(ptrace_tracee, "ptrace: peek and poke")
{
	by_child(p, peek_and_poke);
}

PATH(ptrace_tracer, "ptrace: a child is traced, with a breakpoint")
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(is_filled(p->anon + LEAF, PAGE, 0) ? 2 : 3);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	see_ret(p, "poke", ptrace(PTRACE_POKEDATA, pid, p->anon + LEAF + 256, 0x5555L));
	see_ret(p, "cont", ptrace(PTRACE_CONT, pid, NULL, NULL));
	see_child(p, "tracee", pid);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

/* A function whose text lies in CXL memory in a clone. */
static int __attribute__((noinline)) probed(int n)
{
	asm volatile("" : "+r"(n));
	return n + 1;
}

static long offset_of_text(const void *addr, char *file, size_t len)
{
	unsigned long from, to, pgoff;
	char line[512], name[256];
	long offset = -1;
	FILE *f = fopen("/proc/self/maps", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %255s", &from, &to, &pgoff, name) == 4 &&
		    from <= (unsigned long)addr && to > (unsigned long)addr) {
			offset = (unsigned long)addr - from + pgoff;
			snprintf(file, len, "%s", name);
		}
	fclose(f);
	return offset;
}

PATH(uprobe, "uprobe: set, hit, removed")
{
	struct perf_event_attr attr = { .size = sizeof(attr), .sample_period = 1 };
	uint64_t count = 0, before, after;
	char file[256], text[16] = "";
	int fd, i, sum = 0;

	if (read_file("/sys/bus/event_source/devices/uprobe/type", text, sizeof(text) - 1) <= 0)
		path_skip(p, "no uprobes");
	before = *(const uint64_t *)probed;
	attr.type = atoi(text);
	attr.config2 = offset_of_text(probed, file, sizeof(file));
	attr.config1 = (uintptr_t)file;
	fd = syscall(SYS_perf_event_open, &attr, getpid(), -1, -1, PERF_FLAG_FD_CLOEXEC);
	see_ret(p, "perf_event_open", fd < 0 ? -1 : 0);
	see(p, "breakpoint: %s", *(const volatile uint8_t *)probed == 0xcc ? "yes" : "NO");
	for (i = 0; i < 10; i++)
		sum += probed(i);
	CHECK(fd >= 0 && read(fd, &count, sizeof(count)) == sizeof(count));
	see(p, "hits: %lu, sum %d", (long)count, sum);
	close(fd);
	after = *(const volatile uint64_t *)probed;
	see(p, "removed: %s", before == after ? "yes" : "NO");
	see(p, "sum %d", probed(1));
}

PATH(perf_faults, "perf: page faults are counted, user stacks sampled")
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_PAGE_FAULTS,
		.size = sizeof(attr), .sample_period = 1, .exclude_kernel = 1,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_ADDR | PERF_SAMPLE_STACK_USER |
			       PERF_SAMPLE_REGS_USER | PERF_SAMPLE_CALLCHAIN |
			       PERF_SAMPLE_DATA_PAGE_SIZE,
		.sample_stack_user = 4096, .sample_regs_user = 0xff,
	};
	struct perf_event_mmap_page *ring;
	uint64_t count = 0;
	size_t i;
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		path_skip(p, "perf_event_open: %s", strerrorname_np(errno));
	ring = mmap(NULL, 17 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(ring != MAP_FAILED);
	for (i = 0; i < LEAF; i += 8 * PAGE)
		p->anon[i + 9]++;
	CHECK(read(fd, &count, sizeof(count)) == sizeof(count));
	see(p, "at least a fault a page: %s", count >= LEAF / PAGE / 8 ? "yes" : "NO");
	see(p, "sampled: %s", ring->data_head ? "yes" : "NO");
	see_mem(p, "anon", p->anon, ANON_LEN);
}

/* What the core file of @pid says of [at, at + len). */
static bool core_has(const char *name, const unsigned char *at, size_t len)
{
	int fd = open(name, O_RDONLY);
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	unsigned char *buf = map_anon(len);
	size_t got = 0;
	int i;

	CHECK(fd >= 0 && read(fd, &ehdr, sizeof(ehdr)) == sizeof(ehdr));
	for (i = 0; i < ehdr.e_phnum; i++) {
		unsigned long from = (unsigned long)at, to = from + len;

		CHECK(pread(fd, &phdr, sizeof(phdr), ehdr.e_phoff + i * sizeof(phdr)) ==
		      sizeof(phdr));
		if (phdr.p_type != PT_LOAD || phdr.p_vaddr >= to ||
		    phdr.p_vaddr + phdr.p_filesz <= from)
			continue;
		from = from > phdr.p_vaddr ? from : phdr.p_vaddr;
		to = to < phdr.p_vaddr + phdr.p_filesz ? to : phdr.p_vaddr + phdr.p_filesz;
		CHECK(pread(fd, buf + (from - (unsigned long)at), to - from,
			    phdr.p_offset + from - phdr.p_vaddr) == (ssize_t)(to - from));
		got += to - from;
	}
	close(fd);
	return got == len && !memcmp(buf, at, len);
}

PATH(core_dump, "core dump")
{
	static const char pattern[] = "/proc/sys/kernel/core_pattern";
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char old[128] = "", name[64];
	int fd = open(pattern, O_RDWR);
	pid_t pid;

	if (fd < 0 || read(fd, old, sizeof(old) - 1) <= 0)
		path_skip(p, "no core_pattern");
	CHECK(pwrite(fd, "/tmp/core.%p", 12, 0) == 12 && !setrlimit(RLIMIT_CORE, &all));
	p->anon[LEAF] = 1;
	pid = fork();
	if (!pid) {
		p->anon[LEAF + 1] = 1;
		abort();
	}
	see_child(p, "child", pid);
	CHECK(pwrite(fd, old, strlen(old), 0) > 0);
	p->anon[LEAF + 1] = 1;
	snprintf(name, sizeof(name), "/tmp/core.%d", pid);
	see(p, "anon: %s", core_has(name, p->anon, ANON_LEN) ? "yes" : "NO");
	see(p, "sparse: %s", core_has(name, p->sparse, SPARSE_LEN) ? "yes" : "NO");
	see(p, "huge: %s", core_has(name, p->huge, HUGE_LEN) ? "yes" : "NO");
	unlink(name);
}

PATH(seccomp_notify, "seccomp notification: the supervisor reads and writes")
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getcwd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, code };
	char *there = (char *)p->anon + LEAF + 9 * PAGE;
	pid_t pid;
	long ret;
	int fd;

	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (fd < 0)
		path_skip(p, "seccomp: %s", strerrorname_np(errno));
	pid = fork();
	if (!pid) {
		struct seccomp_notif req = { 0 };
		struct seccomp_notif_resp resp = { 0 };
		char word[8], name[32];
		int mem;

		CHECK(!ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req));
		snprintf(name, sizeof(name), "/proc/%d/mem", req.pid);
		mem = open(name, O_RDWR);
		CHECK(mem >= 0);
		see_ret(p, "read", pread(mem, word, 8, (off_t)req.data.args[0] - 8));
		see_ret(p, "write", pwrite(mem, "/over", 6, (off_t)req.data.args[0]));
		resp.id = req.id;
		resp.val = 6;
		see_ret(p, "answer", ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp));
		_exit(0);
	}
	ret = syscall(SYS_getcwd, there, 100);
	see_child(p, "supervisor", pid);
	see_ret(p, "getcwd", ret);
	see(p, "it says: %.10s", there);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

TEST_HARNESS_MAIN
