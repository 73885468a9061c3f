"""The metrics of a running campaign, in the form that Prometheus reads."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from fuzz.campaign.trial import Trial
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fuzz.campaign.ledger import Ledger
    from fuzz.campaign.schedule import Schedule
    from fuzz.campaign.trial import Exhibit

__all__ = ["Metrics", "exported"]

_HOST = "127.0.0.1"


class Metrics:
    """Counters from the start of the process on, gauges of the campaign that is at work."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge

        registry = self.registry = CollectorRegistry()
        self._cases = Counter("fuzz_cases", "Cases that were examined.", registry=registry)
        self._answers = Counter("fuzz_answers", "Answers of targets by verdict.", ["target", "verdict"],
                                registry=registry)  # fmt: skip
        self._seconds = Counter("fuzz_target_cpu_seconds", "CPU time that targets have used.", ["target"],
                                registry=registry)  # fmt: skip
        self._problems = Counter("fuzz_problems", "Cases that our own code failed on.", registry=registry)
        self._findings = Gauge("fuzz_findings", "Distinct findings of the campaign.", ["target"], registry=registry)
        self._waiting = Gauge("fuzz_failures_waiting", "Failing answers that wait to be reduced.", registry=registry)
        self._quarantined = Gauge("fuzz_target_quarantined", "1 while a target fails on nearly everything.", ["target"],
                                  registry=registry)  # fmt: skip
        self._asked = Gauge("fuzz_target_asked", "1 while a target takes part in the campaign at work.", ["target"],
                            registry=registry)  # fmt: skip

    def begin(self, ledger: Ledger, targets: Sequence[str]) -> None:
        """A campaign begins on these targets."""
        self._asked.clear()
        self._quarantined.clear()
        for target in targets:
            self._asked.labels(target).set(1)
        self._found(ledger)

    def take(self, results: Sequence[Trial | Exhibit], schedule: Schedule, ledger: Ledger) -> None:
        """Count what came of some tasks."""
        trials = [result for result in results if isinstance(result, Trial)]
        self._cases.inc(len(trials))
        for trial in trials:
            self._problems.inc(bool(trial.problem))
            for answer in trial.answers:
                self._answers.labels(answer.target, answer.verdict).inc()
                self._seconds.labels(answer.target).inc(max(answer.cpu_seconds, 0.0))
        self._waiting.set(schedule.waiting)
        self._quarantined.clear()
        for target in schedule.terms.quarantined:
            self._quarantined.labels(target).set(1)
        if len(trials) < len(results):
            self._found(ledger)

    def _found(self, ledger: Ledger) -> None:
        self._findings.clear()
        for finding in ledger.findings():
            self._findings.labels(finding.target).inc()


@contextmanager
def exported(place: str | None) -> Iterator[Metrics | None]:
    """Serve metrics at ``[HOST:]PORT``, this machine alone without a host; None without a place.

    Raises UsageError: no port, one that is taken, or the client library is not installed.
    """
    if place is None:
        yield None
        return
    host, _, port = place.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"--metrics {place}: write PORT or HOST:PORT, such as 9464")
    try:
        from prometheus_client import start_http_server
    except ImportError:
        raise UsageError("--metrics needs the Prometheus client: pip install 'dnnfuzz[watch]'") from None
    metrics = Metrics()
    try:
        server, thread = start_http_server(int(port), host.strip("[]") or _HOST, metrics.registry)
    except OSError as error:
        raise UsageError(f"--metrics {place}: {error.strerror or error}; give another port") from None
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
