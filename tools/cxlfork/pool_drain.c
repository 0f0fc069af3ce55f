// SPDX-License-Identifier: GPL-2.0
/* cxlfork pool drain. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* Pages for each request: some 10 ms. */
#define STEP		4096
#define PAGE		4096ULL
/* Who is just ending, or being made, is waited for. */
#define WAIT_US		20000

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = state->input;
	return 0;
}

static const struct argp argp = {
	NULL, parse_option, "",
	"Copy the pages that the clones of this host have in CXL memory to local memory, so that this host needs the pool no more. Exit status: 1 if that could not be done for all.",
	common_children, NULL, NULL,
};

struct progress {
	__u64	total;
	__u64	copied;
	__u64	lost;
	__u64	users;
	time_t	shown;
};

/* On standard error: a line that is overwritten, or one a second. */
static void show(struct progress *progress, bool last)
{
	char done[HUMAN_MAX], total[HUMAN_MAX];
	__u64 pages = progress->copied + progress->lost;
	bool tty = isatty(STDERR_FILENO);
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!last && !tty && now.tv_sec == progress->shown)
		return;
	progress->shown = now.tv_sec;
	if (pages > progress->total)
		progress->total = pages;
	fprintf(stderr, "%s%s of %s copied, %llu clones left%s",
		tty ? "\r" : "", human_size(done, pages * PAGE),
		human_size(total, progress->total * PAGE), progress->users,
		tty ? "\033[K" : "\n");
	if (tty && last)
		fputc('\n', stderr);
}

static int drain_all(int pool, struct progress *progress)
{
	struct cxlfork_pool_drain drain = { 0 };
	int ret;

	ret = cxlfork_pool_drain(pool, &drain);
	if (ret)
		return ret;
	progress->total = drain.pages;
	progress->users = drain.users;
	while (progress->users) {
		show(progress, false);
		drain.budget = STEP;
		ret = cxlfork_pool_drain(pool, &drain);
		progress->copied += drain.copied;
		progress->lost += drain.lost;
		progress->users = drain.users;
		if (ret)
			return ret;
		if (!drain.copied && !drain.lost && drain.users)
			usleep(WAIT_US);
	}
	return 0;
}

int cmd_pool_drain(int argc, char **argv)
{
	struct progress progress = { 0 };
	struct json_object *object;
	struct common common = { 0 };
	int pool, err, ret;

	parse("cxlfork pool drain", &argp, argc, argv, &common);
	pool = open_pool(&common);
	if (pool < 0)
		return EXIT_TROUBLE;
	err = drain_all(pool, &progress) ? errno : 0;
	if (!err || progress.total)
		show(&progress, true);
	close(pool);
	if (err == ENOMEM)
		return complain(&common, err, NULL,
				"%llu clones still need the pool",
				progress.users);
	if (err) {
		ret = complain(&common, err, NULL, "the pool can't be drained");
		return err == EPERM ? EXIT_TROUBLE : ret;
	}
	if (progress.lost)
		fprintf(stderr, "%llu pages could not be read: who touches one gets SIGBUS\n",
			progress.lost);
	if (common.json) {
		object = json_object_new_object();
		json_num(object, "copied", progress.copied);
		json_num(object, "lost", progress.lost);
		print_json(object);
	}
	return 0;
}
