/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The on-CXL format of CXLfork: the contract between the hosts of a pod.
 *
 * All numbers are little-endian.  Places are offsets from the start of the
 * region, never addresses, with one exception: the entries of leaf page tables
 * hold host physical addresses for the base that the image header records.
 * Every structure starts with a struct cxlfork_head.  A version that is not
 * known is refused.  Reserved fields are zero when written and not looked at.
 *
 * Who writes what: the superblock is written once, by whoever formats.  A host
 * slot, its directory and its tables are written by that host only; of a host
 * that was declared dead (fenced), its directory is written by the one that
 * takes care of it, see struct cxlfork_slot.  The extent table is the one place
 * that several hosts write: a word goes from zero to its owner by
 * compare-and-swap on a coherent pool; on another pool each host claims only in
 * its own share, which starts on a cache line.
 */
#ifndef _UAPI_LINUX_CXLFORK_FORMAT_H
#define _UAPI_LINUX_CXLFORK_FORMAT_H

#include <linux/types.h>

#define CXLFORK_FORMAT_VERSION	2

#define CXLFORK_EXTENT_SHIFT	21
#define CXLFORK_EXTENT_SIZE	(1ULL << CXLFORK_EXTENT_SHIFT)
#define CXLFORK_LEAF_ENTRIES	512
#define CXLFORK_MAX_SLOTS	16
#define CXLFORK_MAX_CKPTS	128	/* directory entries a host has */

#define CXLFORK_MAGIC_SUPER	0x53465843U	/* "CXFS" */
#define CXLFORK_MAGIC_SLOT	0x48465843U	/* "CXFH" */
#define CXLFORK_MAGIC_CKPT	0x43465843U	/* "CXFC" */
#define CXLFORK_MAGIC_IMAGE	0x49465843U	/* "CXFI" */

/**
 * struct cxlfork_head - how every structure starts
 * @magic:	CXLFORK_MAGIC_*
 * @version:	CXLFORK_FORMAT_VERSION
 * @length:	bytes of the structure that @crc covers, from its start
 * @crc:	CRC32C (seed ~0, result inverted) over @length bytes, with this
 *		field zero
 */
struct cxlfork_head {
	__le32	magic;
	__le32	version;
	__le32	length;
	__le32	crc;
};

/**
 * struct cxlfork_super - the superblock, at offset 0; one page
 * @head:	its magic is written last when a region is formatted
 * @uuid:	of the pool
 * @size:	bytes of the region that the pool uses, a multiple of an extent
 * @extent_size: CXLFORK_EXTENT_SIZE
 * @nr_extents:	@size / @extent_size; extents are counted from offset 0
 * @first_extent: the first one that can hold checkpoints; those below hold
 *		superblock, slots and extent table
 * @nr_slots:	host slots, at most CXLFORK_MAX_SLOTS
 * @nr_ckpts:	directory entries of a slot: CXLFORK_MAX_CKPTS
 * @flags:	CXLFORK_POOL_*
 * @slots_off:	offset of the first slot
 * @slot_size:	CXLFORK_SLOT_SIZE
 * @etable_off:	offset of the extent table: a __le64 for each extent: zero (free),
 *		the id of the checkpoint it belongs to, or
 *		CXLFORK_EXTENT_META for those below @first_extent
 * @created:	seconds since the epoch
 */
struct cxlfork_super {
	struct cxlfork_head	head;
	__u8			uuid[16];
	__le64			size;
	__le64			extent_size;
	__le32			nr_extents;
	__le32			first_extent;
	__le32			nr_slots;
	__le32			nr_ckpts;
	__le32			flags;
	__le32			reserved0;
	__le64			slots_off;
	__le64			slot_size;
	__le64			etable_off;
	__le64			created;
	__u8			reserved[3992];
};

#define CXLFORK_EXTENT_META	0xffffffffffffffffULL

