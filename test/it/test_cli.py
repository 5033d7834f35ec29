# SPDX-License-Identifier: Apache-2.0
"""The command line: help, completion, JSON, and exit codes that do not change."""
import json
import os
import re
import subprocess

import pytest

import contract
import images
from images import MIB
from runner import EXIT


def commands(hf):
    """Every command, as 'holdfast help' lists it."""
    text = hf("help").text.split("Options of every command")[0]
    found = re.findall(r"^  ([a-z]+(?: [a-z]+)*)", text, re.MULTILINE)
    assert "protect domain" in found and "target key rotate" in found and len(found) > 15
    return found


def test_help_of_everything(hf):
    """Every command explains itself and its options; what is hidden is not listed."""
    for command in commands(hf):
        help_text = hf(*command.split(), "--help").text
        assert help_text == hf("help", *command.split()).text
        assert help_text.startswith(f"holdfast {command}")
        assert "--target" in help_text and "--help" in help_text
        # What is wrapped: all but the title and the examples.
        lines = help_text.split("\nExamples\n")[0].splitlines()[1:]
        assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    assert "freeze-guard" not in hf("help").text
    assert "key add" in hf("help", "target", "key").text and "protect" not in hf("help", "target", "key").text
    assert hf().text == hf("--help").text == hf("help").text


def test_what_the_contract_and_the_dashboard_name(hf):
    """The commands that are said to do the same as a request, or as a page, are there, with their options."""
    told = [o["x-cli"] for _, _, _, o in contract.operations() if "x-cli" in o]
    for page in (contract.FILE.parent / "web/src/pages").rglob("*.tsx"):
        told += re.findall(r"\bcli: ?['`]([^'`$]+)", page.read_text())
    assert len(told) > 60
    known, wrong = set(commands(hf)), []
    for words in told:
        command = next((c for c in (" ".join(words.split()[:n]) for n in (3, 2, 1)) if c in known), None)
        help_text = hf("help", *command.split()).text if command else ""
        wrong += [f"{words}: {o or 'no such command'}" for o in re.findall("--[a-z-]+", words) or [""] if o not in help_text or not command]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("words, said", [
    (["frobnicate"], ["'holdfast frobnicate'", "holdfast help"]),
    (["protect"], ["'holdfast protect'", "lacks a word"]),
    (["help", "frobnicate"], ["'holdfast frobnicate'"]),
    (["protect", "domain"], ["DOMAIN", "holdfast help protect domain"]),
    (["protect", "disk", "a", "b"], ["'b'", "holdfast help protect disk"]),
    (["protect", "domain", "a", "--frob"], ["--frob", "holdfast help protect domain"]),
    (["--frob"], ["--frob"]),
    (["checkpoint", "list", "-t"], ["-t", "needs a value"]),
    (["checkpoint", "list", "-o", "xml"], ["--output", "'xml'", "table, json"]),
    (["checkpoint", "list"], ["--target", "HOLDFAST_TARGET"]),
    (["checkpoint", "list", "-t", "dir:"], ["dir:PATH"]),
    (["protect", "stdin"], ["--name"]),
    (["protect", "domain", "a", "--consistency", "maybe"], ["--consistency", "'maybe'", "required"]),
    (["protect", "domain", "a", "--freeze-timeout", "soon"], ["--freeze-timeout", "'soon'", "10s"]),
    (["protect", "domain", "a", "--freeze-timeout", "0s"], ["--consistency off"]),
    (["protect", "domain", "a", "--scratch-reserve", "much"], ["--scratch-reserve", "'much'", "512MiB"]),
    (["protect", "domain", "a", "--compression", "20"], ["--compression", "'20'", "19"]),
    (["protect", "disk", "a", "--delta", "maybe"], ["--delta", "'maybe'", "auto, on, off"]),
    (["protect", "domain", "a", "--tag", "novalue"], ["--tag", "'novalue'", "KEY=VALUE"]),
    (["completion", "tcsh"], ["'tcsh'", "bash"]),
], ids=lambda v: "_".join(v).replace("/", "") if isinstance(v, list) else None)
def test_wrong_usage(hf, words, said):
    """What is wrong and what to do about it."""
    done = hf(*words, code="invalid")
    for word in said:
        assert word in done.err, done.err
    assert len(done.err.strip().splitlines()) == 1 and done.out == b""


