// SPDX-License-Identifier: GPL-2.0
/* cxlfork inspect: find a checkpoint, read its image, count what is in it. */
#include <errno.h>
#include <stdlib.h>

#include "inspect.h"
#include "le.h"

struct input {
	struct common	common;
	const char	*file;
	const char	*what;
	bool		leaves;
};

enum {
	OPTION_FILE = OPTION_KEY,
	OPTION_LEAVES,
};

static const struct argp_option options[] = {
	{ "file", OPTION_FILE, "BACKING", 0,
	  "Read the region from this file or device, not through the pool", 0 },
	{ "leaves", OPTION_LEAVES, NULL, 0, "List the leaf tables as well", 0 },
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
	case OPTION_LEAVES:
		in->leaves = true;
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
	"Show what a checkpoint consists of. Exit status: 0; 1 there is no such checkpoint, or it is damaged; 2 it can't be read.",
	common_children, NULL, NULL,
};

/* Whose page an entry maps, if it is a parent's. */
static void count_parent(struct view *view, __u64 entry)
{
	__u64 offset = entry_target(&view->image, entry);
	__u32 i;

	for (i = 0; i < view->image.nr_parents; i++)
		if (view->image.parents[i].image &&
		    image_has_page(view->image.parents[i].image, offset))
			view->parent_pages[i]++;
}

static void count_leaf(struct view *view, __u64 i, __u32 *vma)
{
	const struct cxlfork_vma *vmas = image_vmas(&view->image);
	__u32 nr_vmas = view->image.sec[CXLFORK_SEC_VMAS].nr, n;
	const struct cxlfork_leaf *leaf = &image_leaves(&view->image)[i];
	__u64 addr = le64(leaf->addr);
	__le64 entries[CXLFORK_LEAF_ENTRIES];

	if (le32(leaf->flags) & CXLFORK_LEAF_WHOLE)
		view->whole++;
	if (le32(leaf->flags) & CXLFORK_LEAF_HUGE)
		view->huge++;
	if (!image_leaf(&view->image, i, entries))
		return;
	for (n = 0; n < CXLFORK_LEAF_ENTRIES; n++, addr += PAGE_BYTES) {
		while (*vma < nr_vmas && le64(vmas[*vma].end) <= addr)
			++*vma;
		if (*vma == nr_vmas)
			return;
		if (!entries[n] || addr < le64(vmas[*vma].start))
			continue;
		view->vma_pages[*vma]++;
		count_parent(view, le64(entries[n]));
	}
}

static bool count(struct view *view)
{
	const struct section *dirty = &view->image.sec[CXLFORK_SEC_DIRTY];
	__u64 i, nr = view->image.sec[CXLFORK_SEC_LEAVES].nr;
	const __u8 *bytes = dirty->data;
	__u32 vma = 0;

	view->vma_pages = calloc(view->image.sec[CXLFORK_SEC_VMAS].nr + 1,
				 sizeof(*view->vma_pages));
	if (!view->vma_pages)
		return false;
	if (nr > view->image.nr_leaves)
		nr = view->image.nr_leaves;
	for (i = 0; i < nr; i++)
		count_leaf(view, i, &vma);
	for (i = 0; bytes && i < dirty->length; i++)
		view->dirty += __builtin_popcount(bytes[i]);
	return true;
}

static int show(const struct input *in, const struct region *region,
		const struct geometry *geo, struct findings *findings)
{
	struct view view = { .leaves = in->leaves };
	int ret;

	ret = open_image(&in->common, region, geo, in->what, &view.ckpt,
			 &view.image, findings);
	if (ret)
		return ret;
	image_check(&view.image, findings);
	ret = findings->nr ? EXIT_NO : 0;
	if (findings->no_memory || !count(&view)) {
		complain(&in->common, ENOMEM, NULL, "%s", in->what);
		ret = EXIT_TROUBLE;
	} else if (in->common.json) {
		print_view_json(&view, findings);
	} else {
		print_view(&view, findings);
	}
	image_close(&view.image);
	free(view.vma_pages);
	return ret;
}

int cmd_inspect(int argc, char **argv)
{
	struct findings findings = { 0 };
	struct input in = { 0 };
	struct region region;
	struct geometry geo;
	int ret;

	parse("cxlfork inspect", &argp, argc, argv, &in);
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
