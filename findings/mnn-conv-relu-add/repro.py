"""MNN 3.6.1 gives a wrong number for Add(Relu(Conv(float)),float)

    pip install mnn==3.6.1 onnx==1.23.2 numpy==2.4.6
    python repro.py

Exit code: 1 while the bug is there, 0 once it is mended, 2 where this cannot run.
"""

import pathlib
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnx.parser
    import onnx.shape_inference
    import _tools
    from MNN import expr, nn
except ImportError as problem:
    print(f"cannot run: {problem}; what to install stands at the top of this file")
    sys.exit(2)


MODEL = onnx.parser.parse_model("""
<
   ir_version: 8,
   opset_import: ["" : 13]
>
g (float[1,1,2,2] x) => (float[1,1,2,2] y)
   <float[1,1,1,1] w =  {1}, float[1,1,1,1] a =  {-1}>
{
   c = Conv (x, w)
   r = Relu (c)
   y = Add (r, a)
}
""")


INPUTS = {
    "x": np.array([[[[-1.0, -1.0], [-1.0, -1.0]]]], np.float32),
}


# Output, element type, what is due, how far an answer may be from it before it is called wrong. Computed
# in float64 from ONNX's text; the tolerance is four times the error that rounding in every operation can add up to.
DUE = [
    ("y", "float32", np.array([[[[-1.0, -1.0], [-1.0, -1.0]]]], np.float64), 7.19e-07),
]


HELD = {"f": (np.float32, expr.float), "u": (np.uint8, expr.uint8)}  # all else in int32


def build(model):
    """A function from inputs to outputs: a module of MNN's."""
    inputs = [port.name for port in onnx.shape_inference.infer_shapes(model).graph.input]
    outputs = [port.name for port in model.graph.output]
    folder = tempfile.TemporaryDirectory()
    source, target = (str(pathlib.Path(folder.name, f"model.{suffix}")) for suffix in ("onnx", "mnn"))
    onnx.save(model, source)
    # What the command `mnnconvert` calls.
    _tools.mnnconvert([
        "mnnconvert", "-f", "ONNX", "--modelFile", source, "--MNNModel", target,
        "--optimizeLevel", "1", "--bizCode", "model",
    ])
    if not pathlib.Path(target).is_file():
        raise RuntimeError("the converter wrote no model: see what it printed")
    settings = {
        "backend": "CPU", "precision": "high",
        "numThread": 1,
    }
    manager = nn.create_runtime_manager((settings,))
    manager.set_hint(3, 0)  # no Winograd
    module = nn.load_module_from_file(target, inputs, outputs, runtime_manager=manager)

    def run(given):
        results = module.forward([to_mnn(given[name]) for name in inputs if name in given])
        results = results if isinstance(results, (list, tuple)) else [results]
        return [to_array(*pair) for pair in zip(results, model.graph.output)]

    return run


def to_mnn(array):
    """A variable of MNN's."""
    kind, held = HELD.get(array.dtype.kind, (np.int32, expr.int))
    return expr.const(np.ascontiguousarray(array.astype(kind)), list(array.shape), expr.NCHW, held)


def to_array(result, port):
    """An array of the type that the model declares: MNN holds it in a type of its own."""
    plain = result if result.data_format == expr.NCHW else expr.convert(result, expr.NCHW)
    kind = onnx.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)
    shape = tuple(plain.shape)
    return (np.array(plain.read()).reshape(shape) if 0 not in shape else np.zeros(shape)).astype(kind)


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
        print(f"cannot tell, it is refused: {type(problem).__name__}: {problem}")
        return 2
    found = faults(given)
    for line in found:
        print(f"BUG: {line}")
    if not found:
        print("ok: each element is what is due")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
