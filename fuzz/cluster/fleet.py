"""The nodes of a Ray cluster at work on a campaign: what each has in hand, what becomes of it when one is lost."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fuzz.campaign.trial import Exhibit, Trial
from fuzz.cluster.node import Node, Trouble
from fuzz.cluster.order import order_of
from fuzz.cluster.parcel import unpack
from fuzz.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.task import Task

__all__ = ["Fleet"]

_DEPTH = 16  # tasks that a process of a node has in hand or waiting: what a message costs is shared by as many
_PATIENCE = 0.25  # seconds that a node may take to answer if nothing is finished
_CENSUS = 2.0  # seconds between two looks at which nodes there are
_ALONE = 60.0  # seconds after which a cluster without a node counts as lost
_LIVES = 5  # nodes that may be lost with a task in hand; nodes are lost for reasons of their own
_FAREWELL = 10.0


class Fleet:
    """An actor a node, with ``jobs`` processes, or one a core of the node. A context manager; Ray is connected.

    Nodes that come later join in; what a lost one had in hand is done by others. ``tell`` hears of both.
    """

    def __init__(self, campaign: Campaign, parts: Path, jobs: int | None, tell: Callable[[str], None]) -> None:
        self._campaign, self._parts, self._jobs, self._tell = campaign, parts, jobs, tell
        self._order = ray.put(order_of(campaign))
        self._posts: dict[str, _Post] = {}
        self._refused: dict[str, str] = {}
        self._again: deque[Task] = deque()
        self._lost: dict[tuple[int, str], int] = {}
        self._unpacked = 0
        self._census = self._inhabited = time.monotonic()

    def __enter__(self) -> Self:
        self._welcome()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        farewells = [post.actor.close.remote() for post in self._posts.values()]
        ray.wait(farewells, num_returns=len(farewells), timeout=_FAREWELL) if farewells else None
        for post in self._posts.values():
            ray.kill(post.actor)

    def results(self, task: Callable[[], Task | None], tick: float) -> Iterator[list[Trial | Exhibit]]:
        """As ``fuzz.campaign.crew.Crew.results``. Raises TargetError (no node can work), StorageError."""
        while True:
            if time.monotonic() - self._census > _CENSUS:
                self._welcome()
            idle = not self._hand_out(task)
            if idle and self._posts and not self._again:
                return
            calls = {post.call: name for name, post in self._posts.items() if post.call is not None}
            if not calls:
                self._despair()
                time.sleep(tick)
                yield []
                continue
            ready, _ = ray.wait(list(calls), num_returns=1, timeout=tick)
            yield [result for call in ready for result in self._heard(calls[call])]

    # --- tasks --------------------------------------------------------------------------------------------------------

    def _hand_out(self, task: Callable[[], Task | None]) -> bool:
        """Ask each node that waits for an answer, with as many tasks as it may have; whether any has one."""
        dry = False
        for post in self._posts.values():
            if not post.ready or post.call is not None:
                continue
            new: list[Task] = []
            while not dry and len(post.pending) + len(new) < _DEPTH * post.jobs:
                found = self._again.popleft() if self._again else task()
                dry = found is None
                if found is not None:
                    new.append(found)
            post.pending.update((each.key, each) for each in new)
            if post.pending:
                post.call = post.actor.work.remote(new, _PATIENCE)
        return any(post.pending or not post.ready for post in self._posts.values())

    def _heard(self, name: str) -> list[Trial | Exhibit]:
        """What a node has answered."""
        post = self._posts[name]
        call, post.call = post.call, None
        try:
            said = ray.get(call)
        except RayError:
            return self._bury(name, "is lost")
        if isinstance(said, Trouble):
            self._refused[name] = said.text
            return self._bury(name, f"does not work: {said.text}")
        if not post.ready:
            post.ready = True
            return []
        results = []
        for parcel in said:
            if post.pending.pop(parcel.key, None) is not None:
                self._unpacked += 1
                results.append(unpack(parcel, self._parts, f"{os.getpid()}-node-{self._unpacked}"))
        return results

    def _bury(self, name: str, what: str) -> list[Trial | Exhibit]:
        """Forget a node; what it had in hand is for others, unless every node is lost that has it."""
        post = self._posts.pop(name)
        self._tell(f"node {post.address} {what}; {len(post.pending)} cases that it had in hand are run again")
        ray.kill(post.actor)
        given_up: list[Trial | Exhibit] = []
        for key, task in post.pending.items():
            self._lost[key] = self._lost.get(key, 0) + 1
            if self._lost[key] < _LIVES:
                self._again.append(task)
                continue
            problem = f"{_LIVES} nodes were lost that had it in hand"
            seed, target = key
            given_up.append(Exhibit(seed, target, problem=problem) if target else Trial(seed, problem=problem))
        return given_up

    # --- nodes --------------------------------------------------------------------------------------------------------

    def _welcome(self) -> None:
        """Put an actor on each node that has none."""
        self._census = time.monotonic()
        for node in _nodes():
            name, cores = str(node["NodeID"]), int(node.get("Resources", {}).get("CPU", 0))
            if not node["Alive"] or not cores or name in self._posts or name in self._refused:
                continue
            jobs = self._jobs or cores
            actor: Any = (
                ray.remote(Node)
                .options(  # its processes are not Ray's: it asks for the cores that they will use
                    num_cpus=min(jobs, cores), max_concurrency=2,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False),
                )
                .remote(self._order, jobs)
            )  # fmt: skip
            self._posts[name] = _Post(actor, str(node["NodeManagerAddress"]), jobs)
        if self._posts:
            self._inhabited = self._census

    def _despair(self) -> None:
        """Raise TargetError where nobody is left to do anything."""
        if self._refused:
            raise TargetError(f"no node of the cluster works: {next(iter(self._refused.values()))}")
        if time.monotonic() - self._inhabited > _ALONE:
            raise TargetError("the cluster has no node with a core: add one (ray start --address ...)")


class _Post:
    """A node's actor; ``call`` is what it was asked and has not answered, at first to make itself ready."""

    def __init__(self, actor: Any, address: str, jobs: int) -> None:
        self.actor, self.address, self.jobs = actor, address, jobs
        self.call: Any = actor.prepare.remote()
        self.ready = False
        self.pending: dict[tuple[int, str], Task] = {}


def _nodes() -> list[dict[str, Any]]:
    """The nodes that Ray knows, living and dead."""
    told: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return told
