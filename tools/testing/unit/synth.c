// SPDX-License-Identifier: GPL-2.0
/* A small pool, made up in memory. */
#include <endian.h>
#include <string.h>

#include "crc32c.h"
#include "synth.h"
#include "util.h"

/* Extents of the image, not in order; logical offsets below. */
#define EXTENT_A	4
#define EXTENT_B	2
#define EXTENT_WRITING	3
#define EXTENT_CHILD	6
#define EXTENT_FREED	7

#define EXTENTS_OFF	4096
#define TASK_OFF	8192
#define XSTATE_OFF	(TASK_OFF + 512)
#define XSTATE_LEN	832
#define MM_OFF		(TASK_OFF + 2048)
#define VMAS_OFF	(TASK_OFF + 3072)
#define STRINGS_OFF	(TASK_OFF + 4096)
#define FILES_OFF	(TASK_OFF + 4608)
#define FDS_OFF		(TASK_OFF + 5120)
#define SIG_OFF		(TASK_OFF + 6144)
#define LEAVES_OFF	(TASK_OFF + 8192)
#define DIRTY_OFF	(TASK_OFF + 8448)
#define PARENTS_OFF	(TASK_OFF + 8704)
#define TABLES_OFF	(TASK_OFF + 12288)
/* six data pages in the first extent, four in the second one */
#define DATA_OFF	(CXLFORK_EXTENT_SIZE - 6 * 4096)

#define NR_SIG		64

#define P	BIT_ULL(0)
#define US	BIT_ULL(2)
#define A	BIT_ULL(5)
#define NONE	BIT_ULL(8)
#define SPECIAL	BIT_ULL(9)
#define NX	BIT_ULL(63)
#define PFN	0x000ffffffffff000ULL

static void seal(void *data, struct cxlfork_head *head, size_t length)
{
	head->crc = htole32(crc32c_head(data, head, length));
}

static void set_head(struct cxlfork_head *head, __u32 magic, __u32 length)
{
	head->magic = htole32(magic);
	head->version = htole32(CXLFORK_FORMAT_VERSION);
	head->length = htole32(length);
}

static void put_text(void *to, const char *text)
{
	memcpy(to, text, strlen(text) + 1);
}

static void build_pool(struct synth *s)
{
	struct cxlfork_super *super = s->super;
	struct cxlfork_host *host;
	__le64 uuid[2];
	int i;

	set_head(&super->head, CXLFORK_MAGIC_SUPER, sizeof(*super));
	memset(super->uuid, 0x5a, sizeof(super->uuid));
	super->size = htole64(SYNTH_SIZE);
	super->extent_size = htole64(CXLFORK_EXTENT_SIZE);
	super->nr_extents = htole32(SYNTH_EXTENTS);
	super->first_extent = htole32(1);
	super->nr_slots = htole32(SYNTH_SLOTS);
	super->nr_ckpts = htole32(CXLFORK_MAX_CKPTS);
	super->flags = htole32(CXLFORK_POOL_COHERENT);
	super->slots_off = htole64(SYNTH_SLOTS_OFF);
	super->slot_size = htole64(CXLFORK_SLOT_SIZE);
	super->etable_off = htole64(SYNTH_ETABLE_OFF);
	super->created = htole64(1700000000);

	for (i = 0; i < SYNTH_HOSTS; i++) {
		host = &s->slots[i].host;
		set_head(&host->head, CXLFORK_MAGIC_SLOT,
			 offsetof(struct cxlfork_host, claim));
		memset(host->host_uuid, 0x10, sizeof(host->host_uuid));
		host->host_uuid[1] = i;
		memcpy(uuid, host->host_uuid, sizeof(uuid));
		host->boot_epoch = htole64(i + 1);
		host->epoch = htole64(i + 1);
		host->phys_base = htole64(SYNTH_BASE);
		put_text(host->name, "node0");
		host->name[4] += i;
		put_text(host->kernel, "6.12.0-cxlfork");
		host->claim = (uuid[0] ^ uuid[1]) | htole64(1);
		host->state = htole64(CXLFORK_HOST_ALIVE);
		host->heartbeat = htole64(100);
	}
	s->etable[0] = htole64(CXLFORK_EXTENT_META);
	s->etable[EXTENT_A] = htole64(SYNTH_ID);
	s->etable[EXTENT_B] = htole64(SYNTH_ID);
	s->etable[EXTENT_WRITING] = htole64(SYNTH_WRITING_ID);
	s->etable[EXTENT_CHILD] = htole64(SYNTH_CHILD_ID);
	s->etable[EXTENT_FREED] = htole64(SYNTH_FREED_ID);
}

