#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: disturb.sh start|run SECONDS|stop|counters
#
# Runs in a node (the stress scenario): everything in the kernel that works on the
# memory of processes by itself is made to work a lot.
# start     zram swap; khugepaged, KSM and NUMA balancing hardly pause; the
#           cgroups stress/wide and stress/tight (which meets the OOM killer);
#           a file system on a block device, for O_DIRECT
# run       reclaim, aging, compaction, dropped caches, readers of /proc; all the time
# stop      as it was before
# counters  what must come back: name and KiB or number
set -u
cgroup=/sys/fs/cgroup/stress
huge=/sys/kernel/mm/transparent_hugepage
ksm=/sys/kernel/mm/ksm
zram=/sys/block/zram0
saved=/run/disturb
direct=/tmp/stress-direct

# put FILE VALUE: where the kernel has it
put() {
	[ -e "$1" ] || return 0
	echo "$2" >"$1"
}

# change FILE VALUE: to be put back by stop
change() {
	[ -e "$1" ] || return 0
	was=$(cat "$1")
	case $was in
	*\[*) was=${was#*\[} was=${was%%\]*} ;;
	esac
	echo "$1 $was" >>$saved
	echo "$2" >"$1"
}

start() {
	: >$saved
	mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
	[ -e $zram/disksize ] || modprobe zram || return 1
	echo 256M >$zram/disksize
	mkswap /dev/zram0 >/dev/null && swapon /dev/zram0 || return 1
	change $huge/khugepaged/scan_sleep_millisecs 100
	change $huge/khugepaged/alloc_sleep_millisecs 0
	change $huge/khugepaged/pages_to_scan 4096
	change $ksm/sleep_millisecs 20
	change $ksm/pages_to_scan 500
	put $ksm/run 1
	change /proc/sys/kernel/numa_balancing 1
	change /sys/kernel/debug/sched/numa_balancing/scan_delay_ms 10
	change /sys/kernel/debug/sched/numa_balancing/scan_period_min_ms 10
	change /sys/kernel/debug/sched/numa_balancing/scan_period_max_ms 100
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir $cgroup || return 1
	echo +memory >$cgroup/cgroup.subtree_control
	mkdir $cgroup/wide $cgroup/tight || return 1
	# 4 MiB are the clone's file; some can be swapped, not all
	echo 12M >$cgroup/tight/memory.max
	echo 1M >$cgroup/tight/memory.swap.max
	# not sparse: its blocks are nobody's who writes there
	mkdir -p $direct && cp --sparse=never /share/ext4 $direct.img &&
		mount -o loop $direct.img $direct
}

figures() { # of some clones
	cat $cgroup/wide/cgroup.procs $cgroup/tight/cgroup.procs | while read -r pid; do
		for file in smaps numa_maps smaps_rollup cxlfork_stat; do
			cat "/proc/$pid/$file"
		done
	done >/dev/null 2>&1
}

age() { # a new generation, of all cgroups; then the oldest is reclaimed
	[ -e /sys/kernel/debug/lru_gen ] || return 0
	awk '/^memcg/ { id = $2 } /^ *node/ { node = $2; last = ""; next }
	     /^ +[0-9]+ / { gen[id " " node] = $1; if (!((id " " node) in min)) min[id " " node] = $1 }
	     END { for (k in gen) { print "+ " k " " gen[k] " 1 1"
				     if (gen[k] > min[k] + 1) print "- " k " " min[k] " 100 50" } }' \
		/sys/kernel/debug/lru_gen 2>/dev/null | while read -r line; do
		echo "$line" >/sys/kernel/debug/lru_gen 2>/dev/null
	done
}

run() {
	end=$(($(cut -d. -f1 /proc/uptime) + $1))
	rounds=0
	while [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ]; do
		# khugepaged without a pause, but not always: the clones want a CPU, too
		put $huge/khugepaged/scan_sleep_millisecs $((rounds % 4 ? 100 : 0))
		figures
		# what can't be reclaimed is an error, EAGAIN
		echo 8M >$cgroup/wide/memory.reclaim 2>/dev/null
		put /proc/sys/vm/compact_memory 1
		age
		put /proc/sys/vm/drop_caches 3
		rounds=$((rounds + 1))
		sleep 0.3
	done
	echo "rounds $rounds"
	# that they have been at work
	grep -E '^(pswpin|pswpout|thp_collapse_alloc|compact_success|numa_hint_faults|ksm_swpin_copy|pgmigrate_success|oom_kill) ' \
		/proc/vmstat
	echo "ksm_full_scans $(cat $ksm/full_scans)"
	echo "khugepaged_full_scans $(cat $huge/khugepaged/full_scans)"
}

stop() {
	rmdir $cgroup/wide $cgroup/tight $cgroup || return 1
	put $ksm/run 2
	put $ksm/run 0
	swapoff /dev/zram0 || return 1
	put $zram/reset 1
	while read -r file value; do
		echo "$value" >"$file"
	done <$saved
	rm $saved
	umount $direct && rm $direct.img
}

counters() {
	sync
	put /proc/sys/vm/drop_caches 3
	awk '/^(nr_anon_pages|nr_page_table_pages|nr_mlock|nr_swapcached|nr_anon_transparent_hugepages) / { print }' \
		/proc/vmstat
	awk '/^(MemAvailable|SUnreclaim|KernelStack|Percpu):/ { sub(":", "", $1); print $1, $2 }' /proc/meminfo
	awk '/^nr_dying_descendants/ { print }' /sys/fs/cgroup/cgroup.stat
}

case ${1:-} in
start | stop | counters) "$1" ;;
run) run "${2:?}" ;;
*)
	sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
