// SPDX-License-Identifier: GPL-2.0
/* Checks of an image: task, registers, address space, signals, strings. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "image.h"
#include "le.h"

#define USER_CS		0x33
#define USER_SS		0x2b
#define NR_SIGNALS	64
#define RSEQ_ALIGN	32U
#define ALTSTACK_FLAGS	0x80000002U	/* SS_AUTODISARM, SS_DISABLE */
#define NO_RANDOMIZE	0x40000U	/* of the personality */

/* struct user_regs_struct order, see struct cxlfork_task */
enum { REG_IP = 16, REG_CS = 17, REG_SP = 19, REG_SS = 20 };

/* The XSAVE area: where its header is, and the least there is of it. */
#define XSAVE_HEADER	512
#define XSAVE_MIN	576
#define XSAVE_MAX	65536

#define MAX_FDS		BIT_ULL(20)

/* Pages before the vDSO that belong to it (vvar). */
#define VVAR_PAGES	4

static bool check_string(const struct image *image, const char *what, __u32 at,
			 struct findings *findings)
{
	const char *text = image_string(image, at);

	if (!text)
		return problem(findings, BAD_STRING, "%s: no string at %u",
			       what, at);
	/* No further than that: there may be many that name a very long one. */
	if (text[0] != '/' || strnlen(text, PATH_MAX) >= PATH_MAX)
		return problem(findings, BAD_PATH, "%s: no absolute path",
			       what);
	return true;
}

static void check_addr(const char *what, __u64 addr, __u64 length,
		       struct findings *findings)
{
	if (addr > USER_END || length > USER_END - addr)
		problem(findings, BAD_TASK_ADDRESS,
			"%s 0x%llx is no user address", what, addr);
}

static void check_task(const struct image *image, struct findings *findings)
{
	const struct cxlfork_task *task = image_task(image);

	if (!task)
		return;
	if (le64(task->regs[REG_CS]) != USER_CS ||
	    le64(task->regs[REG_SS]) != USER_SS)
		problem(findings, BAD_TASK_SEGMENTS,
			"task: segments 0x%llx and 0x%llx",
			le64(task->regs[REG_CS]), le64(task->regs[REG_SS]));
	check_addr("task: instruction pointer", le64(task->regs[REG_IP]), 0,
		   findings);
	check_addr("task: FS base", le64(task->fsbase), 0, findings);
	check_addr("task: GS base", le64(task->gsbase), 0, findings);
	check_addr("task: rseq area", le64(task->rseq),
		   le32(task->rseq_len), findings);
	check_addr("task: payload buffer", le64(task->payload),
		   le32(task->payload_max), findings);
	check_addr("task: place of the payload size",
		   le64(task->payload_size_at), 4, findings);
	if (le32(task->payload_max) > CXLFORK_PAYLOAD_MAX)
		problem(findings, BAD_TASK_PAYLOAD, "task: payload of %u bytes",
			le32(task->payload_max));
	check_addr("task: stack pointer", le64(task->regs[REG_SP]), 0,
		   findings);
	if (task->rseq && (le64(task->rseq) % RSEQ_ALIGN ||
			   le32(task->rseq_len) < RSEQ_ALIGN))
		problem(findings, BAD_TASK_RSEQ,
			"task: rseq area of %u bytes at 0x%llx",
			le32(task->rseq_len), le64(task->rseq));
	if (le32(task->altstack_flags) & ~ALTSTACK_FLAGS)
		problem(findings, BAD_TASK_ALTSTACK,
			"task: signal stack's flags 0x%x",
			le32(task->altstack_flags));
	if (le32(task->personality) & ~NO_RANDOMIZE)
		problem(findings, BAD_TASK_PERSONALITY,
			"task: personality 0x%x", le32(task->personality));
	if (le32(task->umask) & ~0777U)
		problem(findings, BAD_TASK_UMASK, "task: umask 0%o",
			le32(task->umask));
	if (!memchr(task->comm, '\0', sizeof(task->comm)))
		problem(findings, BAD_TASK_COMM, "task: name does not end");
	check_string(image, "task: working directory", le32(task->cwd),
		     findings);
}

