# SPDX-License-Identifier: Apache-2.0
"""A fake of an S3 service, in memory, for what no real one can be made to do: it does not look at conditions, its clock
differs, its answers are wrong. And it keeps what it was asked, for others to look at."""
import base64
import email.utils
import hashlib
import re
import threading
import time
import urllib.parse

from http_service import HttpService


class FakeS3(HttpService):
    def __init__(self, conditions=True, ahead=0, many=True, tls=None):
        super().__init__(tls)
        self.many = many  # does it know how to remove many at once?
        self.stubborn = set()  # keys that are removed by nothing but a request of their own
        self.conditions, self.ahead = conditions, ahead
        self.objects, self.requests, self.lock = {}, [], threading.Lock()
        self.uploads = {}  # id -> (key, {number: body})
        self.tokens = None  # those that count; others have expired
        self.complete_answers = []  # given instead of its own, before it does anything
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

    def delete_many(self, headers, body):
        if not self.many:
            return 501, {}, b"<Error><Code>NotImplemented</Code></Error>"
        assert headers["content-md5"] == base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        rows = ""
        for key in re.findall(r"<Key>([^<]*)</Key>", body.decode()):
            if key in self.stubborn:
                rows += f"<Error><Key>{key}</Key><Code>InternalError</Code><Message>Once more</Message></Error>"
            else:
                self.objects.pop(key, None)
        return 200, {}, f"<DeleteResult>{rows}</DeleteResult>".encode()

    def upload(self, method, key, query, headers, body):
        """What belongs to objects that are sent in parts."""
        if method == "GET":
            rows = "".join(f"<Upload><Key>{k}</Key><UploadId>{i}</UploadId></Upload>" for i, (k, _) in self.uploads.items())
            return 200, {}, f"<ListMultipartUploadsResult>{rows}</ListMultipartUploadsResult>".encode()
        if "uploads" in query:
            name = f"id/{len(self.requests)}=="
            self.uploads[name] = key, {}
            return 200, {}, (f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId>"
                             "</InitiateMultipartUploadResult>").encode()
        name = query["uploadId"][0]
        if method == "POST" and self.complete_answers:
            return self.complete_answers.pop(0)
        if name not in self.uploads or self.uploads[name][0] != key:
            return 404, {}, b"<Error><Code>NoSuchUpload</Code></Error>"
        if method == "PUT":
            assert headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
            self.uploads[name][1][int(query["partNumber"][0])] = body
            return 200, {"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'}, b""
        parts = self.uploads.pop(name)[1]
        if method == "DELETE":
            return 204, {}, b""
        listed = re.findall(r'<PartNumber>(\d+)</PartNumber><ETag>"(\w+)"</ETag>', body.decode())
        whole = b"".join(parts[int(n)] for n, etag in listed
                         if hashlib.md5(parts[int(n)], usedforsecurity=False).hexdigest() == etag)
        self.objects[key] = whole, f'"x-{len(listed)}"'
        return 200, {}, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"

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
        if self.tokens is not None and headers.get("x-amz-security-token") not in self.tokens:
            return 400, {}, b"<Error><Code>ExpiredToken</Code></Error>"
        query = urllib.parse.parse_qs(split.query, keep_blank_values=True)
        if "uploads" in query or "uploadId" in query:
            return self.upload(method, key, query, headers, body)
        if method == "POST" and split.query == "delete=":
            return self.delete_many(headers, body)
        if method == "GET" and not key:
            return self.list(query)
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
