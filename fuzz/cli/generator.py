"""What `gen` and `run` ask of the generator: the options, and the settings that they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import click

from fuzz.cli.options import IntRange, Names
from fuzz.generate.structure import FEATURES

if TYPE_CHECKING:
    from fuzz.generate.settings import Settings

__all__ = ["Wishes", "generator_options", "read_settings"]

_DYNAMIC = {"always": True, "mixed": None, "never": False}


class Wishes(TypedDict):
    """What a command is given of these options, by the names of its parameters."""

    nodes: tuple[int, int]
    opset: int | None
    ops: tuple[str, ...] | None
    domains: tuple[str, ...] | None
    dtypes: tuple[str, ...] | None
    rank: tuple[int, int] | None
    empty: float
    dynamic: str
    targets: tuple[str, ...]
    bait: tuple[str, ...] | None
    structure: tuple[str, ...] | None
    nonfinite: bool
    seeds: tuple[str, ...]


_OPTIONS = (
    click.option(
        "--nodes",
        type=IntRange(1, 100_000),
        default="1-20",
        show_default=True,
        help="Size of a model: a number, or a range from which each model draws.",
    ),
    click.option("--opset", type=int, metavar="V",
                 help="Version of the operator set.  [default: each model draws one, from 13 to the newest; "
                 "with --for that of the tables]"),
    click.option("--ops", type=Names(),
                 help="Use these operators alone, e.g. Conv,Relu,Add; those of another domain may be named with it, "
                 "e.g. com.microsoft.Gelu.  [default: all]"),
    click.option("--domain", "domains", type=Names(),
                 help="Use operators of these domains beside ONNX's own: com.microsoft.  [default: none]"),
    click.option("--dtypes", type=Names(), help="Element types, e.g. float,int64.  [default: all]"),
    click.option("--rank", type=IntRange(0, 8),
                 help="Ranks of the tensors.  [default: 0-5, and 0-8 in one model of 16; with --for those up to 5 that "
                 "the targets have]"),
    click.option("--empty", type=click.FloatRange(0, 1), default=0.025, show_default=True, metavar="SHARE",
                 help="The share of models in which some dims are 0, so that tensors are empty."),
    click.option(
        "--dynamic",
        type=click.Choice(list(_DYNAMIC)),
        is_flag=False,
        flag_value="always",
        default="never",
        help="Keep symbolic dims, with data sets at more than one size. Alone it means always; "
        "mixed lets each model decide.  [default: never]",
    ),
    click.option(
        "--for",
        "targets",
        multiple=True,
        metavar="TARGET...",
        help="Use only what these targets support, e.g. --for onnxruntime tvm.",
    ),
    click.option(
        "--bait",
        type=Names(),
        help="Fusion patterns to place, with their near-misses: names or themes of `fuzz bait`, all, or none.  "
        "[default: all; with --ops none]",
    ),
    click.option(
        "--structure",
        type=Names(),
        help=f"What models may have beside operators: {', '.join(FEATURES)}, all (without one: all,-functions), or "
        "none.  [default: all that the targets take; with --ops none]",
    ),
    click.option("--nonfinite", is_flag=True,
                 help="Put NaN and infinities into tensors of floats. They go to operators alone of which IEEE 754 "
                 "says what comes of them, and are judged there."),
    click.option("--seeds", multiple=True, metavar="corpus|FAMILY|FILE",
                 help="Place windows of real models, changed and mixed with random nodes: those that come with the "
                 "project, of a family (`fuzz corpus families`) or of a file of `fuzz corpus mine`. Repeat it for "
                 "several.  [default: none]"),
)  # fmt: skip


def generator_options(function: click.decorators.FC) -> click.decorators.FC:
    """All of them, in this order; `--for` takes several values where the command is a `SeveralValues`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_settings(wishes: Wishes) -> Settings:
    """The settings that the options mean. Raises UsageError where they make no sense."""
    from dataclasses import replace

    from fuzz.errors import UsageError
    from fuzz.generate.graph import NothingFits
    from fuzz.generate.plan import menu, patterns
    from fuzz.generate.structure import features
    from fuzz.generate.support import joint_demands, joint_support
    from fuzz.seeds.stock import stamped, usable

    ops, targets = wishes["ops"], wishes["targets"]
    try:
        dynamic = _DYNAMIC[wishes["dynamic"]]
        settings = _settings(
            wishes["nodes"], wishes["opset"], ops, wishes["dtypes"], wishes["rank"], dynamic, targets
        )
        settings = replace(
            settings, bait=_asked(wishes["bait"], ops), structure=_asked(wishes["structure"], ops),
            domains=wishes["domains"] or (), empty=wishes["empty"], nonfinite=wishes["nonfinite"],
            seeds=tuple(dict.fromkeys(map(stamped, wishes["seeds"]))),
        )  # fmt: skip
        settings = joint_demands(targets, settings)
        menu(settings)
        features(settings.structure)
        patterns(settings, joint_support(targets))
        windows = usable(settings.seeds, menu(settings))
    except (ValueError, NothingFits) as error:
        raise UsageError(str(error)) from None
    if settings.seeds and not windows:
        raise UsageError(f"no window of {', '.join(wishes['seeds'])} is made of the operators that are allowed")
    return settings


def _asked(names: tuple[str, ...] | None, ops: tuple[str, ...] | None) -> tuple[str, ...]:
    """Which patterns or features there are; whoever names operators gets them alone unless he asks for more."""
    if names is None:
        return () if ops else ("all",)
    return () if names == ("none",) else names


def _settings(
    nodes: tuple[int, int],
    opset: int | None,
    ops: tuple[str, ...] | None,
    dtypes: tuple[str, ...] | None,
    rank: tuple[int, int] | None,
    dynamic: bool | None,
    targets: tuple[str, ...],
) -> Settings:
    from dataclasses import replace

    from fuzz.generate.opsets import mixed
    from fuzz.generate.settings import Settings
    from fuzz.generate.support import joint_opset, joint_ranks

    mixing = opset is None and not targets
    if opset is None:
        opset = joint_opset(targets)
    chosen = Settings(nodes=nodes, rank=rank or joint_ranks(targets), dynamic=dynamic, targets=targets)
    if opset is not None:
        chosen = replace(chosen, opset=opset)
    if ops:
        chosen = replace(chosen, operators=ops)
    if dtypes:
        chosen = replace(chosen, dtypes=dtypes)
    return mixed(chosen) if mixing else chosen
