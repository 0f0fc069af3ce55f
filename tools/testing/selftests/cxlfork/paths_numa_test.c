// SPDX-License-Identifier: GPL-2.0
/* Paths: memory that lies in CXL and the nodes of a host (boot with numa=fake=2). */
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cxlfork_fixture.h"
#include "paths_knobs.h"

#define NO_NODE	"a page in CXL memory is on no node of the host and is not migrated"

#define PAGES	(ANON_LEN / PAGE)

static void need_nodes(struct path *p)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		path_skip(p, "one NUMA node (numa=fake=2 makes two)");
}

/* move_pages() of every @step-th page of a range; @node < 0 asks only. */
static long move_pages_of(unsigned char *start, size_t len, size_t step, int node, int *status)
{
	static void *pages[PAGES];
	static int nodes[PAGES];
	size_t i, nr = 0;

	for (i = 0; i < len; i += step * PAGE, nr++) {
		pages[nr] = start + i;
		nodes[nr] = node;
	}
	return syscall(SYS_move_pages, 0, nr, pages, node < 0 ? NULL : nodes, status,
		       MPOL_MF_MOVE);
}

/* How many of @nr have this status. */
static unsigned int count(const int *status, unsigned int nr, int wanted)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++)
		n += status[i] == wanted;
	return n;
}

static unsigned int on_node(unsigned char *start, size_t len, int node)
{
	static int status[PAGES];

	CHECK(!move_pages_of(start, len, 1, -1, status));
	return count(status, len / PAGE, node);
}

PATH(move_pages, "move_pages(): where pages are, and elsewhere with them")
{
	static int status[PAGES];
	unsigned char *own = p->anon + 2 * LEAF, *shared = p->anon + 4 * LEAF;
	int i;

	need_nodes(p);
	make_mixed(p);
	see_ret(p, "query a shared leaf", move_pages_of(shared, LEAF, 1, -1, status));
	differs(p, NO_NODE, "shared: %u pages on a node",
		count(status, 512, 0) + count(status, 512, 1));
	see_ret(p, "query holes", move_pages_of(p->sparse + PAGE, LEAF - PAGE, 2, -1, status));
	see(p, "%u holes", count(status, 255, -ENOENT) + count(status, 255, -EFAULT));
	see_ret(p, "query own pages", move_pages_of(own, LEAF, 1, -1, status));
	see(p, "%u own pages on a node", count(status, 512, 0) + count(status, 512, 1));
	for (i = 1; i >= 0; i--) {
		see_ret(p, "move own pages", move_pages_of(own, LEAF, 1, i, status));
		see(p, "%u moved", count(status, 512, i));
		see(p, "%u are there", on_node(own, LEAF, i));
		move_pages_of(shared, LEAF, 1, i, status);
		differs(p, NO_NODE, "shared: %u not moved, first status %d",
			512 - count(status, 512, i), status[0]);
		move_pages_of(p->anon + LEAF, LEAF, 1, i, status);
		see_mem(p, "mixed leaf", p->anon + LEAF, LEAF);
	}
	see_all(p);
	touch_pages(p->anon, ANON_LEN, 1);
	see_ret(p, "move all once written", move_pages_of(p->anon, ANON_LEN, 1, 1, status));
	see(p, "%u of %lu are there", on_node(p->anon, ANON_LEN, 1), PAGES);
	see_all(p);
}

PATH(migrate_pages, "migrate_pages(): a whole process from node to node")
{
	unsigned long from = 1, to = 2;

	need_nodes(p);
	make_mixed(p);
	see_ret(p, "node 0 to 1", syscall(SYS_migrate_pages, 0, 64, &from, &to));
	see(p, "%u own pages on node 1", on_node(p->anon + 2 * LEAF, LEAF, 1));
	see_all(p);
	touch_pages(p->anon, ANON_LEN, 1);
	see_ret(p, "node 1 to 0", syscall(SYS_migrate_pages, 0, 64, &to, &from));
	see(p, "back, written: %u pages on node 0", on_node(p->anon, ANON_LEN, 0));
	see_all(p);
}

static long bind_to(void *start, size_t len, int mode, unsigned long nodes, unsigned int flags)
{
	return syscall(SYS_mbind, start, len, mode, &nodes, 64, flags);
}

