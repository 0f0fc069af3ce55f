// SPDX-License-Identifier: GPL-2.0
/* A file that gets its name when all of it is on the disk. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "part_file.h"
#include "util.h"

#define LINKS_MAX	40	/* as the kernel */

/* What a signal has to remove, or NULL. */
static const char *removable;

static void remove_it(int sig)
{
	if (removable)
		unlink(removable);
	/* SA_RESETHAND: now it does what it does, when this has returned */
	raise(sig);
}

/* An ignored signal stays so (nohup). */
static void catch_signals(void)
{
	static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ };
	struct sigaction old, action = {
		.sa_handler	= remove_it,
		.sa_flags	= SA_RESETHAND,
	};
	size_t i;

	sigfillset(&action.sa_mask);
	for (i = 0; i < ARRAY_SIZE(ending); i++)
		if (!sigaction(ending[i], NULL, &old) &&
		    old.sa_handler == SIG_DFL)
			sigaction(ending[i], &action, NULL);
}

static int create(char *part)
{
	sigset_t all, before;
	int fd, err;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	fd = mkostemp(part, O_CLOEXEC);
	err = errno;
	if (fd >= 0) {
		removable = part;
		catch_signals();
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = err;
	return fd;
}

/* The folder that @path is in, with a slash at its end; "" if it has none. */
static int folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash - path + 1 : 0;
}

/* Where @path leads to; what is at the end of all links need not exist. */
static char *follow(const char *path)
{
	char target[PATH_MAX], *at = strdup(path), *next;
	int i, done;
	ssize_t n;

	for (i = 0; at && i < LINKS_MAX; i++) {
		n = readlink(at, target, sizeof(target) - 1);
		if (n < 0)
			return at;
		target[n] = '\0';
		done = asprintf(&next, "%.*s%s",
				target[0] == '/' ? 0 : folder_length(at), at,
				target);
		free(at);
		at = done < 0 ? NULL : next;
	}
	if (at)
		errno = ELOOP;
	free(at);
	return NULL;
}

int part_create(struct part_file *file, const char *path)
{
	file->fd = -1;
	file->part = NULL;
	file->name = follow(path);
	if (!file->name)
		return -1;
	if (asprintf(&file->part, "%s.XXXXXX", file->name) < 0)
		file->part = NULL;
	else
		file->fd = create(file->part);
	if (file->fd >= 0)
		return 0;
	free(file->part);
	free(file->name);
	return -1;
}

/* A name is on the disk when its folder is. */
static int sync_folder(const char *path)
{
	int fd, err, ret, length = folder_length(path);
	char *folder;

	if (asprintf(&folder, "%.*s", length ?: 1, length ? path : ".") < 0)
		return -1;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd < 0)
		return -1;
	ret = fsync(fd);
	err = errno;
	close(fd);
	/* EINVAL: there is no such thing as that here. */
	errno = err;
	return ret && err != EINVAL ? -1 : 0;
}

int part_finish(struct part_file *file)
{
	if (fsync(file->fd) || close(file->fd) ||
	    rename(file->part, file->name))
		return -1;
	/* A signal that comes here removes what is not there any more. */
	removable = NULL;
	free(file->part);
	file->part = NULL;
	return sync_folder(file->name);
}

void part_abandon(struct part_file *file)
{
	if (file->part)
		unlink(file->part);
	removable = NULL;
	free(file->part);
	free(file->name);
}