def test_unknown_target(hf):
    done = hf("checkpoint", "list", "-t", "ftp:x", code="unsupported")
    assert "'ftp:x'" in done.err and "dir:PATH" in done.err


def test_errors_as_json(hf, folder):
    """With -o json every error is one object, those of the command line's own as well."""
    for words, kind in ((["protect", "stdin", "-o", "json"], "invalid"),
                        (["-o", "json", "frobnicate"], "invalid"),
                        (["-o", "json", "checkpoint", "list", "--frob"], "invalid"),
                        (["checkpoint", "show", "--output=json"], "invalid"),
                        (["checkpoint", "list", "-o", "json", "-t", f"dir:{folder}/none"], "not-found")):
        error = hf(*words, code=kind).error
        assert error["kind"] == kind and error["message"] and error["retryable"] is False


def test_version(hf):
    text = hf("version").text
    number = hf("version", "-o", "json").json
    assert text.strip() == f"holdfast {number['version']}" and number["repository_format"] == 1


def test_exit_codes_are_told(hf):
    """The numbers in the manual page are those that programs get."""
    source = os.path.join(os.path.dirname(__file__), "../../src/base/err.c")
    with open(source, encoding="utf-8") as f:
        table = dict(re.findall(r'\{"([a-z-]+)", (\d+), \d+', f.read()))
    table.pop("none")
    assert {kind: int(code) for kind, code in table.items()} == EXIT


def bash_completion(hf, folder, line):
    """What bash offers after these words."""
    rules = folder / "rules"
    rules.write_text(hf("completion", "bash").text)
    words = line.split(" ")
    quoted = " ".join(f"'{w}'" for w in words)
    done = subprocess.run(["bash", "-c", f"source {rules}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1};"
                           '_holdfast; printf "%s\\n" "${COMPREPLY[@]}"'],
                          capture_output=True, text=True, timeout=30, check=True, cwd=folder)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completion(hf, folder):
    """At every place the words that go on from there, and the options of that command."""
    (folder / "some.raw").touch()
    assert {"target", "protect", "checkpoint", "restore", "help"} <= set(bash_completion(hf, folder, "holdfast "))
    assert bash_completion(hf, folder, "holdfast prot") == ["protect"]
    assert set(bash_completion(hf, folder, "holdfast protect ")) == {"domain", "disk", "stdin"}
    assert set(bash_completion(hf, folder, "holdfast target key ")) == {"list", "add", "remove", "rotate"}
    assert bash_completion(hf, folder, "holdfast -t dir:/x target k") == ["key"]
    assert {"--consistency", "--target"} <= set(bash_completion(hf, folder, "holdfast protect domain web --"))
    assert "--consistency" not in bash_completion(hf, folder, "holdfast protect disk --")
    assert bash_completion(hf, folder, "holdfast protect disk some") == ["some.raw"]
    assert set(bash_completion(hf, folder, "holdfast completion ")) == {"bash", "zsh", "fish"}
    for command in commands(hf):
        help_text = hf("help", *command.split()).text
        options = set(re.findall(r"^ +(?:-., )?(--[a-z-]+)", help_text, re.MULTILINE))
        assert options == set(bash_completion(hf, folder, f"holdfast {command} --")), command


def test_other_completions(hf):
    for shell in ("zsh", "fish"):
        text = hf("completion", shell).text
        assert "protect" in text and "restore" in text and "freeze-guard" not in text


