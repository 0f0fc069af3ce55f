// SPDX-License-Identifier: GPL-2.0
/* The state of the task in a clone, and what it has of its ghost instead. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "cxlfork_fixture.h"

static volatile sig_atomic_t caught;
static volatile uintptr_t handler_sp;
static volatile int usr2_was_blocked;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	sigset_t mask;

	caught = sig;
	handler_sp = (uintptr_t)__builtin_frame_address(0);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	usr2_was_blocked = sigismember(&mask, SIGUSR2);
}

CXL_TEST(signals)
{
	struct cxl *cxl = &self->cxl;
	struct sigaction sa = { .sa_sigaction = on_signal,
				.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART }, got;
	stack_t stack = { .ss_sp = map_anon(64 * 1024), .ss_size = 64 * 1024 }, is;
	sigset_t mask, old;
	long id;

	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR2);
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, sigaltstack(&stack, NULL));
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN + 5);
	sigaddset(&mask, SIGTERM);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &mask, NULL));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(!sigprocmask(SIG_BLOCK, NULL, &old));
		CHECK(sigismember(&old, SIGRTMIN + 5) && sigismember(&old, SIGTERM));
		CHECK(!sigismember(&old, SIGUSR1) && !sigismember(&old, SIGINT));
		CHECK(!sigaction(SIGUSR1, NULL, &got));
		CHECK(got.sa_sigaction == on_signal && sigismember(&got.sa_mask, SIGUSR2));
		CHECK((got.sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER)) ==
		      (SA_SIGINFO | SA_ONSTACK | SA_RESTART));
		CHECK(!sigaction(SIGHUP, NULL, &got) && got.sa_handler == SIG_IGN);
		CHECK(!sigaction(SIGQUIT, NULL, &got) && got.sa_handler == SIG_DFL);
		CHECK(!sigaltstack(NULL, &is));
		CHECK(is.ss_sp == stack.ss_sp && is.ss_size == stack.ss_size && !is.ss_flags);
		CHECK(!raise(SIGUSR1));
		CHECK(caught == SIGUSR1 && usr2_was_blocked);
		CHECK(handler_sp > (uintptr_t)stack.ss_sp &&
		      handler_sp < (uintptr_t)stack.ss_sp + stack.ss_size);
		CHECK(!raise(SIGHUP));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_EQ(0, caught);
}

/* Handlers of the ghost are none of the clone's. */
static void ghost_signals(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigset_t all;

	sigaction(SIGUSR2, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
}

CXL_TEST(signals_of_the_ghost)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .before = ghost_signals };
	struct sigaction got;
	sigset_t mask;
	long id;

	sigaction(SIGUSR2, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(!sigaction(SIGUSR2, NULL, &got) && got.sa_handler == SIG_DFL);
		CHECK(!sigaction(SIGPIPE, NULL, &got) && got.sa_handler == SIG_DFL);
		CHECK(!sigprocmask(SIG_BLOCK, NULL, &mask));
		CHECK(!sigismember(&mask, SIGUSR2) && !sigismember(&mask, SIGTERM));
		_exit(0);
	}
	ASSERT_GT(id, 0);
	ghost_start(cxl, &g, id);
	EXPECT_EQ(0, g.error);
	EXPECT_EQ(0, ghost_wait(&g));
}

CXL_TEST(names_and_places)
{
	struct cxl *cxl = &self->cxl;
	char dir[] = "/tmp/cxlfork-cwd-XXXXXX", cwd[128], comm[16];
	struct stat st;
	long id;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, chdir(dir));
	ASSERT_EQ(0, prctl(PR_SET_NAME, "a \"name\""));
	umask(0137);
	ASSERT_LE(0, personality(ADDR_NO_RANDOMIZE));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, dir));
		CHECK(!prctl(PR_GET_NAME, comm) && !strcmp(comm, "a \"name\""));
		CHECK(close(open("file", O_CREAT | O_WRONLY, 0777)) == 0);
		CHECK(!stat("file", &st) && (st.st_mode & 0777) == 0640);
		CHECK(!unlink("file"));
		CHECK(umask(0) == 0137);
		CHECK(personality(0xffffffff) == ADDR_NO_RANDOMIZE);
		_exit(0);
	}
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, chdir("/"));
	prctl(PR_SET_NAME, "other");
	umask(022);
	personality(0);
	EXPECT_EQ(0, cxl_run(cxl, id));
	rmdir(dir);
}

static const char *const proc_files[] = { "cmdline", "environ", "auxv" };

