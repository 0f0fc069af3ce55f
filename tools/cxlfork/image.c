// SPDX-License-Identifier: GPL-2.0
/* The image of a checkpoint: header, table of extents, sections. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "image.h"
#include "le.h"

#define EM_X86_64	62
/* No process comes near; who claims to would have us out of memory. */
#define SECTION_MAX	BIT_ULL(30)

/* What each section consists of; one: exactly one entry. */
static const struct {
	const char	*name;
	__u32		entry_size;
	__u32		one;
} kinds[CXLFORK_NR_SECTIONS] = {
	[CXLFORK_SEC_TASK]	 = { "task", sizeof(struct cxlfork_task), 1 },
	[CXLFORK_SEC_XSTATE]	 = { "xstate", 1, 0 },
	[CXLFORK_SEC_MM]	 = { "mm", sizeof(struct cxlfork_mm_state), 1 },
	[CXLFORK_SEC_VMAS]	 = { "vmas", sizeof(struct cxlfork_vma), 0 },
	[CXLFORK_SEC_STRINGS]	 = { "strings", 1, 0 },
	[CXLFORK_SEC_FILES]	 = { "files", sizeof(struct cxlfork_file), 0 },
	[CXLFORK_SEC_FDS]	 = { "fds", sizeof(struct cxlfork_fd), 0 },
	[CXLFORK_SEC_SIGACTIONS] = { "sigactions",
				     sizeof(struct cxlfork_sigaction), 0 },
	[CXLFORK_SEC_LEAVES]	 = { "leaves", sizeof(struct cxlfork_leaf), 0 },
	[CXLFORK_SEC_DIRTY]	 = { "dirty", CXLFORK_LEAF_ENTRIES / 8, 0 },
	[CXLFORK_SEC_PARENTS]	 = { "parents", sizeof(struct cxlfork_parent),
				     0 },
};

const char *section_name(unsigned int type)
{
	return type < CXLFORK_NR_SECTIONS ? kinds[type].name : "?";
}

bool image_read(const struct image *image, __u64 offset, void *to, size_t size)
{
	char *at = to;

	if (offset > image->size || size > image->size - offset) {
		errno = ENXIO;
		return false;
	}
	while (size) {
		__u64 within = offset & (CXLFORK_EXTENT_SIZE - 1);
		__u32 extent = image->extents[offset >> CXLFORK_EXTENT_SHIFT];
		size_t part = CXLFORK_EXTENT_SIZE - within;

		if (part > size)
			part = size;
		if (!region_read(image->region,
				 ((__u64)extent << CXLFORK_EXTENT_SHIFT) +
				 within, at, part))
			return false;
		at += part;
		offset += part;
		size -= part;
	}
	return true;
}

static bool take_header(struct image *image, const struct ckpt *ckpt,
			struct findings *findings)
{
	struct cxlfork_image *header = &image->header;
	__u64 first = le64(ckpt->entry.first);

	if (!region_read(image->region, first, header, sizeof(*header)))
		return unreadable(findings, "image header");
	if (!check_head(findings, header, &header->head, CXLFORK_MAGIC_IMAGE,
			sizeof(*header)))
		return false;
	if (le64(header->id) != ckpt->id)
		return problem(findings, BAD_IMAGE_ID,
			       "image says it is 0x%llx", le64(header->id));
	if (le32(header->page_shift) != 12)
		return problem(findings, BAD_IMAGE_PAGE_SHIFT, "page shift %u",
			       le32(header->page_shift));
	if (le32(header->machine) != EM_X86_64)
		return problem(findings, BAD_IMAGE_MACHINE, "machine %u",
			       le32(header->machine));
	if (!is_text(header->kernel, sizeof(header->kernel)))
		problem(findings, BAD_IMAGE_KERNEL,
			"kernel release is no text");

	image->nr_extents = le32(header->nr_extents);
	image->leaves_off = le64(header->leaves_off);
	image->data_off = le64(header->data_off);
	image->phys_base = le64(header->phys_base);
	image->nr_leaves = le64(header->nr_leaves);
	image->nr_pages = le64(header->nr_pages);
	image->size = (__u64)image->nr_extents << CXLFORK_EXTENT_SHIFT;
	if (image->size != le64(ckpt->entry.bytes))
		return problem(findings, BAD_IMAGE_BYTES,
			       "%u extents are not its %llu bytes",
			       image->nr_extents, le64(ckpt->entry.bytes));
	/* The entry says how many were planned: some may have gone since. */
	if (image->nr_pages > le64(ckpt->entry.pages))
		problem(findings, BAD_IMAGE_PAGES,
			"%llu data pages, %llu in the directory",
			image->nr_pages, le64(ckpt->entry.pages));
	if (!base_ok(image->geo, image->phys_base))
		return problem(findings, BAD_IMAGE_BASE, "physical base 0x%llx",
			       image->phys_base);
	check_reserved(findings, "image header: CPU words",
		       &header->cpu[CXLFORK_CPU_WORDS],
		       sizeof(header->cpu) - CXLFORK_CPU_WORDS * sizeof(__le32));
	check_reserved(findings, "image header", header->reserved,
		       sizeof(header->reserved));
	return true;
}

