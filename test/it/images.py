# SPDX-License-Identifier: Apache-2.0
"""Disk images: made, read and compared with QEMU's own tools, not with what is tested."""
import json
import os
import random
import shutil
import subprocess

MIB = 1 << 20


def qemu_img(*args):
    done = subprocess.run(["qemu-img", *map(str, args)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"qemu-img {' '.join(map(str, args))}: {done.stderr}"
    return done.stdout


def create(path, size, fmt="qcow2", options=None):
    qemu_img("create", "-q", "-f", fmt, *(["-o", options] if options else []), path, size)
    return path


def copy(source, path):
    """A copy that shares blocks where the file system can."""
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", source, path], check=True, timeout=120)
    return path


def info(path, fmt=None):
    return json.loads(qemu_img("info", "-U", "--output=json", *(["-f", fmt] if fmt else []), path))


def bitmaps(path):
    """Names and flags of the bitmaps in a qcow2 image, as they were saved."""
    data = info(path, "qcow2")["format-specific"]["data"]
    return {b["name"]: b["flags"] for b in data.get("bitmaps", [])}


def to_raw(path, out, fmt="qcow2"):
    """What a disk holds, read by QEMU alone. -U: a suspended guest may have it open; QEMU flushed it then."""
    qemu_img("convert", "-U", "-f", fmt, "-O", "raw", path, out)
    return out


def same(one, other):
    """Are two raw files equal, byte by byte and in length?"""
    if os.path.getsize(one) != os.path.getsize(other):
        return False
    return subprocess.run(["cmp", "-s", one, other], timeout=120, check=False).returncode == 0


def noise(n, seed):
    """Bytes that neither compress nor repeat, the same for the same seed."""
    return random.Random(seed).randbytes(n)


def raw_file(path, size, pieces=()):
    """A sparse file with noise in some places: (offset, length, seed) each."""
    with open(path, "wb") as f:
        f.truncate(size)
        for offset, length, seed in pieces:
            f.seek(offset)
            f.write(noise(length, seed))
    return path


def write_into(path, offset, data, fmt="qcow2"):
    """Change an image that nobody has open."""
    with open(f"{path}.patch", "wb") as f:
        f.write(data)
    try:
        done = subprocess.run(["qemu-io", "-f", fmt, "-c", f"write -s {path}.patch {offset} {len(data)}", path],
                              capture_output=True, text=True, timeout=60, check=False)
    finally:
        os.unlink(f"{path}.patch")
    assert done.returncode == 0 and "wrote" in done.stdout, done.stdout + done.stderr


def free_bytes(path):
    return shutil.disk_usage(path).free
