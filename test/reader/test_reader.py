# SPDX-License-Identifier: Apache-2.0
"""The reference reader against repositories made by holdfast, and against one made here from the document.

Run with HOLDFAST=path/to/holdfast /usr/bin/python3 -m pytest test/reader
"""

import hashlib
import hmac
import json
import os
import random
import shutil
import struct
import subprocess
import time
import uuid
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.poly1305 import Poly1305

READER = Path(__file__).with_name("holdfast-reader")
MODES = pytest.mark.parametrize("mode", [(), ("--no-index",)], ids=["index", "no-index"])


@pytest.fixture(scope="session")
def holdfast():
    """Runs the program under test; returns what it printed."""
    program = os.environ.get("HOLDFAST")
    if not program or not os.access(program, os.X_OK):
        pytest.fail("set the environment variable HOLDFAST to the holdfast program that shall be tested", pytrace=False)

    def run(repository, key, *arguments, stdin=b""):
        command = [program, *arguments, "-t", f"dir:{repository}", "-q"] + (["-k", str(key)] if key else [])
        done = subprocess.run(command, input=stdin, capture_output=True)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        return done.stdout
    return run


def reader(*arguments, code=0):
    """Runs the reader, which must end with this exit code and must never show a traceback; returns what it printed."""
    done = subprocess.run([str(READER), *map(str, arguments)], capture_output=True)
    output = done.stdout.decode(errors="replace") + done.stderr.decode()
    assert "Traceback" not in output
    assert done.returncode == code, output
    assert code == 0 or output
    return output if code else done.stdout


def checkpoints(repository, key):
    return [json.loads(line) for line in reader(repository, key, "list").splitlines()]


def noise(size, seed=0):
    return random.Random(seed).randbytes(size)


def image(path, size, *pieces):
    """A sparse file with (offset, content) in it."""
    with open(path, "wb") as file:
        for offset, content in pieces:
            file.seek(offset)
            file.write(content)
        file.truncate(size)
    return path


def same(one, other):
    """Whether two files are equal, without reading what is a hole in both."""
    with open(one, "rb") as a, open(other, "rb") as b:
        size = os.fstat(a.fileno()).st_size
        if size != os.fstat(b.fileno()).st_size:
            return False
        for file in (a, b):
            at = 0
            while at < size:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:  # only a hole is left
                    break
                end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                while at < end:
                    length = min(1 << 20, end - at)
                    if os.pread(a.fileno(), length, at) != os.pread(b.fileno(), length, at):
                        return False
                    at += length
    return True


def restores(repository, key, out, expected, mode=()):
    """Whether restore-all gives exactly these files, in the order of the checkpoints."""
    reader(*mode, repository, key, "restore-all", out)
    found = [path for point in checkpoints(repository, key) for path in sorted((out / point["id"]).rglob("*"))]
    assert len(found) == len(expected)
    for path, original in zip(found, expected):
        assert same(path, original), f"{path} is not {original}"
        assert os.stat(path).st_blocks * 512 <= os.stat(original).st_blocks * 512 + (1 << 20), f"{path} is not sparse"


