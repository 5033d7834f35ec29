# SPDX-License-Identifier: Apache-2.0
"""A repository in a bucket: requests, counted by a proxy, and time, beside the same in a directory.

The service is a private Ceph on this machine, with all its state in the working folder; it and the proxy are those of
the integration tests.
"""
import importlib
import importlib.util
import shutil
import sys
from collections import Counter

import scattered
from measure import HERE, BenchError
from scenario import Part, Scenario, Step, do_backup, do_restore, prepare, say
from summary import OWN, Goal
from text import line, section
from tools import Holdfast, Restic, Source

TESTS = HERE.parent / "test" / "it"
PREFIX = "some/prefix"  # that the proxy knows
PUTS = 20               # for a GiB
GIB = 1 << 30
KINDS = ("PUT", "GET", "HEAD", "DELETE", "POST", "LIST")

WORDS = """The disk of *Scattered writes*, in a bucket of a private Ceph on the same machine (radosgw {version}), whose own work
counts in nobody's CPU time but makes everything beside it slower; *in a directory* is the same as above, on the same
disk. borg has no such thing.

"""

REQUESTS = """
Requests, counted by a proxy in a run of its own, of which no time is taken. *LIST, data under way* are those between
the first and the last pack that is written or read.

| step | tool | PUT | GET | HEAD | DELETE | POST | LIST | LIST, data under way | GiB moved | PUT of a GiB |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""


def tests(name):
    """A module of the integration tests."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    return importlib.import_module(name)


class Bucket:
    """What both tools have in common: an address that may be the proxy's, and how much is in the bucket."""

    def use(self, ceph, address):
        self.ceph, self.bucket = ceph, ceph.new_bucket()
        self.address = f"{address}/{self.bucket}/{PREFIX}"

    def environment(self):
        return {**super().environment(), **self.place(), **tests("bucket").ENV}

    def lies(self, _source):
        """Nothing of it is a file here."""
        return self.home

    def size(self):
        pages = self.ceph.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return sum(o["Size"] for page in pages for o in page.get("Contents", []))


class HoldfastBucket(Bucket, Holdfast):
    key, title = OWN, "Holdfast"

    def place(self):
        return {"HOLDFAST_TARGET": f"s3:{self.address}"}


class ResticBucket(Bucket, Restic):
    key, title = "restic", "restic"

    def place(self):
        return {"RESTIC_REPOSITORY": f"s3:{self.address}"}


class HoldfastDirectory(Holdfast):
    key, title = "holdfast-dir", "Holdfast, in a directory"


class Service:
    """A new, empty service; `with` starts and stops it."""

    def __init__(self, bench):
        self.folder = bench.path("lab", "ceph")
        self.ceph = tests("bucket").Ceph(self.folder)

    def __enter__(self):
        say("starting a private Ceph …")
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            return self.ceph.__enter__()
        except AssertionError as error:
            raise BenchError(str(error)) from error

    def __exit__(self, *_):
        self.ceph.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def counting(service):
    """The tests' proxy, which also keeps the order of what it counts."""
    class Counting(tests("proxy").Proxy):
        def __init__(self):
            super().__init__(service)
            self.order = []

        def count(self, method, path):
            before = Counter(self.counts)
            super().count(method, path)
            self.order += (Counter(self.counts) - before).elements()

        def take(self):
            """What came since the last time."""
            order, self.order = self.order, []
            return order
    return Counting()


def summed(order):
    """How many requests there were of each kind, and of LIST while data was under way."""
    data = [n for n, (method, what) in enumerate(order) if what in ("packs", "data") and method in ("PUT", "GET")]
    counts = Counter(method for method, _ in order)
    between = order[data[0]:data[-1]] if data else []
    return {**{kind: counts[kind] for kind in KINDS}, "between": sum(method == "LIST" for method, _ in between)}


