/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of all tests: an open pool; afterwards nothing has leaked.
 */
#ifndef CXLFORK_FIXTURE_H
#define CXLFORK_FIXTURE_H

#include "../kselftest_harness.h"
#include "cxlfork_test.h"

FIXTURE(cxl)
{
	struct cxl cxl;
};

FIXTURE_SETUP(cxl)
{
	struct cxl *cxl = &self->cxl;

	if (cxl_open(cxl))
		SKIP(return, "no attached pool (/dev/cxlfork: %s)", strerror(errno));
}

FIXTURE_TEARDOWN(cxl)
{
	struct cxl *cxl = &self->cxl;

	if (!cxl->free)
		return;
	cxl_close(cxl);
	EXPECT_TRUE(cxl_settled(cxl)) {
		TH_LOG("leaked: %lu extents were free, now %lu", (long)cxl->free,
		       (long)cxl_free_extents(cxl));
	}
}

#define CXL_TEST(name)	TEST_F_TIMEOUT(cxl, name, TIMEOUT)

/* The parent's part after cxl_fork(): one clone that ends with 0. */
#define EXPECT_CLONE_OK(cxl, id)			\
	do {						\
		ASSERT_GT(id, 0);			\
		EXPECT_EQ(0, cxl_run(cxl, id));		\
	} while (0)

#endif /* CXLFORK_FIXTURE_H */
