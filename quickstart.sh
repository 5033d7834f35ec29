#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# quickstart.sh : see Holdfast do its main job, from nothing.
#
#   ./quickstart.sh              install, build, protect what runs here, or else a small demo guest, which is destroyed and
#                                restored, too; leaves a server running, and prints the address of its dashboard
#   ./quickstart.sh --demo       the demo guest, whatever runs here
#   ./quickstart.sh --dashboard  only the server: what is to be protected waits for you in your browser
#   ./quickstart.sh --stop       end what was left running, and remove it
#
# Needs Debian 12 or 13, as root or as somebody who may use sudo (for installing packages only). Everything that
# is made lies in build-quickstart/ and in one temporary folder; no service of the machine is touched.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"
root=$PWD build=$PWD/build-quickstart
work=/tmp/holdfast-quickstart-$(id -u) # short: unix sockets have short names
hf=$build/src/holdfast
export HOLDFAST_TARGET=dir:$work/target HOLDFAST_KEY_FILE=$work/holdfast.key

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
run() { # show a command, then run it
	printf '%s$ %s%s\n' "$dim" "${*//$hf/holdfast}" "$plain"
	"$@"
}
fail() { echo "quickstart: $*" >&2; exit 1; }

stop_demo() {
	[ -d "$work" ] || return 0
	[ -O "$work" ] || fail "$work belongs to somebody else: remove it first"
	if [ -s "$work/server.pid" ]; then
		kill "$(cat "$work/server.pid")" 2>/dev/null || true
		for _ in $(seq 100); do
			kill -0 "$(cat "$work/server.pid")" 2>/dev/null || break
			sleep 0.1
		done
	fi
	[ ! -d "$work/libvirt" ] || test/lab/libvirtd.sh stop "$work/libvirt"
	rm -rf "$work"
}

# ---- the demo guest

guest=$build/guest.qcow2 disk=$work/demo.qcow2

define_guest() {
	cat >"$work/demo.xml" <<XML
<domain type='qemu'><name>demo</name><memory unit='MiB'>192</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features><cpu mode='maximum'/>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$disk'/><target dev='vda' bus='virtio'/></disk>
<serial type='file'><source path='$work/console.log'/></serial>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
</devices></domain>
XML
	virsh -q define "$work/demo.xml"
}

agent() { virsh -q qemu-agent-command demo "$1" 2>/dev/null; }

in_guest() { # run a shell command in the guest, through its agent
	local pid answer
	pid=$(agent "$(jq -nc --arg c "$1" '{execute:"guest-exec",arguments:{path:"/bin/sh",arg:["-c",$c],"capture-output":true}}')" | jq .return.pid)
	for _ in $(seq 200); do
		answer=$(agent "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":$pid}}")
		if [ "$(jq .return.exited <<<"$answer")" = true ]; then
			jq -r '.return["out-data"] // ""' <<<"$answer" | base64 -d
			return 0
		fi
		sleep 0.1
	done
	fail "the guest does not answer"
}

wait_guest() { # until it has booted and its agent answers
	for _ in $(seq 1200); do
		if grep -aq HF-GUEST-READY "$work/console.log" 2>/dev/null && agent '{"execute":"guest-ping"}' >/dev/null; then
			grep -a HF-GUEST-READY "$work/console.log" | tail -n 1 | tr -d '\r'
			return 0
		fi
		sleep 0.1
	done
	fail "the guest did not boot; its console: $work/console.log"
}

boot_guest() {
	say "Booting a small demo guest (emulated, in a libvirt of its own)"
	tools/install demo
	[ -s "$guest" ] || test/lab/mkguest.sh "$guest"
	test/lab/libvirtd.sh start "$work/libvirt"
	LIBVIRT_DEFAULT_URI=$(test/lab/libvirtd.sh uri "$work/libvirt")
	export LIBVIRT_DEFAULT_URI
	cp "$guest" "$disk"
	define_guest
	virsh -q start demo
	wait_guest
}

demo() {
	boot_guest
	serve
	tell_address
	echo "Watch there what is done here from now on."
	on_command_line
	through_server
	cat <<TEXT

The guest is running, and the server protects it every minute, keeping what its policy says. Look around:

    export LIBVIRT_DEFAULT_URI='$LIBVIRT_DEFAULT_URI'
    export HOLDFAST_TARGET=$HOLDFAST_TARGET HOLDFAST_KEY_FILE=$HOLDFAST_KEY_FILE
    $hf checkpoint show demo@latest          # straight against the first target, without a server
    $hf help

    export XDG_CONFIG_HOME=$work/config
    $hf status -s $api       # the same words against the server
    API=$api/v1/$project
    curl -s -u admin:\$(cat $work/server/first-password) \$API/operations | jq .
    $api/docs                                # what else it can do
TEXT
	tell_address
}

