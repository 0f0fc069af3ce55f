// SPDX-License-Identifier: GPL-2.0
/* cxlfork pool format, cxlfork pool status. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

static const struct argp_child children[] = {
	{ &common_argp, 0, NULL, 0 },
	{ 0 },
};

static const struct argp format_argp = {
	format_options, parse_option, "",
	"Make the CXL region a pool and attach this host to it. All that is in it is lost.",
	children, NULL, NULL,
};

static const struct argp status_argp = {
	NULL, parse_option, "",
	"Show the pool, the hosts that use it, and what is in it. Exit status: 1 if this host is not attached.",
	children, NULL, NULL,
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
		return complain(&in.common, 0, NULL,
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

/* Checkpoints by state. */
struct count {
	unsigned int	of[CXLFORK_CKPT_RETIRING + 1];
	__u64	bytes;
};

static int count_ckpts(int pool, struct count *count)
{
	struct cxlfork_ckpt_info info = { 0 };
	int ret;

	memset(count, 0, sizeof(*count));
	while ((ret = cxlfork_next(pool, &info)) > 0) {
		if (info.state <= CXLFORK_CKPT_RETIRING)
			count->of[info.state]++;
		count->bytes += info.bytes;
	}
	return ret;
}

static struct json_object *host_json(const struct cxlfork_host_info *host)
{
	struct json_object *object = json_object_new_object();
	char uuid[UUID_TEXT_MAX];

	json_num(object, "slot", host->slot);
	json_str(object, "state", cxlfork_host_state_name(host->state));
	json_str(object, "name", host->name);
	json_str(object, "kernel", host->kernel);
	json_str(object, "uuid", uuid_text(uuid, host->host_uuid));
	json_num(object, "boot_epoch", host->boot_epoch);
	json_num(object, "heartbeat", host->heartbeat);
	json_num(object, "silent_ms", host->silent_ms);
	json_hex(object, "phys_base", host->phys_base);
	return object;
}

static void print_host(const struct cxlfork_host_info *host, bool self)
{
	char name[PRINTABLE_MAX], kernel[PRINTABLE_MAX];

	printf("  slot %2u  %-9s %s%s, kernel %s, base 0x%llx, epoch %llu",
	       host->slot, cxlfork_host_state_name(host->state),
	       printable(name, host->name, sizeof(host->name)),
	       self ? " (this host)" : "",
	       printable(kernel, host->kernel, sizeof(host->kernel)),
	       host->phys_base,
	       host->boot_epoch);
	if (host->state == CXLFORK_HOST_ALIVE && !self)
		printf(", silent for %.1f s", host->silent_ms / 1000.0);
	putchar('\n');
}

static struct json_object *pool_json(const struct cxlfork_pool_info *info,
				     const struct count *count)
{
	struct json_object *object = json_object_new_object(), *ckpts;
	char uuid[UUID_TEXT_MAX];
	bool attached = info->state == CXLFORK_POOL_ATTACHED;

	json_str(object, "state", attached ? "attached" : "unformatted");
	json_num(object, "size", info->size);
	json_hex(object, "phys_base", info->phys_base);
	if (!attached) {
		json_str(object, "reason", info->reason);
		return object;
	}
	json_str(object, "uuid", uuid_text(uuid, info->uuid));
	json_num(object, "version", info->version);
	json_flag(object, "coherent", info->flags & CXLFORK_POOL_COHERENT);
	json_num(object, "extent_size", info->extent_size);
	json_num(object, "extents", info->nr_extents);
	json_num(object, "free_extents", info->free_extents);
	json_num(object, "slots", info->nr_slots);
	json_num(object, "slot", info->slot);
	ckpts = json_object_new_object();
	json_num(ckpts, "live", count->of[CXLFORK_CKPT_LIVE]);
	json_num(ckpts, "writing", count->of[CXLFORK_CKPT_WRITING]);
	json_num(ckpts, "retiring", count->of[CXLFORK_CKPT_RETIRING]);
	json_num(ckpts, "bytes", count->bytes);
	json_object_object_add(object, "checkpoints", ckpts);
	return object;
}

static void print_pool(const struct cxlfork_pool_info *info,
		       const struct count *count)
{
	char uuid[UUID_TEXT_MAX], a[HUMAN_MAX], b[HUMAN_MAX];
	char why[PRINTABLE_MAX];

	if (info->state != CXLFORK_POOL_ATTACHED) {
		printf("not a pool: %s\nregion of %s at 0x%llx\n",
		       printable(why, info->reason, sizeof(info->reason)),
		       human_size(a, info->size),
		       info->phys_base);
		return;
	}
	printf("pool %s, format %u, %s\n", uuid_text(uuid, info->uuid),
	       info->version, info->flags & CXLFORK_POOL_COHERENT ?
	       "coherent" : "not coherent");
	printf("region of %s at 0x%llx\n", human_size(a, info->size),
	       info->phys_base);
	printf("extents: %llu of %s, %llu free (%s)\n",
	       info->nr_extents,
	       human_size(a, info->extent_size),
	       info->free_extents,
	       human_size(b, info->free_extents * info->extent_size));
	printf("checkpoints: %u live, %u being written, %u retiring (%s)\n",
	       count->of[CXLFORK_CKPT_LIVE], count->of[CXLFORK_CKPT_WRITING],
	       count->of[CXLFORK_CKPT_RETIRING], human_size(a, count->bytes));
	printf("hosts (%u slots):\n", info->nr_slots);
}

int cmd_pool_status(int argc, char **argv)
{
	struct json_object *object = NULL, *hosts = NULL;
	struct cxlfork_pool_info info;
	struct cxlfork_host_info host;
	struct input in = { 0 };
	struct count count = { 0 };
	unsigned int slot;
	bool attached;
	int pool;

	parse("cxlfork pool status", &status_argp, argc, argv, &in);
	pool = open_pool(&in.common);
	if (pool < 0)
		return EXIT_TROUBLE;
	if (cxlfork_pool_info(pool, &info)) {
		complain(&in.common, errno, NULL, "pool status");
		return EXIT_TROUBLE;
	}
	attached = info.state == CXLFORK_POOL_ATTACHED;
	if (attached && count_ckpts(pool, &count)) {
		complain(&in.common, errno, NULL, "the pool can't be listed");
		return EXIT_TROUBLE;
	}
	if (in.common.json) {
		object = pool_json(&info, &count);
		hosts = json_object_new_array();
		json_object_object_add(object, "hosts", hosts);
	} else {
		print_pool(&info, &count);
	}
	for (slot = 0; attached && slot < info.nr_slots && slot < MAX_SLOTS;
	     slot++) {
		if (cxlfork_host_info(pool, slot, &host) ||
		    host.state == CXLFORK_HOST_FREE)
			continue;
		if (hosts)
			json_object_array_add(hosts, host_json(&host));
		else
			print_host(&host, slot == info.slot);
	}
	if (object)
		print_json(object);
	return attached ? 0 : EXIT_NO;
}
