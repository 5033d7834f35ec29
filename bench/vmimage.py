# SPDX-License-Identifier: Apache-2.0
"""Disk images of a virtual machine: first, a day later, and a sibling that was installed apart.

An ext4 file system is filled through debugfs, so neither root nor a mount is needed. (mke2fs -d would do the same in
one call, but lays files out in the order in which the host's file system lists them and copies the host's change
times, so no two machines would make the same image; with debugfs the order is ours, and the sibling is simply another
order.) Content: files of this machine's own /usr, made-up logs, text and database pages, and noise.
"""
import hashlib
import os
import re
import shutil
from pathlib import Path

import content
from measure import BenchError, data_ranges

MIB = 1 << 20
BLOCK = 4096
DAY = 86400
LARGEST_FILE = 64 * MIB
# Names that debugfs takes as they are.
PLAIN = re.compile(r"[\w./+@:=,%~-]+", re.ASCII)
SKIPPED = ("/usr/local", "/usr/src", "/usr/tmp")
# Shares of the data that are not files of /usr.
SHARES = {"logs": 0.10, "text": 0.05, "pages": 0.08, "noise": 0.17}
PLACES = {"logs": "var/log", "text": "srv/docs", "pages": "var/lib/db", "noise": "srv/media"}
REWRITTEN = 0.02  # of the data, in place, until the next day
ADDED = 0.01      # of the data, in new files
SIBLING_OWN = 0.05
HOT_FILES = 0.05  # of the data: half of what is rewritten falls here


def system_files(budget):
    """Files of /usr in an order that the seed alone decides, until they are `budget` bytes: {guest path: host path}.
    Compiled Python files are left out because they hold the time of the installation."""
    found = []
    for base, folders, names in os.walk("/usr"):
        folders[:] = [f for f in sorted(folders) if os.path.join(base, f) not in SKIPPED and f != "__pycache__"]
        for name in names:
            path = os.path.join(base, name)
            if PLAIN.fullmatch(path) and not os.path.islink(path) and os.path.isfile(path):
                st = os.stat(path)
                if st.st_nlink == 1 and 0 < st.st_size <= LARGEST_FILE and os.access(path, os.R_OK):
                    found.append((hashlib.sha256((content.SEED + path).encode()).digest(), path, st.st_size))
    chosen, total = {}, 0
    for _, path, size in sorted(found):
        if total >= budget:
            break
        chosen[path[1:]] = path
        total += size
    return chosen, total


def made_files(folder, shares, owner):
    """Files with made-up content of the given sizes by kind: {guest path: host path}."""
    files, jobs = {}, []
    for kind, size in shares.items():
        rng, number, done = content.generator(owner, kind, "sizes"), 0, 0
        while done < size:
            n = min(size - done, int(64 * 1024 * 2 ** (rng.random() * 7))) // content.PAGE * content.PAGE
            if n == 0:
                break
            guest = f"{PLACES[kind]}/{owner}-{number:05}"
            path = folder / guest
            path.parent.mkdir(parents=True, exist_ok=True)
            jobs.append((str(path), 0, kind, n, (owner, kind, number)))
            files[guest] = str(path)
            done, number = done + n, number + 1
    content.write_parts(jobs)
    return files


def debugfs(bench, image, commands, now, write=True):
    """Run commands on an image; what they print. debugfs ends with 0 whatever happens, so complaints count."""
    script = bench.path("tmp", "debugfs.script")
    script.write_text("\n".join(commands) + "\n", encoding="utf-8")
    out = bench.quietly(["debugfs", *(["-w"] if write else []), "-f", script, image],
                        env={"E2FSPROGS_FAKE_TIME": str(now)})
    # Lines that begin so repeat a command, whose file may be named like a complaint.
    bad = re.search(r"^(?!debugfs: \w+ ).*(No free|No space|not found|Could not|Illegal|exists).*$", out, flags=re.M)
    if bad:
        raise BenchError(f"debugfs on {image}: {bad.group(0)}")
    return out


def folders_of(guests):
    return sorted({str(parent) for guest in guests for parent in list(Path(guest).parents)[:-1]})


def make_image(bench, image, size, number, order, files, now):
    """An ext4 file system of `size` bytes with these files, laid out in this order."""
    image.unlink(missing_ok=True)
    with open(image, "wb") as f:
        f.truncate(size)
    uuid = f"6f3c1c9e-3f0b-4a5e-9d59-{number:012x}"
    bench.quietly(["mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-U", uuid,
                   "-E", f"hash_seed={uuid},root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1", image],
                  env={"E2FSPROGS_FAKE_TIME": str(now)})
    debugfs(bench, image, [f"mkdir {f}" for f in folders_of(order)] + [f"write {files[g]} {g}" for g in order], now)
    bench.quietly(["e2fsck", "-fn", image])