class S3(Part):
    key, title, data = "s3", "In a bucket", ("scattered",)

    def why_not(self, run):
        for program, package in (("ceph-mon", "ceph-mon"), ("ceph-osd", "ceph-osd"), ("radosgw", "radosgw"),
                                 ("ceph", "ceph-common")):
            if not shutil.which(program, path=run.bench.environment()["PATH"]):
                return f"{program} is missing (package {package})"
        if not importlib.util.find_spec("botocore"):
            return "python3-botocore is missing"
        return None if TESTS.exists() else "the tests' modules that start a private Ceph are not there"

    def measure(self, run):
        folder, sizes, _ = prepare(run.bench, "scattered", [scattered.WRITES], scattered.make)
        before = Source(folder / "before.raw", "before", "disk")
        after = Source(folder / "after.raw", "after", "disk")
        steps = [Step("first", "first backup", "backup", before), Step("unchanged", "unchanged", "backup", before),
                 Step("writes", "after the writes", "backup", after),
                 Step("restore", "restore of the last", "restore", after)]
        tools = [HoldfastBucket(run.bench, run.binary), HoldfastDirectory(run.bench, run.binary),
                 ResticBucket(run.bench)]
        made = Scenario(self.key, self.title, folder, steps, tools, sizes, {})
        run.add(made)
        run.entry(made)["service"] = run.bench.quietly(["radosgw", "--version"]).split()[2]
        for number in range(run.options.repeat):
            with Service(run.bench) as ceph:
                first = number % len(tools)
                self.timed(run, made, number, ceph, tools[first:] + tools[:first])
        with Service(run.bench) as ceph:
            run.entry(made)["requests"] = {tool.key: count(run.bench, ceph, tool, steps) for tool in tools
                                           if isinstance(tool, Bucket)}

    def timed(self, run, made, number, ceph, tools):
        for tool in tools:
            if isinstance(tool, Bucket):
                tool.use(ceph, ceph.url)
            tool.fresh()
        for step in made.steps:
            for tool in tools:
                run.record(made, number, step, tool.key, do(run.bench, tool, step, number == 0))
        for tool in tools:
            shutil.rmtree(tool.folder)

    def section(self, results):
        entry = results["scenarios"][self.key]
        lines = []
        for key, step in entry["steps"].items():
            for number, (tool, steps) in enumerate(entry["requests"].items()):
                c = steps[key]
                gib = c["bytes"] / GIB
                name = entry["tools"][tool]
                lines.append(line("" if number else step["title"], f"**{name}**" if tool == OWN else name,
                                  *(str(c[kind]) for kind in KINDS), str(c["between"]), f"{gib:.2f}",
                                  f"{c['PUT'] / gib:.1f}" if key == "first" else ""))
        return section(results, self.key, WORDS.format(version=entry["service"])) + REQUESTS + "\n".join(lines) + "\n"

    def goals(self, results):
        entry = results["scenarios"][self.key]
        first, none = (entry["requests"][OWN][step] for step in ("first", "unchanged"))
        each = (first["PUT"] - none["PUT"]) / (first["bytes"] / GIB)
        return [Goal("S3: PUT of a GiB new, beside those of a backup that stores nothing", f"≤ {PUTS}", f"{each:.1f}",
                     each <= PUTS),
                Goal("S3: LIST of a first backup while data is under way", "0", str(first["between"]),
                     first["between"] == 0)]


def do(bench, tool, step, check):
    try:
        return do_backup(bench, tool, step) if step.kind == "backup" else do_restore(bench, tool, step, check)
    except BenchError as error:
        raise BenchError(f"{S3.title}, {step.title}, {tool.title}: {error}") from error


def count(bench, ceph, tool, steps):
    """{step: requests and bytes}, through the proxy."""
    counted = {}
    with counting(ceph.url) as proxy:
        tool.use(ceph, proxy.url)
        tool.fresh()
        for step in steps:
            proxy.take()
            sample = do(bench, tool, step, False)
            moved = sample.stored if step.kind == "backup" else tool.size()
            counted[step.key] = {**summed(proxy.take()), "bytes": moved}
    shutil.rmtree(tool.folder)
    return counted
