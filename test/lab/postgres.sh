#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A private PostgreSQL: a cluster of its own in a folder, on a unix socket there and a free port of 127.0.0.1,
# without passwords. It does not flush (fsync=off): for tests only.
#
#   test/lab/postgres.sh start FOLDER      starts it, prints its URI; the folder is made if need be
#   test/lab/postgres.sh stop FOLDER       ends it and removes what it made there
#   test/lab/postgres.sh crash FOLDER      as if its machine had failed, but for what was not flushed
#   test/lab/postgres.sh again FOLDER      starts it after a crash, on the same port
#
# PostgreSQL refuses to run as root; then it runs as the user postgres, or nobody. Needs the package postgresql.
# test/unit/test_db and others run over it with HF_TEST_POSTGRES=URI.
set -euo pipefail

[ $# = 2 ] || { sed -n '3,13s/^# \{0,1\}//p' "$0"; exit 2; }
verb=$1
mkdir -p "$2"
folder=$(realpath "$2")
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -x "$bin/postgres" ] || { echo "postgres.sh: there is no PostgreSQL: install the package postgresql" >&2; exit 1; }

user=$(id -un)
as=()
if [ "$(id -u)" = 0 ]; then
	user=postgres
	id -u "$user" >/dev/null 2>&1 || user=nobody
	as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
fi

free_port() {
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

run() { # with LC_ALL, for messages and sorting that are the same everywhere
	(cd "$folder" && exec env -u PGDATA LC_ALL=C.UTF-8 "${as[@]}" "$@")
}

launch() {
	local port=$1
	run "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 -s start >/dev/null || {
		tail -n 20 "$folder/log" >&2
		return 1
	}
	echo "postgresql://hf@127.0.0.1:$port/postgres"
}

start() {
	local port
	port=$(free_port)
	[ "$(id -u)" != 0 ] || chown "$user" "$folder"
	chmod 711 "$folder"
	# Sorted as people do, and not by bytes: what needs the latter has to ask for it.
	run "$bin/initdb" -D "$folder/data" -U hf -A trust -E UTF8 --locale-provider=icu --icu-locale=en --no-sync >"$folder.initdb" 2>&1 || {
		cat "$folder.initdb" >&2
		exit 1
	}
	rm -f "$folder.initdb"
	cat >>"$folder/data/postgresql.conf" <<-END
		listen_addresses = '127.0.0.1'
		port = $port
		unix_socket_directories = '$folder'
		max_connections = 200
		shared_buffers = 32MB
		fsync = off
		full_page_writes = off
		logging_collector = off
	END
	launch "$port"
}

stop() {
	run "$bin/pg_ctl" -D "$folder/data" -m immediate -w -s stop >/dev/null 2>&1 || true
	rm -rf "$folder/data" "$folder/log"
	rmdir "$folder" 2>/dev/null || true
}

crash() {
	run "$bin/pg_ctl" -D "$folder/data" -m immediate -w -s stop >/dev/null
}

again() { launch "$(sed -n 's/^port = //p' "$folder/data/postgresql.conf" | tail -n 1)"; }

case $verb in
start | stop | crash | again) "$verb" ;;
*) echo "postgres.sh: there is no '$verb'" >&2; exit 2 ;;
esac
