"""The file of expectations: what it says, which case and target an entry speaks of, what is refused."""

from __future__ import annotations

import sys

import pytest

from fuzz.errors import UsageError
from fuzz.execute.target import Target, parse_target
from fuzz.regress.expectations import read_expectations

WHOLE = """\
# What this team knows.
targets = ["onnxruntime", "tvm"]
require = true

[[xfail]]
case = "max-*"
target = "onnxruntime"
versions = ">=1.20,<1.33"
verdict = "wrong"
reason = "Max of int64 compares the low 32 bits"
link = "https://tracker/1"

[[xfail]]  # not always
case = "a/b"
target = 'tvm:opt=0'
strict = false
reason = '''
[[xfail]]
# no entry, and no comment: a text of several lines'''
"""
LEAST = '[[xfail]]\ncase = "c"\ntarget = "onnxruntime"\nreason = "r"\n'


@pytest.fixture
def read(tmp_path):
    def parse(text: str):
        path = tmp_path / "expectations.toml"
        path.write_text(text, "utf-8")
        return read_expectations(path)

    return parse


def target(text: str = "onnxruntime", version: str | None = None) -> Target:
    found = parse_target(text)
    return found if version is None else Target(**{**{k: getattr(found, k) for k in FIELDS}, "version": version})


FIELDS = ("canonical", "backend", "version", "options", "device", "entry", "python", "environment", "home")


def test_what_a_file_says(read, tmp_path):
    known = read(WHOLE)
    assert (known.targets, known.require) == (("onnxruntime", "tvm"), True)
    first, second = known.entries
    assert first.place == f"{tmp_path}/expectations.toml:5"
    assert (first.case, first.versions, first.verdict, first.strict) == ("max-*", ">=1.20,<1.33", "wrong", True)
    assert first.said == "Max of int64 compares the low 32 bits (https://tracker/1)"
    assert (second.line, second.target, second.strict, second.versions) == (13, "tvm:opt=0", False, "")


def test_a_file_without_entries_says_nothing(read):
    assert read("").entries == ()
    assert read("xfail = []\n").entries == ()


@pytest.mark.parametrize(
    ("case", "covered"), [("max-int64", True), ("max-", True), ("max-a/b", True), ("maximum", False), ("MAX-a", False)]
)
def test_a_case_is_a_glob(read, case, covered):
    assert read(WHOLE).entries[0].covers(case) is covered


@pytest.mark.parametrize(
    ("entry", "asked", "named"),
    [
        ("onnxruntime", "onnxruntime", True),
        ("onnxruntime", "onnxruntime:opt=0", True),
        ("onnxruntime:opt=0", "onnxruntime:opt=0", True),
        ("onnxruntime:opt=0", "onnxruntime:opt=0,fault=nan-relu", True),
        ("onnxruntime:opt=0", "onnxruntime", False),
        ("onnxruntime:opt=0", "onnxruntime:opt=1", False),
        ("openvino", "onnxruntime", False),
        ("onnxruntime@cpu", "onnxruntime", True),
        ("onnxruntime@cuda", "onnxruntime", False),
        (f"onnxruntime:python={sys.executable}", f"onnxruntime:python={sys.executable}", True),
        ("onnxruntime:python=/elsewhere", f"onnxruntime:python={sys.executable}", False),
        ("onnxruntime:env.A=1", "onnxruntime:env.A=1", True),
        ("onnxruntime:env.A=1", "onnxruntime:env.A=2", False),
    ],
)
def test_a_target_is_narrowed_by_its_options(read, entry, asked, named):
    (known,) = read(LEAST.replace('"onnxruntime"', f'"{entry}"')).entries
    assert known.names(target(asked.replace(",fault=nan-relu", ""))) is named


@pytest.mark.parametrize(
    ("versions", "version", "reached"),
    [
        ("", "1.31.1", True),
        ("", "", True),
        ("<1.33", "1.31.1", True),
        ("<1.33", "1.33", False),
        ("<1.33", "1.33.0.dev20260101", False),  # a nightly build of 1.33 is none of 1.32
        ("<1.33", "1.32.1.dev3", True),
        (">=1.20,<1.30", "1.31.1", False),
        ("==1.31.*", "1.31.1", True),
        ("<1.33", "", False),  # nobody knows
        ("<1.33", "main-5c3f", False),
    ],
)
def test_versions_are_a_range(read, versions, version, reached):
    known = read(f'{LEAST}versions = "{versions}"\n')
    assert known.entries[0].reaches(version) is reached
    assert bool(known.of("c", target(version=version))) is reached


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[[xfail]\n", 1, "no TOML"),
        ('[[xfail]]\ncase = "c\n', 2, "no TOML"),
        ("targets = 'tvm'\n", 1, "targets is a list"),
        ("require = true\ntargets = [1]\n", 2, "targets is a list of targets"),
        ("\nrequired = true\n", 2, "required is unknown (did you mean require?)"),
        ("[expectations]\n", 1, "expectations is unknown"),
        (f"{LEAST}reasons = 'x'\n", 5, "reasons is unknown (did you mean reason?)"),
        (f"{LEAST}\n{LEAST}strict = 1\n", 10, "strict is true or false"),
        ('[[xfail]]\ncase = "c"\ntarget = "tvm"\n', 1, "reason is missing"),
        ('[[xfail]]\ncase = " "\ntarget = "tvm"\nreason = "r"\n', 2, "case is empty"),
        (LEAST.replace("onnxruntime", "onnxrumtime"), 3, "did you mean onnxruntime?"),
        (LEAST.replace("onnxruntime", "onnxruntime==1.31"), 3, "versions apart"),
        (LEAST.replace("onnxruntime", "onnxruntime:opt"), 3, "OPTION=VALUE"),
        (f"{LEAST}verdict = 'ok'\n", 5, "'ok' is no failure"),
        (f"{LEAST}verdict = 'flaky'\n", 5, "there is crash, nondeterministic, oom"),
        (f"{LEAST}versions = '1.33'\n", 5, "'1.33' is no range"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(read, tmp_path, text, line, said):
    with pytest.raises(UsageError) as told:
        read(text)
    message = str(told.value)
    assert message.startswith(f"{tmp_path}/expectations.toml:{line}: ")
    assert said in message
    assert "\n" not in message


def test_entries_in_one_line_cannot_be_told_by_line(read):
    with pytest.raises(UsageError, match="under a line"):
        read('xfail = [{case = "c", target = "tvm", reason = "r"}]\n')


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        read_expectations(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot read"):
        read_expectations(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe4\n")
    with pytest.raises(UsageError, match="UTF-8"):
        read_expectations(tmp_path / "latin.toml")
