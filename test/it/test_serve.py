# SPDX-License-Identifier: Apache-2.0
"""Checkpoints over NBD: what clients read is what was protected; what they write and flush is kept, whatever dies."""
import os
import pty
import signal
import socket
import subprocess

import pytest

import definition
import images
from images import MIB
from machine import Guest
from serving import Nbdkit, Serve, extents, gone, io, ok, read, tool
from waiting import wait_until

SIZE = 40 * MIB + 512  # no multiple of a block
PIECES = [(0, MIB, 1), (7 * MIB + 3, 5 * MIB, 2), (SIZE - 70000, 70000, 3)]
BLOCK = 65536


@pytest.fixture(scope="module")
def kit(module_folder):
    kit = Nbdkit(os.path.abspath(os.environ["HOLDFAST"]), module_folder)
    yield kit
    kit.check()


@pytest.fixture
def disk(folder):
    return images.raw_file(folder / "disk.raw", SIZE, PIECES)


@pytest.fixture
def point(repo, disk):
    return repo.protect_disk(disk, "--name", "web")


@pytest.fixture
def serve(repo, kit):
    """Serves; what a test leaves is ended."""
    made = []

    def start(*args, of=repo):
        made.append(Serve(of, kit, *args))
        return made[-1]

    yield start
    for served in made:
        served.kill_everything()


def parameters(repo, *more):
    return [f"target={repo.url}", f"key-file={repo.key}", *more]


def whole_blocks(pieces, size):
    """The extents of a disk with these pieces of data."""
    marks, at = [], 0
    for offset, length, _ in pieces:
        begin, end = offset // BLOCK * BLOCK, min(size, -(-(offset + length) // BLOCK) * BLOCK)
        marks += [(at, begin - at, True)] * (begin > at) + [(begin, end - begin, False)]
        at = end
    return marks + [(at, size - at, True)] * (size > at)


# ---- reading

def test_what_was_protected(repo, point, disk, serve, folder):
    """Content, size and holes, by two clients that share no code; nothing is left when it stops."""
    served = serve("web@latest")
    assert served.said["checkpoint"] == point.id and not served.said["writable"]
    assert served.said["exports"][0]["size_bytes"] == SIZE and list(served.uris) == ["disk"]
    ok("nbdcopy", served.uri, folder / "copy")
    ok("qemu-img", "convert", "-f", "raw", "-O", "raw", served.uri, folder / "convert")
    assert images.same(folder / "copy", disk) and images.same(folder / "convert", disk)
    assert (folder / "copy").stat().st_blocks * 512 < 8 * MIB, "holes were copied"
    assert extents(served.uri) == whole_blocks(PIECES, SIZE)
    place = served.uri.split("socket=")[1]
    assert os.stat(os.path.dirname(place)).st_mode & 0o77 == 0, "others may read it"
    done = served.stop(signal.SIGINT)
    assert done.err == "" and not os.path.exists(os.path.dirname(place))


def test_anywhere_and_never_written(repo, point, disk, serve):
    """Bytes at odd offsets; a write is refused."""
    served = serve(point.id, "disk")
    with open(disk, "rb") as f:
        for offset, length in ((1, 1), (7 * MIB, 7), (12 * MIB - 5, 70000), (SIZE - 3, 3), (3 * MIB + 1, BLOCK)):
            f.seek(offset)
            assert read(served.uri, offset, length) == f.read(length), offset
    assert not io(served.uri, "write 0 512")[0]


def test_for_people(repo, point, kit, folder):
    """Addresses and what to do with them; the path of the socket as it was asked for."""
    run = repo.holdfast.start("checkpoint", "serve", point.id, *repo.where, "--socket", folder / "s", env=kit.env)
    wait_until((folder / "s").exists, 30, "it is up")
    ok("nbdinfo", f"nbd+unix:///disk?socket={folder}/s")
    run.signal(signal.SIGTERM)
    text = run.wait().text
    assert f"'nbd+unix:///disk?socket={folder}/s'" in text and "guestfish --ro" in text and point.id in text
    assert not (folder / "s").exists()


