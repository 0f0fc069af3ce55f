// SPDX-License-Identifier: GPL-2.0
/*
 * The format's checker: a pool that is right is clean; one with any field
 * damaged is not, and is read without harm.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "fsck.h"
#include "synth.h"
#include "tap.h"

/* What a check of @synth finds; @findings to be freed. */
static enum super_state run(const struct synth *synth,
			    struct findings *findings)
{
	struct region region = { .size = SYNTH_SIZE, .memory = synth->mem };
	struct fsck_counts counts;

	memset(findings, 0, sizeof(*findings));
	return fsck_run(&region, &counts, findings);
}

static size_t problems(const struct synth *synth)
{
	struct findings findings;
	size_t nr;

	run(synth, &findings);
	nr = findings.nr;
	findings_free(&findings);
	return nr;
}

static void test_clean(struct synth *s)
{
	struct region region = { .size = SYNTH_SIZE, .memory = s->mem };
	struct findings findings = { 0 };
	struct fsck_counts counts;
	size_t i;

	ok(fsck_run(&region, &counts, &findings) == SUPER_OK && !findings.nr,
	   "a pool that is right is clean");
	for (i = 0; i < findings_listed(&findings); i++)
		printf("# %s: %s\n", findings.list[i].place,
		       findings.list[i].text);
	findings_free(&findings);
	ok(counts.hosts == 2 && counts.ckpts == 2 && counts.images == 1 &&
	   counts.leaves == SYNTH_NR_LEAVES && counts.pages == SYNTH_NR_PAGES &&
	   counts.extents_used == 3 && counts.extents_free == 2,
	   "all of it was looked at");
}

/* Flip one bit of every byte of a structure: its CRC has to tell. */
static void sweep_bytes(struct synth *s, const char *name, void *at,
			size_t size, size_t step)
{
	__u8 *bytes = at;
	size_t i, missed = 0;

	for (i = 0; i < size; i += step) {
		bytes[i] ^= 1 << (i % 8);
		if (!problems(s)) {
			printf("# byte %zu of %s\n", i, name);
			missed++;
		}
		bytes[i] ^= 1 << (i % 8);
	}
	ok(!missed, "%s: each byte damaged is noticed", name);
}

static void test_crcs(struct synth *s)
{
	const struct cxlfork_section *sec = s->image->sections;
	char name[32];
	int i;

	sweep_bytes(s, "superblock", s->super, 128, 1);
	sweep_bytes(s, "superblock's rest", s->super->reserved,
		    sizeof(s->super->reserved), 97);
	sweep_bytes(s, "host slot", &s->slots[0].host,
		    offsetof(struct cxlfork_host, claim), 1);
	sweep_bytes(s, "directory entry", &s->entry->head, sizeof(*s->entry) -
		    offsetof(struct cxlfork_ckpt_entry, head), 1);
	sweep_bytes(s, "image header", s->image,
		    offsetof(struct cxlfork_image, reserved), 1);
	sweep_bytes(s, "image header's rest", s->image->reserved,
		    sizeof(s->image->reserved), 97);
	sweep_bytes(s, "table of extents", s->extents, 8, 1);
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		snprintf(name, sizeof(name), "section %d", i);
		sweep_bytes(s, name, (__u8 *)s->image + le64toh(sec[i].offset),
			    le64toh(sec[i].length), 3);
	}
}

/*
 * Damage with all CRCs right, as a hostile host writes it: what is said about
 * it, in part.
 */
struct damage {
	const char	*name;
	void		*at;
	size_t		size;
	__u64		value;
	const char	*wanted;
};

static void set(void *at, size_t size, __u64 value)
{
	__le64 number = htole64(value);

	memcpy(at, &number, size);
}

static bool said(const struct findings *findings, const char *wanted)
{
	size_t i;

	for (i = 0; i < findings_listed(findings); i++)
		if (strstr(findings->list[i].text, wanted))
			return true;
	return false;
}

static void try_damage(struct synth *s, const struct damage *d)
{
	struct findings findings;
	void *mem = s->mem;
	size_t i;

	set(d->at, d->size, d->value);
	synth_seal(s);
	run(s, &findings);
	if (!ok(said(&findings, d->wanted), "%s", d->name)) {
		printf("# wanted: %s\n", d->wanted);
		for (i = 0; i < findings_listed(&findings); i++)
			printf("# %s: %s\n", findings.list[i].place,
			       findings.list[i].text);
	}
	findings_free(&findings);
	synth_build(s, mem);
}

