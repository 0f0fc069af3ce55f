// SPDX-License-Identifier: GPL-2.0
/* The framework of the path tests, see paths.h. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fail.h"
#include "paths.h"

#define LINE		256
#define TEXT		(64 * 1024)

/* --- what the sides say: a line each, through CHANNEL */

static void say(const char *mark, const char *fmt, va_list ap)
{
	char line[LINE];
	int n, len;

	len = snprintf(line, sizeof(line), "%s", mark);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	CHECK(n >= 0 && n < (int)sizeof(line) - len - 1);
	len += n;
	line[len++] = '\n';
	/* One write: lines of several processes do not mix. */
	CHECK(write(CHANNEL, line, len) == len);
}

void see(struct path *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(" ", fmt, ap);
	va_end(ap);
}

void differs(struct path *p, const char *why, const char *fmt, ...)
{
	char mark[LINE];
	va_list ap;

	snprintf(mark, sizeof(mark), "~%s\t", why);
	va_start(ap, fmt);
	say(mark, fmt, ap);
	va_end(ap);
}

void path_skip(struct path *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("!", fmt, ap);
	va_end(ap);
	_exit(0);
}

long see_ret(struct path *p, const char *what, long ret)
{
	int error = errno;

	if (ret == -1)
		see(p, "%s: %s", what, strerrorname_np(error) ?: "unknown error");
	else
		see(p, "%s: %ld", what, ret);
	errno = error;
	return ret;
}

void see_mem(struct path *p, const char *what, const void *mem, size_t len)
{
	const uint64_t *w = mem;
	uint64_t sum = 0xcbf29ce484222325ULL;
	size_t i;

	for (i = 0; i < len / 8; i++)
		sum = (sum ^ w[i]) * 0x100000001b3ULL;
	see(p, "%s: %zu bytes, checksum %016llx", what, len, (unsigned long long)sum);
}

static sigjmp_buf back;
static volatile int fault_signal, fault_code;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	fault_signal = sig;
	fault_code = info->si_code;
	siglongjmp(back, 1);
}

void see_fault(struct path *p, const char *what, const void *addr, enum path_access how)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, old[2];
	volatile unsigned char *byte = (volatile unsigned char *)addr;
	volatile int value = -1;

	sigaction(SIGSEGV, &act, &old[0]);
	sigaction(SIGBUS, &act, &old[1]);
	fault_signal = 0;
	if (!sigsetjmp(back, 1)) {
		if (how == PATH_READ)
			value = *byte;
		else if (how == PATH_WRITE)
			*byte = 0x5a;
		else
			((void (*)(void))addr)();
	}
	sigaction(SIGSEGV, &old[0], NULL);
	sigaction(SIGBUS, &old[1], NULL);
	if (fault_signal)
		see(p, "%s: SIG%s code %d", what, sigabbrev_np(fault_signal), fault_code);
	else
		see(p, "%s: works (%d)", what, value);
}

void see_maps(struct path *p, const char *what, const void *start, const void *end)
{
	unsigned long from, to, first = (unsigned long)start, last = (unsigned long)end;
	char line[512], perms[8];
	FILE *f = fopen("/proc/self/maps", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, perms) != 3 ||
		    to <= first || from >= last)
			continue;
		from = from < first ? first : from;
		to = to > last ? last : to;
		see(p, "%s: +%lx %lx %s", what, from - first, to - from, perms);
	}
	fclose(f);
}

void see_status(struct path *p, const char *key)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) || line[strlen(key)] != ':')
			continue;
		line[strcspn(line, "\n")] = '\0';
		see(p, "%s", line);
	}
	fclose(f);
}

static void say_end(struct path *p, const char *what, int status)
{
	if (WIFSIGNALED(status))
		see(p, "%s: SIG%s", what, sigabbrev_np(WTERMSIG(status)));
	else
		see(p, "%s: exit status %d", what, WEXITSTATUS(status));
}

void see_child(struct path *p, const char *what, pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	say_end(p, what, status);
}

/* --- allocations that fail */

void inject_on(struct path *p, unsigned int nth)
{
	if (!fail_begin(false))
		path_skip(p, NO_FAULT_INJECTION);
	fail_nth(nth);
}

/* --- the sides */

static void set_up(struct path *p)
{
	unsigned char *fresh;
	size_t i;
	int fd;

	p->anon = map_leaves(ANON_LEN);
	fill(p->anon, ANON_LEN, ANON_SEED);

	p->sparse = map_leaves(SPARSE_LEN);
	for (i = 0; i < SPARSE_LEN; i += 2 * PAGE)
		fill(p->sparse + i, PAGE, SPARSE_SEED);

	p->mixed = map_leaves(MIXED_LEN);
	fill(p->mixed, MIXED_LEN, MIXED_SEED);
	CHECK(!munmap(p->mixed + MIXED_HOLE, MIXED_RO - MIXED_HOLE));
	CHECK(!mprotect(p->mixed + MIXED_RO, MIXED_LEN - MIXED_RO, PROT_READ));

	fresh = map_anon(FILE_LEN);
	fill(fresh, FILE_LEN, FILE_SEED);
	write_file(p->file_name, fresh, FILE_LEN);
	munmap(fresh, FILE_LEN);
	p->file = map_leaves(FILE_LEN);
	fd = open(p->file_name, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && mmap(p->file, FILE_LEN, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_FIXED, fd, 0) == p->file);
	close(fd);
	for (i = PAGE; i < FILE_LEN; i += 2 * PAGE)
		fill(p->file + i, PAGE, DIRTY_SEED);

	p->huge = map_leaves(HUGE_LEN);
	madvise(p->huge, HUGE_LEN, MADV_HUGEPAGE);
	fill(p->huge, HUGE_LEN, HUGE_SEED);
}

