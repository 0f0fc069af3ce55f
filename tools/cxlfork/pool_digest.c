// SPDX-License-Identifier: GPL-2.0
/*
 * cxlfork pool digest: has a checkpoint changed since it was published?
 *
 * The accessed bit of leaf entries may (invariant of the format), nothing else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "image.h"
#include "le.h"
#include "sha256.h"

#define ENTRY_ACCESSED	BIT_ULL(5)

struct input {
	struct common	common;
	const char	*file;
	const char	*what;
	bool		extents;
};

/**
 * struct digest - what comes out
 * @text:	the whole checkpoint
 * @extent:	each extent of its image, if asked for
 * @accessed:	entries of leaf tables whose accessed bit is set
 */
struct digest {
	char		text[SHA256_TEXT_MAX];
	char		(*extent)[SHA256_TEXT_MAX];
	__u64		accessed;
};

enum {
	OPTION_FILE = OPTION_KEY,
	OPTION_EXTENTS,
};

static const struct argp_option options[] = {
	{ "file", OPTION_FILE, "BACKING", 0,
	  "Read the region from this file or device, not through the pool", 0 },
	{ "extents", OPTION_EXTENTS, NULL, 0,
	  "List the SHA-256 of each extent as well", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &in->common;
		return 0;
	case OPTION_FILE:
		in->file = arg;
		return 0;
	case OPTION_EXTENTS:
		in->extents = true;
		return 0;
	case ARGP_KEY_ARG:
		one_argument(state, &in->what, arg, "checkpoint");
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which checkpoint? give its ID or NAME");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse_option, "ID|NAME",
	"Print the SHA-256 of a checkpoint: of its directory entry and of all its extents, with the accessed bits of its leaf entries taken for zero. It never changes once the checkpoint is published. Exit status: 0; 1 there is no such checkpoint, or it is damaged; 2 it can't be read.",
	common_children, NULL, NULL,
};

/* Clear the accessed bits of those leaf tables that are in this extent. */
static __u64 mask_leaves(const struct image *image, __u32 extent, __u8 *data)
{
	__u64 start = (__u64)extent << CXLFORK_EXTENT_SHIFT, at, count = 0;
	__u64 from = image->leaves_off;
	__u64 to = from + image->nr_leaves * PAGE_BYTES;
	__le64 entry;

	if (from < start)
		from = start;
	if (to > start + CXLFORK_EXTENT_SIZE)
		to = start + CXLFORK_EXTENT_SIZE;
	for (at = from; at < to; at += sizeof(entry)) {
		memcpy(&entry, data + (at - start), sizeof(entry));
		if (!(le64(entry) & ENTRY_ACCESSED))
			continue;
		count++;
		entry = htole64(le64(entry) & ~ENTRY_ACCESSED);
		memcpy(data + (at - start), &entry, sizeof(entry));
	}
	return count;
}

/* True, or false: an extent can't be read, or out of memory. */
static bool make(const struct ckpt *ckpt, const struct image *image,
		 bool extents, struct digest *digest)
{
	__u8 *data = malloc(CXLFORK_EXTENT_SIZE);
	struct sha256 all, one;
	bool done = data;
	__u32 i;

	digest->extent = calloc(image->nr_extents, sizeof(*digest->extent));
	if (!digest->extent)
		done = false;
	sha256_start(&all);
	sha256_take(&all, &ckpt->entry.head, sizeof(ckpt->entry) -
		    offsetof(struct cxlfork_ckpt_entry, head));
	for (i = 0; done && i < image->nr_extents; i++) {
		done = image_read(image, (__u64)i << CXLFORK_EXTENT_SHIFT, data,
				  CXLFORK_EXTENT_SIZE);
		if (!done)
			break;
		digest->accessed += mask_leaves(image, i, data);
		sha256_take(&all, data, CXLFORK_EXTENT_SIZE);
		if (!extents)
			continue;
		sha256_start(&one);
		sha256_take(&one, data, CXLFORK_EXTENT_SIZE);
		sha256_text(&one, digest->extent[i]);
	}
	sha256_text(&all, digest->text);
	free(data);
	return done;
}

static void print(const struct input *in, const struct ckpt *ckpt,
		  const struct image *image, const struct digest *digest)
{
	__u32 i;

	printf("%s  0x%llx\n", digest->text, ckpt->id);
	for (i = 0; in->extents && i < image->nr_extents; i++)
		printf("%s  extent %u, number %u\n", digest->extent[i], i,
		       image->extents[i]);
}

static void print_digest_json(const struct input *in, const struct ckpt *ckpt,
			      const struct image *image,
			      const struct digest *digest,
			      const struct findings *findings)
{
	struct json_object *object = json_object_new_object(), *list, *item;
	__u32 i;

	json_hex(object, "id", ckpt->id);
	json_str(object, "sha256", digest->text);
	json_num(object, "bytes", image->size);
	json_num(object, "leaves", image->nr_leaves);
	json_num(object, "accessed", digest->accessed);
	if (findings->nr)
		json_str(object, "damaged", findings_first(findings));
	if (in->extents) {
		list = json_object_new_array();
		for (i = 0; i < image->nr_extents; i++) {
			item = json_object_new_object();
			json_num(item, "number", image->extents[i]);
			json_str(item, "sha256", digest->extent[i]);
			json_object_array_add(list, item);
		}
		json_object_object_add(object, "extents", list);
	}
	print_json(object);
}

static int show(const struct input *in, const struct region *region,
		const struct geometry *geo, struct findings *findings)
{
	struct digest digest = { 0 };
	struct image image;
	struct ckpt ckpt;
	int ret;

	ret = open_image(&in->common, region, geo, in->what, &ckpt, &image,
			 findings);
	if (ret)
		return ret;
	ret = findings->nr ? EXIT_NO : 0;
	if (findings->no_memory) {
		complain(&in->common, ENOMEM, NULL, "%s", in->what);
		ret = EXIT_TROUBLE;
	} else if (!make(&ckpt, &image, in->extents, &digest)) {
		complain_text(&in->common, errno, NULL,
			      "checkpoint 0x%llx can't be read: %s", ckpt.id,
			      region_strerror(errno));
		ret = EXIT_TROUBLE;
	} else if (in->common.json) {
		print_digest_json(in, &ckpt, &image, &digest, findings);
	} else {
		print(in, &ckpt, &image, &digest);
		if (findings->nr)
			complain_text(&in->common, EUCLEAN, NULL,
				      "checkpoint 0x%llx is damaged: %s",
				      ckpt.id, findings_first(findings));
	}
	free(digest.extent);
	image_close(&image);
	return ret;
}

int cmd_pool_digest(int argc, char **argv)
{
	struct findings findings = { 0 };
	struct input in = { 0 };
	struct region region;
	struct geometry geo;
	int ret;

	parse("cxlfork pool digest", &argp, argc, argv, &in);
	if (open_region(&in.common, in.file, &region))
		return EXIT_TROUBLE;
	if (super_load(&region, &geo, &findings) == SUPER_OK)
		ret = show(&in, &region, &geo, &findings);
	else
		ret = complain_super(&in.common, &findings);
	findings_free(&findings);
	region_close(&region);
	return ret;
}
