# SPDX-License-Identifier: Apache-2.0
"""Targets in a bucket of a real S3 service (Ceph's gateway), through a faulty network, and beside a fake where no real
one can be made to misbehave."""
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

import images
from bucket import ENV, KEY, SECRET, BucketRepo, Ceph
from chaos import Chaos, assert_tidy
from fake_s3 import FakeS3
from images import MIB
from proxy import Fault, Proxy
from waiting import wait_until


@pytest.fixture(scope="module")
def ceph(session_folder):
    with Ceph(session_folder / "ceph") as ceph:
        yield ceph


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
        chaos.go(20, share=0.05)
        proxy.wait_for_late()
        proxy.share = 0
        print(proxy.happened)
        chaos.check()
        assert_tidy(repo, dead=1000)


def test_chaos_with_wrong_clocks(s3_repo, wrong_clocks):
    """Two of three are ten years early or late; the service takes signatures of the last quarter of an hour."""
    chaos = Chaos(s3_repo, random.Random(3), clocks=wrong_clocks)
    chaos.go(20, share=0.02)
    assert chaos.wrong_times() > 1
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
    with contextlib.suppress(subprocess.TimeoutExpired):
        backup.process.wait(timeout=2)
    assert s3_repo.sessions()
    backup.signal(signal.SIGINT)
    backup.wait("cancelled")
    assert not s3_repo.sessions() and not s3_repo.objects("points/")


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
    init(f"s3:{ceph.url}/{bucket}", "invalid", "AWS_ACCESS_KEY_ID", env={"HOME": "/nonexistent"})
    init(f"s3:{ceph.url}/{bucket}?style=round", "invalid", "style=round")
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


# ---- with a fake

def fake_repo(holdfast, folder, fake, options=""):
    return BucketRepo(holdfast, folder, fake, "fakebucket", options=options)


def test_a_service_that_ignores_conditions_is_refused(holdfast, folder):
    with FakeS3(conditions=False) as fake:
        repo = fake_repo(holdfast, folder, fake).init()
        done = repo.protect_stdin("x", b"hello", code="unsupported")
        assert "If-None-Match" in done.error["message"] and "Amazon S3 or Ceph" in done.error["message"]
        assert not [k for k in fake.objects if "/points/" in k or "/probe-" in k]


def test_signatures_are_those_of_botocore(holdfast, folder):
    """Every request of a whole life, signed again by Amazon's own library."""
    with FakeS3() as fake:
        repo = fake_repo(holdfast, folder, fake).init()
        point = repo.protect_stdin("x", images.noise(MIB, 1), env={"AWS_SESSION_TOKEN": "to+ken/=="})
        repo.run("checkpoint", "cat", point.id, "stdin")
        repo.run("checkpoint", "delete", point.id, "--yes")
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
        assert methods == {"GET", "HEAD", "PUT", "DELETE", "LIST"} and len(fake.requests) > 40
        assert any(urllib.parse.unquote(path) != path for _, path, _, _ in fake.requests)


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
        done = run.wait("cancelled", seconds=5)
        assert "SlowDown" in done.error["message"]


@pytest.mark.parametrize("answer, code, word", [
    ((301, {"x-amz-bucket-region": "eu-north-1"}, b""), "invalid", "eu-north-1"),
    ((503, {}, b"<Error><Code>SlowDown</Code><Message>Reduce\x20your rate</Message></Error>"), "io", "SlowDown: Reduce"),
    ((403, {}, b"<Error><Code>QuotaExceeded</Code></Error>"), "no-space", "QuotaExceeded"),
    ((403, {}, b"<Error><Code>AccessDenied</Code><Message>\xc2\x9b31mNo</Message></Error>"), "denied", "AccessDenied"),
    ((200, {}, b"<html>Welcome to our portal</html>"), None, ""),
    ((200, {}, b"\x00\xff" * 1000), None, ""),
])
def test_answers(holdfast, folder, answer, code, word):
    with FakeS3() as fake:
        repo = fake_repo(holdfast, folder, fake, "?retry=1s").init()
        fake.answer_all = answer
        done = holdfast.start("checkpoint", "list", *repo.where, "-o", "json", env=ENV)
        out, err = done.process.communicate(timeout=60)
        text = err.decode()
        assert "Sanitizer" not in text and done.process.returncode not in (0, 18, 99), (out, text)
        assert word in text and "\x9b" not in text
        if code:
            assert f'"kind": "{code}"' in text or f'"{code}"' in text
