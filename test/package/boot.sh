#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# boot.sh ROOT CONSOLE : start the systemd of the tree in ROOT as the first process of a system of its own. To be run by
# unshare with namespaces of its own for mounts, processes, network, host name, messages and cgroups: all that is
# mounted here goes with them.
set -e
root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
	touch "$root/dev/$name"
	mount --bind "/dev/$name" "$root/dev/$name"
done
touch "$root/dev/console"
mount --bind "$2" "$root/dev/console"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up
hostname clean
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
exec env -i container=holdfast PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --show-status=no
