# SPDX-License-Identifier: Apache-2.0
"""Targets in a bucket of a real S3 service (Ceph's gateway), through a faulty network, and beside a fake where no real
one can be made to misbehave."""
import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import time
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

import images
from bucket import ENV, KEY, SECRET, BucketRepo
from chaos import Chaos, assert_tidy
from fake_s3 import FakeS3
from images import MIB
from metadata import Metadata
from proxy import Fault, Proxy
from waiting import wait_until


@pytest.fixture
def s3_repo(holdfast, ceph, folder):
    return BucketRepo(holdfast, folder, ceph, ceph.new_bucket()).init()


def test_what_every_store_promises(ceph, tmp_path):
    """The program that checks the promises of store.h, against the real service."""
    program = pathlib.Path(os.environ["HOLDFAST"]).resolve().parent.parent / "test" / "unit" / "test_store"
    env = {**os.environ, **ENV, "HF_TEST_S3": f"s3:{ceph.url}/{ceph.new_bucket()}/conformance"}
    done = subprocess.run([program], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0 and "s3: test_commit_or_revoke" in done.stdout


def test_a_life(s3_repo, folder):
    """Everything that a directory can, with few requests."""
    disk = images.raw_file(folder / "disk.raw", 96 * MIB, [(0, 40 * MIB, 1), (60 * MIB, 8 * MIB, 2)])
    first = s3_repo.protect_disk(disk, "--name", "d")
    with open(disk, "r+b") as f:
        f.seek(5 * MIB)
        f.write(images.noise(MIB, 3))
    second = s3_repo.protect_disk(disk, "--name", "d")
    assert second.stored < 2 * MIB
    assert s3_repo.gives_back(second, "disk", disk)
    assert [p.id for p in s3_repo.points()] == [first.id, second.id]
    assert s3_repo.verify()["damaged_checkpoints"] == 0
    s3_repo.run("checkpoint", "delete", first.id, "--yes")
    s3_repo.run("target", "key", "add", "--new-key-file", folder / "other")
    assert s3_repo.run("target", "show").json["checkpoints"] == 1
    assert s3_repo.gives_back(second, "disk", disk)
    assert_tidy(s3_repo)


def test_few_requests(holdfast, ceph, folder):
    """At most 20 writes for a GiB; and while blocks are read, nothing is listed."""
    with Proxy(ceph.url) as proxy:
        repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(), proxy.url).init()
        data = b"".join(images.noise(64 * MIB, n) for n in range(4))
        proxy.counts.clear()
        repo.protect_stdin("one", data, seconds=240)
        counts = dict(proxy.counts)
        print(counts)
        packs = counts["PUT", "packs"]
        assert packs <= 20 / 4
        assert sum(n for (what, _), n in counts.items() if what == "PUT") <= packs + 10
        lists = {where: n for (what, where), n in counts.items() if what == "LIST"}
        assert "packs/" not in lists and sum(lists.values()) <= 8
        proxy.counts.clear()
        repo.protect_stdin("again", data, seconds=240)
        counts = dict(proxy.counts)
        print(counts)
        assert ("PUT", "packs") not in counts or counts["PUT", "packs"] <= 1
        assert counts["HEAD", "packs"] <= packs + 2  # each pack once, to see that it is there


def test_few_requests_for_a_restore(holdfast, ceph, folder):
    """A disk that was written to here and there lies in two packs by turns. What lies near each other is read at once, and
    so is the tree; the second backup, too, reads only the tree. Every request is a round trip."""
    with Proxy(ceph.url) as proxy:
        repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(), proxy.url).init()
        disk = images.raw_file(folder / "disk.raw", 96 * MIB, [(0, 64 * MIB, 1)])
        repo.protect_disk(disk, "--name", "d")
        with open(disk, "r+b") as f:
            for block in range(5, 1024, 10):
                f.seek(block * 65536)
                f.write(images.noise(65536, block))
        proxy.counts.clear()
        point = repo.protect_disk(disk, "--name", "d")
        counts = proxy.counts.copy()
        print(counts)
        assert counts["GET", "packs"] <= 4 and counts["HEAD", "packs"] <= 2
        assert sum(n for (what, _), n in counts.items() if what in ("GET", "HEAD")) <= 18
        proxy.counts.clear()
        assert repo.gives_back(point, "disk", disk)
        counts = proxy.counts.copy()
        print(counts)
        assert counts["GET", "packs"] <= 30
        assert sum(counts.values()) - counts["GET", "packs"] <= 8