static void build_holds(struct synth *s)
{
	struct cxlfork_slot *slots = s->slots;

	slots[1].refs[0][SYNTH_IDX] = htole64(CXLFORK_REF(SYNTH_GEN, 0, 1));
	slots[1].keeps[0][SYNTH_IDX] = htole64(CXLFORK_KEEP(SYNTH_GEN, 0, 1));
	slots[1].restored[0][SYNTH_IDX] = htole64(1700000200);
	slots[0].keeps[1][SYNTH_CHILD_IDX] = htole64(CXLFORK_KEEP(4, 1, 0));
	/* words about earlier generations mean nothing */
	slots[1].ckpts[7].word = htole64(CXLFORK_WORD(6, CXLFORK_CKPT_FREE));
	slots[0].refs[1][7] = htole64(CXLFORK_REF(5, 1, 0));
	slots[0].keeps[1][7] = htole64(CXLFORK_KEEP(5, 1, 0));
	/* nor do those of a dead host */
	slots[0].fences[2] = slots[2].host.epoch;
	slots[2].refs[0][SYNTH_IDX] = htole64(CXLFORK_REF(SYNTH_GEN, 0, 3));
	slots[2].refs[0][5] = htole64(CXLFORK_REF(7, 0, 1));
	slots[2].refs[1][7] = htole64(CXLFORK_REF(4, 0, 1));
}

/* What is known of a checkpoint from its beginning. */
static void build_known(struct cxlfork_ckpt_entry *entry, __u64 id, __u32 state,
			__u32 nr_extents, const char *name)
{
	entry->word = htole64(CXLFORK_WORD(CXLFORK_ID_GEN(id), state));
	set_head(&entry->head, CXLFORK_MAGIC_CKPT, sizeof(*entry) -
		 offsetof(struct cxlfork_ckpt_entry, head));
	entry->id = htole64(id);
	entry->bytes = htole64(nr_extents * CXLFORK_EXTENT_SIZE);
	entry->mode = htole32(0600);
	put_text(entry->name, name);
}

static void build_entries(struct synth *s)
{
	struct cxlfork_ckpt_entry *entry = s->entry;

	build_known(entry, SYNTH_ID, CXLFORK_CKPT_LIVE, 2, SYNTH_NAME);
	entry->first = htole64(EXTENT_A * CXLFORK_EXTENT_SIZE);
	entry->pages = htole64(SYNTH_NR_PAGES);
	entry->created = htole64(1700000100);
	build_known(s->writing, SYNTH_WRITING_ID, CXLFORK_CKPT_WRITING, 1,
		    "thumbnail");
	build_known(s->freed, SYNTH_FREED_ID, CXLFORK_CKPT_RETIRING, 2, "old");
	s->freed->first = htole64(EXTENT_FREED * CXLFORK_EXTENT_SIZE);
	build_known(s->child, SYNTH_CHILD_ID, CXLFORK_CKPT_LIVE, 1,
		    "resize-warm");
	s->child->first = htole64(EXTENT_CHILD * CXLFORK_EXTENT_SIZE);
	s->child->pages = htole64(1);
	s->child->nr_parents = htole32(1);
}

static void add_section(struct synth *s, unsigned int type, __u64 offset,
			__u32 entry_size, __u32 nr)
{
	struct cxlfork_section *sec = &s->image->sections[type];

	sec->offset = htole64(offset);
	sec->length = htole64((__u64)entry_size * nr);
	sec->entry_size = htole32(entry_size);
}

static __u32 add_string(struct synth *s, const char *text)
{
	struct cxlfork_section *sec = &s->image->sections[CXLFORK_SEC_STRINGS];
	__u32 at = le64toh(sec->length);

	put_text(s->strings + at, text);
	sec->length = htole64(at + strlen(text) + 1);
	return htole32(at);
}

