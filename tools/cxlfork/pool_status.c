// SPDX-License-Identifier: GPL-2.0
/* cxlfork pool status: the pool, its hosts, and what holds what. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli.h"

#define MAX_SLOTS	16
#define NOBODY		(~0U)

/**
 * struct status - all that is shown
 * @common:	see there
 * @pool:	the control device
 * @info:	the pool
 * @hosts:	its slots
 * @ckpts:	its directory
 * @nr_ckpts:	entries of it
 */
struct status {
	struct common			common;
	int				pool;
	struct cxlfork_pool_info	info;
	struct cxlfork_host_info	hosts[MAX_SLOTS];
	struct cxlfork_ckpt_info	*ckpts;
	size_t				nr_ckpts;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct status *status = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = &status->common;
	return 0;
}

static const struct argp argp = {
	NULL, parse_option, "",
	"Show the pool, the hosts that use it, what is in it, and what holds what. Exit status: 1 if this host is not attached.",
	common_children, NULL, NULL,
};

/* Attached as far as the pool knows, but without a sign of life. */
static bool silent(const struct status *status,
		   const struct cxlfork_host_info *host)
{
	return host->state == CXLFORK_HOST_ALIVE &&
	       host->slot != status->info.slot &&
	       host->silent_ms >= CXLFORK_SILENT_MS;
}

static bool expired(const struct cxlfork_ckpt_info *ckpt)
{
	return ckpt->expires && ckpt->expires <= (__u64)time(NULL);
}

static bool load_hosts(struct status *status)
{
	__u32 slot;

	for (slot = 0; slot < status->info.nr_slots && slot < MAX_SLOTS; slot++)
		if (cxlfork_host_info(status->pool, slot, &status->hosts[slot]))
			return false;
	return true;
}

static bool load_ckpts(struct status *status)
{
	struct cxlfork_ckpt_info info = { 0 }, *ckpts;
	int ret;

	while ((ret = cxlfork_next(status->pool, &info)) > 0) {
		ckpts = reallocarray(status->ckpts, status->nr_ckpts + 1,
				     sizeof(*ckpts));
		if (!ckpts)
			return false;
		ckpts[status->nr_ckpts++] = info;
		status->ckpts = ckpts;
	}
	return !ret;
}

/**
 * struct sums - the directory in numbers
 * @of:		checkpoints by state
 * @bytes:	all of them take
 * @refs:	references on them
 * @expired:	of the live ones, those whose time has come
 * @pinned:	of the live ones, those that some host has pinned
 */
struct sums {
	unsigned int	of[CXLFORK_CKPT_RETIRING + 1];
	__u64		bytes;
	__u64		refs;
	unsigned int	expired;
	unsigned int	pinned;
};

static void sum_up(const struct status *status, struct sums *sums)
{
	const struct cxlfork_ckpt_info *ckpt = status->ckpts;
	size_t i;

	for (i = 0; i < status->nr_ckpts; i++, ckpt++) {
		if (ckpt->state <= CXLFORK_CKPT_RETIRING)
			sums->of[ckpt->state]++;
		sums->bytes += ckpt->bytes;
		sums->refs += ckpt->refs;
		if (ckpt->state != CXLFORK_CKPT_LIVE)
			continue;
		sums->expired += expired(ckpt);
		sums->pinned += !!ckpt->pins;
	}
}

static struct json_object *host_json(const struct status *status,
				     const struct cxlfork_host_info *host)
{
	struct json_object *object = json_object_new_object();
	char uuid[UUID_TEXT_MAX];

	json_num(object, "slot", host->slot);
	json_str(object, "state", cxlfork_host_state_name(host->state));
	json_flag(object, "silent", silent(status, host));
	if (host->state == CXLFORK_HOST_FENCED && host->caretaker != NOBODY)
		json_num(object, "caretaker", host->caretaker);
	json_str(object, "name", host->name);
	json_str(object, "kernel", host->kernel);
	json_str(object, "uuid", uuid_text(uuid, host->host_uuid));
	json_num(object, "boot_epoch", host->boot_epoch);
	json_num(object, "heartbeat", host->heartbeat);
	json_num(object, "silent_ms", host->silent_ms);
	json_hex(object, "phys_base", host->phys_base);
	json_num(object, "checkpoints", host->ckpts);
	json_num(object, "references", host->refs);
	json_num(object, "pins", host->pins);
	return object;
}