def requests_of(proxy, run):
    proxy.counts.clear()
    run()
    return sum(proxy.counts.values()), dict(proxy.counts)


def test_few_requests_with_many_checkpoints(holdfast, ceph, folder):
    """What never changes is read once: listing checkpoints, or a backup beside them, costs what is new."""
    with Proxy(ceph.url) as proxy:
        repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(), proxy.url).init()
        disk = images.raw_file(folder / "disk.raw", 4 * MIB, [(0, 4 * MIB, 1)])
        repo.protect_disk(disk, "--name", "d")
        made = int(os.environ.get("HF_TEST_POINTS", "30"))
        for n in range(1, made):
            repo.protect_stdin(f"s{n}", b"x" * n)

        def cost(run, **env):
            repo.env = {**ENV, **env}
            return requests_of(proxy, run)

        def listed():
            assert len(repo.points()) == made

        def increment():
            nonlocal made
            with open(disk, "r+b") as f:
                f.write(images.noise(100000, made))
            repo.protect_disk(disk, "--name", "d")
            made += 1

        here = {"XDG_CACHE_HOME": str(folder / "cache")}
        without = cost(listed, HOLDFAST_CACHE_SIZE="0")[0], cost(increment, HOLDFAST_CACHE_SIZE="0")[0]
        cold = cost(listed, **here)[0]
        warm = cost(listed, **here), cost(increment, **here)
        print(f"requests: list {without[0]}, first {cold}, then {warm[0][0]}; increment {without[1]}, then {warm[1][0]}")
        print(warm)
        assert without[0] > made and warm[0][0] < 10
        assert without[1] > made and warm[1][0] < 40
        # Verification looks at the bucket.
        assert cost(repo.verify, **here)[1]["GET", "points"] >= made
        assert cost(listed, **here)[0] < 16


def test_a_cache_that_is_damaged_or_late(holdfast, ceph, folder):
    """Whatever lies in the folder: what is listed is what is in the bucket."""
    one = BucketRepo(holdfast, folder, ceph, ceph.new_bucket()).init()
    one.env = {**ENV, "XDG_CACHE_HOME": str(folder / "one")}
    points = [one.protect_stdin(f"s{n}", images.noise(MIB, n)) for n in range(3)]
    assert len(one.points()) == 3
    files = [f for f in (folder / "one").rglob("*") if f.is_file()]
    assert len(files) >= 4
    rnd = random.Random(5)
    for turn in range(6):
        for f in files:
            if f.exists():
                body = bytearray(f.read_bytes())
                body[rnd.randrange(len(body))] ^= 1 << rnd.randrange(8)
                f.write_bytes(body if turn % 2 else body[:rnd.randrange(len(body))])
        assert [p.id for p in one.points()] == [p.id for p in points]
        assert one.run("checkpoint", "cat", points[turn % 3].id, "stdin").out == images.noise(MIB, turn % 3)
    # Another machine deletes and collects.
    one.env = {**ENV, "XDG_CACHE_HOME": str(folder / "two")}
    one.run("checkpoint", "delete", points[0].id, points[1].id, "--yes")
    one.collect()
    one.env = {**ENV, "XDG_CACHE_HOME": str(folder / "one")}
    assert [p.id for p in one.points()] == [points[2].id]
    again = one.protect_stdin("again", images.noise(MIB, 0))
    assert again.stored > MIB
    assert one.run("checkpoint", "cat", again.id, "stdin").out == images.noise(MIB, 0)
    assert_tidy(one)


