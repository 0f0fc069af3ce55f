// SPDX-License-Identifier: GPL-2.0
/* cxlfork inspect: as JSON. */
#include <limits.h>

#include "inspect.h"
#include "le.h"

static void add(struct json_object *to, const char *key,
		struct json_object *what)
{
	json_object_object_add(to, key, what);
}

static void add_path(struct json_object *to, const struct image *image,
		     __le32 at)
{
	const char *text = image_string(image, le32(at));

	/* one that is longer is none: there may be many */
	if (text)
		add(to, "path", json_text(text, PATH_MAX));
}

static struct json_object *sections_json(const struct view *view)
{
	struct json_object *list = json_object_new_array(), *item;
	unsigned int i;

	for (i = 0; i < CXLFORK_NR_SECTIONS; i++) {
		const struct cxlfork_section *sec;

		sec = &view->image.header.sections[i];
		item = json_object_new_object();
		json_str(item, "name", section_name(i));
		json_num(item, "offset", le64(sec->offset));
		json_num(item, "length", le64(sec->length));
		json_num(item, "entries", view->image.sec[i].nr);
		json_num(item, "crc", le32(sec->crc));
		json_flag(item, "usable", view->image.sec[i].data);
		json_object_array_add(list, item);
	}
	return list;
}

static struct json_object *vmas_json(const struct view *view)
{
	const struct cxlfork_vma *vma = image_vmas(&view->image);
	struct json_object *list = json_object_new_array(), *item, *names;
	__u32 i, flags, nr = view->image.sec[CXLFORK_SEC_VMAS].nr;
	char perms[5];
	const char *flag;

	for (i = 0; i < nr; i++, vma++) {
		item = json_object_new_object();
		json_hex(item, "start", le64(vma->start));
		json_hex(item, "end", le64(vma->end));
		json_str(item, "perms", vma_perms(vma, perms));
		json_num(item, "pkey", le32(vma->pkey));
		json_num(item, "pgoff", le64(vma->pgoff));
		json_num(item, "pages", view->vma_pages[i]);
		add(item, "label", json_text(vma_label(view, vma), PATH_MAX));
		names = json_object_new_array();
		flags = le32(vma->flags);
		while ((flag = next_vma_flag(&flags)))
			json_object_array_add(names,
					      json_object_new_string(flag));
		add(item, "flags", names);
		json_object_array_add(list, item);
	}
	return list;
}

static struct json_object *files_json(const struct view *view)
{
	const struct cxlfork_file *file = image_files(&view->image);
	struct json_object *list = json_object_new_array(), *item;
	__u32 i;

	for (i = 0; i < view->image.sec[CXLFORK_SEC_FILES].nr; i++, file++) {
		item = json_object_new_object();
		add_path(item, &view->image, file->path);
		json_num(item, "ino", le64(file->ino));
		json_num(item, "size", le64(file->size));
		json_num(item, "mtime", le64(file->mtime));
		json_num(item, "mtime_nsec", le32(file->mtime_nsec));
		json_hex(item, "fs_magic", le64(file->fs_magic));
		json_num(item, "verity_len", le32(file->verity_len));
		json_object_array_add(list, item);
	}
	return list;
}

static struct json_object *fds_json(const struct view *view)
{
	const struct cxlfork_fd *fd = image_fds(&view->image);
	struct json_object *list = json_object_new_array(), *item;
	__u32 i, flags;

	for (i = 0; i < view->image.sec[CXLFORK_SEC_FDS].nr; i++, fd++) {
		flags = le32(fd->flags);
		item = json_object_new_object();
		json_num(item, "fd", le32(fd->fd));
		json_str(item, "kind", fd_kind_name(le32(fd->kind)));
		json_flag(item, "cloexec", flags & CXLFORK_FD_CLOEXEC);
		json_num(item, "open_flags", le32(fd->open_flags));
		json_num(item, "pos", le64(fd->pos));
		if (flags & CXLFORK_FD_SAME)
			json_num(item, "same", le32(fd->same));
		else if (le32(fd->kind) == CXLFORK_FD_REGULAR ||
			 le32(fd->kind) == CXLFORK_FD_CHARDEV)
			add_path(item, &view->image, fd->path);
		json_object_array_add(list, item);
	}
	return list;
}

