// SPDX-License-Identifier: GPL-2.0
/* cxlfork pool fsck. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "fsck.h"

/*
 * A pool in use changes while it is read: what is wrong has to be so at two
 * looks running.  What a dead host may leave behind, but not a live one, takes
 * as many looks as a live one needs to give a sign of life.
 */
#define LOOKS		3
#define LOOKS_IN_DOUBT	9
#define LOOK_AGAIN_NS	300000000L

struct input {
	struct common	common;
	const char	*file;
};

enum { OPTION_FILE = OPTION_KEY };

static const struct argp_option options[] = {
	{ "file", OPTION_FILE, "BACKING", 0,
	  "Read the region from this file or device, not through the pool", 0 },
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
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse_option, "",
	"Check all that the format of the pool promises; nothing is changed. Exit status: 0 clean, 1 problems, 2 it can't be checked.",
	common_children, NULL, NULL,
};

static enum super_state check(const struct region *region,
			      struct fsck_counts *counts,
			      struct findings *findings)
{
	const struct timespec pause = { 0, LOOK_AGAIN_NS };
	struct fsck_pulse pulse = { 0 };
	struct findings before = { 0 };
	enum super_state state;
	int look, looks = LOOKS;

	for (look = 1;; look++) {
		state = fsck_run(region, &pulse, counts, findings);
		if (counts->doubts)
			looks = LOOKS_IN_DOUBT;
		if (findings->no_memory || look >= looks ||
		    (!findings->nr && !counts->doubts))
			break;
		findings_free(&before);
		before = *findings;
		memset(findings, 0, sizeof(*findings));
		nanosleep(&pause, NULL);
	}
	if (look > 1 && state == SUPER_OK)
		findings_common(findings, &before);
	findings_free(&before);
	return state;
}

static void print_findings(const struct fsck_counts *counts,
			   const struct findings *findings)
{
	size_t i, listed = findings_listed(findings);
	char line[FINDING_LINE];

	for (i = 0; i < listed; i++)
		printf("%s: %s\n", findings->list[i].place,
		       finding_line(&findings->list[i], line));
	if (findings->nr > listed)
		printf("... and %zu more\n", findings->nr - listed);
	printf("%s: %u hosts, %u checkpoints, %u images with %llu leaves and %llu pages, ",
	       findings->nr ? "problems" : "clean", counts->hosts,
	       counts->ckpts, counts->images, counts->leaves, counts->pages);
	printf("%u parents, %llu references, %u extents used, %u free\n",
	       counts->parents, counts->refs, counts->extents_used,
	       counts->extents_free);
}

static void print_findings_json(const char *verdict,
				const struct fsck_counts *counts,
				const struct findings *findings)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array(), *item;
	size_t i;

	json_str(object, "verdict", verdict);
	json_num(object, "found", findings->nr);
	for (i = 0; i < findings_listed(findings); i++) {
		item = json_object_new_object();
		json_str(item, "kind", finding_word(findings->list[i].kind));
		json_str(item, "place", findings->list[i].place);
		json_str(item, "text", findings->list[i].text);
		json_str(item, "expected",
			 finding_expected(findings->list[i].kind));
		json_object_array_add(list, item);
	}
	json_object_object_add(object, "problems", list);
	json_num(object, "hosts", counts->hosts);
	json_num(object, "checkpoints", counts->ckpts);
	json_num(object, "images", counts->images);
	json_num(object, "leaves", counts->leaves);
	json_num(object, "pages", counts->pages);
	json_num(object, "parents", counts->parents);
	json_num(object, "references", counts->refs);
	json_num(object, "extents_used", counts->extents_used);
	json_num(object, "extents_free", counts->extents_free);
	print_json(object);
}

int cmd_pool_fsck(int argc, char **argv)
{
	struct findings findings = { 0 };
	struct fsck_counts counts;
	struct input in = { 0 };
	struct region region;
	enum super_state state;
	bool checked;
	int ret;

	parse("cxlfork pool fsck", &argp, argc, argv, &in);
	if (open_region(&in.common, in.file, &region))
		return EXIT_TROUBLE;
	state = check(&region, &counts, &findings);
	checked = !findings.no_memory &&
		  (state == SUPER_OK || state == SUPER_DAMAGED);
	if (findings.no_memory)
		complain(&in.common, ENOMEM, NULL, "can't be checked");
	else if (in.common.json)
		print_findings_json(!checked ? "unchecked" :
				    findings.nr ? "problems" : "clean",
				    &counts, &findings);
	else if (checked)
		print_findings(&counts, &findings);
	else
		complain_text(&in.common, findings.err, NULL,
			      "can't be checked: %s: %s", findings.place,
			      findings_first(&findings));
	ret = !checked ? EXIT_TROUBLE : findings.nr ? EXIT_NO : 0;
	findings_free(&findings);
	region_close(&region);
	return ret;
}
