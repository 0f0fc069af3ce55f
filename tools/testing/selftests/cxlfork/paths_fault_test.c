// SPDX-License-Identifier: GPL-2.0
/* Paths: page faults, fork, exec, exit. */
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cxlfork_fixture.h"
#include "paths.h"

PATH(fault_read, "page fault: read")
{
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_mem(p, "sparse", p->sparse, SPARSE_LEN);
	see_mem(p, "file", p->file, FILE_LEN);
	see_mem(p, "huge", p->huge, HUGE_LEN);
}

PATH(fault_write, "page fault: write")
{
	size_t i;

	for (i = 0; i < ANON_LEN; i += 37 * PAGE)
		p->anon[i + 5] = i / PAGE;
	for (i = 0; i < SPARSE_LEN; i += 37 * PAGE)
		p->sparse[i + 5] = i / PAGE;
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_mem(p, "sparse", p->sparse, SPARSE_LEN);
}

/* Eight bytes that lie in two pages, and in two leaves. */
PATH(fault_misaligned, "page fault: access across pages and leaves")
{
	volatile uint64_t *pages = (uint64_t *)(p->anon + 3 * PAGE - 3);
	volatile uint64_t *leaves = (uint64_t *)(p->anon + LEAF - 5);

	see(p, "before: %lx %lx", (long)*pages, (long)*leaves);
	*pages = 0x1122334455667788;
	*leaves = 0x99aabbccddeeff00;
	see(p, "after: %lx %lx", (long)*pages, (long)*leaves);
	see_mem(p, "anon", p->anon, ANON_LEN);
}

TEST_HARNESS_MAIN
