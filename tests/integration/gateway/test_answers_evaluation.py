"""`penstock eval answers` against a gateway: what an answer is held to, a judge, an earlier run, and that no cache answers."""

from __future__ import annotations

import json

import msgspec
import pytest
import yaml

from penstock_common.testing.openai_upstream import Answer, Failure
from penstock_suite.app.answers_evaluation import evaluate_answers
from penstock_suite.domain.answers_evaluation import read_evaluation
from penstock_suite.domain.answers_judge import verdict_of
from penstock_suite.domain.failure import Misconfigured, Refused
from penstock_suite.domain.requests import AnswersEvaluationRequest, ChatTarget
from penstock_suite.surfaces.cli.evaluate_answers import missed

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
CASES = (
    {"id": "town", "input": "Where?", "expected": ["Ulm  on the Danube"], "forbidden": ["Acme"]},
    {"id": "json", "messages": [{"role": "system", "text": "Count."}, {"role": "user", "text": "?"}], "schema": SCHEMA},
    {"id": "rule", "input": "Whom?", "rules": ["mails"], "reference": "Nobody.", "criteria": "Names nobody."},
)


@pytest.fixture
def run(serve, tmp_path):
    config = tmp_path / "rules.yaml"
    config.write_text(yaml.safe_dump({"guardrails": {"rules": {"mails": {"kind": "pii", "types": ["email"]}}}}))
    dataset = tmp_path / "set.jsonl"
    running = []

    async def evaluated(*, cases=CASES, key=None, model="fast", **more):
        running[:] = running or [await serve()]
        dataset.write_text("\n".join(json.dumps(case) for case in cases))
        address = f"127.0.0.1:{running[0].gateway.grpc_port}"
        target = ChatTarget(grpc_address=address, key=key or running[0].KEY, model=model)
        request = AnswersEvaluationRequest(target, dataset, config=config, concurrency=1, **more)
        return await evaluate_answers(request, lambda _done, _of: None)

    return evaluated


def answers(*texts):
    return [Answer(tokens=[text]) for text in texts]


async def test_each_answer_is_held_to_what_its_case_says(run, upstream):
    upstream.enqueue(*answers("In ULM on\nthe Danube.", '{"n": 1}', "Nobody."))
    good = await run()
    assert (good.passed.hits, good.passed.n, good.failed) == (3, 3, 0)
    assert good.cost_nano_usd == sum(one.cost_nano_usd for one in good.results) > 0
    assert good.results[0].answered_by == "first/m1"
    assert upstream.requests[1].body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert upstream.requests[1].body["messages"][0]["role"] == "system"
    upstream.enqueue(*answers("At Acme.", '{"n": "x"}', "ada@lovelace-works.com"))
    bad = await run()
    assert [one.faults for one in bad.results] == [
        ("expected: Ulm  on the Danube", "forbidden: Acme"), ("schema: schema",), ("rule: mails (hit)",),
    ]  # fmt: skip
    assert missed(bad, 0.5) and not missed(good, 1.0)
    assert "lovelace" not in msgspec.json.encode(bad).decode()


async def test_a_run_is_compared_with_an_earlier_one(run, upstream, tmp_path):
    cases = [{"id": f"c{at}", "input": f"{at}?", "expected": ["yes"]} for at in range(12)]
    upstream.enqueue(*answers(*["yes"] * 12))
    earlier = tmp_path / "earlier.json"
    earlier.write_bytes(msgspec.json.encode(await run(cases=cases)))
    # The first case is another one now.
    upstream.enqueue(*answers(*["no"] * 12))
    now = await run(cases=[{**cases[0], "forbidden": ["x"]}, *cases[1:]], against=earlier)
    told = now.compared
    assert (told.pairs, len(told.broken), told.fixed, told.left_out, told.change) == (11, 11, (), 2, -1.0)
    assert told.is_worse and told.low < told.high < 0 and told.p_value < 0.01
    assert missed(now, 0.0)
    with pytest.raises(Misconfigured, match="--against"):
        read_evaluation(b"{}")


async def test_a_judge_is_asked_and_read_strictly(run, upstream):
    cases = [{"id": name, "input": f"{name}?", "expected": ["yes"], "criteria": "Says yes."} for name in "abc"]
    words = ['{"verdict": "pass"}', '{"verdict": "fail", "reason": "Curt."}', 'Sure! {"verdict": "pass"}']
    upstream.enqueue(*answers(*[text for word in words for text in ("yes", word)]))
    told = await run(cases=cases, judge="fast")
    assert [(one.judged, one.passed) for one in told.results] == [("pass", True), ("fail", False), ("unclear", False)]
    assert (told.disputed, told.unclear, told.results[1].reason) == (("b",), 1, "Curt.")
    system, shown = upstream.requests[1].body["messages"]
    mark = shown["content"].split("BEGIN ")[1].split()[0]
    assert mark in system["content"] and shown["content"].count(f"END {mark}") == 3
    assert "Says yes." in shown["content"]


