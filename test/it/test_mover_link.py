# SPDX-License-Identifier: Apache-2.0
"""Movers and their server: registering, taking steps, telling what came of them; whatever dies, each result is counted
once."""
import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import random
import resource
import signal
import time
import urllib.parse
import uuid

import psycopg2
import pytest

import images
from definition import Disk
from images import MIB
from link import Daemon, MoverDaemon, Server, free_port
from mover import Mover, program
from waiting import wait_until


@pytest.fixture
def key():
    return os.urandom(32).hex()


@pytest.fixture
def database(folder):
    """SQLite; or, where HF_TEST_POSTGRES says where one is, a database of its own in that PostgreSQL."""
    uri = os.environ.get("HF_TEST_POSTGRES")
    if not uri:
        yield f"sqlite:{folder}/db"
        return
    name = f"hf_{uuid.uuid4().hex}"
    with administrator(uri) as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    parts = urllib.parse.urlsplit(uri)
    yield urllib.parse.urlunsplit(parts._replace(path=f"/{name}"))
    with administrator(uri) as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def administrator(uri):
    connection = psycopg2.connect(uri)
    connection.autocommit = True
    try:
        yield connection.cursor()
    finally:
        connection.close()


@pytest.fixture
def server(folder, database, key):
    server = Server(folder, database, key).start()
    yield server
    server.kill()
    server.check()


@pytest.fixture
def movers(folder, server):
    made = []

    def make(name="m", start=True, **how):
        made.append(MoverDaemon(folder, server, name, **how).invite())
        if start:
            made[-1].start().wait_known()
        return made[-1]

    yield make
    for mover in made:
        mover.kill()
        mover.check()


def inits(folder, n, name="t"):
    return [{"kind": "target.init", "input": {"target": {"url": f"dir:{folder}/{name}{i}"}}} for i in range(n)]


def counted_once(steps):
    assert [s["counted"] for s in steps] == [1] * len(steps), steps


# ---- the usual course

def test_steps_are_run(server, movers, folder):
    mover = movers()
    server.begin(inits(folder, 5))
    steps = server.wait_done()
    counted_once(steps)
    assert {s["attempt"] for s in steps} == {1}
    assert all(s["result"]["created"] for s in steps)
    seen = server.movers()
    assert [(m["id"], m["name"], m["state"], m["capacity"]) for m in seen] == [(mover.identity["id"], "m", "online", 2)]
    assert "checkpoint.protect" in seen[0]["kinds"]
    wait_until(lambda: not mover.spool(), 10, "nothing is left to be told")
    mover.stop()


def test_a_wake_is_fast(server, movers, folder):
    """The stream of events tells of a step at once, not after the 30 s in which it would be looked for; also when all
    slots were taken and are free again."""
    server.heartbeat_s = 600
    server.stop()
    server.start()
    mover = movers(slots=1)
    wait_until(lambda: server.ask("/test/movers", {})["connected"] == 1, 20, "it listens")
    time.sleep(1)
    times = []
    for i in range(3):
        began = time.monotonic()
        server.begin(inits(folder, 1, f"w{i}-"))
        server.wait_done(20)
        times.append(time.monotonic() - began)
    print("from start to done:", times)
    assert min(times) < 3 and mover.alive


def test_errors_are_told(server, movers, folder):
    movers()
    server.begin([{"kind": "target.check", "input": {"target": {"url": f"dir:{folder}/nowhere"}}}])
    step = server.wait_done(state="failed")[0]
    assert "nowhere" in step["reason"] and step["attempt"] == 1


def test_its_own_place(server, movers, folder):
    """A step for one mover is taken by that one."""
    one, two = movers("one"), movers("two")
    for mover in (one, two):
        server.begin([{**s, "place": f"mover:{mover.identity['id']}"} for s in inits(folder, 2, mover.name)])
    steps = server.wait_done()
    assert [s["by"] for s in steps if s["by"]] == []
    counted_once(steps)
    assert server.log_lines()
    server.begin([{**inits(folder, 1, "x")[0], "place": f"mover:{uuid.uuid4()}"}])
    time.sleep(2)
    assert server.steps()[-1]["state"] == "ready"


