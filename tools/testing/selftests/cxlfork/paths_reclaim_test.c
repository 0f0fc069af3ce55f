// SPDX-License-Identifier: GPL-2.0
/* Paths: what the kernel does to memory by itself, or is asked to: reclaim and merging. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "cxlfork_fixture.h"
#include "paths_knobs.h"

#define CGROUP	"/sys/fs/cgroup/cxlfork-paths"
#define NOT_MERGED	"pages in CXL memory are not merged and not collapsed by the kernel"
#define NOT_RECLAIMED	"pages in CXL memory are on no LRU: nothing to reclaim"

#define KSM	"/sys/kernel/mm/ksm/"
#define KHUGE	"/sys/kernel/mm/transparent_hugepage/khugepaged/"
#define DAMON	"/sys/kernel/mm/damon/admin/kdamonds/"

/* Until a counter has gone on by @more; the daemons have no other way to say it. */
static bool wait_for(const char *path, long more)
{
	long from = get_number(path, NULL);
	int i;

	for (i = 0; i < 2400; i++) {
		if (get_number(path, NULL) - from >= more)
			return true;
		usleep(25000);
	}
	return false;
}

PATH(ksm, "KSM: duplicates merged beside memory that lies in CXL")
{
	unsigned char *same = p->anon + LEAF / 2;
	long merged;
	size_t i;

	if (!knob(KSM "pages_to_scan", "20000") || !knob(KSM "sleep_millisecs", "5") ||
	    !knob(KSM "smart_scan", "0"))
		path_skip(p, "no KSM");
	/* On the way out all is unmerged, before scanning stops. */
	when_over("echo 2 >" KSM "run; echo 0 >" KSM "run");
	make_mixed(p);
	for (i = 0; i < 64; i++)
		fill(same + i * PAGE, PAGE, 99);
	see_ret(p, "mergeable", madvise(p->anon, ANON_LEN, MADV_MERGEABLE));
	see_ret(p, "mergeable sparse", madvise(p->sparse, SPARSE_LEN, MADV_MERGEABLE));
	CHECK(put(KSM "run", "1"));
	see(p, "scanned: %s", wait_for(KSM "full_scans", 4) ? "yes" : "NO");
	merged = get_number("/proc/self/ksm_stat", "ksm_merging_pages");
	see(p, "duplicates merged: %s", merged >= 64 ? "yes" : "NO");
	differs(p, NOT_MERGED, "merged: %ld", merged);
	see_all(p);
	touch_pages(same, 16 * PAGE, 1);
	touch_pages(p->anon + 3 * LEAF, LEAF, 5);
	see(p, "scanned: %s", wait_for(KSM "full_scans", 3) ? "yes" : "NO");
	see_all(p);
	see_ret(p, "not mergeable", madvise(p->anon, ANON_LEN, MADV_UNMERGEABLE));
	see_all(p);
}

static long huge_kb(void)
{
	return get_number("/proc/self/smaps_rollup", "AnonHugePages");
}

PATH(khugepaged, "khugepaged: collapses around memory that lies in CXL")
{
	if (!knob(KHUGE "scan_sleep_millisecs", "0") || !knob(KHUGE "pages_to_scan", "65536") ||
	    !knob(KHUGE "alloc_sleep_millisecs", "0"))
		path_skip(p, "no khugepaged");
	/* leaf 0, 3, 4, 5 shared; 1 in part; 2 own pages */
	make_mixed(p);
	see_ret(p, "hugepage", madvise(p->anon, ANON_LEN, MADV_HUGEPAGE));
	see_ret(p, "hugepage sparse", madvise(p->sparse, SPARSE_LEN, MADV_HUGEPAGE));
	CHECK(put(KHUGE "scan_sleep_millisecs", "0"));
	see(p, "scanned: %s", wait_for(KHUGE "full_scans", 3) ? "yes" : "NO");
	differs(p, NOT_MERGED, "AnonHugePages: %ld kB", huge_kb());
	see(p, "something collapsed: %s", huge_kb() >= 2048 ? "yes" : "NO");
	see_all(p);
	touch_pages(p->anon, ANON_LEN, 5);
	see(p, "scanned: %s", wait_for(KHUGE "full_scans", 3) ? "yes" : "NO");
	see_all(p);
}

