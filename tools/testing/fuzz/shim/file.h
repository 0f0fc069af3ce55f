/* SPDX-License-Identifier: GPL-2.0 */
/* Descriptors that are made and used, one at a time; and what user space gives. */
#ifndef SHIM_FILE_H
#define SHIM_FILE_H

#include "types.h"

struct cred;
struct file;
struct inode;

struct path {
	void *dentry;
};

struct kiocb {
	struct file *ki_filp;
};

/* Bytes of the user's that are still to be read or written. */
struct iov_iter {
	u8 *at;
	size_t left;
};

struct file_operations {
	struct module *owner;
	ssize_t (*read_iter)(struct kiocb *iocb, struct iov_iter *to);
	ssize_t (*write_iter)(struct kiocb *iocb, struct iov_iter *from);
	void *splice_read, *splice_write;
	long (*unlocked_ioctl)(struct file *file, unsigned int cmd, unsigned long arg);
	void *compat_ioctl;
	int (*release)(struct inode *inode, struct file *file);
};

struct file {
	const struct cred *f_cred;
	struct path f_path;
	bool privileged;
	const struct file_operations *f_op;
	void *private_data;
};

#define copy_splice_read	NULL
#define iter_file_splice_write	NULL
#define compat_ptr_ioctl	NULL

/* What was installed as a descriptor last. */
extern struct file *shim_file;
#define SHIM_FD			7
struct file *anon_inode_getfile(const char *name, const struct file_operations *fops,
				void *priv, int flags);
void fput(struct file *file);
#define get_unused_fd_flags(flags) SHIM_FD
#define put_unused_fd(fd)	((void)(fd))
#define fd_install(fd, file)	((void)(fd), shim_file = (file))
#define file_inode(file)	((struct inode *)NULL)
#define stream_open(inode, file) ((void)(inode), (void)(file))

#define iov_iter_count(iter)	((iter)->left)
static inline size_t copy_from_iter(void *to, size_t len, struct iov_iter *from)
{
	len = min_t(size_t, len, from->left);
	memcpy(to, from->at, len);
	from->at += len;
	from->left -= len;
	return len;
}

static inline size_t copy_to_iter(const void *from, size_t len, struct iov_iter *to)
{
	len = min_t(size_t, len, to->left);
	memcpy(to->at, from, len);
	to->at += len;
	to->left -= len;
	return len;
}

#endif /* SHIM_FILE_H */
