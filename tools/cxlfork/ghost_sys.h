/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System calls and a start without libc, for cxlfork-ghost: a ghost is to be
 * as small as can be.  Each returns a negative errno when it fails.
 */
#ifndef CXLFORK_GHOST_SYS_H
#define CXLFORK_GHOST_SYS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <linux/types.h>

#include "util.h"

static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile ("syscall" : "=a" (ret)
			  : "a" (nr), "D" (a), "S" (b), "d" (c), "r" (r10),
			    "r" (r8), "r" (r9)
			  : "rcx", "r11", "memory");
	return ret;
}

static inline long sys3(long nr, long a, long b, long c)
{
	return sys6(nr, a, b, c, 0, 0, 0);
}

static inline int sys_socket(int family, int type)
{
	return sys3(SYS_socket, family, type, 0);
}

static inline int sys_bind(int fd, const struct sockaddr_un *addr, int size)
{
	return sys3(SYS_bind, fd, (long)addr, size);
}

static inline int sys_connect(int fd, const struct sockaddr_un *addr, int size)
{
	return sys3(SYS_connect, fd, (long)addr, size);
}

static inline int sys_listen(int fd, int backlog)
{
	return sys3(SYS_listen, fd, backlog, 0);
}

static inline int sys_accept(int fd, int flags)
{
	return sys6(SYS_accept4, fd, 0, 0, flags, 0, 0);
}

static inline int sys_getsockopt(int fd, int name, void *value, int *size)
{
	return sys6(SYS_getsockopt, fd, SOL_SOCKET, name, (long)value,
		    (long)size, 0);
}

static inline int sys_setsockopt(int fd, int name, const void *value, int size)
{
	return sys6(SYS_setsockopt, fd, SOL_SOCKET, name, (long)value, size, 0);
}

static inline long sys_recvmsg(int fd, struct msghdr *message, int flags)
{
	return sys3(SYS_recvmsg, fd, (long)message, flags);
}

static inline long sys_send(int fd, const void *from, size_t size, int flags)
{
	return sys6(SYS_sendto, fd, (long)from, size, flags, 0, 0);
}

static inline long sys_write(int fd, const void *from, size_t size)
{
	return sys3(SYS_write, fd, (long)from, size);
}

static inline int sys_close(int fd)
{
	return sys3(SYS_close, fd, 0, 0);
}

static inline int sys_lstat(const char *path, struct stat *to)
{
	return sys3(SYS_lstat, (long)path, (long)to, 0);
}

static inline int sys_unlink(const char *path)
{
	return sys3(SYS_unlink, (long)path, 0, 0);
}

static inline int sys_umask(int mask)
{
	return sys3(SYS_umask, mask, 0, 0);
}

static inline uid_t sys_geteuid(void)
{
	return sys3(SYS_geteuid, 0, 0, 0);
}

static inline __noreturn void sys_exit(int status)
{
	for (;;)
		sys3(SYS_exit_group, status, 0, 0);
}

/* The stack as the kernel leaves it: argc, argv[], NULL. */
__noreturn __used void ghost_start(const long *stack);

__asm__ (".globl _start\n"
	 "_start:\n"
	 "	xor %ebp, %ebp\n"
	 "	mov %rsp, %rdi\n"
	 "	and $-16, %rsp\n"
	 "	call ghost_start\n");

#endif /* CXLFORK_GHOST_SYS_H */
