# SPDX-License-Identifier: Apache-2.0
"""A fake of an S3 service, in memory, for what no real one can be made to do: it does not look at conditions, its clock
differs, its answers are wrong. And it keeps what it was asked, for others to look at."""
import email.utils
import hashlib
import threading
import time
import urllib.parse

from http_service import HttpService


class FakeS3(HttpService):
    def __init__(self, conditions=True, ahead=0):
        super().__init__()
        self.conditions, self.ahead = conditions, ahead
        self.objects, self.requests, self.lock = {}, [], threading.Lock()
        self.answer_all = None  # (status, headers, body)

    def now(self):
        return time.time() + self.ahead

    def put(self, key, headers, body):
        old = self.objects.get(key)
        match, none = headers.get("if-match"), headers.get("if-none-match")
        if self.conditions and ((none and old) or (match and (not old or match != old[1]))):
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self.objects[key] = body, etag
        return 200, {"ETag": etag}, b""

    def list(self, query):
        prefix = query.get("prefix", [""])[0]
        keys = sorted(k for k in self.objects if k.startswith(prefix))
        rows = "".join(f"<Contents><Key>{k}</Key><Size>{len(self.objects[k][0])}</Size></Contents>" for k in keys)
        return 200, {}, f"<ListBucketResult>{rows}<IsTruncated>false</IsTruncated></ListBucketResult>".encode()

    def get(self, key, headers):
        if key not in self.objects:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        body, etag = self.objects[key]
        if "range" not in headers:
            return 200, {"ETag": etag}, body
        first, last = headers["range"].removeprefix("bytes=").split("-")
        if int(first) >= len(body):
            return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
        part = body[int(first):int(last) + 1]
        return 206, {"ETag": etag, "Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}"}, part

    def do(self, method, path, headers, body):
        split = urllib.parse.urlsplit(path)
        _, _, key = split.path.lstrip("/").partition("/")
        sent = time.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
        if abs(time.mktime(sent) - time.mktime(time.gmtime(self.now()))) > 900:
            return 403, {}, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
        if self.answer_all:
            return self.answer_all
        if method == "GET" and not key:
            return self.list(urllib.parse.parse_qs(split.query))
        if method == "PUT":
            return self.put(key, headers, body)
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, {}, b""
        return self.get(key, headers)

    def handle(self, handler, body):
        headers = {k.lower(): v for k, v in handler.headers.items()}
        with self.lock:
            self.requests.append((handler.command, handler.path, headers, body))
            status, extra, content = self.do(handler.command, handler.path, headers, body)
        date = email.utils.formatdate(self.now(), usegmt=True)
        handler.answer(status, [("Date", date), *extra.items()], content)