def files(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def mixed(holdfast, tmp_path_factory):
    """A repository with disks and streams of many shapes: (folder, key, what was put in, in order)."""
    folder = tmp_path_factory.mktemp("mixed")
    repository, key, gib = folder / "repository", folder / "key", 1 << 30
    holdfast(repository, None, "target", "init", "--new-key-file", key)
    disks = [
        image(folder / "empty", 0),
        image(folder / "one", 1, (0, b"x")),
        image(folder / "zero", 1 << 20),
        image(folder / "zero-odd", 65537),
        image(folder / "odd", 65537, (0, noise(65537))),
        image(folder / "odd-tail", 3 * 65536 + 9, (65536, noise(1000)), (3 * 65536 + 8, b"!")),
        image(folder / "odd-later", 65537, (0, noise(65537)), (100, b"changed")),
        image(folder / "large", 7 * gib + 4097, (0, noise(200000)), (5 * gib - 3, noise(7000)), (7 * gib, noise(4097))),
        image(folder / "huge", 3000 * gib, (2999 * gib + 5, noise(10))),
        image(folder / "text", 3 << 20, (0, b"".join(b"line %d\n" % i for i in range(150000)))),
    ]
    for disk in disks:
        holdfast(repository, key, "protect", "disk", str(disk), "--name", disk.name.removesuffix("-later"))
    streams = [b"", b"y", bytes(9 << 20), noise(3 << 20) + bytes(5 << 20) + noise(100, 1),
               b"in front" + noise(3 << 20) + b"between" + noise(3 << 20)]
    for stream in streams:
        holdfast(repository, key, "protect", "stdin", "--name", "stream", stdin=stream)
    return repository, key, disks + [image(folder / f"stream-{i}", len(stream), (0, stream))
                                     for i, stream in enumerate(streams)]


@MODES
def test_restores_everything(mixed, tmp_path, mode):
    repository, key, expected = mixed
    restores(repository, key, tmp_path / "out", expected, mode)
    assert reader(*mode, repository, key, "check") == b""


def test_list(mixed):
    repository, key, expected = mixed
    points = checkpoints(repository, key)
    assert len(points) == len(expected)
    assert [point["instant"] for point in points] == sorted(point["instant"] for point in points)
    for point, original in zip(points, expected):
        assert str(uuid.UUID(point["id"])) == point["id"]
        [resource] = point["resources"]
        assert resource["items"] == []
        assert [disk["size"] for disk in resource["disks"]] == [os.path.getsize(original)]
        if resource["type"] == "disk":
            assert resource["id"] == str(original) and resource["disks"][0]["name"] == "disk"
        else:
            assert (resource["type"], resource["name"], resource["disks"][0]["name"]) == ("stream", "stream", "stdin")


def test_restore_one(mixed, tmp_path):
    repository, key, expected = mixed
    point = checkpoints(repository, key)[5]["id"]
    out = tmp_path / "out"
    out.write_bytes(b"what was there before, and is longer " * 10000)
    reader(repository, key, "restore", point, "disk", out)
    assert same(out, expected[5])
    assert reader(repository, key, "restore", point, "disk", "-") == expected[5].read_bytes()
    assert "no disks and items" in reader(repository, key, "restore", point, "nothing", out, code=1)
    assert "No such file" in reader(repository, key, "restore", uuid.uuid4(), "disk", out, code=1)
    assert "not the UUID" in reader(repository, key, "restore", "../" + point, "disk", out, code=1)
    assert "not a file" in reader(repository, key, "restore", point, "disk", tmp_path, code=1)
    assert files(tmp_path) == [out]


@MODES
def test_changed_a_little(holdfast, tmp_path, mode):
    """Blocks that are stored as what changed, with and without the checkpoint that has their bases."""
    repository, key, disk = (tmp_path / name for name in ("repository", "key", "disk"))
    holdfast(repository, None, "target", "init", "--new-key-file", key)
    image(disk, 2 << 20, (0, noise(2 << 20)))
    expected, sizes = [], []
    for day in range(3):
        expected.append(shutil.copy(disk, tmp_path / f"day-{day}"))
        holdfast(repository, key, "protect", "disk", str(disk), "--name", "a")
        sizes.append(sum(path.stat().st_size for path in files(repository)))
        with open(disk, "r+b") as file:
            for at in range(0, 2 << 20, 100000):
                file.seek(at)
                file.write(noise(20, day))
    assert sizes[2] - sizes[0] < 200000
    restores(repository, key, tmp_path / "all", expected, mode)
    holdfast(repository, key, "checkpoint", "delete", "-y", checkpoints(repository, key)[0]["id"])
    holdfast(repository, key, "target", "collect", "--waste", "1")
    restores(repository, key, tmp_path / "later", expected[1:], mode)
    assert reader(*mode, repository, key, "check") == b""


@MODES
def test_a_stream_that_changed(holdfast, tmp_path, mode):
    """Blocks of a stream that are stored as what changed: some bytes are others, some came, some went."""
    repository, key = (tmp_path / name for name in ("repository", "key"))
    holdfast(repository, None, "target", "init", "--new-key-file", key)
    content, expected, sizes = bytearray(noise(3 << 20)), [], []
    for day in range(3):
        expected.append(tmp_path / f"day-{day}")
        expected[-1].write_bytes(content)
        holdfast(repository, key, "protect", "stdin", "--name", "a", stdin=bytes(content))
        sizes.append(sum(path.stat().st_size for path in files(repository)))
        for at in range(0, len(content) - 20, 50000):
            content[at:at + 20] = noise(20, day)
        content[1 << 20:1 << 20] = noise(5000, 10 + day)
        del content[(2 << 20):(2 << 20) + 1000]
    assert sizes[2] - sizes[0] < 3 << 20
    restores(repository, key, tmp_path / "all", expected, mode)
    holdfast(repository, key, "checkpoint", "delete", "-y", checkpoints(repository, key)[0]["id"])
    holdfast(repository, key, "target", "collect", "--waste", "1")
    restores(repository, key, tmp_path / "later", expected[1:], mode)
    assert reader(*mode, repository, key, "check") == b""


@MODES
def test_keys(holdfast, tmp_path, mode):
    """Old and new generations, several slots of both kinds, and slots that were removed."""
    repository, first, second, phrase = (tmp_path / name for name in ("repository", "first", "second", "phrase"))
    phrase.write_text("correct hörse battery \n")
    expected = [image(tmp_path / f"image-{i}", 300000, (0, noise(150000)), (200000, noise(70000, i))) for i in range(4)]
    holdfast(repository, phrase, "target", "init", "--label", "words")
    slot = json.loads(holdfast(repository, phrase, "target", "key", "list", "-o", "json"))[0]["id"]
    holdfast(repository, phrase, "protect", "disk", str(expected[0]), "--name", "a")
    holdfast(repository, phrase, "target", "key", "add", "--new-key-file", first)
    for key in (phrase, first):
        restores(repository, key, tmp_path / f"before-{key.name}", expected[:1], mode)

    holdfast(repository, first, "target", "key", "rotate", "--keep-key", phrase)
    holdfast(repository, first, "protect", "disk", str(expected[1]), "--name", "a")
    holdfast(repository, first, "target", "key", "add", "--new-key-file", second)
    holdfast(repository, second, "target", "key", "remove", "-y", slot)
    holdfast(repository, second, "protect", "disk", str(expected[2]), "--name", "a")
    holdfast(repository, second, "target", "key", "rotate", "--drop-others")
    holdfast(repository, second, "protect", "disk", str(expected[3]), "--name", "a")
    restores(repository, second, tmp_path / "after", expected, mode)
    assert reader(*mode, repository, second, "check") == b""
    for key in (phrase, first):
        assert "opens no slot" in reader(*mode, repository, key, "list", code=1)
        assert "opens no slot" in reader(*mode, repository, key, "check", code=1)

    # The copy of the key ring and the id in it stand in for what is damaged, but check says so.
    [ring] = (repository / "keys").glob("*[0-9]")
    ring.write_bytes(ring.read_bytes()[:-1])
    (repository / "holdfast").unlink()
    restores(repository, second, tmp_path / "without", expected, mode)
    findings = reader(*mode, repository, second, "check", code=1)
    assert f"keys/{ring.name}: its checksum is wrong" in findings and "holdfast: " in findings


def test_passphrase(holdfast, tmp_path):
    repository, phrase = tmp_path / "repository", tmp_path / "phrase"
    phrase.write_text("one line, and a newline at its end\n")
    holdfast(repository, phrase, "target", "init")
    holdfast(repository, phrase, "protect", "stdin", "--name", "s", stdin=b"secret")
    restores(repository, phrase, tmp_path / "out", [image(tmp_path / "s", 6, (0, b"secret"))])
    for other, code in (("one line, and a newline at its end", 0), ("one line, and a newline at its end\n\n", 1),
                        ("another\n", 1), ("", 1), ("holdfast-key-1:" + "0" * 64 + "\n", 1)):
        phrase.write_text(other)
        reader(repository, phrase, "list", code=code)


@pytest.fixture(scope="session")
def small(holdfast, tmp_path_factory):
    """A repository with one object of every kind at least: (folder, key, {checkpoint: content})."""
    folder = tmp_path_factory.mktemp("small")
    repository, key = folder / "repository", folder / "key"
    holdfast(repository, None, "target", "init", "--new-key-file", key)
    disk = image(folder / "disk", 400000, (70000, noise(200000)))
    holdfast(repository, key, "protect", "disk", str(disk), "--name", "d")
    holdfast(repository, key, "target", "key", "rotate")
    holdfast(repository, key, "protect", "stdin", "--name", "s", stdin=b"".join(b"%d\n" % i for i in range(90000)))
    reader(repository, key, "restore-all", folder / "out")
    return repository, key, {path.relative_to(folder / "out"): path.read_bytes() for path in files(folder / "out")}


def test_finds_every_flipped_byte(small, tmp_path):
    """Flips bytes in all objects. It is always found, and nothing wrong is ever restored."""
    repository, key, contents = small
    copy, chance = tmp_path / "copy", random.Random(7)
    shutil.copytree(repository, copy)
    for number, path in enumerate(files(copy)):
        data = path.read_bytes()
        for place in (chance.randrange(64), chance.randrange(len(data)), len(data) - 1 - chance.randrange(64)):
            mode = ("--no-index",) if chance.random() < 0.5 else ()
            path.write_bytes(data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1:])
            assert path.name in reader(*mode, copy, key, "check", code=1), f"{path} at {place}"
            out = tmp_path / f"out-{number}-{place}"
            done = subprocess.run([READER, *mode, copy, key, "restore-all", out], capture_output=True)
            assert b"Traceback" not in done.stderr
            restored = {file.relative_to(out): file.read_bytes() for file in files(out)} if out.exists() else {}
            assert restored.items() <= contents.items(), f"{path} at {place}"
            assert done.returncode == (0 if len(restored) == len(contents) else 1)
        path.write_bytes(data)
    assert reader(copy, key, "check") == b""


