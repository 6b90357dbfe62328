"""`penstock eval injection` and `penstock guard explain`: texts through the gateway's real detector."""

from __future__ import annotations

import time

from penstock_gateway.domain.guardrails.injection.classifier import shipped
from penstock_gateway.domain.guardrails.injection.detector import Detector, because
from penstock_gateway.domain.guardrails.injection.finding import Surface
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.guard_explanation import Explained, GuardExplanation
from penstock_suite.domain.injection_evaluation import (
    GuardedText,
    InjectionEvaluation,
    Taken,
    injection_evaluation,
    read_texts,
)
from penstock_suite.domain.requests import GuardExplainRequest, InjectionEvaluationRequest


def evaluate_injection(request: InjectionEvaluationRequest) -> InjectionEvaluation:
    """Return what the detector takes the dataset's texts for.

    Raises:
        Misconfigured: if the dataset cannot be read, or a line of it is no labelled text.
    """
    try:
        texts = read_texts(request.dataset.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{request.dataset} cannot be read: {error.strerror}") from None
    detector = Detector()
    # Lexicon and words are read once; the first text should not pay for them.
    detector.check("warm", Surface.USER)
    taken = [_taken(detector, text, request) for text in texts]
    threshold = detector.threshold if request.threshold is None else request.threshold
    setting = {
        "dataset": request.dataset.name,
        "detector": "rules" if request.rules_alone else detector.version,
        "threshold": threshold,
    }
    return injection_evaluation(texts, taken, setting)


def _taken(detector: Detector, text: GuardedText, request: InjectionEvaluationRequest) -> Taken:
    surface = Surface(text.surface)
    began = time.perf_counter()
    if request.rules_alone:
        verdict = detector.check_inline(text.text, surface)
    else:
        verdict = detector.check(text.text, surface, request.threshold)
    microseconds = (time.perf_counter() - began) * 1e6
    return Taken(verdict.is_attack, verdict.score, tuple(one.rule for one in verdict.findings), microseconds)


def explain_guard(request: GuardExplainRequest) -> GuardExplanation:
    """Return what the detector finds in a text, where, and why."""
    surface = Surface(request.surface)
    detector = Detector()
    verdict = detector.check(request.text, surface)
    found = tuple(
        Explained(
            one.kind.value, one.rule, one.start, one.end, request.text[one.start : one.end], one.reason, one.decoded
        )
        for one in verdict.findings
    )
    spoke = {feature: round(weight, 3) for feature, weight in because(request.text, surface, shipped())}
    return GuardExplanation(
        verdict.is_attack, round(verdict.score, 6), detector.threshold, found, spoke, verdict.version
    )
