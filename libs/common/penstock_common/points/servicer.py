"""PointsService: answers with an engine of this process what other processes ask."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from penstock_common.contract.points import (
    Count,
    Delete,
    Get,
    Matching,
    Nearest,
    Put,
    Question,
    Scroll,
    SetPayload,
    Size,
    Sweep,
)
from penstock_common.contract.wire.points import METHODS
from penstock_common.points.store import Engine, Points
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_common.service import Service

_Answer = Callable[[Points, Any, float | None], Coroutine[Any, Any, Any]]

_ANSWERS: dict[type[Question], _Answer] = {
    Nearest: lambda points, asked, seconds: points.nearest(
        asked.vector, asked.where, limit=asked.limit, floor=asked.floor, fields=asked.fields, timeout=seconds
    ),
    Matching: lambda points, asked, seconds: points.matching(
        asked.terms, asked.where, limit=asked.limit, fields=asked.fields, timeout=seconds
    ),
    Put: lambda points, asked, seconds: points.put(asked.points, timeout=seconds),
    Get: lambda points, asked, seconds: points.get(asked.tenant, asked.ids, timeout=seconds),
    SetPayload: lambda points, asked, seconds: points.set_payload(asked.where, asked.payload, timeout=seconds),
    Delete: lambda points, asked, seconds: points.delete(asked.where, timeout=seconds),
    Count: lambda points, asked, seconds: points.count(asked.where, timeout=seconds),
    Scroll: lambda points, asked, seconds: points.scroll(
        asked.where, limit=asked.limit, after=asked.after, timeout=seconds
    ),
    Sweep: lambda points, asked, seconds: points.sweep(asked.field, asked.below, timeout=seconds),
    Size: lambda points, _, seconds: points.size(timeout=seconds),
}


def points_service(engine: Engine) -> Service:
    """Return the service of an engine, whose caller's deadline is that of each call."""
    handlers: Sequence[Handler] = [
        METHODS[kind].served_by(partial(_answered, engine, answer)) for kind, answer in _ANSWERS.items()
    ]
    return Service("points", handlers)


async def _answered(engine: Engine, answer: _Answer, asked: Any, call: ServerCall) -> Any:
    return await answer(engine.points(asked.collection), asked, call.seconds_left())
