// SPDX-License-Identifier: GPL-2.0
/* What a checker found wrong, each with its place. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"

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

bool problem(struct findings *findings, const char *fmt, ...)
{
	struct finding *finding = next_finding(findings);
	va_list args;

	findings->nr++;
	if (!finding)
		return false;
	memcpy(finding->place, findings->place, sizeof(finding->place));
	va_start(args, fmt);
	vsnprintf(finding->text, sizeof(finding->text), fmt, args);
	va_end(args);
	return false;
}

void findings_free(struct findings *findings)
{
	free(findings->list);
	memset(findings, 0, sizeof(*findings));
}
