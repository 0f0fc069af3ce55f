// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes the checkpoints of a running guest through the file behind its CXL memory.
 *
 * usage: fuzz_guest [OPTION...] BACKING ID COMMAND...
 *	-s SEED		of the first case (default: by time)
 *	-n CASES	how many (default 1000)
 *	-T SECONDS	or as many as can be done in that time
 *	-r		changes are made, and undone, again and again while the
 *			guest restores
 *	-t		leaf tables are left alone: the guest trusts this host
 *	-c		a control first: an entry of a leaf that the guest has checked
 *			already, and trusts, is made to map another part of the pool;
 *			that has to be found
 *	-o SLOT		of the guest's host, which is not written to
 *	-w SECONDS	how long a clone may run (default 2)
 *	-v		says each case
 *
 * COMMAND starts "hostile serve" (tools/testing/cxlfork-lab/hostile.c) in the guest;
 * its arguments are added.  A case is made of its number alone: -s NUMBER -n 1 replays
 * one, but for what changes meanwhile (-r).
 *
 * The host whose slot the checkpoint is in must have left the pool: this program
 * writes in its place.  After each clone the checkpoint becomes another one (its
 * generation is raised), so that the guest does not go by what it has read before.
 *
 * Prints what came out, how often.  Exit status: 0: nothing that must not be.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mutate.h"

/* Longer than the guest takes to notice that something hangs. */
#define ANSWER_MS	150000
#define DROP_MS		10000

struct options {
	__u64		seed;
	unsigned long	cases;
	double		time;
	bool		race;
	bool		control;
	bool		trusted;
	bool		verbose;
	int		slot;
	unsigned int	seconds;
};

static struct options opt = { .cases = 1000, .slot = -1, .seconds = 2 };
static struct places places;
static struct mutate mutate = { .p = &places };
static FILE *to;
static int from;
static pid_t guest;
static unsigned long refused[4096], right, other;

static __u64 rng_state;

