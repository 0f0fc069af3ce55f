/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A path of the memory manager, walked twice: by a clone, and by a forked child
 * with private copies as reference.  Both say what they observe, and have to say
 * the same.
 */
#ifndef PATHS_H
#define PATHS_H

#include "cxlfork_test.h"

/* The areas of struct path, in bytes. */
#define ANON_LEN	(6 * LEAF)
#define SPARSE_LEN	(2 * LEAF)
#define MIXED_LEN	LEAF
#define FILE_LEN	(2 * LEAF)
#define HUGE_LEN	(3 * LEAF)

/* In @mixed: [0, MIXED_HOLE) rw, a hole, [MIXED_RO, MIXED_LEN) read-only. */
#define MIXED_HOLE	(64 * PAGE)
#define MIXED_RO	(128 * PAGE)

/* What fill() was told. */
#define ANON_SEED	1
#define SPARSE_SEED	2
#define MIXED_SEED	3
#define FILE_SEED	4	/* the file's content */
#define DIRTY_SEED	5	/* what the parent wrote to odd pages of the mapping */
#define HUGE_SEED	6

/**
 * struct path - one side: what its process has in memory
 * @clone:	for the framework: a path must not behave by it
 * @anon:	ANON_LEN, private anonymous, all pages there, no huge pages
 * @sparse:	SPARSE_LEN, likewise, only pages with an even index
 * @mixed:	MIXED_LEN, see above
 * @file:	FILE_LEN, private writable mapping of a file
 * @huge:	HUGE_LEN, transparent huge pages, where they are to be had
 * @file_name:	of the file; each side has one of its own
 */
struct path {
	bool		clone;
	unsigned char	*anon;
	unsigned char	*sparse;
	unsigned char	*mixed;
	unsigned char	*file;
	unsigned char	*huge;
	char		file_name[64];
};

enum path_access { PATH_READ, PATH_WRITE, PATH_EXEC };

/* An observation; the other side's has to be the same.  One that ends in ": NO" fails. */
void __attribute__((format(printf, 2, 3))) see(struct path *p, const char *fmt, ...);
/* One that may differ, and why. */
void __attribute__((format(printf, 3, 4))) differs(struct path *p, const char *why,
						   const char *fmt, ...);
/* What a system call returned: "what: 0" or "what: EINVAL".  Returns @ret. */
long see_ret(struct path *p, const char *what, long ret);
/* Content, as a checksum. */
void see_mem(struct path *p, const char *what, const void *mem, size_t len);
/* Does an access work, or which signal does it give?  (A write writes 0x5a.) */
void see_fault(struct path *p, const char *what, const void *addr, enum path_access how);
/* The mappings between two addresses: offset, length, permissions. */
void see_maps(struct path *p, const char *what, const void *start, const void *end);
/* A line of /proc/self/status. */
void see_status(struct path *p, const char *key);
/* How a child ended; exit status 1 is a CHECK() that failed. */
void see_child(struct path *p, const char *what, pid_t pid);
/* This path can't be walked here; does not return. */
void __attribute__((noreturn, format(printf, 2, 3))) path_skip(struct path *p,
							       const char *fmt, ...);

/* The @nth allocation from now on fails (debug kernel); skips where it can't. */
void inject_on(struct path *p, unsigned int nth);
/* Returns whether one has failed. */

typedef void (*path_fn)(struct path *p);

/* Both sides: 0 same, 1 skipped (@why says why), -1 they differ. */
int path_compare(const struct cxl *cxl, const char *name, const char *about,
		 path_fn fn, char why[160]);

#ifdef TEST_HARNESS_MAIN	/* kselftest_harness.h is included */

static inline void path_walk(struct __test_metadata *_metadata, const struct cxl *cxl,
			     const char *name, const char *about, path_fn fn)
{
	char why[160] = "";
	int same = path_compare(cxl, name, about, fn, why);

	if (same > 0)
		SKIP(return, "%s", why);
	EXPECT_EQ(0, same);
}

/* Defines a path; @about is what the table in the documentation calls it. */
#define PATH(name, about)						\
	static void name(struct path *p);				\
	CXL_TEST(name)							\
	{								\
		path_walk(_metadata, &self->cxl, #name, about, name);	\
	}								\
	static void name(struct path *p)

#endif /* TEST_HARNESS_MAIN */

#endif /* PATHS_H */
