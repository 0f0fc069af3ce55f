// SPDX-License-Identifier: GPL-2.0
/* Room for the kernel's records of what stands in the way. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct cxlfork_reports *cxlfork_reports_new(unsigned int room)
{
	struct cxlfork_reports *reports;

	if (room > CXLFORK_REPORTS_MAX)
		room = CXLFORK_REPORTS_MAX;
	reports = calloc(1, sizeof(*reports));
	if (!reports)
		return NULL;
	reports->list = calloc(room ? room : 1, sizeof(*reports->list));
	if (!reports->list) {
		free(reports);
		return NULL;
	}
	reports->room = room;
	return reports;
}

void cxlfork_reports_free(struct cxlfork_reports *reports)
{
	if (!reports)
		return;
	free(reports->list);
	free(reports);
}

unsigned int cxlfork_reports_count(const struct cxlfork_reports *reports)
{
	if (!reports)
		return 0;
	return reports->found < reports->room ? reports->found : reports->room;
}

void cxlfork__reports_reset(struct cxlfork_reports *reports)
{
	if (!reports)
		return;
	reports->found = 0;
	if (reports->room > CXLFORK_REPORTS_MAX)
		reports->room = CXLFORK_REPORTS_MAX;
	if (reports->room)
		memset(reports->list, 0, reports->room * sizeof(*reports->list));
}

/*
 * A call that fails early (ENOSYS, EFAULT, ...) leaves the number as it was
 * passed, with records that are still empty.
 */
void cxlfork__reports_settle(struct cxlfork_reports *reports, unsigned int found)
{
	unsigned int i, count;

	if (!reports)
		return;
	count = found < reports->room ? found : reports->room;
	for (i = 0; i < count; i++) {
		if (reports->list[i].reason == CXLFORK_REASON_NONE) {
			found = i;
			break;
		}
	}
	reports->found = found;
}
