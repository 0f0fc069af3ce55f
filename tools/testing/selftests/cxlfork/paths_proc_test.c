// SPDX-License-Identifier: GPL-2.0
/* Paths: what /proc and mincore() say of memory that lies in CXL. */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "cxlfork_fixture.h"
#include "paths_knobs.h"

#define PM_SOFT_DIRTY		(1ULL << 55)
#define PM_MMAP_EXCLUSIVE	(1ULL << 56)
#define PM_FILE			(1ULL << 61)
#define PM_SWAP			(1ULL << 62)
#define PM_PRESENT		(1ULL << 63)

#define NO_RMAP	"a page in CXL memory is in no rmap, RSS or PSS"
#define COPIED	"of a file's pages a clone has private copies"

/* Of the pages of a range those with a bit: how many, and which (a checksum). */
static const char *bits(void *start, size_t len, uint64_t bit)
{
	static uint64_t entries[ANON_LEN / PAGE];
	static char text[64];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned int nr = 0, sum = 0, i, pages = len / PAGE;

	CHECK(pread(fd, entries, pages * 8, (uintptr_t)start / PAGE * 8) == pages * 8);
	close(fd);
	for (i = 0; i < pages; i++)
		if (entries[i] & bit) {
			nr++;
			sum = sum * 31 + i;
		}
	snprintf(text, sizeof(text), "%u, %08x", nr, sum);
	return text;
}

static void see_soft_dirty(struct path *p, const char *when)
{
	see(p, "%s: anon %s", when, bits(p->anon, ANON_LEN, PM_SOFT_DIRTY));
	see(p, "%s: sparse %s", when, bits(p->sparse, SPARSE_LEN, PM_SOFT_DIRTY));
	see(p, "%s: file %s", when, bits(p->file, FILE_LEN, PM_SOFT_DIRTY));
	see(p, "%s: mixed %s", when, bits(p->mixed, MIXED_LEN, PM_SOFT_DIRTY));
}

PATH(soft_dirty, "soft-dirty: clear_refs 4 and /proc/PID/pagemap")
{
	make_mixed(p);
	see_soft_dirty(p, "at first");
	if (!put("/proc/self/clear_refs", "4"))
		path_skip(p, "no soft-dirty");
	see_soft_dirty(p, "cleared");
	touch_pages(p->anon, ANON_LEN, 37);
	touch_pages(p->sparse, SPARSE_LEN, 5);
	touch_pages(p->file, FILE_LEN, 9);
	see_soft_dirty(p, "written");
	CHECK(put("/proc/self/clear_refs", "4"));
	touch_pages(p->anon, ANON_LEN, 23);
	see_soft_dirty(p, "written again");
	see_ret(p, "dontneed", madvise(p->anon, 9 * PAGE, MADV_DONTNEED));
	see_ret(p, "mprotect", mprotect(p->anon + LEAF, LEAF, PROT_READ));
	see_ret(p, "mprotect back", mprotect(p->anon + LEAF, LEAF, PROT_READ | PROT_WRITE));
	see_soft_dirty(p, "protected and back");
	see_all(p);
}

/* A line of smaps for the mapping that starts at @start, in KiB. */
static long smaps_of(void *start, const char *name)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long from, to, value;
	char line[512];
	bool here = false;
	long found = -1;

	CHECK(f);
	while (found < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && line[0] >= '0' &&
		    line[0] <= 'f' && !strchr("ABCDEF", line[0]))
			here = from == (unsigned long)start;
		else if (here && !strncmp(line, name, strlen(name)) &&
			 sscanf(line + strlen(name), ": %lu", &value) == 1)
			found = value;
	}
	fclose(f);
	return found;
}

PATH(clear_refs, "clear_refs 1: references forgotten")
{
	make_mixed(p);
	see_ret(p, "clear_refs 1", put("/proc/self/clear_refs", "1"));
	see(p, "referenced after: sparse written part %ld", smaps_of(p->sparse, "Swap"));
	touch_pages(p->anon + 2 * LEAF, LEAF, 1);
	see_mem(p, "anon leaf 3", p->anon + 3 * LEAF, LEAF);
	differs(p, NO_RMAP, "Referenced: %ld kB", smaps_of(p->anon, "Referenced"));
	see_ret(p, "clear_refs 2", put("/proc/self/clear_refs", "2"));
	see_ret(p, "clear_refs 3", put("/proc/self/clear_refs", "3"));
	see_ret(p, "clear_refs 5", put("/proc/self/clear_refs", "5"));
	see_all(p);
}

