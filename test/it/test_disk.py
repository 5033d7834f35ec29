# SPDX-License-Identifier: Apache-2.0
"""Disk images and devices: what is protected is what comes back, whatever it came from and wherever it goes."""
import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest

import images
from images import MIB
from waiting import wait_until

SIZE = 40 * MIB + 512  # not a multiple of a block


@pytest.fixture
def disk(folder):
    """A sparse raw disk with content at its start, at its end and between."""
    return images.raw_file(folder / "disk.raw", SIZE, [(0, MIB, 1), (7 * MIB + 3, 5 * MIB, 2),
                                                       (SIZE - 70000, 70000, 3)])


@contextlib.contextmanager
def loop_device(path):
    """A block device whose content is a file."""
    if os.geteuid() != 0:
        pytest.skip("making a loop device needs root")
    done = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True, check=False,
                          timeout=30)
    if done.returncode != 0:
        pytest.skip(f"this system makes no loop device: {done.stderr.strip()}")
    device = done.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "-d", device], check=True, timeout=30)


@contextlib.contextmanager
def export(folder, path, *options):
    """An NBD server for a raw file; its URI."""
    socket, pid = folder / "nbd", folder / "nbd.pid"
    server = subprocess.Popen(["qemu-nbd", "-t", "-f", "raw", "-k", socket, "--pid-file", pid, "-x", "d", *options,
                               path])
    try:
        wait_until(pid.exists, 20, "the NBD server is up")
        yield f"nbd+unix:///d?socket={socket}", server
    finally:
        server.kill()
        server.wait()
        for left in (socket, pid):
            left.unlink(missing_ok=True)


def nothing_else(folder, *names):
    """The folder holds these, and the repository's things."""
    assert sorted(p.name for p in folder.iterdir()) == sorted(names)


# ---- from everywhere

@pytest.mark.parametrize("fmt", ["raw", "qcow2", "vmdk", "vdi", "vhdx", "auto"])
def test_formats(repo, folder, disk, fmt):
    """Every format that QEMU reads gives back the same disk."""
    size = 40 * MIB  # a multiple of what every format can hold
    with open(disk, "r+b") as f:
        f.truncate(size)
    image = folder / "image"
    images.qemu_img("convert", "-O", "qcow2" if fmt == "auto" else fmt, disk, image)
    point = repo.protect_disk(image, *([] if fmt == "raw" else ["--format", fmt]))
    assert (point.resource["type"], point.resource["name"], point.resource["id"]) == ("disk", "image", str(image))
    assert point.disks["disk"]["size_bytes"] == size and point.disks["disk"]["format"] == fmt
    # QEMU does not tell where a VHDX image has holes.
    assert point.disks["disk"]["stats"]["read_bytes"] <= 8 * MIB or fmt == "vhdx", "holes were read"
    assert repo.gives_back(point, "disk", disk)
    images.write_into(image, 20 * MIB, images.noise(MIB, 9), "qcow2" if fmt == "auto" else fmt)
    again = repo.protect_disk(image, *([] if fmt == "raw" else ["--format", fmt]))
    assert again["parent"] == point.id and MIB <= again["stats"]["new_bytes"] <= 2 * MIB
    images.qemu_img("convert", "-f", "qcow2" if fmt == "auto" else fmt, "-O", "raw", image, folder / "now.raw")
    assert repo.gives_back(again, "disk", folder / "now.raw")
    assert repo.gives_back(point, "disk", disk)


def test_sparse_and_odd_sizes(repo, folder):
    """All holes, nothing at all, one byte, and a size that is no multiple of anything."""
    for size, pieces in ((300 * MIB, ()), (0, ()), (1, [(0, 1, 1)]), (65537, [(65530, 7, 2)]),
                         (3 * MIB + 17, [(0, 3 * MIB + 17, 3)])):
        path = images.raw_file(folder / "d", size, pieces)
        point = repo.protect_disk(path, "--name", f"d{size}")
        assert point.disks["disk"]["size_bytes"] == size
        out = repo.restore_disk(point, "disk", folder / "back")
        assert images.same(out, path)
        assert out.stat().st_blocks * 512 <= path.stat().st_blocks * 512 + 65536, "holes were filled"
        out.unlink()


def test_block_device(repo, folder, disk):
    with open(disk, "r+b") as f:
        f.truncate(40 * MIB)
    with loop_device(disk) as device:
        point = repo.protect_disk(device, "--name", "lv")
        assert point.resource["id"] == device and point.disks["disk"]["size_bytes"] == 40 * MIB
    assert repo.gives_back(point, "disk", disk)