static bool take_extents(struct image *image, __u64 first,
			 struct findings *findings)
{
	const struct cxlfork_image *header = &image->header;
	const struct geometry *geo = image->geo;
	__u64 at = le64(header->extents_off);
	size_t size = (size_t)image->nr_extents * sizeof(__le32);
	__u32 i;

	if (at & 3 || at < sizeof(*header) || at > CXLFORK_EXTENT_SIZE ||
	    size > CXLFORK_EXTENT_SIZE - at)
		return problem(findings, BAD_EXTENTS_OFF,
			       "table of extents at 0x%llx", at);
	image->extents = calloc(image->nr_extents, sizeof(*image->extents));
	image->place = calloc(geo->nr_extents, sizeof(*image->place));
	if (!image->extents || !image->place)
		return no_memory(findings);
	memset(image->place, 0xff, geo->nr_extents * sizeof(*image->place));

	if (!region_read(image->region, first + at, image->extents, size))
		return unreadable(findings, "table of extents");
	if (crc32c(image->extents, size) != le32(header->extents_crc))
		return problem(findings, BAD_EXTENTS_CRC,
			       "table of extents: CRC is 0x%08x",
			       le32(header->extents_crc));
	for (i = 0; i < image->nr_extents; i++) {
		__u32 extent = le32(image->extents[i]);

		if (extent < geo->first_extent || extent >= geo->nr_extents)
			return problem(findings, BAD_EXTENTS_RANGE,
				       "extent %u is number %u", i, extent);
		if (image->place[extent] != NOT_OURS)
			return problem(findings, BAD_EXTENTS_TWICE,
				       "extents %u and %u are both number %u",
				       image->place[extent], i, extent);
		image->extents[i] = extent;
		image->place[extent] = i;
	}
	if ((__u64)image->extents[0] << CXLFORK_EXTENT_SHIFT != first)
		return problem(findings, BAD_EXTENTS_FIRST,
			       "first extent is %u, the directory says 0x%llx",
			       image->extents[0], first);
	return true;
}

struct span {
	__u64		start;
	__u64		end;
	const char	*name;
};

static int by_start(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Nothing overlaps, all lies in the image. */
static bool check_layout(const struct image *image, struct findings *findings)
{
	const struct cxlfork_image *header = &image->header;
	struct span spans[CXLFORK_NR_SECTIONS + 4];
	size_t before = findings->nr, nr = 0, i;

	if (image->nr_leaves > image->size / PAGE_BYTES ||
	    image->nr_pages > image->size / PAGE_BYTES)
		return problem(findings, BAD_LAYOUT_COUNTS,
			       "%llu leaves and %llu pages do not fit",
			       image->nr_leaves, image->nr_pages);
	if (image->leaves_off & (PAGE_BYTES - 1))
		problem(findings, BAD_LAYOUT_ALIGN, "leaf tables at 0x%llx",
			image->leaves_off);
	if (image->data_off & (PAGE_BYTES - 1))
		problem(findings, BAD_LAYOUT_ALIGN, "data pages at 0x%llx",
			image->data_off);

	spans[nr++] = (struct span){ 0, sizeof(*header), "header" };
	spans[nr++] = (struct span){ le64(header->extents_off),
		image->nr_extents * sizeof(__le32), "table of extents" };
	spans[nr++] = (struct span){ image->leaves_off,
		image->nr_leaves * PAGE_BYTES, "leaf tables" };
	spans[nr++] = (struct span){ image->data_off,
		image->nr_pages * PAGE_BYTES, "data pages" };
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++)
		spans[nr++] = (struct span){
			le64(header->sections[i].offset),
			le64(header->sections[i].length), section_name(i) };

	for (i = 0; i < nr; i++) {
		if (spans[i].start > image->size ||
		    spans[i].end > image->size - spans[i].start)
			return problem(findings, BAD_LAYOUT_OUTSIDE,
				       "%s: %llu bytes at 0x%llx are not in the image",
				       spans[i].name, spans[i].end,
				       spans[i].start);
		spans[i].end += spans[i].start;
	}
	qsort(spans, nr, sizeof(spans[0]), by_start);
	for (i = 1; i < nr; i++) {
		struct span *last = &spans[i - 1];

		if (spans[i].start == spans[i].end) {
			spans[i] = *last;	/* empty */
			continue;
		}
		if (last->start != last->end && last->end > spans[i].start)
			problem(findings, BAD_LAYOUT_OVERLAP,
				"%s and %s overlap", last->name, spans[i].name);
		if (spans[i].end < last->end)
			spans[i] = *last;
	}
	return findings->nr == before;
}

