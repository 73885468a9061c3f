"""Windows of many models: cut, told apart, typed symbolically, checked, and written down."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_NAME, DTYPES, Kind
from abstract.operator import EVERYWHERE, Domain, NotCovered
from abstract.operators import TABLE
from abstract.schema import newest_opset
from fuzz.errors import UsageError
from fuzz.generate.builder import Builder
from fuzz.generate.choices import Seeded
from fuzz.generate.plan import Plan
from fuzz.seeds.canonical import key
from fuzz.seeds.choose import broadest, traits
from fuzz.seeds.cut import Wiring, cuts
from fuzz.seeds.net import read_net
from fuzz.seeds.place import Instance
from fuzz.seeds.retype import retyped, small_sizes
from fuzz.seeds.window import Call, Operand, Window, encoded, formula, symbol_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from abstract.dims import Dim, Symbol
    from fuzz.seeds.net import Edge, Place
    from fuzz.seeds.retype import Typed
    from fuzz.seeds.window import Size

__all__ = ["Mined", "find_models", "mine", "written"]

_NAMED = 4  # models that a window names; the others are counted
_OPERATORS = tuple(TABLE)
_DTYPES = frozenset(DTYPES)
_NAMES = frozenset(d.name for d in DTYPES)
_VAST = 1e4  # what masks add is brought down to this: it hides as well, and sums with it can be judged
_TURNS = 4  # turns of windows for breadth, but one for those of most models
_OTHERS = 3  # other sizes of one window
_SEEDS = 2  # draws of its numbers
_SIZES = re.compile(r"-?\d[\d., ()]*")
# Where the floats and the integers of operands may have to lie: anywhere, above 0 (a root), at positions (a Gather).
_POSITIVE, _POSITIONS, _FIRST = Domain(0.25, 4.0), Domain(0.0, 1.0), Domain(0.0, 0.0)
_DOMAINS = (
    (EVERYWHERE, EVERYWHERE), (EVERYWHERE, _POSITIONS), (_POSITIVE, EVERYWHERE), (_POSITIVE, _POSITIONS),
    (EVERYWHERE, _FIRST), (Domain(0.0, 0.5), _POSITIONS), (_POSITIVE, _FIRST), (_POSITIVE, Domain(1.0, 2.0)),
)  # fmt: skip


@dataclass(slots=True)
class Mined:
    """What a run found.

    ``met`` counts windows as often as they were cut, ``distinct`` those that differ; ``typed`` were looked at,
    ``symbolic`` of them have a free size, ``evaluated`` could be placed. ``reasons`` says why windows have no free
    size, ``unevaluated`` why others are left out, ``left`` why nodes are in no window, ``unread`` which files are no
    models.
    """

    windows: list[Window] = field(default_factory=list)
    models: int = 0
    nodes: int = 0
    met: int = 0
    distinct: int = 0
    typed: int = 0
    symbolic: int = 0
    evaluated: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unevaluated: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints: all but the windows themselves."""
        return {
            "models": self.models, "nodes": self.nodes, "met": self.met, "distinct": self.distinct,
            "typed": self.typed, "windows": len(self.windows), "symbolic": self.symbolic, "evaluated": self.evaluated,
            "reasons": dict(self.reasons.most_common()), "unevaluated": dict(self.unevaluated.most_common()),
            "left": dict(self.left.most_common()), "unread": self.unread,
        }  # fmt: skip


@dataclass(slots=True)
class _Found:
    places: list[Place]
    exposed: frozenset[str]
    models: dict[str, None]
    count: int = 0


