// SPDX-License-Identifier: GPL-2.0
/*
 * Making an image of what a stream says, see <linux/cxlfork_stream.h>.
 *
 * Whoever writes the stream may write what he likes.  The sections get the same
 * checks as those of an image in CXL memory, before anything is reserved; no
 * entry of a leaf is taken over, but each is made here, for a page that was
 * copied here, with what its mapping allows.  So nothing can come of it that
 * could not be checkpointed; and what is restored is checked again, then.
 */
#include <linux/bitops.h>
#include <linux/ctype.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "crc.h"
#include "transfer.h"

static int cxlfork_incoming_bad(struct cxlfork_incoming *in, const char *what, u64 which)
{
	cxlfork_report(in->log, CXLFORK_REASON_STREAM, -1, 0, 0, in->at,
		       "the stream is damaged at byte %llu: %s (%#llx)", in->at, what, which);
	return -EBADMSG;
}

static int cxlfork_incoming_version(struct cxlfork_incoming *in, const char *what, u32 is,
				    u32 known)
{
	cxlfork_obstacle(in->log, CXLFORK_REASON_VERSION,
			 "the stream has %s %u, this kernel knows %u", what, is, known);
	return -EPROTONOSUPPORT;
}

static u64 cxlfork_incoming_length(const struct cxlfork_incoming *in, u32 section)
{
	return le64_to_cpu(in->start.lengths[section]);
}

/**
 * cxlfork_incoming_start - the first record
 * @in:		the image
 * @data:	what it says
 * @len:	bytes of it
 *
 * Return: 0, -EBADMSG, or -EPROTONOSUPPORT: of another version.
 */
int cxlfork_incoming_start(struct cxlfork_incoming *in, const void *data, u32 len)
{
	const struct cxlfork_stream_start *start = data;
	u32 i;

	/* The version first: another one may have another length. */
	if (len < sizeof(start->version))
		return cxlfork_incoming_bad(in, "its start is too short", len);
	if (le32_to_cpu(start->version) != CXLFORK_STREAM_VERSION)
		return cxlfork_incoming_version(in, "version", le32_to_cpu(start->version),
						CXLFORK_STREAM_VERSION);
	if (len != sizeof(*start))
		return cxlfork_incoming_bad(in, "its start has another length", len);
	if (le32_to_cpu(start->format) != CXLFORK_FORMAT_VERSION)
		return cxlfork_incoming_version(in, "sections of format",
						le32_to_cpu(start->format),
						CXLFORK_FORMAT_VERSION);
	in->start = *start;
	for (i = 0; i < CXLFORK_STREAM_SECTIONS; i++) {
		u64 bytes = cxlfork_incoming_length(in, i);

		if (i >= CXLFORK_NR_SECTIONS ? bytes :
		    bytes >= SZ_1G || bytes % cxlfork_entry_size[i] ||
		    le32_to_cpu(start->entry_sizes[i]) != cxlfork_entry_size[i])
			return cxlfork_incoming_bad(in, "the size of a section", i);
	}
	/* Its pages are all in the stream: it refers to nothing. */
	if (cxlfork_incoming_length(in, CXLFORK_SEC_PARENTS))
		return cxlfork_incoming_bad(in, "it has parents",
					    cxlfork_incoming_length(in, CXLFORK_SEC_PARENTS));
	i = strnlen((char *)in->start.name, sizeof(in->start.name));
	if (i && !cxlfork_good_name((char *)in->start.name, i))
		return cxlfork_incoming_bad(in, "its name", i);
	if (!in->attr.name[0])
		strscpy(in->attr.name, (char *)in->start.name, sizeof(in->attr.name));
	return 0;
}

/**
 * cxlfork_incoming_section - bytes of a section
 * @in:		the image
 * @type:	enum cxlfork_section_type
 * @data:	the bytes
 * @len:	how many
 *
 * Return: 0, -EBADMSG or -ENOMEM.
 */
int cxlfork_incoming_section(struct cxlfork_incoming *in, u32 type, const void *data, u32 len)
{
	void *to;

	if (in->template || type >= CXLFORK_NR_SECTIONS || !len)
		return cxlfork_incoming_bad(in, "bytes of a section where none may be", type);
	/* As they come, not as was announced: that is easily said. */
	if (len > cxlfork_incoming_length(in, type) - in->sec[type].len)
		return cxlfork_incoming_bad(in, "a section has too many bytes", type);
	to = cxlfork_buf_add(&in->sec[type], len);
	if (!to)
		return -ENOMEM;
	memcpy(to, data, len);
	return 0;
}

