/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * CXLfork: clone a running process onto another host through shared CXL
 * memory.  The contract with user space: two system calls and the control
 * device of a pool.  What lies in CXL memory is in <linux/cxlfork_format.h>.
 */
#ifndef _UAPI_LINUX_CXLFORK_H
#define _UAPI_LINUX_CXLFORK_H

#include <linux/types.h>
#include <linux/ioctl.h>

/* Longest name of a checkpoint, its terminating NUL included. */
#define CXLFORK_NAME_MAX	64
/* Most bytes that a restore can hand to a clone. */
#define CXLFORK_PAYLOAD_MAX	65536
/* Most descriptors that one call can mark for handover or hand over. */
#define CXLFORK_HANDOVER_MAX	256
/* Most records a caller can ask for in one call. */
#define CXLFORK_REPORTS_MAX	4096

/**
 * enum cxlfork_reason - why something can't be checkpointed or restored
 *
 * The numbers are stable: scripts may test for them.
 */
enum cxlfork_reason {
	CXLFORK_REASON_NONE		= 0,
	/* what stands in the way of a checkpoint */
	CXLFORK_REASON_THREADS		= 1,	/* more than one thread */
	CXLFORK_REASON_SHARED_MM	= 2,	/* another process shares the memory */
	CXLFORK_REASON_VMA		= 3,	/* this mapping can't be cloned */
	CXLFORK_REASON_FD		= 4,	/* this descriptor can't be cloned */
	CXLFORK_REASON_TASK_STATE	= 5,	/* traced, stopped, exiting, LDT, ... */
	CXLFORK_REASON_ARCH		= 6,	/* not a plain 64-bit task */
	CXLFORK_REASON_PATH		= 7,	/* a file, cwd or program has no path any more */
	CXLFORK_REASON_PERMISSION	= 8,	/* the caller may not */
	CXLFORK_REASON_NO_SPACE		= 9,	/* value: bytes that are missing */
	CXLFORK_REASON_NAME		= 10,	/* name taken or not a name */
	CXLFORK_REASON_QUOTA		= 11,	/* value: bytes beyond the owner's quota */
	/* what stands in the way of a restore */
	CXLFORK_REASON_NO_CHECKPOINT	= 32,	/* no live checkpoint has this id */
	CXLFORK_REASON_IMAGE		= 33,	/* damaged or hostile; text says what */
	CXLFORK_REASON_VERSION		= 34,	/* format of another version */
	CXLFORK_REASON_KERNEL		= 35,	/* another kernel ABI or vDSO */
	CXLFORK_REASON_CPU		= 36,	/* this CPU lacks what the image uses */
	CXLFORK_REASON_FILE_CHANGED	= 37,	/* a mapped file is not the same file */
	CXLFORK_REASON_FILE		= 38,	/* a file can't be opened here */
	CXLFORK_REASON_HANDOVER		= 39,	/* a descriptor has to be handed over */
	CXLFORK_REASON_GHOST		= 40,	/* the caller is no proper ghost */
	CXLFORK_REASON_LIMIT		= 41,	/* a resource limit of the ghost */
	CXLFORK_REASON_PAYLOAD		= 42,	/* the checkpoint takes no (such) payload */
	CXLFORK_REASON_POOL		= 43,	/* the pool is not usable; text says why */
	CXLFORK_REASON_STREAM		= 44,	/* damaged or cut off; value: at which byte */
};

/**
 * struct cxlfork_report - one obstacle, exactly
 * @reason:	enum cxlfork_reason
 * @fd:		descriptor concerned, or -1
 * @start:	first byte of the mapping concerned, or 0
 * @end:	first byte after that mapping, or 0
 * @value:	a number that goes with @reason (bytes missing, flags, ...)
 * @text:	one line for people, NUL-terminated, without a newline
 */
struct cxlfork_report {
	__u32		reason;
	__s32		fd;
	__aligned_u64	start;
	__aligned_u64	end;
	__aligned_u64	value;
	char		text[160];
};

/* flags of struct cxlfork_args */
/* Only say what stands in the way (see @reports); write nothing, return 0. */
#define CXLFORK_CHECK		(1ULL << 0)
/* Once the checkpoint is published, end the checkpointed process (SIGKILL). */
#define CXLFORK_KILL		(1ULL << 1)
/* Pin the checkpoint, see CXLFORK_IOC_SET. */
#define CXLFORK_PIN		(1ULL << 2)

