"""PyTorch: onnx2torch makes a module of the model; it runs as it is, or compiled by torch.compile."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import _dynamo as dynamo
from torch._dynamo import config as dynamo_config
from torch._inductor import config as inductor_config

from backends.external import read_model
from backends.layout import Layout
from backends.protocol import APPLICATIONS, Stage, heard
from backends.torch_applications import forget_counts, limit_of, limited
from backends.torch_module import WORDS, Converted, convert
from backends.torch_trace import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.tensor import Value

__all__ = ["BACKEND", "WORDS"]

_DYNAMIC: Mapping[str, bool | None] = MappingProxyType({"auto": None, "yes": True, "no": False})
# Inductor's own settings that take one optimisation away, by the names that `disable` knows them by.
SWITCHES: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "fusion": {"max_fusion_size": 1, "epilogue_fusion": False, "prologue_fusion": False},
    "pattern_matcher": {"pattern_matcher": False},
    "pre_grad_passes": {"use_pre_grad_passes": False},
    "joint_graph_passes": {"use_joint_graph_passes": False},
    "post_grad_passes": {"use_post_grad_passes": False},
    "constant_folding": {"joint_graph_constant_folding": False},
    "dead_code_elimination": {"use_dce": False},
    "batch_fusion": {"batch_fusion": False},
    "split_cat": {"split_cat_fx_passes": False},
    "layout_optimization": {"layout_optimization": False},
    "comprehensive_padding": {"comprehensive_padding": False},
    "reorder_for_locality": {"reorder_for_locality": False},
    "reorder_for_peak_memory": {"reorder_for_peak_memory": False},
    "loop_order": {"pick_loop_orders": False, "loop_ordering_after_fusion": False},
    "buffer_reuse": {"allow_buffer_reuse": False},
    "inplace_buffers": {"inplace_buffers": False},
    "split_reductions": {"split_reductions": False},
    "index_propagation": {"constant_and_index_propagation": False},
    "online_softmax": {"online_softmax": False},
    "vectorization": {"cpp.simdlen": 1},
    "tail_vectorization": {"cpp.enable_loop_tail_vec": False},
    "tiling_heuristics": {"cpp.enable_tiling_heuristics": False},
    "lowerings": {"fallback_by_default": True},
})  # fmt: skip
# A count of what this process has compiled.
_NUMBER = re.compile(r"# AOT ID: .*\n")
# Beyond the recompilations of the data sets of one case torch.compile would go on without compiling, and say nothing.
_RECOMPILATIONS = 64


@dataclass(frozen=True, slots=True)
class Torch:
    """PyTorch's CPU kernels or CUDA's, Inductor's code unless the options say otherwise."""

    name: str = "torch"

    def passes(self) -> list[str]:
        """The settings that `disable` knows by name; it takes Inductor's own names of passes as well."""
        return sorted(SWITCHES)

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Module:
        """Make the module. It is compiled when it runs, since only inputs tell the shapes."""
        _prepare(options)
        parsed = read_model(model, folder)
        return _Module(convert(parsed), options, enter)


def _prepare(options: Mapping[str, str]) -> None:
    """Forget what was compiled before, on disk too, and set what holds for the process.

    Raises RuntimeError where there is no C++ compiler, which is no fault of torch's.
    """
    torch.set_num_threads(int(options.get("threads", "1")))
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    # Both say what is meant to be: no caches, and values that torch.compile does not follow.
    warnings.filterwarnings("ignore", message="dynamo_pgo force disabled")
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    if _mode(options) == "inductor" and shutil.which(os.environ.get("CXX", "g++")) is None:
        raise RuntimeError("torch.compile needs a C++ compiler: install g++, or set CXX, or use mode=eager")
    dynamo.reset()
    forget_counts()
    cache = Path(tempfile.gettempdir()) / "inductor"
    # Code that is loaded stays loaded; its files may go.
    shutil.rmtree(cache, ignore_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)


@dataclass(slots=True)
class _Shown:
    """What the compiler made, in the order in which it came to it."""

    captured: list[str] = field(default_factory=list)
    optimized: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)