def test_removing_many(holdfast, ceph, folder):
    """A collector asks once for all that goes, not for each pack."""
    with Proxy(ceph.url) as proxy:
        repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(), proxy.url).init()
        points = [repo.protect_stdin(f"s{n}", images.noise(MIB, n)) for n in range(12)]
        packs = len(repo.objects("packs/"))
        assert packs >= 12
        repo.run("checkpoint", "delete", *[p.id for p in points[1:]], "--yes")
        proxy.counts.clear()
        repo.collect()
        counts = dict(proxy.counts)
        print(counts)
        assert len(repo.objects("packs/")) <= packs - 11
        assert ("DELETE", "packs") not in counts and ("DELETE", "index") not in counts
        assert sum(n for (what, _), n in counts.items() if what == "POST") <= 3
        assert ("HEAD", "packs") not in counts or counts["HEAD", "packs"] <= 3
        assert repo.run("checkpoint", "cat", points[0].id, "stdin").out == images.noise(MIB, 0)
        assert_tidy(repo)


def test_a_network_that_fails(holdfast, ceph, folder):
    """One request in eight is lost, or its answer is, or it arrives much later: slower, and otherwise as ever."""
    with Proxy(ceph.url) as proxy:
        repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(), proxy.url).init()
        proxy.faults, proxy.share = Fault.ALL, 0.12
        made = {}
        for seed in range(12):
            point = repo.protect_stdin(f"s{seed}", images.noise(MIB, seed % 4) + images.noise(MIB // 2, 100 + seed))
            made[point.id] = seed
            if seed % 3 == 2:
                gone = sorted(made)[0]
                del made[gone]
                repo.run("checkpoint", "delete", gone, "--yes")
                repo.collect("--dead-after", "2s")
        proxy.wait_for_late()
        proxy.share = 0
        print(proxy.happened)
        assert all(proxy.happened[f] > 3 for f in Fault.ALL)
        assert {p.id for p in repo.points()} == set(made)
        for point, seed in made.items():
            want = images.noise(MIB, seed % 4) + images.noise(MIB // 2, 100 + seed)
            assert repo.run("checkpoint", "cat", point, "stdin").out == want
        repo.collect("--dead-after", "1s")
        assert_tidy(repo, dead=100)


def test_chaos(holdfast, ceph, folder):
    """Writers, collectors, readers: killed, stopped, and behind a network that loses and delays. Whatever was
    acknowledged restores."""
    with Proxy(ceph.url) as proxy:
        repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(), proxy.url).init()
        proxy.faults, proxy.share = Fault.ALL, 0.01
        chaos = Chaos(repo, random.Random(20261121))
        chaos.go(15, share=0.05)
        proxy.wait_for_late()
        proxy.share = 0
        print(proxy.happened)
        chaos.check()
        assert_tidy(repo, dead=1000)


def test_chaos_with_wrong_clocks(s3_repo, wrong_clocks):
    """Two of three are ten years early or late; the service takes signatures of the last quarter of an hour."""
    chaos = Chaos(s3_repo, random.Random(3), clocks=wrong_clocks)
    chaos.go(12, share=0.02, enough=lambda: chaos.wrong_times() > 1)
    chaos.check()
    assert_tidy(s3_repo, dead=1000)


def test_a_run_that_arrives_late(s3_repo):
    """What a revoked session had sent turns up when the pack it names is gone: nobody counts on that."""
    data = images.noise(2 * MIB, 1)
    one = s3_repo.protect_stdin("one", data)
    runs = {k: s3_repo.body(k) for k in s3_repo.objects("index/")}
    s3_repo.run("checkpoint", "delete", one.id, "--yes")
    s3_repo.collect()
    assert not s3_repo.objects("packs/")
    for key, body in runs.items():
        s3_repo.put(key, body)
    two = s3_repo.protect_stdin("two", data)
    assert two.stored > 2 * MIB
    assert s3_repo.run("checkpoint", "cat", two.id, "stdin").out == data
    assert s3_repo.verify()["damaged_checkpoints"] == 0


def test_parity(holdfast, ceph, folder):
    """A damaged pack in a bucket is put back over what is there."""
    repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket()).init("--parity", "5%")
    data = images.noise(3 * MIB, 1)
    point = repo.protect_stdin("x", data)
    held = {k: repo.body(k) for k in repo.objects("packs/")}
    assert len(repo.objects("parity/")) == len(held) == 1
    for key, body in held.items():
        repo.put(key, body[:MIB] + b"x" * 10000 + body[MIB + 10000:-20000])
    assert len(repo.run("target", "repair").json["rebuilt_packs"]) == 1
    assert {k: repo.body(k) for k in repo.objects("packs/")} == held
    assert repo.run("checkpoint", "cat", point.id, "stdin").out == data
    repo.run("checkpoint", "delete", point.id, "--yes")
    repo.collect()
    assert not repo.objects("packs/") and not repo.objects("parity/")
    assert_tidy(repo)


def test_a_stopped_backup_leaves_nothing(s3_repo):
    backup = s3_repo.start("protect", "stdin", "--name", "x", stdin=subprocess.PIPE)
    backup.process.stdin.write(images.noise(4 * MIB, 1))
    backup.process.stdin.flush()
    wait_until(s3_repo.sessions, 60, "the session begins")
    backup.signal(signal.SIGINT)
    backup.wait("cancelled")
    assert not s3_repo.sessions() and not s3_repo.objects("points/")


# ---- what is sent in parts

IN_PARTS = "?part=5M"


def uploads(repo):
    return [u["Key"] for u in repo.ceph.client.list_multipart_uploads(Bucket=repo.bucket).get("Uploads", [])]


def test_in_parts(holdfast, ceph, folder):
    """Through a network that loses parts, and answers."""
    with Proxy(ceph.url) as proxy:
        repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(), proxy.url, IN_PARTS).init()
        proxy.faults, proxy.share = (Fault.DROP, Fault.LOSE, Fault.BUSY), 0.08
        data = images.noise(52 * MIB, 1)
        point = repo.protect_stdin("x", data, seconds=240)
        proxy.share = 0
        print(proxy.counts, proxy.happened)
        assert proxy.counts["PUT", "packs"] >= 11 and proxy.counts["POST", "packs"] >= 2
        assert repo.run("checkpoint", "cat", point.id, "stdin").out == data
        assert repo.verify()["damaged_checkpoints"] == 0


