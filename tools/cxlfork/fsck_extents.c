// SPDX-License-Identifier: GPL-2.0
/* The checker: every extent is free, or one checkpoint's that exists. */

#include "fsck_pool.h"
#include "le.h"

/* Extents of an image, and of the table that says whose they are. */
void check_extents_of(struct fsck *f, const struct image *image)
{
	__u32 i;

	for (i = 0; i < image->nr_extents; i++) {
		__u32 extent = image->extents[i];

		if (f->owners[extent] != image->id)
			problem(f->findings, BAD_EXTENT_OWNER,
				"its extent %u is 0x%llx's by the extent table",
				extent, f->owners[extent]);
		if (f->named[extent])
			problem(f->findings, BAD_EXTENT_TWICE,
				"its extent %u is in the image of 0x%llx as well",
				extent, f->named[extent]);
		f->named[extent] = image->id;
	}
	for (i = f->geo.first_extent; i < f->geo.nr_extents; i++)
		if (f->owners[i] == image->id && image->place[i] == NOT_OURS)
			problem(f->findings, BAD_EXTENT_UNNAMED,
				"extent %u is its own by the extent table, but not in the image",
				i);
}

/* One that is being written, or freed, has some of its extents. */
void check_extents_limit(struct fsck *f, const struct ckpt *ckpt)
{
	__u64 limit = le64(ckpt->entry.bytes) >> CXLFORK_EXTENT_SHIFT, nr = 0;
	__u32 i;

	for (i = f->geo.first_extent; i < f->geo.nr_extents; i++)
		nr += f->owners[i] == ckpt->id;
	if (nr > limit)
		problem(f->findings, BAD_EXTENT_MANY,
			"%llu extents are its own by the extent table, %llu by its bytes",
			nr, limit);
}

static void check_share(struct fsck *f, __u32 extent)
{
	__u64 id = f->owners[extent];

	if (!(f->geo.flags & CXLFORK_POOL_COHERENT) &&
	    !share_has(&f->geo, CXLFORK_ID_SLOT(id), extent))
		problem(f->findings, BAD_EXTENT_SHARE,
			"extent %u is 0x%llx's, of slot %d", extent, id,
			CXLFORK_ID_SLOT(id));
}

void check_etable(struct fsck *f)
{
	struct ckpt ckpt;
	__u64 owner;
	__u32 i;

	findings_at(f->findings, "extent table");
	for (i = 0; i < f->geo.nr_extents; i++) {
		owner = f->owners[i];
		if (i < f->geo.first_extent) {
			if (owner != CXLFORK_EXTENT_META)
				problem(f->findings, BAD_EXTENT_META,
					"extent %u holds the pool's own data, but is 0x%llx's",
					i, owner);
		} else if (!owner) {
			f->counts->extents_free++;
		} else if (owner == CXLFORK_EXTENT_META) {
			problem(f->findings, BAD_EXTENT_NOT_META,
				"extent %u is marked as the pool's own", i);
		} else {
			f->counts->extents_used++;
			if (find_ckpt(f, owner, &ckpt))
				check_share(f, i);
			else
				problem(f->findings, BAD_EXTENT_LOST,
					"extent %u is lost: it is 0x%llx's, which does not exist",
					i, owner);
		}
	}
}
