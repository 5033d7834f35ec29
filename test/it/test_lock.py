# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that nobody can remove, in a bucket with Object Lock of a real S3 service (Ceph's gateway)."""
import datetime
import random

import botocore.exceptions
import pytest

import images
from bucket import ArbitratedRepo, BucketRepo, S3rver, S3rverRepo
from conditions import Conditions
from fake_s3 import FakeS3
from images import MIB

DAY = datetime.timedelta(days=1)


@pytest.fixture
def make_lock_repo(holdfast, ceph, session_folder, folder_numbers):
    proxies = []

    def make():
        proxy = Conditions(ceph).__enter__()
        proxies.append(proxy)
        folder = session_folder / f"lock{next(folder_numbers)}"
        folder.mkdir()
        repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(lock=True), proxy.url)
        repo.proxy = proxy
        return repo.init()

    yield make
    for proxy in proxies:
        proxy.__exit__()


@pytest.fixture
def lock_repo(make_lock_repo):
    return make_lock_repo()


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def assert_locked(repo, point, keys):
    """Each of these objects is locked at least as long as the checkpoint, and as strictly."""
    until = when(point["lock"]["until"])
    for key in keys:
        mode, end, _ = repo.lock(key)
        assert end and end >= until, (key, mode, end)
        assert mode == "COMPLIANCE" or point["lock"]["mode"] == "governance", (key, mode)


def roots(repo):
    return ["holdfast", *repo.objects("keys/")]


def delete_all_plainly(repo):
    """What a thief of the access key does."""
    client = repo.ceph.client
    for key in repo.objects():
        client.delete_object(Bucket=repo.bucket, Key=f"some/prefix/{key}")


# ---- locking

@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_a_locked_checkpoint(lock_repo, mode):
    data = images.noise(3 * MIB, 1)
    point = lock_repo.protect_stdin("x", data, "--lock", "30d", "--lock-mode", mode)
    assert point["lock"]["mode"] == mode
    until = when(point["lock"]["until"])
    assert abs(until - now() - 30 * DAY) < datetime.timedelta(minutes=5)
    assert when(point["lock"]["covered_until"]) >= until + 3 * DAY
    everything = [*roots(lock_repo), f"points/{point.id}", *lock_repo.objects("packs/")]
    assert len(everything) >= 5
    assert_locked(lock_repo, point, everything)
    # The service itself refuses.
    client = lock_repo.ceph.client
    for key in everything:
        name = f"some/prefix/{key}"
        version = client.head_object(Bucket=lock_repo.bucket, Key=name)["VersionId"]
        with pytest.raises(botocore.exceptions.ClientError):
            client.delete_object(Bucket=lock_repo.bucket, Key=name, VersionId=version)
    # So do we, and say why.
    message = lock_repo.run("checkpoint", "delete", point.id, "--yes", code="denied").error["message"]
    assert mode in message and point["lock"]["until"][:16] in message
    if mode == "compliance":
        lock_repo.run("checkpoint", "delete", point.id, "--yes", "--bypass-governance", code="denied")
    else:
        assert "--bypass-governance" in message
        lock_repo.run("checkpoint", "delete", point.id, "--yes", "--bypass-governance")
        assert f"points/{point.id}" not in lock_repo.versions()
        # Nothing needs the packs; they are locked all the same, and stay.
        gone = lock_repo.collect()
        assert gone["removed_packs"] == 0 and gone["locked_packs"] == len(lock_repo.objects("packs/")) > 0
        return
    assert lock_repo.run("checkpoint", "list").json[0]["lock"]["mode"] == mode
    assert lock_repo.run("checkpoint", "cat", point.id, "stdin").out == data


