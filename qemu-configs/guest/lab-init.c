// SPDX-License-Identifier: GPL-2.0
/*
 * Process 1 of a lab node, from an initramfs: puts the read-only image under
 * a tmpfs overlay, mounts what a small system needs, brings the network up
 * and becomes the agent. Anything that fails is said on the console; only
 * a missing root is fatal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "lab-guest.h"

/* Through printk, so that it stays in order with the kernel's own lines. */
void lab_log(const char *fmt, ...)
{
	char line[512] = "<5>lab: ";
	size_t head = strlen(line);
	va_list ap;
	int n, fd;

	va_start(ap, fmt);
	n = vsnprintf(line + head, sizeof(line) - head - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	strcat(line, "\n");
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		fputs(line + 3, stderr);
	if (fd >= 0)
		close(fd);
}

/* The value of name=... on the kernel command line. */
int lab_param(const char *name, char *buf, size_t size)
{
	char line[4096], *word, *save = NULL;
	size_t len = strlen(name);
	ssize_t n;
	int fd;

	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n < 0)
		return -1;
	line[n] = '\0';
	for (word = strtok_r(line, "\n ", &save); word;
	     word = strtok_r(NULL, "\n ", &save)) {
		if (!strncmp(word, name, len) && word[len] == '=') {
			snprintf(buf, size, "%s", word + len + 1);
			return 0;
		}
	}
	return -1;
}

static void fatal(const char *what)
{
	lab_log("FATAL: %s: %s", what, strerror(errno));
	sleep(1);
	exit(1);	/* the kernel panics, and QEMU ends (panic=-1) */
}

static int mnt(const char *src, const char *dir, const char *type,
	       unsigned long flags, const char *data)
{
	mkdir(dir, 0755);
	if (!mount(src, dir, type, flags, data))
		return 0;
	lab_log("cannot mount %s at %s: %s", src, dir, strerror(errno));
	return -1;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		lab_log("cannot write %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void mount_root(void)
{
	struct timespec tick = { .tv_nsec = 5000000 };
	int i;

	mnt("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
	mnt("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
	mnt("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
	for (i = 0; i < 2000 && access("/dev/vda", F_OK); i++)
		nanosleep(&tick, NULL);
	if (mnt("/dev/vda", "/image", "squashfs", MS_RDONLY, NULL))
		fatal("no root image");
	mnt("tmpfs", "/rw", "tmpfs", 0, "mode=0755");
	mkdir("/rw/upper", 0755);
	mkdir("/rw/work", 0755);
	if (mnt("overlay", "/root", "overlay", 0,
		"lowerdir=/image,upperdir=/rw/upper,workdir=/rw/work"))
		fatal("no root");
	if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) ||
	    mount("/proc", "/root/proc", NULL, MS_MOVE, NULL) ||
	    mount("/sys", "/root/sys", NULL, MS_MOVE, NULL))
		fatal("cannot move /dev, /proc or /sys");
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) ||
	    chroot(".") || chdir("/"))
		fatal("cannot enter the root");
}

static void mount_rest(void)
{
	static const char p9[] = "trans=virtio,version=9p2000.L,msize=512000";
	struct utsname uts;
	char data[256], dir[128];

	mnt("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
	    "mode=0620,gid=5,ptmxmode=0666");
	mnt("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	mnt("mqueue", "/dev/mqueue", "mqueue", 0, NULL);
	mnt("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
	mnt("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	mnt("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	mnt("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mnt("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	mnt("configfs", "/sys/kernel/config", "configfs", 0, NULL);

	/* Nodes see each other's writes at once: nothing cached but mmap. */
	snprintf(data, sizeof(data), "%s,cache=mmap,access=client", p9);
	mnt("share", "/share", "9p", 0, data);
	/* What the host built: cached, it does not change under a command. */
	snprintf(data, sizeof(data), "%s,cache=mmap", p9);
	mkdir("/opt", 0755);
	mnt("tools", "/opt/cxlfork", "9p", MS_RDONLY, data);
	/* found without LD_LIBRARY_PATH, by which each program looks for each library */
	if (symlink("/opt/cxlfork/lib/libcxlfork.so.1", "/usr/lib/libcxlfork.so.1"))
		lab_log("no libcxlfork in /usr/lib: %s", strerror(errno));
	if (!uname(&uts)) {
		mkdir("/lib/modules", 0755);
		snprintf(dir, sizeof(dir), "/lib/modules/%s", uts.release);
		mnt("modules", dir, "9p", MS_RDONLY, data);
	}
}

static void settings(unsigned int node)
{
	char text[1024], *at = text;
	int i;

	snprintf(text, sizeof(text), "node%u", node);
	if (sethostname(text, strlen(text)))
		lab_log("cannot set the host name: %s", strerror(errno));
	strcat(text, "\n");
	put("/etc/hostname", text);
	at += sprintf(at, "127.0.0.1 localhost\n");
	for (i = 0; i < 16; i++)
		at += sprintf(at, "10.77.0.%d node%d\n", i + 1, i);
	put("/etc/hosts", text);

	put("/proc/sys/kernel/core_pattern", "/tmp/core.%e.%p");
	put("/proc/sys/kernel/panic_on_oops", "0");
	put("/proc/sys/kernel/panic_on_warn", "0");
	put("/sys/fs/cgroup/cgroup.subtree_control", "+memory +cpu +pids +cpuset");
	put("/proc/self/oom_score_adj", "-1000");
}

int main(int argc, char **argv)
{
	struct rlimit core = { 0, RLIM_INFINITY };
	struct timespec now;
	char text[16] = "0";
	unsigned int node;

	(void)argc;
	(void)argv;
	umask(022);
	mount_root();
	lab_param("lab.node", text, sizeof(text));
	node = strtoul(text, NULL, 10);
	mount_rest();
	settings(node);
	lab_network(node);
	setrlimit(RLIMIT_CORE, &core);
	clock_gettime(CLOCK_MONOTONIC, &now);
	lab_log("node%u is up after %ld.%02ld s", node, (long)now.tv_sec,
		now.tv_nsec / 10000000);
	lab_agent();
	return 1;
}