/* What a restore does not need, it is the format's all the same: fsck looks at it. */
static bool cxlfork_incoming_header(struct cxlfork_incoming *in, struct cxlfork_image *image)
{
	const struct cxlfork_stream_start *start = &in->start;
	const char *c;

	image->page_shift = start->page_shift;
	image->machine = start->machine;
	image->nr_leaves = start->nr_leaves;
	image->nr_pages = start->nr_pages;
	image->xfeatures = start->xfeatures;
	memcpy(image->cpu, start->cpu, sizeof(image->cpu));
	memcpy(image->vdso_id, start->vdso_id, sizeof(image->vdso_id));
	memcpy(image->kernel, start->kernel, sizeof(image->kernel) - 1);
	for (c = image->kernel; *c; c++)
		if (iscntrl(*c))
			return false;
	return !memchr_inv(image->cpu + CXLFORK_CPU_WORDS, 0,
			   sizeof(image->cpu) - CXLFORK_CPU_WORDS * sizeof(*image->cpu));
}

/* The sections are there: they become a template that is on no list. */
static int cxlfork_incoming_template(struct cxlfork_incoming *in)
{
	struct cxlfork_template *t;
	u32 i;

	t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);
	if (!t)
		return -ENOMEM;
	in->template = t;
	t->image = kvzalloc(sizeof(*t->image), GFP_KERNEL_ACCOUNT);
	if (!t->image)
		return -ENOMEM;
	if (!cxlfork_incoming_header(in, t->image))
		return cxlfork_incoming_bad(in, "its first record", 0);
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		size_t len = in->sec[i].len;

		if (len != cxlfork_incoming_length(in, i))
			return cxlfork_incoming_bad(in, "bytes of a section are missing", i);
		/* Checking it wants a byte more, for a NUL. */
		if (!cxlfork_buf_add(&in->sec[i], 1))
			return -ENOMEM;
		t->sec[i].data = in->sec[i].data;
		t->sec[i].len = len;
		t->sec[i].nr = len / cxlfork_entry_size[i];
		in->sec[i].data = NULL;
	}
	return 0;
}

static int cxlfork_incoming_check(struct cxlfork_incoming *in)
{
	struct cxlfork_template *t = in->template;
	const struct cxlfork_leaf *raw;
	u64 huge = 0;
	u32 i;
	int ret;

	if (t->sec[CXLFORK_SEC_LEAVES].nr != le64_to_cpu(in->start.nr_leaves) ||
	    t->sec[CXLFORK_SEC_DIRTY].nr != le64_to_cpu(in->start.nr_leaves))
		return cxlfork_incoming_bad(in, "the number of its leaves",
					    le64_to_cpu(in->start.nr_leaves));
	ret = cxlfork_arch_compatible(t->image, in->log);
	if (!ret)
		ret = cxlfork_template_check(t, in->log);
	if (ret)
		return ret;
	raw = t->sec[CXLFORK_SEC_LEAVES].data;
	for (i = 0; i < t->nr_leaves; i++) {
		/* A restore finds that out itself, but others read the image, too. */
		if (t->leaves[i].whole != !!(raw[i].flags & cpu_to_le32(CXLFORK_LEAF_WHOLE)))
			return cxlfork_incoming_bad(in, "a leaf has wrong flags",
						    t->leaves[i].addr);
		huge += t->leaves[i].huge;
	}
	/* There is room for so many, as is relied upon from here on. */
	if (t->nr_pages != le64_to_cpu(in->start.nr_pages))
		return cxlfork_incoming_bad(in, "the number of its pages", t->nr_pages);
	if (huge != le64_to_cpu(in->start.nr_huge))
		return cxlfork_incoming_bad(in, "the number of its 2 MiB pages", huge);
	return 0;
}

