// SPDX-License-Identifier: GPL-2.0
/* See cxlfork_test.h. */
#include "cxlfork_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

long sys_cxlfork(struct cxlfork_args *args, size_t size)
{
	return syscall(__NR_cxlfork, args, size);
}

long sys_cxlrestore(struct cxlrestore_args *args, size_t size)
{
	return syscall(__NR_cxlrestore, args, size);
}

void check_failed(const char *file, int line, const char *what)
{
	dprintf(2, "# %s:%d: %s: pid %d: %s (errno %d: %s)\n", file, line, __func__, getpid(),
		what, errno, strerror(errno));
	_exit(1);
}

/*
 * The harness keeps its books in shared anonymous memory, which can't be
 * cloned.  Clones, and the children forked from now on, do without.
 */
void hide_shared(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[512], perms[5];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %4s", &start, &end, perms) == 3 && perms[3] == 's')
			madvise((void *)start, end - start, MADV_DONTFORK);
	if (maps)
		fclose(maps);
}

uint64_t cxl_free_extents(const struct cxl *cxl)
{
	struct cxlfork_pool_info info = { 0 };

	return ioctl(cxl->pool, CXLFORK_IOC_INFO, &info) ? 0 : info.free_extents;
}

/* Are as many extents free as at first?  They come back a grace period later. */
bool cxl_settled(const struct cxl *cxl)
{
	int i;

	for (i = 0; i < 1200; i++) {
		if (cxl_free_extents(cxl) >= cxl->free)
			return true;
		usleep(50000);
	}
	return false;
}

int cxl_open(struct cxl *cxl)
{
	struct cxlfork_pool_info info = { 0 };
	uint64_t last = 0;
	int i;

	memset(cxl, 0, sizeof(*cxl));
	close_range(3, ~0U, 0);
	hide_shared();
	cxl->pool = open("/dev/cxlfork", O_RDWR | O_CLOEXEC);
	if (cxl->pool < 0)
		return -1;
	if (ioctl(cxl->pool, CXLFORK_IOC_INFO, &info))
		return -1;
	if (info.state != CXLFORK_POOL_ATTACHED) {
		errno = ENODEV;
		return -1;
	}
	/* What an earlier test left to be freed in the background. */
	for (i = 0; i < 100 && (!i || info.free_extents != last); i++) {
		last = info.free_extents;
		usleep(20000);
		if (ioctl(cxl->pool, CXLFORK_IOC_INFO, &info))
			return -1;
	}
	cxl->free = info.free_extents;
	return 0;
}

int cxl_remove(const struct cxl *cxl, long id)
{
	__u64 which = id;

	return ioctl(cxl->pool, CXLFORK_IOC_REMOVE, &which);
}

/* Remove what the test has made. */
void cxl_close(struct cxl *cxl)
{
	while (cxl->nr_ids > 0)
		if (cxl->ids[--cxl->nr_ids])
			cxl_remove(cxl, cxl->ids[cxl->nr_ids]);
}

/* Arguments for a checkpoint of oneself. */
void cxl_init(struct cxl *cxl)
{
	cxl->args = (struct cxlfork_args){
		.pool_fd = cxl->pool,
		.pidfd = -1,
		.nr_reports = NR_REPORTS,
		.reports = (uintptr_t)cxl->reports,
	};
	memset(cxl->reports, 0, sizeof(cxl->reports));
}

void show_reports(const char *what, const struct cxlfork_report *r, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr && i < NR_REPORTS; i++)
		dprintf(2, "# %s: reason %u fd %d %llx-%llx value %llu: %.160s\n", what,
			r[i].reason, r[i].fd, r[i].start, r[i].end, r[i].value, r[i].text);
}

/* cxlfork() with cxl->args, quietly. */
long cxl_call(struct cxl *cxl)
{
	long id = sys_cxlfork(&cxl->args, sizeof(cxl->args));

	if (id > 0 && cxl->nr_ids < NR_IDS)
		cxl->ids[cxl->nr_ids++] = id;
	return id;
}

