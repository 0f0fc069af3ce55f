// SPDX-License-Identifier: GPL-2.0
/* What cxlfork pool status says about memory errors. */
#include <stdio.h>

#include "cli.h"

struct json_object *lost_json(int pool)
{
	struct json_object *list = json_object_new_array(), *object;
	struct cxlfork_lost lost = { 0 };

	while (cxlfork_next_lost(pool, &lost) > 0) {
		object = json_object_new_object();
		json_hex(object, "offset", lost.offset);
		if (lost.id)
			json_hex(object, "checkpoint", lost.id);
		json_num(object, "clones", lost.clones);
		json_object_array_add(list, object);
	}
	return list;
}

void print_lost(int pool)
{
	struct cxlfork_lost lost = { 0 };

	while (cxlfork_next_lost(pool, &lost) > 0) {
		printf("memory error: the page at 0x%llx", lost.offset);
		if (lost.id)
			printf(" of checkpoint 0x%llx", lost.id);
		printf(", %llu clones of this host had it\n", lost.clones);
	}
}
