# SPDX-License-Identifier: Apache-2.0
"""A server for movers (test/link/conductor_server.c) and movers as daemons, with all that can happen to them."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import urllib.request

from mover import program
from runner import SANITIZERS
from waiting import wait_until


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    """A process that is started, killed and started again; sanitizers' findings fail the test."""

    def __init__(self, folder, name):
        self.log = pathlib.Path(folder) / f"{name}.log"
        self.process = None

    def spawn(self, argv, **env):
        full = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST", "AWS_"))}
        full.update(SANITIZERS, **env)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, env=full, start_new_session=True)

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.alive:
            self.process.kill()
        if self.process:
            self.process.wait()
            self.process.stdout.close()

    def stop(self, seconds=60, code=0):
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"it did not end in {seconds} s:\n{self.said()}") from None
        assert self.process.returncode == code, f"{self.process.returncode}\n{self.said()}"
        self.check()

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def check(self):
        assert "Sanitizer" not in self.said() and "runtime error:" not in self.said(), self.said()


class Server(Daemon):
    def __init__(self, folder, database, key, lease_s=5):
        super().__init__(folder, "server")
        self.database, self.key, self.lease_s, self.heartbeat_s = database, key, lease_s, 2
        self.port = free_port()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        binary = pathlib.Path(os.environ["HOLDFAST"]).resolve().parent.parent / "test/link/conductor_server"
        self.spawn([binary, self.database, self.port, self.lease_s, self.heartbeat_s, self.key])
        assert self.process.stdout.readline().strip() == str(self.port).encode(), self.said()
        return self

    def ask(self, path, body=None, token=None, method="POST", check=True):
        request = urllib.request.Request(self.url + path, method=method,
                                         data=None if body is None else
                                         body if isinstance(body, bytes) else json.dumps(body).encode())
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as r:
                return json.load(r) if check else (r.status, json.load(r))
        except urllib.error.HTTPError as e:
            text = e.read()
            assert not check, f"{path}: {e.code} {text}"
            return e.code, json.loads(text) if text.startswith(b"{") else text

    def invite(self, name="m", good_for_s=600):
        return self.ask("/test/invite", {"name": name, "good_for_s": good_for_s})["invitation"]

    def begin(self, steps):
        return self.ask("/test/start", {"steps": [{"place": "mover", **s} for s in steps]})["operation"]

    def steps(self):
        return self.ask("/test/steps", {})["steps"]

    def movers(self):
        return self.ask("/test/movers", {})["movers"]

    def log_lines(self):
        return self.ask("/test/log", {})["log"]

    def wait_done(self, seconds=120, state="done"):
        def done():
            steps = self.steps()
            return all(s["state"] == state for s in steps) and steps
        try:
            return wait_until(done, seconds, f"all steps are {state}", every=0.2)
        except AssertionError:
            print(self.steps(), self.log_lines(), self.said())
            raise


class MoverDaemon(Daemon):
    def __init__(self, folder, server, name="m", slots=2, look="30s", drain="30s"):
        super().__init__(folder, f"mover-{name}")
        self.state = pathlib.Path(folder) / f"state-{name}"
        self.server, self.name, self.slots, self.look, self.drain = server, name, slots, look, drain
        self.invitation = pathlib.Path(folder) / f"invitation-{name}"

    def invite(self, **how):
        self.invitation.write_text(self.server.invite(self.name, **how) + "\n")
        return self

    def start(self):
        self.spawn([program(), "--config", "/dev/null", "--server", self.server.url,
                    "--invitation-file", self.invitation, "--state", self.state,
                    "--set", f"mover.slots={self.slots}", "--set", f"mover.look={self.look}",
                    "--set", f"server.drain={self.drain}", "--set", "log.level=debug"])
        return self

    @property
    def identity(self):
        return json.loads((self.state / "identity.json").read_text())

    def wait_known(self):
        wait_until(lambda: (self.state / "identity.json").exists() and self.identity["id"] or not self.alive, 30,
                   "it is registered")
        assert self.alive, self.said()
        return self

    def children(self):
        """Processes of its steps."""
        found = []
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            try:
                found += [int(c) for c in task.read_text().split()]
            except OSError:
                pass
        return found

    def spool(self):
        return sorted(self.state.glob("spool/*.json"))