static void check_xstate(const struct image *image, struct findings *findings)
{
	const struct section *sec = &image->sec[CXLFORK_SEC_XSTATE];
	__le64 header[8];
	int i;

	if (!sec->data)
		return;
	if (sec->length < XSAVE_MIN || sec->length > XSAVE_MAX) {
		problem(findings, BAD_XSTATE_SIZE,
			"xstate: %llu bytes are no XSAVE area", sec->length);
		return;
	}
	memcpy(header, (char *)sec->data + XSAVE_HEADER, sizeof(header));
	if (le64(header[0]) & ~le64(image->header.xfeatures))
		problem(findings, BAD_XSTATE_FEATURES,
			"xstate: components 0x%llx, the header says 0x%llx",
			le64(header[0]), le64(image->header.xfeatures));
	for (i = 1; i < 8; i++) {
		if (header[i]) {
			problem(findings, BAD_XSTATE_FORMAT,
				"xstate: not in the standard format");
			break;
		}
	}
}

static void check_pkeys(__u32 map, __u32 exec, struct findings *findings)
{
	/* key 0 is everybody's */
	if (!(map & 1) || map >> 16)
		problem(findings, BAD_MM_PKEYS, "mm: protection keys 0x%x",
			map);
	if (exec != ~0U && (exec < 1 || exec > 15 || !(map >> exec & 1)))
		problem(findings, BAD_MM_EXEC_PKEY,
			"mm: protection key %u for execute-only", exec);
}

static void check_mm(const struct image *image, struct findings *findings)
{
	const struct cxlfork_mm_state *mm = image_mm(image);
	size_t i;

	if (!mm)
		return;
	{
		const struct {
			const char	*name;
			__le64		start;
			__le64		end;
		} spans[] = {
			{ "code", mm->start_code, mm->end_code },
			{ "data", mm->start_data, mm->end_data },
			{ "heap", mm->start_brk, mm->brk },
			{ "arguments", mm->arg_start, mm->arg_end },
			{ "environment", mm->env_start, mm->env_end },
			{ "stack", mm->start_stack, mm->start_stack },
			{ "mmap base", mm->mmap_base, mm->mmap_base },
		};

		for (i = 0; i < ARRAY_SIZE(spans); i++)
			if (le64(spans[i].start) > le64(spans[i].end) ||
			    le64(spans[i].end) > USER_END)
				problem(findings, BAD_MM_SPAN,
					"mm: %s 0x%llx-0x%llx", spans[i].name,
					le64(spans[i].start),
					le64(spans[i].end));
	}
	if (mm->vdso && (le64(mm->vdso) & (PAGE_BYTES - 1) ||
			 le64(mm->vdso) < VVAR_PAGES * PAGE_BYTES ||
			 le64(mm->vdso) > USER_END - PAGE_BYTES))
		problem(findings, BAD_MM_VDSO, "mm: vdso at 0x%llx",
			le64(mm->vdso));
	if (le32(mm->exe) >= image->sec[CXLFORK_SEC_FILES].nr)
		problem(findings, BAD_MM_EXE, "mm: program is file %u",
			le32(mm->exe));
	if (!mm->mmap_base || le64(mm->mmap_base) & (PAGE_BYTES - 1))
		problem(findings, BAD_MM_BASE, "mm: mmap base 0x%llx",
			le64(mm->mmap_base));
	check_pkeys(le32(mm->pkey_map), le32(mm->exec_pkey), findings);
	if (le32(mm->nr_auxv) > CXLFORK_AUXV_WORDS)
		problem(findings, BAD_MM_AUXV, "mm: %u words of auxv",
			le32(mm->nr_auxv));
}

static void check_signals(const struct image *image, struct findings *findings)
{
	const struct section *sec = &image->sec[CXLFORK_SEC_SIGACTIONS];

	/* Handlers may be anything: rt_sigaction() takes that from anybody. */
	if (sec->data && sec->nr != NR_SIGNALS)
		problem(findings, BAD_SIGNALS, "sigactions: %u of them",
			sec->nr);
}

static void check_strings(const struct image *image, struct findings *findings)
{
	const struct section *sec = &image->sec[CXLFORK_SEC_STRINGS];
	const char *data = sec->data;

	if (data && sec->length && data[sec->length - 1])
		problem(findings, BAD_STRING_END,
			"strings: the last one does not end");
}

void check_state(const struct image *image, struct findings *findings)
{
	check_strings(image, findings);
	check_task(image, findings);
	check_xstate(image, findings);
	check_mm(image, findings);
	check_signals(image, findings);
}

/* Are the bytes of it that are none zero? */
static bool digest_ends(const __u8 *digest, size_t room, __u32 length)
{
	return length > room || all_zero(digest + length, room - length);
}

static void check_file(const struct image *image, __u32 i,
		       struct findings *findings)
{
	const struct cxlfork_file *file = &image_files(image)[i];
	char what[32];

