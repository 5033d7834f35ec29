# SPDX-License-Identifier: Apache-2.0
"""Damage: all of it is found, whom it hurts is told exactly, and it is mended, from a copy or by what comes next."""
import os
import random

import pytest

import images
from chaos import assert_tidy
from images import MIB


@pytest.fixture
def other(make_repo):
    return make_repo()


def copy(repo, other):
    return repo.run("checkpoint", "copy", "--all", "--to", other.url, "--to-key-file", other.key).json


def repair(repo, other=None, code=0):
    where = ["--from", other.url, "--from-key-file", other.key] if other else []
    return repo.run("target", "repair", *where, code=code)


def content(seed):
    return images.noise(96 << 10, seed % 7) + images.noise(200 << 10, 100 + seed)


def objects(repo):
    return {str(p.relative_to(repo.path)): p for kind in ("packs", "index") for p in (repo.path / kind).rglob("*")
            if p.is_file()}


def whole(repo, made):
    """Those that come back as they were."""
    same = set()
    for point, seed in made.items():
        done = repo.holdfast.start("checkpoint", "cat", point, "stdin", *repo.where, "-q")
        out, _ = done.process.communicate(timeout=60)
        if out == content(seed) and done.process.returncode == 0:
            same.add(point)
    return same


def test_a_thousand_bytes(repo, other):
    """A thousand bytes are flipped and twenty objects dropped, packs and index runs."""
    rnd = random.Random(20261121)
    made = {repo.protect_stdin(f"s{seed}", content(seed)).id: seed for seed in range(30)}
    copy(repo, other)
    there = objects(repo)
    print(len(there), "objects")
    for key in rnd.sample(sorted(there), 20):
        there.pop(key).unlink()
    spots = set()
    while len(spots) < 1000:
        key = rnd.choice(sorted(there)[:len(there) // 2])
        spots.add((key, rnd.randrange(there[key].stat().st_size)))
    for key, at in sorted(spots):
        there[key].chmod(0o600)
        with open(there[key], "r+b") as f:
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ (1 << rnd.randrange(8))]))
    found = repo.holdfast.run("target", "verify", "-t", repo.url, "-o", "json", code="corrupt").json
    assert {f["object"] for f in found["findings"]} == {key for key, _ in spots}
    hurt = repo.run("checkpoint", "verify", "--all", code="corrupt").json
    alive = whole(repo, made)
    assert {f["checkpoint"] for f in hurt["findings"]} == set(made) - alive
    assert 0 < len(alive) < len(made)
    done = repair(repo, other).json
    assert set(done["mended"]) == set(made) - alive and done["left"] == []
    assert whole(repo, made) == set(made)
    assert repo.verify()["damaged_checkpoints"] == 0
    repo.collect()
    assert_tidy(repo)
    assert repair(repo).json["damaged_packs"] == 0


def test_the_next_backup_mends(repo, folder):
    """Without a copy: what is unchanged on the disk is read again, although nothing says that it changed, and old
    checkpoints are whole again."""
    disk = images.raw_file(folder / "disk.raw", 24 * MIB, [(0, 16 * MIB, 1)])
    first = repo.protect_disk(disk, "--name", "d")
    held = images.copy(disk, folder / "held.raw")
    repo.damage(repo.packs()[0], 0.3)
    done = repair(repo, code="corrupt")
    assert done.json["left"] == [first.id] and "back up the same resources again" in done.error["message"]
    with open(disk, "r+b") as f:
        f.seek(20 * MIB)
        f.write(images.noise(MIB, 2))
    second = repo.protect_disk(disk, "--name", "d")
    # What could be saved of the damaged pack was, so little is stored again.
    assert MIB < second.stored < 2 * MIB
    assert repo.verify()["damaged_checkpoints"] == 0
    assert repo.gives_back(first, "disk", held) and repo.gives_back(second, "disk", disk)
    assert repo.collect()["removed_packs"] == 1
    assert_tidy(repo)


def test_without_repair_nothing_is_stored_twice(repo):
    """Nobody knows yet that it is damaged: the next backup counts on it. After the repair none does."""
    data = images.noise(2 * MIB, 1)
    repo.protect_stdin("x", data)
    repo.damage(repo.packs()[0])
    assert repo.protect_stdin("x", data).stored < MIB
    assert len(repair(repo, code="corrupt").json["left"]) == 2
    third = repo.protect_stdin("x", data)
    assert repo.run("checkpoint", "cat", third.id, "stdin").out == data
    assert repo.verify()["damaged_checkpoints"] == 0


def test_structure(repo):
    """What is missing is found without a block being read; what is bent is not looked for."""
    repo.protect_stdin("x", images.noise(MIB, 1))
    structure = ["checkpoint", "verify", "--all", "--structure"]
    assert "is in a pack that is there" in repo.holdfast.run(*structure, *repo.where).out.decode()
    gone, = repo.packs()
    second = repo.protect_stdin("y", images.noise(MIB, 2))
    bent, = set(repo.packs()) - {gone}
    repo.damage(bent, 0.3)
    assert repo.run(*structure).json["damaged_ranges"] == 0
    bent.rename(bent.with_name("kept"))
    hurt = repo.run(*structure, code="corrupt").json
    assert {f["checkpoint"] for f in hurt["findings"]} == {second.id}


