"""Strings and complex numbers as element types: every operator of the table that takes them moves them, no more."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from abstract.dtypes import dtype
from abstract.operator import EVERYWHERE, NotCovered, Run
from abstract.operators import TABLE
from abstract.reference import Bounded, Float64
from abstract.schema import signature
from backends.onnxruntime import BACKEND
from backends.protocol import Unsupported
from backends.tensor import Tensor, from_numpy
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import NothingFits
from fuzz.generate.plan import menu
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.tensors import choose_recipe, fill
from fuzz.generate.texts import TEXTS
from fuzz.judge.compare import compare
from fuzz.judge.verdict import Word
from fuzz.selftest.run import null_case


def takes(kind, opset=21):
    found = []
    for name in menu(Settings(opset=opset)):
        sign = signature(name, opset)
        formals = (*sign.inputs, *sign.outputs)
        if not TABLE[name].opaque and any(d.name == kind for f in formals for d in sign.types[f.variable]):
            found.append(name)
    return found


MOVED = {
    "Compress", "Concat", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "OneHot", "Pad",
    "Reshape", "ReverseSequence", "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile",
    "Transpose", "Unsqueeze", "Where",
}  # fmt: skip
# ONNX's reference wants a scalar depth, indices as long as the data, and an axis for rank 2 (docs/disputes.md).
REFUSED = {"OneHot", "GatherElements", "Pad", "Resize", "Unique"}


@pytest.mark.parametrize("name", takes("string"))
def test_strings_come_out_as_a_runtime_or_onnx_has_them(laboratory, name):
    seen = 0
    for trial in laboratory.trials(name, 21, 12, dtypes=("string", "int64", "bool")):
        laboratory.check_valid(trial)
        values = (*trial.graph.inputs, *trial.graph.initializers, *trial.graph.outputs)
        if not any(v.type.dtype.name == "string" for v in values):
            continue
        seen += 1
        outputs = {} if name == "Gather" else laboratory.run(trial, onnx_too=False)  # docs/disputes.md
        if not outputs and name not in REFUSED:
            found = ReferenceEvaluator(trial.model).run(None, trial.feeds)
            outputs = {o.name: np.asarray(y) for o, y in zip(trial.model.graph.output, found, strict=True)}
        laboratory.check_values(trial, outputs)
    assert seen or name not in MOVED


@pytest.mark.parametrize("name", takes("complex64"))
def test_complex_numbers_come_out_as_onnx_has_them(laboratory, name):
    seen = 0
    for trial in laboratory.trials(name, 21, 12, dtypes=("complex64", "complex128", "int64", "bool")):
        laboratory.check_valid(trial)
        if not any(v.type.dtype.kind == "complex" for v in (*trial.graph.inputs, *trial.graph.outputs)):
            continue
        seen += 1
        if name not in REFUSED:
            found = ReferenceEvaluator(trial.model).run(None, trial.feeds)
            outputs = {o.name: np.asarray(y) for o, y in zip(trial.model.graph.output, found, strict=True)}
            laboratory.check_values(trial, outputs)
    assert seen or name not in MOVED


def test_words_are_the_same_for_the_same_recipe_and_repeat():
    own = dtype("string")
    recipes = [choose_recipe(own, EVERYWHERE, Seeded(seed).integer) for seed in range(30)]
    tensors = [fill(recipe, (3, 4), own) for recipe in recipes]
    for recipe, tensor in zip(recipes, tensors, strict=True):
        assert tensor.shape == (3, 4)
        assert (fill(recipe, (3, 4), own) == tensor).all()
        assert set(tensor.ravel()) <= set(TEXTS)
    assert any(len(set(t.ravel())) < 6 for t in tensors)
    assert any(len(set(t.ravel())) > 8 for t in tensors)
    assert len({text for t in tensors for text in t.ravel()}) > 25
    assert fill(recipes[0], (0, 2), own).shape == (0, 2)


def test_complex_numbers_are_made_of_numbers_of_their_parts():
    for name, part in (("complex64", np.float32), ("complex128", np.float64)):
        own = dtype(name)
        tensor = fill(choose_recipe(own, EVERYWHERE, Seeded(3).integer), (5, 2), own)
        assert tensor.dtype == np.complex128
        assert (tensor.real.astype(part) == tensor.real).all()
        assert len(set(tensor.imag.ravel())) > 2


@pytest.mark.untraced
def test_default_models_hold_strings_and_complex_numbers_now_and_then():
    held = set()
    for seed in range(400):
        case = generate_case(Seeded(seed), Settings(nodes=(10, 10)))
        values = [v for s in case.data_sets for v in (*s.inputs.values(), *s.outputs.values())]
        held |= {v.element_type for v in values if isinstance(v, Tensor)}
    assert {"string", "complex64", "complex128"} <= held


def cast(x, source, target, bound=0.0):
    run = Run({"to": dtype(target).code}, (x,), (dtype(source),), (dtype(target),), Float64())
    (y,) = TABLE["Cast"].evaluate(run)
    return y, TABLE["Cast"].error(run, (y,), (bound,))[0]


class TestCast:
    def test_text_becomes_the_number_that_it_spells(self):
        y, bound = cast(np.array(["0.5", "-1e2", "0.1"], object), "string", "float")
        np.testing.assert_array_equal(y, [0.5, -100, 0.1])
        np.testing.assert_array_equal(bound > 0, [False, False, True])
        assert abs(float(np.float32(0.1)) - 0.1) <= bound[2] < 1e-7
        y, bound = cast(np.array([["-12"], ["7"]], object), "string", "int8")
        np.testing.assert_array_equal(y, [[-12], [7]])
        assert bound == 0

    def test_integers_become_text_and_what_errs_is_unknown(self):
        y, bound = cast(np.array([-3, 10]), "int64", "string", np.array([0.0, 1.0]))
        assert y.tolist() == ["-3", "10"]
        np.testing.assert_array_equal(bound, [0, np.inf])

    @pytest.mark.parametrize(("source", "target"), [("float", "string"), ("bool", "string"), ("string", "bool")])
    def test_where_the_text_leaves_the_spelling_open_nothing_is_drawn(self, source, target):
        x = np.array(["1"], object) if source == "string" else np.ones(1, dtype(source).carrier)
        with pytest.raises(NotCovered):
            cast(x, source, target)

    @pytest.mark.parametrize(("text", "target", "due"), [
        ("a", "float", False), ("1.5", "int32", False), ("200", "int8", False), ("-1", "uint8", False),
        ("7", "uint8", True), ("1e2", "float", True),
    ])  # fmt: skip
    def test_text_has_to_spell_a_number_of_the_type(self, text, target, due):
        to = dtype(target)
        run = Run({"to": to.code}, (np.array(text, object),), (dtype("string"),), (to,), Float64())
        assert TABLE["Cast"].defined(run) is due


class TestComparison:
    def judged(self, due, got, bound, name):
        return compare(from_numpy(np.asarray(got)), Bounded(np.asarray(due), bound, dtype(name))).word

    def test_strings_are_equal_or_not(self):
        due = np.array(["a", "é"], object)
        assert self.judged(due, due, 0.0, "string") is Word.OK
        assert self.judged(due, np.array(["a", "e\u0301"], object), 0.0, "string") is Word.WRONG

    def test_strings_of_which_nothing_is_known_are_not_judged(self):
        due, got = np.array(["a", "b"], object), np.array(["a", "x"], object)
        assert self.judged(due, got, np.array([0.0, np.inf]), "string") is Word.OK
        assert self.judged(due, got, np.inf, "string") is Word.UNDECIDABLE

    def test_complex_numbers_are_judged_by_their_parts(self):
        due = np.array([1 + 2j])
        assert self.judged(due, np.complex64([1 + 2j]), 0.0, "complex64") is Word.OK
        assert self.judged(due, np.complex64([1 + 2.25j]), 0.0, "complex64") is Word.WRONG
        assert self.judged(due, np.complex64([1.25 + 2.25j]), 0.25, "complex64") is Word.OK


@pytest.mark.untraced
def test_legal_recomputations_of_strings_and_complex_numbers_are_never_wrong():
    moving = ("Identity", "Transpose", "Concat", "Slice", "Gather", "Reshape", "Where", "Expand", "Pad", "ScatterND")
    settings = Settings(nodes=(1, 6), operators=moving, dtypes=("string", "complex64", "complex128", "bool"))
    words = {}
    for seed in range(60):
        try:
            tally = null_case(seed, settings)
        except NothingFits:
            continue
        for (_, kind, word), count in tally.words.items():
            words[kind, word] = words.get((kind, word), 0) + count
    assert not [k for k in words if k[1] in ("wrong", "suspect")]
    for kind in ("string", "complex64", "complex128"):
        assert words.get((kind, "ok"), 0) >= 20, kind


def test_a_runtime_reads_what_the_emitter_writes():
    case = generate_case(Seeded(5), Settings(nodes=(2, 2), operators=("Transpose", "Identity"), dtypes=("string",)))
    session = onnxruntime.InferenceSession(case.model, providers=["CPUExecutionProvider"])
    assert {o.type for o in session.get_outputs()} == {"tensor(string)"}


def test_strings_beside_types_that_numpy_lacks_are_unsupported_by_the_runtime_and_no_fault_of_ours():
    names = ("string", "bfloat16")
    nodes = [helper.make_node("Identity", [f"x{i}"], [f"y{i}"]) for i in range(2)]
    ports = [[helper.make_tensor_value_info(f"{p}{i}", dtype(n).code, [1]) for i, n in enumerate(names)] for p in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "g", *ports), ir_version=10,
                              opset_imports=[helper.make_opsetid("", 21)])  # fmt: skip
    compiled = BACKEND.compile(model.SerializeToString(), None, {}, lambda _stage: None)
    values = [from_numpy(np.array(["a"], object)), from_numpy(np.ones(1, dtype("bfloat16").numpy))]
    with pytest.raises(Unsupported, match="strings beside types that numpy lacks"):
        compiled.run(values)
