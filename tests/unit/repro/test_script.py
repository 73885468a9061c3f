"""Scripts that show findings: their text, whatever the backend and the verdict."""

from __future__ import annotations

import ast
import subprocess
import sys

import numpy as np
import pytest
from onnx import numpy_helper, parser

from backends.registry import BACKENDS
from backends.tensor import from_numpy
from fuzz.judge.verdict import FINDINGS, Word
from fuzz.repro.content import content_of
from fuzz.repro.due import dues
from fuzz.repro.recipe import NoRecipe, Request
from fuzz.repro.recipes import RECIPES, recipe_for
from fuzz.repro.script import KINDS, Subject, script
from fuzz.triage.candidate import Candidate

OURS = {"abstract", "backends", "corpus", "fuzz"}
HEAD = '<ir_version: 10, opset_import: ["" : 21]>'
RELU = parser.parse_model(f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Relu (x) }}")
WORDS = tuple(KINDS)
MODULES = {"ctypes", "importlib", "os", "pathlib", "re", "signal", "subprocess", "tempfile", "time", "types"}
VALUES = (
    *("0", "1", "2", "3", "17", "21", "f16", "f32", "bf16", "yes", "no", "cuda", "llvm", "vmvx", "nop", "none"),
    *("folding", "constant_folding", "reference", "eager", "jit", "fold", "bert", "vae", "all", "basic", "ort", "low"),
    *("performance", "zero", "compiled", "stateful", "naive", "native", "module", "builtin", "kernel_optimizations"),
    *("DeadCodeElimination", "add_0_rule", "a_pass", "256", "address", "packing_layout", "snippets", "kept", "folded"),
    "inductor.lowerings.2",
)
"""Among them are values of each option."""
NEVER = {("torch", "capture")}
"""How a worker hands a module to torch.compile: a script gives it the module itself, and is kept if that fails too."""


def case(model=RELU, *feeds):
    names = [port.name for port in model.graph.input]
    given = feeds or ([np.array([-1, 0.1], np.float32)],)
    rows = tuple({n: from_numpy(np.asarray(v)) for n, v in zip(names, feed, strict=True)} for feed in given)
    return Candidate(model.SerializeToString(), rows)


def text(backend="onnxruntime", word="wrong", candidate=None, *, embed=True, options=(), kinds=("float", "float")):
    candidate = candidate or case()
    recipe = recipe_for(backend, Request(dict(options), "cpu", {"x": kinds[0]}, {"y": kinds[1]}))
    content = content_of(candidate, dues(candidate, backend), embed=embed)
    subject = Subject("It is wrong.", word, "pip install it", 30.0, 1 << 30)
    return script(subject, recipe, content), content


def imported(source):
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def undefined(source):
    """Names of modules that a script uses and does not import."""
    attributes = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return ({node.id for node in attributes if isinstance(node, ast.Name)} & MODULES) - imported(source)


def test_every_backend_has_a_recipe():
    assert set(RECIPES) == {name for name, entry in BACKENDS.items() if entry.module.startswith("backends.")}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("backend", sorted(RECIPES))
def test_a_script_compiles_and_imports_nothing_of_ours(backend, word):
    source, content = text(backend, word)
    compile(source, "repro.py", "exec")
    assert not imported(source) & OURS
    assert not undefined(source)
    assert not content.files
    assert "parse_model" in source
    assert max(map(len, source.splitlines())) < 160


@pytest.mark.parametrize(
    ("backend", "option"),
    [(name, option.name) for name in sorted(RECIPES) for option in BACKENDS[name].options],
)
def test_each_option_of_a_target_is_one_of_its_script(backend, option):
    """Whatever value it takes, a script sets it too, or none is written and it is said why."""
    declared = BACKENDS[backend].option(option)
    values = [value for value in VALUES if declared.allows(value)]
    assert values, declared
    beside = (("mode", "rewrite"),) if option == "rules" else ()
    plain, _ = text(backend, options=beside)
    made = set()
    for value in values:
        try:
            source, _ = text(backend, options=((option, value), *beside))
        except NoRecipe as reason:
            made.add(str(reason))
            continue
        compile(source, "repro.py", "exec")
        made.add(source)
    assert made - {plain} or (backend, option) in NEVER, f"{option} changes nothing"


def test_there_is_no_script_of_planted_faults_and_plug_ins_and_times():
    with pytest.raises(NoRecipe, match="planted"):
        text(options=(("fault", "dropped-activation"),))
    with pytest.raises(NoRecipe, match="plug-in"):
        text("sin")
    with pytest.raises(NoRecipe, match="slow"):
        text(word="slow")
    assert set(KINDS) == FINDINGS - {Word.SLOW}


@pytest.mark.parametrize("kind", ["bfloat16", "float8e4m3fn", "int4"])
@pytest.mark.parametrize("backend", sorted(RECIPES))
def test_types_that_numpy_lacks_have_scripts_of_their_own_or_none(backend, kind):
    try:
        source, _ = text(backend, kinds=(kind, kind))
    except NoRecipe as reason:
        pytest.skip(str(reason))
    compile(source, "repro.py", "exec")
    assert not undefined(source)


def run(tmp_path, source):
    path = tmp_path / "repro.py"
    path.write_text(source, "utf-8")
    done = subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, cwd=tmp_path, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("embed", [True, False])
def test_on_a_sound_backend_a_script_ends_with_0(tmp_path, word, embed):
    source, content = text("reference", word, embed=embed)
    for path, data in content.files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    status, said = run(tmp_path, source)
    assert (status, said.partition(":")[0]) == (0, "ok")
    assert bool(content.files) is not embed


