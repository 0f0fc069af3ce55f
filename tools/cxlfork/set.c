// SPDX-License-Identifier: GPL-2.0
/* cxlfork set, pin, unpin: what may change of a checkpoint. */
#include <errno.h>

#include "cli.h"

struct input {
	struct common	common;
	char		**what;
	int		nr_what;
	bool		needs_ttl;
	bool		has_ttl;
	__u64		ttl;
};

enum { OPTION_TTL = OPTION_KEY };

static const struct argp_option set_options[] = {
	{ "ttl", OPTION_TTL, "TIME", 0,
	  "Expire after this time from now: seconds, or with m, h, d or w; `never'",
	  0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &in->common;
		return 0;
	case OPTION_TTL:
		in->ttl = parse_duration(state, "--ttl", arg);
		in->has_ttl = true;
		return 0;
	case ARGP_KEY_ARGS:
		in->what = state->argv + state->next;
		in->nr_what = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which checkpoint? give IDs or NAMEs");
		return 0;
	case ARGP_KEY_END:
		if (in->needs_ttl && !in->has_ttl)
			argp_error(state, "what is to change? give --ttl");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp set_argp = {
	set_options, parse_option, "ID|NAME...",
	"Change when checkpoints expire. Only the host that has a checkpoint in its directory can (cxlfork ls says which).",
	common_children, NULL, NULL,
};

static const struct argp pin_argp = {
	NULL, parse_option, "ID|NAME...",
	"Pin checkpoints: as long as a host has pinned one, it neither expires nor can it be deleted. A reboot does not end that.",
	common_children, NULL, NULL,
};

static const struct argp unpin_argp = {
	NULL, parse_option, "ID|NAME...",
	"End this host's pin on checkpoints. Those of other hosts stay.",
	common_children, NULL, NULL,
};

static int change_ttl(int pool, __u64 id, const struct input *in)
{
	return cxlfork_set_ttl(pool, id, in->ttl);
}

static int pin(int pool, __u64 id, const struct input *in)
{
	(void)in;
	return cxlfork_pin(pool, id, true);
}

static int unpin(int pool, __u64 id, const struct input *in)
{
	(void)in;
	return cxlfork_pin(pool, id, false);
}

/* Change each of them; errors do not keep the others from it. */
static int change(const char *title, const struct argp *argp, int argc,
		  char **argv, int (*what)(int, __u64, const struct input *))
{
	struct json_object *list = NULL, *item;
	struct input in = { .needs_ttl = argp == &set_argp };
	int pool, i, err, status = 0;
	__u64 id;

	parse(title, argp, argc, argv, &in);
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	if (in.common.json)
		list = json_object_new_array();
	for (i = 0; i < in.nr_what; i++) {
		err = find_id(pool, in.what[i], &id);
		if (!err && what(pool, id, &in))
			err = errno;
		item = NULL;
		if (list) {
			item = json_object_new_object();
			json_str(item, "checkpoint", in.what[i]);
			json_str(item, "outcome", err ? "failed" : "changed");
			json_object_array_add(list, item);
		}
		if (err)
			status = complain_item(&in.common, err, in.what[i],
					       item);
	}
	if (list)
		print_json(list);
	return status;
}

int cmd_set(int argc, char **argv)
{
	return change("cxlfork set", &set_argp, argc, argv, change_ttl);
}

int cmd_pin(int argc, char **argv)
{
	return change("cxlfork pin", &pin_argp, argc, argv, pin);
}

int cmd_unpin(int argc, char **argv)
{
	return change("cxlfork unpin", &unpin_argp, argc, argv, unpin);
}
