"""The files for CI systems: valid by the systems' own schemas, and each line in them does what it is there for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

HOME = Path(__file__).parents[2]
GITHUB, GITLAB = HOME / "docs" / "ci" / "github-actions.yml", HOME / "docs" / "ci" / "gitlab-ci.yml"
SCHEMAS = {GITHUB: "vendor.github-workflows", GITLAB: "vendor.gitlab-ci"}
BUG = HOME / "findings" / "onnxruntime-max-int64"


@pytest.mark.parametrize("page", SCHEMAS, ids=lambda page: page.stem)
def test_a_file_is_valid(page):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[page], str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", SCHEMAS, ids=lambda page: page.stem)
def test_the_schema_would_tell(page, tmp_path):
    broken = tmp_path / page.name
    text = page.read_text("utf-8")
    broken.write_text(text.replace("runs-on:", "run-on:").replace("when: always", "when: perhaps"), "utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[page], str(broken)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def jobs(page: Path) -> dict[str, list[str]]:
    """The shell of each job, step by step, and its files that are kept."""
    content = YAML(typ="safe").load(page.read_text("utf-8"))
    if page == GITHUB:
        return {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in content["jobs"].items()}
    shared = content[".fuzz"]["before_script"]
    return {name: [*shared, *content[name]["script"]] for name in ("gate", "night")}


def kept(page: Path, job: str) -> set[str]:
    """The files and folders that a job publishes."""
    content = YAML(typ="safe").load(page.read_text("utf-8"))
    if page == GITHUB:
        steps = content["jobs"][job]["steps"]
        return {line for s in steps if "upload-artifact" in s.get("uses", "") for line in s["with"]["path"].split()}
    artifacts = content[job]["artifacts"]
    return {*artifacts.get("paths", ()), artifacts["reports"]["junit"]}


@pytest.fixture
def run(tmp_path):
    """Run the shell of a job as its system does, in a repository with one case that fails; its exit code."""
    shutil.copytree(BUG, tmp_path / "cases" / BUG.name)

    def job(page: Path, name: str) -> list[int]:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "FUZZ_TARGET": "onnxruntime", "FUZZ_NIGHT": "1",
            "GITHUB_RUN_NUMBER": "3", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "CI_PIPELINE_IID": "3",
        }  # fmt: skip
        steps = jobs(page)[name]
        assert steps[0] == "python -m pip install --requirement cases/requirements.txt"  # not from here
        scripts = steps[1:] if page == GITHUB else ["\n".join(steps[1:])]  # one shell for all lines
        return [
            subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=False).returncode
            for script in scripts
        ]

    return job


@pytest.mark.parametrize("page", SCHEMAS, ids=lambda page: page.stem)
def test_the_gate_is_red_and_then_green(run, page, tmp_path):
    assert run(page, "gate") == [1]
    assert all((tmp_path / path).exists() for path in kept(page, "gate"))
    entry = f'[[xfail]]\ncase = "{BUG.name}"\ntarget = "onnxruntime"\nreason = "known"\n'
    (tmp_path / "cases" / "expectations.toml").write_text(entry, "utf-8")
    assert run(page, "gate") == [0]


@pytest.mark.parametrize("page", SCHEMAS, ids=lambda page: page.stem)
def test_the_night_leaves_its_findings_and_a_page(run, page, tmp_path):
    codes = run(page, "night")
    assert codes in ([0, 0], [1, 0]) if page == GITHUB else codes in ([0], [1])
    assert len(kept(page, "night")) == 3
    present = {path for path in kept(page, "night") if (tmp_path / path).exists()}
    assert present >= {"night.html", "night.xml"}  # and the findings, where a second has found some


@pytest.mark.parametrize("page", SCHEMAS, ids=lambda page: page.stem)
def test_what_is_kept_between_runs_is_where_fuzz_looks(page):
    text = page.read_text("utf-8")
    assert "/.fuzz-cache #" in text
    assert "FUZZ_CACHE" in text
