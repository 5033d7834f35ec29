# SPDX-License-Identifier: Apache-2.0
"""A real S3 service, and repositories in its buckets."""
import itertools
import os
import pathlib
import subprocess

import botocore.session

from lab import SCRIPTS
from target import Repo

KEY, SECRET = "TESTACCESSKEY", "TESTSECRETKEY"
ENV = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


class Ceph:
    """A private Ceph with its S3 gateway, in `folder`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.url = None
        self.numbers = itertools.count(1)

    def _script(self, verb):
        done = subprocess.run([SCRIPTS / "ceph.sh", verb, self.folder], stdout=subprocess.PIPE, text=True, timeout=240,
                              check=False)
        assert done.returncode == 0, f"ceph.sh {verb} failed: see its output"
        return done.stdout.strip()

    def start(self):
        self.url = self._script("start")

    def stop(self):
        self._script("stop")

    @property
    def client(self):
        return botocore.session.get_session().create_client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET)

    def new_bucket(self):
        name = f"bucket-{next(self.numbers)}"
        self.client.create_bucket(Bucket=name)
        return name


class BucketRepo(Repo):
    """A repository under a prefix of a bucket; `through` is the address of a proxy before the service."""

    def __init__(self, holdfast, folder, ceph, bucket, through=None, options=""):
        super().__init__(holdfast, folder)
        self.ceph, self.bucket = ceph, bucket
        self.url = f"s3:{through or ceph.url}/{bucket}/some/prefix{options}"

    @property
    def where(self):
        return ["-t", self.url, "-k", self.key]

    def init(self, **how):
        self.holdfast.run("target", "init", "-t", self.url, "--new-key-file", self.key, env=ENV, **how)
        return self

    def run(self, *args, env=None, **how):
        return super().run(*args, env={**ENV, **(env or {})}, **how)

    def start(self, *args, env=None, **how):
        return super().start(*args, env={**ENV, **(env or {})}, **how)

    def objects(self, under=""):
        """Names, without the prefix, and sizes."""
        pages = self.ceph.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket,
                                                                            Prefix=f"some/prefix/{under}")
        return {o["Key"].removeprefix("some/prefix/"): o["Size"] for page in pages for o in page.get("Contents", [])}

    def body(self, key):
        return self.ceph.client.get_object(Bucket=self.bucket, Key=f"some/prefix/{key}")["Body"].read()

    def put(self, key, body):
        self.ceph.client.put_object(Bucket=self.bucket, Key=f"some/prefix/{key}", Body=body)

    def sessions(self):
        """Of writers at work: marks, which are 48 bytes long, and what belongs to them."""
        return sorted({k.split("/")[1] for k in self.objects("sessions/")}
                      | {k.split("/")[1] for k, n in self.objects("points/").items() if n == 48})

    def temporary(self):
        return sorted(self.objects("tmp/"))


def environment():
    """As a test program of ours finds it."""
    return {**os.environ, **ENV}