/**
 * struct cxlfork_host - who has a slot; the slot's first 512 bytes
 * @head:	covers what does not change while the host is attached: up to
 *		@claim
 * @host_uuid:	identity of the host (SMBIOS system UUID)
 * @boot_epoch:	raised at each attach
 * @phys_base:	host physical address of the region there
 * @attached:	seconds since the epoch
 * @name:	node name
 * @kernel:	kernel release
 * @claim:	0: free; else the first 8 bytes of the @host_uuid, xor the other 8,
 *		with bit 0 set.
 *		Claimed by compare-and-swap on a coherent pool; on another one the
 *		administrator says which slot is whose.  Own cache line
 * @state:	enum cxlfork_host_state; own cache line with the next two
 * @heartbeat:	raised about once a second while attached
 * @epoch:	@boot_epoch, as one word that is never torn
 */
struct cxlfork_host {
	struct cxlfork_head	head;
	__u8			host_uuid[16];
	__le64			boot_epoch;
	__le64			phys_base;
	__le64			attached;
	__le64			reserved0;
	__u8			name[64];
	__u8			kernel[64];
	__u8			reserved1[128];
	__le64			claim;
	__u8			reserved2[56];
	__le64			state;
	__le64			heartbeat;
	__le64			epoch;
	__u8			reserved3[40];
	__u8			reserved4[64];
};

/*
 * A checkpoint's id says where its directory entry is.  The generation makes
 * it unique for the life of the pool: an entry that is used again raises it.
 */
#define CXLFORK_ID(gen, slot, idx) \
	(((__u64)(gen) << 16) | ((__u64)((slot) + 1) << 8) | (__u64)(idx))
#define CXLFORK_ID_GEN(id)	((__u64)(id) >> 16)
#define CXLFORK_ID_SLOT(id)	((int)(((id) >> 8) & 0xff) - 1)
#define CXLFORK_ID_IDX(id)	((unsigned int)((id) & 0xff))
#define CXLFORK_GEN_MAX		((1ULL << 40) - 1)

/* The publication word of a directory entry: generation and state. */
#define CXLFORK_WORD(gen, state)	(((__u64)(gen) << 8) | (state))
#define CXLFORK_WORD_GEN(w)	((__u64)(w) >> 8)
#define CXLFORK_WORD_STATE(w)	((__u32)((w) & 0xff))

/**
 * struct cxlfork_ckpt_entry - directory entry of a checkpoint
 * @word:	publication word, the last one written: CXLFORK_WORD(generation,
 *		enum cxlfork_ckpt_state); own cache line with @expires
 * @expires:	seconds since the epoch: not restored from then on; 0: never.
 *		May change while the checkpoint is LIVE
 * @head:	covers from itself to the end of the entry.  While the checkpoint
 *		is WRITING it is there already, with what is known: @id, @bytes,
 *		@uid, @gid, @mode, @name
 * @id:		CXLFORK_ID()
 * @first:	offset of the image header (start of an extent)
 * @bytes:	extents it takes, in bytes
 * @pages:	data pages that it stores
 * @created:	seconds since the epoch
 * @uid:	owner (init_user_ns)
 * @gid:	group (init_user_ns)
 * @mode:	permission bits
 * @nr_parents:	checkpoints whose pages its leaves map, see CXLFORK_SEC_PARENTS
 * @name:	NUL-terminated; empty: none
 */
struct cxlfork_ckpt_entry {
	__le64			word;
	__le64			expires;
	__u8			reserved0[48];
	struct cxlfork_head	head;
	__le64			id;
	__le64			first;
	__le64			bytes;
	__le64			pages;
	__le64			created;
	__le32			uid;
	__le32			gid;
	__le32			mode;
	__le32			nr_parents;
	__u8			name[64];
	__u8			reserved[56];
};

/*
 * Reference word: what one host holds of one checkpoint, in that host's own
 * table: refs[owner slot][directory index].  Another generation: nothing.
 */
#define CXLFORK_REF(gen, del, count) \
	(((__u64)(gen) << 24) | ((del) ? 1ULL << 23 : 0) | (__u64)(count))
#define CXLFORK_REF_GEN(w)	((__u64)(w) >> 24)
#define CXLFORK_REF_DEL(w)	(((w) >> 23) & 1)	/* asks the owner to delete */
#define CXLFORK_REF_COUNT(w)	((__u32)((w) & ((1U << 23) - 1)))
#define CXLFORK_REF_COUNT_MAX	((1U << 23) - 1)

