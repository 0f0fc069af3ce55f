/* SPDX-License-Identifier: GPL-2.0 */
/* A file that gets its name when all of it is on the disk. */
#ifndef CXLFORK_PART_FILE_H
#define CXLFORK_PART_FILE_H

/**
 * struct part_file - one that is being written
 * @fd:		to write to
 * @name:	the name that it will have
 * @part:	the one that it has; NULL: @name already
 */
struct part_file {
	int	fd;
	char	*name;
	char	*part;
};

/*
 * Begin one that will be at @path (or where that points to, if it is a symbolic
 * link), for its owner only.  A signal that ends the process removes it; there
 * is one at a time.  0, or -1 and errno.
 */
int part_create(struct part_file *file, const char *path);
/* It is complete: give it its name, for good.  0, or -1 and errno. */
int part_finish(struct part_file *file);
/* Remove it, unless it has its name. */
void part_abandon(struct part_file *file);

#endif /* CXLFORK_PART_FILE_H */
