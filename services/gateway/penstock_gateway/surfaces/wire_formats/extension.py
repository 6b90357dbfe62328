"""What answers tell of Penstock's own, alike in every format: the member ``x_penstock``."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import Finished
from penstock_gateway.domain.knowledge_use.told import KnowledgeTold
from penstock_gateway.surfaces.wire_formats.answer_head import format_cost_usd
from penstock_gateway.surfaces.wire_formats.format import StreamSummary

_encode = msgspec.json.Encoder().encode


def extension_json(finished: Finished | None, summary: StreamSummary) -> bytes:
    """Return what a stream's end tells of Penstock's own: cost, overhead, cache, what stood in, and breaks made good."""
    cost_nano_usd = finished.known_cost_nano_usd if finished else 0
    cost = "null" if cost_nano_usd is None else format_cost_usd(cost_nano_usd)
    overhead_ms = round(summary.overhead_ms, 3)
    told: dict[str, object] = {
        "cost_usd": msgspec.Raw(cost.encode()),
        "overhead_ms": overhead_ms,
        "cache": summary.cache,
    }
    if summary.knowledge is not None:
        told["knowledge"] = msgspec.Raw(told_json(summary.knowledge))
    if summary.dropped:
        told["dropped"] = summary.dropped
    if finished is not None and finished.degraded is not None:
        told["degraded"] = finished.degraded.value
    if finished is not None and finished.stopped_by:
        told["stopped_by"] = finished.stopped_by
    if finished is not None and finished.recoveries:
        told["recovered"] = [
            {
                "from": str(made.broke),
                "cause": made.cause,
                "way": made.way.value,
                "delivered_characters": made.delivered_characters,
            }
            for made in finished.recoveries
        ]
    return _encode(told)


def told_json(told: KnowledgeTold) -> bytes:
    """Return what ``x_penstock.knowledge`` says."""
    return _encode({name: getattr(told, name) for name in told.__struct_fields__})


def with_knowledge(body: bytes, told: KnowledgeTold) -> bytes:
    """Return a whole answer that says beside all else what was found for it."""
    return b'%b,"x_penstock":{"knowledge":%b}}' % (body[:-1], told_json(told))
