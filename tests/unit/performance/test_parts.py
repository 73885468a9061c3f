"""Models cut into consecutive parts, and those that cannot be."""

from __future__ import annotations

import onnx
import onnx.parser
import pytest

from fuzz.performance.parts import PARTS, cut


def parsed(body: str) -> bytes:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}').SerializeToString()


CHAIN = " ".join(f"v{i + 1} = Add (v{i}, w)" for i in range(19))


def test_parts_hold_every_node_once_and_are_models():
    whole = parsed(f"g (float[n, 3] v0) => (float[n, 3] v19, float[n, 3] v4) <float[3] w = {{1, 2, 3}}> {{ {CHAIN} }}")
    parts = [onnx.load_model_from_string(part) for part in cut(whole)]
    assert len(parts) == PARTS
    nodes = [node.output[0] for part in parts for node in part.graph.node]
    assert nodes == [f"v{i}" for i in range(1, 20)]
    for part in parts:
        onnx.checker.check_model(part, full_check=True)
        assert [tensor.name for tensor in part.graph.initializer] == ["w"]
    assert [info.name for info in parts[0].graph.input] == ["v0"]
    assert "v4" in {info.name for part in parts for info in part.graph.output}


@pytest.mark.parametrize(
    "model",
    [
        parsed("g (float[n] x) => (float[n] y) { y = Relu (x) }"),
        # A cut would make an input of v1, which the compiler of the whole knows.
        parsed(f"g (float[n, 3] x) => (float[n, 3] y) <float[3] v0 = {{1, 2, 3}}, float[3] w = {{1, 2, 3}}>"
               f" {{ {CHAIN} y = Add (x, v19) }}"),
        # The type of a value of an operator that nobody knows.
        onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17, "mine" : 1]> g (float[3] v0, float[3] w) => (float[3] v19)'
            f" {{ {CHAIN.replace('Add', 'mine.Add')} }}").SerializeToString(),
        b"no model",
    ],
    ids=["few nodes", "constants", "unknown types", "garbage"],
)  # fmt: skip
def test_what_is_not_cut(model):
    assert cut(model) == ()
