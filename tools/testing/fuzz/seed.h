/* SPDX-License-Identifier: GPL-2.0 */
/* The pool that is changed: synth.h's, and what it has not. */
#ifndef FUZZ_SEED_H
#define FUZZ_SEED_H

#include "synth.h"

#define SEED_BASE	SYNTH_BASE
#define SEED_SIZE	SYNTH_SIZE
#define SEED_ID		SYNTH_ID
/* The host that is fuzzed: the one that has slot 1. */
#define SEED_SLOT	1
#define SEED_UUID	"10011010-1010-1010-1010-101010101010"

/* @mem has SEED_SIZE bytes. */
void seed_build(void *mem);

#endif /* FUZZ_SEED_H */
