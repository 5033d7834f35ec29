#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A private Keystone (OpenStack's Identity service) of the machine's packages, on a free port of 127.0.0.1, with a
# private PostgreSQL (test/lab/postgres.sh) for its state: with SQLite it says "database is locked".
#
#   test/lab/keystone.sh start FOLDER      starts it, prints its URL; the folder is made if need be
#   test/lab/keystone.sh stop FOLDER       ends it and removes what it made there
#   test/lab/keystone.sh pause FOLDER      it does not answer any more …
#   test/lab/keystone.sh again FOLDER      … and does again
#
# The administrator is "admin" with the password "labpass", in the project "admin" of the domain "Default".
# Needs the packages keystone, uwsgi-plugin-python3, python3-psycopg2 and postgresql.
set -euo pipefail

[ $# = 2 ] || { sed -n '3,13s/^# \{0,1\}//p' "$0"; exit 2; }
verb=$1
here=$(dirname "$(realpath "$0")")
mkdir -p "$2"
folder=$(realpath "$2")
conf=$folder/keystone.conf
[ -x /usr/bin/keystone-manage ] || { echo "keystone.sh: there is no Keystone: install the package keystone" >&2; exit 1; }

# Keystone writes only below the folder, so it needs no user of its own.
user=$(id -un)
group=$(id -gn)

free_port() {
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Without the machine's configuration.
manage() {
	env OS_KEYSTONE_CONFIG_DIR="$folder" /usr/bin/keystone-manage --config-file "$conf" "$@" >>"$folder/manage.log" 2>&1 || {
		tail -n 20 "$folder/manage.log" >&2
		return 1
	}
}

launch() {
	local port=$1 i
	env OS_KEYSTONE_CONFIG_DIR="$folder" OS_KEYSTONE_CONFIG_FILES="$conf" setsid uwsgi --plugin python3 \
		--http-socket "127.0.0.1:$port" --wsgi-file /usr/bin/keystone-wsgi-public --master --die-on-term \
		--processes 1 --threads 4 --enable-threads --lazy-apps --buffer-size 65535 \
		--add-header 'Connection: close' --disable-logging --pyargv "--config-file $conf" \
		>"$folder/uwsgi.log" 2>&1 &
	echo $! >"$folder/pid"
	for ((i = 0; i < 1800; i++)); do
		if curl -sf --noproxy '*' -o /dev/null "http://127.0.0.1:$port/v3"; then
			echo "http://127.0.0.1:$port/v3"
			return
		fi
		kill -0 "$(cat "$folder/pid")" 2>/dev/null || break
		sleep 0.1
	done
	tail -n 20 "$folder/uwsgi.log" >&2
	return 1
}

start() {
	local port uri url
	port=$(free_port)
	url=http://127.0.0.1:$port/v3
	uri=$("$here/postgres.sh" start "$folder/pg")
	cat >"$conf" <<-END
		[DEFAULT]
		log_file = $folder/keystone.log
		[database]
		connection = ${uri/postgresql:/postgresql+psycopg2:}
		[token]
		provider = fernet
		[fernet_tokens]
		key_repository = $folder/fernet-keys
		[credential]
		key_repository = $folder/credential-keys
		[identity]
		password_hash_rounds = 4
		[cache]
		enabled = false
	END
	echo "$port" >"$folder/port"
	manage db_sync
	manage fernet_setup --keystone-user "$user" --keystone-group "$group"
	manage credential_setup --keystone-user "$user" --keystone-group "$group"
	manage bootstrap --bootstrap-password labpass --bootstrap-region-id RegionOne --bootstrap-admin-url "$url" \
		--bootstrap-public-url "$url" --bootstrap-internal-url "$url"
	launch "$port"
}

end() {
	local pid i
	pid=$(cat "$folder/pid" 2>/dev/null) || return 0
	kill -TERM "$pid" 2>/dev/null || true
	for ((i = 0; i < 100; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL -- "-$pid" 2>/dev/null || true
	rm -f "$folder/pid"
}

stop() {
	end
	[ ! -d "$folder/pg" ] || "$here/postgres.sh" stop "$folder/pg"
	rm -rf "$conf" "$folder"/{fernet-keys,credential-keys,keystone.log,manage.log,uwsgi.log,port}
	rmdir "$folder" 2>/dev/null || true
}

pause() { end; }

again() { launch "$(cat "$folder/port")"; }

case $verb in
start | stop | pause | again) "$verb" ;;
*) echo "keystone.sh: there is no '$verb'" >&2; exit 2 ;;
esac
