# SPDX-License-Identifier: Apache-2.0
"""The contract: openapi.yaml, and whether an answer of the server keeps it."""
import functools
import pathlib
import re

import jsonschema
import yaml

FILE = pathlib.Path(__file__).resolve().parents[2] / "openapi.yaml"


class Broken(AssertionError):
    pass


@functools.cache
def document():
    return yaml.load(FILE.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@functools.cache
def operations():
    """[(method, path, compiled path, operation)], those without parts that vary first."""
    found = []
    for path, methods in document()["paths"].items():
        pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "$")
        found += [(method.upper(), path, pattern, operation) for method, operation in methods.items()]
    return sorted(found, key=lambda o: o[1].count("{"))


def find(method, path):
    path = path.partition("?")[0]
    for m, name, pattern, operation in operations():
        if m == method and pattern.match(path):
            return name, operation
    return None, None


def validator(schema):
    with_parts = {**schema, "components": document()["components"]}
    return jsonschema.Draft202012Validator(with_parts, format_checker=jsonschema.draft202012_format_checker)


def check(method, path, status, content_type, body):
    """Raise Broken if this answer is not in the contract."""
    name, operation = find(method, path)
    if not operation or status == 304:
        return
    answer = operation["responses"].get(str(status))
    if answer is None:
        if status < 400:
            raise Broken(f"{method} {name} answers {status}, which is not in the contract")
        answer = document()["components"]["responses"]["Error"]
    content = answer.get("content", {})
    if not content:
        if body is not None:
            raise Broken(f"{method} {name} answers {status} with a body: {body}")
        return
    kind = (content_type or "").partition(";")[0]
    if "application/json" not in content or (kind != "application/json" and kind in content):
        return
    if "json" not in (content_type or ""):
        raise Broken(f"{method} {name} answers {status} with {content_type}")
    for error in validator(content["application/json"]["schema"]).iter_errors(body):
        where = "/".join(map(str, error.absolute_path))
        raise Broken(f"{method} {name} answers {status}, and {where or 'its body'}: {error.message[:500]}")