# Straight against a target: no server takes part.
on_command_line() {
	run "$hf" resource list

	say "A repository: deduplicated, encrypted, in a directory; and a key that opens it"
	run "$hf" target init --new-key-file "$HOLDFAST_KEY_FILE"

	say "First backup of the running guest"
	in_guest 'mkdir -p /data; echo first >/data/marker; dd if=/dev/urandom of=/data/first bs=64k count=40 2>/dev/null; sync'
	run "$hf" protect domain demo

	say "Something changes in the guest; second backup: only what changed is read"
	in_guest 'echo "written before the disaster" >/data/marker; dd if=/dev/urandom of=/data/second bs=64k count=20 2>/dev/null; cd /data; sha256sum first second >sums; sync'
	sums=$(in_guest 'cat /data/sums')
	run "$hf" protect domain demo

	say "Disaster: the guest is destroyed, its disk deleted, its definition gone"
	run virsh -q destroy demo
	run virsh -q undefine demo --checkpoints-metadata
	run rm "$disk" "$work/console.log"

	say "Restore from the repository, and boot"
	run "$hf" restore domain demo@latest --start
	wait_guest

	say "Is the guest's data there?"
	[ "$(in_guest 'cat /data/sums')" = "$sums" ] || fail "the restored guest has other data"
	in_guest 'cat /data/marker; cd /data && sha256sum -c sums'
	[ "$(in_guest 'cat /data/marker')" = "written before the disaster" ] || fail "the restored guest has other data"

	say "What each run read, stored and took"
	run "$hf" checkpoint list
}

# ---- the server

api= project= target= provider= platform=

