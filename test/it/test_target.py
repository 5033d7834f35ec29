# SPDX-License-Identifier: Apache-2.0
"""Targets and keys: what opens a repository, what does not, and targets that are full, read-only or damaged."""
import shutil
import stat
import subprocess

import pytest

import images
from images import MIB


def test_init(holdfast, folder):
    """A key that only its owner reads; nothing is made twice, and no key is replaced."""
    target, key = f"dir:{folder}/a/b", folder / "key"
    made = holdfast.run("target", "init", "-t", target, "--new-key-file", key, "-o", "json").json
    assert made["target"] == target and stat.S_IMODE(key.stat().st_mode) == 0o600
    content = key.read_bytes()
    error = holdfast.run("target", "init", "-t", target, "--new-key-file", folder / "other", "-o", "json",
                         code="exists").error
    assert target in error["message"] and not (folder / "other").exists()
    error = holdfast.run("target", "init", "-t", f"dir:{folder}/c", "--new-key-file", key, "-o", "json",
                         code="exists").error
    assert str(key) in error["message"] and key.read_bytes() == content
    both = ["--new-key-file", folder / "n", "-k", key]
    assert "--key-file" in holdfast.run("target", "init", "-t", f"dir:{folder}/d", *both, code="invalid").err
    shown = holdfast.run("target", "show", "-t", target, "-k", key, "-o", "json").json
    assert shown["id"] == made["id"] and shown["checkpoints"] == shown["packs"] == shown["sessions"] == 0


def test_not_a_repository(holdfast, folder, repo):
    """Nothing there, an empty folder, a folder of something else: said so, and nothing is put there."""
    for place in ("none", "empty", "else"):
        if place != "none":
            (folder / place).mkdir()
        if place == "else":
            (folder / place / "notes.txt").write_text("hello")
        for words in (["checkpoint", "list"], ["protect", "stdin", "--name", "x"]):
            error = holdfast.run(*words, "-t", f"dir:{folder}/{place}", "-k", repo.key, "-o", "json", stdin=b"x",
                                 code="not-found").error
            assert f"{folder}/{place}" in error["message"], error
            if place != "none":
                assert "target init" in error["message"], error
    assert not (folder / "none").exists() and not any((folder / "empty").iterdir())
    assert [p.name for p in (folder / "else").iterdir()] == ["notes.txt"]
    (folder / "file").write_text("x")
    holdfast.run("checkpoint", "list", "-t", f"dir:{folder}/file", "-k", repo.key, code="not-found")


def test_wrong_key(repo, make_repo, folder):
    """Another repository's key, a passphrase, a damaged key, no key at all."""
    repo.protect_stdin("s", b"x")
    other = make_repo()
    (folder / "passphrase").write_text("let me in\n")
    (folder / "damaged").write_bytes(repo.key.read_bytes()[:-4])
    (folder / "long").write_bytes(b"x" * 5000)
    (folder / "empty").touch()
    for key, kind, word in ((other.key, "wrong-key", str(repo.path)), (folder / "passphrase", "wrong-key", "key"),
                            (folder / "damaged", "invalid", str(folder / "damaged")),
                            (folder / "long", "limit", str(folder / "long")),
                            (folder / "empty", "invalid", str(folder / "empty")),
                            (folder / "none", "not-found", str(folder / "none"))):
        for words in (["checkpoint", "list"], ["protect", "stdin", "--name", "y"]):
            error = repo.holdfast.run(*words, "-t", f"dir:{repo.path}", "-k", key, "-o", "json", stdin=b"y",
                                      code=kind).error
            assert word in error["message"], error
    assert len(repo.points()) == 1 and repo.sessions() == []


# ---- keys

def opens(repo, key, **how):
    return repo.holdfast.run("checkpoint", "list", "-t", f"dir:{repo.path}", "-k", key, "-o", "json", **how)


def slots(repo):
    return {s["label"]: s for s in repo.run("target", "key", "list").json}


