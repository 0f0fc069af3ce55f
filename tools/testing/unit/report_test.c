// SPDX-License-Identifier: GPL-2.0
/* The library's texts, ids, and what it makes of a kernel's records. */
#include <stdlib.h>
#include <string.h>

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
	reports_settle(reports, 2);
	ok(cxlfork_reports_count(reports) == 2, "two records");
	reports_settle(reports, 4);
	ok(reports->found == 2, "a number that was never written");
	reports->list[2] = reports->list[0];
	reports->list[3] = reports->list[0];
	reports_settle(reports, 9);
	ok(reports->found == 9 && cxlfork_reports_count(reports) == 4,
	   "more than fit");
	reports_reset(reports);
	ok(!reports->found && !reports->list[0].reason, "emptied");
	reports_settle(NULL, 3);
	reports_reset(NULL);
	ok(!cxlfork_reports_count(NULL), "nobody wants records");
	cxlfork_reports_free(reports);
	cxlfork_reports_free(NULL);
}

int main(void)
{
	test_ids();
	test_lines();
	test_reports();
	return tap_done();
}
