"""Hypothesis strategies: the generator driven by Hypothesis's draws, so that your own property tests ask for models.

    from hypothesis import given
    from fuzz.strategies import models

    @given(models(operators=("Conv", "Relu", "Add"), dtypes=("float",)))
    def test_my_compiler(model): ...

Hypothesis shrinks what fails: fewer nodes, the operators and types that come first in the tables, smaller sizes.
Needs the package ``hypothesis``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import onnx
from hypothesis import reject
from hypothesis import strategies as st

from fuzz.generate.graph import NothingFits
from fuzz.generate.plan import menu
from fuzz.generate.run import Generated, generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_demands, joint_opset, joint_support

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cases", "models"]

_SMALL = Settings(nodes=(1, 8))


class _Drawn:
    """Every decision is one of Hypothesis's; implements ``fuzz.generate.choices.Choices``."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw
        self.record: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high]; the lowest is the simplest."""
        number = self._draw(st.integers(low, high))
        self.record.append(number)
        return number


def cases(**settings: Any) -> st.SearchStrategy[Generated]:
    """Models with inputs and the outputs that the reference expects.

    ``settings`` are those of ``fuzz.generate.settings.Settings``: ``nodes=(1, 8)``, ``operators=("Conv", "Relu")``,
    ``dtypes=("float",)``, ``targets=("onnxruntime",)`` and so on.

    Raises TypeError for a setting that there is none of, ValueError where they make no sense.
    """
    asked = replace(_SMALL, **settings)
    if asked.targets:
        asked = joint_demands(asked.targets, replace(asked, opset=joint_opset(asked.targets) or asked.opset))
    menu(asked)  # says at once what is wrong
    return _cases(asked)


@st.composite
def _cases(draw: st.DrawFn, settings: Settings) -> Generated:
    try:
        return generate_case(_Drawn(draw), settings, joint_support(settings.targets))
    except NothingFits:
        reject()


def models(**settings: Any) -> st.SearchStrategy[onnx.ModelProto]:
    """Models alone; what ``cases`` takes and raises."""
    return cases(**settings).map(lambda case: onnx.ModelProto.FromString(case.model))
