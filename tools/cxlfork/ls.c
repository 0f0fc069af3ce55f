// SPDX-License-Identifier: GPL-2.0
/* cxlfork ls: the directory of checkpoints. */
#include <errno.h>
#include <stdio.h>

#include "cli.h"

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = state->input;
	return 0;
}

static const struct argp argp = {
	NULL, parse_option, "", "List the checkpoints of all hosts.",
	common_children, NULL, NULL,
};

static void print_line(int pool, const struct cxlfork_ckpt_info *info)
{
	char id[CXLFORK_ID_TEXT_MAX], size[HUMAN_MAX], when[TIME_TEXT_MAX];
	char host[PRINTABLE_MAX], name[PRINTABLE_MAX], expires[TIME_TEXT_MAX];

	printf("%-12s %-20s %-9s %-12s %4u %5u %4d %9s %9llu  %-20s  %s\n",
	       cxlfork_id_text(info->id, id),
	       info->name[0] ? printable(name, info->name, sizeof(info->name)) :
			       "-",
	       cxlfork_ckpt_state_name(info->state),
	       host_name(pool, info->owner, host), info->refs, info->keeps,
	       __builtin_popcount(info->pins), human_size(size, info->bytes),
	       info->pages, time_text(when, info->created),
	       info->expires ? time_text(expires, info->expires) : "never");
}

static struct json_object *ckpt_json(int pool,
				     const struct cxlfork_ckpt_info *info)
{
	struct json_object *object = json_object_new_object();
	char host[PRINTABLE_MAX];

	json_hex(object, "id", info->id);
	json_str(object, "name", info->name);
	json_str(object, "state", cxlfork_ckpt_state_name(info->state));
	json_num(object, "owner", info->owner);
	json_str(object, "host", host_name(pool, info->owner, host));
	json_num(object, "refs", info->refs);
	json_num(object, "uid", info->uid);
	json_num(object, "gid", info->gid);
	json_num(object, "mode", info->mode);
	json_num(object, "created", info->created);
	json_num(object, "bytes", info->bytes);
	json_num(object, "pages", info->pages);
	json_num(object, "first", info->first);
	json_num(object, "expires", info->expires);
	json_num(object, "restored", info->restored);
	json_num(object, "keeps", info->keeps);
	json_num(object, "parents", info->nr_parents);
	json_hosts(object, "held_by", pool, info->held);
	json_hosts(object, "pinned_by", pool, info->pins);
	return object;
}

int cmd_ls(int argc, char **argv)
{
	struct cxlfork_ckpt_info info = { 0 };
	struct json_object *list = NULL;
	struct common common = { 0 };
	int pool, ret;

	parse("cxlfork ls", &argp, argc, argv, &common);
	pool = open_pool(&common);
	if (pool < 0)
		return EXIT_TROUBLE;
	if (common.json)
		list = json_object_new_array();
	else
		printf("%-12s %-20s %-9s %-12s %4s %5s %4s %9s %9s  %-20s  %s\n",
		       "ID", "NAME", "STATE", "HOST", "REFS", "KEEPS", "PINS",
		       "SIZE", "PAGES", "CREATED", "EXPIRES");
	while ((ret = cxlfork_next(pool, &info)) > 0) {
		if (list)
			json_object_array_add(list, ckpt_json(pool, &info));
		else
			print_line(pool, &info);
	}
	if (ret < 0) {
		complain(&common, errno, NULL, "the pool can't be listed");
		return EXIT_TROUBLE;
	}
	if (list)
		print_json(list);
	return 0;
}
