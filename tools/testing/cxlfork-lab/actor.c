// SPDX-License-Identifier: GPL-2.0
/*
 * What scenarios have in their guests: a process with memory that does what the
 * lines on its standard input say, and says what came of it. A checkpoint taken
 * while it waits for a line makes clones that wait for one.
 *
 * usage: actor			a ghost, without memory worth mentioning
 *        actor MEGABYTES SEED [huge]	with so much, filled; in pages of 2 MiB
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/cxlfork.h>

#define NR_cxlfork	480
#define NR_cxlrestore	481
#define PAGE		4096UL
#define LEAF		(512 * PAGE)

static char *memory;
static size_t size;
static int pool = -1;
static char payload[64];

static void say(const char *fmt, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	line[n++] = '\n';
	if (write(1, line, n) != n)
		_exit(98);
}

static uint64_t word(size_t i, unsigned int seed)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL ^ seed * 0xff51afd7ed558ccdULL;
}

static void fill(unsigned int seed, size_t step)
{
	size_t i;

	for (i = 0; i < size; i += step)
		*(volatile uint64_t *)(memory + i) = word(i, seed);
}

static void verify(unsigned int seed)
{
	size_t i;

	for (i = 0; i < size; i += PAGE)
		if (*(volatile uint64_t *)(memory + i) != word(i, seed)) {
			say("differs at page %zu of %zu", i / PAGE, size / PAGE);
			return;
		}
	say("same");
}

static void map(size_t megabytes, int advice)
{
	char *p;

	size = megabytes << 20;
	p = mmap(NULL, size + LEAF, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		_exit(97);
	memory = (char *)(((uintptr_t)p + LEAF - 1) & ~(LEAF - 1));
	madvise(memory, size, advice);
}

/* A file, mapped privately. */
static void map_file(const char *path)
{
	int fd = open(path, O_RDONLY);

	size = PAGE;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	say(fd >= 0 && memory != MAP_FAILED ? "mapped %.18s" : "failed", memory);
}