#define CXLFORK_FLAGS		(CXLFORK_CHECK | CXLFORK_KILL | CXLFORK_PIN)

/**
 * struct cxlfork_args - arguments of cxlfork()
 * @flags:	CXLFORK_*
 * @pool_fd:	descriptor of the pool's control device (/dev/cxlfork)
 * @pidfd:	process to checkpoint, or -1 for the caller
 * @name:	user pointer to the name; may be 0: the checkpoint has only an id
 * @name_len:	bytes of the name, without a NUL; 1..CXLFORK_NAME_MAX - 1
 * @nr_reports:	in: how many records fit at @reports; out: how many obstacles
 *		were found (may be more than fit)
 * @reports:	user pointer to struct cxlfork_report[@nr_reports]
 * @handover:	user pointer to __s32[@nr_handover]: descriptors of the
 *		checkpointed process that are not looked at; whoever restores has
 *		to hand over one of its own in place of each.  0, 1 and 2 are
 *		always such.
 * @nr_handover: at most CXLFORK_HANDOVER_MAX
 * @payload_size: size of the buffer at @payload; in a clone: bytes received
 * @payload:	buffer *in the checkpointed process* that a clone finds filled
 *		with what its restorer passed; 0: the checkpoint takes no payload.
 *		Only for pidfd -1.
 * @ttl:	seconds until it expires; 0: never
 * @mode:	permission bits of the group and of others: 4: they see it in the
 *		directory, 2: they may delete and change it.  Its owner may
 *		anyway; who else restores it is not decided by them
 * @reserved:	0
 *
 * cxlfork() returns the id of the checkpoint (> 0), or 0 in every clone, or
 * -1 with errno.
 */
struct cxlfork_args {
	__aligned_u64	flags;
	__s32		pool_fd;
	__s32		pidfd;
	__aligned_u64	name;
	__u32		name_len;
	__u32		nr_reports;
	__aligned_u64	reports;
	__aligned_u64	handover;
	__u32		nr_handover;
	__u32		payload_size;
	__aligned_u64	payload;
	__aligned_u64	ttl;
	__u32		mode;
	__u32		reserved;
};

#define CXLFORK_ARGS_SIZE_VER0	64
#define CXLFORK_ARGS_SIZE_VER1	80

/**
 * struct cxlfork_fd_map - a descriptor of the ghost in place of the image's
 * @image_fd:	number it gets in the clone
 * @ghost_fd:	number it has in the ghost
 */
struct cxlfork_fd_map {
	__s32	image_fd;
	__s32	ghost_fd;
};

#define CXLRESTORE_FLAGS	0ULL

/**
 * struct cxlrestore_args - arguments of cxlrestore()
 * @flags:	none yet: 0
 * @id:		checkpoint to become a clone of
 * @pool_fd:	descriptor of the pool's control device (/dev/cxlfork)
 * @nr_reports:	as in struct cxlfork_args
 * @reports:	as in struct cxlfork_args
 * @payload:	user pointer to what the clone shall find in its payload buffer
 * @payload_size: bytes of it; at most CXLFORK_PAYLOAD_MAX
 * @nr_fds:	entries at @fds; at most CXLFORK_HANDOVER_MAX
 * @fds:	user pointer to struct cxlfork_fd_map[@nr_fds].  0, 1 and 2 that
 *		are not named here are the ghost's own 0, 1 and 2.
 *
 * cxlrestore() does not return when it succeeds: the caller has become the
 * clone, which returns 0 from its cxlfork(), or goes on where it was stopped.
 * On failure nothing has changed and the caller lives on.
 */
struct cxlrestore_args {
	__aligned_u64	flags;
	__aligned_u64	id;
	__s32		pool_fd;
	__u32		nr_reports;
	__aligned_u64	reports;
	__aligned_u64	payload;
	__u32		payload_size;
	__u32		nr_fds;
	__aligned_u64	fds;
};

#define CXLRESTORE_ARGS_SIZE_VER0	56

/* The control device of a pool: /dev/cxlfork */

enum cxlfork_pool_state {
	CXLFORK_POOL_UNFORMATTED	= 0,	/* no usable format; why: see reason */
	CXLFORK_POOL_ATTACHED		= 1,	/* this host has a slot, all works */
};

enum cxlfork_host_state {
	CXLFORK_HOST_FREE	= 0,
	CXLFORK_HOST_ALIVE	= 1,	/* attached; see silent_ms */
	CXLFORK_HOST_DETACHED	= 2,	/* left in an orderly way */
	CXLFORK_HOST_FENCED	= 3,	/* declared dead; only reported, never stored */
};

