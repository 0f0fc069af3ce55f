/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * A checkpoint as a stream of bytes: what CXLFORK_IOC_EXPORT gives and
 * CXLFORK_IOC_IMPORT takes.
 *
 * All numbers are little-endian.  A stream is a sequence of records, each with
 * its own checksum and that of the one before it: a record that is damaged,
 * left out, doubled, or from another stream is found out where it is.  Nothing
 * in it says where in a pool anything lies.  It holds all that the checkpoint
 * consists of, pages of parents as well.
 *
 * The order is: CXLFORK_REC_START; the sections, by ascending type, each in as
 * many records as it takes; the pages, by ascending address; CXLFORK_REC_END,
 * after which nothing follows.
 *
 * A version that is not known is refused, as is an unknown type of record.
 * Reserved fields are zero when written and not looked at.
 */
#ifndef _UAPI_LINUX_CXLFORK_STREAM_H
#define _UAPI_LINUX_CXLFORK_STREAM_H

#include <linux/types.h>
#include <linux/cxlfork_format.h>

#define CXLFORK_STREAM_VERSION	1

#define CXLFORK_RECORD_MAGIC	0x52465843U	/* "CXFR" */

enum cxlfork_record_type {
	CXLFORK_REC_START	= 1,	/* struct cxlfork_stream_start */
	CXLFORK_REC_SECTION	= 2,	/* bytes of a section; @index: its type */
	CXLFORK_REC_PAGES	= 3,	/* struct cxlfork_stream_pages, pages */
	CXLFORK_REC_END		= 4,	/* struct cxlfork_stream_end */
};

/**
 * struct cxlfork_record - how every record starts
 * @magic:	CXLFORK_RECORD_MAGIC
 * @type:	enum cxlfork_record_type
 * @index:	CXLFORK_REC_SECTION: enum cxlfork_section_type; CXLFORK_REC_PAGES:
 *		the leaf, counted from 0; else 0
 * @length:	bytes that follow this header; at most CXLFORK_RECORD_MAX
 * @prev:	@crc of the record before; 0 in the first one
 * @crc:	CRC32C (seed ~0, result inverted) of this header, with this field
 *		zero, and the @length bytes
 */
struct cxlfork_record {
	__le32	magic;
	__le32	type;
	__le32	index;
	__le32	length;
	__le32	prev;
	__le32	crc;
};

/* Sections that a stream has room for. */
#define CXLFORK_STREAM_SECTIONS	16

/**
 * struct cxlfork_stream_start - what is coming
 * @version:	CXLFORK_STREAM_VERSION
 * @format:	CXLFORK_FORMAT_VERSION that the sections are of
 * @page_shift:	as in struct cxlfork_image; likewise the following
 * @machine:	EM_X86_64
 * @nr_leaves:	leaf tables
 * @nr_pages:	pages, those that are all zero as well
 * @nr_huge:	leaves with CXLFORK_LEAF_HUGE
 * @xfeatures:	XSAVE components in use
 * @exported:	seconds since the epoch
 * @cpu:	CPUID words user space may have built upon (CXLFORK_CPU_WORDS)
 * @vdso_id:	build id of the vDSO
 * @kernel:	kernel release, for people
 * @name:	of the checkpoint, NUL-terminated; empty: none
 * @lengths:	bytes of each section.  CXLFORK_SEC_PARENTS is empty: the pages
 *		are all here
 * @entry_sizes: bytes of one entry of each
 */
struct cxlfork_stream_start {
	__le32	version;
	__le32	format;
	__le32	page_shift;
	__le32	machine;
	__le64	nr_leaves;
	__le64	nr_pages;
	__le64	nr_huge;
	__le64	xfeatures;
	__le64	exported;
	__le32	cpu[12];
	__u8	vdso_id[32];
	__u8	kernel[64];
	__u8	name[64];
	__le64	lengths[CXLFORK_STREAM_SECTIONS];
	__le32	entry_sizes[CXLFORK_STREAM_SECTIONS];
};

/* Entries of a leaf that one record tells of, and bytes of a page. */
#define CXLFORK_STREAM_WINDOW	32
#define CXLFORK_STREAM_PAGE	4096

/**
 * struct cxlfork_stream_pages - up to 32 pages that are neighbours in a leaf
 * @first:	entry of the leaf that bit 0 stands for, a multiple of 32
 * @present:	entries that map a page
 * @young:	of these: accessed
 * @data:	of these: pages that are not all zero.  They follow, in order, of
 *		CXLFORK_STREAM_PAGE bytes each
 *
 * What the entries allow is not said: that follows from the mapping.  Windows
 * without a page are left out.
 */
struct cxlfork_stream_pages {
	__le32	first;
	__le32	present;
	__le32	young;
	__le32	data;
};

/**
 * struct cxlfork_stream_end - what was there; the last record
 * @bytes:	of the stream before this record
 * @records:	before this one
 * @pages:	pages of which the bytes were there
 */
struct cxlfork_stream_end {
	__le64	bytes;
	__le64	records;
	__le64	pages;
};

/* Most bytes of a section in one record; most bytes after a record's header. */
#define CXLFORK_STREAM_CHUNK	65536
#define CXLFORK_RECORD_MAX	(16 + CXLFORK_STREAM_WINDOW * CXLFORK_STREAM_PAGE)

CXLFORK_ASSERT_SIZE(struct cxlfork_record, 24);
CXLFORK_ASSERT_SIZE(struct cxlfork_stream_start, 456);
CXLFORK_ASSERT_SIZE(struct cxlfork_stream_pages, 16);
CXLFORK_ASSERT_SIZE(struct cxlfork_stream_end, 24);

#endif /* _UAPI_LINUX_CXLFORK_STREAM_H */
