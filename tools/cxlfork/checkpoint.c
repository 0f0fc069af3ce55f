// SPDX-License-Identifier: GPL-2.0
/* cxlfork checkpoint, cxlfork check: of another process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define NR_REPORTS	64

struct input {
	struct common		common;
	struct cxlfork_request	req;
	struct fd_list		handover;
};

enum {
	OPTION_KILL = OPTION_KEY,
	OPTION_PIN,
	OPTION_TTL,
	OPTION_MODE,
};

static const struct argp_option checkpoint_options[] = {
	{ "pid", 'p', "PID", 0, "Process to checkpoint", 0 },
	{ "name", 'n', "NAME", 0, "Name of the checkpoint", 0 },
	{ "kill", OPTION_KILL, NULL, 0,
	  "Kill the process once the checkpoint is there", 0 },
	{ "handover", 'f', "FD", 0,
	  "Leave out this descriptor: a restore hands over one in its place (0, 1 and 2 always are such)",
	  0 },
	{ "ttl", OPTION_TTL, "TIME", 0,
	  "Let it expire after this time: seconds, or with m, h, d or w; `never'",
	  0 },
	{ "mode", OPTION_MODE, "OCTAL", 0,
	  "What its group and others may: 4 see it, 2 delete and change it (600)",
	  0 },
	{ "pin", OPTION_PIN, NULL, 0,
	  "Pin it: it neither expires nor can it be deleted", 0 },
	{ 0 },
};

static const struct argp_option check_options[] = {
	{ "pid", 'p', "PID", 0, "Process to look at", 0 },
	{ "handover", 'f', "FD", 0,
	  "Do not look at this descriptor: a restore would hand over one", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &in->common;
		return 0;
	case 'n':
		check_name(state, arg);
		in->req.name = arg;
		return 0;
	case OPTION_KILL:
		in->req.flags |= CXLFORK_KILL;
		return 0;
	case OPTION_PIN:
		in->req.flags |= CXLFORK_PIN;
		return 0;
	case OPTION_TTL:
		in->req.ttl = parse_duration(state, "--ttl", arg);
		return 0;
	case OPTION_MODE:
		in->req.mode = parse_mode(state, arg);
		return 0;
	case 'f':
		add_handover(state, &in->handover, arg);
		return 0;
	case ARGP_KEY_ARG:
	case 'p':
		if (in->req.pid)
			argp_error(state, "one process only");
		in->req.pid = parse_number(state, "process id", arg, 1,
					   INT32_MAX);
		return 0;
	case ARGP_KEY_END:
		if (!in->req.pid)
			argp_error(state, "which process? give its PID");
		in->req.handover = in->handover.fds;
		in->req.nr_handover = in->handover.nr;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp checkpoint_argp = {
	checkpoint_options, parse_option, "[PID]",
	"Write a checkpoint of a process into the pool and print its id.",
	common_children, NULL, NULL,
};

static const struct argp check_argp = {
	check_options, parse_option, "[PID]",
	"Say what stands in the way of a checkpoint of a process. Exit status: 0 nothing, 1 something, 2 this could not be found out.",
	common_children, NULL, NULL,
};

int cmd_checkpoint(int argc, char **argv)
{
	struct cxlfork_report list[NR_REPORTS];
	struct cxlfork_reports reports = { .room = NR_REPORTS, .list = list };
	struct input in = { 0 };
	char text[CXLFORK_ID_TEXT_MAX];
	struct json_object *object;
	__s64 id;
	int pool;

	parse("cxlfork checkpoint", &checkpoint_argp, argc, argv, &in);
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	id = cxlfork_checkpoint(pool, &in.req, &reports);
	if (id < 0)
		return complain(&in.common, errno, &reports,
				"process %d can't be checkpointed", in.req.pid);
	if (!in.common.json) {
		puts(cxlfork_id_text(id, text));
		return 0;
	}
	object = json_object_new_object();
	json_hex(object, "id", id);
	json_num(object, "pid", in.req.pid);
	if (in.req.name)
		json_str(object, "name", in.req.name);
	print_json(object);
	return 0;
}

static int print_check(const struct input *in,
		       const struct cxlfork_reports *reports)
{
	struct json_object *object;

	if (!in->common.json) {
		if (reports->found)
			return complain_text(&in->common, 0, reports,
					     "process %d can't be cloned",
					     in->req.pid);
		printf("process %d can be cloned\n", in->req.pid);
		return 0;
	}
	object = json_object_new_object();
	json_num(object, "pid", in->req.pid);
	json_flag(object, "cloneable", !reports->found);
	json_num(object, "found", reports->found);
	json_object_object_add(object, "reports", json_reports(reports));
	print_json(object);
	return reports->found ? EXIT_NO : 0;
}

int cmd_check(int argc, char **argv)
{
	struct cxlfork_reports *reports;
	struct input in = { 0 };
	int pool, ret;

	parse("cxlfork check", &check_argp, argc, argv, &in);
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	reports = cxlfork_reports_new(CXLFORK_REPORTS_MAX);
	if (!reports) {
		complain(&in.common, errno, NULL, "check");
		return EXIT_TROUBLE;
	}
	if (cxlfork_check(pool, &in.req, reports) < 0 && !reports->found) {
		complain(&in.common, errno, NULL, "process %d", in.req.pid);
		ret = EXIT_TROUBLE;
	} else {
		ret = print_check(&in, reports);
	}
	cxlfork_reports_free(reports);
	return ret;
}
