"""PyTorch by onnx2torch, and tinygrad."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from backends.registry import BACKENDS
from fuzz.repro.recipe import NoRecipe, Recipe, Request, lines, source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ONNX2TORCH", "RECIPES", "TORCH_BARE"]

TORCH_BARE = ("onnx2torch",)
ONNX2TORCH = source("""
    # onnx2torch imports torchvision for three functions that this model has no use for. A torchvision that was built
    # for another torch cannot be imported.
    try:
        import torchvision
    except (ImportError, RuntimeError):
        operators = types.ModuleType("torchvision.ops")
        operators.nms = operators.box_convert = operators.roi_align = None
        sys.modules["torchvision"], sys.modules["torchvision.ops"] = types.ModuleType("torchvision"), operators
""")
# Inductor's settings that take one optimisation away, by the names that the option `disable` knows them by.
_SWITCHES: Mapping[str, Mapping[str, object]] = MappingProxyType({
    "fusion": {"max_fusion_size": 1, "epilogue_fusion": False, "prologue_fusion": False},
    "pattern_matcher": {"pattern_matcher": False},
    "vectorization": {"cpp.simdlen": 1},
    "tail_vectorization": {"cpp.enable_loop_tail_vec": False},
    "lowerings": {"fallback_by_default": True},
    "online_softmax": {"online_softmax": False},
    "split_reductions": {"split_reductions": False},
    "layout_optimization": {"layout_optimization": False},
    "inplace_buffers": {"inplace_buffers": False},
    "buffer_reuse": {"allow_buffer_reuse": False},
})  # fmt: skip

_ALL = 1_000_000
"""More than any graph has applications of anything."""


def _torch(asked: Request) -> Recipe:
    limit = _bisector(asked)
    mode = limit.get("TORCH_BISECT_BACKEND", asked.option("mode", "inductor"))
    dynamic = {"auto": "None", "yes": "True", "no": "False"}[asked.option("dynamic", "auto")]
    whole = asked.option("fullgraph", "no") == "yes"
    compiled = f'torch.compile(module, backend="{mode}", dynamic={dynamic}, fullgraph={whole})'
    body = [
        '"""A function from inputs to outputs: a module of onnx2torch\'s'
        + (', compiled."""' if mode != "eager" else '."""'),
        "for number, node in enumerate(model.graph.node):",
        '    node.name = f"node{number}"',
        f"module = onnx2torch.convert(model).eval(){'' if asked.device == 'cpu' else '.cuda()'}",
        f"module = {compiled}" if mode != "eager" else "",
        "",
        "def run(inputs):",
        "    names = [port.name for port in model.graph.input if port.name in inputs]",
        f"    arguments = [to_torch(inputs[name]){'' if asked.device == 'cpu' else '.cuda()'} for name in names]",
        "    with torch.no_grad():",
        "        results = module(*arguments)",
        "    return [to_array(each) for each in (results if isinstance(results, (tuple, list)) else [results])]",
        "return run",
    ]
    head = [f"torch.set_num_threads({asked.option('threads', '1')})"]
    if mode == "inductor":
        head += [f"torch._inductor.config.{name} = {value!r}" for name, value in _inductor(asked).items()]
    imports = "import onnx2torch\nimport torch" + ("\nimport torch._inductor.config" if mode == "inductor" else "")
    return Recipe(
        "PyTorch", ("torch",), imports,
        "\n".join(head) + f"\n\n\n{_TORCH_VALUES}\n\n\ndef build(model):\n{lines(*body)}",
        environment=tuple(limit.items()), bare=TORCH_BARE, before=ONNX2TORCH,
    )  # fmt: skip


_TORCH_VALUES = source('''
    def to_torch(array):
        """A tensor of an array; numpy knows bfloat16 and 8-bit floats as bytes alone."""
        if array.dtype.kind in "biufc":
            return torch.from_numpy(np.array(array))
        bits = np.ascontiguousarray(array).view({1: np.int8, 2: np.int16}[array.dtype.itemsize])
        return torch.from_numpy(bits).view(getattr(torch, array.dtype.name))


    def to_array(tensor):
        """An array of a tensor."""
        tensor = tensor.detach().cpu()
        if tensor.dtype not in (torch.bfloat16, *(v for k, v in vars(torch).items() if k.startswith("float8_"))):
            return tensor.numpy()
        import ml_dtypes

        bits = tensor.contiguous().view({1: torch.int8, 2: torch.int16}[tensor.element_size()]).numpy()
        return bits.view(getattr(ml_dtypes, str(tensor.dtype).removeprefix("torch.")))
''')


def _bisector(asked: Request) -> dict[str, str]:
    """What tells torch's own bisector how many applications of which part are left (the option ``limit``)."""
    if "limit" not in asked.options:
        return {}
    backend, part, *count = asked.options["limit"].split(".")
    last = int(count[0]) - 1 if count else _ALL
    return {"TORCH_BISECT_BACKEND": backend, "TORCH_BISECT_SUBSYSTEM": part, "TORCH_BISECT_MAX": str(last)}


def _inductor(asked: Request) -> dict[str, object]:
    settings: dict[str, object] = {"force_disable_caches": True, "fallback_random": True}
    if asked.option("freezing", "no") == "yes":
        settings["freezing"] = True
    if asked.option("casts", "fused") == "kept":
        settings["emulate_precision_casts"] = True
    if "simd_bits" in asked.options:
        settings["cpp.simdlen"] = int(asked.options["simd_bits"])
    unknown = [name for name in asked.names("disable") if name not in _SWITCHES]
    for name in asked.names("disable"):
        settings |= _SWITCHES.get(name, {})
    if unknown:
        settings["disabled_passes"] = ",".join(name.upper() for name in unknown)
    return settings


_DEVICES = {"python": "PYTHON", "clang": "CPU:CLANG", "llvm": "CPU:LLVM", "x86": "CPU:X86"}
_TINYGRAD_OFF = {
    "kernel_optimizations": ("NOOPT", "1"), "locals": ("NOLOCALS", "1"), "memory_planner": ("NO_MEMORY_PLANNER", "1"),
    "split_reduce": ("SPLIT_REDUCEOP", "0"), "tensor_cores": ("TC", "0"),
}  # fmt: skip


def _tinygrad(asked: Request) -> Recipe:
    if asked.option("jit", "no") == "yes":
        raise NoRecipe("no script records a call of tinygrad's and replays it")
    device = _DEVICES[asked.option("code", "python")] if asked.device == "cpu" else "CUDA"
    settings = dict(BACKENDS["tinygrad"].environment) | {"DEV": device, "BEAM": asked.option("beam", "0")}
    if asked.option("opt", "1") == "0":
        settings["NOOPT"] = "1"
    if unknown := set(asked.names("disable")) - set(_TINYGRAD_OFF):
        raise NoRecipe(f"no script knows tinygrad's switch {min(unknown)}")
    settings |= dict(_TINYGRAD_OFF[name] for name in asked.names("disable"))
    build = source('''
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
    ''')
    return Recipe(
        "tinygrad", ("tinygrad",), "import tinygrad\nfrom tinygrad.nn.onnx import OnnxRunner", build,
        environment=tuple(sorted(settings.items())),
    )  # fmt: skip


RECIPES: Mapping[str, Callable[[Request], Recipe]] = MappingProxyType({"torch": _torch, "tinygrad": _tinygrad})
