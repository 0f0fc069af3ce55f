/* SPDX-License-Identifier: GPL-2.0 */
/* Cases of the checker's test: damage, and all the findings it has to make. */
#ifndef CXLFORK_FSCK_TEST_H
#define CXLFORK_FSCK_TEST_H

#include "fsck.h"
#include "synth.h"

#define POKES_MAX	5
#define KINDS_MAX	4

/**
 * struct poke - a number written into the pool
 * @at:		where
 * @size:	bytes of it
 * @value:	little-endian there
 */
struct poke {
	void	*at;
	size_t	size;
	__u64	value;
};

/**
 * struct damage - a case
 * @name:	what is wrong
 * @pokes:	how it gets so
 * @kinds:	exactly these are found, each once or more
 * @nr_kinds:	how many
 * @raw:	leave the CRCs as they are, as a stray write does; else make them
 *		right, as a hostile host does
 * @lives:	all hosts are seen to live
 * @doubts:	how often the checker can't tell unless they are
 */
struct damage {
	const char		*name;
	struct poke		pokes[POKES_MAX];
	enum finding_kind	kinds[KINDS_MAX];
	unsigned int		nr_kinds;
	bool			raw;
	bool			lives;
	unsigned int		doubts;
};

#define POKE(field, value)	{ &(field), sizeof(field), value }
#define KINDS(...)							\
	.kinds = { __VA_ARGS__ },					\
	.nr_kinds = sizeof((enum finding_kind[]){ __VA_ARGS__ }) /	\
		    sizeof(enum finding_kind)
/* One number, found to be wrong in these ways. */
#define D(name, field, value, ...) \
	{ name, POKES(POKE(field, value)), KINDS(__VA_ARGS__) }
/* Several of them. */
#define POKES(...)	.pokes = { __VA_ARGS__ }

/* What a check finds, with all hosts seen to live. */
size_t problems(const struct synth *s);
/* Do it, look, and put it right. */
void try_damage(struct synth *s, const struct damage *d);

/* Say whether these findings are those of @d, and @passed. */
void show(const struct findings *findings, const struct damage *d,
	  const char *name, bool passed);

/* fsck_test_pool.c, fsck_test_image.c: all there are */
void test_pool_damage(struct synth *s);
void test_image_damage(struct synth *s);
/* fsck_test_large.c: sections that are as large as somebody could make them */
void test_large(void);
/* fsck_test_sweep.c: flip bits all over the pool's own data; how many */
size_t sweep_pool(struct synth *s, size_t *missed);

#endif /* CXLFORK_FSCK_TEST_H */
