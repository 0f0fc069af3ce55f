/* SPDX-License-Identifier: GPL-2.0 */
/* Many bytes from one descriptor to another. */
#ifndef CXLFORK_TRANSFER_H
#define CXLFORK_TRANSFER_H

#include <stdbool.h>
#include <linux/types.h>

/**
 * struct transfer - a copy under way
 * @from:	descriptor that is read to its end
 * @to:		descriptor that all of it is written to
 * @total:	bytes that there are, as far as is known; 0: it isn't
 * @most:	there may be fewer
 * @done:	out: bytes that were written
 * @reading:	out: what failed was the reading
 */
struct transfer {
	int	from;
	int	to;
	__u64	total;
	bool	most;
	__u64	done;
	bool	reading;
};

/*
 * Copy; how far it has come is shown on a standard error that is a terminal, if
 * it takes long.  0, or -1 with errno.
 */
int transfer(struct transfer *t);

#endif /* CXLFORK_TRANSFER_H */