static void build_header(struct synth *s)
{
	struct cxlfork_image *image = s->image;

	set_head(&image->head, CXLFORK_MAGIC_IMAGE, sizeof(*image));
	image->id = htole64(SYNTH_ID);
	image->phys_base = htole64(SYNTH_BASE);
	image->nr_extents = htole32(2);
	image->extents_off = htole64(EXTENTS_OFF);
	image->leaves_off = htole64(TABLES_OFF);
	image->data_off = htole64(DATA_OFF);
	image->nr_leaves = htole64(SYNTH_NR_LEAVES);
	image->nr_pages = htole64(SYNTH_NR_PAGES);
	image->xfeatures = htole64(7);
	put_text(image->kernel, "6.12.0-cxlfork");
	image->page_shift = htole32(12);
	image->machine = htole32(62);
	s->extents[0] = htole32(EXTENT_A);
	s->extents[1] = htole32(EXTENT_B);

	add_section(s, CXLFORK_SEC_TASK, TASK_OFF, sizeof(*s->task), 1);
	add_section(s, CXLFORK_SEC_XSTATE, XSTATE_OFF, 1, XSTATE_LEN);
	add_section(s, CXLFORK_SEC_MM, MM_OFF, sizeof(*s->mm), 1);
	add_section(s, CXLFORK_SEC_VMAS, VMAS_OFF, sizeof(*s->vmas), NR_VMAS);
	add_section(s, CXLFORK_SEC_STRINGS, STRINGS_OFF, 1, 0);
	add_section(s, CXLFORK_SEC_FILES, FILES_OFF, sizeof(*s->files), 1);
	add_section(s, CXLFORK_SEC_FDS, FDS_OFF, sizeof(*s->fds), NR_FDS);
	add_section(s, CXLFORK_SEC_SIGACTIONS, SIG_OFF, sizeof(*s->sigactions),
		    NR_SIG);
	add_section(s, CXLFORK_SEC_LEAVES, LEAVES_OFF, sizeof(*s->leaves),
		    SYNTH_NR_LEAVES);
	add_section(s, CXLFORK_SEC_DIRTY, DIRTY_OFF, CXLFORK_LEAF_ENTRIES / 8,
		    SYNTH_NR_LEAVES);
	add_section(s, CXLFORK_SEC_PARENTS, PARENTS_OFF,
		    sizeof(struct cxlfork_parent), 0);
}

static void build_state(struct synth *s)
{
	struct cxlfork_task *task = s->task;
	struct cxlfork_mm_state *mm = s->mm;

	task->regs[16] = htole64(0x400100);
	task->regs[17] = htole64(0x33);
	task->regs[19] = htole64(0x7ffffffdf000);
	task->regs[20] = htole64(0x2b);
	task->fsbase = htole64(0x600000);
	task->clear_tid = htole64(0x600010);
	task->tid = htole32(4711);
	task->umask = htole32(022);
	task->cwd = add_string(s, "/srv");
	task->payload = htole64(0x601000);
	task->payload_max = htole32(4096);
	task->payload_size_at = htole64(0x602000);
	put_text(task->comm, "function");

	s->xstate[512] = 3;	/* x87 and SSE in use */

	mm->start_code = htole64(0x400000);
	mm->end_code = htole64(0x402000);
	mm->start_brk = htole64(0x600000);
	mm->brk = htole64(0x800000);
	mm->start_stack = htole64(0x7ffffffdf800);
	mm->mmap_base = htole64(0x7ffff0000000);
	mm->nr_auxv = htole32(2);
	mm->pkey_map = htole32(1 | 1 << 3);
	mm->exec_pkey = htole32(3);

	s->sigactions[1].handler = htole64(0x400200);

	s->files[0].path = add_string(s, "/usr/bin/function");
	s->files[0].ino = htole64(99);
	s->files[0].size = htole64(8192);
}

static void add_vma(struct synth *s, int i, __u64 start, __u64 end,
		    __u32 flags)
{
	s->vmas[i].start = htole64(start);
	s->vmas[i].end = htole64(end);
	s->vmas[i].flags = htole32(flags | CXLFORK_VMA_MAYREAD |
				   CXLFORK_VMA_MAYEXEC);
	s->vmas[i].file = htole32(CXLFORK_NO_FILE);
}

