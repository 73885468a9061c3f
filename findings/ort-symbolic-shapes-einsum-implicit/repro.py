"""ONNX Runtime's symbolic shape inference 1.31.1 refuses the valid model Einsum(float)

    pip install onnxruntime==1.31.1 sympy==1.14.0 onnx==1.23.2 numpy==2.4.6
    python repro.py

Exit code: 1 while the bug is there, 0 once it is mended, 2 where this cannot run.
"""

import os
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

try:
    import numpy as np
    import onnx
    import onnx.parser
    import onnx.printer
    import onnxruntime
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference
except ImportError as problem:
    print(f"cannot run: {problem}; what to install stands at the top of this file")
    sys.exit(2)


MODEL = onnx.parser.parse_model("""
<
   ir_version: 10,
   opset_import: ["" : 21]
>
g (float[1,2] x, float[3] w) => (float[3,2,1] y) {
   y = Einsum <equation: string = "cb,a"> (x, w)
}
""")


INPUTS = {
    "x": np.array([[1.0, 2.0]], np.float32),
    "w": np.array([1.0, 2.0, 3.0], np.float32),
}


# Output, element type, what is due, how far an answer may be from it before it is called wrong. Computed
# in float64 from ONNX's text; the tolerance is four times the error that rounding in every operation can add up to.
DUE = [
    ("y", "float32", np.array([[[1.0], [2.0]], [[2.0], [4.0]], [[3.0], [6.0]]], np.float64), np.array([[[7.19e-07], [1.44e-06]], [[1.44e-06], [2.88e-06]], [[2.16e-06], [4.31e-06]]],
        np.float64)),
]


def plain(model):
    """ONNX Runtime without optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    arguments = {"providers": ["CPUExecutionProvider"]}
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, **arguments)
    return lambda inputs: session.run(None, inputs)


def ports(model):
    """Names, types and known sizes of inputs and outputs."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [port for port in model.graph.input if port.name not in constants]
    return [
        [(p.name, p.type.tensor_type.elem_type, [d.dim_value for d in p.type.tensor_type.shape.dim]) for p in each]
        for each in (inputs, model.graph.output)
    ]


def check_ports(before, after):
    """Raise ValueError where inputs or outputs are not what they were; a size may become known."""
    for old, new in zip(ports(before), ports(after)):
        if [each[:2] for each in old] != [each[:2] for each in new]:
            raise ValueError(f"inputs or outputs were {old} and are now {new}")
        for (name, _, sizes), (_, _, found) in zip(old, new):
            differs = len(sizes) != len(found) or any(a and b and a != b for a, b in zip(sizes, found))
            if sizes and found and differs:
                raise ValueError(f"{name} had the sizes {sizes} and has now {found}")


def check_claims(before, after, inputs):
    """Raise ValueError where a type or shape that is claimed of a value is not the one that it has."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(before)
    claims = {info.name: info for info in (*after.graph.value_info, *after.graph.output)}
    known = {port.name for port in exposed.graph.output}
    made = {name for node in exposed.graph.node for name in node.output}
    exposed.graph.output.extend(info for name, info in claims.items() if name in made - known)
    for port in exposed.graph.output:
        port.type.tensor_type.ClearField("shape")
    for port, array in zip(exposed.graph.output, plain(exposed)(inputs)):
        kind = claims[port.name].type.tensor_type
        sizes = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
        fits = len(sizes) == array.ndim and all(s in (None, n) for s, n in zip(sizes, array.shape))
        if kind.HasField("shape") and not fits:
            raise ValueError(f"{port.name} is claimed to have the shape {sizes}, and has {list(array.shape)}")


def rewrite(model):
    return SymbolicShapeInference.infer_shapes(model, auto_merge=False)


def build(model):
    """A function from inputs to outputs: the rewritten model on a runtime that changes nothing."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    made = rewrite(copy)
    if made.ByteSize() < 5000:
        print(onnx.printer.to_text(made.graph))
    check_ports(model, made)
    wanted = {port.name for port in made.graph.input}
    compute = plain(made)

    def run(inputs):
        check_claims(model, made, inputs)
        return compute({name: array for name, array in inputs.items() if name in wanted})

    return run


def fault(name, kind, due, tolerance, got):
    """What is wrong of an output, in a line; empty where nothing is."""
    got = np.asarray(got)
    if got.dtype.name != kind:
        return f"{name} has the element type {kind}, got {got.dtype.name}"
    if got.shape != due.shape:
        return f"{name} has the shape {list(due.shape)}, got {list(got.shape)}"
    with np.errstate(all="ignore"):
        held = got.astype(due.dtype)
        same = (held == due) | ((held != held) & (due != due))  # NaN is due where NaN is
        far = np.where(same, 0, np.abs(held.astype(float) - due.astype(float)))
        wrong = ~same & (~(far <= tolerance) | np.equal(tolerance, 0)) & np.isfinite(tolerance)
    if not wrong.any():
        return ""
    worst = np.where(wrong, np.nan_to_num(far / np.maximum(tolerance, 1e-300), nan=np.inf), -1)
    at = np.unravel_index(int(np.argmax(worst)), due.shape)
    place = f"{name}{list(map(int, at))}" if due.ndim else name
    allowed = np.broadcast_to(tolerance, due.shape)[at]
    whole = f"; all of it: {got.tolist()} where {due.tolist()} is due" if 1 < due.size <= 16 else ""
    return (f"{place}: expected {due[at]}, got {got[at]}, tolerance {allowed:.3g}; "
            f"{int(wrong.sum())} of {due.size} elements are wrong{whole}")


def answers():
    """The outputs of each data set."""
    run = build(MODEL)
    return [run(INPUTS)]


def faults(given):
    """What is wrong of them, a line each."""
    found = []
    for due, outputs in zip([DUE], given):
        if len(outputs) != len(due):
            found.append(f"{len(due)} outputs are due, got {len(outputs)}")
        found += filter(None, (fault(*row, got) for row, got in zip(due, outputs)))
    return found


def main():
    """Compute, compare, tell."""
    try:
        given = answers()
    except Exception as problem:
        print(f"BUG: the model is valid and is refused: {type(problem).__name__}: {problem}")
        return 1
    found = faults(given)
    for line in found:
        print(f"BUG: {line}")
    if not found:
        print("ok: each element is what is due")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
