// SPDX-License-Identifier: GPL-2.0
/*
 * x86-64: registers, extended state, segment bases, vDSO, protection keys.
 */
#include <linux/buildid.h>
#include <linux/cpufeature.h>
#include <linux/cxlfork.h>
#include <linux/elf.h>
#include <linux/hw_breakpoint.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/pkeys.h>
#include <linux/ptrace.h>
#include <linux/regset.h>
#include <linux/sched/task_stack.h>
#include <linux/security.h>
#include <linux/syscall_user_dispatch.h>
#include <linux/utsname.h>
#include <linux/vmalloc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/prctl.h>
#include <asm/proto.h>
#include <asm/shstk.h>
#include <asm/vdso.h>
#include "internal.h"
#include "xstate.h"

/* The CPUID words that say what an instruction set extension there is. */
static const u8 cxlfork_cpu_words[CXLFORK_CPU_WORDS] = {
	CPUID_1_EDX, CPUID_8000_0001_EDX, CPUID_1_ECX, CPUID_8000_0001_ECX,
	CPUID_7_0_EBX, CPUID_7_1_EAX, CPUID_7_ECX, CPUID_7_EDX, CPUID_D_1_EAX,
};

/* Flags that user space can set itself. */
#define CXLFORK_USER_EFLAGS						\
	(X86_EFLAGS_AC | X86_EFLAGS_OF | X86_EFLAGS_DF | X86_EFLAGS_TF |	\
	 X86_EFLAGS_SF | X86_EFLAGS_ZF | X86_EFLAGS_AF | X86_EFLAGS_PF |	\
	 X86_EFLAGS_CF | X86_EFLAGS_RF | X86_EFLAGS_ID)

enum {
	R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI,
	ORIG_RAX, RIP, CS, EFLAGS, RSP, SS,
};

static void cxlfork_vdso_id(u8 *id)
{
	const void *data = vdso_image_64.data;
	const Elf64_Ehdr *ehdr = data;
	const Elf64_Phdr *phdr = data + ehdr->e_phoff;
	int i;

	memset(id, 0, 32);
	for (i = 0; i < ehdr->e_phnum; i++)
		if (phdr[i].p_type == PT_NOTE &&
		    !build_id_parse_buf(data + phdr[i].p_offset, id, phdr[i].p_filesz))
			return;
}

/**
 * cxlfork_arch_identity - what the clones' hosts must have in common
 * @image:	header of an image that is made
 */
void cxlfork_arch_identity(struct cxlfork_image *image)
{
	int i;

	for (i = 0; i < CXLFORK_CPU_WORDS; i++)
		image->cpu[i] = cpu_to_le32(boot_cpu_data.x86_capability[cxlfork_cpu_words[i]]);
	cxlfork_vdso_id(image->vdso_id);
	strscpy(image->kernel, init_utsname()->release, sizeof(image->kernel));
	image->page_shift = cpu_to_le32(PAGE_SHIFT);
	image->machine = cpu_to_le32(EM_X86_64);
	image->xfeatures = cpu_to_le64(fpu_user_cfg.max_features);
}

/**
 * cxlfork_arch_compatible - can a clone of this image run here?
 * @image:	checked header
 * @log:	says why not
 *
 * Return: 0 or -ENOEXEC.
 */
