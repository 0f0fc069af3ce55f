// SPDX-License-Identifier: GPL-2.0
/*
 * A quirk of emulated hosts.
 *
 * QEMU's translator (TCG) keeps the code that it has translated by physical
 * address, until it sees a store to it.  It doesn't see what another QEMU
 * stores into the memory they share.  An extent that this host has executed
 * from, that was freed, and that holds another host's checkpoint now would run
 * as the code it held before.  So this host stores to it itself: each word, by
 * a locked operation that changes nothing.
 *
 * Which extents this host has executed from is forgotten with the module.  So a
 * host that has been in the pool before may have executed from any.
 */
#include <linux/processor.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/cpuid.h>

#include "fork.h"

/* Used by this host, but not known for what. */
#define CXLF_TCG_UNKNOWN	U64_MAX

static bool cxlf_tcg(void)
{
	return boot_cpu_has(X86_FEATURE_HYPERVISOR) &&
	       hypervisor_cpuid_base("TCGTCGTCGTCG", 0);
}

/**
 * cxlf_tcg_attach - be ready to note what this host executes from
 * @cd: pool
 *
 * Context: process context, sleeps; caller holds admin, geo is valid, the pool
 * isn't attached.
 * Return: 0 or -ENOMEM.
 */
int cxlf_tcg_attach(struct cxlf_dev *cd)
{
	u32 nr = cd->geo.nr_extents, i;

	if (!cxlf_tcg())
		return 0;
	if (cd->nr_ran >= nr) {
		/* Ids begin anew with each format. */
		for (i = 0; i < cd->nr_ran; i++)
			if (cd->ran[i])
				cd->ran[i] = CXLF_TCG_UNKNOWN;
		return 0;
	}
	i = cd->nr_ran;
	cxlf_tcg_free(cd);
	cd->ran = kvcalloc(nr, sizeof(*cd->ran), GFP_KERNEL);
	if (!cd->ran)
		return -ENOMEM;
	cd->nr_ran = nr;
	/* There was a smaller pool before. */
	while (i--)
		cd->ran[i] = CXLF_TCG_UNKNOWN;
	return 0;
}

/**
 * cxlf_tcg_free - forget it all
 * @cd: pool, not attached
 *
 * Context: process context.
 */
void cxlf_tcg_free(struct cxlf_dev *cd)
{
	kvfree(cd->ran);
	cd->ran = NULL;
	cd->nr_ran = 0;
}

/**
 * cxlf_tcg_wrote - this host has written extents itself
 * @cd: pool
 * @ckpt: being published
 *
 * Context: any; caller holds cd->lock.
 */
void cxlf_tcg_wrote(struct cxlf_dev *cd, const struct cxlfork_ckpt *ckpt)
{
	u32 i;

	for (i = 0; cd->ran && i < ckpt->nr_extents; i++)
		cd->ran[ckpt->extents[i]] = ckpt->id;
}

static int cxlf_tcg_extent(struct cxlf_dev *cd, u32 extent)
{
	u64 *word = cd->addr + ((u64)extent << CXLFORK_EXTENT_SHIFT);
	u64 *end = word + CXLFORK_EXTENT_SIZE / sizeof(*word);
	int err;

	err = cxlf_guard_extents(cd, &extent, 1, false);
	if (err)
		return err;
	while (word < end) {
		asm volatile("lock orq $0, %0" : "+m" (*word++));
		if (IS_ALIGNED((unsigned long)word, PAGE_SIZE))
			cond_resched();
	}
	return cxlf_guard_extents(cd, &extent, 1, true);
}

struct cxlf_tcg_walk {
	u64 id;
	int err;
};

static void cxlf_tcg_fn(struct cxlf_dev *cd, u32 extent, u64 word, void *arg)
{
	struct cxlf_tcg_walk *walk = arg;

	if (word != walk->id || walk->err || cd->ran[extent] == word)
		return;
	if (cd->ran[extent] || cd->epoch > 1)
		walk->err = cxlf_tcg_extent(cd, extent);
	if (!walk->err)
		cd->ran[extent] = word;
}

/**
 * cxlf_tcg_reload - this host is about to execute from a checkpoint
 * @cd: pool
 * @id: of the checkpoint, which this host refers to
 *
 * Context: process context, sleeps; caller holds cd->lock, pool is attached.
 * Return: 0 or a negative errno.
 */
int cxlf_tcg_reload(struct cxlf_dev *cd, u64 id)
{
	struct cxlf_tcg_walk walk = { .id = id };
	int err;

	if (!cd->ran)
		return 0;
	err = cxlf_etable_walk(cd, cd->geo.first_extent, cd->geo.nr_extents,
			       cxlf_tcg_fn, &walk);
	return err ?: walk.err;
}
