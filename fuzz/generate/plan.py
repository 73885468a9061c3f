"""The plan of one model: which operators and types it draws from, how large it is, how it is knit (swarm testing).

Each model uses its own small subset of what is allowed; many narrow distributions find more distinct failures than one
broad one (Groce et al., Swarm Testing, ISSTA 2012).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from abstract.contributed import CONTRIBUTED, DOMAINS, domain_of, qualified, unqualified
from abstract.dtypes import BY_NAME, DTYPES, DType
from abstract.nonfinite import carries
from abstract.operators import TABLE
from abstract.schema import Signature, newest_opset, signature
from fuzz.generate.bait import chosen
from fuzz.generate.bait.share import Bait
from fuzz.generate.rest import Rested, draw_rests
from fuzz.generate.settings import DEFAULT_DTYPES, Settings
from fuzz.generate.shaping import Shaping, draw_shaping
from fuzz.generate.structure import draw_structure
from fuzz.generate.tensors import MIXES, mix
from fuzz.generate.topology import draw_topology
from fuzz.generate.variables import second_type, second_variable
from fuzz.seeds.stock import Seeds, usable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fuzz.generate.bait.pattern import Pattern
    from fuzz.generate.choices import Choices

__all__ = ["OLDEST_OPSET", "Plan", "Supports", "draw_plan", "full_name", "menu", "patterns"]

OLDEST_OPSET = 13
"""The oldest version of the operator set in which models are made."""



class Supports(Protocol):
    """What all chosen targets run."""

    def __hash__(self) -> int:
        """What is worked out for it once is kept."""

    def __call__(self, operator: str, first: str, second: str = "") -> bool:
        """Whether they run an operator on an element type of its first input, and on a second type where it has one."""


@dataclass(slots=True)
class Plan:
    """What one model draws from. ``fresh`` and ``initializer`` are chances: of a new operand, and of its being one.

    ``bait`` is what fusion patterns it gets; None for none. ``palettes`` are those of its tensors, each as often as it
    is to be drawn. ``structure`` is what it has beside operators (``fuzz/generate/structure.py``),
    ``topology`` how it is knit (``fuzz/generate/topology.py``),
    ``shaping`` how its sizes are drawn. ``seeds`` is what windows of real models it gets; None for none. ``refused``
    are attributes and values of them, by operator, that no call has.
    """

    nodes: int
    operators: Sequence[str]
    dtypes: frozenset[DType]
    rank: tuple[int, int]
    fresh: float
    initializer: float
    adapters: bool
    dynamic: bool
    opset: int
    supports: Supports | None
    needs_input: bool = False
    constant_data: bool = True
    computed_weights: bool = True
    bait: Bait | None = None
    palettes: tuple[str, ...] = mix(0)
    structure: frozenset[str] = frozenset()
    topology: str = ""
    shaping: Shaping = field(default_factory=Shaping)
    seeds: Seeds | None = None
    refused: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    _allowed: dict[tuple[str, str, str], tuple[DType, ...]] = field(default_factory=dict)

    def widen(self, operators: Sequence[str], dtypes: Sequence[str]) -> None:
        """Give up the model's own subset: all of these operators and types from now on."""
        self.operators = operators
        self.dtypes = frozenset(BY_NAME[n] for n in dtypes)
        self._allowed.clear()

    def wake(self) -> bool:
        """Where operators rest (``fuzz/generate/rest.py``), let them be called again; whether any did."""
        if not isinstance(self.supports, Rested):
            return False
        self.supports = self.supports.supports
        self._allowed.clear()
        return True

    def runs(self, operator: str, sign: Signature) -> bool:
        """Whether the targets run an operator on some type at all; some operators never ask for that type."""
        if operator == "Constant" and not self.constant_data:
            return False
        if self.supports is None:
            return True
        first = (sign.inputs or sign.outputs)[0]
        return any(self.supports(operator, d.name) for d in sign.types[first.variable])

    def runs_on(self, operator: str, inputs: Sequence[DType | None], outputs: Sequence[DType]) -> bool:
        """Whether the targets run an operator on the second type of a call, where it has one."""
        if self.supports is None:
            return True
        second = second_type(operator, self.opset, inputs, outputs)
        first = _first_type(operator, self.opset, inputs)
        return first is None or second is None or self.supports(operator, first, second.name)

    def takes(self, operator: str, params: Mapping[str, Any]) -> bool:
        """Whether the targets take a call with these attributes, those that it leaves out among them."""
        return all(params.get(name) != value for name, value in self.refused.get(operator, ()))

    def allowed(self, operator: str, sign: Signature, variable: str, first: str = "") -> tuple[DType, ...]:
        """The element types that a type variable of an operator may take in this model, beside this first type."""
        key = (operator, variable, first)
        found = self._allowed.get(key)
        if found is None:
            found = tuple([d for d in sign.types.get(variable, ()) if d in self.dtypes])
            supports = self.supports
            if supports is not None and (sign.inputs or sign.outputs)[0].variable == variable:
                found = tuple(d for d in found if supports(operator, d.name))
            elif supports is not None and first and variable == second_variable(operator, self.opset):
                found = tuple(d for d in found if supports(operator, first, d.name))
            self._allowed[key] = found
        return found


