/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests share: checkpoint oneself, let a forked ghost become the clone,
 * see how both end.
 */
#ifndef CXLFORK_TEST_H
#define CXLFORK_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/cxlfork.h>

#ifndef __NR_cxlfork
#define __NR_cxlfork 480
#define __NR_cxlrestore 481
#endif

#define NR_REPORTS	16
#define NR_IDS		32

#define MB		(1UL << 20)
#define LEAF		(2 * MB)
#define PAGE		4096UL

/* Where a clone finds the socket that its restorer gave it (struct ghost.peer). */
#define CHANNEL		100

/* Seconds a test may take on the slowest emulated debug kernel. */
#define TIMEOUT		600

/**
 * struct cxl - a test's view of the pool
 * @pool:	descriptor of the control device
 * @free:	extents that were free at first
 * @ids:	checkpoints that the test made
 * @nr_ids:	how many
 * @args:	of the last checkpoint
 * @reports:	of the last checkpoint
 */
struct cxl {
	int			pool;
	uint64_t		free;
	long			ids[NR_IDS];
	int			nr_ids;
	struct cxlfork_args	args;
	struct cxlfork_report	reports[NR_REPORTS];
};

/**
 * struct ghost - a process that tried to become a clone
 * @args:	id, payload and flags are the caller's to set
 * @fds:	the caller's; @args.nr_fds says how many
 * @before:	runs in the ghost before it asks, or NULL
 * @after:	runs in the ghost that was refused, returns its exit status; or NULL
 * @channel:	in: hand a socket over as CHANNEL
 * @pid:	of the ghost or clone
 * @error:	errno of the refusal; 0: it has become the clone
 * @reports:	of the refusal; args.nr_reports says how many
 * @peer:	our end of CHANNEL
 */
struct ghost {
	struct cxlrestore_args	args;
	struct cxlfork_fd_map	fds[8];
	void			(*before)(void);
	int			(*after)(void);
	bool			channel;
	pid_t			pid;
	int			error;
	struct cxlfork_report	reports[NR_REPORTS];
	int			peer;
};

long sys_cxlfork(struct cxlfork_args *args, size_t size);
long sys_cxlrestore(struct cxlrestore_args *args, size_t size);

int cxl_open(struct cxl *cxl);
uint64_t cxl_free_extents(const struct cxl *cxl);
bool cxl_settled(const struct cxl *cxl);
int cxl_remove(const struct cxl *cxl, long id);
void cxl_close(struct cxl *cxl);

void cxl_init(struct cxl *cxl);
long cxl_call(struct cxl *cxl);
long cxl_fork(struct cxl *cxl);
long cxl_fork_channel(struct cxl *cxl);
const struct cxlfork_report *cxl_report(const struct cxl *cxl, uint32_t reason);
const struct cxlfork_report *cxl_report_fd(const struct cxl *cxl, int fd);

void ghost_start(const struct cxl *cxl, struct ghost *g, long id);
int ghost_wait(struct ghost *g);
int ghost_wait_raw(struct ghost *g);
int cxl_run(const struct cxl *cxl, long id);
int cxl_run_channel(const struct cxl *cxl, long id, struct ghost *g);
void show_reports(const char *what, const struct cxlfork_report *r, uint32_t nr);

void hide_shared(void);
void put_byte(int fd, char c);
char get_byte(int fd);
void *map_anon(size_t len);
void *map_leaves(size_t len);
void fill(void *p, size_t len, unsigned int seed);
bool is_filled(const void *p, size_t len, unsigned int seed);
bool is_part(const void *p, size_t len, unsigned int seed, size_t offset);
bool is_zero(const void *p, size_t len);
long stat_of(const char *pid, const char *name);
void write_file(const char *path, const void *data, size_t len);
long read_file(const char *path, void *data, size_t len);

void __attribute__((noreturn)) check_failed(const char *file, int line, const char *what);

/* For clones, ghosts and their children, where the harness is not. */
#define CHECK(cond)						\
	do {							\
		if (!(cond))					\
			check_failed(__FILE__, __LINE__, #cond);	\
	} while (0)

#endif /* CXLFORK_TEST_H */
