#!/bin/bash
# mkguest.sh OUT.qcow2 : make the small guest that the tests and the quick start protect.
#
# A Debian kernel, busybox and the QEMU guest agent on one disk that boots by itself: a FAT
# partition with syslinux, kernel and initrd, and an ext4 root (label hfroot). The guest prints
# "HF-GUEST-READY boots=N marker=TEXT" on its serial console, where TEXT is what /data/marker says.
#
# The Debian packages are only downloaded and unpacked into a cache folder, never installed, so
# neither the machine's kernel nor its services change. Needs no root.
set -euo pipefail
out=$(realpath -m "${1:?usage: mkguest.sh OUT.qcow2}")
cache=${HF_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-lab}
size_mib=${HF_GUEST_MIB:-192} fat_mib=40
work=$(mktemp -d "${TMPDIR:-/tmp}/hf-guest.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$cache"

# ---- packages: download once, unpack once
fetch() { # NAME... : unpack the newest version of each package under $cache/NAME
	local name
	for name; do
		[ -e "$cache/$name/.ok" ] && continue
		echo "mkguest: fetching $name" >&2
		rm -rf "${cache:?}/$name" "$work/dl"
		mkdir -p "$work/dl" "$cache/$name"
		(cd "$work/dl" && apt-get download -qq "$name" 2>"$work/err" >&2) ||
			{ cat "$work/err" >&2; echo "mkguest: cannot download $name; run 'apt-get update' first" >&2; exit 1; }
		dpkg -x "$work"/dl/*.deb "$cache/$name"
		touch "$cache/$name/.ok"
	done
}
arch=$(dpkg --print-architecture)
[ "$arch" = amd64 ] || { echo "mkguest: the demo guest is built for amd64 only, this is $arch" >&2; exit 1; }
kernel_pkg=$(apt-cache depends linux-image-cloud-amd64 | awk '$1=="Depends:"&&$2~/^linux-image-[0-9]/{print $2;exit}')
[ -n "$kernel_pkg" ] || { echo "mkguest: no cloud kernel in the package lists; run 'apt-get update' first" >&2; exit 1; }
fetch "$kernel_pkg" busybox-static qemu-guest-agent syslinux-common
k=$cache/$kernel_pkg
mods=$(dirname "$(find "$k" -path '*/modules/*/kernel' -type d -print -quit)")
kver=$(basename "$mods")
busybox=$(find "$cache/busybox-static" -path '*bin/busybox' -type f -print -quit)
ga=$(find "$cache/qemu-guest-agent" -name qemu-ga -type f -print -quit)

# ---- initrd: busybox and the modules that find the root file system
depmod=$(command -v depmod || echo /sbin/depmod)
"$depmod" -b "${mods%/lib/modules/*}" "$kver"
initrd=$work/initrd
mkdir -p "$initrd"/{bin,lib,proc,sys,dev,mnt}
cp "$busybox" "$initrd/bin/busybox"
declare -A seen=()
add_module() { # PATH relative to the modules folder, after its dependencies
	local path=$1 dep file
	[ -z "${seen[$path]:-}" ] || return 0
	seen[$path]=1
	for dep in $(sed -n "s|^$path:||p" "$mods/modules.dep"); do add_module "$dep"; done
	file=$(basename "$path")
	case $file in
	*.xz) xz -dc "$mods/$path" >"$initrd/lib/${file%.xz}" ;;
	*.zst) zstd -qdc "$mods/$path" >"$initrd/lib/${file%.zst}" ;;
	*) cp "$mods/$path" "$initrd/lib/$file" ;;
	esac
	file=${file%.xz} file=${file%.zst}
	echo "$file" >>"$initrd/modules"
}
for name in virtio_pci virtio_blk virtio_console ext4 crc32c_generic; do
	path=$(sed -n "s|^\([^:]*/$name\.ko[^:]*\):.*|\1|p" "$mods/modules.dep" | head -n 1)
	[ -z "$path" ] || add_module "$path"
done
cat >"$initrd/init" <<'INIT'
#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod /lib/$module 2>/dev/null; done </modules
for i in $(seq 100); do root=$(findfs LABEL=hfroot 2>/dev/null) && break; sleep 0.1; done
mount -t ext4 "$root" /mnt || exec sh
umount /sys /proc
mount --move /dev /mnt/dev
exec switch_root /mnt /sbin/init
INIT
chmod +x "$initrd/init"
(cd "$initrd" && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1) >"$work/initrd.gz"

# ---- root file system
root=$work/root
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,etc/init.d,etc/qemu,proc,sys,dev,run,tmp,root,data,lib,lib64,var/run,var/log}
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"; done
ln -s ../bin/busybox "$root/sbin/init"
cp "$ga" "$root/usr/sbin/qemu-ga"
libs=$(ldd "$ga" | grep -o '/[^ ]*' || true)
if ldd "$ga" | grep -q 'not found'; then
	echo "mkguest: the guest agent needs libraries that are not here: $(ldd "$ga" | grep 'not found')" >&2
	exit 1