static struct json_object *leaves_json(const struct view *view)
{
	const struct cxlfork_leaf *leaf = image_leaves(&view->image);
	struct json_object *list = json_object_new_array(), *item;
	__u32 i;

	for (i = 0; i < view->image.sec[CXLFORK_SEC_LEAVES].nr; i++, leaf++) {
		item = json_object_new_object();
		json_hex(item, "addr", le64(leaf->addr));
		json_num(item, "pages", le32(leaf->nr_pages));
		json_flag(item, "whole",
			  le32(leaf->flags) & CXLFORK_LEAF_WHOLE);
		json_flag(item, "huge",
			  le32(leaf->flags) & CXLFORK_LEAF_HUGE);
		json_object_array_add(list, item);
	}
	return list;
}

static struct json_object *task_json(const struct view *view)
{
	const struct cxlfork_task *task = image_task(&view->image);
	struct json_object *object = json_object_new_object();
	const char *cwd;

	if (!task)
		return object;
	cwd = image_string(&view->image, le32(task->cwd));
	if (task->comm[sizeof(task->comm) - 1] == '\0')
		json_str(object, "comm", (const char *)task->comm);
	if (cwd)
		add(object, "cwd", json_text(cwd, PATH_MAX));
	json_num(object, "tid", le32(task->tid));
	json_num(object, "umask", le32(task->umask));
	json_num(object, "payload_max", le32(task->payload_max));
	return object;
}

static struct json_object *parents_json(const struct view *view)
{
	struct json_object *list = json_object_new_array(), *item;
	__u32 i;

	for (i = 0; i < view->image.nr_parents; i++) {
		item = json_object_new_object();
		json_hex(item, "id", view->image.parents[i].id);
		json_flag(item, "usable", view->image.parents[i].image);
		json_num(item, "pages_mapped", view->parent_pages[i]);
		json_object_array_add(list, item);
	}
	return list;
}

static struct json_object *problems_json(const struct findings *findings)
{
	struct json_object *list = json_object_new_array();
	char line[FINDING_LINE];
	size_t i;

	for (i = 0; i < findings_listed(findings); i++)
		json_object_array_add(list, json_text
				      (finding_line(&findings->list[i], line),
				       sizeof(line)));
	return list;
}

void print_view_json(const struct view *view, const struct findings *findings)
{
	const struct cxlfork_ckpt_entry *entry = &view->ckpt.entry;
	const struct cxlfork_image *header = &view->image.header;
	struct json_object *object = json_object_new_object();

	json_hex(object, "id", view->ckpt.id);
	json_str(object, "name", (const char *)entry->name);
	json_str(object, "state", cxlfork_ckpt_state_name(view->ckpt.state));
	json_num(object, "owner", CXLFORK_ID_SLOT(view->ckpt.id));
	json_num(object, "created", le64(entry->created));
	json_num(object, "expires", le64(entry->expires));
	json_num(object, "uid", le32(entry->uid));
	json_num(object, "gid", le32(entry->gid));
	json_num(object, "mode", le32(entry->mode));
	json_num(object, "first", le64(entry->first));
	json_num(object, "extents", view->image.nr_extents);
	json_num(object, "bytes", view->image.size);
	json_hex(object, "phys_base", view->image.phys_base);
	add(object, "kernel", json_text((const char *)header->kernel,
					sizeof(header->kernel)));
	json_hex(object, "xfeatures", le64(header->xfeatures));
	json_num(object, "leaves", view->image.nr_leaves);
	json_num(object, "leaves_whole", view->whole);
	json_num(object, "leaves_huge", view->huge);
	json_num(object, "leaves_off", view->image.leaves_off);
	json_num(object, "pages", view->image.nr_pages);
	json_num(object, "pages_dirty", view->dirty);
	json_num(object, "data_off", view->image.data_off);
	add(object, "task", task_json(view));
	add(object, "sections", sections_json(view));
	add(object, "vmas", vmas_json(view));
	add(object, "files", files_json(view));
	add(object, "fds", fds_json(view));
	add(object, "parents", parents_json(view));
	if (view->leaves)
		add(object, "leaf_tables", leaves_json(view));
	add(object, "problems", problems_json(findings));
	print_json(object);
}
