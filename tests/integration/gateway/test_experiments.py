"""Experiments in the life of a request: who gets what, what the row says, and what nobody is shown."""

from __future__ import annotations

import asyncio
import sqlite3

import grpc
import pytest

from penstock.gateway.v1 import chat_service_pb2, experiment_service_pb2
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub
from penstock.gateway.v1.experiment_service_pb2_grpc import ExperimentServiceStub
from penstock_common.configuration import Configuration
from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_gateway.settings import Settings

HEADER = "x-penstock-experiment"
USERS = [f"user-{number}" for number in range(24)]


@pytest.fixture
def experiment(document):
    """An A/B of ``fast``, which ``first`` answers, against ``large``, which ``second`` does. A test changes it."""
    document["models"].append({"name": "large", "candidates": ["second/m1"]})
    variant = {"name": "bigger", "share": 0.5, "model": "large"}
    one = {"name": "size", "models": ["fast", "safe"], "variants": [variant]}
    document["experiments"] = [one]
    document["cache"]["mode"] = "off"
    return one


async def variants_of(suite, users=USERS):
    answers = [await suite.ask("Hi", user=user) for user in users]
    return [answered.header[HEADER] for answered in answers], [one.header["x-penstock-upstream"] for one in answers]


async def shadows_over():
    """Wait for the shadows that were begun; each is begun before its caller can ask again."""
    running = [task for task in asyncio.all_tasks() if task.get_name() == "shadow"]
    if running:
        await asyncio.wait(running)


async def until_written(suite, count):
    """Return once the ledger has so many rows."""
    with sqlite3.connect(suite.state / "penstock.db") as database:
        while database.execute("SELECT count(*) FROM ledger").fetchone()[0] < count:
            await asyncio.sleep(0.01)
    database.close()


def operator(suite):
    stub, metadata = ExperimentServiceStub(suite.channel), (("authorization", f"Bearer {suite.OPERATOR_KEY}"),)

    async def ask(method, **fields):
        request = getattr(experiment_service_pb2, f"{method}Request")(**fields)
        return await getattr(stub, method)(request, metadata=metadata, timeout=30)

    return ask


async def test_a_user_keeps_a_variant_whatever_is_asked_and_after_a_restart(experiment, serve):
    suite = await serve()
    told, upstreams = await variants_of(suite)
    assert set(told) == {"size=control", "size=bigger"}
    by = {"size=control": "first", "size=bigger": "second"}
    assert [by[one] for one in told] == upstreams
    again = [(await suite.ask("Something else", user=user, temperature=0.5)).header[HEADER] for user in USERS]
    assert again == told
    rows = await suite.ledger_after_close()
    assert (await variants_of(await serve()))[0] == told
    assert {(row["experiment"], row["variant"]) for row in rows} == {("size", "control"), ("size", "bigger")}
    assert all(row["requested_model"] == "fast" and row["tenant"] == "demo" for row in rows)
    units = {row["user"]: row["experiment_unit"] for row in rows}
    assert len(set(units.values())) == len(USERS)
    assert len({row["experiment_phase"] for row in rows}) == 1


async def test_without_an_experiment_nothing_is_told(serve, document):
    suite = await serve()
    answered = await suite.ask(user="ann")
    assert HEADER not in answered.header
    (row,) = await suite.ledger_after_close()
    assert (row["experiment"], row["variant"], row["shadow"]) == ("", "", 0)


async def test_a_conversation_stands_in_for_a_user_and_lasts_while_it_grows(experiment, serve):
    suite = await serve()
    openings = [f"Question {number}" for number in range(12)]
    first = [(await suite.ask(opening)).header[HEADER] for opening in openings]
    more = [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And then?"}]
    grown = [
        (await suite.ask(messages=[{"role": "user", "content": opening}, *more])).header[HEADER] for opening in openings
    ]
    assert set(first) == {"size=control", "size=bigger"}
    assert grown == first


async def test_a_tag_names_a_conversation(experiment, serve):
    experiment["unit"] = "conversation"
    suite = await serve()
    told = {
        (await suite.ask(f"Turn {turn}", metadata={"conversation": "c-1"}, user=f"u{turn}")).header[HEADER]
        for turn in range(8)
    }
    assert len(told) == 1


async def test_by_key_all_that_a_key_asks_has_one_variant(experiment, serve):
    experiment["unit"] = "key"
    told, _ = await variants_of(await serve())
    assert len(set(told)) == 1


async def test_who_may_not_use_the_variants_model_keeps_the_control_and_is_not_counted(experiment, serve, upstream):
    experiment["variants"][0]["share"] = 1.0
    suite = await serve()
    narrow = await suite.ask(model="safe", key=suite.NARROW_KEY, user="ann")
    assert (narrow.status, narrow.header["x-penstock-upstream"]) == (200, "first")
    assert HEADER not in narrow.header
    assert (await suite.ask(model="safe", user="ann")).header[HEADER] == "size=bigger"
    rows = await suite.ledger_after_close()
    assert [row["experiment"] for row in rows] == ["", "size"]


async def test_grpc_is_told_too(experiment, serve):
    suite = await serve()
    question = {"model": "fast", "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hi"}]}]}
    call = ChatServiceStub(suite.channel).Chat(
        chat_service_pb2.ChatRequest(input=question, context={"user": "ann"}),
        metadata=(("authorization", f"Bearer {suite.KEY}"),),
    )
    await call
    assert dict(await call.initial_metadata())[HEADER] in {"size=control", "size=bigger"}


