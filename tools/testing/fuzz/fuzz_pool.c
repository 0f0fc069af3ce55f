// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer target: the metadata of a pool.
 *
 * The input is a sequence of operations of this host, and of changes that others
 * make to superblock, slots, directories, references and extent table: before this
 * host attaches, between its operations, and in the middle of them.
 */
#include "mutate.h"
#include "seed.h"
#include "watch.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The first byte of an input. */
enum {
	BAD_CRC		= 7 << 0,	/* all set: checksums stay wrong */
	RACE		= 1 << 3,
	NO_MEMORY	= 1 << 4,
	WHO		= 3 << 5,	/* the host is that of slot 0, 1, or a new one */
};

static struct places places;
static struct mutate mutate = { .p = &places, .spare = -1 };
static struct input input;
static bool bound, seal, race, raced;
static unsigned int due;
static struct cxlfork_ckpt *handles[4];
static struct cxlfork_ckpt *writing;

static void change(void)
{
	mutate_one(&mutate, &input, MUTATE_POOL);
	shim_say("changed: %s\n", mutate.about);
	if (seal)
		mutate_seal(&mutate, MUTATE_POOL);
	/* What was changed stays: there is nothing to undo. */
	mutate.nr = 0;
}

static void other_host(void)
{
	if (!due || --due)
		return;
	change();
	raced = true;
	due = input.left ? 1 + input_u8(&input) : 0;
}

static u64 pick_id(void)
{
	u32 n = input_u8(&input);

	switch (n % 4) {
	case 0:
		return SEED_ID;
	case 1:
		return CXLFORK_ID(1 + (n >> 5), n >> 2 & 7, input_u8(&input));
	case 2:
		return writing ? writing->id : SYNTH_WRITING_ID;
	default:
		return input_u64(&input);
	}
}

static const struct file *pick_file(void)
{
	return input_u8(&input) & 1 ? &host_nobody : &host_root;
}

static void op_list(void)
{
	const struct file *file = pick_file();
	struct cxlfork_ckpt_info info = { .cursor = input_u16(&input) & 0x1ff };
	u32 nr = 0;
	u64 last;

	do {
		last = info.cursor;
		if (cxlf_list(host.cd, file, &info))
			break;
		shim_assert(info.cursor > last && ++nr <= 16 * 128);
		shim_assert(strnlen((char *)info.name, sizeof(info.name)) <
			    sizeof(info.name));
		shim_assert(info.owner < host.cd->geo.nr_slots && info.id);
		shim_assert(file->privileged || info.uid == HOST_NOBODY ||
			    info.gid == HOST_NOBODY || info.mode & 4);
		/* With extents of its own, and a mode that is one. */
		shim_assert(info.bytes >> CXLFORK_EXTENT_SHIFT <
			    host.cd->geo.nr_extents);
		shim_assert(!(info.mode & ~0777));
	} while (1);
}

static void op_host(void)
{
	struct cxlfork_host_info info = { .slot = input_u8(&input) % 20 };
	int ret = cxlf_host_info(host.cd, &info);

	shim_assert(!ret || info.slot >= host.cd->geo.nr_slots);
	shim_assert(!info.name[sizeof(info.name) - 1]);
	shim_assert(!info.kernel[sizeof(info.kernel) - 1]);
}

static void op_get(void)
{
	struct cxlfork_ckpt *ckpt;
	u64 id = pick_id();
	u32 at = input_u8(&input) % ARRAY_SIZE(handles), extent;

	if (handles[at])
		return;
	ckpt = cxlf_get(&host.cd->pool, id);
	if (IS_ERR(ckpt)) {
		shim_assert(PTR_ERR(ckpt) < 0);
		return;
	}
	extent = ckpt->first >> CXLFORK_EXTENT_SHIFT;
	shim_assert(ckpt->id == id && ckpt->bytes && ckpt->nr_extents);
	shim_assert(IS_ALIGNED(ckpt->first, CXLFORK_EXTENT_SIZE));
	shim_assert(extent >= host.cd->geo.first_extent &&
		    extent < host.cd->geo.nr_extents);
	shim_assert(ckpt->bytes <= host.size && !(ckpt->mode & ~0777));
	if (!raced)
		shim_assert(get_unaligned_le64(host.mem +
					       cxlf_etable_off(host.cd, extent)) == id);
	handles[at] = ckpt;
}