def test_several_at_once(repo, kit, folder, disk):
    """One server for disks of several checkpoints, with many clients side by side."""
    first = repo.protect_disk(disk, "--name", "web")
    images.write_into(disk, 20 * MIB, images.noise(3 * MIB, 9), "raw")
    second = repo.protect_disk(disk, "--name", "web")
    repo.protect_stdin("stream", b"no disk")
    held = images.raw_file(folder / "first.raw", SIZE, PIECES)
    with kit.serving(folder, *parameters(repo, "cache=4MiB")) as uri:
        listed = ok("nbdinfo", "--list", uri())
        assert [listed.count(f'export="{p.id}/disk"') for p in (first, second)] == [1, 1]
        assert "stream" not in listed and "web, disk, 20" in listed
        copies = [(subprocess.Popen(["nbdcopy", uri(name), folder / f"{n}.copy"]), folder / f"{n}.copy", want)
                  for n, (name, want) in enumerate([(f"{first.id}/disk", held), (f"{second.id[:8]}/disk", disk)] * 2)]
        for process, copy, want in copies:
            assert process.wait(timeout=60) == 0 and images.same(copy, want)
        for name in ("", "disk", "none@latest/disk", f"{first.id}/vdz", "stream@latest/stdin"):
            assert tool("nbdinfo", "--size", uri(name))[0] != 0, name
    with kit.serving(folder, *parameters(repo, f"checkpoint={first.id}", "only=true")) as uri:
        assert extents(uri()) == extents(uri("disk")) == whole_blocks(PIECES, SIZE)
        assert tool("nbdinfo", "--size", uri(f"{second.id}/disk"))[0] != 0, "it was not to be served"


def test_damage(repo, serve, kit, folder):
    """A block that is damaged cannot be read; all others can, and the server says what is wrong."""
    raw = images.raw_file(folder / "d.raw", 4 * MIB, [(0, 4 * MIB, 1)])
    point = repo.protect_disk(raw, "--name", "d")
    pack, = repo.packs()
    repo.damage(pack, part=0.5)
    served = serve(point.id)
    assert read(served.uri, 0, 4 * MIB) is None
    content = [read(served.uri, n * BLOCK, BLOCK) for n in range(64)]
    bad = [n for n, c in enumerate(content) if c is None]
    held = raw.read_bytes()
    assert len(bad) == 1 and all(c in (None, held[n * BLOCK:(n + 1) * BLOCK]) for n, c in enumerate(content))
    done = served.stop()
    assert "damaged" in done.err and "d, disk" in done.err


def test_passphrase(holdfast, kit, folder, disk):
    """Typed at a terminal; no process ever has it among its arguments or in its environment."""
    words = "correct horse battery staple"
    (folder / "words").write_text(f"{words}\n")
    target = f"dir:{folder}/target"
    holdfast.run("target", "init", "-t", target, "-k", folder / "words")
    holdfast.run("protect", "disk", disk, "--name", "d", "-t", target, "-k", folder / "words")
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(holdfast.command[0], ["holdfast", "checkpoint", "serve", "latest", "-t", target, "--socket",
                                        str(folder / "s")], holdfast.env(kit.env))
    try:
        assert b"passphrase" in os.read(fd, 200)
        os.write(fd, words.encode() + b"\n")
        wait_until((folder / "s").exists, 60, "it is up")
        ok("nbdcopy", f"nbd+unix:///disk?socket={folder}/s", folder / "copy")
        assert images.same(folder / "copy", disk)
        found = subprocess.run(["sh", "-c", f"cat /proc/{pid}/task/{pid}/children"], capture_output=True, text=True,
                               check=True, timeout=30).stdout.split()
        assert found
        for child in found:
            for name in ("cmdline", "environ"):
                with open(f"/proc/{child}/{name}", "rb") as f:
                    assert b"battery" not in f.read()
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0
        os.close(fd)
    with kit.serving(folder, f"target={target}", f"passphrase=+{folder}/words", "checkpoint=latest") as uri:
        assert ok("nbdinfo", "--size", uri()).strip() == str(SIZE)


# ---- what is wrong

