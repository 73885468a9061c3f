"""The pytest plugin: `pytest cases/ --fuzz-backend onnxruntime` makes each case on each target a test.

pytest loads this module in every run where dnnfuzz is installed, so it holds the options and nothing else; what
collects is imported where `--fuzz-backend` is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; all of them begin with ``--fuzz-``."""
    group = parser.getgroup("fuzz", "cases of dnnfuzz")
    group.addoption(
        "--fuzz-backend", action="append", default=[], metavar="TARGET", dest="fuzz_backends",
        help="collect folders with model.onnx and run each on TARGET, such as onnxruntime; may be repeated",
    )  # fmt: skip
    group.addoption(
        "--fuzz-expectations", metavar="FILE", dest="fuzz_expectations",
        help="what is known to fail (default: the nearest expectations.toml above a case)",
    )  # fmt: skip
    group.addoption(
        "--fuzz-timeout", type=float, default=60.0, metavar="S", dest="fuzz_timeout",
        help="seconds that one case may take on one target (default: 60)",
    )  # fmt: skip
    group.addoption(
        "--fuzz-memory", type=int, default=4096, metavar="MB", dest="fuzz_memory",
        help="resident memory that one worker process may use (default: 4096)",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Collect cases where a backend is named."""
    if config.getoption("fuzz_backends"):
        from fuzz.regress.collection import Collection

        config.pluginmanager.register(Collection(config), "fuzz-cases")
