/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small pool, made up in memory: two hosts, one live checkpoint that uses
 * every section, one that is being written.
 */
#ifndef CXLFORK_SYNTH_H
#define CXLFORK_SYNTH_H

#include <stddef.h>
#include <linux/types.h>
#include <linux/cxlfork.h>
#include <linux/cxlfork_format.h>

#define SYNTH_EXTENTS		6
#define SYNTH_SIZE		(SYNTH_EXTENTS * CXLFORK_EXTENT_SIZE)
#define SYNTH_SLOTS		2
#define SYNTH_SLOTS_OFF		65536
#define SYNTH_ETABLE_OFF	(SYNTH_SLOTS_OFF + \
				 SYNTH_SLOTS * CXLFORK_SLOT_SIZE)
#define SYNTH_BASE		0x2c0000000ULL

#define SYNTH_GEN		2
#define SYNTH_IDX		3
#define SYNTH_ID		CXLFORK_ID(SYNTH_GEN, 0, SYNTH_IDX)
#define SYNTH_WRITING_ID	CXLFORK_ID(1, 1, 0)
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
};

/* Mappings and descriptors, by what they are good for. */
enum { VMA_CODE, VMA_HEAP, VMA_HIDDEN, VMA_WIPE, VMA_SHARED, VMA_STACK,
	NR_VMAS };
enum { FD_0, FD_1, FD_2, FD_FILE, FD_DUP, FD_NULL, FD_DEVICE, NR_FDS };

/* @mem has SYNTH_SIZE bytes. */
void synth_build(struct synth *synth, void *mem);
/* Make all CRCs right again. */
void synth_seal(struct synth *synth);

#endif /* CXLFORK_SYNTH_H */
