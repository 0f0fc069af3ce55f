// SPDX-License-Identifier: GPL-2.0
/*
 * The model: what each page of the area must hold, and whether it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "stress.h"

static const unsigned int place[] = { 0, PAGE / 2, PAGE - 4 };

static sigjmp_buf probe;
static volatile sig_atomic_t probing;

uint32_t rnd(uint32_t below)
{
	st.rng ^= st.rng << 13;
	st.rng ^= st.rng >> 7;
	st.rng ^= st.rng << 17;
	return (st.rng >> 20) % below;
}

/* Never 0, which is what fresh memory holds. */
uint32_t rnd_value(void)
{
	return rnd(1U << 31) + 1;
}

unsigned char *at_page(unsigned long page)
{
	return st.area + page * PAGE;
}

static volatile uint32_t *word(unsigned long page, unsigned long offset)
{
	return (volatile uint32_t *)(at_page(page) + offset);
}

static void show_mapping(unsigned long page)
{
	unsigned long address = (unsigned long)at_page(page), start, end;
	FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t entry = 0;
	char line[256];
	int fd;

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start <= address &&
		    address < end)
			fprintf(stderr, "#   maps: %s", line);
	fd = open("/proc/self/pagemap", O_RDONLY);
	if (pread(fd, &entry, sizeof(entry), address / PAGE * sizeof(entry)) > 0)
		fprintf(stderr, "#   pagemap: %016llx\n", (unsigned long long)entry);
}

/*
 * Model and memory differ, or the kernel said what it must not: all that helps to
 * find out why, and the end.
 */
void die(const char *what, unsigned long page)
{
	const struct page_model *p = &st.page[page];
	int error = errno;
	unsigned int i;

	fprintf(stderr, "# FAILED: seed %llu, process %d (depth %d), operation %u: %s: %s: %s\n",
		(unsigned long long)st.order.seed, getpid(), st.depth, st.nr_past, st.op,
		what, strerror(error));
	fprintf(stderr, "#   page %lu at %p: first %x middle %x last %x rest %x or %x, ",
		page, at_page(page), p->value[FIRST], p->value[MIDDLE], p->value[LAST],
		p->value[REST], p->other);
	fprintf(stderr, "file page %d, protection %u, flags %x\n", p->file - 1, p->prot,
		p->flags);
	fprintf(stderr, "#   stress replay ID MASTER %llu %u %u\n",
		(unsigned long long)st.order.seed, st.nr_past, st.order.flags);
	show_mapping(page);
	i = st.nr_past > NR_PAST ? st.nr_past - NR_PAST : 0;
	for (; i < st.nr_past; i++) {
		const struct stress_past *past = &st.past[i % NR_PAST];

		if ((past->at <= page && page < past->at + past->n) || i + 3 > st.nr_past)
			fprintf(stderr, "#   operation %u: %s %lu+%lu\n", i + 1, past->name,
				past->at, past->n);
	}
	if ((p->flags & P_MAPPED) && (p->prot & PROT_READ))
		fprintf(stderr, "#   it holds: first %x middle %x last %x, at 8: %x\n",
			*word(page, 0), *word(page, PAGE / 2), *word(page, PAGE - 4),
			*word(page, 8));
	fflush(stderr);
	_exit(1);
}

/* How many pages from @at on, at most @n, are as wanted. */
unsigned long run_of(unsigned long at, unsigned long n, unsigned int want)
{
	unsigned long i;

	for (i = at; i < at + n && i < AREA_PAGES; i++) {
		const struct page_model *p = &st.page[i];

		if (!(p->flags & P_MAPPED) != !!(want & W_HOLE))
			break;
		if ((want & W_READ) && !(p->prot & PROT_READ))
			break;
		if ((want & W_WRITE) && !(p->prot & PROT_WRITE))
			break;
		if (((want & W_ANON) && p->file) || ((want & W_FILE) && !p->file))
			break;
		if ((want & W_SURE) && (p->flags & P_EITHER))
			break;
		if ((want & W_UNLOCKED) && (p->flags & P_LOCKED))
			break;
		if ((want & W_FORKED) && (p->flags & (P_WIPE | P_DONTFORK)))
			break;
	}
	return i - at;
}

void set_values(unsigned long page, uint32_t value)
{
	struct page_model *p = &st.page[page];
	int i;

	for (i = 0; i < NR_VALUES; i++)
		p->value[i] = value;
	p->flags &= ~(P_EITHER | P_PRIVATE | P_CACHE);
}

/* Mapped anew: anonymous memory. */
void set_fresh(unsigned long at, unsigned long n, int prot)
{
	unsigned long i;

	for (i = at; i < at + n; i++) {
		st.page[i] = (struct page_model){ .prot = prot, .flags = P_MAPPED };
		set_values(i, 0);
	}
}

/* Mapped anew: the file. */
void set_file(unsigned long at, unsigned long n, int prot, unsigned long file_page)
{
	unsigned long i;

	set_fresh(at, n, prot);
	for (i = 0; i < n; i++)
		st.page[at + i].file = file_page + i + 1;
	set_dropped(at, n);
}

/* The process's own copies are gone; the mapping is not. */
void set_dropped(unsigned long at, unsigned long n)
{
	unsigned long i;

	for (i = at; i < at + n; i++) {
		unsigned int file = st.page[i].file;

		set_values(i, file ? st.file_value[file - 1] : 0);
		if (file)
			st.page[i].flags |= P_CACHE;
	}
}