def test_drain(server, movers, folder):
    mover = movers()
    which = {"mover": mover.identity["id"]}
    server.ask("/test/drain", {**which, "on": True})
    server.begin(inits(folder, 1))
    time.sleep(3)
    assert server.steps()[0]["state"] == "ready" and server.movers()[0]["state"] == "draining"
    server.ask("/test/drain", {**which, "on": False})
    server.wait_done(15)


# ---- who may do what

def test_invitations(server, movers, folder):
    first = movers("first")
    word = first.invitation.read_text()
    # Used by another.
    second = MoverDaemon(folder, server, "second")
    second.invitation.write_text(word)
    second.start().process.wait(30)
    assert "was used by another mover" in second.said()
    # Expired, invented, missing.
    for text, said in ((server.invite(good_for_s=0), "has expired"), ("hfm_" + "0" * 64, "no such invitation"),
                       ("", "no such invitation"), (None, "not registered")):
        late = MoverDaemon(folder, server, f"late-{len(said)}")
        if text is not None:
            late.invitation.write_text(text)
        late.start().process.wait(30)
        assert said in late.said(), late.said()
    assert [m["name"] for m in server.movers()] == ["first"]
    # A restart needs none.
    first.stop()
    identity = first.identity
    first.invitation.unlink()
    first.start()
    server.begin(inits(folder, 1))
    server.wait_done()
    assert first.identity == identity


def test_lost_answer_to_a_registration(server):
    """The same invitation with the same token is the same mover; with another it is refused."""
    word, token = server.invite(), "hfm_" + "1" * 64
    body = {"invitation": word, "token": token, "host": "h", "version": "1", "kinds": [], "capacity": 1}
    first = server.ask("/mover/v1/register", body)
    assert server.ask("/mover/v1/register", body) == first
    assert server.ask("/mover/v1/register", {**body, "token": "hfm_" + "2" * 64}, check=False)[0] == 403
    assert server.ask("/mover/v1/register", {**body, "token": "short"}, check=False)[0] == 400


def test_revoked(server, movers, folder):
    mover = movers()
    token = mover.identity["token"]
    server.ask("/test/revoke", {"mover": mover.identity["id"]})
    mover.invitation.unlink()
    # It had an invitation when it was started, which is used up: so it ends.
    assert mover.process.wait(30) == 0
    assert server.ask("/mover/v1/heartbeat", {}, token=token, check=False)[0] == 401
    assert server.movers()[0]["state"] == "revoked"


HELLO = {"host": "h", "version": "1", "kinds": ["target.init"], "capacity": 1}


@pytest.fixture
def token(server):
    token = "hfm_" + "a" * 64
    server.ask("/mover/v1/register", {**HELLO, "invitation": server.invite(), "token": token})
    return token


def test_strangers(server, token, folder):
    """Every path but registering wants a token; what is another's is not told of."""
    server.begin(inits(folder, 1))
    taken = server.ask("/mover/v1/steps/take", {"room": 1}, token=token)["steps"][0]
    other = "hfm_" + "b" * 64
    server.ask("/mover/v1/register", {**HELLO, "invitation": server.invite(), "token": other})
    paths = ["heartbeat", "steps/take", f"steps/{taken['step']}/progress", f"steps/{taken['step']}/result"]
    for path in paths:
        for wrong in (None, "", "x", "hfm_" + "c" * 64):
            assert server.ask(f"/mover/v1/{path}", {}, token=wrong, check=False)[0] == 401, path
    assert server.ask("/mover/v1/events", method="GET", check=False)[0] == 401
    for path in paths[2:]:
        body = {"fence": taken["fence"], **({"result": {}} if "result" in path else {})}
        assert server.ask(f"/mover/v1/{path}", body, token=other, check=False)[0] == 409
        assert server.ask(f"/mover/v1/{path}", {**body, "fence": taken["fence"] + 1}, token=token,
                          check=False)[0] == 409
    assert server.steps()[0]["state"] == "running"
    assert server.ask(f"/mover/v1/{paths[3]}", {"fence": taken["fence"], "result": {}}, token=token) == {}
    assert server.ask(f"/mover/v1/{paths[3]}", {"fence": taken["fence"], "result": {}}, token=token,
                      check=False)[0] == 409
    counted_once(server.steps())