def find_models(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """The models under paths (files, or folders of them at any depth), with a short name each; sorted.

    Raises UsageError where there are none.
    """
    found: dict[Path, str] = {}
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*.onnx")):
                short = file.relative_to(path).with_suffix("").as_posix().removesuffix("/model")
                found.setdefault(file, path.resolve().name if short == "model" else short)
        elif path.is_file():
            found.setdefault(path, (path.stem == "model" and path.parent.name) or path.stem)
        else:
            raise UsageError(f"{path} does not exist: give a model or a folder of models")
    if not found:
        raise UsageError(f"no *.onnx under {', '.join(map(str, paths))}: give a model or a folder of models")
    return list(found.items())


def mine(
    models: Iterable[tuple[Path, str]], result: Mined, *, nodes: tuple[int, int] = (2, 8), limit: int | None = None,
    progress: Callable[[int], None] = lambda _more: None,
) -> None:  # fmt: skip
    """Put into ``result`` the windows of ``nodes`` nodes in models, at most ``limit``; the models decide their order.

    ``progress`` is told how many models more were cut. A file that is no model is named in the result.
    """
    found = _cut(models, nodes, result, progress)
    result.distinct = len(found)
    for name in _chosen(found, limit):
        if limit is not None and len(result.windows) >= limit:
            break
        window = _typed(name, found[name], result)
        if window is not None:
            result.windows.append(window)


def written(result: Mined, out: Path) -> None:
    """The windows as a file, a line each, small ones first. Raises UsageError where it cannot be written."""
    ordered = sorted(result.windows, key=lambda window: (len(window.calls), window.key))
    text = "".join(window.to_json() + "\n" for window in ordered)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None


def _cut(
    models: Iterable[tuple[Path, str]], nodes: tuple[int, int], result: Mined, progress: Callable[[int], None]
) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    known: dict[str, tuple[str, ...]] = {}  # by surroundings
    for path, name in models:
        progress(1)
        try:
            net = read_net(path, name)
        except UsageError:
            result.unread.append(str(path))
            continue
        result.models += 1
        result.nodes += len(net.places) + net.left.total()
        result.left += net.left
        wiring = Wiring(net)
        for start, around in enumerate(wiring.surroundings()):
            keys = known.get(around)
            if keys is None:
                cut = []
                for members in cuts(wiring, start, *nodes):
                    places = [net.places[i] for i in sorted(members)]
                    own = key(places)
                    cut.append(own)
                    if own not in found:
                        found[own] = _Found(places, _read_outside(wiring, members), {})
                keys = known[around] = tuple(dict.fromkeys(cut))
            for own in keys:
                found[own].models[name] = None
                found[own].count += 1
            result.met += len(keys)
    return found


def _read_outside(wiring: Wiring, members: frozenset[int]) -> frozenset[str]:
    made = [edge.name for i in members for edge in wiring.net.places[i].outputs if edge.name]
    return frozenset(
        name for name in made
        if name in wiring.net.exposed or any(reader not in members for reader in wiring.readers.get(name, ()))
    )  # fmt: skip


def _chosen(found: Mapping[str, _Found], limit: int | None) -> Iterator[str]:
    """In which order windows are kept: of each number of nodes alike many.

    Of four one is of most models, three are for breadth; without a limit those of most models come first.
    """
    popular = sorted(found, key=lambda k: (-len(found[k].models), k))
    if limit is None:
        yield from popular
        return
    orders = []
    for size in sorted({len(each.places) for each in found.values()}):
        of_size = [name for name in popular if len(found[name].places) == size]
        orders.append((iter(of_size), broadest({name: traits(found[name].places) for name in of_size})))
    taken: set[str] = set()
    for turn in range(len(found)):
        fresh = [next((name for name in order[turn % _TURNS > 0] if name not in taken), "") for order in orders]
        taken.update(fresh)
        yield from filter(None, fresh)


# --- one window -------------------------------------------------------------------------------------------------


def _typed(name: str, found: _Found, result: Mined) -> Window | None:
    """A window with its symbols; with the traced sizes where it has none. None where it is of no use."""
    typed, reason = retyped(found.places)
    result.typed += 1
    writer = _Writer(name, found, typed, reason)
    try:
        window = writer.window()
    except TypeError:
        result.unevaluated["a parameter or a number has no form as text"] += 1
        return None
    if typed is None:
        result.reasons[reason] += 1
    else:
        result.symbolic += 1
    checked, problem = _evaluated(window, [] if typed is None else list(_others(typed, list(writer.symbols))))
    if checked is None:
        result.unevaluated[problem] += 1
        return None
    result.evaluated += 1
    return checked


def _others(typed: Typed, order: Sequence[Symbol]) -> Iterator[tuple[int, ...]]:
    """Other sizes than the traced ones at which all constraints hold."""
    for first in range(_OTHERS):
        values = small_sizes(typed, first)
        if values is not None:
            yield tuple(values[symbol] for symbol in order)


class _Writer:
    """A window as data: operands and outputs numbered, sizes as formulas of letters."""

    def __init__(self, name: str, found: _Found, typed: Typed | None, reason: str) -> None:
        self.name, self.found, self.typed, self.reason = name, found, typed, reason
        self.symbols: dict[Symbol, str] = {}

    def window(self) -> Window:
        made = [edge for place in self.found.places for edge in place.outputs]
        own = {edge.name for edge in made if edge.name}
        outside: dict[str, Edge] = {}
        for place in self.found.places:
            for edge in place.inputs:
                if edge is not None and edge.name not in own:
                    outside.setdefault(edge.name, edge)
        numbers = {name: i for i, name in enumerate(outside)}
        numbers |= {edge.name: len(outside) + i for i, edge in enumerate(made) if edge.name}
        operands = tuple(self.operand(edge) for edge in outside.values())
        calls = tuple(self.call(i, place, numbers) for i, place in enumerate(self.found.places))
        results = tuple(numbers[edge.name] for edge in made if edge.name in self.found.exposed)
        sizes = () if self.typed is None else tuple(map(self.typed.store.witness, self.symbols))
        models = tuple(sorted(self.found.models))
        return Window(
            self.name, operands, calls, results, (sizes,), models[:_NAMED], self.found.count, self.reason
        )

    def operand(self, edge: Edge) -> Operand:
        shape = edge.shape if self.typed is None else self.typed.shapes.get(edge.name, edge.shape)
        numbers = () if edge.array is None or edge.kind != "constant" else tuple(edge.array.ravel().tolist())
        if any(isinstance(n, complex) for n in numbers):
            raise TypeError("a number that JSON has not")
        if edge.dtype.is_float:
            numbers = tuple(0.0 if isnan(n) else min(max(n, -_VAST), _VAST) for n in numbers)
        return Operand(edge.dtype.name, tuple(map(self.size, shape)), edge.kind, numbers)

    def call(self, at: int, place: Place, numbers: Mapping[str, int]) -> Call:
        params = place.params if self.typed is None else self.typed.params[at]
        inputs = tuple(None if edge is None else numbers[edge.name] for edge in place.inputs)
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        return Call(
            place.operator, inputs, {n: encoded(v, self.size) for n, v in sorted(params.items()) if v is not None},
            len(place.outputs), place.absent,
        )  # fmt: skip

    def size(self, dim: Dim) -> Size:
        resolved = dim if self.typed is None else self.typed.store.resolve(dim)
        return formula(resolved, self.letter)

    def letter(self, symbol: Symbol) -> str:
        return self.symbols.setdefault(symbol, symbol_name(len(self.symbols)))


# --- the check --------------------------------------------------------------------------------------------------


def _evaluated(window: Window, others: Sequence[tuple[int, ...]]) -> tuple[Window | None, str]:
    """The window with the traced sizes and those at which it was evaluated; None and why not where it was at none.

    Evaluating is what the generator does: each call is typed, defined on its values, and gives the shapes of its rule.
    """
    trials = [sizes for sizes in dict.fromkeys(others) if sizes != window.sizes[0]]
    problem = ""
    for floats, integers in _DOMAINS:
        inside = replace(
            window, operands=tuple(_within(o, floats, integers) for o in window.operands),
            sizes=(window.sizes[0], *trials),
        )  # fmt: skip
        said = [_problem(inside, place) for place in range(len(inside.sizes))]
        kept = [sizes for sizes, why in zip(trials, said[1:], strict=True) if not why]
        if kept or not said[0]:
            return replace(inside, sizes=(window.sizes[0], *kept)), ""
        problem = said[-1]
    return None, problem


def _within(operand: Operand, floats: Domain, integers: Domain) -> Operand:
    kind = BY_NAME[operand.dtype].kind
    if operand.kind == "constant" or kind not in (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED):
        return operand
    domain = floats if kind is Kind.FLOAT else integers
    return replace(operand, low=domain.low, high=domain.high)


def _problem(window: Window, base: int) -> str:
    """Why a window cannot be placed at some of its sizes; empty where it can."""
    problem = ""
    for seed in range(_SEEDS):
        plan = Plan(1, _OPERATORS, _DTYPES, (0, 8), 0.0, 0.0, adapters=False, dynamic=False,
                    opset=newest_opset(), supports=None)  # fmt: skip
        none: frozenset[str] = frozenset()
        instance = Instance(Builder(Seeded(seed), plan), window, _NAMES, none, none, join=False, base=base)
        try:
            with np.errstate(all="ignore"):
                instance.place()
        except (Infeasible, NotCovered) as error:
            problem = _SIZES.sub("N", str(error))[:60]
        else:
            return ""
    return problem
