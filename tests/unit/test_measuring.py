"""What coverage measures of processes that share the tests' own code: what it measures of the test that forks them."""

from __future__ import annotations

import os
import sys

import pytest

from fuzz.pool import process_pool

CONFIGURATION = "COVERAGE_PROCESS_CONFIG"


def seen() -> tuple[bool, bool]:
    """Whether there is a tracer, and whether processes that start here are measured."""
    return sys.gettrace() is not None, CONFIGURATION in os.environ


def in_a_fork() -> tuple[bool, bool]:
    with process_pool(1) as pool:
        return pool.submit(seen).result()


def test_a_fork_is_measured_as_its_test_is():
    assert in_a_fork() == seen()
    assert seen()[1] is False


@pytest.mark.untraced
def test_nor_is_a_fork_traced_in_a_test_that_is_not():
    assert in_a_fork() == seen() == (False, False)


@pytest.mark.usefixtures("measured")
def test_what_a_fork_starts_is_measured_where_a_test_asks_for_it():
    assert in_a_fork() == seen()
