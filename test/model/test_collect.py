# SPDX-License-Identifier: Apache-2.0
"""The protocol of sessions, commits and collection, explored in every order of its steps (collect.pml).

Run with /usr/bin/python3 -m pytest -rP test/model
"""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("collect.pml")
# Two of each at once has too many states; a pair of either shows what pairs do to each other.
PAIRS = {"two-collectors": "-DONE_WRITER", "two-writers": "-DONE_COLLECTOR"}
# Late runs make more states: collectors then drop only one of the old packs, or what concerns each other, and where there
# are two of them, writers do not merge. (With everything there are 19 million for two writers; for two collectors there
# is no end within 4 GiB.)
PLACES = {"directory": {}, "LATE": {"two-collectors": ["-DPLAIN_WRITERS", "-DFEW_DROPS"], "two-writers": ["-DFEW_DROPS"]}}
RULES = {
    "NO_ORDER": "a writer lists epochs before the index",
    "NO_PARENT_RULE": "where an epoch is, a parent's blocks are looked up",
    "NO_MERGE_RULE": "what an epoch names is not copied from run to run",
    "NO_REVOCATION": "a revoked session cannot commit",
    "NO_WAIT": "a collector waits for the sessions that may not know its epoch",
    "NO_SECOND_LOOK": "points are listed after these have ended",
    "NO_OTHERS": "packs that another collector is about to drop are not relied on",
    "NO_LASTING_EPOCH": "an epoch outlives what it names",
}
LATE_RULES = {
    "NO_PRESENCE": "a pack is looked at before it is counted on",
    "NO_SEPARATE_REMOVAL": "a collector's run supersedes nothing",
    "NO_CHECK": "old runs are removed only if the session is there after the new one",
}


def explore(folder, *options):
    """All states, or those until the first that breaks a promise: (number of states, what broke or None)."""
    subprocess.run(["spin", "-a", *options, MODEL], cwd=folder, check=True, capture_output=True)
    subprocess.run(["gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=512", "-DMEMLIM=4000", "-o", "pan", "pan.c"],
                   cwd=folder, check=True, capture_output=True)
    # -E: that processes stand still where everything has stopped is meant.
    said = subprocess.run(["./pan", "-E", "-n", "-w24", "-m2000"], cwd=folder, check=True, capture_output=True,
                          text=True).stdout
    states = int(re.search(r"^ *(\d+) states, stored", said, re.M).group(1))
    errors = int(re.search(r"errors: (\d+)", said).group(1))
    broken = re.search(r"pan:1: (.*)", said)
    assert bool(errors) == bool(broken), said
    assert errors or ("Search not completed" not in said and "max search depth" not in said), said
    return states, broken and broken.group(1)


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """All of them, side by side: {(pair, rule that is left out or None): future of (states, what broke)}."""
    cases = [(pair, place) for pair in PAIRS for place in PLACES]
    cases += [("two-collectors", rule) for rule in (*RULES, *LATE_RULES)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {(pair, rule): pool.submit(explore, tmp_path_factory.mktemp("spin"), PAIRS[pair], f"-D{rule}",
                                         *(["-DLATE"] if rule in LATE_RULES else []),
                                         *PLACES.get(rule, {}).get(pair, []))
               for pair, rule in cases}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pair", PAIRS)
def test_holds_in_every_order(pair, place, explored):
    states, broken = explored[pair, place].result()
    assert broken is None
    print(f"{pair}, {place}: {states} states")


@pytest.mark.parametrize("rule", [*RULES, *LATE_RULES])
def test_no_rule_is_idle(rule, explored):
    """Without the rule a promise breaks: so the model can fail, and the rule is needed."""
    _, broken = explored["two-collectors", rule].result()
    assert broken and "assertion violated" in broken, f"nothing breaks without: {(RULES | LATE_RULES)[rule]}"
