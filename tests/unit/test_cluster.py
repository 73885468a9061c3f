"""A node of a cluster without the cluster, and what travels between it and the driver."""

import time
from dataclasses import replace
from multiprocessing import resource_tracker

import pytest

from fuzz.campaign.campaign import Campaign
from fuzz.campaign.exhibit import PART
from fuzz.campaign.task import Examine, Reduce
from fuzz.campaign.trial import Exhibit, Sighting, Trial
from fuzz.cluster.node import Node, Trouble
from fuzz.cluster.order import order_of
from fuzz.cluster.parcel import Parcel, pack, unpack
from fuzz.errors import StorageError, TargetError
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.generate.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def no_tracker():
    """Python's tracker of resources, which the crew's processes begin, would stay a child of the tests."""
    yield
    resource_tracker._resource_tracker._stop()


@pytest.fixture(scope="module")
def order():
    target = parse_target("onnxruntime:fault=dropped-activation")
    settings = Settings(nodes=(1, 1), operators=("Relu",), dtypes=("float",))
    return order_of(Campaign(settings, (target,), Limits(60.0, 4 << 30)))


def test_a_node_examines_and_reduces_what_it_is_sent(order):
    node = Node(order, 1)
    assert node.prepare() is None
    try:
        trials = gathered(node, [Examine(seed) for seed in range(4)], 4)
        assert sorted(parcel.result.seed for parcel in trials) == [0, 1, 2, 3]
        failing = next(parcel.result for parcel in trials if parcel.result.failures)
        [shown] = gathered(node, [Reduce(failing.seed, failing.failures[0])], 1)
        [files] = shown.folders
        assert {"model.onnx", "case.json", "verdict.json"} <= files.keys()
        assert not shown.result.sightings[0].folder.exists()
    finally:
        node.close()


def gathered(node, tasks, count):
    found = node.work(tasks, 60.0)
    end = time.monotonic() + 120
    while len(found) < count and time.monotonic() < end:
        found += node.work([], 10.0)
    return found


def test_a_node_that_would_do_something_else_says_so(order):
    assert "another dnnfuzz" in Node(replace(order, code="other"), 1).prepare().text
    told = Node(replace(order, digest="other"), 1).prepare()
    assert isinstance(told, Trouble)
    assert "other than the driver" in told.text
    with pytest.raises(TargetError, match="no_such"):
        replace(order, targets=("no_such",)).campaign()


def sighting(folder):
    return Sighting("tvm", "identity", "wrong", "Relu(float)", 1, 2, folder)


def test_findings_travel_as_bytes(tmp_path):
    folder = tmp_path / "there" / "case"
    (folder / "test_data_set_0").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"model")
    (folder / "test_data_set_0" / "input_0.pb").write_bytes(b"input")
    parcel = pack(Exhibit(7, "tvm", (sighting(folder),)))
    assert not folder.exists()
    assert parcel.key == (7, "tvm")
    here = unpack(parcel, tmp_path, "1")
    [shown] = here.sightings
    assert shown.folder == tmp_path / f"{PART}1-0"
    assert (shown.folder / "test_data_set_0" / "input_0.pb").read_bytes() == b"input"
    assert unpack(pack(Trial(3)), tmp_path, "2") == Trial(3)


@pytest.mark.parametrize("path", ["/etc/passwd", "../model.onnx", "a/../../b"])
def test_files_that_lie_elsewhere_are_refused(tmp_path, path):
    parcel = Parcel(Exhibit(7, "tvm", (sighting(tmp_path),)), ({path: b""},))
    with pytest.raises(StorageError, match="outside of its finding"):
        unpack(parcel, tmp_path / "parts", "1")