/*
 * Keep word: what holds a checkpoint beyond the boot of the host that wrote the
 * word: how many checkpoints of its directory (all but FREE ones) have the
 * checkpoint as a parent, and whether somebody there has pinned it.  Same shape
 * as a reference word; the bit says pinned.
 *
 * The count is up before a child is LIVE and goes down after it is FREE; it may
 * be too high after a crash, until the host boots or is taken care of.  Who
 * raises it holds the parent already, if only by a reference on another of its
 * children, and looks at its word afterwards: if that says neither LIVE nor
 * RETIRING, it doesn't count.  A RETIRING parent's host therefore says FREEING
 * and looks at all references and keeps once more (in this order) before it
 * gives the extents back; if there are any, it says RETIRING again.
 */
#define CXLFORK_KEEP(gen, pin, count)	CXLFORK_REF(gen, pin, count)
#define CXLFORK_KEEP_GEN(w)	CXLFORK_REF_GEN(w)
#define CXLFORK_KEEP_PIN(w)	CXLFORK_REF_DEL(w)
#define CXLFORK_KEEP_COUNT(w)	CXLFORK_REF_COUNT(w)

/**
 * struct cxlfork_slot - all that one host writes, its images apart
 * @host:	identity and heartbeat
 * @fences:	hosts that this one has declared dead: their epoch then, or 0
 * @ckpts:	its directory of checkpoints
 * @refs:	what it holds of everybody's checkpoints, until it boots again
 * @keeps:	what it holds beyond that
 * @restored:	when it made a clone of a checkpoint last: seconds since the epoch.  Of
 *		an earlier use of the entry if before the checkpoint was created
 *
 * A host is fenced while some host's @fences[its slot] is its own @host.epoch.
 * Its @refs don't count then, its @keeps and its LIVE checkpoints do.  Of the
 * hosts that have fenced it and are ALIVE and not fenced themselves, the one
 * with the lowest slot writes @ckpts (word and expires only), the counts in
 * @keeps and the extent table in its place.  When it boots again it raises its epoch and then waits
 * until no host that is ALIVE has anything but 0 in @fences[its slot].
 */
struct cxlfork_slot {
	struct cxlfork_host		host;
	__le64				fences[CXLFORK_MAX_SLOTS];
	__u8				reserved0[3456];
	struct cxlfork_ckpt_entry	ckpts[CXLFORK_MAX_CKPTS];
	__le64				refs[CXLFORK_MAX_SLOTS][CXLFORK_MAX_CKPTS];
	__le64				keeps[CXLFORK_MAX_SLOTS][CXLFORK_MAX_CKPTS];
	__le64				restored[CXLFORK_MAX_SLOTS][CXLFORK_MAX_CKPTS];
	__u8				reserved1[12288];
};

#define CXLFORK_SLOT_SIZE	98304

/*
 * The image of a checkpoint is a sequence of extents, which need not be
 * neighbours: logical offset L is byte L % 2 MiB of extent extents[L / 2 MiB].
 * It starts with the header (one page), then the table of its extents (__le32
 * each; wholly in the first extent), then the sections, leaf tables and data
 * pages.
 */
enum cxlfork_section_type {
	CXLFORK_SEC_TASK	= 0,	/* struct cxlfork_task, one */
	CXLFORK_SEC_XSTATE	= 1,	/* XSAVE area, standard format */
	CXLFORK_SEC_MM		= 2,	/* struct cxlfork_mm_state, one */
	CXLFORK_SEC_VMAS	= 3,	/* struct cxlfork_vma, ascending */
	CXLFORK_SEC_STRINGS	= 4,	/* NUL-terminated strings */
	CXLFORK_SEC_FILES	= 5,	/* struct cxlfork_file: mapped files */
	CXLFORK_SEC_FDS		= 6,	/* struct cxlfork_fd, ascending */
	CXLFORK_SEC_SIGACTIONS	= 7,	/* struct cxlfork_sigaction, 64 */
	CXLFORK_SEC_LEAVES	= 8,	/* struct cxlfork_leaf, ascending */
	CXLFORK_SEC_DIRTY	= 9,	/* __le64[8] a leaf: pages the parent wrote */
	CXLFORK_SEC_PARENTS	= 10,	/* struct cxlfork_parent, id ascending */
	CXLFORK_NR_SECTIONS	= 11,
};

