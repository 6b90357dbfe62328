"""Prompts as requests look them up: what is asked of the store and when, and what is told of those that are not there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from penstock_common.errors import (
    InvalidRequest,
    ResourceNotFound,
    ResourceState,
    ServiceUnavailable,
    UnsupportedParameter,
)
from penstock_common.llm.types import GenerationInput, Role
from penstock_gateway.domain.experiments.definition import Experiment, Variant
from penstock_gateway.domain.experiments.running import Running
from penstock_gateway.domain.life.order import CacheControl, Call, ChatOrder
from penstock_gateway.domain.prompts.content import PromptReference, Template, Turn
from penstock_gateway.domain.prompts.library import LibraryTerms, PromptLibrary, with_prompt
from penstock_gateway.domain.prompts.records import LabelRecord, PromptRecord, VersionRecord
from penstock_gateway.domain.prompts.varying import with_varied_prompt

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Store:
    """A store that counts what it is asked; the versions of every prompt say which they are."""

    kept: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    is_down: bool = False
    gate: asyncio.Event | None = None

    def keep(self, name="greet", newest=2, archived_at=None, **labels):
        pointing = tuple(LabelRecord(label, version) for label, version in labels.items())
        self.kept["t", name] = PromptRecord(
            tenant="t", name=name, newest_version=newest, created_at=NOW, archived_at=archived_at, labels=pointing
        )

    async def prompt(self, tenant, name):
        self._ask(name)
        if self.gate is not None:
            await self.gate.wait()
        return self.kept.get((tenant, name))

    async def version(self, tenant, name, version):
        self._ask(f"{name}@{version}")
        prompt = self.kept[tenant, name]
        template = Template(turns=(Turn(role=Role.USER, text=f"version {version}"),))
        return VersionRecord(
            tenant=tenant, name=name, version=version, template=template, note="", created_at=NOW, created_by="k"
        ) if version <= prompt.newest_version else None  # fmt: skip

    async def prompts(self, tenant, after, limit, *, with_archived):
        return [record for (owner, _), record in self.kept.items() if owner == tenant]

    def _ask(self, what):
        if self.is_down:
            raise ServiceUnavailable("away", service="sql")
        self.asked.append(what)


@pytest.fixture
def store():
    kept = Store()
    kept.keep(production=1, canary=2)
    return kept


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def library(store, clock):
    return PromptLibrary(store, LibraryTerms(timedelta(seconds=1), 3), lambda: clock[0])


async def found(library, name="greet", **wanted):
    reference, template = await library.find("t", PromptReference(name=name, **wanted))
    return reference.shown, template.messages({})[0].text


async def test_label_or_version_says_which_and_production_where_neither_is_said(library):
    assert await found(library) == ("greet@1", "version 1")
    assert await found(library, label="canary") == ("greet@2", "version 2")
    assert await found(library, version=2) == ("greet@2", "version 2")


async def test_label_is_asked_for_again_after_its_age_and_a_version_never(library, store, clock):
    for _ in range(3):
        await found(library)
    assert store.asked == ["greet", "greet@1"]
    store.keep(production=2)
    clock[0] += 0.99
    assert (await found(library))[0] == "greet@1"
    clock[0] += 0.02
    assert (await found(library))[0] == "greet@2"
    store.keep(production=1)
    clock[0] += 1.01
    assert (await found(library))[0] == "greet@1"
    assert store.asked == ["greet", "greet@1", "greet", "greet@2", "greet"]


async def test_what_was_changed_here_holds_at_once(library, store):
    await found(library)
    store.keep(production=2)
    library.forget("t", "greet")
    assert (await found(library))[0] == "greet@2"


async def test_last_known_labels_hold_while_the_store_is_away(library, store, clock):
    await found(library)
    store.is_down = True
    clock[0] += 3600
    assert await found(library) == ("greet@1", "version 1")
    with pytest.raises(ServiceUnavailable):
        await found(library, "other")


async def test_others_go_on_with_what_is_known_while_one_asks(library, store, clock):
    await found(library)
    clock[0] += 1.01
    store.keep(production=2)
    store.gate = asyncio.Event()
    asking = asyncio.create_task(found(library))
    await asyncio.sleep(0)
    going_on = asyncio.create_task(found(library))
    await asyncio.sleep(0)
    is_answered = going_on.done()
    store.gate.set()
    assert is_answered
    assert (await going_on)[0] == "greet@1"
    assert (await asking)[0] == "greet@2"
    assert (await found(library))[0] == "greet@2"
    assert store.asked == ["greet", "greet@1", "greet", "greet@2"]


async def test_no_more_is_kept_than_may_be(library, store):
    for name in ("a", "b", "c", "d"):
        store.keep(name, production=1)
        await found(library, name)
    store.asked.clear()
    await found(library, "d")
    await found(library, "b")
    assert store.asked == []
    await found(library, "a")
    assert store.asked == ["a", "a@1"]


async def test_prompt_that_is_not_there_is_told_with_the_nearest(library):
    with pytest.raises(ResourceNotFound, match=r"There is no prompt 'great'\. Did you mean 'greet'\?"):
        await found(library, "great")


async def test_version_and_label_that_are_not_there_are_told_with_those_that_are(library):
    with pytest.raises(ResourceNotFound, match="has no version 3; its newest is 2"):
        await found(library, version=3)
    with pytest.raises(ResourceNotFound, match="has no label 'beta': it has production, canary"):
        await found(library, label="beta")


async def test_archived_prompt_is_used_by_nobody(library, store):
    store.keep(archived_at=NOW)
    with pytest.raises(ResourceState, match="is archived"):
        await found(library, version=1)


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ({"name": ""}, "prompt.id"),
        ({"name": "a/b"}, "prompt.id"),
        ({"name": "x\r\nset-cookie: y"}, "prompt.id"),
        ({"name": "a", "version": 1, "label": "b"}, "prompt.label"),
        ({"name": "a", "label": "7"}, "prompt.label"),
        ({"name": "a", "version": 2**31}, "prompt.version"),
    ],
)
async def test_what_cannot_be_named_is_not_looked_for(library, store, wanted, path):
    with pytest.raises(InvalidRequest) as refused:
        await library.find("t", PromptReference(**wanted))
    assert refused.value.field == path
    assert store.asked == []


def called(prompt, **fields):
    asked = GenerationInput(model=fields.pop("model", ""), messages=())
    order = ChatOrder(
        request_id="r", generation_id="g", surface="openai", tenant="t", key_id="k", timeout=timedelta(seconds=9),
        input=asked, prompt=prompt, **fields,
    )  # fmt: skip
    return Call(order, None, None, None, None, 0)


@pytest.mark.parametrize("name", ["greet", "nobody"])
async def test_a_tenant_without_a_varied_version_is_asked_for_no_more_than_without_an_experiment(library, store, name):
    variants = (Variant(name="v", share=1.0, prompt=f"{name}@9"),)
    running = {name: Running(Experiment(name="e", models=frozenset(), variants=variants, measures=()))}
    call = called(PromptReference(name=name), model="own")
    for _ in range(3):
        with suppress(ResourceNotFound):
            assigned, *_ = await with_varied_prompt(call, library, running)
            assert assigned is None
    assert store.asked == (["greet", "greet@1"] if name == "greet" else ["nobody"])


async def test_request_is_completed_by_its_prompt_and_what_is_kept_of_it_has_its_tags(library):
    mine = CacheControl(private=True, tags=("mine",))
    call, step = await with_prompt(called(PromptReference(name="greet"), model="own", cache_control=mine), library)
    order = call.order
    assert (order.input.model, order.prompt.shown) == ("own", "greet@1")
    assert order.cache_control == CacheControl(private=True, tags=("mine", "prompt:greet", "prompt:greet@1"))
    assert order.input.messages == ()
    assert (await step.apply(order.input, call)).messages[0].text == "version 1"


async def test_request_without_any_model_is_refused(library):
    with pytest.raises(InvalidRequest, match="the prompt 'greet@1' names none, either") as refused:
        await with_prompt(called(PromptReference(name="greet")), library)
    assert refused.value.field == "input.model"


async def test_prompt_where_none_are_kept_is_refused():
    with pytest.raises(UnsupportedParameter):
        await with_prompt(called(PromptReference(name="greet"), model="own"), None)
