// SPDX-License-Identifier: GPL-2.0
/* What a clone finds in the registers of its CPU. */
#include <asm/prctl.h>
#include <cpuid.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cxlfork_fixture.h"
#include "fail.h"

struct regs {
	uint64_t rbx, rbp, rdx, r8, r9, r10, r12, r13, r14, r15, rsp, flags, rdi, rsi;
};

/* cxlfork() with a known value in each register; @out gets those after it. */
static __attribute__((naked, noinline)) long
fork_regs(struct cxlfork_args *args, size_t size, struct regs *out)
{
	asm volatile("	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n"
		     "	push %r14\n	push %r15\n	push %rdx\n"
		     "	mov %rsp, 80(%rdx)\n"
		     "	movabs $0x0101010101010101, %rbx\n"
		     "	movabs $0xf202020202020202, %rbp\n"
		     "	movabs $0x0303030303030303, %rdx\n"
		     "	movabs $0xf404040404040404, %r8\n"
		     "	movabs $0x0505050505050505, %r9\n"
		     "	movabs $0xf606060606060606, %r10\n"
		     "	movabs $0x0707070707070707, %r12\n"
		     "	movabs $0xf808080808080808, %r13\n"
		     "	movabs $0x0909090909090909, %r14\n"
		     "	movabs $0xfa0a0a0a0a0a0a0a, %r15\n"
		     "	mov $480, %eax\n"
		     "	pushfq\n"
		     "	orq $0x240cd5, (%rsp)\n"
		     "	popfq\n"
		     "	syscall\n"
		     "	mov (%rsp), %rcx\n"
		     "	pushfq\n	popq 88(%rcx)\n"
		     "	mov %rbx, 0(%rcx)\n	mov %rbp, 8(%rcx)\n	mov %rdx, 16(%rcx)\n"
		     "	mov %r8, 24(%rcx)\n	mov %r9, 32(%rcx)\n	mov %r10, 40(%rcx)\n"
		     "	mov %r12, 48(%rcx)\n	mov %r13, 56(%rcx)\n	mov %r14, 64(%rcx)\n"
		     "	mov %r15, 72(%rcx)\n"
		     "	mov 80(%rcx), %r11\n	sub %rsp, %r11\n	mov %r11, 80(%rcx)\n"
		     "	mov %rdi, 96(%rcx)\n	mov %rsi, 104(%rcx)\n"
		     "	pushq $0x202\n	popfq\n"
		     "	pop %rdx\n	pop %r15\n	pop %r14\n	pop %r13\n"
		     "	pop %r12\n	pop %rbp\n	pop %rbx\n"
		     "	ret\n");
}

static int regs_differ(const struct regs *r, const struct cxl *cxl)
{
	if (r->rbx != 0x0101010101010101 || r->rbp != 0xf202020202020202)
		return 1;
	if (r->rdx != 0x0303030303030303 || r->r8 != 0xf404040404040404)
		return 2;
	if (r->r9 != 0x0505050505050505 || r->r10 != 0xf606060606060606)
		return 3;
	if (r->r12 != 0x0707070707070707 || r->r13 != 0xf808080808080808)
		return 4;
	if (r->r14 != 0x0909090909090909 || r->r15 != 0xfa0a0a0a0a0a0a0a)
		return 5;
	if (r->rsp)
		return 6;
	/* CF PF AF ZF SF DF OF, AC, ID */
	if ((r->flags & 0x240cd5) != 0x240cd5)
		return 7;
	if (r->rdi != (uintptr_t)&cxl->args || r->rsi != sizeof(cxl->args))
		return 8;
	return 0;
}

CXL_TEST(general)
{
	struct cxl *cxl = &self->cxl;
	struct regs regs = { 0 };
	long id;

	cxl_init(cxl);
	id = fork_regs(&cxl->args, sizeof(cxl->args), &regs);
	if (!id) {
		CHECK(!regs_differ(&regs, cxl));
		_exit(10);
	}
	ASSERT_GT(id, 0);
	cxl->ids[cxl->nr_ids++] = id;
	EXPECT_EQ(0, regs_differ(&regs, cxl));
	/* All clones return from the same call. */
	EXPECT_EQ(10, cxl_run(cxl, id));
	EXPECT_EQ(10, cxl_run(cxl, id));
}

static bool have_avx(void)
{
	return __builtin_cpu_supports("avx");
}

/* An instruction for each of the 16 vector registers, \i. */
#define EACH(instruction)						\
	".irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n" instruction "\n.endr\n"
