# SPDX-License-Identifier: Apache-2.0
"""Space comes back, while others work, and whatever is killed or stands still meanwhile."""
import contextlib
import json
import os
import random
import subprocess
import time

import images
from chaos import Chaos, assert_tidy
from images import MIB
from runner import EXIT
from target import Repo
from waiting import wait_until


def stored(repo):
    return sum(p.stat().st_size for p in repo.packs())


def test_space_comes_back(repo):
    """What is told beforehand is what happens; what is needed is untouched."""
    one, two = repo.protect_stdin("one", images.noise(8 * MIB, 1)), repo.protect_stdin("two", images.noise(4 * MIB, 2))
    full = stored(repo)
    assert repo.collect()["removed_packs"] == 0 and stored(repo) == full
    repo.run("checkpoint", "delete", one.id, "--yes")
    before = [p.read_bytes() for p in repo.packs()]
    plan = repo.collect("--dry-run")
    assert plan["dry_run"] and plan["removed_bytes"] > 8 * MIB and [p.read_bytes() for p in repo.packs()] == before
    done = repo.collect()
    assert done["removed_bytes"] == plan["removed_bytes"] == full - stored(repo)
    assert repo.run("checkpoint", "cat", two.id, "stdin").out == images.noise(4 * MIB, 2)
    assert_tidy(repo)
    text = repo.holdfast.run("target", "collect", *repo.where).out.decode()
    assert "1 checkpoint needs" in text and "removed 0 packs" in text


def test_bad_options(repo):
    for waste in ("0", "101", "a lot", "-5"):
        assert f"--waste '{waste}'" in repo.run("target", "collect", "--waste", waste, code="invalid").error["message"]
    assert "--dead-after" in repo.run("target", "collect", "--dead-after", "soon", code="invalid").error["message"]


def test_beside_a_backup(repo):
    """A backup began before, and finds blocks in a pack that is about to go. It does not wait for the collector; the
    collector waits for it, says so, and keeps what it needs."""
    data = images.noise(4 * MIB, 1)
    one = repo.protect_stdin("one", data)
    backup = repo.start("protect", "stdin", "--name", "two", stdin=subprocess.PIPE)
    backup.process.stdin.write(data[:3 * MIB])
    backup.process.stdin.flush()
    wait_until(lambda: repo.sessions(), 30, "the backup begins")
    repo.run("checkpoint", "delete", one.id, "--yes")
    collector = repo.start("target", "collect")
    wait_until(lambda: repo.epochs(), 30, "the collector has made up its mind")
    time.sleep(1)
    assert collector.alive and stored(repo) > 4 * MIB
    assert os.getpriority(os.PRIO_PROCESS, collector.process.pid) == 19  # backups first
    late = repo.protect_stdin("three", images.noise(MIB, 3))  # nobody waits for the collector
    backup.process.stdin.write(data[3 * MIB:])
    two = json.loads(backup.wait().out)
    done = collector.wait()
    assert json.loads(done.out)["copied_bytes"] > 2 * MIB and "waiting until 1 backup" in done.err
    assert repo.run("checkpoint", "cat", two["id"], "stdin").out == data
    assert repo.run("checkpoint", "cat", late.id, "stdin").out == images.noise(MIB, 3)
    assert_tidy(repo)


def test_a_paused_backup_is_revoked(repo):
    """It stood still for longer than is allowed: it fails when it wakes up, and nothing is lost."""
    one = repo.protect_stdin("one", images.noise(2 * MIB, 1))
    backup = repo.start("protect", "stdin", "--name", "two", stdin=subprocess.PIPE)
    backup.process.stdin.write(images.noise(MIB, 1))
    backup.process.stdin.flush()
    wait_until(lambda: repo.sessions(), 30, "the backup begins")
    backup.pause()
    repo.run("checkpoint", "delete", one.id, "--yes")
    assert repo.collect("--dead-after", "1s")["removed_packs"] == 1
    backup.resume()
    backup.process.stdin.close()
    backup.process.stdin = None
    assert "taken for dead" in backup.wait("conflict").error["message"]
    assert repo.points() == []
    assert_tidy(repo)


def fill(folder):
    """The rest of a file system, to the last byte."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), open(filler, "ab", buffering=0) as f:
        while True:
            f.write(bytes(4096))
    return filler


def test_on_a_full_disk(holdfast, folder, small_folder):
    """There is no room to copy what is needed of one pack: another, of which nothing is, goes, and that makes room. Where
    not a byte is left, it is said what to do."""
    place = small_folder(40)
    repo = Repo(holdfast, folder)
    repo.path = place / "target"
    repo.init()
    data = images.noise(16 * MIB, 1)
    whole = repo.protect_stdin("whole", data)
    half = repo.protect_stdin("half", data[:8 * MIB])
    other = repo.protect_stdin("other", images.noise(16 * MIB, 2))
    for point in (whole, other):
        repo.run("checkpoint", "delete", point.id, "--yes")
    filler = fill(place)
    assert "make some room" in repo.run("target", "collect", code="no-space").error["message"]
    os.truncate(filler, filler.stat().st_size - MIB)
    done = repo.collect()
    assert done["removed_bytes"] > 20 * MIB and done["copied_bytes"] > 7 * MIB
    assert stored(repo) < 9 * MIB
    assert repo.run("checkpoint", "cat", half.id, "stdin").out == data[:8 * MIB]
    assert_tidy(repo)


def settle(chaos):
    """Whatever was acknowledged restores, and nothing grows."""
    chaos.check()
    last = chaos.repo.collect("--waste", "1")
    assert last["needed_bytes"] > 0.9 * last["pack_bytes"] or last["pack_bytes"] < MIB
    assert_tidy(chaos.repo)


def test_chaos(repo):
    """Everybody works at once and is killed or stands still. Whatever was acknowledged and not deleted restores; nothing
    hangs; nothing grows."""
    seed = 20261121
    print(f"seed {seed}")
    chaos = Chaos(repo, random.Random(seed))
    chaos.go(20, share=0.15, enough=lambda: chaos.times("collect") > 3)
    settle(chaos)


def test_chaos_with_wrong_clocks(repo, wrong_clocks):
    """The same, where two of three are ten years early or late."""
    chaos = Chaos(repo, random.Random(1), clocks=wrong_clocks)
    chaos.go(10, share=0.15, enough=lambda: chaos.wrong_times() > 1)
    settle(chaos)


def test_chaos_on_a_full_disk(holdfast, folder, small_folder):
    """The same, where there is no room again and again, to the last byte. With some room made beside the repository,
    as the messages say, all of it comes back."""
    place = small_folder(16)
    repo = Repo(holdfast, folder)
    repo.path = place / "target"
    chaos = Chaos(repo.init(), random.Random(2), full=True)
    chaos.go(12, share=0.1, enough=lambda: chaos.times(code=EXIT["no-space"]) > 3)
    subprocess.run(["mount", "-o", "remount,size=18m", place], check=True, timeout=30)
    settle(chaos)
