# SPDX-License-Identifier: Apache-2.0
"""Running a script that drives a browser, and doing for it what it asks for."""
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent


def run(name, given, acts=None, seconds=180):
    """
    Run NAME.mjs. It gets `given` as JSON in its environment, and prints lines of JSON: {"say": text} is shown,
    {"ask": name, …} calls acts[name](request) and gets what that returns as a line of JSON, {"result": …} is returned
    at the end. Fails when the script fails, with what it said.
    """
    process = subprocess.Popen(["node", HERE / f"{name}.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, env={**os.environ, "HF_UI": json.dumps(given)},
                               start_new_session=True)
    lines = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in process.stdout] + [lines.put(None)],
                     daemon=True).start()
    until, said, result = time.monotonic() + seconds, [], None
    try:
        while (line := _next(lines, until, name, said)) is not None:
            said.append(line.rstrip())
            print(line, end="", file=sys.stderr)
            if not line.startswith("{"):
                continue
            told = json.loads(line)
            if "ask" in told:
                process.stdin.write(json.dumps((acts or {})[told["ask"]](told)) + "\n")
                process.stdin.flush()
            result = told.get("result", result)
        code = process.wait(30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()
    assert code == 0, f"{name}.mjs ended with {code}:\n" + "\n".join(said[-60:])
    return result


def _next(lines, until, name, said):
    try:
        return lines.get(timeout=max(0.1, until - time.monotonic()))
    except queue.Empty:
        raise AssertionError(f"{name}.mjs takes too long:\n" + "\n".join(said[-60:])) from None