#define D(name, field, value, wanted) \
	{ name, &(field), sizeof(field), value, wanted }

static void test_pool_damage(struct synth *s)
{
	const struct damage list[] = {
		D("version of the format", s->super->head.version, 9,
		  "format version 9"),
		D("foreign data", s->super->head.magic, 0x12345678, "foreign"),
		D("size", s->super->size, SYNTH_SIZE - 4096, "multiple"),
		D("size beyond the region", s->super->size, 1ULL << 40,
		  "more than the region"),
		D("extent size", s->super->extent_size, 4096, "extent size"),
		D("number of extents", s->super->nr_extents, 7, "make up"),
		D("first extent", s->super->first_extent, 6, "first extent"),
		D("host slots", s->super->nr_slots, 17, "17 host slots"),
		D("directory size", s->super->nr_ckpts, 1, "directory entries"),
		D("flags", s->super->flags, 2, "unknown flags"),
		D("place of the slots", s->super->slots_off, 1ULL << 21,
		  "host slots at"),
		D("place of the extent table", s->super->etable_off, 4,
		  "extent table at"),
		D("slots over the extent table", s->super->etable_off,
		  SYNTH_SLOTS_OFF + 4096, "overlap"),
		D("host state", s->slots[0].host.state, 3, "state 3"),
		D("claim", s->slots[0].host.claim, 1, "not its host"),
		D("unclaimed", s->slots[0].host.claim, 0, "nobody's"),
		D("boot epoch", s->slots[0].host.boot_epoch, 0, "boot epoch"),
		D("host base", s->slots[1].host.phys_base, 5, "physical base"),
		D("host name", s->slots[1].host.name[2], 7, "no text"),
		D("checkpoint state", s->entry->word,
		  CXLFORK_WORD(SYNTH_GEN, 4), "state 4"),
		D("generation gone on", s->entry->word,
		  CXLFORK_WORD(SYNTH_GEN + 1, CXLFORK_CKPT_LIVE), "says it is"),
		D("checkpoint gone", s->entry->word,
		  CXLFORK_WORD(SYNTH_GEN, CXLFORK_CKPT_FREE), "lost"),
		D("checkpoint gone, still used", s->entry->word,
		  CXLFORK_WORD(SYNTH_GEN, CXLFORK_CKPT_FREE), "references to"),
		D("reference to nothing", s->slots[0].refs[1][5],
		  CXLFORK_REF(1, 0, 2), "references to"),
		D("reference to one that is written", s->slots[0].refs[1][0],
		  CXLFORK_REF(1, 0, 1), "references to"),
		D("reference beyond the slots", s->slots[0].refs[9][0],
		  CXLFORK_REF(1, 0, 1), "references to"),
		D("lost extent", s->etable[5], CXLFORK_ID(9, 0, 3), "lost"),
		D("extent of nonsense", s->etable[5], 0x1234567800ff, "lost"),
		D("extent not in the image", s->etable[5], SYNTH_ID,
		  "not in the image"),
		D("image's extent is free", s->etable[2], 0,
		  "by the extent table"),
		D("image's extent is another's", s->etable[4],
		  SYNTH_WRITING_ID, "by the extent table"),
		D("data extent marked meta", s->etable[1], CXLFORK_EXTENT_META,
		  "the pool's own"),
		D("meta extent not marked", s->etable[0], 0,
		  "holds the pool's own"),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		try_damage(s, &list[i]);
}

static void test_header_damage(struct synth *s)
{
	struct cxlfork_section *sec = s->image->sections;
	const struct damage list[] = {
		D("entry: id", s->entry->id, 5, "says it is 0x5"),
		D("entry: first", s->entry->first, 1ULL << 40, "image at"),
		D("entry: first in the metadata", s->entry->first, 0,
		  "image at"),
		D("entry: bytes", s->entry->bytes, 4097, "takes 4097 bytes"),
		D("entry: other bytes", s->entry->bytes, 1ULL << 21,
		  "not its"),
		D("entry: fewer pages", s->entry->pages, 9, "in the directory"),
		D("entry: mode", s->entry->mode, 07777, "mode"),
		D("entry: name", s->entry->name[0], '\n', "no text"),
		D("image: magic", s->image->head.magic, 0, "magic"),
		D("image: version", s->image->head.version, 9, "version 9"),
		D("image: length", s->image->head.length, 64, "covers 64"),
		D("image: id", s->image->id, 5, "image says"),
		D("image: base", s->image->phys_base, 0x1000,
		  "physical base"),
		D("image: other base", s->image->phys_base, 1ULL << 33,
		  "maps no data page"),
		D("image: extents", s->image->nr_extents, 3, "extents are not"),
		D("image: all the extents", s->image->nr_extents, ~0ULL,
		  "extents are not"),
		D("image: table of extents", s->image->extents_off, 1ULL << 40,
		  "table of extents at"),
		D("image: extents over header", s->image->extents_off, 0,
		  "table of extents at"),
		D("image: leaf tables", s->image->leaves_off, 1ULL << 40,
		  "not in the image"),
		D("image: leaf tables unaligned", s->image->leaves_off, 20488,
		  "leaf tables at"),
		D("image: data", s->image->data_off, 1ULL << 63,
		  "not in the image"),
		D("image: data over leaves", s->image->data_off, 20480,
		  "overlap"),
		D("image: number of leaves", s->image->nr_leaves, ~0ULL,
		  "do not fit"),
		D("image: fewer leaves", s->image->nr_leaves, 3,
		  "the header says 3"),
		D("image: number of pages", s->image->nr_pages, 1ULL << 60,
		  "do not fit"),
		D("image: page shift", s->image->page_shift, 14, "page shift"),
		D("image: machine", s->image->machine, 183, "machine"),
		D("image: kernel", s->image->kernel[0], 1, "no text"),
		D("extent out of the pool", s->extents[1], 77, "number 77"),
		D("extent in the metadata", s->extents[1], 0, "number 0"),
		D("extent twice", s->extents[1], 4, "are both"),
		D("first extent not first", s->extents[0], 5, "first extent"),
		D("section offset", sec[CXLFORK_SEC_VMAS].offset, ~0ULL,
		  "not in the image"),
		D("section length", sec[CXLFORK_SEC_FDS].length, ~0ULL,
		  "not in the image"),
		D("section overlap", sec[CXLFORK_SEC_MM].offset, 8192,
		  "overlap"),
		D("section odd", sec[CXLFORK_SEC_DIRTY].offset, 16652,
		  "section dirty: at"),
		D("section entry size", sec[CXLFORK_SEC_VMAS].entry_size, 32,
		  "entries of 32"),
		D("half an entry", sec[CXLFORK_SEC_VMAS].length, 41,
		  "41 bytes"),
		D("no task", sec[CXLFORK_SEC_TASK].length, 0, "0 bytes"),
		D("no mm", sec[CXLFORK_SEC_MM].length, 0, "0 bytes"),
		D("strings cut off", sec[CXLFORK_SEC_STRINGS].length, 7,
		  "does not end"),
		D("no VMAs", sec[CXLFORK_SEC_VMAS].length, 0,
		  "nothing is mapped"),
		D("no files", sec[CXLFORK_SEC_FILES].length, 0,
		  "program is file"),
		D("no strings", sec[CXLFORK_SEC_STRINGS].length, 0,
		  "no string"),
		D("fewer leaves described", sec[CXLFORK_SEC_LEAVES].length, 32,
		  "leaves: 2"),
		D("fewer dirty bitmaps", sec[CXLFORK_SEC_DIRTY].length, 64,
		  "of 1 leaves"),
		D("fewer signals", sec[CXLFORK_SEC_SIGACTIONS].length, 32,
		  "1 of them"),
		D("short xstate", sec[CXLFORK_SEC_XSTATE].length, 100,
		  "no XSAVE area"),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		try_damage(s, &list[i]);
}

static void test_name(struct synth *s)
{
	struct findings findings;
	void *mem = s->mem;

	memset(s->task->comm, 'x', sizeof(s->task->comm));
	synth_seal(s);
	run(s, &findings);
	ok(said(&findings, "does not end"), "comm");
	findings_free(&findings);
	synth_build(s, mem);
}

static void test_section_damage(struct synth *s)
{
	const struct damage list[] = {
		D("cs", s->task->regs[17], 0x10, "segments"),
		D("ss", s->task->regs[20], 0x18, "segments"),
		D("ip", s->task->regs[16], ~0ULL, "instruction pointer"),
		D("fs base", s->task->fsbase, 1ULL << 63, "FS base"),
		D("gs base", s->task->gsbase, 1ULL << 47, "GS base"),
		D("rseq", s->task->rseq, ~0ULL, "rseq"),
		D("robust list", s->task->robust_list, ~0ULL, "robust"),
		D("clear_tid", s->task->clear_tid, ~0ULL, "clear_tid"),
		D("payload", s->task->payload, ~0ULL - 5, "payload buffer"),
		D("payload size", s->task->payload_max, ~0U, "payload of"),
		D("umask", s->task->umask, 01000, "umask"),
		D("cwd", s->task->cwd, 5000, "no string at 5000"),
		D("xstate components", s->xstate[512], 0x83, "components"),
		D("xstate compacted", s->xstate[527], 0x80, "standard format"),
		D("mm: code", s->mm->end_code, 1, "code"),
		D("mm: brk", s->mm->brk, ~0ULL, "heap"),
		D("mm: stack", s->mm->start_stack, ~0ULL, "stack"),
		D("mm: vdso", s->mm->vdso, 0x7000001, "vdso"),
		D("mm: program", s->mm->exe, 1, "program is file 1"),
		D("mm: pkeys", s->mm->pkey_map, 1 << 16, "protection keys"),
		D("mm: pkey 0 not taken", s->mm->pkey_map, 8,
		  "protection keys"),
		D("mm: execute-only key", s->mm->exec_pkey, 2, "execute-only"),
		D("mm: no mmap base", s->mm->mmap_base, 0, "mmap base"),
		D("rseq short", s->task->rseq, 0x600040, "rseq area of 0"),
		D("signal stack", s->task->altstack_size, ~0ULL,
		  "signal stack"),
		D("signal stack flags", s->task->altstack_flags, 1,
		  "signal stack's flags"),
		D("personality", s->task->personality, 8, "personality"),
		D("mm: auxv", s->mm->nr_auxv, 65, "auxv"),
		D("signal handler", s->sigactions[0].handler, ~0ULL - 9,
		  "of signal 1"),
		D("file path", s->files[0].path, ~0U, "no string"),
		D("file path relative", s->files[0].path, 1,
		  "no absolute path"),
		D("file flags", s->files[0].flags, 1, "flags"),
		D("file time", s->files[0].mtime_nsec, ~0U, "nanoseconds"),
		D("file build id", s->files[0].build_id_len, 21, "build id"),
		D("file digest", s->files[0].verity_len, 65, "digest"),
		D("fd number", s->fds[6].fd, ~0U, "no descriptor"),
		D("fd order", s->fds[4].fd, 3, "ascending"),
		D("fd flags", s->fds[4].flags, 4, "flags"),
		D("fd kind", s->fds[4].kind, 9, "kind 9"),
		D("fd dup of a later one", s->fds[4].same, 5, "a later one"),
		D("fd dup of itself", s->fds[4].same, 4, "a later one"),
		D("fd dup of another kind", s->fds[4].same, 0,
		  "of another kind"),
		D("fd dup of a dup", s->fds[5].flags, CXLFORK_FD_SAME,
		  "the same as"),
		D("fd path", s->fds[5].path, CXLFORK_NO_STRING, "no string"),
		D("fd offset", s->fds[3].pos, ~0ULL, "offset"),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		try_damage(s, &list[i]);
	test_name(s);
}

static void test_vma_damage(struct synth *s)
{
	const __u64 entry = le64toh(s->tables[1][1]);
	const struct damage list[] = {
		D("vma start", s->vmas[1].start, 0x600001, "vma 1"),
		D("vma end", s->vmas[1].end, 0x600000, "vma 1"),
		D("vma in kernel space", s->vmas[5].end, 1ULL << 47, "vma 5"),
		D("vma order", s->vmas[2].start, 0x7ff000, "starts before"),
		D("vma flags", s->vmas[1].flags, ~0U, "flags"),
		D("vma more than it may", s->vmas[1].flags, CXLFORK_VMA_WRITE,
		  "may not"),
		D("vma pkey", s->vmas[1].pkey, 16, "protection key"),
		D("vma file", s->vmas[0].file, 4, "file 4"),
		D("vma of a file, wiped", s->vmas[0].flags,
		  CXLFORK_VMA_WIPEONFORK, "of memory"),
		D("vma shared memory", s->vmas[4].file, CXLFORK_NO_FILE,
		  "read-only file"),
		D("vma offset", s->vmas[0].pgoff, ~0ULL, "offset"),
		D("leaf address", s->leaves[1].addr, 0x601000, "leaf 1"),
		D("leaf order", s->leaves[1].addr, 0x400000, "leaf 1"),
		D("leaf in kernel space", s->leaves[3].addr, 1ULL << 63,
		  "leaf 3"),
		D("leaf flags", s->leaves[1].flags, 8, "flags"),
		D("leaf huge, not whole", s->leaves[0].flags, CXLFORK_LEAF_HUGE,
		  "flags"),
		D("leaf not huge", s->leaves[1].flags,
		  CXLFORK_LEAF_WHOLE | CXLFORK_LEAF_HUGE, "not one of 2 MiB"),
		D("leaf not whole", s->leaves[0].flags, CXLFORK_LEAF_WHOLE,
		  "covers all of it"),
		D("leaf of nothing", s->leaves[3].addr, 0x7f0000000000,
		  "mapped there"),
		D("leaf pages", s->leaves[1].nr_pages, 5, "maps 4 pages"),
		D("dirty nothing", s->dirty[0], 4, "is dirty"),
		D("entry where nothing is", s->tables[2][40],
		  entry, "nothing is mapped"),
		D("entry in a wiped mapping", s->tables[2][16], entry,
		  "keeps no pages"),
		D("entry in a shared mapping", s->tables[2][32], entry,
		  "keeps no pages"),
		D("entry writable", s->tables[1][1], entry | 2, "asks for"),
		D("entry dirty", s->tables[1][1], entry | 1 << 6, "asks for"),
		D("entry global", s->tables[1][1], entry | 1 << 8, "asks for"),
		D("entry soft-dirty", s->tables[1][1], entry | 1 << 11,
		  "asks for"),
		D("entry saved-dirty", s->tables[1][1], entry | 1ULL << 58,
		  "asks for"),
		D("entry for the kernel", s->tables[1][1], entry & ~4ULL,
		  "asks for"),
		D("entry not special", s->tables[1][1], entry & ~(1ULL << 9),
		  "asks for"),
		D("entry not present", s->tables[1][1], entry & ~1ULL,
		  "asks for"),
		D("entry uncached", s->tables[1][1], entry | 1 << 4,
		  "asks for"),
		D("entry executable", s->tables[1][1], entry & ~(1ULL << 63),
		  "asks for"),
		D("entry of code not executable", s->tables[0][1],
		  entry, "asks for"),
		D("entry with another key", s->tables[1][1],
		  entry | 1ULL << 59, "asks for"),
		D("entry of a hidden page present", s->tables[2][0],
		  entry | 3ULL << 59, "asks for"),
		D("entry before the data", s->tables[1][1],
		  entry - 5 * 4096, "no data page"),
		D("entry for the image header", s->tables[1][1],
		  (entry & 0xfff) | 1ULL << 63 | (SYNTH_BASE + (8 << 20)),
		  "no data page"),
		D("entry for another's extent", s->tables[1][1],
		  (entry & 0xfff) | 1ULL << 63 | (SYNTH_BASE + (6 << 20)),
		  "no data page"),
		D("entry for host memory", s->tables[1][1],
		  (entry & 0xfff) | 1ULL << 63 | 0x100000, "no data page"),
		D("entry beyond the data", s->tables[1][1],
		  (entry & 0xfff) | 1ULL << 63 | (SYNTH_BASE + (4 << 20) +
						  4 * 4096), "no data page"),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		try_damage(s, &list[i]);
}

/* Every field of the header, all ones or zero, with right CRCs: no harm. */
static void test_header_sweep(struct synth *s)
{
	size_t i, end = offsetof(struct cxlfork_image, reserved);
	__u8 *header = (__u8 *)s->image;
	void *mem = s->mem;

	for (i = sizeof(struct cxlfork_head); i < end; i += 4) {
		set(header + i, 4, ~0U);
		synth_seal(s);
		problems(s);
		set(header + i, 4, 0);
		synth_seal(s);
		problems(s);
		synth_build(s, mem);
	}
	ok(true, "header fields all ones and zero: read without harm");
}

int main(void)
{
	void *mem = malloc(SYNTH_SIZE);
	struct synth synth;

	if (!mem)
		return 2;
	synth_build(&synth, mem);
	test_clean(&synth);
	test_crcs(&synth);
	test_pool_damage(&synth);
	test_header_damage(&synth);
	test_section_damage(&synth);
	test_vma_damage(&synth);
	test_header_sweep(&synth);
	free(mem);
	return tap_done();
}
