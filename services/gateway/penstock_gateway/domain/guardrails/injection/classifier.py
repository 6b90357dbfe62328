"""What was learned, as arithmetic: a weight for each feature, hashed, and a bend that makes a probability of the sum."""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from penstock_gateway.domain.guardrails.injection import features
from penstock_gateway.domain.guardrails.injection.features import Seen, slots

# What n-grams weigh together, beside features that count whole.
SHARED = 3.0
STRONG = 4.0
_MAGIC = b"penstock injection\n"
_LARGEST = 127


class Unusable(Exception):
    """Weights that are not for this classifier."""


class Classifier(NamedTuple):
    """Weights, one byte each, of which one step is ``step``; the threshold at which a text is an attack."""

    version: str
    weights: array[int]
    step: float
    bias: float
    threshold: float

    def score(self, seen: Seen) -> float:
        """Return how sure it is that the piece is an attack, in [0, 1]."""
        weights = self.weights
        total = sum(weights[slot] for slot in slots(seen.whole))
        total += STRONG * sum(weights[slot] for slot in slots(seen.strong))
        if seen.shared:
            total += SHARED * sum(weights[slot] for slot in slots(seen.shared)) / math.sqrt(len(seen.shared))
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, self.bias + self.step * total))))

    def weighed(self, seen: Seen) -> list[tuple[str, float]]:
        """Return each feature of a piece with what it adds to the log odds."""
        share = SHARED / math.sqrt(max(len(seen.shared), 1))
        return [
            (feature, self.step * weight * self.weights[slot])
            for features_, weight in ((seen.strong, STRONG), (seen.whole, 1.0), (seen.shared, share))
            for feature, slot in zip(features_, slots(features_), strict=True)
        ]


@cache
def shipped() -> Classifier:
    """Return the classifier of this package."""
    return read((files("penstock_gateway.domain.guardrails.injection") / "weights.bin").read_bytes())


def read(content: bytes) -> Classifier:
    """Return the classifier of a file of weights.

    Raises:
        Unusable: if the file is none, or was trained on other features than these.
    """
    if not content.startswith(_MAGIC):
        raise Unusable("no weights of the injection classifier")
    head, _, body = content[len(_MAGIC) :].partition(b"\n")
    try:
        about = json.loads(head)
        if about["features"] != features.VERSION or len(body) != features.SLOTS:
            raise Unusable("the weights were trained on other features than this version sees: train again")
        version = f"{about['name']}-{hashlib.sha256(content).hexdigest()[:8]}"
        step, bias, threshold = float(about["step"]), float(about["bias"]), float(about["threshold"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(f"no weights of the injection classifier: {error}") from None
    return Classifier(version, array("b", body), step, bias, threshold)


def packed(weights: list[float], bias: float, threshold: float, name: str) -> bytes:
    """Return the file of these weights, rounded to a byte each."""
    largest = max(map(abs, weights)) or 1.0
    step = largest / _LARGEST
    about = {
        "name": name,
        "features": features.VERSION,
        "step": step,
        "bias": bias,
        "threshold": threshold,
    }
    body = array("b", (round(weight / step) for weight in weights)).tobytes()
    return _MAGIC + json.dumps(about).encode() + b"\n" + body