void set_unmapped(unsigned long at, unsigned long n)
{
	memset(&st.page[at], 0, n * sizeof(st.page[0]));
}

/* What a child of fork() does not get. */
void set_forked(void)
{
	unsigned long i;

	for (i = 0; i < AREA_PAGES; i++) {
		struct page_model *p = &st.page[i];

		p->flags &= ~P_LOCKED;
		if (p->flags & P_DONTFORK)
			set_unmapped(i, 1);
		else if (p->flags & P_WIPE)
			set_dropped(i, 1);
	}
}

/*
 * A clone: as a child, but a page of the file that was resident has come with
 * the checkpoint, and no longer follows the file.
 */
void set_cloned(void)
{
	unsigned long i;

	set_forked();
	for (i = 0; i < AREA_PAGES; i++)
		st.page[i].flags &= ~P_CACHE;
}

/* Is it clear for these pages of the file what their mappings hold? */
bool file_certain(unsigned long file_page, unsigned long n)
{
	unsigned long i;

	for (i = 0; i < AREA_PAGES; i++) {
		const struct page_model *p = &st.page[i];

		if (p->file > file_page && p->file <= file_page + n && (p->flags & P_EITHER))
			return false;
	}
	return true;
}

/* The file has another content. Truncation takes private copies as well. */
void file_changed(unsigned long file_page, uint32_t value, bool truncated)
{
	unsigned long i;

	st.file_value[file_page] = value;
	for (i = 0; i < AREA_PAGES; i++) {
		struct page_model *p = &st.page[i];

		if (p->file != file_page + 1 || (!truncated && (p->flags & P_PRIVATE)))
			continue;
		if (truncated || (p->flags & P_CACHE)) {
			set_dropped(i, 1);
		} else if (p->value[REST] != value) {
			/* Such a page is all of one value, or it were private. */
			p->flags |= P_EITHER;
			p->other = value;
			if (!(p->prot & PROT_READ))
				continue;
			/* It is one or the other, for good. */
			check_page(i, true);
			if (*word(i, 8) == value)
				set_dropped(i, 1);
			p->flags &= ~P_EITHER;
		}
	}
}

static void now_private(struct page_model *p)
{
	if (p->file)
		p->flags = (p->flags & ~P_CACHE) | P_PRIVATE;
}

/*
 * A page that may have been dropped stays from the first write on. Which it is
 * can be seen then.
 */
void settle(unsigned long page)
{
	struct page_model *p = &st.page[page];
	bool dropped;

	if (!(p->flags & P_EITHER))
		return;
	*word(page, 16) = p->value[REST];
	dropped = *word(page, 8) == p->other;
	if (dropped && p->value[REST] == p->other)
		dropped = *word(page, 0) == p->other && *word(page, PAGE / 2) == p->other &&
			  *word(page, PAGE - 4) == p->other;
	if (dropped)
		set_values(page, p->other);
	p->flags &= ~P_EITHER;
	*word(page, 16) = p->value[REST];
	now_private(p);
	check_page(page, true);
}

void store(unsigned long page, unsigned int which, uint32_t value)
{
	settle(page);
	*word(page, place[which]) = value;
	st.page[page].value[which] = value;
	now_private(&st.page[page]);
}

void store_all(unsigned long page, uint32_t value)
{
	unsigned long i;

	for (i = 0; i < PAGE; i += 4)
		*word(page, i) = value;
	set_values(page, value);
	now_private(&st.page[page]);
}

static void check_word(unsigned long page, unsigned long offset, uint32_t value)
{
	const struct page_model *p = &st.page[page];
	uint32_t is = *word(page, offset);

	if (is == value || ((p->flags & P_EITHER) && is == p->other))
		return;
	fprintf(stderr, "# offset %lu holds %x, not %x\n", offset, is, value);
	die("content", page);
}

void check_page(unsigned long page, bool whole)
{
	const struct page_model *p = &st.page[page];
	unsigned int i;

	if (!(p->flags & P_MAPPED) || !(p->prot & PROT_READ))
		return;
	for (i = FIRST; i <= LAST; i++)
		check_word(page, place[i], p->value[i]);
	if (!whole) {
		check_word(page, 8 + 4 * (page % 500), p->value[REST]);
		return;
	}
	for (i = 4; i < PAGE - 4; i += 4)
		if (i != PAGE / 2)
			check_word(page, i, p->value[REST]);
}

void check_range(unsigned long at, unsigned long n, bool whole)
{
	unsigned long i;

	for (i = at; i < at + n && i < AREA_PAGES; i++)
		check_page(i, whole);
}

void check_all(void)
{
	check_range(0, AREA_PAGES, true);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	unsigned long page = ((unsigned char *)info->si_addr - st.area) / PAGE;

	(void)context;
	if (probing)
		siglongjmp(probe, 1);
	fprintf(stderr, "# signal %d at %p\n", signal, info->si_addr);
	die("a signal", page < AREA_PAGES ? page : 0);
}

void catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* Does an access to this page end in a signal? What is written was there before. */
bool faults(unsigned long page, bool write)
{
	volatile bool caught = true;

	probing = 1;
	if (!sigsetjmp(probe, 1)) {
		if (write)
			__atomic_fetch_or((uint32_t *)word(page, 8), 0, __ATOMIC_SEQ_CST);
		else
			(void)*word(page, 8);
		caught = false;
	}
	probing = 0;
	return caught;
}
