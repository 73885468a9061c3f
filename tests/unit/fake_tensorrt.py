# ruff: noqa: N802, ARG002, ARG005 - names and arguments are NVIDIA's
"""A small stand-in for NVIDIA's module ``tensorrt`` and for the CUDA runtime: what `backends/tensorrt_*.py` call.

It mirrors the Python interface of TensorRT 10 as its documentation and NVIDIA's samples have it: names, arguments, what
is returned where something fails (None, False, -1; no exception), that errors are told to the logger, that inputs with
open sizes need a profile and lie inside of it, that sizes are read on the host, that an output's memory is asked of its
allocator. It computes with ONNX's reference operators on memory that the CUDA runtime's stand-in hands out, which alone
may copy from it. It says nothing of what TensorRT computes.
"""

from __future__ import annotations

import ctypes
import enum
import json
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

SUPPORTED = frozenset({"Add", "Neg", "Exp", "Reshape", "NonZero", "Identity"})
# ONNX's number of a type -> what the parser makes of it
TYPES = {1: "FLOAT", 10: "HALF", 16: "BF16", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 11: "FLOAT", 22: "INT4"}
ARRAYS = {
    "FLOAT": np.float32, "HALF": np.float16, "BF16": ml_dtypes.bfloat16, "INT8": np.int8, "INT32": np.int32,
    "INT64": np.int64, "BOOL": np.bool_, "INT4": ml_dtypes.int4,
}  # fmt: skip


class Memory:
    """The CUDA runtime's functions, by their names in C; they return 0 or an error's number."""

    def __init__(self, limit: int = 1 << 20, devices: int = 1):
        self.limit, self.devices = limit, devices
        self.blocks: dict[int, ctypes.Array] = {}
        self.streams: set[int] = set()
        self.fail: dict[str, int] = {}
        self.cudaGetErrorString = _Function(lambda status: {2: b"out of memory", 700: b"illegal access"}[status])

    def cudaGetDeviceCount(self, count):
        count._obj.value = self.devices
        return 0

    def cudaMalloc(self, address, size):
        if sum(map(ctypes.sizeof, self.blocks.values())) + size.value > self.limit:
            return 2
        block = ctypes.create_string_buffer(size.value)
        address._obj.value = ctypes.addressof(block)
        self.blocks[address._obj.value] = block
        return 0

    def cudaFree(self, address):
        del self.blocks[address.value]
        return 0

    def cudaMemcpy(self, target, source, size, kind):
        device = target.value if kind.value == 1 else source.value
        assert size.value <= ctypes.sizeof(self.blocks[device])
        ctypes.memmove(target, source, size.value)
        return 0

    def cudaStreamCreate(self, stream):
        stream._obj.value = len(self.streams) + 1
        self.streams.add(stream._obj.value)
        return 0

    def cudaStreamSynchronize(self, stream):
        return self.fail.get("cudaStreamSynchronize", 0)

    def cudaStreamDestroy(self, stream):
        self.streams.remove(stream.value)
        return 0


class _Function:
    restype = None

    def __init__(self, call):
        self.call = call

    def __call__(self, *arguments):
        return self.call(*arguments)


