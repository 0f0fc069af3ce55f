// SPDX-License-Identifier: GPL-2.0
/* Options that several commands take, and opening the pool. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "image.h"

enum {
	OPTION_JSON = OPTION_KEY + 0x100,
	OPTION_POOL,
};

static const struct argp_option options[] = {
	{ "json", OPTION_JSON, NULL, 0, "Print JSON", 0 },
	{ "pool", OPTION_POOL, "DEVICE", 0,
	  "The pool ($CXLFORK_POOL, or " CXLFORK_DEVICE ")", 0 },
	{ 0 },
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct common *common = state->input;

	switch (key) {
	case OPTION_JSON:
		common->json = true;
		return 0;
	case OPTION_POOL:
		common->pool = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp common_argp = { options, parse_common, NULL, NULL, NULL, NULL,
				  NULL };

const struct argp_child common_children[] = {
	{ &common_argp, 0, NULL, 0 },
	{ 0 },
};

void one_argument(struct argp_state *state, const char **place,
		  const char *arg, const char *what)
{
	if (*place)
		argp_error(state, "one %s only", what);
	*place = arg;
}

void parse(const char *title, const struct argp *argp, int argc, char **argv,
	   void *input)
{
	argv[0] = (char *)title;
	argp_parse(argp, argc, argv, 0, NULL, input);
}

/* Decimal (whatever zeros it begins with), or hexadecimal after 0x. */
static bool is_number(const char *text, __u64 *value)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *end;

	errno = 0;
	*value = strtoull(text, &end, hex ? 16 : 10);
	return isdigit((unsigned char)text[0]) && !*end && !errno;
}

__u64 parse_number(struct argp_state *state, const char *what,
		   const char *text, __u64 min, __u64 max)
{
	__u64 value;

	if (!is_number(text, &value) || value < min || value > max)
		argp_error(state, "%s: `%s' is not a number from %llu to %llu",
			   what, text, min, max);
	return value;
}

/* A number with one letter of @units after it, which is worth @worth times. */
static __u64 parse_unit(struct argp_state *state, const char *what,
			const char *text, const char *units, const __u64 *worth)
{
	const char *unit;
	__u64 value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (!isdigit((unsigned char)text[0]) || errno ||
	    (*end && (!unit || end[1])) ||
	    (unit && value > ~0ULL / worth[unit - units]))
		argp_error(state, "%s: `%s' is not a number, perhaps with one of %s",
			   what, text, units);
	return unit ? value * worth[unit - units] : value;
}

__u64 parse_size(struct argp_state *state, const char *what, const char *text)
{
	static const __u64 worth[] = { 1ULL << 10, 1ULL << 20, 1ULL << 30,
				       1ULL << 40 };

	return parse_unit(state, what, text, "KMGT", worth);
}

__u64 parse_duration(struct argp_state *state, const char *what,
		     const char *text)
{
	static const __u64 worth[] = { 1, 60, 3600, 86400, 604800 };

	__u64 value;

	if (!strcmp(text, "never"))
		return 0;
	value = parse_unit(state, what, text, "smhdw", worth);
	/* for the kernel that is never, and so for nobody else */
	if (!value)
		argp_error(state,
			   "%s: no time at all: give `never', or delete it (cxlfork rm)",
			   what);
	return value;
}

void check_name(struct argp_state *state, const char *name)
{
	const char *c;
	__u64 id;

	if (cxlfork_parse_id(name, &id))
		argp_error(state,
			   "the name `%s' is a number, and would be taken for an id; begin it with a letter",
			   name);
	if (!*name || strlen(name) >= CXLFORK_NAME_MAX)
		argp_error(state, "a name has 1 to %d characters",
			   CXLFORK_NAME_MAX - 1);
	for (c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '/')
			argp_error(state,
				   "a name has printable ASCII characters only, no spaces, no slashes");
}

__u32 parse_mode(struct argp_state *state, const char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!isdigit((unsigned char)text[0]) || *end || mode & ~0666UL)
		argp_error(state, "--mode: `%s' is not an octal number of 4s and 2s, such as 640",
			   text);
	return mode & 066;
}

void add_handover(struct argp_state *state, struct fd_list *list,
		  const char *text)
{
	if (list->nr == CXLFORK_HANDOVER_MAX)
		argp_error(state, "at most %d descriptors can be handed over",
			   CXLFORK_HANDOVER_MAX);
	list->fds[list->nr++] = parse_number(state, "--handover", text, 0,
					     INT32_MAX);
}

