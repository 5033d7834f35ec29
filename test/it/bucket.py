# SPDX-License-Identifier: Apache-2.0
"""Real S3 services, and repositories in their buckets."""
import itertools
import re
import subprocess

import botocore.session

from service import SCRIPTS, Service
from target import Repo
from waiting import wait_until

KEY, SECRET = "TESTACCESSKEY", "TESTSECRETKEY"
ENV = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


class Ceph(Service):
    """A private Ceph with its S3 gateway."""
    script = "ceph.sh"

    def __init__(self, folder):
        super().__init__(folder)
        self.url = None
        self.numbers = itertools.count(1)

    def start(self):
        self.url = self.call("start")

    @property
    def client(self):
        return botocore.session.get_session().create_client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET)

    def new_bucket(self, lock=False):
        """`lock`: with Object Lock, and versions."""
        name = f"bucket-{next(self.numbers)}"
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        return name


class S3rver:
    """s3rver from npm, which answers that all is well to headers that it does not know: conditions and locks."""

    key = "S3RVER"  # the only one that it knows; its secret, too

    def __init__(self, folder):
        self.folder, self.process, self.url = folder, None, None

    def __enter__(self):
        home, log = SCRIPTS / "s3rver", self.folder / "s3rver.log"
        subprocess.run([SCRIPTS.parent.parent / "tools" / "npm", home], check=True, timeout=240)
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                ["node", home / "node_modules/s3rver/bin/s3rver.js", "-d", self.folder, "-a", "127.0.0.1", "-p", "0",
                 "--no-vhost-buckets", "--configure-bucket", "bucket"], stdout=out, stderr=out)
        wait_until(lambda: "listening" in log.read_text(), 60, "s3rver is up")
        self.url = "http://" + re.search(r"listening on (\S+)", log.read_text()).group(1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)

    @property
    def client(self):
        return botocore.session.get_session().create_client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=self.key,
            aws_secret_access_key=self.key)


class BucketRepo(Repo):
    """A repository under a prefix of a bucket; `through` is the address of a proxy before the service."""

    env = ENV

    def __init__(self, holdfast, folder, ceph, bucket, through=None, options=""):
        super().__init__(holdfast, folder)
        self.ceph, self.bucket = ceph, bucket
        self.through, self.options = through or ceph.url, options

    @property
    def url(self):
        return f"s3:{self.through}/{self.bucket}/some/prefix{self.options}"

    def objects(self, under=""):
        """Names, without the prefix, and sizes."""
        pages = self.ceph.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket,
                                                                            Prefix=f"some/prefix/{under}")
        return {o["Key"].removeprefix("some/prefix/"): o["Size"] for page in pages for o in page.get("Contents", [])}

    def body(self, key):
        return self.ceph.client.get_object(Bucket=self.bucket, Key=f"some/prefix/{key}")["Body"].read()

    def put(self, key, body):
        self.ceph.client.put_object(Bucket=self.bucket, Key=f"some/prefix/{key}", Body=body)

    def versions(self, under=""):
        """Names, without the prefix, of everything that lies behind or before something: each as often as it does."""
        pages = self.ceph.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket,
                                                                                Prefix=f"some/prefix/{under}")
        rows = [row for page in pages for row in page.get("Versions", []) + page.get("DeleteMarkers", [])]
        return sorted(row["Key"].removeprefix("some/prefix/") for row in rows)

    def lock(self, key):
        """Mode, until when, and whether it is held."""
        head = self.ceph.client.head_object(Bucket=self.bucket, Key=f"some/prefix/{key}")
        return (head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate"),
                head.get("ObjectLockLegalHoldStatus") == "ON")

    def sessions(self):
        """Of writers at work: marks, which are 48 bytes long, and what belongs to them."""
        return sorted({k.split("/")[1] for k in self.objects("sessions/")}
                      | {k.split("/")[1] for k, n in self.objects("points/").items() if n == 48})

    def dead_sessions(self):
        """Points of revoked sessions are 47 bytes long, and stay."""
        return sum(n == 47 for n in self.objects("points/").values())

    def epochs(self):
        return sorted(self.objects("epochs/"))

    def temporary(self):
        return sorted(self.objects("tmp/"))


class S3rverRepo(BucketRepo):
    env = {"AWS_ACCESS_KEY_ID": S3rver.key, "AWS_SECRET_ACCESS_KEY": S3rver.key}


class ArbitratedRepo(BucketRepo):
    """A repository in a bucket for which an arbiter in a directory decides."""

    def __init__(self, holdfast, folder, ceph, bucket, through=None):
        super().__init__(holdfast, folder, ceph, bucket, through)
        self.arbiter = self.folder / "arbiter"

    @property
    def url(self):
        return super().url + (f"?arbiter=dir:{self.arbiter}" if self.arbiter else "")

    def decided(self, under):
        return sorted(p.name for p in (self.arbiter / under).iterdir()) if (self.arbiter / under).exists() else []

    def sessions(self):
        """And nothing of a session is in the bucket."""
        return self.decided("sessions") + super().sessions() + ["dead"] * super().dead_sessions()

    def dead_sessions(self):
        return 0

    def epochs(self):
        return self.decided("epochs") + super().epochs()
