"""What was learned, as plain arithmetic: how likely a claim is supported, and what its claims make of an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from operator import mul
from typing import NamedTuple

from penstock_gateway.domain.guardrails.grounding.features import NAMES

_MOST = 30.0
_LEAST = 1e-9


class _Model(NamedTuple):
    intercept: float
    coefficients: list[float]
    slope: float
    offset: float
    partly: float
    ungrounded: float
    single: float
    mixed: float


@cache
def _model() -> _Model:
    """Read the weights; they carry the features' names, so that other features than those of training are noticed."""
    read = json.loads(
        (files("penstock_gateway.domain.guardrails.grounding") / "weights.json").read_text(encoding="utf-8")
    )
    if tuple(read.pop("features")) != NAMES:
        raise RuntimeError("weights.json was trained on other features than these; run tools/train_grounding/train.py.")
    return _Model(**read)


def log_odds(features: Sequence[float]) -> float:
    """Return the log odds that a claim with these features is supported."""
    model = _model()
    line = model.intercept + sum(map(mul, model.coefficients, features))
    return max(-_MOST, min(model.slope * line + model.offset, _MOST))


def probability(odds: float) -> float:
    """Return the probability of log odds."""
    return 1 / (1 + math.exp(-odds))


def answer_probabilities(odds: Sequence[float], *, is_mixed: bool) -> tuple[float, float, float]:
    """Return how likely an answer with claims of these log odds is grounded, partly grounded, ungrounded.

    All claims hold, none does, or some do: each of the ways in which some do is as likely as another. ``is_mixed``: numbers of
    one claim stand differently, so that it may hold in part.
    """
    model = _model()
    return shares_of(odds, (model.partly, model.ungrounded, model.single, model.mixed), is_mixed=is_mixed)


def shares_of(odds: Sequence[float], biases: Sequence[float], *, is_mixed: bool) -> tuple[float, float, float]:
    """Return the same by given biases: of partly, of ungrounded, of partly for a single claim, and for one that is mixed."""
    partly, ungrounded, single, mixed = biases
    whole = sum(odds)
    if len(odds) > 1:
        every = sum(_softplus(each) for each in odds)
        left = 1.0 - math.exp(whole - every) - math.exp(-every)
        some = every + math.log(max(left, _LEAST)) - math.log(2.0 ** len(odds) - 2)
    else:
        some = 0.5 * whole + single + mixed * is_mixed
    levels = (whole, some + partly, ungrounded)
    top = max(levels)
    shares = [math.exp(level - top) for level in levels]
    return shares[0] / sum(shares), shares[1] / sum(shares), shares[2] / sum(shares)


def _softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