def test_adding_and_removing_keys(repo, folder):
    """Every key opens everything; one that was removed opens nothing; the last one stays."""
    repo.protect_stdin("s", b"x")
    (folder / "words").write_text("correct horse battery staple\n")
    repo.run("target", "key", "add", "--from-file", folder / "words", "--label", "words")
    repo.run("target", "key", "add", "--new-key-file", folder / "second", "--label", "safe")
    assert {label: s["kind"] for label, s in slots(repo).items()} == \
        {"first key": "key file", "words": "passphrase", "safe": "key file"}
    assert [label for label, s in slots(repo).items() if s["in_use"]] == ["first key"]
    for key in (folder / "words", folder / "second", repo.key):
        assert len(opens(repo, key).json) == 1
    # The newline at the end of the file does not belong to the passphrase.
    (folder / "words").write_text("correct horse battery staple")
    opens(repo, folder / "words")
    repo.run("target", "key", "remove", "ffffffff", "--yes", code="not-found")
    repo.run("target", "key", "remove", slots(repo)["words"]["id"][:8], "--yes")
    opens(repo, folder / "words", code="wrong-key")
    opens(repo, folder / "second")
    repo.run("target", "key", "remove", slots(repo)["safe"]["id"], "--yes")
    message = repo.run("target", "key", "remove", slots(repo)["first key"]["id"], "--yes",
                       code="invalid").error["message"]
    assert "last" in message or "only" in message, message
    opens(repo, repo.key)
    second = folder / "second"
    repo.run("target", "key", "add", "--new-key-file", second, code="exists")
    both = ["--new-key-file", folder / "n", "--from-file", second]
    repo.run("target", "key", "add", *both, code="invalid")


def test_rotating_keys(repo, folder):
    """New data under new keys, old data readable, slots whose keys are not given are kept or dropped by choice."""
    first = repo.protect_stdin("s", images.noise(MIB, 1))
    for name in ("second", "third"):
        repo.run("target", "key", "add", "--new-key-file", folder / name, "--label", name)
    message = repo.run("target", "key", "rotate", "--keep-key", folder / "second", code="invalid").error["message"]
    assert "--keep-key" in message and "--drop-others" in message and "third" in message, message
    assert len(slots(repo)) == 3
    done = repo.run("target", "key", "rotate", "--keep-key", folder / "second", "--drop-others").json
    assert done["key_generation"] == 2 and set(slots(repo)) == {"first key", "second"}
    opens(repo, folder / "third", code="wrong-key")
    for key in (repo.key, folder / "second"):
        assert len(opens(repo, key).json) == 1
    again = repo.protect_stdin("s", images.noise(MIB, 2))
    assert repo.run("checkpoint", "cat", first.id, "stdin").out == images.noise(MIB, 1)
    assert repo.run("checkpoint", "cat", again.id, "stdin").out == images.noise(MIB, 2)
    assert repo.verify()["damaged_ranges"] == 0
    assert repo.run("target", "show").json["key_generation"] == 2


def test_a_passphrase_alone(holdfast, folder):
    """A repository that only a passphrase opens."""
    (folder / "words").write_text("correct horse battery staple\n")
    where = ["-t", f"dir:{folder}/target", "-k", folder / "words", "-o", "json"]
    holdfast.run("target", "init", *where)
    holdfast.run("protect", "stdin", "--name", "s", *where, stdin=b"content")
    assert holdfast.run("checkpoint", "cat", "latest", "stdin", *where).out == b"content"
    (folder / "words").write_text("correct horse battery stable\n")
    holdfast.run("checkpoint", "list", *where, code="wrong-key")


def test_nothing_readable_without_a_key(repo, folder):
    """Neither content nor names nor the definition of anything lie open in the target."""
    secret = b"the quick brown fox jumps " * 4000
    repo.protect_stdin("payroll-of-2025", secret, "--tag", "owner=accounting")
    for path in repo.path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for word in (b"quick brown", b"payroll", b"accounting"):
                assert word not in content, path


# ---- versions and damage

def test_newer_format(repo):
    """A header with a higher version: told, not tried; the same for features that must be known."""
    repo.protect_stdin("s", b"x")
    whole = (repo.path / "holdfast").read_text()
    repo.rewrite_header(lambda text: text.replace("version: 1", "version: 2"))
    for words in (["checkpoint", "list"], ["checkpoint", "verify", "--all"]):
        message = repo.run(*words, code="version").error["message"]
        assert "version 2" in message and "newer version" in message
    repo.protect_stdin("s", b"y", code="version")
    (repo.path / "holdfast").write_text(whole)
    repo.rewrite_header(lambda text: text.replace("needs:", "needs: erasure-codes"))
    assert "'erasure-codes'" in repo.run("checkpoint", "list", code="version").error["message"]
    (repo.path / "holdfast").write_text(whole)
    repo.rewrite_header(lambda text: text.replace("needs-to-write:", "needs-to-write: leases"))
    assert len(repo.points()) == 1, "reading is allowed"
    repo.protect_stdin("s", b"y", code="version")
    repo.run("checkpoint", "delete", "latest", "--yes", code="version")
    repo.run("target", "key", "add", "--new-key-file", repo.folder / "n", code="version")
    assert len(repo.points()) == 1 and not (repo.folder / "n").exists()


