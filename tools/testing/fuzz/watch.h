/* SPDX-License-Identifier: GPL-2.0 */
/* Who writes what: each word that the fuzzed host has changed in the metadata. */
#ifndef FUZZ_WATCH_H
#define FUZZ_WATCH_H

#include "host.h"

/* Once: @size bytes of metadata, as they are to begin with. */
void watch_init(const void *begin, u64 size);
/* All is as in the beginning.  Return: what else is changed has to be here, too. */
u8 *watch_reset(void);
/* Another host does something now: its writes are put right by it, in the mirror. */
void watch_before(void);
/*
 * Ends the process if this host has written what is not its own, or freed what
 * somebody uses.  @raced: others have written meanwhile.  @all: look also where it
 * has not written as far as the shim knows.
 */
void watch_after(bool raced, bool all);
/* It may have written anything. */
void watch_forgive(void);

#endif /* FUZZ_WATCH_H */
