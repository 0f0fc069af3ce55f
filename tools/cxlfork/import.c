// SPDX-License-Identifier: GPL-2.0
/* cxlfork import: a file becomes a checkpoint again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "transfer.h"

#define NR_REPORTS	8

struct input {
	struct common		common;
	struct cxlfork_request	req;
	const char		*file;
};

enum {
	OPTION_PIN = OPTION_KEY,
	OPTION_TTL,
	OPTION_MODE,
};

static const struct argp_option options[] = {
	{ "name", 'n', "NAME", 0,
	  "Name of the checkpoint; else the one it had", 0 },
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
	case OPTION_PIN:
		in->req.flags |= CXLFORK_PIN;
		return 0;
	case OPTION_TTL:
		in->req.ttl = parse_duration(state, "--ttl", arg);
		return 0;
	case OPTION_MODE:
		in->req.mode = parse_mode(state, arg);
		return 0;
	case ARGP_KEY_ARG:
		one_argument(state, &in->file, arg, "file");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse_option, "[FILE]",
	"Make a checkpoint of what cxlfork export has written (without FILE: standard input) and print its id.",
	common_children, NULL, NULL,
};

static int input_open(const struct input *in)
{
	int fd;

	if (in->file && strcmp(in->file, "-")) {
		fd = open(in->file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			complain_file(&in->common, errno, "%s", in->file);
		return fd;
	}
	if (!isatty(STDIN_FILENO))
		return STDIN_FILENO;
	complain_text(&in->common, 0, NULL,
		      "what shall be imported? give a FILE, or redirect the input");
	return -1;
}

static const char *input_name(const struct input *in)
{
	return in->file && strcmp(in->file, "-") ? in->file : "standard input";
}

int cmd_import(int argc, char **argv)
{
	struct cxlfork_report list[NR_REPORTS];
	struct cxlfork_reports reports = { .room = NR_REPORTS, .list = list };
	char text[CXLFORK_ID_TEXT_MAX];
	struct json_object *object;
	struct transfer t = { 0 };
	struct input in = { 0 };
	struct stat st;
	int pool;
	__s64 id;

	parse("cxlfork import", &argp, argc, argv, &in);
	t.from = input_open(&in);
	if (t.from < 0)
		return EXIT_TROUBLE;
	if (!fstat(t.from, &st) && S_ISREG(st.st_mode))
		t.total = st.st_size;
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	t.to = cxlfork_import(pool, &in.req);
	if (t.to < 0)
		return complain(&in.common, errno, NULL, "%s can't be imported",
				input_name(&in));
	if (transfer(&t) && t.reading)
		return complain_file(&in.common, errno, "%s", input_name(&in));
	/* Whether or not all was taken: this says why not. */
	id = cxlfork_commit(t.to, &reports);
	if (id < 0) {
		/* whatever it was, it has been tried */
		complain(&in.common, errno, &reports, "%s can't be imported",
			 input_name(&in));
		return EXIT_NO;
	}
	if (!in.common.json) {
		puts(cxlfork_id_text(id, text));
		return 0;
	}
	object = json_object_new_object();
	json_hex(object, "id", id);
	json_num(object, "bytes", t.done);
	print_json(object);
	return 0;
}
