"""TVM 0.27.0.post1 refuses the valid model Elu(float16)

    pip install apache-tvm==0.27.0.post1 onnx==1.23.2 numpy==2.4.6
    python repro.py

Exit code: 1 while the bug is there, 0 once it is mended, 2 where this cannot run.
"""

import os
import sys

os.environ["TVM_NUM_THREADS"] = "1"

try:
    import numpy as np
    import onnx
    import onnx.parser
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx
except ImportError as problem:
    print(f"cannot run: {problem}; what to install stands at the top of this file")
    sys.exit(2)


MODEL = onnx.parser.parse_model("""
<
   ir_version: 10,
   opset_import: ["" : 21]
>
g (float16[2] x) => (float16[2] y) {
   y = Elu (x)
}
""")


INPUTS = {
    "x": np.array([1.0, -1.0], np.float16),
}


# Output, element type, what is due, how far an answer may be from it before it is called wrong. Computed
# in float64 from ONNX's text; the tolerance is four times the error that rounding in every operation can add up to.
DUE = [
    ("y", "float16", np.array([1.0, -0.6321205588285577], np.float64), np.array([0.0776, 0.0609], np.float64)),
]


def to_array(value):
    """The array of what the virtual machine returns; a shape stands for a vector of sizes."""
    if isinstance(value, tvm.runtime.Tensor):
        return value.numpy()
    return np.array(list(value) if isinstance(value, tvm.runtime.ShapeTuple) else value)


def build(model):
    """A function from inputs to outputs: the Relax virtual machine."""
    module = from_onnx(model, keep_params_in_input=False)
    module = relax.transform.DecomposeOpsForInference()(module)
    target = tvm.target.Target("llvm")
    with tvm.transform.PassContext(opt_level=3):
        program = relax.build(module, target=target, relax_pipeline="default", exec_mode="bytecode")
    machine = relax.VirtualMachine(program, tvm.cpu())
    def run(inputs):
        names = [port.name for port in model.graph.input if port.name in inputs]
        arguments = [tvm.runtime.tensor(inputs[name], tvm.cpu()) for name in names]
        result = machine["main"](*arguments)
        results = [result] if len(model.graph.output) == 1 else list(result)
        return [to_array(value) for value in results]
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
