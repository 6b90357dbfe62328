"""Vectors of prompts, by the embedding service of a configuration, built in this process: a running stack is not touched."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

from penstock_common.configuration import Configuration
from penstock_common.contract.embedding import EmbedRequest, EmbedResponse
from penstock_common.contract.router import capped
from penstock_common.contract.wire.embedding import EMBED
from penstock_common.errors import PenstockError
from penstock_common.rpc.client import Channel
from penstock_suite.app.plan import load
from penstock_suite.app.wiring import Wiring
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.requests import Role, Selection

_SECONDS = 60.0
_BATCH = 16


class Vectors(NamedTuple):
    """One for each prompt, and who made them."""

    of_prompts: list[Sequence[float]]
    model: str


async def vectors_of(selection: Selection, prompts: Sequence[str]) -> Vectors:
    """Return the vectors that the router would be given of these prompts.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        SuiteFailure: if there are no vectors.
    """
    written = load(selection)
    sections = {name: section for name, section in written.document.items() if name in {"embedding", "upstreams"}}
    configuration = Configuration({"embedding": {}, **sections}, written.source)
    vectors: list[Sequence[float]] = []
    model = ""
    async with AsyncExitStack() as stack:
        channel = await Wiring(configuration, {Role.EMBEDDING: None}, stack).channel(Role.EMBEDDING)
        for start in range(0, len(prompts), _BATCH):
            response = await _embedded(channel, tuple(map(capped, prompts[start : start + _BATCH])))
            vectors.extend(vector.values for vector in response.vectors)
            model = " ".join(filter(None, (response.model, response.revision)))
    return Vectors(vectors, model)


async def _embedded(channel: Channel, texts: tuple[str, ...]) -> EmbedResponse:
    try:
        return await channel.call(EMBED, EmbedRequest(texts), timeout=_SECONDS)
    except PenstockError as error:
        raise SuiteFailure(f"no vectors of the prompts: {error.message}") from None
