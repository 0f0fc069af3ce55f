// SPDX-License-Identifier: GPL-2.0
/* See stream.h.  Records are changed as if by someone who knows the format. */
#include "stream.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	static uint32_t table[256];
	const unsigned char *p = data;
	unsigned int i, bit;

	for (i = 0; !table[255] && i < 256; i++) {
		table[i] = i;
		for (bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78 : 0);
	}
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return crc;
}

int export_open(int pool, long id, struct cxlfork_export *args)
{
	args->id = id;
	return ioctl(pool, CXLFORK_IOC_EXPORT, args);
}

int import_open(int pool, const char *name)
{
	struct cxlfork_import args = { 0 };

	if (name) {
		args.name = (uintptr_t)name;
		args.name_len = strlen(name);
	}
	return ioctl(pool, CXLFORK_IOC_IMPORT, &args);
}

/* The id, or -1. */
long import_commit(int fd, struct import *im)
{
	struct cxlfork_commit args = {
		.reports = (uintptr_t)&im->report,
		.nr_reports = 1,
	};

	im->id = 0;
	im->error = 0;
	memset(&im->report, 0, sizeof(im->report));
	if (ioctl(fd, CXLFORK_IOC_COMMIT, &args)) {
		im->error = errno;
		im->nr_reports = args.nr_reports;
		return -1;
	}
	im->nr_reports = args.nr_reports;
	im->id = args.id;
	return im->id;
}

/*
 * One byte at a time only to begin with: through all of a stream it takes minutes
 * on an emulated debug kernel.
 */
static size_t piece(size_t chunk, size_t done)
{
	return chunk > 1 || done < 2000 ? chunk : 4099;
}

static void stream_room(struct stream *s, size_t len)
{
	if (s->len + len <= s->size)
		return;
	s->size = (s->len + len) * 2;
	s->data = realloc(s->data, s->size);
	CHECK(s->data);
}

/* Export, @chunk bytes at a time.  0, or -1 with errno. */
int stream_export(int pool, long id, size_t chunk, struct stream *s)
{
	struct cxlfork_export args = { 0 };
	int fd = export_open(pool, id, &args), error;
	ssize_t n;

	memset(s, 0, sizeof(*s));
	if (fd < 0)
		return -1;
	for (;;) {
		stream_room(s, piece(chunk, s->len));
		n = read(fd, s->data + s->len, piece(chunk, s->len));
		if (n <= 0)
			break;
		s->len += n;
	}
	error = errno;
	close(fd);
	errno = error;
	return n;
}

/* Import, @chunk bytes at a time.  The id, or -1: see @im. */
long stream_import(int pool, const char *name, const struct stream *s, size_t chunk,
		   struct import *im)
{
	int fd = import_open(pool, name);
	long id;

	memset(im, 0, sizeof(*im));
	if (fd < 0) {
		im->error = errno;
		return -1;
	}
	while (im->written < s->len) {
		size_t left = s->len - im->written, len = piece(chunk, im->written);
		ssize_t n = write(fd, s->data + im->written, left < len ? left : len);

		if (n <= 0) {
			im->write_error = errno;
			break;
		}
		im->written += n;
	}
	id = import_commit(fd, im);
	close(fd);
	return id;
}

void stream_copy(struct stream *to, const struct stream *from)
{
	memset(to, 0, sizeof(*to));
	stream_room(to, from->len);
	memcpy(to->data, from->data, from->len);
	to->len = from->len;
}

void stream_free(struct stream *s)
{
	free(s->data);
	memset(s, 0, sizeof(*s));
}

/* The record after @rec (NULL: the first one), or NULL: that was the last. */
struct cxlfork_record *stream_next(const struct stream *s, const struct cxlfork_record *rec)
{
	size_t at = 0;

	if (rec)
		at = (unsigned char *)rec - s->data + sizeof(*rec) + le32toh(rec->length);
	return at < s->len ? (struct cxlfork_record *)(s->data + at) : NULL;
}

/* The record that is number @nth, from 0, of its type; or NULL. */
struct cxlfork_record *stream_find(const struct stream *s, uint32_t type, uint32_t nth)
{
	struct cxlfork_record *rec = NULL;

	while ((rec = stream_next(s, rec)))
		if (le32toh(rec->type) == type && !nth--)
			return rec;
	return NULL;
}

uint32_t stream_count(const struct stream *s, uint32_t type)
{
	uint32_t nr = 0;

	while (stream_find(s, type, nr))
		nr++;
	return nr;
}

/* Make checksums, and what the end says, right again. */
void stream_seal(struct stream *s)
{
	struct cxlfork_record *rec = NULL;
	uint64_t nr = 0, pages = 0;
	uint32_t prev = 0;

	while ((rec = stream_next(s, rec))) {
		uint32_t type = le32toh(rec->type), len = le32toh(rec->length);
		struct cxlfork_stream_end *end = (void *)(rec + 1);

		if (type == CXLFORK_REC_PAGES)
			pages += len / CXLFORK_STREAM_PAGE;
		if (type == CXLFORK_REC_END && len == sizeof(*end)) {
			end->bytes = htole64((unsigned char *)rec - s->data);
			end->records = htole64(nr);
			end->pages = htole64(pages);
		}
		rec->prev = htole32(prev);
		rec->crc = 0;
		prev = ~crc32c(~0U, rec, sizeof(*rec) + len);
		rec->crc = htole32(prev);
		nr++;
	}
}

/* Give a record another length: bytes are zero, or cut off. */
void stream_resize(struct stream *s, struct cxlfork_record *rec, uint32_t len)
{
	size_t at = (unsigned char *)(rec + 1) - s->data, old = le32toh(rec->length);

	if (len > old)
		stream_room(s, len - old);
	memmove(s->data + at + len, s->data + at + old, s->len - at - old);
	if (len > old)
		memset(s->data + at + old, 0, len - old);
	s->len += (size_t)len - old;
	((struct cxlfork_record *)(s->data + at))[-1].length = htole32(len);
}

void stream_drop(struct stream *s, struct cxlfork_record *rec)
{
	size_t at = (unsigned char *)rec - s->data, len = sizeof(*rec) + le32toh(rec->length);

	memmove(rec, s->data + at + len, s->len - at - len);
	s->len -= len;
}

void stream_double(struct stream *s, struct cxlfork_record *rec)
{
	size_t at = (unsigned char *)rec - s->data, len = sizeof(*rec) + le32toh(rec->length);

	stream_room(s, len);
	memmove(s->data + at + len, s->data + at, s->len - at);
	s->len += len;
}

/* Do they say the same, but for when they were made and under what name? */
bool stream_same(const struct stream *a, const struct stream *b)
{
	struct cxlfork_record *x = NULL, *y = NULL;

	for (;;) {
		uint32_t len;

		x = stream_next(a, x);
		y = stream_next(b, y);
		if (!x || !y)
			return !x && !y;
		len = le32toh(x->length);
		if (x->type != y->type || x->index != y->index || x->length != y->length)
			return false;
		if (le32toh(x->type) == CXLFORK_REC_START) {
			struct cxlfork_stream_start p, q;

			memcpy(&p, x + 1, sizeof(p));
			memcpy(&q, y + 1, sizeof(q));
			p.exported = q.exported;
			memcpy(p.name, q.name, sizeof(p.name));
			if (memcmp(&p, &q, sizeof(p)))
				return false;
		} else if (memcmp(x + 1, y + 1, len)) {
			return false;
		}
	}
}
