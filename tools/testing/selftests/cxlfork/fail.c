// SPDX-License-Identifier: GPL-2.0
/* Allocations that fail: of one thread, one at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cxlfork_test.h"
#include "fail.h"

#define KNOBS	"/sys/kernel/debug/"
#define NTH	"/proc/thread-self/fail-nth"

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/**
 * fail_begin - let allocations that may sleep fail, too
 * @slab:	not only those of pages
 *
 * False: this kernel can't.
 */
bool fail_begin(bool slab)
{
	return write_text(KNOBS "fail_page_alloc/ignore-gfp-wait", "N") &&
	       write_text(KNOBS "fail_page_alloc/ignore-gfp-highmem", "N") &&
	       write_text(KNOBS "fail_page_alloc/min-order", "0") &&
	       write_text(KNOBS "fail_page_alloc/verbose", "0") &&
	       write_text(KNOBS "failslab/verbose", "0") &&
	       write_text(KNOBS "failslab/ignore-gfp-wait", slab ? "N" : "Y");
}

/* Of the next test it is not expected. */
void fail_end(void)
{
	CHECK(write_text(KNOBS "failslab/ignore-gfp-wait", "Y"));
}

/* The nth allocation of this thread from now on fails; 0: none. */
void fail_nth(unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	/* It may be the next one's turn in here. */
	CHECK(write_text(NTH, text) || write_text(NTH, text));
}

/* None any more.  Has there been one?  If it is here, there had been none. */
bool fail_done(void)
{
	int fd = open(NTH, O_RDONLY | O_CLOEXEC);
	bool here = fd < 0 && errno == ENOMEM;
	char text[16] = "1";

	CHECK(here || (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0));
	if (fd >= 0)
		close(fd);
	fail_nth(0);
	return !atoi(text);
}
