"""`fuzz gen`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import onnx
import pytest

from fuzz.case import find_cases, read_record


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_json_is_one_object_and_nothing_else(fuzz):
    done = fuzz("gen", "--root", "r", "--count", 12, "--seed", 5, "--structure", "none", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert sorted(result) == ["cases", "nodes", "root", "seconds"]
    assert (result["cases"], result["root"]) == (12, "r")
    cases = find_cases(fuzz.home / "r")
    assert len(cases) == 12
    assert [read_record(case)["seed"] for case in cases] == list(range(5, 17))
    models = [onnx.load(case.model_path) for case in cases]
    assert sum(len(model.graph.node) for model in models) == result["nodes"]
    for model in models:
        onnx.checker.check_model(model, full_check=True)


def test_the_summary_for_a_person(fuzz):
    done = fuzz("gen", "--root", "r", "--count", 2, "--nodes", 3)
    assert done.returncode == 0
    assert done.stdout.startswith("2 cases, ")
    assert " nodes in r (" in done.stdout


def test_the_same_seeds_give_the_same_bytes_in_any_process_and_any_number_of_processes(unmeasured, fuzz):
    first = fuzz("gen", "--root", "a", "--count", 40, "--jobs", 1, "--dynamic", "mixed", PYTHONHASHSEED="1")
    second = fuzz("gen", "--root", "b", "--count", 40, "--jobs", 2, "--dynamic", "mixed", PYTHONHASHSEED="2")
    assert (first.returncode, second.returncode) == (0, 0)
    assert tree(fuzz.home / "a") == tree(fuzz.home / "b")


def test_making_a_case_again_replaces_it(unmeasured, fuzz):
    fuzz("gen", "--count", 3, "--nodes", 2)
    before = tree(fuzz.home / "fuzz-root")
    fuzz("gen", "--count", 3, "--nodes", 8)
    after = tree(fuzz.home / "fuzz-root")
    assert before != after
    assert {name.split("/")[1] for name in after} == {"00000000", "00000001", "00000002"}
    fuzz("gen", "--count", 3, "--nodes", 2)
    assert tree(fuzz.home / "fuzz-root") == before


def test_operators_types_ranks_and_sizes_are_what_was_asked_for(fuzz):
    done = fuzz("gen", "--count", 15, "--ops", "Add,Relu", "--dtypes", "float", "--rank", "1-2", "--nodes", "2-4")
    assert done.returncode == 0, done.stderr
    for case in find_cases(fuzz.home / "fuzz-root"):
        graph = onnx.load(case.model_path).graph
        assert {node.op_type for node in graph.node} <= {"Add", "Relu"}
        assert 1 <= len(graph.node) <= 4
        for port in (*graph.input, *graph.output):
            assert port.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
            # An operand that is broadcast may have fewer axes than the range says.
            assert len(port.type.tensor_type.shape.dim) <= 2


def test_dynamic_models_keep_symbols_and_have_data_sets_at_other_sizes(fuzz):
    done = fuzz("gen", "--count", 10, "--dynamic", "--nodes", 4)
    assert done.returncode == 0, done.stderr
    cases = find_cases(fuzz.home / "fuzz-root")
    symbols = [
        any(dim.dim_param for port in onnx.load(case.model_path).graph.input
            for dim in port.type.tensor_type.shape.dim)
        for case in cases
    ]  # fmt: skip
    assert any(symbols)
    assert all(len(case.data_sets) > 1 for case, open_ in zip(cases, symbols, strict=True) if open_)


def test_several_targets_after_one_option(fuzz):
    done = fuzz("gen", "--count", 2, "--for", "onnxruntime", "openvino", "--for", "tvm", "--json")
    assert done.returncode == 0, done.stderr
    settings = read_record(find_cases(fuzz.home / "fuzz-root")[0])["settings"]
    assert settings["targets"] == ["onnxruntime", "openvino", "tvm"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--count", "-1"), ("--count", "-1")),
        (("--count", "many"), ("--count", "many")),
        (("--seed", "-3"), ("--seed", "-3")),
        (("--nodes", "-2"), ("--nodes", "-2")),
        (("--nodes", "9-3"), ("9-3", "3-9")),
        (("--nodes", "0"), ("--nodes", "at least 1")),
        (("--rank", "2-99"), ("--rank", "at most 8")),
        (("--ops", "Relu,Rlu"), ("'Rlu'", "Relu")),
        (("--ops", "Relu,,Add"), ("--ops", "empty name")),
        (("--dtypes", "float32"), ("'float32'", "float16")),
        (("--opset", "3"), ("opset 3", "13")),
        (("--jobs", "0"), ("--jobs",)),
        (("--for", "nothing"), ("nothing",)),
        (("stray",), ("stray",)),
    ],
)
def test_misuse_is_one_line_and_makes_nothing(fuzz, refused, arguments, words):
    refused(fuzz("gen", *arguments), *words)
    assert list(fuzz.home.iterdir()) == []


@pytest.mark.parametrize("root", ["/proc/nowhere", "/dev/null/root", "file/root", "file"])
def test_a_folder_that_cannot_be_written(fuzz, refused, root):
    (fuzz.home / "file").write_text("a file, where a folder is due")
    refused(fuzz("gen", "--root", root, "--count", 1), "cannot write", "--root")


def test_a_full_disk_leaves_whole_cases_only(fuzz, refused):
    # A limit on the size of a file stands for the disk: the first write beyond it fails as on a full one.
    done = fuzz("gen", "--count", 40, "--jobs", 1, before="trap '' XFSZ; ulimit -f 1")
    refused(done, "cannot write", "free some space")
    for folder in (fuzz.home / "fuzz-root/cases").iterdir():
        assert (folder / "case.json").exists()
        onnx.checker.check_model(onnx.load(folder / "model.onnx"))


def test_an_interrupted_run_leaves_whole_cases_and_goes_on(unmeasured, fuzz):
    command = [str(fuzz.program), "gen", "--count", "5000", "--nodes", "10-20"]
    process = subprocess.Popen(command, cwd=fuzz.home, stderr=subprocess.PIPE, text=True, start_new_session=True)
    cases = fuzz.home / "fuzz-root/cases"
    while not (cases.exists() and len(list(cases.iterdir())) > 20):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == (
        "interrupted; what was finished is kept, run the same command to go on"
    )
    assert "Traceback" not in stderr
    for folder in cases.iterdir():
        assert not folder.name.startswith(".")
        assert (folder / "case.json").exists()


def test_what_a_killed_run_left_is_cleared_by_the_next(fuzz):
    fuzz("gen", "--count", 1)
    left = fuzz.home / "fuzz-root/cases/.part-999999999-00000000"
    left.mkdir()
    (left / "model.onnx").write_bytes(b"half")
    assert len(find_cases(fuzz.home / "fuzz-root")) == 1
    assert fuzz("gen", "--count", 1).returncode == 0
    assert not left.exists()


def test_each_model_draws_its_opset_unless_one_is_named(unmeasured, fuzz):
    """Of those that have the operators: Gelu is in the default domain from 20 on."""

    def versions(*arguments):
        assert fuzz("gen", "--count", 24, "--nodes", 2, "--jobs", 1, *arguments).returncode == 0
        models = (onnx.load(case.model_path) for case in find_cases(fuzz.home / "fuzz-root"))
        return {model.opset_import[0].version for model in models}

    newest = onnx.defs.onnx_opset_version()
    drawn = versions("--ops", "Relu,Gelu")
    assert newest in drawn
    assert len(drawn) >= 4
    assert drawn <= set(range(20, newest + 1))
    assert min(versions("--ops", "Relu,Add")) < 20
    assert versions("--opset", 15) == {15}
    assert len(versions("--for", "onnxruntime")) == 1


def test_a_share_of_models_has_empty_tensors(unmeasured, fuzz):
    def empties(share):
        done = fuzz("gen", "--root", f"r{share}", "--count", 15, "--empty", share, "--ops", "Relu,Add,Concat,Transpose")
        assert done.returncode == 0, done.stderr
        models = [onnx.load(case.model_path) for case in find_cases(fuzz.home / f"r{share}")]
        dims = [[d for o in m.graph.output for d in o.type.tensor_type.shape.dim] for m in models]
        return sum(any(d.HasField("dim_value") and d.dim_value == 0 for d in own) for own in dims)

    assert empties(0) == 0
    assert empties(1) > 3
    misused = fuzz("gen", "--root", "r", "--empty", 2)
    assert (misused.returncode, misused.stdout) == (2, "")
    assert "--empty" in misused.stderr


def nodes(graph):
    """The nodes of a graph and of the bodies in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from nodes(attribute.g)


