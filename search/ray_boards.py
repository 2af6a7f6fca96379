"""How are networks measured on the boards of a Ray cluster? Each measurement is a task that takes
one of some node's resource "board:<name>" and no CPU; Ray finds the node, and another one where
that is lost. What is done there says search.board_node. For the search this is what harness.pool
is on a desk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.errors import BoardError, HilnasError, NoUnitError
from harness.measurement import Measurement
from harness.pool import Pool
from search.asking import Answer, Wanted
from search.board_node import Measure, Order, Suspects
from search.config import SearchConfig
from search.environment import identity
from search.workplace import measuring, open_pool, patience_of

# What was lost so often with the process that measured it is not tried again: it may be its doing.
LOST_LIMIT = 3

_PAUSE_S = 1.0  # before nodes that had no unit are asked again, and between looks for nodes
_POLL_S = 0.5
_NODE_ID = "ray.io/node-id"  # a label that Ray gives each node


def resource_of(board: str) -> str:
    """What a node has of Ray's custom resources for each unit of `board`."""
    return f"board:{board}"


@dataclass
class Pending:
    """A measurement that was asked for. task: None in the pause before all nodes are asked again.
    refused: by node, why none of its units could be had, in this round. is_refused: a round is
    over. refusal: the last one. deadline: when to give up; it moves on while nodes are left that
    have not refused in the first round."""

    wanted: Wanted
    deadline: float
    task: Any = None
    ask_at: float = 0.0
    look_at: float = 0.0
    refused: dict[str, NoUnitError] = field(default_factory=dict)
    is_refused: bool = False
    refusal: NoUnitError | None = None


class RayBoards:
    """The units of the configuration's board in the cluster that this process is part of. Args:
    as board_node.Order."""

    def __init__(
        self,
        config: SearchConfig,
        run: str,
        *,
        open_pool: Callable[..., Pool] = open_pool,
        measuring: Callable[..., Measure] = measuring,
    ) -> None:
        self._order = Order(config, run, identity(), open_pool, measuring)
        self._resource = resource_of(config.device.board)
        self._patience_s = patience_of(config)
        self._deadline_s = config.search.candidate_deadline_s
        self._suspects: Suspects = {}

    def submit(self, wanted: Wanted) -> Pending:
        """Have it measured; answer() says when it is."""
        pending = Pending(wanted, time.monotonic() + self._patience_s)
        self._ask(pending)
        return pending

    def answer(self, pending: Pending) -> Answer | None:
        """None: not yet. Not to be called again behind an answer.

        Raises:
            NoUnitError: for too long no node had a unit.
            HilnasError: what a node raised and no network is to blame for.
        """
        now = time.monotonic()
        if pending.task is None:
            if now >= pending.ask_at:
                self._ask(pending)
        elif ray.wait([pending.task], timeout=0)[0]:
            try:
                answer: Answer | _Refusal = ray.get(pending.task)
            except RayTaskError as error:
                if isinstance(error.cause, HilnasError):
                    raise error.cause from None
                return _cause(error)  # a defect of ours must not end a run of days
            except RayError as error:
                what = f"lost {LOST_LIMIT} times while it was measured: {error}".splitlines()[0]
                return BoardError(what, where=pending.wanted.name)
            if not isinstance(answer, _Refusal):
                return answer
            self._turn_to_others(pending, answer)
        if now >= pending.look_at:
            self._look_for_nodes(pending, now)
        return None

    def cancel(self, pending: Pending) -> None:
        """Nobody waits for it any more."""
        if pending.task is not None:
            ray.cancel(pending.task, force=True)

    def measure(self, model: bytes, *, name: str) -> Measurement:
        """As Pool.measure, on any unit of the cluster."""
        pending = self.submit(Wanted(model, name))
        try:
            while (answer := self.answer(pending)) is None:
                if pending.task is None:
                    time.sleep(_POLL_S)
                else:
                    ray.wait([pending.task], timeout=_POLL_S)
        except BaseException:
            self.cancel(pending)
            raise
        if isinstance(answer, HilnasError):
            raise answer
        return answer

    def confirm(self) -> None:
        """As Pool.confirm, on all nodes at once. What a node that is lost meanwhile had to say is
        not known."""
        tasks = [
            _confirm.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
            ).remote(self._order)
            for node in self._nodes()
        ]
        found: Suspects = {}
        done, silent = ray.wait(tasks, num_returns=len(tasks), timeout=self._deadline_s)
        for task in silent:
            ray.cancel(task, force=True)
        for task in done:
            try:
                node: Suspects = ray.get(task)
            except RayTaskError as error:
                raise _cause(error) from None
            except RayError:
                continue
            for unit, suspects in node.items():
                found.setdefault(unit, set()).update(suspects)
        self._suspects = found

    def suspects(self) -> Suspects:
        """As Pool.suspects, of the units that confirm() found; called NAME@HOST."""
        return self._suspects

    def _nodes(self) -> list[str]:
        return [
            node["NodeID"]
            for node in ray.nodes()
            if node["Alive"] and node["Resources"].get(self._resource)
        ]

    def _ask(self, pending: Pending) -> None:
        others = {_NODE_ID: f"!in({','.join(pending.refused)})"} if pending.refused else {}
        placed = _measure.options(resources={self._resource: 1}, label_selector=others)
        pending.task = placed.remote(self._order, pending.wanted)

    def _turn_to_others(self, pending: Pending, refusal: _Refusal) -> None:
        pending.refused[refusal.node] = pending.refusal = refusal.error
        if set(self._nodes()) <= pending.refused.keys():
            self._begin_anew(pending)
        else:
            self._ask(pending)

    def _begin_anew(self, pending: Pending) -> None:
        """No node is left that has not refused: all of them are asked again in a while."""
        self.cancel(pending)
        pending.refused.clear()
        pending.task, pending.is_refused = None, True
        pending.ask_at = time.monotonic() + _PAUSE_S

    def _look_for_nodes(self, pending: Pending, now: float) -> None:
        pending.look_at = now + _PAUSE_S
        left = set(self._nodes()) - pending.refused.keys()
        if left and not pending.is_refused:
            pending.deadline = now + self._patience_s  # it waits for its turn, or is measured
        elif now >= pending.deadline:
            self.cancel(pending)
            raise NoUnitError(
                f"no unit can be had in the cluster within {self._patience_s:g} s",
                where=self._resource,
                got=pending.refusal or "no node that has one",
                hint="`hilnas pool serve` on a machine with boards, then go on",
            )
        elif pending.refused and not left:
            self._begin_anew(pending)


@dataclass(frozen=True)
class _Refusal:
    """No unit of `node` can be had, because of `error`."""

    node: str
    error: NoUnitError


def _measure_there(order: Order, wanted: Wanted) -> Answer | _Refusal:
    try:
        return order.measure(wanted)
    except NoUnitError as error:
        return _Refusal(ray.get_runtime_context().get_node_id(), error)


def _confirm_there(order: Order) -> Suspects:
    return order.confirm()


_measure = ray.remote(num_cpus=0, max_retries=LOST_LIMIT - 1)(_measure_there)
_confirm = ray.remote(num_cpus=0, max_retries=0)(_confirm_there)


def _cause(error: RayTaskError) -> HilnasError:
    """What was raised there."""
    cause = error.cause
    if isinstance(cause, HilnasError):
        return cause
    return HilnasError(f"a bug in hilnas: {type(cause).__name__}: {cause}", where="measuring")
