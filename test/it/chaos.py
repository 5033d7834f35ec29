# SPDX-License-Identifier: Apache-2.0
"""Many processes at one repository, killed and stopped at any moment; and what has to be true afterwards."""
import contextlib
import copy
import json
import signal
import time

import images
from images import MIB
from runner import EXIT


def assert_tidy(repo, dead=0):
    """One more collector finds nothing to do, and nobody left anything behind but `dead` sessions their points. A late
    request may leave a temporary object that means nothing, too."""
    assert repo.collect()["removed_packs"] == 0
    assert not repo.epochs() and not repo.sessions()
    assert dead or not repo.temporary()
    assert repo.dead_sessions() <= dead
    repo.holdfast.run("target", "verify", "-t", repo.url, env=repo.env)


class Chaos:
    """Writers, collectors and readers that are killed and stopped at any moment, and the ledger of what was promised."""

    def __init__(self, repo, rnd, full=False, clocks=None):
        """`full`: there may be no room, at any time. `clocks`: programs whose clocks are wrong."""
        self.repo, self.rnd = repo, rnd
        self.fine = {0, -signal.SIGKILL, EXIT["conflict"]} | ({EXIT["no-space"]} if full else set())
        self.wrong = [copy.copy(repo) for _ in clocks or []]
        for other, clock in zip(self.wrong, clocks or []):
            other.holdfast = clock
        self.promised = {}  # id -> seed of the content
        self.deleted = set()
        self.runs = []      # (run, what, seed)
        self.number = 0
        self.ended = {}

    def content(self, seed):
        """What others have, changed a little here and there; every other one is a stream, with something of its own."""
        data = bytearray(images.noise(MIB, 100 + seed % 3))
        for at in range(seed * 1000 % 50000, MIB - 20, 50000):
            data[at:at + 20] = images.noise(20, seed)
        if seed % 2:
            at = seed * 10000 % MIB
            data[at:at] = images.noise(MIB // 2, 1000 + seed)
        return bytes(data)

    def begin(self, *args, **how):
        """Two of three have a wrong clock, where there are such."""
        return self.rnd.choice([self.repo, *self.wrong]).start(*args, **how)

    def write(self):
        path = self.repo.folder / f"in-{self.number}"
        path.write_bytes(self.content(self.number))
        if self.number % 2 == 0:
            return self.begin("protect", "disk", str(path), "--name", f"d{self.number % 3}", "--delta", "on")
        with open(path, "rb") as f:
            return self.begin("protect", "stdin", "--name", f"s{self.number % 3}", "--delta", "on", stdin=f)

    def start(self):
        self.number += 1
        what = self.rnd.choice(["write", "write", "write", "collect", "collect", "verify", "delete", "repair"])
        if what == "write":
            run = self.write()
        elif what == "collect":
            run = self.begin("target", "collect", "--dead-after", "1s", "--waste", "10")
        elif what == "repair":
            run = self.begin("target", "repair")  # of what is not damaged
        elif what == "verify":
            run = self.begin("checkpoint", "verify", "--all")
        elif self.promised:
            point = self.rnd.choice(sorted(self.promised))
            del self.promised[point]
            self.deleted.add(point)
            run = self.begin("checkpoint", "delete", point, "--yes")
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
                assert code in self.fine or (what, code) == ("delete", EXIT["not-found"]), \
                    (what, code, err.decode())
            if what == "repair" and code == 0:
                assert json.loads(out)["damaged_packs"] == 0, out
            if what == "write" and code == 0:
                self.promised[json.loads(out)["id"]] = seed
        self.runs = left

    def go(self, seconds, share, enough=lambda: True):
        """Everybody works at once; in a `share` of the moments one of them is killed or stopped or wakes up. So long,
        and until that was `enough`: how much is done in a second is the machine's affair."""
        begun = time.monotonic()
        while time.monotonic() < begun + seconds or len(self.promised) < 4 or not enough():
            assert time.monotonic() < begun + 300, f"too little was done: {self.ended}"
            if len(self.runs) < 5:
                self.start()
            if self.runs and self.rnd.random() < share:
                self.disturb()
            self.reap()
            time.sleep(0.02)
        self.reap(everything=True)
        print(self.ended)

    def times(self, what=None, code=0):
        """How often something ended so; None: anything."""
        return sum(n for (w, c), n in self.ended.items() if what in (None, w) and c == code)

    def wrong_times(self):
        """How many checkpoints say that they are of another decade."""
        return sum(abs(int(p["time"][:4]) - time.gmtime().tm_year) > 5 for p in self.repo.points())

    def check(self):
        """Whatever was acknowledged and not deleted restores; nothing that is kept is damaged."""
        self.repo.collect("--dead-after", "1s", "--waste", "1")
        assert set(self.promised) <= {p.id for p in self.repo.points()}
        for point in sorted(self.promised):
            seed = self.promised[point]
            assert self.repo.run("checkpoint", "cat", point, "stdin" if seed % 2 else "disk").out == self.content(seed), point
        # Killed after its commit, or before its answer was read: there, and whole.
        assert self.repo.run("checkpoint", "verify", "--all").json["damaged_checkpoints"] == 0