class _Module:
    # Arrays of numpy's are taken as they lie, with their strides; torch wants elements aligned.
    layouts = (Layout.OFFSET, Layout.STRIDED, Layout.TRANSPOSED)

    def __init__(self, converted: Converted, options: Mapping[str, str], enter: Callable[[Stage], None]) -> None:
        self._converted = converted
        self._options = dict(options)
        self._enter = enter
        self._shown = _Shown()
        self._device = self._options.get("device", "cpu")
        self._module: Any = converted.module.to(self._device)
        self._compiled: Any = self._module
        if _mode(self._options) != "eager":
            self._compiled = self._lazily(self._module)
        self._graphs: dict[Any, Any] = {}

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return self._run(inputs, None)

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return self._run(inputs, layout)

    def artefacts(self) -> dict[str, bytes]:
        """For each graph: as it was captured, as Inductor's passes left it, and the code; what has a limit."""
        files: dict[str, bytes] = {}
        if limit_of(self._options) is not None:
            files[APPLICATIONS] = "".join(f"{name}\n" for name in self._shown.applied).encode()
        for name, texts in (
            ("captured-{}.txt", self._shown.captured),
            ("optimized-{}.txt", self._shown.optimized),
            ("code-{}.py", self._shown.code),
        ):
            files |= {name.format(number): _NUMBER.sub("", text).encode() for number, text in enumerate(texts)}
        return files

    def _run(self, inputs: Sequence[Value], layout: Layout | None) -> list[Value]:
        arguments = self._converted.arguments(inputs, self._device, layout)
        self._enter(Stage.RUN)
        with (
            torch.no_grad(),
            dynamo_config.patch(
                recompile_limit=_RECOMPILATIONS, fail_on_recompile_limit_hit=True, suppress_errors=False,
                automatic_dynamic_local_pgo=False, automatic_dynamic_remote_pgo=False,
            ),
            inductor_config.patch(_settings(self._options)),
            heard(WORDS),
        ):  # fmt: skip
            returned = self._callable(arguments)(*arguments)
        self._enter(Stage.RUN)
        return self._converted.outputs(arguments, returned)

    def _callable(self, arguments: Sequence[torch.Tensor]) -> Any:
        """What to call with these arguments: a graph for their shapes where there is one, else the module."""
        if self._compiled is self._module or self._options.get("capture", "folded") == "module":
            return self._compiled
        form = tuple((tensor.dtype, tensor.shape, tensor.stride()) for tensor in arguments)
        if form not in self._graphs:
            self._enter(Stage.IMPORT)
            graph = trace(self._module, arguments)
            self._enter(Stage.COMPILE)
            self._graphs[form] = self._compiled if graph is None else self._lazily(graph)
        return self._graphs[form]

    def _lazily(self, module: Any) -> Any:
        return torch.compile(
            module,
            backend=self._compile,
            dynamic=_DYNAMIC[self._options.get("dynamic", "auto")],
            fullgraph=self._options.get("fullgraph", "no") == "yes",
        )

    def _compile(self, graph: Any, examples: Sequence[Any]) -> Any:
        """What torch.compile hands each graph to."""
        self._enter(Stage.COMPILE)
        self._shown.captured.append(f"{graph.graph}\n")
        mode = _mode(self._options)
        with limited(limit_of(self._options), self._shown.applied):
            if mode in {"aot_eager", "aot_eager_decomp_partition"}:
                from torch._dynamo.backends import debugging

                compiled: Any = getattr(debugging, mode)(graph, examples)
            else:
                compiled = self._inductor(graph, examples)
        self._enter(Stage.RUN)
        return compiled

    def _inductor(self, graph: Any, examples: Sequence[Any]) -> Any:
        from torch._inductor.compile_fx import compile_fx
        from torch._inductor.graph import GraphLowering

        def optimized(made: Any) -> None:
            self._shown.optimized.append(f"{made}\n")

        with ExitStack() as stack:
            stack.enter_context(inductor_config.patch(post_grad_custom_post_pass=optimized))
            GraphLowering.save_output_code = self._shown.code.append
            stack.callback(setattr, GraphLowering, "save_output_code", None)
            return compile_fx(graph, examples)


def _mode(options: Mapping[str, str]) -> str:
    """What compiles: a limit says of which of torch.compile's backends it is."""
    limit = limit_of(options)
    return options.get("mode", "inductor") if limit is None else limit.backend


def _settings(options: Mapping[str, str]) -> dict[str, Any]:
    """Inductor's configuration: nothing is kept on disk, nothing compiles beside this process."""
    settings: dict[str, Any] = {"force_disable_caches": True, "compile_threads": 1, "fallback_random": True}
    off = options["disable"].split("+") if "disable" in options else []
    for name in off:
        settings |= SWITCHES.get(name, {})
    settings["disabled_passes"] = ",".join(name.upper() for name in off if name not in SWITCHES)
    settings["freezing"] = options.get("freezing", "no") == "yes"
    settings["emulate_precision_casts"] = options.get("casts", "fused") == "kept"
    if "simd_bits" in options:
        settings["cpp.simdlen"] = int(options["simd_bits"])
    return settings


BACKEND = Torch()
