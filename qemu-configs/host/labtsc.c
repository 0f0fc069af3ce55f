// SPDX-License-Identifier: GPL-2.0
/*
 * labtsc: prints how many kHz this machine's TSC has, which an emulated CPU hands
 * through. A kernel that measures that against emulated timers may come to a third of
 * it where the machine is busy: its clock runs three times as fast then.
 */
#include <stdio.h>
#include <time.h>

#include <x86intrin.h>

#define TRIES	20

struct moment {
	unsigned long long	tsc;
	long long		ns;
};

/* The two are of one moment if nothing came between the two looks at the TSC. */
static struct moment now(void)
{
	unsigned long long best = ~0ULL;
	struct moment m = { 0 };
	int i;

	for (i = 0; i < TRIES; i++) {
		unsigned long long before, after;
		struct timespec t;

		before = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		after = __rdtsc();
		if (after - before >= best)
			continue;
		best = after - before;
		m.tsc = before + best / 2;
		m.ns = t.tv_sec * 1000000000LL + t.tv_nsec;
	}
	return m;
}

int main(void)
{
	struct timespec pause = { .tv_nsec = 50000000 };
	struct moment from = now(), to;

	nanosleep(&pause, NULL);
	to = now();
	printf("%.0f\n", (to.tsc - from.tsc) * 1e6 / (to.ns - from.ns));
	return 0;
}