int cxlfork_arch_compatible(const struct cxlfork_image *image, struct cxlfork_log *log)
{
	u8 vdso_id[32];
	int i;

	if (le32_to_cpu(image->machine) != EM_X86_64 ||
	    le32_to_cpu(image->page_shift) != PAGE_SHIFT) {
		cxlfork_obstacle(log, CXLFORK_REASON_KERNEL,
				 "made on another architecture (ELF machine %u, page shift %u)",
				 le32_to_cpu(image->machine), le32_to_cpu(image->page_shift));
		return -ENOEXEC;
	}
	cxlfork_vdso_id(vdso_id);
	if (memcmp(vdso_id, image->vdso_id, sizeof(vdso_id))) {
		cxlfork_obstacle(log, CXLFORK_REASON_KERNEL,
				 "made on kernel %.63s, whose vDSO differs from this kernel's (%s)",
				 image->kernel, init_utsname()->release);
		return -ENOEXEC;
	}
	for (i = 0; i < CXLFORK_CPU_WORDS; i++) {
		u32 missing = le32_to_cpu(image->cpu[i]) &
			      ~boot_cpu_data.x86_capability[cxlfork_cpu_words[i]];

		if (missing) {
			cxlfork_obstacle(log, CXLFORK_REASON_CPU,
					 "this CPU lacks features the process may use: word %u, bits %#x",
					 cxlfork_cpu_words[i], missing);
			return -ENOEXEC;
		}
	}
	return 0;
}

static bool cxlfork_has_shadow_stack(void)
{
#ifdef CONFIG_X86_USER_SHADOW_STACK
	return current->thread.features & ARCH_SHSTK_SHSTK;
#else
	return false;
#endif
}

/**
 * cxlfork_arch_ghost - can current become a clone?
 *
 * Return: NULL, or what it has that a clone could not get rid of.
 */
const char *cxlfork_arch_ghost(void)
{
	if (test_thread_flag(TIF_ADDR32) || in_ia32_syscall())
		return "the caller is a 32-bit process";
	if (cxlfork_has_shadow_stack())
		return "the caller uses a shadow stack";
	if (!cpu_feature_enabled(X86_FEATURE_XSAVE))
		return "this CPU has no XSAVE";
	return NULL;
}

static bool cxlfork_plain_task(void)
{
	struct pt_regs *regs = current_pt_regs();
	int i;

	if (test_thread_flag(TIF_ADDR32) || regs->cs != __USER_CS || regs->ss != __USER_DS)
		return false;
	for (i = 0; i < GDT_ENTRY_TLS_ENTRIES; i++)
		if (!desc_empty(&current->thread.tls_array[i]))
			return false;
	return true;
}

static int cxlfork_snapshot_xstate(struct cxlfork_snapshot *snap)
{
	size_t size = fpu_user_cfg.max_size;
	void *xstate = cxlfork_buf_add(&snap->sec[CXLFORK_SEC_XSTATE], size);
	struct membuf to = { .p = xstate, .left = size };

	if (!xstate)
		return -ENOMEM;
	fpu_sync_fpstate(&current->thread.fpu);
	/* Like fork(): what the task has is the value of its last switch. */
	if (cpu_feature_enabled(X86_FEATURE_OSPKE))
		current->thread.pkru = read_pkru();
	copy_xstate_to_uabi_buf(to, current, XSTATE_COPY_XSAVE);
	return 0;
}

/* What a system call that was interrupted would do next, as exit to user does. */
static void cxlfork_restart(struct cxlfork_task *task, const struct pt_regs *regs)
{
	if ((int)regs->orig_ax < 0)
		return;
	switch (regs->ax) {
	case -ERESTARTNOHAND:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
		task->regs[RAX] = cpu_to_le64(regs->orig_ax);
		task->regs[RIP] = cpu_to_le64(regs->ip - 2);
		break;
	case -ERESTART_RESTARTBLOCK:
		/* What is left to wait for is known to this kernel only. */
		task->regs[RAX] = cpu_to_le64(-EINTR);
		break;
	}
	task->regs[ORIG_RAX] = cpu_to_le64(-1);
}

/**
 * cxlfork_arch_snapshot - registers and extended state of current
 * @snap:	gets the extended state
 * @task:	gets the registers
 *
 * Return: 0 or -errno; obstacles are noted.
 */
