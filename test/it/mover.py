# SPDX-License-Identifier: Apache-2.0
"""Steps as a mover runs them: a child process, a job on its standard input, lines of JSON on its output."""
import json
import os
import pathlib
import signal
import subprocess
import uuid

from runner import EXIT, SANITIZERS, Paced
from target import Point


def program():
    return pathlib.Path(os.environ["HOLDFAST"]).resolve().parent / "holdfast-mover"


class Outcome:
    """All that a step said."""

    def __init__(self, lines, code):
        self.lines, self.code = lines, code
        last = lines[-1] if lines else {}
        self.result, self.error = last.get("result"), last.get("error")
        self.notes = [line["note"] for line in lines if "note" in line]
        self.progress = [line["progress"] for line in lines if "progress" in line]

    def said(self, text):
        return any(text in note["text"] for note in self.notes)


class Step(Paced):
    """A step that is being run."""

    def __init__(self, job, state=None, env=None):
        self.job = job
        argv = [program(), "step", *(["--state", state] if state else [])]
        full = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST", "AWS_"))}
        full.update(SANITIZERS, **(env or {}))
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=full, start_new_session=True)
        self.process.stdin.write(job if isinstance(job, bytes) else json.dumps(job).encode())
        self.process.stdin.close()
        self.process.stdin = None

    @property
    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.alive:
            self.process.kill()
        self.process.communicate()

    def wait(self, error=None, seconds=120):
        """Its outcome; `error` is the kind that it must fail with."""
        try:
            out, said = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the step still runs after {seconds} s: {self.job}") from None
        said = said.decode("utf-8", "replace")
        print(f"step {self.process.returncode}: {out.decode()}\n{said}")
        assert "Sanitizer" not in said and "runtime error:" not in said, said
        done = Outcome([json.loads(line) for line in out.splitlines()], self.process.returncode)
        if error:
            assert done.error and done.error["kind"] == error, f"not {error}: {done.lines[-1:]}"
            assert done.code == EXIT[error]
        else:
            assert done.error is None and done.result is not None and done.code == 0, done.lines[-1:]
        return done


class Mover:
    """Runs steps on a target, with one state folder, as one mover does."""

    def __init__(self, folder, url=None, lab=None, credentials=None):
        self.folder, self.lab = pathlib.Path(folder), lab
        self.url = url or f"dir:{self.folder}/target"
        self.key = os.urandom(32).hex()
        self.credentials = credentials
        self.state = self.folder / "state"
        self.state.mkdir()
        self.scratch = self.folder / "s"
        self.scratch.mkdir()
        self.steps = []

    @property
    def target(self):
        more = {"credentials": self.credentials} if self.credentials else {}
        return {"url": self.url, "key": self.key, **more}

    @property
    def platform(self):
        return {"kind": "libvirt", "uri": self.lab.uri}

    def start(self, kind, fields=None, step=None, **job):
        full = {"step": step or str(uuid.uuid4()), "kind": kind, "input": fields or {}, **job}
        self.steps.append(Step(full, self.state))
        return self.steps[-1]

    def run(self, kind, fields=None, error=None, **job):
        return self.start(kind, fields, **job).wait(error)

    def on_target(self, kind, error=None, step=None, undo=False, result=None, **fields):
        more = {"undo": True, **({"result": result} if result else {})} if undo else {}
        return self.run(kind, {"target": self.target, **fields}, error, step=step, **more)

    def init(self):
        self.on_target("target.init")
        return self

    def protect_input(self, guest, checkpoint, **more):
        guests = guest if isinstance(guest, list) else [guest]
        return {"platform": self.platform, "target": self.target, "checkpoint": checkpoint, "project": "p1",
                "plan": "plan-1", "plan_name": "web",
                "resources": [{"type": "domain", "id": g.uuid, "name": g.name} for g in guests],
                "scratch": str(self.scratch), "scratch_reserve_bytes": 16 << 20, **more}

    def protect(self, guest, checkpoint=None, error=None, **more):
        done = self.run("checkpoint.protect", self.protect_input(guest, checkpoint or str(uuid.uuid4()), **more),
                        error)
        return done if error else Point(done.result)

    def restore_input(self, point, **more):
        return {"platform": self.platform, "target": self.target, "point": point["id"], "mode": "new", **more}

    def points(self):
        return [Point(p) for p in self.on_target("checkpoint.list").result["points"]]

    def stop(self):
        for step in self.steps:
            if step.alive:
                step.signal(signal.SIGCONT)
                step.kill()
