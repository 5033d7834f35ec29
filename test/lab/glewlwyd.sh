#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A private Glewlwyd (an OpenID provider) of the machine's packages, on a free port of 127.0.0.1, with SQLite.
#
#   test/lab/glewlwyd.sh start FOLDER      starts it, prints the URL of its API; the folder is made if need be
#   test/lab/glewlwyd.sh stop FOLDER       ends it and removes what it made there
#
# The administrator is "admin" with the password "password"; what else is needed is set up through its API
# (test/it/provider.py). Needs the package glewlwyd.
set -euo pipefail

[ $# = 2 ] || { sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 2; }
verb=$1
mkdir -p "$2"
folder=$(realpath "$2")
schema=/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3
[ -x /usr/bin/glewlwyd ] || { echo "glewlwyd.sh: there is no Glewlwyd: install the package glewlwyd" >&2; exit 1; }

free_port() {
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
	local port url i
	port=$(free_port)
	url=http://127.0.0.1:$port
	/usr/bin/python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())' \
		"$folder/db" "$schema"
	{
		grep -vE '@include|^(external_url|port|bind_address|log_file|log_mode) *=' /etc/glewlwyd/glewlwyd.conf
		cat <<-END
			port = $port
			bind_address = "127.0.0.1"
			external_url = "$url/"
			log_mode = "file"
			log_file = "$folder/log"
			database = { type = "sqlite3"; path = "$folder/db"; };
		END
	} >"$folder/conf"
	setsid glewlwyd --config-file="$folder/conf" >"$folder/out" 2>&1 &
	echo $! >"$folder/pid"
	for ((i = 0; i < 200; i++)); do
		if curl -sf --noproxy '*' -o /dev/null "$url/config"; then
			echo "$url"
			return
		fi
		kill -0 "$(cat "$folder/pid")" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$folder/out" "$folder/log" >&2
	return 1
}

stop() {
	local pid i
	pid=$(cat "$folder/pid" 2>/dev/null) || pid=
	if [ -n "$pid" ]; then
		kill -TERM "$pid" 2>/dev/null || true
		for ((i = 0; i < 50; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -f "$folder"/{db,conf,out,log,pid}
	rmdir "$folder" 2>/dev/null || true
}

case $verb in
start | stop) "$verb" ;;
*) echo "glewlwyd.sh: there is no '$verb'" >&2; exit 2 ;;
esac
