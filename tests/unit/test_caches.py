"""What is kept for the life of a process: a campaign runs for days, so each cache has a limit or keys from a table."""

from __future__ import annotations

import importlib
import pkgutil
from functools import _lru_cache_wrapper

import pytest

import abstract
import fuzz.campaign
import fuzz.generate
import fuzz.judge
import fuzz.novelty
import fuzz.triage
from abstract.operators.contraction import read_equation

PACKAGES = (abstract, fuzz.campaign, fuzz.generate, fuzz.judge, fuzz.novelty, fuzz.triage)

UNLIMITED = {
    "abstract.contract._held": "the contracts of the table of backends",
    "abstract.hazards.detection._avoidable": "operators and their versions",
    "abstract.hazards.detection._rows": "operators and opsets",
    "abstract.hazards.hazards_of": "operators and their versions",
    "abstract.schema.signature": "operators and opsets",
    "abstract.winograd.amplification": "sizes of tiles and kernels, of which there are few",
    "abstract.winograd.transforms": "sizes of tiles and kernels, of which there are few",
    "fuzz.generate.bait.chosen": "opsets, under the settings of one campaign",
    "fuzz.generate.bait.miss.misses": "the table of patterns",
    "fuzz.generate.bait.program.parse": "the texts of the table of patterns",
    "fuzz.generate.builder._variables": "operators and opsets",
    "fuzz.generate.convex._is_variadic": "operators",
    "fuzz.generate.emit._ir_version": "opsets",
    "fuzz.generate.functions._constant_types": "opsets",
    "fuzz.generate.opsets._versions": "the settings of one campaign, without what rests",
    "fuzz.generate.plan.menu": "opsets, under the settings of one campaign, without what rests",
    "fuzz.generate.plan._refused": "the targets of one campaign",
    "fuzz.generate.plan.patterns": "opsets, under the settings of one campaign, without what rests",
    "fuzz.generate.structure.features": "what the settings of one campaign name",
    "fuzz.generate.support.joint_support": "the targets of one campaign",
    "fuzz.generate.tensors.mix": "the numbers below MIXES",
    "fuzz.generate.variables.second_variable": "operators and opsets",
}
"""What bounds the keys of each cache that has no limit."""


def caches():
    """The caches of functions in modules, by name."""
    for package in PACKAGES:
        names = [package.__name__, *(m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))]
        for name in names:
            for value in vars(importlib.import_module(name)).values():
                if isinstance(value, _lru_cache_wrapper) and value.__module__ == name:
                    yield f"{name}.{value.__qualname__}", value


def test_a_cache_without_a_limit_says_what_bounds_its_keys():
    assert {name for name, cache in caches() if cache.cache_info().maxsize is None} == set(UNLIMITED)


def test_equations_are_drawn_and_so_forgotten():
    for number in range(1000):
        assert read_equation(f"a{number},b->b".encode()).output == "b"
    assert read_equation.cache_info().currsize <= 256


@pytest.mark.untraced
def test_what_rests_leaves_nothing_in_a_cache():
    """Epochs go by, each with rests of its own; so do settings."""
    from dataclasses import replace

    from fuzz.generate.choices import Seeded
    from fuzz.generate.run import generate_case
    from fuzz.generate.settings import Settings

    kept = {name: cache for name, cache in caches() if name.startswith(("fuzz.generate.plan", "fuzz.generate.opsets"))}
    sizes = []
    for epoch in range(3):
        settings = replace(Settings(nodes=(2, 2)), rests=(f"{epoch + 1} Sigmoid:float Tanh:float",))
        for seed in range(4):
            generate_case(Seeded(seed), settings, None)
        sizes.append({name: cache.cache_info().currsize for name, cache in kept.items()})
    assert sizes[0] == sizes[1] == sizes[2]
