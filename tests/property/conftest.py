"""How Hypothesis runs here: the same examples each time, no clock, nothing kept on disk."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "project", derandomize=True, deadline=None, database=None, max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
settings.load_profile("project")