@contextlib.contextmanager
def between_parts(holdfast, ceph, folder):
    """A repository, and a backup that hangs at its third part; others go past the network that holds it."""
    (folder / "data").write_bytes(images.noise(20 * MIB, 1))
    with Proxy(ceph.url) as proxy, open(folder / "data", "rb") as data:
        repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(), options=IN_PARTS).init()
        gone = repo.protect_stdin("gone", images.noise(MIB, 9))
        repo.run("checkpoint", "delete", gone.id, "--yes")
        proxy.hold, repo.through = r"PUT .*partNumber=3", proxy.url
        backup = repo.start("protect", "stdin", "--name", "x", stdin=data)
        repo.through = ceph.url
        wait_until(lambda: proxy.happened["held"], 60, "the third part is under way")
        assert len(uploads(repo)) == 1
        yield repo, backup, proxy


def test_killed_between_parts(holdfast, ceph, folder):
    """What it had sent is found and removed by a collector; but not while its writer may live."""
    with between_parts(holdfast, ceph, folder) as (repo, backup, proxy):
        other = repo.start("target", "collect", "--dead-after", "1h")
        wait_until(repo.epochs, 60, "the collector waits for the writer")
        backup.kill()
        proxy.hold = None
        other.signal(signal.SIGINT)
        other.wait("cancelled")
        assert len(uploads(repo)) == 1
        repo.collect("--dead-after", "1s")
        assert not uploads(repo)
        assert_tidy(repo, dead=1)


