# SPDX-License-Identifier: Apache-2.0
"""Servers of checkpoints: holdfast's own command, and nbdkit with the plugin; and what clients see of them."""
import contextlib
import json
import os
import pathlib
import re
import select
import shlex
import signal
import subprocess

from waiting import wait_until


def tool(*argv, seconds=60):
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=seconds, check=False)
    return done.returncode, done.stdout + done.stderr


def ok(*argv, seconds=60):
    code, said = tool(*argv, seconds=seconds)
    assert code == 0, f"{' '.join(map(str, argv))}: {said}"
    return said


def extents(uri):
    """(offset, length, is a hole) as the server tells them."""
    return [(e["offset"], e["length"], bool(e["type"] & 1)) for e in json.loads(ok("nbdinfo", "--map", "--json", uri))]


def io(uri, *commands, options=()):
    """Whether all of it went well, and qemu-io's words; a read that finds other bytes than its pattern says so."""
    code, said = tool("qemu-io", *options, "-f", "raw", *[word for c in commands for word in ("-c", c)], uri)
    return code == 0 and "failed" not in said and "error" not in said, said


def read(uri, offset, length):
    """Bytes as qemu-io prints them; None when they cannot be read."""
    good, said = io(uri, f"read -v {offset} {length}", options=["-r"])
    rows = re.findall(r"^[0-9a-f]{8,}:  ((?:[0-9a-f]{2} )+)", said, re.MULTILINE)
    return bytes.fromhex("".join(rows)) if good else None


def children(pid):
    return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


class Nbdkit:
    """nbdkit for tests: the plugin may be built with sanitizers, whose library must then be there first."""

    def __init__(self, binary, folder):
        self.plugin = pathlib.Path(binary).parent / "nbdkit-holdfast-plugin.so"
        linked = subprocess.run(["ldd", self.plugin], capture_output=True, text=True, check=True, timeout=30).stdout
        library = [line.split()[2] for line in linked.splitlines() if "libasan" in line]
        self.log = folder / "sanitizer"
        preload = f"LD_PRELOAD={library[0]} " if library else ""
        self.program = folder / "bin/nbdkit"
        self.program.parent.mkdir()
        # nbdkit frees little when it ends, so leaks are not looked for.
        self.program.write_text(f"#!/bin/sh\n{preload}ASAN_OPTIONS=detect_leaks=0:log_path={shlex.quote(str(self.log))} "
                                'exec /usr/bin/nbdkit "$@"\n')
        self.program.chmod(0o755)
        self.env = {"PATH": f"{self.program.parent}:{os.environ['PATH']}"}

    def check(self):
        reports = [p.read_text() for p in self.log.parent.glob(f"{self.log.name}.*")]
        assert not reports, "\n".join(reports)

    @contextlib.contextmanager
    def serving(self, folder, *parameters, stdin=subprocess.DEVNULL):
        """The plugin by itself, on a socket; the URI of its exports is given by a function of their name."""
        socket = folder / "kit"
        server = subprocess.Popen([self.program, "-f", "-U", socket, self.plugin, *map(str, parameters)], stdin=stdin)
        try:
            wait_until(socket.exists, 30, "nbdkit is up")
            yield lambda name="": f"nbd+unix:///{name.replace('/', '%2F')}?socket={socket}"
        finally:
            server.terminate()
            assert server.wait(timeout=30) == 0
            socket.unlink()

    def refuses(self, folder, *parameters):
        """What it says when it does not start. It is not waited for: with the sanitizers' library before it, this
        nbdkit stands still in exit() when it failed."""
        server = subprocess.Popen([self.program, "-f", "-U", folder / "no", self.plugin, *map(str, parameters)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            assert select.select([server.stderr], [], [], 30)[0], "it says nothing"
            return server.stderr.readline().decode()
        finally:
            server.kill()
            server.wait()
            server.stderr.close()


class Serve:
    """holdfast checkpoint serve, from the line that says that it is ready."""

    def __init__(self, repo, kit, *args):
        self.run = repo.start("checkpoint", "serve", *args, env=kit.env)
        ready = select.select([self.run.process.stdout], [], [], 60)[0]
        line = self.run.process.stdout.readline() if ready else b""
        if not line:
            self.run.wait()
            raise AssertionError("it did not start")
        self.said = json.loads(line)
        self.uris = {e["disk"]: e["uri"] for e in self.said["exports"]}
        self.servers = children(self.run.process.pid)

    @property
    def uri(self):
        uri, = self.uris.values()
        return uri

    def stop(self, number=signal.SIGTERM):
        self.run.signal(number)
        done = self.run.wait()
        assert all(gone(pid) for pid in self.servers)
        return done

    def kill_everything(self):
        for pid in [*self.servers, self.run.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.run.process.wait()
        wait_until(lambda: all(gone(pid) for pid in self.servers), 10, "all are dead")
