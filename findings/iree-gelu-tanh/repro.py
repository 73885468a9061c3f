"""IREE 3.13.0 gives a wrong number for Gelu(float)

    pip install iree-base-compiler==3.13.0 iree-base-runtime==3.13.0 onnx==1.23.2 numpy==2.4.6
    python repro.py

Exit code: 1 while the bug is there, 0 once it is mended, 2 where this cannot run.
"""

import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnx.parser
    import iree.compiler
    import iree.runtime
except ImportError as problem:
    print(f"cannot run: {problem}; what to install stands at the top of this file")
    sys.exit(2)


MODEL = onnx.parser.parse_model("""
<
   ir_version: 10,
   opset_import: ["" : 20]
>
g (float[1] x) => (float[1] y) {
   y = Gelu <approximate: string = "tanh"> (x)
}
""")


INPUTS = {
    "x": np.array([-1.0], np.float32),
}


# Output, element type, what is due, how far an answer may be from it before it is called wrong. Computed
# in float64 from ONNX's text; the tolerance is four times the error that rounding in every operation can add up to.
DUE = [
    ("y", "float32", np.array([-0.1588080093917233], np.float64), 1.04e-05),
]


FLAGS = [
    "--iree-input-type=onnx",
    "--iree-hal-target-backends=llvm-cpu",
    "--iree-opt-level=O3",
    "--iree-input-demote-f64-to-f32=false",
    "--iree-llvmcpu-target-cpu=host",
]
DEVICE = "local-sync"


def as_declared(array, port):
    """Compiled programs know integers without a sign: only the model tells unsigned ones."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)
    return array.view(kind) if kind.kind == "u" and array.dtype.kind == "i" else array


def build(model):
    """A function from inputs to outputs: a module of IREE's virtual machine."""
    model.graph.name = "main"
    with tempfile.TemporaryDirectory() as folder:
        source, mlir = pathlib.Path(folder, "model.onnx"), pathlib.Path(folder, "model.mlir")
        onnx.save(model, source)
        command = [sys.executable, "-m", "iree.compiler.tools.import_onnx", str(source), "-o", str(mlir)]
        subprocess.run([*command, "--data-prop"], check=True)
        binary = iree.compiler.compile_file(str(mlir), extra_args=FLAGS)
    config = iree.runtime.Config(device=iree.runtime.get_device(DEVICE))
    context = iree.runtime.SystemContext(config=config)
    context.add_vm_module(iree.runtime.VmModule.copy_buffer(config.vm_instance, binary))
    function = context.modules.module["main"]

    def run(inputs):
        names = [port.name for port in model.graph.input if port.name in inputs]
        given = function(*(inputs[name] for name in names))
        arrays = [np.asarray(each.to_host()) for each in (given if isinstance(given, tuple) else (given,))]
        return [as_declared(*pair) for pair in zip(arrays, model.graph.output)]

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
