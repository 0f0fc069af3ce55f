// SPDX-License-Identifier: GPL-2.0
/*
 * What the fuzzer of checkpoints (tools/testing/fuzz/fuzz_guest.c) has in a guest.
 *
 * usage: hostile make			checkpoints itself, prints the id
 *        hostile serve BASE SIZE SECONDS EXTENT...	restores what it is told to
 *
 * A line "ID" on its input is one case: a ghost tries to become that checkpoint.  The
 * answer is one line:
 *   refused ERRNO REASON TEXT
 *   clone right|wrong|exit N|signal N|killed, PAGES	how it ended; pages in CXL memory
 *   foreign ADDRESS PFN	it could have read memory that isn't the checkpoint's
 *   privilege TEXT	it was more than nobody
 *   hung			it could not be killed
 * Right is a clone that has found all of its memory, and could write to it.  It has
 * SECONDS; one whose registers were changed may loop.  BASE and SIZE are the region's
 * physical place, EXTENTs the numbers of the checkpoint's own: a look at the page
 * tables of each clone when it exits says what it could have read.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/cxlfork.h>

#define NR_cxlfork	480
#define NR_cxlrestore	481
#define PAGE		4096UL
#define LEAF		(512 * PAGE)
#define MEMORY		(2 * LEAF)	/* the last one of 2 MiB, if there are such */
#define MAX_EXTENTS	4096
/* How long a process that was killed may take to go. */
#define GONE_MS		60000
#define NOBODY		65534
#define PRIVILEGE	128

enum { RIGHT = 42, WRONG };

/* What a ghost says if it is still one. */
struct answer {
	int error;
	struct cxlfork_report report;
};

static int pool = -1;
static struct answer *answer;
static uint64_t base, size, seconds;
static bool own[MAX_EXTENTS];
static int pagemap_flags, pagemap_count;

static uint64_t word(size_t i, uint64_t seed)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL ^ seed;
}

static void fill(volatile char *memory, size_t step, uint64_t seed)
{
	size_t i;

	for (i = 0; i < MEMORY; i += step)
		*(volatile uint64_t *)(memory + i) = word(i, seed);
}

static bool same(volatile char *memory, size_t step, uint64_t seed)
{
	size_t i;

	for (i = 0; i < MEMORY; i += step)
		if (*(volatile uint64_t *)(memory + i) != word(i, seed))
			return false;
	return true;
}

static int make(void)
{
	struct cxlfork_args args = { .pool_fd = pool, .pidfd = -1 };
	char *memory;
	long id;

	/* A place for everybody. */
	if (chdir("/"))
		return 1;
	memory = mmap(NULL, MEMORY + LEAF, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	memory = (char *)(((uintptr_t)memory + LEAF - 1) & ~(LEAF - 1));
	madvise(memory, MEMORY - LEAF, MADV_NOHUGEPAGE);
	madvise(memory + MEMORY - LEAF, LEAF, MADV_HUGEPAGE);
	fill(memory, PAGE, 1);
	id = syscall(NR_cxlfork, &args, sizeof(args));
	if (id > 0) {
		printf("%#lx\n", id);
		return 0;
	}
	if (id < 0) {
		perror("cxlfork");
		return 1;
	}
	/* A clone. */
	if (!same(memory, PAGE, 1))
		_exit(WRONG);
	fill(memory, 32 * PAGE, 2);
	_exit(same(memory, 32 * PAGE, 2) ? RIGHT : WRONG);
}

/* --- the ghost */

static void limit(int what, rlim_t to)
{
	struct rlimit limit = { to, to };

	setrlimit(what, &limit);
}

static void be_ghost(int orders, int done)
{
	struct cxlrestore_args args = { .nr_reports = 1 };
	int null = open("/dev/null", O_RDWR);
	uint64_t id;

	/* What becomes of it may do anything, and say anything. */
	if (dup2(null, 1) != 1 || dup2(null, 2) != 2)
		_exit(1);
	setpgid(0, 0);
	if (setgid(NOBODY) || setuid(NOBODY))
		_exit(1);
	limit(RLIMIT_NPROC, 1);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_CORE, 0);
	while (read(orders, &id, sizeof(id)) == sizeof(id)) {
		memset(answer, 0, sizeof(*answer));
		args.id = id;
		args.pool_fd = pool;
		args.nr_reports = 1;
		args.reports = (uintptr_t)&answer->report;
		syscall(NR_cxlrestore, &args, sizeof(args));
		answer->error = errno;
		if (write(done, "", 1) != 1)
			break;
	}
	_exit(0);
}

