// SPDX-License-Identifier: GPL-2.0
/*
 * One host's part in the kills scenario: publishes, restores, lists, deletes and
 * pins at random until /share/stop is there or its host dies. Each line that it
 * prints (to a file of the machine that runs the lab) is something that holds from
 * then on, whatever becomes of this host:
 *
 *	live ID SEED	was published; its memory is filled by SEED
 *	gone ID		its deletion was asked for, or is about to be
 *	wrong TEXT	something that must not be
 *	op N		so many operations are done
 *
 * usage: churn SEED KIB		of memory each checkpoint has, at least
 *        churn verify ID...	restores each of them, once
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/cxlfork.h>

#define NR_cxlfork	480
#define NR_cxlrestore	481
#define MAX_MINE	4
#define STEP		8	/* one word of each cache line says whose it is */
#define RIGHT		42	/* exit status of a clone that found its memory right */

static int pool = -1;
static uint64_t *memory;
static size_t words;
static uint64_t state;
static uint32_t linger;

static void say(const char *fmt, ...)
{
	char line[256];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	line[n++] = '\n';
	/* The plug may be pulled right after. */
	if (write(1, line, n) != n || fsync(1))
		_exit(98);
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ULL;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ULL;
	return x ^ x >> 32;
}

static unsigned int draw(unsigned int n)
{
	state += 0x9e3779b97f4a7c15ULL;
	return mix(state) % n;
}

static void fill(uint64_t seed)
{
	size_t i;

	memory[0] = seed;
	for (i = STEP; i < words; i += STEP)
		memory[i] = mix(seed + i);
}

static int right(void)
{
	size_t i;

	for (i = STEP; i < words; i += STEP)
		if (memory[i] != mix(memory[0] + i))
			return 0;
	return 1;
}

/* In a clone: is all as it was, also where it writes? */
static void clone_main(void)
{
	if (!right())
		_exit(1);
	fill(mix(memory[0]));
	if (!right())
		_exit(2);
	while (linger)
		pause();
	_exit(RIGHT);
}

/* In a child, so that each checkpoint has memory of its own. */
static void publish(void)
{
	uint64_t seed = mix(mix(state) + getpid());
	struct cxlfork_args args = {
		.pool_fd = pool, .pidfd = -1,
		.payload = (uintptr_t)&linger, .payload_size = sizeof(linger),
	};
	char name[32];
	long id;

	fill(seed);
	if (draw(2)) {
		snprintf(name, sizeof(name), "churn-%llx", (unsigned long long)seed);
		args.name = (uintptr_t)name;
		args.name_len = strlen(name);
	}
	if (!draw(4))
		args.ttl = 3600;
	id = syscall(NR_cxlfork, &args, sizeof(args));
	if (!id)
		clone_main();
	if (id > 0)
		say("live %#lx %#llx", id, (unsigned long long)seed);
	else if (errno != ENOSPC && errno != ENODEV && errno != ESTALE)
		say("wrong publish: %s", strerror(errno));
	_exit(0);
}

/* A ghost; what it becomes says whether its memory is right. */
static void ghost(uint64_t id, uint32_t stay)
{
	struct cxlrestore_args args = {
		.pool_fd = pool, .id = id,
		.payload = (uintptr_t)&stay, .payload_size = sizeof(stay),
	};

	syscall(NR_cxlrestore, &args, sizeof(args));
	_exit(errno == ENOENT ? 100 : errno == ETIME ? 101 : errno == ENODEV ? 102 : 103);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		;
	return status;
}

static int restore(uint64_t id)
{
	pid_t pid = fork();

	if (!pid)
		ghost(id, 0);
	return wait_for(pid);
}

/* A LIVE one of anybody's, or 0. */
static uint64_t pick(void)
{
	struct cxlfork_ckpt_info info = { 0 };
	uint64_t found = 0;
	unsigned int n = 0;

	while (!ioctl(pool, CXLFORK_IOC_LIST, &info)) {
		if (info.state != CXLFORK_CKPT_LIVE || strncmp(info.name, "keep", 4) == 0)
			continue;
		if (draw(++n) == 0)
			found = info.id;
	}
	return found;
}