int cxlfork_arch_snapshot(struct cxlfork_snapshot *snap, struct cxlfork_task *task)
{
	struct cxlfork_log *log = &snap->req->log;
	struct pt_regs *regs = current_pt_regs();
	const unsigned long values[CXLFORK_NR_REGS] = {
		regs->r15, regs->r14, regs->r13, regs->r12, regs->bp, regs->bx,
		regs->r11, regs->r10, regs->r9, regs->r8, regs->ax, regs->cx,
		regs->dx, regs->si, regs->di, regs->orig_ax, regs->ip, regs->cs,
		regs->flags, regs->sp, regs->ss,
	};
	int i;

	if (!cxlfork_plain_task())
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH,
				 "32-bit code or thread-local segments in use");
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	if (current->mm->context.ldt)
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH, "modify_ldt() in use");
#endif
	if (test_thread_flag(TIF_IO_BITMAP) || current->thread.iopl_emul)
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH, "I/O ports in use");
	if (cxlfork_has_shadow_stack())
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH, "shadow stack in use");
#ifdef CONFIG_ADDRESS_MASKING
	if (current->mm->context.lam_cr3_mask)
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH, "tagged addresses (LAM) in use");
#endif
	if (current->group_leader->thread.fpu.perm.__state_perm & ~fpu_user_cfg.default_features)
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH,
				 "permission for dynamic XSAVE features (AMX)");
	if (test_thread_flag(TIF_NOTSC) || test_thread_flag(TIF_NOCPUID))
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH, "TSC or CPUID disabled by prctl");
	if (test_syscall_work(SYSCALL_USER_DISPATCH))
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH, "syscall user dispatch in use");
	if (!cpu_feature_enabled(X86_FEATURE_XSAVE))
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH, "this CPU has no XSAVE");

	for (i = 0; i < CXLFORK_NR_REGS; i++)
		task->regs[i] = cpu_to_le64(values[i]);
	/* Task work runs in some system calls as well, where this is no state. */
	if (!snap->req->self && (int)regs->orig_ax >= 0 && regs->ax == -ENOSYS)
		cxlfork_obstacle(log, CXLFORK_REASON_TASK_STATE,
				 "the process is in the middle of a system call: try again");
	/* A tracer's single step is not the process's own. */
	if (test_thread_flag(TIF_FORCED_TF))
		task->regs[EFLAGS] &= cpu_to_le64(~X86_EFLAGS_TF);
	if (snap->req->self) {
		task->regs[RAX] = 0;
		task->regs[ORIG_RAX] = cpu_to_le64(-1);
	} else {
		cxlfork_restart(task, regs);
	}
	task->fsbase = cpu_to_le64(x86_fsbase_read_task(current));
	task->gsbase = cpu_to_le64(x86_gsbase_read_task(current));
	/* A program may put anything into them; a restore takes user addresses only. */
	if (cxlfork_plain_task() && cxlfork_arch_check_task(task))
		cxlfork_obstacle(log, CXLFORK_REASON_ARCH,
				 "the stack pointer, FS or GS base is no user address");
	return cpu_feature_enabled(X86_FEATURE_XSAVE) ? cxlfork_snapshot_xstate(snap) : 0;
}

/**
 * cxlfork_arch_snapshot_mm - vDSO and protection keys of current
 * @state:	gets them
 */
void cxlfork_arch_snapshot_mm(struct cxlfork_mm_state *state)
{
	struct mm_struct *mm = current->mm;

	state->vdso = cpu_to_le64((unsigned long)mm->context.vdso);
	/* As of a process that has allocated none. */
	state->pkey_map = cpu_to_le32(1);
	state->exec_pkey = cpu_to_le32(-1);
#ifdef CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS
	/* Not even these two are set where the CPU has no keys: init_new_context(). */
	if (cpu_feature_enabled(X86_FEATURE_OSPKE)) {
		state->pkey_map = cpu_to_le32(mm->context.pkey_allocation_map);
		state->exec_pkey = cpu_to_le32((s32)mm->context.execute_only_pkey);
	}
#endif
}

/**
 * cxlfork_arch_check_mm - check what an image says of vDSO and protection keys
 * @state:	from the image
 *
 * Return: 0 or -EUCLEAN.
 */
