"""ONNX's own tests, as models and files of values.

About 1,900 operator tests (``onnx.backend.test.case.node``), which the onnx package makes when it is asked, each from
numpy's legacy generator with a fixed seed, so that the same release of onnx gives the same bytes; and 140 small models
that it carries with it (``onnx/backend/test/data``: "simple", and what PyTorch once exported).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

__all__ = ["DISPUTES", "OperatorTest", "model_tests", "operator_tests"]

DISPUTES: Mapping[str, str] = MappingProxyType({
    "test_averagepool_2d_ceil_last_window_starts_on_pad":
        "the expected output is written down with four decimals; ONNX's own operator gives 0.15105554 for its 0.1511",
    "test_gridsample_bicubic":
        "the expected output is written down with four decimals; ONNX's own operator gives -0.140625 for its -0.1406",
    "test_resize_downsample_scales_linear_align_corners":
        'Operators.md, Resize, coordinate_transformation_mode: length_resized is "the length of the resized tensor", '
        'which is 2; the test takes the fraction 2.4. Either is granted (2.4 is "the target length ... when it is '
        'calculated out of a scale factor"), but the other axis is resized to 1, for which align_corners divides by 0',
    "test_roialign_aligned_false":
        "the expected output is written down with four decimals; ONNX's own operator gives 0.23845 for its 0.2384",
    "test_roialign_aligned_true":
        "the expected output is written down with four decimals; ONNX's own operator gives 0.30695 for its 0.307",
})  # fmt: skip
"""Tests that are at fault, by name: what the specification says instead, and where."""

_CARRIED = ("simple", "pytorch-converted", "pytorch-operator")
"""The folders of small models with their inputs and outputs; the others ("real", "light") hold large ones without."""

_PREFIX = "test_"
"""What all names begin with."""

_PLAIN = re.compile(r"[^*?\[]*")


@dataclass(frozen=True, slots=True)
class OperatorTest:
    """One test: a serialised model, and its inputs and expected outputs as serialised protos.

    ``inputs`` and ``outputs`` are TensorProto, SequenceProto or OptionalProto files in the model's order, ``rtol`` and
    ``atol`` what ONNX's runner allows against the expected outputs.
    """

    name: str
    model: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    rtol: float
    atol: float


def operator_tests(pattern: str = "*") -> Iterator[OperatorTest]:
    """All tests whose name matches a glob, sorted by name.

    All are made before the first is there (a quarter of a minute), but for a glob that no name of theirs can match.
    """
    if not _may_match(pattern):
        return
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        # The tests overflow and divide by zero on purpose while they compute what they expect.
        warnings.simplefilter("ignore", RuntimeWarning)
        tests = load_model_tests(kind="node")
    for test in sorted(tests, key=lambda test: test.name):
        if not fnmatchcase(test.name, pattern) or test.model is None or not test.data_sets:
            continue
        inputs, outputs = test.data_sets[0]
        graph = test.model.graph
        yield OperatorTest(
            test.name,
            test.model.SerializeToString(deterministic=True),
            tuple(map(_file, graph.input, inputs)),
            tuple(map(_file, graph.output, outputs)),
            test.rtol,
            test.atol,
        )


def model_tests(pattern: str = "*") -> Iterator[OperatorTest]:
    """The small models that the onnx package carries, those whose name matches a glob, sorted by name."""
    if not _may_match(pattern):
        return
    from onnx.backend.test.loader import load_model_tests

    tests = [test for kind in _CARRIED for test in load_model_tests(kind=kind)]
    for test in sorted(tests, key=lambda test: test.name):
        if not fnmatchcase(test.name, pattern):
            continue
        folder = Path(test.model_dir or "")
        files = {
            role: tuple(path.read_bytes() for path in sorted(folder.glob(f"test_data_set_0/{role}_*.pb"), key=_number))
            for role in ("input", "output")
        }
        model = (folder / "model.onnx").read_bytes()
        yield OperatorTest(test.name, model, files["input"], files["output"], test.rtol, test.atol)


def _may_match(pattern: str) -> bool:
    """Whether a glob matches some name that begins with test_; what stands before its first wildcard tells."""
    plain = _PLAIN.match(pattern)[0]  # type: ignore[index]
    return plain.startswith(_PREFIX) or (_PREFIX.startswith(plain) and plain != pattern)


def _number(path: Path) -> int:
    """The N of input_N.pb."""
    return int(path.stem.rpartition("_")[2])


def _file(port: onnx.ValueInfoProto, value: Any) -> bytes:
    """A value as ONNX's exporter writes it: the kind of the message follows the model's type."""
    kind = port.type.WhichOneof("value")
    proto = _optional(port.name, value) if kind == "optional_type" else _plain(port.name, value)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _plain(name: str, value: Any) -> onnx.TensorProto | onnx.SequenceProto:
    import numpy as np
    import onnx
    from onnx import numpy_helper

    if isinstance(value, onnx.TensorProto):
        copy = onnx.TensorProto()
        copy.CopyFrom(value)
        copy.name = name
        return copy
    if isinstance(value, list):
        sequence = onnx.SequenceProto(name=name, elem_type=onnx.SequenceProto.TENSOR)
        sequence.tensor_values.extend(_plain("", item) for item in value)
        return sequence
    return numpy_helper.from_array(np.asarray(value), name)


def _optional(name: str, value: Any) -> onnx.OptionalProto:
    import onnx

    optional = onnx.OptionalProto(name=name)
    if value is None:
        return optional
    plain = _plain("", value)
    if isinstance(plain, onnx.TensorProto):
        optional.elem_type = onnx.OptionalProto.TENSOR
        optional.tensor_value.CopyFrom(plain)
    else:
        optional.elem_type = onnx.OptionalProto.SEQUENCE
        optional.sequence_value.CopyFrom(plain)
    return optional