def test_a_collector_leaves_the_parts_of_the_living(holdfast, ceph, folder):
    with between_parts(holdfast, ceph, folder) as (repo, backup, proxy):
        repo.run("target", "collect", "--dry-run")
        other = repo.start("target", "collect", "--dead-after", "1h")
        wait_until(repo.epochs, 60, "the collector waits for the writer")
        assert len(uploads(repo)) == 1
        proxy.hold = None
        backup.wait()
        other.wait()
        assert not uploads(repo)
        assert repo.run("checkpoint", "cat", "x@latest", "stdin").out == images.noise(20 * MIB, 1)


def test_stopped_between_parts(holdfast, ceph, folder):
    with between_parts(holdfast, ceph, folder) as (repo, backup, proxy):
        backup.signal(signal.SIGINT)
        proxy.hold = None
        backup.wait("cancelled")
        assert not uploads(repo) and not repo.objects("points/")


# ---- what a user gets wrong

def test_wrong_places(holdfast, ceph, folder):
    bucket = ceph.new_bucket()

    def init(url, code, *words, env=None):
        done = holdfast.run("target", "init", "-t", url, "--new-key-file", folder / "k", "-o", "json",
                            env=ENV if env is None else env, code=code)
        for word in words:
            assert word in done.error["message"], done.error

    init(f"s3:{ceph.url}/no-such-bucket", "not-found", "no-such-bucket", "create it first")
    init(f"s3:{ceph.url}/{bucket}", "denied", "403", env={**ENV, "AWS_SECRET_ACCESS_KEY": "wrong"})
    init(f"s3:{ceph.url}/{bucket}", "denied", "InvalidAccessKeyId", env={**ENV, "AWS_ACCESS_KEY_ID": "wrong"})
    init(f"s3:{ceph.url}/{bucket}", "invalid", "AWS_ACCESS_KEY_ID", env={"HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"})
    init(f"s3:{ceph.url}/{bucket}?style=round", "invalid", "style=round")
    for arbiter in ("", "etc", "s3:b?arbiter=dir:/etc"):
        init(f"s3:{ceph.url}/{bucket}?arbiter={arbiter}", "invalid", f"'{arbiter}'", "arbiter=dir:PATH")
    init("s3:x", "invalid", "'x'", "3 to 63")
    init(f"s3:http://127.0.0.1:1/{bucket}?retry=1s", "unreachable", "127.0.0.1:1")
    done = holdfast.run("target", "show", "-t", f"s3:{ceph.url}/{bucket}", "-k", "/dev/null", "-o", "json", env=ENV,
                        code="invalid")
    assert done.error


def test_a_key_from_the_file_of_profiles(holdfast, ceph, folder):
    (folder / "c").write_text("[other]\naws_access_key_id = x\n\n# ours:\n[mine]\naws_access_key_id=" + KEY
                              + "\naws_secret_access_key = " + SECRET + "\n")
    env = {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "c"), "AWS_PROFILE": "mine"}
    url = f"s3:{ceph.url}/{ceph.new_bucket()}"
    holdfast.run("target", "init", "-t", url, "--new-key-file", folder / "k", env=env)
    done = holdfast.run("target", "show", "-t", url, "-k", folder / "k", "-o", "json", env={**env, "AWS_PROFILE": "x"},
                        code="invalid")
    assert "profile 'x'" in done.error["message"]


# ---- keys that a cloud gives; who gives them is a fake, see metadata.py

def instance(metadata, **more):
    return {"HOME": "/nonexistent", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url + "/", **more}


