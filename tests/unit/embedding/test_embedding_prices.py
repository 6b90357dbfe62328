"""Another price: what was asked before is billed at the one before."""

import asyncio

from penstock_common.contract.embedding import EmbedRequest
from penstock_common.llm.types import UnitPrices
from penstock_common.rpc.scope import RequestScope
from penstock_common.rpc.server_call import ServerCall
from penstock_common.telemetry.steps import Steps
from penstock_embedding.domain.embedder import Embedded, Embedder, ModelOffer
from penstock_embedding.domain.registry import ModelRegistry
from penstock_embedding.surfaces.servicer import EmbeddingServicer

CHEAP, DEAR = UnitPrices(input_nano_usd=1), UnitPrices(input_nano_usd=2)


class Slow:
    """A model that a test lets answer."""

    name, revision = "e", "1"

    def __init__(self):
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def embed(self, texts, deadline, account, *, background=False):
        self.asked.set()
        await self.may_answer.wait()
        return Embedded(vectors=[[1.0]] * len(texts), input_tokens=1, truncated=[False] * len(texts))


async def test_a_request_is_billed_at_the_price_that_it_began_with():
    model = Slow()
    embedder = Embedder(model, ModelOffer(unit_prices=CHEAP))
    servicer = EmbeddingServicer(ModelRegistry(embedder))

    def ask():
        call = ServerCall("/x.Y/Z", scope=RequestScope(), deadline=None, steps=Steps())
        return servicer.embed(EmbedRequest(texts=("a",)), call)

    first = asyncio.create_task(ask())
    await model.asked.wait()
    embedder.charge(ModelOffer(unit_prices=DEAR))
    model.may_answer.set()
    assert ((await first).unit_prices, (await ask()).unit_prices) == (CHEAP, DEAR)
