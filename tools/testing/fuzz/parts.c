// SPDX-License-Identifier: GPL-2.0
/* What "extract" takes out of kernel sources, and what that needs. */
#include <elf.h>
#include <linux/cxlfork.h>

#define CPUID_1_EDX		0
#define CPUID_8000_0001_EDX	1
#define CPUID_1_ECX		4
#define CPUID_8000_0001_ECX	6
#define CPUID_7_0_EBX		9
#define CPUID_7_1_EAX		12
#define CPUID_7_ECX		16
#define CPUID_7_EDX		18
#define CPUID_D_1_EAX		10
#define __USER_CS		0x33
#define __USER_DS		0x2b
#define FXSAVE_SIZE		512
#define XSAVE_HDR_SIZE		64

struct xstate_header {
	u64	xfeatures;
	u64	xcomp_bv;
	u64	reserved[6];
};

/* A CPU with every other feature. */
static const struct {
	u32 x86_capability[24];
} boot_cpu_data = { { [0 ... 23] = 0x55555555 } };

/* A vDSO without a build id. */
static const Elf64_Ehdr shim_vdso = { .e_phoff = sizeof(Elf64_Ehdr) };
static const struct {
	const void *data;
	unsigned long size;
	long sym_vvar_start;
} vdso_image_64 = { &shim_vdso, 2 * PAGE_SIZE, -4 * (long)PAGE_SIZE };

#define build_id_parse_buf(buf, id, size) \
	((void)(buf), (void)(id), (void)(size), -EINVAL)

#include "parts.inc"
