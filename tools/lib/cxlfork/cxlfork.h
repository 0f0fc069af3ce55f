/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libcxlfork: clone a running process onto another host through shared CXL
 * memory.  See libcxlfork(3), cxlfork(2) and cxlrestore(2).
 *
 * Unless said otherwise a function returns -1 and sets errno when it fails.
 */
#ifndef CXLFORK_H
#define CXLFORK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <linux/types.h>
#include <linux/cxlfork.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The control device of the pool, unless $CXLFORK_POOL names another one. */
#define CXLFORK_DEVICE		"/dev/cxlfork"

/* Bytes that hold every line of cxlfork_report_line(). */
#define CXLFORK_LINE_MAX	512

/* Bytes that hold every id as text (0x and 16 digits). */
#define CXLFORK_ID_TEXT_MAX	19

/**
 * struct cxlfork_reports - room for the kernel's reasons
 * @room:	records that fit at @list, at most CXLFORK_REPORTS_MAX
 * @found:	out: obstacles found; may be more than @room
 * @list:	the records
 */
struct cxlfork_reports {
	unsigned int		room;
	unsigned int		found;
	struct cxlfork_report	*list;
};

/**
 * struct cxlfork_hooks - what a runtime does around a checkpoint of itself
 * @before:	called right before the system call
 * @after_parent: called in the parent (or after a failure)
 * @after_clone: called in a clone
 *
 * Each may be NULL.  They are what pthread_atfork(3) handlers are to fork(2),
 * and are called without any other code running between them and the call.
 */
struct cxlfork_hooks {
	void	(*before)(void);
	void	(*after_parent)(void);
	void	(*after_clone)(void);
};

/**
 * struct cxlfork_request - which checkpoint is wanted; all zero is valid
 * @flags:	CXLFORK_KILL, CXLFORK_PIN
 * @pid:	process to checkpoint; 0: the caller
 * @name:	or NULL
 * @handover:	descriptors that whoever restores has to hand over
 * @nr_handover: at most CXLFORK_HANDOVER_MAX
 * @payload_size: bytes at @payload; out, in a clone: bytes received
 * @payload:	buffer that a clone finds filled, or NULL (only with @pid 0)
 * @hooks:	or NULL (only used with @pid 0)
 * @ttl:	seconds until it expires; 0: never
 * @mode:	what its group and others may: see struct cxlfork_args
 */
struct cxlfork_request {
	__u64			flags;
	pid_t				pid;
	const char			*name;
	const __s32			*handover;
	__u32			nr_handover;
	__u32			payload_size;
	void				*payload;
	const struct cxlfork_hooks	*hooks;
	__u64			ttl;
	__u32			mode;
};

/**
 * struct cxlfork_order - which clone is wanted
 * @id:		of the checkpoint
 * @payload:	what the clone shall find in its buffer, or NULL
 * @payload_size: bytes of it, at most CXLFORK_PAYLOAD_MAX
 * @nr_fds:	entries at @fds
 * @fds:	descriptors of the ghost in place of the image's
 */
struct cxlfork_order {
	__u64			id;
	const void			*payload;
	__u32			payload_size;
	__u32			nr_fds;
	const struct cxlfork_fd_map	*fds;
};

/* The system calls as they are: see cxlfork(2) and cxlrestore(2). */
__s64 cxlfork(struct cxlfork_args *args, size_t size);
int cxlrestore(struct cxlrestore_args *args, size_t size);

/**
 * cxlfork_open() - open the control device of the pool
 * @path: or NULL: $CXLFORK_POOL, or else CXLFORK_DEVICE
 *
 * Return: a close-on-exec descriptor.
 */
int cxlfork_open(const char *path);

/**
 * cxlfork_checkpoint() - write a checkpoint
 * @pool: descriptor from cxlfork_open()
 * @req: what is wanted
 * @reports: filled with the obstacles on failure, or NULL
 *
 * Return: the id (> 0); 0 in every clone of the caller.
 */
__s64 cxlfork_checkpoint(int pool, struct cxlfork_request *req,
			 struct cxlfork_reports *reports);

/**
 * cxlfork_check() - what stands in the way of a checkpoint?
 * @pool: descriptor from cxlfork_open()
 * @req: the checkpoint that would be wanted; its name and payload don't matter
 * @reports: filled with the obstacles
 *
 * Return: how many obstacles there are; 0: it can be cloned.
 */
int cxlfork_check(int pool, const struct cxlfork_request *req,
		  struct cxlfork_reports *reports);

/**
 * cxlfork_restore() - become a clone
 * @pool: descriptor from cxlfork_open()
 * @order: which
 * @reports: filled with the obstacles on failure, or NULL
 *
 * Return: only when it fails, and then nothing has changed.
 */
