// SPDX-License-Identifier: GPL-2.0
/*
 * What stands in the way, exactly: records for the caller.
 */
#include <linux/cxlfork.h>
#include <linux/slab.h>
#include <linux/stdarg.h>
#include <linux/uaccess.h>

/**
 * cxlfork_log_init - make room for records
 * @log:	the log
 * @capacity:	as many as the caller can take
 *
 * Return: 0 or -ENOMEM.
 */
int cxlfork_log_init(struct cxlfork_log *log, u32 capacity)
{
	log->nr = 0;
	log->capacity = min_t(u32, capacity, CXLFORK_REPORTS_MAX);
	log->records = NULL;
	if (!log->capacity)
		return 0;
	log->records = kvcalloc(log->capacity, sizeof(*log->records),
				GFP_KERNEL_ACCOUNT);
	return log->records ? 0 : -ENOMEM;
}

void cxlfork_log_free(struct cxlfork_log *log)
{
	kvfree(log->records);
	log->records = NULL;
}

/**
 * cxlfork_log_copy - give the records to the caller
 * @log:	the log
 * @reports:	user address of struct cxlfork_report[]
 * @nr:		user address that gets the number found
 *
 * Return: 0 or -EFAULT.
 */
int cxlfork_log_copy(const struct cxlfork_log *log, u64 reports, u32 __user *nr)
{
	u32 used = min(log->nr, log->capacity);

	if (used && copy_to_user(u64_to_user_ptr(reports), log->records,
				 used * sizeof(*log->records)))
		return -EFAULT;
	return put_user(log->nr, nr);
}

/**
 * cxlfork_report - note an obstacle
 * @log:	the log
 * @reason:	enum cxlfork_reason
 * @fd:		descriptor, or -1
 * @start:	mapping's first byte, or 0
 * @end:	first byte after it, or 0
 * @value:	a number that goes with @reason
 * @fmt:	one line for people
 *
 * Context: any that may format a string.
 */
void cxlfork_report(struct cxlfork_log *log, u32 reason, int fd,
		    unsigned long start, unsigned long end, u64 value,
		    const char *fmt, ...)
{
	struct cxlfork_report *record;
	va_list args;

	if (log->nr++ >= log->capacity)
		return;
	record = &log->records[log->nr - 1];
	record->reason = reason;
	record->fd = fd;
	record->start = start;
	record->end = end;
	record->value = value;
	va_start(args, fmt);
	vscnprintf(record->text, sizeof(record->text), fmt, args);
	va_end(args);
}
