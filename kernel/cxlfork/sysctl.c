// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator decides: /proc/sys/kernel/cxlfork/.
 */
#include <linux/cxlfork.h>
#include <linux/init.h>
#include <linux/sizes.h>
#include <linux/sysctl.h>

static unsigned int cxlfork_quota_mib;
static int cxlfork_trust_hosts = 1;

static struct ctl_table cxlfork_sysctls[] = {
	{
		.procname	= "quota_mib",
		.data		= &cxlfork_quota_mib,
		.maxlen		= sizeof(cxlfork_quota_mib),
		.mode		= 0644,
		.proc_handler	= proc_douintvec,
	},
	{
		.procname	= "trust_hosts",
		.data		= &cxlfork_trust_hosts,
		.maxlen		= sizeof(cxlfork_trust_hosts),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

/**
 * cxlfork_quota - how much the checkpoints of one user may take in a pool
 *
 * Counted over all hosts, held against by the one that makes a new one.
 *
 * Context: any.
 * Return: bytes, or 0: as much as there is.
 */
u64 cxlfork_quota(void)
{
	return (u64)READ_ONCE(cxlfork_quota_mib) * SZ_1M;
}

/**
 * cxlfork_trust - do the hosts of the pod trust each other?
 *
 * If so, leaf tables are attached where they lie, after a check; a host that
 * turns hostile could change them later.  If not, what is checked is a copy in
 * local memory, and that copy is attached.
 *
 * Context: any.
 * Return: whether they do.
 */
bool cxlfork_trust(void)
{
	return READ_ONCE(cxlfork_trust_hosts);
}

static int __init cxlfork_sysctl_init(void)
{
	register_sysctl_init("kernel/cxlfork", cxlfork_sysctls);
	return 0;
}
late_initcall(cxlfork_sysctl_init);
