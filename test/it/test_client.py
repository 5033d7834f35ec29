# SPDX-License-Identifier: Apache-2.0
"""holdfast against a server: logging in, the grammar that it shares with targets, and one whole story."""
import datetime
import os
import signal
import stat
import time

import pytest

import images
from definition import Disk
from images import MIB
from server import Refused, Server
from waiting import wait_until


class Client:
    """holdfast of somebody who has a configuration of his own."""

    def __init__(self, holdfast, folder):
        self.holdfast, self.config = holdfast, folder / "config"
        self.env = {"XDG_CONFIG_HOME": str(self.config), "HOLDFAST_CACHE_SIZE": "0"}

    def __call__(self, *args, env=(), **how):
        return self.holdfast.run(*args, env={**self.env, **dict(env)}, **how)

    def start(self, *args):
        return self.holdfast.start(*args, env=self.env)

    def json(self, *args, **how):
        return self(*args, "-o", "json", **how).json

    def login(self, server, *args):
        word = self.config.parent / "word"
        word.write_text(f"{server.password}\n")
        return self("login", server.url, "--password-file", word, *args)


@pytest.fixture
def client(holdfast, folder):
    return Client(holdfast, folder)


@pytest.fixture
def server(holdfast, folder):
    """Over SQLite alone: what the API does on both databases has tests of its own."""
    with Server(holdfast, folder) as server:
        yield server


