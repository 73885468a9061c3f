"""What a user asks of the generator: plain data, kept in each case's ``case.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_DTYPES", "DEFAULT_OPSET", "DEFAULT_RANK", "USUAL_RANK", "Settings"]

DEFAULT_OPSET = 21

DEFAULT_RANK = (0, 8)
"""The ranks that settings have by default: of those models keep to the usual ones, and one in sixteen has all."""

USUAL_RANK = (0, 5)

DEFAULT_DTYPES = (
    "float", "double", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
    "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0", "float4e2m1",
    "float6e2m3", "float6e3m2", "int4", "uint4", "int2", "uint2",
    "string", "complex64", "complex128",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run of the generator is asked for.

    ``nodes`` and ``rank`` are ranges, both ends included; each model draws its own number of nodes.
    ``operators`` empty means all in the table; ``targets`` are canonical names whose support tables steer the choice;
    ``dynamic`` None lets each model decide; ``needs_input`` leaves out models without inputs, and
    without ``constant_data`` no operands but weights are drawn as initializers; without
    ``computed_weights`` all weights are. ``bait`` names fusion patterns (or their themes, or "all") to place.
    ``structure`` names what models may have beside operators (``fuzz/generate/structure.py``), or "all".
    ``empty`` is the share of models that have sizes of 0. With ``mixed_opsets`` each model draws its version,
    ``opset`` at most. ``domains`` are those whose operators are drawn beside ONNX's own. ``nonfinite`` puts NaN and
    infinities into tensors of floats. ``rests`` are operators that most models do without (``fuzz/generate/rest.py``).
    ``seeds`` names files of windows of real models to place ("corpus": those that come with the project), each with
    a digest of what is in it (``fuzz/seeds/stock.py``). ``refused`` are values of attributes that no call has:
    ``operator.attribute=value``.
    """

    nodes: tuple[int, int] = (1, 20)
    opset: int = DEFAULT_OPSET
    operators: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = DEFAULT_DTYPES
    rank: tuple[int, int] = DEFAULT_RANK
    dynamic: bool | None = False
    targets: tuple[str, ...] = ()
    needs_input: bool = False
    constant_data: bool = True
    computed_weights: bool = True
    bait: tuple[str, ...] = ()
    structure: tuple[str, ...] = ()
    mixed_opsets: bool = False
    empty: float = 0.025
    domains: tuple[str, ...] = ()
    nonfinite: bool = False
    rests: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON keeps them."""
        return {field: getattr(self, field) for field in self.__slots__}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Settings:
        """The settings that ``to_json`` wrote."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return Settings(**fields)