static void build_vmas(struct synth *s)
{
	const __u32 rw = CXLFORK_VMA_READ | CXLFORK_VMA_WRITE |
			 CXLFORK_VMA_MAYWRITE;

	add_vma(s, VMA_CODE, 0x400000, 0x402000, CXLFORK_VMA_READ |
		CXLFORK_VMA_EXEC | CXLFORK_VMA_MAYWRITE);
	s->vmas[VMA_CODE].file = htole32(0);
	add_vma(s, VMA_HEAP, 0x600000, 0x800000, rw);
	add_vma(s, VMA_HIDDEN, 0xa00000, 0xa10000, CXLFORK_VMA_MAYWRITE);
	s->vmas[VMA_HIDDEN].pkey = htole32(3);
	add_vma(s, VMA_WIPE, 0xa10000, 0xa20000, rw | CXLFORK_VMA_WIPEONFORK);
	add_vma(s, VMA_SHARED, 0xa20000, 0xa21000, CXLFORK_VMA_READ |
		CXLFORK_VMA_MAYSHARE);
	s->vmas[VMA_SHARED].file = htole32(0);
	add_vma(s, VMA_STACK, 0x7ffffffde000, 0x7ffffffe0000,
		rw | CXLFORK_VMA_GROWSDOWN);
}

static void add_fd(struct synth *s, int i, __u32 kind, const char *path)
{
	s->fds[i].fd = htole32(i);
	s->fds[i].kind = htole32(kind);
	s->fds[i].path = path ? add_string(s, path) :
				htole32(CXLFORK_NO_STRING);
}

static void build_fds(struct synth *s)
{
	add_fd(s, FD_0, CXLFORK_FD_HANDOVER, NULL);
	add_fd(s, FD_1, CXLFORK_FD_HANDOVER, NULL);
	add_fd(s, FD_2, CXLFORK_FD_HANDOVER, NULL);
	add_fd(s, FD_FILE, CXLFORK_FD_REGULAR, "/srv/model");
	add_fd(s, FD_DUP, CXLFORK_FD_REGULAR, NULL);
	s->fds[FD_DUP].flags = htole32(CXLFORK_FD_SAME | CXLFORK_FD_CLOEXEC);
	s->fds[FD_DUP].same = htole32(FD_FILE);
	add_fd(s, FD_NULL, CXLFORK_FD_CHARDEV, "/dev/null");
	s->fds[FD_NULL].rdev = htole32(0x103);
	add_fd(s, FD_DEVICE, CXLFORK_FD_POOL, NULL);
}

/* Physical address of data page @n. */
static __u64 page_addr(unsigned int n)
{
	if (n < 6)
		return SYNTH_BASE + EXTENT_A * CXLFORK_EXTENT_SIZE +
		       DATA_OFF + n * 4096;
	return SYNTH_BASE + EXTENT_B * CXLFORK_EXTENT_SIZE + (n - 6) * 4096;
}

static void add_leaf(struct synth *s, int i, __u64 addr, __u32 nr, __u32 flags)
{
	s->leaves[i].addr = htole64(addr);
	s->leaves[i].nr_pages = htole32(nr);
	s->leaves[i].flags = htole32(flags);
}

static void build_leaves(struct synth *s)
{
	const __u64 rx = P | US | SPECIAL, rw = P | US | SPECIAL | NX;

	add_leaf(s, 0, 0x400000, 2, 0);
	s->tables[0][0] = htole64(page_addr(0) | rx | A);
	s->tables[0][1] = htole64(page_addr(1) | rx);
	add_leaf(s, 1, 0x600000, 4, CXLFORK_LEAF_WHOLE);
	s->tables[1][0] = htole64(page_addr(2) | rw | A);
	s->tables[1][1] = htole64(page_addr(3) | rw);
	s->tables[1][2] = htole64(page_addr(4) | rw);
	s->tables[1][511] = htole64(page_addr(9) | rw);
	s->dirty[8] = htole64(7);
	/* not accessible: the address is inverted */
	add_leaf(s, 2, 0xa00000, 2, 0);
	s->tables[2][0] = htole64((~page_addr(5) & PFN) | NONE | SPECIAL |
				  3ULL << 59);
	s->tables[2][15] = htole64((~page_addr(6) & PFN) | NONE | SPECIAL |
				   3ULL << 59);
	add_leaf(s, 3, 0x7fffffe00000, 2, 0);
	s->tables[3][478] = htole64(page_addr(7) | rw | A);
	s->tables[3][479] = htole64(page_addr(8) | rw | A);
	s->dirty[3 * 8 + 7] = htole64(1ULL << 30 | 1ULL << 31);
}