static long cxl_call_aloud(struct cxl *cxl)
{
	long id = cxl_call(cxl);

	if (id < 0) {
		int error = errno;

		dprintf(2, "# cxlfork: %s\n", strerror(error));
		show_reports("cxlfork", cxl->reports, cxl->args.nr_reports);
		errno = error;
	}
	return id;
}

/* Checkpoint oneself, as plain as can be: the id, 0 in the clone, or -1. */
long cxl_fork(struct cxl *cxl)
{
	cxl_init(cxl);
	return cxl_call_aloud(cxl);
}

/* The same; clones have a socket to their restorer as CHANNEL. */
long cxl_fork_channel(struct cxl *cxl)
{
	int channel = CHANNEL;

	if (fcntl(CHANNEL, F_GETFD) < 0 && dup2(2, CHANNEL) < 0)
		return -1;
	cxl_init(cxl);
	cxl->args.handover = (uintptr_t)&channel;
	cxl->args.nr_handover = 1;
	return cxl_call_aloud(cxl);
}

const struct cxlfork_report *cxl_report(const struct cxl *cxl, uint32_t reason)
{
	uint32_t i;

	for (i = 0; i < cxl->args.nr_reports && i < NR_REPORTS; i++)
		if (cxl->reports[i].reason == reason)
			return &cxl->reports[i];
	return NULL;
}

const struct cxlfork_report *cxl_report_fd(const struct cxl *cxl, int fd)
{
	uint32_t i;

	for (i = 0; i < cxl->args.nr_reports && i < NR_REPORTS; i++)
		if (cxl->reports[i].reason == CXLFORK_REASON_FD && cxl->reports[i].fd == fd)
			return &cxl->reports[i];
	return NULL;
}

struct refusal {
	int			error;
	uint32_t		nr_reports;
	struct cxlfork_report	reports[NR_REPORTS];
};

static void __attribute__((noreturn)) ghost_main(const struct cxl *cxl, struct ghost *g,
						 int pipe_fd, int channel)
{
	struct refusal no = { 0 };
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (channel >= 0) {
		dup2(channel, CHANNEL);
		g->fds[g->args.nr_fds++] = (struct cxlfork_fd_map){ CHANNEL, CHANNEL };
	}
	if (g->before)
		g->before();
	g->args.pool_fd = g->args.pool_fd ?: cxl->pool;
	g->args.fds = (uintptr_t)g->fds;
	g->args.reports = (uintptr_t)no.reports;
	g->args.nr_reports = NR_REPORTS;
	sys_cxlrestore(&g->args, sizeof(g->args));

	no.error = errno;
	no.nr_reports = g->args.nr_reports;
	/* The ghost lives on, and its memory, descriptors and registers are its own. */
	n = write(pipe_fd, &no, sizeof(no));
	CHECK(n == sizeof(no));
	_exit(g->after ? g->after() : 200);
}

/**
 * ghost_start - fork a ghost that asks to become a clone
 * @cxl:	the pool
 * @g:		all but the results set
 * @id:		which checkpoint
 *
 * Returns when it has become the clone or was refused (g->error).
 */
void ghost_start(const struct cxl *cxl, struct ghost *g, long id)
{
	int p[2], ch[2] = { -1, -1 };
	struct refusal no = { 0 };
	size_t got = 0;
	ssize_t n;

	g->args.id = id;
	g->error = 0;
	g->peer = -1;
	if (pipe2(p, O_CLOEXEC) || (g->channel && socketpair(AF_UNIX, SOCK_STREAM, 0, ch))) {
		g->error = errno;
		return;
	}
	g->pid = fork();
	if (!g->pid) {
		close(p[0]);
		if (g->channel)
			close(ch[0]);
		ghost_main(cxl, g, p[1], ch[1]);
	}
	close(p[1]);
	if (g->channel) {
		close(ch[1]);
		g->peer = ch[0];
	}
	/* A clone has no descriptor of its ghost left: end of file. */
	while (got < sizeof(no)) {
		n = read(p[0], (char *)&no + got, sizeof(no) - got);
		if (n <= 0)
			break;
		got += n;
	}
	close(p[0]);
	g->error = no.error;
	g->args.nr_reports = no.nr_reports;
	memcpy(g->reports, no.reports, sizeof(no.reports));
	if (got && got < sizeof(no))
		g->error = EIO;
}