def times(seconds):
    """A calendar that fires at these seconds from now."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    texts = [(now + datetime.timedelta(seconds=s)).strftime("%Y%m%dT%H%M%SZ") for s in seconds]
    return f"BEGIN:VEVENT\\nDTSTART:{texts[0]}\\nRDATE:{','.join(texts[1:])}\\nEND:VEVENT"


def look_after_target(client, server, folder):
    """Verified at all depths, damaged, found out and told, whole again; space is given back."""
    def wrong():
        return [a["kind"] for a in server.get("overview")["overview"]["attention"]]

    def result(operation):
        steps = server.get(f"operations/{operation['id']}")["operation"]["steps"]
        assert steps == operation["steps"] and all("input" not in s for s in steps)
        return steps[0]["result"]

    assert " 0 damaged" in client("target", "verify", "local").text
    for depth in ("structure", "content"):
        found = result(client.json("target", "verify", "local", "--depth", depth, "--all-projects"))
        assert found["damaged_checkpoints"] == 0 and found["checkpoints"] >= 2
    passed = result(client.json("target", "verify", "local", "--max-age", "1h"))
    assert passed["passed_objects"] and passed["oldest_at"]
    pack = max(folder.glob("repo/*/packs/**/*"), key=lambda f: f.is_file() and f.stat().st_size)
    whole = pack.read_bytes()
    pack.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert pack.name in client("target", "verify", "local", code="corrupt").err
    assert "target_damaged" in wrong()
    client("target", "verify", "local", "--limit", "1", code="corrupt")  # what is damaged is read first, again
    pack.unlink()
    client("target", "verify", "local", "--depth", "structure", code="corrupt")
    assert "checkpoint_damaged" in wrong()
    pack.write_bytes(whole)
    client("target", "verify", "local")
    assert "target_damaged" not in wrong()
    client("checkpoint", "verify", "--all", "--structure")
    assert "checkpoint_damaged" not in wrong()
    dry = result(client.json("target", "collect", "local", "--dry-run"))
    done = result(client.json("target", "collect", "local", "--waste", "100"))
    assert dry["dry_run"] and not done["dry_run"] and done["checkpoints"] == dry["checkpoints"]
    assert "'local'" in client("target", "verify", "local", "-t", f"dir:{folder}/repo", code="invalid").err
    client("target", "collect", code="invalid")
    target = client.json("target", "list")[0]["id"]
    with pytest.raises(Refused, match="depth 'stored'"):
        server.post(f"targets/{target}/verify", {"verify": {"depth": "content", "for_s": 1}})


def test_whole_story(client, server, lab, guests, folder):
    """By holdfast alone: a plan for a real guest, two checkpoints by schedule, the guest destroyed, and brought back
    running while the server dies by kill -9 and comes back."""
    guest = guests.new()
    client.login(server)
    client("target", "add", "local", f"dir:{folder}/repo")
    client("provider", "add", "gold", "--to", "local")
    client("platform", "add", "kvm", lab.uri)
    assert [r["name"] for r in client.json("resource", "list")] == [guest.name]
    guest.set_marker("before")
    client("plan", "create", "web", "--provider", "gold", "-r", guest.name)
    client("trigger", "create", "often", "--calendar", times(range(3, 120, 6)))
    client("schedule", "create", "keep two", "--plan", "web", "--trigger", "often", "--keep-last", "2")

    def available():
        return [p for p in client.json("checkpoint", "list", "-r", "web") if p["status"] == "available"]

    wait_until(lambda: len(available()) >= 2, 120, lambda: f"two checkpoints by schedule\n{server.log_text()}", every=1)
    assert available()[-1]["made_by"] != "manual"
    client("trigger", "update", "often", "--enabled", "no")

    # One of the machine alone, with the same words as straight against a target; the plan for it is there.
    made = client.json("protect", "domain", guest.name, "--tag", "why=test")
    assert made["status"] == "available" and '"why":"test"' in made["extra_info"].replace(" ", "")
    assert [p["name"] for p in client.json("plan", "list")] == ["web"]
    assert "verified" in client("checkpoint", "verify", f"{guest.name}@latest").text
    look_after_target(client, server, folder)
    client("checkpoint", "hold", made["id"][:8], "--reason", "for the auditor")
    held = client("checkpoint", "delete", made["id"], "--yes", code="conflict")
    assert "hold" in held.err
    client("checkpoint", "release", made["id"])
    assert made["id"][:8] in client("checkpoint", "list").text

    assert [r["newest_checkpoint_id"] for r in client.json("resource", "coverage")] == [made["id"]]
    assert client.json("resource", "show", guest.name)["newest_checkpoint_id"] == made["id"]
    assert "machines       1" in client("status").text

    # Ctrl-C ends the waiting, not the work.
    run = client.start("plan", "run", "web")
    wait_until(lambda: server.get("operations?kind=protect&live=true")["operations"], 60, "it began", every=0.05)
    run.signal(signal.SIGINT)
    assert "operation wait" in run.wait("cancelled").err
    client("operation", "wait", client.json("operation", "list", "--kind", "protect")[0]["id"][:18])

    guest.remove()
    guest.forget_console()
    restore = client.start("restore", "domain", f"{guest.name}@latest", "--start")
    wait_until(lambda: server.get("operations?kind=restore&state=running")["operations"], 60, "it runs", every=0.05)
    server.kill()
    time.sleep(4)  # longer than one request is tried again
    server.start()
    done = restore.wait(seconds=240)
    assert "waiting for the server" in done.err and "restored" in done.text
    guest.wait_ready()
    assert guest.marker == "before"
    client("checkpoint", "delete", made["id"], "--yes")
    assert made["id"] not in [p["id"] for p in client.json("checkpoint", "list")]
    kinds = {o["kind"] for o in client.json("operation", "list")}
    assert {"protect", "restore", "verify", "delete"} <= kinds
    newest = client("operation", "list", "--kind", "restore").text.splitlines()[1].split()[0]  # as much of its id as is needed
    assert client("operation", "log", newest).text


def test_machines_together(client, server, lab, guests, folder):
    """Machines that are named together get a plan, a consistency group, which is found again."""
    pair = [guests.bare([Disk("vda", images.create(folder / f"{n}.qcow2", 16 * MIB))], agent=False).name for n in "ab"]
    client.login(server)
    client("target", "add", "local", f"dir:{folder}/repo")
    client("provider", "add", "gold", "--to", "local")
    client("platform", "add", "kvm", lab.uri)
    made, again = (client.json("protect", "domain", *names) for names in (pair, reversed(pair)))
    plan, = client.json("plan", "list")
    assert plan["consistency_group"] is True and made["plan_id"] == again["plan_id"] == plan["id"]
    assert [len(i["resources"]) for i in made["instants"]] == [2]
    client("plan", "update", plan["name"], "--consistency-group", "no")
    assert client.json("plan", "list")[0]["consistency_group"] is False


def test_login(client, server, folder):
    """The token is kept where only its owner can read it, and is of no use after the logout."""
    client("status", code="invalid")
    client("login", server.url, "--password-file", "/dev/null", code="invalid")
    (folder / "wrong").write_text("wrong")
    client("login", server.url, "--password-file", folder / "wrong", code="denied")
    assert not (client.config / "holdfast").exists()
    client.login(server)
    file = client.config / "holdfast" / "logins.json"
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert server.password not in file.read_text()
    status = client.json("status")
    assert status["identity"]["user_name"] == "admin" and status["project_id"] == server.project
    # A second login makes the token of the first one useless; a program can come with one of its own.
    client.login(server)
    tokens = server.get("/v1/tokens")["tokens"]
    assert len([t for t in tokens if t["name"].startswith("holdfast on ")]) == 1
    other = Client(client.holdfast, folder / "other")
    made = server.post("/v1/tokens", {"token": {"name": "program"}})["token"]["token"]
    env = {"HOLDFAST_SERVER": server.url, "HOLDFAST_TOKEN": made}
    assert other.json("plan", "list", env=env) == []
    assert other("plan", "list", "-s", server.url, code="denied").err.count("holdfast login")
    # Revoked by somebody else: it is said what to do.
    server.do("DELETE", f"/v1/tokens/{[t['id'] for t in tokens if t['name'].startswith('holdfast on')][0]}")
    assert f"holdfast login {server.url}" in client("plan", "list", code="denied").err
    client.login(server)
    client("logout")
    assert [t["name"] for t in server.get("/v1/tokens")["tokens"]] == ["program"]
    client("plan", "list", code="invalid")


def test_own_authority(holdfast, client, folder):
    """A server with a certificate of its own is trusted by its fingerprint, or its file, and by nothing else."""
    server = Server(holdfast, folder, server={"tls": "yes"})
    secure = f"https://127.0.0.1:{server.port}"
    # What starts it asks without TLS: it gets no answer, and that is enough to know that it listens.
    server._answers = lambda: (server.state / "first-password").exists() and f":{server.port}" in server.log_text()
    with server:
        word = server.state / "first-password"
        refused = client("login", secure, "--password-file", word, code="denied")
        shown = refused.err.split("--fingerprint ")[1].split()[0]
        client("login", secure, "--password-file", word, "--fingerprint", "AB" + shown[2:], code="denied")
        client("login", secure, "--password-file", word, "--fingerprint", shown)
        assert client.json("status")["server"] == secure
        client("logout", secure)
        client("login", secure, "--password-file", word, "--ca-file", server.state / "ca.pem")
        client("status")
        assert "TLS" in client("login", "http://example.org", code="invalid").err


def test_target_or_server(client, server, make_repo):
    """What is typed counts before the environment, that before the login, and a target before a server."""
    repo = make_repo()
    straight = {"HOLDFAST_TARGET": repo.url, "HOLDFAST_KEY_FILE": str(repo.key)}
    client.login(server)
    with_target = ["checkpoint", "list", "-t", repo.url, "-k", repo.key]
    assert client("checkpoint", "list").text.split()[:3] == ["id", "time", "plan"]
    assert client(*with_target).text.split()[:3] == ["id", "time", "type"]
    assert client("checkpoint", "list", env=straight).text.split()[:3] == ["id", "time", "type"]
    named = ["checkpoint", "list", "-s", server.url]
    assert client(*named, env=straight).text.split()[:3] == ["id", "time", "plan"]
    assert "--target" in client("checkpoint", "list", "-s", "none", code="invalid").err
    assert client("plan", "list", env=straight).text.split()[:2] == ["id", "name"]
    # What would be passed over in silence is refused.
    for words in (["checkpoint", "list", "-t", repo.url, "-s", server.url], ["plan", "list", "-t", repo.url],
                  ["target", "init", "-s", server.url], ["protect", "domain", "x", "--full"],
                  [*with_target[:2], "-k", repo.key], ["checkpoint", "verify", "--all", "--no-wait", "-t", repo.url]):
        assert client(*words, code="invalid").err


def test_errors(client, server):
    """The server's own words come through; what is not there, or not clear, is said."""
    client.login(server)
    assert "see 'holdfast plan list'" in client("plan", "show", "none", code="not-found").err
    assert "no provider" in client("plan", "create", "x", "--provider", "none-such", code="not-found").err
    assert "pattern" in client("policy", "create", "x", "--cron", "99 * * * *", code="invalid").err
    for _ in range(2):
        client("trigger", "create", "twin", "--cron", "0 4 * * *")
    assert client("trigger", "show", "twin", code="invalid").err.count("-") == 8, "both ids are named"
    one = client.json("trigger", "list")[0]["id"]
    assert client.json("trigger", "show", one[:8])["id"] == one
    client("trigger", "delete", one, "--yes")
    assert [t["name"] for t in client.json("trigger", "list")] == ["twin"]
    client("trigger", "delete", "twin", code="invalid")  # nobody can be asked
    error = client("plan", "run", "none", "-o", "json", code="not-found").error
    assert error["kind"] == "not-found"
    server.kill()
    client("plan", "list", code="unreachable")
    server.start()
    client("plan", "list")


