// SPDX-License-Identifier: GPL-2.0
/* The checker's cases: images, from the header to the leaf entries. */
#include <endian.h>
#include <string.h>

#include "fsck_test.h"
#include "util.h"

/* The child would have much to say about its parent. */
static void try_list(struct synth *s, const struct damage *list, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		synth_childless(s);
		try_damage(s, &list[i]);
	}
}

static void test_header_damage(struct synth *s)
{
	struct cxlfork_section *sec = s->image->sections;
	const struct damage list[] = {
		D("entry: id", s->entry->id, 5, BAD_ENTRY_ID),
		D("entry: first", s->entry->first, 1ULL << 40, BAD_ENTRY_FIRST),
		D("entry: first in the metadata", s->entry->first, 0, BAD_ENTRY_FIRST),
		D("entry: bytes", s->entry->bytes, 4097, BAD_ENTRY_BYTES, BAD_ENTRY_PAGES),
		D("entry: other bytes", s->entry->bytes, 1ULL << 21, BAD_IMAGE_BYTES),
		D("entry: fewer pages", s->entry->pages, 9, BAD_IMAGE_PAGES),
		D("entry: mode", s->entry->mode, 07777, BAD_ENTRY_MODE),
		D("entry: name", s->entry->name[0], '\n', BAD_ENTRY_NAME),
		D("image: magic", s->image->head.magic, 0, BAD_MAGIC),
		D("image: version", s->image->head.version, 9, BAD_VERSION),
		D("image: length", s->image->head.length, 64, BAD_LENGTH),
		D("image: id", s->image->id, 5, BAD_IMAGE_ID),
		D("image: base", s->image->phys_base, 0x1000, BAD_IMAGE_BASE),
		D("image: other base", s->image->phys_base, 1ULL << 33, BAD_PTE_TARGET),
		D("image: extents", s->image->nr_extents, 3, BAD_IMAGE_BYTES),
		D("image: all the extents", s->image->nr_extents, ~0ULL, BAD_IMAGE_BYTES),
		D("image: table of extents", s->image->extents_off, 1ULL << 40, BAD_EXTENTS_OFF),
		D("image: extents over header", s->image->extents_off, 0, BAD_EXTENTS_OFF),
		D("image: leaf tables", s->image->leaves_off, 1ULL << 40, BAD_LAYOUT_OUTSIDE),
		D("image: leaf tables unaligned", s->image->leaves_off, 20488, BAD_LAYOUT_ALIGN),
		D("image: data", s->image->data_off, 1ULL << 63, BAD_LAYOUT_OUTSIDE),
		D("image: data over leaves", s->image->data_off, 20480, BAD_LAYOUT_OVERLAP),
		D("image: number of leaves", s->image->nr_leaves, ~0ULL, BAD_LAYOUT_COUNTS),
		D("image: fewer leaves", s->image->nr_leaves, 3, BAD_LEAVES, BAD_DIRTY),
		D("image: number of pages", s->image->nr_pages, 1ULL << 60, BAD_IMAGE_PAGES,
		  BAD_LAYOUT_COUNTS),
		D("image: page shift", s->image->page_shift, 14, BAD_IMAGE_PAGE_SHIFT),
		D("image: machine", s->image->machine, 183, BAD_IMAGE_MACHINE),
		D("image: kernel", s->image->kernel[0], 1, BAD_IMAGE_KERNEL),
		D("image: reserved", s->image->reserved[3591], 1, BAD_RESERVED),
		D("image: CPU words", s->image->cpu[CXLFORK_CPU_WORDS], 1, BAD_RESERVED),
		{ "CRC of the table of extents", POKES(POKE(s->extents[1], 5)),
		  KINDS(BAD_EXTENTS_CRC), .raw = true },
		D("extent out of the pool", s->extents[1], 77, BAD_EXTENTS_RANGE),
		D("extent in the metadata", s->extents[1], 0, BAD_EXTENTS_RANGE),
		D("extent twice", s->extents[1], 4, BAD_EXTENTS_TWICE),
		D("first extent not first", s->extents[0], 5, BAD_EXTENTS_FIRST),
		D("section offset", sec[CXLFORK_SEC_VMAS].offset, ~0ULL, BAD_LAYOUT_OUTSIDE),
		D("section length", sec[CXLFORK_SEC_FDS].length, ~0ULL, BAD_LAYOUT_OUTSIDE),
		D("section overlap", sec[CXLFORK_SEC_MM].offset, 8192, BAD_LAYOUT_OVERLAP),
		D("section odd", sec[CXLFORK_SEC_DIRTY].offset, 16652, BAD_SECTION_OFFSET,
		  BAD_DIRTY_EMPTY),
		D("section entry size", sec[CXLFORK_SEC_VMAS].entry_size, 32,
		  BAD_SECTION_ENTRY_SIZE),
		D("half an entry", sec[CXLFORK_SEC_VMAS].length, 41, BAD_SECTION_LENGTH),
		D("no task", sec[CXLFORK_SEC_TASK].length, 0, BAD_SECTION_LENGTH),
		D("no mm", sec[CXLFORK_SEC_MM].length, 0, BAD_SECTION_LENGTH),
		D("strings cut off", sec[CXLFORK_SEC_STRINGS].length, 7, BAD_STRING,
		  BAD_STRING_END),
		D("no VMAs", sec[CXLFORK_SEC_VMAS].length, 0, BAD_VMAS, BAD_LEAF_NOWHERE,
		  BAD_LEAF_WHOLE, BAD_PTE_NOWHERE),
		D("no files", sec[CXLFORK_SEC_FILES].length, 0, BAD_MM_EXE, BAD_VMA_FILE),
		D("no strings", sec[CXLFORK_SEC_STRINGS].length, 0, BAD_STRING),
		D("fewer leaves described", sec[CXLFORK_SEC_LEAVES].length, 32, BAD_LEAVES),
		D("fewer dirty bitmaps", sec[CXLFORK_SEC_DIRTY].length, 64, BAD_DIRTY),
		D("fewer signals", sec[CXLFORK_SEC_SIGACTIONS].length, 32, BAD_SIGNALS),
		D("short xstate", sec[CXLFORK_SEC_XSTATE].length, 100, BAD_XSTATE_SIZE),
		{ "long xstate", POKES(POKE(sec[CXLFORK_SEC_XSTATE].offset, 65536),
				       POKE(sec[CXLFORK_SEC_XSTATE].length, 65537)),
		  KINDS(BAD_XSTATE_SIZE) },
	};

	try_list(s, list, ARRAY_SIZE(list));
}

static void test_section_damage(struct synth *s)
{
	__u64 *comm = (__u64 *)s->task->comm;
	const struct damage list[] = {
		D("cs", s->task->regs[17], 0x10, BAD_TASK_SEGMENTS),
		D("ss", s->task->regs[20], 0x18, BAD_TASK_SEGMENTS),
		D("ip", s->task->regs[16], ~0ULL, BAD_TASK_ADDRESS),
		D("fs base", s->task->fsbase, 1ULL << 63, BAD_TASK_ADDRESS),
		D("gs base", s->task->gsbase, 1ULL << 47, BAD_TASK_ADDRESS),
		D("rseq", s->task->rseq, ~0ULL, BAD_TASK_ADDRESS, BAD_TASK_RSEQ),
		/* what any process may have, whatever that is good for */
		{ "robust list anywhere", POKES(POKE(s->task->robust_list, ~0ULL)) },
		{ "clear_tid anywhere", POKES(POKE(s->task->clear_tid, ~0ULL)) },
		{ "signal stack anywhere", POKES(POKE(s->task->altstack_sp, 1ULL << 63),
						 POKE(s->task->altstack_size, ~0ULL)) },
		{ "signal handler anywhere", POKES(POKE(s->sigactions[0].handler, ~0ULL - 9),
						   POKE(s->sigactions[0].restorer, ~0ULL)) },
		D("payload", s->task->payload, ~0ULL - 5, BAD_TASK_ADDRESS),
		D("payload size", s->task->payload_max, ~0U, BAD_TASK_PAYLOAD),
		D("umask", s->task->umask, 01000, BAD_TASK_UMASK),
		D("cwd", s->task->cwd, 5000, BAD_STRING),
		D("xstate components", s->xstate[512], 0x83, BAD_XSTATE_FEATURES),
		D("xstate compacted", s->xstate[527], 0x80, BAD_XSTATE_FORMAT),
		D("mm: code", s->mm->end_code, 1, BAD_MM_SPAN),
		D("mm: brk", s->mm->brk, ~0ULL, BAD_MM_SPAN),
		D("mm: stack", s->mm->start_stack, ~0ULL, BAD_MM_SPAN),
		D("mm: vdso", s->mm->vdso, 0x7000001, BAD_MM_VDSO),
		{ "mm: a vdso", POKES(POKE(s->mm->vdso, 0x7000000)) },
		D("mm: vdso without room before it", s->mm->vdso, 0x3000, BAD_MM_VDSO),
		D("mm: vdso at the end", s->mm->vdso, 0x7ffffffff000, BAD_MM_VDSO),
		D("mm: program", s->mm->exe, 1, BAD_MM_EXE),
		D("mm: pkeys", s->mm->pkey_map, 1 << 16, BAD_MM_PKEYS, BAD_MM_EXEC_PKEY),
		D("mm: pkey 0 not taken", s->mm->pkey_map, 8, BAD_MM_PKEYS),
		D("mm: execute-only key", s->mm->exec_pkey, 2, BAD_MM_EXEC_PKEY),
		D("mm: no mmap base", s->mm->mmap_base, 0, BAD_MM_BASE),
		D("rseq short", s->task->rseq, 0x600040, BAD_TASK_RSEQ),
		D("signal stack flags", s->task->altstack_flags, 1, BAD_TASK_ALTSTACK),
		D("personality", s->task->personality, 8, BAD_TASK_PERSONALITY),
		D("mm: auxv", s->mm->nr_auxv, 65, BAD_MM_AUXV),
		D("file path", s->files[0].path, ~0U, BAD_STRING),
		D("file path relative", s->files[0].path, 1, BAD_PATH),
		D("file flags", s->files[0].flags, 1, BAD_FILE_FLAGS),
		D("file time", s->files[0].mtime_nsec, ~0U, BAD_FILE_TIME),
		D("file build id", s->files[0].build_id_len, 21, BAD_FILE_DIGEST),
		D("file digest", s->files[0].verity_len, 65, BAD_FILE_DIGEST),
		D("file: behind the build id", s->files[0].build_id[0], 1, BAD_FILE_DIGEST),
		{ "file: behind the digest", POKES(POKE(s->files[0].verity_len, 32),
						   POKE(s->files[0].verity[32], 1)),
		  KINDS(BAD_FILE_DIGEST) },
		{ "file: digest", POKES(POKE(s->files[0].verity_len, 33),
					POKE(s->files[0].verity[32], 1)) },
		{ "comm", POKES(POKE(comm[0], ~0ULL), POKE(comm[1], ~0ULL)), KINDS(BAD_TASK_COMM) },
		D("fd reserved", s->fds[3].reserved, 1, BAD_RESERVED),
		D("fd number", s->fds[6].fd, ~0U, BAD_FD_NUMBER),
		D("fd order", s->fds[4].fd, 3, BAD_FD_ORDER),
		D("fd flags", s->fds[4].flags, 4, BAD_STRING, BAD_FD_FLAGS),
		D("fd kind", s->fds[4].kind, 9, BAD_FD_KIND, BAD_FD_SAME),
		D("fd dup of a later one", s->fds[4].same, 5, BAD_FD_SAME),
		D("fd dup of itself", s->fds[4].same, 4, BAD_FD_SAME),
		D("fd dup of another kind", s->fds[4].same, 0, BAD_FD_SAME),
		D("fd dup of a dup", s->fds[5].flags, CXLFORK_FD_SAME, BAD_FD_SAME),
		D("fd path", s->fds[5].path, CXLFORK_NO_STRING, BAD_STRING),
		D("fd offset", s->fds[3].pos, ~0ULL, BAD_FD_POS),
		D("fd of no device", s->fds[FD_NULL].rdev, 0, BAD_FD_RDEV),
		D("fd of a file with a device number", s->fds[FD_FILE].rdev, 1, BAD_FD_RDEV),
	};

	try_list(s, list, ARRAY_SIZE(list));
}