CXL_TEST(proc_says_the_same)
{
	struct cxl *cxl = &self->cxl;
	static char was[3][8192], is[8192], exe[256], exe_is[256];
	long len[3], id, i;
	char path[64];
	void *brk_was;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", proc_files[i]);
		len[i] = read_file(path, was[i], sizeof(was[i]));
		ASSERT_GT(len[i], 0);
	}
	ASSERT_GT(readlink("/proc/self/exe", exe, sizeof(exe) - 1), 0);
	brk_was = sbrk(0);
	id = cxl_fork(cxl);
	if (!id) {
		for (i = 0; i < 3; i++) {
			snprintf(path, sizeof(path), "/proc/self/%s", proc_files[i]);
			CHECK(read_file(path, is, sizeof(is)) == len[i]);
			CHECK(!memcmp(is, was[i], len[i]));
		}
		CHECK(readlink("/proc/self/exe", exe_is, sizeof(exe_is) - 1) > 0);
		CHECK(!strcmp(exe, exe_is));
		CHECK(sbrk(0) == brk_was);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

/* Where the kernel says it is; and it is what libc calls. */
static unsigned long mapping_named(const char *name)
{
	unsigned long found = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, name))
			found = strtoul(line, NULL, 16);
	fclose(f);
	return found;
}

CXL_TEST(vdso)
{
	struct cxl *cxl = &self->cxl;
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR), stack = mapping_named("[stack]");
	unsigned long heap;
	struct timespec before, now, direct;
	unsigned int cpu, node;
	char *some = malloc(100);
	long id;

	heap = mapping_named("[heap]");
	ASSERT_NE(0, vdso);
	ASSERT_EQ(vdso, mapping_named("[vdso]"));
	ASSERT_EQ(0, clock_gettime(CLOCK_MONOTONIC, &before));
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(mapping_named("[vdso]") == vdso);
		CHECK(mapping_named("[stack]") == stack);
		CHECK(mapping_named("[heap]") == heap);
		CHECK(!memcmp((char *)vdso, "\177ELF", 4));
		CHECK(!clock_gettime(CLOCK_MONOTONIC, &now));
		CHECK(!syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &direct));
		CHECK(now.tv_sec >= before.tv_sec && direct.tv_sec - now.tv_sec < 10);
		CHECK(direct.tv_sec > now.tv_sec ||
		      (direct.tv_sec == now.tv_sec && direct.tv_nsec >= now.tv_nsec));
		CHECK(!getcpu(&cpu, &node));
		CHECK(time(NULL) > 1000000000);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	free(some);
}

static uint32_t rseq_cpu(void)
{
	struct rseq *rs = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

	return *(volatile uint32_t *)&rs->cpu_id;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
}

CXL_TEST(restartable_sequences)
{
	struct cxl *cxl = &self->cxl;
	struct rseq *rs = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	long id, i;

	if (!__rseq_size || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "this libc registers no rseq, or one CPU only");
	id = cxl_fork(cxl);
	if (!id) {
		for (i = 0; i < 4; i++) {
			pin(i & 1);
			CHECK(rseq_cpu() == (i & 1));
			CHECK(sched_getcpu() == (i & 1));
		}
		/* It is registered: once is enough. */
		CHECK(syscall(SYS_rseq, rs, sizeof(*rs), 0, RSEQ_SIG) == -1 && errno == EBUSY);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

static volatile int my_tid;

CXL_TEST(thread_ids)
{
	struct cxl *cxl = &self->cxl;
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	void *head = NULL, *head_is = NULL, *at = NULL;
	pthread_mutex_t check, again;
	pthread_mutexattr_t attr;
	struct ghost g = { 0 };
	size_t len;
	long id;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&check, &attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&again, &attr);
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, syscall(SYS_get_robust_list, 0, &head, &len));
	id = cxl_fork_channel(cxl);
	if (!id) {
		int pid = getpid();

		CHECK(gettid() == pid);
		CHECK(write(CHANNEL, &pid, sizeof(pid)) == sizeof(pid));
		/* By the id that libc keeps. */
		CHECK(!pthread_kill(pthread_self(), SIGUSR1) && caught == SIGUSR1);
		CHECK(!pthread_mutex_lock(&check));
		CHECK(pthread_mutex_lock(&check) == EDEADLK);
		CHECK(check.__data.__owner == pid);
		CHECK(!pthread_mutex_unlock(&check));
		CHECK(!pthread_mutex_lock(&again) && !pthread_mutex_lock(&again));
		CHECK(!pthread_mutex_unlock(&again) && !pthread_mutex_unlock(&again));
		CHECK(!syscall(SYS_get_robust_list, 0, &head_is, &len) && head_is == head);
		_exit(0);
	}
	ASSERT_GT(id, 0);
	ASSERT_EQ(0, cxl_run_channel(cxl, id, &g));
	ASSERT_EQ((ssize_t)sizeof(int), read(g.peer, (void *)&my_tid, sizeof(int)));
	EXPECT_EQ(g.pid, my_tid);
	EXPECT_EQ(0, ghost_wait(&g));

	close(CHANNEL);
	/* Another place for the id; and one that holds something else. */
	my_tid = gettid();
	syscall(SYS_set_tid_address, &my_tid);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(my_tid == gettid());
		CHECK(!prctl(PR_GET_TID_ADDRESS, &at) && at == &my_tid);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	my_tid = 1234567;
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(my_tid == 1234567);
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
}

