// SPDX-License-Identifier: GPL-2.0
/* Output: numbers for people, complaints, JSON. */
#include <errno.h>
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

/*
 * Bytes of the UTF-8 character at @text that may be shown as it is; 0: there is
 * none, or it is a control character that JSON lets pass (DEL, U+0080-U+009F).
 */
static size_t utf8_length(const unsigned char *text, size_t max)
{
	static const unsigned int least[] = { 0, 0xa0, 0x800, 0x10000 };
	unsigned int code, more, i;

	if (text[0] < 0x80)
		return text[0] != 0x7f;
	more = text[0] >= 0xf0 ? 3 : text[0] >= 0xe0 ? 2 : 1;
	if (text[0] < 0xc0 || text[0] > 0xf7 || more >= max)
		return 0;
	code = text[0] & (0x3f >> more);
	for (i = 1; i <= more; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < least[more] || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return more + 1;
}

struct json_object *json_text(const char *text, size_t max)
{
	size_t size = strnlen(text, max), i, n;
	struct json_object *object;
	char *out, *at;

	/* at most four characters for a byte */
	out = malloc(4 * size + 1);
	if (!out)
		return NULL;
	for (i = 0, at = out; i < size; i += n ?: 1) {
		n = utf8_length((const unsigned char *)text + i, size - i);
		if (n)
			at = mempcpy(at, text + i, n);
		else
			at += sprintf(at, "\\x%02x", (unsigned char)text[i]);
	}
	object = json_object_new_string_len(out, at - out);
	free(out);
	return object;
}

void json_str(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_text(text, strlen(text)));
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

static void complain_json(const char *what, const char *why, int err,
			  const struct cxlfork_reports *reports)
{
	struct json_object *object = json_object_new_object();

	json_str(object, "error", what);
	json_num(object, "errno", err);
	json_str(object, "message", why ?: what);
	json_num(object, "found", reports ? reports->found : 0);
	json_object_object_add(object, "reports", json_reports(reports));
	print_json(object);
}

static void complain_plain(const char *what, const char *why,
			   const struct cxlfork_reports *reports)
{
	unsigned int i, count = cxlfork_reports_count(reports);
	char line[CXLFORK_LINE_MAX];

	if (!why || count)
		fprintf(stderr, "cxlfork: %s\n", what);
	else
		fprintf(stderr, "cxlfork: %s: %s\n", what, why);
	for (i = 0; i < count; i++) {
		cxlfork_report_line(&reports->list[i], line, sizeof(line));
		fprintf(stderr, "  %s\n", line);
	}
	if (count && reports->found > count)
		fprintf(stderr, "  ... and %u more\n", reports->found - count);
}

static void complain_all(const struct common *common, int err, const char *why,
			 const struct cxlfork_reports *reports, const char *fmt,
			 va_list args)
{
	char *what;

	if (vasprintf(&what, fmt, args) < 0)
		return;
	if (common->json)
		complain_json(what, why, err, reports);
	else
		complain_plain(what, why, reports);
	free(what);
}

/* There is no pool here, or no kernel for it: it could not even be tried. */
int exit_status(int err)
{
	switch (err) {
	case ENOSYS:
	case ENOTTY:
	case ENODEV:
	case ENXIO:
		return EXIT_TROUBLE;
	default:
		return EXIT_NO;
	}
}

int complain(const struct common *common, int err,
	     const struct cxlfork_reports *reports, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	complain_all(common, err, cxlfork_strerror(err), reports, fmt, args);
	va_end(args);
	return exit_status(err);
}

int complain_text(const struct common *common, int err,
		  const struct cxlfork_reports *reports, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	complain_all(common, err, NULL, reports, fmt, args);
	va_end(args);
	return exit_status(err);
}

int complain_file(const struct common *common, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	complain_all(common, err, strerror(err), NULL, fmt, args);
	va_end(args);
	return EXIT_NO;
}
