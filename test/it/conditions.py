# SPDX-License-Identifier: Apache-2.0
"""A proxy that keeps the conditions of writes as Amazon does, before a service that does not keep them in buckets with
versions, as the gateway of Ceph 16 does not. Everything else, locks among it, is the service's own."""
import threading
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions

from bucket import KEY, SECRET
from proxy import Proxy


class Refusal:
    def __init__(self, status, code):
        self.status, self.body = status, f"<Error><Code>{code}</Code></Error>".encode()

    def getheaders(self):
        return [("Content-Length", str(len(self.body)))]


class Conditions(Proxy):
    def __init__(self, service, key=KEY, secret=SECRET):
        super().__init__(service.url)
        self.client, self.turn = service.client, threading.Lock()
        self.credentials = botocore.credentials.Credentials(key, secret)

    def etag(self, path):
        """Of the object that is there, or None."""
        bucket, key = urllib.parse.unquote(path).lstrip("/").split("/", 1)
        try:
            return self.client.head_object(Bucket=bucket, Key=key)["ETag"]
        except botocore.exceptions.ClientError:
            return None

    def refusal(self, path, headers):
        there = self.etag(path)
        if "if-none-match" in headers:
            return Refusal(412, "PreconditionFailed") if there else None
        if not there:
            return Refusal(404, "NoSuchKey")
        return Refusal(412, "PreconditionFailed") if there != headers["if-match"] else None

    def sign_without_conditions(self, method, path, headers, body):
        left = {n: v for n, v in headers.items() if n not in ("if-match", "if-none-match", "authorization")}
        request = botocore.awsrequest.AWSRequest(method, f"http://{self.service}{path}", left, body)
        botocore.auth.S3SigV4Auth(self.credentials, "s3", "us-east-1").add_auth(request)
        return list(request.headers.items())

    def forward(self, method, path, headers, body):
        low = {n.lower(): v for n, v in headers}
        if method != "PUT" or not {"if-match", "if-none-match"} & set(low):
            return super().forward(method, path, headers, body)
        with self.turn:
            refusal = self.refusal(path, low)
            if refusal:
                return refusal, refusal.body
            return super().forward(method, path, self.sign_without_conditions(method, path, low, body), body)
