"""Probing: which operators a target runs on which element types, found by running them one by one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backends.protocol import Outcome
from backends.support import Support
from fuzz.case import find_cases, open_root, write_case
from fuzz.execute.run import execute
from fuzz.generate.plan import menu
from fuzz.generate.settings import DEFAULT_DTYPES, DEFAULT_OPSET, Settings
from fuzz.generate.single import primary_types, single_operator_cases
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fuzz.execute.target import Target

__all__ = ["probe"]


@dataclass(frozen=True, slots=True)
class _Pair:
    operator: str
    element_type: str


def _pairs(operators: Sequence[str], dtypes: Sequence[str], opset: int) -> Iterator[_Pair]:
    for operator in operators:
        for name in primary_types(operator, opset):
            if name in dtypes:
                yield _Pair(operator, name)


def probe(
    target: Target, *, opset: int = DEFAULT_OPSET, dtypes: Sequence[str] = DEFAULT_DTYPES,
    samples: int = 3, progress: Callable[[], None] = lambda: None,
) -> Support:  # fmt: skip
    """Run ``samples`` models of each operator on each type; what all of them survive is supported.

    The cases live in a temporary root that is gone afterwards.
    """
    operators = menu(Settings(opset=opset))
    with tempfile.TemporaryDirectory(prefix="fuzz-probe-") as folder:
        root = open_root(Path(folder))
        for pair in _pairs(operators, dtypes, opset):
            for number, made in enumerate(single_operator_cases(pair.operator, pair.element_type, opset, samples)):
                name = f"{pair.operator}-{pair.element_type}-{number}"
                write_case(root, name, made.model, made.data_sets, made.record)
        with Store.open(root, create=True) as store:
            execute(find_cases(root), [target], store=store, jobs=1, progress=lambda _t, _o: progress())
            outcomes = store.executed(target.canonical, target.version)
    tally: dict[str, dict[str, list[bool]]] = {}
    for (case, _), outcome in outcomes.items():
        operator, element_type, _ = case.split("-")
        tally.setdefault(operator, {}).setdefault(element_type, []).append(outcome is Outcome.OK)
    table = {
        operator: {name: "yes" if all(ran) else "partly" if any(ran) else "no" for name, ran in types.items()}
        for operator, types in tally.items()
    }
    return Support(target.backend, target.version, opset, table)