int find_id(int pool, const char *what, __u64 *id)
{
	struct cxlfork_ckpt_info info;

	if (!cxlfork_lookup(pool, what, &info)) {
		*id = info.id;
		return 0;
	}
	/* One that we are not shown: what we may is the kernel's to say. */
	if (errno != ENOTUNIQ && cxlfork_parse_id(what, id))
		return 0;
	return errno;
}

/* On the heap. */
static char *ckpt_trouble(int err, const char *what)
{
	char *text;
	int n;

	switch (err) {
	case ENOENT:
		n = asprintf(&text, "there is no checkpoint `%s'", what);
		break;
	case EBUSY:
		n = asprintf(&text,
			     "checkpoint `%s' is pinned (cxlfork unpin, on each host that has pinned it)",
			     what);
		break;
	case EPERM:
		n = asprintf(&text,
			     "checkpoint `%s' is another user's, whose mode does not allow this",
			     what);
		break;
	default:
		n = asprintf(&text, "%s: %s", what, cxlfork_strerror(err));
	}
	return n < 0 ? NULL : text;
}

int complain_ckpt(const struct common *common, int err, const char *what)
{
	char *text = ckpt_trouble(err, what);
	int status;

	status = complain_text(common, err, NULL, "%s", text ?: what);
	free(text);
	return status;
}

int complain_item(const struct common *common, int err, const char *what,
		  struct json_object *item)
{
	const struct common plain = { .pool = common->pool };
	char *text;

	if (!item)
		return complain_ckpt(&plain, err, what);
	text = ckpt_trouble(err, what);
	json_str(item, "error", text ?: what);
	json_num(item, "errno", err);
	free(text);
	return exit_status(err);
}

int open_pool(const struct common *common)
{
	const char *path = common->pool;
	int pool = cxlfork_open(path), err = errno;

	if (pool >= 0)
		return pool;
	if (!path)
		path = getenv("CXLFORK_POOL");
	if (!path || !*path)
		path = CXLFORK_DEVICE;
	if (err == ENOENT)
		complain_text(common, err, NULL,
			      "%s: there is no pool; set up the CXL region and load the module cxl_fork",
			      path);
	else
		complain(common, err, NULL, "%s", path);
	return -1;
}

int open_region(const struct common *common, const char *file,
		struct region *region)
{
	int pool;

	if (file) {
		if (!region_open(region, file))
			return 0;
		complain_file(common, errno, "%s", file);
		return -1;
	}
	pool = open_pool(common);
	if (pool < 0)
		return -1;
	if (!region_of_pool(region, pool))
		return 0;
	complain(common, errno, NULL, "the size of the region");
	close(pool);
	return -1;
}

static int complain_unfound(const struct common *common, int err,
			    const char *what)
{
	if (err == ENOENT || err == ENOTUNIQ)
		return complain_ckpt(common, err, what);
	if (err == ENOMEM)
		complain(common, err, NULL, "%s", what);
	else
		complain_text(common, err, NULL,
			      "checkpoint `%s' is not found, and not all directories can be read: %s",
			      what, region_strerror(err));
	return EXIT_TROUBLE;
}

int open_image(const struct common *common, const struct region *region,
	       const struct geometry *geo, const char *what, struct ckpt *ckpt,
	       struct image *image, struct findings *findings)
{
	int err = -ckpt_find(region, geo, what, ckpt);

	if (err)
		return complain_unfound(common, err, what);
	findings_at(findings, "checkpoint 0x%llx", ckpt->id);
	if (ckpt->state != CXLFORK_CKPT_LIVE &&
	    ckpt->state != CXLFORK_CKPT_RETIRING)
		return complain_text(common, 0, NULL,
				     "checkpoint 0x%llx is in state %s",
				     ckpt->id,
				     cxlfork_ckpt_state_name(ckpt->state));
	if (ckpt_check(geo, ckpt, findings) &&
	    image_open(image, region, geo, ckpt, findings))
		return 0;
	if (!findings->no_memory)
		return complain_text(common, EUCLEAN, NULL,
				     "checkpoint 0x%llx is damaged: %s",
				     ckpt->id, findings_first(findings));
	complain(common, ENOMEM, NULL, "%s", what);
	return EXIT_TROUBLE;
}

int complain_super(const struct common *common, const struct findings *findings)
{
	complain_text(common, findings->err, NULL, "superblock: %s",
		      findings_first(findings));
	return EXIT_TROUBLE;
}
