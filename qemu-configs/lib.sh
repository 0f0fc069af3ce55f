# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# What the build scripts here have in common. Sourced, never run.

REPO=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=$REPO/build
CONFIGS=$REPO/qemu-configs
CACHE=${CXLFORK_CACHE:-${HOME:-/root}/.cache/cxlfork}
mkdir -p "$BUILD" "$CACHE"
CACHE=$(cd -- "$CACHE" && pwd -P)

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "cxlfork: $*"
	exit 1
}

# usage_and_exit "$0" [STATUS]: the comment at the head of a script is its help.
usage_and_exit() {
	sed -n '2,/^[^#]/{/^#!/d;/SPDX/d;s/^# \{0,1\}//p}' "$1"
	exit "${2:-0}"
}

# step TEXT LOG COMMAND...: runs a long command with its output in LOG, says
# that it goes on, and how long it took; on failure, what it said last, or with
# STEP_QUIET nothing: then the caller has a better line to say.
step() {
	local text=$1 log=$2 began=$SECONDS pid next=$((SECONDS + 3)) status=0 last
	shift 2
	mkdir -p "$(dirname -- "$log")"
	say "==> $text"
	"$@" >"$log" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		if [ "$SECONDS" -ge "$next" ]; then
			last=$(tail -n 1 -- "$log" | tr -d '\r' | cut -c 1-60)
			if [ -t 2 ]; then
				printf '\r    %4d s  %-62s' $((SECONDS - began)) "$last" >&2
				next=$((SECONDS + 1))
			else
				say "    $((SECONDS - began)) s  $(wc -l <"$log") lines  $last"
				next=$((SECONDS + 20))
			fi
		fi
	done
	wait "$pid" || status=$?
	[ ! -t 2 ] || printf '\r%76s\r' '' >&2
	if [ "$status" != 0 ]; then
		[ -z "${STEP_QUIET:-}" ] || return "$status"
		grep -i -E '(error|fatal|cannot|unable|E:)' -- "$log" | grep -v '^make' | tail -n 8 >&2 || true
		say "cxlfork: $text: failed after $((SECONDS - began)) s (exit $status); all of it: $log"
		return "$status"
	fi
	say "    done in $((SECONDS - began)) s"
}

# key_of FILE...: one hash over the contents.
key_of() {
	cat -- "$@" | sha256sum | cut -c 1-16
}

# packages_in FILE: the package names, comments left out.
packages_in() {
	sed 's/#.*//' "$1" | tr -s ' \t\n' '\n' | sed '/^$/d'
}

# publish PART FINAL: a finished file or folder appears under its name at once;
# where another run was quicker, its result stays.
publish() {
	if ! mv -T -n -- "$1" "$2" 2>/dev/null || [ -e "$1" ]; then
		rm -rf -- "$1"
	fi
	[ -e "$2" ] || die "cannot write $2"
}

# link_to TARGET NAME: replaces a link in one step.
link_to() {
	ln -sfn -- "$1" "$2.part.$$"
	mv -T -- "$2.part.$$" "$2"
}

# The address of the Debian mirror this machine is configured for.
debian_mirror() {
	local codename uri
	# shellcheck disable=SC1091
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016 # apt's own variables
	uri=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk -v c="$codename" '($2 == c || $2 == "stable") && !found { found = 1; print $1 }')
	[ -n "$uri" ] || die "no Debian mirror for '$codename' in /etc/apt/sources.list*"
	printf '%s\n' "$uri"
}

# debian_list FILE SUITE...: an apt sources list for those suites.
debian_list() {
	local file=$1 mirror suite key=/usr/share/keyrings/debian-archive-keyring.gpg
	shift
	[ -e "$key" ] || die "missing packages: debian-archive-keyring (apt-get install debian-archive-keyring)"
	mirror=$(debian_mirror)
	for suite in "$@"; do
		printf 'deb [signed-by=%s] %s %s main\n' "$key" "$mirror" "$suite"
	done >"$file"
}