def _first_type(operator: str, opset: int, inputs: Sequence[DType | None]) -> str | None:
    """The type of the first input; where that is a parameter, the only one that it may have."""
    sign = signature(operator, opset)
    if not sign.inputs:
        return None
    if sign.inputs[0].name in TABLE[operator].parameters:
        kinds = sign.types[sign.inputs[0].variable]
        return kinds[0].name if len(kinds) == 1 else None
    return inputs[0].name if inputs and inputs[0] is not None else None


@cache
def menu(settings: Settings) -> tuple[str, ...]:
    """The operators that these settings allow, in the order of the table; of another domain by their qualified name.

    A name that ONNX's own domain does not have is that of another's.

    Raises ValueError with a one-line message for an operator or opset that is not known.
    """
    if not OLDEST_OPSET <= settings.opset <= newest_opset():
        raise ValueError(f"opset {settings.opset} is out of range: choose one from {OLDEST_OPSET} to {newest_opset()}")
    for name in settings.operators:
        if full_name(name) not in TABLE:
            raise ValueError(f"unknown operator {name!r}{_similar(name)}; the table has {', '.join(sorted(TABLE))}")
    for name in settings.domains:
        if name not in DOMAINS:
            raise ValueError(f"unknown domain {name!r}: beside ONNX's own there is {', '.join(DOMAINS)}")
    for name in settings.dtypes:
        if name not in BY_NAME:
            raise ValueError(f"unknown element type {name!r}; ONNX has {', '.join(BY_NAME)}")
    wanted = tuple(map(full_name, settings.operators)) or _of(settings.domains)
    kept = tuple(n for n in wanted if TABLE[n].since <= settings.opset and _exists(n, settings.opset))
    if not kept:
        raise ValueError(f"none of {', '.join(wanted)} exists at opset {settings.opset}")
    return kept


def full_name(name: str) -> str:
    """An operator's qualified name, where its domain was left out and ONNX's own does not have it."""
    found = (qualified(domain, name) for domain in DOMAINS)
    return name if name in TABLE else next((full for full in found if full in TABLE), name)


def _of(domains: Sequence[str]) -> tuple[str, ...]:
    """The operators of ONNX's own domain and of others."""
    return tuple(name for name in TABLE if domain_of(name) in ("", *domains))


def _similar(name: str) -> str:
    from difflib import get_close_matches

    # Letter case is what people get wrong most; it must not make another operator look nearer.
    known = {unqualified(operator)[1].lower(): operator for operator in reversed(tuple(TABLE))}
    close = get_close_matches(name.lower(), known, 1)
    return f" (did you mean {known[close[0]]}?)" if close else ""


def _exists(name: str, opset: int) -> bool:
    import onnx.defs

    if name in CONTRIBUTED:
        return True
    try:
        return not onnx.defs.get_schema(name, opset).deprecated and signature(name, opset).since > 0
    except onnx.defs.SchemaError:
        return False


# An operator's name as often as its weight asks for, in quarters: one pick among all is weighted then.
# Those of a domain that was asked for are few beside ONNX's.
_TICKETS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    name: (name,) * max(1, round(row.weight * (12 if domain_of(name) else 4))) for name, row in TABLE.items()
})  # fmt: skip

# How often a model's own subset of types holds a type; the types of most real models come first.
_TYPE_CHANCE: Mapping[str, int] = {
    "float": 85, "double": 25, "float16": 25, "bfloat16": 20, "int64": 35, "int32": 35, "bool": 30,
    "string": 30, "complex64": 15, "complex128": 12,
} | {d.name: 10 for d in DTYPES if d.extension and d.name != "bfloat16"}  # what few operators take


def _subset(names: Sequence[str], choices: Choices) -> list[str]:
    """Each name kept with a chance of 1/4, 1/2, 3/4 or 1; thirty decisions a draw."""
    density = choices.integer(0, 3)
    if density == 3:
        return list(names)
    kept: list[str] = []
    for start in range(0, len(names), 30):
        first, second = choices.integer(0, 2**30 - 1), choices.integer(0, 2**30 - 1)
        bits = (first & second, first, first | second)[density]
        kept += [name for i, name in enumerate(names[start : start + 30]) if bits >> i & 1]
    return kept


def _types(names: Sequence[str], choices: Choices) -> list[DType]:
    """The model's own subset of the default types; types that the user named are all in."""
    if tuple(names) != DEFAULT_DTYPES:
        return [BY_NAME[n] for n in names]
    kept = [BY_NAME[n] for n in names if choices.integer(0, 99) < _TYPE_CHANCE.get(n, 20)]
    return kept if any(d.is_float and d.bits > 8 for d in kept) else [*kept, BY_NAME["float"]]