def test_damaged_header_is_no_loss(repo):
    """It holds nothing that the keys do not: a warning, and everything works."""
    repo.protect_stdin("s", b"content")
    repo.damage(repo.path / "holdfast", n=4)
    done = repo.run("checkpoint", "cat", "latest", "stdin")
    assert done.out == b"content" and "header" in done.err
    (repo.path / "holdfast").unlink()
    assert repo.run("checkpoint", "cat", "latest", "stdin").out == b"content"


def test_every_byte_without_a_key(repo, holdfast):
    """Somebody who may read the target, and has no key, finds what is damaged and is told what to do."""
    repo.protect_stdin("s", images.noise(MIB, 1))
    objects = [p for p in repo.path.rglob("*") if p.is_file()]
    verify = ["target", "verify", "-t", f"dir:{repo.path}"]
    done = holdfast.run(*verify, "-o", "json").json
    assert done["objects"] == len(objects) and done["damaged_objects"] == 0
    assert done["read_bytes"] == sum(p.stat().st_size for p in objects)
    assert "as it was written" in holdfast.run(*verify).out.decode()
    pack, = repo.packs()
    repo.damage(pack)
    (repo.path / "points" / "notes.txt").write_text("mine")
    done = holdfast.run(*verify, "-o", "json", code="corrupt")
    finding, = done.json["findings"]
    assert finding["object"] == str(pack.relative_to(repo.path)) and "checkpoint verify" in finding["way_out"]
    assert done.json["strange_objects"] == 1 and "1 object is damaged" in done.error["message"]
    (repo.folder / "empty").mkdir()
    message = holdfast.run("target", "verify", "-t", f"dir:{repo.folder}/empty", code="not-found").err
    assert "no repository" in message


def test_verifying_a_part_at_a_time(repo, holdfast):
    """What was read is remembered, so that a part each night reads everything."""
    for seed in range(3):
        repo.protect_stdin(f"s{seed}", images.noise(MIB, seed))
    verify = ["target", "verify", "-t", repo.url, "-o", "json"]
    left = [holdfast.run(*verify, "--max-age", "1d", "--limit", "1MiB").json["due_objects"] for _ in range(6)]
    assert left == sorted(left, reverse=True) and left[0] > 0 and left[-1] == 0
    done = holdfast.run(*verify, "--max-age", "1d").json
    assert done["passed_objects"] > 3 and done["read_bytes"] < MIB and done["oldest_verification"]
    text = holdfast.run("target", "verify", "-t", repo.url, "--max-age", "1d").out.decode()
    assert "were verified recently enough" in text and "the longest unverified of them was verified 2" in text
    again = holdfast.run(*verify).json
    assert again["passed_objects"] == 0 and again["read_bytes"] > 3 * MIB
    for option in ("--max-age", "--for", "--limit", "--rate"):
        assert option in holdfast.run(*verify, option, "much", code="invalid").error["message"]


def test_damaged_checkpoint(repo):
    """One point is damaged: told by name; the others are whole."""
    bad, good = repo.protect_stdin("bad", b"1"), repo.protect_stdin("good", b"2")
    repo.damage(repo.path / "points" / bad.id)
    done = repo.run("checkpoint", "list")
    assert [p["id"] for p in done.json] == [good.id]
    assert bad.id in done.err
    verified = repo.run("checkpoint", "verify", "--all", code="corrupt").json
    assert verified["damaged_checkpoints"] == 1
    assert repo.run("checkpoint", "cat", good.id, "stdin").out == b"2"


def test_damaged_index(repo, folder):
    """Index runs are made from what is stored: without them everything is still found."""
    data = images.noise(2 * MIB, 1)
    repo.protect_stdin("s", data)
    for run in (repo.path / "index").rglob("*"):
        if run.is_file():
            repo.damage(run)
    assert repo.run("checkpoint", "cat", "latest", "stdin").out == data
    assert repo.protect_stdin("s", data).stored < MIB
    assert repo.verify()["damaged_ranges"] == 0


