"""Another revision of the configuration: plans that were remembered are forgotten with the revision that they are of."""

import pytest

from penstock_common.configuration import Configuration
from penstock_common.contract.router import RouteRequest, requirements_of
from penstock_common.contract.wire.router import LIST_MODELS, ROUTE
from penstock_common.errors import ModelNotFound
from penstock_common.llm.types import GenerationInput, Message, Role, Text, UnsupportedFields
from penstock_common.testing.transports import channel_to
from penstock_router.app import build
from penstock_router.settings import Settings

BEFORE = """
upstreams: [{name: a, base_url: 'http://a', models: [{name: m, context_window: 100, price: {input: 1}}]}]
models: [{name: fast, candidates: [a/m]}, {name: gone, candidates: [a/m]}]
"""
AFTER = """
upstreams: [{name: a, base_url: 'http://b', models: [{name: m, context_window: 100, price: {input: 2}}]}]
models: [{name: fast, candidates: [a/m], unsupported: drop}, {name: new, candidates: [a/m]}]
"""


def settings(text):
    return Configuration.parse(text, {}).settings(Settings)


def request_for(model):
    asked = GenerationInput(model=model, messages=(Message(role=Role.USER, parts=(Text(text="hello"),)),))
    return RouteRequest(model=model, requirements=requirements_of(asked))


async def test_plans_are_those_of_the_newest_revision(transport):
    async with build(settings(BEFORE)) as service, channel_to(service, transport) as channel:
        before = await channel.call(ROUTE, request_for("fast"))
        await channel.call(ROUTE, request_for("gone"))
        commit = await service.prepare(settings(AFTER))
        # Prepared is not taken over.
        assert await channel.call(ROUTE, request_for("fast")) == before
        commit()
        after = await channel.call(ROUTE, request_for("fast"))
        assert after.prices[0].input_nano_usd == 2 * before.prices[0].input_nano_usd
        assert (before.unsupported, after.unsupported) == (UnsupportedFields.REFUSE, UnsupportedFields.DROP)
        # Kept answers are of the server that has this address no more.
        assert after.route_digest != before.route_digest
        with pytest.raises(ModelNotFound):
            await channel.call(ROUTE, request_for("gone"))
        assert [model.name for model in await channel.call(LIST_MODELS, None)] == ["fast", "new"]