@MODES
def test_finds_what_is_gone_or_cut(small, tmp_path, mode):
    repository, key, contents = small
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy)
    for path in files(copy):
        data = path.read_bytes()
        path.write_bytes(data[:-1])
        assert path.name in reader(*mode, copy, key, "check", code=1)
        path.unlink()
        kind = path.relative_to(copy).parts[0]
        if kind == "packs":
            assert "is in no pack" in reader("--no-index", copy, key, "check", code=1)
            assert "No such file" in reader(copy, key, "check", code=1)
        elif kind == "index":  # without the index nothing is missing
            reader(*mode, copy, key, "check", code=0 if mode else 1)
        elif kind != "points":  # a checkpoint that is not there is not known
            reader(*mode, copy, key, "check", code=1)
        path.write_bytes(data)
    reader(*mode, copy, key, "restore-all", tmp_path / "out")
    assert {file.relative_to(tmp_path / "out"): file.read_bytes() for file in files(tmp_path / "out")} == contents


def test_reads_beside_a_writer(holdfast, small, tmp_path):
    """A session at work is no damage, nor one that died, nor a checkpoint that was deleted."""
    repository, key, _ = small
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy)
    command = [os.environ["HOLDFAST"], "protect", "stdin", "--name", "s", "-t", f"dir:{copy}", "-k", key, "-q"]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        writer.stdin.write(noise(5 << 20))
        writer.stdin.flush()
        for _ in range(100):
            if list(copy.glob("sessions/*/state")):
                break
            time.sleep(0.1)
        assert reader(copy, key, "check") == b""
        [state] = copy.glob("sessions/*/state")
    finally:
        writer.kill()
        writer.wait()
    assert reader(copy, key, "check") == b""
    state.write_bytes(state.read_bytes()[:-5] + b"wrong")
    assert str(state.relative_to(copy)) in reader(copy, key, "check", code=1)
    shutil.rmtree(state.parent)

    deleted, kept = (point["id"] for point in checkpoints(copy, key))
    holdfast(copy, key, "checkpoint", "delete", "-y", deleted)
    assert reader(copy, key, "check") == b""
    assert [point["id"] for point in checkpoints(copy, key)] == [kept]


