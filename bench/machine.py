# SPDX-License-Identifier: Apache-2.0
"""What the machine is and has."""
import os
import re
import shutil

from measure import BenchError

NEEDED = {"borg": "borgbackup", "restic": "restic", "qemu-img": "qemu-utils", "zstd": "zstd", "mke2fs": "e2fsprogs",
          "qemu-nbd": "qemu-utils", "qemu-io": "qemu-utils", "nbdcopy": "libnbd-bin", "nbdinfo": "libnbd-bin",
          "nbdkit": "nbdkit", "debugfs": "e2fsprogs", "e2fsck": "e2fsprogs", "tar": "tar", "cmp": "diffutils", "sync": "coreutils"}
TO_BUILD = {"meson": "meson", "ninja": "ninja-build", "cc": "gcc"}
GIB = 1 << 30


def search_path():
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def require(programs):
    missing = {program: package for program, package in programs.items()
               if not shutil.which(program, path=search_path())}
    if missing:
        raise BenchError(f"missing: {', '.join(sorted(missing))}. On Debian: "
                         f"apt-get install {' '.join(sorted(set(missing.values())))}")


def require_space(folder, quick):
    need = (8 if quick else 34) * GIB
    free = shutil.disk_usage(folder).free
    if free < need:
        raise BenchError(f"{folder} has {free / GIB:.0f} GiB free, {need / GIB:.0f} GiB are needed: give another --work")


def first_match(path, pattern):
    with open(path, encoding="utf-8", errors="replace") as f:
        m = re.search(pattern, f.read(), flags=re.M)
    return m.group(1) if m else "not known"


def file_system(folder):
    """The type of the file system that the folder is on."""
    best, kind = "", "not known"
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
        for line in f:
            _, place, this = line.split()[:3]
            inside = place == "/" or str(folder) == place or str(folder).startswith(place + "/")
            if inside and len(place) >= len(best):
                best, kind = place, this
    return kind


def facts(folder):
    return {
        "processor": first_match("/proc/cpuinfo", r"^model name\s*:\s*(.+)$"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": int(first_match("/proc/meminfo", r"^MemTotal:\s*(\d+)")) / (1 << 20),
        "file_system": file_system(folder),
        "system": first_match("/etc/os-release", r'^PRETTY_NAME="?([^"\n]+)'),
        "kernel": ".".join(re.findall(r"\d+", os.uname().release)[:2]),
    }


def versions(bench, tools):
    def first_number(argv, stderr=False):
        shell = ["sh", "-c", " ".join(argv) + (" 2>&1" if stderr else "")]
        m = re.search(r"\d+(\.\d+)+", bench.quietly(shell))
        return m.group(0) if m else "not known"
    found = {tool.title: tool.version() for tool in tools if tool.key not in ("holdfast", "borg-fixed")}
    found["qemu-img"] = first_number(["qemu-img", "--version"])
    found["zstd"] = first_number(["zstd", "--version"])
    found["cp"] = first_number(["cp", "--version"])
    found["nbdcopy"] = first_number(["nbdcopy", "--version"])
    found["e2fsprogs"] = first_number(["mke2fs", "-V"], stderr=True)
    return found
