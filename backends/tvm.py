"""Apache TVM: the Relax front end for ONNX, LLVM, the Relax virtual machine."""

from __future__ import annotations

import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx
from tvm.runtime import ShapeTuple as Shape
from tvm.support import cc

from backends.external import read_model
from backends.graph import numbered, small_model, taken
from backends.layout import Layout, arranged
from backends.protocol import Rejected, Stage, Unsupported, Words, heard
from backends.tensor import Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

WORDS = Words(
    unsupported=(
        r"OpNotImplemented",
        r"NotImplementedError",
        r"[Nn]ot (yet |currently )?(supported|implemented)",
        r"([Dd]oes|[Dd]o|[Cc]an) ?not (yet |currently )?support",
        r"[Uu]nsupported",
        r"[Oo]nly supports?\b",
        r"[Oo]nly (constant|static|integer|float)\b.* supported",
        r"must be a constant",
        r"cannot handle",
        r"only appl(y|ies) (on|to)",
        r"for Relax frontend",
        r"unknown dtype `object`",
        r"Missing outputs during conversion",
    )
)

_ADDRESSES = r'(?<=!")0x[0-9a-f]+'  # by which buffers are told apart in LLVM's IR
_NOT_PASSED = frozenset({"string", "int4", "uint4", "int2", "uint2", "float4e2m1", "float6e2m3", "float6e3m2"})


@dataclass(frozen=True, slots=True)
class Tvm:
    """TVM's Relax, for LLVM or CUDA."""

    name: str = "tvm"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Program:
        """Import with the Relax front end, then build for the device."""
        parsed = read_model(model, folder)
        with _silent(), heard(WORDS):
            module = from_onnx(parsed, keep_params_in_input=False)
            module = relax.transform.DecomposeOpsForInference()(module)
        enter(Stage.COMPILE)
        return _Program(module, len(parsed.graph.output), dict(options))

    def passes(self) -> list[str]:
        """The names that `disable` knows: what runs for a small model, in each pipeline."""
        module = from_onnx(small_model(), keep_params_in_input=False)
        journal = _Journal()
        for pipeline in PIPELINES:
            _build(module, {"pipeline": pipeline}, [journal])
        return sorted({name for name, *_ in journal.entries} - {"sequential"})


PIPELINES = ("default", "zero", "unfused", "cpu")


def _graph_passes(options: Mapping[str, str]) -> list[Any]:
    """What goes over the graph before the build: the passes asked for by `with`, then those of the pipeline."""
    transform = relax.transform
    asked = [getattr(transform, name)() for name in options.get("with", "").split("+") if name]
    match options.get("pipeline", "default"):
        case "zero":
            return [*asked, relax.get_pipeline("zero")]
        case "unfused":
            return [*asked, transform.LegalizeOps(), transform.FoldConstant()]
        case _:
            return asked


def _build(module: Any, options: Mapping[str, str], instruments: Sequence[Any] = ()) -> Any:
    """An executable, as TVM's own `tvm.compile` makes it once the graph's passes are done."""
    target = _target(options)
    disabled = options.get("disable", "")
    context = tvm.transform.PassContext(
        opt_level=int(options.get("opt", "3")),
        disabled_pass=disabled.split("+") if disabled else None,
        instruments=list(instruments),
    )
    with _silent(), context:
        with target:
            for graph_pass in _graph_passes(options):
                module = graph_pass(module)
        # The pipeline that TVM has for CPUs fuses; what `tvm.compile` takes for them by itself does not.
        pipeline = relax.get_default_pipeline(target) if options.get("pipeline") == "cpu" else "default"
        mode = options.get("exec_mode", "bytecode")
        return relax.build(module, target=target, relax_pipeline=pipeline, exec_mode=mode)


