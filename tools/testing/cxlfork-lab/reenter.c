// SPDX-License-Identifier: GPL-2.0
/*
 * A library to preload: the program that it is loaded into becomes a clone of
 * itself before its main() runs, and goes on with text, data, heap and stack in
 * CXL memory.  One process does both: it checkpoints itself, then restores what
 * it has checkpointed, so that pid, parent and descriptors stay.
 *
 * CXLFORK_REENTER	clone: do that; plain: prepare only, for a comparison
 * CXLFORK_REENTER_CALLS how often to do it again, each time before a fork(),
 *			mremap(), mprotect() or munmap(): then what the program
 *			has filled by then lies in CXL memory, in shared leaves
 *
 * Linked with -Wl,-z,now: nothing is bound lazily in the clone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/cxlfork.h>

#ifndef __NR_cxlfork
#define __NR_cxlfork 480
#define __NR_cxlrestore 481
#endif

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

#define MB		(1UL << 20)
#define ARENA		(6 * MB)
#define CHUNK		65536UL
#define NR_CHUNKS	16
#define MAX_FDS		64

static int calls_left;
static int calls_done;
static char last_obstacle[160];
static bool busy;

static void __attribute__((__noreturn__)) give_up(const char *what)
{
	dprintf(2, "# clone: %s: %s\n", what, strerror(errno));
	_exit(99);
}

/*
 * All open descriptors are handed over, as what they are; but a file of /proc
 * (mem, pagemap) would go on showing the old memory: not named here, it stands in
 * the way of the checkpoint.
 */
static int open_fds(int *fds)
{
	char link[32], path[8];
	int fd, nr = 0;

	for (fd = 3; fd < 1024 && nr < MAX_FDS; fd++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, path, sizeof(path)) < 0)
			continue;
		if (strncmp(path, "/proc/", 6))
			fds[nr++] = fd;
	}
	return nr;
}

/*
 * Become a clone of oneself.  False: this process can't be cloned now, nothing
 * has happened.  @loud: say why.
 */
static bool reenter(bool loud)
{
	static struct cxlfork_report report[4];
	static struct cxlfork_fd_map map[MAX_FDS];
	static int handover[MAX_FDS];
	static __u64 id;	/* payload: what a clone is told */
	struct cxlfork_args args = { .pidfd = -1, .reports = (uintptr_t)report,
				     .nr_reports = 4, .handover = (uintptr_t)handover,
				     .payload = (uintptr_t)&id, .payload_size = sizeof(id) };
	struct cxlrestore_args again = { .reports = (uintptr_t)report, .nr_reports = 4,
					 .fds = (uintptr_t)map };
	int nr = open_fds(handover), i, pool;
	__u64 mine;
	long ret;

	pool = open("/dev/cxlfork", O_RDWR | O_CLOEXEC);
	if (pool < 0)
		give_up("/dev/cxlfork");
	id = 0;
	args.nr_handover = nr;
	args.pool_fd = pool;
	ret = syscall(__NR_cxlfork, &args, sizeof(args));
	if (ret < 0) {
		if (loud) {
			dprintf(2, "# clone: %.160s\n", report[0].text);
			give_up("cxlfork");
		}
		/* Text only: nothing is allocated between a program's own calls. */
		memcpy(last_obstacle, report[0].text, sizeof(last_obstacle));
		close(pool);
		return false;
	}
	if (!ret) {
		/* The checkpoint goes with the last of its clones: this one. */
		mine = id;
		if (ioctl(pool, CXLFORK_IOC_REMOVE, &mine))
			give_up("delete");
		close(pool);
		return true;
	}
	mine = ret;
	for (i = 0; i < nr; i++)
		map[i] = (struct cxlfork_fd_map){ handover[i], handover[i] };
	again.id = ret;
	again.pool_fd = pool;
	again.nr_fds = nr;
	again.payload = (uintptr_t)&mine;
	again.payload_size = sizeof(mine);
	syscall(__NR_cxlrestore, &again, sizeof(again));
	dprintf(2, "# clone: %.160s\n", report[0].text);
	ioctl(pool, CXLFORK_IOC_REMOVE, &mine);
	give_up("cxlrestore");
}

