// SPDX-License-Identifier: GPL-2.0
/* cxlfork export: a checkpoint becomes a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "part_file.h"
#include "transfer.h"

#define NR_REPORTS	8

struct input {
	struct common	common;
	const char	*what;
	const char	*output;
};

/**
 * struct output - where it goes
 * @name:	for people
 * @fd:		descriptor
 * @file:	it is a file of its own, and this one
 * @is_file:	so it is
 * @sync:	it is somebody else's file: to be on the disk before we say so
 */
struct output {
	const char		*name;
	int			fd;
	struct part_file	file;
	bool			is_file;
	bool			sync;
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0, "Write there, not to standard output (-)",
	  0 },
	{ 0 },
};

/* As import's FILE is. */
static bool to_file(const struct input *in)
{
	return in->output && strcmp(in->output, "-");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &in->common;
		return 0;
	case 'o':
		in->output = arg;
		return 0;
	case ARGP_KEY_ARG:
		one_argument(state, &in->what, arg, "checkpoint");
		return 0;
	case ARGP_KEY_END:
		if (!in->what)
			argp_error(state, "which checkpoint? give an ID or NAME");
		if (in->common.json && !to_file(in))
			argp_error(state, "--json needs --output FILE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse_option, "ID|NAME",
	"Write a checkpoint to a file, from which cxlfork import makes one again, in this pool or another.",
	common_children, NULL, NULL,
};

static int output_stdout(const struct input *in, struct output *out)
{
	struct stat st;

	out->name = "standard output";
	out->fd = STDOUT_FILENO;
	if (isatty(out->fd)) {
		complain_text(&in->common, 0, NULL,
			      "a checkpoint is not for a terminal: redirect the output, or use --output FILE");
		return -1;
	}
	out->sync = !fstat(out->fd, &st) && S_ISREG(st.st_mode);
	return 0;
}

/*
 * A file gets its name when all of it is there, and is for its owner only: it
 * holds the memory of a process.  A device or a pipe is written to as it is.
 */
static int output_open(const struct input *in, struct output *out)
{
	struct stat st;

	if (!to_file(in))
		return output_stdout(in, out);
	out->name = in->output;
	if (!stat(in->output, &st) && !S_ISREG(st.st_mode)) {
		out->fd = open(in->output, O_WRONLY | O_CLOEXEC);
	} else {
		out->is_file = !part_create(&out->file, in->output);
		out->fd = out->is_file ? out->file.fd : -1;
	}
	if (out->fd >= 0 && isatty(out->fd)) {
		complain_text(&in->common, 0, NULL, "%s is a terminal",
			      in->output);
		return -1;
	}
	if (out->fd >= 0)
		return 0;
	complain_file(&in->common, errno, "%s", in->output);
	return -1;
}

static int output_finish(struct output *out)
{
	if (out->is_file)
		return part_finish(&out->file);
	return out->sync ? fsync(out->fd) : 0;
}

static int write_out(const struct input *in, int from, __u64 most, __u64 id)
{
	struct transfer t = { .from = from, .total = most, .most = true };
	struct output out = { .fd = -1 };
	struct json_object *object;

	if (output_open(in, &out))
		return EXIT_TROUBLE;
	t.to = out.fd;
	if (transfer(&t) || output_finish(&out)) {
		if (t.reading)
			complain(&in->common, errno, NULL,
				 "checkpoint %s can't be read to its end",
				 in->what);
		else
			complain_file(&in->common, errno, "%s", out.name);
		if (out.is_file)
			part_abandon(&out.file);
		return EXIT_NO;
	}
	if (in->common.json) {
		object = json_object_new_object();
		json_hex(object, "id", id);
		json_str(object, "file", in->output);
		json_num(object, "bytes", t.done);
		print_json(object);
	}
	return 0;
}

int cmd_export(int argc, char **argv)
{
	struct cxlfork_report list[NR_REPORTS];
	struct cxlfork_reports reports = { .room = NR_REPORTS, .list = list };
	struct input in = { 0 };
	__u64 id = 0, most = 0;
	int pool, from, err;

	parse("cxlfork export", &argp, argc, argv, &in);
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	err = find_id(pool, in.what, &id);
	if (err)
		return complain_ckpt(&in.common, err, in.what);
	from = cxlfork_export(pool, id, &most, &reports);
	if (from < 0)
		return complain(&in.common, errno, &reports,
				"checkpoint %s can't be exported", in.what);
	return write_out(&in, from, most, id);
}