def test_operators_of_another_domain_are_drawn_where_they_are_asked_for(unmeasured, fuzz):
    """Absent by default; a domain, or a name that ONNX's own domain does not have, brings them in."""
    own = ("gen", "--count", 30, "--nodes", 10, "--jobs", 1, "--structure", "none")
    for number, asked in enumerate(((), ("--domain", "com.microsoft"), ("--ops", "FusedMatMul,Relu"))):
        done = fuzz(*own, "--root", f"r{number}", *asked)
        assert done.returncode == 0, done.stderr
        models = [onnx.load(case.model_path) for case in find_cases(fuzz.home / f"r{number}")]
        found = [m for m in models if any(node.domain == "com.microsoft" for node in nodes(m.graph))]
        assert len(found) == 0 if not asked else len(found) > 5
        assert all({"com.microsoft"} <= {o.domain for o in m.opset_import} for m in found)
        assert all(len(m.opset_import) == 1 for m in models if m not in found)
    misused = fuzz(*own, "--root", "r", "--domain", "ai.onnx.ml")
    assert (misused.returncode, misused.stdout) == (2, "")
    assert "unknown domain 'ai.onnx.ml'" in misused.stderr


def test_nan_and_infinities_are_there_where_they_are_asked_for(unmeasured, fuzz):
    import numpy as np

    assert fuzz("gen", "--root", "r", "--count", 40, "--nodes", 5, "--nonfinite").returncode == 0
    cases = find_cases(fuzz.home / "r")
    assert all(read_record(case)["settings"]["nonfinite"] for case in cases)
    arrays = [
        onnx.numpy_helper.to_array(tensor)
        for case in cases for tensor in onnx.load(case.model_path).graph.initializer
    ]  # fmt: skip
    assert any(a.dtype.kind == "f" and not np.isfinite(a).all() for a in arrays)