/* Whatever the side did, its parent has what it had. */
static void see_parent(struct path *p)
{
	see(p, "parent's memory: %s",
	    is_filled(p->anon, ANON_LEN, ANON_SEED) && is_filled(p->huge, HUGE_LEN, HUGE_SEED) &&
	    is_filled(p->mixed, MIXED_HOLE, MIXED_SEED) ? "as it was" : "changed");
}

static int run_child(struct path *p, path_fn fn)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		fn(p);
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

static int run_clone(struct cxl *cxl, struct path *p, path_fn fn)
{
	struct ghost g = { .fds = { { CHANNEL, CHANNEL } }, .args = { .nr_fds = 1 } };
	long id = cxl_fork_channel(cxl);

	if (!id) {
		fn(p);
		_exit(0);
	}
	CHECK(id > 0);
	ghost_start(cxl, &g, id);
	if (g.error)
		show_reports("cxlrestore", g.reports, g.args.nr_reports);
	CHECK(!g.error);
	return ghost_wait_raw(&g);
}

/* A process that sets up the areas, and runs the path in a clone or child. */
static void __attribute__((noreturn)) run_side(const struct cxl *cxl, path_fn fn, bool clone)
{
	const char *dir = getenv("CXLFORK_DIRECT_DIR");
	struct path p = { .clone = clone };
	struct cxl own = *cxl;
	int status;

	own.nr_ids = 0;
	/* The same name on both sides, one after the other: names may be seen. */
	snprintf(p.file_name, sizeof(p.file_name), "%.40s/cxlfork-path", dir ?: "/tmp");
	unlink(p.file_name);
	set_up(&p);
	status = clone ? run_clone(&own, &p, fn) : run_child(&p, fn);
	say_end(&p, "end", status);
	see_parent(&p);
	unlink(p.file_name);
	cxl_close(&own);
	_exit(0);
}

/* All that one side says; room for TEXT. */
static void hear(const struct cxl *cxl, path_fn fn, bool clone, char *text)
{
	int sv[2], status = -1;
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		/* Without close-on-exec; and CHANNEL is the only one. */
		CHECK(dup2(sv[1], CHANNEL) == CHANNEL);
		close(sv[0]);
		close(sv[1]);
		run_side(cxl, fn, clone);
	}
	close(sv[1]);
	while (got < TEXT - LINE) {
		n = read(sv[0], text + got, TEXT - LINE - got);
		if (n <= 0)
			break;
		got += n;
	}
	close(sv[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		dprintf(2, "# the %s's parent ended with status %x\n",
			clone ? "clone" : "child", status);
		strcat(text, " its parent failed\n");
	}
}

/* The next line of a text, which is cut there; NULL: none is left. */
static char *next_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	if (!*line)
		return NULL;
	if (end)
		*end++ = '\0';
	*text = end ?: line + strlen(line);
	return line;
}

/* Are two lines what they should be?  Why they may differ goes to @but. */
static bool same_line(const char *a, const char *b, char *but, size_t len)
{
	const char *tab;
	char why[LINE];

	if (!a || !b)
		return a == b;
	if (a[0] != '~')
		return !strcmp(a, b);
	tab = strchr(a, '\t');
	if (!tab || strncmp(a, b, tab + 1 - a))
		return false;
	/* Said whether they do or not: the table does not depend on chance. */
	snprintf(why, sizeof(why), "%.*s", (int)(tab - a - 1), a + 1);
	if (!*but)
		snprintf(but, len, "but: %s", why);
	else if (!strstr(but, why))
		snprintf(but + strlen(but), len - strlen(but), "; %s", why);
	return true;
}

static bool ends_with(const char *line, const char *end)
{
	return strlen(line) >= strlen(end) && !strcmp(line + strlen(line) - strlen(end), end);
}

/* What is wrong even if both sides say it: CHECK() has failed; it should be "yes". */
static bool line_is_bad(const char *line)
{
	return line && (ends_with(line, ": exit status 1") || ends_with(line, ": NO"));
}

int path_compare(const struct cxl *cxl, const char *name, const char *about,
		 path_fn fn, char why[160])
{
	/* Static: the two sides' heaps are to be the same. */
	static char clone[TEXT], child[TEXT];
	char *at_clone = clone, *at_child = child;
	char but[512] = "";
	int lines = 0, ret = 0;

	hear(cxl, fn, true, clone);
	hear(cxl, fn, false, child);
	for (;;) {
		char *a = next_line(&at_clone), *b = next_line(&at_child);

		if (!a && !b)
			break;
		if (a && b && a[0] == '!' && b[0] == '!') {
			snprintf(why, 160, "%s", a + 1);
			ret = 1;
			break;
		}
		if (!same_line(a, b, but, sizeof(but))) {
			printf("# clone: %s\n# child: %s\n", a ? a + 1 : "(says no more)",
			       b ? b + 1 : "(says no more)");
			ret = -1;
		}
		if (line_is_bad(a) || line_is_bad(b)) {
			printf("# %s\n", line_is_bad(a) ? a + 1 : b + 1);
			ret = -1;
		}
		lines++;
	}
	/* "end" and "parent's memory" are always there. */
	if (!ret && lines < 3) {
		printf("# nothing was observed\n");
		ret = -1;
	}
	printf("# path: %s | %s | %s%s%s\n", name, about,
	       ret < 0 ? "DIFFERS" : ret ? "not here: " : "same", ret > 0 ? why : *but ? ", " : "",
	       ret ? "" : but);
	fflush(stdout);
	return ret;
}