int cxlfork_arch_check_mm(const struct cxlfork_mm_state *state)
{
	u64 vdso = le64_to_cpu(state->vdso);
	u32 map = le32_to_cpu(state->pkey_map);
	s32 exec_pkey = le32_to_cpu(state->exec_pkey);
	u64 vvar = -vdso_image_64.sym_vvar_start;

	if (vdso && (offset_in_page(vdso) || vdso < vvar ||
		     vdso > TASK_SIZE_MAX - vdso_image_64.size))
		return -EUCLEAN;
	if (!(map & 1) || map >> 16)
		return -EUCLEAN;
	if (exec_pkey != -1 && (exec_pkey < 1 || exec_pkey > 15 || !(map & BIT(exec_pkey))))
		return -EUCLEAN;
	return 0;
}

/**
 * cxlfork_arch_restore_mm - map the vDSO, set the protection keys
 * @mm:		address space that is built, locked for writing
 * @state:	checked
 *
 * Return: 0 or -errno.
 */
int cxlfork_arch_restore_mm(struct mm_struct *mm, const struct cxlfork_mm_state *state)
{
	u64 vdso = le64_to_cpu(state->vdso);
	int ret;

#ifdef CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS
	mm->context.pkey_allocation_map = le32_to_cpu(state->pkey_map);
	mm->context.execute_only_pkey = le32_to_cpu(state->exec_pkey);
#endif
	/* As exec of a 64-bit program; whether there is one at all is for boot. */
	__set_bit(MM_CONTEXT_HAS_VSYSCALL, &mm->context.flags);
	if (!vdso)
		return 0;
	ret = security_mmap_addr(vdso + vdso_image_64.sym_vvar_start);
	return ret ?: install_vdso(mm, &vdso_image_64, vdso + vdso_image_64.sym_vvar_start);
}

/**
 * cxlfork_arch_check_task - check an image's registers
 * @task:	from the image
 *
 * Nothing in them can raise privileges: segments are the user's own, system
 * flags are masked when they are loaded, addresses are user addresses.
 *
 * Return: 0 or -EUCLEAN.
 */
int cxlfork_arch_check_task(const struct cxlfork_task *task)
{
	if (le64_to_cpu(task->regs[CS]) != __USER_CS ||
	    le64_to_cpu(task->regs[SS]) != __USER_DS ||
	    le64_to_cpu(task->regs[RIP]) >= TASK_SIZE_MAX ||
	    le64_to_cpu(task->regs[RSP]) >= TASK_SIZE_MAX ||
	    le64_to_cpu(task->fsbase) >= TASK_SIZE_MAX ||
	    le64_to_cpu(task->gsbase) >= TASK_SIZE_MAX)
		return -EUCLEAN;
	return 0;
}

/**
 * cxlfork_arch_check_xstate - check the head of an image's extended state
 * @xstate:	from the image
 * @len:	its length
 * @xfeatures:	components that the image's header says there are
 *
 * Whether this CPU can take it is known when it is loaded.
 *
 * Return: 0 or -EUCLEAN.
 */
int cxlfork_arch_check_xstate(const void *xstate, size_t len, u64 xfeatures)
{
	const struct xstate_header *head = xstate + FXSAVE_SIZE;

	if (len < FXSAVE_SIZE + XSAVE_HDR_SIZE || len > SZ_64K || (head->xfeatures & ~xfeatures) ||
	    head->xcomp_bv || memchr_inv(head->reserved, 0, sizeof(head->reserved)))
		return -EUCLEAN;
	return 0;
}

/**
 * cxlfork_arch_prepare - bring an image's extended state into this CPU's form
 * @xstate:	XSAVE area in the standard format
 * @len:	its length
 * @pkru:	gets the protection key rights
 * @fpstate:	gets the state, for cxlfork_arch_restore(); the caller frees it
 *
 * The caller's own state is untouched.
 *
 * Context: process context; current is the ghost.
 * Return: 0, -ENOMEM, or -EUCLEAN: a state this CPU can't take.
 */
