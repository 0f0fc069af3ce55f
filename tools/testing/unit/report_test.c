// SPDX-License-Identifier: GPL-2.0
/* The library's texts, ids, and what it makes of a kernel's records. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ghost.h"
#include "internal.h"
#include "tap.h"

static void test_ids(void)
{
	static const char * const bad[] = {
		"", "0", "x", "0x", "12x", "-1", "+1", " 1", "0x0",
		"0x10000000000000000", "99999999999999999999", "resize",
	};
	char text[CXLFORK_ID_TEXT_MAX];
	__u64 id = 0;
	size_t i;

	ok(cxlfork_parse_id("0x10100", &id) && id == 0x10100, "hex id");
	ok(cxlfork_parse_id("65792", &id) && id == 0x10100, "decimal id");
	ok(cxlfork_parse_id("010", &id) && id == 10, "a leading 0 is nothing");
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ok(!cxlfork_parse_id(bad[i], &id), "no id: `%s'", bad[i]);
	errno = EDOM;
	ok(!cxlfork_parse_id("99999999999999999999", &id) && errno == EDOM &&
	   cxlfork_parse_id("5", &id) && errno == EDOM, "errno stays");
	ok(!strcmp(cxlfork_id_text(~0ULL, text), "0xffffffffffffffff"),
	   "the largest id fits");
}

static struct cxlfork_report report(__u32 reason, int fd, __u64 end,
				    const char *text)
{
	struct cxlfork_report report = { .reason = reason, .fd = fd,
					 .start = 0x1000, .end = end };

	strncat(report.text, text, sizeof(report.text) - 1);
	return report;
}

static void line_is(struct cxlfork_report report, const char *wanted)
{
	char line[CXLFORK_LINE_MAX];
	size_t n = cxlfork_report_line(&report, line, sizeof(line));

	if (!ok(!strcmp(line, wanted) && n == strlen(wanted), "%s", wanted))
		printf("# %s\n", line);
}

static void test_lines(void)
{
	struct cxlfork_report r;
	char line[CXLFORK_LINE_MAX];
	size_t i;

	line_is(report(CXLFORK_REASON_FD, 5, 0, "socket"),
		"descriptor 5: socket; close it, or mark it for handover");
	line_is(report(CXLFORK_REASON_FD, 5, 0,
		       "descriptor 5 is a pipe: close it or hand it over"),
		"descriptor 5 is a pipe: close it or hand it over");
	line_is(report(CXLFORK_REASON_VMA, -1, 0x3000, "hugetlb memory"),
		"mapping 0x1000-0x3000: hugetlb memory; unmap it, or leave it out with madvise(MADV_DONTFORK)");
	line_is(report(CXLFORK_REASON_NAME, -1, 0, "taken\n\033[2J\377"),
		"taken??[2J?; choose another name");
	line_is(report(777, -1, 0, "new"), "new");
	line_is(report(777, -1, 0, ""), "unknown (value 0)");

	r = report(CXLFORK_REASON_FD, 0x7fffffff, 0, "");
	memset(r.text, 'x', sizeof(r.text));
	i = cxlfork_report_line(&r, line, sizeof(line));
	ok(i == strlen(line) && i > 160, "a text that does not end");
	memset(line, 'y', sizeof(line));
	i = cxlfork_report_line(&r, line, 10);
	ok(i == 9 && strlen(line) == 9 && line[10] == 'y', "a short buffer");
	ok(cxlfork_report_line(&r, NULL, 0) > 160, "no buffer");
}

static void test_reports(void)
{
	struct cxlfork_reports *reports = cxlfork_reports_new(4);

	reports->list[0].reason = CXLFORK_REASON_FD;
	reports->list[1].reason = CXLFORK_REASON_VMA;
	cxlfork__reports_settle(reports, 2);
	ok(cxlfork_reports_count(reports) == 2, "two records");
	cxlfork__reports_settle(reports, 4);
	ok(reports->found == 2, "a number that was never written");
	reports->list[2] = reports->list[0];
	reports->list[3] = reports->list[0];
	cxlfork__reports_settle(reports, 9);
	ok(reports->found == 9 && cxlfork_reports_count(reports) == 4,
	   "more than fit");
	cxlfork__reports_reset(reports);
	ok(!reports->found && !reports->list[0].reason, "emptied");
	cxlfork__reports_settle(NULL, 3);
	cxlfork__reports_reset(NULL);
	ok(!cxlfork_reports_count(NULL), "nobody wants records");
	cxlfork_reports_free(reports);
	cxlfork_reports_free(NULL);
}

/* What a failed call leaves of an earlier one's records: nothing. */
static void test_stale(void)
{
	static char name[CXLFORK_NAME_MAX + 1];
	struct cxlfork_reports *reports = cxlfork_reports_new(4);
	struct cxlfork_request req = { .flags = CXLFORK_CHECK };
	struct cxlfork_order order = { 0 };

	reports->found = 2;
	cxlfork_checkpoint(-1, &req, reports);
	ok(!reports->found, "no records of an earlier call: wrong flags");
	reports->found = 2;
	memset(name, 'x', sizeof(name) - 1);
	req.flags = 0;
	req.name = name;
	cxlfork_checkpoint(-1, &req, reports);
	ok(!reports->found, "no records of an earlier call: a name");
	reports->found = 2;
	cxlfork_spawn(-1, &order, ~0U, reports);
	ok(!reports->found, "no records of an earlier call: spawn");
	cxlfork_reports_free(reports);
}

/* A ghost that refuses each order, with a hundred reasons. */
static void play_ghost(int listener)
{
	struct ghost_reply reply = {
		.magic = GHOST_MAGIC, .err = EOPNOTSUPP, .found = 100,
		.nr_reports = GHOST_REPORTS_MAX,
	};
	static char order[sizeof(struct ghost_order)];
	int fd, i;

	for (i = 0; i < GHOST_REPORTS_MAX; i++)
		reply.reports[i].reason = CXLFORK_REASON_FD;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (read(fd, order, sizeof(order)) < 0 ||
		    write(fd, &reply, sizeof(reply)) < 0)
			break;
		close(fd);
	}
	_exit(0);
}

static void order_from(const char *socket, unsigned int room,
		       unsigned int found, unsigned int count)
{
	struct cxlfork_reports *reports = cxlfork_reports_new(room);
	struct cxlfork_order order = { .id = 5 };
	pid_t pid = cxlfork_spawn_via(STDIN_FILENO, socket, &order, reports);

	ok(pid < 0 && errno == EOPNOTSUPP && reports->found == found &&
	   cxlfork_reports_count(reports) == count,
	   "a ghost with 100 reasons, room for %u", room);
	cxlfork_reports_free(reports);
}

static void test_ghost(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char name[32];
	int listener;
	pid_t pid;

	snprintf(name, sizeof(name), "@cxlfork-test-%d", getpid());
	memcpy(addr.sun_path + 1, name + 1, strlen(name) - 1);
	listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	ok(!bind(listener, (void *)&addr, offsetof(struct sockaddr_un, sun_path) +
		 strlen(name)) && !listen(listener, 8), "a ghost");
	fflush(stdout);
	pid = fork();
	if (!pid)
		play_ghost(listener);
	order_from(name, 0, 100, 0);
	order_from(name, 4, 100, 4);
	order_from(name, 32, 100, 32);
	order_from(name, 64, 32, 32);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	test_ids();
	test_lines();
	test_reports();
	test_stale();
	test_ghost();
	return tap_done();
}
