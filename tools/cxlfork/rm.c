// SPDX-License-Identifier: GPL-2.0
/* cxlfork rm: delete checkpoints. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

struct input {
	struct common	common;
	char		**what;
	int		nr_what;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &in->common;
		return 0;
	case ARGP_KEY_ARGS:
		in->what = state->argv + state->next;
		in->nr_what = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which checkpoint? give IDs or NAMEs");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	NULL, parse_option, "ID|NAME...",
	"Delete checkpoints. Their memory is free once the last clone has ended.",
	common_children, NULL, NULL,
};

static int remove_one(int pool, const char *what, const char **outcome)
{
	__u64 id;
	int err;

	err = find_id(pool, what, &id);
	if (err)
		return err;
	*outcome = "removed";
	if (!cxlfork_remove(pool, id))
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	*outcome = "in-progress";
	return 0;
}

int cmd_rm(int argc, char **argv)
{
	struct json_object *list = NULL, *item;
	struct input in = { 0 };
	const char *outcome = NULL;
	int pool, i, err, status = 0;

	parse("cxlfork rm", &argp, argc, argv, &in);
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	if (in.common.json)
		list = json_object_new_array();
	for (i = 0; i < in.nr_what; i++) {
		const char *what = in.what[i];

		err = remove_one(pool, what, &outcome);
		item = NULL;
		if (list) {
			item = json_object_new_object();
			json_str(item, "checkpoint", what);
			json_str(item, "outcome", err ? "failed" : outcome);
			json_object_array_add(list, item);
		}
		if (err)
			status = complain_item(&in.common, err, what, item);
		else if (!list && strcmp(outcome, "removed"))
			fprintf(stderr, "cxlfork: %s: %s\n", what,
				cxlfork_strerror(EINPROGRESS));
	}
	if (list)
		print_json(list);
	return status;
}