fi
for lib in $libs; do mkdir -p "$root$(dirname "$lib")"; cp -L "$lib" "$root$lib"; done
cat >"$root/etc/inittab" <<'EOT'
::sysinit:/etc/init.d/rcS
ttyS0::respawn:/bin/sh -l
::shutdown:/bin/umount -a -r
EOT
cat >"$root/etc/init.d/rcS" <<'EOT'
#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run
mount -o remount,rw /
hostname hfguest
for port in /sys/class/virtio-ports/*/name; do
	[ -e "$port" ] || continue
	mkdir -p /dev/virtio-ports; dir=${port%/name}
	ln -sf "../${dir##*/}" "/dev/virtio-ports/$(cat "$port")"
done
[ -e /dev/virtio-ports/org.qemu.guest_agent.0 ] &&
	qemu-ga -d -f /run/qga.pid -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 \
		-F/etc/qemu/fsfreeze-hook -l /var/log/qga.log -t /run
boots=$(cat /boots 2>/dev/null || echo 0); echo $((boots + 1)) >/boots; sync
echo "HF-GUEST-READY boots=$((boots + 1)) marker=$(cat /data/marker 2>/dev/null)" >/dev/ttyS0
EOT
cat >"$root/sbin/shutdown" <<'EOT'
#!/bin/sh
sync; exec poweroff -f
EOT
cat >"$root/etc/qemu/fsfreeze-hook" <<'EOT'
#!/bin/sh
echo "$1 $(cut -d' ' -f1 /proc/uptime)" >>/run/fsfreeze.log
EOT
chmod +x "$root/etc/init.d/rcS" "$root/sbin/shutdown" "$root/etc/qemu/fsfreeze-hook"
echo 'root::0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"

# ---- the disk: MBR, FAT boot partition, ext4 root
export PATH=$PATH:/sbin:/usr/sbin
disk=$work/disk.raw fat=$work/fat.img ext=$work/ext.img
truncate -s "${size_mib}M" "$disk"
printf 'label: dos\n2048,%dM,6,*\n%d,,83\n' "$fat_mib" $((2048 + fat_mib * 2048)) | sfdisk -q "$disk"
truncate -s "${fat_mib}M" "$fat"
mkfs.fat -F 16 -h 2048 "$fat" >/dev/null
printf 'SERIAL 0 115200\nDEFAULT l\nPROMPT 0\nLABEL l\n KERNEL vmlinuz\n INITRD initrd\n APPEND console=ttyS0 quiet panic=5\n' >"$work/syslinux.cfg"
mcopy -i "$fat" "$k"/boot/vmlinuz-* ::vmlinuz
mcopy -i "$fat" "$work/initrd.gz" ::initrd
mcopy -i "$fat" "$work/syslinux.cfg" ::syslinux.cfg
syslinux --install "$fat"
truncate -s $((size_mib - fat_mib - 1))M "$ext"
mke2fs -q -t ext4 -b 4096 -L hfroot -E root_owner=0:0 -d "$root" "$ext"
dd if="$fat" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$ext" of="$disk" bs=1M seek=$((1 + fat_mib)) conv=notrunc,sparse status=none
mbr=$(find "$cache/syslinux-common" /usr/lib/syslinux -name mbr.bin -print -quit 2>/dev/null)
dd if="$mbr" of="$disk" bs=440 count=1 conv=notrunc status=none
mkdir -p "$(dirname "$out")"
qemu-img convert -O qcow2 "$disk" "$out.part"
mv "$out.part" "$out"
