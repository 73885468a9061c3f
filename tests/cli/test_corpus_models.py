"""`fuzz corpus list` and `fuzz corpus install`, and the scripts that they are about, as somebody runs them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from corpus.catalogue import MODELS
from corpus.requirements import NEEDS

SMALLEST = {
    "selftest/linear.py": (), "selftest/several.py": (), "selftest/parametrised.py": ("--max_seq_length", "16"),
    "timm/timm.py": ("--model", "resnet18"), "transformers/bert.py": ("--batch_size", "2"),
    "transformers/transformers.py": ("--model", "t5", "--max_seq_length", "16"),
    "torchvision/torchvision.py": ("--model", "raft_small"), "torch_hub/vision.py": ("--model", "mnasnet0_5"),
    "diffusers/diffusers.py": ("--model", "vae_tiny"), "graph_convolutions/graph_convolutions.py": ("--k", "2"),
}  # fmt: skip
"""A script of each corpus that needs no network, with arguments."""

SAVE = """
import sys
from corpus.preparation import prepare
prepare()
import transformers
config = transformers.BertConfig(
    vocab_size=64, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
)
transformers.BertModel(config).save_pretrained(sys.argv[1])
"""

RUN_ALL = """
import json, runpy, sys
for script, words in json.loads(sys.argv[1]).items():
    sys.argv = [script, *words]
    ran = runpy.run_path(script, run_name="__main__")
    assert next(v for v in ran.values() if hasattr(v, "training") and not isinstance(v, type)).training is False, script
    print(script)
"""


def test_the_models_of_a_corpus_with_labels(fuzz):
    done = fuzz("corpus", "list", "transformers", "--labels", "task::NLP", "--labels", "test_group::turnkey", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (bert,) = json.loads(done.stdout)["models"]
    assert (bert["name"], bert["corpus"], bert["path"]) == ("bert", "transformers", "transformers/bert.py")
    assert bert["labels"]["author"] == ["huggingface_pytorch"]


def test_the_list_is_read_by_people_too(fuzz):
    done = fuzz("corpus", "list", "selftest", "timm.py::resnet18")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("selftest/linear.py")
    assert "timm/timm.py::resnet18" in lines[3]
    assert "task::Computer_Vision" in lines[3]
    assert lines[-1] == "4 models of 2 corpora"


def test_a_folder_of_ones_own(fuzz):
    (fuzz.home / "mine").mkdir()
    (fuzz.home / "mine" / "net.py").write_text("# labels: name::net author::me\n", "utf-8")
    done = fuzz("corpus", "list", "mine", "--json")
    assert [row["path"] for row in json.loads(done.stdout)["models"]] == ["net.py"]


def test_what_does_not_run_is_listed_with_its_reason(fuzz):
    rows = json.loads(fuzz("corpus", "list", "transformers.py", "--problems", "--json").stdout)["models"]
    assert rows
    assert all(row["problem"] for row in rows)


def test_misuse(fuzz, refused):
    refused(fuzz("corpus", "list", "resnet1800"), "'resnet1800'", "did you mean")
    refused(fuzz("corpus", "list", "--labels", "task:NLP"), "'task:NLP' is no label", "key::value")
    refused(fuzz("corpus", "install", "tim"), "no corpus 'tim' (did you mean timm?)")


def test_the_list_needs_no_library_of_the_corpus(fuzz):
    code = (
        "import sys; sys.argv = ['fuzz', 'corpus', 'list', '--json']\n"
        "from fuzz.cli.main import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'timm', 'transformers', 'numpy', 'onnx'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["models"]) > 1000


def test_install_says_what_is_there_or_what_it_would_run(fuzz):
    done = fuzz("corpus", "install", "torchvision", "graph_convolutions", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["corpora"] == ["torchvision", "graph_convolutions"]
    assert set(told["distributions"]) == {*NEEDS["torchvision"], "torch-geometric", "onnxscript"}
    missing = [name for name, version in told["distributions"].items() if version is None]
    assert bool(missing) == bool(told["commands"])


def installed(script):
    """Whether the libraries of a script are here."""
    needs = (name.replace("-", "_") for name in NEEDS[script.partition("/")[0]] if name not in {"PyYAML", "pillow"})
    return all(importlib.util.find_spec(name) is not None for name in needs)


@pytest.mark.parametrize("script", ["selftest/parametrised.py", "timm/timm.py"])
def test_a_script_runs_by_itself(script):
    if not installed(script):
        pytest.skip("its libraries are not installed")
    done = subprocess.run(
        [sys.executable, MODELS / script, *SMALLEST[script]], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_script_of_each_corpus_runs():
    """All in one process, which imports what they share once."""
    scripts = {str(MODELS / script): words for script, words in SMALLEST.items() if installed(script)}
    if not scripts:
        pytest.skip("the libraries are not installed")
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(scripts)], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [*scripts]


def test_a_script_refuses_what_it_does_not_know():
    done = subprocess.run(
        [sys.executable, MODELS / "selftest" / "parametrised.py", "--batch_size", "none"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("parametrised.py: argument --batch_size: 'none' is no whole number of 1 or more")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="it is a model of transformers")
def test_weights_of_a_folder_of_ones_own_need_no_network(fuzz):
    name = "google-bert/bert-base-uncased"
    folder = fuzz.home / "weights"
    subprocess.run([sys.executable, "-c", SAVE, folder / name], check=True, capture_output=True)
    asked = ("corpus", "run", f"popular_on_huggingface.py::{name}", "--analyze-only", "--json", "-d", "c")
    done = fuzz(*asked, "--script-args", f"--weights {folder} --pretrained --batch_size 2")
    (model,) = json.loads(done.stdout)["models"]
    assert (model["state"]["class"], model["state"]["parameters"]) == ("BertModel", 5176)
    assert {tuple(shape) for _, _, shape in model["state"]["inputs"]} == {(2, 128)}
    lacking = fuzz(*asked, "--script-args", "--weights nowhere")
    (model,) = json.loads(lacking.stdout)["models"]
    assert model["state"]["error"].endswith(f"{name} is not in nowhere/{name}")


@pytest.mark.skipif(not installed("graph_convolutions/graph_convolutions.py"), reason="it takes torch-geometric")
def test_a_model_at_its_full_size(fuzz):
    for words, nodes in (((), 338), (("--script-args", "--full"), 2708)):
        done = fuzz("corpus", "run", "graph_convolutions.py::gcn", "-d", "c", "--analyze-only", "--json", *words)
        (model,) = json.loads(done.stdout)["models"]
        assert model["state"]["inputs"][0][2] == [nodes, 1433]
