// SPDX-License-Identifier: GPL-2.0
/* cxlfork(1): clone running processes through shared CXL memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

const char *argp_program_version = "cxlfork " CXLFORK_VERSION;

static const struct command commands[] = {
	{ "checkpoint", "write a checkpoint of a process", cmd_checkpoint },
	{ "restore", "make a clone of a checkpoint", cmd_restore },
	{ "ls", "list the checkpoints of all hosts", cmd_ls },
	{ "rm", "delete checkpoints", cmd_rm },
	{ "set", "change when checkpoints expire", cmd_set },
	{ "pin", "keep checkpoints from being deleted", cmd_pin },
	{ "unpin", "let go of them", cmd_unpin },
	{ "export", "write a checkpoint to a file", cmd_export },
	{ "import", "read a checkpoint from a file", cmd_import },
	{ "inspect", "show what a checkpoint consists of", cmd_inspect },
	{ "check", "can a process be cloned, and if not, why?", cmd_check },
	{ "stat", "show where the memory of a clone is", cmd_stat },
	{ "pool", "format, status, fence, drain, reclaim, fsck, digest: look after the pool",
	  cmd_pool },
	{ NULL, NULL, NULL },
};

static const struct command pool_commands[] = {
	{ "format", "make the region a pool", cmd_pool_format },
	{ "status", "show the pool, its hosts, and what holds what",
	  cmd_pool_status },
	{ "fence", "declare a host dead", cmd_pool_fence },
	{ "drain", "get the clones of this host off the pool", cmd_pool_drain },
	{ "reclaim", "delete what nobody needs", cmd_pool_reclaim },
	{ "fsck", "check the pool's format", cmd_pool_fsck },
	{ "digest", "one number for all the bytes of a checkpoint",
	  cmd_pool_digest },
	{ NULL, NULL, NULL },
};

static void usage(FILE *out, const char *title, const struct command *command)
{
	fprintf(out, "Usage: %s COMMAND [OPTION...] ...\n\n", title);
	for (; command->name; command++)
		fprintf(out, "  %-12s %s\n", command->name, command->summary);
	fprintf(out, "\n`%s COMMAND --help' says more.\n", title);
}

int dispatch(const char *title, const struct command *list, int argc,
	     char **argv)
{
	const struct command *command;

	if (argc < 2) {
		usage(stderr, title, list);
		return EXIT_TROUBLE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?") ||
	    !strcmp(argv[1], "help")) {
		usage(stdout, title, list);
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts(argp_program_version);
		return 0;
	}
	for (command = list; command->name; command++)
		if (!strcmp(argv[1], command->name))
			return command->run(argc - 1, argv + 1);
	fprintf(stderr, "%s: no command `%s'; %s --help lists them\n", title,
		argv[1], title);
	return EXIT_TROUBLE;
}

int cmd_pool(int argc, char **argv)
{
	return dispatch("cxlfork pool", pool_commands, argc, argv);
}

int main(int argc, char **argv)
{
	int status;

	argp_err_exit_status = EXIT_TROUBLE;
	status = dispatch("cxlfork", commands, argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		perror("cxlfork: standard output");
		return EXIT_TROUBLE;
	}
	return status;
}