	snprintf(what, sizeof(what), "file %u", i);
	check_string(image, what, le32(file->path), findings);
	if (file->flags)
		problem(findings, BAD_FILE_FLAGS, "file %u: flags 0x%x", i,
			le32(file->flags));
	if (le32(file->mtime_nsec) >= 1000000000U)
		problem(findings, BAD_FILE_TIME, "file %u: %u nanoseconds", i,
			le32(file->mtime_nsec));
	if (le32(file->verity_len) > sizeof(file->verity) ||
	    le32(file->build_id_len) > sizeof(file->build_id))
		problem(findings, BAD_FILE_DIGEST,
			"file %u: digest of %u bytes, build id of %u", i,
			le32(file->verity_len), le32(file->build_id_len));
	if (!digest_ends(file->verity, sizeof(file->verity),
			 le32(file->verity_len)) ||
	    !digest_ends(file->build_id, sizeof(file->build_id),
			 le32(file->build_id_len)))
		problem(findings, BAD_FILE_DIGEST,
			"file %u: bytes behind digest or build id", i);
}

static void check_dup(const struct image *image, __u32 i, const char *what,
		      struct findings *findings)
{
	const struct cxlfork_fd *fds = image_fds(image);
	__u32 same = le32(fds[i].same);

	if (same >= i)
		problem(findings, BAD_FD_SAME,
			"%s: the same as entry %u, a later one", what, same);
	else if (le32(fds[same].flags) & CXLFORK_FD_SAME)
		problem(findings, BAD_FD_SAME,
			"%s: the same as entry %u, a dup as well", what, same);
	else if (fds[i].kind != fds[same].kind)
		problem(findings, BAD_FD_SAME,
			"%s: the same as one of another kind", what);
}

/* What is opened again. */
static void check_opened(const struct image *image, const struct cxlfork_fd *fd,
			 const char *what, struct findings *findings)
{
	bool device = le32(fd->kind) == CXLFORK_FD_CHARDEV;

	check_string(image, what, le32(fd->path), findings);
	if (device != !!fd->rdev)
		problem(findings, BAD_FD_RDEV,
			"%s: device number 0x%x of a %s", what, le32(fd->rdev),
			device ? "device" : "file");
}

static void check_fd(const struct image *image, __u32 i,
		     struct findings *findings)
{
	const struct cxlfork_fd *fd = &image_fds(image)[i];
	__u32 flags = le32(fd->flags), kind = le32(fd->kind);
	char what[32];

	snprintf(what, sizeof(what), "descriptor %u", le32(fd->fd));
	if (le32(fd->fd) > 0x7fffffffU)
		problem(findings, BAD_FD_NUMBER, "%s: no descriptor", what);
	if (i && le32(fd->fd) <= le32(fd[-1].fd))
		problem(findings, BAD_FD_ORDER, "%s: not in ascending order",
			what);
	if (flags & ~(CXLFORK_FD_CLOEXEC | CXLFORK_FD_SAME))
		problem(findings, BAD_FD_FLAGS, "%s: flags 0x%x", what, flags);
	if (kind > CXLFORK_FD_POOL)
		problem(findings, BAD_FD_KIND, "%s: kind %u", what, kind);
	if (flags & CXLFORK_FD_SAME)
		check_dup(image, i, what, findings);
	else if (kind == CXLFORK_FD_REGULAR || kind == CXLFORK_FD_CHARDEV)
		check_opened(image, fd, what, findings);
	if (le64(fd->pos) >> 63)
		problem(findings, BAD_FD_POS, "%s: offset 0x%llx", what,
			le64(fd->pos));
	if (fd->reserved)
		problem(findings, BAD_RESERVED, "%s: reserved word is 0x%x",
			what, le32(fd->reserved));
}

void check_files(const struct image *image, struct findings *findings)
{
	__u32 files = image->sec[CXLFORK_SEC_FILES].nr;
	__u32 vmas = image->sec[CXLFORK_SEC_VMAS].nr;
	__u32 fds = image->sec[CXLFORK_SEC_FDS].nr, i;

	if (image->sec[CXLFORK_SEC_VMAS].data && files > vmas + 1)
		problem(findings, BAD_FILES, "files: %u, of %u mappings",
			files, vmas);
	for (i = 0; i < files; i++)
		check_file(image, i, findings);
	if (fds > MAX_FDS)
		problem(findings, BAD_FDS, "fds: %u of them", fds);
	for (i = 0; i < fds; i++)
		check_fd(image, i, findings);
}
