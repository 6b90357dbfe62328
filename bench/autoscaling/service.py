"""Pods that take time to start and to answer, and who waits before them: a model of a second's steps.

Requests of one second are told apart by their class alone. How long they take are sixteen equally likely values of a lognormal
distribution, in turns: the same arrivals give the same figures.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from autoscaling.loads import CLASSES

_VALUES = 16


@dataclass(frozen=True)
class Kind:
    """What is scaled. ``room`` is how many may be in hand, of a pod or (``one_queue``) waiting before all pods together."""

    name: str
    role: str
    about: str
    start_seconds: int
    at_once: int
    """Requests that a pod works on; more wait."""
    mean_seconds: float
    spread: float
    room: int
    room_shares: tuple[float, ...]
    """The part of the room up to which each class is let in."""
    patience_seconds: int
    one_queue: bool
    """Whether they wait in turn by class before all pods, as at an upstream with limits, and not by arrival in each."""
    cores: float
    """That a pod uses while it works on ``at_once`` requests, over what it requests; 0: CPU is not asked."""
    base: float
    """Requests a second of a load of one."""
    least: int
    most: int

    def durations(self) -> list[int]:
        """Return how long requests take, in whole seconds that have the mean wanted."""
        normal = NormalDist(math.log(self.mean_seconds) - self.spread**2 / 2, self.spread)
        exact = [math.exp(normal.inv_cdf((each + 0.5) / _VALUES)) for each in range(_VALUES)]
        over = self.mean_seconds * _VALUES / sum(exact)
        found: list[int] = []
        owed = 0.0
        for each in exact:
            owed += each * over
            found.append(max(1, round(owed)))
            owed -= found[-1]
        # Long and short ones in turns.
        return [found[each * 7 % _VALUES] for each in range(_VALUES)]


@dataclass
class Pod:
    """One, by the second in which it was asked for."""

    name: str
    ready_at: int
    leaving: bool = False
    running: int = 0
    due: dict[int, int] = field(default_factory=dict)
    busy_seconds: float = 0.0
    """Computing time of all its requests so far."""
    queued_seconds: float = 0.0
    """Time that requests have waited within it."""

    def ready(self, now: int) -> bool:
        """Return whether it is given requests."""
        return not self.leaving and now >= self.ready_at


class Service:
    """All pods of a kind, and who waits. ``wanted`` is what a Deployment's ``replicas`` are."""

    def __init__(self, kind: Kind, replicas: int) -> None:
        self.kind, self.wanted = kind, replicas
        self.pods = [Pod(f"pod-{number}", 0) for number in range(replicas)]
        self.waiting: list[deque[list[int]]] = [deque() for _ in CLASSES]
        """For each class [second of arrival, how many]."""
        self.dropped = [0] * len(CLASSES)
        self.came = [0] * len(CLASSES)
        self.began = self.waited_seconds = 0
        self._made, self._durations, self._turn = replicas, kind.durations(), 0

    def scale(self, now: int, replicas: int) -> None:
        """Begin pods, or let them go: those not ready first, then the youngest, as a ReplicaSet does."""
        self.wanted = replicas
        there = [pod for pod in self.pods if not pod.leaving]
        for _ in range(replicas - len(there)):
            self.pods.append(Pod(f"pod-{self._made}", now + self.kind.start_seconds))
            self._made += 1
        there.sort(key=lambda pod: (pod.ready_at > now, pod.ready_at), reverse=True)
        for pod in there[: max(len(there) - replicas, 0)]:
            pod.leaving = True

    def tick(self, now: int, arrivals: Sequence[int]) -> None:
        """Live through a second."""
        for pod in self.pods:
            pod.busy_seconds += pod.running
            pod.running -= pod.due.pop(now, 0)
        self.pods = [pod for pod in self.pods if pod.running or not pod.leaving]
        ready = [pod for pod in self.pods if pod.ready(now)]
        self._expire(now)
        for each, count in enumerate(arrivals):
            self.came[each] += count
            self._let_in(now, each, count, ready)
        self._serve(now, ready)

    @property
    def queued(self) -> int:
        """How many wait."""
        return sum(count for each in self.waiting for _, count in each)

    @property
    def running(self) -> int:
        """How many are worked on."""
        return sum(pod.running for pod in self.pods)

    def _expire(self, now: int) -> None:
        for each, queue in enumerate(self.waiting):
            while queue and queue[0][0] + self.kind.patience_seconds <= now:
                self.dropped[each] += queue.popleft()[1]

    def _let_in(self, now: int, each: int, count: int, ready: Sequence[Pod]) -> None:
        kind = self.kind
        if not count:
            return
        if kind.one_queue:
            # Whoever may run now does not wait; who matters more takes the place of who matters less.
            free = sum(max(kind.at_once - pod.running, 0) for pod in ready)
            room = kind.room + free - self.queued
            for less in range(len(CLASSES) - 1, each, -1):
                room += self._push_out(less, count - room)
        else:
            room = (
                int(kind.room * kind.room_shares[each]) * len(ready) - self.queued - sum(pod.running for pod in ready)
            )
        taken = min(count, max(room, 0)) if ready or kind.one_queue else 0
        self.dropped[each] += count - taken
        if taken:
            self.waiting[each].append([now, taken])

    def _push_out(self, less: int, needed: int) -> int:
        out = 0
        while out < needed and self.waiting[less]:
            last = self.waiting[less][-1]
            gone = min(last[1], needed - out)
            last[1] -= gone
            out += gone
            if not last[1]:
                self.waiting[less].pop()
        self.dropped[less] += out
        return out

    def _next(self) -> deque[list[int]] | None:
        queues = [queue for queue in self.waiting if queue]
        if not queues:
            return None
        return queues[0] if self.kind.one_queue else min(queues, key=lambda queue: queue[0][0])

    def _serve(self, now: int, ready: list[Pod]) -> None:
        slots = sum(max(self.kind.at_once - pod.running, 0) for pod in ready)
        begun = 0
        while slots > begun and (queue := self._next()):
            taken = min(queue[0][1], slots - begun)
            begun += taken
            self.waited_seconds += taken * (now - queue[0][0])
            queue[0][1] -= taken
            if not queue[0][1]:
                queue.popleft()
        self.began += begun
        for pod, count in _dealt(begun, ready, self.kind.at_once):
            self._start(now, pod, count)

    def _start(self, now: int, pod: Pod, count: int) -> None:
        pod.running += count
        whole, rest = divmod(count, _VALUES)
        for each in range(_VALUES if whole else rest):
            lasts = self._durations[(self._turn + each) % _VALUES]
            pod.due[now + lasts] = pod.due.get(now + lasts, 0) + whole + (each < rest)
        self._turn += rest


def _dealt(count: int, pods: list[Pod], at_once: int) -> Iterable[tuple[Pod, int]]:
    """Yield who gets how many: in turns, so that each gets as much, as long as it has room."""
    pods.sort(key=lambda pod: pod.running, reverse=True)
    left = len(pods)
    for pod in pods:
        share = min(at_once - pod.running, -(-count // left)) if count else 0
        left -= 1
        if share > 0:
            count -= share
            yield pod, share
