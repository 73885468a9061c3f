"""ONNX Runtime 1.31.1 gives a wrong number for
DequantizeLinear(QuantizeLinear(DequantizeLinear(QuantizeLinear(float,int8),f..., and is right with
opt=0

    pip install onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
    python repro.py

It reads model.onnx and test_data_set_* beside it.
Exit code: 1 while the bug is there, 0 once it is mended, 2 where this cannot run.
"""

import os
import pathlib
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

try:
    import numpy as np
    import onnx
    import onnx.numpy_helper
    import onnxruntime
except ImportError as problem:
    print(f"cannot run: {problem}; what to install stands at the top of this file")
    sys.exit(2)


def read(path):
    """What lies beside this script: a model, a tensor, or a list of tensors."""
    data = (pathlib.Path(__file__).parent / path).read_bytes()
    if path.endswith(".onnx"):
        return onnx.load_model_from_string(data)
    if "/list_" in path:
        return onnx.numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    return onnx.numpy_helper.to_array(onnx.TensorProto.FromString(data))


MODEL = read("model.onnx")


INPUTS = {
    "x0": np.array([0.0, -2.1138678], np.float32),
}


# Output, element type, what is due, how far an answer may be from it before it is called wrong. Computed
# in float64 from ONNX's text; the tolerance is four times the error that rounding in every operation can add up to.
DUE = [
    ("y0", "float32", np.array([0.0, -2.0], np.float64), np.array([1.89e-37, 1.44e-06], np.float64)),
]


def build(model):
    """A function from inputs to outputs: a session."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = 1
    arguments = {"providers": ["CPUExecutionProvider"]}
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, **arguments)
    return lambda inputs: session.run(None, inputs)


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
