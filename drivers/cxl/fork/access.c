// SPDX-License-Identifier: GPL-2.0
/*
 * Who may see, change and delete a checkpoint.
 *
 * What counts are the credentials of whoever opened the control device, on
 * every host: a descriptor says what can be done with it, wherever it is passed
 * on to.  User and group are those of the initial user namespace; the hosts of
 * a pod have to agree on them, as they have for a shared file system.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "fork.h"

static bool cxlf_in_group(const struct cred *cred, kgid_t gid)
{
	int i;

	if (gid_eq(cred->fsgid, gid))
		return true;
	for (i = 0; i < cred->group_info->ngroups; i++)
		if (gid_eq(cred->group_info->gid[i], gid))
			return true;
	return false;
}

/* The bits (4: see, 2: change) that @mode gives to whoever opened @file. */
static u32 cxlf_bits(const struct file *file, u32 uid, u32 gid, u32 mode)
{
	const struct cred *cred = file->f_cred;

	if (uid != U32_MAX && uid_eq(cred->fsuid, make_kuid(&init_user_ns, uid)))
		return 7;
	if (gid != U32_MAX && cxlf_in_group(cred, make_kgid(&init_user_ns, gid)))
		return mode >> 3;
	return mode;
}

/**
 * cxlf_may_see - is a checkpoint listed?
 * @file: the control device, as it was opened
 * @uid: of the checkpoint
 * @gid: likewise
 * @mode: likewise
 *
 * Context: process context.
 * Return: whether it is.
 */
bool cxlf_may_see(const struct file *file, u32 uid, u32 gid, u32 mode)
{
	return cxlf_bits(file, uid, gid, mode) & 4 ||
	       file_ns_capable(file, &init_user_ns, CAP_CHECKPOINT_RESTORE) ||
	       file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN);
}

/**
 * cxlf_may_pin - may it be pinned?
 * @file: the control device, as it was opened
 * @uid: of the checkpoint, whose quota pays for it
 *
 * Context: process context.
 * Return: whether it may.
 */
bool cxlf_may_pin(const struct file *file, u32 uid)
{
	return cxlf_bits(file, uid, U32_MAX, 0) & 2 ||
	       file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN);
}

/**
 * cxlf_may_change - may it be deleted, given another time?
 * @file: the control device, as it was opened
 * @uid: of the checkpoint
 * @gid: likewise
 * @mode: likewise
 *
 * Context: process context.
 * Return: whether it may.
 */
bool cxlf_may_change(const struct file *file, u32 uid, u32 gid, u32 mode)
{
	return cxlf_bits(file, uid, gid, mode) & 2 ||
	       file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN);
}
