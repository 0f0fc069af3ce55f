// SPDX-License-Identifier: GPL-2.0
/* cxlfork pool reclaim: delete what nobody needs. */
#include <errno.h>
#include <stdio.h>

#include "cli.h"

/**
 * struct input - what is wanted, and what has become of it
 * @common:	see there
 * @reclaim:	see there
 * @pool:	the pool
 * @done:	JSON: those deleted
 * @left:	JSON: those that are not
 * @failed:	something could not be deleted that should have been
 */
struct input {
	struct common		common;
	struct cxlfork_reclaim	reclaim;
	int			pool;
	struct json_object	*done;
	struct json_object	*left;
	bool			failed;
};

enum {
	OPTION_NEED = OPTION_KEY,
	OPTION_ALL,
	OPTION_DRY_RUN,
};

static const struct argp_option options[] = {
	{ "need", OPTION_NEED, "SIZE", 0,
	  "Until so much is free: bytes, or with K, M, G or T", 0 },
	{ "all", OPTION_ALL, NULL, 0, "All that nobody needs", 0 },
	{ "dry-run", OPTION_DRY_RUN, NULL, 0, "Delete nothing, say what would be",
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
	case OPTION_NEED:
	case OPTION_ALL:
		if (in->reclaim.need)
			argp_error(state, "either --need or --all, once");
		in->reclaim.need = key == OPTION_ALL ? CXLFORK_RECLAIM_ALL :
				   parse_size(state, "--need", arg);
		if (key == OPTION_NEED &&
		    in->reclaim.need == CXLFORK_RECLAIM_ALL)
			argp_error(state, "--need: no pool has as much; give --all");
		return 0;
	case OPTION_DRY_RUN:
		in->reclaim.dry_run = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	options, parse_option, "",
	"Delete checkpoints that have expired; with --need or --all then those whose last restore is longest ago, of those that no clone and no other checkpoint uses and nobody has pinned. Exit status: 1 if that was not enough.",
	common_children, NULL, NULL,
};

static const char *word(enum cxlfork_reclaimed what)
{
	static const char * const words[] = {
		[CXLFORK_RECLAIM_FREED]		= "freed",
		[CXLFORK_RECLAIM_RETIRED]	= "retired",
		[CXLFORK_RECLAIM_PENDING]	= "pending",
		[CXLFORK_RECLAIM_PINNED]	= "pinned",
		[CXLFORK_RECLAIM_IN_USE]	= "in-use",
		[CXLFORK_RECLAIM_PARENT]	= "parent",
		[CXLFORK_RECLAIM_UNFINISHED]	= "unfinished",
		[CXLFORK_RECLAIM_FAILED]	= "failed",
	};

	return what < ARRAY_SIZE(words) ? words[what] : "?";
}

/* What has become of it, in words. */
static void describe(const struct input *in,
		     const struct cxlfork_ckpt_info *info,
		     enum cxlfork_reclaimed what, int err, char *text,
		     size_t size)
{
	const char *would = in->reclaim.dry_run ? "would be " : "";
	char hosts[HOSTS_MAX];

	switch (what) {
	case CXLFORK_RECLAIM_FREED:
		snprintf(text, size, "%sfreed", would);
		break;
	case CXLFORK_RECLAIM_RETIRED:
		snprintf(text, size,
			 "%sdeleted, and free once nobody uses it any more",
			 would);
		break;
	case CXLFORK_RECLAIM_PENDING:
		snprintf(text, size, "to be deleted by its host, which is silent");
		break;
	case CXLFORK_RECLAIM_PINNED:
		snprintf(text, size, "stays: pinned by %s",
			 host_names(in->pool, info->pins, hosts));
		break;
	case CXLFORK_RECLAIM_IN_USE:
		snprintf(text, size, "stays: %u clones on %s", info->refs,
			 host_names(in->pool, info->held, hosts));
		break;
	case CXLFORK_RECLAIM_PARENT:
		snprintf(text, size, "stays: %u checkpoints use its pages",
			 info->keeps);
		break;
	case CXLFORK_RECLAIM_UNFINISHED:
		snprintf(text, size, "stays: %s",
			 cxlfork_ckpt_state_name(info->state));
		break;
	default:
		snprintf(text, size, "stays: %s", err == EPERM ?
			 "another user's, whose mode does not allow to delete it" :
			 cxlfork_strerror(err));
	}
}

static void each(const struct cxlfork_ckpt_info *info,
		 enum cxlfork_reclaimed what, bool expired, int err, void *arg)
{
	char id[CXLFORK_ID_TEXT_MAX], name[PRINTABLE_MAX], size[HUMAN_MAX];
	struct input *in = arg;
	char text[HOSTS_MAX + 64];
	struct json_object *item;

	if (what == CXLFORK_RECLAIM_FAILED)
		in->failed = true;
	describe(in, info, what, err, text, sizeof(text));
	if (!in->common.json) {
		printf("%-12s %-20s %9s  %s%s\n",
		       cxlfork_id_text(info->id, id),
		       info->name[0] ?
			       printable(name, info->name, sizeof(info->name)) :
			       "-",
		       human_size(size, info->bytes),
		       expired ? "expired: " : "", text);
		return;
	}
	item = json_object_new_object();
	json_hex(item, "id", info->id);
	json_str(item, "name", info->name);
	json_num(item, "bytes", info->bytes);
	json_flag(item, "expired", expired);
	json_str(item, "outcome", word(what));
	json_str(item, "text", text);
	if (err)
		json_num(item, "errno", err);
	json_object_array_add(what <= CXLFORK_RECLAIM_RETIRED ? in->done :
			      in->left, item);
}

static void print_sum_json(const struct input *in, bool enough)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "deleted", in->done);
	json_object_object_add(object, "left", in->left);
	json_num(object, "freed", in->reclaim.freed);
	json_num(object, "free", in->reclaim.free);
	if (in->reclaim.need != CXLFORK_RECLAIM_ALL)
		json_num(object, "needed", in->reclaim.need);
	json_flag(object, "enough", enough);
	json_flag(object, "dry_run", in->reclaim.dry_run);
	print_json(object);
}

static void print_sum(const struct input *in, bool enough)
{
	char freed[HUMAN_MAX], free[HUMAN_MAX], need[HUMAN_MAX];

	printf("%s%s freed, %s free", in->reclaim.dry_run ? "would be: " : "",
	       human_size(freed, in->reclaim.freed),
	       human_size(free, in->reclaim.free));
	if (!enough)
		printf(", not %s", human_size(need, in->reclaim.need));
	putchar('\n');
}

int cmd_pool_reclaim(int argc, char **argv)
{
	struct input in = { 0 };
	bool enough;
	int ret;

	parse("cxlfork pool reclaim", &argp, argc, argv, &in);
	in.pool = open_pool(&in.common);
	if (in.pool < 0)
		return EXIT_TROUBLE;
	in.reclaim.each = each;
	in.reclaim.arg = &in;
	if (in.common.json) {
		in.done = json_object_new_array();
		in.left = json_object_new_array();
	}
	ret = cxlfork_reclaim(in.pool, &in.reclaim);
	if (ret && errno != ENOSPC) {
		complain(&in.common, errno, NULL, "the pool can't be listed");
		return EXIT_TROUBLE;
	}
	enough = !ret;
	if (in.common.json)
		print_sum_json(&in, enough);
	else
		print_sum(&in, enough);
	/* With an amount that is what counts. */
	if (in.reclaim.need && in.reclaim.need != CXLFORK_RECLAIM_ALL)
		return enough ? 0 : EXIT_NO;
	return in.failed ? EXIT_NO : 0;
}
