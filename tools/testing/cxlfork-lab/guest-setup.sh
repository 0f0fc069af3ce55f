#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: guest-setup.sh [format]
#
# Runs in a node: makes the CXL region, loads cxl_fork and binds it. With format
# the pool is formatted where it is not. Succeeds when this host is attached.
set -eu

set -- "${1:-attach}" $(cxlfork-region)
what=$1
dax=$2

if [ ! -e /sys/bus/dax/drivers/cxl_fork ]; then
	modprobe cxl_fork
fi
if [ ! -e "/sys/bus/dax/drivers/cxl_fork/$dax" ]; then
	echo "$dax" >/sys/bus/dax/drivers/cxl_fork/new_id
	[ -e "/sys/bus/dax/drivers/cxl_fork/$dax" ] ||
		echo "$dax" >/sys/bus/dax/drivers/cxl_fork/bind
fi
# the test files of ext4, for direct I/O
i=0
while [ ! -e /dev/cxlfork ]; do
	i=$((i + 1))
	[ "$i" -lt 50 ] || {
		echo "no /dev/cxlfork" >&2
		exit 1
	}
	sleep 0.1
done

if [ "$what" = format ]; then
	cxlfork pool format
fi
i=0
until cxlfork pool status >/tmp/pool-status 2>&1 && ! grep -qi unformatted /tmp/pool-status; do
	i=$((i + 1))
	[ "$i" -lt 50 ] || {
		cat /tmp/pool-status >&2
		exit 1
	}
	sleep 0.1
done