/* Now it is known how large it will be: have room for it. */
static int cxlfork_incoming_reserve(struct cxlfork_incoming *in)
{
	struct cxlfork_template *t = in->template;
	u64 pages = le64_to_cpu(t->image->nr_pages);
	bool huge = le64_to_cpu(in->start.nr_huge);
	u64 len[CXLFORK_NR_SECTIONS];
	struct cxlfork_ckpt *ckpt;
	u64 bytes;
	u32 i;

	for (i = 0; i < CXLFORK_NR_SECTIONS; i++)
		len[i] = t->sec[i].len;
	bytes = cxlfork_layout(t->image, len, 0, t->nr_leaves, pages, huge);
	in->attr.pages = pages;
	in->attr.bytes = cxlfork_layout(t->image, len,
					cxlfork_extents_table(bytes), t->nr_leaves,
					pages, huge);
	ckpt = cxlfork_image_create(in->pool, &in->attr, in->log);
	if (IS_ERR(ckpt))
		return PTR_ERR(ckpt);
	in->ckpt = ckpt;
	in->used = le64_to_cpu(in->start.nr_huge) * CXLFORK_LEAF_ENTRIES;
	return 0;
}

/* All sections have come. */
static int cxlfork_incoming_begin(struct cxlfork_incoming *in)
{
	int ret;

	in->table = kzalloc(PAGE_SIZE, GFP_KERNEL_ACCOUNT);
	if (!in->table)
		return -ENOMEM;
	ret = cxlfork_incoming_template(in);
	if (!ret)
		ret = cxlfork_incoming_check(in);
	if (!ret)
		ret = cxlfork_incoming_reserve(in);
	return ret;
}

/* The mapping that entry @i of the leaf is below, or NULL: no page may be there. */
static const struct cxlfork_template_vma *cxlfork_incoming_vma(struct cxlfork_incoming *in, u32 i)
{
	const struct cxlfork_template *t = in->template;
	unsigned long addr = t->leaves[in->leaf].addr + i * PAGE_SIZE;
	const struct cxlfork_template_vma *vma;

	for (in->vma = max(in->vma, t->leaves[in->leaf].vma);
	     in->vma < t->nr_vmas && t->vmas[in->vma].end <= addr; in->vma++)
		;
	vma = &t->vmas[in->vma];
	return in->vma < t->nr_vmas && vma->start <= addr &&
	       cxlfork_vma_has_pages(vma->flags) ? vma : NULL;
}

/* One page: write it to its place, make its entry. */
static int cxlfork_incoming_page(struct cxlfork_incoming *in, u32 i, const void *from, bool young)
{
	const struct cxlfork_template *t = in->template;
	const struct cxlfork_template_vma *vma = cxlfork_incoming_vma(in, i);
	struct cxlfork_pool *pool = in->pool;
	u64 nr, offset;

	if (!vma)
		return cxlfork_incoming_bad(in, "a page where none can be",
					    t->leaves[in->leaf].addr + i * PAGE_SIZE);
	nr = t->leaves[in->leaf].huge ? in->used_huge * CXLFORK_LEAF_ENTRIES + i : in->used++;
	offset = le64_to_cpu(t->image->data_off) + nr * PAGE_SIZE;
	cxlfork_image_write(in->ckpt, offset, from, PAGE_SIZE);
	offset = cxlfork_image_place(in->ckpt, offset);
	in->table[i] = cxlfork_make_entry(PHYS_PFN(pool->base + offset), vma->prot,
					  !pool->coherent || young);
	return 0;
}

/* The leaf has all its pages: on to the next. */
static int cxlfork_incoming_leaf(struct cxlfork_incoming *in)
{
	const struct cxlfork_template *t = in->template;
	const __le64 *dirty = t->sec[CXLFORK_SEC_DIRTY].data;
	u32 i;

	dirty += in->leaf * (CXLFORK_LEAF_ENTRIES / 64);
	for (i = 0; i < CXLFORK_LEAF_ENTRIES; i++)
		if (!in->table[i] && (le64_to_cpu(dirty[i / 64]) & BIT(i % 64)))
			return cxlfork_incoming_bad(in, "a page is dirty that is not there",
						    t->leaves[in->leaf].addr + i * PAGE_SIZE);
	cxlfork_image_write(in->ckpt, le64_to_cpu(t->image->leaves_off) +
				      (u64)in->leaf * PAGE_SIZE, in->table, PAGE_SIZE);
	memset(in->table, 0, PAGE_SIZE);
	in->used_huge += t->leaves[in->leaf].huge;
	in->leaf++;
	in->next = 0;
	in->filled = 0;
	return 0;
}