def test_wrong_format(repo, folder, disk):
    """An image that is not what it is said to be."""
    message = repo.protect_disk(disk, "--format", "qcow2", code="io").error["message"]
    assert str(disk) in message and "qcow2" in message
    assert repo.points() == [] and repo.sessions() == []


def test_what_is_not_there(repo, folder):
    message = repo.protect_disk(folder / "none", code="not-found").error["message"]
    assert str(folder / "none") in message
    repo.protect_disk(folder / "none", "--format", "qcow2", code="not-found")
    assert str(folder) in repo.protect_disk(folder, code="invalid").error["message"]
    assert repo.sessions() == []


def test_name_joins_checkpoints(repo, folder, disk):
    """Without --name the file's name; the same name is compared with, another is not."""
    first = repo.protect_disk(disk)
    other = repo.protect_disk(disk, "--name", "web1")
    assert first.resource["name"] == "disk.raw" and other["parent"] is None
    assert other.stored < MIB, "what was stored already was stored again"
    disk.rename(folder / "moved.raw")
    again = repo.protect_disk(folder / "moved.raw", "--name", "web1")
    assert again["parent"] == other.id and again["stats"]["new_bytes"] == 0


def nbd_of(run):
    """The qemu-nbd that a run of holdfast started."""
    children = pathlib.Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children")
    for pid in children.read_text().split():
        if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "qemu-nbd":
            return int(pid)
    return None


def test_reader_is_killed(repo, folder):
    """The program that reads the image dies in mid-run: a clear error, no checkpoint, and no rest."""
    raw = images.raw_file(folder / "big.raw", 96 * MIB, [(0, 80 * MIB, 1)])
    images.qemu_img("convert", "-O", "qcow2", raw, folder / "big.qcow2")
    run = repo.start("protect", "disk", folder / "big.qcow2", "--format", "qcow2")
    with repo.paused_midway(run):
        os.kill(nbd_of(run), signal.SIGKILL)
    error = run.wait("unreachable").error
    assert str(folder / "big.qcow2") in error["message"] and "closed the connection" in error["message"], error
    assert repo.points() == [] and repo.sessions() == []
    point = repo.protect_disk(folder / "big.qcow2", "--format", "qcow2")
    assert repo.gives_back(point, "disk", raw)


@pytest.mark.parametrize("fmt", ["raw", "qcow2"])
def test_stopped(repo, folder, fmt):
    """Ctrl-C: its own exit code, no checkpoint, no session, no server that lives on."""
    raw = images.raw_file(folder / "big.raw", 96 * MIB, [(0, 80 * MIB, 1)])
    images.qemu_img("convert", "-O", fmt, raw, folder / "big")
    run = repo.start("protect", "disk", folder / "big", "--format", fmt)
    with repo.paused_midway(run):
        child = nbd_of(run)
        run.signal(signal.SIGINT)
    assert run.wait("cancelled").error["kind"] == "cancelled"
    assert repo.points() == [] and repo.sessions() == [] and repo.temporary() == []
    assert (fmt == "qcow2") == bool(child)
    assert not child or not os.path.exists(f"/proc/{child}")


def test_becomes_shorter(repo, folder):
    """A file that is cut while it is read is no checkpoint."""
    raw = images.raw_file(folder / "big.raw", 96 * MIB, [(0, 80 * MIB, 1)])
    run = repo.start("protect", "disk", raw)
    with repo.paused_midway(run):
        os.truncate(raw, 16 * MIB)
    assert "shorter" in run.wait("io").error["message"]
    assert repo.points() == [] and repo.sessions() == []


# ---- to everywhere

@pytest.fixture
def point(repo, disk):
    return repo.protect_disk(disk)


def test_to_a_file(repo, point, folder, disk):
    """Complete under its name or not there; what is there is replaced only when asked for."""
    out = folder / "out"
    done = repo.run("restore", "disk", point.id, "disk", out).json
    assert done["restored"] == str(out) and done["content_bytes"] == SIZE
    assert images.same(out, disk) and out.stat().st_blocks * 512 < 8 * MIB
    assert out.stat().st_mode & 0o777 == 0o600, "others can read what was sealed"
    out.write_bytes(b"mine")
    message = repo.run("restore", "disk", "latest", "disk", out, code="exists").error["message"]
    assert str(out) in message and "--overwrite" in message
    assert out.read_bytes() == b"mine"
    repo.run("restore", "disk", "latest", "disk", out, "--overwrite")
    assert images.same(out, disk)
    message = repo.run("restore", "disk", point.id, "vda", out, code="not-found").error["message"]
    assert "'vda'" in message and "it has disk" in message
    message = repo.run("restore", "disk", point.id, "disk", folder / "no/out", code="not-found").error["message"]
    assert str(folder / "no/out") in message
    repo.run("restore", "disk", point.id, "disk", folder, code="invalid")


