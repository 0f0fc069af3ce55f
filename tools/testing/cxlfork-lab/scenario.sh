# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What scenarios have in common: TAP, commands in nodes, actors. Sourced by
# scenarios/NAME, which run-tests.sh starts with LAB_DIR set and the lab up.
# SCENARIO_MB: megabytes of a usual actor. PATIENCE: seconds to wait for what has to come.

set -uo pipefail
HERE=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
REPO=$(cd -- "$HERE/../../.." && pwd -P)
LAB=$REPO/qemu-configs/lab
CXLFORK=$REPO/build/tools/opt/cxlfork/bin/cxlfork
# shellcheck disable=SC2034 # theirs
MB=${SCENARIO_MB:-16}
# A machine may be slow, or busy: time passes no judgement but on what hangs.
PATIENCE=300
TMP=$(mktemp -d "${TMPDIR:-/tmp}/cxlfork-scenario.XXXXXX")
BACKING=$("$LAB" status --json | /usr/bin/python3 -IS -c 'import json, sys; print(json.load(sys.stdin)["cxl"]["path"])')

declare -A actor_in=() actor_out=() actor_pid=()
tests=0

end_scenario() {
	local a
	for a in "${!actor_in[@]}"; do
		finish "$a" >/dev/null
	done
	echo "1..$tests"
	rm -rf -- "$TMP"
}
trap end_scenario EXIT

comment() {
	printf '# %s\n' "$*"
}

