"""Prompts in real databases, the same on both engines: versions, labels and their walls, and what the audit log keeps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from penstock_common.errors import (
    InvalidRequest,
    ModelNotFound,
    ResourceExists,
    ResourceNotFound,
    ResourceState,
    ScopeMissing,
)
from penstock_common.llm.types import Role, SamplingParams
from penstock_gateway.adapters.sql.prompts import SqlPromptStore
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.domain.access.identity import Tenant, Tier
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.prompts.administration import (
    MAX_EARLIER,
    MAX_LABELS,
    Named,
    NewVersion,
    PromptAdministration,
)
from penstock_gateway.domain.prompts.content import Template, Turn, Variable, VariableType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIER = Tier("free")
ADA = Actor(key_id="k1", tenant="acme")
EVE = Actor(key_id="k2", tenant="other")
OPERATOR = Actor(key_id="op", is_operator=True)
WHOLE = Template(
    turns=(Turn(role=Role.SYSTEM, text="Be {{tone}}."), Turn(role=Role.USER, text="{{data}}")),
    variables=(
        Variable(name="tone", type=VariableType.ENUM, values=("kind", "brief"), default="kind", description="How."),
        Variable(name="data", type=VariableType.JSON, required=False, default={"a": [1, None]}, max_length=100),
    ),
    model="fast",
    sampling=SamplingParams(temperature=0.5, stop=("x",)),
)


def text(words):
    return NewVersion(template=Template(turns=(Turn(role=Role.USER, text=words),)))


@pytest.fixture
def changed():
    return []


@pytest.fixture
def prompts(database, changed):
    tenants = {name: Tenant(name, TIER) for name in ("acme", "other")}
    directory = TenantDirectory(tenants, {"free": TIER}, frozenset({"fast", "safe"}))
    return PromptAdministration(directory, SqlRegistry(database), lambda *what: changed.append(what), lambda: NOW)


async def audited(database, tenant="acme"):
    page = Page.of(50, "")
    entries = (await AuditLog(SqlRegistry(database)).list(OPERATOR, tenant, page)).items
    return [(entry.action, entry.target, entry.outcome, dict(entry.details)) for entry in reversed(entries)]


async def pointing(prompts, name="greet"):
    return {known.label: known.version for known in (await prompts.get(ADA, "", name)).labels}


async def test_version_is_kept_as_it_was_made_and_numbered_in_turn(prompts, database, changed):
    wanted = NewVersion(template=WHOLE, note="first", labels=("production", "canary"))
    made = await prompts.create_version(ADA, "", "greet", wanted)
    assert (made.version, made.created_by, made.note, made.created_at) == (1, "k1", "first", NOW)
    assert (await prompts.create_version(ADA, "acme", "greet", text("two"))).version == 2
    assert await prompts.version(ADA, "", Named(name="greet", version=1)) == made
    assert await SqlPromptStore(database).version("acme", "greet", 1) == made
    assert (await SqlPromptStore(database).version("acme", "greet", 1)).template == WHOLE
    assert await pointing(prompts) == {"production": 1, "canary": 1}
    assert changed == [("acme", "greet")] * 2
    assert await audited(database) == [
        ("prompt.create_version", "greet", "ok", {"labels": "production canary", "version": "1"}),
        ("prompt.create_version", "greet", "ok", {"version": "2"}),
    ]


async def test_those_who_make_versions_at_once_get_one_each(prompts):
    await prompts.create_version(ADA, "", "greet", text("one"))
    made = await asyncio.gather(*(prompts.create_version(ADA, "", "greet", text(str(n))) for n in range(5)))
    assert sorted(record.version for record in made) == [2, 3, 4, 5, 6]
    for record in made:
        assert await prompts.version(ADA, "", Named(name="greet", version=record.version)) == record


async def test_those_who_make_a_prompt_at_once_get_a_version_or_are_told_to_try_again(prompts):
    made = await asyncio.gather(
        *(prompts.create_version(ADA, "", "greet", text(str(n))) for n in range(4)), return_exceptions=True
    )
    refused = [error for error in made if isinstance(error, BaseException)]
    assert all(isinstance(error, ResourceExists) for error in refused)
    assert (await prompts.get(ADA, "", "greet")).newest_version == len(made) - len(refused) >= 1


async def test_label_goes_back_through_where_it_pointed(prompts, database):
    for words in ("one", "two", "three"):
        await prompts.create_version(ADA, "", "greet", text(words))
    for version in (1, 2, 2, 3):
        await prompts.set_label(ADA, "", Named(name="greet", label="production", version=version))
    assert await pointing(prompts) == {"production": 3}
    for version in (2, 1):
        await prompts.roll_back(ADA, "", "greet", "production")
        assert await pointing(prompts) == {"production": version}
    with pytest.raises(ResourceState, match="has pointed to version 1 alone"):
        await prompts.roll_back(ADA, "", "greet", "production")
    with pytest.raises(ResourceNotFound, match="has no label 'canary': it has production"):
        await prompts.roll_back(ADA, "", "greet", "canary")
    assert (await audited(database))[-4:-2] == [
        ("prompt.roll_back", "greet", "ok", {"label": "production", "version": "2"}),
        ("prompt.roll_back", "greet", "ok", {"label": "production", "version": "1"}),
    ]
    assert (await audited(database))[-1][2] == "resource_not_found"


async def test_label_remembers_so_much_and_a_prompt_has_so_many(prompts):
    for words in ("one", "two"):
        await prompts.create_version(ADA, "", "greet", text(words))
    for turn in range(MAX_EARLIER + 3):
        named = Named(name="greet", label="production", version=1 + turn % 2)
        prompt = await prompts.set_label(ADA, "", named)
    assert len(prompt.labels[0].earlier) == MAX_EARLIER
    labels = tuple(f"l{number}" for number in range(MAX_LABELS))
    with pytest.raises(InvalidRequest, match="at most 32 labels"):
        await prompts.create_version(ADA, "", "greet", NewVersion(template=WHOLE, labels=labels))
    assert (await prompts.get(ADA, "", "greet")).newest_version == 2


async def test_archived_prompt_keeps_its_versions_and_a_new_one_brings_it_back(prompts, database):
    await prompts.create_version(ADA, "", "greet", NewVersion(template=WHOLE, labels=("production",)))
    archived = await prompts.archive(ADA, "", "greet")
    assert (archived.archived_at, archived.labels) == (NOW, ())
    everything = Page.of(50, "")
    assert (await prompts.list(ADA, "", everything, with_archived=False)).items == []
    assert (await prompts.list(ADA, "", everything, with_archived=True)).items == [archived]
    assert (await prompts.version(ADA, "", Named(name="greet", version=1))).template == WHOLE
    with pytest.raises(ResourceState, match="a new version brings it back"):
        await prompts.set_label(ADA, "", Named(name="greet", label="production", version=1))
    assert (await prompts.create_version(ADA, "", "greet", text("two"))).version == 2
    assert (await prompts.get(ADA, "", "greet")).archived_at is None
    assert await pointing(prompts) == {}


async def test_prompt_is_the_tenants_own(prompts, database):
    await prompts.create_version(ADA, "", "greet", text("one"))
    for call in (
        prompts.get(EVE, "", "greet"),
        prompts.version(EVE, "", Named(name="greet", version=1)),
        prompts.set_label(EVE, "", Named(name="greet", label="production", version=1)),
        prompts.archive(EVE, "", "greet"),
        prompts.diff(EVE, "", "greet", (1, 1)),
    ):
        with pytest.raises(ResourceNotFound, match="There is no prompt 'greet'"):
            await call
    with pytest.raises(ScopeMissing):
        await prompts.get(EVE, "acme", "greet")
    assert (await prompts.create_version(EVE, "", "greet", text("hers"))).version == 1
    assert (await prompts.version(ADA, "", Named(name="greet", version=1))).template.turns[0].text == "one"
    assert await SqlPromptStore(database).prompt("nobody", "greet") is None


async def test_operator_says_whose_it_is(prompts):
    with pytest.raises(InvalidRequest, match="tenant must be named"):
        await prompts.create_version(OPERATOR, "", "greet", text("one"))
    with pytest.raises(ResourceNotFound, match="no tenant 'nobody'"):
        await prompts.create_version(OPERATOR, "nobody", "greet", text("one"))
    assert (await prompts.create_version(OPERATOR, "acme", "greet", text("one"))).tenant == "acme"


async def test_lists_go_on_where_they_ended(prompts):
    for name in ("b", "A", "a"):
        for _ in range(3):
            await prompts.create_version(ADA, "", name, text(name))
    first = await prompts.list(ADA, "", Page.of(2, ""), with_archived=False)
    second = await prompts.list(ADA, "", Page.of(2, first.next_token), with_archived=False)
    assert [[prompt.name for prompt in page.items] for page in (first, second)] == [["A", "a"], ["b"]]
    first = await prompts.versions(ADA, "", "a", Page.of(2, ""))
    second = await prompts.versions(ADA, "", "a", Page.of(2, first.next_token))
    assert [[record.version for record in page.items] for page in (first, second)] == [[3, 2], [1]]


async def test_difference_says_all_that_changed(prompts):
    await prompts.create_version(ADA, "", "greet", NewVersion(template=WHOLE))
    await prompts.create_version(ADA, "", "greet", text("new\nlines"))
    diff = await prompts.diff(ADA, "", "greet", (1, 2))
    assert diff.splitlines()[:2] == ["--- greet@1", "+++ greet@2"]
    assert {
        "-model: fast",
        "-temperature: 0.5",
        '-variable tone (enum; one of kind, brief; default "kind"): How.',
        "-[system]",
        "-Be {{tone}}.",
        "+new",
        "+lines",
    } <= set(diff.splitlines())
    assert await prompts.diff(ADA, "", "greet", (1, 1)) == ""


@pytest.mark.parametrize(
    ("name", "wanted", "error"),
    [
        ("a b", text("x"), InvalidRequest),
        ("", text("x"), InvalidRequest),
        ("a", text("{{x}}"), InvalidRequest),
        ("a", NewVersion(template=WHOLE, labels=("7",)), InvalidRequest),
        ("a", NewVersion(template=WHOLE, note="x" * 257), InvalidRequest),
        ("a", NewVersion(template=Template(turns=WHOLE.turns[:0])), InvalidRequest),
        ("a", NewVersion(template=Template(turns=text("x").template.turns, model="fest")), ModelNotFound),
    ],
)
async def test_what_is_refused_leaves_nothing_but_its_entry(prompts, database, changed, name, wanted, error):
    with pytest.raises(error):
        await prompts.create_version(ADA, "", name, wanted)
    assert (await prompts.list(ADA, "", Page.of(50, ""), with_archived=True)).items == []
    assert changed == []
    ((action, _, outcome, _),) = await audited(database)
    assert action == "prompt.create_version"
    assert outcome in ("invalid_request", "model_not_found")
