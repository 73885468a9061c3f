"""A model on TensorRT: one engine, built again where a data set asks for sizes that it was not built for."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backends.graph import required_inputs, taken
from backends.protocol import OutOfMemory, Rejected, Stage, Unsupported, heard
from backends.tensor import ONNX_NUMBERS, Tensor, Value, from_numpy, to_numpy
from backends.tensorrt_engine import ELEMENT_TYPES, WORDS, Ranges, build, configure, journal, parse, refusal, widened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.cuda import Cuda

__all__ = ["Program"]

_NAMES: Mapping[int, str] = MappingProxyType({number: name for name, number in ONNX_NUMBERS.items()})
# What TensorRT's parser makes of a type that engines lack; values are converted on the way in and out.
_HELD_AS: Mapping[str, str] = MappingProxyType({"double": "float", "int64": "int32"})


class Program:
    """A model that has been parsed; its engine is built at once where all sizes are known, else with the first inputs.

    Args:
        trt: the module ``tensorrt``.
        cuda: the CUDA runtime.
        model: the model, with its external data inside.
        options: the target's.
        enter: tells the driver which stage begins.
    """

    def __init__(
        self, trt: Any, cuda: Cuda, model: Any, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> None:
        self._trt, self._cuda, self._options, self._enter = trt, cuda, options, enter
        self._inputs = [port.name for port in required_inputs(model.graph)]
        self._outputs = [(port.name, _NAMES.get(port.type.tensor_type.elem_type, "")) for port in model.graph.output]
        self._logger = journal(trt)
        with heard(WORDS):
            self._builder = trt.Builder(self._logger)
            self._network, self._parser = parse(trt, self._builder, self._logger, model.SerializeToString(), options)
            ports = [self._network.get_input(number) for number in range(self._network.num_inputs)]
            self._open = frozenset(port.name for port in ports if -1 in tuple(port.shape))
            self._sizes = frozenset(port.name for port in ports if port.is_shape_tensor)
        self._ranges: Ranges = {}
        self._engine: Any = None
        self._context: Any = None
        if not (self._open | self._sizes):
            enter(Stage.COMPILE)
            self._build()

    def _build(self) -> None:
        with heard(WORDS):
            config = configure(self._trt, self._builder, self._options, self._ranges, self._sizes)
            reload = self._options.get("reload") == "yes"
            self._engine = build(self._trt, self._builder, self._network, config, self._logger, reload)
            self._context = self._engine.create_execution_context()
        if self._context is None:
            raise refusal(self._logger)

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        """Outputs in the model's order; builds an engine first where none takes these sizes."""
        values = taken(inputs, len(self._inputs))
        given = {name: _tensor(value) for name, value in zip(self._inputs, values, strict=True)}
        ranges = widened(self._ranges, self._asked(given))
        if self._engine is None or ranges != self._ranges:
            self._ranges = ranges
            self._enter(Stage.COMPILE)
            self._build()
            self._enter(Stage.RUN)
        return _Pass(self._trt, self._cuda, self._engine, self._context, self._logger).run(given, self._outputs)

    def _asked(self, given: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
        """The sizes that this data set has where they are open, and the numbers that are sizes themselves."""
        shapes = {name: given[name].shape for name in sorted(self._open - self._sizes)}
        numbers = {name: tuple(to_numpy(given[name]).reshape(-1).tolist()) for name in sorted(self._sizes)}
        return {**shapes, **numbers}

    def artefacts(self) -> dict[str, bytes]:
        """The layers of the engine, as its inspector tells them."""
        if self._engine is None:
            return {}
        inspector = self._engine.create_engine_inspector()
        text = inspector.get_engine_information(self._trt.LayerInformationFormat.JSON)
        return {"engine.json": text.encode()}


class _Pass:
    """One execution: memory for it on the device, which is given back whatever happens."""

    def __init__(self, trt: Any, cuda: Cuda, engine: Any, context: Any, logger: Any) -> None:
        self._trt, self._cuda, self._engine, self._context, self._logger = trt, cuda, engine, context, logger
        self._held: list[int] = []
        self._kept: list[Any] = []  # arrays on the host that TensorRT reads or writes

    def run(self, given: Mapping[str, Tensor], outputs: Sequence[tuple[str, str]]) -> list[Value]:
        names = [self._engine.get_tensor_name(number) for number in range(self._engine.num_io_tensors)]
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT]
        results = [name for name in names if name not in inputs]
        if not (set(inputs) <= set(given) and {name for name, _ in outputs} <= {*results, *given}):
            raise Unsupported("TensorRT gave the inputs or outputs other names")
        stream = self._cuda.stream()
        writers: dict[str, Any] = {}
        try:
            for name in inputs:
                self._put(name, given[name])
            for name in results:
                writers[name] = self._await(name)
            self._logger.errors.clear()
            with heard(WORDS):
                done = self._context.execute_async_v3(stream)
            if not done:
                raise refusal(self._logger)
            self._cuda.finish(stream)
            found = {name: self._get(name, writer) for name, writer in writers.items()}
        finally:
            held = [*self._held, *(writer.address for writer in writers.values() if hasattr(writer, "address"))]
            for address in filter(None, held):
                self._cuda.free(address)
            self._cuda.drop(stream)
        return [_as(found[name] if name in found else given[name], declared) for name, declared in outputs]

    def _put(self, name: str, tensor: Tensor) -> None:
        tensor = _as(tensor, self._type(name))
        with heard(WORDS):
            if not self._context.set_input_shape(name, tensor.shape):
                raise refusal(self._logger)
        if self._engine.is_shape_inference_io(name):
            # Sizes are read on the host.
            array = to_numpy(tensor)
            self._kept.append(array)
            self._context.set_tensor_address(name, array.ctypes.data)
            return
        address = self._cuda.allocate(len(tensor.data))
        self._held.append(address)
        self._cuda.upload(address, tensor.data)
        self._context.set_tensor_address(name, address)

    def _await(self, name: str) -> Any:
        """Where an output will be: an array on the host for sizes, else an allocator, which hears its shape."""
        if self._engine.is_shape_inference_io(name):
            shape = tuple(self._context.get_tensor_shape(name))
            array = to_numpy(_zeros(self._type(name), shape))
            self._context.set_tensor_address(name, array.ctypes.data)
            return array
        writer = _allocator(self._trt, self._cuda)
        self._context.set_output_allocator(name, writer)
        return writer

    def _get(self, name: str, writer: Any) -> Tensor:
        if not hasattr(writer, "address"):
            return from_numpy(writer)
        element_type = self._type(name)
        if writer.shape is None:
            raise Rejected(f"TensorRT told no shape of {name}")
        size = len(_zeros(element_type, writer.shape).data)
        return Tensor(element_type, writer.shape, self._cuda.download(writer.address, size))

    def _type(self, name: str) -> str:
        kind = self._engine.get_tensor_dtype(name).name
        if kind not in ELEMENT_TYPES:
            raise Unsupported(f"{kind} tensors are not passed on to TensorRT here")
        return ELEMENT_TYPES[kind]