def test_what_is_deduplicated_is_locked(lock_repo):
    """Packs of a checkpoint that was not locked, or not as long, are locked as long as the one that counts on them."""
    data = images.noise(2 * MIB, 1)
    first = lock_repo.protect_stdin("a", data)
    packs = lock_repo.objects("packs/")
    assert first["lock"] is None and all(lock_repo.lock(k)[0] is None for k in packs)
    second = lock_repo.protect_stdin("b", data, "--lock", "2d")
    assert second.stored < MIB
    assert_locked(lock_repo, second, lock_repo.objects("packs/"))
    third = lock_repo.protect_stdin("c", data, "--lock", "20d", "--lock-mode", "compliance")
    assert_locked(lock_repo, third, [*lock_repo.objects("packs/"), *roots(lock_repo)])
    # Less does not make it less.
    lock_repo.protect_stdin("d", data, "--lock", "1d")
    assert_locked(lock_repo, third, [*lock_repo.objects("packs/"), *roots(lock_repo)])


def test_what_is_taken_unread_is_locked(lock_repo, folder):
    """Of a disk that hardly changed most is taken over from the parent's tree without a look."""
    disk = images.raw_file(folder / "disk.raw", 64 * MIB, [(0, 8 * MIB, 1)])
    first = lock_repo.protect_disk(disk, "--name", "d")
    old = set(lock_repo.objects("packs/"))
    second = lock_repo.protect_disk(disk, "--name", "d", "--lock", "10d")
    assert_locked(lock_repo, second, old)
    # The next one finds that done: of the packs, only its own are looked at, and the one that holds the root.
    with open(disk, "r+b") as f:
        f.write(images.noise(MIB, 2))
    lock_repo.proxy.counts.clear()
    third = lock_repo.protect_disk(disk, "--name", "d", "--lock", "10d")
    new = set(lock_repo.objects("packs/")) - old
    print(dict(lock_repo.proxy.counts))
    assert_locked(lock_repo, third, old | new)
    assert when(third["lock"]["covered_until"]) >= when(third["lock"]["until"])
    # One that is locked for longer looks at all.
    fourth = lock_repo.protect_disk(disk, "--name", "d", "--lock", "40d")
    assert_locked(lock_repo, fourth, old | new)
    assert lock_repo.gives_back(fourth, "disk", disk)
    assert first["lock"] is None


def test_a_copy_is_locked(lock_repo, repo):
    data = images.noise(MIB, 5)
    repo.protect_stdin("x", data)
    done = repo.run("checkpoint", "copy", "--all", "--to", lock_repo.url, "--to-key-file", lock_repo.key,
                    "--lock", "5d", env=lock_repo.env).json
    copy = done["copied"][0]
    assert_locked(lock_repo, copy, [*lock_repo.objects("packs/"), f"points/{copy['id']}", *roots(lock_repo)])


def test_a_change_of_keys(lock_repo, folder):
    """The new ring is locked as the old one was."""
    data = images.noise(MIB, 1)
    point = lock_repo.protect_stdin("x", data, "--lock", "9d")
    lock_repo.run("target", "key", "add", "--new-key-file", folder / "second")
    assert sorted(lock_repo.objects("keys/")) == ["keys/2", "keys/2.copy"]
    assert_locked(lock_repo, point, roots(lock_repo))


# ---- collecting

def test_the_collector_keeps_locks(lock_repo):
    """What it writes anew for a checkpoint that is locked, and what was unlocked behind our back, gets its lock."""
    data = images.noise(2 * MIB, 1)
    point = lock_repo.protect_stdin("x", data, "--lock", "10d")
    client = lock_repo.ceph.client
    weak = [*lock_repo.objects("packs/"), f"points/{point.id}", "holdfast"]
    for key in weak:
        client.put_object_retention(Bucket=lock_repo.bucket, Key=f"some/prefix/{key}", BypassGovernanceRetention=True,
                                    Retention={"Mode": "GOVERNANCE", "RetainUntilDate": now() + DAY})
        with pytest.raises(AssertionError):
            assert_locked(lock_repo, point, [key])
    assert lock_repo.collect("--dry-run")["locked_checkpoints"] == 0
    assert lock_repo.collect()["locked_checkpoints"] == 1
    assert_locked(lock_repo, point, weak)


