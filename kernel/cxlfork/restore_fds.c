// SPDX-License-Identifier: GPL-2.0
/*
 * The descriptors of a clone: opened again, or handed over by the ghost.
 */
#include <linux/cred.h>
#include <linux/cxlfork.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/resource.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

static const struct cxlfork_fd *cxlfork_fds(const struct cxlfork_restore *r)
{
	return r->template->sec[CXLFORK_SEC_FDS].data;
}

static int cxlfork_handover(struct cxlfork_restore *r, u32 i)
{
	int fd = le32_to_cpu(cxlfork_fds(r)[i].fd), from = fd <= 2 ? fd : -1;
	u32 m;

	for (m = 0; m < r->nr_fd_map; m++)
		if (r->fd_map[m].image_fd == fd)
			from = r->fd_map[m].ghost_fd;
	r->fds[i] = from < 0 ? NULL : fget_raw(from);
	/* 0, 1 and 2 that the ghost has closed are closed in the clone. */
	if (r->fds[i] || (fd <= 2 && from == fd))
		return 0;
	if (from < 0)
		cxlfork_report(&r->log, CXLFORK_REASON_HANDOVER, fd, 0, 0, 0,
			       "descriptor %d has to be handed over", fd);
	else
		cxlfork_report(&r->log, CXLFORK_REASON_HANDOVER, fd, 0, 0, from,
			       "descriptor %d is to be taken over from %d, which is not open",
			       fd, from);
	return -EBADF;
}

static int cxlfork_reopen(struct cxlfork_restore *r, u32 i)
{
	const struct cxlfork_fd *in = &cxlfork_fds(r)[i];
	const char *path = cxlfork_template_string(r->template, in->path);
	bool chardev = le32_to_cpu(in->kind) == CXLFORK_FD_CHARDEV;
	int fd = le32_to_cpu(in->fd);
	struct file *file;

	file = cxlfork_open(path, le32_to_cpu(in->open_flags) & CXLFORK_OPEN_FLAGS,
			    chardev ? le32_to_cpu(in->rdev) : 0);
	if (PTR_ERR_OR_ZERO(file) == -ESTALE)
		cxlfork_report(&r->log, CXLFORK_REASON_FILE_CHANGED, fd, 0, 0, 0,
			       "descriptor %d: %s is another kind of file on this host", fd, path);
	else if (IS_ERR(file))
		cxlfork_report(&r->log, CXLFORK_REASON_FILE, fd, 0, 0, -PTR_ERR(file),
			       "descriptor %d: %s can't be opened on this host (error %ld)",
			       fd, path, -PTR_ERR(file));
	if (IS_ERR(file))
		return PTR_ERR(file);
	r->fds[i] = file;
	if (!chardev && (file->f_mode & FMODE_LSEEK))
		file->f_pos = le64_to_cpu(in->pos);
	return 0;
}

/*
 * The pool's control device: opened anew, so that it says who opened it: the
 * ghost's descriptor may be a gift of somebody more privileged.
 */
static int cxlfork_reopen_pool(struct cxlfork_restore *r, u32 i)
{
	struct file *file = r->pool_file;
	int ret;

	ret = inode_permission(file_mnt_idmap(file), file_inode(file), MAY_READ | MAY_WRITE);
	if (!ret) {
		file = dentry_open(&file->f_path, O_RDWR | O_LARGEFILE, current_cred());
		ret = PTR_ERR_OR_ZERO(file);
	}
	if (!ret)
		r->fds[i] = file;
	else
		cxlfork_report(&r->log, CXLFORK_REASON_FILE, le32_to_cpu(cxlfork_fds(r)[i].fd),
			       0, 0, 0, "the ghost can't open the pool's control device (error %d)",
			       -ret);
	return ret;
}

static int cxlfork_restore_fd(struct cxlfork_restore *r, u32 i)
{
	const struct cxlfork_fd *in = &cxlfork_fds(r)[i];

	if (le32_to_cpu(in->fd) >= rlimit(RLIMIT_NOFILE)) {
		cxlfork_report(&r->log, CXLFORK_REASON_LIMIT, le32_to_cpu(in->fd), 0, 0, 0,
			       "descriptor %d is over RLIMIT_NOFILE", le32_to_cpu(in->fd));
		return -EMFILE;
	}
	if (le32_to_cpu(in->flags) & CXLFORK_FD_SAME) {
		r->fds[i] = r->fds[le32_to_cpu(in->same)];
		if (r->fds[i])
			get_file(r->fds[i]);
		return 0;
	}
	switch (le32_to_cpu(in->kind)) {
	case CXLFORK_FD_HANDOVER:
		return cxlfork_handover(r, i);
	case CXLFORK_FD_POOL:
		return cxlfork_reopen_pool(r, i);
	default:
		return cxlfork_reopen(r, i);
	}
}