def _target(options: Mapping[str, str]) -> Any:
    if options.get("device") == "cuda":
        if not tvm.cuda().exist:
            raise RuntimeError("TVM reaches no CUDA device here: its runtime was built without, or there is no GPU")
        return tvm.target.Target.from_device(tvm.cuda())
    if options.get("cpu") == "native":
        return tvm.target.Target({"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu()})
    return tvm.target.Target("llvm")


@contextmanager
def _silent() -> Iterator[None]:
    """TVM warns of operators that it lacks; the refusal says so again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@tvm.instrument.pass_instrument
class _Journal:
    """Which passes ran, at which depth of sequences, and whether they changed the module."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int, bool]] = []
        self._before: list[int] = []

    def run_before_pass(self, module: Any, info: Any) -> None:
        del info
        self._before.append(tvm_ffi.structural_hash(module))

    def run_after_pass(self, module: Any, info: Any) -> None:
        changed = self._before.pop() != tvm_ffi.structural_hash(module)
        self.entries.append((str(info.name), len(self._before), changed))


def _reloaded(program: Any) -> Any:
    """What was built, saved as a shared library and loaded. The library may go once it is loaded."""
    if cc.get_cc() is None:
        raise Unsupported("a program is saved by a C++ compiler, and there is none on the path")
    with tempfile.TemporaryDirectory() as place:
        library = str(Path(place, "model.so"))
        program.export_library(library)
        return tvm.runtime.load_module(library)


class _Program:
    # Arrays are copied into memory of TVM's own: it refuses to share any that is not aligned to 64 bytes.
    layouts = tuple(Layout)

    def __init__(self, module: Any, outputs: int, options: Mapping[str, str]) -> None:
        self._module = module
        self._options = options
        self._parameters = len(module["main"].params)
        self._outputs = outputs
        self._device = tvm.cuda() if options.get("device") == "cuda" else tvm.cpu()
        with heard(WORDS):
            program = _build(module, options)
            if options.get("reload") == "yes":
                program = _reloaded(program)
            self._machine = relax.VirtualMachine(program, self._device, options.get("memory"))

    def artefacts(self) -> dict[str, bytes]:
        """The graph as imported, the passes that changed it, the virtual machine's code, LLVM's."""
        journal = _Journal()
        with heard(WORDS):
            program = _build(self._module, self._options, [journal])
        passes = "".join(f"{'  ' * depth}{name}\n" for name, depth, changed in journal.entries if changed)
        texts = {
            "imported.py": self._module.script(),
            "passes.txt": passes,
            "bytecode.txt": program.as_text() if self._options.get("exec_mode", "bytecode") == "bytecode" else "",
        }
        for number, library in enumerate(program.mod.imports):
            texts[f"library_{number}.{library.kind}"] = numbered(library.inspect_source(), _ADDRESSES, "buffer")
        return {name: text.encode() for name, text in texts.items() if text}

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return [_value(item) for item in self.results(inputs)]

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return [_value(item) for item in self.results(inputs, layout)]

    def bind(self, like: Sequence[Value]) -> _Pool:
        del like
        return _Pool(self)

    def results(self, inputs: Sequence[Value], layout: Layout | None = None) -> list[Any]:
        """The virtual machine's own objects, one for each output."""
        # What goes on behind the parameters are values for inputs that have a default, which TVM makes constants.
        arguments = [_argument(value, self._device, layout) for value in taken(inputs, self._parameters)]
        with heard(WORDS):
            result = self._call(arguments)
        results = [result] if self._outputs == 1 else list(result)
        if len(results) != self._outputs:
            raise Rejected(f"the program returns {len(results)} values, the model has {self._outputs} outputs")
        return results

    def _call(self, arguments: Sequence[Any]) -> Any:
        if self._options.get("call", "direct") == "direct":
            return self._machine["main"](*arguments)
        self._machine.set_input("main", *arguments)
        self._machine.invoke_stateful("main")
        return self._machine.get_outputs("main")


class _Pool:
    """The virtual machine allocates outputs itself, from a pool: what one run returns, the next run gets again.

    So the tensors of a run are filled and given back before the run that counts; not those that are the program's own
    constants, which it returns as they are.
    """

    def __init__(self, program: _Program) -> None:
        self._program = program

    def run(self, inputs: Sequence[Value], fill: int | None) -> list[Value]:
        if fill is not None:
            self._poison(inputs, fill)
        return self._program.run(inputs)

    def _poison(self, inputs: Sequence[Value], fill: int) -> None:
        one, two = (list(_tensors(self._program.results(inputs))) for _ in range(2))
        lasting = {tensor.data_ptr() for tensor in one} & {tensor.data_ptr() for tensor in two}
        for tensor in (*one, *two):
            if tensor.data_ptr() not in lasting:
                _fill(tensor, fill)


def _tensors(results: Sequence[Any]) -> Iterator[Any]:
    for result in results:
        if isinstance(result, tvm.runtime.Tensor):
            yield result
        elif not isinstance(result, (Shape, int, float, type(None))):
            yield from _tensors(result)


def _fill(tensor: Any, fill: int) -> None:
    value = _value(tensor)
    if isinstance(value, Tensor):
        poison = Tensor(value.element_type, value.shape, bytes([fill]) * len(value.data))
        with heard(WORDS):
            tensor.copyfrom(to_numpy(poison))


def _argument(value: Value, device: Any, layout: Layout | None) -> Any:
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are no arguments of a Relax function here")
    if value.element_type in _NOT_PASSED:
        raise Unsupported(f"{value.element_type} tensors cannot be made of arrays")
    array = to_numpy(value)
    with heard(WORDS):
        return tvm.runtime.tensor(array if layout is None else arranged(array, layout), device)


def _value(result: Any) -> Value:
    if isinstance(result, tvm.runtime.Tensor):
        if str(result.dtype) in _NOT_PASSED:
            raise Unsupported(f"{result.dtype} tensors cannot be made into arrays")
        with heard(WORDS):
            return from_numpy(result.numpy())
    if isinstance(result, Shape):
        # A Relax shape stands for ONNX's vector of sizes.
        return from_numpy(np.array(list(result), dtype=np.int64))
    if isinstance(result, (int, float)):
        return from_numpy(np.array(result))
    return None if result is None else [_value(item) for item in result]


BACKEND = Tvm()