#define LOAD_X	EACH("movups \\i*16(%[s]), %%xmm\\i")
#define SAVE_X	EACH("movups %%xmm\\i, \\i*16(%[d])")
#define LOAD_Y	EACH("vmovups \\i*32(%[s]), %%ymm\\i")
#define SAVE_Y	EACH("vmovups %%ymm\\i, \\i*32(%[d])")
#define LOAD_Z	EACH("vmovups \\i*64(%[s]), %%zmm\\i")
#define SAVE_Z	EACH("vmovups %%zmm\\i, \\i*64(%[d])")

#define XMM_CLOBBERS								\
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",		\
	"xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* Load, call, save in one piece: nothing of the compiler's comes between. */
#define CALL_AROUND(load, save)							\
	({									\
		long ret = __NR_cxlfork;					\
		asm volatile(load "syscall\n" save				\
			     : "+a"(ret)					\
			     : "D"(&cxl->args), "S"(sizeof(cxl->args)),		\
			       [s] "r"(in), [d] "r"(out)			\
			     : "rcx", "r11", "memory", XMM_CLOBBERS);		\
		if (ret > 0)							\
			cxl->ids[cxl->nr_ids++] = ret;				\
		ret;								\
	})

static void pattern(uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = i * 37 + 11;
}

CXL_TEST(sse)
{
	struct cxl *cxl = &self->cxl;
	uint8_t in[256], out[256] = { 0 };
	long id;

	pattern(in, sizeof(in));
	cxl_init(cxl);
	id = CALL_AROUND(LOAD_X, SAVE_X);
	if (!id) {
		CHECK(!memcmp(in, out, sizeof(in)));
		_exit(0);
	}
	EXPECT_EQ(0, memcmp(in, out, sizeof(in)));
	EXPECT_CLONE_OK(cxl, id);
}

CXL_TEST(avx)
{
	struct cxl *cxl = &self->cxl;
	uint8_t in[512], out[512] = { 0 };
	long id;

	if (!have_avx())
		SKIP(return, "this CPU has no AVX");
	pattern(in, sizeof(in));
	cxl_init(cxl);
	id = CALL_AROUND(LOAD_Y, SAVE_Y "vzeroupper\n");
	if (!id) {
		CHECK(!memcmp(in, out, sizeof(in)));
		_exit(0);
	}
	EXPECT_EQ(0, memcmp(in, out, sizeof(in)));
	EXPECT_CLONE_OK(cxl, id);
}

CXL_TEST(avx512)
{
	struct cxl *cxl = &self->cxl;
	uint8_t in[1024 + 64], out[1024 + 64] = { 0 };
	long id;

	if (!__builtin_cpu_supports("avx512bw"))
		SKIP(return, "this CPU has no AVX-512");
	pattern(in, sizeof(in));
	cxl_init(cxl);
	id = CALL_AROUND(LOAD_Z "kmovq 1024(%[s]), %%k1\nkmovq 1032(%[s]), %%k7\n",
			 SAVE_Z "kmovq %%k1, 1024(%[d])\nkmovq %%k7, 1032(%[d])\n"
			 "vzeroupper\n");
	if (!id) {
		CHECK(!memcmp(in, out, 1040));
		_exit(0);
	}
	EXPECT_EQ(0, memcmp(in, out, 1040));
	EXPECT_CLONE_OK(cxl, id);
}

/* Rounding modes, and a number on the x87 stack. */
CXL_TEST(fpu_control)
{
	struct cxl *cxl = &self->cxl;
	uint32_t mxcsr = 0x7f80 /* towards zero, masked */, mxcsr_out = 0, normal = 0x1f80;
	uint16_t fcw = 0xf7f /* towards zero */, fcw_out = 0;
	double pi = 3.14159265358979323846, pi_out = 0;
	long id = __NR_cxlfork;

	cxl_init(cxl);
	asm volatile("ldmxcsr %[mxcsr]\n"
		     "fldcw %[fcw]\n"
		     "fldl %[pi]\n"
		     "syscall\n"
		     "fstpl %[pi_out]\n"
		     "fnstcw %[fcw_out]\n"
		     "fninit\n"
		     "stmxcsr %[mxcsr_out]\n"
		     "ldmxcsr %[normal]\n"
		     : "+a"(id), [pi_out] "=m"(pi_out), [fcw_out] "=m"(fcw_out),
		       [mxcsr_out] "=m"(mxcsr_out)
		     : "D"(&cxl->args), "S"(sizeof(cxl->args)), [mxcsr] "m"(mxcsr),
		       [fcw] "m"(fcw), [pi] "m"(pi), [normal] "m"(normal)
		     : "rcx", "r11", "memory");

	if (!id) {
		CHECK(mxcsr_out == mxcsr);
		CHECK(fcw_out == fcw);
		CHECK(pi_out == pi);
		_exit(0);
	}
	ASSERT_GT(id, 0);
	cxl->ids[cxl->nr_ids++] = id;
	EXPECT_EQ(mxcsr, mxcsr_out);
	EXPECT_CLONE_OK(cxl, id);
}

