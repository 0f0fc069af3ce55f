/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small pool, made up in memory:
 *
 *   slot 0  node0, which has declared node2 dead.  A live checkpoint that uses
 *           every section; one that is being freed.  Pins the child.
 *   slot 1  node1, which has a clone of the live one.  A checkpoint of such a
 *           clone, which has written one page: a child.  One that is being
 *           written.
 *   slot 2  node2, dead.  Its references count no more.
 *   slot 3  nobody's.
 */
#ifndef CXLFORK_SYNTH_H
#define CXLFORK_SYNTH_H

#include <stddef.h>
#include <linux/types.h>
#include <linux/cxlfork.h>
#include <linux/cxlfork_format.h>

#define SYNTH_EXTENTS		8
#define SYNTH_SIZE		(SYNTH_EXTENTS * CXLFORK_EXTENT_SIZE)
#define SYNTH_SLOTS		4
#define SYNTH_HOSTS		3	/* the rest is nobody's */
#define SYNTH_SLOTS_OFF		65536
#define SYNTH_ETABLE_OFF	(SYNTH_SLOTS_OFF + \
				 SYNTH_SLOTS * CXLFORK_SLOT_SIZE)
#define SYNTH_BASE		0x2c0000000ULL

#define SYNTH_GEN		2
#define SYNTH_IDX		3
#define SYNTH_ID		CXLFORK_ID(SYNTH_GEN, 0, SYNTH_IDX)
#define SYNTH_WRITING_ID	CXLFORK_ID(1, 1, 0)
#define SYNTH_CHILD_IDX		9
#define SYNTH_CHILD_ID		CXLFORK_ID(4, 1, SYNTH_CHILD_IDX)
#define SYNTH_FREED_ID		CXLFORK_ID(7, 0, 5)
#define SYNTH_NAME		"resize"

#define SYNTH_NR_LEAVES		4
#define SYNTH_NR_PAGES		10

/**
 * struct synth - the pool
 * @mem:	its bytes
 * @super:	and what lies in them
 * @etable:	likewise
 * @slots:	likewise
 * @entry:	directory entry of the live checkpoint
 * @writing:	of the one that is being written
 * @image:	header of the image of the live one
 * @task:	sections of it
 * @xstate:	likewise
 * @mm:		likewise
 * @vmas:	likewise
 * @strings:	likewise
 * @files:	likewise
 * @fds:	likewise
 * @sigactions:	likewise
 * @leaves:	likewise
 * @dirty:	likewise
 * @extents:	table of its extents
 * @tables:	leaf tables
 * @child:	of the child: its directory entry
 * @child_image: header of its image
 * @child_extents: table of its extents
 * @child_tables: its leaf tables
 * @parents:	its parents
 * @freed:	directory entry of the one that is being freed
 */
struct synth {
	__u8				*mem;
	struct cxlfork_super		*super;
	__le64				*etable;
	struct cxlfork_slot		*slots;
	struct cxlfork_ckpt_entry	*entry;
	struct cxlfork_ckpt_entry	*writing;
	struct cxlfork_image		*image;
	struct cxlfork_task		*task;
	__u8				*xstate;
	struct cxlfork_mm_state		*mm;
	struct cxlfork_vma		*vmas;
	char				*strings;
	struct cxlfork_file		*files;
	struct cxlfork_fd		*fds;
	struct cxlfork_sigaction	*sigactions;
	struct cxlfork_leaf		*leaves;
	__le64				*dirty;
	__le32				*extents;
	__le64				(*tables)[CXLFORK_LEAF_ENTRIES];
	struct cxlfork_ckpt_entry	*child;
	struct cxlfork_image		*child_image;
	__le32				*child_extents;
	__le64				(*child_tables)[CXLFORK_LEAF_ENTRIES];
	struct cxlfork_parent		*parents;
	struct cxlfork_ckpt_entry	*freed;
};

/* Mappings and descriptors, by what they are good for. */
enum { VMA_CODE, VMA_HEAP, VMA_HIDDEN, VMA_WIPE, VMA_SHARED, VMA_STACK,
	NR_VMAS };
enum { FD_0, FD_1, FD_2, FD_FILE, FD_DUP, FD_NULL, FD_DEVICE, NR_FDS };

/* @mem has SYNTH_SIZE bytes. */
void synth_build(struct synth *synth, void *mem);
/* Without the child. */
void synth_childless(struct synth *synth);
/* Make all CRCs right again. */
void synth_seal(struct synth *synth);

#endif /* CXLFORK_SYNTH_H */
