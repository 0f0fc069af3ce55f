/* SPDX-License-Identifier: GPL-2.0 */
/* What a checker found wrong, each with its place. */
#ifndef CXLFORK_FINDINGS_H
#define CXLFORK_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "util.h"

#define FINDINGS_MAX	1000		/* more are only counted */
#define FINDING_TEXT	256

struct finding {
	char	place[FINDING_TEXT];
	char	text[FINDING_TEXT];
};

/**
 * struct findings - a list of them
 * @list:	the first FINDINGS_MAX
 * @nr:		how many there are
 * @room:	how many fit at @list now
 * @place:	where the checker is, for those to come
 */
struct findings {
	struct finding	*list;
	size_t		nr;
	size_t		room;
	char		place[FINDING_TEXT];
};

/* From now on problems are there. */
void findings_at(struct findings *findings, const char *fmt, ...)
	__printf(2, 3);
/* Note a problem. Always returns false. */
bool problem(struct findings *findings, const char *fmt, ...) __printf(2, 3);
/* How many of them are in the list. */
size_t findings_listed(const struct findings *findings);
void findings_free(struct findings *findings);

#endif /* CXLFORK_FINDINGS_H */
