#!/bin/bash
# libvirtd.sh start|stop|uri DIR : a private libvirtd whose whole state lives in DIR.
#
# As root it is a system libvirtd in a mount namespace of its own, where DIR stands in for /etc/libvirt,
# /run/libvirt, /var/lib/libvirt, /var/cache/libvirt and /var/log/libvirt; as anybody else a session libvirtd
# with its folders under DIR. The machine's own libvirt is neither asked nor changed. "uri" prints the
# connection URI, which works from outside the namespace.
set -euo pipefail
verb=${1:-} dir=$(realpath -m "${2:?usage: libvirtd.sh start|stop|uri DIR}")
run=$dir/run/libvirt
if [ "$(id -u)" = 0 ]; then mode=system; else mode=session; fi
uri="qemu+unix:///$mode?socket=$run/libvirt-sock"

alive() { # a dead child of a container's init may stay a zombie for ever, so "exists" is not enough
	local pid
	pid=$(cat "$dir/libvirtd.pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && awk '/^State:/ && $2 !~ /[ZX]/ { up = 1 } END { exit !up }' "/proc/$pid/status" 2>/dev/null
}

start() {
	alive && return 0
	mkdir -p "$run" "$dir"/{etc/libvirt,var/lib/libvirt,var/cache/libvirt,var/log/libvirt}
	cat >"$dir/etc/libvirt/libvirtd.conf" <<CONF
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:file:$dir/libvirtd.log"
CONF
	cat >"$dir/etc/libvirt/qemu.conf" <<CONF
security_driver = "none"
stdio_handler = "file"
namespaces = [ ]
cgroup_controllers = [ ]
max_core = 0
remember_owner = 0
CONF
	if [ $mode = system ]; then
		printf '%s = "root"\n' user group swtpm_user swtpm_group >>"$dir/etc/libvirt/qemu.conf"
		echo 'dynamic_ownership = 0' >>"$dir/etc/libvirt/qemu.conf"
		# libvirtd asks for the user that its QEMU runs as even where the configuration names another.
		for f in passwd group; do
			cp "/etc/$f" "$dir/etc/$f"
			grep -q '^libvirt-qemu:' "$dir/etc/$f" && continue
			[ $f = passwd ] && line='libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin' || line='libvirt-qemu:x:64055:'
			echo "$line" >>"$dir/etc/$f"
		done
		# shellcheck disable=SC2016
		setsid unshare -m --propagation slave bash -c '
			set -e
			for f in passwd group; do mount --bind "$1/etc/$f" "/etc/$f"; done
			for d in etc var/lib var/cache var/log run; do
				[ -d "/$d/libvirt" ] || { mkdir "/$d/libvirt"; echo "/$d/libvirt" >>"$1/made"; }
				mount --bind "$1/$d/libvirt" "/$d/libvirt"
			done
			exec /usr/sbin/libvirtd -f "$1/etc/libvirt/libvirtd.conf" -p "$1/libvirtd.self"' \
			libvirtd "$dir" </dev/null >"$dir/libvirtd.out" 2>&1 &
	else
		mkdir -p "$dir/home"
		ln -sfn ../etc/libvirt "$dir/home/libvirt"
		XDG_RUNTIME_DIR=$dir/run XDG_CONFIG_HOME=$dir/home XDG_CACHE_HOME=$dir/var/cache \
			XDG_DATA_HOME=$dir/var/lib setsid /usr/sbin/libvirtd -f "$dir/etc/libvirt/libvirtd.conf" \
			-p "$dir/libvirtd.self" </dev/null >"$dir/libvirtd.out" 2>&1 &
	fi
	echo $! >"$dir/libvirtd.pid"
	for _ in $(seq 150); do
		virsh -q -c "$uri" uri >/dev/null 2>&1 && return 0
		alive || break
		sleep 0.1
	done
	echo "libvirtd did not start; its log:" >&2
	tail -n 20 "$dir/libvirtd.out" "$dir/libvirtd.log" >&2 || true
	exit 1
}

stop() {
	if alive; then
		for name in $(virsh -q -c "$uri" list --name 2>/dev/null); do
			virsh -q -c "$uri" destroy "$name" >/dev/null || true
		done
		pid=$(cat "$dir/libvirtd.pid")
		kill "$pid"
		for _ in $(seq 50); do alive || break; sleep 0.1; done
		kill -9 "$pid" 2>/dev/null || true
	fi
	rm -f "$dir/libvirtd.pid"
	# The mount points that were not there before we came.
	[ ! -s "$dir/made" ] || xargs -d '\n' rmdir --ignore-fail-on-non-empty <"$dir/made" 2>/dev/null || true
	rm -f "$dir/made"
}

case $verb in
start) start ;;
stop) stop ;;
uri) echo "$uri" ;;
*) echo "usage: libvirtd.sh start|stop|uri DIR" >&2; exit 2 ;;
esac
