// SPDX-License-Identifier: GPL-2.0
/* The parts of the shim that are more than a line. */
#include <nmmintrin.h>
#include <unistd.h>

#include "shim.h"

void (*shim_other_host)(void);
void (*shim_wrote)(const volatile void *at, size_t len);
unsigned int shim_fail_at;
unsigned long jiffies = 100 * HZ;
bool shim_signal;
int shim_pagemaps;
int sysctl_overcommit_memory;
int sysctl_max_map_count = 65530;
int init_user_ns;
static struct task_struct shim_task;
struct task_struct *current = &shim_task;

#define SHIM_WORKS	8
static struct work_struct *shim_works[SHIM_WORKS];
static unsigned int shim_nr_works;

void shim_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	/* The fuzzer keeps the input, and shows where this came from. */
	__builtin_trap();
}

void shim_say(const char *fmt, ...)
{
	static int tell = -1;
	va_list args;

	if (tell < 0)
		tell = !!getenv("FUZZ_TELL");
	if (!tell)
		return;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
}

void *shim_alloc(size_t nr, size_t size, bool zero, size_t max)
{
	size_t bytes;

	if (shim_fail_at && !--shim_fail_at)
		return NULL;
	if (__builtin_mul_overflow(nr, size, &bytes))
		return NULL;
	if (bytes > max)
		shim_bug("WARNING: %zu bytes asked for at once", bytes);
	return zero ? calloc(1, bytes) : malloc(bytes);
}

unsigned long shim_page(bool zero)
{
	void *page;

	if ((shim_fail_at && !--shim_fail_at) ||
	    posix_memalign(&page, PAGE_SIZE, PAGE_SIZE))
		return 0;
	/* What is not asked to be zero is not. */
	memset(page, zero ? 0 : 0xaa, PAGE_SIZE);
	return (unsigned long)page;
}

void *kvrealloc(void *old, size_t size, gfp_t gfp)
{
	if (shim_fail_at && !--shim_fail_at)
		return NULL;
	if (size > INT_MAX)
		shim_bug("WARNING: %zu bytes asked for at once", size);
	return realloc(old, size);
}

struct file *shim_file;

struct file *anon_inode_getfile(const char *name, const struct file_operations *fops,
				void *priv, int flags)
{
	struct file *file = shim_alloc(1, sizeof(*file), true, SHIM_KMALLOC_MAX);

	if (!file)
		return ERR_PTR(-ENFILE);
	file->f_op = fops;
	file->private_data = priv;
	return file;
}

void fput(struct file *file)
{
	shim_assert(!file->f_op->release(NULL, file));
	free(file);
}

void *page_address(const struct page *page)
{
	static u8 zero[PAGE_SIZE] __attribute__((__aligned__(PAGE_SIZE)));

	shim_assert(!page);
	return zero;
}

unsigned long bitmap_find_next_zero_area(unsigned long *map, unsigned long size,
					 unsigned long start, unsigned int nr,
					 unsigned long mask)
{
	unsigned long end;

	for (; start + nr <= size; start++) {
		for (end = start; end < start + nr && !test_bit(end, map); end++)
			;
		if (end == start + nr)
			return start;
	}
	return size;
}

const void *memchr_inv(const void *from, int c, size_t size)
{
	const u8 *at;

	for (at = from; size--; at++)
		if (*at != (u8)c)
			return at;
	return NULL;
}

u32 crc32c(u32 crc, const void *data, size_t size)
{
	const u8 *at = data;

	for (; size >= 8; size -= 8, at += 8)
		crc = _mm_crc32_u64(crc, get_unaligned_le64(at));
	while (size--)
		crc = _mm_crc32_u8(crc, *at++);
	return crc;
}

/* Not all in one moment. */
unsigned long copy_mc_to_kernel(void *to, const void *from, size_t size)
{
	size_t half = size / 2;

	shim_step();
	memcpy(to, from, half);
	shim_step();
	memcpy((u8 *)to + half, (const u8 *)from + half, size - half);
	return 0;
}

void shim_queue(struct work_struct *work)
{
	unsigned int i;

	work->queued = true;
	for (i = 0; i < shim_nr_works; i++)
		if (shim_works[i] == work)
			return;
	shim_assert(shim_nr_works < SHIM_WORKS);
	shim_works[shim_nr_works++] = work;
}

void flush_work(struct work_struct *work)
{
	if (!work->queued)
		return;
	work->queued = false;
	work->func(work);
}

void shim_work(void)
{
	struct work_struct *todo[SHIM_WORKS];
	unsigned int i, nr = 0;

	for (i = 0; i < shim_nr_works; i++)
		if (shim_works[i]->queued)
			todo[nr++] = shim_works[i];
	for (i = 0; i < nr; i++)
		todo[i]->queued = false;
	shim_nr_works = 0;
	jiffies += HZ;
	for (i = 0; i < nr; i++)
		todo[i]->func(todo[i]);
}

int uuid_parse(const char *text, uuid_t *uuid)
{
	unsigned int i, byte;

	for (i = 0; i < sizeof(uuid->b); i++) {
		if (*text == '-')
			text++;
		if (sscanf(text, "%2x", &byte) != 1)
			return -EINVAL;
		uuid->b[i] = byte;
		text += 2;
	}
	return 0;
}

bool uuid_is_null(const uuid_t *uuid)
{
	return !memchr_inv(uuid->b, 0, sizeof(uuid->b));
}

void generate_random_uuid(u8 *uuid)
{
	memset(uuid, 0x77, 16);
}

struct new_utsname *init_utsname(void)
{
	static struct new_utsname name = { "fuzzed", "6.12.0-cxlfork" };

	return &name;
}

/* Of private mappings, by read, write and execute. */
pgprot_t vm_get_page_prot(vm_flags_t vm_flags)
{
	unsigned long prot = _PAGE_ACCESSED;

	shim_assert(!(vm_flags & VM_SHARED));
	if (!(vm_flags & VM_ACCESS_FLAGS))
		prot |= _PAGE_PROTNONE;
	else
		prot |= _PAGE_PRESENT | _PAGE_USER | (vm_flags & VM_EXEC ? 0 : _PAGE_NX);
	prot |= (vm_flags & ARCH_VM_PKEY_FLAGS) >> VM_PKEY_SHIFT << 59;
	return __pgprot(prot);
}

pmd_t *shim_pmd(struct mm_struct *mm, unsigned long addr)
{
	struct shim_pmd *p;

	shim_assert(!(addr & ~PMD_MASK) && addr < TASK_SIZE_MAX);
	if (shim_fail_at && !--shim_fail_at)
		return NULL;
	for (p = mm->pmds; p < mm->pmds + mm->nr_pmds; p++)
		if (p->addr == addr)
			return &p->pmd;
	if (mm->nr_pmds == SHIM_PMDS)
		return NULL;
	mm->nr_pmds++;
	*p = (struct shim_pmd){ .addr = addr };
	return &p->pmd;
}

int pte_alloc(struct mm_struct *mm, pmd_t *pmd)
{
	unsigned long page = shim_page(true);

	if (!page)
		return -ENOMEM;
	container_of(pmd, struct shim_pmd, pmd)->own = true;
	set_pmd(pmd, __pmd(page | _PAGE_PRESENT | _PAGE_RW | _PAGE_USER |
			   _PAGE_ACCESSED | _PAGE_DIRTY));
	return 0;
}