@pytest.mark.parametrize("more, said", [
    (["frob=1"], "frob"), (["cache=much"], "cache=much"), (["disk=vda"], "checkpoint="), (["only=perhaps"], "perhaps"),
    (["passphrase=x"], "key-file"), (["target=dir:/none"], "/none"), (["key-file=/none"], "/none"),
], ids=lambda v: v[0].split("=")[0] if isinstance(v, list) else None)
def test_wrong_parameters(repo, kit, folder, more, said):
    assert said in kit.refuses(folder, *parameters(repo, *more))


def test_wrong_usage(repo, make_repo, point, folder, disk):
    """Every mistake is told before anything is started, with what was wrong."""
    (folder / "file").write_text("mine")
    taken = socket.create_server(("127.0.0.1", 0))
    port = str(taken.getsockname()[1])
    long = folder / ("x" * 120)
    vague = images.create(folder / "other.qcow2", "1M")
    for words, kind, said in (
            (["nix"], "invalid", "nix"), (["00000000-0000"], "not-found", "00000000"),
            (["web@latest", "vdz"], "not-found", "vdz"), (["web@latest", "--cache", "much"], "invalid", "much"),
            (["web@latest", "--listen", "0"], "invalid", "65535"), (["web@latest", "--listen", "x:1"], "invalid", "'x'"),
            (["web@latest", "--listen", port], "busy", port), (["web@latest", "--socket", long], "limit", "107"),
            (["web@latest", "--listen", port, "--socket", long], "invalid", "--socket"),
            (["web@latest", "--socket", folder / "file"], "exists", "file"),
            (["web@latest", "--overlay", folder / "none/o"], "not-found", "none/o"),
            (["web@latest", "--overlay", folder / "file"], "invalid", "qcow2"),
            (["web@latest", "--overlay", folder], "invalid", "not a file"),
            (["web@latest", "--overlay", vague], "invalid", "something else")):
        error = repo.run("checkpoint", "serve", *words, code=kind).error
        assert said in error["message"], error
    taken.close()
    other = make_repo()
    error = repo.holdfast.run("checkpoint", "serve", point.id, "-t", repo.url, "-k", other.key, code="wrong-key")
    assert repo.url in error.err and (folder / "file").read_text() == "mine"
    repo.protect_stdin("s", b"x")
    assert "checkpoint cat" in repo.run("checkpoint", "serve", "s@latest", code="not-found").error["message"]


def test_nbdkit_is_missing(repo, point, folder):
    (folder / "empty").mkdir()
    error = repo.run("checkpoint", "serve", point.id, env={"PATH": str(folder / "empty")}, code="not-found").error
    assert "install the package nbdkit" in error["message"]


def test_a_server_dies(repo, point, serve, folder):
    """Its end is the command's; when the command is killed they end with it, and its socket can be used again."""
    served = serve(point.id, "--socket", folder / "s")
    in_use = repo.run("checkpoint", "serve", point.id, "--socket", folder / "s", code="exists").error["message"]
    assert "in use" in in_use
    os.kill(served.servers[0], signal.SIGKILL)
    assert "nbdkit" in served.run.wait("io").error["message"]
    served = serve(point.id, "--socket", folder / "s")
    served.run.kill()
    wait_until(lambda: all(gone(pid) for pid in served.servers), 20, "nbdkit ends with holdfast")
    assert os.path.exists(folder / "s")
    assert ok("nbdinfo", "--size", serve(point.id, "--socket", folder / "s").uri).strip() == str(SIZE)


# ---- writing

def check(overlay):
    code, said = tool("qemu-img", "check", f'json:{{"driver":"qcow2","file.filename":"{overlay}","backing":null}}')
    assert code in (0, 3), said  # 3: leaks, and nothing worse
    return said


