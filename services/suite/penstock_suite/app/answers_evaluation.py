"""`penstock eval answers`: a set of cases through a public model of a running gateway, its answers judged here."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from penstock_common.llm.types import JsonSchema
from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.adapters.json_schema import schema_of
from penstock_gateway.app.guard_rules import Asked, rule_of
from penstock_gateway.domain.guardrails.pipeline.rails import Held
from penstock_gateway.domain.guardrails.pipeline.rule import Rule, Surface
from penstock_gateway.domain.guardrails.pipeline.trying import tried
from penstock_gateway.domain.structured.burden import TooMuch
from penstock_gateway.settings import Settings
from penstock_suite.adapters.answer_client import AnswerClient, answer_client
from penstock_suite.app.pii_evaluation import read_dataset
from penstock_suite.app.plan import Selection, load
from penstock_suite.domain.answers import AnswerEnd
from penstock_suite.domain.answers_evaluation import (
    UNCLEAR,
    AnswersEvaluation,
    CaseResult,
    evaluation,
    read_evaluation,
)
from penstock_suite.domain.answers_judge import VERDICT_SCHEMA, asked_of_judge, verdict_of
from penstock_suite.domain.answers_set import Case, read_cases
from penstock_suite.domain.failure import Misconfigured, NotThere, Refused, SuiteFailure, Unreachable
from penstock_suite.domain.requests import AnswersEvaluationRequest

Progress = Callable[[int, int], None]
# What holds of all cases ends the run.
_OF_ALL = (Refused, Unreachable, NotThere)
_REMOTE = ("topics", "moderation")


async def evaluate_answers(request: AnswersEvaluationRequest, progress: Progress) -> AnswersEvaluation:
    """Return what the model's answers are worth; ``progress`` hears how many cases of how many are done.

    Raises:
        Misconfigured: if the set, an earlier result or a rule cannot be used.
        SuiteFailure: if nobody answers there, or the key may not.
    """
    content = read_dataset(request.dataset)
    cases = read_cases(content)
    _check_judge(cases, request)
    earlier = None if request.against is None else _earlier(request.against, request.judge)
    with ExitStack() as stack:
        check = _Checks(cases, request, stack)
        async with answer_client(request.target, request.timeout_seconds) as client:
            results = await _run(cases, _Judging(client, request, check), progress)
    digest = hashlib.sha256(content).hexdigest()[:16]
    setting = {"set": request.dataset.name, "set_digest": digest, "concurrency": request.concurrency}
    return evaluation(results, request.target.model, request.judge, earlier, setting)


def _check_judge(cases: list[Case], request: AnswersEvaluationRequest) -> None:
    loose = None if request.judge else next((case for case in cases if not case.is_held_to_something), None)
    if loose is not None:
        raise Misconfigured(
            f"nothing but a judge could say whether the answer to the case '{loose.id}' is right: give --judge, or the case "
            "'expected', 'forbidden', 'schema' or 'rules'"
        )


def _earlier(path: Path, judge: str) -> AnswersEvaluation:
    earlier = read_evaluation(read_dataset(path))
    if earlier.judge != judge:
        was, now = (f"'{one}'" if one else "nobody" for one in (earlier.judge, judge))
        raise Misconfigured(f"the run of --against was judged by {was}, this one is by {now}: they cannot be compared")
    return earlier


async def _run(cases: list[Case], judging: _Judging, progress: Progress) -> list[CaseResult]:
    room, done = asyncio.Semaphore(judging.request.concurrency), 0

    async def one(case: Case) -> CaseResult:
        nonlocal done
        async with room:
            result = await judging.result(case)
        done += 1
        progress(done, len(cases))
        return result

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(case)) for case in cases]
    except ExceptionGroup as failures:
        # Raised from within `except*`, it would be a group again.
        told = failures.subgroup(SuiteFailure)
        if told is None:
            raise
        raise told.exceptions[0] from None
    return [task.result() for task in tasks]


class _Checks:
    """Rules and schemas that the cases name, ready before anybody is asked."""

    def __init__(self, cases: list[Case], request: AnswersEvaluationRequest, stack: ExitStack) -> None:
        self._rules: dict[str, Rule] = {}
        names = sorted({name for case in cases for name in case.rules})
        for case in cases:
            if case.schema is not None and schema_of(_format(case)) is None:
                raise Misconfigured(
                    f"the schema of the case '{case.id}' cannot be checked: see docs/structured-output.md"
                )
        if not names:
            return
        if request.config is None:
            raise Misconfigured("cases name rules: give the configuration that has them with --config")
        section = load(Selection(config=request.config)).settings(Settings).guardrails
        for name in names:
            if name not in section.rules:
                raise Misconfigured(f"there is no rule '{name}' in the configuration's guardrails")
            if section.rules[name].kind in _REMOTE:
                raise Misconfigured(f"the rule '{name}' asks somebody else, which is not done here")
            self._rules[name] = rule_of(name, section.rules[name], Asked(is_offline=True))
        self._threads = Threads(section.threads, section.waiting)
        stack.callback(self._threads.close)

    async def faults(self, case: Case, text: str) -> list[str]:
        """Return what is wrong with an answer."""
        faults = case.faults_of(text)
        if case.schema is not None and (fault := await asyncio.to_thread(_schema_fault, case, text)):
            faults.append(fault)
        for name in case.rules:
            held = Held({}, {Surface.OUTPUT: (self._rules[name],)})
            said, _, _ = await tried(held, self._threads, text, Surface.OUTPUT)
            faults += [f"rule: {one.rule} ({one.outcome})" for one in said if one.outcome != "clean"]
        return faults


def _format(case: Case) -> JsonSchema:
    return JsonSchema(name="answer", schema_json=json.dumps(case.schema))


def _schema_fault(case: Case, text: str) -> str:
    schema = schema_of(_format(case))
    assert schema is not None, "it was checked before"
    try:
        problem = schema.problem(text)
    except TooMuch:
        return "schema: too much to check"
    return "" if problem is None else f"schema: {problem.kind}"


class _Judging:
    def __init__(self, client: AnswerClient, request: AnswersEvaluationRequest, checks: _Checks) -> None:
        self._client, self.request, self._checks = client, request, checks

    async def result(self, case: Case) -> CaseResult:
        """Return what becomes of a case."""
        began = time.perf_counter()
        told: dict[str, Any] = {"id": case.id, "digest": case.digest}
        schema_json = "" if case.schema is None else json.dumps(case.schema)
        try:
            text, end = await self._client.answer(self.request.target.model, case.turns, schema_json)
        except _OF_ALL:
            raise
        except SuiteFailure as failure:
            return CaseResult(**told, passed=False, faults=(f"no answer: {failure}",))
        seconds = round(time.perf_counter() - began, 3)
        faults = await self._checks.faults(case, text)
        judged, reason, judge_end = await self._judged(case, text)
        ends = [end, *([] if judge_end is None else [judge_end])]
        costs = [one.cost_nano_usd for one in ends]
        return CaseResult(
            **told,
            passed=not faults and judged in ("", "pass"),
            faults=tuple(faults),
            judged=judged,
            reason=reason,
            answered_by=f"{end.upstream}/{end.model}",
            tokens=sum(one.input_tokens + one.output_tokens for one in ends),
            cost_nano_usd=None if None in costs else sum(one for one in costs if one is not None),
            seconds=seconds,
        )

    async def _judged(self, case: Case, text: str) -> tuple[str, str, AnswerEnd | None]:
        judge = self.request.judge
        if not judge:
            return "", "", None
        try:
            said, end = await self._client.answer(
                judge, asked_of_judge(case, text, secrets.token_hex(8)), VERDICT_SCHEMA
            )
        except _OF_ALL:
            raise
        except SuiteFailure as failure:
            return UNCLEAR, f"no verdict: {failure}", None
        verdict = verdict_of(said)
        return (UNCLEAR, "", end) if verdict is None else (verdict.verdict, verdict.reason, end)
