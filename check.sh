#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# check.sh : install what the tests need, build in every way that finds defects, and run all tests.
#
#   ./check.sh              everything, as CI does
#   ./check.sh STAGE…       only these: lint model asan clang tsan valgrind fuzz coverage reader it ui package quickstart
#
# Needs Debian 12 or 13, as root or as somebody who may use sudo (for installing packages only). Tests run private
# daemons in temporary folders; what is built lies in build-check/. The last line is "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$(realpath "$0")")" || exit 1
out=$PWD/build-check
results=$out/results
export PYTHONDONTWRITEBYTECODE=1
# A test that hangs is a failure; a sanitizer's finding is one too.
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
fuzz_seconds=${HF_FUZZ_SECONDS:-3}

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '\n%s== %s%s  (%d s)\n' "$bold" "$*" "$plain" "$SECONDS"; }

# note NAME STATUS [REASON] : a result that no test runner counts
note() { printf '%s\t%s\t%s\n' "$1" "$2" "${3:-}" >>"$results/notes"; }
judge() { # NAME COMMAND… : run it, show what it says when it fails
	local name=$1
	shift
	if "$@" >"$results/$name.log" 2>&1; then
		note "$name" passed
	else
		note "$name" failed
		echo "FAILED: $name"
		tail -n 40 "$results/$name.log"
		return 1
	fi
}

# build NAME CC OPTION… : configure if that was not done, and compile
build() {
	local name=$1 cc=$2
	shift 2
	if [ ! -e "$out/$name/build.ninja" ]; then
		CC=$cc judge "$name-configure" meson setup "$out/$name" "$@" || return 1
	fi
	judge "$name-build" ninja -C "$out/$name"
}

# A runner's own verdict counts beside its test cases: a program that dies after the last of its tests has failed.
verdict() { # NAME STATUS
	if [ "$2" = 0 ] && [ -s "$results/$1.xml" ]; then note "$1-run" passed; else note "$1-run" failed "see $results/$1.log"; fi
}