def test_nothing_to_repair(repo, other, folder):
    repo.protect_stdin("x", b"x")
    text = repo.holdfast.run("target", "repair", *repo.where).out.decode()
    assert "no checkpoint lacks anything" in text
    assert repair(repo, other).json["damaged_packs"] == 0
    assert "--from" in repo.run("target", "repair", "--from-key-file", other.key, code="invalid").error["message"]
    repo.run("target", "repair", "--from", f"dir:{folder}/none", "--from-key-file", other.key, code="not-found")


def test_a_damaged_point(repo, other):
    """What a checkpoint is cannot be mended; it can be copied back."""
    point = repo.protect_stdin("x", b"x" * 1000)
    copy(repo, other)
    repo.damage(repo.path / "points" / point.id)
    done = repair(repo, other, code="corrupt")
    assert "delete it, and copy it back" in done.err
    (repo.path / "points" / point.id).unlink()
    other.run("checkpoint", "copy", "--all", "--to", repo.url, "--to-key-file", repo.key)
    assert repo.run("checkpoint", "cat", "x@latest", "stdin").out == b"x" * 1000
    assert repair(repo).json["damaged_packs"] == 0


def spoil(path, at, n=1):
    path.chmod(0o600)
    with open(path, "r+b") as f:
        f.seek(at)
        old = f.read(n)
        f.seek(at)
        f.write(bytes(b ^ 0x55 for b in old))


def test_parity(make_repo, other):
    """Packs of a target with parity are damaged in every way but as a whole: all come back without another target.
    Then one is damaged too much, and only a copy mends it."""
    repo = make_repo("--parity", "5%")
    rnd = random.Random(20261122)
    made = {repo.protect_stdin(f"s{seed}", content(seed)).id: seed for seed in range(9)}
    copy(repo, other)
    before = {p: p.read_bytes() for p in repo.packs()}
    for i, (path, held) in enumerate(before.items()):
        if i % 3 == 0:
            for _ in range(3):
                spoil(path, rnd.randrange(len(held)))
        elif i % 3 == 1:
            spoil(path, rnd.randrange(len(held) // 2), 3000)
        else:
            os.truncate(path, len(held) - 2000)
    verify = ["target", "verify", "-t", repo.url, "-o", "json"]
    found = repo.holdfast.run(*verify, code="corrupt").json
    assert len(found["findings"]) == len(before) and all(f["parity_mends"] for f in found["findings"])
    assert len(repair(repo).json["rebuilt_packs"]) == len(before)
    assert {p: p.read_bytes() for p in repo.packs()} == before and not repo.epochs()
    assert repo.verify()["damaged_checkpoints"] == 0
    broken = repo.packs()[0]
    for at in range(0, len(before[broken]), 8192):
        spoil(broken, at)
    finding, = repo.holdfast.run(*verify, code="corrupt").json["findings"]
    assert not finding["parity_mends"] and "--from" in finding["way_out"]
    done = repair(repo, code="corrupt")
    assert "its parity cannot mend it" in done.err and "--from" in done.error["message"]
    assert repair(repo, other).json["left"] == []
    assert whole(repo, made) == set(made)
    repo.collect()
    assert_tidy(repo)


def test_parity_later(repo):
    """A target that was created without parity gets it for what it holds; damaged parity is made anew."""
    for seed in range(3):
        repo.protect_stdin(f"s{seed}", content(seed))
    objects = lambda: sorted((repo.path / "parity").rglob("?" * 64))  # noqa: E731
    parity = lambda *more: repo.holdfast.run("target", "parity", "-t", repo.url, "-o", "json", *more).json  # noqa: E731
    assert repo.run("target", "show").json["parity_bytes"] == 0
    assert parity("--limit", "1")["left_packs"] == 2
    assert parity()["made"] == 2 and parity()["made"] == 0 and len(objects()) == 3
    spoil(repo.packs()[1], 5000)
    spoil(objects()[0], 5000, 9000)
    found = repo.holdfast.run("target", "verify", "-t", repo.url, "-o", "json", code="corrupt").json
    assert {f["object"].split("/")[0] for f in found["findings"]} == {"packs", "parity"}
    done = repair(repo).json
    assert len(done["rebuilt_packs"]) == 1 and done["renewed_parity"] == 1
    assert_tidy(repo)
    repo.run("checkpoint", "delete", repo.points()[0].id, "--yes")
    assert repo.collect()["removed_packs"] and len(objects()) == len(repo.packs())
    for bad in ("0", "26", "x%"):
        assert "--percent" in repo.run("target", "parity", "--percent", bad, code="invalid").error["message"]
