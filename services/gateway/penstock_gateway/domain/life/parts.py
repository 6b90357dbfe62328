"""What the life of a chat request is made of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_gateway.domain.life.effective import InputStep
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.flights import Flights
from penstock_gateway.domain.life.forks import NO_FORKS, Forks
from penstock_gateway.domain.life.guards import OutputGuard
from penstock_gateway.domain.life.ladder import NO_LADDERS, Ladders
from penstock_gateway.domain.life.pace import Pace
from penstock_gateway.domain.life.ports import AnswerCache, Generator, Router


class LifeParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the life of a request is made of. ``input_steps`` and ``guards`` come in their order.

    ``inference_is_here``: it is in this process, and tells of its attempts even where a caller leaves.
    ``matches_meaning``: so does the cache, where the configuration says so. ``ladders``: what stands in for the answers of public models, by their names, where there is something.
    ``forks``: the public models that leave a choice to the router. ``flights``: equal requests share a generation; None: each has its own. ``pace`` is that of kept answers.
    """

    visits: VisitParts
    input_steps: Sequence[InputStep]
    cache: AnswerCache
    router: Router
    generator: Generator
    guards: Sequence[OutputGuard] = ()
    inference_is_here: bool = False
    matches_meaning: bool = False
    ladders: Ladders = NO_LADDERS
    forks: Forks = NO_FORKS
    flights: Flights | None = None
    pace: Pace | None = None
