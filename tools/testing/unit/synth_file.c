// SPDX-License-Identifier: GPL-2.0
/* Write the made-up pool to a file, for tests of the commands. */
#include <stdio.h>
#include <stdlib.h>

#include "synth.h"

int main(int argc, char **argv)
{
	void *mem = malloc(SYNTH_SIZE);
	struct synth synth;
	FILE *file;

	if (argc != 2 || !mem)
		return 2;
	synth_build(&synth, mem);
	file = fopen(argv[1], "we");
	if (!file || fwrite(mem, SYNTH_SIZE, 1, file) != 1 || fclose(file)) {
		perror(argv[1]);
		return 1;
	}
	free(mem);
	return 0;
}