def test_rebuilds_from_parity(holdfast, tmp_path):
    """Packs that are damaged, without a key, by the document alone."""
    repository, key = tmp_path / "r", tmp_path / "k"
    holdfast(repository, None, "target", "init", "--new-key-file", key, "--parity", "10%")
    for size in (100, 3000000, 9000000):  # the last in columns of many cells
        (tmp_path / "in").write_bytes(noise(size, size))
        holdfast(repository, key, "protect", "disk", tmp_path / "in", "--name", f"d{size}")
    packs = [p for p in (repository / "packs").rglob("?" * 64)]
    assert len(packs) == 3
    for pack in packs:
        held = pack.read_bytes()
        bent = bytearray(held)
        bent[len(held) // 3] ^= 1
        for what in (held, bent, bent[:-10], held + b"more"):
            pack.chmod(0o600)
            pack.write_bytes(what)
            reader(repository, "rebuild", pack.name, tmp_path / "out")
            assert (tmp_path / "out").read_bytes() == held
        parity = repository / "parity" / pack.name[:2] / pack.name
        whole = parity.read_bytes()
        parity.chmod(0o600)
        pack.write_bytes(bent)
        parity.write_bytes(whole[:40] + b"x" + whole[41:])  # the second head
        reader(repository, "rebuild", pack.name, tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == held
        if len(held) > 4096:  # of a smaller one parity is as much as a copy
            pack.write_bytes(bytes(b ^ 1 for b in held))
            assert "too much is lost" in reader(repository, "rebuild", pack.name, tmp_path / "no", code=1)


def test_self_test():
    assert b"passed" in reader("--self-test")
    reader("--no-such-option", code=2)
    reader("only", "two", code=2)


# A second writer, made from the document like the reader, for what holdfast does not write today: small blocks,
# unusual but good layouts, and things that a reader must refuse although they are properly sealed.

def derive(ikm, salt, info):
    return HKDF(SHA256(), 32, salt, info).derive(ikm)


def sealed(key, number, aad, plain):
    return AESGCM(key).encrypt(struct.pack("<Q4x", number), plain, aad)


def with_checksum(data):
    return data + hashlib.sha256(data).digest()


def record(tag, value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<HI", tag, len(value)) + value


def u64(value):
    return struct.pack("<Q", value)


def tree(type, block, fan, levels, size, root):
    return struct.pack("<BBBB4xQ32s", type, block, fan, levels, size, root)


def slot(repository, root, secret, kind=2, derivation=2, passes=0, memory=0, lanes=0):
    open_part = uuid.uuid4().bytes + struct.pack("<BB2xIII32s", kind, derivation, passes, memory, lanes, noise(32, 9))
    return open_part + sealed(derive(secret, open_part[32:], b"holdfast slot v1"), 0, repository + open_part, root)


class Repository:
    def __init__(self, folder, needs="", slots=()):
        self.folder, self.id = folder, uuid.uuid4()
        self.root, self.id_key, secret = noise(32, 1), noise(32, 2), noise(32, 3)
        self.generations = {1: noise(32, 4), 7: noise(32, 5)}
        self.packed, self.names, self.clock = {}, [], 0
        header = (f"holdfast repository\nwhatever: this is\nneeds-to-write:\nneeds:{needs}\nid: {self.id}\n"
                  "version: 1\n").encode()
        self.put("holdfast", header + b"sha256: " + hashlib.sha256(header).hexdigest().encode() + b"\n")
        slots = [*slots, *(slot(self.id.bytes, self.root, value) for value in (b"of somebody else", secret))]
        ring = b"HFKEYS\0\1" + self.id.bytes + struct.pack("<IH2x", 12, len(slots)) + b"".join(slots)
        body = (record(0, bytes(5)) + record(0x7fff, "from the future") + record(2, b"\1" + self.id_key)
                + b"".join(record(3, struct.pack("<IQ", n, 0) + key) for n, key in self.generations.items())
                + record(4, slots[-1][:16] + u64(0) + "ein Schlüssel".encode()) + record(1, u64(1))
                + record(5, hashlib.sha256(ring).digest()))
        ring = with_checksum(ring + self.box(1, body, 0, self.root))
        self.put("keys/12", ring)
        self.put("keys/12.copy", ring)
        self.put("keys/9", b"left behind, and damaged")
        self.key = folder.parent / f"{folder.name}.key"
        self.key.write_text(f"holdfast-key-1:{secret.hex()}\n")

    def put(self, name, data):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def box(self, kind, body, generation=7, key=None, log2=12):
        salt = os.urandom(32)
        header = struct.pack("<4sBBBBI4xQ8x32s", b"HFBX", 1, kind, 1, log2, generation, len(body), salt)
        key = derive(key or self.generations[generation], salt, b"holdfast box v1")
        starts = range(0, max(1, len(body)), 1 << log2)
        return header + b"".join(sealed(key, i, header, body[at:at + (1 << log2)]) for i, at in enumerate(starts))

    def add(self, content, kind=1, encoding=0, base=None):
        """Adds a block or node to the next pack; base is (id, content)."""
        key = derive(self.id_key, b"", (b"holdfast id data", b"holdfast id node")[kind - 1])
        id, payload = hmac.digest(key, content, "sha256"), content
        if encoding:
            raw = zstandard.ZstdCompressionDict(base[1], dict_type=zstandard.DICT_TYPE_RAWCONTENT) if base else None
            payload = (base[0] if base else b"") + zstandard.ZstdCompressor(dict_data=raw).compress(content)
        self.packed[id] = (kind, encoding, payload, base and base[0])
        return id

    def fingerprint(self, content):
        return Poly1305.generate_tag(derive(self.id_key, b"", b"holdfast print"), content)

    def piece(self, id, content):
        """The entry of a block in a sequence."""
        return id + u64(len(content)) + (self.fingerprint(content) if any(id) else bytes(16))

    def node(self, type, level, *entries):
        return self.add(struct.pack("<BBBxH2x", 0x4e, type, level, len(entries)) + b"".join(entries), 2)

    def pack(self, generation=7, supersedes=()):
        """Writes a pack of what was added, and its run; returns the names of both."""
        salt, at, entries, bases, run = os.urandom(32), 64, b"", b"", []
        header = struct.pack("<4sBB2xI20x32s", b"HFPK", 1, 1, generation, salt)
        key, data = derive(self.generations[generation], salt, b"holdfast pack v1"), header
        for i, (id, (kind, encoding, payload, base)) in enumerate(self.packed.items()):
            stored = sealed(key, at, bytes([kind, encoding]) + id, payload)
            entries += id + struct.pack("<BB2xI", kind, encoding, len(stored))
            bases += record(1, struct.pack("<I", i) + base) if base else b""
            run.append((id, struct.pack("<III", 0, at, kind << 28 | encoding << 24 | len(stored)), base))
            data, at = data + stored, at + len(stored)
        plain = entries + bases
        trailer = struct.pack("<4sIQI12x", b"HFPE", len(run), at, len(plain) + 16)
        data += sealed(key, at, header + trailer, plain) + trailer
        name = hashlib.sha256(data).hexdigest()
        self.put(f"packs/{name[:2]}/{name}", data)
        self.packed = {}
        run.sort()
        deltas = [(i, base) for i, (_, _, base) in enumerate(run) if base]
        before = b"".join(u64(sum(i < at for i, _ in deltas)) for at in range(0, len(run), 3)) if deltas else b""
        body = (struct.pack("<IIQIIQQ24x", 1, 3, len(run), 1, len(supersedes), 32, len(deltas)) + b"".join(supersedes)
                + bytes.fromhex(name) + b"".join(id[:8] for id, _, _ in run[::3]) + before + b"\xff" * 32
                + b"".join(id + place for id, place, _ in run)
                + b"".join(struct.pack("<H", i % 3) + base for i, base in deltas) + record(9, b"newer"))
        box = self.box(2, body, generation)
        index = hashlib.sha256(box).hexdigest()
        self.put(f"index/{index}", box)
        return name, index

    def point(self, *resources, extra=b"", generation=7, parent=None, name=None):
        id, self.clock = uuid.uuid4(), self.clock + 1
        body = (extra + record(2, u64(self.clock)) + b"".join(record(16, resource) for resource in resources)
                + record(1, id.bytes) + record(3, u64(self.clock)) + (record(5, parent) if parent else b"")
                + record(4, "test_reader.py") + record(8, bytes(40)) + record(0, b""))
        data = with_checksum(self.box(3, body, generation))
        self.put(f"points/{name or id}", data)
        return id, hashlib.sha256(data).digest()


def disk(name, descriptor, tag=17, more=b""):
    return record(tag, record(2, descriptor) + more + record(1, name))


def resource(*parts):
    return record(1, "domain") + record(3, "web") + record(2, "web's id") + b"".join(parts) + record(
        4, "somewhere") + record(5, struct.pack("<BB6xQ", 2, 1, 5)) + record(6, "why less")


def put_in(repository):
    """Puts a map of three levels, a sequence of two, and holes into a repository; returns {name: (content, tree)}."""
    blocks = {0: noise(4096), 1: bytes(1) + noise(4095), 17: b"text " * 819 + b".", 255: noise(4096, 5),
              300: noise(7, 6)}
    ids = [bytes(32)] * 301
    base = repository.add(blocks[0])
    ids[0] = base
    ids[1] = repository.add(blocks[1], 1, 2, (base, blocks[0]))
    ids[17] = repository.add(blocks[17], 1, 1)
    ids[255] = repository.add(blocks[255], 1, 1)
    repository.pack(generation=1)
    ids[300] = repository.add(blocks[300].ljust(4096, b"\0"))
    entries = [id + repository.fingerprint(blocks[at].ljust(4096, b"\0")) if at in blocks else bytes(48)
               for at, id in enumerate(ids)]
    for level in range(3):
        groups = [entries[at:at + 16] for at in range(0, len(entries), 16)]
        while any(group and not any(group[-1]) for group in groups):
            groups = [group[:-1] if group and not any(group[-1]) else group for group in groups]
        entries = [repository.node(1, level, *group) if group else bytes(32) for group in groups]
    content = bytearray(300 * 4096 + 7)
    for at, block in blocks.items():
        content[4096 * at:4096 * at + len(block)] = block
    made = {"vda": (bytes(content), tree(1, 12, 4, 3, len(content), entries[0]))}

    pieces = [noise(100, 7), b"stream " * 1000, noise(50000, 8)]
    changed = pieces[2][:20000] + b"insertion" + pieces[2][20000:]
    ids = [repository.add(piece) for piece in pieces]
    delta = repository.add(changed, 1, 2, (ids[2], pieces[2]))
    first = repository.node(2, 0, *(repository.piece(id, content) for id, content in (
        (ids[0], pieces[0]), (bytes(32), bytes(5000)), (ids[1], pieces[1]))))
    second = repository.node(2, 0, repository.piece(delta, changed), repository.piece(ids[2], pieces[2]))
    root = repository.node(2, 1, first + u64(12100), second + u64(100009), first + u64(12100))
    start = pieces[0] + bytes(5000) + pieces[1]
    made["stdin"] = (start + changed + pieces[2] + start, tree(2, 0, 0, 2, 124209, root))
    made["deep/er/nvram.fd"] = (bytes(70000), tree(2, 0, 0, 0, 70000, bytes(32)))
    made["zeros"] = (bytes(70000), tree(1, 20, 12, 1, 70000, bytes(32)))
    return made


@MODES
def test_reads_what_the_document_allows(tmp_path, mode):
    repository = Repository(tmp_path / "repository")
    made = put_in(repository)
    parts = [disk(name, descriptor, 17 if "d" in name[:3] else 16) for name, (_, descriptor) in made.items()]
    _, run = repository.pack(supersedes=[noise(32)])
    old, whole = repository.point(resource(parts[0]), resource(*parts[1:]), generation=1)
    more = record(7, "beware") + record(6, "a=b") + record(6, "a=c")
    new, _ = repository.point(resource(parts[0]), parent=old.bytes + whole, extra=more)
    repository.put("sessions/" + str(uuid.uuid4()) + "/state", with_checksum(repository.box(4, record(1, u64(0)))))
    repository.put("epochs/3", with_checksum(repository.box(5, record(1, u64(3)) + record(2, noise(32)))))
    repository.put("index/not-a-run", b"of no interest")

    out = tmp_path / "out"
    reader(*mode, repository.folder, repository.key, "restore-all", out)
    expected = {f"{old}/{name}": content for name, (content, _) in made.items()} | {f"{new}/vda": made["vda"][0]}
    assert {str(path.relative_to(out)): path.read_bytes() for path in files(out)} == expected
    assert [point["id"] for point in checkpoints(repository.folder, repository.key)] == [str(old), str(new)]
    assert reader(*mode, repository.folder, repository.key, "check", code=1) == "keys/9: its checksum is wrong\n"

    # A run that is superseded does not count, even if what supersedes it is useless.
    if not mode:
        repository.pack(supersedes=[bytes.fromhex(run)])
        assert "is in no pack" in reader(repository.folder, repository.key, "check", code=1)


def refused(repository, *expected, mode=()):
    output = reader(*mode, repository.folder, repository.key, "restore-all", repository.folder.parent / "out", code=1)
    assert all(text in output for text in expected), output
    assert files(repository.folder.parent / "out") == []


# What the reader complains about, and how to make it do so: a repository and a good tree descriptor are given.
BAD_POINTS = {
    "must be understood": lambda r, made: r.point(resource(disk("vda", made)), extra=record(0x8010, b"")),
    "with tag 0x8111": lambda r, made: r.point(resource(disk("vda", made, more=record(0x8111, "")))),
    "twice": lambda r, made: r.point(resource(disk("vda", made)), extra=record(2, u64(1))),
    "cut short": lambda r, made: r.point(resource(disk("vda", made)), extra=struct.pack("<HI", 99, 1 << 31)),
    "wrong size": lambda r, made: r.point(resource(disk("vda", made[:-1]))),
    "has no name": lambda r, made: r.point(resource(record(17, record(2, made)))),
    "too long": lambda r, made: r.point(resource(disk("v" * 65537, made))),
    "under this name": lambda r, made: r.point(resource(disk("vda", made)), name=uuid.uuid4()),
    "no levels": lambda r, made: r.point(resource(disk("vda", tree(2, 0, 0, 0, 5, noise(32))))),
    "impossible": lambda r, made: r.point(resource(disk("vda", tree(2, 0, 0, 9, 5, bytes(32))))),
    "impossible size": lambda r, made: r.point(resource(disk("vda", tree(1, 21, 4, 1, 5, bytes(32))))),
    "number of levels": lambda r, made: r.point(resource(disk("vda", tree(1, 12, 4, 2, 5, bytes(32))))),
    "beyond the end": lambda r, made: r.point(resource(disk("vda", tree(1, 12, 4, 3, 257 * 4096, made[16:])))),
    "not of the kind": lambda r, made: r.point(resource(disk("vda", tree(2, 0, 0, 3, 300 * 4096 + 7, made[16:])))),
    "not padded": lambda r, made: r.point(resource(disk("vda", tree(1, 12, 4, 3, 300 * 4096 + 6, made[16:])))),
    "is in no pack": lambda r, made: r.point(resource(disk("vda", tree(1, 12, 4, 1, 5, noise(32, 99))))),
}


@pytest.mark.parametrize("complaint", BAD_POINTS)
def test_refuses_bad_points(tmp_path, complaint):
    repository = Repository(tmp_path / "repository")
    made = put_in(repository)["vda"][1]
    repository.pack()
    BAD_POINTS[complaint](repository, made)
    refused(repository, complaint)
    assert complaint in reader(repository.folder, repository.key, "check", code=1)


@MODES
def test_refuses_bad_blocks(tmp_path, mode):
    """Blocks that are sealed as they should be, but do not decode to what their id says, or only by a longer way."""
    repository = Repository(tmp_path / "repository")
    base = noise(30000), noise(30000, 1)
    first = repository.add(base[0])
    second = repository.add(base[1], 1, 2, (first, base[0]))
    third = repository.add(noise(100), 1, 2, (second, base[1]))
    large = repository.add(bytes(4 << 20) + b"x", 1, 1)
    other = repository.add(b"content")
    repository.packed[other] = (1, 0, b"another", None)
    odd = repository.add(b"some content")
    repository.packed[odd] = (1, 3, b"some content", None)
    garbage = repository.add(b"more content")
    repository.packed[garbage] = (1, 1, b"no frame", None)
    two = repository.add(b"two frames", 1, 1)
    repository.packed[two] = (1, 1, repository.packed[two][2] * 2, None)
    blocks = {third: (100, "base of another"), large: ((4 << 20) + 1, "too large"), other: (7, "another id"),
              odd: (12, "encoding is 3"), garbage: (12, "does not decompress"), two: (10, "not one whole")}
    nodes = {id: repository.node(2, 0, id + u64(size) + bytes(16)) for id, (size, _) in blocks.items()}
    nodes[bytes(32)] = repository.node(2, 0, bytes(32) + u64(7) + bytes(16))
    repository.pack()
    for id, (size, complaint) in blocks.items():
        repository.point(resource(disk("vda", tree(2, 0, 0, 1, size, nodes[id]))))
    for size, complaint in ((8, "less than"), (6, "more than")):
        blocks[complaint] = (size, complaint)
        repository.point(resource(disk("vda", tree(2, 0, 0, 1, size, nodes[bytes(32)]))))
    refused(repository, *(complaint for _, complaint in blocks.values()), mode=mode)


def test_fingerprints(tmp_path):
    """A block is what its id says; a fingerprint that says something else is damage, but loses nothing."""
    repository = Repository(tmp_path / "repository")
    blocks = [noise(4096, 1), noise(4096, 2)]
    ids = [repository.add(block) for block in blocks]
    right, wrong, hole = (repository.fingerprint(block) for block in (blocks[0], blocks[0], bytes(4096)))
    leaf = repository.node(1, 0, ids[0] + right, ids[1] + wrong)
    holes = repository.node(1, 0, bytes(32) + hole, ids[0] + right)
    repository.pack()
    point, _ = repository.point(resource(disk("vda", tree(1, 12, 4, 1, 8192, leaf))))
    assert reader(repository.folder, repository.key, "restore", point, "vda", "-") == b"".join(blocks)
    assert "'vda' at 4096: has another fingerprint" in reader(repository.folder, repository.key, "check", code=1)
    repository.point(resource(disk("vdb", tree(1, 12, 4, 1, 8192, holes))))
    assert "zeros have a fingerprint" in reader(repository.folder, repository.key, "check", code=1)


def test_names(tmp_path):
    """A disk and an item may have the same name, two resources of one checkpoint too: then a name says too little."""
    repository = Repository(tmp_path / "repository")
    empty = tree(2, 0, 0, 0, 5, bytes(32))
    point, _ = repository.point(resource(disk("same", empty), disk("same", empty, 16), disk("/a/./b", empty)))
    out = tmp_path / "out"
    assert "2 disks" in reader(repository.folder, repository.key, "restore", point, "same", out, code=1)
    assert "comes twice" in reader(repository.folder, repository.key, "restore-all", out, code=1)
    assert [str(path.relative_to(out / str(point))) for path in files(out)] == ["a/b", "same"]

    repository.point(resource(*(disk(name, empty) for name in ("../../up", "a/../../up", "..", "/", "", "null\0byte"))))
    assert reader(repository.folder, repository.key, "restore-all", out, code=1).count("not safe") == 6
    assert [path.name for path in files(tmp_path) if path.name.startswith(("up", "null"))] == []


def test_refuses_what_it_does_not_know(tmp_path):
    repository = Repository(tmp_path / "repository", needs=" something-new")
    assert "something-new" in reader(repository.folder, repository.key, "list", code=1)
    header = (repository.folder / "holdfast").read_bytes().rpartition(b"sha256: ")[0].replace(b"n: 1", b"n: 2")
    repository.put("holdfast", header + b"sha256: " + hashlib.sha256(header).hexdigest().encode() + b"\n")
    assert "version '2'" in reader(repository.folder, repository.key, "list", code=1)

    # A slot with absurd costs is not tried, and does not keep another one from opening the repository.
    id, phrase = noise(16, 20), tmp_path / "phrase"
    costly = [slot(id, noise(32), b"", 1, 1, *cost) for cost in ((1025, 1024, 1), (1, (4 << 20) + 1, 1), (1, 1024, 65))]
    repository = Repository(tmp_path / "costly", slots=costly)
    phrase.write_text("words")
    assert "not allowed" in reader(repository.folder, phrase, "list", code=1)
    assert reader(repository.folder, repository.key, "list") == b""