static struct json_object *ckpt_json(const struct status *status,
				     const struct cxlfork_ckpt_info *ckpt)
{
	struct json_object *object = json_object_new_object();

	json_hex(object, "id", ckpt->id);
	json_str(object, "name", ckpt->name);
	json_str(object, "state", cxlfork_ckpt_state_name(ckpt->state));
	json_num(object, "owner", ckpt->owner);
	json_num(object, "bytes", ckpt->bytes);
	json_num(object, "references", ckpt->refs);
	json_hosts(object, "held_by", status->pool, ckpt->held);
	json_num(object, "children", ckpt->keeps);
	json_num(object, "parents", ckpt->nr_parents);
	json_hosts(object, "pinned_by", status->pool, ckpt->pins);
	json_num(object, "expires", ckpt->expires);
	json_flag(object, "expired", expired(ckpt));
	json_num(object, "restored", ckpt->restored);
	return object;
}

static struct json_object *sums_json(const struct sums *sums)
{
	struct json_object *object = json_object_new_object();

	json_num(object, "live", sums->of[CXLFORK_CKPT_LIVE]);
	json_num(object, "writing", sums->of[CXLFORK_CKPT_WRITING]);
	json_num(object, "retiring", sums->of[CXLFORK_CKPT_RETIRING]);
	json_num(object, "expired", sums->expired);
	json_num(object, "pinned", sums->pinned);
	json_num(object, "references", sums->refs);
	json_num(object, "bytes", sums->bytes);
	return object;
}

static struct json_object *pool_json(const struct status *status)
{
	const struct cxlfork_pool_info *info = &status->info;
	struct json_object *object = json_object_new_object();
	char uuid[UUID_TEXT_MAX];
	bool attached = info->state == CXLFORK_POOL_ATTACHED;