enum cxlfork_ckpt_state {
	CXLFORK_CKPT_FREE	= 0,
	CXLFORK_CKPT_WRITING	= 1,
	CXLFORK_CKPT_LIVE	= 2,
	CXLFORK_CKPT_RETIRING	= 3,	/* deleted, still referenced */
	CXLFORK_CKPT_FREEING	= 4,	/* nobody seems to hold it; reported as RETIRING */
};

#define CXLFORK_POOL_COHERENT	(1U << 0)	/* loads see other hosts' stores */

/**
 * struct cxlfork_pool_info - what a pool is
 * @state:	enum cxlfork_pool_state
 * @version:	on-CXL format version (0: unformatted)
 * @size:	bytes of the region
 * @phys_base:	host physical address of the region on this host
 * @extent_size: bytes of an extent
 * @nr_extents:	extents that can hold checkpoints
 * @free_extents: how many of them are free now
 * @nr_slots:	host slots
 * @slot:	this host's slot, or ~0
 * @flags:	CXLFORK_POOL_*
 * @nr_ckpts:	directory entries one host has
 * @uuid:	of the pool
 * @reason:	for CXLFORK_POOL_UNFORMATTED: one line that says why
 */
struct cxlfork_pool_info {
	__u32		state;
	__u32		version;
	__aligned_u64	size;
	__aligned_u64	phys_base;
	__aligned_u64	extent_size;
	__aligned_u64	nr_extents;
	__aligned_u64	free_extents;
	__u32		nr_slots;
	__u32		slot;
	__u32		flags;
	__u32		nr_ckpts;
	__u8		uuid[16];
	char		reason[128];
};

/**
 * struct cxlfork_host_info - one host slot
 * @slot:	in: which; 0..nr_slots - 1
 * @state:	out: enum cxlfork_host_state
 * @boot_epoch:	how often this host has attached
 * @caretaker:	slot of the host that takes care of a fenced one, or ~0
 * @ckpts:	checkpoints in its directory
 * @refs:	references that it holds on anybody's checkpoints
 * @pins:	checkpoints that it pins
 * @heartbeat:	counter that a live host raises about once a second
 * @silent_ms:	how long this host has not seen it change, in milliseconds
 * @phys_base:	where that host sees the region
 * @host_uuid:	identity of the host
 * @name:	its node name
 * @kernel:	its kernel release
 */
struct cxlfork_host_info {
	__u32		slot;
	__u32		state;
	__u32		caretaker;
	__u32		ckpts;
	__u32		refs;
	__u32		pins;
	__aligned_u64	boot_epoch;
	__aligned_u64	heartbeat;
	__aligned_u64	silent_ms;
	__aligned_u64	phys_base;
	__u8		host_uuid[16];
	char		name[64];
	char		kernel[64];
};

/**
 * struct cxlfork_ckpt_info - one checkpoint of the directory
 * @cursor:	in: where to go on, 0 at first; out: what to pass next.  The
 *		call fails with ENOENT after the last one.
 * @id:		of the checkpoint
 * @state:	enum cxlfork_ckpt_state; free entries are not listed
 * @owner:	slot of the host that wrote it
 * @refs:	references of all hosts (one for each image in use)
 * @uid:	owner, in the initial user namespace's terms
 * @gid:	group, likewise
 * @mode:	permission bits
 * @created:	seconds since the epoch
 * @bytes:	CXL memory it takes
 * @pages:	data pages it holds
 * @first:	offset of its header from the start of the region
 * @expires:	seconds since the epoch, or 0: never
 * @restored:	when it was restored last, on any host; 0: never
 * @keeps:	checkpoints that have it as a parent
 * @pins:	bit mask of the slots of the hosts that have pinned it
 * @held:	bit mask of the slots of the hosts that refer to it
 * @nr_parents:	checkpoints whose pages it uses
 * @name:	or an empty string
 */
struct cxlfork_ckpt_info {
	__aligned_u64	cursor;
	__aligned_u64	id;
	__u32		state;
	__u32		owner;
	__u32		refs;
	__u32		uid;
	__u32		gid;
	__u32		mode;
	__aligned_u64	created;
	__aligned_u64	bytes;
	__aligned_u64	pages;
	__aligned_u64	first;
	__aligned_u64	expires;
	__aligned_u64	restored;
	__u32		keeps;
	__u32		pins;
	__u32		held;
	__u32		nr_parents;
	char		name[CXLFORK_NAME_MAX];
};