static void op_put(u32 at)
{
	if (handles[at])
		cxlf_put(handles[at]);
	handles[at] = NULL;
}

static void op_remove(void)
{
	const struct file *file = pick_file();

	cxlf_remove(host.cd, file, pick_id());
}

static void op_set(void)
{
	struct cxlfork_ckpt_set args = { };

	args.id = pick_id();
	args.flags = input_u8(&input);
	args.ttl = input_u8(&input);
	cxlf_set(host.cd, pick_file(), &args);
}

static void op_fence(void)
{
	struct cxlfork_pool_fence args = { };

	args.slot = input_u8(&input) % 20;
	args.flags = input_u8(&input) & 3;
	cxlf_fence_host(host.cd, &args);
	shim_assert(memchr(args.reason, 0, sizeof(args.reason)));
}

static void op_create(void)
{
	static const char *const names[] = { "", "resize", "thumbnail", "other" };
	struct cxlfork_ckpt_attr attr = { .mode = 0600 };
	u64 missing;
	u32 how, i;

	attr.bytes = input_u8(&input) * (CXLFORK_EXTENT_SIZE / 64);
	attr.quota = (u64)(input_u8(&input) % 16) * CXLFORK_EXTENT_SIZE;
	attr.ttl = input_u8(&input) % 8;
	how = input_u8(&input);
	if (writing)
		return;
	strcpy(attr.name, names[how & 3]);
	attr.pin = how & 4;
	writing = cxlf_create(&host.cd->pool, &attr, &missing);
	if (IS_ERR(writing)) {
		writing = NULL;
		return;
	}
	for (i = 0; i < writing->nr_extents; i++) {
		u32 extent = writing->extents[i];

		shim_assert(extent >= host.cd->geo.first_extent &&
			    extent < host.cd->geo.nr_extents);
		if (!raced)
			shim_assert(get_unaligned_le64(host.mem +
				cxlf_etable_off(host.cd, extent)) == writing->id);
	}
}

/* A memory error, as the kernel is told of one. */
static void op_poison(void)
{
	struct cxlfork_lost lost = { .cursor = input_u8(&input) };
	u32 extent = input_u8(&input) % SYNTH_EXTENTS;

	if (host.cd->attached && !(input_u8(&input) % 8))
		cxlfork_pool_poisoned(&host.cd->pool,
				      (u64)extent << CXLFORK_EXTENT_SHIFT, 0);
	cxlfork_pool_lost(&host.cd->pool, &lost);
}

static void op_publish(bool publish)
{
	if (writing && publish)
		cxlf_publish(writing);
	else if (writing)
		cxlf_abort(writing);
	writing = NULL;
}

static void let_go(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(handles); i++)
		op_put(i);
	op_publish(false);
}

static void op_bind(void)
{
	if (bound) {
		let_go();
		host_unbind();
	} else {
		host_bind(SEED_BASE);
	}
	bound = !bound;
}

/* Rarely: it is slow, and all that was changed is gone. */
static void op_format(void)
{
	struct cxlfork_pool_format args = { };

	args.flags = input_u8(&input) & 1 ? CXLFORK_FORMAT_FORCE : 0;
	args.pool_flags = input_u8(&input) & 3 ? CXLFORK_POOL_COHERENT : 0;
	args.nr_slots = input_u8(&input) % 18;
	if (input_u8(&input) % 16)
		return;
	watch_before();
	cxlf_format(host.cd, &args);
	shim_assert(memchr(args.reason, 0, sizeof(args.reason)));
	watch_forgive();
}