/* As the first one, but that one page of the heap is its own. */
static void build_child(struct synth *s)
{
	const __u64 own = SYNTH_BASE + EXTENT_CHILD * CXLFORK_EXTENT_SIZE +
			  DATA_OFF;
	struct cxlfork_section *sec =
		&s->child_image->sections[CXLFORK_SEC_PARENTS];

	memcpy(s->child_image, s->image, TABLES_OFF + SYNTH_NR_LEAVES * 4096);
	s->child_image->id = htole64(SYNTH_CHILD_ID);
	s->child_image->nr_extents = htole32(1);
	s->child_image->nr_pages = htole64(1);
	s->child_extents[0] = htole32(EXTENT_CHILD);
	s->child_extents[1] = 0;
	s->child_tables[1][1] = htole64(own | P | US | SPECIAL | NX);
	sec->length = htole64(sizeof(*s->parents));
	s->parents[0].id = htole64(SYNTH_ID);
	s->parents[0].first = s->entry->first;
}

void synth_build(struct synth *s, void *mem)
{
	__u8 *first = (__u8 *)mem + EXTENT_A * CXLFORK_EXTENT_SIZE;
	__u8 *child = (__u8 *)mem + EXTENT_CHILD * CXLFORK_EXTENT_SIZE;

	memset(mem, 0, SYNTH_SIZE);
	s->mem = mem;
	s->super = mem;
	s->slots = (void *)(s->mem + SYNTH_SLOTS_OFF);
	s->etable = (void *)(s->mem + SYNTH_ETABLE_OFF);
	s->entry = &s->slots[0].ckpts[SYNTH_IDX];
	s->writing = &s->slots[1].ckpts[0];
	s->image = (void *)first;
	s->extents = (void *)(first + EXTENTS_OFF);
	s->task = (void *)(first + TASK_OFF);
	s->xstate = first + XSTATE_OFF;
	s->mm = (void *)(first + MM_OFF);
	s->vmas = (void *)(first + VMAS_OFF);
	s->strings = (void *)(first + STRINGS_OFF);
	s->files = (void *)(first + FILES_OFF);
	s->fds = (void *)(first + FDS_OFF);
	s->sigactions = (void *)(first + SIG_OFF);
	s->leaves = (void *)(first + LEAVES_OFF);
	s->dirty = (void *)(first + DIRTY_OFF);
	s->tables = (void *)(first + TABLES_OFF);
	s->freed = &s->slots[0].ckpts[CXLFORK_ID_IDX(SYNTH_FREED_ID)];
	s->child = &s->slots[1].ckpts[SYNTH_CHILD_IDX];
	s->child_image = (void *)child;
	s->child_extents = (void *)(child + EXTENTS_OFF);
	s->child_tables = (void *)(child + TABLES_OFF);
	s->parents = (void *)(child + PARENTS_OFF);

	build_pool(s);
	build_entries(s);
	build_header(s);
	build_state(s);
	build_vmas(s);
	build_fds(s);
	build_leaves(s);
	build_child(s);
	build_holds(s);
	synth_seal(s);
}

static void seal_entry(struct cxlfork_ckpt_entry *entry)
{
	seal(&entry->head, &entry->head, sizeof(*entry) -
	     offsetof(struct cxlfork_ckpt_entry, head));
}

static void seal_image(struct cxlfork_image *image)
{
	__u8 *first = (__u8 *)image;
	struct cxlfork_section *sec;
	size_t nr;
	int i;

	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		sec = &image->sections[i];
		/* one that was made nonsense is nonsense with any CRC */
		if (le64toh(sec->offset) < CXLFORK_EXTENT_SIZE &&
		    le64toh(sec->length) < CXLFORK_EXTENT_SIZE -
					   le64toh(sec->offset))
			sec->crc = htole32(crc32c(first + le64toh(sec->offset),
						  le64toh(sec->length)));
	}
	nr = le32toh(image->nr_extents) & 7;
	image->extents_crc = htole32(crc32c(first + EXTENTS_OFF,
					    nr * sizeof(__le32)));
	seal(image, &image->head, sizeof(*image));
}

void synth_seal(struct synth *s)
{
	int i;

	seal_image(s->image);
	seal_image(s->child_image);
	seal_entry(s->entry);
	seal_entry(s->child);
	seal_entry(s->writing);
	seal_entry(s->freed);
	for (i = 0; i < SYNTH_HOSTS; i++)
		seal(&s->slots[i].host, &s->slots[i].host.head,
		     offsetof(struct cxlfork_host, claim));
	seal(s->super, &s->super->head, sizeof(*s->super));
}

void synth_childless(struct synth *s)
{
	s->child->word = 0;
	s->etable[EXTENT_CHILD] = 0;
	s->slots[1].keeps[0][SYNTH_IDX] = 0;
	s->slots[0].keeps[1][SYNTH_CHILD_IDX] = 0;
}
