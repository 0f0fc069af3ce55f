// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer target: streams.
 *
 * A checkpoint that is right is exported once.  The input is a sequence of changes
 * to that stream; it is imported then, in pieces.  What is accepted has to be what
 * the stream says, page for page, and to pass all that a restore looks at; and it
 * can be exported again.  Of what is refused nothing is left.
 */
#include "host.h"
#include "mutate.h"
#include "oracle.h"
#include "seed.h"
#include "../../../kernel/cxlfork/crc.h"
#include "../selftests/cxlfork/stream.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The first byte of an input. */
enum {
	BAD_CRC		= 7 << 0,	/* all set: checksums stay wrong */
	NO_MEMORY	= 1 << 3,	/* an allocation fails */
	CLOSE		= 3 << 4,	/* all set: closed without a commit */
};

/* Extents that the pool has more than usual. */
#define ROOM	4

static struct stream seed;
static struct input input;
static size_t cut;	/* bytes of the stream after which it ends */

/* The selftests' CHECK(). */
void check_failed(const char *file, int line, const char *what)
{
	shim_die("%s:%d: %s", file, line, what);
}

static u32 free_extents(void)
{
	u32 nr;

	shim_assert(!cxlf_extents_count(host.cd, &nr, NULL));
	return nr;
}

static void check_quiet(u32 used)
{
	shim_fail_at = 0;
	shim_work();
	shim_assert(!atomic_read(&host.cd->handles));
	shim_assert(host.cd->pool.users.count == 1);
	shim_assert(free_extents() == used);
}

/* The whole of it, or an error. */
static int export(u64 id, struct stream *s)
{
	struct cxlfork_export args = { .id = id };
	struct kiocb iocb;
	ssize_t n = 0;
	int ret;

	memset(s, 0, sizeof(*s));
	ret = cxlfork_export(&host.cd->pool, &host_root, &args);
	if (ret < 0)
		return ret;
	iocb.ki_filp = shim_file;
	/* What was said it is at most could be asked for; this is enough. */
	s->size = 8 << 20;
	s->data = malloc(s->size);
	do {
		struct iov_iter to = { s->data + s->len, s->size - s->len };

		s->len += n;
		to.at += n;
		to.left -= n;
		n = shim_file->f_op->read_iter(&iocb, &to);
	} while (n > 0);
	fput(shim_file);
	return n;
}

static struct cxlfork_record *pick(struct stream *s)
{
	u32 n = input_u8(&input);
	struct cxlfork_record *rec = NULL, *last = NULL;

	while ((rec = stream_next(s, rec))) {
		last = rec;
		if (!n--)
			break;
	}
	return last;
}

static u64 value(void)
{
	static const u64 odd[] = {
		0, 1, ~0ULL, 511, 512, 513, 4095, 4096, 31, 32, 1ULL << 31, 1ULL << 32,
		1ULL << 46, 1ULL << 47, 1ULL << 63, CXLFORK_RECORD_MAX, 1 << 30,
	};
	u32 n = input_u8(&input);

	return n < 128 ? odd[n % ARRAY_SIZE(odd)] : input_u64(&input);
}

static void swap(struct stream *s, struct cxlfork_record *a)
{
	struct cxlfork_record *b = stream_next(s, a);
	size_t x = sizeof(*a) + a->length, y;
	u8 *copy;

	if (!b)
		return;
	y = sizeof(*b) + b->length;
	copy = malloc(x);
	memcpy(copy, a, x);
	memmove(a, b, y);
	memcpy((u8 *)a + y, copy, x);
	free(copy);
}

/* A field or a byte of a record: of its header, or of the beginning of the rest. */
static void change(struct cxlfork_record *rec)
{
	u32 at = input_u16(&input), width = 1 << input_u8(&input) % 4;
	u32 len = sizeof(*rec) + rec->length;
	u64 val = value();

	/* Its length is what walks through the stream here: see stream_resize(). */
	if (at % 4 == 3 && rec->length)
		at = sizeof(*rec) + at % rec->length;
	at = at % min(len, 1024U) / width * width;
	if (at + width > len || (at < offsetof(struct cxlfork_record, prev) &&
				 at + width > offsetof(struct cxlfork_record, length)))
		return;
	memcpy((u8 *)rec + at, &val, width);
	shim_say("type %u index %u: %u bytes at %u: %#llx\n", rec->type, rec->index, width,
		 at, val);
}