NAMED = {
    "return lambda inputs: evaluator.run(None, inputs)": {
        "wrong": (
            "return lambda inputs: [2 * array for array in inputs.values()]",
            "BUG: y[0]: expected 0.0, got -2.0",
        ),
        "rejected": ("raise ValueError('no Relu')", "BUG: the model is valid and is refused: ValueError: no Relu"),
        "crash": ("os.abort()", "BUG: the process dies of it: SIGABRT"),
        "timeout": ("time.sleep(60)", "BUG: it is not done after 1 seconds"),
        "oom": ("held = bytearray(300 << 20)\n    time.sleep(60)", "BUG: it holds more than 256 MiB of memory"),
        "nondeterministic": ("return lambda inputs: [np.random.random(2)]", "BUG: y changes from run to run"),
    }
}


@pytest.mark.parametrize("word", WORDS)
def test_while_the_bug_is_there_a_script_ends_with_1_and_tells(tmp_path, word):
    ((line, replaced),) = NAMED.items()
    written, told = replaced[word]
    candidate = case()
    recipe = recipe_for("reference", Request({}, "cpu", {"x": "float"}, {"y": "float"}))
    subject = Subject("It fails.", word, "pip install it", 1.0, 256 << 20)
    source = script(subject, recipe, content_of(candidate, dues(candidate, "reference")))
    source = source.replace(line, written).replace("import sys\n", "import sys\nimport os\nimport time\n", 1)
    status, said = run(tmp_path, source)
    assert (status, said[: len(told)]) == (1, told)


def test_an_answer_that_becomes_a_refusal_is_not_called_wrong(tmp_path):
    source, _ = text("reference")
    source = source.replace("return lambda inputs: evaluator.run(None, inputs)", "raise ValueError('no')")
    status, said = run(tmp_path, source)
    assert (status, said) == (2, "cannot tell, it is refused: ValueError: no\n")


def test_without_a_package_a_script_ends_with_2(tmp_path):
    source, _ = text("tensorrt")
    status, said = run(tmp_path, source)
    assert status == 2
    assert said.startswith("cannot run: No module named 'tensorrt'")


def test_an_answer_is_compared_as_the_judge_does(tmp_path):
    """Types, shapes, NaN where NaN is due, and no more than the tolerance."""
    source, _ = text("reference")
    plain = "return lambda inputs: evaluator.run(None, inputs)"
    for answer, told in {
        "np.array([np.nan, 0.1], np.float32)": "y[0]: expected 0.0, got nan",
        "np.array([0, 0.1])": "y has the element type float32, got float64",
        "np.array([[0, 0.1]], np.float32)": "y has the shape [2], got [1, 2]",
    }.items():
        status, said = run(tmp_path, source.replace(plain, f"return lambda inputs: [{answer}]"))
        assert (status, said.startswith(f"BUG: {told}")) == (1, True), said
    status, said = run(tmp_path, source.replace(plain, "return lambda inputs: []"))
    assert (status, said) == (1, "BUG: 1 outputs are due, got 0\n")


def test_several_data_sets_run_one_after_another(tmp_path):
    model = parser.parse_model(f"{HEAD} g (float[N] x) => (float[N] y) {{ y = Relu (x) }}")
    candidate = case(model, [np.zeros(0, np.float32)], [np.array([1, np.inf], np.float32)])
    source, _ = text("reference", candidate=candidate)
    assert "SETS = [" in source
    assert run(tmp_path, source)[0] == 0


def test_what_no_text_tells_to_the_last_bit_lies_beside_the_script(tmp_path):
    """Long constants make a model a file; short ones that ONNX's text rounds become arrays."""
    numbers = np.array([0.1234567891, 3e-7], np.float32)
    model = parser.parse_model(f"{HEAD} g (float[2] x) => (float[2] y) {{ y = Add (x, w) }}")
    model.graph.initializer.append(numpy_helper.from_array(numbers, "w"))
    source, content = text("reference", candidate=case(model))
    assert not content.files
    assert run(tmp_path, source)[0] == 0
    large = parser.parse_model(f"{HEAD} g (float[99] x) => (float[99] y) {{ y = Add (x, w) }}")
    large.graph.initializer.append(numpy_helper.from_array(np.linspace(0, 1, 99, dtype=np.float32), "w"))
    _, content = text("reference", candidate=case(large, [np.ones(99, np.float32)]))
    assert set(content.files) == {
        "model.onnx", "test_data_set_0/input_0.pb", "test_data_set_0/due_0.pb", "test_data_set_0/tolerance_0.pb"
    }  # fmt: skip


def test_extended_types_strings_and_sequences(tmp_path):
    model = parser.parse_model(f"{HEAD} g (bfloat16[2] x) => (bfloat16[2] y) {{ y = Neg (x) }}")
    import ml_dtypes

    candidate = case(model, [np.array([1, 2], ml_dtypes.bfloat16)])
    source, content = text("onnxruntime", candidate=candidate, kinds=("bfloat16", "bfloat16"))
    assert "ml_dtypes.bfloat16" in source
    assert not content.files
    words = parser.parse_model(f"{HEAD} g (string[2] x) => (string[4] y) {{ y = Concat <axis = 0> (x, x) }}")
    source, _ = text("reference", candidate=case(words, [np.array(["a", "b\n"], object)]), kinds=("string", "string"))
    assert run(tmp_path, source)[0] == 0
    parts = parser.parse_model(f"{HEAD} g (float[2] x) => (seq(float[1]) y) {{ y = SplitToSequence <axis = 0> (x) }}")
    source, _ = text("reference", candidate=case(parts), kinds=("float", ""))
    assert run(tmp_path, source)[0] == 0
