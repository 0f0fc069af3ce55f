/* SPDX-License-Identifier: GPL-2.0 */
/* Descriptors that a restore hands over. */
#ifndef CXLFORK_RESTORE_FDS_H
#define CXLFORK_RESTORE_FDS_H

#include "cli.h"

struct handover {
	struct cxlfork_fd_map	map[CXLFORK_HANDOVER_MAX];
	__u32		nr;
};

/* Each exits with a usage error when the text makes no sense or fails. */
/* IMAGE_FD=GHOST_FD: a descriptor this process has */
void handover_fd(struct argp_state *state, struct handover *to,
		 const char *text);
/* IMAGE_FD=[ADDR:]PORT: a TCP socket that listens there */
void handover_listen(struct argp_state *state, struct handover *to,
		     const char *text);
/* a file for descriptor @image_fd; @flags as for open(2) */
void handover_file(struct argp_state *state, struct handover *to, int image_fd,
		   const char *path, int flags);
/* is there one for @image_fd? */
bool handover_has(const struct handover *to, int image_fd);

#endif /* CXLFORK_RESTORE_FDS_H */