def test_everything_prints_json(repo, folder):
    """Every command that reports something, and the same for people."""
    disk = images.raw_file(folder / "d.raw", 8 * MIB, [(MIB, MIB, 1)])
    point = repo.protect_disk(disk, "--name", "d", "--tag", "a=1")
    other = repo.protect_stdin("s", b"stream")
    repo.run("checkpoint", "diff", point.id, other.id, "--disk", "other", code="not-found")
    other = repo.protect_disk(disk, "--name", "d")
    repo.run("target", "key", "add", "--new-key-file", folder / "second").json["id"]
    for words in (["target", "show"], ["target", "key", "list"], ["checkpoint", "list"],
                  ["checkpoint", "show", point.id], ["checkpoint", "diff", point.id, "latest", "--disk", "disk"],
                  ["checkpoint", "verify", "--all"]):
        assert repo.run(*words).json is not None
        text = repo.holdfast.run(*words, *repo.where).text
        assert text.strip() and not text.lstrip().startswith(("{", "["))
    assert repo.run("checkpoint", "delete", other.id, "--yes").json == {"deleted": [other.id]}
    assert json.loads(repo.run("checkpoint", "show", "d@latest").out)["id"] == point.id


def test_progress_goes_to_standard_error(repo, folder):
    """Results can be piped; -q says nothing else."""
    disk = images.raw_file(folder / "d.raw", 8 * MIB, [(MIB, MIB, 1)])
    done = repo.holdfast.run("protect", "disk", disk, *repo.where, "-q")
    assert done.err == "" and "checkpoint" in done.text
    assert "first seen at" in repo.holdfast.run("checkpoint", "show", "none", *repo.where, "-v", code="not-found").err


def test_environment(repo, holdfast, folder):
    """Target and key from the environment; an option goes before it."""
    env = {"HOLDFAST_TARGET": f"dir:{repo.path}", "HOLDFAST_KEY_FILE": str(repo.key)}
    assert holdfast.run("target", "show", "-o", "json", env=env).json["key_slots"] == 1
    done = holdfast.run("target", "show", "-t", f"dir:{folder}/other", env=env, code="not-found")
    assert f"{folder}/other" in done.err


def test_no_libvirt(repo, holdfast, folder):
    """Nobody answers: where was asked."""
    uri = f"qemu+unix:///system?socket={folder}/none"
    for words in (["resource", "list"], ["protect", "domain", "x"]):
        error = repo.run(*words, "-c", uri, code="unreachable").error
        assert uri in error["message"] and error["retryable"]


def test_no_terminal(repo):
    """Nothing can be asked: the option is named, nothing is deleted."""
    repo.protect_stdin("s", b"x")
    error = repo.run("checkpoint", "delete", "latest", code="invalid").error
    assert "--yes" in error["message"] and len(repo.points()) == 1
    done = repo.holdfast.run("target", "show", "-t", f"dir:{repo.path}", code="invalid")
    assert "--key-file" in done.err and "HOLDFAST_KEY_FILE" in done.err


def test_output_that_cannot_be_written(repo):
    """A full disk behind standard output is not success."""
    repo.protect_stdin("s", images.noise(MIB, 1))
    with open("/dev/full", "wb") as full:
        for words in (["checkpoint", "list"], ["checkpoint", "cat", "latest", "stdin"],
                      ["restore", "disk", "latest", "stdin", "-"]):
            done = repo.run(*words, stdout=full, code="no-space")
            assert "standard output" in done.error["message"]


# ---- checkpoints

def test_naming_checkpoints(repo):
    """Id, first digits, latest, NAME@latest."""
    first, second = repo.protect_stdin("a", b"1"), repo.protect_stdin("b", b"2")

    def shown(ref, **how):
        return repo.run("checkpoint", "show", ref, **how)

    assert shown(first.id).json["id"] == shown(first.id[:8]).json["id"] == shown("a@latest").json["id"] == first.id
    assert shown("latest").json["id"] == shown(second.id.upper()).json["id"] == second.id
    for ref, kind in (("abc", "invalid"), ("00000000-0000", "not-found"), ("c@latest", "not-found")):
        message = shown(ref, code=kind).error["message"]
        assert ref.split("@")[0] in message and ("checkpoint list" in message or "digits" in message)
    listed = repo.run("checkpoint", "list", "-r", "a").json
    assert [p["id"] for p in listed] == [first.id]
    assert [p["id"] for p in repo.run("checkpoint", "list").json] == [first.id, second.id]