def test_no_versions_pile_up(lock_repo):
    """What is not locked leaves nothing behind: every object has one version, and no markers are left."""
    data = {seed: images.noise(MIB, seed) for seed in range(4)}
    points = {seed: lock_repo.protect_stdin(f"s{seed}", content) for seed, content in data.items()}
    locked = lock_repo.protect_stdin("locked", data[0], "--lock", "1d")
    for seed in (1, 2, 3):
        lock_repo.run("checkpoint", "delete", points[seed].id, "--yes")
    before = len(lock_repo.objects("packs/"))
    gone = lock_repo.collect()
    assert gone["removed_packs"] >= 3 and len(lock_repo.objects("packs/")) <= before - 3
    rest = [k for k in lock_repo.versions() if not k.startswith("tmp/probe-")]
    assert rest == sorted(lock_repo.objects())
    # What was left behind objects is cleared away; but not what lies behind a stranger's, for that is what counts.
    for key in ("index/strange", "holdfast"):
        lock_repo.put(key, b"1")
        lock_repo.put(key, b"2")
    lock_repo.collect()
    assert lock_repo.versions("index/strange") == ["index/strange"]
    assert lock_repo.versions("holdfast") == ["holdfast"] * 3
    # The newest was locked meanwhile, by ourselves: ours comes before it.
    lock_repo.run("target", "unhide")
    assert b"holdfast repository" in lock_repo.body("holdfast") and lock_repo.lock("holdfast")[0]
    assert lock_repo.run("checkpoint", "cat", locked.id, "stdin").out == data[0]


# ---- holds

def test_legal_holds(lock_repo):
    shared = images.noise(2 * MIB, 1)
    a = lock_repo.protect_stdin("a", shared)
    b = lock_repo.protect_stdin("b", shared + images.noise(2 * MIB, 2))
    c = lock_repo.protect_stdin("c", images.noise(2 * MIB, 3))
    assert lock_repo.run("checkpoint", "hold", a.id, b.id).json["held"] == [a.id, b.id]
    assert lock_repo.run("checkpoint", "show", a.id).json["held"]
    assert not lock_repo.run("checkpoint", "show", c.id).json["held"]
    held = {k for k in lock_repo.objects("packs/") if lock_repo.lock(k)[2]}
    assert held and held != set(lock_repo.objects("packs/"))
    assert all(lock_repo.lock(k)[2] for k in [*roots(lock_repo), f"points/{a.id}"])
    message = lock_repo.run("checkpoint", "delete", a.id, "--yes", "--bypass-governance", code="denied").error["message"]
    assert "legal hold" in message and "release" in message
    lock_repo.run("checkpoint", "delete", c.id, "--yes")
    assert lock_repo.collect()["removed_packs"] > 0
    # What the other one needs stays held.
    lock_repo.run("checkpoint", "release", b.id)
    still = {k for k in lock_repo.objects("packs/") if lock_repo.lock(k)[2]}
    assert still and still < held
    lock_repo.run("checkpoint", "delete", b.id, "--yes")
    lock_repo.collect()
    assert lock_repo.run("checkpoint", "cat", a.id, "stdin").out == shared
    lock_repo.run("checkpoint", "release", a.id)
    assert not any(lock_repo.lock(k)[2] for k in lock_repo.objects())
    lock_repo.run("checkpoint", "delete", a.id, "--yes")
    lock_repo.collect()
    assert not lock_repo.objects("packs/")


# ---- a thief of the access key

def test_everything_is_deleted(lock_repo):
    """He deletes every object, and writes others over some: all comes back that was locked, bit for bit."""
    data = images.noise(3 * MIB, 7)
    point = lock_repo.protect_stdin("x", data, "--lock", "30d")
    rnd = random.Random(1)
    delete_all_plainly(lock_repo)
    for key in rnd.sample(sorted(set(lock_repo.versions("packs/"))), 1) + ["keys/1", "holdfast"]:
        lock_repo.put(key, b"Pay!")
    assert not lock_repo.objects("points/")
    lock_repo.run("checkpoint", "list", code="corrupt")
    done = lock_repo.holdfast.run("target", "unhide", "-t", lock_repo.url, "-o", "json", env=lock_repo.env).json
    assert len(done["brought_back"]) >= 5 and not done["left"]
    assert [p.id for p in lock_repo.points()] == [point.id]
    assert lock_repo.run("checkpoint", "cat", point.id, "stdin").out == data
    assert lock_repo.verify()["damaged_checkpoints"] == 0
    # Life goes on, with an index that is made anew.
    lock_repo.collect()
    again = lock_repo.protect_stdin("x", data, "--lock", "30d")
    assert again.stored < MIB


