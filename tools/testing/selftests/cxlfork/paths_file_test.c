// SPDX-License-Identifier: GPL-2.0
/* Paths: private mappings of a file that changes after the restore. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cxlfork_fixture.h"
#include "paths.h"

static int open_file(struct path *p)
{
	int fd = open(p->file_name, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

/* A page of the file (even) and one that the parent wrote (odd), at each place. */
static void see_places(struct path *p)
{
	static const size_t places[] = { 0, 10 * PAGE, LEAF - 2 * PAGE, LEAF, LEAF + 40 * PAGE,
					 FILE_LEN - 2 * PAGE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		see(p, "at %zu", places[i]);
		see_fault(p, "the file's", p->file + places[i], PATH_READ);
		see_fault(p, "the parent's", p->file + places[i] + PAGE, PATH_READ);
	}
}

PATH(file_truncate_middle, "file: truncated in the middle of 2 MiB")
{
	p->file[3 * PAGE] = 1;
	see_ret(p, "truncate", truncate(p->file_name, LEAF + 20 * PAGE));
	see_places(p);
	see_mem(p, "rest", p->file, LEAF + 20 * PAGE);
	see_ret(p, "extend", truncate(p->file_name, FILE_LEN));
	see_mem(p, "file", p->file, FILE_LEN);
	p->file[FILE_LEN - 1] = 1;
	see_mem(p, "file", p->file, FILE_LEN);
}

PATH(file_truncate_whole, "file: truncated to nothing")
{
	see_ret(p, "truncate", truncate(p->file_name, 0));
	see_places(p);
	see_fault(p, "write", p->file + 5 * PAGE, PATH_WRITE);
}

PATH(file_punch, "file: a hole is punched")
{
	int fd = open_file(p);

	see_ret(p, "part", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     9 * PAGE, 30 * PAGE));
	see_ret(p, "whole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, LEAF, LEAF));
	see_mem(p, "file", p->file, FILE_LEN);
	see_places(p);
	close(fd);
}

/* What is not there yet comes from the file as it is then. */
PATH(file_modify, "file: modified by write()")
{
	char text[2 * PAGE];
	int fd = open_file(p);

	memset(text, 'x', sizeof(text));
	see_ret(p, "pwrite", pwrite(fd, text, sizeof(text), 10 * PAGE));
	/* the even page: private copy or page cache is for the system to choose */
	see_mem(p, "the parent's", p->file + 11 * PAGE, PAGE);
	differs(p, "a clean page of the file is in the checkpoint as it was then",
		"the file's: %x", p->file[10 * PAGE]);
	close(fd);
}

PATH(file_replace, "file: replaced by rename")
{
	char other[80];

	snprintf(other, sizeof(other), "%s.new", p->file_name);
	write_file(other, "new", 3);
	see_ret(p, "rename", rename(other, p->file_name));
	see_mem(p, "file", p->file, FILE_LEN);
	p->file[8] = 1;
	see_mem(p, "file", p->file, FILE_LEN);
}

PATH(file_unlink, "file: unlinked")
{
	see_ret(p, "unlink", unlink(p->file_name));
	see_mem(p, "file", p->file, FILE_LEN);
	p->file[LEAF] = 1;
	see_mem(p, "file", p->file, FILE_LEN);
}

PATH(file_drop_caches, "file: page cache dropped")
{
	int fd = open_file(p), drop;

	see_ret(p, "fsync", fsync(fd));
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	drop = open("/proc/sys/vm/drop_caches", O_WRONLY);
	see_ret(p, "drop_caches", write(drop, "3", 1));
	close(drop);
	see_mem(p, "file", p->file, FILE_LEN);
	close(fd);
}

PATH(file_msync, "file: msync, and a shared mapping of the same")
{
	unsigned char *shared;
	int fd = open_file(p);

	shared = mmap(NULL, FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(shared != MAP_FAILED);
	p->file[PAGE * 3 + 1] = 7;
	see_ret(p, "msync", msync(p->file, FILE_LEN, MS_SYNC));
	see_mem(p, "the file itself", shared, FILE_LEN);
	shared[3 * PAGE] = 9;
	see_mem(p, "the parent's", p->file + 3 * PAGE, PAGE);
	close(fd);
}

TEST_HARNESS_MAIN
