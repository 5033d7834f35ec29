# SPDX-License-Identifier: Apache-2.0
"""Checkpoints copied to another target with other keys: complete, and of use when the first one is gone."""
import shutil
import signal

import pytest

import images
from definition import Disk
from images import MIB
from target import Point


@pytest.fixture
def other(make_repo):
    return make_repo()


def copy(repo, other, *args, code=0, **how):
    done = repo.run("checkpoint", "copy", *(args or ["--all"]), "--to", other.url, "--to-key-file", other.key, code=code,
                    **how)
    return done.json if code == 0 else done


def lose(repo):
    shutil.rmtree(repo.path)
    repo.key.unlink()


def test_a_second_target(repo, other, folder):
    """Everything is there, once; what follows costs what changed; and it outlives the first target."""
    disk = images.raw_file(folder / "disk.raw", 64 * MIB, [(0, 20 * MIB, 1), (40 * MIB, 4 * MIB, 2)])
    first = repo.protect_disk(disk, "--name", "d", "--tag", "why=test")
    held = images.copy(disk, folder / "held.raw")
    stream = repo.protect_stdin("s", images.noise(5 * MIB, 3))
    done = copy(repo, other)
    assert [p["copy_of"] for p in done["copied"]] == [first.id, stream.id] and done["present"] == 0
    with open(disk, "r+b") as f:
        f.seek(5 * MIB)
        f.write(images.noise(MIB, 4))
    second = repo.protect_disk(disk, "--name", "d")
    done = copy(repo, other)
    assert done["present"] == 2 and [p["copy_of"] for p in done["copied"]] == [second.id]
    new = Point(done["copied"][0])
    assert new.modes() == {"disk": "incremental"}
    assert new.disks["disk"]["stats"]["read_bytes"] < 4 * MIB and new.stored < 2 * MIB
    assert copy(repo, other)["copied"] == []
    lose(repo)
    d1, s, d2 = other.points()
    assert d1["tags"] == ["why=test"] and d1["time"] == first["time"]
    assert other.verify()["damaged_checkpoints"] == 0
    assert other.gives_back(d1, "disk", held) and other.gives_back(d2, "disk", disk)
    assert other.run("checkpoint", "cat", s.id, "stdin").out == images.noise(5 * MIB, 3)
    text = other.holdfast.run("checkpoint", "show", d2.id, *other.where).out.decode()
    assert f"copy of        {second.id}" in text


def test_named_ones(repo, other):
    one, two = repo.protect_stdin("one", b"1"), repo.protect_stdin("two", b"2")
    text = repo.holdfast.run("checkpoint", "copy", "two@latest", *repo.where, "--to", other.url, "--to-key-file",
                             other.key).out.decode()
    assert f"copied {two.id[:8]} of two" in text and "1 checkpoint copied, 0 were there already" in text
    copied = other.points()
    assert [p["copy_of"] for p in copied] == [two.id]
    # The way back: what is there is what it is a copy of.
    done = copy(other, repo)
    assert done["copied"] == [] and done["present"] == 1
    repo.run("checkpoint", "delete", two.id, "--yes")
    assert [p["copy_of"] for p in copy(other, repo)["copied"]] == [two.id]
    assert {p.resource["name"] for p in repo.points()} == {"one", "two"} and one.id in {p.id for p in repo.points()}


def test_a_machine(guests, repo, other, folder):
    """A domain comes back from the copy of its checkpoint alone."""
    disks = [Disk("vda", images.create(folder / "a.qcow2", 24 * MIB)),
             Disk("vdb", images.raw_file(folder / "b.raw", 8 * MIB, [(4 * MIB, MIB, 2)]), "raw")]
    images.write_into(disks[0].path, 3 * MIB, images.noise(MIB, 7))
    guest = guests.bare(disks, agent=False)
    repo.protect(guest)
    held = {name: guest.hold(name, folder / f"held-{name}.raw") for name in guest.disks}
    copied = Point(copy(repo, other)["copied"][0])
    assert copied.consistency["achieved"] == "shut-off"
    assert all(d["tracking"] is None for d in copied.disks.values())
    lose(repo)
    guest.undefine()
    for disk in disks:
        disk.path.unlink()
    other.lab = guest.lab
    other.restore_domain("latest")
    for name in held:
        assert images.same(guest.hold(name, folder / "now.raw"), held[name]), name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted(repo, other, folder, number):
    """No half a checkpoint, and nothing in the way of the next attempt."""
    disk = images.raw_file(folder / "disk.raw", 40 * MIB, [(0, 40 * MIB, 1)])
    repo.protect_disk(disk, "--name", "d")
    run = repo.start("checkpoint", "copy", "--all", "--to", other.url, "--to-key-file", other.key)
    with other.paused_midway(run):
        run.end(number)
    assert other.points() == []
    done = Point(copy(repo, other)["copied"][0])
    assert other.gives_back(done, "disk", disk)
    other.collect("--dead-after", "1s")
    assert other.verify()["damaged_checkpoints"] == 0 and not other.sessions()


def test_damage(repo, other):
    """What is damaged is not copied, and told; what is whole is."""
    bad, good = repo.protect_stdin("bad", images.noise(2 * MIB, 1)), None
    repo.damage(repo.packs()[0])
    good = repo.protect_stdin("good", images.noise(2 * MIB, 2))
    done = copy(repo, other, code="corrupt")
    assert "1 checkpoint could not be copied" in done.error["message"] and bad.id[:8] in done.err
    assert [p["copy_of"] for p in other.points()] == [good.id]
    assert [f["checkpoint"] for f in done.json["failed"]] == [bad.id]


def test_wrong_use(repo, other, folder):
    point = repo.protect_stdin("x", b"x")
    to = ["--to", other.url, "--to-key-file", other.key]
    for args, code, word in ((["--all"], "invalid", "--to"), (to, "invalid", "--all"),
                             (["nothing", *to], "not-found", "nothing"),
                             (["--all", "--to", f"dir:{folder}/none", "--to-key-file", other.key], "not-found", "none"),
                             (["--all", "--to", other.url, "--to-key-file", repo.key], "wrong-key", other.url)):
        done = repo.run("checkpoint", "copy", *args, code=code)
        assert word in done.error["message"], done.error
    # To itself: all of it is there.
    assert copy(repo, repo, point.id) == {"copied": [], "present": 1, "failed": []}
