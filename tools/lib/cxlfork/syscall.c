// SPDX-License-Identifier: GPL-2.0
/*
 * The two system calls.
 *
 * A clone comes back from cxlfork() with the memory of its parent, libc's own
 * included.  What libc remembers of the kernel and would be stale is put right
 * by the kernel: the thread id at the set_tid_address() address, the rseq
 * registration, the robust list, and areas that MADV_WIPEONFORK or
 * MAP_DROPPABLE marks (where getrandom() in the vDSO keeps its state).  glibc
 * has no cached pid since 2.25.  So nothing is left to do here.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "cxlfork.h"

#ifdef __x86_64__
# ifndef __NR_cxlfork
#  define __NR_cxlfork		480
# endif
# ifndef __NR_cxlrestore
#  define __NR_cxlrestore	481
# endif
#else
# error "CXLfork knows x86-64 only"
#endif

__s64 cxlfork(struct cxlfork_args *args, size_t size)
{
	return syscall(__NR_cxlfork, args, size);
}

int cxlrestore(struct cxlrestore_args *args, size_t size)
{
	return syscall(__NR_cxlrestore, args, size);
}
