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
from typing import TYPE_CHECKING, Any, TypeVar

import onnx
from hypothesis import reject
from hypothesis import strategies as st

from fuzz.generate.choices import STOP
from fuzz.generate.graph import NothingFits
from fuzz.generate.plan import menu
from fuzz.generate.run import Generated, generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_demands, joint_opset, joint_support

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cases", "models"]

T = TypeVar("T")

_SMALL = Settings(nodes=(1, 8))


_NESTED = 40  # steps that are spans inside of each other: Hypothesis goes 100 deep
_WIDEST = 4095  # larger ranges are those of seeds, which would be made smaller bit by bit
_LAST = 15  # one step in so many is the last one of a graph


class _Drawn:
    """Every decision is one of Hypothesis's; implements ``fuzz.generate.choices.Choices``.

    Hypothesis makes what fails smaller by dropping draws, and by spans: in the place of one ``draw`` it puts one of the
    same kind inside of it. So the steps of a graph are drawn each inside of the one before, and what follows a step
    can take its place. One draw says of all decisions of a call that they are the least: new operands, of one element.
    Such a call hangs on no other node, and those around it can go. ``least`` nodes a graph has anyway.
    """

    def __init__(self, draw: st.DrawFn, least: int) -> None:
        self.draw = draw
        self._least = least
        self._steps = 0
        self._plain = False
        self.record: list[int] = []

    def integer(self, low: int, high: int) -> int:
        """An integer in [low, high]; the lowest is the simplest."""
        number = low if self._plain else self.draw(st.integers(low, min(high, low + _WIDEST)))
        self.record.append(number)
        return number

    def repeat(self, step: Callable[[], int | None]) -> None:
        """Call ``step`` until it says None, or the draw says that it was the last one."""
        least = 1 if self._steps else self._least  # a body may be as small as can be
        before = self._steps
        try:
            if self._plain:
                while self.further(step, least):
                    pass
            else:
                self.draw(_steps(self, step, least))
        finally:
            self._steps = before

    def further(self, step: Callable[[], int | None], least: int) -> bool:
        """Take one step; whether another one is to follow."""
        self._steps += 1
        count = step()
        if count is None:
            return False
        if count < least or (not self._plain and self.draw(_GOES_ON)):
            return True
        self.record.append(STOP)
        return False

    @property
    def nested(self) -> bool:
        """Whether the next step may be a span inside of this one."""
        return self._steps < _NESTED

    def together(self, decide: Callable[[], T]) -> T:
        """What a function makes of decisions; by one draw all of them may be the least."""
        if self._plain or self.draw(_IN_FULL):
            return decide()
        self._plain = True
        try:
            return decide()
        finally:
            self._plain = False


_GOES_ON, _IN_FULL = st.integers(0, _LAST), st.integers(0, _LAST)


@st.composite
def _steps(draw: st.DrawFn, drawn: _Drawn, step: Callable[[], int | None], least: int) -> None:
    while drawn.further(step, least):
        if drawn.nested:
            draw(_steps(drawn, step, least))
            return


def cases(**settings: Any) -> st.SearchStrategy[Generated]:
    """Models with inputs and the outputs that the reference expects.

    ``settings`` are those of ``fuzz.generate.settings.Settings``: ``nodes=(1, 8)``, ``operators=("Conv", "Relu")``,
    ``dtypes=("float",)``, ``targets=("onnxruntime",)`` and so on.

    Raises TypeError for a setting that there is none of, ValueError where they make no sense.
    """
    asked = replace(_SMALL, **settings)
    if asked.targets:
        asked = joint_demands(asked.targets, replace(asked, opset=joint_opset(asked.targets) or asked.opset))
    # A model's own subset of the operators would hide which one an index means: all of them are there.
    return _cases(replace(asked, operators=menu(asked)))


@st.composite
def _cases(draw: st.DrawFn, settings: Settings) -> Generated:
    least, most = settings.nodes
    count = draw(st.integers(least, most))  # apart from the plan, of which all else may be the least
    wanted = replace(settings, nodes=(count, count))
    try:
        return generate_case(_Drawn(draw, least), wanted, joint_support(settings.targets))
    except NothingFits:
        reject()


def models(**settings: Any) -> st.SearchStrategy[onnx.ModelProto]:
    """Models alone; what ``cases`` takes and raises."""
    return cases(**settings).map(lambda case: onnx.ModelProto.FromString(case.model))