struct ghost {
	pid_t pid;
	int orders;	/* it reads from here */
	int done;	/* and writes a byte here; closed when it is a clone */
};

static struct ghost spawn(void)
{
	int orders[2], done[2];
	struct ghost g = { 0 };

	if (pipe2(orders, O_CLOEXEC) || pipe2(done, O_CLOEXEC))
		exit(2);
	g.pid = fork();
	if (!g.pid) {
		close(orders[1]);
		close(done[0]);
		be_ghost(orders[0], done[1]);
	}
	close(orders[0]);
	close(done[1]);
	g.orders = orders[1];
	g.done = done[0];
	if (g.pid < 0 || ptrace(PTRACE_SEIZE, g.pid, 0,
				PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL)) {
		perror("hostile: ghost");
		exit(2);
	}
	return g;
}

/* --- what a clone could read */

static uint64_t about(int fd, uint64_t pfn)
{
	uint64_t value = 0;

	if (pread(fd, &value, sizeof(value), pfn * sizeof(value)) != sizeof(value))
		return 0;
	return value;
}

/* A page of the checkpoint: 1; one of this host that is mapped as such: 0; or -1. */
static int whose(uint64_t pfn)
{
	uint64_t at = pfn * PAGE - base, extent = at / LEAF, flags;

	if (pfn * PAGE >= base && at < size)
		return extent < MAX_EXTENTS && own[extent] ? 1 : -1;
	flags = about(pagemap_flags, pfn);
	/* Counted as mapped, or the zero page. */
	return about(pagemap_count, pfn) || flags >> 24 & 1 ? 0 : -1;
}

static int look(int pagemap, uint64_t start, uint64_t end, uint64_t *foreign)
{
	static uint64_t entries[4096];
	uint64_t page = start / PAGE, n, i;
	int nr = 0, w;

	/* Nothing is mapped in most of a mapping that is larger. */
	if (end - start > 1UL << 30)
		end = start + (1UL << 30);
	for (; page < end / PAGE; page += n) {
		n = end / PAGE - page;
		if (n > 4096)
			n = 4096;
		if (pread(pagemap, entries, n * 8, page * 8) != (ssize_t)n * 8)
			break;
		for (i = 0; i < n; i++) {
			if (!(entries[i] >> 63))
				continue;
			w = whose(entries[i] & ((1ULL << 55) - 1));
			if (w < 0) {
				foreign[0] = (page + i) * PAGE;
				foreign[1] = entries[i] & ((1ULL << 55) - 1);
				return -1;
			}
			nr += w;
		}
	}
	return nr;
}

/* Pages in CXL memory; -1: something foreign. */
static int examine(pid_t pid, uint64_t *foreign)
{
	char path[64], line[512];
	uint64_t start, end;
	int pagemap, nr = 0, n;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (pagemap >= 0 && maps && fgets(line, sizeof(line), maps)) {
		/* The kernel's own pages are nobody's. */
		if (strstr(line, "[v") ||
		    sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		n = look(pagemap, start, end, foreign);
		if (n < 0) {
			nr = -1;
			break;
		}
		nr += n;
	}
	if (maps)
		fclose(maps);
	close(pagemap);
	return nr;
}

/* It has no right that its ghost had not. */
static bool is_nobody(pid_t pid, char *what, size_t len)
{
	char path[64], line[256];
	unsigned int id[4], i, lines = 0;
	unsigned long caps;
	bool good = true;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "re");
	while (status && good && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "%*cid:\t%u\t%u\t%u\t%u", id, id + 1, id + 2, id + 3) == 4 &&
		    (line[0] == 'U' || line[0] == 'G')) {
			lines++;
			for (i = 0; i < 4; i++)
				good &= id[i] == NOBODY;
		} else if (sscanf(line, "CapEff:\t%lx", &caps) == 1 ||
			   sscanf(line, "CapPrm:\t%lx", &caps) == 1) {
			lines++;
			good &= !caps;
		}
	}
	snprintf(what, len, "%.*s", (int)strcspn(line, "\n"), line);
	if (status)
		fclose(status);
	return good && lines == 4;
}