def stored(repo):
    return sorted((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in repo.path.rglob("*") if p.is_file())


def test_what_was_flushed_is_kept(repo, point, disk, serve, folder):
    """Everything is killed in the middle of writes, again and again; the repository is never touched."""
    overlay, before = folder / "o.qcow2", stored(repo)
    want = bytearray(disk.read_bytes())
    for turn in range(3):
        served = serve(point.id, "--overlay", overlay)
        assert served.said["writable"] and len(served.servers) == 2
        writes = [(turn * 9 * MIB + 1000, 3000), (turn * 11 * MIB, BLOCK), (SIZE - 512 * (turn + 1), 512)]
        good, said = io(served.uri, *[f"write -P {turn + 1} {o} {n}" for o, n in writes], "flush")
        assert good, said
        for offset, length in writes:
            want[offset:offset + length] = bytes([turn + 1]) * length
        # Nobody flushes these; they lie where nothing else is.
        busy = subprocess.Popen(["qemu-io", "-f", "raw", *(w for n in range(2000) for w in (
            "-c", f"write -P 99 {30 * MIB + n % 128 * 4096} 4096")), served.uri], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_until(lambda: overlay.stat().st_blocks > 0, 30, "it writes")
        served.kill_everything()
        busy.kill()
        busy.wait()
        assert "corruptions" not in check(overlay)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    served = serve(point.id, "disk", "--overlay", overlay, "--listen", f"127.0.0.1:{port}")
    assert served.uri == f"nbd://127.0.0.1:{port}/disk"
    ok("nbdcopy", served.uri, folder / "now")
    now = (folder / "now").read_bytes()
    for begin, end in ((0, 30 * MIB), (31 * MIB, SIZE)):
        assert now[begin:end] == want[begin:end]
    served.stop()
    assert "No errors" in check(overlay) and stored(repo) == before


def test_an_overlay_belongs_to_one_disk(repo, point, disk, serve, folder):
    """Another checkpoint's, one in use, and one of several disks: refused, and nothing happens to it."""
    overlay = folder / "o.qcow2"
    again = repo.protect_disk(disk, "--name", "web")
    served = serve(point.id, "--overlay", overlay)
    error = repo.run("checkpoint", "serve", point.id, "--overlay", overlay, code="busy").error
    assert str(overlay) in error["message"] and "in use" in error["message"]
    served.stop()
    error = repo.run("checkpoint", "serve", again.id, "--overlay", overlay, code="invalid").error
    assert point.id in error["message"] and again.id in error["message"]
    assert tool("qemu-img", "map", overlay)[0] != 0, "it can be taken for a whole disk"
    check(overlay)


@pytest.mark.parametrize("victim", ["qemu-nbd", "nbdkit"])
def test_one_of_two_dies(point, serve, folder, victim):
    """The other one ends, too, and the command with them."""
    served = serve(point.id, "--overlay", folder / "o.qcow2")
    pid = served.servers[("nbdkit", "qemu-nbd").index(victim)]
    assert io(served.uri, "write -P 5 100 100", "flush")[0]
    os.kill(pid, signal.SIGKILL)
    assert victim in served.run.wait("io").error["message"]
    assert all(gone(p) for p in served.servers)
    check(folder / "o.qcow2")
    assert io(serve(point.id, "--overlay", folder / "o.qcow2").uri, "read -P 5 100 100")[0]


# ---- a machine

class NbdDisk(definition.Disk):
    def xml(self):
        return (f"<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='nbd' name='disk'>"
                f"<host transport='unix' socket='{self.path}'/></source><target dev='{self.name}' bus='virtio'/></disk>")


def test_a_machine_boots(repo, lab, guest_image, serve, folder):
    """It runs from the checkpoint at once; what it wrote and synced is there after everything was killed."""
    point = repo.protect_disk(guest_image, "--format", "qcow2", "--name", "guest")
    overlay, where = folder / "o.qcow2", folder / "s"
    served = serve(point.id, "--overlay", overlay, "--socket", where)
    guest = Guest(lab, f"nbd{folder.name}", folder, [NbdDisk("vda", where)]).define()
    try:
        guest.boot()
        assert guest.boots == 1
        guest.set_marker("kept")
        served.kill_everything()
    finally:
        guest.cleanup()
    check(overlay)
    ok("nbdcopy", serve(point.id, "--overlay", overlay).uri, folder / "now")
    # Its second partition, as it comes up after a power cut: read by no code of ours.
    ok("dd", f"if={folder}/now", f"of={folder}/root", "bs=1M", "skip=41", "conv=sparse")
    code, said = tool("e2fsck", "-fy", folder / "root")
    assert code in (0, 1), said
    assert "kept" in ok("debugfs", "-R", "cat /data/marker", folder / "root").splitlines()