PATH(swap, "swap on, MADV_PAGEOUT, swap off")
{
	swap_on(p);
	make_mixed(p);
	see_ret(p, "pageout", madvise(p->anon, ANON_LEN, MADV_PAGEOUT));
	see_ret(p, "pageout", madvise(p->sparse, SPARSE_LEN, MADV_PAGEOUT));
	see(p, "own pages are out: %s",
	    get_number("/proc/self/status", "VmSwap") >= 1024 ? "yes" : "NO");
	touch_pages(p->anon + 2 * LEAF, LEAF / 2, 3);
	see_all(p);
	touch_pages(p->anon, ANON_LEN, 3);
	see_ret(p, "pageout", madvise(p->anon, ANON_LEN, MADV_PAGEOUT));
	see(p, "off: %s", shell("swapoff /dev/zram0") ? "yes" : "NO");
	see(p, "VmSwap %ld", get_number("/proc/self/status", "VmSwap"));
	see_all(p);
}

static void set(const char *dir, const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK(put(path, value));
}

/* More is written than there may be in memory: @limit is the name of a 2 MiB limit. */
static void write_over_limit(struct path *p, const char *limit)
{
	char dir[64];

	swap_on(p);
	cgroup_make(p, dir, sizeof(dir));
	set(dir, limit, "2M");
	set(dir, "cgroup.procs", "0");
	make_mixed(p);
	see_all(p);
	touch_pages(p->anon, LEAF / 2, 1);
	touch_pages(p->sparse, LEAF / 2, 1);
	see(p, "something went to swap: %s",
	    get_number(CGROUP "/memory.swap.current", NULL) > 0 ? "yes" : "NO");
	see_all(p);
	see(p, "oom_kill %ld", get_number(CGROUP "/memory.events", "oom_kill"));
	set(dir, limit, "max");
	see_ret(p, "unmap", munmap(p->anon, ANON_LEN));
	see(p, "swap used after: %s",
	    get_number("/proc/self/status", "VmSwap") > 8192 ? "too much" : "little");
}

PATH(memcg_high, "memory cgroup: memory.high below what the process writes, with swap")
{
	write_over_limit(p, "memory.high");
}

PATH(memcg_max, "memory cgroup: memory.max below what the process writes, with swap")
{
	write_over_limit(p, "memory.max");
}

PATH(memcg_exit, "memory cgroup: counters at zero once a child has ended")
{
	char dir[64];
	int i;
	pid_t pid;

	cgroup_make(p, dir, sizeof(dir));
	for (i = 0; i < 3; i++) {
		pid = fork();
		if (!pid) {
			set(dir, "cgroup.procs", "0");
			make_mixed(p);
			touch_pages(p->anon, ANON_LEN, i + 1);
			_exit(3 + i);
		}
		see_child(p, "child", pid);
		see(p, "anon %ld", cgroup_settled(dir, "anon"));
		see(p, "pagetables %ld", cgroup_settled(dir, "pagetables"));
	}
	see_all(p);
}

/*
 * What the kernel has read for a pipe is a local copy, which nobody has written: it
 * is as much worth as one that somebody has.
 */
PATH(free_shared, "MADV_FREE of pages that a pipe has read and a child maps as well, and reclaim")
{
	enum { NR = 64 };
	static unsigned char was[NR * PAGE], got[PAGE];
	int i, fds[2], go[2];
	char dir[64], c;
	pid_t pid;

	cgroup_make(p, dir, sizeof(dir));
	set(dir, "cgroup.procs", "0");
	memcpy(was, p->anon, sizeof(was));
	CHECK(!pipe2(fds, O_CLOEXEC) && !pipe2(go, O_CLOEXEC));
	for (i = 0; i < NR; i++) {
		struct iovec page = { p->anon + i * PAGE, PAGE };

		CHECK(vmsplice(fds[1], &page, 1, 0) == (ssize_t)PAGE);
		CHECK(read(fds[0], got, PAGE) == (ssize_t)PAGE);
	}
	pid = fork();
	if (!pid) {
		CHECK(read(go[0], &c, 1) == 1);
		_exit(memcmp(was, p->anon, sizeof(was)) ? 1 : 0);
	}
	see_ret(p, "free", madvise(p->anon, sizeof(was), MADV_FREE));
	/* What it can't take is no error here. */
	for (i = 0; i < 3; i++)
		put(CGROUP "/memory.reclaim", "16M");
	put_byte(go[1], 1);
	see_child(p, "the child has them all", pid);
	fill(p->anon, sizeof(was), 5);
	see_all(p);
}