/* --- one case */

/* Until it has ended, or for so long. */
static bool ended(pid_t pid, unsigned int ms, int *status, int *pages, uint64_t *foreign,
		  char *privilege)
{
	unsigned int waited;
	pid_t got;

	for (waited = 0; waited < ms * 5;) {
		got = waitpid(pid, status, WNOHANG | __WALL);
		if (got < 0)
			return true;
		if (!got) {
			usleep(200);
			waited++;
			continue;
		}
		if (!WIFSTOPPED(*status))
			return true;
		if (*status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
			*pages = examine(pid, foreign);
			if (is_nobody(pid, privilege, PRIVILEGE))
				privilege[0] = '\0';
			ptrace(PTRACE_CONT, pid, 0, 0);
		} else {
			ptrace(PTRACE_CONT, pid, 0, *status >> 16 ? 0 : WSTOPSIG(*status));
		}
	}
	return false;
}

static void report(pid_t pid)
{
	char privilege[PRIVILEGE] = "";
	uint64_t foreign[2] = { 0 };
	int status = 0, pages = 0;
	bool killed = false;

	if (!ended(pid, seconds * 1000, &status, &pages, foreign, privilege)) {
		killed = true;
		kill(pid, SIGKILL);
		if (!ended(pid, GONE_MS, &status, &pages, foreign, privilege)) {
			printf("hung %d\n", pid);
			exit(3);
		}
	}
	if (privilege[0])
		printf("privilege %s\n", privilege);
	else if (pages < 0)
		printf("foreign %#lx %#lx\n", foreign[0], foreign[1]);
	else if (killed)
		printf("clone killed, %d\n", pages);
	else if (WIFSIGNALED(status))
		printf("clone signal %d, %d\n", WTERMSIG(status), pages);
	else if (WEXITSTATUS(status) == RIGHT || WEXITSTATUS(status) == WRONG)
		printf("clone %s, %d\n", WEXITSTATUS(status) == RIGHT ? "right" : "wrong",
		       pages);
	else
		printf("clone exit %d, %d\n", WEXITSTATUS(status), pages);
}

/* Return: it is still a ghost. */
static bool one(struct ghost *g, uint64_t id)
{
	struct pollfd p = { .fd = g->done, .events = POLLIN };
	char byte;

	if (write(g->orders, &id, sizeof(id)) != sizeof(id))
		exit(2);
	if (poll(&p, 1, GONE_MS) != 1) {
		printf("hung %d\n", g->pid);
		exit(3);
	}
	if (read(g->done, &byte, 1) == 1) {
		printf("refused %d %u %.160s\n", answer->error, answer->report.reason,
		       answer->report.text);
		return true;
	}
	report(g->pid);
	close(g->orders);
	close(g->done);
	return false;
}

static int serve(char **argv)
{
	struct ghost g = { 0 };
	char line[64];

	base = strtoull(argv[0], NULL, 0);
	size = strtoull(argv[1], NULL, 0);
	seconds = strtoull(argv[2], NULL, 0);
	for (argv += 3; *argv; argv++)
		own[atoi(*argv) % MAX_EXTENTS] = true;
	pagemap_flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	pagemap_count = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
	answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answer == MAP_FAILED || pagemap_flags < 0 || pagemap_count < 0) {
		perror("hostile");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		if (!g.pid)
			g = spawn();
		if (!one(&g, strtoull(line, NULL, 0)))
			g.pid = 0;
	}
	return 0;
}

int main(int argc, char **argv)
{
	pool = open("/dev/cxlfork", O_RDWR | O_CLOEXEC);
	if (pool < 0) {
		perror("/dev/cxlfork");
		return 2;
	}
	if (argc == 2 && !strcmp(argv[1], "make"))
		return make();
	if (argc > 5 && !strcmp(argv[1], "serve"))
		return serve(argv + 2);
	return 2;
}