static void show(const struct cxlfork_report *r, uint32_t nr)
{
	say("refused %d %u %llu %s", errno, nr ? r->reason : 0, nr ? r->value : 0,
	    nr ? r->text : "-");
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void checkpoint_as(const char *name)
{
	struct cxlfork_report reports[4] = { 0 };
	struct cxlfork_args args = {
		.pool_fd = pool, .pidfd = -1, .nr_reports = 4, .reports = (uintptr_t)reports,
		.name = *name ? (uintptr_t)name : 0, .name_len = strlen(name),
		.payload = (uintptr_t)payload, .payload_size = sizeof(payload),
	};
	long id = syscall(NR_cxlfork, &args, sizeof(args));

	if (id < 0)
		show(reports, args.nr_reports);
	else if (id > 0)
		say("checkpoint %#lx", id);
	else
		say("clone %d after %.1f us", getpid(), now() - *(double *)payload);
}

/* As long as it is refused, it is the same ghost that goes on. */
static void restore(const char *id)
{
	struct cxlfork_report reports[4] = { 0 };
	double t = now();
	struct cxlrestore_args args = {
		.id = strtoull(id, NULL, 0), .pool_fd = pool, .nr_reports = 4,
		.reports = (uintptr_t)reports,
		.payload = (uintptr_t)&t, .payload_size = sizeof(t),
	};

	syscall(NR_cxlrestore, &args, sizeof(args));
	show(reports, args.nr_reports);
}

/* The first line of a child of fork(), and when it came. */
static void time_fork(void)
{
	double t = now();
	pid_t pid = fork();

	if (!pid) {
		say("child after %.1f us", now() - t);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* A ghost of its own for each restore, as in life. */
static void time_restore(const char *id)
{
	pid_t pid = fork();

	if (!pid) {
		restore(id);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	say("restored");
}

static void remove_it(const char *id)
{
	__u64 which = strtoull(id, NULL, 0);

	if (ioctl(pool, CXLFORK_IOC_REMOVE, &which))
		say("refused %d", errno);
	else
		say("removed");
}

/* change FLAGS TTL ID */
static void change(const char *arg)
{
	struct cxlfork_ckpt_set set = { 0 };
	char *end;

	set.flags = strtoull(arg, &end, 0);
	set.ttl = strtoull(end, &end, 0);
	set.id = strtoull(end, &end, 0);
	if (ioctl(pool, CXLFORK_IOC_SET, &set))
		say("refused %d", errno);
	else
		say("changed");
}

static void fence(const char *slot)
{
	struct cxlfork_pool_fence args = {
		.flags = CXLFORK_FENCE_FORCE, .slot = strtoul(slot, NULL, 0),
	};

	if (ioctl(pool, CXLFORK_IOC_FENCE, &args))
		say("refused %d %s", errno, args.reason);
	else
		say("fenced");
}

static void stat_line(const char *name)
{
	char line[128], key[64];
	long value, found = -1;
	FILE *f = fopen("/proc/self/cxlfork_stat", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", key, &value) == 2 && !strcmp(key, name))
			found = value;
	if (f)
		fclose(f);
	say("%s %ld", name, found);
}

static void order_exit(const char *arg)
{
	_exit(atoi(arg));
}

static void order_verify(const char *arg)
{
	verify(atoi(arg));
}

static void order_write(const char *arg)
{
	fill(atoi(arg), PAGE);
	say("written");
}

/* One page of each leaf. */
static void order_touch(const char *arg)
{
	fill(atoi(arg), LEAF);
	say("touched");
}

/* Generation N writes page N of each leaf, and leaves what was before it. */
static void order_generation(const char *arg)
{
	size_t page = atoi(arg) % (LEAF / PAGE) * PAGE, i;

	for (i = page; i < size; i += LEAF)
		*(volatile uint64_t *)(memory + i) = word(i, 100 + atoi(arg));
	say("generation %d", atoi(arg));
}

/* Is all as N generations have left it? */
static void order_descent(const char *arg)
{
	size_t last = atoi(arg), i, page;
	unsigned int seed;

	for (i = 0; i < size; i += PAGE) {
		page = i % LEAF / PAGE;
		seed = page && page <= last ? 100 + page : 1;
		if (*(volatile uint64_t *)(memory + i) != word(i, seed)) {
			say("differs at page %zu of %zu", i / PAGE, size / PAGE);
			return;
		}
	}
	say("same");
}

static void order_first(const char *arg)
{
	(void)arg;
	say("first %.18s", memory);
}

/* Where a page is: its physical address, its own. */
static void order_frame(const char *arg)
{
	uintptr_t at = (uintptr_t)memory + strtoul(arg, NULL, 0) * PAGE;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (pread(fd, &entry, sizeof(entry), at / PAGE * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	say("frame %#llx at %#lx", entry >> 63 ? (entry & ((1ULL << 55) - 1)) * PAGE : 0ULL,
	    (long)at);
}

static sigjmp_buf bus_error;

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	siglongjmp(bus_error, info->si_code);
}

/* look PAGE SEED: is it what it was, or lost? */
static void order_look(const char *arg)
{
	struct sigaction sa = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	char *end;
	size_t i = strtoul(arg, &end, 0) * PAGE;
	uint64_t wanted = word(i, atoi(end)), got;
	int code;

	sigaction(SIGBUS, &sa, NULL);
	code = sigsetjmp(bus_error, 1);
	if (code) {
		say("lost %d", code);
	} else {
		got = *(volatile uint64_t *)(memory + i);
		say(got == wanted ? "same" : "differs");
	}
	signal(SIGBUS, SIG_DFL);
}

static void order_fork(const char *arg)
{
	(void)arg;
	time_fork();
}

static void order_pid(const char *arg)
{
	(void)arg;
	say("pid %d", getpid());
}

static const struct {
	const char	*name;
	void		(*obey)(const char *arg);
} orders[] = {
	{ "change",		change },
	{ "checkpoint",		checkpoint_as },
	{ "descent",		order_descent },
	{ "exit",		order_exit },
	{ "fence",		fence },
	{ "first",		order_first },
	{ "fork",		order_fork },
	{ "frame",		order_frame },
	{ "generation",		order_generation },
	{ "look",		order_look },
	{ "mapfile",		map_file },
	{ "pid",		order_pid },
	{ "remove",		remove_it },
	{ "restore",		restore },
	{ "stat",		stat_line },
	{ "time-restore",	time_restore },
	{ "touch",		order_touch },
	{ "verify",		order_verify },
	{ "write",		order_write },
};

static void obey(char *line)
{
	size_t name = strcspn(line, " "), i;
	const char *arg = line[name] ? line + name + 1 : "";

	line[name] = '\0';
	for (i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		if (!strcmp(line, orders[i].name)) {
			orders[i].obey(arg);
			return;
		}
	}
	say("what?");
}

int main(int argc, char **argv)
{
	static char line[256];
	size_t n = 0;

	pool = open("/dev/cxlfork", O_RDWR);
	if (argc > 2) {
		map(strtoul(argv[1], NULL, 0), argc > 3 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		fill(atoi(argv[2]), PAGE);
	}
	say("ready %d", getpid());
	/* No buffer of libc's: a clone's input is another one. */
	while (read(0, line + n, 1) == 1) {
		if (line[n] == '\n') {
			line[n] = '\0';
			n = 0;
			obey(line);
		} else if (n < sizeof(line) - 2) {
			n++;
		}
	}
	return 0;
}
