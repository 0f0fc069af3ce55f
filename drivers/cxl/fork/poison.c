// SPDX-License-Identifier: GPL-2.0
/*
 * Memory errors: the machine check handler, or an administrator, has found a
 * page of the region that can't be read.
 */
#include <linux/memremap.h>
#include <linux/mm.h>

#include "fork.h"

/* Whose page it is: nothing of that page is read for it. */
static u64 cxlf_owner_of(struct cxlf_dev *cd, u64 off)
{
	u32 extent = off >> CXLFORK_EXTENT_SHIFT;
	u64 id = 0;

	down_read(&cd->live);
	if (cd->usable && extent >= cd->geo.first_extent &&
	    extent < cd->geo.nr_extents)
		id = cxlf_load(cd, cxlf_etable_off(cd, extent));
	up_read(&cd->live);
	return id;
}

static int cxlf_memory_failure(struct dev_pagemap *pgmap, unsigned long pfn,
			       unsigned long nr, int flags)
{
	struct cxlf_dev *cd = container_of(pgmap, struct cxlf_dev, pgmap);
	int ret = 0;
	u64 off;

	for (; nr; nr--, pfn++) {
		off = PFN_PHYS(pfn) - pgmap->range.start;
		SetPageHWPoison(pfn_to_page(pfn));
		/* Who has consumed it and can't be helped gets its SIGBUS at once. */
		ret = cxlfork_pool_poisoned(&cd->pool, off, cxlf_owner_of(cd, off)) ?: ret;
	}
	return ret;
}

const struct dev_pagemap_ops cxlf_pagemap_ops = {
	.memory_failure	= cxlf_memory_failure,
};
