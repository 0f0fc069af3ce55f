// SPDX-License-Identifier: GPL-2.0
/*
 * Is a file on this host the one that was mapped on another?  Pages of it may
 * come from the image and others from the file: they have to fit together.
 */
#include <linux/buildid.h>
#include <linux/cxlfork.h>
#include <linux/elf.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/stat.h>

/**
 * cxlfork_open - open a file that an image names
 * @path:	absolute, in the caller's root
 * @flags:	O_*; nothing that creates or truncates
 * @rdev:	0: a regular file or a directory is expected; else a character
 *		device of this number (as new_encode_dev() makes it)
 *
 * With the caller's credentials.  Anything else of that name is not opened: it
 * could wait for ever, as a FIFO does, or do something.
 *
 * Context: process context, sleeps.
 * Return: the file, or ERR_PTR; -ESTALE: it is of another kind.
 */
struct file *cxlfork_open(const char *path, int flags, u32 rdev)
{
	struct inode *inode;
	struct file *file;
	struct path found;
	bool same;
	int ret;

	ret = kern_path(path, LOOKUP_FOLLOW, &found);
	if (ret)
		return ERR_PTR(ret);
	inode = d_inode(found.dentry);
	same = rdev ? S_ISCHR(inode->i_mode) && new_encode_dev(inode->i_rdev) == rdev :
	       S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode);
	if (!same) {
		path_put(&found);
		return ERR_PTR(-ESTALE);
	}
	/* Should somebody replace it just now, this does not wait. */
	file = filp_open(path, flags | O_NONBLOCK | O_NOCTTY, 0);
	if (!IS_ERR(file) && d_inode(file_user_path(file)->dentry) != inode) {
		fput(file);
		file = ERR_PTR(-ESTALE);
	}
	path_put(&found);
	if (!IS_ERR(file) && !(flags & O_NONBLOCK)) {
		spin_lock(&file->f_lock);
		file->f_flags &= ~O_NONBLOCK;
		spin_unlock(&file->f_lock);
	}
	return file;
}

#define CXLFORK_NOTES_MAX	1024

/*
 * build_id_parse() wants the page cache of a mapped file; what open() gives on
 * a stacked file system has none.
 */
static int cxlfork_build_id(struct file *file, u8 *id)
{
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	loff_t pos = 0;
	u8 *notes;
	int i, ret = -ENOENT;

	if (kernel_read(file, &ehdr, sizeof(ehdr), &pos) != sizeof(ehdr) ||
	    memcmp(ehdr.e_ident, ELFMAG, SELFMAG) || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr.e_phentsize != sizeof(phdr) || ehdr.e_phnum > 64)
		return -ENOENT;
	notes = kmalloc(CXLFORK_NOTES_MAX, GFP_KERNEL);
	if (!notes)
		return -ENOMEM;
	for (i = 0; ret && i < ehdr.e_phnum; i++) {
		pos = ehdr.e_phoff + i * sizeof(phdr);
		if (kernel_read(file, &phdr, sizeof(phdr), &pos) != sizeof(phdr))
			break;
		if (phdr.p_type != PT_NOTE || phdr.p_filesz > CXLFORK_NOTES_MAX)
			continue;
		pos = phdr.p_offset;
		if (kernel_read(file, notes, phdr.p_filesz, &pos) != phdr.p_filesz)
			break;
		ret = build_id_parse_buf(notes, id, phdr.p_filesz) ? -ENOENT : 0;
	}
	kfree(notes);
	return ret;
}

/**
 * cxlfork_pseudo_file - is it a window on the kernel, though it looks regular?
 * @file:	regular file
 *
 * Mapping such a file may map devices.
 */
bool cxlfork_pseudo_file(struct file *file)
{
	switch (file_inode(file)->i_sb->s_magic) {
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
		return true;
	}
	return false;
}

/**
 * cxlfork_file_identity - what tells whether a file is the same elsewhere
 * @file:	regular file, open for reading
 * @id:		zeroed; gets all but path and flags
 *
 * Context: process context, sleeps.
 * Return: 0 or -errno.
 */
int cxlfork_file_identity(struct file *file, struct cxlfork_file *id)
{
	const struct path *path = file_user_path(file);
	struct inode *inode = d_inode(path->dentry);
	struct kstat stat;
	enum hash_algo alg;
	int len, ret;

	ret = vfs_getattr(path, &stat, STATX_BASIC_STATS, AT_STATX_SYNC_AS_STAT);
	if (ret)
		return ret;
	id->ino = cpu_to_le64(stat.ino);
	id->size = cpu_to_le64(stat.size);
	id->mtime = cpu_to_le64(stat.mtime.tv_sec);
	id->mtime_nsec = cpu_to_le32(stat.mtime.tv_nsec);
	id->fs_magic = cpu_to_le64(inode->i_sb->s_magic);
	memcpy(id->fs_uuid, &inode->i_sb->s_uuid, sizeof(id->fs_uuid));

	len = fsverity_get_digest(inode, id->verity, NULL, &alg);
	id->verity_len = cpu_to_le32(max(len, 0));

	ret = cxlfork_build_id(file, id->build_id);
	if (ret == -ENOMEM)
		return ret;
	if (!ret)
		id->build_id_len = cpu_to_le32(sizeof(id->build_id));
	return 0;
}

/**
 * cxlfork_file_differs - is it another file?
 * @was:	identity in the image
 * @is:		identity here
 *
 * The digest of fs-verity and the build id of a program speak of the content.
 * Size and time of modification have to agree in any case; the inode number
 * where both sides are the same file system.
 *
 * Return: what differs, or NULL.
 */
const char *cxlfork_file_differs(const struct cxlfork_file *was,
				 const struct cxlfork_file *is)
{
	static const u8 none[16];

	if (was->size != is->size)
		return "size";
	if (was->mtime != is->mtime || was->mtime_nsec != is->mtime_nsec)
		return "time of modification";
	if (was->build_id_len != is->build_id_len ||
	    memcmp(was->build_id, is->build_id, sizeof(was->build_id)))
		return "build id";
	if (was->verity_len && (was->verity_len != is->verity_len ||
				memcmp(was->verity, is->verity, sizeof(was->verity))))
		return "fs-verity digest";
	if (memcmp(was->fs_uuid, none, sizeof(none)) &&
	    !memcmp(was->fs_uuid, is->fs_uuid, sizeof(none)) && was->ino != is->ino)
		return "inode number";
	return NULL;
}
