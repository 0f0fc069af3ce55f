// SPDX-License-Identifier: GPL-2.0
/*
 * The node's network: lo; eth0, the private network of the lab's nodes; and
 * lab0, over which the host reaches the agent and nothing else.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab-guest.h"

/* Third byte of the hardware address tells the two interfaces apart. */
#define MAC_NODES	0x77
#define MAC_CONTROL	0x78

static int set_addr(int s, const char *name, unsigned long what,
		    const char *text)
{
	struct ifreq ifr = {};
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	in->sin_family = AF_INET;
	if (inet_pton(AF_INET, text, &in->sin_addr) != 1)
		return -1;
	return ioctl(s, what, &ifr);
}

static int set_up(int s, const char *name)
{
	struct ifreq ifr = {};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(s, SIOCGIFFLAGS, &ifr))
		return -1;
	ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(s, SIOCSIFFLAGS, &ifr);
}

/* The interface whose hardware address has this third byte. */
static int by_mac(int s, int byte, char *name, size_t size)
{
	struct ifreq ifr;
	struct dirent *d;
	DIR *dir = opendir("/sys/class/net");
	int found = -1;

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || strlen(d->d_name) >= IFNAMSIZ)
			continue;
		memset(&ifr, 0, sizeof(ifr));
		strcpy(ifr.ifr_name, d->d_name);
		if (ioctl(s, SIOCGIFHWADDR, &ifr) ||
		    (unsigned char)ifr.ifr_hwaddr.sa_data[3] != byte)
			continue;
		snprintf(name, size, "%s", d->d_name);
		found = 0;
		break;
	}
	if (dir)
		closedir(dir);
	return found;
}

static void bring_up(int s, int byte, const char *want, const char *addr)
{
	struct ifreq ifr = {};
	char name[IFNAMSIZ];

	if (by_mac(s, byte, name, sizeof(name))) {
		lab_log("no interface for %s", want);
		return;
	}
	if (strcmp(name, want)) {
		strcpy(ifr.ifr_name, name);
		strcpy(ifr.ifr_newname, want);
		if (ioctl(s, SIOCSIFNAME, &ifr))
			lab_log("cannot rename %s to %s: %s", name, want,
				strerror(errno));
	}
	if (set_addr(s, want, SIOCSIFADDR, addr) ||
	    set_addr(s, want, SIOCSIFNETMASK, "255.255.255.0") ||
	    set_up(s, want))
		lab_log("cannot bring %s up: %s", want, strerror(errno));
}

void lab_network(unsigned int node)
{
	char addr[INET_ADDRSTRLEN];
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0) {
		lab_log("no network: %s", strerror(errno));
		return;
	}
	if (set_up(s, "lo"))
		lab_log("cannot bring lo up: %s", strerror(errno));
	snprintf(addr, sizeof(addr), "10.77.0.%u", (node + 1) % 256);
	bring_up(s, MAC_CONTROL, "lab0", LAB_CTL_ADDR);
	bring_up(s, MAC_NODES, "eth0", addr);
	close(s);
}