# result STATUS NAME [DETAIL...]
result() {
	tests=$((tests + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tests $2"
	else
		echo "not ok $tests $2"
		[ $# -lt 3 ] || printf '# %s\n' "${@:3}"
	fi
}

skip() { # NAME WHY
	tests=$((tests + 1))
	echo "ok $tests $1 # SKIP $2"
}

# is NAME GOT WANTED
is() {
	[ "$2" = "$3" ]
	result $? "$1" "got: $2" "not: $3"
}

# like NAME GOT PATTERN (of bash's [[ == ]])
like() {
	# shellcheck disable=SC2053 # a pattern
	[[ $2 == $3 ]]
	result $? "$1" "got: $2" "not: $3"
}

# isnt NAME GOT OTHER
isnt() {
	[ "$2" != "$3" ]
	result $? "$1" "got: $2"
}

# ok NAME COMMAND...: it succeeds.
ok() {
	local name=$1 out status
	shift
	out=$("$@" 2>&1)
	status=$?
	result "$status" "$name" "exit $status: $out"
}

# What a scenario can't go on without.
must() {
	"$@" >"$TMP/must" 2>&1 && return
	result 1 "$*" "$(tail -n 3 "$TMP/must")"
	exit 1
}

on() { # NODE COMMAND...
	local node=$1
	shift
	"$LAB" exec -n --timeout 900 "$node" -- "$@"
}

# json EXPRESSION: of the document on standard input, which is d.
json() {
	/usr/bin/python3 -IS -c 'import json, sys
d = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$1"
}

free_extents() { # NODE
	on "$1" cxlfork pool status --json | json 'd["free_extents"]'
}

slot_of() { # NODE
	on "$1" cxlfork pool status --json | json 'd["slot"]'
}

# pool_unbind NODE, pool_bind NODE: the DAX device leaves the driver, and is back.
# There is one.
pool_unbind() {
	on "$1" sh -c 'cd /sys/bus/dax/devices && echo dax* >../drivers/cxl_fork/unbind'
}

pool_bind() {
	on "$1" sh -c 'cd /sys/bus/dax/devices && echo dax* >../drivers/cxl_fork/bind'
}

pool_rebind() { # NODE: both at once
	# shellcheck disable=SC2016 # for the guest's shell
	on "$1" sh -c 'cd /sys/bus/dax/devices; drv=../drivers/cxl_fork; echo dax* >$drv/unbind; echo dax* >$drv/bind'
}

# stores_left N NODE COMMAND...: the power of NODE goes out at its Nth store for the
# pool; prints how many of them the command did not make (0: it went out). What a command
# has begun may come to its end a moment later, and the power go out even after that.
stores_left() {
	local n=$1 node=$2 knob=/sys/module/cxl_fork/parameters/cut_after
	shift 2
	# shellcheck disable=SC2016 # for the guest's shell
	on "$node" sh -c 'echo "$1" >'$knob'; shift; "$@" >/run/cut 2>&1 </dev/null
		i=0; while [ "$(cat '$knob')" != 0 ] && [ $i -lt 5 ]; do i=$((i + 1)); sleep 0.1; done
		left=$(cat '$knob'); echo 0 >'$knob'
		if [ "$left" != 0 ] && cxlfork pool status 2>&1 | grep -q cut_after; then left=0; fi
		echo "$left"' sh "$n" "$@"
}

# comes_to WANTED COMMAND...: that is what it prints, now or by and by; $now is what it
# printed last.
comes_to() {
	local wanted=$1 end=$((SECONDS + PATIENCE))
	shift
	until now=$("$@") && [ "$now" = "$wanted" ]; do
		[ $SECONDS -lt $end ] || return
		sleep 0.2
	done
}

# pool_attached NODE: it is, or by and by.
pool_attached() {
	# shellcheck disable=SC2016 # for the guest's shell
	on "$1" sh -c 'i=0; until cxlfork pool status >/run/attached 2>&1; do i=$((i + 1))
		[ $i -lt 600 ] || { cat /run/attached; exit 1; }; sleep 0.1; done'
}

# What is in the region is not a pool any more.
no_pool() {
	/usr/bin/python3 -IS -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.write(bytes(4096))' "$BACKING"
}

# settled NODE FREE: as many extents are free (again), or will be.
settled() {
	local now
	comes_to "$2" free_extents "$1" && return
	echo "$now extents are free, not $2"
	return 1
}

digest() { # ID: from outside
	"$CXLFORK" pool digest --file "$BACKING" "$1" | tail -n 1
}

fsck() {
	"$CXLFORK" pool fsck --file "$BACKING"
}

# listed NODE ID|NAME EXPRESSION: of its entry in the directory, which is c.
listed() {
	on "$1" cxlfork ls --json | json "([$3 for c in d if '$2' in (c['id'], c['name'])] + ['gone'])[0]"
}

state_of() { # NODE ID
	listed "$1" "$2" "c['state']"
}

# --- actors: actor.c in a node, or a clone of one

# act NAME NODE [COMMAND...]: starts it; without a command a ghost.
act() {
	local name=$1 node=$2 fd
	shift 2
	[ $# -gt 0 ] || set -- /share/actor
	rm -f "$TMP/$name".{in,out}
	mkfifo "$TMP/$name".{in,out}
	(
		# the ends of other actors' pipes are not this one's to hold open
		for fd in "${actor_in[@]}" "${actor_out[@]}"; do
			exec {fd}>&-
		done
		exec "$LAB" exec "$node" -- "$@" <"$TMP/$name.in" >"$TMP/$name.out" 2>&1
	) &
	actor_pid[$name]=$!
	exec {fd}>"$TMP/$name.in"
	actor_in[$name]=$fd
	exec {fd}<"$TMP/$name.out"
	actor_out[$name]=$fd
}

# ask NAME LINE...: what it answers is in $answer (not in a subshell); empty: nothing
# in time.
ask() {
	local name=$1
	shift
	tell "$name" "$*" && heard "$name"
}

# tell NAME LINE...: and what it answers is heard later. It may have ended.
tell() {
	local fd=${actor_in[$1]} status
	shift
	trap '' PIPE
	printf '%s\n' "$*" >&"$fd"
	status=$?
	trap - PIPE
	return $status
}

# heard NAME: its next line.
heard() {
	local said=
	answer=
	IFS= read -r -t "$PATIENCE" -u "${actor_out[$1]}" said
	case $? in
	0) answer=$said ;;
	1)
		comment "$1 has ended: $said" >&2
		return 1
		;;
	esac
}

# finish NAME: its input ends; its exit status.
finish() {
	local name=$1 fd=${actor_in[$1]:-} status
	[ -n "$fd" ] || return 0
	exec {fd}>&-
	unset "actor_in[$name]"
	wait "${actor_pid[$name]}"
	status=$?
	fd=${actor_out[$name]}
	exec {fd}<&-
	unset "actor_out[$name]"
	return $status
}

# parent NAME NODE MB SEED: an actor with memory; its pid in $answer.
parent() {
	act "$1" "$2" /share/actor "$3" "$4"
	heard "$1" || return
	answer=${answer#ready }
}

# clone NAME NODE ID: by the CLI; it goes on where the parent waited for a line.
clone() {
	act "$1" "$2" cxlfork restore "$3"
}
