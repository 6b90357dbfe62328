"""Candidates, what they are billed at, and plans, as ``penstock.llm.v1`` writes them."""

from __future__ import annotations

from penstock.llm.v1 import generation_pb2 as gen
from penstock_common.llm import types as t

_UNSUPPORTED_TO_PROTO = {
    t.UnsupportedFields.REFUSE: gen.UNSUPPORTED_FIELDS_UNSPECIFIED,
    t.UnsupportedFields.DROP: gen.UNSUPPORTED_FIELDS_DROP,
    t.UnsupportedFields.PASS: gen.UNSUPPORTED_FIELDS_PASS,
}
_UNSUPPORTED_FROM_PROTO = {number: unsupported for unsupported, number in _UNSUPPORTED_TO_PROTO.items()}


def unsupported_to_proto(unsupported: t.UnsupportedFields) -> gen.UnsupportedFields:
    """Return the wire form of what becomes of fields that an upstream does not take."""
    return _UNSUPPORTED_TO_PROTO[unsupported]


def unsupported_from_proto(number: gen.UnsupportedFields) -> t.UnsupportedFields:
    """Return what becomes of fields that an upstream does not take; what is unknown refuses them."""
    return _UNSUPPORTED_FROM_PROTO.get(number, t.UnsupportedFields.REFUSE)


def candidate_to_proto(candidate: t.Candidate) -> gen.Candidate:
    """Return the wire form of a candidate."""
    return gen.Candidate(upstream=candidate.upstream, model=candidate.model)


def candidate_from_proto(proto: gen.Candidate) -> t.Candidate:
    """Return the value of a candidate."""
    return t.Candidate(upstream=proto.upstream, model=proto.model)


def plan_to_proto(plan: t.Plan) -> gen.Plan:
    """Return the wire form of a plan."""
    proto = gen.Plan(
        candidates=[candidate_to_proto(candidate) for candidate in plan.candidates],
        reason=plan.reason,
        prices=[unit_prices_to_proto(prices) for prices in plan.prices],
        unsupported=_UNSUPPORTED_TO_PROTO[plan.unsupported],
        route_digest=plan.route_digest,
    )
    if plan.decision is not None:
        proto.decision.CopyFrom(_decision_to_proto(plan.decision))
    return proto


def plan_from_proto(proto: gen.Plan) -> t.Plan:
    """Return the value of a plan."""
    return t.Plan(
        candidates=tuple(candidate_from_proto(candidate) for candidate in proto.candidates),
        reason=proto.reason,
        decision=_decision_from_proto(proto.decision) if proto.HasField("decision") else None,
        prices=tuple(unit_prices_from_proto(prices) for prices in proto.prices),
        unsupported=_UNSUPPORTED_FROM_PROTO.get(proto.unsupported, t.UnsupportedFields.REFUSE),
        route_digest=proto.route_digest,
    )


def explanation_to_proto(explanation: t.RouteExplanation) -> gen.RouteExplanation:
    """Return the wire form of an explanation."""
    return gen.RouteExplanation(
        plan=None if explanation.plan is None else plan_to_proto(explanation.plan),
        refusal=explanation.refusal,
        candidates=[_view_to_proto(view) for view in explanation.candidates],
    )


def explanation_from_proto(proto: gen.RouteExplanation) -> t.RouteExplanation:
    """Return the value of an explanation."""
    return t.RouteExplanation(
        plan=plan_from_proto(proto.plan) if proto.HasField("plan") else None,
        refusal=proto.refusal,
        candidates=tuple(_view_from_proto(view) for view in proto.candidates),
    )


def _view_to_proto(view: t.CandidateView) -> gen.CandidateView:
    return gen.CandidateView(
        model=view.model,
        candidate=candidate_to_proto(view.candidate),
        rank=view.rank,
        objection=view.objection,
        region=view.region,
        context_window_tokens=view.context_window_tokens,
        prices=unit_prices_to_proto(view.prices),
        condition=view.condition,
        latency_seconds=view.latency_seconds,
    )


def _view_from_proto(proto: gen.CandidateView) -> t.CandidateView:
    return t.CandidateView(
        model=proto.model,
        candidate=candidate_from_proto(proto.candidate),
        rank=proto.rank,
        objection=proto.objection,
        region=proto.region,
        context_window_tokens=proto.context_window_tokens,
        prices=unit_prices_from_proto(proto.prices),
        condition=proto.condition,
        latency_seconds=proto.latency_seconds if proto.HasField("latency_seconds") else None,
    )


def _decision_to_proto(decision: t.Decision) -> gen.Decision:
    return gen.Decision(
        model=decision.model,
        by=decision.by,
        task=decision.task,
        complexity=decision.complexity,
        task_confidence=decision.task_confidence,
        complexity_confidence=decision.complexity_confidence,
        abstains=decision.abstains,
        by_vector=decision.by_vector,
        classifier=decision.classifier,
        passed_over=decision.passed_over,
        policy=decision.policy,
        figure=decision.figure,
        best_prices=None if decision.best_prices is None else unit_prices_to_proto(decision.best_prices),
    )


def _decision_from_proto(proto: gen.Decision) -> t.Decision:
    return t.Decision(
        model=proto.model,
        by=proto.by,
        task=proto.task,
        complexity=proto.complexity,
        task_confidence=proto.task_confidence,
        complexity_confidence=proto.complexity_confidence,
        abstains=proto.abstains,
        by_vector=proto.by_vector,
        classifier=proto.classifier,
        passed_over=tuple(proto.passed_over),
        policy=proto.policy,
        figure=proto.figure,
        best_prices=unit_prices_from_proto(proto.best_prices) if proto.HasField("best_prices") else None,
    )


def unit_prices_to_proto(prices: t.UnitPrices) -> gen.UnitPrices:
    """Return the wire form of prices."""
    return gen.UnitPrices(
        input_nano_usd=prices.input_nano_usd,
        cached_input_nano_usd=prices.cached_input_nano_usd,
        output_nano_usd=prices.output_nano_usd,
        cache_write_nano_usd=prices.cache_write_nano_usd,
        cache_write_1h_nano_usd=prices.cache_write_1h_nano_usd,
        is_unknown=prices.is_unknown,
    )


def unit_prices_from_proto(proto: gen.UnitPrices) -> t.UnitPrices:
    """Return the value of prices."""
    return t.UnitPrices(
        input_nano_usd=proto.input_nano_usd,
        cached_input_nano_usd=proto.cached_input_nano_usd,
        output_nano_usd=proto.output_nano_usd,
        cache_write_nano_usd=proto.cache_write_nano_usd,
        cache_write_1h_nano_usd=proto.cache_write_1h_nano_usd,
        is_unknown=proto.is_unknown,
    )
