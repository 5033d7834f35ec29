# SPDX-License-Identifier: Apache-2.0
"""Debian's `openstack` (python3-openstackclient with the plugin of python3-karborclient), as it is, but kept in memory:
to load it takes seconds, and there are many commands."""
import contextlib
import io
import json
import os
import subprocess
import sys


class Openstack:
    """`options` come before each command: who asks, and where."""

    def __init__(self, *options):
        self.options = [str(o) for o in options]
        env = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        self.process = subprocess.Popen(["/usr/bin/python3", "-W", "ignore", __file__], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)

    def run(self, *words):
        """Exit code, and what it printed."""
        print(json.dumps(self.options + [str(w) for w in words]), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def __call__(self, *words):
        """`openstack data protection WORDS`: what it printed."""
        code, text = self.run("data", "protection", *words)
        assert code == 0, f"openstack data protection {' '.join(map(str, words))}: {text}"
        return text

    def json(self, *words):
        return json.loads(self(*words, "-f", "json"))

    def fails(self, *words):
        """What it says when it fails."""
        code, text = self.run("data", "protection", *words)
        assert code != 0, f"openstack data protection {' '.join(map(str, words))}: {text}"
        return text


def main():
    from openstackclient import shell  # pylint: disable=import-outside-toplevel
    for line in sys.stdin:
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            try:
                code = shell.main(json.loads(line))
            except SystemExit as e:
                code = e.code
        print(json.dumps([code, text.getvalue()]), flush=True)


if __name__ == "__main__":
    main()