def test_administration(client, server, folder):
    """Users, tokens, notifications and reports: each by its words, with the server's own checks."""
    client.login(server)
    word = folder / "alice"
    word.write_text("correct horse battery\n")
    made = client.json("user", "create", "alice", "--password-file", word, "--email", "a@example.org")
    assert made["has_password"] and [u["name"] for u in client.json("user", "list")] == ["admin", "alice"]
    client("user", "grant", "alice", "viewer")
    assert [(g["user_name"], g["role"]) for g in client.json("user", "grants", "alice")] == [("alice", "viewer")]
    alice = Client(client.holdfast, folder / "her")
    alice("login", server.url, "--user", "alice", "--password-file", word)
    assert "user:get" in alice("user", "list", code="denied").err
    client("user", "revoke", "alice", "viewer")
    assert client.json("user", "grants", "alice") == []
    client("user", "grant", "alice", "nobody", code="invalid")
    client("user", "update", "alice", "--enabled", "no")
    assert client.json("user", "show", "alice")["enabled"] is False
    client("user", "delete", "alice", "--yes")

    token = client.json("token", "create", "ci", "--role", "admin", "--this-project", "--days", "2")
    env = {"HOLDFAST_SERVER": server.url, "HOLDFAST_TOKEN": token["token"]}
    other = Client(client.holdfast, folder / "other")
    assert other.json("plan", "list", env=env) == []
    other("user", "list", env=env, code="denied")
    [listed] = [t for t in client.json("token", "list") if t["name"] == "ci"]
    assert listed["roles"] == ["admin"] and listed["project_id"] == server.project
    client("token", "delete", listed["id"], "--yes")
    other("plan", "list", env=env, code="denied")

    made = client.json("notification", "create", "pager", "--url", "https://127.0.0.1:9/x?key=1", "--event", "plan.late")
    assert made["kind"] == "webhook" and made["secret"].startswith("whsec_") and made["events"] == ["plan.late"]
    changed = client.json("notification", "rotate", "pager", "--old-hours", "2")
    assert changed["secret"] != made["secret"] and changed["old_secret_until"]
    assert "not delivered" in client("notification", "test", "pager", code="io").err
    assert [d["state"] for d in client.json("notification", "deliveries", "pager")] == ["failed"]
    client("notification", "create", "staff", "--recipient", "ops@example.org", code="invalid")  # the server sends no mail
    client("notification", "update", "pager", "--enabled", "no")
    client("notification", "delete", "pager", "--yes")

    client("target", "add", "local", f"dir:{folder}/repo")
    assert client.json("search", "LOC")[0]["name"] == "local"
    assert client.json("usage", "--by", "plan") == [] and client("usage", "--csv").text.startswith("project_id,")
    assert "before from" in client("usage", "--csv", "--from", "2026-02-01", "--to", "2026-01-01", code="invalid").err
    client("target", "history", "local", "--days", "7")
    assert "see 'holdfast resource list'" in client("resource", "show", "none", code="not-found").err