def _allocator(trt: Any, cuda: Cuda) -> Any:
    class Allocator(trt.IOutputAllocator):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self.address = 0
            self.size = -1
            self.shape: tuple[int, ...] | None = None

        def reallocate_output(self, _tensor_name: str, _memory: int, size: int, _alignment: int) -> int | None:
            if size > self.size:
                if self.address:
                    cuda.free(self.address)
                self.address = 0
                try:
                    self.address = cuda.allocate(size)
                except OutOfMemory:
                    return None
                self.size = size
            return self.address

        def reallocate_output_async(
            self, tensor_name: str, memory: int, size: int, alignment: int, _stream: int
        ) -> int | None:
            return self.reallocate_output(tensor_name, memory, size, alignment)

        def notify_shape(self, _tensor_name: str, shape: Any) -> None:
            self.shape = tuple(shape)

    return Allocator()


def _tensor(value: Value) -> Tensor:
    if not isinstance(value, Tensor) or value.element_type == "string":
        raise Unsupported("only tensors of numbers are passed on to TensorRT")
    return value


def _zeros(element_type: str, shape: tuple[int, ...]) -> Tensor:
    import numpy as np

    return from_numpy(np.zeros(shape, to_numpy(Tensor(element_type, (0,), b"")).dtype))


def _as(tensor: Tensor, element_type: str) -> Tensor:
    """The tensor in the type that the other side has, where TensorRT holds one type in another."""
    if tensor.element_type == element_type:
        return tensor
    if element_type != _HELD_AS.get(tensor.element_type) and tensor.element_type != _HELD_AS.get(element_type):
        raise Unsupported(f"TensorRT holds {tensor.element_type} as {element_type}")
    return from_numpy(to_numpy(tensor).astype(to_numpy(Tensor(element_type, (0,), b"")).dtype))