static void mutate(struct stream *s)
{
	struct cxlfork_record *rec = pick(s);
	u32 what = input_u8(&input), len;

	if (!rec || what >= 64) {
		if (rec)
			change(rec);
		return;
	}
	shim_say("type %u index %u: change %u\n", rec->type, rec->index, what % 5);
	switch (what % 5) {
	case 0:
		stream_drop(s, rec);
		break;
	case 1:
		if (s->len < 4 << 20)
			stream_double(s, rec);
		break;
	case 2:
		swap(s, rec);
		break;
	case 3:
		len = rec->length + (s8)input_u8(&input);
		if (len <= CXLFORK_RECORD_MAX + 64)
			stream_resize(s, rec, len);
		break;
	default:
		/* At last: what is cut off can't be taken apart. */
		cut = (u8 *)rec - s->data + input_u8(&input);
	}
}

/* The page that entry @e of a leaf maps, as others see it. */
static const u8 *page_of(const struct cxlfork_template_leaf *leaf, u32 e, u64 *entry)
{
	u64 offset;

	*entry = leaf->huge ? leaf->entry + e * PAGE_SIZE : leaf->table[e];
	offset = PFN_PHYS(pte_pfn(__pte(*entry))) - host.cd->pool.base;
	shim_assert(*entry && offset < host.size);
	return host.mem + offset;
}

static void check_pages(const struct cxlfork_template *t, const struct cxlfork_record *rec)
{
	static const u8 zero[PAGE_SIZE];
	const struct cxlfork_stream_pages *w = (void *)(rec + 1);
	const u8 *from = (void *)(w + 1);
	u64 entry;
	u32 i;

	shim_assert(rec->index < t->nr_leaves);
	for (i = 0; i < 32; i++) {
		const struct cxlfork_template_leaf *leaf = &t->leaves[rec->index];
		const u8 *page;

		if (!(w->present >> i & 1))
			continue;
		page = page_of(leaf, w->first + i, &entry);
		shim_assert(!memcmp(page, w->data >> i & 1 ? from : zero, PAGE_SIZE));
		/* A 2 MiB page is young if its first entry is. */
		shim_assert(leaf->huge || !(entry & _PAGE_ACCESSED) == !(w->young >> i & 1));
		from += (w->data >> i & 1) * PAGE_SIZE;
	}
}

/* It is what the stream says. */
static void check_same(const struct cxlfork_template *t, const struct stream *s)
{
	size_t done[CXLFORK_NR_SECTIONS] = { };
	struct cxlfork_record *rec = NULL;
	u32 i;

	while ((rec = stream_next(s, rec))) {
		if (rec->type == CXLFORK_REC_SECTION) {
			shim_assert(rec->length <= t->sec[rec->index].len - done[rec->index]);
			shim_assert(!memcmp(t->sec[rec->index].data + done[rec->index],
					    rec + 1, rec->length));
			done[rec->index] += rec->length;
		} else if (rec->type == CXLFORK_REC_PAGES) {
			check_pages(t, rec);
		}
	}
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++)
		shim_assert(done[i] == t->sec[i].len);
}

static u64 imported(void)
{
	u32 i;

	for (i = 0; i < CXLFORK_MAX_CKPTS; i++)
		if (host.cd->own[i].state == CXLFORK_CKPT_LIVE)
			return CXLFORK_ID(host.cd->own[i].gen, SEED_SLOT, i);
	shim_bug("nothing was published");
}