BAD = [
    ("heartbeat", b"", 400), ("heartbeat", b"[]", 400), ("heartbeat", {}, 400), ("heartbeat", {**HELLO, "more": 1}, 400),
    ("heartbeat", {**HELLO, "capacity": 0}, 400), ("heartbeat", {**HELLO, "kinds": [1]}, 400),
    ("heartbeat", {**HELLO, "host": "a\nb"}, 400), ("heartbeat", {**HELLO, "host": "x" * 300}, 413),
    ("heartbeat", {**HELLO, "kinds": ["k"] * 101}, 413),
    ("steps/take", {}, 400), ("steps/take", {"room": -1}, 400), ("steps/take", {"room": "1"}, 400),
    ("steps/take", b"{" * 10000, 400), ("steps/take", {"room": 1, "held": {}}, 400),
    ("steps/x/progress", {"fence": 1}, 409), ("steps/x/progress", {"fence": "1"}, 400),
    ("steps/x/progress", {"fence": 1, "notes": ["x"]}, 409), ("steps/x/progress", {"fence": 1, "result": {}}, 400),
    ("steps/x/result", {"fence": 1}, 409), ("steps/x/result", b"\xff\xfe", 400),
]


@pytest.mark.parametrize("path,body,status", BAD, ids=range(len(BAD)))
def test_bad_requests(server, token, path, body, status):
    got, answer = server.ask(f"/mover/v1/{path}", body, token=token, check=False)
    assert got == status and answer["error"]["message"]


def test_what_is_wrong_with_a_result(server, token, folder):
    server.begin(inits(folder, 1))
    taken = server.ask("/mover/v1/steps/take", {"room": 5}, token=token)["steps"]
    assert len(taken) == 1 and taken[0]["input"]["target"]["key"] == server.key
    path, fence = f"/mover/v1/steps/{taken[0]['step']}", {"fence": taken[0]["fence"]}
    for body in ({}, {"result": {}, "error": {"kind": "io", "message": "x"}}, {"result": []}, {"error": {"message": 1}},
                 {"result": {}, "notes": [{"level": "loud", "text": "x"}]}):
        assert server.ask(f"{path}/result", {**fence, **body}, token=token, check=False)[0] == 400, body
    assert server.steps()[0]["state"] == "running"
    # Line ends in what a library said do no harm, and an unknown kind of error is one of ours.
    server.ask(f"{path}/progress", {**fence, "progress": {"bytes_done": 5}, "notes": [{"level": "info", "text": "a\nb"}]},
               token=token)
    assert server.steps()[0]["progress"]["bytes_done"] == 5 and "a b" in server.log_lines()
    server.ask(f"{path}/result", {**fence, "error": {"kind": "new", "message": "broke\n"}}, token=token)
    assert server.steps()[0]["state"] == "failed"


def test_secrets_are_in_no_table(server, movers, folder):
    movers()
    server.begin(inits(folder, 1))
    server.wait_done()
    assert server.key not in str(server.steps())
    server.stop()
    for file in folder.glob("db*"):
        assert server.key.encode() not in file.read_bytes()


# ---- whatever dies