# ---- full and read-only

@pytest.fixture
def small(make_repo, small_folder):
    """A repository on a small file system."""
    repo = make_repo()
    place = small_folder(24)
    subprocess.run(["mv", repo.path, place / "target"], check=True, timeout=60)
    repo.path = place / "target"
    repo.place = place
    return repo


def test_full_in_mid_run(small, folder):
    """Target full: told with its name, no checkpoint; what was there is whole, and with room it goes on."""
    first = small.protect_stdin("s", images.noise(2 * MIB, 1))
    disk = images.raw_file(folder / "d.raw", 64 * MIB, [(0, 64 * MIB, 2)])
    error = small.protect_disk(disk, code="no-space").error
    assert str(small.path) in error["message"] and error["retryable"]
    assert [p.id for p in small.points()] == [first.id]
    assert small.sessions() == [] and small.temporary() == [], "what cannot be finished takes up room"
    assert small.run("checkpoint", "cat", first.id, "stdin").out == images.noise(2 * MIB, 1)
    # Reading, verifying and deleting need no room.
    with open(small.place / "filler", "wb") as f:
        try:
            while f.write(bytes(65536)):
                pass
        except OSError:
            pass
    assert small.verify()["damaged_ranges"] == 0
    small.protect_stdin("s", images.noise(MIB, 3), code="no-space")
    small.run("checkpoint", "delete", first.id, "--yes")
    (small.place / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=128m", small.place], check=True, timeout=30)
    point = small.protect_disk(disk)
    assert small.gives_back(point, "disk", disk)


def test_read_only(small, folder):
    """A target that cannot be written to can be read; writing is refused with its name."""
    point = small.protect_stdin("s", b"content")
    subprocess.run(["mount", "-o", "remount,ro", small.place], check=True, timeout=30)
    try:
        assert small.run("checkpoint", "cat", point.id, "stdin").out == b"content"
        assert small.verify()["damaged_ranges"] == 0
        small.run("target", "show")
        for words in (["protect", "stdin", "--name", "s"], ["checkpoint", "delete", "latest", "--yes"],
                      ["target", "key", "add", "--new-key-file", folder / "n"], ["target", "key", "rotate"]):
            error = small.run(*words, stdin=b"x", code="denied").error
            assert str(small.path) in error["message"], error
        assert not (folder / "n").exists(), "a key that opens nothing was left"
        small.holdfast.run("target", "init", "-t", f"dir:{small.place}/new", "--new-key-file", folder / "n",
                           code="denied")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small.place], check=True, timeout=30)


def test_target_disappears(repo, folder):
    """Somebody removes the target in mid-run: an error that names it."""
    disk = images.raw_file(folder / "d.raw", 64 * MIB, [(0, 64 * MIB, 2)])
    run = repo.start("protect", "disk", disk)
    with repo.paused_midway(run):
        shutil.rmtree(repo.path)
    message = run.wait("not-found").error["message"]
    assert str(repo.path) in message


# ---- several at once, and dead ones

def test_writers_side_by_side(repo):
    """Any number of writers: all checkpoints are there and whole."""
    runs = []
    shared = images.noise(4 * MIB, 0)
    for number in range(4):
        run = repo.start("protect", "stdin", "--name", f"s{number}", stdin=subprocess.PIPE)
        run.content = shared + images.noise(MIB, number + 1)
        runs.append(run)
    for run in runs:
        run.process.stdin.write(run.content)
        run.process.stdin.close()
        run.process.stdin = None
    for run in runs:
        run.wait()
    assert len(repo.points()) == 4 and repo.sessions() == []
    for number, run in enumerate(runs):
        assert repo.run("checkpoint", "cat", f"s{number}@latest", "stdin").out == run.content
    assert repo.verify()["damaged_ranges"] == 0


def test_writer_is_killed(repo, folder):
    """SIGKILL: no checkpoint; what it stored is found by the next, which stores nothing twice."""
    disk = images.raw_file(folder / "d.raw", 96 * MIB, [(0, 72 * MIB, 1)])
    run = repo.start("protect", "disk", disk)
    run.stop_when(repo.packs, "a pack is complete")
    run.kill()
    assert repo.points() == [] and len(repo.sessions()) == 1
    assert repo.verify()["checkpoints"] == 0
    point = repo.protect_disk(disk)
    assert repo.gives_back(point, "disk", disk)
    assert repo.verify()["damaged_ranges"] == 0
