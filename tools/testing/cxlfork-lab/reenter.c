// SPDX-License-Identifier: GPL-2.0
/*
 * A library to preload: the program that it is loaded into becomes a clone of
 * itself before its main() runs, and goes on with text, data, heap and stack in
 * CXL memory.  One process does both: it checkpoints itself, then restores what
 * it has checkpointed, so that pid, parent and descriptors stay.
 *
 * CXLFORK_REENTER	clone: do that; plain: prepare only, for a comparison
 * CXLFORK_REENTER_CALLS how often each process may do it again, each time before
 *			a fork(), mremap(), mprotect() or munmap(): then what the
 *			program has filled by then lies in CXL memory, in shared
 *			leaves; a child has as many left as its parent
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
#include <sys/stat.h>
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
#define NR_FDS		1024
#define MAX_FDS		64	/* and shared mappings */

static int calls_left;
static int *done;	/* how often, by all processes of the program */
static pid_t first;
static char last_obstacle[160];
static bool busy;

static void __attribute__((noreturn)) give_up(const char *what)
{
	dprintf(2, "# clone: %s: %s\n", what, strerror(errno));
	_exit(99);
}

/*
 * What a checkpoint refuses, and a process that becomes a clone of itself can take
 * out of its own way: files of /proc/self (mem, pagemap), which would go on showing
 * the old memory, are opened again in the clone; shared mappings are left out of the
 * checkpoint, and mapped again.
 */
struct proc_file {
	int fd, flags, fd_flags;
	off_t pos;
	char path[48];
};

struct shared_map {
	unsigned long start, len, offset;
	int prot, fd;
};

static struct proc_file proc_files[MAX_FDS];
static struct shared_map shared_maps[MAX_FDS];
static int nr_proc_files, nr_shared_maps;

/* All others are handed over, as what they are. */
static int let_go_of_fds(int *fds)
{
	struct proc_file *p;
	char link[32], own[32];
	int fd, nr = 0;
	ssize_t n;

	snprintf(own, sizeof(own), "/proc/%d/", getpid());
	nr_proc_files = 0;
	for (fd = 3; fd < NR_FDS && nr < MAX_FDS && nr_proc_files < MAX_FDS; fd++) {
		p = &proc_files[nr_proc_files];
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, p->path, sizeof(p->path) - 1);
		if (n < 0)
			continue;
		p->path[n] = 0;
		if (strncmp(p->path, own, strlen(own))) {
			fds[nr++] = fd;
			continue;
		}
		p->fd = fd;
		p->flags = fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK);
		p->fd_flags = fcntl(fd, F_GETFD);
		p->pos = lseek(fd, 0, SEEK_CUR);
		close(fd);
		nr_proc_files++;
	}
	return nr;
}

static void open_again(void)
{
	struct proc_file *p;
	int fd;

	for (p = proc_files; p < proc_files + nr_proc_files; p++) {
		fd = open(p->path, p->flags);
		if (fd < 0 || (fd != p->fd && dup2(fd, p->fd) < 0))
			give_up(p->path);
		if (fd != p->fd)
			close(fd);
		fcntl(p->fd, F_SETFD, p->fd_flags);
		lseek(p->fd, p->pos, SEEK_SET);
	}
}

/* Those that can't be opened stay, and the checkpoint is refused. */
static void let_go_of_shared(void)
{
	static char text[65536];	/* nothing is allocated here */
	unsigned long start, end, offset;
	struct shared_map *m;
	char perms[5], path[64];
	struct stat link;
	size_t used = 0;
	char *line;
	ssize_t n;
	int fd;

	nr_shared_maps = 0;
	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += n;
	close(fd);
	/* A last line that is cut short is none. */
	while (used && text[used - 1] != '\n')
		used--;
	text[used] = 0;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "%lx-%lx %4s %lx", &start, &end, perms, &offset) != 4 ||
		    perms[3] != 's' || nr_shared_maps == MAX_FDS)
			continue;
		snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", start, end);
		m = &shared_maps[nr_shared_maps];
		/* As the file was opened: that is what the link's mode says. */
		if (lstat(path, &link))
			continue;
		m->fd = open(path, (link.st_mode & 0200 ? O_RDWR : O_RDONLY) | O_CLOEXEC);
		if (m->fd < 0)
			continue;
		m->start = start;
		m->len = end - start;
		m->offset = offset;
		m->prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0) |
			  (perms[2] == 'x' ? PROT_EXEC : 0);
		madvise((void *)start, m->len, MADV_DONTFORK);
		nr_shared_maps++;
	}
}

