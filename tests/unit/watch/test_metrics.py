"""Metrics as Prometheus reads them: over HTTP."""

import socket
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fuzz.campaign.readings import Finding
from fuzz.campaign.steering import Terms
from fuzz.campaign.trial import Answer, Exhibit, Trial
from fuzz.errors import UsageError
from fuzz.watch.metrics import exported


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def scraped(port):
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return {(s.name, *sorted(s.labels.values())): s.value for s in samples if not s.name.endswith("_created")}


def test_what_a_campaign_tells_is_there_to_be_scraped():
    port = free_port()
    findings = []
    ledger = SimpleNamespace(findings=lambda: findings)
    schedule = SimpleNamespace(waiting=2, terms=Terms(quarantined=("tvm",)))
    answer = Answer("tvm", "0.27", "ok", "wrong", "", 1, 0.25)
    with exported(f"127.0.0.1:{port}") as metrics:
        metrics.begin(ledger, ["tvm"])
        metrics.take([Trial(0, answers=(answer,)), Trial(1, problem="why")], schedule, ledger)
        findings.append(Finding("ab", "tvm", 0, "wrong", "Max", 1, "", 1))
        metrics.take([Exhibit(0, "tvm")], schedule, ledger)
        assert scraped(port) == {
            ("fuzz_cases_total",): 2, ("fuzz_problems_total",): 1, ("fuzz_answers_total", "tvm", "wrong"): 1,
            ("fuzz_target_cpu_seconds_total", "tvm"): 0.25, ("fuzz_findings", "tvm"): 1,
            ("fuzz_failures_waiting",): 2, ("fuzz_target_quarantined", "tvm"): 1, ("fuzz_target_asked", "tvm"): 1,
        }  # fmt: skip
    with pytest.raises(OSError, match="refused"):
        scraped(port)


@pytest.mark.parametrize("place", ["here", "0", "99999", "localhost:"])
def test_a_place_that_is_none(place):
    with pytest.raises(UsageError, match=r"write PORT or HOST:PORT"), exported(place):
        pass


def test_a_port_that_is_taken():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        with pytest.raises(UsageError, match="give another port"), exported(str(held.getsockname()[1])):
            pass


def test_nothing_is_served_where_nobody_asks():
    with exported(None) as metrics:
        assert metrics is None