# tests BUILD[:NAME] ARGUMENT… : run meson's tests, keep their counts
tests() {
	local build=${1%:*} name=${1#*:} junit status
	shift
	rm -f "$out/$build"/meson-logs/*.junit.xml
	meson test -C "$out/$build" --no-rebuild --print-errorlogs --num-processes $(($(nproc) + 1)) "$@" >"$results/$name.log" 2>&1
	status=$?
	[ $status = 0 ] || grep -vE '^ *[0-9]+/[0-9]+ .* OK ' "$results/$name.log" | tail -n 150
	junit=$(ls -t "$out/$build"/meson-logs/*.junit.xml 2>/dev/null | head -n 1)
	[ -n "$junit" ] && cp "$junit" "$results/$name.xml"
	verdict "$name" $status
	tail -n 12 "$results/$name.log" | grep -E '^(Ok|Fail|Skipped|Timeout):' | tr -s ' \n' ' ' && echo
}

pytests() { # NAME FOLDER ARGUMENT…
	local name=$1 status
	shift
	HOLDFAST=$out/asan/src/holdfast HOLDFAST_PLAIN=$out/clang/src/holdfast /usr/bin/python3 -m pytest -q -p no:cacheprovider \
		--junitxml="$results/$name.xml" "$@" >"$results/$name.log" 2>&1
	status=$?
	[ $status = 0 ] || tail -n 120 "$results/$name.log"
	verdict "$name" $status
	tail -n 1 "$results/$name.log"
}

ubsan=-fno-sanitize-recover=undefined

asan_is_built=
build_asan() {
	build asan gcc -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=$ubsan && asan_is_built=yes
}
clang_is_built=
build_clang() { build clang clang --buildtype=release && clang_is_built=yes; }
# Also when there is one already: it may be of yesterday's sources.
need_asan() { [ -n "$asan_is_built" ] || build_asan; }
# For what sanitizers stand in the way of.
need_clang() { [ -n "$clang_is_built" ] || build_clang; }

# One private PostgreSQL for all tests from the first stage that asks for it on, stopped whatever happens.
postgres=
need_postgres() {
	[ -z "$postgres" ] || return 0
	postgres=$(mktemp -d /tmp/hf-pg-XXXXXX)
	if HF_TEST_POSTGRES=$(test/lab/postgres.sh start "$postgres" 2>"$results/postgres.log"); then
		export HF_TEST_POSTGRES
	else
		unset HF_TEST_POSTGRES
		note postgres failed
		cat "$results/postgres.log"
	fi
}
stop_postgres() {
	[ -z "$postgres" ] || test/lab/postgres.sh stop "$postgres"
	postgres=
}
trap stop_postgres EXIT
trap 'exit 130' INT TERM HUP

stage_lint() {
	say "Format, layers, sizes, banned calls"
	judge lint tools/lint
	tail -n 1 "$results/lint.log"
}

# Nothing waits for what it says: beside what follows.
stage_model() {
	say "The protocol of sessions and collection, in every order of its steps (beside the next stage)"
	explore &
}
explore() {
	pytests model test/model -rP
	grep ' states$' "$results/model.log"
}

stage_asan() {
	say "gcc, address and undefined-behaviour sanitizers: all tests"
	need_postgres
	build_asan && tests asan
}

# Its tests are run by the next stage, which is built by clang, too.
stage_clang() {
	say "clang, release: warnings are errors"
	build_clang && power_cuts
}

# In a release build: it is about what is on the disk, not about memory. Two halves, side by side.
power_cuts() {
	local half states
	say "Power cuts: what is left of every operation, with all that was not flushed lost or not"
	for half in 1 2; do
		HF_POWER_CUTS=30 "$out/clang/test/fault/fault_power" $half 2 >"$results/power-$half.log" 2>&1 &
	done
	wait
	states=$(sed -n 's/.* operations, \([0-9]*\) different states, 0 wrong$/\1/p' "$results"/power-?.log | awk '{ n += $1 } END { print n + 0 }')
	echo "$states states"
	judge power-cuts test "$states" -ge 10000 || tail -n 20 "$results"/power-[12].log
}

stage_tsan() {
	say "Thread sanitizer"
	need_postgres
	build tsan clang -Db_sanitize=thread -Db_lundef=false && tests tsan --suite unit --suite prop --no-suite one-thread -t 3
}

# What valgrind has run counts for the coverage, too.
valgrind_has_run=
build_debug() { build debug gcc --buildtype=debug -Db_coverage=true; }
forget_coverage() { find "$out/debug" -name '*.gcda' -delete; }

stage_valgrind() {
	say "valgrind: unit tests, but for the slowest"
	need_postgres
	build_debug && forget_coverage && valgrind_has_run=yes &&
		tests debug:valgrind --suite unit --no-suite slow -t 10 \
			--wrap "valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
}

fuzz_one() { # TARGET
	local name seeds=() runs dir
	name=$(basename "$1")
	for dir in "test/fuzz/seeds/${name#fuzz_}" "$out/fuzz/test/fuzz/made-seeds/${name#fuzz_}"; do
		[ -d "$dir" ] && seeds+=("$dir")
	done
	mkdir -p "$out/corpus/$name"
	judge "$name" "$1" -max_total_time="$fuzz_seconds" -timeout=20 -rss_limit_mb=3000 -print_final_stats=1 \
		-artifact_prefix="$results/$name-" "$out/corpus/$name" "${seeds[@]}"
	runs=$(sed -n 's/stat::number_of_executed_units: *//p' "$results/$name.log")
	printf '%-18s %12s inputs\n' "$name" "${runs:-0}"
}

stage_fuzz() {
	say "Fuzzers, $fuzz_seconds s each, two at a time"
	build fuzz clang -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
		"-Dc_args=$ubsan -fsanitize=fuzzer-no-link" || return
	local target
	for target in "$out"/fuzz/test/fuzz/fuzz_*; do
		[ -x "$target" ] && [ -f "$target" ] && [ "$(basename "$target")" != fuzz_seeds ] || continue
		fuzz_one "$target" &
		[ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
	done
	wait
}

stage_coverage() {
	say "Coverage of base, repo, mover, db, flow, sched and auth: 90 % of lines"
	need_postgres
	build_debug || return
	if [ -n "$valgrind_has_run" ]; then
		tests debug:coverage --suite slow --suite prop
	else
		forget_coverage
		tests debug:coverage --suite unit --suite prop
	fi
	# Of core, the catalogue's resources are tested through the server, in test/it: not here.
	judge coverage gcovr -r . --filter 'src/(base|repo|mover|db|flow|sched|auth)/' --fail-under-line 90 "$out/debug" \
		--txt "$out/coverage.txt" --gcov-ignore-parse-errors
	tail -n 3 "$out/coverage.txt" | head -n 2
}

stage_reader() {
	say "The reference reader, which shares no code with src/repo, restores test repositories (beside the next stage)"
	need_asan || return
	pytests reader test/reader &
}

# Four groups that take about as long, side by side, as a guest waits more than it works: the command line and a mover's steps
# with guests; the server; whole stories and movers, which wait for schedules and leases; and the rest. The packages are
# built and tried beside them: a system that starts waits, too.
stage_it() {
	say "Integration: a real libvirtd, a real guest (emulated), a real S3 service"
	local file machines=() servers=() stories=() others=()
	for file in test/it/test_*.py; do
		case $file in
		*/test_domain_* | */test_restore_* | */test_tpm.py | */test_mover_step.py) machines+=("$file") ;;
		*/test_server*.py | */test_api.py | */test_policy.py | */test_login.py | */test_oidc.py | */test_daemon.py)
			servers+=("$file") ;;
		*/test_mover_link.py | */test_karbor.py | */test_client.py | */test_notifications.py | */test_reports.py | */test_keystone.py)
			stories+=("$file") ;;
		*) others+=("$file") ;;
		esac
	done
	need_postgres
	need_asan && need_clang && judge synthesize-build ninja -C "$out/clang" bench/synthesize || return
	if is_asked_for package; then
		say "Beside that: Debian packages, built, and tried on a clean system"
		build_packages && try_packages &
		packages_are_tried=yes
	fi
	pytests it-machines "${machines[@]}" &
	pytests it-server "${servers[@]}" &
	pytests it-stories "${stories[@]}" &
	pytests it "${others[@]}"
	wait
}

