"""A build of one's own runs in the environment that the page describes: numpy, onnx, the build, nothing of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from onnx import parser, save_model

FUZZ = Path(sys.executable).with_name("fuzz")
# What onnx and ONNX Runtime import, beside what the page names.
PACKAGES = ("numpy", "numpy.libs", "ml_dtypes", "onnx", "google", "typing_extensions.py")
MODEL = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Relu (x) }'


def build(folder: Path) -> Path:
    """An environment whose "build" of ONNX Runtime stands in a source tree, and tells a variable when it is loaded."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (own,) = folder.glob("lib/python*/site-packages")
    here = Path(sysconfig.get_paths()["purelib"])
    for name in PACKAGES:
        if (here / name).exists():
            (own / name).symlink_to(here / name)
    tree = folder / "source" / "onnxruntime"
    tree.mkdir(parents=True)
    for path in (here / "onnxruntime").iterdir():
        if path.name != "__init__.py":
            (tree / path.name).symlink_to(path)
    first = here / "onnxruntime" / "__init__.py"
    told = "import os, sys; print('built with', os.environ['FLAVOUR'], file=sys.stderr, flush=True)\n"
    text = first.read_text(encoding="utf-8").replace("from __future__", "# from __future__")
    (tree / "__init__.py").write_text(told + text, encoding="utf-8")
    (own / "build.pth").write_text(str(tree.parent), encoding="utf-8")
    return folder / "bin" / "python"


def test_a_build_in_its_source_tree_is_a_target(tmp_path):
    python = build(tmp_path / "venv")
    save_model(parser.parse_model(MODEL), tmp_path / "model.onnx")
    target = f"onnxruntime:env.FLAVOUR=sanitizers,python={python}"
    done = subprocess.run(
        [FUZZ, "check", "model.onnx", "--backend", "onnxruntime", "--backend", target, "--json"],
        capture_output=True, text=True, cwd=tmp_path, check=False, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    verdicts = {row["target"]: row["verdict"] for row in json.loads(done.stdout)["verdicts"]}
    assert verdicts == {"onnxruntime": "ok", target: "ok"}
    # Without its variable the build cannot be loaded: it was that one which ran.
    done = subprocess.run(
        [FUZZ, "check", "model.onnx", "--backend", f"onnxruntime:python={python}"],
        capture_output=True, text=True, cwd=tmp_path, check=False, env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 2
    assert "FLAVOUR" in done.stderr