def test_a_key_of_an_instance(holdfast, ceph, folder):
    """Nothing but the machine's role."""
    with Metadata([(KEY, SECRET, None)]) as metadata:
        url = f"s3:{ceph.url}/{ceph.new_bucket()}"
        env = instance(metadata)
        holdfast.run("target", "init", "-t", url, "--new-key-file", folder / "k", env=env)
        assert metadata.requests == [("PUT", "/latest/api/token"),
                                     ("GET", "/latest/meta-data/iam/security-credentials/"),
                                     ("GET", "/latest/meta-data/iam/security-credentials/our-role")]
        done = holdfast.run("target", "show", "-t", url, "-k", folder / "k", "-o", "json", code="invalid",
                            env={**env, "AWS_EC2_METADATA_DISABLED": "true"})
        assert "AWS_EC2_METADATA_DISABLED" in done.error["message"]
        metadata.role = b""
        done = holdfast.run("target", "show", "-t", url, "-k", folder / "k", "-o", "json", env=env, code="invalid")
        assert "AWS_ACCESS_KEY_ID" in done.error["message"]


def test_a_key_of_a_container(holdfast, ceph, folder):
    (folder / "token").write_text("Bearer of it\n")
    with Metadata([(KEY, SECRET, None)]) as metadata:
        url = f"s3:{ceph.url}/{ceph.new_bucket()}"
        env = {"HOME": "/nonexistent", "AWS_CONTAINER_CREDENTIALS_FULL_URI": metadata.url + "/container",
               "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(folder / "token")}

        def show(word=None, **more):
            done = holdfast.run("target", "show", "-t", url, "-k", folder / "k", "-o", "json", env={**env, **more},
                                code="invalid" if word else 0)
            assert not word or word in done.error["message"], done.error

        holdfast.run("target", "init", "-t", url, "--new-key-file", folder / "k", env=env)
        show(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="", AWS_CONTAINER_AUTHORIZATION_TOKEN="Bearer of it")
        show("answers 403", AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="", AWS_CONTAINER_AUTHORIZATION_TOKEN="Bearer x")
        show("No such file", AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(folder / "none"))
        show("https://", AWS_CONTAINER_CREDENTIALS_FULL_URI="http://example.org/x")
        show("https://", AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1@example.org/x")
        show("begins with '/'", AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="x")
        # The usual order: what is set comes first, and then nobody is asked.
        metadata.requests.clear()
        show(**ENV)
        assert not metadata.requests


def test_a_key_that_expires(holdfast, folder):
    """While a backup runs, the service takes the old one no more: another is asked for."""
    with FakeS3() as fake, Metadata([("one", "1", "first"), ("two", "2", "second")]) as metadata:
        fake.tokens = {"first"}
        repo = fake_repo(holdfast, folder, fake)
        repo.env = instance(metadata)
        repo.init()
        metadata.keys = [("one", "1", "first"), ("two", "2", "second")]
        run = repo.start("protect", "stdin", "--name", "x", stdin=subprocess.PIPE)
        wait_until(lambda: any(k.startswith("some/prefix/points/") for k in fake.objects), 30, "it begins")
        fake.tokens = {"second"}
        run.process.stdin.write(b"hello")
        run.process.stdin.close()
        run.process.stdin = None
        run.wait()
        assert any(k.startswith("some/prefix/points/") and len(v[0]) > 100 for k, v in fake.objects.items())
        # A key that is set does not come back.
        fake.tokens = {"third"}
        repo.env = ENV
        done = repo.run("checkpoint", "list", code="io")
        assert "ExpiredToken" in done.error["message"]


def test_where_nobody_answers(holdfast, folder):
    """Like a machine that is in no cloud, where packets to the service's address are lost."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        env = {"HOME": "/nonexistent",
               "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        start = time.monotonic()
        done = holdfast.run("target", "show", "-t", "s3:some-bucket", "-k", "/dev/null", "-o", "json", env=env,
                            code="invalid")
        assert time.monotonic() - start < 10 and "AWS_ACCESS_KEY_ID" in done.error["message"]


# ---- with a fake

def fake_repo(holdfast, folder, fake, options=""):
    return BucketRepo(holdfast, folder, fake, "fakebucket", options=options)


def test_through_a_proxy(holdfast, folder):
    """The one that the environment names; a key that the machine is given is not asked for there."""
    with FakeS3() as fake, Metadata([(KEY, SECRET, None)]) as metadata:
        repo = fake_repo(holdfast, folder, fake)
        repo.env, repo.through = instance(metadata, http_proxy=fake.url), "http://s3.example"
        repo.init()
        assert {path.split("/fakebucket")[0] for _, path, _, _ in fake.requests} == {"http://s3.example"}
        assert {headers["host"] for _, _, headers, _ in fake.requests} == {"s3.example"}


def test_certificates(holdfast, folder):
    """A service with a certificate of its own is trusted by whoever is told so, and by nobody else."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "tls", "-out", folder / "ca"],
                   check=True, capture_output=True)
    with FakeS3(tls=(folder / "ca", folder / "tls")) as fake:
        repo = fake_repo(holdfast, folder, fake)
        repo.env = {**ENV, "AWS_CA_BUNDLE": str(folder / "ca")}
        repo.init()
        assert fake.objects
        repo.env = ENV
        assert "certificate" in repo.run("checkpoint", "list", code="denied").error["message"]


def test_a_service_that_ignores_conditions_is_refused(holdfast, folder):
    with FakeS3(conditions=False) as fake:
        repo = fake_repo(holdfast, folder, fake)
        message = repo.refused()
        assert "If-None-Match" in message and "arbiter=" in message
        assert not fake.objects


def test_signatures_are_those_of_botocore(holdfast, folder):
    """Every request of a whole life, signed again by Amazon's own library."""
    with FakeS3() as fake:
        repo = fake_repo(holdfast, folder, fake, "?part=5M").init()
        other = repo.protect_stdin("y", images.noise(6 * MIB, 2))
        point = repo.protect_stdin("x", images.noise(MIB, 1), env={"AWS_SESSION_TOKEN": "to+ken/=="})
        repo.run("checkpoint", "cat", point.id, "stdin")
        repo.run("checkpoint", "delete", point.id, other.id, "--yes")
        repo.collect()
        methods = set()
        for method, path, headers, body in fake.requests:
            token = headers.get("x-amz-security-token")
            signer = botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(KEY, SECRET, token), "s3", "us-east-1")
            names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
            assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names)
            request = botocore.awsrequest.AWSRequest(method, fake.url + path, {n: headers[n] for n in names}, body)
            request.context["timestamp"] = headers["x-amz-date"]
            signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
            assert headers["authorization"].endswith(f"Signature={signature}"), (method, path)
            methods.add(method if "list-type" not in path else "LIST")
        assert methods == {"GET", "HEAD", "PUT", "POST", "DELETE", "LIST"} and len(fake.requests) > 40
        assert any(urllib.parse.unquote(path) != path for _, path, _, _ in fake.requests)
        assert any("partNumber=2&uploadId=id%2F" in path for _, path, _, _ in fake.requests)


