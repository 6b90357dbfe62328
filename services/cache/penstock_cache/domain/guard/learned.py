"""What was learned, as plain arithmetic: a logistic model and small boosted trees over the features, calibrated."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from operator import mul
from typing import NamedTuple

from penstock_cache.domain.guard.features import NAMES

_LEAF = -1


class _Tree(NamedTuple):
    """Nodes in parallel lists; a leaf has the feature -1, others go left up to their threshold."""

    features: list[int]
    thresholds: list[float]
    lefts: list[int]
    rights: list[int]
    values: list[float]

    def value(self, features: Sequence[float]) -> float:
        at = 0
        while self.features[at] != _LEAF:
            at = self.lefts[at] if features[self.features[at]] <= self.thresholds[at] else self.rights[at]
        return self.values[at]


class _Model(NamedTuple):
    intercept: float
    coefficients: list[float]
    trees_start: float
    trees: list[_Tree]
    slope: float
    offset: float


@cache
def _model() -> _Model:
    """Read the weights; they carry the features' names, so that other features than those of training are noticed."""
    read = json.loads((files("penstock_cache.domain.guard") / "weights.json").read_text(encoding="utf-8"))
    if tuple(read["features"]) != NAMES:
        raise RuntimeError("weights.json was trained on other features than these; run tools/train_guard/train.py.")
    return _Model(
        intercept=read["intercept"],
        coefficients=read["coefficients"],
        trees_start=read["trees_start"],
        trees=[_Tree(*tree) for tree in read["trees"]],
        slope=read["slope"],
        offset=read["offset"],
    )


def probability(features: Sequence[float]) -> float:
    """Return how probably the answer is right, were right and wrong candidates equally many."""
    model = _model()
    line = model.intercept + sum(map(mul, model.coefficients, features))
    trees = model.trees_start + sum(tree.value(features) for tree in model.trees)
    return sigmoid(model.slope * (line + trees) / 2 + model.offset)


def sigmoid(log_odds: float) -> float:
    """Return the probability of the log odds."""
    return 1 / (1 + math.exp(-max(-40.0, min(log_odds, 40.0))))
