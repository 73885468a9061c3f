"""Apache TVM: the Relax front end for ONNX, LLVM, the Relax virtual machine."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx
from tvm.runtime import ShapeTuple as Shape

from backends.external import read_model
from backends.protocol import InvalidCase, Rejected, Stage, Unsupported, Words, heard
from backends.tensor import Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
            machine = relax.VirtualMachine(program, tvm.cpu())
        return _Program(machine, len(module["main"].params), len(parsed.graph.output))


class _Program:
    def __init__(self, machine: Any, parameters: int, outputs: int) -> None:
        self._machine = machine
        self._parameters = parameters
        self._outputs = outputs

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        if len(inputs) < self._parameters:
            raise InvalidCase(f"the model has {self._parameters} inputs, the data set {len(inputs)}")
        # What goes on behind the parameters are values for inputs that have a default, which TVM makes constants.
        arguments = [_argument(value) for value in inputs[: self._parameters]]
        with heard(WORDS):
            result = self._machine["main"](*arguments)
        results = [result] if self._outputs == 1 else list(result)
        if len(results) != self._outputs:
            raise Rejected(f"the program returns {len(results)} values, the model has {self._outputs} outputs")
        return [_value(item) for item in results]


def _argument(value: Value) -> Any:
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are no arguments of a Relax function here")
    if value.element_type in _NOT_PASSED:
        raise Unsupported(f"{value.element_type} tensors cannot be made of arrays")
    with heard(WORDS):
        return tvm.runtime.tensor(to_numpy(value))


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