static void operate(u32 op)
{
	u32 free;

	/* What user space asks of a pool that isn't there is refused before. */
	if (!host.cd->usable && (op == 1 || op == 2 || op == 3))
		return;
	switch (op) {
	case 0:
		change();
		break;
	case 1:
		op_list();
		break;
	case 2:
		op_host();
		break;
	case 3:
		if (!cxlf_extents_count(host.cd, &free, NULL))
			shim_assert(free < host.cd->geo.nr_extents);
		break;
	case 4:
	case 5:
		op_get();
		break;
	case 6:
		op_put(input_u8(&input) % ARRAY_SIZE(handles));
		break;
	case 7:
		op_remove();
		break;
	case 8:
		op_set();
		break;
	case 9:
		op_fence();
		break;
	case 10:
		op_create();
		break;
	case 11:
		op_publish(input_u8(&input) & 1);
		break;
	case 12:
		shim_work();
		break;
	case 13:
		op_poison();
		break;
	case 14:
		op_bind();
		break;
	case 15:
		op_format();
		break;
	}
}

static void step(u32 op)
{
	static const char *const names[] = {
		"change", "list", "host", "count", "get", "get", "put", "remove",
		"set", "fence", "create", "publish", "work", "poison", "bind", "format",
	};

	shim_say("%s (slot %d, %s)\n", names[op], (int)host.cd->slot,
		 host.cd->attached ? host.cd->lost ? "lost" : "attached" : "not attached");
	raced = false;
	due = race ? 1 + input_u8(&input) : 0;
	shim_other_host = due ? other_host : NULL;
	watch_before();
	operate(op);
	watch_after(raced, false);
}

static void init(void)
{
	u64 end = SYNTH_ETABLE_OFF + ALIGN(SYNTH_EXTENTS * 8, PAGE_SIZE);
	const char *wrong;

	host_init(SEED_SIZE);
	seed_build(host.mem);
	wrong = places_find(&places, host.mem, SEED_SIZE, SEED_ID);
	if (wrong)
		shim_bug("the pool to begin with: %s", wrong);
	watch_init(host.mem, end);
}

static void run(const u8 *data, size_t size)
{
	static const char *const who[] = {
		"10001010-1010-1010-1010-101010101010", SEED_UUID,
		/* The same claim, and another host. */
		"11011010-1010-1010-1110-101010101010",
		"33333333-3333-3333-3333-333333333333",
	};
	u32 how, n;

	input = (struct input){ data, size };
	how = input_u8(&input);
	n = input_u8(&input);
	seal = (how & BAD_CRC) != BAD_CRC;
	race = false;
	host.uuid = who[(how & WHO) >> 5];
	*shim_param_slot = (int)(n & 3) - 1;
	jiffies = 100 * HZ;
	mutate.mirror = watch_reset();
	mutate.nr = 0;
	for (n = n >> 2 & 7; n--;)
		change();

	race = how & RACE;
	raced = false;
	due = race ? 1 + input_u8(&input) * 4 : 0;
	shim_other_host = due ? other_host : NULL;
	watch_before();
	op_bind();
	watch_after(raced, false);
	while (input.left) {
		shim_fail_at = how & NO_MEMORY ? input_u8(&input) % 16 : 0;
		step(input_u8(&input) % 16);
	}
	shim_fail_at = 0;
	watch_before();
	if (bound)
		op_bind();
	watch_after(true, true);
}

/* Each operation once, as it is meant. */
static const u8 tour[] = {
	1 << 5, 0,			/* the host that has slot 1 */
	1, 0, 0, 0,			/* list */
	2, 0, 3,			/* host, count */
	4, 0, 0, 12, 6, 0,		/* get, work, put */
	10, 64, 0, 0, 3, 11, 1,		/* create, publish */
	10, 64, 0, 0, 0, 11, 0,		/* create, abort */
	8, 0, 1, 5, 0,			/* set */
	9, 0, 1, 12, 12, 12,		/* fence, work */
	7, 0, 0, 12, 13, 0, 0, 0,	/* remove, work, poison */
	14, 14, 15, 0, 1, 1, 4,		/* unbind, bind, format */
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (!host.cd)
		init();
	/* What libFuzzer begins with: no more than a line feed. */
	if (size < 2)
		run(tour, sizeof(tour));
	else
		run(data, size);
	return 0;
}