/**
 * struct cxlfork_section - where a section lies
 * @offset:	logical offset in the image, a multiple of 8
 * @length:	bytes
 * @crc:	CRC32C of them
 * @entry_size:	bytes of one entry, as the writer knows it
 */
struct cxlfork_section {
	__le64	offset;
	__le64	length;
	__le32	crc;
	__le32	entry_size;
};

#define CXLFORK_CPU_WORDS	9

/**
 * struct cxlfork_image - header of a checkpoint's image; one page
 * @head:	covers the page
 * @id:		of the checkpoint
 * @phys_base:	base of the region that the leaves' entries are made for
 * @nr_extents:	extents of the image
 * @extents_crc: CRC32C of the table of extents
 * @extents_off: logical offset of that table
 * @leaves_off:	logical offset of the leaf tables, one page each, in the order
 *		of CXLFORK_SEC_LEAVES
 * @data_off:	logical offset of the data pages
 * @nr_leaves:	leaf tables
 * @nr_pages:	data pages that it stores; without parents, as many as its leaves
 *		map
 * @xfeatures:	XSAVE components in use
 * @cpu:	CPUID words user space may have built upon (CXLFORK_CPU_WORDS)
 * @vdso_id:	build id of the vDSO
 * @kernel:	kernel release, for people
 * @page_shift:	12
 * @machine:	EM_X86_64
 * @sections:	the sections
 */
struct cxlfork_image {
	struct cxlfork_head	head;
	__le64			id;
	__le64			phys_base;
	__le32			nr_extents;
	__le32			extents_crc;
	__le64			extents_off;
	__le64			leaves_off;
	__le64			data_off;
	__le64			nr_leaves;
	__le64			nr_pages;
	__le64			xfeatures;
	__le32			cpu[12];
	__u8			vdso_id[32];
	__u8			kernel[64];
	__le32			page_shift;
	__le32			machine;
	struct cxlfork_section	sections[CXLFORK_NR_SECTIONS];
	__u8			reserved[3592];
};

#define CXLFORK_NO_STRING	0xffffffffU
#define CXLFORK_NO_FILE		0xffffffffU
#define CXLFORK_NR_REGS		21	/* struct user_regs_struct without bases and segments */

/**
 * struct cxlfork_task - the task
 * @regs:	r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs
 *		flags sp ss
 * @fsbase:	FS base
 * @gsbase:	GS base
 * @sigmask:	blocked signals
 * @altstack_sp: alternate signal stack
 * @altstack_size: its size
 * @altstack_flags: SS_*
 * @umask:	file mode creation mask
 * @rseq:	user address of struct rseq, or 0
 * @rseq_len:	its registered length
 * @rseq_sig:	its signature
 * @robust_list: user address of the robust futex list head, or 0
 * @clear_tid:	user address that set_tid_address() registered, or 0
 * @tid:	thread id the task had; where @clear_tid holds it, the clone finds
 *		its own there
 * @personality: of the task
 * @payload:	user address of the payload buffer, or 0
 * @payload_max: its size
 * @payload_size_at: user address of the __u32 that gets the bytes received
 * @cwd:	string: working directory
 * @comm:	name of the task
 */
struct cxlfork_task {
	__le64	regs[CXLFORK_NR_REGS];
	__le64	fsbase;
	__le64	gsbase;
	__le64	sigmask;
	__le64	altstack_sp;
	__le64	altstack_size;
	__le32	altstack_flags;
	__le32	umask;
	__le64	rseq;
	__le32	rseq_len;
	__le32	rseq_sig;
	__le64	robust_list;
	__le64	clear_tid;
	__le32	tid;
	__le32	personality;
	__le64	payload;
	__le64	payload_size_at;
	__le32	payload_max;
	__le32	cwd;
	__u8	comm[16];
};

#define CXLFORK_AUXV_WORDS	64

/**
 * struct cxlfork_mm_state - the address space, its mappings apart
 * @start_code: as in struct mm_struct; likewise the following
 * @vdso:	address of the vDSO, or 0
 * @exe:	index in CXLFORK_SEC_FILES of the program
 * @pkey_map:	protection keys allocated
 * @exec_pkey:	key for execute-only mappings; all ones: none
 * @nr_auxv:	words of @auxv
 * @auxv:	auxiliary vector
 */
