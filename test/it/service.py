# SPDX-License-Identifier: Apache-2.0
"""Private daemons, started and stopped by the scripts in test/lab."""
import itertools
import pathlib
import subprocess

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "lab"


class Service:
    """What test/lab/`script` runs, with all its state in `folder`; `with` starts and stops it."""
    script = None

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def call(self, verb):
        """Standard output of the script."""
        done = subprocess.run([SCRIPTS / self.script, verb, self.folder], capture_output=True, text=True, timeout=240,
                              check=False)
        assert done.returncode == 0, f"{self.script} {verb}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def start(self):
        self.call("start")

    def stop(self):
        self.call("stop")

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()  # what came up before it failed
            raise
        return self

    def __exit__(self, *_):
        self.stop()


class Postgres(Service):
    """A private PostgreSQL."""

    script = "postgres.sh"

    def __init__(self, folder):
        super().__init__(folder)
        self.numbers = itertools.count(1)

    def start(self):
        self.uri = self.call("start")

    def new_database(self):
        """The URI of an empty one."""
        name = f"it{next(self.numbers)}"
        subprocess.run(["psql", "-q", self.uri, "-c", f"CREATE DATABASE {name}"], check=True, timeout=60)
        head, _, tail = self.uri.partition("?")
        base, _, _ = head.rpartition("/")
        return f"{base}/{name}" + (f"?{tail}" if tail else "")
