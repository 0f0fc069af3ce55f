#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: run-tests.sh [--kernel default|debug] [--list] [--one-at-a-time] [PATTERN...]
#
# Runs the tests, or those with a name that matches a pattern (of the shell's;
# --list prints the names): unit tests of the tools on this machine, then in
# emulated hosts the kselftests and the scenarios, on the default and the debug
# kernel. A test fails too where a kernel complained, where the pool is not clean
# afterwards or extents are missing. TAP and consoles are kept in build/test.
# Last line: N passed, N failed, N skipped. Wants what 'make lab-ready' and
# 'make kernel CONFIG=debug' make.
# shellcheck disable=SC2317 # functions are called by name and by trap
set -uo pipefail

{ # read whole before it runs: an edit of this file does not disturb a run
here=$(dirname -- "$(readlink -f -- "$0")")
. "$here/../../../qemu-configs/lib.sh"

lab=$CONFIGS/lab
cxlfork=$BUILD/tools/opt/cxlfork/bin/cxlfork
selftests=$REPO/tools/testing/selftests/cxlfork

# KERNEL LAB TEST, in order. A paragraph is one lab, whose hosts boot once; what
# takes longest comes first. The hosts are equal; or node1 has another kernel (mixed)
# or more memory (unequal), and boots again for that; or none has a pool (bare). Or
# there are four of them, two with more memory (four); or one does all the work (mm); or
# what one stores in the pool others see only by what the driver does for it (incoherent;
# incoherent4: four of them).
plan="
host    -       complaints
host    -       unit
host    -       fuzz
host    -       kselftest-in-tree

debug   equal   kselftest
debug   equal   paths
debug   equal   share-equal
debug   equal   delete
debug   equal   damage
debug   equal   fuzz
debug   equal   file-changed
debug   equal   publisher-dies
debug   equal   stress
debug   mixed   mixed

default mm      paths
default mm      stock-mm

default incoherent cuts

default incoherent cuts-attach

default four    kills
default four    pause

default equal   share-equal
default equal   delete
default equal   guard
default equal   damage
default equal   file-changed
default equal   pool-full
default equal   reclaim
default equal   restore-speed
default equal   region-gone
default equal   poison

default unequal share-unequal
default unequal publisher-dies
default unequal parents

default incoherent share-equal
default incoherent delete
default incoherent publisher-dies
default incoherent flushes

default bare    format-refusals

default bare    spill
"
# Of make stress: all that several hosts do, where they don't see each other's stores,
# the crashes on the debug kernel, and what make test does on that kernel only.
[ -z "${LONG:-}" ] || plan+="
default equal   kselftest
default equal   fuzz
default equal   publisher-dies

default incoherent reclaim
default incoherent pause
default incoherent damage
default incoherent file-changed
default incoherent parents

default incoherent4 kills

debug   equal   region-gone
debug   equal   poison
debug   unequal share-unequal
debug   unequal parents

debug   four    kills
"

# What a kernel must not say.
complaints='WARNING: |BUG: |kernel BUG|Oops|general protection fault|KASAN|UBSAN|unable to handle|Bad page|Bad rss'
complaints+='|possible (circular|recursive|irq|deadlock)|INFO: (possible|task|inconsistent|suspicious|trying|lockdep).*'
complaints+='|suspicious RCU|rcu_[a-z]* (detected|self-detected)|new suspected memory leaks|page_table_check'
complaints+='|refcount_t:|list_(add|del) corruption|sleeping function called|scheduling while atomic|soft lockup|Kernel panic'

kernels='host default debug'
list=
serial=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage_and_exit "$0" ;;
	--kernel)
		kernels=${2:?}
		shift
		;;
	--list) list=1 ;;
	--one-at-a-time) serial=1 ;;
	-*) usage_and_exit "$0" 2 >&2 ;;
	*) break ;;
	esac
	shift
done
patterns=("$@")

