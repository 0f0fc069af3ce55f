/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host whose kernel is fuzzed: the module's own pool, on memory that another
 * host has too.
 */
#ifndef FUZZ_HOST_H
#define FUZZ_HOST_H

#include <linux/cxlfork.h>
#include "../../../drivers/cxl/fork/fork.h"

/**
 * struct host - the host
 * @cd:		its pool
 * @mem:	the region, as other hosts see it: always writable
 * @view:	as this host sees it
 * @size:	its bytes
 * @trust:	kernel.cxlfork.trust_hosts
 * @uuid:	SMBIOS system UUID
 * @killed:	its clones were killed: the pool is lost
 */
struct host {
	struct cxlf_dev	*cd;
	u8		*mem;
	u8		*view;
	u64		size;
	bool		trust;
	const char	*uuid;
	bool		killed;
};

extern struct host host;
/* Module parameter: the slot to take, or -1. */
extern int *shim_param_slot;
/* Who asks: root, and somebody with no rights to anything. */
extern const struct file host_root, host_nobody;
#define HOST_NOBODY	4242

/* Once: @size bytes of memory, the module is loaded. */
void host_init(u64 size);
/* The device is bound, at @base; whether that attaches it is another question. */
void host_bind(u64 base);
void host_unbind(void);

#endif /* FUZZ_HOST_H */
