/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Exported checkpoints: get them, take them apart, change them, put them back.
 */
#ifndef STREAM_H
#define STREAM_H

#include <linux/cxlfork_stream.h>
#include "cxlfork_test.h"

/**
 * struct stream - an exported checkpoint
 * @data:	its bytes
 * @len:	how many
 * @size:	bytes that there is room for
 */
struct stream {
	unsigned char	*data;
	size_t		len;
	size_t		size;
};

/**
 * struct import - how an import went
 * @id:		of the checkpoint, or 0
 * @error:	errno of the commit
 * @write_error: errno of the write that failed, or 0
 * @written:	bytes that were written before
 * @report:	of the commit
 * @nr_reports:	how many there were
 */
struct import {
	long			id;
	int			error;
	int			write_error;
	size_t			written;
	struct cxlfork_report	report;
	uint32_t		nr_reports;
};

int export_open(int pool, long id, struct cxlfork_export *args);
int import_open(int pool, const char *name);
long import_commit(int fd, struct import *im);

int stream_export(int pool, long id, size_t chunk, struct stream *s);
long stream_import(int pool, const char *name, const struct stream *s, size_t chunk,
		   struct import *im);
void stream_copy(struct stream *to, const struct stream *from);
void stream_free(struct stream *s);

struct cxlfork_record *stream_next(const struct stream *s, const struct cxlfork_record *rec);
struct cxlfork_record *stream_find(const struct stream *s, uint32_t type, uint32_t nth);
uint32_t stream_count(const struct stream *s, uint32_t type);
void stream_seal(struct stream *s);
void stream_resize(struct stream *s, struct cxlfork_record *rec, uint32_t len);
void stream_drop(struct stream *s, struct cxlfork_record *rec);
void stream_double(struct stream *s, struct cxlfork_record *rec);
bool stream_same(const struct stream *a, const struct stream *b);

#endif /* STREAM_H */