static void accepted(const struct stream *s)
{
	struct cxlfork_template *t;
	struct cxlfork_log log;
	struct stream again;
	u64 id = imported();
	u32 i;

	shim_fail_at = 0;
	shim_assert(!cxlfork_log_init(&log, 2));
	t = cxlfork_template_open(&host.cd->pool, id, &host_root, &log);
	if (IS_ERR(t))
		shim_bug("what was imported can't be restored: %s", log.records[0].text);
	oracle_template(t);
	for (i = 0; i < t->nr_leaves; i++) {
		if (cxlfork_template_leaf(t, i, &log))
			shim_bug("what was imported can't be restored: %s",
				 log.records[0].text);
		oracle_leaf(t, i, true);
	}
	check_same(t, s);
	cxlfork_template_put(t);
	cxlfork_log_free(&log);

	shim_assert(!export(id, &again));
	shim_assert(stream_find(&again, CXLFORK_REC_END, 0));
	stream_free(&again);
	shim_assert(!cxlf_remove(host.cd, &host_root, id));
}

/* In pieces of @piece bytes.  0, or -errno, which is said again by a commit. */
static int import(const struct stream *s, size_t piece, bool commit)
{
	struct cxlfork_report report = { };
	struct cxlfork_commit last = { .reports = (unsigned long)&report, .nr_reports = 1 };
	/* Its own name is taken, by itself. */
	struct cxlfork_import args = { .name = (unsigned long)"other", .name_len = 5 };
	struct kiocb iocb;
	size_t at = 0;
	ssize_t n = 0;
	int ret;

	ret = cxlfork_import(&host.cd->pool, &args);
	if (ret < 0)
		return ret;
	iocb.ki_filp = shim_file;
	while (at < s->len && n >= 0) {
		struct iov_iter from = { s->data + at, min(piece, s->len - at) };

		n = shim_file->f_op->write_iter(&iocb, &from);
		shim_assert(n);
		at += n;
	}
	ret = n < 0 ? n : -ECANCELED;
	if (commit) {
		ret = shim_file->f_op->unlocked_ioctl(shim_file, CXLFORK_IOC_COMMIT,
						      (unsigned long)&last);
		shim_assert(n >= 0 || ret == n);
		shim_say("%s\n", ret ? report.text : "imported");
		/* Who is refused is told why, unless it is that memory is out. */
		shim_assert(!ret || ret == -ENOMEM || (last.nr_reports && report.reason));
		shim_assert(ret <= 0 && ret > -MAX_ERRNO);
	}
	fput(shim_file);
	return ret;
}

/* With room for one more checkpoint of that kind. */
static void begin(void)
{
	struct cxlfork_super *super;

	host_init(SEED_SIZE + ROOM * CXLFORK_EXTENT_SIZE);
	host.uuid = SEED_UUID;
	seed_build(host.mem);
	super = (void *)host.mem;
	super->size += ROOM * CXLFORK_EXTENT_SIZE;
	super->nr_extents += ROOM;
	super->head.crc = cxlfork_head_crc(&super->head, sizeof(*super));
	host_bind(SEED_BASE);
	if (!host.cd->attached || host.cd->slot != SEED_SLOT)
		shim_bug("the pool to begin with: %s", host.cd->reason);
	shim_assert(!export(SEED_ID, &seed));
	shim_work();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct stream s;
	u32 used, how;
	int ret;

	if (!host.cd) {
		begin();
		used = free_extents();
		/* What is right is imported, or nothing here means anything. */
		shim_assert(!import(&seed, SZ_1M, true));
		accepted(&seed);
		check_quiet(used);
	}
	used = free_extents();
	input = (struct input){ data, size };
	how = input_u8(&input);
	cut = SIZE_MAX;
	stream_copy(&s, &seed);
	while (input.left > 2)
		mutate(&s);
	if ((how & BAD_CRC) != BAD_CRC)
		stream_seal(&s);
	s.len = min(s.len, cut);
	shim_fail_at = how & NO_MEMORY ? 1 + input_u8(&input) % 32 : 0;
	ret = import(&s, 1 + input_u16(&input) * 16, (how & CLOSE) != CLOSE);
	if (!ret)
		accepted(&s);
	check_quiet(used);
	stream_free(&s);
	return 0;
}
