// SPDX-License-Identifier: GPL-2.0
/*
 * The DAX device of a CXL region, as the pool's memory.
 *
 * Binds only what it is told to, by "new_id": memory that is meant for the
 * host itself, or holds somebody's data, is not taken because the module
 * happens to be loaded first.
 */
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/range.h>

#include "../../dax/bus.h"
#include "../../dax/dax-private.h"
#include "fork.h"

/* None of the types that the bus matches by itself. */
#define CXLF_DAX_TYPE	((enum dax_driver_type)(DAXDRV_DEVICE_TYPE + 1))

static struct cxlf_dev *cxlf_dax_dev;

static int cxlf_dax_probe(struct dev_dax *dev_dax)
{
	struct device *dev = &dev_dax->dev;
	struct range *range;
	u64 len;

	if (static_dev_dax(dev_dax) || dev_dax->nr_range != 1) {
		dev_warn(dev, "refused: not one range of a dynamic DAX region\n");
		return -EINVAL;
	}
	range = &dev_dax->ranges[0].range;
	len = ALIGN_DOWN(range_len(range), CXLFORK_EXTENT_SIZE);
	if (!len || !IS_ALIGNED(range->start, CXLFORK_EXTENT_SIZE)) {
		dev_warn(dev, "refused: doesn't start at a multiple of 2 MiB, or is smaller\n");
		return -EINVAL;
	}
	if (!devm_request_mem_region(dev, range->start, range_len(range),
				     dev_name(dev))) {
		dev_warn(dev, "refused: the memory is in use\n");
		return -EBUSY;
	}
	return cxlf_bind(cxlf_dax_dev, dev, range->start, len);
}

static void cxlf_dax_remove(struct dev_dax *dev_dax)
{
	cxlf_unbind(cxlf_dax_dev);
}

static struct dax_device_driver cxlf_dax_driver = {
	.probe	= cxlf_dax_probe,
	.remove	= cxlf_dax_remove,
	.type	= CXLF_DAX_TYPE,
};

/**
 * cxlf_dax_init - be ready to bind a DAX device
 * @cd: what it gets bound to
 *
 * Context: module initialisation.
 * Return: 0 or a negative errno.
 */
int cxlf_dax_init(struct cxlf_dev *cd)
{
	cxlf_dax_dev = cd;
	return dax_driver_register(&cxlf_dax_driver);
}

/**
 * cxlf_dax_exit - unbind, and bind no more
 *
 * Context: module exit; sleeps until no checkpoint is in use.
 */
void cxlf_dax_exit(void)
{
	dax_driver_unregister(&cxlf_dax_driver);
}
