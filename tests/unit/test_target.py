from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import backends
from backends.entry import Entry
from backends.passes import Passes
from backends.registry import BACKENDS
from fuzz.errors import TargetError
from fuzz.execute.target import backend_of, parse_target, parse_targets, version_in


def test_a_plain_name():
    target = parse_target("onnxruntime")
    assert (target.canonical, target.backend, target.options, target.device) == (
        "onnxruntime",
        "onnxruntime",
        (),
        "cpu",
    )
    assert target.python == sys.executable
    assert target.version


def test_options_are_sorted_and_the_default_device_is_dropped():
    target = parse_target("onnxruntime:threads=2,opt=0@cpu")
    assert target.canonical == "onnxruntime:opt=0,threads=2"
    assert target.options == (("opt", "0"), ("threads", "2"))


def test_the_canonical_text_means_the_same():
    text = "onnxruntime:env.B=1,disable=ConstantFolding+ConstantSharing,opt=1"
    target = parse_target(text)
    assert parse_target(target.canonical) == target


def test_the_version_that_is_installed_may_be_named():
    version = parse_target("tvm").version
    assert parse_target(f"tvm=={version}:opt=1").canonical == f"tvm=={version}:opt=1"


def test_a_build_of_a_release_is_that_release(monkeypatch):
    monkeypatch.setattr("fuzz.execute.target.installed_version", lambda _: "2.13.0+cpu")
    assert parse_target("tvm==2.13.0").version == parse_target("tvm==2.13.0+cpu").version == "2.13.0+cpu"


def test_a_local_build_has_its_own_interpreter_and_variables():
    target = parse_target(f"tvm:env.TVM_LOG=a=b,python={sys.executable}")
    assert target.python == sys.executable
    assert target.environment == (("TVM_LOG", "a=b"),)
    assert target.options == ()
    assert target.version == parse_target("tvm").version


def test_one_thread_unless_asked_for_more():
    assert parse_target("tvm").variables()["TVM_NUM_THREADS"] == "1"
    assert parse_target("tvm:threads=3").variables()["OMP_NUM_THREADS"] == "3"
    assert parse_target("tvm:env.OMP_NUM_THREADS=7").variables()["OMP_NUM_THREADS"] == "7"


def test_no_worker_sends_telemetry_unless_it_is_told_to():
    assert {parse_target(name).variables()["ORT_DISABLE_TELEMETRY"] for name in ("tvm", "onnxslim")} == {"1"}
    told = parse_target("onnxruntime:env.ORT_DISABLE_TELEMETRY=0")
    assert told.variables()["ORT_DISABLE_TELEMETRY"] == "0"


def test_the_same_target_counts_once():
    targets = parse_targets(("tvm:opt=0,threads=1", "reference", "tvm:threads=1,opt=0"))
    assert [target.canonical for target in targets] == ["tvm:opt=0,threads=1", "reference"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no target: write NAME"),
        ("tvm:", "is no option: write OPTION=VALUE"),
        ("tvm:opt", "'opt' in 'tvm:opt' is no option"),
        ("tvm:opt=", "is no option"),
        ("tvm:opt=1,,threads=1", "is no option"),
        ("tvm:opt=1,opt=2", "stands twice"),
        ("tmv", f"unknown backend 'tmv': known are {', '.join(sorted(BACKENDS))}"),
        ("onnxruntime:opt=7", "opt is 0, 1, 2, 3 or 99"),
        ("onnxruntime:disable=ConstantFolding,B", "'B' in"),
        ("onnxruntime:threads=0", "a number from 1 to 999"),
        ("openvino:fast=1", "'fast': it has mode, precision, disable, reload, threads, fault, python, env.NAME"),
        ("onnxruntime==1.2.3", r"1\.2\.3 is not installed \(.* is\): fuzz backends install onnxruntime==1\.2\.3"),
        ("onnxruntime==1/../2", "is no version: write onnxruntime==1"),
        (f"tvm==0.1:python={sys.executable}", "tvm==0.1 is asked for, but .* has 0"),
        ("tract@cuda", "tract runs on cpu, not on 'cuda'"),
        ("onnxruntime@cuda", "needs another distribution: pip install onnxruntime-gpu"),
        ("tvm:python=/nowhere/python", "is no interpreter"),
        ("jax@cuda", "jax@cuda needs another distribution: pip install jax-cuda12-plugin"),
            ("tvm:env.1=2", "has no option"),
    ],
)
def test_misuse_gets_one_line_that_helps(text, words):
    with pytest.raises(TargetError, match=words) as caught:
        parse_target(text)
    assert "\n" not in str(caught.value)


def test_what_is_not_installed_names_the_command():
    table = {"ghost": Entry("ghost", "backends.ghost", ("no-such-distribution",), ("no-such-distribution==1.0",))}
    with pytest.raises(TargetError, match=r"ghost is not installed: .*, or pip install no-such-distribution==1\.0"):
        parse_target("ghost", table)


def test_a_program_that_is_no_interpreter_is_refused(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexit 9\n", encoding="ascii")
    script.chmod(0o755)
    with pytest.raises(TargetError, match="does not run as a Python interpreter"):
        parse_target(f"tvm:python={script}")


@pytest.mark.parametrize("entry", BACKENDS.values(), ids=lambda entry: entry.name)
def test_the_table_is_whole(entry):
    if entry.problem:
        with pytest.raises(TargetError, match="^" + re.escape(entry.problem)):
            parse_target(entry.name)
        return
    file = entry.module.replace("backends.", "") + ".py"
    assert (Path(backends.__file__).parent / file).is_file()
    assert entry.requirements
    # What runs on a GPU alone was tested with no release.
    assert all("==" in requirement for requirement in (*entry.requirements, *entry.bare)) or "cpu" not in entry.devices
    for knob in entry.knobs:
        option = entry.option(knob.option)
        assert option is not None
        assert [value for value in knob.values if not option.allows(value)] == []


def test_a_pass_that_the_version_does_not_have_is_refused():
    with pytest.raises(TargetError, match=r"no pass 'ConstantFoldng' \(did you mean ConstantFolding\?\)"):
        parse_target("onnxruntime:disable=ConstantSharing+ConstantFoldng")


def test_a_version_that_nobody_listed_takes_any_name(monkeypatch):
    monkeypatch.setattr("fuzz.execute.target.load_passes", lambda _: Passes("onnxruntime", "0.1", ("A",)))
    assert dict(parse_target("onnxruntime:disable=B").options) == {"disable": "B"}


@pytest.mark.parametrize(("text", "backend", "version"), [
    ("tvm", "tvm", ""),
    ("onnxruntime==1.20.1:opt=0@cuda", "onnxruntime", "1.20.1"),
    ("onnxruntime:python=/a:b/c", "onnxruntime", ""),
    (" openvino@cpu ", "openvino", ""),
    ("no target at all", "no target at all", ""),
])  # fmt: skip
def test_what_a_text_names(text, backend, version):
    assert (backend_of(text), version_in(text)) == (backend, version)
