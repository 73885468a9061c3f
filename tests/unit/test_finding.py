import json
import shutil
from pathlib import Path

import pytest

from fuzz.errors import CaseError, UsageError
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.triage.finding import examine, read_finding

FINDING = Path(__file__).parents[2] / "findings" / "onnxruntime-max-int64"


def test_a_finding_knows_its_target_and_how_it_fails():
    finding = read_finding(FINDING)
    assert (finding.name, finding.target) == ("onnxruntime-max-int64", "onnxruntime")
    assert str(finding.signature) == "wrong (value)"
    assert len(finding.case.feeds) == 1


def test_another_backend_fails_in_its_own_way():
    assert read_finding(FINDING, "tvm").signature is None
    again = read_finding(FINDING, "onnxruntime==1.20.1:opt=0")
    assert again.target == "onnxruntime==1.20.1:opt=0"
    assert again.signature == read_finding(FINDING).signature


def test_examined_it_fails_as_it_is_told():
    finding = read_finding(FINDING)
    assert examine(finding.case, parse_target(finding.target), Limits(60.0, 4 << 30)).signature == finding.signature


def test_folders_that_hold_no_finding(tmp_path):
    with pytest.raises(CaseError, match=r"holds no model\.onnx"):
        read_finding(tmp_path)
    shutil.copytree(FINDING, tmp_path / "case")
    (tmp_path / "case" / "verdict.json").write_text("{", "utf-8")
    with pytest.raises(CaseError, match="cannot be read"):
        read_finding(tmp_path / "case")
    (tmp_path / "case" / "verdict.json").write_text(json.dumps({"signature": {"word": "wrong", "what": 1}}), "utf-8")
    with pytest.raises(UsageError, match="give --backend TARGET"):
        read_finding(tmp_path / "case")
    assert read_finding(tmp_path / "case", "onnxruntime").signature is None
