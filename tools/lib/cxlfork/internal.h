/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of libcxlfork share and do not export. */
#ifndef CXLFORK_INTERNAL_H
#define CXLFORK_INTERNAL_H

#include <stdint.h>

#include "cxlfork.h"

/* Two underscores: in a static program all names are in one room. */

/* Empty the records before a call that may or may not fill them in. */
void cxlfork__reports_reset(struct cxlfork_reports *reports);
/* The kernel says it found @found: believe only what it has filled in. */
void cxlfork__reports_settle(struct cxlfork_reports *reports, unsigned int found);

#endif /* CXLFORK_INTERNAL_H */