static __u64 rng(void)
{
	__u64 z = rng_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static void start(char **command)
{
	static char text[4096][12], base[24], size[24], seconds[24];
	char *argv[PLACES_EXTENTS + 64];
	int in[2], out[2], n = 0;
	__u32 i;

	while (*command && n < 32)
		argv[n++] = *command++;
	snprintf(base, sizeof(base), "%#llx", (unsigned long long)places.image.phys_base);
	snprintf(size, sizeof(size), "%#llx", (unsigned long long)places.size);
	snprintf(seconds, sizeof(seconds), "%u", opt.seconds);
	argv[n++] = base;
	argv[n++] = size;
	argv[n++] = seconds;
	for (i = 0; i < places.nr_extents; i++) {
		snprintf(text[i], sizeof(text[i]), "%u", places.extents[i]);
		argv[n++] = text[i];
	}
	argv[n] = NULL;
	if (pipe(in) || pipe(out))
		exit(2);
	guest = fork();
	if (!guest) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	to = fdopen(in[1], "w");
	from = out[0];
}

/* Its next line, or NULL: nothing in time, or it has ended. */
static const char *answer(int ms)
{
	static char line[512];
	struct pollfd p = { .fd = from, .events = POLLIN };
	size_t len = 0;

	while (len < sizeof(line) - 1) {
		if (poll(&p, 1, len ? ANSWER_MS : ms) != 1 ||
		    read(from, line + len, 1) != 1)
			return NULL;
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
	return line;
}

/* The guest has given up its reference. */
static bool dropped(void)
{
	__u64 off = places_slot(&places, opt.slot) + offsetof(struct cxlfork_slot, refs) +
		    (CXLFORK_ID_SLOT(places.id) * CXLFORK_MAX_CKPTS +
		     CXLFORK_ID_IDX(places.id)) * sizeof(__le64);
	volatile __u64 *ref = (__u64 *)(places.mem + off);
	int ms;

	for (ms = 0; ms < DROP_MS; ms++) {
		if (!CXLFORK_REF_COUNT(*ref))
			return true;
		usleep(1000);
	}
	return false;
}

/* What a case changes; by its number. */
struct plan {
	unsigned int	kinds;
	unsigned int	changes;
	bool		seal;
};

static struct plan plan(__u64 number)
{
	struct plan plan;
	unsigned int n;

	rng_state = number * 0xd1342543de82ef95ULL;
	n = rng() % 16;
	plan.kinds = n < 3 ? MUTATE_DIR : n < 6 ? MUTATE_LEAVES : n < 7 ? MUTATE_PAGES :
		     n < 9 ? MUTATE_IMAGE | MUTATE_LEAVES : MUTATE_IMAGE;
	plan.changes = 1 + rng() % 3;
	plan.seal = rng() % 6;
	if (opt.trusted && opt.race && plan.kinds & MUTATE_LEAVES)
		plan.kinds = MUTATE_IMAGE;
	return plan;
}

static void change(const struct plan *plan)
{
	__u8 bytes[64];
	struct input in;
	unsigned int i, k;

	for (i = 0; i < plan->changes; i++) {
		for (k = 0; k < sizeof(bytes); k++)
			bytes[k] = rng();
		in = (struct input){ bytes, sizeof(bytes) };
		mutate_one(&mutate, &in, plan->kinds);
		if (opt.verbose)
			printf("# %s\n", mutate.about);
	}
	if (plan->seal)
		mutate_seal(&mutate, MUTATE_IMAGE | MUTATE_DIR);
}

/* While the guest restores: there and back again. */
static const char *race(const struct plan *plan)
{
	const char *line = NULL;
	int tries;

	for (tries = 0; !line && tries < 2000; tries++) {
		change(plan);
		line = answer(rng() % 3);
		mutate_undo(&mutate);
		if (!line)
			line = answer(rng() % 2);
	}
	return line ?: answer(ANSWER_MS);
}

/* Return: NULL, or what is wrong with it. */
static const char *judge(const struct plan *plan, const char *line)
{
	/* Nothing that says what the memory holds has changed, or it has a checksum. */
	bool strict = plan->kinds == MUTATE_DIR ||
		      (plan->kinds == MUTATE_IMAGE && !plan->seal);
	unsigned int error, reason, pages;

	if (!line)
		return "no answer";
	if (sscanf(line, "refused %u %u", &error, &reason) == 2) {
		if (!error || error >= 4096 || !reason)
			return "refused without a reason";
		if (error == ENODEV)
			return "the guest has lost its pool";
		refused[error]++;
		return NULL;
	}
	if (sscanf(line, "clone right, %u", &pages) == 1) {
		right++;
		/* All that was not written since; not one would mean a blind eye. */
		return pages ? NULL : "a clone without pages in CXL memory";
	}
	if (strncmp(line, "clone ", 6))
		return "what must never be";
	other++;
	return strict ? "a clone, and not the right one" : NULL;
}

static bool one(__u64 number)
{
	struct plan p = plan(number);
	bool cloned;
	const char *line, *wrong;

	if (opt.verbose)
		printf("# case %llu: kinds %u, %u changes%s\n", (unsigned long long)number,
		       p.kinds, p.changes, p.seal ? ", sealed" : "");
	if (!opt.race)
		change(&p);
	fprintf(to, "%#llx\n", (unsigned long long)places.id);
	fflush(to);
	line = opt.race ? race(&p) : answer(ANSWER_MS);
	mutate_undo(&mutate);
	wrong = judge(&p, line);
	cloned = line && strncmp(line, "refused", 7);
	if (opt.verbose || wrong)
		printf("# case %llu: %s\n", (unsigned long long)number, line ?: "-");
	/* With the reference goes what the guest has read, unless it became a clone. */
	if (!wrong && !dropped())
		wrong = "the reference stays";
	if (!wrong && cloned)
		mutate_renew(&mutate, CXLFORK_ID_GEN(places.id) + 1);
	if (wrong)
		printf("# case %llu: %s; last change %s\n", (unsigned long long)number, wrong,
		       mutate.about);
	fflush(stdout);
	return !wrong;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* As it was published. */
static bool whole(void)
{
	const char *line;

	fprintf(to, "%#llx\n", (unsigned long long)places.id);
	fflush(to);
	line = answer(ANSWER_MS);
	if (line && !strncmp(line, "clone right,", 12) && dropped())
		return true;
	printf("# unchanged: %s\n", line ?: "no answer");
	return false;
}

/* An entry in the middle of a leaf that is attached as it lies. */
static __u64 *attached_entry(void)
{
	const struct cxlfork_section *sec = &places.image.sections[CXLFORK_SEC_LEAVES];
	struct cxlfork_leaf leaf;
	__u64 i;

	for (i = 0; i < places.image.nr_leaves; i++) {
		memcpy(&leaf, places.mem +
		       places_image(&places, sec->offset + i * sizeof(leaf)), sizeof(leaf));
		if (leaf.flags == CXLFORK_LEAF_WHOLE &&
		    leaf.nr_pages == CXLFORK_LEAF_ENTRIES)
			return (__u64 *)(places.mem +
				places_image(&places, places.image.leaves_off +
					     i * 4096)) + CXLFORK_LEAF_ENTRIES / 2;
	}
	return NULL;
}

/* Would a page that isn't the checkpoint's be noticed? */
static bool noticed(void)
{
	__u64 *entry = attached_entry(), was;
	const char *line;

	if (!entry) {
		printf("# control: no leaf is attached as it lies\n");
		return false;
	}
	was = *entry;
	/* The superblock.  A page that is not of the pool the kernel would notice. */
	*entry = (was & ~0x000ffffffffff000ULL) | places.image.phys_base;
	fprintf(to, "%#llx\n", (unsigned long long)places.id);
	fflush(to);
	line = answer(ANSWER_MS);
	*entry = was;
	if (line && !strncmp(line, "foreign ", 8) && dropped())
		return true;
	printf("# control: %s\n", line ?: "no answer");
	return false;
}

static int run(void)
{
	unsigned long done, bad = 0;
	double began = now(), took = 0;
	unsigned int i;

	for (done = 0; done < opt.cases && bad < 5 && (!opt.time || took < opt.time); done++) {
		bad += !one(opt.seed + done);
		took = now() - began;
	}
	printf("# seed %llu: %lu cases, %.0f a minute; %lu right clones, %lu others; refused:",
	       (unsigned long long)opt.seed, done, done / took * 60, right, other);
	for (i = 0; i < 4096; i++)
		if (refused[i])
			printf(" %s %lu", strerrorname_np(i) ?: "?", refused[i]);
	printf("\n");
	return bad != 0;
}

static int options(int argc, char **argv)
{
	int c;

	opt.seed = (__u64)time(NULL) * 1000;
	while ((c = getopt(argc, argv, "+s:n:T:rcto:w:v")) >= 0) {
		switch (c) {
		case 's':
			opt.seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			opt.cases = strtoul(optarg, NULL, 0);
			break;
		case 'T':
			opt.time = atof(optarg);
			opt.cases = ~0UL;
			break;
		case 'r':
			opt.race = true;
			break;
		case 'c':
			opt.control = true;
			break;
		case 't':
			opt.trusted = true;
			break;
		case 'o':
			opt.slot = atoi(optarg);
			break;
		case 'w':
			opt.seconds = atoi(optarg);
			break;
		case 'v':
			opt.verbose = true;
			break;
		default:
			exit(2);
		}
	}
	return optind;
}

int main(int argc, char **argv)
{
	int at = options(argc, argv), fd, status;
	const char *wrong, *line;
	struct stat st;
	__u64 gen;
	void *mem;

	if (argc < at + 3) {
		fprintf(stderr, "usage: fuzz_guest [OPTION...] BACKING ID COMMAND...\n");
		return 2;
	}
	fd = open(argv[at], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		perror(argv[at]);
		return 2;
	}
	mem = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	wrong = mem == MAP_FAILED ? "can't be mapped" :
		places_find(&places, mem, st.st_size, strtoull(argv[at + 1], NULL, 0));
	if (!wrong && (opt.slot < 0 || opt.slot >= (int)places.super.nr_slots ||
		       opt.slot == CXLFORK_ID_SLOT(places.id)))
		wrong = "the guest's slot (-o) is no other one";
	if (wrong) {
		fprintf(stderr, "fuzz_guest: %s: %s\n", argv[at], wrong);
		return 2;
	}
	mutate.spare = opt.slot;
	gen = CXLFORK_ID_GEN(places.id);
	signal(SIGPIPE, SIG_IGN);
	start(argv + at + 2);
	line = answer(ANSWER_MS);
	if (!line || strcmp(line, "ready")) {
		fprintf(stderr, "fuzz_guest: the guest says: %s\n", line ?: "nothing");
		return 2;
	}
	status = !whole() || (opt.control && !noticed());
	/* One that it has never seen, in no earlier run either. */
	mutate_renew(&mutate, gen + 1 + (__u64)(time(NULL) - 1700000000) * 1000);
	if (!status)
		status = run();
	mutate_renew(&mutate, gen);
	if (!status)
		status = !whole();
	fclose(to);
	waitpid(guest, NULL, 0);
	return status;
}
