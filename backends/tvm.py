"""Apache TVM: the Relax front end for ONNX, LLVM, the Relax virtual machine."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx
from tvm.runtime import ShapeTuple as Shape
from tvm.support import cc

from backends.external import read_model
from backends.layout import Layout, arranged
from backends.protocol import InvalidCase, Rejected, Stage, Unsupported, Words, heard
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
    )
)

_NOT_PASSED = frozenset({"string", "int4", "uint4", "int2", "uint2", "float4e2m1", "float6e2m3", "float6e3m2"})


@dataclass(frozen=True, slots=True)
class Tvm:
    """TVM on a CPU target."""

    name: str = "tvm"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Program:
        """Import with the Relax front end, then build for LLVM."""
        parsed = read_model(model, folder)
        with warnings.catch_warnings(), heard(WORDS):
            warnings.simplefilter("ignore")
            module = from_onnx(parsed, keep_params_in_input=False)
            module = relax.transform.DecomposeOpsForInference()(module)
        enter(Stage.COMPILE)
        disabled = options.get("disable", "")
        context = tvm.transform.PassContext(
            opt_level=int(options.get("opt", "3")), disabled_pass=disabled.split("+") if disabled else None
        )
        with heard(WORDS), context:
            program = relax.build(module, target="llvm", exec_mode=options.get("exec_mode", "bytecode"))
            if options.get("reload") == "yes":
                program = _reloaded(program)
            machine = relax.VirtualMachine(program, tvm.cpu())
        return _Program(machine, len(module["main"].params), len(parsed.graph.output))


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

    def __init__(self, machine: Any, parameters: int, outputs: int) -> None:
        self._machine = machine
        self._parameters = parameters
        self._outputs = outputs

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return [_value(item) for item in self.results(inputs)]

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return [_value(item) for item in self.results(inputs, layout)]

    def bind(self, like: Sequence[Value]) -> _Pool:
        del like
        return _Pool(self)

    def results(self, inputs: Sequence[Value], layout: Layout | None = None) -> list[Any]:
        """The virtual machine's own objects, one for each output."""
        if len(inputs) < self._parameters:
            raise InvalidCase(f"the model has {self._parameters} inputs, the data set {len(inputs)}")
        # What goes on behind the parameters are values for inputs that have a default, which TVM makes constants.
        arguments = [_argument(value, layout) for value in inputs[: self._parameters]]
        with heard(WORDS):
            result = self._machine["main"](*arguments)
        results = [result] if self._outputs == 1 else list(result)
        if len(results) != self._outputs:
            raise Rejected(f"the program returns {len(results)} values, the model has {self._outputs} outputs")
        return results


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


def _argument(value: Value, layout: Layout | None = None) -> Any:
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are no arguments of a Relax function here")
    if value.element_type in _NOT_PASSED:
        raise Unsupported(f"{value.element_type} tensors cannot be made of arrays")
    array = to_numpy(value)
    with heard(WORDS):
        return tvm.runtime.tensor(array if layout is None else arranged(array, layout))


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
