"""A model against itself at a newer opset, as ONNX's version converter makes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import onnx
import onnx.helper

from abstract.schema import newest_opset
from fuzz.judge.verdict import Verdict, Word
from fuzz.relations.rewrite import OLDEST_OPSET
from fuzz.relations.site import drawer
from fuzz.relations.variant import Variant

if TYPE_CHECKING:
    from fuzz.relations.variant import Original

__all__ = ["CONVERTER", "converted"]

CONVERTER = "onnx-version-converter"
"""The target that the converter's own faults are reported on."""

_LACKS = re.compile(r"[Uu]nsupported|[Nn]ot (yet )?supported|[Nn]o [Aa]dapter|No Op registered|IR version")


def converted(original: Original, seed: int) -> Variant | Verdict | None:
    """The model at one of the newer opsets; the converter's refusal of it; None where there is no newer opset."""
    from onnx import version_converter

    newest, own = newest_opset(), original.base.opset
    if not OLDEST_OPSET <= own < newest:
        return None
    target = own + 1 + drawer(seed, original.case, "opset")(newest - own)
    place = f"converted from opset {own} to {target}"
    try:
        model = version_converter.convert_version(original.base.model, target)
    except Exception as error:  # noqa: BLE001 - the converter raises RuntimeError and its own ConvertError
        text = str(error).strip().split("\n", 1)[0][:300]
        word = Word.UNSUPPORTED if _LACKS.search(text) else Word.REJECTED
        return Verdict(original.case, CONVERTER, 0, word.value, message=f"{place}: {text}", oracle="opset")
    oldest = onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", target)])
    model.ir_version = max(model.ir_version, oldest)
    return Variant(
        "opset", place, model.SerializeToString(deterministic=True), original.whole(), original.same_outputs(),
        tool=CONVERTER,
    )  # fmt: skip
