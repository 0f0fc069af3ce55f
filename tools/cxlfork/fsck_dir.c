// SPDX-License-Identifier: GPL-2.0
/* The checker: directory entries, the images they lead to, and families. */
#include <stdlib.h>
#include <string.h>

#include "fsck_pool.h"
#include "le.h"

/* The directory entry that an id is about, if it is in use. */
bool find_ckpt(const struct fsck *f, __u64 id, struct ckpt *ckpt)
{
	int slot = CXLFORK_ID_SLOT(id);
	__u32 idx = CXLFORK_ID_IDX(id);

	if (slot < 0 || (__u32)slot >= f->geo.nr_slots ||
	    idx >= CXLFORK_MAX_CKPTS || !host_claimed(f, slot))
		return false;
	ckpt_take(&f->slots[slot], slot, idx, ckpt);
	return ckpt->id == id && ckpt->state != CXLFORK_CKPT_FREE &&
	       ckpt->state <= CXLFORK_CKPT_FREEING;
}

static bool in_family(const struct family *family, __u64 id)
{
	__u32 i;

	for (i = 0; i < family->nr; i++)
		if (family->ids[i] == id)
			return true;
	return false;
}

static void take_family(struct fsck *f, const struct image *image)
{
	struct family *family = family_of(f, CXLFORK_ID_SLOT(image->id),
					  CXLFORK_ID_IDX(image->id));
	__u32 i;

	if (image->parents_unknown)
		return;
	family->known = true;
	/* Who is named twice, or is it itself, was complained about already. */
	for (i = 0; i < image->nr_parents; i++)
		if (image->parents[i].id != image->id &&
		    !in_family(family, image->parents[i].id))
			family->ids[family->nr++] = image->parents[i].id;
	f->counts->parents += family->nr;
}

static void check_image(struct fsck *f, const struct ckpt *ckpt)
{
	struct image image;

	if (!image_open(&image, f->region, &f->geo, ckpt, f->findings))
		return;
	f->counts->images++;
	f->counts->leaves += image.nr_leaves;
	f->counts->pages += image.nr_pages;
	take_family(f, &image);
	check_extents_of(f, &image);
	image_check(&image, f->findings);
	image_close(&image);
}

static void check_ckpt(struct fsck *f, const struct ckpt *ckpt)
{
	switch (ckpt->state) {
	case CXLFORK_CKPT_WRITING:
		if (ckpt_check_known(&f->geo, ckpt, f->findings))
			check_extents_limit(f, ckpt);
		return;
	case CXLFORK_CKPT_RETIRING:
	case CXLFORK_CKPT_FREEING:
		if (!ckpt_check(&f->geo, ckpt, f->findings))
			return;
		/*
		 * Nobody's use any more: parts of it may be others' already.  Who
		 * comes to hold it while it is FREEING has to let go; those who
		 * have its pages in their leaves are looked at themselves.
		 */
		if (ckpt->state == CXLFORK_CKPT_RETIRING && ckpt_held(f, ckpt))
			check_image(f, ckpt);
		else
			check_extents_limit(f, ckpt);
		return;
	default:
		if (ckpt_check(&f->geo, ckpt, f->findings))
			check_image(f, ckpt);
	}
}

void check_dir(struct fsck *f, __u32 slot)
{
	struct ckpt ckpt;
	__u64 gen;
	__u32 idx;

	for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
		ckpt_take(&f->slots[slot], slot, idx, &ckpt);
		gen = CXLFORK_WORD_GEN(le64(ckpt.entry.word));
		findings_at(f->findings, "checkpoint 0x%llx (slot %u, entry %u)",
			    ckpt.id, slot, idx);
		if (gen > CXLFORK_GEN_MAX ||
		    (!gen && ckpt.state != CXLFORK_CKPT_FREE))
			problem(f->findings, BAD_CKPT_GEN, "generation %llu",
				gen);
		if (!gen && ckpt.entry.expires)
			problem(f->findings, BAD_EXPIRES, "expires at %llu",
				le64(ckpt.entry.expires));
		if (ckpt.state == CXLFORK_CKPT_FREE)
			continue;
		f->counts->ckpts++;
		if (ckpt.state > CXLFORK_CKPT_FREEING)
			problem(f->findings, BAD_CKPT_STATE, "state %u",
				ckpt.state);
		else
			check_ckpt(f, &ckpt);
	}
}