@cache
def patterns(settings: Settings, supports: Supports | None) -> tuple[Pattern, ...]:
    """The fusion patterns that these settings ask for and that can be made of what they and the targets allow.

    Raises ValueError with a one-line message for a name that is not known, or where none of those named can be made.
    """
    rows = chosen(settings.bait, menu(settings), settings.opset)
    if supports is not None:
        rows = tuple(row for row in rows if all(_runs(name, settings.opset, supports) for name in row.operators))
    if not rows and settings.bait and "all" not in settings.bait:
        raise ValueError(f"no pattern of {', '.join(settings.bait)} can be made of the operators that are allowed here")
    return rows


def _runs(operator: str, opset: int, supports: Supports) -> bool:
    sign = signature(operator, opset)
    return not sign.inputs or any(supports(operator, d.name) for d in sign.types[sign.inputs[0].variable])


# How often a node's turn places a fusion pattern instead, a chance a model; and how often it is a near-miss.
_BAIT = (0.0, 0.0, 0.05, 0.1, 0.4)
_NAMED_BAIT = (0.5, 1.0)
_NEAR = (0.0, 0.5, 0.5, 0.8)


def _draw_bait(
    choices: Choices, settings: Settings, supports: Supports | None, own: Supports | None
) -> Bait | None:
    """``supports`` is what the targets run, ``own`` what of it this model may have."""
    if not settings.bait:
        return None
    rows = patterns(replace(settings, rests=()), supports)
    if own is not None and own is not supports:
        rows = tuple(row for row in rows if all(_runs(name, settings.opset, own) for name in row.operators))
    named = "all" not in settings.bait
    chances = _NAMED_BAIT if named else _BAIT
    chance, near = chances[choices.integer(0, len(chances) - 1)], _NEAR[choices.integer(0, len(_NEAR) - 1)]
    return Bait(rows, chance, near, frozenset(settings.dtypes), whole=named) if rows and chance else None


# How many windows of real models a model gets, and how often something in one is changed.
_SEEDED = (1, 2, 3, 4, 6)
_CHANGED = (0.3, 0.8, 1.0)


def _draw_seeds(choices: Choices, settings: Settings, names: Sequence[str]) -> Seeds | None:
    if not settings.seeds:
        return None
    lines = usable(settings.seeds, tuple(names))
    count, change = _SEEDED[choices.integer(0, len(_SEEDED) - 1)], _CHANGED[choices.integer(0, len(_CHANGED) - 1)]
    return Seeds(lines, count, change, frozenset(settings.dtypes), frozenset(names)) if lines else None


def draw_plan(choices: Choices, settings: Settings, names: Sequence[str], supports: Supports | None) -> Plan:
    """One model's plan. ``names`` is what ``menu`` gave for these settings."""
    able = supports
    supports = draw_rests(choices, settings.rests, supports)
    nodes = choices.integer(*settings.nodes)
    own = list(names) if settings.operators else _subset(names, choices)
    if settings.nonfinite and not settings.operators:
        own = [name for name in own if carries(name)]
    if supports is not None and supports is not able:
        own = [name for name in own if _runs(name, settings.opset, supports)]
    if len(own) < 3:
        own = list(names)
    operators = list(chain.from_iterable(map(_TICKETS.__getitem__, own)))
    dtypes = frozenset(_types(settings.dtypes, choices))
    dynamic = settings.dynamic if settings.dynamic is not None else choices.integer(0, 3) == 0
    fresh = (0.1, 0.03, 0.01, 0.0)[choices.integer(0, 3)]  # the least: operands that hang on no other node
    initializer = (0.2, 0.5, 0.8)[choices.integer(0, 2)] * (0.3 if dynamic else 1.0) * settings.constant_data
    adapters = not dynamic and choices.integer(0, 3) > 0
    bait = _draw_bait(choices, settings, able, supports)
    structure = draw_structure(choices, settings)
    topology = draw_topology(choices, structure)
    if topology == "chain":
        fresh = 0.005
    shaping = draw_shaping(choices, settings, names, supports, dynamic=dynamic)
    operators = shaping.tickets(operators, names)
    return Plan(
        nodes, operators, dtypes, shaping.rank, fresh, initializer, adapters, dynamic, settings.opset, supports,
        settings.needs_input, settings.constant_data, settings.computed_weights, bait,
        mix(choices.integer(0, MIXES - 1), nonfinite=settings.nonfinite), structure, topology, shaping,
        _draw_seeds(choices, settings, names), _refused(settings.refused),
    )  # fmt: skip


@cache
def _refused(texts: tuple[str, ...]) -> Mapping[str, tuple[tuple[str, int], ...]]:
    found: dict[str, tuple[tuple[str, int], ...]] = {}
    for text in texts:
        operator, _, given = text.rpartition(".")
        attribute, _, value = given.partition("=")
        found[operator] = (*found.get(operator, ()), (attribute, int(value)))
    return MappingProxyType(found)
