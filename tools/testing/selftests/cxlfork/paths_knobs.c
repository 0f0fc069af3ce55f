// SPDX-License-Identifier: GPL-2.0
/* See paths_knobs.h. */
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "paths_knobs.h"

#define PATH_MAX_LEN 256

/*
 * Spawned, not forked: a copy of the address space would make its pages shared.
 * The shell holds CHANNEL, so that the parent waits until it is done as well.
 */
void when_over(const char *fmt, ...)
{
	char text[1000] = "cat >/dev/null; exec >/dev/null 2>&1; ";
	char *const argv[] = { "sh", "-c", text, NULL };
	posix_spawn_file_actions_t actions;
	size_t n = strlen(text);
	int fds[2];
	va_list ap;
	pid_t pid;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	CHECK(!pipe2(fds, O_CLOEXEC));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[0], 0);
	CHECK(!posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ));
	posix_spawn_file_actions_destroy(&actions);
	close(fds[0]);
	/* fds[1] stays open as long as we live. */
}

/* Did the command succeed? */
bool shell(const char *fmt, ...)
{
	char text[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return system(text) == 0;
}

/* One write(), as sysfs and cgroups want it. */
bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

bool get(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got = -1;

	if (fd < 0)
		return false;
	while (n < size - 1 && (got = read(fd, text + n, size - 1 - n)) > 0)
		n += got;
	close(fd);
	text[n] = 0;
	return got >= 0;
}

/* The number in a file; with @name the one behind it.  -1: there is none. */
long get_number(const char *path, const char *name)
{
	static char text[32 << 10];
	size_t gap;
	char *line;

	if (!get(path, text, sizeof(text)))
		return -1;
	if (!name)
		return strtol(text, NULL, 0);
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, strlen(name)))
			continue;
		gap = strspn(line + strlen(name), ": \t");
		if (gap)
			return strtol(line + strlen(name) + gap, NULL, 0);
	}
	return -1;
}

/* Set something global until this process ends.  False: it is not there. */
bool knob(const char *path, const char *value)
{
	char old[PATH_MAX_LEN], *chosen, *end;

	if (!get(path, old, sizeof(old)))
		return false;
	old[strcspn(old, "\n")] = 0;
	chosen = strchr(old, '[');
	if (chosen) {
		chosen++;
		end = strchr(chosen, ']');
		CHECK(end);
		*end = 0;
	}
	when_over("echo '%s' >%s", chosen ?: old, path);
	return put(path, value);
}

/* 256 MiB of compressed memory to swap to, until this process ends. */
void swap_on(struct path *p)
{
	if (access("/sys/block/zram0/disksize", W_OK))
		path_skip(p, "no zram");
	when_over("swapoff /dev/zram0; echo 1 >/sys/block/zram0/reset");
	CHECK(put("/sys/block/zram0/disksize", "256M"));
	CHECK(shell("mkswap /dev/zram0 >/dev/null && swapon /dev/zram0"));
}

/* A memory cgroup; whoever is to be in it writes "0" to its cgroup.procs. */
void cgroup_make(struct path *p, char *dir, size_t size)
{
	if (access("/sys/fs/cgroup/cgroup.controllers", R_OK))
		path_skip(p, "no cgroup v2");
	shell("echo +memory >/sys/fs/cgroup/cgroup.subtree_control");
	snprintf(dir, size, "/sys/fs/cgroup/cxlfork-paths");
	/* A process that has ended leaves its cgroup a little later. */
	when_over("for i in $(seq 100); do rmdir %s && break; sleep 0.05; done", dir);
	CHECK(shell("mkdir %s", dir));
}

/* A figure of memory.stat once it stands still at zero, else after 5 s. */
long cgroup_settled(const char *dir, const char *name)
{
	char path[PATH_MAX_LEN];
	long value = -1;
	int i;

	snprintf(path, sizeof(path), "%s/memory.stat", dir);
	for (i = 0; i < 1200; i++) {
		value = get_number(path, name);
		if (!value)
			break;
		usleep(50000);
	}
	return value;
}

/* Write to every @step-th page, beside what fill() has written. */
void touch_pages(unsigned char *start, size_t len, size_t step)
{
	size_t i;

	for (i = 0; i < len; i += step * PAGE)
		*(volatile uint64_t *)(start + i + 8) = i + 1;
}

/*
 * Shared leaves and local copies side by side: of @anon the leaves 0, 3, 4 and 5
 * stay as they are, of 1 each third page is written, of 2 every one.
 */
void make_mixed(struct path *p)
{
	touch_pages(p->anon + LEAF, LEAF, 3);
	touch_pages(p->anon + 2 * LEAF, LEAF, 1);
	touch_pages(p->sparse + LEAF, LEAF / 2, 3);
	touch_pages(p->file, LEAF / 4, 3);
}

void see_all(struct path *p)
{
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_mem(p, "sparse", p->sparse, SPARSE_LEN);
	see_mem(p, "mixed rw", p->mixed, MIXED_HOLE);
	see_mem(p, "mixed r", p->mixed + MIXED_RO, MIXED_LEN - MIXED_RO);
	see_mem(p, "file", p->file, FILE_LEN);
}
