/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What paths do to the whole machine, and how it is undone: by a shell that waits
 * for the path's process to end, in whatever way.
 */
#ifndef CXLFORK_PATHS_KNOBS_H
#define CXLFORK_PATHS_KNOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "paths.h"

void when_over(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool put(const char *path, const char *text);
bool get(const char *path, char *text, size_t size);
long get_number(const char *path, const char *name);
bool knob(const char *path, const char *value);

void swap_on(struct path *p);
void cgroup_make(struct path *p, char *dir, size_t size);
long cgroup_settled(const char *dir, const char *name);

void touch_pages(unsigned char *start, size_t len, size_t step);
void make_mixed(struct path *p);
void see_all(struct path *p);

#endif /* CXLFORK_PATHS_KNOBS_H */
