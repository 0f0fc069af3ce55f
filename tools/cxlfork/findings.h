/* SPDX-License-Identifier: GPL-2.0 */
/* What a checker found wrong: where, what is there, what was expected. */
#ifndef CXLFORK_FINDINGS_H
#define CXLFORK_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "util.h"

#define FINDINGS_MAX	1000		/* more are only counted */
#define FINDING_TEXT	256
#define FINDING_LINE	(3 * FINDING_TEXT)

enum finding_kind {
#define KIND(enumerator, ...)	enumerator,
#include "finding_kinds.h"
#undef KIND
	NR_FINDING_KINDS,
};

/**
 * struct finding - one of them
 * @kind:	what is wrong
 * @place:	where
 * @text:	what is there
 */
struct finding {
	enum finding_kind	kind;
	char			place[FINDING_TEXT];
	char			text[FINDING_TEXT];
};

/**
 * struct findings - a list of them
 * @list:	the first FINDINGS_MAX
 * @nr:		how many there are
 * @room:	how many fit at @list now
 * @no_memory:	something could not be checked for lack of it
 * @err:	errno of what could not be read last, or 0
 * @place:	where the checker is, for those to come
 */
struct findings {
	struct finding	*list;
	size_t		nr;
	size_t		room;
	bool		no_memory;
	int		err;
	char		place[FINDING_TEXT];
};

/* From now on problems are there. */
void findings_at(struct findings *findings, const char *fmt, ...)
	__printf(2, 3);
/* Note a problem: what is there.  Always returns false. */
bool problem(struct findings *findings, enum finding_kind kind,
	     const char *fmt, ...) __printf(3, 4);
/* As problem(), if bytes that are reserved are not zero; @what they are. */
bool check_reserved(struct findings *findings, const char *what,
		    const void *data, size_t size);
/* Note that memory is short.  Always returns false. */
bool no_memory(struct findings *findings);
/* How many of them are in the list. */
size_t findings_listed(const struct findings *findings);
/* What the first one says, which may have found no room. */
const char *findings_first(const struct findings *findings);
/* Drop those that an earlier look, @before, has not found. */
void findings_common(struct findings *findings, const struct findings *before);
void findings_free(struct findings *findings);

/* A word for a kind, and what was expected instead. */
const char *finding_word(enum finding_kind kind);
const char *finding_expected(enum finding_kind kind);
/* What is there and what was expected; @line has FINDING_LINE bytes. */
const char *finding_line(const struct finding *finding, char *line);

/* Are these bytes all zero? */
bool all_zero(const void *data, size_t size);

#endif /* CXLFORK_FINDINGS_H */
