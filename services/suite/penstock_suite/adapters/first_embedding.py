"""The first text of a start: a model that is loaded by the first request is loaded before there is one."""

from __future__ import annotations

from datetime import timedelta

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.contract.wire.embedding import EMBED
from penstock_common.rpc.client import Channel

# The first start of a model builds its graph.
_TIMEOUT = timedelta(minutes=5)


async def embed_once(channel: Channel) -> str:
    """Let the model embed a word; return who did: MODEL@REVISION.

    Raises:
        PenstockError: if it cannot.
    """
    answer = await channel.call(EMBED, EmbedRequest(texts=("ready",)), timeout=_TIMEOUT.total_seconds())
    return f"{answer.model}@{answer.revision}"
