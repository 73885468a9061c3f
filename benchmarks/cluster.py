"""Two nodes of one core beside one: cases a second of `fuzz run --ray` on Ray's own cluster for tests, one machine.

python benchmarks/cluster.py --count 4000

The cluster's head has no core, so that the driver's work comes on top, as it would on a machine of its own; the two
sizes take turns. The rate is that from the first tenth of the cases to the last: how long a node takes to start is told
apart. Models are those of operators that do not fail, so that no reduction is in the way of the count.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from commands import fuzz
from figure import commit, machine, write_json

from fuzz.campaign.ledger import LEDGER_NAME

WANTED = 1.7
ASKED = (
    "--backend", "onnxruntime", "--for", "onnxruntime", "--nodes", "10", "--opset", "21", "--bait", "none",
    "--structure", "none", "--dtypes", "float", "--ops",
    "Add,Sub,Mul,Relu,Neg,Abs,Tanh,Sigmoid,MatMul,Transpose,Concat",
)  # fmt: skip
_STORE = 100 << 20  # bytes


def main() -> int:
    """Turns of one node and of two; exit status 1 where two reach less than is wanted of one."""
    parser = argparse.ArgumentParser(description="fuzz run --ray: two nodes beside one.")
    parser.add_argument("--count", type=int, default=4000, metavar="N", help="cases a turn")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="of each size")
    parser.add_argument("--out", metavar="FILE", help="where the result goes, besides the terminal")
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", RAY_USAGE_STATS_ENABLED="0")
    rates: dict[int, list[float]] = {1: [], 2: []}
    starts: list[float] = []
    for _ in range(options.turns):
        for nodes, found in rates.items():
            rate, start = turn(nodes, options.count)
            found.append(round(rate, 1))
            starts.append(round(start, 1))
            print(f"{nodes} node(s): {rate:.1f} cases/s, the first after {start:.1f} s", file=sys.stderr)
    ratio = median(rates[2]) / median(rates[1])
    result: dict[str, Any] = {"count": options.count, "rates": rates, "ratio": round(ratio, 2), "starts": starts}
    if options.out:
        write_json(Path(options.out), {"commit": commit(), "machine": machine(), **result})
    print(json.dumps(result, sort_keys=True))
    return 1 if ratio < WANTED else 0


def turn(nodes: int, count: int) -> tuple[float, float]:
    """Cases a second of a cluster of so many nodes, and seconds until its first case was in the store."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _STORE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, object_store_memory=_STORE)
        cluster.wait_for_nodes()
        with tempfile.TemporaryDirectory() as folder:
            fuzz("run", "--root", folder, *ASKED, "--count", str(count), "--ray", cluster.address)
            with closing(sqlite3.connect(Path(folder) / LEDGER_NAME)) as store:
                rows = store.execute('SELECT finished_seconds FROM "case" ORDER BY finished_seconds').fetchall()
    finally:
        cluster.shutdown()
    done = [seconds for (seconds,) in rows]
    begun = len(done) // 10
    return (len(done) - begun) / (done[-1] - done[begun]), done[0]


if __name__ == "__main__":
    raise SystemExit(main())
