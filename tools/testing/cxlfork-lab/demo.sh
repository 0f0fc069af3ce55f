#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# usage: demo.sh
#
# The main job, end to end: a Python function server is warmed up on node0,
# checkpointed into CXL memory, and cloned three times on node1; then node0's
# power plug is pulled, and node1 makes a fourth clone. Prints a table, writes
# build/demo.svg, and fails if a clone answers otherwise than the original, takes
# too much local memory, or if the checkpoint has changed.
# Wants what 'make lab-ready' makes. See Documentation/cxlfork/demo.rst.
# DEMO_KERNEL=debug: with that kernel. DEMO_MEM=1G,3G: hosts of unequal memory,
# which see the CXL memory at different physical addresses.
set -euo pipefail
here=$(dirname -- "$(readlink -f -- "$0")")
. "$here/../../../qemu-configs/lib.sh"

[ $# = 0 ] || usage_and_exit "$0"

lab=$CONFIGS/lab
report=$here/demo/report.py
cxlfork=$BUILD/tools/opt/cxlfork/bin/cxlfork
guest=/share/demo
svg=$BUILD/demo.svg
address=10.77.0

LAB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/cxlfork-demo.XXXXXX")
export LAB_DIR
steps=$LAB_DIR/steps

finish() {
	local status=$?
	trap '' INT TERM HUP
	if [ "$status" != 0 ] && [ "$status" -lt 128 ] && [ -e "$steps" ]; then
		keep "$BUILD/log/demo-failed" || true
		say "cxlfork: the demo failed; consoles and logs: $BUILD/log/demo-failed"
	fi
	"$lab" down || true
	rm -rf -- "$LAB_DIR"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# What helps to find out why: consoles, steps, logs.
keep() {
	local node
	rm -rf -- "$1"
	mkdir -p "$1"
	cp -r "$steps" "$1"
	cp "$LAB_DIR"/share/demo/*.log "$1" 2>/dev/null || true
	for node in node0 node1; do
		"$lab" console "$node" >"$1/$node.console" 2>/dev/null || true
	done
}

began=${EPOCHREALTIME/./}

# now TEXT: says it, after the time that has passed.
now() {
	local t=$(((${EPOCHREALTIME/./} - began) / 100000))
	printf '%4d.%d s  %s\n' $((t / 10)) $((t % 10)) "$*"
}

on() { # NODE COMMAND...
	local node=$1
	shift
	"$lab" exec -n --timeout 300 --env PYTHONDONTWRITEBYTECODE=1 "$node" -- "$@"
}

# client NODE STEP ARGS...: the client in a node; its JSON goes to the step's file.
client() {
	local node=$1 step=$2
	shift 2
	on "$node" python3 "$guest/client.py" "$@" >"$steps/$step.json"
}

tell() { # KIND STEP
	now "       $("$report" line "$1" "$steps/$2.json")"
}

clone() { # N
	client node1 "clone-$1" restore "$address.2:$((8080 + $1))" --name demo \
		--ghost "/run/ghost-$1" --instance "clone-$1" --listen-fd "$listen_fd"
	tell clone "clone-$1"
}

# What the kernels said must be harmless.
quiet() {
	local node said bad=0
	for node in node0 node1; do
		said=$("$lab" console "$node")
		[[ $said == *Linux\ version* ]] || die "$node's console has no boot in it"
		if grep -E 'WARNING:|BUG|Oops|general protection|KASAN|UBSAN|INFO: (task|possible|lockdep)|segfault at|Bad (page|rss)' <<<"$said"; then
			say "cxlfork: $node's kernel said that"
			bad=1
		fi
	done
	return "$bad"
}

now "booting two hosts that share one CXL memory device"
"$lab" up --nodes 2 --mem "${DEMO_MEM:-1G}" --cxl 1G --kernel "${DEMO_KERNEL:-default}"
backing=$("$lab" status --json | /usr/bin/python3 -I -c 'import json, sys; print(json.load(sys.stdin)["cxl"]["path"])')
mkdir -p "$steps" "$LAB_DIR/share/demo"
cp "$here"/demo/{server.py,client.py,inputs.txt} "$LAB_DIR/share/demo"

now "the memory becomes a pool: node0 formats, node1 attaches"
"$here/setup-pool" node0 node1
on node1 cxlfork pool status

now "node0: cold start of the function server"
client node0 cold-1 cold "$address.1:8080" --log "$guest/node0.log"
tell cold cold-1
now "node0: once more, now that all its files are in memory"
client node0 cold cold "$address.1:8080" --log "$guest/node0.log" --stay
tell cold cold
listen_fd=$("$report" value "$steps/cold.json" listen_fd)
now "node0: 16 requests"
client node0 ask ask "$address.1:8080"
tell ask ask
now "node0: the server checkpoints itself"
client node0 checkpoint checkpoint "$address.1:8080" --name demo
tell checkpoint checkpoint
id=$("$report" value "$steps/checkpoint.json" id)
on node1 cxlfork ls
on node1 cxlfork ls --json >"$steps/ls.json"
"$cxlfork" pool digest --json --file "$backing" "$id" >"$steps/digest-before.json"

now "node1: four ghosts"
# shellcheck disable=SC2016 # for the guest's shell
on node1 sh -c 'echo "["
	for n in 1 2 3 4; do
		setsid cxlfork-ghost --socket /run/ghost-$n </dev/null >>'"$guest"'/clone-$n.log 2>&1 &
		pid=$!
		until [ -S /run/ghost-$n ]; do sleep 0.05; done
		rss=$(sed -n "s/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p" /proc/$pid/status)
		echo "${comma}{\"pid\": $pid, \"rss\": $((rss * 1024))}"
		comma=,
	done
	echo "]"' >"$steps/ghosts.json"

now "node1: three of them become clones, and answer the same 16 requests"
for n in 1 2 3; do
	clone "$n"
done
now "node0: the power plug is pulled"
"$lab" kill node0
now "node1: a fourth clone"
clone 4

now "node1: all four once more, at the same time"
again=()
for n in 1 2 3 4; do
	client node1 "again-$n" ask "$address.2:$((8080 + n))" &
	again+=($!)
done
for n in "${again[@]}"; do
	wait "$n"
done
now "checking the memory, from outside"
"$cxlfork" pool digest --json --file "$backing" "$id" >"$steps/digest-after.json"
"$cxlfork" pool fsck --file "$backing"
quiet

echo
"$report" table "$steps" "$svg"
echo
now "done; chart: $svg"