static void test_vma_damage(struct synth *s)
{
	const __u64 entry = le64toh(s->tables[1][1]);
	const struct damage list[] = {
		D("vma start", s->vmas[1].start, 0x600001, BAD_VMA_RANGE, BAD_LEAF_WHOLE,
		  BAD_PTE_NOWHERE),
		D("vma end", s->vmas[1].end, 0x600000, BAD_VMA_RANGE, BAD_LEAF_NOWHERE,
		  BAD_LEAF_WHOLE, BAD_PTE_NOWHERE),
		D("vma in kernel space", s->vmas[5].end, 1ULL << 47, BAD_VMA_RANGE),
		D("vma order", s->vmas[2].start, 0x7ff000, BAD_VMA_ORDER),
		D("vma flags", s->vmas[1].flags, ~0U, BAD_VMA_FLAGS, BAD_VMA_SHARED, BAD_LEAF_WHOLE,
		  BAD_PTE_KEEPLESS),
		D("vma more than it may", s->vmas[1].flags, CXLFORK_VMA_WRITE, BAD_VMA_PERMS,
		  BAD_LEAF_WHOLE, BAD_PTE_KEEPLESS),
		D("vma pkey", s->vmas[1].pkey, 16, BAD_VMA_PKEY),
		D("vma file", s->vmas[0].file, 4, BAD_VMA_FILE),
		D("vma of a file, wiped", s->vmas[0].flags, CXLFORK_VMA_WIPEONFORK, BAD_VMA_ANON,
		  BAD_PTE_KEEPLESS),
		D("vma shared memory", s->vmas[4].file, CXLFORK_NO_FILE, BAD_VMA_SHARED),
		D("vma reserved", s->vmas[2].reserved, 1, BAD_RESERVED),
		D("vma offset", s->vmas[0].pgoff, ~0ULL, BAD_VMA_PGOFF),
		D("vma offset in bytes", s->vmas[0].pgoff, (1ULL << 52) - 2, BAD_VMA_PGOFF),
		{ "vma offset, the last", POKES(POKE(s->vmas[0].pgoff, (1ULL << 52) - 3)) },
		{ "vma offset, of memory", POKES(POKE(s->vmas[1].pgoff, 1ULL << 52)) },
		D("leaf address", s->leaves[1].addr, 0x601000, BAD_LEAF_ADDRESS),
		D("leaf order", s->leaves[1].addr, 0x400000, BAD_LEAF_ADDRESS),
		D("leaf in kernel space", s->leaves[3].addr, 1ULL << 63, BAD_LEAF_ADDRESS),
		D("leaf flags", s->leaves[1].flags, 8, BAD_LEAF_FLAGS),
		D("leaf huge, not whole", s->leaves[0].flags, CXLFORK_LEAF_HUGE, BAD_LEAF_FLAGS,
		  BAD_LEAF_HUGE),
		D("leaf not huge", s->leaves[1].flags, CXLFORK_LEAF_WHOLE | CXLFORK_LEAF_HUGE,
		  BAD_LEAF_HUGE),
		D("leaf not whole", s->leaves[0].flags, CXLFORK_LEAF_WHOLE, BAD_LEAF_WHOLE),
		D("leaf of nothing", s->leaves[3].addr, 0x7f0000000000, BAD_LEAF_NOWHERE,
		  BAD_PTE_NOWHERE),
		D("leaf pages", s->leaves[1].nr_pages, 5, BAD_LEAF_PAGES),
		D("leaf of no pages", s->leaves[1].nr_pages, 0, BAD_LEAF_PAGES),
		{ "page that two leaves map", POKES(POKE(s->tables[1][5], entry),
						    POKE(s->leaves[1].nr_pages, 5)),
		  KINDS(BAD_LEAVES_PAGES) },
		{ "page that no leaf maps", POKES(POKE(s->tables[1][2], 0), POKE(s->dirty[8], 0),
						  POKE(s->leaves[1].nr_pages, 3)),
		  KINDS(BAD_LEAVES_PAGES) },
		D("dirty nothing", s->dirty[0], 4, BAD_DIRTY_EMPTY),
		D("entry where nothing is", s->tables[2][40], entry, BAD_PTE_NOWHERE),
		D("entry in a wiped mapping", s->tables[2][16], entry, BAD_PTE_KEEPLESS),
		D("entry in a shared mapping", s->tables[2][32], entry, BAD_PTE_KEEPLESS),
		D("entry writable", s->tables[1][1], entry | 2, BAD_PTE_BITS),
		D("entry dirty", s->tables[1][1], entry | 1 << 6, BAD_PTE_BITS),
		D("entry global", s->tables[1][1], entry | 1 << 8, BAD_PTE_BITS),
		D("entry soft-dirty", s->tables[1][1], entry | 1 << 11, BAD_PTE_BITS),
		D("entry saved-dirty", s->tables[1][1], entry | 1ULL << 58, BAD_PTE_BITS),
		D("entry for the kernel", s->tables[1][1], entry & ~4ULL, BAD_PTE_BITS),
		D("entry not special", s->tables[1][1], entry & ~(1ULL << 9), BAD_PTE_BITS),
		D("entry not present", s->tables[1][1], entry & ~1ULL, BAD_PTE_BITS),
		D("entry uncached", s->tables[1][1], entry | 1 << 4, BAD_PTE_BITS),
		D("entry executable", s->tables[1][1], entry & ~(1ULL << 63), BAD_PTE_BITS),
		D("entry of code not executable", s->tables[0][1], entry, BAD_PTE_BITS),
		D("entry with another key", s->tables[1][1], entry | 1ULL << 59, BAD_PTE_BITS),
		D("entry of a hidden page present", s->tables[2][0], entry | 3ULL << 59,
		  BAD_PTE_BITS),
		D("entry before the data", s->tables[1][1], entry - 5 * 4096, BAD_PTE_TARGET),
		D("entry for the image header", s->tables[1][1],
		  (entry & 0xfff) | 1ULL << 63 | (SYNTH_BASE + (8 << 20)), BAD_PTE_TARGET),
		D("entry for another's extent", s->tables[1][1],
		  (entry & 0xfff) | 1ULL << 63 | (SYNTH_BASE + (6 << 20)), BAD_PTE_TARGET),
		D("entry for host memory", s->tables[1][1], (entry & 0xfff) | 1ULL << 63 | 0x100000,
		  BAD_PTE_TARGET),
		D("entry beyond the data", s->tables[1][1],
		  (entry & 0xfff) | 1ULL << 63 | (SYNTH_BASE + (4 << 20) + 4 * 4096),
		  BAD_PTE_TARGET),
	};

	try_list(s, list, ARRAY_SIZE(list));
}

void test_image_damage(struct synth *s)
{
	test_header_damage(s);
	test_section_damage(s);
	test_vma_damage(s);
}