wanted() { # KERNEL LAB TEST
	local p
	[[ " $kernels " == *" $1 "* ]] || return
	[ ${#patterns[@]} -gt 0 ] || return 0
	for p in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # patterns
		[[ $3 == $p || $1-$2-$3 == $p ]] && return 0
	done
	return 1
}

todo=$(n=-1
	while read -r k l t; do
		[ -n "$k" ] || n=$((n + 1))
		[ -z "$k" ] || ! wanted "$k" "$l" "$t" || echo "$n $k $l $t"
	done <<<"$plan")
[ -n "$todo" ] || die "no test is called ${patterns[*]} (--list names them)"
if [ -n "$list" ]; then
	cut -d ' ' -f 2- <<<"$todo" | tr ' ' '-'
	exit
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/cxlfork-tests.XXXXXX")
out=$BUILD/test
mkdir -p "$out"
# two runs in one checkout: the later one's results are kept
exec 9>"$BUILD/test.lock"
flock -n 9 || out=$(mktemp -d "$BUILD/test-XXXXXX")
rm -rf -- "${out:?}.old"
mv -T -- "$out" "$out.old"
mkdir "$out" "$work/guest"
began=$SECONDS
jobs=() # by their process

finish() {
	local status=$? d j
	trap '' INT TERM HUP
	for j in "${!jobs[@]}"; do
		kill "$j" 2>/dev/null && wait "$j"
	done
	for d in "$work"/lab-*/; do
		[ ! -e "$d/lab.json" ] || LAB_DIR=$d "$lab" down >/dev/null 2>&1
	done
	rm -rf -- "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# --- results: out/KERNEL-LAB-TEST.tap; the lines are counted at the end

tap=
point() { # STATUS NAME [DETAIL]
	if [ "$1" = 0 ]; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		[ -z "${3:-}" ] || printf '# %s\n' "${3//$'\n'/$'\n# '}"
	fi >>"$tap"
}

# counts FILE...: passed failed skipped
counts() {
	awk '/^ *ok / { if (toupper($0) ~ /# SKIP/) s++; else p++ }
	     /^ *not ok / { f++ }
	     END { printf "%d %d %d\n", p, f, s }' "$@"
}

# started NAME: a test, which writes to $tap; told is about it
started() {
	name=$1
	tap=$out/$name.tap
	: >"$tap"
	t0=$SECONDS
	cpu0=$(cpu_used)
}

# cpu_used: seconds of CPU time that the hosts of this lab have had
cpu_used() {
	local pid line ticks=0
	for pid in "${LAB_DIR:-/nowhere}"/node*/pid; do
		if ! read -r pid _ <"$pid" || ! line=$(<"/proc/$pid/stat"); then
			continue
		fi
		read -r -a line <<<"${line##*) }"
		ticks=$((ticks + line[11] + line[12]))
	done 2>/dev/null
	echo $((ticks / $(getconf CLK_TCK)))
}

told() { # one line about a test that is over
	local p f s used took
	read -r p f s < <(counts "$tap")
	took="$((SECONDS - t0)) s"
	# what a host had used that was started again is not known any more
	used=$(($(cpu_used) - cpu0))
	[ "$used" -le 0 ] || took+=" ($used s of CPU)"
	if [ "$f" = 0 ]; then
		say "$(printf '%4d s  %-34s %4d passed%s, %s' $((SECONDS - began)) "$name" "$p" \
			"$([ "$s" = 0 ] || echo ", $s skipped")" "$took")"
	else
		say "$(printf '%4d s  %-34s %4d passed, %d FAILED: %s' $((SECONDS - began)) "$name" "$p" "$f" "$tap")"
		grep -A3 '^ *not ok ' "$tap" | grep -v -e '#  RUN' -e ': exit status$' | head -n 24 | sed 's/^/            /' >&2
	fi
}

# --- on this machine

# What a fresh checkout compiles has mostly been compiled in another.
if [ -d /usr/lib/ccache ]; then
	export PATH=/usr/lib/ccache:$PATH CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=$REPO CCACHE_NOHASHDIR=1
fi

# Would a complaint be seen, and nothing harmless be taken for one?
complaints() {
	local line
	while read -r line; do
		case $line in
		+*) grep -q -E "$complaints" <<<"${line#+ }" ;;
		-*) ! grep -q -E "$complaints" <<<"${line#- }" ;;
		*) continue ;;
		esac
		point $? "complaints: ${line:0:60}"
	done <"$here/complaints.txt"
}