static void scan(struct path *p, const char *what, void *start, size_t len,
		 uint64_t flags, uint64_t mask, bool may_differ)
{
	static struct page_region regions[4096];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = flags,
		.start = (uintptr_t)start,
		.end = (uintptr_t)start + len,
		.vec = (uintptr_t)regions,
		.vec_len = 4096,
		.category_anyof_mask = mask,
		.return_mask = mask,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	long i, nr = ioctl(fd, PAGEMAP_SCAN, &arg);
	unsigned int sum = 0, pages = 0;

	close(fd);
	if (nr < 0 && errno == ENOTTY)
		path_skip(p, "no PAGEMAP_SCAN");
	for (i = 0; i < nr; i++) {
		sum = sum * 31 + (regions[i].start - (uintptr_t)start) / PAGE;
		sum = sum * 31 + regions[i].categories;
		pages += (regions[i].end - regions[i].start) / PAGE;
	}
	if (may_differ)
		differs(p, COPIED, "%s: %ld regions, %u pages", what, nr, pages);
	else
		see(p, "%s: %ld regions, %u pages, %08x", what, nr < 0 ? -errno : nr, pages, sum);
}

PATH(pagemap_scan, "PAGEMAP_SCAN: which pages are there")
{
	uint64_t there = PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_PFNZERO | PAGE_IS_HUGE;

	make_mixed(p);
	scan(p, "anon", p->anon, ANON_LEN, 0, there, false);
	scan(p, "sparse", p->sparse, SPARSE_LEN, 0, there, false);
	scan(p, "mixed", p->mixed, MIXED_LEN, 0, there, false);
	scan(p, "file", p->file, FILE_LEN, 0, there, false);
	scan(p, "anon and file bit", p->anon, ANON_LEN, 0, there | PAGE_IS_FILE, false);
	scan(p, "file bit", p->file, FILE_LEN, 0, PAGE_IS_FILE, true);
	put("/proc/self/clear_refs", "4");
	touch_pages(p->anon, ANON_LEN, 31);
	scan(p, "soft-dirty", p->anon, ANON_LEN, 0, PAGE_IS_SOFT_DIRTY, false);
	scan(p, "protect what is not prepared", p->anon, ANON_LEN,
	     PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC, PAGE_IS_WRITTEN, false);
	see_all(p);
}

static void scan_written(struct path *p, const char *what)
{
	uint64_t flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC;

	see(p, "%s", what);
	scan(p, "anon", p->anon, ANON_LEN, flags, PAGE_IS_WRITTEN, false);
	scan(p, "sparse", p->sparse, SPARSE_LEN, flags, PAGE_IS_WRITTEN, false);
	scan(p, "file", p->file, FILE_LEN, flags, PAGE_IS_WRITTEN, false);
}

PATH(pagemap_scan_wp, "PAGEMAP_SCAN: written pages, write-protected again")
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		path_skip(p, "no asynchronous write protection");
	make_mixed(p);
	reg.range = (struct uffdio_range){ (uintptr_t)p->anon, ANON_LEN };
	see_ret(p, "register anon", ioctl(uffd, UFFDIO_REGISTER, &reg));
	reg.range = (struct uffdio_range){ (uintptr_t)p->sparse, SPARSE_LEN };
	see_ret(p, "register sparse", ioctl(uffd, UFFDIO_REGISTER, &reg));
	reg.range = (struct uffdio_range){ (uintptr_t)p->file, FILE_LEN };
	see_ret(p, "register file", ioctl(uffd, UFFDIO_REGISTER, &reg));
	scan_written(p, "at first");
	scan_written(p, "nothing since");
	touch_pages(p->anon, ANON_LEN, 29);
	touch_pages(p->sparse, SPARSE_LEN, 5);
	touch_pages(p->file, FILE_LEN, 7);
	scan_written(p, "after writes");
	scan_written(p, "nothing since");
	close(uffd);
	touch_pages(p->anon, ANON_LEN, 31);
	see_all(p);
}

PATH(pagemap, "/proc/PID/pagemap: present, swapped, exclusive, file")
{
	make_mixed(p);
	see(p, "present: anon %s", bits(p->anon, ANON_LEN, PM_PRESENT));
	see(p, "present: sparse %s", bits(p->sparse, SPARSE_LEN, PM_PRESENT));
	see(p, "present: mixed %s", bits(p->mixed, MIXED_LEN, PM_PRESENT));
	see(p, "present: file %s", bits(p->file, FILE_LEN, PM_PRESENT));
	see(p, "swapped: anon %s", bits(p->anon, ANON_LEN, PM_SWAP));
	see(p, "exclusive: anon %s", bits(p->anon, ANON_LEN, PM_MMAP_EXCLUSIVE));
	see(p, "file: anon %s", bits(p->anon, ANON_LEN, PM_FILE));
	differs(p, COPIED, "file: file %s", bits(p->file, FILE_LEN, PM_FILE));
	touch_pages(p->anon, ANON_LEN, 1);
	touch_pages(p->file, FILE_LEN, 1);
	see(p, "written, exclusive: anon %s", bits(p->anon, ANON_LEN, PM_MMAP_EXCLUSIVE));
	see(p, "written, exclusive: file %s", bits(p->file, FILE_LEN, PM_MMAP_EXCLUSIVE));
	see(p, "written, file: file %s", bits(p->file, FILE_LEN, PM_FILE));
	see_all(p);
}

