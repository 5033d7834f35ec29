#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Run commands and say what they cost. A program of its own, used by measure.py.

A process starts with the peak memory of the one that forked it, so the benchmark, which holds data sets in memory,
must not fork what it measures. This program imports next to nothing and does it instead: what it reports as peak
memory is never below its own few MiB.

Reads a request from standard input, writes the costs to standard output, both JSON:
  {"env": {...}, "log": PATH, "stages": [[{"argv": [...], "cwd": PATH, "stdin": PATH, "stdout": PATH, "stderr": PATH}, ...], ...]}
A stage is a pipeline; stages run one after the other until one fails.
"""
import json
import os
import sys
import time

MACHINE_TICKS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
BUSY = ("user", "nice", "system", "irq", "softirq", "steal")


def machine_busy_seconds():
    with open("/proc/stat", encoding="ascii") as f:
        ticks = dict(zip(MACHINE_TICKS, map(int, f.readline().split()[1:])))
    return sum(ticks[name] for name in BUSY) / os.sysconf("SC_CLK_TCK")


def open_new(path):
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def start(command, stdin, stdout, log, env):
    pid = os.fork()
    if pid:
        return pid
    try:
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.dup2(log, 2)
        os.closerange(3, 256)
        os.chdir(command["cwd"])
        os.execvpe(command["argv"][0], command["argv"], env)
    except OSError as error:
        os.write(2, f"{command['argv'][0]}: {error}\n".encode())
    os._exit(127)


def start_pipeline(commands, log, env):
    pids, previous = [], os.open(commands[0].get("stdin") or os.devnull, os.O_RDONLY)
    for command in commands:
        if command is commands[-1]:
            after, out = None, open_new(command.get("stdout") or os.devnull)
        else:
            after, out = os.pipe()
        said = open_new(command["stderr"]) if command.get("stderr") else os.dup(log)
        pids.append(start(command, previous, out, said, env))
        os.close(said)
        os.close(previous)
        os.close(out)
        previous = after
    return pids


def main():
    request = json.load(sys.stdin)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    costs = {"user": 0.0, "sys": 0.0, "peak_kib": 0, "codes": []}
    busy, began = machine_busy_seconds(), time.monotonic()
    for stage in request["stages"]:
        codes = []
        for pid in start_pipeline(stage, log, request["env"]):
            _, status, usage = os.wait4(pid, 0)
            codes.append(os.waitstatus_to_exitcode(status))
            # Of a process and those that it waited for itself: times add up, memory is the largest of them.
            costs["user"] += usage.ru_utime
            costs["sys"] += usage.ru_stime
            costs["peak_kib"] = max(costs["peak_kib"], usage.ru_maxrss)
        costs["codes"].append(codes)
        if any(codes):
            break
    costs["wall"] = time.monotonic() - began
    costs["others"] = max(0.0, machine_busy_seconds() - busy - costs["user"] - costs["sys"])
    json.dump(costs, sys.stdout)


if __name__ == "__main__":
    main()