static unsigned int mine(int slot)
{
	struct cxlfork_ckpt_info info = { 0 };
	unsigned int n = 0;

	while (!ioctl(pool, CXLFORK_IOC_LIST, &info))
		n += info.owner == (unsigned int)slot && info.state == CXLFORK_CKPT_LIVE;
	return n;
}

static void order_publish(int slot)
{
	pid_t pid;

	if (mine(slot) >= MAX_MINE)
		return;
	pid = fork();
	if (!pid)
		publish();
	if (wait_for(pid))
		say("wrong publish: the child ended badly");
}

static void order_restore(void)
{
	uint64_t id = pick();
	int status, code;

	if (!id)
		return;
	status = restore(id);
	code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	/* Somebody may have deleted it meanwhile. */
	if (code != RIGHT && (code < 100 || code > 102))
		say("wrong restore of %#llx: wait status %#x", (unsigned long long)id, status);
}

static void order_delete(void)
{
	uint64_t id = pick();

	if (!id)
		return;
	say("gone %#llx", (unsigned long long)id);
	if (ioctl(pool, CXLFORK_IOC_REMOVE, &id) && errno != ENOENT && errno != EINPROGRESS &&
	    errno != ENODEV && errno != EBUSY)
		say("wrong delete: %s", strerror(errno));
}

static void order_pin(void)
{
	struct cxlfork_ckpt_set set = { .flags = CXLFORK_SET_PIN, .id = pick() };

	if (!set.id || ioctl(pool, CXLFORK_IOC_SET, &set))
		return;
	set.flags = CXLFORK_SET_UNPIN;
	if (ioctl(pool, CXLFORK_IOC_SET, &set) && errno != ENOENT && errno != ENODEV)
		say("wrong unpin: %s", strerror(errno));
}

/* A clone that lives on for a while, across deletion. */
static void order_linger(pid_t *lingering)
{
	uint64_t id;

	if (*lingering) {
		kill(*lingering, SIGKILL);
		wait_for(*lingering);
		*lingering = 0;
		return;
	}
	id = pick();
	if (!id)
		return;
	*lingering = fork();
	if (!*lingering)
		ghost(id, 1);
}

static int verify(int argc, char **argv)
{
	int i, status, bad = 0;

	for (i = 0; i < argc; i++) {
		status = restore(strtoull(argv[i], NULL, 0));
		if (!WIFEXITED(status) || WEXITSTATUS(status) != RIGHT) {
			say("wrong %s: wait status %#x", argv[i], status);
			bad++;
		}
	}
	say("verified %d", argc - bad);
	return bad != 0;
}

int main(int argc, char **argv)
{
	struct cxlfork_pool_info info;
	pid_t lingering = 0;
	unsigned long n = 0;

	pool = open("/dev/cxlfork", O_RDWR);
	if (pool < 0 || ioctl(pool, CXLFORK_IOC_INFO, &info) || argc < 2)
		return 97;
	if (!strcmp(argv[1], "verify"))
		return verify(argc - 2, argv + 2);
	if (argc < 3)
		return 97;
	state = strtoull(argv[1], NULL, 0);
	words = strtoul(argv[2], NULL, 0) * 1024 / sizeof(*memory);
	memory = mmap(NULL, words * sizeof(*memory), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 96;
	say("op 0");
	while (access("/share/stop", F_OK)) {
		switch (draw(8)) {
		case 0 ... 1:
			order_publish(info.slot);
			break;
		case 2 ... 4:
			order_restore();
			break;
		case 5:
			if (draw(2))
				order_delete();
			break;
		case 6:
			order_pin();
			break;
		default:
			order_linger(&lingering);
			break;
		}
		say("op %lu", ++n);
		/* Those that boot want the processor, too. */
		usleep(draw(200000));
	}
	if (lingering) {
		kill(lingering, SIGKILL);
		wait_for(lingering);
	}
	return 0;
}