/* What system calls take from anybody is no reason to refuse a clone. */
CXL_TEST(odd_addresses)
{
	struct cxl *cxl = &self->cxl;
	void *odd = (void *)0xffff800000000000;
	struct {
		void		*handler;
		unsigned long	flags;
		void		*restorer;
		unsigned long	mask;
	} action = { odd, 0x04000000 /* SA_RESTORER */, odd, 0 }, is = { 0 };
	stack_t stack = { .ss_sp = (void *)-65536L, .ss_size = 32768 }, stack_is;
	void *head_is;
	size_t len;
	long id;

	ASSERT_EQ(0, syscall(SYS_rt_sigaction, SIGUSR2, &action, NULL, 8));
	ASSERT_EQ(0, sigaltstack(&stack, NULL));
	ASSERT_EQ(0, syscall(SYS_set_robust_list, -8192L, 3 * sizeof(long)));
	syscall(SYS_set_tid_address, -4096L);
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(!syscall(SYS_rt_sigaction, SIGUSR2, NULL, &is, 8));
		CHECK(is.handler == odd && is.restorer == odd);
		CHECK(!sigaltstack(NULL, &stack_is) && stack_is.ss_sp == stack.ss_sp);
		CHECK(!syscall(SYS_get_robust_list, 0, &head_is, &len));
		CHECK(head_is == (void *)-8192L);
		_exit(0);
	}
	ASSERT_GT(id, 0);
	EXPECT_CLONE_OK(cxl, id);
}

CXL_TEST(payload)
{
	struct cxl *cxl = &self->cxl;
	char *buffer = map_leaves(LEAF), *sent = map_anon(CXLFORK_PAYLOAD_MAX);
	uint32_t sizes[] = { 0, 1, 100, PAGE, PAGE + 1, CXLFORK_PAYLOAD_MAX };
	unsigned int i;
	long id;

	memset(buffer, 'b', LEAF);
	memset(sent, 's', CXLFORK_PAYLOAD_MAX);
	cxl_init(cxl);
	cxl->args.payload = (uintptr_t)buffer + 100;
	cxl->args.payload_size = CXLFORK_PAYLOAD_MAX;
	id = cxl_call(cxl);
	if (!id) {
		uint32_t n = cxl->args.payload_size;

		CHECK(n <= CXLFORK_PAYLOAD_MAX);
		CHECK(buffer[99] == 'b' && buffer[100 + n] == 'b');
		if (n)
			CHECK(buffer[100] == 's' && !memcmp(buffer + 100, buffer + 101, n - 1));
		CHECK(buffer[LEAF - 1] == 'b');
		_exit(n % 251);
	}
	ASSERT_GT(id, 0);
	EXPECT_EQ(CXLFORK_PAYLOAD_MAX, cxl->args.payload_size);
	EXPECT_EQ('b', buffer[100]);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct ghost g = { .args.payload = (uintptr_t)sent };

		g.args.payload_size = sizes[i];
		ghost_start(cxl, &g, id);
		EXPECT_EQ(0, g.error);
		EXPECT_EQ((int)(sizes[i] % 251), ghost_wait(&g));
	}
}

/* Of the ghost: limits, no_new_privs, nice value, pid; never from the image. */
static void ghost_limits(void)
{
	struct rlimit files = { 333, 444 };

	CHECK(!setrlimit(RLIMIT_NOFILE, &files));
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!setpriority(PRIO_PROCESS, 0, 7));
	CHECK(!setresgid(65534, 65534, 65534));
	CHECK(!setresuid(1234, 0, 0));
}

CXL_TEST(what_the_ghost_keeps)
{
	struct cxl *cxl = &self->cxl;
	struct ghost g = { .before = ghost_limits };
	uid_t ruid, euid, suid;
	struct rlimit files;
	long id;

	if (getuid())
		SKIP(return, "not root");
	id = cxl_fork(cxl);
	if (!id) {
		CHECK(!getrlimit(RLIMIT_NOFILE, &files));
		CHECK(files.rlim_cur == 333 && files.rlim_max == 444);
		CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
		CHECK(getpriority(PRIO_PROCESS, 0) == 7);
		CHECK(getgid() == 65534);
		CHECK(!getresuid(&ruid, &euid, &suid) && ruid == 1234);
		_exit(0);
	}
	ASSERT_GT(id, 0);
	ghost_start(cxl, &g, id);
	EXPECT_EQ(0, g.error);
	EXPECT_EQ(0, ghost_wait(&g));
}

TEST_HARNESS_MAIN