/* Every page that the process may have is there, so that a clone gets it. */
static void populate(void)
{
	unsigned long start, end;
	char line[512], perms[5];
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %4s", &start, &end, perms) == 3 && perms[0] == 'r')
			madvise((void *)start, end - start,
				perms[1] == 'w' ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	if (maps)
		fclose(maps);
}

/* A heap that has been used: malloc() gives what a clone finds in CXL memory. */
static void use_heap(void)
{
	char *chunk[NR_CHUNKS];
	int i;

	for (i = 0; i < NR_CHUNKS; i++) {
		chunk[i] = malloc(CHUNK);
		if (!chunk[i])
			give_up("malloc");
		memset(chunk[i], i + 1, CHUNK);
	}
	/* The last one stays, else the heap would be given back. */
	for (i = 0; i < NR_CHUNKS - 1; i++)
		free(chunk[i]);
}

/*
 * Leaves of a clone with holes in them, small ones and large ones: there the
 * kernel puts what the program maps, beside pages in CXL memory.
 */
static void punch(char *arena)
{
	size_t at = 0, hole = 4096;

	while (at + hole <= ARENA) {
		munmap(arena + at, hole);
		at += 2 * hole;
		hole = hole < MB ? 2 * hole : 4096;
	}
}

static void __attribute__((constructor)) start(void)
{
	const char *mode = getenv("CXLFORK_REENTER");
	const char *calls = getenv("CXLFORK_REENTER_CALLS");
	char *arena;

	/* What the program executes is a program, not a clone. */
	unsetenv("LD_PRELOAD");
	if (!mode)
		return;
	busy = true;
	use_heap();
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED)
		give_up("mmap");
	/* Not one mapping with the program's; and its huge pages are its own. */
	madvise(arena, ARENA, MADV_DONTDUMP);
	madvise(arena, ARENA, MADV_NOHUGEPAGE);
	memset(arena, 0x5a, ARENA);
	populate();
	if (!strcmp(mode, "clone"))
		reenter(true);
	punch(arena);
	if (!strcmp(mode, "clone") && calls)
		calls_left = atoi(calls);
	busy = false;
}

/* Locks would be lost: a clone has none.  Then the program stays as it is. */
static bool has_locks(void)
{
	char text[4096], *at;
	ssize_t n;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return true;
	text[n] = 0;
	at = strstr(text, "VmLck:");
	return !at || strtol(at + 6, NULL, 10);
}

static void again(void)
{
	int error = errno;

	if (calls_left <= 0 || busy)
		return;
	busy = true;
	calls_left--;
	if (!has_locks() && reenter(false))
		calls_done++;
	busy = false;
	errno = error;
}

static void __attribute__((destructor)) end(void)
{
	if (calls_done || last_obstacle[0])
		dprintf(2, "# again: %d times; last refused: %.160s\n", calls_done,
			last_obstacle[0] ? last_obstacle : "none");
}

pid_t fork(void)
{
	static pid_t (*real)(void);
	pid_t pid;

	if (!real)
		real = dlsym(RTLD_NEXT, "fork");
	again();
	pid = real();
	/* One of both is enough; the child does not say how often. */
	if (!pid) {
		calls_left = 0;
		calls_done = 0;
		last_obstacle[0] = 0;
	}
	return pid;
}

void *mremap(void *old, size_t old_len, size_t len, int flags, ...)
{
	va_list ap;
	void *to = NULL;
	long ret;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_start(ap, flags);
		to = va_arg(ap, void *);
		va_end(ap);
	}
	again();
	ret = syscall(SYS_mremap, old, old_len, len, flags, to);
	return (void *)ret;
}

int mprotect(void *addr, size_t len, int prot)
{
	again();
	return syscall(SYS_mprotect, addr, len, prot);
}

int munmap(void *addr, size_t len)
{
	again();
	return syscall(SYS_munmap, addr, len);
}
