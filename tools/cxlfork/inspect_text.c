// SPDX-License-Identifier: GPL-2.0
/* cxlfork inspect: for people. */
#include <stdio.h>
#include <string.h>

#include "inspect.h"
#include "le.h"

static const struct {
	__u32		flag;
	const char	*name;
} flag_names[] = {
	{ CXLFORK_VMA_GROWSDOWN, "growsdown" },
	{ CXLFORK_VMA_NORESERVE, "noreserve" },
	{ CXLFORK_VMA_HUGEPAGE, "hugepage" },
	{ CXLFORK_VMA_NOHUGEPAGE, "nohugepage" },
	{ CXLFORK_VMA_WIPEONFORK, "wipeonfork" },
	{ CXLFORK_VMA_DROPPABLE, "droppable" },
	{ CXLFORK_VMA_DONTDUMP, "dontdump" },
	{ CXLFORK_VMA_SEQ_READ, "sequential" },
	{ CXLFORK_VMA_RAND_READ, "random" },
	{ CXLFORK_VMA_SEALED, "sealed" },
};

const char *fd_kind_name(__u32 kind)
{
	static const char * const names[] = {
		[CXLFORK_FD_HANDOVER]	= "handover",
		[CXLFORK_FD_REGULAR]	= "regular",
		[CXLFORK_FD_CHARDEV]	= "chardev",
		[CXLFORK_FD_POOL]	= "pool",
	};

	return kind < ARRAY_SIZE(names) ? names[kind] : "?";
}

const char *vma_perms(const struct cxlfork_vma *vma, char *buf)
{
	__u32 flags = le32(vma->flags);

	buf[0] = flags & CXLFORK_VMA_READ ? 'r' : '-';
	buf[1] = flags & CXLFORK_VMA_WRITE ? 'w' : '-';
	buf[2] = flags & CXLFORK_VMA_EXEC ? 'x' : '-';
	buf[3] = flags & CXLFORK_VMA_MAYSHARE ? 's' : 'p';
	buf[4] = '\0';
	return buf;
}

const char *next_vma_flag(__u32 *flags)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flag_names); i++) {
		if (*flags & flag_names[i].flag) {
			*flags &= ~flag_names[i].flag;
			return flag_names[i].name;
		}
	}
	return NULL;
}

static const char *string_of(const struct image *image, __le32 at, char *buf)
{
	const char *text = image_string(image, le32(at));

	return text ? printable(buf, text, PRINTABLE_MAX) : "?";
}

const char *vma_label(const struct view *view, const struct cxlfork_vma *vma)
{
	const struct image *image = &view->image;
	const struct cxlfork_mm_state *mm = image_mm(image);
	__u64 start = le64(vma->start), end = le64(vma->end);
	__u32 file = le32(vma->file);

	if (file < image->sec[CXLFORK_SEC_FILES].nr)
		return image_string(image,
				    le32(image_files(image)[file].path)) ?: "?";
	if (!mm)
		return "";
	if (start < le64(mm->brk) && end > le64(mm->start_brk))
		return "[heap]";
	if (start <= le64(mm->start_stack) && end > le64(mm->start_stack))
		return "[stack]";
	return "";
}

static void print_header(const struct view *view)
{
	const struct cxlfork_image *header = &view->image.header;
	const struct cxlfork_ckpt_entry *entry = &view->ckpt.entry;
	const struct cxlfork_task *task = image_task(&view->image);
	char text[PRINTABLE_MAX], when[TIME_TEXT_MAX], size[HUMAN_MAX];
	char cwd[PRINTABLE_MAX];
	__u32 i;

	printf("checkpoint 0x%llx", view->ckpt.id);
	if (entry->name[0])
		printf(" `%s'", printable(text, (const char *)entry->name,
					  sizeof(entry->name)));
	printf(", %s, created %s by uid %u gid %u, mode %04o\n",
	       cxlfork_ckpt_state_name(view->ckpt.state),
	       time_text(when, le64(entry->created)), le32(entry->uid),
	       le32(entry->gid), le32(entry->mode));
	if (entry->expires)
		printf("expires %s\n", time_text(when, le64(entry->expires)));
	printf("image at 0x%llx: %u extents, %s, made for base 0x%llx\n",
	       le64(entry->first), view->image.nr_extents,
	       human_size(size, view->image.size), view->image.phys_base);
	printf("kernel %s, xfeatures 0x%llx\n",
	       printable(text, (const char *)header->kernel,
			 sizeof(header->kernel)), le64(header->xfeatures));
	printf("leaves: %llu tables at 0x%llx, %llu of them whole, %llu of 2 MiB pages\n",
	       view->image.nr_leaves, view->image.leaves_off, view->whole,
	       view->huge);
	printf("pages: %llu (%s) at 0x%llx, %llu of them written by the parent\n",
	       view->image.nr_pages,
	       human_size(size, view->image.nr_pages * PAGE_BYTES),
	       view->image.data_off, view->dirty);
	for (i = 0; i < view->image.nr_parents; i++)
		printf("parent: 0x%llx, %llu of its pages are mapped\n",
		       view->image.parents[i].id, view->parent_pages[i]);
	if (task)
		printf("task: %s, was thread %u, cwd %s, payload of up to %u bytes\n",
		       printable(text, (const char *)task->comm,
				 sizeof(task->comm)), le32(task->tid),
		       string_of(&view->image, task->cwd, cwd),
		       le32(task->payload_max));
}

