// SPDX-License-Identifier: GPL-2.0
/* cxlfork pool fence: declare a host dead. */
#include <errno.h>
#include <stdio.h>

#include "cli.h"

struct input {
	struct common	common;
	const char	*host;
	bool		force;
};

enum { OPTION_FORCE = OPTION_KEY };

static const struct argp_option options[] = {
	{ "force", OPTION_FORCE, NULL, 0,
	  "Even if it gives signs of life: it ends its clones when it notices",
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
	case OPTION_FORCE:
		in->force = true;
		return 0;
	case ARGP_KEY_ARG:
		one_argument(state, &in->host, arg, "host");
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which host? give its SLOT or NAME");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse_option, "SLOT|NAME",
	"Declare a host dead. You know that it is switched off, cut off from the memory, or has left and will not be back: what its processes used is given to others. Its checkpoints stay; this host takes care of them until it boots again.",
	common_children, NULL, NULL,
};

int cmd_pool_fence(int argc, char **argv)
{
	struct cxlfork_pool_fence fence = { 0 };
	char name[PRINTABLE_MAX], why[PRINTABLE_MAX];
	struct cxlfork_host_info host;
	struct json_object *object;
	struct input in = { 0 };
	int pool, err;

	parse("cxlfork pool fence", &argp, argc, argv, &in);
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	if (cxlfork_find_host(pool, in.host, &host)) {
		if (errno == ENOENT)
			return complain_text(&in.common, errno, NULL,
					     "there is no host `%s'", in.host);
		if (errno == ENOTUNIQ)
			return complain_text(&in.common, errno, NULL,
					     "several hosts are called `%s'; give the slot",
					     in.host);
		complain(&in.common, errno, NULL, "%s", in.host);
		return EXIT_TROUBLE;
	}
	fence.slot = host.slot;
	fence.flags = in.force ? CXLFORK_FENCE_FORCE : 0;
	printable(name, host.name, sizeof(host.name));
	if (cxlfork_pool_fence(pool, &fence)) {
		err = errno;
		if (!fence.reason[0])
			return complain(&in.common, err, NULL,
					"%s can't be declared dead", name);
		return complain_text(&in.common, err, NULL,
				     "%s can't be declared dead: %s", name,
				     printable(why, fence.reason,
					       sizeof(fence.reason)));
	}
	if (!in.common.json) {
		printf("%s (slot %u) is declared dead\n", name, host.slot);
		return 0;
	}
	object = json_object_new_object();
	json_num(object, "slot", host.slot);
	json_str(object, "name", host.name);
	print_json(object);
	return 0;
}
