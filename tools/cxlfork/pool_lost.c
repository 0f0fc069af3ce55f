// SPDX-License-Identifier: GPL-2.0
/* What cxlfork pool status says about memory errors. */
#include <errno.h>
#include <stdio.h>

#include "cli.h"

int lost_known(int pool)
{
	struct cxlfork_lost lost = { 0 };

	return cxlfork_next_lost(pool, &lost) < 0 ? errno : 0;
}

struct json_object *lost_json(int pool)
{
	struct json_object *list, *object;
	struct cxlfork_lost lost = { 0 };

	if (lost_known(pool))
		return NULL;
	list = json_object_new_array();
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

	if (lost_known(pool))
		printf("memory errors: not shown (needs CAP_SYS_ADMIN)\n");
	while (cxlfork_next_lost(pool, &lost) > 0) {
		printf("memory error: the page at 0x%llx", lost.offset);
		if (lost.id)
			printf(" of checkpoint 0x%llx", lost.id);
		printf(", %llu clones of this host had it\n", lost.clones);
	}
}