int cxlfork_restore(int pool, const struct cxlfork_order *order,
		    struct cxlfork_reports *reports);

/* cxlfork_spawn(): the clone leads a session of its own. */
#define CXLFORK_SPAWN_SETSID	0x1U

/**
 * cxlfork_spawn() - make a clone as a child process
 * @pool: descriptor from cxlfork_open()
 * @order: which
 * @flags: CXLFORK_SPAWN_*
 * @reports: filled with the obstacles on failure, or NULL
 *
 * Forks a ghost, which becomes the clone.  One that is killed before can't be told
 * from a clone that is: waitpid(2) tells.  If another thread forks meanwhile, a
 * child that does not exec() keeps the caller waiting as long as it lives.
 *
 * Return: its pid, once it is the clone; wait for it as for any child.
 */
pid_t cxlfork_spawn(int pool, const struct cxlfork_order *order,
		    unsigned int flags, struct cxlfork_reports *reports);

/**
 * cxlfork_spawn_via() - have a waiting cxlfork-ghost(1) become a clone
 * @pool: descriptor from cxlfork_open(); the ghost is handed it
 * @socket: path of the ghost's socket, or @ and an abstract name
 * @order: which; the descriptors in it are the caller's
 * @reports: filled with the obstacles on failure, or NULL
 *
 * ESRCH: the ghost has no pid in the caller's pid namespace; it has no order.
 *
 * Return: pid of the ghost, now the clone; it is no child of the caller.
 */
pid_t cxlfork_spawn_via(int pool, const char *socket,
			const struct cxlfork_order *order,
			struct cxlfork_reports *reports);

/**
 * cxlfork_next() - go through the checkpoints of all hosts
 * @pool: descriptor from cxlfork_open()
 * @info: all zero at first, then what the last call left there
 *
 * Return: 1 and the next checkpoint; 0 after the last one.
 */
int cxlfork_next(int pool, struct cxlfork_ckpt_info *info);

/**
 * cxlfork_lookup() - find a checkpoint
 * @pool: descriptor from cxlfork_open()
 * @what: its id (decimal or 0x...) or its name
 * @info: filled in
 *
 * Names are looked for among live checkpoints: the caller's own one, or else
 * the only one.  ENOTUNIQ: several users have one of that name, only the id
 * tells them apart.
 */
int cxlfork_lookup(int pool, const char *what, struct cxlfork_ckpt_info *info);

/**
 * cxlfork_remove() - delete a checkpoint
 * @pool: descriptor from cxlfork_open()
 * @id: which
 *
 * Clones that run go on.  EINPROGRESS: its host is silent and will do it later.
 * EBUSY: it is pinned.
 */
int cxlfork_remove(int pool, __u64 id);

/**
 * cxlfork_pin() - pin a checkpoint, or let go of it
 * @pool: descriptor from cxlfork_open()
 * @id: which
 * @pin: pin it; else the pin of this host ends
 *
 * What is pinned neither expires nor can it be deleted.  Each host has a pin of
 * its own, which a reboot does not end.
 */
int cxlfork_pin(int pool, __u64 id, bool pin);

/**
 * cxlfork_set_ttl() - change when a checkpoint expires
 * @pool: descriptor from cxlfork_open()
 * @id: which
 * @ttl: seconds from now; 0: never
 *
 * EREMOTE: only the host that has it in its directory can.
 */
int cxlfork_set_ttl(int pool, __u64 id, __u64 ttl);

/* cxlfork_reclaim(): expired ones only, however much that frees. */
#define CXLFORK_RECLAIM_EXPIRED	0ULL
/* cxlfork_reclaim(): whatever nobody needs. */
#define CXLFORK_RECLAIM_ALL	(~0ULL)

/* cxlfork_reclaim(): what has become, or would, of a checkpoint */
enum cxlfork_reclaimed {
	CXLFORK_RECLAIM_FREED,		/* its memory is free */
	CXLFORK_RECLAIM_RETIRED,	/* free once its last clone has ended */
	CXLFORK_RECLAIM_PENDING,	/* its host is silent and will do it later */
	CXLFORK_RECLAIM_PINNED,
	CXLFORK_RECLAIM_IN_USE,		/* clones run */
	CXLFORK_RECLAIM_PARENT,		/* others use its pages */
	CXLFORK_RECLAIM_UNFINISHED,	/* being written, or retiring already */
	CXLFORK_RECLAIM_FAILED,		/* see @err */
};

/**
 * struct cxlfork_reclaim - what is to be reclaimed
 * @need:	bytes that shall be free, or CXLFORK_RECLAIM_*
 * @dry_run:	delete nothing
 * @each:	called for each checkpoint that is looked at: those deleted, in
 *		order, then those that are left; or NULL.  @expired: that is why
 * @arg:	for @each
 * @freed:	out: bytes that became free, or would
 * @free:	out: bytes that are free now, or would be
 */