static long raw2(long nr, long a, long b)
{
	long ret = nr;

	asm volatile("syscall" : "+a"(ret) : "D"(a), "S"(b) : "rcx", "r11", "memory");
	return ret;
}

static __thread int in_tls;

/* FS is the C library's: it is another one only while nobody looks. */
static __attribute__((optimize("no-stack-protector"))) long
fork_bases(struct cxl *cxl, unsigned long fs, unsigned long gs, unsigned long *out)
{
	unsigned long own = 0;
	long id;

	raw2(SYS_arch_prctl, ARCH_GET_FS, (long)&own);
	raw2(SYS_arch_prctl, ARCH_SET_GS, gs);
	raw2(SYS_arch_prctl, ARCH_SET_FS, fs);
	id = raw2(__NR_cxlfork, (long)&cxl->args, sizeof(cxl->args));
	raw2(SYS_arch_prctl, ARCH_GET_FS, (long)&out[0]);
	raw2(SYS_arch_prctl, ARCH_GET_GS, (long)&out[1]);
	raw2(SYS_arch_prctl, ARCH_SET_FS, own);
	return id;
}

CXL_TEST(segment_bases)
{
	struct cxl *cxl = &self->cxl;
	/* rseq and others are at their place before the thread pointer. */
	unsigned long *area = map_anon(16 * PAGE), value = 0, out[2] = { 0 };
	unsigned long fs = (unsigned long)area + 8 * PAGE, gs = (unsigned long)area + 64;
	long id;

	area[8] = 0x6573656765736567;
	in_tls = 4711;
	cxl_init(cxl);
	id = fork_bases(cxl, fs, gs, out);
	if (!id) {
		CHECK(out[0] == fs);
		CHECK(out[1] == gs);
		asm volatile("mov %%gs:0, %0" : "=r"(value));
		CHECK(value == 0x6573656765736567);
		CHECK(in_tls == 4711);
		_exit(0);
	}
	ASSERT_GT(id, 0);
	cxl->ids[cxl->nr_ids++] = id;
	EXPECT_CLONE_OK(cxl, id);
}

static int sig_code;
static char *pkey_page;
static int pkey_of_page;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	sig_code = info->si_code;
	/* PKRU is the handler's own: make the page plain. */
	CHECK(!pkey_mprotect(pkey_page, PAGE, PROT_READ | PROT_WRITE, 0));
}

static uint32_t rdpkru(void)
{
	uint32_t eax, edx;

	asm volatile("rdpkru" : "=a"(eax), "=d"(edx) : "c"(0));
	return eax;
}

CXL_TEST(pkru)
{
	struct cxl *cxl = &self->cxl;
	struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO };
	uint32_t before;
	long id;

	pkey_of_page = pkey_alloc(0, 0);
	if (pkey_of_page < 0)
		SKIP(return, "no protection keys: %s", strerror(errno));
	pkey_page = map_leaves(LEAF);
	fill(pkey_page, LEAF, 5);
	ASSERT_EQ(0, pkey_mprotect(pkey_page, LEAF, PROT_READ | PROT_WRITE, pkey_of_page));
	ASSERT_EQ(0, pkey_set(pkey_of_page, PKEY_DISABLE_ACCESS));
	ASSERT_EQ(0, sigaction(SIGSEGV, &sa, NULL));
	/* The kernel has not seen the last change, unless we were switched out. */
	ASSERT_EQ(0, pkey_set(pkey_of_page, 0));
	usleep(1000);
	cxl_init(cxl);
	ASSERT_EQ(0, pkey_set(pkey_of_page, PKEY_DISABLE_ACCESS));
	before = rdpkru();
	id = cxl_call(cxl);
	if (!id) {
		CHECK(rdpkru() == before);
		CHECK(pkey_get(pkey_of_page) == PKEY_DISABLE_ACCESS);
		CHECK(pkey_alloc(0, 0) != pkey_of_page);
		CHECK(*(volatile char *)pkey_page == *(volatile char *)pkey_page);
		CHECK(sig_code == SEGV_PKUERR);
		CHECK(!pkey_set(pkey_of_page, PKEY_DISABLE_WRITE));
		CHECK(is_filled(pkey_page, PAGE, 5));
		CHECK(!pkey_set(pkey_of_page, 0));
		CHECK(is_filled(pkey_page, LEAF, 5));
		fill(pkey_page, LEAF, 6);
		CHECK(is_filled(pkey_page, LEAF, 6));
		_exit(0);
	}
	EXPECT_CLONE_OK(cxl, id);
	EXPECT_EQ(before, rdpkru());
	pkey_set(pkey_of_page, 0);
	EXPECT_TRUE(is_filled(pkey_page, LEAF, 5));
}

