"""OpenVINO 2026.4.1 dies (SIGSEGV) of Add(GroupNormalization(float),Relu(float))

    pip install openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
    python repro.py

Exit code: 1 while the bug is there, 0 once it is mended, 2 where this cannot run.
"""

import signal
import subprocess
import sys

try:
    import numpy as np
    import onnx
    import onnx.parser
    sys.modules["openvino_telemetry"] = None  # nothing is sent
    import openvino
except ImportError as problem:
    print(f"cannot run: {problem}; what to install stands at the top of this file")
    sys.exit(2)


MODEL = onnx.parser.parse_model("""
<
   ir_version: 10,
   opset_import: ["" : 21]
>
g (float[1,4,2,2] x, float[1,4,2,2] z) => (float[1,4,2,2] y)
   <float[4] s =  {1,2,3,4}, float[4] b =  {1,2,3,4}>
{
   n = GroupNormalization <num_groups: int = 2> (x, s, b)
   r = Relu (z)
   y = Add (n, r)
}
""")


INPUTS = {
    "x": np.array([[[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]], [[8.0, 9.0], [10.0, 11.0]],
        [[12.0, 13.0], [14.0, 15.0]]]], np.float32),
    "z": np.array([[[[-8.0, -7.0], [-6.0, -5.0]], [[-4.0, -3.0], [-2.0, -1.0]], [[0.0, 1.0], [2.0, 3.0]],
        [[4.0, 5.0], [6.0, 7.0]]]], np.float32),
}


# Output, element type, what is due, how far an answer may be from it before it is called wrong. Computed
# in float64 from ONNX's text; the tolerance is four times the error that rounding in every operation can add up to.
DUE = [
    ("y", "float32", np.array([[[[-0.5275237768681267, -0.09108841204866192], [0.34534695277080285,
        0.7817823175902676]], [[2.4364353648194648, 3.3093060944583943], [4.182176824097324,
        5.055047553736253]], [[-1.58257133060438, 0.7267347638540143], [3.0360408583124086,
        5.345346952770803]], [[8.87287072963893, 11.618612188916789], [14.364353648194648,
        17.110095107472507]]]], np.float64), np.array([[[[2.76e-05, 2.13e-05], [1.53e-05, 9.39e-06]], [[1.96e-05, 3.31e-05], [4.65e-05,
        6e-05]], [[0.000447, 0.000335], [0.000224, 0.000113]], [[0.000153, 0.000304], [0.000455,
        0.000607]]]], np.float64)),
]


DEVICE = "CPU"
SETTINGS = {'EXECUTION_MODE_HINT': 'ACCURACY', 'INFERENCE_NUM_THREADS': 1, 'NUM_STREAMS': 1, 'INFERENCE_PRECISION_HINT': 'f32'}


def to_openvino(array):
    """A tensor of OpenVINO's."""
    return openvino.Tensor(array.astype(np.str_) if array.dtype == object else array)


def from_openvino(tensor):
    """An array of numpy's."""
    is_text = tensor.element_type == openvino.Type.string
    return np.array(tensor.str_data if is_text else tensor.data).reshape(list(tensor.shape))


def build(model):
    """A function from inputs to outputs: an infer request of a compiled model."""
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), DEVICE, SETTINGS)
    request = compiled.create_infer_request()

    def run(inputs):
        given = []
        for port in compiled.inputs:  # inputs that nothing reads are gone
            given.append(to_openvino(next(inputs[name] for name in inputs if name in port.get_names())))
        request.infer(given)
        return [from_openvino(request.get_output_tensor(n)) for n in range(len(compiled.outputs))]

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


def here():
    """Compute and compare in this process: what it ends with is told by the one that has started it."""
    try:
        found = faults(answers())
    except MemoryError as problem:
        print(f"BUG: {problem!r}")
        return 1
    except Exception as problem:
        print(f"no longer as it was, but refused: {type(problem).__name__}: {problem}")
        return 2
    for line in found:
        print(f"BUG: {line}")
    if not found:
        print("ok: each element is what is due")
    return 1 if found else 0


def main():
    """Have another process compute, and tell what it dies of; three times, for memory is not always the same."""
    if "--here" in sys.argv:
        return here()
    status = 0
    for _ in range(3):
        status = subprocess.run([sys.executable, __file__, "--here"]).returncode
        if status not in (0, 1, 2):
            name = signal.Signals(-status).name if status < 0 else f"exit status {status:#x}"
            print(f"BUG: the process dies of it: {name}")
            return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