struct cxlfork_reclaim {
	__u64	need;
	bool	dry_run;
	void	(*each)(const struct cxlfork_ckpt_info *info,
			enum cxlfork_reclaimed what, bool expired, int err,
			void *arg);
	void	*arg;
	__u64	freed;
	__u64	free;
};

/**
 * cxlfork_reclaim() - delete what nobody needs until enough is free
 * @pool: descriptor from cxlfork_open()
 * @reclaim: how much
 *
 * Checkpoints that have expired go first, then those whose last restore (or
 * else creation) is longest ago, of those that no clone and no checkpoint uses
 * and nobody has pinned.  ENOSPC: that was not enough.
 */
int cxlfork_reclaim(int pool, struct cxlfork_reclaim *reclaim);

/**
 * cxlfork_export() - read a checkpoint as a stream of bytes
 * @pool: descriptor from cxlfork_open()
 * @id: which
 * @most: out: how long it will be at most; or NULL
 * @reports: filled with the obstacles on failure, or NULL
 *
 * The checkpoint is kept as long as it is open.  The format is described in
 * <linux/cxlfork_stream.h>.
 *
 * Return: a close-on-exec descriptor to read it from, once and in order.
 */
int cxlfork_export(int pool, __u64 id, __u64 *most,
		   struct cxlfork_reports *reports);

/**
 * cxlfork_import() - make a checkpoint of such a stream
 * @pool: descriptor from cxlfork_open()
 * @req: what it is to be: flags (CXLFORK_PIN), name (NULL: the one that the
 *	stream says), ttl and mode count; or NULL
 *
 * Return: a close-on-exec descriptor to write the stream to.  Closed before
 * cxlfork_commit(), nothing is left of it.
 */
int cxlfork_import(int pool, const struct cxlfork_request *req);

/**
 * cxlfork_commit() - publish what was written
 * @import: descriptor from cxlfork_import()
 * @reports: filled with what is wrong, or NULL
 *
 * To be called after a write that failed, too: it says why.
 *
 * Return: the id (> 0).
 */
__s64 cxlfork_commit(int import, struct cxlfork_reports *reports);

/* The other requests of the control device; see <linux/cxlfork.h>. */
int cxlfork_pool_info(int pool, struct cxlfork_pool_info *info);
int cxlfork_host_info(int pool, unsigned int slot,
		      struct cxlfork_host_info *info);
int cxlfork_pool_format(int pool, struct cxlfork_pool_format *format);
int cxlfork_pool_fence(int pool, struct cxlfork_pool_fence *fence);

/* After how many milliseconds a host that is attached counts as silent. */
#define CXLFORK_SILENT_MS	2500

/**
 * cxlfork_find_host() - find a host
 * @pool: descriptor from cxlfork_open()
 * @what: its slot or its name
 * @info: filled in
 *
 * ENOENT: there is none; ENOTUNIQ: several have this name.
 */
int cxlfork_find_host(int pool, const char *what,
		      struct cxlfork_host_info *info);
int cxlfork_pool_drain(int pool, struct cxlfork_pool_drain *drain);
/* 1, 0 after the last one, -1; @lost is zero at first. */
int cxlfork_next_lost(int pool, struct cxlfork_lost *lost);

/* Take a text for an id; false: it isn't one. */
bool cxlfork_parse_id(const char *text, __u64 *id);
/* The other way round; @text has CXLFORK_ID_TEXT_MAX bytes.  Returns @text. */
char *cxlfork_id_text(__u64 id, char *text);

/* Room for @room records on the heap; NULL and ENOMEM. */
struct cxlfork_reports *cxlfork_reports_new(unsigned int room);
void cxlfork_reports_free(struct cxlfork_reports *reports);
/* How many records are filled in. */
unsigned int cxlfork_reports_count(const struct cxlfork_reports *reports);

/**
 * cxlfork_report_line() - an obstacle as one line for people
 * @report: the record
 * @line: where to write it; CXLFORK_LINE_MAX bytes are always enough
 * @size: bytes there
 *
 * Says where it is, what it is and what to do.  Holds printable ASCII only.
 *
 * Return: its length.
 */
size_t cxlfork_report_line(const struct cxlfork_report *report, char *line,
			   size_t size);

/* A word for a reason or a state, as in JSON output: "fd", "live", ... */
const char *cxlfork_reason_name(unsigned int reason);
const char *cxlfork_ckpt_state_name(unsigned int state);
const char *cxlfork_host_state_name(unsigned int state);

/* What an errno of these calls means here, and what to do; never NULL. */
const char *cxlfork_strerror(int err);

#ifdef __cplusplus
}
#endif

#endif /* CXLFORK_H */
