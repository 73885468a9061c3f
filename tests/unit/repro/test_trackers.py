"""Reports in the forms of the projects' trackers."""

from __future__ import annotations

import pytest

from backends.registry import BACKENDS
from fuzz.repro.notes import PARTS, _kernel
from fuzz.repro.trackers import TRACKERS, tracker_of


def test_every_backend_has_a_tracker():
    assert set(TRACKERS) == {name for name, entry in BACKENDS.items() if entry.module.startswith("backends.")}


@pytest.mark.parametrize("backend", sorted(TRACKERS))
def test_a_form_asks_for_what_can_be_told_and_for_all_that_matters(backend):
    tracker = TRACKERS[backend]
    assert tracker.address.startswith("https://github.com/")
    asked = [name for _, names in tracker.sections for name in names.split()]
    assert set(asked) <= set(PARTS)
    assert {"summary", "model", "inputs", "expected", "got", "ruled_out", "command", "script"} <= set(asked)
    assert {"versions", "version"} & set(asked)


@pytest.mark.parametrize(("backend", "name"), [("torch", "onnx2torch"), ("jax", "jaxonnxruntime"), ("xla", "onnx-tf")])
def test_what_fails_without_the_compiler_goes_to_the_converter(backend, name):
    assert tracker_of(backend, {}, frozenset()) is TRACKERS[backend]
    assert tracker_of(backend, {}, frozenset({("mode", "eager")})).name == name
    assert tracker_of(backend, {"mode": "eager"}, frozenset()).name == name
    assert tracker_of("plug-in", {}, frozenset()).address == ""


@pytest.mark.parametrize(("release", "told"), [("6.1.0-18-company-amd64", "6.1.0"), ("23.5.0", "23.5.0")])
def test_a_kernel_is_told_without_its_builder(release, told):
    assert _kernel(release) == told
