"""An engine of TensorRT's: how a model becomes one, what its refusals mean. Plain functions over the module handed in.

They follow the Python interface of TensorRT 8.6 to 11 and import nothing of it, so that a stand-in can take its place:
no GPU and no TensorRT has been at hand where this was written (docs/notes/tensorrt.md).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backends.protocol import OutOfMemory, Rejected, Unsupported, Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ELEMENT_TYPES", "WORDS", "Ranges", "build", "configure", "journal", "parse", "refusal", "widened"]

Ranges = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
"""For an input with open sizes, or one that holds sizes: the smallest, the usual and the largest."""

WORDS = Words(
    unsupported=(
        r"UNSUPPORTED_",
        r"[Uu]nsupported",
        r"[Nn]o importer registered",
        r"[Nn]ot (yet |currently )?(supported|implemented)",
        r"does not support",
        r"only supports",
        r"must be an initializer",
    ),
    out_of_memory=(r"[Oo]ut ?[Oo]f ?[Mm]emory", r"MEM_ALLOC_FAILED", r"insufficient memory"),
)
ELEMENT_TYPES: Mapping[str, str] = MappingProxyType({
    "FLOAT": "float", "HALF": "float16", "BF16": "bfloat16", "INT8": "int8", "UINT8": "uint8", "INT32": "int32",
    "INT64": "int64", "BOOL": "bool", "FP8": "float8e4m3fn",
})  # fmt: skip
"""The element type behind each of TensorRT's, by its name; what is packed below a byte is left out."""

_FLAGS: Mapping[str, str] = MappingProxyType({"f16": "FP16", "bf16": "BF16"})
_GROWTH = 4  # the largest size of a range is so many times the usual one


def journal(trt: Any) -> Any:
    """A logger of TensorRT's that keeps what it says of errors in its list `errors`."""

    class Journal(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in {trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR}:
                self.errors.append(msg)

    return Journal()


def parse(trt: Any, builder: Any, logger: Any, model: bytes, options: Mapping[str, str]) -> tuple[Any, Any]:
    """The network that TensorRT's parser makes of a model, and the parser, which holds memory that the network reads.

    Raises a refusal with all that the parser says.

    Types are those of the model (``STRONGLY_TYPED``), unless a lower precision is asked for, which the builder may then
    choose node by node.
    """
    network = builder.create_network(_creation_flags(trt, options))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        errors = [parser.get_error(number) for number in range(parser.num_errors)]
        raise _refusal([(_code(error), error.desc(), _place(error)) for error in errors])
    return network, parser


def _creation_flags(trt: Any, options: Mapping[str, str]) -> int:
    flags = trt.NetworkDefinitionCreationFlag
    # Before TensorRT 10 a network had an implicit batch unless told otherwise; later ones have no other.
    names = ["EXPLICIT_BATCH"] if hasattr(flags, "EXPLICIT_BATCH") else []
    if "precision" not in options and hasattr(flags, "STRONGLY_TYPED"):
        names.append("STRONGLY_TYPED")
    return sum(1 << int(getattr(flags, name)) for name in names)


def _code(error: Any) -> str:
    """`UNSUPPORTED_NODE`, of an error code that is printed as such or behind the name of its type."""
    code = error.code()
    return str(getattr(code, "name", code)).rpartition(".")[2]


def _place(error: Any) -> str:
    operator = getattr(error, "node_operator", None)
    return f" (node {error.node()}{f', {operator()}' if operator is not None else ''})"


def _refusal(errors: Sequence[tuple[str, str, str]]) -> Exception:
    text = "; ".join(f"{code}: {said}{place}" for code, said, place in errors) or "the parser refused without a word"
    if any(code == "MEM_ALLOC_FAILED" for code, _, _ in errors):
        return OutOfMemory(text)
    # The first is what went wrong, those behind it what followed.
    if errors and errors[0][0].startswith("UNSUPPORTED"):
        return Unsupported(text)
    return WORDS.sort(text)(text)


def configure(trt: Any, builder: Any, options: Mapping[str, str], ranges: Ranges, sizes: frozenset[str]) -> Any:
    """The builder's configuration for these options, with one optimisation profile where there are ranges.

    Args:
        trt: the module ``tensorrt``.
        builder: what makes the configuration.
        options: those of the target: `opt`, `tf32`, `precision`, `disable`.
        ranges: of the inputs that need one.
        sizes: which of these hold sizes themselves (TensorRT calls them shape tensors).

    Raises `Unsupported` for what this release of TensorRT no longer has.
    """
    config = builder.create_builder_config()
    config.builder_optimization_level = int(options.get("opt", "3"))
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    # Each engine is timed anew: what an earlier case has measured decides nothing.
    config.set_flag(trt.BuilderFlag.DISABLE_TIMING_CACHE)
    if options.get("tf32", "no") == "yes":
        config.set_flag(trt.BuilderFlag.TF32)
    else:
        config.clear_flag(trt.BuilderFlag.TF32)
    if "precision" in options:
        config.set_flag(_member(trt.BuilderFlag, _FLAGS[options["precision"]], trt))
    if "disable" in options:
        off = [_member(trt.TacticSource, name.upper(), trt) for name in options["disable"].split("+")]
        config.set_tactic_sources(config.get_tactic_sources() & ~sum(1 << int(source) for source in off))
    if ranges:
        profile = builder.create_optimization_profile()
        for name, (smallest, usual, largest) in ranges.items():
            put = profile.set_shape_input if name in sizes else profile.set_shape
            put(name, smallest, usual, largest)
        if config.add_optimization_profile(profile) < 0:
            raise Rejected(f"TensorRT takes no profile with the ranges {ranges}")
    return config


def _member(kind: Any, name: str, trt: Any) -> Any:
    if not hasattr(kind, name):
        raise Unsupported(f"TensorRT {trt.__version__} has no {kind.__name__}.{name}")
    return getattr(kind, name)


def widened(ranges: Ranges, given: Mapping[str, tuple[int, ...]]) -> Ranges:
    """Ranges that hold these sizes as well: at first from 1 up to several times them."""
    return {name: _widened(ranges.get(name), sizes) for name, sizes in given.items()}


def _widened(
    old: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None, sizes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    if old is None:
        return tuple(min(1, size) for size in sizes), sizes, tuple(max(1, size * _GROWTH) for size in sizes)
    smallest, usual, largest = old
    if all(low <= size <= high for low, size, high in zip(smallest, sizes, largest, strict=True)):
        return old
    return (
        tuple(min(pair) for pair in zip(smallest, sizes, strict=True)),
        usual,
        tuple(max(pair) for pair in zip(largest, sizes, strict=True)),
    )


def build(trt: Any, builder: Any, network: Any, config: Any, logger: Any, reload: bool) -> Any:
    """An engine. With `reload`, or where the builder gives nothing else, it is made of the bytes that it is kept as.

    Raises a refusal with what TensorRT has logged.
    """
    logger.errors.clear()
    if not reload and hasattr(builder, "build_engine_with_config"):
        return _given(builder.build_engine_with_config(network, config), logger)
    plan = _given(builder.build_serialized_network(network, config), logger)
    return _given(trt.Runtime(logger).deserialize_cuda_engine(plan), logger)


def _given(made: Any, logger: Any) -> Any:
    if made is None:
        raise refusal(logger)
    return made


def refusal(logger: Any) -> Exception:
    """What TensorRT has logged, as a refusal: its calls return nothing where they fail."""
    text = "; ".join(logger.errors) or "TensorRT failed without a word"
    return WORDS.sort(text)(text)
