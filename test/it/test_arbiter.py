# SPDX-License-Identifier: Apache-2.0
"""Buckets of services that do not keep conditions, with an arbiter beside them: a real one that forgets them (s3rver), and
Ceph's gateway where a bucket has versions and Object Lock."""
import datetime
import random
import shutil

import images
from bucket import ArbitratedRepo, S3rver, S3rverRepo
from chaos import Chaos, assert_tidy
from images import MIB
from proxy import Fault, Proxy


class Repo(ArbitratedRepo):
    env = S3rverRepo.env


def test_a_service_without_conditions(holdfast, folder):
    """A whole life of a repository there; what reads needs no arbiter, and a new one takes the place of one that is lost."""
    one, two, three = (images.noise(3 * MIB, seed) for seed in range(3))
    with S3rver(folder) as service:
        repo = Repo(holdfast, folder, service, "bucket").init()
        first = repo.protect_stdin("x", one + three)
        second = repo.protect_stdin("y", two + one)
        assert repo.run("target", "show").json["arbiter"] == f"dir:{repo.arbiter}"
        assert second.stored < 5 * MIB
        # What is in the bucket is enough to restore.
        arbiter, repo.arbiter = repo.arbiter, None
        assert repo.run("checkpoint", "cat", first.id, "stdin").out == one + three
        assert repo.verify()["damaged_checkpoints"] == 0
        for words in (["checkpoint", "delete", first.id, "--yes"], ["target", "collect"]):
            assert "arbiter=dir:" in repo.run(*words, code="unsupported").error["message"]
        repo.arbiter = arbiter
        repo.run("target", "key", "add", "--new-key-file", folder / "second")
        repo.run("target", "key", "rotate", "--drop-others")
        repo.run("checkpoint", "delete", first.id, "--yes")
        assert repo.collect()["removed_packs"] >= 1
        assert [p.id for p in repo.points()] == [second.id]
        assert repo.run("checkpoint", "cat", second.id, "stdin").out == two + one
        # Lost, and not the right one: nothing is written; then a new one.
        shutil.rmtree(arbiter)
        assert "no such" in repo.protect_stdin("z", one, code="not-found").error["message"].lower()
        arbiter.mkdir()
        message = repo.protect_stdin("z", one, code="conflict").error["message"]
        assert "knows nothing" in message and "target arbiter" in message
        repo.run("target", "arbiter", "--yes")
        third = repo.protect_stdin("z", one)
        assert [p.id for p in repo.points()] == [second.id, third.id]
        assert_tidy(repo)
        repo.arbiter = None
        assert repo.run("checkpoint", "cat", third.id, "stdin").out == one


def test_locks(holdfast, ceph, folder):
    """In a bucket with Object Lock of the gateway as it is: locked, kept from whoever has the access key, given back."""
    data = images.noise(2 * MIB, 1)
    repo = ArbitratedRepo(holdfast, folder, ceph, ceph.new_bucket(lock=True)).init()
    kept = repo.protect_stdin("x", data, "--lock", "1d", "--lock-mode", "governance")
    other = repo.protect_stdin("y", images.noise(2 * MIB, 2))
    until = datetime.datetime.fromisoformat(kept["lock"]["until"].replace("Z", "+00:00"))
    for key in ["holdfast", *repo.objects("keys/"), f"points/{kept.id}"]:
        mode, end, _ = repo.lock(key)
        assert mode == "GOVERNANCE" and end >= until, key
    assert "--bypass-governance" in repo.run("checkpoint", "delete", kept.id, "--yes", code="denied").error["message"]
    repo.run("checkpoint", "delete", other.id, "--yes")
    assert repo.collect()["removed_packs"] >= 1
    assert len(repo.versions("packs/")) == len(repo.objects("packs/"))
    for key in repo.objects():
        ceph.client.delete_object(Bucket=repo.bucket, Key=f"some/prefix/{key}")
    repo.holdfast.run("target", "unhide", "-t", repo.url, env=repo.env)
    assert repo.run("checkpoint", "cat", kept.id, "stdin").out == data
    repo.run("checkpoint", "delete", kept.id, "--yes", "--bypass-governance")
    assert not repo.points() and not repo.objects("points/")


def test_chaos(holdfast, ceph, folder):
    """Killed, stopped, and behind a network that loses and delays; the gateway's conditions are not used."""
    with Proxy(ceph.url) as proxy:
        repo = ArbitratedRepo(holdfast, folder, ceph, ceph.new_bucket(), proxy.url).init()
        proxy.faults, proxy.share = Fault.ALL, 0.01
        chaos = Chaos(repo, random.Random(20261123))
        chaos.go(8, share=0.05)
        proxy.wait_for_late()
        proxy.share = 0
        print(proxy.happened)
        chaos.check()
        assert_tidy(repo, dead=1000)
        ids = {p.id for p in repo.points()}
        repo.arbiter = None
        assert {p.id for p in repo.points()} == ids and repo.verify()["damaged_checkpoints"] == 0