# ---- where nothing can be locked

def test_a_bucket_without_object_lock(holdfast, ceph, folder):
    repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket()).init()
    message = repo.protect_stdin("x", b"hello", "--lock", "1d", code="unsupported").error["message"]
    assert "Object Lock" in message and not repo.objects("points/") and not repo.sessions()
    message = repo.run("checkpoint", "hold", "--all", code=0).json
    point = repo.protect_stdin("x", b"hello")
    assert "Object Lock" in repo.run("checkpoint", "hold", point.id, code="unsupported").error["message"]


@pytest.mark.parametrize("conditions", [True, False])
def test_a_service_that_forgets_locks(holdfast, folder, conditions):
    """It takes the headers of a lock, answers that all is well, and keeps nothing: found out by reading the lock back, and
    before anything is written that another property could destroy."""
    with FakeS3(conditions=conditions) as fake:
        repo = (BucketRepo if conditions else ArbitratedRepo)(holdfast, folder, fake, "fakebucket").init()
        keys = {k: v for k, v in fake.objects.items() if "/keys/" in k}
        message = repo.protect_stdin("x", b"hello", "--lock", "1d", code="unsupported").error["message"]
        assert "does not keep it" in message and "Object Lock" in message
        assert keys == {k: v for k, v in fake.objects.items() if "/keys/" in k}
        assert not [k for k in fake.objects if "/points/" in k or "/tmp/" in k]
        assert any("x-amz-object-lock-mode" in headers for _, _, headers, _ in fake.requests)


def test_s3rver(holdfast, folder):
    """A real service that forgets conditions and locks: no target as it is. With the proxy that keeps conditions it is
    one, but nothing can be locked there."""
    with S3rver(folder) as service:
        with Conditions(service, S3rver.key, S3rver.key) as proxy:
            repo = S3rverRepo(holdfast, folder, service, "bucket", proxy.url).init()
            repo.through = service.url
            message = repo.protect_stdin("x", b"hello", code="unsupported").error["message"]
            assert "If-None-Match" in message and not repo.points()
            repo.through = proxy.url
            data = images.noise(3 * MIB, 1)
            point = repo.protect_stdin("x", data)
            message = repo.protect_stdin("y", b"hello", "--lock", "1d", code="unsupported").error["message"]
            assert "does not keep it" in message and "Object Lock" in message
            assert [p["id"] for p in repo.points()] == [point.id] and not repo.sessions()
            assert repo.run("checkpoint", "cat", point.id, "stdin").out == data


def test_conditions_with_versions(holdfast, ceph, folder):
    """Without the proxy that is before the gateway in these tests: where that does not keep conditions in a bucket with
    versions, it is refused."""
    repo = BucketRepo(holdfast, folder, ceph, ceph.new_bucket(lock=True))
    repo.put("x", b"1")
    client = ceph.client
    client.meta.events.register("before-sign.s3", lambda request, **_: request.headers.add_header("If-None-Match", "*"))
    try:
        client.put_object(Bucket=repo.bucket, Key="some/prefix/x", Body=b"2")
    except botocore.exceptions.ClientError:
        assert repo.init().protect_stdin("x", b"hello", "--lock", "1d")["lock"]
        return
    message = repo.refused()
    assert "in a bucket with versions" in message and "If-None-Match" in message
    assert list(repo.objects()) == ["x"]


def test_a_directory(repo):
    for args in (["protect", "stdin", "--name", "x", "--lock", "1d"], ["protect", "stdin", "--name", "x"]):
        done = repo.run(*args, stdin=b"hello", code="unsupported" if "--lock" in args else 0)
    assert done.json["lock"] is None
    message = repo.run("checkpoint", "hold", done.json["id"], code="unsupported").error["message"]
    assert "directory" in message
    assert "directory" in repo.run("target", "unhide", code="unsupported").error["message"]
    repo.protect_stdin("x", b"", "--lock-mode", "compliance", code="invalid")
    repo.protect_stdin("x", b"", "--lock", "soon", code="invalid")
