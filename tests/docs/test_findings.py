"""docs/findings.md and findings/: a row for each case and a case for each row, each a standard ONNX test case."""

from __future__ import annotations

import json
import re
from pathlib import Path

import onnx
import pytest

from backends.registry import BACKENDS
from corpus.preparation import prepare
from fuzz.bisect.matrix import markdown, tables
from fuzz.bisect.record import Record
from fuzz.case import find_cases, read_inputs, read_outputs
from fuzz.judge.verdict import FINDINGS
from fuzz.signature import read_signature
from fuzz.triage.finding import read_finding

HERE = Path(__file__).parents[2]
FOLDERS = sorted(path for path in (HERE / "findings").iterdir() if path.is_dir())


def test_each_case_has_a_row_and_each_row_a_case():
    rows = re.findall(r"^\| ([a-z0-9-]+) \|", (HERE / "docs" / "findings.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(row for row in rows if row not in {"id", "finding"}) == [folder.name for folder in FOLDERS]


def test_the_table_of_versions_is_what_the_findings_tell():
    text = (HERE / "docs" / "findings.md").read_text("utf-8")
    shown = text.split("<!-- fuzz matrix findings --known -->\n")[1].split("<!-- end -->")[0]
    records = [Record(read_finding(folder)) for folder in FOLDERS]
    assert all(record.states.get(_version(record)) == "bad" for record in records if record.answers)
    asked = [record for record in records if record.answers]
    assert shown == markdown(tables(asked))
    wanted = {"onnxruntime": 8, "openvino": 4, "tvm": 3}
    for table in tables(asked):
        assert len(table.versions) == wanted.pop(table.backend, len(table.versions))
    assert wanted == {}


def _version(record):
    return json.loads((record.finding.folder / "verdict.json").read_text("utf-8"))["version"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_case_is_whole(folder):
    said = json.loads((folder / "verdict.json").read_text("utf-8"))
    assert said["target"] in BACKENDS
    assert folder.name.startswith(f"{said['target']}-")
    assert said["version"]
    assert said["verdict"]["verdict"] == said["signature"]["word"]
    assert said["signature"]["word"] in FINDINGS
    (case,) = find_cases(folder)
    ports = read_signature(folder / "model.onnx")
    (data_set,) = sorted(folder.glob("test_data_set_*"))
    assert len(read_inputs(case, data_set, ports)) == len(ports.inputs)
    assert len(read_outputs(case, data_set)) == len(ports.outputs)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_is_valid(folder):
    onnx.checker.check_model(onnx.load(folder / "model.onnx"), full_check=True)


_EXPORTERS = re.findall(
    r"`(\w+): \.\.\. ([^`]*)`\n\n```python\n(.*?)```",
    (HERE / "docs" / "findings.md").read_text("utf-8").split("\n## Exporters\n")[1].split("\n## ")[0],
    re.DOTALL,
)


def test_each_program_of_the_exporters_stands_behind_what_it_raises():
    section = (HERE / "docs" / "findings.md").read_text("utf-8").split("\n## Exporters\n")[1].split("\n## ")[0]
    assert len(_EXPORTERS) == section.count("```python") == 9


@pytest.mark.parametrize(("kind", "message", "program"), _EXPORTERS, ids=lambda text: text.partition("\n")[0][:40])
def test_a_program_that_an_exporter_fails_does_what_is_said_of_it(kind, message, program, recwarn):
    """Each block of code in the section on exporters raises what stands before it."""
    pytest.importorskip("torch", reason="it is PyTorch's exporter")
    if "transformers" in program:
        pytest.importorskip("transformers", reason="it is a model of transformers")
        prepare()
    with pytest.raises(Exception, match=re.escape(message)) as raised:
        exec(program, {"__name__": "example"})  # noqa: S102 - a program of our own page
    assert type(raised.value).__name__ == kind
