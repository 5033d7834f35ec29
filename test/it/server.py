# SPDX-License-Identifier: Apache-2.0
"""A holdfastd of the tests' own: started, asked over HTTP, killed, started again."""
import base64
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess

import contract
from runner import SANITIZERS
from waiting import wait_until

START_SECONDS = 60


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body

    @property
    def message(self):
        return next(iter(self.body.values()))["message"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Answer:
    def __init__(self, response, text):
        self.status, self.headers = response.status, {k.lower(): v for k, v in response.getheaders()}
        self.text = text
        self.body = json.loads(text) if text and "json" in self.headers.get("content-type", "") else None


class Server:
    """`database`: a URL, or None: SQLite in the folder."""

    def __init__(self, holdfast, folder, database=None, **options):
        programs = pathlib.Path(holdfast.command[-1]).parent
        self.program, self.mover = programs / "holdfastd", programs / "holdfast-mover"
        self.folder, self.database, self.options = pathlib.Path(folder), database, options
        self.port, self.process, self.password = free_port(), None, None
        self.config = self.folder / "holdfastd.conf"
        self.state = self.folder / "state"
        self.log = self.folder / "holdfastd.log"
        self.write_config()

    def write_config(self):
        sections = {
            "server": {"listen": f"127.0.0.1:{self.port}", "tls": "no", "drain": "5s"},
            "state": {"directory": str(self.state)},
            "mover": {"program": str(self.mover)},
            "limits": {"requests_per_project": 0, "requests_per_address": 0},
        }
        if self.database:
            sections["database"] = {"url": self.database}
        for name, values in self.options.items():
            sections.setdefault(name, {}).update(values)
        self.config.write_text("".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items())
                                       for name, values in sections.items()))

    # ---- life

    def start(self):
        with open(self.log, "ab") as log:
            # A session of its own: so that a test can kill it with everything that it started.
            self.process = subprocess.Popen([self.program, "--config", self.config], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True,
                                            env={**os.environ, **SANITIZERS})
        wait_until(self._answers, START_SECONDS, lambda: f"holdfastd answers:\n{self.log_text()}", every=0.1)
        first = self.state / "first-password"
        if first.exists() and not self.password:
            self.password = first.read_text().strip()
        return self

    def _answers(self):
        assert self.process.poll() is None, f"holdfastd has ended:\n{self.log_text()}"
        with contextlib.suppress(OSError):
            return self.ask("GET", "/livez", user=None).status == 200
        return False

    def log_text(self):
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            code = self.process.wait(60)
            assert code == 0, f"holdfastd ended with {code}:\n{self.log_text()}"
        self.check_log()

    def kill(self):
        """As if the machine had failed: with everything that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def check_log(self):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        assert "Sanitizer" not in text and "runtime error:" not in text, text[-6000:]

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind:
            self.kill()
        else:
            self.stop()

    def task(self, *args, code=0, env=()):
        """Run the program with options that make it do one thing; what it prints."""
        done = subprocess.run([self.program, "--config", self.config, *args], capture_output=True, text=True, timeout=60,
                              env={**os.environ, **SANITIZERS, **dict(env)}, check=False)
        assert done.returncode == code, f"{args}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code else "")

    # ---- asking

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, body=None, user="admin", password=None, headers=None, timeout=60):
        """An Answer, whatever its status. `body`: JSON, or bytes as they are."""
        headers = dict(headers or {})
        if user:
            word = f"{user}:{password or self.password}".encode()
            headers.setdefault("Authorization", "Basic " + base64.b64encode(word).decode())
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = Answer(response, response.read().decode())
            contract.check(method, path, answer.status, answer.headers.get("content-type"), answer.body)
            return answer
        finally:
            connection.close()

    def do(self, method, path, body=None, **how):
        """The JSON of an answer that says yes; a path without a / at its start is one of the project's."""
        if not path.startswith("/"):
            path = f"/v1/{self.project}/{path}"
        answer = self.ask(method, path, body, **how)
        if answer.status >= 400:
            raise Refused(answer.status, answer.body)
        return answer.body

    def get(self, path, **how):
        return self.do("GET", path, **how)

    def post(self, path, body=None, **how):
        return self.do("POST", path, body, **how)

    @property
    def project(self):
        if not getattr(self, "_project", None):
            self._project = self.get("/v1/identity")["identity"]["projects"][0]["id"]
        return self._project

    # ---- what most tests need

    def provider(self, folder, name="local"):
        """A target in a directory, and a provider over it."""
        target = self.post("targets", {"target": {"name": name, "url": f"dir:{folder}"}})["target"]
        return self.post("providers", {"provider": {"name": name, "target_id": target["id"]}})["provider"]

    def platform(self, uri, name="kvm"):
        made = self.post("platforms", {"platform": {"name": name, "kind": "libvirt", "uri": uri}})["platform"]
        self.wait_operation(made["operation_id"])
        return made

    def operation(self, id):
        return self.get(f"operations/{id}")["operation"]

    def wait_operation(self, id, seconds=180, state="succeeded"):
        def ended():
            self.last = self.operation(id)
            return self.last["state"] in ("succeeded", "failed", "cancelled")

        wait_until(ended, seconds, lambda: f"operation {id} ends: {self.last}\n{self.log_text()}", every=0.2)
        assert self.last["state"] == state, f"{self.last}\n{self.log_text()}"
        return self.last

    def karbor(self, *args, check=True):
        """Debian's client, as it is."""
        env = {**os.environ, "OS_NO_CLIENT_AUTH": "1", "OS_USERNAME": "admin", "OS_PASSWORD": self.password,
               "KARBOR_URL": f"{self.url}/v1/{self.project}"}
        done = subprocess.run(["karbor", *map(str, args)], capture_output=True, text=True, env=env, timeout=60,
                              check=False)
        if check:
            assert done.returncode == 0, f"karbor {' '.join(map(str, args))}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr
