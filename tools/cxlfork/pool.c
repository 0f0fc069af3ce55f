// SPDX-License-Identifier: GPL-2.0
/* cxlfork pool format. */
#include <errno.h>
#include <stdio.h>

#include "cli.h"

#define MAX_SLOTS	16

struct input {
	struct common			common;
	struct cxlfork_pool_format	format;
	bool				incoherent;
};

enum {
	OPTION_FORCE = OPTION_KEY,
	OPTION_SLOTS,
	OPTION_NON_COHERENT,
};

static const struct argp_option format_options[] = {
	{ "force", OPTION_FORCE, NULL, 0,
	  "Even if a silent host may still use the pool, or over foreign data",
	  0 },
	{ "slots", OPTION_SLOTS, "N", 0, "Hosts that can attach (1..16; 16)",
	  0 },
	{ "non-coherent", OPTION_NON_COHERENT, NULL, 0,
	  "Hosts do not see each other's stores without flushes", 0 },
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
		in->format.flags |= CXLFORK_FORMAT_FORCE;
		return 0;
	case OPTION_SLOTS:
		in->format.nr_slots = parse_number(state, "--slots", arg, 1,
						   MAX_SLOTS);
		return 0;
	case OPTION_NON_COHERENT:
		in->incoherent = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp format_argp = {
	format_options, parse_option, "",
	"Make the CXL region a pool and attach this host to it. All that is in it is lost.",
	common_children, NULL, NULL,
};

int cmd_pool_format(int argc, char **argv)
{
	struct cxlfork_pool_info info;
	char uuid[UUID_TEXT_MAX], why[PRINTABLE_MAX];
	struct json_object *object;
	struct input in = { 0 };
	int pool, err;

	parse("cxlfork pool format", &format_argp, argc, argv, &in);
	if (!in.incoherent)
		in.format.pool_flags = CXLFORK_POOL_COHERENT;
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	if (cxlfork_pool_format(pool, &in.format)) {
		err = errno;
		if (!in.format.reason[0])
			return complain(&in.common, err, NULL,
					"the pool can't be formatted");
		return complain_text(&in.common, err, NULL,
				     "the pool can't be formatted: %s",
				     printable(why, in.format.reason,
					       sizeof(in.format.reason)));
	}
	if (cxlfork_pool_info(pool, &info))
		return complain(&in.common, errno, NULL, "pool format");
	uuid_text(uuid, info.uuid);
	if (!in.common.json) {
		printf("%s\n", uuid);
		return 0;
	}
	object = json_object_new_object();
	json_str(object, "uuid", uuid);
	json_num(object, "slot", info.slot);
	print_json(object);
	return 0;
}