/* flags of struct cxlfork_ckpt_set: what to change */
#define CXLFORK_SET_PIN		(1ULL << 0)
#define CXLFORK_SET_UNPIN	(1ULL << 1)
#define CXLFORK_SET_TTL		(1ULL << 2)
#define CXLFORK_SET_FLAGS	(CXLFORK_SET_PIN | CXLFORK_SET_UNPIN | CXLFORK_SET_TTL)

/**
 * struct cxlfork_ckpt_set - change what may change of a checkpoint
 * @flags:	CXLFORK_SET_*
 * @id:		of the checkpoint
 * @ttl:	seconds from now until it expires; 0: never
 *
 * A pinned checkpoint neither expires nor can it be deleted; each host has a pin
 * of its own, which a reboot does not end.  The time can only be changed on the
 * host whose directory has the checkpoint (EREMOTE).
 */
struct cxlfork_ckpt_set {
	__aligned_u64	flags;
	__aligned_u64	id;
	__aligned_u64	ttl;
};

/* Although the host gives signs of life. */
#define CXLFORK_FENCE_FORCE	(1ULL << 0)
#define CXLFORK_FENCE_FLAGS	CXLFORK_FENCE_FORCE

/**
 * struct cxlfork_pool_fence - declare a host dead
 * @flags:	CXLFORK_FENCE_*
 * @slot:	of that host
 * @reserved:	0
 * @reason:	out, on error: one line that says why
 *
 * Whoever calls this knows that no process of that host will ever access the
 * region again before the host boots: it is switched off, or cut off from the
 * fabric.  Its references end; what it was writing is given back; what others
 * want to be deleted of its checkpoints is, by this host.  Should it be alive
 * after all, it ends its clones as soon as it learns of this.
 */
struct cxlfork_pool_fence {
	__aligned_u64	flags;
	__u32		slot;
	__u32		reserved;
	char		reason[128];
};

/**
 * struct cxlfork_pool_drain - get the clones of this host off the pool
 * @flags:	none yet: 0
 * @budget:	in: pages after which to return, about; 0: count, copy nothing
 * @copied:	out: pages that this call has copied to local memory
 * @lost:	out: pages that can't be read; who touches one gets SIGBUS
 * @pages:	out, if @budget is 0: pages in CXL memory that clones map
 * @users:	out: clones that may map pages of the pool, and calls that use it
 * @stuck:	out: clones that were tried and for which there was no memory
 *
 * From the first call until the descriptor is closed there are no new clones on
 * this host, and no exports; exports and imports that are open end (ENODEV).  Only
 * one descriptor can do this at a time (EBUSY).  Call it until
 * @users is 0: then this host refers to no checkpoint any more.  ENOMEM: only
 * such are left for which there is not enough memory.
 */
struct cxlfork_pool_drain {
	__aligned_u64	flags;
	__aligned_u64	budget;
	__aligned_u64	copied;
	__aligned_u64	lost;
	__aligned_u64	pages;
	__aligned_u64	users;
	__aligned_u64	stuck;
};

/**
 * struct cxlfork_lost - a page of the pool that this host can't read any more
 * @cursor:	in: where to go on, 0 at first; out: what to pass next.  The
 *		call fails with ENOENT after the last one.
 * @offset:	out: of the page in the region
 * @id:		out: checkpoint it belonged to when that was found, or 0
 * @clones:	out: processes of this host that had it mapped
 */
struct cxlfork_lost {
	__aligned_u64	cursor;
	__aligned_u64	offset;
	__aligned_u64	id;
	__aligned_u64	clones;
};

/* Format although a silent host may still use the pool, or over foreign data. */
#define CXLFORK_FORMAT_FORCE	(1ULL << 0)
#define CXLFORK_FORMAT_FLAGS	CXLFORK_FORMAT_FORCE

/**
 * struct cxlfork_pool_format - format the region and attach to it
 * @flags:	CXLFORK_FORMAT_*
 * @nr_slots:	hosts that can attach: 1..16; 0: 16
 * @pool_flags:	CXLFORK_POOL_*
 * @uuid:	of the new pool; all zero: a random one
 * @reason:	out, on error: one line that says why
 */
struct cxlfork_pool_format {
	__aligned_u64	flags;
	__u32		nr_slots;
	__u32		pool_flags;
	__u8		uuid[16];
	char		reason[128];
};