unit() {
	make -C "$REPO/tools" check >>"$tap" 2>&1
	point $? 'make -C tools check'
}

# The kernel's parsers of what lies in CXL memory, as a process of this machine.
fuzz() {
	"$REPO/tools/testing/fuzz/run" O="$BUILD/fuzz" >>"$tap" 2>&1
	point $? 'tools/testing/fuzz/run'
}

# The kernel's rules build our directory, and those outside of a kernel tree the same.
kselftest-in-tree() {
	local clean programs list=$work/guest/kselftest/kselftest-list.txt log=$work/guest/kselftest.log
	[ -e "$work/built" ] || programs >"$work/programs.log" 2>&1
	[ -e "$list" ]
	point $? 'make -C tools/testing/selftests TARGETS=cxlfork install' "$(tail -n 5 "$work/programs.log")"
	[ -e "$log" ] && ! grep -q 'warning:' "$log"
	point $? 'without a warning' "$(grep 'warning:' "$log")"
	programs=("$selftests"/*_test.c)
	[ "$(grep -c '^cxlfork:' "$list")" = $((${#programs[@]} - 1)) ]
	point $? 'all programs are in its list' "$(cat "$list" 2>&1)"
	clean=$("$CONFIGS/kernel-tree" --pristine)
	make -s -C "$selftests" KSELFTEST="$clean/tools/testing/selftests" OUTPUT="$work/outside" \
		"$work/outside/name_test" "$work/outside/kselftest-list.txt" >"$work/outside.log" 2>&1 &&
		cmp "$work/outside/kselftest-list.txt" "$list" >>"$work/outside.log"
	point $? 'make -C tools/testing/selftests/cxlfork, the same programs' "$(tail -n 5 "$work/outside.log")"
}

# What goes into the guests.
programs() {
	"$here/programs-build" "$work/guest" &&
		"$here/stock-mm-build" "$work/guest/stock-mm" &&
		PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -O ^has_journal "$work/guest/ext4" 24M
}

# --- in a lab

on() {
	local node=$1
	shift
	"$lab" exec -n --timeout 1800 "$node" -- "$@"
}

# selftest_programs PATTERN [PATTERN-NOT [ARGUMENTS]]: those listed, one after the
# other, in node0; the function ARGUMENTS prints what a program is given.
selftest_programs() {
	local t args t0
	# shellcheck disable=SC2016 # for the guest's shell
	on node0 sh -c 'mkdir -p /tmp/kselftest && cp -p /share/kselftest/* /tmp/kselftest/'
	while IFS=: read -r _ t; do
		echo "# --- $t" >>"$tap"
		args=$("${3:-true}" "$t")
		t0=$SECONDS
		on node0 sh -c "cd /tmp/kselftest && CXLFORK_DIRECT_DIR=/tmp/ext4 exec ./$t $args" </dev/null >"$work/$nth-$label.one" 2>&1
		point $? "$t: exit status"
		sed "s/^\( *ok \| *not ok \)\(.*\)/\1$t: \2/" "$work/$nth-$label.one" >>"$tap"
		grep -q '^# Totals:' "$work/$nth-$label.one"
		point $? "$t: came to its end"
		echo "# $t: $((SECONDS - t0)) s" >>"$tap"
	done < <(grep "$1" "$work/guest/kselftest/kselftest-list.txt" | grep -v "${2:-^\$}")
}

# Of a scenario before, which may have booted node0 again, nothing is left.
mount_all() {
	# shellcheck disable=SC2016 # for the guest's shell
	on node0 sh -c 'mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug'
	# O_DIRECT needs a file system on a block device
	# shellcheck disable=SC2016 # for the guest's shell
	on node0 sh -c 'mountpoint -q /tmp/ext4 || { [ -e /share/ext4 ] && mkdir -p /tmp/ext4 &&
		cp /share/ext4 /tmp/ext4.img && mount -o loop /tmp/ext4.img /tmp/ext4; }' \
		>"$work/$nth-$label.mount" 2>&1
	point $? 'an ext4 file system for O_DIRECT' "$(cat "$work/$nth-$label.mount")"
}

kselftest() {
	mount_all
	selftest_programs : ':paths_'
}

paths_without_memory() { # PROGRAM
	sed -n 's/^PATH(\([a-z_]*_without_memory\),.*/-t \1/p' "$selftests/$1.c" | tr '\n' ' '
}

# Each path of mm in a clone and in a forked child: on the default kernel, and on the
# debug kernel those in which allocations fail; with PATHS_ALL (make stress) all.
paths() {
	local failing
	mount_all
	failing=$(cd "$selftests" && grep -l '^PATH(.*_without_memory,' paths_*_test.c |
		sed 's/^/:/; s/\.c$/$/')
	if [ "$kernel" = default ] || [ -n "${PATHS_ALL:-}" ]; then
		selftest_programs ':paths_'
	else
		selftest_programs "$failing" '' paths_without_memory
	fi
}

# The table in the documentation has to say what came out.
paths-table() {
	"$here/paths-table" "$out"/{debug-equal,default-mm}-paths.tap >"$out/paths.rst" 2>"$work/table" &&
		cmp -s "$out/paths.rst" "$REPO/Documentation/cxlfork/paths.rst"
	point $? 'Documentation/cxlfork/paths.rst is what paths-table makes of this run' \
		"$(cat "$work/table"; diff "$out/paths.rst" "$REPO/Documentation/cxlfork/paths.rst" | head -n 20)"
}

scenario() {
	local limit=$((3600 + ${STRESS_SECONDS:-0}))
	[ -z "${STOCK_ALL:-}${LONG:-}" ] || limit=$((limit + 7200))
	SCENARIO_MB=$mb SCENARIO_EVERY=$every timeout "$limit" "$here/scenarios/$1" >>"$tap" 2>&1
	point $? "$1: came to its end"
	grep -q '^1\.\.[1-9]' "$tap"
	point $? "$1: has a plan"
}

consoles() {
	local node
	for node in "${nodes[@]}"; do
		"$lab" console "$node" >"$work/$nth-$label.$node" 2>/dev/null || continue
		cp "$work/$nth-$label.$node" "$out/$label-$nth.$node.console"
		tail -n +$((${seen[$node]:-0} + 1)) "$work/$nth-$label.$node" >"$work/$nth-$label.new"
		seen[$node]=$(wc -l <"$work/$nth-$label.$node")
		! grep -q -E "$complaints" "$work/$nth-$label.new"
		point $? "$1: $node's kernel has not complained" \
			"$(grep -E -m 3 -A 25 "$complaints" "$work/$nth-$label.new" | head -n 60)"
	done
}

free_now() {
	on node1 cxlfork pool status --json 2>/dev/null |
		/usr/bin/python3 -IS -c 'import json, sys; print(json.load(sys.stdin)["free_extents"])' 2>/dev/null
}

after() { # TEST: what holds after each
	local said now i
	consoles "$1"
	for ((i = 0; i < 200; i++)); do
		now=$(free_now)
		[ "$now" != "$free" ] || break
		sleep 0.5
	done
	[ -n "$now" ] && [ "$now" = "$free" ]
	point $? "$1: as many extents are free as before" "$now, not $free"
	free=${now:-$free} # to the next it is not laid
	said=$("$cxlfork" pool fsck --file "$backing" 2>&1)
	point $? "$1: cxlfork pool fsck" "$said"
}

# On the debug kernel, after its tests (make stress): objects that nobody points to.
kmemleak() {
	local node
	local -A scan=()
	for node in "${nodes[@]}"; do
		# what is younger than 5 seconds is not counted
		# shellcheck disable=SC2016 # for the guest's shell
		on "$node" sh -c 'f=/sys/kernel/debug/kmemleak; mountpoint -q /sys/kernel/debug ||
			mount -t debugfs none /sys/kernel/debug; [ -e $f ] || exit 3
			sleep 5; echo scan >$f; cat $f' >"$work/$nth-$label.leaks.$node" 2>&1 &
		scan[$node]=$!
	done
	for node in "${nodes[@]}"; do
		wait "${scan[$node]}" && [ ! -s "$work/$nth-$label.leaks.$node" ]
		point $? "kmemleak: nothing on $node" "$(head -n 60 "$work/$nth-$label.leaks.$node")"
	done
	consoles kmemleak
}

# boot LAB: its hosts
boot() {
	local mem=1G cpus=2 append=numa=fake=2 # two NUMA nodes in each, for what moves pages
	[ "$1" != unequal ] || mem=1G,1536M
	# some of the kernel's mm tests want gigabytes
	[ "$1" != mm ] || [ -z "${STOCK_ALL:-}" ] || mem=3G
	# CPUs without protection keys, too
	[ "$1" != bare ] || append=nopku
	[[ $1 != four && $1 != incoherent4 ]] || mem=768M,1G,768M,1280M append=
	# what is worth a long run is worth that these be slow
	if [ -z "${LONG:-}" ]; then
		[ "$kernel" != debug ] || append+=' kmemleak=off'
		# an emulated host with two CPUs takes twice the time: they race where races are
		# looked for
		[[ $1 == mm || $kernel-$1 == debug-equal ]] || cpus=1
	fi
	"$lab" up --nodes ${#nodes[@]} --mem "$mem" --cxl 1G --kernel "$kernel" --cpus $cpus --append "$append" || return
	# all is waiting for the debug kernel in the end
	[ "$kernel" != debug ] || hurry
	[ "$1" != mixed ] || boot_again mixed || return
	[ "$1" = bare ] || "$here/setup-pool" "${nodes[@]}"
}

# The hosts of this lab are served first, as far as one may say so: sessions of their
# own, they are groups of their own for the scheduler.
hurry() {
	local pid
	for pid in "$LAB_DIR"/node*/pid; do
		read -r pid _ <"$pid" && echo -10 >"/proc/$pid/autogroup"
	done 2>/dev/null
	true
}

# boot_again LAB: node1 becomes another one
boot_again() {
	local other=$kernel mem=1G
	case $1-$kernel in
	unequal-*) mem=1536M ;;
	mixed-debug) other=default ;;
	mixed-default) other=debug ;;
	esac
	"$lab" kill node1
	"$lab" start --kernel "$other" --mem "$mem" node1
}

