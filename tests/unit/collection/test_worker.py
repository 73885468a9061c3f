"""The process that builds models keeps nothing of them."""

from __future__ import annotations

import gc
import weakref

import pytest

from corpus import worker


class Part:
    """Two of them that know each other are freed by the garbage collector alone."""

    other: Part


@pytest.fixture
def _thawed():
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_thawed")
def test_what_libraries_let_go_later_is_freed_once_the_process_is_large(monkeypatch):
    kept = Part()
    kept.other = Part()
    kept.other.other = kept
    seen = weakref.ref(kept)
    worker._set_aside()
    del kept
    gc.collect()
    assert seen() is not None
    monkeypatch.setattr(worker, "_LARGE", 0)
    worker._set_aside()
    assert seen() is None
    assert gc.get_freeze_count() > 0
