// SPDX-License-Identifier: GPL-2.0
/* Paths: the kernel pins memory for I/O. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "cxlfork_fixture.h"
#include "paths.h"

PATH(read_write, "read and write, buffers across leaves")
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	CHECK(fd >= 0);
	see_ret(p, "write", write(fd, p->anon + LEAF - 5 * PAGE, LEAF));
	see_ret(p, "read", pread(fd, p->anon + 3 * LEAF - 77, LEAF, 3));
	see_ret(p, "read, huge", pread(fd, p->huge + 9, LEAF, 0));
	see_ret(p, "read, read-only", pread(fd, p->mixed + MIXED_RO, PAGE, 0));
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_mem(p, "huge", p->huge, HUGE_LEN);
}

PATH(vmsplice_tee, "vmsplice, tee, splice; also as a gift")
{
	struct iovec iov = { p->anon + LEAF - 2 * PAGE, 4 * PAGE };
	static unsigned char buf[4 * PAGE];
	int a[2], b[2];

	CHECK(!pipe(a) && !pipe(b));
	see_ret(p, "vmsplice", vmsplice(a[1], &iov, 1, 0));
	see_ret(p, "tee", tee(a[0], b[1], 4 * PAGE, 0));
	/* What is in the pipe is what was there: it may follow later writes, and need not. */
	see_ret(p, "read", read(a[0], buf, sizeof(buf)));
	see_mem(p, "spliced", buf, sizeof(buf));
	see_ret(p, "read", read(b[0], buf, sizeof(buf)));
	see_mem(p, "teed", buf, sizeof(buf));
	iov.iov_base = p->anon + 2 * LEAF;
	see_ret(p, "gift", vmsplice(a[1], &iov, 1, SPLICE_F_GIFT));
	see_ret(p, "splice", splice(a[0], NULL, b[1], NULL, 4 * PAGE, SPLICE_F_MOVE));
	see_ret(p, "munmap", munmap(p->anon + 2 * LEAF, LEAF));
	see_ret(p, "read", read(b[0], buf, sizeof(buf)));
	see_mem(p, "given", buf, sizeof(buf));
	see_mem(p, "anon", p->anon, 2 * LEAF);
	iov = (struct iovec){ buf, sizeof(buf) };
	see_ret(p, "into", write(a[1], buf, sizeof(buf)));
	iov.iov_base = p->anon + 3 * LEAF + 5 * PAGE;
	see_ret(p, "vmsplice from a pipe", vmsplice(a[0], &iov, 1, 0));
	see_mem(p, "anon", p->anon + 3 * LEAF, 3 * LEAF);
}

PATH(direct_io, "O_DIRECT: read into memory, written from it")
{
	const char *dir = getenv("CXLFORK_DIRECT_DIR");
	char name[128];
	int fd;

	if (!dir)
		path_skip(p, "CXLFORK_DIRECT_DIR is not set");
	snprintf(name, sizeof(name), "%s/direct", dir);
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
	if (fd < 0)
		path_skip(p, "%s: %s", name, strerrorname_np(errno));
	see_ret(p, "write", pwrite(fd, p->anon + LEAF - 8 * PAGE, 16 * PAGE, 0));
	see_ret(p, "write, huge", pwrite(fd, p->huge + LEAF - 8 * PAGE, 16 * PAGE, 16 * PAGE));
	see_ret(p, "read", pread(fd, p->anon + 3 * LEAF - 8 * PAGE, 32 * PAGE, 0));
	see_ret(p, "read, huge", pread(fd, p->huge + 5 * PAGE, 32 * PAGE, 0));
	see_ret(p, "read, sparse", pread(fd, p->sparse + PAGE, 9 * PAGE, 0));
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_mem(p, "huge", p->huge, HUGE_LEN);
	see_mem(p, "sparse", p->sparse, SPARSE_LEN);
	close(fd);
	unlink(name);
}

/* As little of io_uring as will do: one entry at a time. */
struct ring {
	int			fd;
	struct io_uring_params	params;
	char			*sq, *cq;
	struct io_uring_sqe	*sqe;
};

static bool ring_open(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = syscall(SYS_io_uring_setup, 1, &r->params);
	if (r->fd < 0)
		return false;
	r->sq = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqe = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQES);
	return r->sq != MAP_FAILED && r->cq != MAP_FAILED && r->sqe != MAP_FAILED;
}

static int ring_do(struct ring *r, int op, int fd, void *buf, unsigned int len, off_t at)
{
	volatile uint32_t *tail = (uint32_t *)(r->sq + r->params.sq_off.tail);
	volatile uint32_t *head = (uint32_t *)(r->cq + r->params.cq_off.head);
	uint32_t *array = (uint32_t *)(r->sq + r->params.sq_off.array);
	uint32_t mask = *(uint32_t *)(r->cq + r->params.cq_off.ring_mask);
	struct io_uring_cqe *cqe = (struct io_uring_cqe *)(r->cq + r->params.cq_off.cqes);
	int res;

	*r->sqe = (struct io_uring_sqe){ .opcode = op, .fd = fd, .addr = (uintptr_t)buf,
					 .len = len, .off = at, .buf_index = 0 };
	array[0] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	CHECK(syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	res = cqe[*head & mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return res;
}

PATH(io_uring_fixed, "io_uring: registered buffers, a pin that outlives munmap")
{
	struct iovec iov = { p->anon + LEAF - 4 * PAGE, 8 * PAGE };
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600), i;
	unsigned char *at = iov.iov_base;
	struct ring r;

	CHECK(fd >= 0);
	if (!ring_open(&r))
		path_skip(p, "io_uring: %s", strerrorname_np(errno));
	see_ret(p, "register", syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS,
				       &iov, 1));
	see(p, "write: %d", ring_do(&r, IORING_OP_WRITE_FIXED, fd, at, 8 * PAGE, 0));
	/* The buffer and the mapping are the same memory. */
	memset(at + PAGE, 0x11, PAGE);
	see(p, "write: %d", ring_do(&r, IORING_OP_WRITE_FIXED, fd, at, 8 * PAGE, 8 * PAGE));
	see(p, "read: %d", ring_do(&r, IORING_OP_READ_FIXED, fd, at + 2 * PAGE, 4 * PAGE,
				   9 * PAGE));
	see_mem(p, "anon", p->anon, ANON_LEN);
	see_ret(p, "munmap", munmap(at, 8 * PAGE));
	see(p, "write: %d", ring_do(&r, IORING_OP_WRITE_FIXED, fd, at, 8 * PAGE, 16 * PAGE));
	see(p, "mmap: %d", mmap(at, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
				MAP_FIXED_NOREPLACE, -1, 0) == at);
	for (i = 0; i < 3; i++) {
		see_ret(p, "read", pread(fd, at, 8 * PAGE, i * 8 * PAGE));
		see_mem(p, "written", at, 8 * PAGE);
	}
	see_ret(p, "unregister", syscall(SYS_io_uring_register, r.fd, IORING_UNREGISTER_BUFFERS,
					 NULL, 0));
	close(r.fd);
}

TEST_HARNESS_MAIN