/* Take more and more, until killed. */
static void __attribute__((noreturn)) eat(struct path *p)
{
	make_mixed(p);
	touch_pages(p->anon, ANON_LEN, 1);
	for (;;)
		fill(map_anon(LEAF), LEAF, 1);
}

PATH(oom_child, "OOM kill of a child in a memory cgroup; the rest goes on")
{
	char dir[64];
	pid_t pid;

	cgroup_make(p, dir, sizeof(dir));
	set(dir, "memory.max", "24M");
	set(dir, "memory.swap.max", "0");
	make_mixed(p);
	pid = fork();
	if (!pid) {
		set(dir, "cgroup.procs", "0");
		eat(p);
	}
	see_child(p, "child", pid);
	see(p, "oom_kill %ld", get_number(CGROUP "/memory.events", "oom_kill"));
	see(p, "anon %ld", cgroup_settled(dir, "anon"));
	see(p, "pagetables %ld", cgroup_settled(dir, "pagetables"));
	see_all(p);
	touch_pages(p->anon, ANON_LEN, 3);
	see_all(p);
}

PATH(oom_self, "OOM kill of the process itself")
{
	char dir[64];

	cgroup_make(p, dir, sizeof(dir));
	set(dir, "memory.max", "24M");
	set(dir, "memory.swap.max", "0");
	set(dir, "cgroup.procs", "0");
	see_mem(p, "anon, before", p->anon, ANON_LEN);
	eat(p);
}