static int cxlfork_incoming_window(struct cxlfork_incoming *in,
				   const struct cxlfork_stream_pages *head, u32 len)
{
	const struct cxlfork_template_leaf *leaf = &in->template->leaves[in->leaf];
	u32 first = le32_to_cpu(head->first);
	u32 present = le32_to_cpu(head->present);
	u32 young = le32_to_cpu(head->young);
	u32 data = le32_to_cpu(head->data);
	const void *from = head + 1;
	u32 i;
	int ret;

	if (first % CXLFORK_STREAM_WINDOW || first >= CXLFORK_LEAF_ENTRIES || first < in->next)
		return cxlfork_incoming_bad(in, "pages are out of order", leaf->addr);
	if (!present || (young | data) & ~present ||
	    len != sizeof(*head) + hweight32(data) * PAGE_SIZE)
		return cxlfork_incoming_bad(in, "pages and their number differ", leaf->addr);
	if (hweight32(present) > leaf->nr_pages - in->filled)
		return cxlfork_incoming_bad(in, "a leaf has too many pages", leaf->addr);
	for (i = 0; i < CXLFORK_STREAM_WINDOW; i++) {
		bool there = data & BIT(i);

		if (!(present & BIT(i)))
			continue;
		ret = cxlfork_incoming_page(in, first + i,
					    there ? from : page_address(ZERO_PAGE(0)),
					    young & BIT(i));
		if (ret)
			return ret;
		if (there)
			from += PAGE_SIZE;
	}
	in->next = first + CXLFORK_STREAM_WINDOW;
	in->filled += hweight32(present);
	return in->filled == leaf->nr_pages ? cxlfork_incoming_leaf(in) : 0;
}

/**
 * cxlfork_incoming_pages - pages that are neighbours
 * @in:		the image
 * @leaf:	number of their leaf
 * @data:	struct cxlfork_stream_pages and what follows
 * @len:	bytes of it
 *
 * With the first of them the sections are complete and room is reserved.
 *
 * Context: process context, sleeps.
 * Return: 0; -EBADMSG; -EUCLEAN: a process can't be as the sections say;
 * -ENOEXEC: not for this host; -ENOSPC, -EEXIST and whatever else
 * cxlfork_image_create() says; -ENOMEM.
 */
int cxlfork_incoming_pages(struct cxlfork_incoming *in, u32 leaf, const void *data, u32 len)
{
	int ret;

	if (!in->template) {
		ret = cxlfork_incoming_begin(in);
		if (ret)
			return ret;
	}
	if (leaf != in->leaf || leaf >= in->template->nr_leaves)
		return cxlfork_incoming_bad(in, "pages of a leaf whose turn it is not", leaf);
	if (len < sizeof(struct cxlfork_stream_pages))
		return cxlfork_incoming_bad(in, "pages without a head", leaf);
	return cxlfork_incoming_window(in, data, len);
}

/**
 * cxlfork_incoming_seal - all has come: write what is still to be written
 * @in:		the image
 *
 * Context: process context, sleeps.
 * Return: 0, or as cxlfork_incoming_pages().
 */
int cxlfork_incoming_seal(struct cxlfork_incoming *in)
{
	struct cxlfork_template *t;
	u32 i;
	int ret;

	if (!in->template) {
		ret = cxlfork_incoming_begin(in);
		if (ret)
			return ret;
	}
	t = in->template;
	if (in->leaf != t->nr_leaves)
		return cxlfork_incoming_bad(in, "pages are missing", in->leaf);
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		struct cxlfork_section *s = &t->image->sections[i];

		s->length = cpu_to_le64(t->sec[i].len);
		s->crc = cpu_to_le32(cxlfork_crc(t->sec[i].data, t->sec[i].len));
		cxlfork_image_write(in->ckpt, le64_to_cpu(s->offset), t->sec[i].data,
				    t->sec[i].len);
	}
	ret = cxlfork_image_seal(in->ckpt, t->image);
	in->sealed = !ret;
	return ret;
}

/**
 * cxlfork_incoming_free - forget it
 * @in:		the image; its checkpoint is given up, if it still has one
 *
 * Context: process context, sleeps.
 */
void cxlfork_incoming_free(struct cxlfork_incoming *in)
{
	u32 i;

	if (in->ckpt)
		in->pool->ops->abort(in->ckpt);
	in->ckpt = NULL;
	if (in->template)
		cxlfork_template_free(in->template);
	in->template = NULL;
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		kvfree(in->sec[i].data);
		in->sec[i].data = NULL;
	}
	kfree(in->table);
	in->table = NULL;
}
