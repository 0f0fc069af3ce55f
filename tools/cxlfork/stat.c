// SPDX-License-Identifier: GPL-2.0
/* cxlfork stat: what /proc/PID/cxlfork_stat says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct input {
	struct common	common;
	int		pid;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &in->common;
		return 0;
	case ARGP_KEY_ARG:
		if (in->pid)
			argp_error(state, "one process only");
		in->pid = parse_number(state, "process id", arg, 1, INT32_MAX);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which process? give its PID");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	NULL, parse_option, "PID",
	"Show how much of a clone's memory is in CXL memory and how much is local, and its faults by kind. Exit status: 1 if the process is no clone.",
	common_children, NULL, NULL,
};

static void print_entry(struct json_object *object, const char *key,
			const char *text)
{
	char size[HUMAN_MAX], name[PRINTABLE_MAX], value[PRINTABLE_MAX];
	__u64 number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 0);
	if (!*text || *end || errno)
		end = NULL;		/* not a number */
	if (end && !strcmp(key, "checkpoint")) {
		cxlfork_id_text(number, value);
		if (object)
			json_str(object, key, value);
		else
			printf("%-24s %12s\n", key, value);
		return;
	}
	if (object) {
		if (end && strncmp(text, "0x", 2))
			json_num(object, key, number);
		else
			json_str(object, key, text);
		return;
	}
	printf("%-24s %12s", printable(name, key, strlen(key)),
	       printable(value, text, strlen(text)));
	if (end && !strncmp(key, "pages_", 6))
		printf("  %s", human_size(size, number * getpagesize()));
	else if (end && strstr(key, "bytes"))
		printf("  %s", human_size(size, number));
	putchar('\n');
}

int cmd_stat(int argc, char **argv)
{
	struct json_object *object = NULL;
	struct input in = { 0 };
	char path[64], line[256];
	FILE *file;
	int lines = 0;

	parse("cxlfork stat", &argp, argc, argv, &in);
	snprintf(path, sizeof(path), "/proc/%d/cxlfork_stat", in.pid);
	file = fopen(path, "re");
	if (!file) {
		if (errno == ENOENT && access("/proc/self/cxlfork_stat", F_OK))
			complain_text(&in.common, errno, NULL,
				      "this kernel has no /proc/PID/cxlfork_stat; boot one that is built with CONFIG_CXLFORK");
		else
			complain_file(&in.common,
				      errno == ENOENT ? ESRCH : errno,
				      "process %d", in.pid);
		return EXIT_TROUBLE;
	}
	if (in.common.json)
		object = json_object_new_object();
	while (fgets(line, sizeof(line), file)) {
		char *value = line + strcspn(line, " \t:\n");

		if (*value)
			*value++ = '\0';
		value += strspn(value, " \t:");
		value[strcspn(value, "\n")] = '\0';
		if (*line)
			print_entry(object, line, value);
		lines++;
	}
	fclose(file);
	if (!lines) {
		if (object)
			json_object_put(object);
		return complain_text(&in.common, 0, NULL,
				     "process %d is no clone", in.pid);
	}
	if (object)
		print_json(object);
	return 0;
}
