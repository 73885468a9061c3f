"""`fuzz bisect` and `fuzz matrix`, on a plug-in whose compiler comes in versions and in commits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest

RIGHT, WRONG = "SIGN = -1", "SIGN = 1"
BUILD = """
set -e
grep -q broken toy_compiler.py && exit 3
python -m venv --without-pip "$FUZZ_OUT/venv"
cp toy_compiler.py "$FUZZ_OUT"/venv/lib/python*/site-packages/
echo "$FUZZ_COMMIT" >>"$JOURNAL"
"""


@pytest.fixture
def case(tmp_path, add_case):
    return add_case(tmp_path / "found", "neg", "g (float[2] x) => (float[2] y) { y = Neg (x) }", np.ones(2, np.float32))


def words(told: dict, by: str = "version") -> dict[str, str]:
    return {row[by]: row["word"] for row in told["versions" if by == "version" else "commits"]}


def test_releases_are_searched_and_the_table_shows_them(plugin, fuzz, case, unmeasured):
    done = fuzz("bisect", case, "--backend", "negating==5.0", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    # 3.0 is wrong in another way: it is named, and counts for nothing.
    assert words(told) == {"1.0": "skip", "3.0": "other", "4.0": "bad", "5.0": "bad", "6.0": "good"}
    assert told["said"] == "since 4.0, the oldest that tells, fixed in 6.0"
    assert "unsupported" in told["versions"][0]["said"]
    assert "3.0 where -1.0 is due" in told["versions"][1]["said"]
    assert "neg on 4.0: bad" in done.stderr

    again = fuzz("bisect", case, "--backend", "negating==5.0")
    assert again.returncode == 1
    assert again.stdout.splitlines()[-1] == "neg: since 4.0, the oldest that tells, fixed in 6.0"
    assert "installing" not in again.stderr
    assert [line for line in again.stderr.splitlines() if " on " in line] == []

    every = fuzz("bisect", case, "--backend", "negating==5.0", "--all", "--json")
    told = json.loads(every.stdout)
    assert words(told)["2.0"] == "good"
    assert "5.1rc1" not in words(told)
    assert told["said"] == "since 4.0 at the latest (2.0 is right), fixed in 6.0"
    assert told["spans"] == [{"first_bad": "4.0", "last_bad": "5.0", "good_before": "2.0", "fixed": "6.0"}]

    only = fuzz("bisect", case, "--backend", "negating==5.0", "--versions", "..2.0", "--again", "--json")
    assert words(json.loads(only.stdout)) == {"1.0": "skip", "2.0": "good", "5.0": "bad"}

    (case / "verdict.json").write_text(json.dumps({
        "target": "negating", "version": "5.0",
        "signature": {"word": "wrong", "stage": "", "symptom": "value", "message": "", "frames": []},
    }), "utf-8")  # fmt: skip
    table = fuzz("matrix", case.parent)
    assert table.returncode == 1, table.stderr
    (row,) = [line for line in table.stdout.splitlines() if line.startswith("| `neg`")]
    said = "since 4.0 at the latest (2.0 is right), fixed in 6.0"
    assert row == f"| `neg` | - | good | other | bad | bad | good | {said} |"
    for form in ("md", "html", "json"):
        path = fuzz.home / f"table.{form}"
        known = fuzz("matrix", case, "--known", "--out", path)
        assert (known.returncode, known.stdout) == (1, f"{path}\n"), known.stderr
        assert "since 4.0 at the latest" in path.read_text("utf-8")
    assert json.loads(path.read_text("utf-8"))["tables"][0]["versions"] == ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0"]


@pytest.fixture
def repository(tmp_path):
    """Twelve commits: the fifth cannot be built, the seventh broke it."""
    place = tmp_path / "repository"
    place.mkdir()

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=place, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet")
    commits = []
    for number in range(1, 13):
        text = RIGHT if number < 7 else WRONG
        (place / "toy_compiler.py").write_text(f"{text}\n# {number}{' broken' if number == 5 else ''}\n", "utf-8")
        git("add", "--all")
        git("commit", "--quiet", "--message", f"Change {number}")
        commits.append(git("rev-parse", "HEAD"))
    (place / "toy_compiler.py").write_text("what I am at\n", "utf-8")
    return place, commits, git


@pytest.fixture
def bisect_commits(fuzz, case, repository, tmp_path):
    journal = tmp_path / "journal"

    def run(*more: object, build: str = BUILD):
        target = "negating:python={out}/venv/bin/python"
        done = fuzz(
            "bisect", case, "--backend", target, "--repo", repository[0], "--build", build, *more, JOURNAL=str(journal)
        )  # fmt: skip
        built = journal.read_text("utf-8").split() if journal.exists() else []
        journal.unlink(missing_ok=True)
        return done, built

    return run


def test_the_commit_that_broke_it(plugin, bisect_commits, repository, unmeasured):
    place, commits, git = repository
    head, index = git("rev-parse", "HEAD"), git("status", "--porcelain")
    done, built = bisect_commits("--good", commits[0], "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["first_bad"] == commits[6]
    assert told["said"] == f"neg: since {commits[6][:12]} (Change 7)"
    assert words(told, "commit")[commits[6]] == "bad"
    assert words(told, "commit")[commits[5]] == "good"
    assert len(told["commits"]) <= 7
    assert len(built) == len(set(built)) == sum(word != "skip" for word in words(told, "commit").values())

    again, built = bisect_commits("--good", commits[0], "--json")
    assert json.loads(again.stdout) == told
    assert built == []
    # The user's own tree is as it was.
    assert (git("rev-parse", "HEAD"), git("status", "--porcelain")) == (head, index)
    assert (place / "toy_compiler.py").read_text("utf-8") == "what I am at\n"

    # Without --good one is looked for; what was built is not built again.
    alone, built = bisect_commits("--again", "--bad", "HEAD~2")
    assert alone.returncode == 1, alone.stderr
    assert alone.stdout.splitlines()[-1] == f"neg: since {commits[6][:12]} (Change 7)"


def test_commits_that_cannot_be_built_hide_it(plugin, bisect_commits, repository, unmeasured):
    _, commits, _ = repository
    build = BUILD.replace("grep -q broken toy_compiler.py", "grep -qE '# (5|6|7)' toy_compiler.py")
    done, _ = bisect_commits("--good", commits[3], "--json", build=build)
    told = json.loads(done.stdout)
    assert (told["first_bad"], told["candidates"]) == (None, commits[4:8])
    assert "the build ended with 3" in next(r["said"] for r in told["commits"] if r["word"] == "skip")
    assert "cannot be told" in told["said"]


def test_misuse_of_commits(plugin, bisect_commits, repository, fuzz, case, tmp_path, refused):
    _, commits, _ = repository
    refused(bisect_commits("--good", "nonsense")[0], "nonsense is no commit")
    refused(bisect_commits("--good", commits[9], "--bad", commits[8])[0], "is not behind")
    refused(bisect_commits("--versions", "1.0")[0], "give one of the two")
    build = ("--build", "true", "--backend", "negating")
    refused(fuzz("bisect", case, *build), "commits need both")
    refused(fuzz("bisect", case, *build, "--repo", repository[0]), "{out}")
    refused(fuzz("bisect", case, "--backend", "negating:python={out}/p", "--build", "true", "--repo", tmp_path), "git")
    refused(fuzz("bisect", case, "--backend", "negating", "--good", "HEAD"), "need --build CMD --repo DIR")


def test_misuse(plugin, fuzz, case, tmp_path, refused):
    refused(fuzz("bisect", tmp_path), "holds no model.onnx")
    refused(fuzz("bisect", case), "give --backend TARGET")
    refused(fuzz("bisect", case, "--backend", "nothing"), "unknown backend 'nothing'")
    refused(fuzz("bisect", case, "--backend", "negating:python=/usr/bin/python3"), "a build of your own")
    refused(fuzz("bisect", case, "--backend", "negating==5.0", "--versions", "5.0,newest"), "'newest' is no version")
    refused(fuzz("matrix", tmp_path / "nowhere"), "no folder")
    refused(fuzz("matrix", tmp_path), "no finding lies in")
    (case / "verdict.json").write_text('{"target": "negating"}', "utf-8")
    refused(fuzz("matrix", case, "--of", "tvm"), "no finding of tvm")
    refused(fuzz("matrix", case, "--known", "--again"), "--known runs nothing")
    refused(fuzz("matrix", case, "--out", "table.pdf"), "table.pdf has no form", ".html")
    refused(fuzz("matrix", case, "--versions", "tvm=0.25.0"), "no finding of 'tvm'")


def test_a_case_that_does_not_fail(plugin, fuzz, case, refused, unmeasured):
    done = fuzz("bisect", case, "--backend", "negating==6.0", "--versions", "6.0")
    refused_lines = [line for line in done.stderr.splitlines() if line.startswith("fuzz:")]
    assert (done.returncode, done.stdout) == (2, "")
    assert "neg does not fail on negating==6.0: it is ok" in refused_lines[0]


def test_what_was_answered_is_kept_when_it_is_interrupted(plugin, bisect_commits, repository, fuzz, case, tmp_path):
    _, commits, _ = repository
    build = BUILD + 'test "$(grep -c . "$JOURNAL")" = 2 && touch "$HERE/hangs" && sleep 1000\ntrue\n'
    command = [
        fuzz.program, "bisect", case, "--backend", "negating:python={out}/venv/bin/python", "--repo", repository[0],
        "--build", build, "--good", commits[0],
    ]  # fmt: skip
    journal = tmp_path / "journal"
    environment = {**os.environ, "JOURNAL": str(journal), "HERE": str(tmp_path)}
    process = subprocess.Popen(command, cwd=fuzz.home, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "hangs").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command to go on" in said
    kept = json.loads((case / "bisect-commits.json").read_text("utf-8"))["commits"]
    assert kept == {commits[11]: {"word": "bad", "said": ""}}
