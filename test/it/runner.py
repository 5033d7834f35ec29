# SPDX-License-Identifier: Apache-2.0
"""Running holdfast: every run is checked for its exit code and for reports of the sanitizers."""
import contextlib
import json
import os
import signal
import subprocess
import threading
import time

from waiting import wait_until

# The contract of the command line: one code for each kind of error.
EXIT = {
    "invalid": 2, "not-found": 3, "exists": 4, "denied": 5, "wrong-key": 6, "corrupt": 7, "version": 8,
    "unsupported": 9, "busy": 10, "conflict": 11, "no-space": 12, "io": 13, "unreachable": 14, "timeout": 15,
    "cancelled": 16, "limit": 17, "internal": 18,
}
SANITIZER_EXIT = 99
SANITIZERS = {
    "ASAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:detect_leaks=1",
    "LSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}",
    "UBSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}",
}


class Result:
    """What a run that has ended left: exit code and output."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out = argv, code, out
        self.err = err.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def text(self):
        return self.out.decode("utf-8")

    @property
    def error(self):
        """The error object that -o json prints as the last line of standard error."""
        last = [line for line in self.err.splitlines() if line.startswith('{"error"')]
        assert last, f"no error as JSON on standard error:\n{self.err}"
        return json.loads(last[-1])["error"]

    def check(self, code):
        """`code`: 0 or the name of a kind of error."""
        want = EXIT[code] if isinstance(code, str) else code
        shown = f"{' '.join(map(str, self.argv))}\n{self.err}"
        assert "Sanitizer" not in self.err and "runtime error:" not in self.err, shown
        assert self.code == want, f"exit code {self.code}, not {want}: {shown}{self.out[-2000:]!r}"
        return self


class Paced:
    """A process that is let run slowly; it has `alive` and `signal`."""

    def stop_when(self, begun, what, seconds=60, run=0.01):
        """Let it run for a moment again and again, and look in between, while it stands still, until `begun()`. So it
        is there when this returns, however slow the machine is."""
        def turn():
            self.signal(signal.SIGSTOP)
            time.sleep(0.01)
            if begun() or not self.alive:
                return True
            self.signal(signal.SIGCONT)
            time.sleep(run)
            return False

        wait_until(turn, seconds, what, every=0)
        assert self.alive, f"it was over before it could be stopped, and this test shows nothing: {self.process.communicate()}"


class Run(Paced):
    """A holdfast that runs beside the test."""

    def __init__(self, argv, env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE):
        self.argv = argv
        # A session of its own: without a terminal nothing can be asked, and no signal of ours hits pytest.
        self.process = subprocess.Popen(argv, env=env, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                                        start_new_session=True)

    @property
    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def wait(self, code=0, seconds=120):
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {seconds} s: {' '.join(map(str, self.argv))}") from None
        print(f"$ {' '.join(map(str, self.argv))}   -> {self.process.returncode}\n{err.decode('utf-8', 'replace')}")
        return Result(self.argv, self.process.returncode, out or b"", err).check(code)

    def kill(self):
        """SIGKILL, as after the worst; what it started may live on, as it would then."""
        if self.alive:
            self.signal(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def end(self, number):
        """Send a paused run SIGINT, after which it must say that it was cancelled, or SIGKILL. True when it could
        still clean up."""
        self.signal(number)
        self.resume()
        if number == signal.SIGINT:
            self.wait("cancelled")
            return True
        self.kill()
        return False

    @contextlib.contextmanager
    def slowed(self, run=0.01, rest=0.1):
        """Let it run only now and then, so that what takes a moment takes long."""
        over = threading.Event()

        def turn():
            while not over.is_set() and self.alive:
                with contextlib.suppress(ProcessLookupError):
                    self.pause()
                    over.wait(rest)
                    if not over.is_set():
                        self.resume()
                time.sleep(run)

        thread = threading.Thread(target=turn, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()
            if self.alive:
                self.resume()


class Holdfast:
    """The program under test, as it is in the environment variable HOLDFAST."""

    def __init__(self, binary, within=()):
        """`within`: a command that runs another one, as nsenter does."""
        self.command = [*within, binary]
        self.runs = []

    def env(self, extra=None):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("HOLDFAST") and k != "LIBVIRT_DEFAULT_URI"}
        env.update(SANITIZERS)
        env.update(extra or {})
        return env

    def start(self, *args, env=None, **how):
        run = Run([*self.command, *map(str, args)], self.env(env), **how)
        self.runs.append(run)
        return run

    def run(self, *args, code=0, seconds=120, env=None, stdin=None, stdout=subprocess.PIPE):
        """Run it to its end; `stdin` are bytes or an open file."""
        argv = [*self.command, *map(str, args)]
        how = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
        done = subprocess.run(argv, env=self.env(env), stdout=stdout, stderr=subprocess.PIPE, timeout=seconds,
                              start_new_session=True, check=False, **how)
        print(f"$ {' '.join(argv)}   -> {done.returncode}\n{done.stderr.decode('utf-8', 'replace')}")
        return Result(argv, done.returncode, done.stdout or b"", done.stderr).check(code)

    def stop_all(self):
        """End what a test left running."""
        for run in self.runs:
            if run.alive:
                run.resume()
                run.kill()
        self.runs.clear()