# test_in_lab TEST
test_in_lab() {
	started "$label-$1"
	case $1 in
	kselftest | paths | kmemleak) "$1" ;;
	*) scenario "$1" ;;
	esac
	case $which-$1 in
	*-kmemleak) ;;
	bare-*) consoles "$1" ;;
	*) after "$1" ;;
	esac
	told
}

# run_lab N: the Nth paragraph of the plan
run_lab() {
	local nth=$1 kernel which label t up='' mb=16 every=1 free backing nodes=(node0 node1)
	declare -A seen=()
	trap - EXIT INT TERM HUP
	kernel=$(in_plan "$1" 2 | head -n 1)
	export LAB_DIR=$work/lab-$1
	mkdir -p "$LAB_DIR/share"
	[ "$kernel" = default ] || mb=8 every=11
	for which in $(in_plan "$1" 3 | uniq); do
		label=$kernel-$which
		started "$label-$1-hosts"
		[[ $which != four && $which != incoherent4 ]] || nodes+=(node2 node3)
		[[ $which != incoherent* ]] || export POOL=incoherent
		if [ -z "$up" ]; then
			boot "$which"
		else
			boot_again "$which" && "$here/setup-pool" --keep node1
		fi >"$work/$nth-$label.up" 2>&1
		point $? "$label: its hosts" "$(cat "$work/$nth-$label.up")"
		consoles "$label: boot"
		told
		! grep -q '^not ok' "$tap" || break
		while [ ! -e "$work/built" ] && kill -0 "$builder" 2>/dev/null; do
			sleep 0.2
		done
		[ -n "$up" ] || cp -rp "$work/guest/." "$LAB_DIR/share/"
		up=1
		backing=$("$lab" status --json | /usr/bin/python3 -IS -c 'import json, sys; print(json.load(sys.stdin)["cxl"]["path"])')
		free=$([ "$which" = bare ] || free_now)
		for t in $(in_plan "$1" 4 "$which"); do
			test_in_lab "$t"
		done
		[ "$label" != debug-equal ] || [ -z "${LONG:-}" ] || test_in_lab kmemleak
	done
	"$lab" down >/dev/null 2>&1
}