/**
 * struct cxlfork_export - read a checkpoint as a stream of bytes
 * @flags:	none yet: 0
 * @id:		of the checkpoint
 * @bytes:	out: how long the stream will be at most (pages that are all zero
 *		are left out)
 * @reports:	as in struct cxlfork_args
 * @nr_reports:	as in struct cxlfork_args
 * @reserved:	0
 *
 * The call returns a descriptor that the stream is read from, once and in
 * order; it is described in <linux/cxlfork_stream.h>.  While it is open it
 * refers to the checkpoint, as a clone does.  Needs what a restore needs, on a
 * host that could restore it.
 */
struct cxlfork_export {
	__aligned_u64	flags;
	__aligned_u64	id;
	__aligned_u64	bytes;
	__aligned_u64	reports;
	__u32		nr_reports;
	__u32		reserved;
};

/**
 * struct cxlfork_import - make a checkpoint of such a stream
 * @flags:	CXLFORK_PIN or 0
 * @name:	as in struct cxlfork_args; 0: the name that the stream says
 * @ttl:	as in struct cxlfork_args
 * @name_len:	as in struct cxlfork_args
 * @mode:	as in struct cxlfork_args
 *
 * The call returns a descriptor that the stream is written to.
 * CXLFORK_IOC_COMMIT on it publishes the checkpoint; if it is closed before,
 * nothing is left of it.  The checkpoint belongs to the caller.
 */
struct cxlfork_import {
	__aligned_u64	flags;
	__aligned_u64	name;
	__aligned_u64	ttl;
	__u32		name_len;
	__u32		mode;
};

/**
 * struct cxlfork_commit - all is written
 * @id:		out: of the new checkpoint
 * @reports:	as in struct cxlfork_args
 * @nr_reports:	as in struct cxlfork_args
 * @reserved:	0
 *
 * If something was wrong with the stream, so that a write() failed, this fails
 * with the same errno and says what it was.
 */
struct cxlfork_commit {
	__aligned_u64	id;
	__aligned_u64	reports;
	__u32		nr_reports;
	__u32		reserved;
};

#define CXLFORK_IOC_MAGIC	0xCF
#define CXLFORK_IOC_INFO	_IOR(CXLFORK_IOC_MAGIC, 0, struct cxlfork_pool_info)
#define CXLFORK_IOC_HOST	_IOWR(CXLFORK_IOC_MAGIC, 1, struct cxlfork_host_info)
#define CXLFORK_IOC_LIST	_IOWR(CXLFORK_IOC_MAGIC, 2, struct cxlfork_ckpt_info)
/*
 * Delete a checkpoint (argument: pointer to its id).  It goes on serving the
 * clones there are and is freed with the last one.  EINPROGRESS: it belongs to
 * a host that is silent now and will carry it out when it is back.
 */
#define CXLFORK_IOC_REMOVE	_IOW(CXLFORK_IOC_MAGIC, 3, __u64)
/* Needs CAP_SYS_ADMIN. */
#define CXLFORK_IOC_FORMAT	_IOWR(CXLFORK_IOC_MAGIC, 4, struct cxlfork_pool_format)
/* Needs CAP_SYS_ADMIN. */
#define CXLFORK_IOC_FENCE	_IOWR(CXLFORK_IOC_MAGIC, 5, struct cxlfork_pool_fence)
#define CXLFORK_IOC_SET		_IOW(CXLFORK_IOC_MAGIC, 6, struct cxlfork_ckpt_set)
/* Needs CAP_SYS_ADMIN. */
#define CXLFORK_IOC_DRAIN	_IOWR(CXLFORK_IOC_MAGIC, 7, struct cxlfork_pool_drain)
/* Needs CAP_SYS_ADMIN. */
#define CXLFORK_IOC_LOST	_IOWR(CXLFORK_IOC_MAGIC, 10, struct cxlfork_lost)
#define CXLFORK_IOC_EXPORT	_IOWR(CXLFORK_IOC_MAGIC, 8, struct cxlfork_export)
#define CXLFORK_IOC_IMPORT	_IOW(CXLFORK_IOC_MAGIC, 9, struct cxlfork_import)
/* Not on the control device, but on what CXLFORK_IOC_IMPORT returned. */
#define CXLFORK_IOC_COMMIT	_IOWR(CXLFORK_IOC_MAGIC, 32, struct cxlfork_commit)

/*
 * read() and pread() on the control device give the raw bytes of the region,
 * for checkers; they need CAP_SYS_ADMIN.
 */

#endif /* _UAPI_LINUX_CXLFORK_H */