ask() { # METHOD PATH [JSON] : ask the server, as its administrator
	local answer status
	answer=$(curl -s -w '\n%{http_code}' -u "admin:$(cat "$work/server/first-password")" -X "$1" "$api$2" \
		${3:+-H 'Content-Type: application/json' -d "$3"}) || fail "the server does not answer; its log: $work/server.log"
	status=${answer##*$'\n'}
	[ "$status" -lt 400 ] || fail "$1 $2: $answer"
	printf '%s' "${answer%$'\n'*}"
}

make() { # PATH JSON FILTER : show what is asked, make it, print what the filter picks of the answer
	printf '%s$ curl -X POST $API/%s -d %s%s\n' "$dim" "$1" "'$2'" "$plain" >&2
	ask POST "/v1/$project/$1" "$2" | jq -r "$3"
}

wait_for() { # SECONDS WHAT COMMAND… : until it prints something
	local until=$((SECONDS + $1)) what=$2
	shift 2
	while ! [ -n "$("$@")" ]; do
		[ "$SECONDS" -lt "$until" ] || fail "this did not happen: $what; the server's log: $work/server.log"
		sleep 0.5
	done
}

checkpoints() { ask GET "/v1/$project/providers/$provider/checkpoints?status=available" | jq -r '.checkpoints[].id'; }
found() { ask GET "/v1/$project/protectables/OS::Nova::Server/instances" | jq -r '.instances[] | select(.name == "demo") | .id'; }

# The usual one, if nobody has it.
free_port() {
	! (: >/dev/tcp/127.0.0.1/8799) 2>/dev/null && echo 8799 && return
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_server() {
	local port
	port=$(free_port)
	api=http://127.0.0.1:$port
	cat >"$work/holdfastd.conf" <<CONF
[server]
listen = 127.0.0.1:$port
dashboard = $build/web
tls = no
[state]
directory = $work/server
[mover]
local = yes
program = $build/src/holdfast-mover
CONF
	setsid "$build/src/holdfastd" --config "$work/holdfastd.conf" >"$work/server.log" 2>&1 &
	echo $! >"$work/server.pid"
	for _ in $(seq 300); do
		! curl -s "$api/livez" >/dev/null || break
		sleep 0.1
	done
	project=$(ask GET /v1/identity | jq -r '.identity.projects[0].id')
	export XDG_CONFIG_HOME=$work/config
	run "$hf" login "$api" --password-file "$work/server/first-password"
}

# The server, and what it has to know before there is something to look at.
serve() {
	say "A server with an API, schedules, policies and a dashboard (SQLite, a mover of its own)"
	start_server
	target=$(make targets "{\"target\": {\"name\": \"local\", \"url\": \"dir:$work/service\"}}" .target.id)
	provider=$(make providers "{\"provider\": {\"name\": \"local\", \"target_id\": \"$target\"}}" .provider.id)
	platform=$(make platforms "{\"platform\": {\"name\": \"this host\", \"kind\": \"libvirt\", \"uri\": \"$LIBVIRT_DEFAULT_URI\"}}" .platform.id)
}

tell_address() {
	say "The dashboard: $bold$api$plain   user: ${bold}admin$plain   password: $bold$(cat "$work/server/first-password")$plain"
	printf "\n'./quickstart.sh --stop' ends everything that was started, and removes it.\n"
}

through_server() {
	local policy id plan restore newest
	say "The server has been told where to store, and where machines run; it finds them by itself"
	wait_for 60 "the guest is found on platform $platform" found
	id=$(found)
	in_guest 'echo "protected by the server" >/data/marker; sync'
	say "A policy: every minute, the last five stay, and one for each hour of a day; a plan: protect the guest so"
	policy=$(make policies '{"policy": {"name": "gold", "spec": {"schedules": [{"name": "often", "trigger": {"format": "crontab", "pattern": "* * * * *"}, "retention": {"last": 5, "hourly": 24}}]}}}' .policy.id)
	plan=$(make plans "{\"plan\": {\"name\": \"demo\", \"provider_id\": \"$provider\", \"policy_id\": \"$policy\", \"parameters\": {}, \"resources\": [{\"id\": \"$id\", \"type\": \"OS::Nova::Server\", \"name\": \"demo\"}]}}" .plan.id)
	wait_for 150 "plan $plan is protected by its schedule" checkpoints
	newest=$(checkpoints | head -n 1)
	echo "checkpoint $newest, made by the schedule"

	say "Disaster again; this time the server brings the guest back"
	run virsh -q destroy demo
	run virsh -q undefine demo --checkpoints-metadata
	run rm "$disk" "$work/console.log"
	run "$hf" restore domain demo@latest --start --server "$api"
	wait_guest
	[ "$(in_guest 'cat /data/marker')" = "protected by the server" ] || fail "the restored guest has other data"
	run virsh -q list
}

# ---- virtual machines of the machine itself

# Name and bytes of the smallest running domain, from `resource list -o json`.
smallest() {
	jq -r '[.[] | select(.state == "running" and (.disks | length) > 0)
		| {name, bytes: ([.disks[].size_bytes] | add)}] | sort_by(.bytes) | .[0] // empty | "\(.bytes) \(.name)"'
}

real() { # BYTES NAME
	local bytes=$1 name=$2 room
	say "Virtual machines run here; protecting the smallest one, '$name'. It goes on running and is not changed."
	run "$hf" resource list
	room=$(df --output=avail -B1 /tmp | tail -n 1)
	[ "$room" -gt $((2 * bytes)) ] || fail "'$name' has $((bytes >> 20)) MiB of disks, and /tmp has not twice as much free: protect it to another place with '$hf protect domain $name --target dir:PATH', or run ./quickstart.sh --demo"
	run "$hf" target init --new-key-file "$HOLDFAST_KEY_FILE"
	say "First backup"
	run "$hf" protect domain "$name"
	say "Second backup: only what changed is read"
	run "$hf" protect domain "$name"
	say "Does it restore? Every block is read and compared with what was backed up; then a disk is restored to a file"
	run "$hf" checkpoint verify --all
	run "$hf" restore disk "$name@latest" "$("$hf" checkpoint show "$name@latest" -o json | jq -r '.resources[0].disks[0].name')" "$work/disk.raw"
	say "What each run read, stored and took"
	run "$hf" checkpoint list
	cat <<TEXT

To bring the whole machine back beside the original:

    $hf restore domain $name@latest --name $name-restored --to DIRECTORY \\
        --target $HOLDFAST_TARGET --key-file $HOLDFAST_KEY_FILE
TEXT
}

# ---- the course

case ${1:-} in
'' | --demo | --dashboard) ;;
--stop) stop_demo; exit 0 ;;
*) sed -n '3,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
began=$SECONDS
say "Installing what Holdfast is built from (Debian packages)"
tools/install build run web
say "Building"
[ -e "$build/build.ninja" ] || meson setup "$build" --buildtype=release -Dtests=false >/dev/null
ninja -C "$build" >"$build/build.log" || { tail -n 30 "$build/build.log" >&2; exit 1; }
tools/web "$build/web"
run "$hf" version
found=
if [ "${1:-}" != --demo ]; then
	found=$("$hf" resource list -o json 2>/dev/null | smallest || true)
fi
stop_demo
mkdir -m 700 "$work"
if [ -n "$found" ]; then
	LIBVIRT_DEFAULT_URI=${LIBVIRT_DEFAULT_URI:-$(virsh -q uri 2>/dev/null || echo qemu:///system)}
	[ "${1:-}" = --dashboard ] || real "${found%% *}" "${found#* }"
	serve
	tell_address
elif [ "${1:-}" = --dashboard ]; then
	boot_guest
	serve
	tell_address
else
	demo
fi
printf '\nquickstart: done in %d s\n' $((SECONDS - began))