/* The ghost's own registers, when it is refused. */
static uint8_t ghost_in[256], ghost_out[256];

/* cxlrestore() with @ghost_in in the vector registers, which are in @ghost_out then. */
static long restore_around(struct cxlrestore_args *args, uint32_t mxcsr, uint32_t *mxcsr_out)
{
	uint32_t normal = 0x1f80;
	long ret = __NR_cxlrestore;

	asm volatile("ldmxcsr %[mxcsr]\n" LOAD_X "syscall\n" SAVE_X
		     "stmxcsr %[mxcsr_out]\nldmxcsr %[normal]\n"
		     : "+a"(ret), [mxcsr_out] "=m"(*mxcsr_out)
		     : "D"(args), "S"(sizeof(*args)), [s] "r"(ghost_in), [d] "r"(ghost_out),
		       [mxcsr] "m"(mxcsr), [normal] "m"(normal)
		     : "rcx", "r11", "memory", XMM_CLOBBERS);
	return ret;
}

CXL_TEST(ghost_keeps_its_own)
{
	struct cxl *cxl = &self->cxl;
	struct cxlrestore_args args = { .id = 1, .pool_fd = cxl->pool };
	uint32_t mxcsr = 0x7f80, mxcsr_out = 0;
	long ret;

	pattern(ghost_in, sizeof(ghost_in));
	ret = restore_around(&args, mxcsr, &mxcsr_out);
	EXPECT_EQ(-ENOENT, ret);
	EXPECT_EQ(0, memcmp(ghost_in, ghost_out, sizeof(ghost_in)));
	EXPECT_EQ(mxcsr, mxcsr_out);
}

/* Or 100 and an errno. */
enum { A_CLONE = 60, REFUSED, CHANGED };

/* A ghost whose @nth allocation in the call fails. */
static int ghost_without_memory(const struct cxl *cxl, long id, unsigned int nth)
{
	struct cxlrestore_args args = { .id = id, .pool_fd = cxl->pool };
	uint32_t mxcsr = 0x7f80, mxcsr_out = 0;
	long ret;
	int status;
	pid_t pid = fork();

	if (pid) {
		CHECK(waitpid(pid, &status, 0) == pid);
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
	}
	pattern(ghost_in, sizeof(ghost_in));
	fail_nth(nth);
	ret = restore_around(&args, mxcsr, &mxcsr_out);
	fail_nth(0);
	if (ret != -ENOMEM)
		_exit(100 - ret);
	_exit(memcmp(ghost_in, ghost_out, sizeof(ghost_in)) || mxcsr != mxcsr_out ?
	      CHANGED : REFUSED);
}

/* Whichever allocation fails, the last ones as well. */
CXL_TEST(ghost_keeps_its_own_without_memory)
{
	struct cxl *cxl = &self->cxl;
	unsigned int n, failed = 0, clones = 0;
	int end;
	long id;

	if (!fail_begin(true))
		SKIP(return, NO_FAULT_INJECTION);
	/* Its table of descriptors is larger than the ghost's. */
	ASSERT_EQ(900, dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 900));
	cxl_init(cxl);
	id = cxl_call(cxl);
	if (!id)
		_exit(A_CLONE);
	close(900);
	ASSERT_GT(id, 0);
	cxl->ids[cxl->nr_ids++] = id;
	/* Some can fail and it doesn't matter. */
	for (n = 1; clones < 30; n++) {
		end = ghost_without_memory(cxl, id, n);
		failed += end == REFUSED;
		clones = end == A_CLONE ? clones + 1 : 0;
		ASSERT_TRUE(end == REFUSED || end == A_CLONE) {
			TH_LOG("allocation %u: %s (%d)", n, end == CHANGED ?
			       "it has other registers" : "it has ended otherwise", end);
		}
	}
	TH_LOG("%u of %u ghosts were refused", failed, n);
	EXPECT_GT(failed, 20);
	fail_end();
}

TEST_HARNESS_MAIN