static void print_sections(const struct view *view)
{
	unsigned int i;

	printf("\n%-12s %10s %10s %8s %10s\n", "SECTION", "OFFSET", "BYTES",
	       "ENTRIES", "CRC");
	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		const struct cxlfork_section *sec;

		sec = &view->image.header.sections[i];
		printf("%-12s 0x%08llx %10llu %8u 0x%08x%s\n", section_name(i),
		       le64(sec->offset), le64(sec->length),
		       view->image.sec[i].nr, le32(sec->crc),
		       view->image.sec[i].data ? "" : " UNUSABLE");
	}
}

static void print_vmas(const struct view *view)
{
	const struct cxlfork_vma *vma = image_vmas(&view->image);
	__u32 i, flags, nr = view->image.sec[CXLFORK_SEC_VMAS].nr;
	char perms[5], label[PRINTABLE_MAX];
	const char *flag;

	printf("\n%-31s PERM %4s %10s %8s\n", "VMA", "PKEY", "OFFSET",
	       "PAGES");
	for (i = 0; i < nr; i++, vma++) {
		printf("%15llx-%-15llx %s %4u 0x%08llx %8llu %s",
		       le64(vma->start), le64(vma->end),
		       vma_perms(vma, perms), le32(vma->pkey),
		       le64(vma->pgoff), view->vma_pages[i],
		       printable(label, vma_label(view, vma), PRINTABLE_MAX));
		flags = le32(vma->flags);
		while ((flag = next_vma_flag(&flags)))
			printf(" %s", flag);
		putchar('\n');
	}
}

static void print_files(const struct view *view)
{
	const struct cxlfork_file *file = image_files(&view->image);
	const struct cxlfork_fd *fd = image_fds(&view->image);
	char path[PRINTABLE_MAX], when[TIME_TEXT_MAX];
	__u32 i;

	printf("\n%-6s %10s %-20s %10s PATH\n", "FILE", "INODE", "MODIFIED",
	       "BYTES");
	for (i = 0; i < view->image.sec[CXLFORK_SEC_FILES].nr; i++, file++)
		printf("%-6u %10llu %-20s %10llu %s\n", i, le64(file->ino),
		       time_text(when, le64(file->mtime)),
		       le64(file->size),
		       string_of(&view->image, file->path, path));

	printf("\n%-6s %-9s %10s %10s PATH\n", "FD", "KIND", "FLAGS", "OFFSET");
	for (i = 0; i < view->image.sec[CXLFORK_SEC_FDS].nr; i++, fd++) {
		__u32 kind = le32(fd->kind);
		bool opened = kind == CXLFORK_FD_REGULAR ||
			      kind == CXLFORK_FD_CHARDEV;

		printf("%-6u %-9s 0%-9o %10llu", le32(fd->fd),
		       fd_kind_name(kind), le32(fd->open_flags),
		       le64(fd->pos));
		if (le32(fd->flags) & CXLFORK_FD_SAME)
			printf(" the same as entry %u", le32(fd->same));
		else if (opened)
			printf(" %s", string_of(&view->image, fd->path, path));
		putchar('\n');
	}
}

static void print_leaves(const struct view *view)
{
	const struct cxlfork_leaf *leaf = image_leaves(&view->image);
	__u32 i;

	printf("\n%-6s %-16s %5s\n", "LEAF", "ADDRESS", "PAGES");
	for (i = 0; i < view->image.sec[CXLFORK_SEC_LEAVES].nr; i++, leaf++)
		printf("%-6u %-16llx %5u%s%s\n", i, le64(leaf->addr),
		       le32(leaf->nr_pages),
		       le32(leaf->flags) & CXLFORK_LEAF_WHOLE ? " whole" : "",
		       le32(leaf->flags) & CXLFORK_LEAF_HUGE ? " huge" : "");
}

void print_view(const struct view *view, const struct findings *findings)
{
	char line[FINDING_LINE];
	size_t i;

	print_header(view);
	print_sections(view);
	print_vmas(view);
	print_files(view);
	if (view->leaves)
		print_leaves(view);
	if (findings->nr)
		printf("\nDAMAGED, %zu problems:\n", findings->nr);
	for (i = 0; i < findings_listed(findings); i++)
		printf("  %s\n", finding_line(&findings->list[i], line));
}