static unsigned int cxlfork_max_fds(void)
{
	unsigned int max;

	rcu_read_lock();
	max = files_fdtable(current->files)->max_fds;
	rcu_read_unlock();
	return max;
}

static int cxlfork_expand_table(struct cxlfork_restore *r)
{
	u32 nr = r->template->sec[CXLFORK_SEC_FDS].nr;
	unsigned int last;
	int fd;

	if (!nr)
		return 0;
	last = le32_to_cpu(cxlfork_fds(r)[nr - 1].fd);
	if (last < cxlfork_max_fds())
		return 0;
	fd = f_dupfd(last, r->pool_file, O_CLOEXEC);
	if (fd < 0)
		return fd;
	return close_fd(fd);
}

/* Every descriptor that is handed over has to be wanted. */
static int cxlfork_check_fd_map(struct cxlfork_restore *r)
{
	u32 nr = r->template->sec[CXLFORK_SEC_FDS].nr, m, i;

	for (m = 0; m < r->nr_fd_map; m++) {
		for (i = 0; i < nr; i++)
			if (le32_to_cpu(cxlfork_fds(r)[i].fd) == r->fd_map[m].image_fd)
				break;
		cond_resched();
		if (i < nr && le32_to_cpu(cxlfork_fds(r)[i].kind) == CXLFORK_FD_HANDOVER)
			continue;
		cxlfork_report(&r->log, CXLFORK_REASON_HANDOVER, r->fd_map[m].image_fd, 0, 0,
			       r->fd_map[m].ghost_fd,
			       "descriptor %d is not one that the checkpoint wants handed over",
			       r->fd_map[m].image_fd);
		return -EINVAL;
	}
	return 0;
}

/**
 * cxlfork_restore_fds - open and collect what the clone will have open
 * @r:		the restore; gets the files
 *
 * Context: process context of the ghost, whose descriptors stay as they are.
 * Return: 0 or -errno; the first obstacle is noted.
 */
int cxlfork_restore_fds(struct cxlfork_restore *r)
{
	u32 nr = r->template->sec[CXLFORK_SEC_FDS].nr, i;
	int ret;

	ret = cxlfork_check_fd_map(r);
	if (ret)
		return ret;
	r->fds = kvcalloc(nr + 1, sizeof(*r->fds), GFP_KERNEL);
	if (!r->fds)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		ret = fatal_signal_pending(current) ? -EINTR : cxlfork_restore_fd(r, i);
		if (ret)
			return ret;
		cond_resched();
	}
	return 0;
}

/**
 * cxlfork_restore_own_fds - give the ghost a table of its own, large enough
 * @r:		the restore
 *
 * Installing the clone's descriptors must not fail later.
 *
 * Return: 0 or -errno.
 */
int cxlfork_restore_own_fds(struct cxlfork_restore *r)
{
	int ret = unshare_files();

	return ret ?: cxlfork_expand_table(r);
}

/**
 * cxlfork_restore_install_fds - replace the ghost's descriptors by the clone's
 * @r:		the restore
 *
 * Context: after the point of no return; the table is current's own and large
 * enough, so that nothing fails.
 */
void cxlfork_restore_install_fds(struct cxlfork_restore *r)
{
	u32 nr = r->template->sec[CXLFORK_SEC_FDS].nr, i;
	unsigned int fd, max = cxlfork_max_fds();

	for (fd = 0; fd < max; fd++)
		close_fd(fd);
	for (i = 0; i < nr; i++) {
		const struct cxlfork_fd *in = &cxlfork_fds(r)[i];
		bool cloexec = le32_to_cpu(in->flags) & CXLFORK_FD_CLOEXEC;

		/* Somebody may have lowered RLIMIT_NOFILE just now. */
		if (r->fds[i] && replace_fd(le32_to_cpu(in->fd), r->fds[i],
					    cloexec ? O_CLOEXEC : 0) < 0)
			send_sig(SIGKILL, current, 1);
	}
}