PATH(mbind, "mbind(): MPOL_MF_MOVE and MPOL_MF_STRICT on parts of leaves")
{
	unsigned char *own = p->anon + 2 * LEAF;
	int mode = -1, node = -1;

	need_nodes(p);
	make_mixed(p);
	see_ret(p, "own pages to node 0", bind_to(own, LEAF, MPOL_BIND, 1, MPOL_MF_MOVE));
	see_ret(p, "own pages strict elsewhere",
		bind_to(own, LEAF, MPOL_BIND, 2, MPOL_MF_STRICT));
	see_ret(p, "own pages moved elsewhere",
		bind_to(own, LEAF, MPOL_BIND, 2, MPOL_MF_MOVE | MPOL_MF_STRICT));
	see(p, "%u are there", on_node(own, LEAF, 1));
	/* a part of a shared leaf: the mapping is split within it */
	see_ret(p, "part of a shared leaf",
		bind_to(p->anon + 4 * LEAF + 9 * PAGE, 50 * PAGE, MPOL_BIND, 2, 0));
	see_ret(p, "over three leaves",
		bind_to(p->anon + 100 * PAGE, 3 * LEAF, MPOL_BIND, 2, MPOL_MF_MOVE));
	see_maps(p, "anon", p->anon, p->anon + ANON_LEN);
	see_all(p);
	touch_pages(p->anon + 4 * LEAF, LEAF, 1);
	see(p, "written after: %u on node 1", on_node(p->anon + 4 * LEAF + 9 * PAGE, 50 * PAGE, 1));
	see_ret(p, "get_mempolicy", syscall(SYS_get_mempolicy, &mode, NULL, 0,
					    p->anon + 4 * LEAF + 9 * PAGE, MPOL_F_ADDR));
	see(p, "mode %d", mode);
	/* asking for the node of a page takes the page: a local copy, by its policy */
	see_ret(p, "get_mempolicy", syscall(SYS_get_mempolicy, &node, NULL, 0,
					    p->anon + 3 * LEAF + 9 * PAGE,
					    MPOL_F_ADDR | MPOL_F_NODE));
	see(p, "a node of the host: %s", node == 0 || node == 1 ? "yes" : "NO");
	differs(p, NO_NODE, "shared, strict: %ld",
		bind_to(p->anon + 5 * LEAF, LEAF, MPOL_BIND, 2, MPOL_MF_STRICT));
	see_ret(p, "default again", bind_to(p->anon, ANON_LEN, MPOL_DEFAULT, 0, 0));
	see_all(p);
}

PATH(home_node, "set_mempolicy_home_node() within a leaf")
{
	unsigned char *at = p->anon + 3 * LEAF + 7 * PAGE;

	need_nodes(p);
	make_mixed(p);
	see_ret(p, "no policy yet", syscall(SYS_set_mempolicy_home_node, at, 64 * PAGE, 1, 0));
	see_ret(p, "mbind", bind_to(at, 64 * PAGE, MPOL_BIND, 3, 0));
	see_ret(p, "home node", syscall(SYS_set_mempolicy_home_node, at, 64 * PAGE, 1, 0));
	see_ret(p, "no such node", syscall(SYS_set_mempolicy_home_node, at, 64 * PAGE, 60, 0));
	touch_pages(at, 64 * PAGE, 1);
	see(p, "%u pages at home", on_node(at, 64 * PAGE, 1));
	see_maps(p, "anon", p->anon, p->anon + ANON_LEN);
	see_all(p);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* What the scheduler says about this process's pages: cumulative. */
static long sched_number(const char *name)
{
	return get_number("/proc/self/sched", name);
}

PATH(numa_balancing, "NUMA balancing: memory scanned, hinting faults, pages follow")
{
	static int status[PAGES];
	unsigned char *own = p->anon + 2 * LEAF;
	unsigned int cpu, node, here = 0;
	double until = now() + 30;
	volatile uint64_t sum = 0;
	long scans;
	cpu_set_t cpus;
	size_t i;

	need_nodes(p);
	if (!knob("/sys/kernel/debug/sched/numa_balancing/scan_delay_ms", "100") ||
	    !knob("/sys/kernel/debug/sched/numa_balancing/scan_period_min_ms", "10") ||
	    !knob("/sys/kernel/debug/sched/numa_balancing/scan_period_max_ms", "20") ||
	    !knob("/proc/sys/kernel/numa_balancing", "1"))
		path_skip(p, "no NUMA balancing, or no debugfs to make it quick");
	make_mixed(p);
	CHECK(!getcpu(&cpu, NULL));
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	CHECK(!sched_setaffinity(0, sizeof(cpus), &cpus));
	/* With numa=fake the vDSO has another opinion about nodes than the scheduler. */
	CHECK(!syscall(SYS_getcpu, NULL, &node, NULL));
	/* What is where the CPU is, is not scanned: own pages are sent away first. */
	see_ret(p, "own pages sent away", move_pages_of(own, LEAF, 1, !node, status));
	see(p, "%u are there", on_node(own, LEAF, !node));
	scans = sched_number("mm->numa_scan_seq");
	while (now() < until && (here < 256 || sched_number("mm->numa_scan_seq") - scans < 2)) {
		for (double pause = now() + 0.05; now() < pause;)
			for (i = 0; i < ANON_LEN; i += PAGE)
				sum += *(uint64_t *)(p->anon + i);
		touch_pages(own, LEAF, 1);
		here = on_node(own, LEAF, node);
	}
	see(p, "all was scanned: %s",
	    sched_number("mm->numa_scan_seq") - scans >= 2 ? "yes" : "NO");
	see(p, "own pages have followed the CPU: %s", here >= 256 ? "yes" : "NO");
	see(p, "by hinting faults: %s", sched_number("numa_pages_migrated") >= 256 ? "yes" : "NO");
	differs(p, NO_NODE, "%u pages of a shared leaf on a node",
		on_node(p->anon + 4 * LEAF, LEAF, 0) + on_node(p->anon + 4 * LEAF, LEAF, 1));
	see_all(p);
	touch_pages(p->anon, ANON_LEN, 3);
	see_all(p);
}

TEST_HARNESS_MAIN
