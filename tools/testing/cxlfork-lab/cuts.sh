# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scenarios of power cuts have in common; sourced by scenarios/cuts*.
# shellcheck disable=SC2034 # theirs

knob=/sys/module/cxl_fork/parameters/cut_after

# rebind NODE: as if it had booted. A clone that still runs would hold it up.
rebind() {
	# shellcheck disable=SC2016 # for the guest's shell
	on "$1" sh -c 'cd /sys/bus/dax/devices; dax=$(echo dax*); drv=../drivers/cxl_fork
		[ -z "$2" ] || echo "$2" >'$knob'
		[ ! -e $drv/$dax ] || echo $dax >$drv/unbind
		[ -z "$3" ] || echo "$3" >'$knob'
		echo $dax >$drv/bind
		i=0
		# it has attached, or its power went out
		until cxlfork pool status >/run/status 2>&1 || { [ -n "$3" ] && [ "$(cat '$knob')" = 0 ]; }; do
			i=$((i + 1))
			[ $i -lt 600 ] || { cat /run/status; exit 1; }
			sleep 0.1
		done' sh "$@"
}

# cut_at N NODE COMMAND...: 0: its power went out at that store; 1: it was done before.
cut_at() {
	[ "$(stores_left "$@")" = 0 ]
}

fence() { # NODE SLOT
	# shellcheck disable=SC2016 # for the guest's shell
	on "$1" sh -c 'echo "fence $1" | /share/actor | tail -n 1' sh "$2"
}

# The memory as the power cut left it, and as it is when that is cleared up.
clean() { # WHEN
	local said
	if ! said=$(fsck 2>&1); then
		comment "$1: $said"
		return 1
	fi
	[ "$(digest "$kept0")$(digest "$kept1")" = "$published" ] && return
	comment "$1: published bytes have changed"
	return 1
}

# recover FENCED: node0 is dead.
recover() {
	if [ "$1" = yes ]; then
		[ "$(fence node1 "$slot0")" = fenced ] && clean "declared dead" || return
	fi
	rebind node0 && clean "booted (declared dead before: $1)"
}

# Whatever became of the operation: all or nothing. What is there of it goes.
all_or_nothing() {
	local id kept ids
	read -r kept ids < <(on node1 cxlfork ls --json | json "' '.join(
		[str(len([c for c in d if c['id'] in ('$kept0', '$kept1') and c['state'] == 'live']))] +
		[c['id'] for c in d if c['name'] in ('cut', 'theirs') and c['state'] == 'live'])")
	[ "$kept" = 2 ] || { comment 'what was published is lost'; return 1; }
	for id in $ids; do
		act w node1 cxlfork restore "$id"
		ask w verify 1
		finish w
		# shellcheck disable=SC2154 # ask's
		[ "$answer" = same ] || { comment "$id: $answer"; return 1; }
		on node1 cxlfork rm "$id" >/dev/null || return
	done
	settled node1 "$free"
}

# set_up: a checkpoint of each host, which nothing that follows may touch.
set_up() {
	slot0=$(slot_of node0)
	slot1=$(slot_of node1)
	at_first=$(free_extents node1)
	parent p node0 1 1 || exit
	p=$answer
	parent q node1 1 1 || exit
	q=$answer
	kept0=$(on node0 cxlfork checkpoint "$p" --name kept0)
	kept1=$(on node1 cxlfork checkpoint "$q" --name kept1)
	published=$(digest "$kept0")$(digest "$kept1")
	free=$(free_extents node1)
}

# tear_down: they are restored on the other host, and go.
tear_down() {
	act w node1 cxlfork restore "$kept0"
	ask w verify 1
	is "node0's checkpoint, restored on node1" "$answer" same
	finish w
	act w node0 cxlfork restore "$kept1"
	ask w verify 1
	is "node1's checkpoint, restored on node0" "$answer" same
	finish w
	finish p
	finish q
	ok 'delete' on node0 cxlfork rm kept0
	ok "delete node1's" on node1 cxlfork rm kept1
	ok 'nothing is left' settled node1 "$at_first"
}
