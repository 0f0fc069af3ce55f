#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Tests of the commands and of the library that need no kernel of ours: TAP.
# OUT: what was built; UNIT: this folder; DOC: the documentation.

nr=0
failed=0
tmp=$(mktemp -d) || exit 2
ghost=
trap '[ -z "$ghost" ] || kill "$ghost" 2>/dev/null; rm -rf "$tmp"' EXIT

cxlfork=$OUT/cxlfork
pool=$tmp/pool

result()	# STATUS NAME
{
	nr=$((nr + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $nr $2"
	else
		echo "not ok $nr $2"
		failed=$((failed + 1))
		sed 's/^/# /' "$tmp/out"
	fi
}

skip()		# NAME WHY
{
	nr=$((nr + 1))
	echo "ok $nr $1 # SKIP $2"
}

# Run a command: its status, and a pattern in what it says.
expect()	# STATUS PATTERN NAME COMMAND...
{
	wanted=$1
	pattern=$2
	name=$3
	shift 3
	"$@" >"$tmp/out" 2>&1
	status=$?
	[ "$status" -eq "$wanted" ] && grep -q -e "$pattern" "$tmp/out"
	outcome=$?
	[ "$outcome" -eq 0 ] || echo "# status $status, not $wanted, or no \`$pattern'"
	result "$outcome" "$name"
}

poke()		# FILE OFFSET OCTAL-BYTE
{
	printf "%b" "\\0$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

flip_bit5()	# FILE OFFSET
{
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	poke "$1" "$2" "$(printf %03o $((byte ^ 32)))"
}

json()		# NAME COMMAND...
{
	name=$1
	shift
	if command -v python3 >/dev/null; then
		"$@" 2>&1 | python3 -m json.tool >"$tmp/out" 2>&1
		result $? "$name"
	else
		skip "$name" "no python3"
	fi
}

# One JSON document, and an expression that is true of it, d.
json_is()	# EXPRESSION NAME COMMAND...
{
	expression=$1
	name=$2
	shift 2
	if command -v python3 >/dev/null; then
		"$@" >"$tmp/json" 2>&1
		python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
print(d)
sys.exit(not eval(sys.argv[2]))' "$tmp/json" "$expression" >"$tmp/out" 2>&1
		result $? "$name"
	else
		skip "$name" "no python3"
	fi
}

"$OUT/unit/fsck_test" >"$tmp/out" 2>&1
result $? "format: $(grep -c '^ok' "$tmp/out") checks of fsck_test"

"$OUT/unit/report_test" >"$tmp/out" 2>&1
result $? "library: $(grep -c '^ok' "$tmp/out") checks of report_test"

if command -v python3 >/dev/null; then
	python3 -I "$UNIT/abi_check.py" "$DOC/../../include/uapi/linux/cxlfork_format.h" \
		"$DOC/abi.rst" "$DOC/../../include/uapi/linux/cxlfork.h" >"$tmp/out" 2>&1
	result $? 'format: as abi.rst has it, field by field'
	python3 -I "$UNIT/abi_check.py" "$DOC/../../include/uapi/linux/cxlfork_stream.h" \
		"$DOC/stream.rst" >"$tmp/out" 2>&1
	result $? 'stream: as stream.rst has it, field by field'
	sed 's/^48     8     attached /48     4     attached /' "$DOC/abi.rst" >"$tmp/abi.rst"
	expect 1 'attached at 48, 8 bytes: not in the document' 'format: abi.rst with another size' \
		python3 -I "$UNIT/abi_check.py" \
		"$DOC/../../include/uapi/linux/cxlfork_format.h" "$tmp/abi.rst"
else
	skip 'format: as abi.rst has it, field by field' 'no python3'
fi

# --- the format, from a file
"$OUT/unit/synth_file" "$pool"
expect 0 '^clean: 3 hosts' 'fsck: a pool that is right' \
	"$cxlfork" pool fsck --file "$pool"
json 'fsck --json' "$cxlfork" pool fsck --json --file "$pool"
expect 0 'heap' 'inspect by name' "$cxlfork" inspect --file "$pool" resize
expect 0 '^LEAF' 'inspect by id' \
	"$cxlfork" inspect --leaves --file "$pool" 0x20103
expect 0 'parent: 0x20103, 9 of its pages' 'inspect: a parent' \
	"$cxlfork" inspect --file "$pool" resize-warm
json 'inspect --json: a parent' \
	"$cxlfork" inspect --json --file "$pool" resize-warm
json 'inspect --json' "$cxlfork" inspect --leaves --json --file "$pool" resize
expect 1 'no checkpoint' 'inspect: no such' \
	"$cxlfork" inspect --file "$pool" other
expect 1 'state writing' 'inspect: one that is written' \
	"$cxlfork" inspect --file "$pool" 0x10200

expect 0 '  0x20103$' 'digest by name' "$cxlfork" pool digest --file "$pool" resize
cp "$tmp/out" "$tmp/digest"
json 'digest --json' "$cxlfork" pool digest --extents --json --file "$pool" resize
wanted=$(dd if="$pool" bs=2M skip=2 count=1 2>/dev/null | sha256sum)
expect 0 "^${wanted%% *}  extent 1, number 2" 'digest: as sha256sum has it' \
	"$cxlfork" pool digest --extents --file "$pool" resize
cp "$pool" "$tmp/touched"
flip_bit5 "$tmp/touched" $((4 * 2097152 + 20480))
expect 0 "^$(cat "$tmp/digest")" 'digest: an accessed bit does not matter' \
	"$cxlfork" pool digest --file "$tmp/touched" 0x20103
flip_bit5 "$tmp/touched" $((2 * 2097152 + 4096))
"$cxlfork" pool digest --file "$tmp/touched" resize >"$tmp/out" 2>&1 &&
	! cmp -s "$tmp/out" "$tmp/digest"
result $? 'digest: the same bit of a data page does'
cp "$pool" "$tmp/names"		# of the child, whose CRC is wrong then
of_name=$((65536 + 98304 + 4096 + 9 * 256 + 136))
poke "$tmp/names" $((of_name + 6)) 000
poke "$tmp/names" $((of_name - 16)) 001
if [ "$(id -u)" -eq 0 ]; then
	expect 0 '  0x20103$' 'digest: of two of a name my own' \
		"$cxlfork" pool digest --file "$tmp/names" resize
else
	expect 1 'give its id' 'digest: two of a name' \
		"$cxlfork" pool digest --file "$tmp/names" resize
fi
poke "$tmp/names" "$of_name" 071
poke "$tmp/names" $((of_name + 1)) 000
expect 1 '0x40209 is damaged: CRC' 'digest: a name that is a number' \
	"$cxlfork" pool digest --file "$tmp/names" 9
poke "$tmp/names" "$of_name" 000
expect 1 'no checkpoint' 'digest: no name' \
	"$cxlfork" pool digest --file "$tmp/names" ''
expect 1 'no checkpoint' 'digest: no such' \
	"$cxlfork" pool digest --file "$pool" other

cp "$pool" "$tmp/damaged"
poke "$tmp/damaged" $((4 * 2097152 + 8192)) 001	# the task section
expect 1 'section task: CRC' 'fsck: a section damaged' \
	"$cxlfork" pool fsck --file "$tmp/damaged"
expect 1 'section task: CRC' 'inspect: a section damaged' \
	"$cxlfork" inspect --file "$tmp/damaged" resize
expect 1 '"kind": *"section-crc"' 'fsck --json: kinds' \
	"$cxlfork" pool fsck --json --file "$tmp/damaged"
expect 1 'damaged: section task: CRC' 'digest: a section damaged' \
	"$cxlfork" pool digest --file "$tmp/damaged" resize
expect 1 '"damaged": *"section task: CRC' 'digest --json: a section damaged' \
	"$cxlfork" pool digest --json --file "$tmp/damaged" resize
for command in 'pool fsck' 'inspect resize' 'pool digest resize'; do
	# shellcheck disable=SC2086 # several words; the state of the registers has 832 bytes
	expect 2 'Cannot allocate memory' "$command: no memory for a section" \
		env LD_PRELOAD="$OUT/unit/fake_memory.so" FAKE_NO_MEMORY=832 \
		"$cxlfork" $command --file "$pool"
done
json 'inspect --json: a section damaged' \
	"$cxlfork" inspect --json --file "$tmp/damaged" resize
poke "$tmp/damaged" $((4 * 2097152 + 100)) 377	# the image header
expect 1 'is damaged: CRC' 'inspect: the header damaged' \
	"$cxlfork" inspect --file "$tmp/damaged" resize
poke "$tmp/damaged" 4 011
expect 2 'format version 9' 'fsck: another version' \
	"$cxlfork" pool fsck --file "$tmp/damaged"
truncate -s 1M "$tmp/zero"
expect 2 'not formatted' 'fsck: not formatted' \
	"$cxlfork" pool fsck --file "$tmp/zero"
expect 2 "can't be read" 'fsck: an empty file' \
	"$cxlfork" pool fsck --file /dev/null
truncate -s 5M "$tmp/damaged"
poke "$tmp/damaged" 4 002
expect 1 "more than the region" 'fsck: a file cut off' \
	"$cxlfork" pool fsck --file "$tmp/damaged"

# --- the commands
for command in checkpoint restore ls rm set pin unpin inspect check stat; do
	expect 0 '^Usage' "$command --help" "$cxlfork" $command --help
done
for command in format status fence reclaim fsck digest; do
	expect 0 '^Usage' "pool $command --help" "$cxlfork" pool $command --help
done
expect 2 'no command' 'a command there is not' "$cxlfork" clone
expect 2 '^Usage' 'no command' "$cxlfork"
expect 2 'give its PID' 'checkpoint: of what?' "$cxlfork" checkpoint
expect 2 'not a number' 'checkpoint: not a pid' "$cxlfork" checkpoint 1x
expect 2 'not a number' 'checkpoint: handover of nothing' \
	"$cxlfork" checkpoint 1 --handover -1
expect 2 'give its ID' 'restore: of what?' "$cxlfork" restore
expect 2 'IMAGE_FD' 'restore: --fd without =' "$cxlfork" restore x --fd 5
expect 2 'descriptor 99' 'restore: --fd that is not open' \
	"$cxlfork" restore x --fd 5=99
expect 2 'twice' 'restore: a descriptor twice' \
	"$cxlfork" restore x --fd 5=1 --fd 5=2
expect 2 'port' 'restore: --listen at nonsense' \
	"$cxlfork" restore x --listen 5=:70000
expect 2 'there is no pool' 'ls: no pool' "$cxlfork" ls --pool "$tmp/none"
expect 2 'control device' 'ls: not a pool' "$cxlfork" ls --pool /dev/null
json_is 'd["errno"] == 25 and "control device" in d["message"]' 'ls --json: not a pool' \
	"$cxlfork" ls --json --pool /dev/null
json_is 'd["errno"] == 2 and d["message"] == d["error"]' 'ls --json: no pool' \
	"$cxlfork" ls --json --pool "$tmp/none"
for command in ls 'rm x' 'rm 5' 'set --ttl 5 x' 'pin 5' 'export x' 'export 5' 'restore x' \
	'import -' 'pool format' 'pool status' 'pool fence x' 'pool drain' 'pool reclaim' \
	'pool fsck' 'pool digest x' 'inspect x'; do
	# shellcheck disable=SC2086 # several words
	expect 2 'control device' "$command: not a pool" \
		"$cxlfork" $command --pool /dev/null </dev/null
done
expect 2 'not a number' 'pool format: slots' "$cxlfork" pool format --slots 17
expect 2 'one of smhdw' 'checkpoint: a time' "$cxlfork" checkpoint 1 --ttl 5x
expect 2 'one of smhdw' 'checkpoint: a time too long' \
	"$cxlfork" checkpoint 1 --ttl 99999999999999999999
expect 2 'give .never' 'checkpoint: no time' "$cxlfork" checkpoint 1 --ttl 0
expect 2 'give .never' 'set: no time' "$cxlfork" set x --ttl 0h
expect 2 'octal' 'checkpoint: a mode' "$cxlfork" checkpoint 1 --mode 755
expect 2 'octal' 'checkpoint: a mode that is none' \
	"$cxlfork" checkpoint 1 --mode +640
expect 2 'taken for an id' 'checkpoint: a number as name' \
	"$cxlfork" checkpoint 1 --name 65793
expect 2 'taken for an id' 'import: a number as name' \
	"$cxlfork" import --name 0x5 /dev/null
expect 2 '17. is not a number from 1 to 16' 'pool format: zeros do not matter' \
	"$cxlfork" pool format --slots 017
expect 2 'is not a number from 1 to 16' 'pool format: hexadecimal' \
	"$cxlfork" pool format --slots 0x11
expect 2 'give --all' 'pool reclaim: more than there can be' \
	"$cxlfork" pool reclaim --need 18446744073709551615
expect 2 'give --ttl' 'set: what?' "$cxlfork" set x
expect 2 'one of KMGT' 'pool reclaim: how much?' \
	"$cxlfork" pool reclaim --need 5Q
expect 2 'either' 'pool reclaim: one or the other' \
	"$cxlfork" pool reclaim --need 5 --all
expect 2 'give its SLOT' 'pool fence: whom?' "$cxlfork" pool fence
head -c 65537 /dev/zero >"$tmp/big"
expect 2 'at most 65536' 'restore: too large a payload' \
	"$cxlfork" restore 1 --payload-file "$tmp/big"

# --- on a kernel without cxlfork the calls fail, and nothing else does
if [ -e /proc/self/cxlfork_stat ]; then
	skip 'calls that fail' 'this kernel has cxlfork'
else
	expect 2 'no cxlfork' 'checkpoint: no such call' \
		"$cxlfork" checkpoint --pool /dev/null $$
	expect 2 'no cxlfork' 'check: no such call' \
		"$cxlfork" check --pool /dev/null $$
	expect 2 'no cxlfork' 'restore: no such call' \
		"$cxlfork" restore --pool /dev/null 1
	expect 2 'no cxlfork' 'restore --detach: no such call' \
		"$cxlfork" restore --detach --pool /dev/null 1
	expect 2 'cxlfork_stat' 'stat: no such file' "$cxlfork" stat $$
	: >"$tmp/out"
	strace -o "$tmp/out" -e trace=openat "$cxlfork" stat 0x1f >/dev/null 2>&1
	if [ -s "$tmp/out" ]; then
		grep -q '"/proc/31/cxlfork_stat"' "$tmp/out"
		result $? 'stat: hexadecimal'
	else
		skip 'stat: hexadecimal' 'no strace'
	fi

	"$OUT/cxlfork-ghost" --socket "$tmp/ghost" &
	ghost=$!
	tries=0
	until [ -S "$tmp/ghost" ] || [ "$tries" -eq 50 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	find "/proc/$ghost/fd" -type l >"$tmp/fds"
	expect 2 'no cxlfork' 'ghost: an order that fails' \
		"$cxlfork" restore --pool /dev/null --ghost "$tmp/ghost" 1
	expect 2 'no cxlfork' 'ghost: another one, with descriptors' \
		"$cxlfork" restore --pool /dev/null --ghost "$tmp/ghost" \
		--payload hello --fd 5=0 --fd 6=1 1
	if unshare -pf true 2>/dev/null; then
		expect 1 'has no pid here' 'ghost: in another pid namespace' \
			unshare -pf "$cxlfork" restore --pool /dev/null --ghost "$tmp/ghost" 1
	else
		skip 'ghost: in another pid namespace' 'there can be none'
	fi
	if setpriv --reuid=2 --regid=2 --clear-groups "$cxlfork" --version >/dev/null 2>&1; then
		"$OUT/cxlfork-ghost" --socket "@$tmp/ghost" &
		other=$!
		until grep -q -F "@$tmp/ghost" /proc/net/unix; do
			sleep 0.1
		done
		expect 1 'Permission denied' 'ghost: an order from somebody else' \
			setpriv --reuid=2 --regid=2 --clear-groups "$cxlfork" restore \
			--pool /dev/null --ghost "@$tmp/ghost" 1
		kill "$other"
		wait "$other" 2>/dev/null
	else
		skip 'ghost: an order from somebody else' 'nobody else can be here'
	fi
	head -c 65536 /dev/zero >"$tmp/zero64k"
	expect 2 'no cxlfork' 'ghost: the largest payload' \
		"$cxlfork" restore --pool /dev/null --ghost "$tmp/ghost" \
		--payload-file "$tmp/zero64k" 1
	awk '$1 == "VmRSS:" { exit !($2 < 512) }' "/proc/$ghost/status"
	result $? 'ghost: less than 512 KB'
	find "/proc/$ghost/fd" -type l | cmp - "$tmp/fds" >"$tmp/out" 2>&1
	result $? 'ghost: no descriptor is left over'
	kill "$ghost"
	wait "$ghost" 2>/dev/null
	ghost=
fi

expect 1 'standard input is no connection' 'ghost: no socket' sh -c \
	"$OUT/cxlfork-ghost </dev/null"

# --- with the two calls played by fork() and exit()
fake()		# [NAME=VALUE...] COMMAND...
{
	env LD_PRELOAD="$OUT/unit/fake_kernel.so" CXLFORK_POOL=/dev/null \
		CXLFORK_LIBRARY="$OUT/libcxlfork.so" PYTHONPATH="$OUT" "$@"
}

expect 0 '^0x10100$' 'checkpoint: prints the id' \
	fake "$cxlfork" checkpoint $$ --name n --handover 3
json 'checkpoint --json' fake "$cxlfork" checkpoint --json -p $$
expect 2 'no spaces' 'checkpoint: not a name' \
	fake "$cxlfork" checkpoint $$ --name 'a b'
expect 1 'descriptor 4: a socket; close it' 'checkpoint: obstacles' \
	fake FAKE_OBSTACLES=2 "$cxlfork" checkpoint $$
expect 1 '\.\.\. and 36 more' 'checkpoint: more obstacles than fit' \
	fake FAKE_OBSTACLES=100 "$cxlfork" checkpoint $$
expect 0 'can be cloned' 'check: nothing' fake "$cxlfork" check $$
expect 1 'descriptor 102: a socket' 'check: a hundred obstacles' \
	fake FAKE_OBSTACLES=100 "$cxlfork" check $$
json 'check --json' fake FAKE_OBSTACLES=3 "$cxlfork" check --json $$
expect 7 'clone of 0x20300: hi 5 9$' 'restore: exits as the clone does' \
	fake FAKE_EXIT=7 "$cxlfork" restore 0x20300 --payload hi --fd 5=0 \
	--fd 9=1
expect 137 'clone of' 'restore: dies as the clone does' \
	fake FAKE_SIGNAL=9 "$cxlfork" restore 5
expect 1 'descriptor 3: a socket' 'restore: obstacles' \
	fake FAKE_OBSTACLES=1 "$cxlfork" restore 5
expect 0 '^[0-9]*$' 'restore --detach: prints the pid' \
	fake "$cxlfork" restore 5 --detach --pidfile "$tmp/pid" \
	--stdout "$tmp/clone" --listen 7=127.0.0.1:0
cmp "$tmp/out" "$tmp/pid" >/dev/null && grep -q 'clone of 0x5:  1 7' "$tmp/clone"
result $? 'restore --detach: pidfile, output'
json 'restore --detach --json' fake "$cxlfork" restore 5 --detach --json
expect 1 'no/such: No such file' 'restore --detach: a pidfile that cannot be' \
	fake "$cxlfork" restore 5 --detach --pidfile "$tmp/no/such"
expect 1 'full: No space left on device' 'restore --detach: a full disk is no full pool' \
	fake "$cxlfork" restore 5 --detach --pidfile /dev/full
json_is 'd["pid"] > 0 and d["errno"] == 2 and "No such" in d["pidfile_error"]' \
	'restore --detach --json: a pidfile that cannot be' \
	fake "$cxlfork" restore 5 --detach --json --pidfile "$tmp/no/such"
expect 1 'the clone ended at once, by signal 9$' 'restore --detach: a clone that is killed' \
	fake FAKE_SIGNAL=9 "$cxlfork" restore 5 --detach --pidfile "$tmp/dead"
[ ! -e "$tmp/dead" ]
result $? 'restore --detach: a clone that is killed has no pidfile'
json_is '"by signal 15" in d["message"]' 'restore --detach --json: a clone that is killed' \
	fake FAKE_SIGNAL=15 "$cxlfork" restore 5 --detach --json
expect 0 '^[0-9]*$' 'restore --detach: a clone that runs another program' \
	fake FAKE_EXEC=1 "$cxlfork" restore 5 --detach
kill "$(cat "$tmp/out")"
result $? 'restore --detach: it is not waited for'
if command -v python3 >/dev/null; then
	expect 0 'clone is well' 'Python: a clone' \
		fake python3 "$UNIT/python_clone_test.py"
	expect 0 refused 'Python: obstacles' \
		fake FAKE_OBSTACLES=2 python3 "$UNIT/python_clone_test.py"
else
	skip 'Python: a clone' 'no python3'
fi

# --- with a pool that is played
pool()		# COMMAND...
{
	env LD_PRELOAD="$OUT/unit/fake_pool.so" CXLFORK_POOL=/dev/null "$@"
}

lacks()		# PATTERN NAME: the last output
{
	! grep -q -e "$1" "$tmp/out"
	result $? "$2"
}

expect 0 '^0x10201 .* 1  *0  *0 .*1970-01-01T01:56:40Z$' 'ls: expires' \
	pool "$cxlfork" ls
expect 0 '^0x10105 .* 0  *0  *2 .*never$' 'ls: pins' pool "$cxlfork" ls
json 'ls --json' pool "$cxlfork" ls --json
expect 0 '^  slot  1  silent ' 'status: a silent host' \
	pool "$cxlfork" pool status
expect 0 '^  slot  2  fenced .*, slot 0 takes care of it$' \
	'status: a dead host, and who takes care of it' \
	pool "$cxlfork" pool status
expect 0 'busy .*; 2 clones on node1$' 'status: clones' \
	pool "$cxlfork" pool status
expect 0 'pinned .*; pinned by node0, node2$' 'status: pins' \
	pool "$cxlfork" pool status
expect 0 'kept .*; 1 checkpoints use its pages$' 'status: children' \
	pool "$cxlfork" pool status
expect 0 'late .*; expired 1970-01-01T01:56:40Z; nothing holds it$' \
	'status: expired' pool "$cxlfork" pool status
lacks 'memory error' 'status: no memory errors'
expect 0 '^memory errors: not shown (needs CAP_SYS_ADMIN)$' 'status: memory errors' \
	pool env FAKE_USER=1 "$cxlfork" pool status
json_is 'd["lost"] is None' 'status --json: memory errors' \
	pool env FAKE_USER=1 "$cxlfork" pool status --json
json_is 'd["lost"] == []' 'status --json' pool "$cxlfork" pool status --json
for command in fsck 'digest x'; do
	# shellcheck disable=SC2086 # several words
	expect 2 'with CAP_SYS_ADMIN' "$command: as a user" \
		pool env FAKE_USER=1 "$cxlfork" pool $command
done
json_is 'd["errno"] == 1' 'inspect --json: as a user' \
	pool env FAKE_USER=1 "$cxlfork" inspect x --json
expect 0 '"caretaker":0' 'status --json: caretaker' sh -c \
	"LD_PRELOAD=$OUT/unit/fake_pool.so $cxlfork pool status --json --pool /dev/null | tr -d ' '"

expect 1 'node1 .*: the host in slot 1 is alive' 'fence: refused' \
	pool "$cxlfork" pool fence node1
expect 0 'node1 (slot 1) is declared dead' 'fence --force' \
	pool "$cxlfork" pool fence 1 --force
expect 1 'there is no host' 'fence: nobody' pool "$cxlfork" pool fence 3
expect 1 'there is no host' 'fence: no such slot' pool "$cxlfork" pool fence 01
json 'fence --json' pool "$cxlfork" pool fence --json --force node1

expect 0 '^pinned$' 'pin' pool "$cxlfork" pin old
expect 0 '^let go$' 'unpin' pool "$cxlfork" unpin 0x10101
expect 1 'no checkpoint' 'pin: no such' pool "$cxlfork" pin 0x10100 0x5
expect 0 '^expires in 7200 s$' 'set --ttl' pool "$cxlfork" set old --ttl 2h
expect 0 '^expires in 0 s$' 'set --ttl never' \
	pool "$cxlfork" set old --ttl never
expect 1 'only the host that has it' 'set: on another host' \
	pool "$cxlfork" set late --ttl 5
json_is 'd[0]["errno"] == 2 and "no checkpoint" in d[0]["error"] and "errno" not in d[1]' \
	'pin --json' pool env FAKE_QUIET=1 "$cxlfork" pin --json 0x5 old
json_is 'd[0]["errno"] == 16 and "cxlfork unpin" in d[0]["error"]' 'rm --json: pinned' \
	pool "$cxlfork" rm --json 0x10105
expect 0 '^pinned$' 'pin: a name that is a number' pool "$cxlfork" pin 4711
expect 0 '^expires in 60 s$' 'set: an id that is a name as well' \
	pool "$cxlfork" set 65793 --ttl 60
expect 0 'clone of 0x10302' 'restore: a name that is a number' \
	env FAKE_GONE=4711 CXLFORK_POOL=/dev/null \
	LD_PRELOAD="$OUT/unit/fake_pool.so $OUT/unit/fake_kernel.so" "$cxlfork" restore 4711
expect 0 'clone of 0x1267' 'restore: an id first' \
	env CXLFORK_POOL=/dev/null \
	LD_PRELOAD="$OUT/unit/fake_pool.so $OUT/unit/fake_kernel.so" "$cxlfork" restore 4711
expect 1 'pinned (cxlfork unpin' 'rm: pinned' pool "$cxlfork" rm 0x10105
expect 1 "another user's" 'rm: not permitted' pool "$cxlfork" rm theirs
if command -v python3 >/dev/null; then
	expect 0 '^expires in 60 s$' 'Python: pin, unpin, set_ttl' \
		pool env CXLFORK_LIBRARY="$OUT/libcxlfork.so" PYTHONPATH="$OUT" \
		python3 -c 'import cxlfork
cxlfork.pin("old")
cxlfork.unpin(0x10101)
cxlfork.set_ttl("old", 60)
assert cxlfork.lookup("kept").keeps == 1'
else
	skip 'Python: pin, unpin, set_ttl' 'no python3'
fi
if [ "$(id -u)" -eq 0 ]; then
	expect 0 '^pinned$' 'a name: my own' pool "$cxlfork" pin web
else
	skip 'a name: my own' 'not root, whose the played checkpoints are'
fi

expect 0 '^x*$' 'export' pool "$cxlfork" export old
[ "$(wc -c <"$tmp/out")" = 40 ]
result $? 'export: all of it'
expect 0 '"bytes":40}' 'export --output --json' sh -c \
	"LD_PRELOAD=$OUT/unit/fake_pool.so $cxlfork export 0x10101 --json --pool /dev/null -o $tmp/stream | tr -d ' \n'"
[ "$(stat -c '%a %s' "$tmp/stream")" = '600 40' ]
result $? 'export --output: a file for its owner'
strange=$(printf '%s/b\303\244ck\377up' "$tmp")
json_is 'd["file"].endswith("/b\u00e4ck\\xffup")' 'export --json: the name of its file' \
	pool "$cxlfork" export old -o "$strange" --json
[ -e "$strange" ]
result $? 'export: the name of its file'
# an overlong slash, a surrogate, CSI; one that is right; the first half of one
strange=$(printf '%s/\300\257\355\240\200\302\233\360\237\230\200\303' "$tmp")
json_is 'd["file"].endswith("\\xaf\\xed\\xa0\\x80\\xc2\\x9b\U0001f600\\xc3")' \
	'export --json: a name that is no UTF-8' pool "$cxlfork" export old -o "$strange" --json
json_is 'd["errno"] == 2 and "no checkpoint" in d["message"]' 'export --json: no such' \
	pool "$cxlfork" export nothing -o "$tmp/stream" --json
json_is 'd["errno"] == 28 and d["message"] == "No space left on device"' \
	'export --json: a full disk' pool "$cxlfork" export old -o /dev/full --json
json_is 'd["errno"] == 16 and "is alive" in d["message"]' 'fence --json: refused' \
	pool "$cxlfork" pool fence node1 --json
expect 1 'no checkpoint' 'export: no such' pool "$cxlfork" export nothing
expect 1 'belongs to user 1234' 'export: not permitted' \
	pool "$cxlfork" export 0x10300
expect 2 'which checkpoint' 'export: usage' pool "$cxlfork" export
expect 2 'needs --output' 'export --json: usage' \
	pool "$cxlfork" export old --json
expect 1 'old can.t be read to its end: .*directory' 'export: that breaks' \
	pool env FAKE_BROKEN=1 "$cxlfork" export old -o "$tmp/stream"
ls "$tmp"/stream* >"$tmp/out" && [ "$(cat "$tmp/out")" = "$tmp/stream" ] &&
	[ "$(wc -c <"$tmp/stream")" = 40 ]
result $? 'export --output: the file before is left as it was'
expect 1 'stream: Input/output error' 'export --output: a name that is not on the disk' \
	pool env FAKE_NO_SYNC=1 "$cxlfork" export old -o "$tmp/stream"
for signal in HUP INT TERM; do
	mkdir "$tmp/ended"
	env --default-signal=$signal LD_PRELOAD="$OUT/unit/fake_pool.so" FAKE_SLOW=600 \
		"$cxlfork" export old --pool /dev/null -o "$tmp/ended/stream" >"$tmp/out" 2>&1 &
	ended=$!
	until [ -n "$(ls "$tmp/ended")" ]; do
		sleep 0.1
	done
	kill -s $signal $ended
	wait $ended 2>/dev/null
	status=$?
	[ "$(kill -l $status)" = $signal ] && rmdir "$tmp/ended"
	result $? "export --output: ended by SIG$signal, nothing is left of it"
	rm -rf "$tmp/ended"
done
mkdir "$tmp/other"
ln -s "$tmp/other/there" "$tmp/other/link"
ln -s other/link "$tmp/link"
pool "$cxlfork" export old -o "$tmp/link" >"$tmp/out" 2>&1 &&
	[ -L "$tmp/link" ] && [ "$(wc -c <"$tmp/other/there")" = 40 ]
result $? 'export --output: where a symbolic link leads to'
ln -s loop "$tmp/loop"
expect 2 'Too many levels' 'export --output: a link to itself' \
	pool "$cxlfork" export old -o "$tmp/loop"
mkdir "$tmp/here"
expect 0 '^x*$' 'export -o -' \
	pool env -C "$tmp/here" "$cxlfork" export old -o -
rmdir "$tmp/here"
result $? 'export -o -: is no file'
expect 2 'needs --output' 'export -o - --json: usage' \
	pool "$cxlfork" export old --json -o -
expect 1 'No space left' 'export: a full disk' \
	pool "$cxlfork" export old -o /dev/full
expect 2 'No such file' 'export: no such folder' \
	pool "$cxlfork" export old -o "$tmp/no/file"
if command -v script >/dev/null; then
	expect 2 'not for a terminal' 'export: to a terminal' \
		script -qec "LD_PRELOAD=$OUT/unit/fake_pool.so $cxlfork export old --pool /dev/null" \
		/dev/null
	expect 0 '[0-9]* B of at most 80 B' 'export: how far it has come' \
		script -qec "LD_PRELOAD=$OUT/unit/fake_pool.so FAKE_SLOW=30 $cxlfork export old -o $tmp/stream --pool /dev/null" \
		/dev/null
	expect 2 'redirect the input' 'import: from a terminal' \
		script -qec "LD_PRELOAD=$OUT/unit/fake_pool.so $cxlfork import --pool /dev/null" \
		/dev/null
else
	skip 'export: to a terminal' 'no script(1)'
fi
expect 0 '^0x10107$' 'import' pool "$cxlfork" import "$tmp/stream"
expect 0 '^name other$' 'import --name' \
	pool "$cxlfork" import --name other "$tmp/stream"
expect 0 '^ttl 60 mode 44 flags 4$' 'import --ttl --mode --pin' \
	pool "$cxlfork" import --ttl 1m --mode 644 --pin "$tmp/stream"
expect 2 'no spaces' 'import: not a name' \
	pool "$cxlfork" import --name 'a b' "$tmp/stream"
expect 0 '^0x10107$' 'import: from a pipe' sh -c \
	"cat $tmp/stream | LD_PRELOAD=$OUT/unit/fake_pool.so $cxlfork import --pool /dev/null"
json 'import --json' pool "$cxlfork" import --json "$tmp/stream"
expect 1 'at byte 0: .*; copy the file again' 'import: nothing' \
	pool "$cxlfork" import /dev/null
expect 2 'No such file' 'import: no such file' \
	pool "$cxlfork" import "$tmp/nothing"
expect 1 'directory' 'import: a folder' pool "$cxlfork" import "$tmp"

expect 0 '^2.0 MiB freed, 4.0 MiB free$' 'reclaim: what has expired' \
	pool "$cxlfork" pool reclaim
grep -q '^0x10200 .*expired: freed$' "$tmp/out" &&
	grep -q '^0x10201 .*expired: deleted, and free once' "$tmp/out"
result $? 'reclaim: freed, and on its way'
lacks '^0x101' 'reclaim: nothing else'
expect 0 '^4.0 MiB freed, 6.0 MiB free$' 'reclaim --need' \
	pool "$cxlfork" pool reclaim --need 6M
grep -q '^0x10101 .* freed$' "$tmp/out"
result $? 'reclaim --need: the one not restored for longest'
lacks '^0x10104\|^0x10100' 'reclaim --need: no more than needed'
expect 0 '^2.0 MiB freed, 4.0 MiB free$' 'reclaim --need: there is enough' \
	pool "$cxlfork" pool reclaim --need 2M
expect 1 '^10 MiB freed, 12 MiB free$' 'reclaim --all' \
	pool "$cxlfork" pool reclaim --all
grep -q "^0x10300 .*stays: another user's" "$tmp/out" &&
	grep -q '^0x10105 .*stays: pinned by node0, node2$' "$tmp/out" &&
	grep -q '^0x10102 .*stays: 2 clones on node1$' "$tmp/out" &&
	grep -q '^0x10106 .*stays: writing$' "$tmp/out" &&
	grep -q '^0x10103 .* freed$' "$tmp/out"
result $? 'reclaim --all: what stays and why; the parent after its child'
[ "$(grep -c '^0x10300' "$tmp/out")" -eq 1 ]
result $? 'reclaim --all: tried once'
expect 1 '^10 MiB freed, 12 MiB free, not 1.0 GiB$' 'reclaim: not enough' \
	pool "$cxlfork" pool reclaim --need 1G
expect 0 '^would be: 8.0 MiB freed, 10 MiB free$' 'reclaim --dry-run' \
	pool "$cxlfork" pool reclaim --dry-run --need 10M
json 'reclaim --json' pool "$cxlfork" pool reclaim --json --all

# --- the library
nm -g --defined-only "$OUT/libcxlfork.a" | awk 'NF == 3 && $3 !~ /^cxl/' >"$tmp/out"
[ ! -s "$tmp/out" ]
result $? 'static library: names of its own only'
printf '#include <cxlfork.h>\n#include <linux/cxlfork_stream.h>\nint main(void) { return !cxlfork_strerror(1); }\n' \
	>"$tmp/user.c"
$MAKE install DESTDIR="$tmp/root" PREFIX=/usr >"$tmp/out" 2>&1
result $? 'install'
[ "$(PKG_CONFIG_PATH=$tmp/root/usr/lib/pkgconfig pkg-config --variable=prefix libcxlfork)" = /usr ]
result $? 'install: with the prefix of the installation, not that of the build'
flags=$(PKG_CONFIG_PATH=$tmp/root/usr/lib/pkgconfig \
	pkg-config --define-variable=prefix="$tmp/root/usr" \
	--define-variable=libdir="$tmp/root/usr/lib" --cflags --libs libcxlfork)
# shellcheck disable=SC2086 # several flags
${CC:-cc} -o "$tmp/user" "$tmp/user.c" $flags >"$tmp/out" 2>&1 &&
	LD_LIBRARY_PATH=$tmp/root/usr/lib "$tmp/user"
result $? 'a program with the installed library'
# shellcheck disable=SC2086
${CC:-cc} -static -o "$tmp/user" "$tmp/user.c" $flags >"$tmp/out" 2>&1 &&
	"$tmp/user"
result $? 'a program with the static library'
if command -v python3 >/dev/null; then
	CXLFORK_LIBRARY=$OUT/libcxlfork.so PYTHONPATH=$OUT \
		python3 "$UNIT/python_test.py" >"$tmp/out" 2>&1
	result $? 'Python module'
else
	skip 'Python module' 'no python3'
fi

# --- the parser, on whatever comes
if command -v "$CLANG" >/dev/null &&
   $MAKE "$OUT/unit/fuzz_format" >"$tmp/out" 2>&1; then
	"$OUT/unit/fuzz_format" -max_total_time="$FUZZ_SECONDS" -max_len=256 \
		-artifact_prefix="$OUT/unit/" >"$tmp/out" 2>&1
	result $? "fuzzer: $FUZZ_SECONDS seconds"
else
	skip 'fuzzer' "no clang with libFuzzer"
fi

echo "1..$nr"
[ "$failed" -eq 0 ]
