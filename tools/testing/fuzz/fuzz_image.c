// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer target: images.
 *
 * The input is a sequence of changes to a pool whose image is right (mutate.c).
 * Then the checkpoint is opened, all its leaves are checked, and attached to an
 * address space, as cxlrestore() does.  Some of the changes are made while that
 * goes on, between two accesses to the shared memory: what the code has checked
 * must be what it uses.
 */
#include "host.h"
#include "mutate.h"
#include "oracle.h"
#include "seed.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The first byte of an input. */
enum {
	BAD_CRC		= 7 << 0,	/* all set: checksums stay wrong */
	UNTRUSTED	= 1 << 3,
	REBASE		= 1 << 4,
	RACE		= 1 << 5,	/* some changes come later */
	NOBODY		= 1 << 6,
	NO_MEMORY	= 1 << 7,	/* an allocation fails */
};

/* A checkpoint with pages of its own only, and one with a parent: that one. */
static struct places whole, child;
static struct mutate mutate = { .p = &whole, .spare = -1 };
static struct input input;
static bool seal;
static unsigned int due;	/* accesses until the next change */
static bool raced;

static void other_host(void)
{
	if (!due || --due)
		return;
	mutate_one(&mutate, &input, MUTATE_POOL | MUTATE_IMAGE | MUTATE_LEAVES);
	shim_say("meanwhile: %s\n", mutate.about);
	if (seal)
		mutate_seal(&mutate, MUTATE_POOL | MUTATE_IMAGE);
	raced = true;
	due = input.left ? 1 + input_u8(&input) : 0;
}

static void attach(void)
{
	const char *wrong;

	seed_build(host.mem);
	host_bind(SEED_BASE);
	wrong = places_find(&whole, host.mem, SEED_SIZE, SEED_ID) ?:
		places_find(&child, host.mem, SEED_SIZE, SYNTH_CHILD_ID);
	if (wrong || !host.cd->attached || host.cd->slot != SEED_SLOT)
		shim_bug("the pool to begin with: %s", wrong ?: host.cd->reason);
}

static u64 word_of(const struct places *p)
{
	return get_unaligned_le64(host.mem + p->entry_off);
}

/* This host is there, and so are both checkpoints: nobody has had them deleted. */
static bool intact(void)
{
	u64 live = CXLFORK_WORD(CXLFORK_ID_GEN(SEED_ID), CXLFORK_CKPT_LIVE);
	u64 gen = CXLFORK_ID_GEN(SYNTH_CHILD_ID);

	return !host.cd->lost && word_of(&whole) == live &&
	       word_of(&child) == CXLFORK_WORD(gen, CXLFORK_CKPT_LIVE) &&
	       host.cd->own[SYNTH_CHILD_IDX].state == CXLFORK_CKPT_LIVE;
}

/* All anew. */
static void again(void)
{
	host.cd->pool.base = SEED_BASE;
	host_unbind();
	attach();
}

static int map_leaf(struct mm_struct *mm, struct cxlfork_template_leaf *leaf)
{
	if (leaf->huge)
		return cxlfork_attach_huge(mm, leaf->addr, leaf->entry);
	if (leaf->whole)
		return cxlfork_attach_leaf(mm, leaf->addr, __pa(leaf->table));
	return cxlfork_copy_leaf(mm, leaf->addr, leaf->table);
}

static int map_leaves(struct cxlfork_template *t, struct cxlfork_log *log)
{
	struct mm_struct mm = { };
	int ret = 0;
	u32 i;

	for (i = 0; i < t->nr_leaves && !ret; i++) {
		ret = cxlfork_template_leaf(t, i, log);
		if (ret)
			break;
		oracle_leaf(t, i, !raced);
		ret = map_leaf(&mm, &t->leaves[i]);
		if (!ret && (t->leaves[i].local || !raced))
			oracle_mm(t, &mm, i);
	}
	for (i = 0; i < mm.nr_pmds; i++)
		if (mm.pmds[i].own)
			free((void *)pmd_page_vaddr(mm.pmds[i].pmd));
	return ret;
}

/* Return: it became a clone. */
static bool restore(const struct file *file)
{
	struct cxlfork_log log;
	struct cxlfork_template *t;
	int ret;

	if (cxlfork_log_init(&log, 2))
		return false;
	t = cxlfork_template_open(&host.cd->pool, mutate.p->id, file, &log);
	if (IS_ERR(t)) {
		ret = PTR_ERR(t);
	} else {
		oracle_template(t);
		if (!raced)
			oracle_extents(t);
		ret = map_leaves(t, &log);
		cxlfork_template_put(t);
	}
	if (ret)
		shim_say("refused: error %d: %s\n", -ret,
			 log.nr ? log.records[0].text : "no reason");
	else
		shim_say("becomes a clone\n");
	/* Who is refused is told why, unless it is that memory is out. */
	shim_assert(!ret || log.nr || ret == -ENOMEM);
	shim_assert(ret <= 0 && ret > -MAX_ERRNO);
	cxlfork_log_free(&log);
	return !ret;
}

static void check_quiet(void)
{
	u32 slot = CXLFORK_ID_SLOT(mutate.p->id), idx = CXLFORK_ID_IDX(mutate.p->id);

	shim_fail_at = 0;
	shim_other_host = NULL;
	/* The template is dropped, and with it the reference; the heart beats. */
	shim_work();
	shim_assert(!atomic_read(&host.cd->handles));
	shim_assert(!CXLFORK_REF_COUNT(host.cd->refs[slot][idx]));
	shim_assert(host.cd->pool.users.count == 1);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	const struct cxlfork_ckpt_entry *entry;
	const struct file *file = &host_root;
	bool cloned;
	u32 how;

	if (!host.cd) {
		host_init(SEED_SIZE);
		host.uuid = SEED_UUID;
		attach();
		/* What is right becomes a clone, or nothing here means anything. */
		mutate.p = &child;
		shim_assert(restore(file));
		check_quiet();
		mutate.p = &whole;
		shim_assert(restore(file));
		check_quiet();
	}
	input = (struct input){ data, size };
	how = input_u8(&input);
	mutate.p = input_u8(&input) & 1 ? &child : &whole;
	seal = (how & BAD_CRC) != BAD_CRC;
	raced = false;
	due = how & RACE ? 1 + input_u8(&input) * 4 : 0;
	host.trust = !(how & UNTRUSTED);
	host.cd->pool.base = SEED_BASE + (how & REBASE ? 16 * CXLFORK_EXTENT_SIZE : 0);
	shim_fail_at = how & NO_MEMORY ? 1 + input_u8(&input) % 32 : 0;

	if (due)
		size = input.left / 2;
	else
		size = 0;
	while (input.left > size) {
		mutate_one(&mutate, &input, MUTATE_IMAGE | MUTATE_LEAVES |
			   (how & NOBODY ? MUTATE_POOL : 0));
		shim_say("%s\n", mutate.about);
	}
	if (seal)
		mutate_seal(&mutate, MUTATE_POOL | MUTATE_IMAGE);
	entry = (void *)(host.mem + mutate.p->entry_off);
	if (how & NOBODY && entry->uid != HOST_NOBODY)
		file = &host_nobody;

	shim_other_host = other_host;
	cloned = restore(file);
	/* An owner that is written there meanwhile has a right to it. */
	shim_assert(!cloned || file == &host_root || raced);
	check_quiet();
	mutate_undo(&mutate);
	if (!intact())
		again();
	return 0;
}
