# SPDX-License-Identifier: Apache-2.0
"""A holdfastd as its service manager sees it: started with a socket to tell things to, signalled, looked at."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.request

from runner import SANITIZERS
from waiting import wait_until

SECONDS = 60


def environment(**extra):
    env = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST") and k != "JOURNAL_STREAM"}
    return {**env, **SANITIZERS, **extra}


class Daemon:
    """`program`: holdfastd; `settings`: "section.option" to value, into its file."""

    def __init__(self, program, folder, settings=(), env=(), args=()):
        self.program, self.folder = program, pathlib.Path(folder)
        self.state, self.config, self.log = (self.folder / n for n in ("state", "holdfastd.conf", "log"))
        self.settings = {"server.listen": "127.0.0.1:0", "state.directory": self.state, "server.drain": "10s",
                         "mover.local": "no", **dict(settings)}
        self.extra, self.args, self.said = dict(env), list(args), []
        self.process = None
        self.write()
        path = self.folder / "n"
        path.unlink(missing_ok=True)
        self.notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notes.bind(str(path))

    def write(self):
        sections = {}
        for name, value in self.settings.items():
            section, option = name.split(".")
            sections.setdefault(section, []).append(f"{option} = {value}\n")
        self.config.write_text("".join(f"[{s}]\n{''.join(lines)}" for s, lines in sections.items()))

    def launch(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--config", self.config, *self.args], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(NOTIFY_SOCKET=str(self.folder / "n"), **self.extra), start_new_session=True)
        return self

    def start(self):
        self.launch()
        self.wait_told("READY=1")
        return self

    # ---- what it tells

    def told(self, seconds):
        """The next message, as a list of lines."""
        self.notes.settimeout(seconds)
        lines = self.notes.recv(4096).decode().split("\n")
        self.said.append(lines)
        return lines

    def wait_told(self, line):
        until = time.monotonic() + SECONDS
        while True:
            assert self.process.poll() is None, f"it has ended with {self.process.returncode}:\n{self.text}"
            assert time.monotonic() < until, f"it did not tell {line}:\n{self.text}"
            with contextlib.suppress(TimeoutError):
                lines = self.told(0.2)
                if line in lines:
                    return lines

    @property
    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_logged(self, pattern, times=1):
        wait_until(lambda: len(re.findall(pattern, self.text)) >= times, SECONDS, f"{pattern} in the log:\n{self.text}")

    # ---- what it serves

    @property
    def port(self):
        return int(re.findall(r"listens at https?://127\.0\.0\.1:(\d+)", self.text)[-1])

    def get(self, path, ca=None, scheme="https"):
        """Status and body. `ca`: the file to trust; None: that of the state directory."""
        context = ssl.create_default_context(cafile=ca or self.state / "ca.pem") if scheme == "https" else None
        request = f"{scheme}://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    # ---- how it ends

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def reload(self, **settings):
        """With these options now ("log_level" for "log.level"), until it is ready again."""
        for name, value in settings.items():
            self.settings[name.replace("_", ".", 1)] = value
        self.write()
        self.hang_up()
        self.wait_told("READY=1")

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.ended()

    def ended(self, code=0):
        got = self.process.wait(SECONDS)
        assert "Sanitizer" not in self.text and "runtime error:" not in self.text, self.text
        assert got == code, f"exit code {got}, not {code}:\n{self.text}"
        return self

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.notes.close()