@pytest.mark.parametrize("case", [{"reference": "Ulm."}, {"criteria": "Names Ulm."}, {}])
async def test_without_a_judge_no_case_passes_that_nothing_else_holds_its_answer_to(run, upstream, case):
    with pytest.raises(Misconfigured, match="the case 'a' is right: give --judge"):
        await run(cases=[CASES[0], {"id": "a", "input": "?", **case}])
    assert not upstream.requests
    upstream.enqueue(*answers("Ulm.", '{"verdict": "pass"}'))
    assert (await run(cases=[{"id": "a", "input": "?", **case}], judge="fast")).passed.hits == 1


async def test_runs_of_other_judges_are_not_compared(run, upstream, tmp_path):
    cases, earlier = [{"id": "a", "input": "?", "expected": ["yes"]}], tmp_path / "earlier.json"
    upstream.enqueue(*answers("yes", '{"verdict": "fail"}'))
    earlier.write_bytes(msgspec.json.encode(await run(cases=cases, judge="fast")))
    with pytest.raises(Misconfigured, match="was judged by 'fast', this one is by nobody"):
        await run(cases=cases, against=earlier)
    assert len(upstream.requests) == 2


async def test_what_got_no_answer_has_not_passed(run, upstream):
    upstream.enqueue(*[Failure(status=400)] * 6, Answer(tokens=["x"]))
    told = await run(cases=[{"id": "a", "input": "?", "forbidden": ["y"]}])
    assert (told.failed, told.passed.hits) == (1, 0)
    assert told.results[0].faults[0].startswith("no answer: ")


async def test_an_equal_question_is_asked_again_and_not_given_from_the_cache(run, upstream):
    upstream.enqueue(*answers("one", "two"))
    cases = [{"id": "a", "input": "Same?", "expected": ["one"]}, {"id": "b", "input": "Same?", "expected": ["two"]}]
    assert (await run(cases=cases)).passed.hits == 2


async def test_nothing_stands_in_for_the_model(document, run, upstream):
    document["models"][0]["degradation"] = [{"template": "Sorry."}]
    upstream.otherwise = lambda _: Failure(status=500)
    told = await run(cases=[{"id": "a", "input": "?", "expected": ["Sorry"]}])
    assert (told.failed, told.passed.hits) == (1, 0)


async def test_what_cannot_be_compared_is_missed_and_what_is_the_same_is_not(run, upstream, tmp_path):
    cases = [{"id": f"c{at}", "input": f"{at}?", "expected": ["yes"]} for at in range(12)]
    earlier = tmp_path / "earlier.json"
    upstream.otherwise = lambda _: Answer(tokens=["yes"])
    earlier.write_bytes(msgspec.json.encode(await run(cases=cases)))
    assert missed(await run(cases=cases, against=earlier), 1.0) == []
    (fault,) = missed(await run(cases=[{**one, "forbidden": ["no"]} for one in cases], against=earlier), 1.0)
    assert fault.startswith("No case is as it was")


@pytest.mark.parametrize(
    "word", ['{"verdict": "pass", "sure": true}', '{"verdict": "yes"}', '[{"verdict": "pass"}]', "pass"]
)
def test_a_verdict_is_one_object_with_nothing_else(word):
    assert verdict_of(word) is None
    assert verdict_of(' {"verdict": "fail"}\n').verdict == "fail"


async def test_who_may_not_is_told_so(run):
    with pytest.raises(Refused):
        await run(key="no-key-no-key-no-key-no")


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ({"id": "a"}, "line 1: a case needs"),
        ({"id": "a", "input": "?", "expect": ["x"]}, "line 1 is no case"),
        ({"id": "a", "input": "?", "expected": [" "]}, "is empty"),
        ({"id": "a", "messages": [{"role": "tool", "text": "x"}]}, "a role is one of"),
        ({"id": "a", "input": "?", "rules": ["none"]}, "there is no rule 'none'"),
        ({"id": "a", "input": "?", "schema": {"type": 1}}, "cannot be checked"),
    ],
)
async def test_a_set_that_cannot_be_used_asks_nobody(tmp_path, case, told):
    dataset, config = tmp_path / "set.jsonl", tmp_path / "rules.yaml"
    dataset.write_text(json.dumps(case))
    config.write_text("guardrails: {}")
    nobody = ChatTarget(grpc_address="127.0.0.1:1", key="k", model="fast")
    with pytest.raises(Misconfigured, match=told):
        await evaluate_answers(AnswersEvaluationRequest(nobody, dataset, config=config), lambda _done, _of: None)