def test_to_qcow2(repo, point, folder, disk):
    out = folder / "out.qcow2"
    repo.restore_disk(point, "disk", out, "--format", "qcow2")
    assert out.stat().st_mode & 0o777 == 0o600, "others can read what was sealed"
    assert images.info(out)["format"] == "qcow2" and images.info(out)["virtual-size"] == SIZE
    images.qemu_img("check", "-q", out)
    assert images.same(images.to_raw(out, folder / "raw"), disk)
    assert out.stat().st_blocks * 512 < 9 * MIB
    message = repo.run("restore", "disk", point.id, "disk", out, "--format", "qcow2", code="exists").error["message"]
    assert "--overwrite" in message
    repo.restore_disk(point, "disk", out, "--format", "qcow2", "--overwrite")
    assert images.same(images.to_raw(out, folder / "raw"), disk)
    nothing_else(folder, "disk.raw", "out.qcow2", "raw")


def test_to_a_device(repo, point, folder, disk):
    """A device is written when asked for, and keeps nothing of what it held."""
    back = images.raw_file(folder / "device", 48 * MIB, [(0, 48 * MIB, 7)])
    with loop_device(back) as device:
        message = repo.run("restore", "disk", point.id, "disk", device, code="exists").error["message"]
        assert device in message and "--overwrite" in message
        repo.restore_disk(point, "disk", device, "--overwrite")
    with open(back, "rb") as f, open(disk, "rb") as want:
        assert f.read(SIZE) == want.read()
        assert f.read(MIB) != bytes(MIB), "beyond the disk nothing is written"


def test_to_a_device_as_qcow2(repo, point, folder):
    """A device holds no qcow2 image under our hands, and its name is not replaced by a file."""
    back = images.raw_file(folder / "device", 48 * MIB)
    with loop_device(back) as device:
        message = repo.run("restore", "disk", point.id, "disk", device, "--format", "qcow2", "--overwrite",
                           code="invalid").error["message"]
        assert device in message and "raw" in message
        assert pathlib.Path(device).is_block_device()


def test_to_a_device_that_is_too_small(repo, point, folder):
    back = images.raw_file(folder / "device", 16 * MIB, [(0, MIB, 7)])
    before = back.read_bytes()
    with loop_device(back) as device:
        message = repo.run("restore", "disk", point.id, "disk", device, "--overwrite",
                           code="no-space").error["message"]
        assert device in message and str(SIZE) in message
    assert back.read_bytes() == before


def test_to_nbd(repo, point, folder, disk):
    out = images.raw_file(folder / "out", 41 * MIB, [(0, 41 * MIB, 7)])
    with export(folder, out, "-e", "16") as (uri, _):
        repo.restore_disk(point, "disk", uri)
    with open(out, "rb") as f, open(disk, "rb") as want:
        assert f.read(SIZE) == want.read()


def test_to_nbd_that_does_not_fit(repo, point, folder):
    """Too small, read-only, and not there."""
    out = images.raw_file(folder / "out", 16 * MIB)
    with export(folder, out) as (uri, _):
        message = repo.run("restore", "disk", point.id, "disk", uri, code="no-space").error["message"]
        assert uri in message and str(SIZE) in message
    os.truncate(out, 48 * MIB)
    with export(folder, out, "-r") as (uri, _):
        assert "read-only" in repo.run("restore", "disk", point.id, "disk", uri, code="denied").error["message"]
    message = repo.run("restore", "disk", point.id, "disk", uri, code="unreachable").error["message"]
    assert uri in message


def test_nbd_server_is_killed(repo, folder):
    """The server dies under a restore: told as what it is."""
    raw = images.raw_file(folder / "big.raw", 96 * MIB, [(0, 80 * MIB, 1)])
    repo.protect_disk(raw)
    out = images.raw_file(folder / "out", 96 * MIB)
    with export(folder, out) as (uri, server):
        run = repo.start("restore", "disk", "latest", "disk", uri)
        run.stop_when(lambda: out.stat().st_blocks * 512 > MIB, "it writes")
        server.kill()
        server.wait()
        run.resume()
        error = run.wait("unreachable").error
    assert uri in error["message"] and error["retryable"]


