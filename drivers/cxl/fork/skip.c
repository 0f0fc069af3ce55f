// SPDX-License-Identifier: GPL-2.0
/*
 * Which flushes are needed?  Tests leave one out and see it missed
 * (CXL_FORK_DEBUG).
 *
 * With the module option "skip_flush" all flushes of some kinds are left out;
 * with "skip_call" those that one place in the code asks for.  What the latter
 * takes is a line of cxl_fork/flushes in debugfs, without the number: of the
 * places that have asked so far, on a pool that isn't coherent, and how often
 * there was something to flush there, with caches that are played (shadow.c).
 * Where there never was, leaving it out changes nothing.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/hash.h>
#include <linux/moduleparam.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "fork.h"

#define CXLF_CALLS_BITS	9

/**
 * struct cxlf_call - a place in the code that asks for flushes
 * @ip:		where it is; 0: there is none here
 * @kind:	what for
 * @found:	how often there was something to flush
 * @skip:	its flushes are left out
 * @name:	what tests call it
 */
struct cxlf_call {
	unsigned long	ip;
	enum cxlf_flush	kind;
	atomic_t	found;
	bool		skip;
	char		name[96];
};

static struct cxlf_call cxlf_calls[1 << CXLF_CALLS_BITS]; /* hashed by ip */
static DEFINE_SPINLOCK(cxlf_calls_lock);
static struct dentry *cxlf_debugfs;

static unsigned int cxlf_skip;
module_param_named(skip_flush, cxlf_skip, uint, 0644);
MODULE_PARM_DESC(skip_flush, "bit mask of the kinds of flushes to leave out (tests)");

static char cxlf_skip_name[sizeof_field(struct cxlf_call, name)];
static struct kparam_string cxlf_skip_param = {
	.maxlen = sizeof(cxlf_skip_name),
	.string = cxlf_skip_name,
};

static int cxlf_skip_set(const char *val, const struct kernel_param *kp)
{
	size_t i, len = strcspn(val, "\n");

	if (len >= sizeof(cxlf_skip_name))
		return -EINVAL;
	spin_lock(&cxlf_calls_lock);
	memcpy(cxlf_skip_name, val, len);
	cxlf_skip_name[len] = 0;
	for (i = 0; i < ARRAY_SIZE(cxlf_calls); i++)
		WRITE_ONCE(cxlf_calls[i].skip, cxlf_calls[i].ip &&
			   !strcmp(cxlf_calls[i].name, cxlf_skip_name));
	spin_unlock(&cxlf_calls_lock);
	return 0;
}

static const struct kernel_param_ops cxlf_skip_ops = {
	.set = cxlf_skip_set,
	.get = param_get_string,
};
module_param_cb(skip_call, &cxlf_skip_ops, &cxlf_skip_param, 0644);
MODULE_PARM_DESC(skip_call, "leave out the flushes of one line of cxl_fork/flushes (tests)");

static void cxlf_call_new(struct cxlf_call *call, enum cxlf_flush kind,
			  unsigned long ip)
{
	static const char * const kinds[] = {
		[CXLF_FLUSH_LOAD] = "load",
		[CXLF_FLUSH_READ] = "read",
		[CXLF_FLUSH_STORE] = "store",
		[CXLF_FLUSH_FENCE] = "fence",
		[CXLF_FLUSH_IMAGE] = "image",
	};

	snprintf(call->name, sizeof(call->name), "%s %pS", kinds[kind],
		 (void *)ip);
	call->kind = kind;
	call->skip = !strcmp(call->name, cxlf_skip_name);
	/* The name is there for whoever loads this to acquire. */
	smp_store_release(&call->ip, ip);
}

/* NULL: there are too many. */
static struct cxlf_call *cxlf_call_of(enum cxlf_flush kind, unsigned long ip)
{
	u32 i = hash_long(ip, CXLF_CALLS_BITS), n;
	struct cxlf_call *call;
	unsigned long is;

	for (n = 0; n < ARRAY_SIZE(cxlf_calls); n++, i++) {
		call = &cxlf_calls[i % ARRAY_SIZE(cxlf_calls)];
		/* Pairs with the release in cxlf_call_new(). */
		is = smp_load_acquire(&call->ip);
		if (!is) {
			spin_lock(&cxlf_calls_lock);
			if (!call->ip)
				cxlf_call_new(call, kind, ip);
			spin_unlock(&cxlf_calls_lock);
			is = call->ip;
		}
		if (is == ip && call->kind == kind)
			return call;
	}
	return NULL;
}

/**
 * cxlf_flush_skipped - shall this flush be left out?
 * @kind: what it is for
 * @ip: who asks for it
 *
 * Context: any but interrupts.
 * Return: whether a test wants that.
 */
bool cxlf_flush_skipped(enum cxlf_flush kind, unsigned long ip)
{
	struct cxlf_call *call = cxlf_call_of(kind, ip);

	return READ_ONCE(cxlf_skip) & BIT(kind) ||
	       (call && READ_ONCE(call->skip));
}

/**
 * cxlf_flush_found - there was something to flush
 * @kind: what it is for
 * @ip: who asked for it
 *
 * Context: any but interrupts.
 */
void cxlf_flush_found(enum cxlf_flush kind, unsigned long ip)
{
	struct cxlf_call *call = cxlf_call_of(kind, ip);

	if (call)
		atomic_inc(&call->found);
}

static int cxlf_flushes_show(struct seq_file *m, void *v)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cxlf_calls); i++)
		/* Likewise. */
		if (smp_load_acquire(&cxlf_calls[i].ip))
			seq_printf(m, "%d %s\n",
				   atomic_read(&cxlf_calls[i].found),
				   cxlf_calls[i].name);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(cxlf_flushes);

/**
 * cxlf_skip_init - list the places in debugfs
 *
 * Context: module initialisation.
 */
void cxlf_skip_init(void)
{
	cxlf_debugfs = debugfs_create_dir("cxl_fork", NULL);
	debugfs_create_file("flushes", 0444, cxlf_debugfs, NULL,
			    &cxlf_flushes_fops);
}

/**
 * cxlf_skip_exit - the list is gone
 *
 * Context: module exit.
 */
void cxlf_skip_exit(void)
{
	debugfs_remove_recursive(cxlf_debugfs);
}