BUSY = 200, {}, b"<Error><Code>InternalError</Code><Message>Please try again</Message></Error>"
GONE = 404, {}, b"<Error><Code>NoSuchUpload</Code></Error>"
OTHER = 200, {}, b"<html></html>"


@pytest.mark.parametrize("answers, code", [([BUSY, BUSY], None), ([GONE], "conflict"), ([OTHER], "io")])
def test_the_end_of_an_upload(holdfast, folder, answers, code):
    """An error that begins with 200 is one, and may pass; an upload that somebody ended does not."""
    with FakeS3() as fake:
        repo = fake_repo(holdfast, folder, fake, IN_PARTS).init()
        fake.complete_answers = list(answers)
        data = images.noise(12 * MIB, 1)
        point = repo.protect_stdin("x", data, code=code or 0)
        assert not fake.uploads and not fake.complete_answers
        if not code:
            assert repo.run("checkpoint", "cat", point.id, "stdin").out == data


@pytest.mark.parametrize("many", [True, False])
def test_removing_many_where_it_fails(holdfast, folder, many):
    """What a service cannot remove at once goes one by one: some of it, or all from then on."""
    with FakeS3(many=many) as fake:
        repo = fake_repo(holdfast, folder, fake).init()
        points = [repo.protect_stdin(f"s{n}", images.noise(MIB, n)) for n in range(6)]
        repo.run("checkpoint", "delete", *[p.id for p in points], "--yes")
        packs = [k for k in fake.objects if "/packs/" in k]
        assert len(packs) >= 6
        fake.stubborn = set(packs[:2])
        fake.requests.clear()
        repo.collect()
        assert not [k for k in fake.objects if "/packs/" in k]
        alone = [path for method, path, _, _ in fake.requests if method == "DELETE" and "/packs/" in path]
        asked = [path for method, path, _, _ in fake.requests if method == "POST"]
        assert len(alone) == (2 if many else len(packs)) and len(asked) == (len(asked) if many else 1) >= 1