struct name {
	const struct cxlfork_ckpt_entry	*entry;
	__u64				id;
};

static int by_name(const void *a, const void *b)
{
	const struct cxlfork_ckpt_entry *x = ((const struct name *)a)->entry;
	const struct cxlfork_ckpt_entry *y = ((const struct name *)b)->entry;

	if (x->uid != y->uid)
		return le32(x->uid) < le32(y->uid) ? -1 : 1;
	return strncmp((const char *)x->name, (const char *)y->name,
		       sizeof(x->name));
}

/* Among live checkpoints of all hosts a name and owner means one. */
void check_names(struct fsck *f)
{
	struct name *names = calloc(f->geo.nr_slots * CXLFORK_MAX_CKPTS,
				    sizeof(*names));
	size_t nr = 0, i;
	struct ckpt ckpt;
	__u32 slot, idx;

	findings_at(f->findings, "directory");
	if (!names) {
		no_memory(f->findings);
		return;
	}
	for (slot = 0; slot < f->geo.nr_slots; slot++) {
		if (!host_claimed(f, slot))
			continue;
		for (idx = 0; idx < CXLFORK_MAX_CKPTS; idx++) {
			ckpt_take(&f->slots[slot], slot, idx, &ckpt);
			if (ckpt.state != CXLFORK_CKPT_LIVE ||
			    !ckpt.entry.name[0])
				continue;
			names[nr].entry = &f->slots[slot].ckpts[idx];
			names[nr++].id = ckpt.id;
		}
	}
	qsort(names, nr, sizeof(*names), by_name);
	for (i = 1; i < nr; i++)
		if (!by_name(&names[i - 1], &names[i]))
			problem(f->findings, BAD_NAME_TWICE,
				"0x%llx and 0x%llx have the same name and uid",
				names[i - 1].id, names[i].id);
	free(names);
}

static const struct family *family_by_id(const struct fsck *f, __u64 id)
{
	struct ckpt ckpt;

	if (!find_ckpt(f, id, &ckpt))
		return NULL;
	return family_of(f, CXLFORK_ID_SLOT(id), CXLFORK_ID_IDX(id));
}

/*
 * Does a way up from @id lead back to it?  @seen: a byte for each entry; each
 * is gone through once.
 */
static bool is_ancestor(const struct fsck *f, __u64 id, __u64 from, __u8 *seen)
{
	const struct family *family = family_by_id(f, from);
	__u32 i;

	if (!family || seen[family - f->families])
		return false;
	seen[family - f->families] = 1;
	for (i = 0; i < family->nr; i++)
		if (family->ids[i] == id ||
		    is_ancestor(f, id, family->ids[i], seen))
			return true;
	return false;
}

void check_cycles(struct fsck *f)
{
	__u32 nr = f->geo.nr_slots * CXLFORK_MAX_CKPTS, i;
	__u8 *seen = malloc(nr);
	struct ckpt ckpt;
	__u32 slot, idx;

	if (!seen) {
		no_memory(f->findings);
		return;
	}
	for (i = 0; i < nr; i++) {
		if (!f->families[i].nr)
			continue;
		slot = i / CXLFORK_MAX_CKPTS;
		idx = i % CXLFORK_MAX_CKPTS;
		ckpt_take(&f->slots[slot], slot, idx, &ckpt);
		memset(seen, 0, nr);
		findings_at(f->findings, "checkpoint 0x%llx (slot %u, entry %u)",
			    ckpt.id, slot, idx);
		if (is_ancestor(f, ckpt.id, ckpt.id, seen))
			problem(f->findings, BAD_PARENT_CYCLE,
				"it is an ancestor of its own");
	}
	free(seen);
}