static void map_again(bool cloned)
{
	struct shared_map *m;

	for (m = shared_maps; m < shared_maps + nr_shared_maps; m++) {
		if (!cloned)
			madvise((void *)m->start, m->len, MADV_DOFORK);
		else if (mmap((void *)m->start, m->len, m->prot, MAP_SHARED | MAP_FIXED_NOREPLACE,
			      m->fd, m->offset) == MAP_FAILED)
			give_up("mmap of what is shared");
		close(m->fd);
	}
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
	int nr, i, pool;
	__u64 mine;
	long ret;

	let_go_of_shared();
	nr = let_go_of_fds(handover);
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
		open_again();
		map_again(false);
		return false;
	}
	if (!ret) {
		/* The checkpoint goes with the last of its clones: this one. */
		mine = id;
		if (ioctl(pool, CXLFORK_IOC_REMOVE, &mine))
			give_up("delete");
		close(pool);
		open_again();
		map_again(true);
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
	first = getpid();
	if (!strcmp(mode, "clone") && calls)
		calls_left = atoi(calls);
	use_heap();
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED)
		give_up("mmap");
	if (calls_left) {
		/* Where it takes no place between libraries from the program's. */
		done = mmap(arena - 4096, sizeof(*done), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (done == MAP_FAILED)
			give_up("mmap");
	}
	/* Not one mapping with the program's; and its huge pages are its own. */
	madvise(arena, ARENA, MADV_DONTDUMP);
	madvise(arena, ARENA, MADV_NOHUGEPAGE);
	memset(arena, 0x5a, ARENA);
	populate();
	if (!strcmp(mode, "clone"))
		reenter(true);
	punch(arena);
	busy = false;
}

/*
 * Locks would be lost, a clone has none; so would memory that is kept from children.
 * And a userfaultfd would go on to be the old address space's.
 */
static bool unfit(void)
{
	static const char uffd[] = "anon_inode:[userfaultfd]";
	static char text[65536];
	char link[32], name[sizeof(uffd)];
	size_t kept = 0, used;
	bool found = false;
	ssize_t n;
	int fd;

	for (fd = 3; fd < NR_FDS && !found; fd++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name));
		found = n == sizeof(uffd) - 1 && !memcmp(name, uffd, n);
	}
	fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	while (!found && (n = read(fd, text + kept, sizeof(text) - 1 - kept)) > 0) {
		used = kept + n;
		text[used] = 0;
		found = strstr(text, " lo ") || strstr(text, " dc ");
		/* The end again, before what follows: a flag may be cut in two. */
		kept = used < 4 ? used : 4;
		memmove(text, text + used - kept, kept);
	}
	close(fd);
	return found;
}

static void again(void)
{
	int error = errno;

	if (calls_left <= 0 || busy)
		return;
	busy = true;
	calls_left--;
	if (!unfit() && reenter(false))
		__atomic_add_fetch(done, 1, __ATOMIC_RELAXED);
	busy = false;
	errno = error;
}

static void __attribute__((destructor)) end(void)
{
	if (!done || getpid() != first || (!*done && !last_obstacle[0]))
		return;
	fflush(stdout); /* not in the middle of the program's last line */
	dprintf(2, "# again: %d times; last refused: %.160s\n", *done,
		last_obstacle[0] ? last_obstacle : "none");
}

pid_t fork(void)
{
	static pid_t (*real)(void);

	if (!real)
		real = dlsym(RTLD_NEXT, "fork");
	again();
	return real();
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