async def test_stopped_everybody_has_the_control_and_begun_again_the_same_variant(experiment, serve):
    suite = await serve()
    ask, (before, _) = operator(suite), await variants_of(suite)
    stopped = (await ask("StopExperiment", name="size", reason="too dear")).experiment
    assert (stopped.state, stopped.is_running) == (experiment_service_pb2.Experiment.STATE_STOPPED, False)
    assert stopped.reason == "too dear"
    answers = [await suite.ask(user=user) for user in USERS[:6]]
    assert all(HEADER not in one.header and one.header["x-penstock-upstream"] == "first" for one in answers)
    await suite.stack.aclose()
    suite = await serve()
    assert HEADER not in (await suite.ask(user="ann")).header
    await operator(suite)("StartExperiment", name="size")
    assert (await variants_of(suite))[0] == before


async def test_promoted_everybody_has_the_variant_and_nobody_is_counted(experiment, serve):
    suite = await serve()
    await operator(suite)("PromoteVariant", name="size", variant="bigger")
    told, upstreams = await variants_of(suite, USERS[:6])
    assert (set(told), set(upstreams)) == ({"size=bigger"}, {"second"})
    found = await operator(suite)("GetExperiment", name="size")
    assert [one.units for one in found.experiment.variants] == [0, 0]
    narrow = await suite.ask(model="safe", key=suite.NARROW_KEY, user="ann")
    assert (narrow.status, narrow.header["x-penstock-upstream"], HEADER in narrow.header) == (200, "first", False)


