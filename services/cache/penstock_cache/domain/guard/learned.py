"""What was learned, as plain arithmetic: a logistic model over the features, and over the verifier's opinion."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from penstock_cache.domain.guard.features import NAMES


class _Model(NamedTuple):
    intercept: float
    coefficients: tuple[float, ...]


@cache
def _models() -> dict[str, _Model]:
    """Read the weights; they carry the features' names, so that other features than those of training are noticed."""
    read = json.loads((files(__package__) / "weights.json").read_text(encoding="utf-8"))
    assert tuple(read["features"]) == NAMES, "weights.json was trained on other features; run tools/train_guard"
    return {
        name: _Model(read[name]["intercept"], tuple(read[name]["coefficients"]))
        for name in ("alone", "verified")
        if name in read
    }


def probability(features: Sequence[float], learned: float | None) -> float:
    """Return how probably the answer is right; ``learned`` is the verifier's probability, None without one."""
    if learned is None:
        model, values = _models()["alone"], list(features)
    else:
        model, values = _models()["verified"], [*features, logit(learned)]
    total = model.intercept + sum(map(float.__mul__, model.coefficients, values))
    return 1 / (1 + math.exp(-max(-40.0, min(total, 40.0))))


def logit(probability: float) -> float:
    """Return the log odds, within ±10."""
    bounded = max(4.54e-5, min(probability, 1 - 4.54e-5))
    return math.log(bounded / (1 - bounded))