def test_server_away(server, movers, folder):
    """Steps end while the server is away; they are told when it is back, and not run again."""
    mover = movers()
    server.begin(inits(folder, 2))
    wait_until(lambda: mover.spool(), 20, "steps are taken", every=0.01)
    server.kill()
    wait_until(lambda: len(list(folder.glob("t*/holdfast"))) == 2, 30, "both ran")
    wait_until(lambda: not mover.children(), 30, "both have ended")
    server.start()
    steps = server.wait_done()
    counted_once(steps)
    wait_until(lambda: not mover.spool(), 10, "nothing is left to be told")


def test_result_survives_mover_and_server(server, movers, folder):
    """Both die when the work is done and was not told."""
    mover = movers()
    server.begin(inits(folder, 4))  # so that some are under way when the server goes, however slow we are
    wait_until(lambda: mover.spool(), 20, "it is taken", every=0.01)
    server.kill()
    ended = wait_until(lambda: [f.name.split(".")[0] for f in mover.spool() if b'"result"' in f.read_bytes()], 30,
                       "one is done")
    mover.kill()
    server.start()
    mover.start()
    steps = server.wait_done()
    counted_once(steps)
    once = [s for s in steps if s["id"] in ended]
    assert once and all(s["attempt"] == 1 and s["result"]["created"] for s in once)


def test_mover_killed(server, movers, folder):
    """Its children end with it; started again, it gives back what it ran without waiting for the lease."""
    mover = movers()
    server.lease_s = 600
    server.stop()
    server.start()
    server.begin(inits(folder, 2))
    pids = wait_until(lambda: mover.children(), 20, "a child runs", every=0.005)
    mover.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 30, "its children are gone")
    mover.start()
    steps = server.wait_done(60)
    counted_once(steps)


def test_lost_answer_to_a_take(server, movers, folder):
    """Steps that a mover was given and never heard of are not held by their lease: it says what it has."""
    mover = movers()
    server.lease_s = 600
    mover.kill()
    server.stop()
    server.start()
    server.begin(inits(folder, 3))
    token = mover.identity["token"]
    taken = [server.ask("/mover/v1/steps/take", {"room": 1}, token=token)["steps"][0] for _ in range(2)]
    known = {k: taken[0][k] for k in ("step", "fence")}
    third = server.ask("/mover/v1/steps/take", {"room": 2, "held": [known]}, token=token)["steps"]
    assert taken[1]["step"] in {s["step"] for s in third} and known["step"] not in {s["step"] for s in third}
    assert {s["state"] for s in server.steps()} == {"running"}
    mover.start()
    steps = server.wait_done(60)
    counted_once(steps)
    assert {s["attempt"] for s in steps} == {1}


def test_another_takes_over(server, movers, folder):
    """A mover that is gone for good loses its steps when their leases end."""
    one = movers("one")
    one.process.send_signal(signal.SIGSTOP)  # so it cannot take, but the server does not know yet
    one.process.send_signal(signal.SIGCONT)
    server.begin(inits(folder, 3))
    wait_until(lambda: one.children(), 20, "a child runs", every=0.005)
    one.kill()
    movers("two")
    counted_once(server.wait_done(60))


def test_zombie(server, movers, folder):
    """One that was taken for dead comes back with its result: it changes nothing."""
    one = movers("one", slots=1)
    server.begin(inits(folder, 1))
    children = wait_until(lambda: one.children(), 20, "a child runs", every=0.002)
    for pid in [one.process.pid, *children]:
        os.kill(pid, signal.SIGSTOP)
    movers("two")
    steps = server.wait_done(60)
    for pid in [*children, one.process.pid]:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not one.spool(), 30, "it has told")
    assert server.steps() == steps
    counted_once(steps)


@pytest.fixture
def off(lab, guests, folder, key):
    """A domain that is off, with noise, and a repository."""
    image = images.raw_file(folder / "a.raw", 32 * MIB, [(MIB, 24 * MIB, 1)])
    (folder / "own").mkdir()
    own = Mover(folder / "own", lab=lab)
    own.key = key
    own.init()
    guest = guests.bare([Disk("vda", image, "raw")], agent=False)
    guest.mover = own
    return guest