struct cxlfork_mm_state {
	__le64	start_code, end_code, start_data, end_data;
	__le64	start_brk, brk, start_stack;
	__le64	arg_start, arg_end, env_start, env_end;
	__le64	mmap_base;
	__le64	vdso;
	__le32	exe;
	__le32	pkey_map;
	__le32	exec_pkey;
	__le32	nr_auxv;
	__le64	auxv[CXLFORK_AUXV_WORDS];
};

/* struct cxlfork_vma.flags: the kernel's VM_* numbers are not a contract */
#define CXLFORK_VMA_READ	(1U << 0)
#define CXLFORK_VMA_WRITE	(1U << 1)
#define CXLFORK_VMA_EXEC	(1U << 2)
#define CXLFORK_VMA_MAYREAD	(1U << 3)
#define CXLFORK_VMA_MAYWRITE	(1U << 4)
#define CXLFORK_VMA_MAYEXEC	(1U << 5)
#define CXLFORK_VMA_MAYSHARE	(1U << 6)	/* MAP_SHARED of a file opened read-only */
#define CXLFORK_VMA_GROWSDOWN	(1U << 7)
#define CXLFORK_VMA_ACCOUNT	(1U << 8)
#define CXLFORK_VMA_NORESERVE	(1U << 9)
#define CXLFORK_VMA_HUGEPAGE	(1U << 10)
#define CXLFORK_VMA_NOHUGEPAGE	(1U << 11)
#define CXLFORK_VMA_WIPEONFORK	(1U << 12)
#define CXLFORK_VMA_DROPPABLE	(1U << 13)
#define CXLFORK_VMA_DONTDUMP	(1U << 14)
#define CXLFORK_VMA_SEQ_READ	(1U << 15)
#define CXLFORK_VMA_RAND_READ	(1U << 16)
#define CXLFORK_VMA_SEALED	(1U << 17)
#define CXLFORK_VMA_ALL		((1U << 18) - 1)

/**
 * struct cxlfork_vma - a mapping
 * @start:	first byte
 * @end:	first byte after it
 * @flags:	CXLFORK_VMA_*
 * @pkey:	protection key
 * @pgoff:	offset in the file, in pages
 * @file:	index in CXLFORK_SEC_FILES, or CXLFORK_NO_FILE
 */
struct cxlfork_vma {
	__le64	start;
	__le64	end;
	__le32	flags;
	__le32	pkey;
	__le64	pgoff;
	__le32	file;
	__le32	reserved;
};

/**
 * struct cxlfork_file - a mapped file and what proves it identical
 * @path:	string: absolute, in the checkpointed process's root
 * @flags:	zero
 * @ino:	inode number
 * @size:	bytes
 * @mtime:	seconds
 * @mtime_nsec:	and nanoseconds of the last modification
 * @fs_magic:	type of the file system
 * @fs_uuid:	its UUID, or zero
 * @verity:	fs-verity digest, or zero
 * @verity_len:	its length, or 0
 * @build_id:	GNU build id of an ELF file, or zero
 * @build_id_len: its length, or 0
 */
struct cxlfork_file {
	__le32	path;
	__le32	flags;
	__le64	ino;
	__le64	size;
	__le64	mtime;
	__le32	mtime_nsec;
	__le32	verity_len;
	__le64	fs_magic;
	__u8	fs_uuid[16];
	__u8	verity[64];
	__u8	build_id[20];
	__le32	build_id_len;
};

enum cxlfork_fd_kind {
	CXLFORK_FD_HANDOVER	= 0,	/* the restorer's own takes its place */
	CXLFORK_FD_REGULAR	= 1,	/* regular file or directory: opened again */
	CXLFORK_FD_CHARDEV	= 2,	/* /dev/null and its kin: opened again */
	CXLFORK_FD_POOL		= 3,	/* the pool's control device */
};

/* struct cxlfork_fd.flags */
#define CXLFORK_FD_CLOEXEC	(1U << 0)
/* The same open file as the earlier entry @same. */
#define CXLFORK_FD_SAME		(1U << 1)

