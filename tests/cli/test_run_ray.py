"""`fuzz run --ray` on a cluster of several nodes, all on this machine: Ray's own cluster for tests."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

ASKED = (
    "--backend", "onnxruntime:fault=dropped-activation", "--ops", "Relu,Add,Neg,Sub", "--dtypes", "float",
    "--nodes", "1-4", "--opset", "21", "--json",
)  # fmt: skip
OWN = ("--backend", "negating==2.0", "--ops", "Neg", "--dtypes", "float", "--nodes", "1", "--count", "4", "--json")
COUNT = "200"
STORE = 100 << 20  # bytes of a node's object store
_LONGEST = 240.0  # seconds that a run may take on a busy machine


pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.fixture(scope="module")
def head():
    """A head without cores, which takes ten seconds of processor time to start; tests bring their nodes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        # A node that is killed counts as dead after a second or two, not after half a minute.
        impatient = {
            "health_check_period_ms": 500, "health_check_timeout_ms": 10_000, "health_check_failure_threshold": 2,
            # Ray's own 15 leaves a node a fiftieth of a core where other tests run beside it.
            "worker_niceness": 0,
        }  # fmt: skip
        arguments = {
            "num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE, "_system_config": impatient,
        }  # fmt: skip
        made = Cluster(initialize_head=True, head_node_args=arguments)
        yield made
        made.shutdown()


@pytest.fixture
def cluster(head, monkeypatch):
    """The head alone, to which nodes of one core each are added; they see the environment of that moment."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    yield head
    for node in list(head.worker_nodes):
        head.remove_node(node)


def add_node(cluster):
    return cluster.add_node(num_cpus=1, object_store_memory=STORE)


def lose(cluster, node):
    """Kill a node with all that runs on it: without its raylet alone its actors go on answering for a second or two."""
    (raylet,) = node.all_processes["raylet"]
    parent = psutil.Process(raylet.process.pid)
    for process in [parent, *parent.children(recursive=True)]:
        process.kill()
    cluster.remove_node(node, allow_graceful=False)


def begin(root, *arguments, asked=ASKED):
    command = [sys.executable, "-c", "from fuzz.cli.main import main; main()", "run", "--root", str(root)]
    return subprocess.Popen([*command, *asked, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows(root):
    """All that a campaign decides: the answers by seed, the findings."""
    path = root / "campaign.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        answers = store.execute("SELECT seed, outcome, verdict, message FROM answer ORDER BY seed").fetchall()
        findings = store.execute("SELECT id, identity, pattern, seed FROM finding ORDER BY id").fetchall()
    return answers, findings


def examined(root):
    try:
        return len(rows(root)[0])
    except sqlite3.Error:
        return 0


def wait_until(condition, process):
    end = time.monotonic() + _LONGEST
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_node_is_killed_and_nothing_is_lost(cluster, tmp_path):
    nodes = [add_node(cluster) for _ in range(2)]
    cluster.wait_for_nodes()
    # Without reductions, which take most of the time: what a node finds travels as it was generated.
    running = begin(tmp_path / "far", "--count", COUNT, "--no-reduce", "--ray", cluster.address)
    wait_until(lambda: examined(tmp_path / "far") > 12, running)
    lose(cluster, nodes[1])
    said, told = running.communicate(timeout=_LONGEST)
    assert running.returncode == 1, told
    result = json.loads(said)
    assert (result["cases"], result["problems"], result["waiting"]) == (int(COUNT), [], 0)
    assert "is lost" in told
    near = begin(tmp_path / "near", "--count", COUNT, "--no-reduce")
    near.communicate(timeout=_LONGEST)
    assert rows(tmp_path / "far") == rows(tmp_path / "near")
    for found in result["findings"]:
        files = {path.name for path in (tmp_path / "far" / "findings" / found["id"]).iterdir()}
        assert {"model.onnx", "case.json", "verdict.json", "test_data_set_0"} <= files
    assert result["findings"]


def test_a_node_joins_later_and_ctrl_c_leaves_no_process(cluster, tmp_path):
    running = begin(tmp_path, "--ray", cluster.address)
    time.sleep(1.0)
    assert running.poll() is None  # it waits for a node
    add_node(cluster)
    wait_until(lambda: examined(tmp_path) > 5, running)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert examined(tmp_path) > 5


def test_each_node_makes_its_own_environments(plugin, cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("FUZZ_CACHE", str(tmp_path / "of the node"))
    add_node(cluster)
    monkeypatch.setenv("FUZZ_CACHE", str(tmp_path / "of the driver"))
    running = begin(tmp_path / "root", "--ray", cluster.address, asked=OWN)
    said, told = running.communicate(timeout=_LONGEST)
    assert running.returncode in {0, 1}, told
    assert json.loads(said)["cases"] == 4
    made = [path.parent.parent.parent.name for path in tmp_path.glob("of the */environments/negating==2.0-*/venv")]
    assert sorted(made) == ["of the driver", "of the node"]


def test_a_node_that_cannot_make_them_is_told_and_left_out(plugin, cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("FUZZ_CACHE", str(tmp_path / "of the node"))
    (tmp_path / "of the node").write_text("no folder", "utf-8")
    add_node(cluster)
    monkeypatch.setenv("FUZZ_CACHE", str(tmp_path / "of the driver"))
    running = begin(tmp_path / "root", "--ray", cluster.address, asked=OWN)
    said, told = running.communicate(timeout=_LONGEST)
    assert (running.returncode, said) == (2, "")
    assert "does not work" in told
    assert "no node of the cluster works: " in told
    assert "Traceback" not in told


def test_no_cluster_is_one_line(tmp_path):
    running = begin(tmp_path, "--ray", "127.0.0.1:1")
    said, told = running.communicate(timeout=_LONGEST)
    assert (running.returncode, said) == (2, "")
    assert "no Ray cluster answers at '127.0.0.1:1'" in told
    assert told.count("\n") == 1
    running = begin(tmp_path, "--ray", "ray://127.0.0.1:10001")
    assert "from one of its nodes" in running.communicate(timeout=_LONGEST)[1]