@pytest.mark.parametrize("years", [10, -10])
def test_a_wrong_clock_is_corrected(holdfast, folder, years):
    """Signatures need the time; whose clock is right does not matter."""
    with FakeS3(ahead=years * 365 * 86400) as fake:
        repo = fake_repo(holdfast, folder, fake).init()
        assert repo.run("checkpoint", "cat", repo.protect_stdin("x", b"hello").id, "stdin").out == b"hello"


def test_stopped_while_the_service_is_busy(holdfast, folder):
    """Nobody waits for the end of the retries who does not want to."""
    with FakeS3() as fake:
        repo = fake_repo(holdfast, folder, fake).init()
        fake.answer_all = 503, {}, b"<Error><Code>SlowDown</Code></Error>"
        before = len(fake.requests)
        run = repo.start("checkpoint", "list")
        wait_until(lambda: len(fake.requests) > before + 2, 30, "it tries again")
        run.signal(signal.SIGINT)
        done = run.wait("cancelled", seconds=20)
        assert "SlowDown" in done.error["message"]


@pytest.mark.parametrize("answer, code, word", [
    ((301, {"x-amz-bucket-region": "eu-north-1"}, b""), "invalid", "eu-north-1"),
    ((400, {}, b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>ap-southeast-3</Region></Error>"), "invalid",
     "ap-southeast-3"),
    ((503, {}, b"<Error><Code>SlowDown</Code><Message>Reduce\x20your rate</Message></Error>"), "io", "SlowDown: Reduce"),
    ((501, {}, b"<Error><Code>NotImplemented</Code></Error>"), "io", "NotImplemented"),
    ((403, {}, b"<Error><Code>QuotaExceeded</Code></Error>"), "no-space", "QuotaExceeded"),
    ((403, {}, b"<Error><Code>AccessDenied</Code><Message>\xc2\x9b31mNo</Message></Error>"), "denied", "AccessDenied"),
    ((200, {}, b"<html>Welcome to our portal</html>"), None, ""),
    ((200, {}, b"\x00\xff" * 1000), None, ""),
])
def test_answers(holdfast, folder, answer, code, word):
    with FakeS3() as fake:
        repo = fake_repo(holdfast, folder, fake, "?retry=1s").init()
        fake.answer_all, before = answer, len(fake.requests)
        done = holdfast.start("checkpoint", "list", *repo.where, "-o", "json", env=ENV)
        out, err = done.process.communicate(timeout=60)
        text = err.decode()
        assert "Sanitizer" not in text and done.process.returncode not in (0, 18, 99), (out, text)
        assert word in text and "\x9b" not in text
        assert answer[0] != 501 or len(fake.requests) == before + 1, "what a service cannot do it cannot do later"
        if code:
            assert f'"kind": "{code}"' in text or f'"{code}"' in text