def protect_step(guest, checkpoint, **more):
    fields = guest.mover.protect_input(guest, checkpoint, **more)
    del fields["target"]["key"]  # the server puts it in
    return {"kind": "checkpoint.protect", "input": fields}


def test_cancel(server, movers, off):
    mover = movers()
    operation = server.begin([protect_step(off, str(uuid.uuid4()), bytes_per_s=MIB)])
    wait_until(lambda: (server.steps()[0]["progress"] or {}).get("bytes_done"), 30, "it moves")
    began = time.monotonic()
    server.ask("/test/cancel", {"operation": operation})
    wait_until(lambda: not mover.children(), 15, "the child has ended")
    assert time.monotonic() - began < 10
    wait_until(lambda: server.steps()[0]["state"] in ("cancelled", "undone"), 30, "it is cancelled")
    assert off.mover.points() == []


def test_child_killed(server, movers, off):
    """The step is tried again, and there is one point."""
    mover = movers()
    server.begin([protect_step(off, str(uuid.uuid4()), bytes_per_s=6 * MIB)])
    wait_until(lambda: (server.steps()[0]["progress"] or {}).get("bytes_done"), 30, "it moves")
    for pid in mover.children():
        os.kill(pid, signal.SIGKILL)
    steps = server.wait_done(90)
    counted_once(steps)
    assert steps[0]["attempt"] >= 2 and [p.id for p in off.mover.points()] == [steps[0]["result"]["id"]]


def test_stopped_mover_gives_steps_back(server, movers, off):
    """SIGTERM: what runs longer than the drain is given back, and another does it, as the same attempt."""
    mover = movers("one", drain="2s")
    server.begin([protect_step(off, str(uuid.uuid4()), bytes_per_s=MIB)])
    wait_until(lambda: (server.steps()[0]["progress"] or {}).get("bytes_done"), 30, "it moves")
    mover.process.send_signal(signal.SIGTERM)
    mover.process.wait(60)
    wait_until(lambda: server.steps()[0]["state"] == "ready", 10, "it is given back")
    mover.check()


@pytest.mark.parametrize("seed", [int(s) for s in os.environ.get("HF_SEEDS", "1").split(",")])
def test_chaos(server, movers, off, folder, seed):
    """Server, movers and children are killed at random: all ends well, each result is counted once. HF_SECONDS: how
    long."""
    rng = random.Random(seed)
    print("HF_SEEDS=", seed)
    all_movers = [movers(name, look="1s") for name in ("one", "two")]
    checkpoints = [str(uuid.uuid4()) for _ in range(3)]
    server.begin(inits(folder, 12))
    server.begin([protect_step(off, c, bytes_per_s=8 * MIB) for c in checkpoints])
    until = time.monotonic() + float(os.environ.get("HF_SECONDS", "15"))
    while time.monotonic() < until:
        time.sleep(rng.uniform(0.1, 1.5))
        what = rng.choice(["server", "mover", "child", "child"])
        mover = rng.choice(all_movers)
        if what == "server":
            server.kill()
            time.sleep(rng.uniform(0, 1))
            server.start()
        elif what == "mover":
            mover.kill()
            time.sleep(rng.uniform(0, 1))
            mover.start()
        else:
            for pid in mover.children()[:1]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
    steps = server.wait_done(200)
    counted_once(steps)
    assert len(steps) == 15
    told = {s["result"]["id"] for s in steps if "resources" in s["result"]}
    assert told == {p.id for p in off.mover.points()} and len(told) == 3
    for mover in all_movers:
        wait_until(lambda m=mover: not m.spool(), 20, "nothing is left to be told")
        mover.stop()
    server.stop()


