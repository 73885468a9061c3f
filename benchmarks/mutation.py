"""`fuzz mutate`: what a mutant costs by kind, how many tries give one, and how far it is from its parent.

    python benchmarks/mutation.py [--root DIR] [--count N]

Without a root 60 cases of the generator are the parents. CPU time is of a whole try, the parent already read.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import onnx
import onnx.shape_inference

from fuzz.case import find_cases
from fuzz.generate.run import generate_cases
from fuzz.generate.settings import Settings
from fuzz.mutate.kinds import KINDS
from fuzz.mutate.parent import Unfit
from fuzz.mutate.run import Nursery, mutant_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Measure and print one line a kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="Parents; default: 60 new cases of the generator.")
    parser.add_argument("--count", type=int, default=100, help="Seeds for each kind.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-mutation-") as scratch:
        root = given.root or Path(scratch)
        if given.root is None:
            generate_cases(root, Settings(nodes=(10, 10), bait=("all",), mixed_opsets=True), range(60))
        nursery = Nursery(find_cases(root))
        print(f"{'kind':<12}{'mutants':>8}{'of tries':>10}{'median ms':>11}{'p95 ms':>8}"
              f"{'other edges':>13}{'operators':>11}{'types':>7}{'sizes':>7}")  # fmt: skip
        for kind in KINDS:
            _report(kind, nursery, given.count)


def _report(kind: str, nursery: Nursery, count: int) -> None:
    costs: list[float] = []
    tries = made = 0
    apart: Counter[str] = Counter()
    for seed in range(count):
        number = seed % len(nursery.cases)
        try:
            nursery.parent(number)
        except Unfit:
            continue
        start = time.process_time()
        done, mutant, _ = mutant_of(nursery, seed, (kind,))
        spent = time.process_time() - start
        attempts = len(done.refused) + done.made
        tries += attempts
        costs.append(1000 * spent / max(attempts, 1))
        if mutant is not None:
            made += 1
            apart.update(_apart(nursery.parent(number).content, mutant.model))
    if not costs:
        print(f"{kind:<12}{'no parents':>18}")
        return
    late = quantiles(costs, n=20)[-1] if len(costs) > 1 else costs[0]
    shares = "".join(f"{100 * apart[what] / max(made, 1):>{width - 1}.0f}%" for what, width in _COLUMNS)
    print(f"{kind:<12}{made:>8}{100 * made / max(tries, 1):>9.0f}%{median(costs):>11.1f}{late:>8.1f}{shares}")


_COLUMNS: Sequence[tuple[str, int]] = (("edges", 13), ("operators", 11), ("types", 7), ("sizes", 7))


def _apart(parent: bytes, mutant: bytes) -> set[str]:
    """In what two models differ: operators as a multiset, edges between them, element types, sizes of all values."""
    mine, theirs = _seen(parent), _seen(mutant)
    return {what for what in mine if mine[what] != theirs[what]}


def _seen(content: bytes) -> dict[str, Counter[object]]:
    graph = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(content), data_prop=True).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    infos = [i.type.tensor_type for i in (*graph.input, *graph.value_info, *graph.output)]
    return {
        "operators": Counter(node.op_type for node in graph.node),
        "edges": Counter((makers[name], node.op_type) for node in graph.node for name in node.input if name in makers),
        "types": Counter(info.elem_type for info in infos),
        "sizes": Counter(tuple(d.dim_value for d in info.shape.dim) for info in infos),
    }


if __name__ == "__main__":
    main()
