"""tinygrad 0.14.0 gives a wrong number for EyeLike(float)

    pip install tinygrad==0.14.0 onnx==1.23.2 numpy==2.4.6
    python repro.py

Exit code: 1 while the bug is there, 0 once it is mended, 2 where this cannot run.
"""

import os
import pathlib
import sys
import tempfile

os.environ["BEAM"] = "0"
os.environ["CACHELEVEL"] = "0"
os.environ["CCACHE"] = "0"
os.environ["DEV"] = "PYTHON"
os.environ["NUM_CPU_THREADS"] = "1"
os.environ["PARALLEL"] = "0"
os.environ["SCACHE"] = "0"

try:
    import numpy as np
    import onnx
    import onnx.parser
    import ml_dtypes
    import tinygrad
    from tinygrad.nn.onnx import OnnxRunner
except ImportError as problem:
    print(f"cannot run: {problem}; what to install stands at the top of this file")
    sys.exit(2)


MODEL = onnx.parser.parse_model("""
<
   ir_version: 8,
   opset_import: ["" : 15]
>
g (float[2,2] x) => (float[2,2] y) {
   y = EyeLike <k: int = 1> (x)
}
""")


INPUTS = {
    "x": np.array([[1.0, 1.0], [1.0, 1.0]], np.float32),
}


# Output, element type, what is due, how far an answer may be from it before it is called wrong. Computed
# in float64 from ONNX's text; the tolerance is four times the error that rounding in every operation can add up to.
DUE = [
    ("y", "float32", np.array([[0.0, 1.0], [0.0, 0.0]], np.float64), 0.0),
]


def to_array(tensor):
    """An array of a tensor, whose type numpy may lack."""
    if not isinstance(tensor, tinygrad.Tensor):
        raise TypeError(f"a {type(tensor).__name__} where the model has a tensor")
    if tensor.dtype is tinygrad.dtypes.bfloat16:
        import ml_dtypes

        return tensor.contiguous().bitcast(tinygrad.dtypes.uint16).numpy().view(ml_dtypes.bfloat16)
    # A constant lies on no device, and would be fetched by way of one for which a compiler is needed.
    if tensor.uop.device is None:
        tensor = tensor.clone(tinygrad.Device.DEFAULT)
    return tensor.contiguous().realize().numpy()


def to_tensor(array):
    """A tensor of tinygrad's from the bytes of an array."""
    if not array.size or array.dtype.kind in "biufc":
        return tinygrad.Tensor(np.array(array))
    return tinygrad.Tensor(array.tobytes(), dtype=tinygrad.dtypes.bfloat16).reshape(array.shape)


def build(model):
    """A function from inputs to outputs: a runner of tinygrad's, one for each run."""
    folder = tempfile.TemporaryDirectory()
    onnx.save(model, pathlib.Path(folder.name, "model.onnx"))

    def run(inputs):
        runner = OnnxRunner(pathlib.Path(folder.name, "model.onnx"))
        found = runner({name: to_tensor(array) for name, array in inputs.items()})
        lazy = [value for value in found.values() if isinstance(value, tinygrad.Tensor)]
        if lazy:
            lazy[0].realize(*lazy[1:])
        return [to_array(found[port.name]) for port in model.graph.output]

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