static void take_section(struct image *image, unsigned int type,
			 struct findings *findings)
{
	const struct cxlfork_section *from = &image->header.sections[type];
	struct section *sec = &image->sec[type];
	__u64 length = le64(from->length);
	__u32 size = kinds[type].entry_size;
	char what[32];
	void *data;

	if (le64(from->offset) & 7)
		problem(findings, BAD_SECTION_OFFSET, "section %s: at 0x%llx",
			section_name(type), le64(from->offset));
	if (le32(from->entry_size) != size) {
		problem(findings, BAD_SECTION_ENTRY_SIZE,
			"section %s: entries of %u bytes, not %u",
			section_name(type), le32(from->entry_size), size);
		return;
	}
	if (length % size || length > SECTION_MAX ||
	    (kinds[type].one && length != size)) {
		problem(findings, BAD_SECTION_LENGTH, "section %s: %llu bytes",
			section_name(type), length);
		return;
	}
	data = malloc(length ? length : 1);
	if (!data) {
		no_memory(findings);
		return;
	}
	if (!image_read(image, le64(from->offset), data, length)) {
		snprintf(what, sizeof(what), "section %s", section_name(type));
		unreadable(findings, what);
		free(data);
		return;
	}
	if (crc32c(data, length) != le32(from->crc)) {
		problem(findings, BAD_SECTION_CRC,
			"section %s: CRC is 0x%08x, its bytes give 0x%08x",
			section_name(type), le32(from->crc),
			crc32c(data, length));
		free(data);
		return;
	}
	sec->data = data;
	sec->length = length;
	sec->nr = length / size;
}

bool image_locate(struct image *image, const struct region *region,
		  const struct geometry *geo, const struct ckpt *ckpt,
		  struct findings *findings)
{
	memset(image, 0, sizeof(*image));
	image->region = region;
	image->geo = geo;
	image->id = ckpt->id;
	if (take_header(image, ckpt, findings) &&
	    take_extents(image, le64(ckpt->entry.first), findings) &&
	    check_layout(image, findings))
		return true;
	image_close(image);
	return false;
}

bool image_open(struct image *image, const struct region *region,
		const struct geometry *geo, const struct ckpt *ckpt,
		struct findings *findings)
{
	unsigned int type;

	if (!image_locate(image, region, geo, ckpt, findings))
		return false;
	for (type = 0; type < CXLFORK_NR_SECTIONS; type++)
		take_section(image, type, findings);
	image_open_parents(image, ckpt, findings);
	return true;
}

void image_close(struct image *image)
{
	unsigned int type;

	image_close_parents(image);
	for (type = 0; type < CXLFORK_NR_SECTIONS; type++)
		free(image->sec[type].data);
	free(image->extents);
	free(image->place);
	memset(image, 0, sizeof(*image));
}

const char *image_string(const struct image *image, __u32 offset)
{
	const struct section *strings = &image->sec[CXLFORK_SEC_STRINGS];
	const char *data = strings->data;

	if (!data || offset >= strings->length || data[strings->length - 1])
		return NULL;
	return data + offset;
}

bool image_leaf(const struct image *image, __u64 leaf, __le64 *entries)
{
	return image_read(image, image->leaves_off + leaf * PAGE_BYTES, entries,
			  PAGE_BYTES);
}

bool image_has_page(const struct image *image, __u64 offset)
{
	__u64 logical;
	__u32 extent;

	if (!image->place || offset >= image->geo->size)
		return false;
	extent = image->place[offset >> CXLFORK_EXTENT_SHIFT];
	if (extent == NOT_OURS)
		return false;
	logical = ((__u64)extent << CXLFORK_EXTENT_SHIFT) +
		  (offset & (CXLFORK_EXTENT_SIZE - 1));
	return logical >= image->data_off &&
	       logical - image->data_off < image->nr_pages * PAGE_BYTES;
}

bool vma_has_pages(__u32 flags)
{
	return flags & CXLFORK_VMA_MAYWRITE &&
	       !(flags & (CXLFORK_VMA_MAYSHARE | CXLFORK_VMA_WIPEONFORK |
			  CXLFORK_VMA_DROPPABLE));
}

void image_check(const struct image *image, struct findings *findings)
{
	check_state(image, findings);
	check_files(image, findings);
	check_vmas(image, findings);
	check_leaves(image, findings);
}