/* The file's file system lets nobody write any more, until @ioctl_nr is FITHAW. */
static bool freeze(const struct path *p, unsigned long ioctl_nr)
{
	int fd = open(p->file_name, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && !ioctl(fd, ioctl_nr, 0);

	close(fd);
	return ok;
}

struct held {
	int	fd;
	pid_t	tid;
};

/* A thread that no signal ends: it waits for the file system. */
static void *wait_for_thaw(void *arg)
{
	struct held *held = arg;

	__atomic_store_n(&held->tid, gettid(), __ATOMIC_RELEASE);
	CHECK(write(held->fd, "x", 1) == 1);
	return NULL;
}

static char state_of(pid_t pid, pid_t tid)
{
	char path[64], text[512], *end;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	if (!get(path, text, sizeof(text)))
		return 0;
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

/*
 * Waits for the kernel's word that @pid was reaped, and sees what its thread @tid,
 * which is still there, has left.
 */
static void see_reaped(struct path *p, int kmsg, pid_t pid, pid_t tid)
{
	char line[1024], wanted[64];
	bool reaped = false;
	ssize_t n;
	int i;

	snprintf(wanted, sizeof(wanted), "oom_reaper: reaped process %d ", pid);
	for (i = 0; i < 1000 && !reaped; i++) {
		/* EPIPE: some were overwritten before they were read */
		while ((n = read(kmsg, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
			line[n > 0 ? n : 0] = 0;
			reaped |= !!strstr(line, wanted);
		}
		usleep(20000);
	}
	see(p, "reaped: %s", reaped ? "yes" : "NO");
	see(p, "the thread is there: %s", state_of(pid, tid) == 'D' ? "yes" : "NO");
	snprintf(line, sizeof(line), "/proc/%d/task/%d/status", pid, tid);
	/* The counter is right to some pages for each CPU. */
	see(p, "it has anonymous memory: %s", get_number(line, "RssAnon") < 1024 ? "little" : "NO");
	snprintf(line, sizeof(line), "/proc/%d/task/%d/cxlfork_stat", pid, tid);
	see(p, "and none that lies in CXL: %s", get_number(line, "pages_cxl") > 0 ? "NO" : "yes");
}

PATH(oom_reaper, "OOM kill of a process that can't exit: the reaper takes its memory")
{
	struct held held = { 0 };
	pid_t self = getpid(), helper;
	int kmsg, ready[2];
	pthread_t thread;
	char dir[64], c;

	cgroup_make(p, dir, sizeof(dir));
	set(dir, "memory.max", "24M");
	set(dir, "memory.swap.max", "0");
	held.fd = open(p->file_name, O_RDWR | O_CLOEXEC);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(held.fd >= 0 && kmsg >= 0 && lseek(kmsg, 0, SEEK_END) >= 0);
	CHECK(!pipe2(ready, O_CLOEXEC));
	if (!freeze(p, FIFREEZE))
		path_skip(p, "no file system that can be frozen (CXLFORK_DIRECT_DIR)");
	CHECK(!pthread_create(&thread, NULL, wait_for_thaw, &held));
	while (!__atomic_load_n(&held.tid, __ATOMIC_ACQUIRE) || state_of(self, held.tid) != 'D')
		usleep(1000);
	helper = fork();
	if (!helper) {
		/* Memory that is somebody else's as well would not be freed. */
		munmap(p->anon, ANON_LEN);
		munmap(p->huge, HUGE_LEN);
		put_byte(ready[1], 1);
		see_reaped(p, kmsg, self, held.tid);
		CHECK(freeze(p, FITHAW));
		_exit(0);
	}
	CHECK(helper > 0 && read(ready[0], &c, 1) == 1);
	set(dir, "cgroup.procs", "0");
	eat(p);
}

/* The number by which lru_gen knows a cgroup, and the youngest generation on node 0. */
static int lru_gen_of(const char *name, unsigned long *oldest, unsigned long *youngest)
{
	static char text[64 << 10];
	char *at, *node;
	int id = -1;

	*oldest = ULONG_MAX;
	if (!get("/sys/kernel/debug/lru_gen", text, sizeof(text)))
		return -1;
	/* One that is gone but for its pages is still listed, as number 0. */
	for (at = text; id <= 0 && (at = strstr(at, name)); at += id <= 0) {
		while (at > text && at[-1] != '\n')
			at--;
		sscanf(at, "memcg %d", &id);
		if (id <= 0)
			at = strstr(at, name);
	}
	if (id <= 0)
		return -1;
	node = strstr(at, " node");
	for (at = node ? strchr(node, '\n') : NULL; at && at[1] == ' '; at = strchr(at + 1, '\n')) {
		unsigned long gen;

		if (sscanf(at + 1, " %lu", &gen) != 1 || strstr(at, "node") == at + 2)
			break;
		if (*oldest == ULONG_MAX)
			*oldest = gen;
		*youngest = gen;
	}
	return id;
}

PATH(mglru, "MGLRU: aging and eviction by hand, off and on")
{
	unsigned long oldest = 0, youngest = 0;
	char dir[64], command[64];
	int id, i;

	if (!knob("/sys/kernel/mm/lru_gen/enabled", "7") ||
	    access("/sys/kernel/debug/lru_gen", W_OK))
		path_skip(p, "no MGLRU, or no debugfs");
	swap_on(p);
	cgroup_make(p, dir, sizeof(dir));
	set(dir, "cgroup.procs", "0");
	make_mixed(p);
	for (i = 0; i < 3; i++) {
		id = lru_gen_of("cxlfork-paths", &oldest, &youngest);
		see(p, "listed: %s", id > 0 && oldest != ULONG_MAX ? "yes" : "NO");
		see_mem(p, "anon", p->anon, ANON_LEN);
		snprintf(command, sizeof(command), "+ %d 0 %lu 1 1", id, youngest);
		see(p, "aged: %s", put("/sys/kernel/debug/lru_gen", command) ? "yes" : "NO");
	}
	id = lru_gen_of("cxlfork-paths", &oldest, &youngest);
	snprintf(command, sizeof(command), "- %d 0 %lu 200 4096", id, youngest - 2);
	see(p, "evicted: %s", put("/sys/kernel/debug/lru_gen", command) ? "yes" : "NO");
	differs(p, NOT_RECLAIMED, "VmSwap %ld kB", get_number("/proc/self/status", "VmSwap"));
	see_all(p);
	for (i = 0; i < 2; i++) {
		see(p, "off: %s", put("/sys/kernel/mm/lru_gen/enabled", "0") ? "yes" : "NO");
		touch_pages(p->anon + 2 * LEAF, 2 * LEAF, 3);
		see(p, "on: %s", put("/sys/kernel/mm/lru_gen/enabled", "7") ? "yes" : "NO");
		touch_pages(p->anon + 3 * LEAF, 2 * LEAF, 7);
	}
	see_all(p);
}

PATH(page_idle, "idle page tracking: pages marked idle, looked at, and written")
{
	static uint64_t entries[ANON_LEN / PAGE];
	int bitmap = open("/sys/kernel/mm/page_idle/bitmap", O_RDWR | O_CLOEXEC);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t word;
	unsigned int i, round, marked = 0, idle[2] = { 0, 0 };

	if (bitmap < 0)
		path_skip(p, "no idle page tracking");
	make_mixed(p);
	/* takes own pages from this CPU's batch to the LRU */
	for (i = 0; i < 8; i++)
		madvise(p->anon + 2 * LEAF, LEAF, MADV_COLD);
	CHECK(pread(pagemap, entries, sizeof(entries), (uintptr_t)p->anon / PAGE * 8) ==
	      sizeof(entries));
	for (i = 0; i < ANON_LEN / PAGE; i++) {
		uint64_t pfn = entries[i] & ((1ULL << 55) - 1);

		CHECK(pfn);
		word = 1ULL << pfn % 64;
		marked += pwrite(bitmap, &word, 8, pfn / 64 * 8) == 8;
	}
	differs(p, NOT_RECLAIMED, "%u pages could be marked", marked);
	for (round = 0; round < 2; round++) {
		/* own pages; what is in CXL memory is never idle */
		for (i = 2 * 512 + 64; i < 3 * 512 - 64; i++) {
			uint64_t pfn = entries[i] & ((1ULL << 55) - 1);

			word = 0;
			CHECK(pread(bitmap, &word, 8, pfn / 64 * 8) == 8);
			idle[round] += word >> pfn % 64 & 1;
		}
		see_mem(p, "anon", p->anon, ANON_LEN);
		/* the TLB may still know the pages as accessed */
		mprotect(p->anon + 2 * LEAF, LEAF, PROT_READ);
		mprotect(p->anon + 2 * LEAF, LEAF, PROT_READ | PROT_WRITE);
		touch_pages(p->anon + 2 * LEAF, LEAF, 1);
	}
	see(p, "own pages idle: %s", idle[0] > 256 ? "yes" : "NO");
	see(p, "not after use: %s", idle[1] ? "NO" : "yes");
	close(bitmap);
	close(pagemap);
	see_all(p);
}

/* A scheme for regions of all sizes, ages and rates of access. */
static bool damon_scheme(int i, const char *action)
{
	static const char *const max[] = { "sz", "nr_accesses", "age" };
	char path[200];
	unsigned int k;

	snprintf(path, sizeof(path), DAMON "0/contexts/0/schemes/%d/action", i);
	if (!put(path, action))
		return false;
	for (k = 0; k < 3; k++) {
		snprintf(path, sizeof(path),
			 DAMON "0/contexts/0/schemes/%d/access_pattern/%s/max", i, max[k]);
		if (!put(path, k ? "1000000" : "18446744073709551615"))
			return false;
	}
	return true;
}

PATH(damon, "DAMON: a process watched, schemes stat and pageout")
{
	char text[32];
	long tried = 0;
	int i;

	if (access(DAMON "nr_kdamonds", W_OK))
		path_skip(p, "no DAMON");
	swap_on(p);
	make_mixed(p);
	when_over("echo off >" DAMON "0/state; echo 0 >" DAMON "nr_kdamonds");
	CHECK(put(DAMON "nr_kdamonds", "1"));
	CHECK(put(DAMON "0/contexts/nr_contexts", "1"));
	CHECK(put(DAMON "0/contexts/0/operations", "vaddr"));
	CHECK(put(DAMON "0/contexts/0/monitoring_attrs/intervals/sample_us", "2000"));
	CHECK(put(DAMON "0/contexts/0/monitoring_attrs/intervals/aggr_us", "20000"));
	CHECK(put(DAMON "0/contexts/0/targets/nr_targets", "1"));
	snprintf(text, sizeof(text), "%d", getpid());
	CHECK(put(DAMON "0/contexts/0/targets/0/pid_target", text));
	CHECK(put(DAMON "0/contexts/0/schemes/nr_schemes", "2"));
	CHECK(damon_scheme(0, "stat"));
	CHECK(damon_scheme(1, "pageout"));
	see(p, "on: %s", put(DAMON "0/state", "on") ? "yes" : "NO");
	for (i = 0; i < 2000 && tried <= 0; i++) {
		usleep(20000);
		put(DAMON "0/state", "update_schemes_stats");
		tried = get_number(DAMON "0/contexts/0/schemes/1/stats/nr_tried", NULL);
		touch_pages(p->anon + 2 * LEAF, LEAF, 7);
	}
	see(p, "watched: %s", get_number(DAMON "0/contexts/0/schemes/0/stats/nr_tried", NULL) > 0 ?
	    "yes" : "NO");
	see(p, "paged out: %s", tried > 0 ? "yes" : "NO");
	see_all(p);
	touch_pages(p->anon, ANON_LEN, 3);
	see_all(p);
	see(p, "off: %s", put(DAMON "0/state", "off") ? "yes" : "NO");
}

TEST_HARNESS_MAIN