	json_str(object, "state", attached ? "attached" : "unformatted");
	json_num(object, "size", info->size);
	json_hex(object, "phys_base", info->phys_base);
	if (!attached) {
		json_str(object, "reason", info->reason);
		json_object_object_add(object, "hosts",
				       json_object_new_array());
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
	return object;
}

static void print_status_json(const struct status *status,
			      const struct sums *sums)
{
	struct json_object *object = pool_json(status), *list;
	__u32 slot;
	size_t i;

	list = json_object_new_array();
	for (slot = 0; slot < status->info.nr_slots && slot < MAX_SLOTS; slot++)
		if (status->hosts[slot].state != CXLFORK_HOST_FREE)
			json_object_array_add(list,
					      host_json(status,
							&status->hosts[slot]));
	json_object_object_add(object, "hosts", list);
	json_object_object_add(object, "checkpoints", sums_json(sums));
	list = json_object_new_array();
	for (i = 0; i < status->nr_ckpts; i++)
		json_object_array_add(list,
				      ckpt_json(status, &status->ckpts[i]));
	json_object_object_add(object, "holds", list);
	json_object_object_add(object, "lost", lost_json(status->pool));
	print_json(object);
}

static void print_host(const struct status *status,
		       const struct cxlfork_host_info *host)
{
	char name[PRINTABLE_MAX], kernel[PRINTABLE_MAX];
	bool self = host->slot == status->info.slot;

	printf("  slot %2u  %-9s %s%s, kernel %s, base 0x%llx, epoch %llu",
	       host->slot, silent(status, host) ? "silent" :
	       cxlfork_host_state_name(host->state),
	       printable(name, host->name, sizeof(host->name)),
	       self ? " (this host)" : "",
	       printable(kernel, host->kernel, sizeof(host->kernel)),
	       host->phys_base, host->boot_epoch);
	printf(", %u checkpoints, %u references, %u pins", host->ckpts,
	       host->refs, host->pins);
	if (host->state == CXLFORK_HOST_ALIVE && !self)
		printf(", silent for %.1f s", host->silent_ms / 1000.0);
	if (host->state == CXLFORK_HOST_FENCED && host->caretaker == NOBODY)
		printf(", and no host that is alive takes care of it");
	else if (host->state == CXLFORK_HOST_FENCED)
		printf(", slot %u takes care of it", host->caretaker);
	putchar('\n');
}

/* A checkpoint that something holds, or that is on its way. */
static void print_holds(const struct status *status,
			const struct cxlfork_ckpt_info *ckpt)
{
	char id[CXLFORK_ID_TEXT_MAX], name[PRINTABLE_MAX], size[HUMAN_MAX];
	char hosts[HOSTS_MAX], when[TIME_TEXT_MAX];

	printf("  %-12s %-20s %-9s %9s", cxlfork_id_text(ckpt->id, id),
	       ckpt->name[0] ? printable(name, ckpt->name, sizeof(ckpt->name)) :
			       "-",
	       cxlfork_ckpt_state_name(ckpt->state),
	       human_size(size, ckpt->bytes));
	if (ckpt->refs)
		printf("; %u clones on %s", ckpt->refs,
		       host_names(status->pool, ckpt->held, hosts));
	if (ckpt->keeps)
		printf("; %u checkpoints use its pages", ckpt->keeps);
	if (ckpt->nr_parents)
		printf("; uses pages of %u others", ckpt->nr_parents);
	if (ckpt->pins)
		printf("; pinned by %s",
		       host_names(status->pool, ckpt->pins, hosts));
	if (ckpt->expires)
		printf("; expire%s %s", expired(ckpt) ? "d" : "s",
		       time_text(when, ckpt->expires));
	if (!ckpt->refs && !ckpt->keeps && !ckpt->pins)
		printf("; nothing holds it");
	putchar('\n');
}

static void print_unattached(const struct cxlfork_pool_info *info)
{
	char why[PRINTABLE_MAX], size[HUMAN_MAX];

	printf("not a pool: %s\nregion of %s at 0x%llx\n",
	       printable(why, info->reason, sizeof(info->reason)),
	       human_size(size, info->size), info->phys_base);
}

static void print_status(const struct status *status, const struct sums *sums)
{
	const struct cxlfork_pool_info *info = &status->info;
	char uuid[UUID_TEXT_MAX], a[HUMAN_MAX], b[HUMAN_MAX];
	__u32 slot;
	size_t i;

	printf("pool %s, format %u, %s\n", uuid_text(uuid, info->uuid),
	       info->version, info->flags & CXLFORK_POOL_COHERENT ?
	       "coherent" : "not coherent");
	printf("region of %s at 0x%llx\n", human_size(a, info->size),
	       info->phys_base);
	printf("extents: %llu of %s, %llu free (%s)\n",
	       info->nr_extents, human_size(a, info->extent_size),
	       info->free_extents,
	       human_size(b, info->free_extents * info->extent_size));
	printf("checkpoints: %u live, %u being written, %u retiring (%s), ",
	       sums->of[CXLFORK_CKPT_LIVE], sums->of[CXLFORK_CKPT_WRITING],
	       sums->of[CXLFORK_CKPT_RETIRING], human_size(a, sums->bytes));
	printf("%u expired, %u pinned, %llu references\n", sums->expired,
	       sums->pinned, sums->refs);
	printf("hosts (%u slots):\n", info->nr_slots);
	for (slot = 0; slot < info->nr_slots && slot < MAX_SLOTS; slot++)
		if (status->hosts[slot].state != CXLFORK_HOST_FREE)
			print_host(status, &status->hosts[slot]);
	if (status->nr_ckpts)
		printf("what holds what:\n");
	for (i = 0; i < status->nr_ckpts; i++)
		print_holds(status, &status->ckpts[i]);
	print_lost(status->pool);
}

int cmd_pool_status(int argc, char **argv)
{
	struct status status = { 0 };
	struct sums sums = { 0 };
	int err;

	parse("cxlfork pool status", &argp, argc, argv, &status);
	status.pool = open_pool(&status.common);
	if (status.pool < 0)
		return EXIT_TROUBLE;
	if (cxlfork_pool_info(status.pool, &status.info)) {
		complain(&status.common, errno, NULL, "pool status");
		return EXIT_TROUBLE;
	}
	if (status.info.state != CXLFORK_POOL_ATTACHED) {
		if (status.common.json)
			print_json(pool_json(&status));
		else
			print_unattached(&status.info);
		return EXIT_NO;
	}
	if (!load_hosts(&status) || !load_ckpts(&status)) {
		complain(&status.common, errno, NULL,
			 "the pool can't be listed");
		return EXIT_TROUBLE;
	}
	err = lost_known(status.pool);
	if (err && err != EPERM) {
		complain(&status.common, err, NULL,
			 "the memory errors can't be listed");
		return EXIT_TROUBLE;
	}
	sum_up(&status, &sums);
	if (status.common.json)
		print_status_json(&status, &sums);
	else
		print_status(&status, &sums);
	free(status.ckpts);
	return 0;
}