static const char *const agree[] = {
	"Size", "KernelPageSize", "MMUPageSize", "Swap", "SwapPss", "Locked",
	"Shared_Hugetlb", "Private_Hugetlb", "LazyFree", "THPeligible", "ProtectionKey",
};

/* Those that count pages, and agree once every page is the process's own. */
static const char *const counts[] = {
	"Rss", "Pss", "Pss_Dirty", "Shared_Clean", "Shared_Dirty", "Private_Clean",
	"Private_Dirty", "Anonymous", "AnonHugePages", "FilePmdMapped",
};

#define FOR_EACH(i, a) for (i = 0; i < sizeof(a) / sizeof(*(a)); i++)

PATH(smaps_areas, "/proc/PID/smaps")
{
	unsigned char *areas[] = { p->anon, p->sparse, p->mixed, p->file };
	size_t i, k;

	make_mixed(p);
	FOR_EACH(k, areas) {
		FOR_EACH(i, agree)
			see(p, "area %zu: %s %ld", k, agree[i], smaps_of(areas[k], agree[i]));
		FOR_EACH(i, counts)
			differs(p, NO_RMAP, "area %zu: %s %ld", k, counts[i],
				smaps_of(areas[k], counts[i]));
	}
	touch_pages(p->anon, ANON_LEN, 1);
	touch_pages(p->sparse, SPARSE_LEN, 1);
	touch_pages(p->file, FILE_LEN, 1);
	for (k = 0; k < 4; k++)
		if (areas[k] != p->mixed)
			FOR_EACH(i, counts)
				see(p, "area %zu, written: %s %ld", k, counts[i],
				    smaps_of(areas[k], counts[i]));
	see_all(p);
}

PATH(smaps_rollup, "/proc/PID/smaps_rollup")
{
	static const char path[] = "/proc/self/smaps_rollup";
	size_t i;

	make_mixed(p);
	see(p, "Locked %ld", get_number(path, "Locked"));
	see(p, "Swap %ld", get_number(path, "Swap"));
	see(p, "LazyFree %ld", get_number(path, "LazyFree"));
	FOR_EACH(i, counts)
		differs(p, NO_RMAP, "%s %ld", counts[i], get_number(path, counts[i]));
	see_all(p);
}

/* What numa_maps says of an area: the policy, and pages behind a word. */
static long numa_pages(void *start, const char *word, char *policy)
{
	FILE *f = fopen("/proc/self/numa_maps", "r");
	unsigned long addr;
	char line[1024], *at;
	long nr = -1;

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx %31s", &addr, policy) != 2 || addr != (uintptr_t)start)
			continue;
		at = strstr(line, word);
		nr = at ? strtol(at + strlen(word), NULL, 10) : 0;
		break;
	}
	fclose(f);
	return nr;
}

PATH(numa_maps, "/proc/PID/numa_maps")
{
	char policy[32] = "";
	long nr;

	if (access("/proc/self/numa_maps", R_OK))
		path_skip(p, "no NUMA");
	make_mixed(p);
	nr = numa_pages(p->anon, " anon=", policy);
	differs(p, NO_RMAP, "anon: %s, %ld pages", policy, nr);
	touch_pages(p->anon, ANON_LEN, 1);
	nr = numa_pages(p->anon, " anon=", policy);
	see(p, "anon, written: %s, %ld pages", policy, nr);
	nr = numa_pages(p->anon, " dirty=", policy);
	see(p, "anon, written: %ld pages dirty", nr);
	nr = numa_pages(p->anon, " mapmax=", policy);
	see(p, "anon, written: mapmax %ld", nr);
	see_all(p);
}

static void see_mincore(struct path *p, const char *what, void *start, size_t len)
{
	static unsigned char vec[ANON_LEN / PAGE];
	unsigned int nr = 0, sum = 0, i;
	long ret = mincore(start, len, vec);

	for (i = 0; !ret && i < len / PAGE; i++)
		if (vec[i] & 1) {
			nr++;
			sum = sum * 31 + i;
		}
	see_ret(p, what, ret);
	see(p, "%s: %u pages, %08x", what, nr, sum);
}

PATH(mincore_areas, "mincore()")
{
	make_mixed(p);
	see_mincore(p, "anon", p->anon, ANON_LEN);
	see_mincore(p, "sparse", p->sparse, SPARSE_LEN);
	see_mincore(p, "mixed", p->mixed, MIXED_LEN);
	see_mincore(p, "mixed, first", p->mixed, MIXED_HOLE);
	see_mincore(p, "file", p->file, FILE_LEN);
	see_ret(p, "dontneed", madvise(p->anon + 5 * PAGE, LEAF, MADV_DONTNEED));
	see_ret(p, "dontneed", madvise(p->sparse, LEAF, MADV_DONTNEED));
	see_mincore(p, "anon, less", p->anon, ANON_LEN);
	see_mincore(p, "sparse, less", p->sparse, SPARSE_LEN);
	see_all(p);
}

TEST_HARNESS_MAIN
