"""Probing: which operators a target runs on which element types, found by running them one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abstract.contributed import DOMAINS
from backends.protocol import Outcome
from backends.registry import BACKENDS
from backends.support import Support
from fuzz.case import digest, find_cases, open_root, write_case
from fuzz.execute.run import execute
from fuzz.generate.plan import menu
from fuzz.generate.settings import DEFAULT_DTYPES, DEFAULT_OPSET, Settings
from fuzz.generate.single import pairs_of_types, primary_types, single_operator_cases
from fuzz.generate.support import joint_demands
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fuzz.execute.target import Target

__all__ = ["probe"]

_HIGHEST_RANK = 4


@dataclass(frozen=True, slots=True)
class _Pair:
    operator: str
    element_type: str
    second: str = ""

    @property
    def key(self) -> str:
        return f"{self.element_type},{self.second}" if self.second else self.element_type


def _pairs(operators: Sequence[str], dtypes: Sequence[str], opset: int) -> Iterator[_Pair]:
    for operator in operators:
        for name in primary_types(operator, opset):
            if name in dtypes:
                yield _Pair(operator, name)
        for first, second in pairs_of_types(operator, opset):
            if first in dtypes and second in dtypes:
                yield _Pair(operator, first, second)


def probe(
    target: Target, folder: Path, *, opset: int = DEFAULT_OPSET, operators: Sequence[str] = (),
    dtypes: Sequence[str] = DEFAULT_DTYPES, samples: int = 3, progress: Callable[[], None] = lambda: None,
) -> Support | None:  # fmt: skip
    """Run ``samples`` models of each operator on each type; what all of them survive is supported.

    Of a pair of types it is a third as many, at least one; they count for the first type as well. The models have the
    ranks that the backend has, and inputs where it takes no others. They and what came of them lie in ``folder``, a
    root of its own. None where it was interrupted: the same call goes on there.
    """
    root = open_root(folder)
    tried = dict(_cases(root, _settings(target.backend, opset, tuple(operators)), dtypes, samples))
    with Store.open(root, create=True) as store:
        cases = find_cases(root)
        summary = execute(cases, [target], store=store, jobs=1, progress=lambda _t, _o: progress())
        outcomes = store.executed(target.canonical, target.version)
    if summary.interrupted:
        return None
    tally: dict[str, dict[str, list[bool]]] = {}
    for case in cases:
        pair, ran = tried[case.id], outcomes[case.id, digest(case)] is Outcome.OK
        for key in {pair.key, pair.element_type}:
            tally.setdefault(pair.operator, {}).setdefault(key, []).append(ran)
    table = {
        operator: {name: "yes" if all(ran) else "partly" if any(ran) else "no" for name, ran in types.items()}
        for operator, types in tally.items()
    }
    return Support(target.backend, target.version, opset, table)


def _cases(root: Path, asked: Settings, dtypes: Sequence[str], samples: int) -> Iterator[tuple[str, _Pair]]:
    """Write the cases; their names, and what each is of."""
    for pair in _pairs(menu(asked), dtypes, asked.opset):
        count = max(samples // 3, 1) if pair.second else samples
        made = single_operator_cases(
            pair.operator, pair.element_type, asked.opset, count, second=pair.second, settings=asked
        )
        for number, each in enumerate(made):
            name = f"{pair.operator}-{pair.key.replace(',', '_')}-{asked.opset}-{number}"
            write_case(root, name, each.model, each.data_sets, each.record)
            yield name, pair


def _settings(backend: str, opset: int, operators: tuple[str, ...]) -> Settings:
    entry = BACKENDS[backend]
    rank = max(0, entry.ranks[0]), min(_HIGHEST_RANK, entry.ranks[1])
    return joint_demands((backend,), Settings(opset=opset, operators=operators, rank=rank, domains=DOMAINS))