def other_order(guests):
    """The same files as they would lie had they come in another order: software is installed a folder at a time, so
    folders of /usr move as a whole; data came file by file."""
    def place(guest):
        moved = os.path.dirname(guest) if guest.startswith("usr/") else guest
        return hashlib.sha256(("sibling" + moved).encode()).digest(), guest
    return sorted(guests, key=place)


# ---- the next day ----

def extents_of(bench, image, guests, now):
    """Where the data of files lies: {guest: [(first block, blocks), ...]}."""
    out = debugfs(bench, image, [f"dump_extents -l {g}" for g in guests], now, write=False)
    extents, current = {}, None
    for line in out.splitlines():
        m = re.match(r"debugfs: dump_extents -l (\S+)", line)
        if m:
            current = extents.setdefault(m.group(1), [])
            continue
        m = re.match(r"\s*\d+/\s*\d+\s+\d+/\s*\d+\s+\d+ -\s+\d+\s+(\d+) -\s+(\d+)\s+\d+", line)
        if m:
            current.append((int(m.group(1)), int(m.group(2)) - int(m.group(1)) + 1))
    return extents


def pick_piece(rng, runs, starts, total):
    """A place of 4 to 64 KiB in a list of runs of blocks, every block being as likely as any other."""
    at, low, high = content.below(rng, total), 0, len(runs) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if starts[middle] <= at else (low, middle - 1)
    first, blocks = runs[low]
    offset = at - starts[low]
    return first + offset, min(1 + content.below(rng, 16), blocks - offset)


def rewrite(image, extents, hot, size):
    """Overwrite `size` bytes in place: half of them in the hot files, as databases and logs are written, half anywhere."""
    rng = content.generator("rewrite")
    everything = [run for runs in extents.values() for run in runs]
    busy = [run for guest in hot for run in extents[guest]]
    with open(image, "r+b") as f:
        for runs in (busy, everything):
            starts, total, done = [], 0, 0
            for _, blocks in runs:
                starts.append(total)
                total += blocks
            while done < size // 2:
                block, blocks = pick_piece(rng, runs, starts, total)
                kind = content.noise if rng.random() < 0.5 else content.text
                f.seek(block * BLOCK)
                f.write(kind(rng, blocks * BLOCK))
                done += blocks * BLOCK


def hot_files(files, size):
    """Databases and logs, until they are `size` bytes."""
    chosen, total = [], 0
    for guest in sorted(g for g in files if g.startswith((PLACES["pages"], PLACES["logs"]))):
        if total >= size:
            break
        chosen.append(guest)
        total += os.path.getsize(files[guest])
    return chosen


def copy_sparse(source, target):
    target.unlink(missing_ok=True)
    with open(source, "rb") as src, open(target, "wb") as dst:
        size = os.fstat(src.fileno()).st_size
        dst.truncate(size)
        for offset, end in data_ranges(src.fileno(), size):
            while offset < end:
                n = os.copy_file_range(src.fileno(), dst.fileno(), min(end - offset, 64 * MIB), offset, offset)
                if n == 0:
                    raise BenchError(f"{source} ended early")
                offset += n


def make_next_day(bench, first, image, files, data, added):
    copy_sparse(first, image)
    now = content.EPOCH + DAY
    extents = extents_of(bench, image, sorted(files), now)
    hot = hot_files(files, data * HOT_FILES)
    rewrite(image, extents, hot, int(data * REWRITTEN))
    touched = [f"set_inode_field {guest} {name} @{now}" for guest in hot for name in ("mtime", "ctime")]
    debugfs(bench, image, touched + [f"write {added[g]} {g}" for g in sorted(added)], now)
    bench.quietly(["e2fsck", "-fn", image])


def make(bench, folder, size, data):
    """first.raw, next-day.raw and sibling.raw of `size` bytes with about `data` bytes of files; what they hold."""
    tree = folder / "tree"
    shares = {kind: int(data * share) for kind, share in SHARES.items()}
    system, system_bytes = system_files(data - sum(shares.values()))
    missing = data - sum(shares.values()) - system_bytes
    if missing > 0:  # a small installation: the rest is made up in the same proportions
        shares = {kind: int(n + missing * n / sum(shares.values())) for kind, n in shares.items()}
    base = {**system, **made_files(tree, shares, "base")}
    added = made_files(tree, {"logs": int(data * ADDED / 2), "noise": int(data * ADDED / 2)}, "added")
    own = made_files(tree, {k: int(data * SIBLING_OWN / 3) for k in ("logs", "pages", "noise")}, "sibling")
    first = folder / "first.raw"
    make_image(bench, first, size, 1, sorted(base), base, content.EPOCH)
    make_next_day(bench, first, folder / "next-day.raw", base, data, added)
    sibling = {**base, **own}
    make_image(bench, folder / "sibling.raw", size, 2, other_order(sibling), sibling, content.EPOCH)
    shutil.rmtree(tree)
    return {"files of /usr": system_bytes, **{f"made-up {kind}": n for kind, n in shares.items()}}