def test_to_standard_output(repo, point, disk):
    """The disk, all of it, and nothing else."""
    want = disk.read_bytes()
    assert repo.run("restore", "disk", point.id, "disk", "-").out == want
    assert repo.run("checkpoint", "cat", point.id, "disk").out == want


def test_reader_goes_away(repo, point):
    """`holdfast restore … - | head`: no crash, no hang, an error."""
    run = repo.start("restore", "disk", point.id, "disk", "-")
    run.process.stdout.read(1000)
    run.process.stdout.close()
    run.process.stdout = None
    error = run.wait("unreachable").error
    assert "standard output" in error["message"]


@pytest.mark.parametrize("fmt", ["raw", "qcow2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_restore_is_stopped(repo, folder, fmt, number):
    """No half of a disk under the disk's name; Ctrl-C leaves nothing at all."""
    raw = images.raw_file(folder / "big.raw", 96 * MIB, [(0, 80 * MIB, 1)])
    repo.protect_disk(raw)
    (folder / "to").mkdir()
    out = folder / "to/out"
    run = repo.start("restore", "disk", "latest", "disk", out, "--format", fmt)
    run.stop_when(lambda: sum(p.stat().st_blocks for p in (folder / "to").iterdir()) * 512 > MIB, "it writes")
    if run.end(number):
        assert not any((folder / "to").iterdir())
    else:
        assert not out.exists()
    repo.restore_disk("latest", "disk", out, "--format", fmt)
    assert images.same(images.to_raw(out, folder / "raw", fmt), raw)


def test_no_room(repo, point, small_folder):
    place = small_folder(4)
    for fmt in ("raw", "qcow2"):
        message = repo.run("restore", "disk", point.id, "disk", place / "out", "--format", fmt,
                           code="no-space").error["message"]
        assert str(place / "out") in message
        assert not any(place.iterdir())


# ---- streams

def test_stream(repo, folder):
    """What comes from a pipe comes back, byte by byte; of the next one only what is new is stored."""
    first = images.noise(9 * MIB + 11, 1)
    point = repo.protect_stdin("pg", first)
    assert (point.resource["type"], point.resource["name"]) == ("stream", "pg")
    moved = b"something before" + first[:4 * MIB] + b"something between" + first[4 * MIB:]
    again = repo.protect_stdin("pg", moved)
    assert again["parent"] == point.id and again.stored < 2 * MIB, "content that moved was stored again"
    assert repo.run("checkpoint", "cat", point.id, "stdin").out == first
    assert repo.run("checkpoint", "cat", "pg@latest", "stdin").out == moved
    for data in (b"", b"x"):
        repo.protect_stdin("tiny", data)
        assert repo.run("checkpoint", "cat", "tiny@latest", "stdin").out == data
    message = repo.run("checkpoint", "cat", "pg@latest", "stdout", code="not-found").error["message"]
    assert "'stdout'" in message and "checkpoint show" in message


def test_stream_that_is_slow_and_killed(repo):
    """A writer that pauses is waited for; one checkpoint only when all has come."""
    run = repo.start("protect", "stdin", "--name", "slow", stdin=subprocess.PIPE)
    for number in range(3):
        run.process.stdin.write(images.noise(MIB, number))
        run.process.stdin.flush()
        wait_until(repo.sessions, 30, "the session begins")
        time.sleep(0.2)
    assert repo.points() == [] and len(repo.sessions()) == 1
    # Ctrl-C ends the program before it in the pipe as well: the stream ends with the request.
    run.signal(signal.SIGTERM)
    run.process.stdin.close()
    run.process.stdin = None
    error = run.wait("cancelled").error
    assert error["kind"] == "cancelled"
    assert repo.points() == [] and repo.sessions() == []


def test_session_taken_away(repo):
    """Somebody took the writer for dead: it cannot commit, says so, and the next one stores nothing twice."""
    data = images.noise(3 * MIB, 1)
    run = repo.start("protect", "stdin", "--name", "pg", stdin=subprocess.PIPE)
    run.process.stdin.write(data)
    run.process.stdin.flush()
    session, = wait_until(repo.sessions, 30, "the session begins")
    (repo.path / "sessions" / session).rename(repo.path / "sessions" / f"{session}.revoked")
    run.process.stdin.close()
    run.process.stdin = None
    error = run.wait("conflict").error
    assert error["retryable"] and "again" in error["message"]
    assert repo.points() == []
    repo.protect_stdin("pg", data)
    assert repo.run("checkpoint", "cat", "latest", "stdin").out == data
