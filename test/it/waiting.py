# SPDX-License-Identifier: Apache-2.0
"""Waiting for something with a bound: nothing in these tests may hang a run."""
import time


def wait_until(check, seconds, what, every=0.05):
    """Call `check` until it returns something true, and return that; fail when it has not after `seconds`.
    `what`: a text, or a function that makes one when it is needed."""
    until = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"in {seconds} s this did not happen: {what() if callable(what) else what}")
        time.sleep(every)
