/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random operations of the memory manager on one area of memory, and a model of
 * what each page of it must hold. All of it is private memory of the process, so
 * that it is checkpointed and cloned with it.
 */
#ifndef CXLFORK_STRESS_H
#define CXLFORK_STRESS_H

#include "cxlfork_test.h"

#define AREA_LEAVES	16UL
#define LEAF_PAGES	(LEAF / PAGE)
#define AREA_PAGES	(AREA_LEAVES * LEAF_PAGES)
#define FILE_PAGES	1024UL

/* Where the file is that the area maps: each clone has one of its own there. */
#define STRESS_DIR	"/tmp/cxlfork-stress"
#define STRESS_FILE	STRESS_DIR "/file"

/*
 * A page holds four values: the first and the last 32 bits, those in the middle,
 * and what all others are.
 */
enum { FIRST, MIDDLE, LAST, REST, NR_VALUES };

#define P_MAPPED	0x01
#define P_LOCKED	0x02	/* mlock() */
#define P_WIPE		0x04	/* MADV_WIPEONFORK */
#define P_DONTFORK	0x08	/* MADV_DONTFORK */
#define P_EITHER	0x10	/* or all of it holds @other: MADV_FREE and files */
#define P_PRIVATE	0x20	/* of a file: copied, the file does not matter */
#define P_CACHE		0x40	/* of a file: not copied; neither: not known */

/**
 * struct page_model - what is known of a page of the area
 * @value:	what it holds
 * @other:	what else it may hold (P_EITHER)
 * @file:	page of the file that is mapped, plus one; 0: anonymous memory
 * @prot:	PROT_*
 * @flags:	P_*
 */
struct page_model {
	uint32_t	value[NR_VALUES];
	uint32_t	other;
	uint16_t	file;
	uint8_t		prot;
	uint8_t		flags;
};

/* A process that may meet the OOM killer, or lose children to it; and that tries to. */
#define ORDER_TIGHT	0x1
/* Allocations of this process are to fail: fault injection is set up. */
#define ORDER_FAIL	0x2
/* The file is this process's own: it may change it. */
#define ORDER_OWN_FILE	0x4
/* In the end a word changes that the model knows nothing of: this has to be seen. */
#define ORDER_STRAY	0x8

/**
 * struct stress_order - what a process is to do: the payload of a clone
 * @seed:	of all that is random
 * @ops:	operations
 * @seconds:	for at most so long
 * @flags:	ORDER_*
 */
struct stress_order {
	uint64_t	seed;
	uint32_t	ops;
	uint32_t	seconds;
	uint32_t	flags;
};

/* What came of it. */
struct stress_result {
	uint32_t	done;		/* operations */
	uint32_t	refused;	/* system calls without memory, then repeated */
	uint32_t	direct;		/* O_DIRECT, written and read */
};

struct stress_past {
	const char	*name;
	unsigned long	at;
	unsigned long	n;
};

#define NR_PAST		512

/**
 * struct stress - a process under stress
 * @area:	the memory, a multiple of 2 MiB
 * @page:	the model of it
 * @file_value:	what each page of the file holds
 * @order:	what to do
 * @result:	what was done
 * @rng:	state of the random numbers
 * @op:	name of the operation that is running
 * @children:	forked processes that are at work at the moment
 * @depth:	0 in a clone or its reference, 1 in its children ...
 * @past:	the last operations, for the report of a failure
 */
struct stress {
	unsigned char		*area;
	struct page_model	page[AREA_PAGES];
	uint32_t		file_value[FILE_PAGES];
	struct stress_order	order;
	struct stress_result	result;
	uint64_t		rng;
	const char		*op;
	int			children;
	int			depth;
	struct stress_past	past[NR_PAST];
	unsigned int		nr_past;
};

extern struct stress st;

/* What an operation wants of the pages it is done to. */
#define W_READ		0x01
#define W_WRITE		0x02
#define W_ANON		0x04
#define W_FILE		0x08
#define W_SURE		0x10	/* not P_EITHER */
#define W_UNLOCKED	0x20
#define W_FORKED	0x40	/* a child gets them as they are */
#define W_HOLE		0x80	/* alone: nothing is mapped */

/* The model (stress_model.c) */
uint32_t rnd(uint32_t below);
uint32_t rnd_value(void);
unsigned char *at_page(unsigned long page);
void __attribute__((noreturn)) die(const char *what, unsigned long page);
unsigned long run_of(unsigned long at, unsigned long n, unsigned int want);
void set_values(unsigned long page, uint32_t value);
void set_fresh(unsigned long at, unsigned long n, int prot);
void set_file(unsigned long at, unsigned long n, int prot, unsigned long file_page);
void set_dropped(unsigned long at, unsigned long n);
void set_unmapped(unsigned long at, unsigned long n);
void set_forked(void);
void set_cloned(void);
void file_changed(unsigned long file_page, uint32_t value, bool truncated);
bool file_certain(unsigned long file_page, unsigned long n);
void store(unsigned long page, unsigned int which, uint32_t value);
void store_all(unsigned long page, uint32_t value);
void settle(unsigned long page);
void check_page(unsigned long page, bool whole);
void check_range(unsigned long at, unsigned long n, bool whole);
void check_all(void);
void catch_faults(void);
bool faults(unsigned long page, bool write);

/* The engine (stress_engine.c) */
/* Of a system call; those left out are 0. */
#define ARGS(...)	((const long [6]) { __VA_ARGS__ })

long must(unsigned long at, long nr, const long args[6]);
long may(long nr, const long args[6]);
bool child_ended_well(int status);
pid_t fork_child(void);
void reap(bool wait);
void stress_setup(void);
void stress_run(const struct stress_order *order);
void stress_own_file(const void *content, size_t size);
void *stress_read_file(size_t *size);

/* The operations */
struct stress_op {
	const char	*name;
	void		(*run)(unsigned long at, unsigned long n);
	unsigned int	weight;
};

extern const struct stress_op stress_map_ops[];		/* stress_map.c */
extern const struct stress_op stress_access_ops[];	/* stress_access.c */
extern const struct stress_op stress_watch_ops[];	/* stress_watch.c */
extern const struct stress_op stress_task_ops[];	/* stress_task.c */

#endif /* CXLFORK_STRESS_H */