def test_no_checkpoints_yet(repo):
    assert repo.run("checkpoint", "list").json == []
    assert "no checkpoints" in repo.run("checkpoint", "show", "latest", code="not-found").error["message"]
    assert repo.run("checkpoint", "verify", "--all").json["checkpoints"] == 0
    assert "--all" in repo.run("checkpoint", "verify", code="invalid").error["message"]


def test_diff(repo, folder):
    """Exactly the blocks that differ."""
    disk = images.raw_file(folder / "d.raw", 16 * MIB, [(0, 2 * MIB, 1)])
    first = repo.protect_disk(disk, "--name", "d")
    images.write_into(disk, 5 * MIB, images.noise(131072, 2), "raw")
    images.write_into(disk, 9 * MIB + 1024, b"x" * 512, "raw")
    os.truncate(disk, 20 * MIB)
    second = repo.protect_disk(disk, "--name", "d")
    diff, = repo.run("checkpoint", "diff", first.id, second.id, "--ranges").json["disks"]
    assert (diff["old_bytes"], diff["new_bytes"]) == (16 * MIB, 20 * MIB)
    assert diff["changed_bytes"] == sum(r["length"] for r in diff["ranges"])
    assert diff["changed_ranges"] == len(diff["ranges"])
    within = [(r["offset"], r["length"]) for r in diff["ranges"] if r["offset"] < 16 * MIB]
    assert within == [(5 * MIB, 131072), (9 * MIB, 65536)]
    same, = repo.run("checkpoint", "diff", first.id, first.id).json["disks"]
    assert same["changed_bytes"] == 0 and "ranges" not in same
    repo.run("checkpoint", "diff", first.id, second.id, "--disk", "vda", code="not-found")


def test_deleting_one_leaves_the_others(repo, folder):
    """No checkpoint depends on another."""
    disk = images.raw_file(folder / "d.raw", 16 * MIB, [(0, 2 * MIB, 1)])
    points = []
    for number in range(3):
        images.write_into(disk, (4 + number) * MIB, images.noise(MIB, number), "raw")
        points.append((repo.protect_disk(disk, "--name", "d"), images.copy(disk, folder / f"{number}.held")))
    for gone in (0, 2):
        repo.run("checkpoint", "delete", points[gone][0].id, "--yes")
        repo.run("checkpoint", "show", points[gone][0].id, code="not-found")
    assert [p.id for p in repo.points()] == [points[1][0].id]
    assert repo.verify()["damaged_ranges"] == 0
    assert repo.gives_back(points[1][0], "disk", points[1][1])


def test_verify_finds_damage(repo, folder):
    """Which checkpoint, which disk, which bytes; and what is whole still restores."""
    disk = images.raw_file(folder / "d.raw", 8 * MIB, [(0, 8 * MIB, 1)])
    bad = repo.protect_disk(disk, "--name", "bad")
    packs = set(repo.packs())
    good = repo.protect_stdin("good", images.noise(MIB, 2))
    pack, = packs
    repo.damage(pack)
    done = repo.run("checkpoint", "verify", "--all", code="corrupt")
    assert done.json["damaged_checkpoints"] == 1 and done.json["checkpoints"] == 2
    finding = done.json["findings"][0]
    assert (finding["checkpoint"], finding["resource"], finding["disk"]) == (bad.id, "bad", "disk")
    assert 0 <= finding["offset"] < 8 * MIB and finding["length"] <= 2 * 65536
    assert "target repair" in done.error["message"]
    repo.run("checkpoint", "verify", good.id)
    repo.run("checkpoint", "verify", bad.id, code="corrupt")
    message = repo.run("restore", "disk", bad.id, "disk", folder / "out", code="corrupt").error["message"]
    assert pack.name[:8] in message or "damaged" in message
    assert not (folder / "out").exists()
