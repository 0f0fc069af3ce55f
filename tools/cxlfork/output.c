// SPDX-License-Identifier: GPL-2.0
/* Output: numbers for people, complaints, JSON. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

const char *printable(char *buf, const char *text, size_t max)
{
	size_t i;

	if (max > PRINTABLE_MAX - 1)
		max = PRINTABLE_MAX - 1;
	for (i = 0; i < max && text[i]; i++)
		buf[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	buf[i] = '\0';
	return buf;
}

const char *human_size(char *buf, __u64 bytes)
{
	static const char units[] = "BKMGTPE";
	double value = bytes;
	int unit = 0;

	while (value >= 1024 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	if (!unit)
		snprintf(buf, HUMAN_MAX, "%llu B", bytes);
	else
		snprintf(buf, HUMAN_MAX, value < 10 ? "%.1f %ciB" : "%.0f %ciB",
			 value, units[unit]);
	return buf;
}

const char *uuid_text(char *buf, const __u8 *uuid)
{
	char *at = buf;
	int i;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		at += sprintf(at, "%02x", uuid[i]);
	}
	return buf;
}

const char *time_text(char *buf, __u64 seconds)
{
	time_t when = seconds;
	struct tm tm;

	if (seconds > INT64_MAX || !gmtime_r(&when, &tm) ||
	    !strftime(buf, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(buf, TIME_TEXT_MAX, "?");
	return buf;
}

const char *host_name(int pool, unsigned int slot, char *buf)
{
	struct cxlfork_host_info host;

	if (cxlfork_host_info(pool, slot, &host) || !host.name[0]) {
		snprintf(buf, PRINTABLE_MAX, "#%u", slot);
		return buf;
	}
	return printable(buf, host.name, sizeof(host.name));
}

const char *host_names(int pool, __u32 mask, char *buf)
{
	char name[PRINTABLE_MAX];
	size_t len = 0;
	__u32 slot;

	buf[0] = '\0';
	for (slot = 0; slot < 16; slot++)
		if (mask & (1U << slot))
			len += snprintf(buf + len, HOSTS_MAX - len, "%s%s",
					len ? ", " : "",
					host_name(pool, slot, name));
	return buf;
}

void json_hosts(struct json_object *object, const char *key, int pool,
		__u32 mask)
{
	struct json_object *list = json_object_new_array();
	char name[PRINTABLE_MAX];
	__u32 slot;

	for (slot = 0; slot < 16; slot++)
		if (mask & (1U << slot))
			json_object_array_add(list, json_object_new_string
					      (host_name(pool, slot, name)));
	json_object_object_add(object, key, list);
}

void print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

/* JSON is UTF-8, names of a pool may be anything. */
void json_str(struct json_object *object, const char *key, const char *text)
{
	char buf[PRINTABLE_MAX];

	printable(buf, text, PRINTABLE_MAX);
	json_object_object_add(object, key, json_object_new_string(buf));
}

void json_flag(struct json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

void json_num(struct json_object *object, const char *key, __u64 value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void json_hex(struct json_object *object, const char *key, __u64 value)
{
	char text[CXLFORK_ID_TEXT_MAX];

	cxlfork_id_text(value, text);
	json_object_object_add(object, key, json_object_new_string(text));
}

struct json_object *json_reports(const struct cxlfork_reports *reports)
{
	struct json_object *list = json_object_new_array();
	unsigned int i, count = cxlfork_reports_count(reports);
	char line[CXLFORK_LINE_MAX];

	for (i = 0; i < count; i++) {
		const struct cxlfork_report *report = &reports->list[i];
		struct json_object *item = json_object_new_object();

		json_str(item, "reason", cxlfork_reason_name(report->reason));
		json_num(item, "reason_number", report->reason);
		if (report->fd >= 0)
			json_num(item, "fd", report->fd);
		if (report->end) {
			json_hex(item, "start", report->start);
			json_hex(item, "end", report->end);
		}
		json_num(item, "value", report->value);
		cxlfork_report_line(report, line, sizeof(line));
		json_str(item, "text", line);
		json_object_array_add(list, item);
	}
	return list;
}

static void complain_json(const char *what, int err,
			  const struct cxlfork_reports *reports)
{
	struct json_object *object = json_object_new_object();

	json_str(object, "error", what);
	json_num(object, "errno", err);
	if (err)
		json_str(object, "message", cxlfork_strerror(err));
	json_num(object, "found", reports ? reports->found : 0);
	json_object_object_add(object, "reports", json_reports(reports));
	print_json(object);
}

int complain(const struct common *common, int err,
	     const struct cxlfork_reports *reports, const char *fmt, ...)
{
	unsigned int i, count = cxlfork_reports_count(reports);
	char line[CXLFORK_LINE_MAX], *what;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&what, fmt, args);
	va_end(args);
	if (n < 0)
		return EXIT_NO;

	if (common->json) {
		complain_json(what, err, reports);
	} else if (!err || count) {
		fprintf(stderr, "cxlfork: %s\n", what);
	} else {
		fprintf(stderr, "cxlfork: %s: %s\n", what,
			cxlfork_strerror(err));
	}
	free(what);
	for (i = 0; i < count && !common->json; i++) {
		cxlfork_report_line(&reports->list[i], line, sizeof(line));
		fprintf(stderr, "  %s\n", line);
	}
	if (count && reports->found > count && !common->json)
		fprintf(stderr, "  ... and %u more\n", reports->found - count);
	return EXIT_NO;
}
