"""The oldest header that a model's content permits."""

import onnx
import pytest
from onnx import parser

from fuzz.bisect.header import plain

HEAD = '<ir_version: {ir}, opset_import: ["" : {opset}{more}]>\n'


def made(body, ir=10, opset=21, more=""):
    return parser.parse_model(HEAD.format(ir=ir, opset=opset, more=more) + body)


def lowered(model):
    found = plain(model.SerializeToString())
    if found is None:
        return None
    changed = onnx.ModelProto.FromString(found)
    onnx.checker.check_model(changed, full_check=True)
    assert changed.graph == model.graph
    return changed.ir_version, next(each.version for each in changed.opset_import if not each.domain)


@pytest.mark.parametrize(
    ("model", "header"),
    [
        (made("g (float[2] x) => (float[2] y) { y = Max(x, x) }"), (7, 13)),
        (made("g (float[2] x) => (float[2] y) { y = Gelu(x) }"), (9, 20)),
        (made("g (float[2] x) => (float[2] y) { y = Max(x, x) }", ir=7, opset=13), None),
        # Reshape has a schema of its own in opset 21.
        (made("g (float[2] x, int64[1] s) => (float[N] y) { y = Reshape(x, s) }", ir=13), (10, 21)),
        # Element types that the format got later, declared or only named.
        (made("g (float[2] x) => (float8e5m2[2] y) { y = Cast<to: int = 19>(x) }", opset=20), (9, 19)),
        # Inside of a body.
        (
            made(
                "g (bool c, float[2] x) => (float[2] y) { y = If (c) <"
                "then_branch = t () => (float[2] a) { a = Gelu(x) }, "
                "else_branch = e () => (float[2] b) { b = Abs(x) }> }",
                ir=12,
                opset=20,
            ),
            (9, 20),
        ),
        (made("g (float[2] x) => (float[2] y) { y = Unknown(x) }"), None),
    ],
)
def test_it_goes_down_as_far_as_nothing_changes(model, header):
    assert lowered(model) == header


def test_functions_count_and_go_along():
    text = """
        g (float[2] x) => (float[2] y) { y = local.f(x) }
        <opset_import: ["" : 21], domain: "local"> f (a) => (b) { b = Abs(a) }
    """
    model = made(text, more=', "local" : 1')
    changed = onnx.ModelProto.FromString(plain(model.SerializeToString()))
    assert changed.ir_version == 8
    assert [(each.domain, each.version) for each in changed.opset_import] == [("", 13), ("local", 1)]
    assert [each.version for each in changed.functions[0].opset_import] == [13]
    onnx.checker.check_model(changed, full_check=True)


def test_fields_of_newer_formats_keep_it_up():
    model = made("g (float[2] x) => (float[2] y) { y = Abs(x) }", ir=12)
    entry = model.graph.node[0].metadata_props.add()
    entry.key, entry.value = "origin", "here"
    assert lowered(model) == (10, 13)