/* Its wait status. */
int ghost_wait_raw(struct ghost *g)
{
	int status = -1;

	if (g->peer >= 0)
		close(g->peer);
	g->peer = -1;
	while (waitpid(g->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Its exit status, or 1000 + the signal that ended it. */
int ghost_wait(struct ghost *g)
{
	int status = ghost_wait_raw(g);

	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int ghost_end(struct ghost *g)
{
	int status = ghost_wait(g);

	if (!g->error)
		return status;
	dprintf(2, "# cxlrestore: %s\n", strerror(g->error));
	show_reports("cxlrestore", g->reports, g->args.nr_reports);
	return -g->error;
}

/* Restore once, wait: exit status, 1000 + signal, or -errno of the refusal. */
int cxl_run(const struct cxl *cxl, long id)
{
	struct ghost g = { 0 };

	ghost_start(cxl, &g, id);
	return ghost_end(&g);
}

/* Restore with a channel; 0 or -errno. */
int cxl_run_channel(const struct cxl *cxl, long id, struct ghost *g)
{
	memset(g, 0, sizeof(*g));
	g->channel = true;
	ghost_start(cxl, g, id);
	return g->error ? ghost_end(g) : 0;
}

void put_byte(int fd, char c)
{
	CHECK(write(fd, &c, 1) == 1);
}

/* The next byte, or 0 at the end. */
char get_byte(int fd)
{
	char c = 0;

	return read(fd, &c, 1) == 1 ? c : 0;
}

void *map_anon(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* Memory that starts and ends with a leaf, of which nothing else has a part. */
void *map_leaves(size_t len)
{
	char *p = map_anon(len + 2 * LEAF);
	char *start = (char *)(((uintptr_t)p + LEAF - 1) & ~(LEAF - 1));

	if (start > p)
		munmap(p, start - p);
	munmap(start + len, p + len + 2 * LEAF - (start + len));
	/* Leaves are what is tested; huge pages have their own tests. */
	madvise(start, len, MADV_NOHUGEPAGE);
	return start;
}

static uint64_t word_of(size_t i, unsigned int seed)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL ^ seed * 0xff51afd7ed558ccdULL;
}

/* 16 words of each page: what counts is that each page is the right one. */
void fill(void *p, size_t len, unsigned int seed)
{
	uint64_t *w = p;
	size_t i;

	for (i = 0; i < len / 8; i += 32)
		w[i] = word_of(i, seed);
}

/* Is @p, @len bytes of an area that was filled, @offset into it, as it was? */
bool is_part(const void *p, size_t len, unsigned int seed, size_t offset)
{
	const uint64_t *w = p;
	size_t i;

	for (i = 0; i < len / 8; i += 32)
		if (w[i] != word_of(i + offset / 8, seed))
			return false;
	return true;
}

bool is_filled(const void *p, size_t len, unsigned int seed)
{
	return is_part(p, len, seed, 0);
}

bool is_zero(const void *p, size_t len)
{
	const uint64_t *w = p;
	size_t i;

	for (i = 0; i < len / 8; i++)
		if (w[i])
			return false;
	return true;
}

/* A line of /proc/PID/cxlfork_stat, or -1. */
long stat_of(const char *pid, const char *name)
{
	char path[64], line[128], key[64];
	long value, found = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/cxlfork_stat", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", key, &value) == 2 && !strcmp(key, name))
			found = value;
	if (f)
		fclose(f);
	return found;
}

void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

long read_file(const char *path, void *data, size_t len)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, data, len);
		close(fd);
	}
	return n;
}
