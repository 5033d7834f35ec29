# SPDX-License-Identifier: Apache-2.0
"""Space comes back, while others work, and whatever is killed or stands still meanwhile."""
import contextlib
import json
import random
import signal
import subprocess
import time

import images
from images import MIB
from runner import EXIT
from target import wait_until


def stored(repo):
    return sum(p.stat().st_size for p in repo.packs())


def collect(repo, *options, **how):
    return repo.run("target", "collect", *options, **how).json


def epochs(repo):
    folder = repo.path / "epochs"
    return list(folder.iterdir()) if folder.exists() else []


def assert_tidy(repo):
    """One more collector finds nothing to do, and nobody left anything behind."""
    assert collect(repo)["removed_packs"] == 0
    assert not epochs(repo) and not repo.sessions() and not repo.temporary()
    repo.holdfast.run("target", "verify", "-t", f"dir:{repo.path}")


def test_space_comes_back(repo):
    """What is told beforehand is what happens; what is needed is untouched."""
    one, two = repo.protect_stdin("one", images.noise(8 * MIB, 1)), repo.protect_stdin("two", images.noise(4 * MIB, 2))
    full = stored(repo)
    assert collect(repo)["removed_packs"] == 0 and stored(repo) == full
    repo.run("checkpoint", "delete", one.id, "--yes")
    before = [p.read_bytes() for p in repo.packs()]
    plan = collect(repo, "--dry-run")
    assert plan["dry_run"] and plan["removed_bytes"] > 8 * MIB and [p.read_bytes() for p in repo.packs()] == before
    done = collect(repo)
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
    wait_until(lambda: epochs(repo), 30, "the collector has made up its mind")
    time.sleep(1)
    assert collector.alive and stored(repo) > 4 * MIB
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
    assert collect(repo, "--dead-after", "1s")["removed_packs"] == 1
    backup.resume()
    backup.process.stdin.close()
    backup.process.stdin = None
    assert "taken for dead" in backup.wait("conflict").error["message"]
    assert repo.points() == []
    assert_tidy(repo)


class Chaos:
    """Writers, collectors and readers that are killed and stopped at any moment, and the ledger of what was promised."""

    def __init__(self, repo, rnd):
        self.repo, self.rnd = repo, rnd
        self.promised = {}  # id -> seed of the content
        self.deleted = set()
        self.runs = []      # (run, what, seed)
        self.number = 0
        self.ended = {}

    def content(self, seed):
        """Much in common with others, much of its own."""
        return images.noise(MIB, seed % 5) + images.noise(MIB // 2, 1000 + seed)

    def start(self):
        self.number += 1
        what = self.rnd.choice(["write", "write", "write", "collect", "collect", "verify", "delete"])
        if what == "write":
            path = self.repo.folder / f"in-{self.number}"
            path.write_bytes(self.content(self.number))
            with open(path, "rb") as f:
                run = self.repo.start("protect", "stdin", "--name", f"s{self.number}", stdin=f)
        elif what == "collect":
            run = self.repo.start("target", "collect", "--dead-after", "1s", "--waste", "10")
        elif what == "verify":
            run = self.repo.start("checkpoint", "verify", "--all")
        elif self.promised:
            point = self.rnd.choice(sorted(self.promised))
            del self.promised[point]
            self.deleted.add(point)
            run = self.repo.start("checkpoint", "delete", point, "--yes")
        else:
            return
        self.runs.append((run, what, self.number))

    def disturb(self):
        run, _, _ = self.rnd.choice(self.runs)
        with contextlib.suppress(ProcessLookupError):
            if not run.alive:
                return
            if self.rnd.random() < 0.4:
                run.signal(signal.SIGKILL)
            elif self.rnd.random() < 0.5:
                run.pause()
            else:
                run.resume()

    def reap(self, everything=False):
        left = []
        for run, what, seed in self.runs:
            if run.alive and not everything:
                left.append((run, what, seed))
                continue
            with contextlib.suppress(ProcessLookupError):
                run.resume()
            out, err = run.process.communicate(timeout=120)
            code = run.process.returncode
            self.ended[what, code] = self.ended.get((what, code), 0) + 1
            if what == "verify" and code == EXIT["corrupt"]:
                # It saw a checkpoint go while it read it; none that is kept may ever seem damaged.
                assert {f["checkpoint"] for f in json.loads(out)["findings"]} <= self.deleted, out
            else:
                assert code in {0, -signal.SIGKILL, EXIT["conflict"]} or (what, code) == ("delete", EXIT["not-found"]), \
                    (what, code, err.decode())
            if what == "write" and code == 0:
                self.promised[json.loads(out)["id"]] = seed
        self.runs = left


def test_chaos(repo):
    """For half a minute everybody works at once and is killed or stands still. Whatever was acknowledged and not
    deleted restores; nothing hangs; nothing grows."""
    seed = 20261121
    chaos = Chaos(repo, random.Random(seed))
    print(f"seed {seed}")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if len(chaos.runs) < 5:
            chaos.start()
        if chaos.runs and chaos.rnd.random() < 0.15:
            chaos.disturb()
        chaos.reap()
        time.sleep(0.02)
    chaos.reap(everything=True)
    print(chaos.ended)
    assert sum(n for (what, code), n in chaos.ended.items() if what == "collect" and code == 0) > 3
    collect(repo, "--dead-after", "1s", "--waste", "1")
    listed = {p.id for p in repo.points()}
    assert set(chaos.promised) <= listed
    for point in sorted(chaos.promised):
        assert repo.run("checkpoint", "cat", point, "stdin").out == chaos.content(chaos.promised[point]), point
    # Killed after its commit, or before its answer was read: there, and whole.
    assert repo.run("checkpoint", "verify", "--all").json["damaged_checkpoints"] == 0
    last = collect(repo, "--waste", "1")
    assert last["needed_bytes"] > 0.9 * last["pack_bytes"] or last["pack_bytes"] < MIB
    assert_tidy(repo)