class NetworkDefinitionCreationFlag(enum.IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class BuilderFlag(enum.IntEnum):
    FP16 = 0
    DISABLE_TIMING_CACHE = 6
    TF32 = 8


class TacticSource(enum.IntEnum):
    CUBLAS = 0
    CUBLAS_LT = 1
    CUDNN = 2
    EDGE_MASK_CONVOLUTIONS = 3
    JIT_CONVOLUTIONS = 4


class Code(enum.Enum):
    MEM_ALLOC_FAILED = 2
    MODEL_DESERIALIZE_FAILED = 3
    INVALID_NODE = 6
    UNSUPPORTED_NODE = 8


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class IOutputAllocator:
    pass


class _Config:
    def __init__(self):
        self.flags = {BuilderFlag.TF32}
        self.sources = 0b11000
        self.profiles: list = []

    def set_flag(self, flag):
        self.flags.add(flag)

    def clear_flag(self, flag):
        self.flags.discard(flag)

    def get_tactic_sources(self):
        return self.sources

    def set_tactic_sources(self, sources):
        self.sources = sources
        return True

    def add_optimization_profile(self, profile):
        if any(not a <= b <= c for ranges in profile.ranges.values() for a, b, c in zip(*ranges, strict=True)):
            return -1
        self.profiles.append(profile.ranges)
        return len(self.profiles) - 1


class _Profile:
    def __init__(self):
        self.ranges: dict = {}

    def set_shape(self, name, smallest, usual, largest):
        self.ranges[name] = (smallest, usual, largest)

    set_shape_input = set_shape


class _Network:
    def __init__(self, flags):
        self.flags = flags
        self.model = None

    def take(self, model):
        self.model = model
        sizes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
        constants = {tensor.name for tensor in model.graph.initializer}
        self.ports = [
            SimpleNamespace(
                name=port.name, is_shape_tensor=port.name in sizes,
                shape=tuple(d.dim_value if d.HasField("dim_value") else -1 for d in port.type.tensor_type.shape.dim),
            )
            for port in model.graph.input if port.name not in constants
        ]  # fmt: skip

    @property
    def num_inputs(self):
        return len(self.ports)

    def get_input(self, index):
        return self.ports[index]


class _Module:
    """The module. `log` is what the next build says before it fails; `built` the configurations that were built."""

    __version__ = "10.14.1"
    NetworkDefinitionCreationFlag = NetworkDefinitionCreationFlag
    BuilderFlag = BuilderFlag
    TacticSource = TacticSource
    ILogger = ILogger
    IOutputAllocator = IOutputAllocator
    TensorIOMode = enum.Enum("TensorIOMode", "NONE INPUT OUTPUT")
    ProfilingVerbosity = enum.Enum("ProfilingVerbosity", "LAYER_NAMES_ONLY NONE DETAILED")
    LayerInformationFormat = enum.Enum("LayerInformationFormat", "ONELINE JSON")

    def __init__(self):  # noqa: C901 - classes that know the module
        self.log: list[tuple[int, str]] = []
        self.built: list[tuple[_Network, _Config]] = []
        self.reloaded = 0
        self.execution_fails = ""
        module = self

        class Builder:
            def __init__(self, logger):
                self.logger = logger

            def create_network(self, flags):
                return _Network(flags)

            def create_builder_config(self):
                return _Config()

            def create_optimization_profile(self):
                return _Profile()

            def build_engine_with_config(self, network, config):
                for severity, message in module.log:
                    self.logger.log(severity, message)
                if module.log:
                    return None
                module.built.append((network, config))
                return _Engine(module, network, config, self.logger)

            def build_serialized_network(self, network, config):
                engine = self.build_engine_with_config(network, config)
                return engine and SimpleNamespace(engine=engine)

        class Runtime:
            def __init__(self, logger):
                self.logger = logger

            def deserialize_cuda_engine(self, plan):
                module.reloaded += 1
                return plan.engine

        self.Builder, self.Runtime, self.OnnxParser = Builder, Runtime, _Parser


class _Parser:
    def __init__(self, network, logger):
        self.network, self.errors = network, []

    @property
    def num_errors(self):
        return len(self.errors)

    def get_error(self, index):
        return self.errors[index]

    def parse(self, model):
        try:
            parsed = onnx.load_model_from_string(model)
        except Exception:  # noqa: BLE001 - protobuf's
            self.errors = [_error(Code.MODEL_DESERIALIZE_FAILED, "Failed to parse the ONNX model.", -1, "")]
            return False
        for number, node in enumerate(parsed.graph.node):
            if node.op_type not in SUPPORTED:
                said = f"No importer registered for op: {node.op_type}"
                self.errors = [_error(Code.UNSUPPORTED_NODE, said, number, node.op_type)]
                return False
            if node.op_type == "Add" and "bad" in node.input:
                self.errors = [_error(Code.INVALID_NODE, "Assertion failed: ranks differ", number, node.op_type)]
                return False
        self.network.take(parsed)
        return True


def _error(code, said, node, operator):
    return SimpleNamespace(
        code=lambda: code, desc=lambda: said, node=lambda: node, node_operator=lambda: operator
    )  # fmt: skip


class _Engine:
    def __init__(self, module, network, config, logger):
        self.module, self.network, self.config, self.logger = module, network, config, logger
        graph = network.model.graph
        self.inputs = {port.name: port for port in network.ports}
        self.types = {p.name: TYPES[p.type.tensor_type.elem_type] for p in (*graph.input, *graph.output)}
        self.names = [*self.inputs, *dict.fromkeys(p.name for p in graph.output if p.name not in self.inputs)]

    @property
    def num_io_tensors(self):
        return len(self.names)

    def get_tensor_name(self, index):
        return self.names[index]

    def get_tensor_mode(self, name):
        return self.module.TensorIOMode.INPUT if name in self.inputs else self.module.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name):
        return SimpleNamespace(name=self.types[name])

    def is_shape_inference_io(self, name):
        return name in self.inputs and self.inputs[name].is_shape_tensor

    def create_execution_context(self):
        return _Context(self)

    def create_engine_inspector(self):
        layers = [node.op_type for node in self.network.model.graph.node]
        return SimpleNamespace(get_engine_information=lambda form: json.dumps({"Layers": layers}))


class _Context:
    def __init__(self, engine):
        self.engine = engine
        self.addresses: dict = {}
        self.allocators: dict = {}
        self.shapes: dict = {}

    def set_input_shape(self, name, shape):
        port = self.engine.inputs[name]
        fits = len(shape) == len(port.shape) and all(a in {-1, b} for a, b in zip(port.shape, shape, strict=True))
        if -1 in port.shape and fits:
            smallest, _, largest = self.engine.config.profiles[0][name]
            fits = all(a <= b <= c for a, b, c in zip(smallest, shape, largest, strict=True))
        if not fits:
            said = f"setInputShape: {name} {shape} does not satisfy the profile"
            self.engine.logger.log(ILogger.ERROR, said)
        self.shapes[name] = shape
        return fits

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def set_output_allocator(self, name, allocator):
        self.allocators[name] = allocator
        return True

    def execute_async_v3(self, stream):
        if self.engine.module.execution_fails:
            self.engine.logger.log(ILogger.ERROR, self.engine.module.execution_fails)
            return False
        feed = {}
        for name in self.engine.inputs:
            kind = np.dtype(ARRAYS[self.engine.types[name]])
            size = int(np.prod(self.shapes[name], dtype=np.int64)) * kind.itemsize
            data = ctypes.string_at(self.addresses[name], size)
            feed[name] = np.frombuffer(data, kind).reshape(self.shapes[name])
        results = ReferenceEvaluator(self.engine.network.model).run(None, feed)
        for port, result in zip(self.engine.network.model.graph.output, results, strict=True):
            if port.name in self.engine.inputs:
                continue
            array = np.array(result, ARRAYS[self.engine.types[port.name]], order="C")
            allocator = self.allocators[port.name]
            address = allocator.reallocate_output(port.name, 0, array.nbytes, 256)
            if address is None:
                self.engine.logger.log(ILogger.ERROR, "outOfMemory: the output allocator gave nothing")
                return False
            allocator.notify_shape(port.name, array.shape)
            ctypes.memmove(address, array.tobytes(), array.nbytes)
        return True


def fake() -> _Module:
    """The module, as if freshly imported."""
    return _Module()
