/* SPDX-License-Identifier: GPL-2.0 */
/* What has to hold of a checkpoint that was accepted, whatever the image says. */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

#include <linux/cxlfork.h>

/**
 * oracle_template - look at what was decoded
 * @t:		it
 *
 * Ends the process if it is not what a clone may be made of.
 */
void oracle_template(const struct cxlfork_template *t);

/**
 * oracle_extents - whose is what its leaves may map?
 * @t:		the checkpoint; nobody has changed the extent table since it was opened
 */
void oracle_extents(const struct cxlfork_template *t);

/**
 * oracle_leaf - look at the table (or entry) that is to be attached
 * @t:		the checkpoint
 * @i:		number of the leaf, which was checked
 * @stable:	nobody has changed the image since it was checked
 */
void oracle_leaf(const struct cxlfork_template *t, u32 i, bool stable);

/**
 * oracle_mm - look at what was attached
 * @t:		the checkpoint
 * @mm:		the clone's
 * @i:		number of the leaf
 */
void oracle_mm(const struct cxlfork_template *t, const struct mm_struct *mm, u32 i);

#endif /* FUZZ_ORACLE_H */