# What is done on this machine: first what the labs wait for.
on_host() {
	local t
	trap - EXIT INT TERM HUP
	if [ -n "$(in_plan '[1-9].*' 4)" ]; then
		started programs
		programs >"$work/programs.log" 2>&1
		point $? 'the programs of the guests are built' "$(tail -n 20 "$work/programs.log")"
		told
		: >"$work/built"
	fi
	for t in $(in_plan 0 4); do
		started "host-$t"
		"$t"
		told
	done
}

# in_plan N FIELD [LAB]: of what is to do in the Nth paragraph, or of one lab there
in_plan() {
	awk -v n="$1" -v f="$2" -v lab="${3:-}" '$1 ~ "^" n "$" && (!lab || $3 == lab) { print $f }' <<<"$todo"
}

# one_is_over PID...: wait for one of them
one_is_over() {
	local over
	wait -n -p over "$@"
	unset "jobs[$over]"
}

on_host &
builder=$!
jobs[builder]=1
[ -z "$serial" ] || one_is_over "$builder"
# Four labs at a time: each waits a good deal.
for n in $(awk '$1 { print $1 }' <<<"$todo" | uniq); do
	mapfile -t labs < <(printf '%s\n' "${!jobs[@]}" | grep -v -x -e "$builder" -e '')
	[ ${#labs[@]} -lt "${serial:-4}" ] || one_is_over "${labs[@]}"
	run_lab "$n" &
	jobs[$!]=1
done
while [ ${#jobs[@]} -gt 0 ]; do
	one_is_over "${!jobs[@]}"
done

if [ -e "$out/debug-equal-paths.tap" ] && [ -e "$out/default-mm-paths.tap" ]; then
	started paths-table
	paths-table
	told
fi

# A test that left no result is one that failed.
lost=0
while read -r _ k l t; do
	name=$k-$l-$t
	[ "$k" != host ] || name=$k-$t
	grep -q -E '^ *(not )?ok ' "$out/$name.tap" 2>/dev/null || {
		say "       $name: no result"
		lost=$((lost + 1))
	}
done <<<"$todo"
read -r passed failed skipped < <(counts "$out"/*.tap)
failed=$((failed + lost))
if [ "$skipped" != 0 ]; then
	say 'skipped:'
	grep -h -i '^ *ok .*# SKIP' "$out"/*.tap | sed 's/^ *ok [0-9]* */    /' | sort | uniq -c >&2
fi
say "$((SECONDS - began)) s; results and consoles: $out"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
exit
}
