"""`penstock eval grounding`: labelled answers through the gateway's own check."""

from __future__ import annotations

import time

from penstock_gateway.domain.guardrails.grounding.grounding import VERSION, ground
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.grounding_evaluation import Answer, GroundingEvaluation, Taken, evaluation, read_answers
from penstock_suite.domain.requests import GroundingEvaluationRequest


def evaluate_grounding(request: GroundingEvaluationRequest) -> GroundingEvaluation:
    """Return what the check takes the dataset's answers for.

    Raises:
        Misconfigured: if the dataset cannot be read, or a line of it is no labelled answer.
    """
    try:
        answers = read_answers(request.dataset.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{request.dataset} cannot be read: {error.strerror}") from None
    # What is read once in a process, the lexicon above all, is no answer's time.
    ground(answers[0].answer, answers[0].context)
    taken = [_taken(answer) for answer in answers]
    return evaluation(answers, taken, {"dataset": request.dataset.name, "check": f"grounding {VERSION}"})


def _taken(answer: Answer) -> Taken:
    began = time.perf_counter()
    found = ground(answer.answer, answer.context)
    return Taken(found.label.value, found.score, (time.perf_counter() - began) * 1000)