# Pictures of every page, in both themes, are in build-check/screenshots afterwards.
stage_ui() {
	say "The dashboard: its types, and Chromium in front of a real server with a real guest"
	judge web-build tools/web "$out/web" && judge web-check tools/web --check && judge ui-tools tools/npm test/ui &&
		need_asan || return
	rm -rf "$out/screenshots"
	HOLDFAST_WEB=$out/web pytests ui test/ui -rP
	grep '^paint: ' "$results/ui.log"
}

packages_are_tried= # by stage_it already
build_packages() {
	judge package-install tools/install build web package && judge package-build tools/package "$out/debs"
}
try_packages() { HOLDFAST_DEBS=$out/debs pytests package test/package; }

stage_package() {
	[ -z "$packages_are_tried" ] || return 0
	say "Debian packages: built, and tried on a clean system"
	build_packages && try_packages
}

stage_quickstart() {
	say "The quick start, with the demo guest"
	judge quickstart ./quickstart.sh --demo
	tail -n 1 "$results/quickstart.log"
	./quickstart.sh --stop
}

all='lint model asan clang tsan valgrind fuzz coverage reader it ui package quickstart'
stages=${*:-$all}
is_asked_for() { [[ " $stages " == *" $1 "* ]]; }
for stage; do
	case " $all " in
	*" $stage "*) ;;
	*) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
	esac
done
rm -rf "$results"
mkdir -p "$results"
: >"$results/notes"
say "Installing what is needed (Debian packages)"
tools/install build run demo test web || exit 1
for stage in $stages; do "stage_$stage"; done
wait
say "Totals"
tools/totals "$results"
