// SPDX-License-Identifier: GPL-2.0
/* What a checker found wrong: where, what is there, what was expected. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"

static const struct {
	const char	*word;
	const char	*expected;
} kinds[NR_FINDING_KINDS] = {
#define KIND(enumerator, word, expected)	\
	[enumerator] = { word, expected },
#include "finding_kinds.h"
#undef KIND
};

const char *finding_word(enum finding_kind kind)
{
	return kind < NR_FINDING_KINDS ? kinds[kind].word : "?";
}

const char *finding_expected(enum finding_kind kind)
{
	return kind < NR_FINDING_KINDS ? kinds[kind].expected : "?";
}

const char *finding_line(const struct finding *finding, char *line)
{
	snprintf(line, FINDING_LINE, "%s; expected: %s [%s]", finding->text,
		 finding_expected(finding->kind), finding_word(finding->kind));
	return line;
}

bool all_zero(const void *data, size_t size)
{
	const __u8 *at = data;

	/* Each byte is as the one before it. */
	return !size || (!at[0] && !memcmp(at, at + 1, size - 1));
}

void findings_at(struct findings *findings, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(findings->place, sizeof(findings->place), fmt, args);
	va_end(args);
}

size_t findings_listed(const struct findings *findings)
{
	return findings->nr < findings->room ? findings->nr : findings->room;
}

const char *findings_first(const struct findings *findings)
{
	return findings_listed(findings) ? findings->list[0].text : "";
}

static struct finding *next_finding(struct findings *findings)
{
	size_t room = findings->room ? 2 * findings->room : 16;
	struct finding *list;

	if (findings->nr < findings->room)
		return &findings->list[findings->nr];
	if (findings->room >= FINDINGS_MAX)
		return NULL;
	if (room > FINDINGS_MAX)
		room = FINDINGS_MAX;
	list = reallocarray(findings->list, room, sizeof(*list));
	if (!list)
		return NULL;
	findings->list = list;
	findings->room = room;
	return &list[findings->nr];
}

bool problem(struct findings *findings, enum finding_kind kind,
	     const char *fmt, ...)
{
	struct finding *finding = next_finding(findings);
	va_list args;

	findings->nr++;
	if (!finding)
		return false;
	finding->kind = kind;
	memcpy(finding->place, findings->place, sizeof(finding->place));
	va_start(args, fmt);
	vsnprintf(finding->text, sizeof(finding->text), fmt, args);
	va_end(args);
	return false;
}

bool check_reserved(struct findings *findings, const char *what,
		    const void *data, size_t size)
{
	const __u8 *at = data;
	size_t i = 0;

	if (all_zero(data, size))
		return true;
	while (!at[i])
		i++;
	return problem(findings, BAD_RESERVED,
		       "%s: reserved byte %zu is 0x%02x", what, i, at[i]);
}

bool no_memory(struct findings *findings)
{
	findings->no_memory = true;
	return false;
}

static bool found_before(const struct finding *finding,
			 const struct findings *before)
{
	size_t i, listed = findings_listed(before);

	for (i = 0; i < listed; i++)
		if (before->list[i].kind == finding->kind &&
		    !strcmp(before->list[i].place, finding->place) &&
		    !strcmp(before->list[i].text, finding->text))
			return true;
	return false;
}

void findings_common(struct findings *findings, const struct findings *before)
{
	size_t i, kept = 0, listed = findings_listed(findings);
	size_t rest = findings->nr - listed;

	/* Who is beyond counting is not looked at one by one. */
	if (rest > before->nr - findings_listed(before))
		rest = before->nr - findings_listed(before);
	for (i = 0; i < listed; i++)
		if (found_before(&findings->list[i], before))
			findings->list[kept++] = findings->list[i];
	findings->nr = kept == listed ? kept + rest : kept;
}

void findings_free(struct findings *findings)
{
	free(findings->list);
	memset(findings, 0, sizeof(*findings));
}
