// SPDX-License-Identifier: GPL-2.0
/*
 * The open descriptors of the process that is checkpointed: recipes to open
 * them again.
 */
#include <linux/cxlfork.h>
#include <linux/fdtable.h>
#include <linux/filelock.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <linux/sched/signal.h>

static bool cxlfork_handed_over(const struct cxlfork_request *req, int fd)
{
	u32 i;

	if (fd <= 2)
		return true;
	for (i = 0; i < req->nr_handover; i++)
		if (req->handover[i] == fd)
			return true;
	return false;
}

/* /dev/null and its kin: no state, the same everywhere. */
static bool cxlfork_plain_device(dev_t rdev)
{
	if (MAJOR(rdev) != MEM_MAJOR)
		return false;
	switch (MINOR(rdev)) {
	case 3:	/* null */
	case 5:	/* zero */
	case 7:	/* full */
	case 8:	/* random */
	case 9:	/* urandom */
		return true;
	}
	return false;
}

static const char *cxlfork_file_kind(struct file *file)
{
	switch (file_inode(file)->i_mode & S_IFMT) {
	case S_IFSOCK:
		return "a socket";
	case S_IFIFO:
		return "a pipe";
	case S_IFCHR:
		return "a character device";
	case S_IFBLK:
		return "a block device";
	}
	return "no regular file";
}

static void cxlfork_fd_obstacle(struct cxlfork_snapshot *snap, int fd,
				struct file *file, const char *why)
{
	if (file->f_path.dentry->d_name.len)
		cxlfork_report(&snap->req->log, CXLFORK_REASON_FD, fd, 0, 0,
			       file_inode(file)->i_mode,
			       "descriptor %d (%pD) is %s: close it or hand it over",
			       fd, file, why);
	else
		cxlfork_report(&snap->req->log, CXLFORK_REASON_FD, fd, 0, 0,
			       file_inode(file)->i_mode,
			       "descriptor %d is %s: close it or hand it over", fd, why);
}

/* Does a lock on the file belong to this process or this open file? */
static bool cxlfork_is_locked(struct file *file)
{
	struct file_lock_context *ctx = locks_inode_context(file_inode(file));
	struct file_lock_core *lock;
	bool found = false;

	if (!ctx)
		return false;
	spin_lock(&ctx->flc_lock);
	list_for_each_entry(lock, &ctx->flc_posix, flc_list)
		found |= lock->flc_owner == current->files || lock->flc_owner == file;
	list_for_each_entry(lock, &ctx->flc_flock, flc_list)
		found |= lock->flc_file == file;
	list_for_each_entry(lock, &ctx->flc_lease, flc_list)
		found |= lock->flc_file == file;
	spin_unlock(&ctx->flc_lock);
	return found;
}

/* Fill in how to get @file again; an obstacle is noted. */
static int cxlfork_snapshot_open_file(struct cxlfork_snapshot *snap, int fd,
				      struct file *file, struct cxlfork_fd *out)
{
	struct inode *inode = file_inode(file);
	int ret;

	if (file->f_op == snap->req->pool->fops) {
		out->kind = cpu_to_le32(CXLFORK_FD_POOL);
		return 0;
	}
	if (S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode)) {
		if (inode->i_sb->s_magic == PROC_SUPER_MAGIC) {
			cxlfork_fd_obstacle(snap, fd, file, "a file of /proc");
			return 0;
		}
		if (cxlfork_is_locked(file)) {
			cxlfork_fd_obstacle(snap, fd, file, "a file that is locked");
			return 0;
		}
		out->kind = cpu_to_le32(CXLFORK_FD_REGULAR);
	} else if (S_ISCHR(inode->i_mode) && cxlfork_plain_device(inode->i_rdev)) {
		out->kind = cpu_to_le32(CXLFORK_FD_CHARDEV);
		out->rdev = cpu_to_le32(new_encode_dev(inode->i_rdev));
	} else {
		cxlfork_fd_obstacle(snap, fd, file, cxlfork_file_kind(file));
		return 0;
	}
	ret = cxlfork_snapshot_path(snap, file_user_path(file), &out->path);
	if (ret == -ENOENT) {
		cxlfork_fd_obstacle(snap, fd, file, "a file without a path");
		return 0;
	}
	out->open_flags = cpu_to_le32(file->f_flags & CXLFORK_OPEN_FLAGS);
	out->pos = cpu_to_le64(file->f_pos);
	out->ino = cpu_to_le64(file_user_inode(file)->i_ino);
	return ret;
}

static int cxlfork_snapshot_fd(struct cxlfork_snapshot *snap, int fd, struct file *file)
{
	struct cxlfork_buf *buf = &snap->sec[CXLFORK_SEC_FDS];
	struct cxlfork_fd id = { .path = cpu_to_le32(CXLFORK_NO_STRING) }, *out;
	u32 flags = get_close_on_exec(fd) ? CXLFORK_FD_CLOEXEC : 0;
	unsigned long key = (unsigned long)file / sizeof(file);
	void *known;
	int ret = 0;

	id.fd = cpu_to_le32(fd);
	if (cxlfork_handed_over(snap->req, fd)) {
		id.kind = cpu_to_le32(CXLFORK_FD_HANDOVER);
	} else {
		/* An earlier one of the same open file (dup, dup2)? */
		known = xa_load(&snap->files, key);
		if (known) {
			id.same = cpu_to_le32(xa_to_value(known));
			id.kind = ((struct cxlfork_fd *)buf->data)[xa_to_value(known)].kind;
			flags |= CXLFORK_FD_SAME;
		} else {
			ret = cxlfork_snapshot_open_file(snap, fd, file, &id);
			if (!ret)
				ret = cxlfork_buf_add_file(&snap->opened, file);
			if (!ret)
				ret = xa_err(xa_store(&snap->files, key,
						      xa_mk_value(buf->len / sizeof(*out)),
						      GFP_KERNEL));
		}
	}
	if (ret)
		return ret;
	id.flags = cpu_to_le32(flags);
	out = cxlfork_buf_add(buf, sizeof(*out));
	if (!out)
		return -ENOMEM;
	*out = id;
	return 0;
}

/**
 * cxlfork_snapshot_fds - open descriptors of current
 * @snap:	gets them; obstacles are noted in its log
 *
 * Context: process context; nobody else uses the descriptor table, or the
 * process is refused anyway (threads).
 * Return: 0 or -errno.
 */
int cxlfork_snapshot_fds(struct cxlfork_snapshot *snap)
{
	unsigned int fd = 0;
	int ret = 0;

	for (; !ret; fd++) {
		struct file *file;

		rcu_read_lock();
		file = task_lookup_next_fdget_rcu(current, &fd);
		rcu_read_unlock();
		if (!file)
			break;
		ret = fatal_signal_pending(current) ? -EINTR :
			cxlfork_snapshot_fd(snap, fd, file);
		fput(file);
		cond_resched();
	}
	return ret;
}
