/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands of cxlfork(1) share. */
#ifndef CXLFORK_CLI_H
#define CXLFORK_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

#include "cxlfork.h"
#include "util.h"

/* Exit status beside 0: it failed (or: no), and: it could not even be tried. */
#define EXIT_NO		1
#define EXIT_TROUBLE	2

/**
 * struct command - a word after cxlfork, or after cxlfork pool
 * @name:	the word
 * @summary:	for the list of commands
 * @run:	takes argv from the word on; returns the exit status
 */
struct command {
	const char	*name;
	const char	*summary;
	int		(*run)(int argc, char **argv);
};

/* Run the command that argv[1] names; @title is what came before it. */
int dispatch(const char *title, const struct command *commands, int argc,
	     char **argv);

/* Options that all commands have. */
struct common {
	bool		json;
	const char	*pool;
};

extern const struct argp common_argp;
extern const struct argp_child common_children[];

/* The only argument, which is a @what: goes to @place; else a usage error. */
void one_argument(struct argp_state *state, const char **place,
		  const char *arg, const char *what);

/* Parse with argp; @input's parser sets child_inputs[0] to a struct common. */
void parse(const char *title, const struct argp *argp, int argc, char **argv,
	   void *input);

/* Keys of long options without a letter start here. */
#define OPTION_KEY	0x100

int cmd_checkpoint(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_pin(int argc, char **argv);
int cmd_unpin(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_pool(int argc, char **argv);
int cmd_pool_format(int argc, char **argv);
int cmd_pool_status(int argc, char **argv);
int cmd_pool_fence(int argc, char **argv);
int cmd_pool_reclaim(int argc, char **argv);
int cmd_pool_drain(int argc, char **argv);
int cmd_pool_fsck(int argc, char **argv);
int cmd_pool_digest(int argc, char **argv);

/* Numbers in options: the whole text, within the bounds; else a usage error. */
__u64 parse_number(struct argp_state *state, const char *what,
		   const char *text, __u64 min, __u64 max);
/* Bytes: a number with K, M, G or T, or without. */
__u64 parse_size(struct argp_state *state, const char *what, const char *text);
/* Seconds: a number with s, m, h, d or w, or without; or "never": 0. */
__u64 parse_duration(struct argp_state *state, const char *what,
		     const char *text);

/* As the kernel sees it, which would say EINVAL only. */
void check_name(struct argp_state *state, const char *name);
/* Permission bits of group and others; the owner may in any case. */
__u32 parse_mode(struct argp_state *state, const char *text);

/* A growing list of descriptors to hand over. */
struct fd_list {
	__s32		fds[CXLFORK_HANDOVER_MAX];
	__u32	nr;
};

void add_handover(struct argp_state *state, struct fd_list *list,
		  const char *text);

/* The id of the checkpoint that @what, an id or a name, means; 0 or an errno. */
int find_id(int pool, const char *what, __u64 *id);
/* Say that nothing could be done with it.  Returns the exit status. */
int complain_ckpt(const struct common *common, int err, const char *what);
/* The same for one of several: goes to @item if that is an object. */
int complain_item(const struct common *common, int err, const char *what,
		  struct json_object *item);

/* Name of the host in @slot: as it calls itself, or #number; @buf is for it. */
const char *host_name(int pool, unsigned int slot, char *buf);
/* Names of the hosts whose bits are set, with commas; @buf has HOSTS_MAX. */
#define HOSTS_MAX	(16 * 72)
const char *host_names(int pool, __u32 mask, char *buf);

/* Open the pool or say why not; then -1. */
int open_pool(const struct common *common);

/*
 * The bytes of the region: from @file if given, or else through the pool; or
 * say why not, then -1.
 */
struct region;
int open_region(const struct common *common, const char *file,
		struct region *region);

/*
 * Open the image of the checkpoint that @what, an id or a name, means: 0; or
 * say why not, then the exit status. @findings gets what is wrong with it.
 */
struct ckpt;
struct findings;
struct geometry;
struct image;
int open_image(const struct common *common, const struct region *region,
	       const struct geometry *geo, const char *what, struct ckpt *ckpt,
	       struct image *image, struct findings *findings);
/* After super_load() has failed.  Returns EXIT_TROUBLE. */
int complain_super(const struct common *common,
		   const struct findings *findings);

/*
 * Say what went wrong, and what stands in the way, on standard error or as JSON.
 * Returns the exit status: EXIT_NO, or EXIT_TROUBLE if @err says that there is no
 * pool.
 */
int complain(const struct common *common, int err,
	     const struct cxlfork_reports *reports, const char *fmt, ...)
	__printf(4, 5);
/* The same without a word. */
int exit_status(int err);
/* Likewise where the text says why as well; @err is for JSON, or 0. */
int complain_text(const struct common *common, int err,
		  const struct cxlfork_reports *reports, const char *fmt, ...)
	__printf(4, 5);
/* Of an ordinary file, whose errors mean what they always mean; EXIT_NO. */
int complain_file(const struct common *common, int err, const char *fmt, ...)
	__printf(3, 4);

/* Text from a pool, made fit to be printed; in a buffer of its own. */
#define PRINTABLE_MAX	512
const char *printable(char *buf, const char *text, size_t max);

#define HUMAN_MAX	24
const char *human_size(char *buf, __u64 bytes);

#define UUID_TEXT_MAX	37
const char *uuid_text(char *buf, const __u8 *uuid);

#define TIME_TEXT_MAX	32
const char *time_text(char *buf, __u64 seconds);

/* Memory errors that this host knows of: may we know them?  0 or an errno. */
int lost_known(int pool);
/* They, or else NULL; likewise. */
struct json_object *lost_json(int pool);
void print_lost(int pool);

/* JSON: print and free. */
void print_json(struct json_object *object);
/*
 * A text of at most @max bytes.  JSON is UTF-8, what comes from a pool may be
 * anything: bytes that are none are \xNN.
 */
struct json_object *json_text(const char *text, size_t max);
void json_str(struct json_object *object, const char *key, const char *text);
void json_flag(struct json_object *object, const char *key, bool value);
void json_num(struct json_object *object, const char *key, __u64 value);
void json_hex(struct json_object *object, const char *key, __u64 value);
/* Names of the hosts whose bits are set. */
void json_hosts(struct json_object *object, const char *key, int pool,
		__u32 mask);
struct json_object *json_reports(const struct cxlfork_reports *reports);

#endif /* CXLFORK_CLI_H */