@pytest.mark.parametrize(
    ("method", "fields", "code"),
    [
        ("GetExperiment", {"name": "none"}, grpc.StatusCode.NOT_FOUND),
        ("StopExperiment", {"name": "none"}, grpc.StatusCode.NOT_FOUND),
        ("PromoteVariant", {"name": "size", "variant": "other"}, grpc.StatusCode.INVALID_ARGUMENT),
        ("PromoteVariant", {"name": "size", "variant": "control"}, grpc.StatusCode.INVALID_ARGUMENT),
        ("PromoteVariant", {"name": "size"}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_is_not_there_is_refused(experiment, serve, method, fields, code):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await operator(await serve())(method, **fields)
    assert failed.value.code() is code


async def test_results_are_counted_by_users(experiment, serve):
    suite = await serve()
    told, _ = await variants_of(suite)
    await variants_of(suite)
    await until_written(suite, 2 * len(USERS))
    found = await operator(suite)("GetExperiment", name="size")
    units = {one.name: one.units for one in found.experiment.variants}
    assert units == {"control": told.count("size=control"), "bigger": told.count("size=bigger")}
    (result,) = found.results
    assert result.verdict == experiment_service_pb2.ExperimentResult.VERDICT_TOO_FEW
    assert result.comparisons[0].metric == "cost"
    assert result.comparisons[0].control_count == 2 * units["control"]
    assert not found.has_mismatch


@pytest.fixture
def shadow(experiment):
    """``large`` answers beside ``fast``, always."""
    experiment["shadow"] = True
    experiment["variants"][0]["share"] = 1.0
    return experiment


async def test_a_shadow_is_shown_to_nobody_and_billed_to_nobody(shadow, serve, second_upstream):
    suite = await serve()
    answered = await suite.ask(user="ann", headers={"x-request-id": "mine"})
    assert (answered.header["x-penstock-upstream"], answered.header[HEADER]) == ("first", "size=control")
    await shadows_over()
    rows = await suite.ledger_after_close()
    own, beside = sorted(rows, key=lambda row: row["shadow"])
    assert (own["tenant"], own["variant"], own["upstream"]) == ("demo", "control", "first")
    assert (beside["tenant"], beside["key_id"], beside["variant"], beside["upstream"]) == ("", "", "bigger", "second")
    assert (beside["request_id"], beside["experiment_unit"]) == ("mine", own["experiment_unit"])
    assert (beside["outcome"], beside["cost_nano_usd"] > 0) == ("ok", True)


async def test_a_shadow_takes_nothing_of_the_callers_allowance(shadow, serve):
    suite = await serve()
    answers = [await suite.ask(key=suite.FREE_KEY, user="ann") for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 200]
    assert answers[-1].header["x-ratelimit-remaining-requests"] == "0"


async def test_what_the_cache_answers_has_no_shadow_and_a_shadow_is_not_kept(shadow, document, serve, second_upstream):
    document["cache"]["mode"] = "exact"
    suite = await serve()
    first = await suite.ask(user="ann", temperature=0)
    await shadows_over()
    again = await suite.ask(user="ann", temperature=0)
    assert again.header["x-penstock-cache"].startswith("hit")
    assert again.json["choices"] == first.json["choices"]
    await shadows_over()
    assert len(second_upstream.requests) == 1


async def test_shadows_are_bounded_and_end_with_the_process(shadow, document, serve, second_upstream, hold):
    document["experimenting"] = {"shadows_at_once": 2}
    second_upstream.otherwise = lambda _: Answer(hold={0: hold, 1: hold})
    suite = await serve()
    for number in range(5):
        await suite.ask(user=f"user-{number}")
    while len(second_upstream.requests) < 2:
        await asyncio.sleep(0)
    rows = await suite.ledger_after_close()
    shadows = [row for row in rows if row["shadow"]]
    assert [row["outcome"] for row in shadows] == ["cancelled", "cancelled"]
    assert len(second_upstream.requests) == 2


async def test_a_shadow_that_fails_says_so_in_its_row_alone(shadow, serve, second_upstream):
    second_upstream.otherwise = lambda _: Failure(400)
    suite = await serve()
    assert (await suite.ask(user="ann")).status == 200
    await shadows_over()
    rows = await suite.ledger_after_close()
    assert sorted((row["shadow"], row["outcome"] == "ok") for row in rows) == [(0, True), (1, False)]


async def test_a_reload_begins_and_ends_an_experiment_and_what_was_stopped_stays_so(document, experiment, serve):
    begun = Configuration(document).settings(Settings)
    del document["experiments"]
    none = Configuration(document).settings(Settings)
    suite = await serve()
    assert HEADER not in (await suite.ask(user="ann")).header
    for settings, is_told in ((begun, True), (none, False), (begun, True)):
        commit = await suite.gateway.prepare(settings)
        commit()
        assert (HEADER in (await suite.ask(user="ann")).header) is is_told
    await operator(suite)("StopExperiment", name="size")
    for settings in (none, begun):
        commit = await suite.gateway.prepare(settings)
        commit()
    assert HEADER not in (await suite.ask(user="ann")).header


async def test_an_answer_that_failed_has_its_part_too(experiment, serve, second_upstream):
    experiment["variants"][0]["share"] = 1.0
    second_upstream.otherwise = lambda _: Failure(500)
    suite = await serve()
    assert (await suite.ask(user="ann")).status >= 500
    await until_written(suite, 1)
    found = await operator(suite)("GetExperiment", name="size")
    (row,) = await suite.ledger_after_close()
    assert (row["variant"], row["outcome"]) == ("bigger", "upstream_failed")
    assert [one.units for one in found.experiment.variants] == [0, 1]


@pytest.mark.parametrize("is_shadow", [False, True])
async def test_a_variant_may_be_a_model_with_routes(document, experiment, serve, second_upstream, is_shadow):
    rules = [{"to": "large", "tags": {"kind": "batch"}}]
    document["models"].append({"name": "auto", "rules": rules, "routes": {"default": "other"}})
    document["models"].append({"name": "other", "candidates": ["first/m1"]})
    experiment["variants"] = [{"name": "routed", "share": 1.0, "model": "auto"}]
    experiment["shadow"] = is_shadow
    suite = await serve()
    answered = await suite.ask(user="ann", metadata={"kind": "batch"})
    assert answered.header.get("x-penstock-route") == (None if is_shadow else "large; by=rules.1")
    assert answered.header[HEADER] == f"size={'control' if is_shadow else 'routed'}"
    await shadows_over()
    rows = await suite.ledger_after_close()
    (routed,) = [row for row in rows if row["variant"] == "routed"]
    assert (routed["upstream"], routed["outcome"], routed["shadow"]) == ("second", "ok", int(is_shadow))
