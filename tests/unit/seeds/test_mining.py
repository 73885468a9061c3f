"""Windows of real models: cut out, told apart, typed symbolically, written down, read back."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from abstract.constraints import Constraints
from fuzz.errors import UsageError
from fuzz.seeds.canonical import key
from fuzz.seeds.cut import Wiring, cuts
from fuzz.seeds.mine import Mined, find_models, mine, written
from fuzz.seeds.net import read_net
from fuzz.seeds.retype import retyped, small_sizes
from fuzz.seeds.window import Window, decoded, encoded, formula, number, symbols_of

HEADS = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[1, 8, 32] x) => (float[1, 4, 8, 8] y)
<int64[4] split = {1, 8, 4, 8}>
{
  q = MatMul (x, w)
  r = Reshape (q, split)
  t = Transpose <perm = [0, 2, 1, 3]> (r)
  y = Relu (t)
}
"""
NETWORK = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[1, 3, 16, 16] x) => (float[1, 4] y)
<float[4] b = {0.0, 0.1, 0.2, 0.3}>
{
  c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x, k, b)
  r = Relu (c)
  s = Sigmoid (r)
  m = Mul (r, s)
  p = GlobalAveragePool (m)
  y = Flatten (p)
}
"""


def save(folder, name, text, **weights):
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items())
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def heads(tmp_path):
    return save(tmp_path, "heads", HEADS, w=np.ones((32, 32)))


@pytest.fixture
def network(tmp_path):
    return save(tmp_path, "network", NETWORK, k=np.ones((4, 3, 3, 3)))


def test_a_model_is_read_with_the_sizes_that_its_specifications_give(network):
    net = read_net(network, "network")
    assert " ".join(place.operator for place in net.places) == "Conv Relu Sigmoid Mul GlobalAveragePool Flatten"
    conv = net.places[0]
    assert [edge.kind for edge in conv.inputs if edge] == ["input", "weight", "weight"]
    assert conv.outputs[0].shape == (1, 4, 8, 8)
    assert not net.left


def test_what_a_model_computes_of_its_sizes_is_a_number(tmp_path):
    text = """<ir_version: 8, opset_import: ["" : 18]>
    g (float[2, 3, 4] x) => (float[n, 4] y) <int64[1] zero = {0}, int64[1] one = {1}, int64[1] rest = {-1}>
    { s = Shape (x)  a = Slice (s, one, rest)  b = Concat <axis = 0> (rest, a)
      c = Slice (b, zero, one)  d = Concat <axis = 0> (c, rest)  z = Relu (x)  y = Reshape (z, b) }"""
    net = read_net(save(tmp_path, "m", text), "m")
    assert [place.operator for place in net.places] == ["Relu", "Reshape"]
    assert net.places[1].params["shape"] == (-1, 3)
    assert net.places[1].outputs[0].shape == (8, 3)


def test_what_cannot_be_a_window_is_counted(tmp_path):
    text = """<ir_version: 8, opset_import: ["" : 18, "strange": 1]>
    g (float[2, 3] x) => (float[2, 3] y) { a = Relu (x)  b = strange.Thing (a)  y = Neg (b) }"""
    net = read_net(save(tmp_path, "m", text), "m")
    assert [place.operator for place in net.places] == ["Relu"]
    assert sum(net.left.values()) == 2


def test_windows_are_connected_and_convex(network):
    wiring = Wiring(read_net(network, "network"))
    found = {members for start in range(6) for members in cuts(wiring, start, 2, 4)}
    assert frozenset({0, 1}) in found
    assert frozenset({1, 2, 3}) in found
    assert frozenset({1, 3}) not in found  # a path leaves it by way of Sigmoid
    assert not wiring.is_convex(frozenset({1, 3}))
    assert all(2 <= len(members) <= 4 and wiring.is_convex(members) for members in found)


def test_names_and_sizes_and_the_order_of_branches_do_not_matter(tmp_path):
    one = """<ir_version: 8, opset_import: ["" : 18]> g (float[2, 3] x) => (float[2, 3] y)
    { a = Relu (x)  b = Sigmoid (x)  y = Sub (a, b) }"""
    same = """<ir_version: 8, opset_import: ["" : 18]> g (float[5, 4] u) => (float[5, 4] w)
    { q = Sigmoid (u)  p = Relu (u)  w = Sub (p, q) }"""
    other = same.replace("Sub (p, q)", "Sub (q, p)")
    apart = same.replace("Relu (u)", "Relu (v)").replace("[5, 4] u)", "[5, 4] u, float[5, 4] v)")
    first, alike, swapped, unshared = (
        key(read_net(save(tmp_path, name, text), name).places)
        for name, text in (("one", one), ("same", same), ("other", other), ("apart", apart))
    )
    assert first == alike
    assert len({first, swapped, unshared}) == 3


def test_heads_of_attention_get_a_symbol_each(heads):
    typed, reason = retyped(read_net(heads, "heads").places)
    assert reason == ""
    values = {symbol: typed.store.witness(symbol) for symbol in typed.free()}
    assert sorted(values.values()) == [1, 4, 8, 8, 32]
    name = dict(zip(values, "abcde", strict=True))
    store = typed.store
    assert [formula(store.resolve(d), name.get) for d in typed.shapes["x"]] == ["a", "b", "c"]
    assert [formula(store.resolve(d), name.get) for d in typed.params[1]["shape"]] == ["a", "b", "d", "e"]
    assert [formula(store.resolve(d), name.get) for d in typed.shapes["w"]] == ["c", "d*e"]
    other = small_sizes(typed, 0)
    assert store.satisfied(other.__getitem__)
    assert max(other.values()) <= 8


def test_a_batch_that_a_reshape_drops_is_a_1(tmp_path):
    text = """<ir_version: 8, opset_import: ["" : 18]> g (float[1] x, float[3] z) => (float[3] y)
    <int64[0] none = {}> { s = Reshape (x, none)  y = Add (s, z) }"""
    typed, reason = retyped(read_net(save(tmp_path, "m", text), "m").places)
    assert reason == ""
    assert typed.store.resolve(typed.shapes["x"][0]) == 1


def test_a_depthwise_convolution_stays_one_at_other_sizes(tmp_path):
    text = """<ir_version: 8, opset_import: ["" : 18]> g (float[1, 16, 8, 8] x) => (float[1, 16, 6, 6] y)
    { y = Conv <group = 16> (x, k) }"""
    typed, _ = retyped(read_net(save(tmp_path, "m", text, k=np.ones((16, 1, 3, 3))), "m").places)
    values = small_sizes(typed, 0)
    group = typed.params[0]["group"]
    resolved = typed.store.resolve(group)
    assert resolved == typed.store.resolve(typed.shapes["x"][1])
    assert values[resolved.symbol] < 16


def test_mining_twice_gives_the_same_file_that_reads_back(heads, network, tmp_path):
    out = []
    for turn in range(2):
        result = Mined()
        mine(find_models([tmp_path]), result, nodes=(2, 5))
        written(result, tmp_path / f"{turn}.jsonl")
        out.append((tmp_path / f"{turn}.jsonl").read_text())
    assert out[0] == out[1]
    windows = [Window.from_json(line) for line in out[0].splitlines()]
    assert [window.to_json() for window in windows] == out[0].splitlines()
    assert result.models == 2
    assert result.typed == result.symbolic == result.evaluated == len(windows) >= 12
    assert {window.models for window in windows} == {("heads",), ("network",)}
    assert all(len(window.sizes) > 1 for window in windows)
    few = Mined()
    mine(find_models([heads, network]), few, nodes=(2, 5), limit=6)
    assert len(few.windows) == 6
    assert {len(window.calls) for window in few.windows} == {2, 3, 4, 5}


def test_a_window_that_cannot_be_evaluated_is_counted_with_its_reason(tmp_path):
    text = """<ir_version: 8, opset_import: ["" : 18]> g (int64[2] i) => (float[2, 2] y)
    <float[3, 2] table = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, int64[2] far = {40, 41}>
    { j = Add (i, far)  y = Gather (table, j) }"""
    result = Mined()
    mine([(save(tmp_path, "m", text), "m")], result)
    assert result.windows == []
    assert list(result.unevaluated) == ["Gather is not defined there: gather-out-of-range"]


def test_files_that_are_no_models_are_named(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    result = Mined()
    mine(find_models([tmp_path]), result)
    assert result.unread == [str(tmp_path / "broken.onnx")]
    with pytest.raises(UsageError, match="give a model or a folder"):
        find_models([tmp_path / "none"])


class TestText:
    def test_a_formula_means_the_same_after_a_round_trip(self):
        store = Constraints()
        a, b = store.fresh(7), store.fresh(3)
        name = {a.symbol: "a", b.symbol: "b"}
        for dim in (a, a * b + 2, (a - 1) // 2 + b, -a + 9, b * ((a + 1) // 2), (a * a + b) // (b + 1), 5):
            assert number(formula(dim, name.get), {"a": a, "b": b}) == dim
        assert sorted(symbols_of("((a+1)//2)*b+a")) == ["a", "b"]

    def test_what_is_no_formula_is_refused(self):
        for text in ("a**2", "f(a)", "a +", "a.b", "'a'"):
            with pytest.raises((ValueError, KeyError)):
                number(text, {"a": 1})

    def test_parameters(self):
        tensor = onnx.helper.make_tensor("", onnx.TensorProto.FLOAT, [2], [1.0, 0.5])
        for value in (3, 0.5, b"same_upper", (1, 2), (0.25, 1.0), (b"a", b"b"), float("inf")):
            assert decoded(encoded(value, int), {}) == value
        assert numpy_helper.to_array(decoded(encoded(tensor, int), {})).tolist() == [1.0, 0.5]
        with pytest.raises(TypeError):
            encoded(onnx.GraphProto(), int)
