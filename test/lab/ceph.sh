#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ceph.sh start|stop DIR : a private Ceph (one monitor, one OSD on a sparse file) with its S3 gateway on free ports of
# the loopback interface; all its state lives in DIR. "start" prints the service's URL; the key is
# TESTACCESSKEY with the secret TESTSECRETKEY. Needs ceph-mon, ceph-osd, radosgw.
set -euo pipefail
verb=${1:-} dir=$(realpath -m "${2:?usage: ceph.sh start|stop DIR}")
conf=$dir/ceph.conf
export CEPH_CONF=$conf

alive() { # a dead child of a container's init may stay a zombie for ever
	local pid
	pid=$(cat "$dir/$1.pid" 2>/dev/null) || return 1
	awk '/^State:/ && $2 !~ /[ZX]/ { up = 1 } END { exit !up }' "/proc/$pid/status" 2>/dev/null
}

daemon() { # NAME COMMAND…
	local name=$1
	shift
	setsid "$@" </dev/null >"$dir/$name.out" 2>&1 &
	echo $! >"$dir/$name.pid"
}

free_ports() { # COUNT
	python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in held))' "$1"
}

await() { # WHAT COMMAND… : for a minute
	local what=$1
	shift
	for _ in $(seq 300); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.2
	done
	echo "ceph.sh: $what does not come up; the end of its log:" >&2
	tail -n 5 "$dir"/*.out >&2
	exit 1
}

configure() {
	local mon1 mon2 rgw fsid classes
	classes=$(dirname "$(find /usr/lib -name libcls_rgw.so -print -quit)") # relative in Debian 13's build
	read -r mon1 mon2 rgw < <(free_ports 3)
	fsid=$(cat /proc/sys/kernel/random/uuid)
	echo "http://127.0.0.1:$rgw" >"$dir/url"
	cat >"$conf" <<CONF
[global]
fsid = $fsid
mon_host = [v2:127.0.0.1:$mon1,v1:127.0.0.1:$mon2]
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
mon_max_pg_per_osd = 1000
keyring = $dir/keyring
run_dir = $dir
log_file = $dir/\$name.log
crash_dir = $dir
admin_socket =
[mon.a]
mon_data = $dir/mon
[osd.0]
osd_data = $dir/osd
osd_objectstore = bluestore
osd_class_dir = $classes
bluestore_block_size = 8589934592
osd_memory_target = 939524096
bluestore_cache_size = 67108864
[client.rgw]
rgw_data = $dir/rgw
rgw_frontends = beast endpoint=127.0.0.1:$rgw
rgw_enable_usage_log = false
CONF
	mkdir -p "$dir"/{mon,osd,rgw}
	ceph-authtool "$dir/keyring" -C --gen-key -n mon. --cap mon 'allow *' >>"$dir/mkfs.out"
	ceph-authtool "$dir/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' >>"$dir/mkfs.out"
	ceph-authtool "$dir/keyring" --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx' >>"$dir/mkfs.out"
	ceph-authtool "$dir/keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' >>"$dir/mkfs.out"
	monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon1,v1:127.0.0.1:$mon2]" "$dir/monmap" >/dev/null
	ceph-mon --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring" >"$dir/mkfs.out" 2>&1
}

start() {
	mkdir -p "$dir"
	[ -e "$conf" ] || configure
	alive mon || daemon mon ceph-mon -f -i a
	await 'the monitor' timeout 5 ceph -s
	if [ ! -e "$dir/osd/fsid" ]; then
		uuid=$(cat /proc/sys/kernel/random/uuid)
		ceph osd new "$uuid" 0 >/dev/null
		ceph-osd -i 0 --mkfs --osd-uuid "$uuid" --keyring "$dir/keyring" >>"$dir/mkfs.out" 2>&1
		ceph auth import -i "$dir/keyring" >/dev/null 2>&1
	fi
	alive osd || daemon osd ceph-osd -f -i 0
	await 'the storage daemon' bash -c 'ceph osd stat | grep -q "1 up"'
	alive rgw || daemon rgw radosgw -f -n client.rgw
	await 'the gateway' python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' "$(cat "$dir/url")"
	if [ ! -e "$dir/user" ]; then
		radosgw-admin -n client.rgw user create --uid test --display-name test --access-key TESTACCESSKEY \
			--secret TESTSECRETKEY >"$dir/user.out" 2>&1
		touch "$dir/user"
	fi
	cat "$dir/url"
}

stop() {
	local name
	for name in rgw osd mon; do
		if alive $name; then kill -9 "$(cat "$dir/$name.pid")"; fi
	done
}

case $verb in
start) start ;;
stop) stop ;;
*) sed -n '3,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
