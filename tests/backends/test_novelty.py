"""What backends show of a model that they have just run, and the features of it."""

from __future__ import annotations

import numpy as np
import pytest

from backends.frame import Frame, encode
from backends.protocol import Outcome
from backends.tensor import from_numpy
from fuzz.novelty.features import features_of

MODEL = """
    g (float[2,3] x) => (float[2,3] y)
    <float[3] one = {1, 1, 1}, float[3] two = {2, 2, 2}>
    { three = Add (one, two) a = Mul (x, three) b = Add (a, x) y = Relu (b) }
"""
SHOWN = {
    "onnxruntime": {"pass ConstantFolding", "op Mul (float)->(float)", "edge Mul > Add", "edge Add > Relu"},
    "openvino": {"layer Input unknown_f32", "layer Output unknown_f32"},
    "onnxsim": {"op Mul (float)->(float)", "edge Add > Relu"},
}


@pytest.fixture
def reveal(workers, model):
    """What a target shows of the model that it has just run; ``keep`` says that it will be asked."""

    def revealed(target, text, keep=True, between=()):
        worker = workers(target)
        values = [[from_numpy(np.ones((2, 3), np.float32))]]
        ran = worker.execute(encode(Frame("execute", {"folder": None, "keep": keep}, values, model(text))))
        assert ran.outcome is Outcome.OK
        for request in between:
            worker.execute(request)
        shown = worker.execute(encode(Frame("reveal")))
        assert (shown.outcome, shown.message) == (Outcome.OK, "")
        return {report.fields["file"]: bytes(report.values[0].data) for report in shown.reports}

    return revealed


@pytest.mark.parametrize("target", list(SHOWN))
def test_a_model_that_was_run_is_shown_without_being_compiled_for_it(target, reveal, artefacts):
    files = reveal(target, MODEL)
    assert files == artefacts(target, MODEL, np.ones((2, 3), np.float32))
    assert features_of(files) >= SHOWN[target]


COMPILED = {
    "tvm": {"pass LegalizeOps", "op multiply", "edge multiply > add", "edge add > relu"},
    "jax": {"op multiply f32", "op maximum f32", "edge add > maximum"},
    "mnn": {"op Input DT_FLOAT", "op BinaryOp MUL DT_FLOAT", "op BinaryOp ADD DT_FLOAT activationType=1"},
}


@pytest.mark.parametrize("target", list(COMPILED))
def test_what_compilers_make_of_a_model_is_read(target, artefacts):
    assert features_of(artefacts(target, MODEL, np.ones((2, 3), np.float32))) >= COMPILED[target]


@pytest.mark.parametrize("target", list(SHOWN))
def test_features_do_not_hang_on_the_names_of_the_model(target, reveal):
    renamed = MODEL
    for old, new in ((" x", " pixels"), ("(x", "(pixels"), ("three", "scale.0"), (" y", " probabilities")):
        renamed = renamed.replace(old, new)
    renamed = renamed.replace("scale.0", "scale_0")
    assert features_of(reveal(target, renamed)) == features_of(reveal(target, MODEL))


def test_nothing_is_kept_that_nobody_will_ask_for(reveal, model):
    assert reveal("onnxruntime", MODEL, keep=False) == {}
    assert reveal("onnxruntime", MODEL, between=[encode(Frame("passes"))]) == {}
    assert reveal("reference", MODEL) == {}
