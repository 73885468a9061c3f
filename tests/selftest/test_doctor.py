"""The whole suite as it is written from ONNX's tests."""

from __future__ import annotations

import subprocess
import sys

import onnx

from fuzz.doctor.suite import SMOKE, open_suite


def operators(case):
    return {(node.domain, node.op_type) for node in onnx.load(case.model_path, load_external_data=False).graph.node}


def test_the_quick_tests_hold_every_operator_that_any_test_has(tmp_path):
    # ONNX makes its tests while its modules are imported; in a process that is not measured, that takes half the time.
    code = "import pathlib, sys; from fuzz.doctor.suite import open_suite; open_suite(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    suite = open_suite(tmp_path)
    every = {one for name, case in suite.cases.items() if name not in SMOKE for one in operators(case)}
    quick = {one for name in suite.quick if name not in SMOKE for one in operators(suite.cases[name])}
    assert len(every) >= 205
    assert all(name.startswith("test_") for name in suite.cases if name not in SMOKE)
    assert quick == every
    assert len(suite.quick) <= len(every) + len(SMOKE)
    assert len(suite.cases) >= 2030