def test_event_stream(server, token):
    """What a mover hears: hello at once, and that the server lives."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/mover/v1/events", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 200 and answer.getheader("Content-Type").startswith("text/event-stream")
    assert answer.readline() == b"event: hello\n"
    connection.close()


# ---- many

def status(pid, name):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name + ":")).split()[1])


async def join(server, number):
    """Register, listen, and say that there is room for one step. (reader, writer, token)"""
    token = f"hfm_{number:064x}"
    word = (await request(server, "/test/invite", {"name": f"m{number}", "good_for_s": 600}))["invitation"]
    await request(server, "/mover/v1/register", {**HELLO, "invitation": word, "token": token})
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET /mover/v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    await reader.readuntil(b"event: hello\ndata: {}\n\n")
    await request(server, "/mover/v1/heartbeat", {**HELLO, "room": 1, "running": 0}, token)
    return reader, writer


async def request(server, path, body, token=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    text = json.dumps(body).encode()
    writer.write(f"POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(text)}\r\n"
                 f"Authorization: Bearer {token}\r\n\r\n".encode() + text)
    answer = await reader.read()
    writer.close()
    assert b" 200 " in answer.splitlines()[0], answer
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


async def woken(streams, seconds):
    """How many streams have told of steps by then, and how long it took until the last of them did."""
    began, times = time.monotonic(), []

    async def one(reader):
        await reader.readuntil(b"event: steps\n")
        times.append(time.monotonic() - began)

    tasks = [asyncio.create_task(one(reader)) for reader, _ in streams]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return times


def test_many_movers(server, folder):
    """Connected movers cost no thread, and a step wakes one of them, not all. HF_MOVERS: how many."""
    n = int(os.environ.get("HF_MOVERS", "300"))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server.stop()
    server.start()
    threads, memory = status(server.process.pid, "Threads"), status(server.process.pid, "VmRSS")

    async def run():
        began, streams = time.monotonic(), []
        for first in range(0, n, 50):
            streams += await asyncio.gather(*(join(server, i) for i in range(first, min(first + 50, n))))
        took = time.monotonic() - began
        grown = status(server.process.pid, "VmRSS") - memory
        assert status(server.process.pid, "Threads") == threads
        count = asyncio.create_task(woken(streams, 3))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(server.begin, inits(folder, 5))
        times = await count
        print(f"{n} movers: joined in {took:.1f} s, {grown / n:.1f} KiB each, {threads} threads; 5 steps woke "
              f"{len(times)} within {max(times):.2f} s")
        assert 5 <= len(times) <= 20
        for _, writer in streams:
            writer.close()

    asyncio.run(run())
    wait_until(lambda: server.ask("/test/movers", {})["connected"] == 0, 30, "the server sees that they have gone")


# ---- the mover that holdfastd starts by itself

def test_local_mover(folder):
    """It registers over TLS, is started again when it dies, as the same one, and ends with its server."""
    server = Daemon(folder, "holdfastd")

    def start():
        server.spawn([program().parent / "holdfastd", "--config", "/dev/null", "--state", folder / "state",
                      "--listen", f"127.0.0.1:{free_port()}", "--set", f"mover.program={program()}"])

    def registered(times):
        return wait_until(lambda: server.said().count("this mover is") >= times, 30, "the mover is registered")

    def mover_pid():
        for task in pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/children"):
            for pid in task.read_text().split():
                return int(pid)
        return None

    try:
        start()
        registered(1)
        first = mover_pid()
        os.kill(first, signal.SIGKILL)
        registered(2)
        second = mover_pid()
        server.stop()
        assert not os.path.exists(f"/proc/{second}")
        start()
        registered(3)
        third = mover_pid()
        server.kill()
        wait_until(lambda: not os.path.exists(f"/proc/{third}"), 60, "the mover ends with its server")
        names = {line.split()[-1] for line in server.said().splitlines() if "this mover is" in line}
        assert len(names) == 1, names
    finally:
        server.kill()
        server.check()