def test_unlike_keeps_of_each_group_what_no_known_architecture_has(unmeasured, fuzz):
    """A case that is kept is the seed's own; on the known cases themselves nothing is new."""
    settings = ("--nodes", 5, "--structure", "none", "--for", "onnxruntime")
    assert fuzz("gen", "--root", "all", "--count", 40, *settings).returncode == 0
    fuzz("corpus", "architecture", "all/cases", "--operators", "--out", "known.jsonl")
    done = fuzz("gen", "--root", "none", "--count", 10, *settings, "--unlike", "known.jsonl", "--json")
    assert json.loads(done.stdout)["unlike"] == {"distance": 0.0, "new": 0, "unchosen": {"distance": 0.0, "new": 0}}
    for jobs in (1, 2):
        done = fuzz("gen", "--root", f"far{jobs}", "--count", 10, "--seed", 100, "--group", 5, *settings, "--unlike",
                    "known.jsonl", "--jobs", jobs, "--json")  # fmt: skip
        told = json.loads(done.stdout)
        assert (told["cases"], told["root"]) == (10, f"far{jobs}")
        assert told["unlike"]["new"] > told["unlike"]["unchosen"]["new"] > 0
    assert tree(fuzz.home / "far1") == tree(fuzz.home / "far2")
    seeds = [read_record(case)["seed"] for case in find_cases(fuzz.home / "far1")]
    assert [(seed - 100) // 5 for seed in seeds] == list(range(10))
    fuzz("gen", "--root", "own", "--seed", seeds[3], "--count", 1, *settings)
    own = f"cases/{seeds[3]:08d}"
    assert tree(fuzz.home / "own" / own) == tree(fuzz.home / "far1" / own)


def test_what_unlike_cannot_be_asked(fuzz):
    layers = '"layers": [["a", "Conv2d", {}, null, null]], "connections": [], "removed": 0'
    (fuzz.home / "torch.jsonl").write_text(f'{{"name": "net", "labels": {{}}, {layers}}}\n', "utf-8")
    (fuzz.home / "empty.jsonl").write_text("", "utf-8")
    for arguments, said in (
        (("--unlike", "torch.jsonl"), "make the file with `fuzz corpus architecture --operators`"),
        (("--unlike", "empty.jsonl"), "no architecture is in empty.jsonl"),
        (("--unlike", "absent.jsonl"), "cannot read absent.jsonl"),
        (("--unlike", "empty.jsonl", "--from", "m.onnx"), "--from and --unlike do not go together"),
    ):
        done = fuzz("gen", "--count", 2, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