/**
 * struct cxlfork_fd - an open descriptor
 * @fd:		its number
 * @kind:	enum cxlfork_fd_kind
 * @flags:	CXLFORK_FD_*
 * @open_flags:	O_* it was opened with
 * @pos:	file offset
 * @ino:	inode number (regular files)
 * @path:	string
 * @same:	with CXLFORK_FD_SAME: index of the entry that it is a dup of
 * @rdev:	device number (character devices)
 */
struct cxlfork_fd {
	__le32	fd;
	__le32	kind;
	__le32	flags;
	__le32	open_flags;
	__le64	pos;
	__le64	ino;
	__le32	path;
	__le32	same;
	__le32	rdev;
	__le32	reserved;
};

/**
 * struct cxlfork_sigaction - what a signal does
 * @handler:	user address, or 0 (default), 1 (ignore)
 * @flags:	SA_*
 * @restorer:	user address
 * @mask:	blocked while it runs
 */
struct cxlfork_sigaction {
	__le64	handler;
	__le64	flags;
	__le64	restorer;
	__le64	mask;
};

/**
 * struct cxlfork_leaf - a leaf page table: 2 MiB of addresses
 * @addr:	first address it maps, a multiple of 2 MiB
 * @nr_pages:	entries that map a page, of this image or of a parent
 * @flags:	CXLFORK_LEAF_*
 */
struct cxlfork_leaf {
	__le64	addr;
	__le32	nr_pages;
	__le32	flags;
};

/* One private anonymous mapping covers all 2 MiB: the table can be attached. */
#define CXLFORK_LEAF_WHOLE	(1U << 0)
/*
 * Moreover the 512 data pages that the table maps are one extent (of this image
 * or of a parent), in order: one PMD can map them in its place.
 */
#define CXLFORK_LEAF_HUGE	(1U << 1)

/* Most checkpoints that an image can refer to. */
#define CXLFORK_MAX_PARENTS	15

/**
 * struct cxlfork_parent - a checkpoint whose pages this image's leaves map, too
 * @id:		of the checkpoint
 * @first:	offset of its image header
 *
 * All of them are named, not only the nearest: the parents of a parent that
 * pages are used of are parents.  They have the same owner (uid) as this one.  The
 * host that has this checkpoint in its directory keeps each of them, see
 * CXLFORK_KEEP(): whoever has a reference on this one needs none on them.
 */
struct cxlfork_parent {
	__le64	id;
	__le64	first;
};

/*
 * An entry of a leaf table is an x86-64 PTE: zero, or present (or PROT_NONE),
 * special, user, not writable, not dirty, maps a data page of this image or one
 * of a parent's (host physical address at @phys_base, whatever base the parent was
 * made for), with the no-execute bit and the protection key that its mapping asks
 * for.  Only the accessed bit may change later.
 */

#define CXLFORK_ASSERT_SIZE(type, size) \
	_Static_assert(sizeof(type) == (size), #type " is a contract")

CXLFORK_ASSERT_SIZE(struct cxlfork_head, 16);
CXLFORK_ASSERT_SIZE(struct cxlfork_super, 4096);
CXLFORK_ASSERT_SIZE(struct cxlfork_host, 512);
CXLFORK_ASSERT_SIZE(struct cxlfork_ckpt_entry, 256);
CXLFORK_ASSERT_SIZE(struct cxlfork_slot, CXLFORK_SLOT_SIZE);
CXLFORK_ASSERT_SIZE(struct cxlfork_section, 24);
CXLFORK_ASSERT_SIZE(struct cxlfork_image, 4096);
CXLFORK_ASSERT_SIZE(struct cxlfork_task, 296);
CXLFORK_ASSERT_SIZE(struct cxlfork_mm_state, 632);
CXLFORK_ASSERT_SIZE(struct cxlfork_vma, 40);
CXLFORK_ASSERT_SIZE(struct cxlfork_file, 152);
CXLFORK_ASSERT_SIZE(struct cxlfork_fd, 48);
CXLFORK_ASSERT_SIZE(struct cxlfork_sigaction, 32);
CXLFORK_ASSERT_SIZE(struct cxlfork_leaf, 16);
CXLFORK_ASSERT_SIZE(struct cxlfork_parent, 16);

#endif /* _UAPI_LINUX_CXLFORK_FORMAT_H */