int cxlfork_arch_prepare(const void *xstate, size_t len, u32 *pkru, void **fpstate)
{
	struct fpu *fpu = &current->thread.fpu;
	size_t whole = offsetof(struct fpstate, regs) + fpu->fpstate->size;
	size_t size = fpu_user_cfg.max_size;
	struct fpstate *new;
	void *buf;
	int ret = -ENOMEM;

	buf = kvzalloc(size, GFP_KERNEL);
	new = kvmalloc(whole, GFP_KERNEL);
	*fpstate = new;
	if (!buf || !new)
		goto out;
	memcpy(buf, xstate, min(len, size));

	/* What is not the image's to say is as the ghost has it. */
	fpregs_lock();
	fpu_sync_fpstate(fpu);
	memcpy(new, fpu->fpstate, whole);
	fpregs_unlock();

	*pkru = cpu_feature_enabled(X86_FEATURE_OSPKE) ? read_pkru() : 0;
	ret = copy_uabi_from_kernel_to_xstate(new, buf, pkru) ? -EUCLEAN : 0;
out:
	kvfree(buf);
	return ret;
}

/* In memory it is what counts, until the next return to user space. */
static void cxlfork_set_fpstate(const struct fpstate *new)
{
	struct fpu *fpu = &current->thread.fpu;

	fpregs_lock();
	memcpy(&fpu->fpstate->regs, &new->regs, fpu->fpstate->size);
	set_thread_flag(TIF_NEED_FPU_LOAD);
	fpu->last_cpu = -1;
	fpregs_unlock();
}

/**
 * cxlfork_arch_restore - give current the registers of an image
 * @task:	checked
 * @pkru:	from cxlfork_arch_prepare()
 * @fpstate:	likewise
 *
 * Context: after the point of no return; can't fail.
 */
void cxlfork_arch_restore(const struct cxlfork_task *task, u32 pkru, const void *fpstate)
{
	struct pt_regs *regs = current_pt_regs();

	flush_ptrace_hw_breakpoint(current);
	reset_thread_features();
	cxlfork_set_fpstate(fpstate);
	memset(current->thread.tls_array, 0, sizeof(current->thread.tls_array));
	loadsegment(es, 0);
	loadsegment(ds, 0);
	do_arch_prctl_64(current, ARCH_SET_FS, le64_to_cpu(task->fsbase));
	do_arch_prctl_64(current, ARCH_SET_GS, le64_to_cpu(task->gsbase));
	if (cpu_feature_enabled(X86_FEATURE_OSPKE))
		write_pkru(pkru);

	regs->r15 = le64_to_cpu(task->regs[R15]);
	regs->r14 = le64_to_cpu(task->regs[R14]);
	regs->r13 = le64_to_cpu(task->regs[R13]);
	regs->r12 = le64_to_cpu(task->regs[R12]);
	regs->bp = le64_to_cpu(task->regs[RBP]);
	regs->bx = le64_to_cpu(task->regs[RBX]);
	regs->r11 = le64_to_cpu(task->regs[R11]);
	regs->r10 = le64_to_cpu(task->regs[R10]);
	regs->r9 = le64_to_cpu(task->regs[R9]);
	regs->r8 = le64_to_cpu(task->regs[R8]);
	regs->ax = le64_to_cpu(task->regs[RAX]);
	regs->cx = le64_to_cpu(task->regs[RCX]);
	regs->dx = le64_to_cpu(task->regs[RDX]);
	regs->si = le64_to_cpu(task->regs[RSI]);
	regs->di = le64_to_cpu(task->regs[RDI]);
	regs->orig_ax = -1;
	regs->ip = le64_to_cpu(task->regs[RIP]);
	regs->cs = __USER_CS;
	regs->flags = (le64_to_cpu(task->regs[EFLAGS]) & CXLFORK_USER_EFLAGS) |
		      X86_EFLAGS_IF | X86_EFLAGS_FIXED;
	regs->sp = le64_to_cpu(task->regs[RSP]);
	regs->ss = __USER_DS;
}
