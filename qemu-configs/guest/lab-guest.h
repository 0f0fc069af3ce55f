/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The program that is process 1 of a lab node: init first, then the agent
 * that runs commands for "lab exec".
 */
#ifndef LAB_GUEST_H
#define LAB_GUEST_H

#include <stddef.h>
#include <stdint.h>

#define LAB_CTL_ADDR	"10.0.2.15"
#define LAB_CTL_PORT	7700
#define LAB_BANNER	"LAB1"

/* One frame: type, length in network order, data. */
enum lab_frame {
	LAB_STDIN	= 0,	/* host to guest; empty: end of file */
	LAB_STDOUT	= 1,
	LAB_STDERR	= 2,
	LAB_EXIT	= 3,	/* data: exit status as a shell gives it, u32 */
	LAB_SIGNAL	= 4,	/* host to guest; data: number, u32 */
	LAB_RUN		= 5,	/* host to guest, first; data: see lab-agent.c */
};

#define LAB_FRAME_HEAD	5
#define LAB_FRAME_MAX	(1U << 20)

void lab_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int lab_param(const char *name, char *buf, size_t size);
void lab_network(unsigned int node);
void lab_agent(void);

#endif
