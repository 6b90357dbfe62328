"""Train what the grounding check has learned, judge it on what it has not seen, and write weights.json and a report.

`python tools/train_grounding/train.py DATASET [--report FILE]`; DATASET has the format of `penstock eval grounding`. Needs
scipy beside the project's own packages. Deterministic; some minutes.
"""

import argparse
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from answers import Answer, judged_answers, own_answers
from scipy.optimize import minimize

from penstock_gateway.domain.guardrails.grounding.features import NAMES
from penstock_gateway.domain.guardrails.grounding.grounding import (
    Label,
    context_of,
    is_mixed,
    judged_claims,
    silent_odds,
)
from penstock_gateway.domain.guardrails.grounding.learned import shares_of

FOLDS = 5
SEEDS = (0, 1, 2)
STRENGTH = 0.1
ROUNDS = 2
DIGITS = 5
LABELS = [label.value for label in Label]
# Answers of the judged kind weigh more; conclusions that need knowledge or arithmetic are more frequent in ours than there.
SOURCE_WEIGHT = {"development": 2.0, "own": 1.0}
KIND_WEIGHT = {"inference": 0.6, "arithmetic": 0.4, "abstain": 0.5}
# A weight may not have the wrong sign, however the few answers fell.
FOR = frozenset(
    [
        "best",
        "best_with_heads",
        "tops",
        "anywhere",
        "exact",
        "numbers_all_near",
        "numbers_derived",
        "near_said",
        "limit",
        "agreed",
        "subject",
        "said_of_best",
        "pairs",
        "beside",
        "second",
    ]
)
AGAINST = frozenset(
    [
        "novel",
        "novel_share",
        "heaviest_missing",
        "names_missing",
        "names_far",
        "numbers_far",
        "numbers_missing",
        "numbers_replaced",
        "conflict",
        "denied",
        "denied_more",
        "opposes",
        "generalises",
        "conditions",
        "general_condition",
        "obliges",
        "rate",
        "former",
        "value_swapped",
        "other_passage",
        "cause_apart",
    ]
)
START = np.array([1.0, 0.0, 0.0, 0.0, -0.5, 0.5])
HOLD = 3.0
_UNKNOWN = -1
# Characters that a claim may share with a wrong span without being wrong: a comma and a space.
_TOUCH = 2


class Sample(NamedTuple):
    """An answer in numbers: its claims' features, labels (1 supported, 0 not, -1 unknown), and odds that no model gives."""

    answer: Answer
    features: np.ndarray
    labels: np.ndarray
    fixed: np.ndarray
    mixed: bool


def sample_of(answer: Answer) -> Sample:
    """Return the answer in numbers."""
    context = context_of(answer.context)
    judged = judged_claims(answer.text, context)
    fixed = [silent_odds(one.alignment, context) for one in judged]
    return Sample(
        answer,
        np.array([one.features for one in judged]),
        np.array([_label(answer, one.claim.start, one.claim.end) for one in judged]),
        np.array([np.nan if odds is None else odds for odds in fixed]),
        is_mixed(judged),
    )


def _label(answer: Answer, start: int, end: int) -> int:
    if answer.label != "partly":
        return int(answer.label == "grounded")
    if not answer.wrong:
        return _UNKNOWN
    return int(not any(min(stop, end) - max(begin, start) > _TOUCH for begin, stop in answer.wrong))


class Line:
    """A logistic model of a claim, whose weights keep their signs; features are brought to one scale."""

    def __init__(self, samples: Sequence[Sample], labels: Sequence[np.ndarray]) -> None:
        features, known, weights = np.concatenate([one.features for one in samples]), np.concatenate(labels), []
        for one, own in zip(samples, labels, strict=True):
            weight = SOURCE_WEIGHT[one.answer.source] * KIND_WEIGHT.get(one.answer.kind, 1.0)
            weights.append(np.where((own == _UNKNOWN) | ~np.isnan(one.fixed), 0.0, weight))
        self.mean, self.scale = features.mean(0), features.std(0) + 1e-6
        scaled, weight = (features - self.mean) / self.scale, np.concatenate(weights)
        self.line = _fitted(scaled, np.where(known == 1, 1.0, -1.0), weight)

    def odds(self, sample: Sample) -> np.ndarray:
        """Return the log odds of each claim."""
        odds = (sample.features - self.mean) / self.scale @ self.line[1:] + self.line[0]
        return np.where(np.isnan(sample.fixed), odds, sample.fixed)

    def exported(self) -> dict:
        """Return the weights as learned.py reads them."""
        coefficients = self.line[1:] / self.scale
        return {
            "intercept": round(float(self.line[0] - coefficients @ self.mean), DIGITS),
            "coefficients": [round(float(value), DIGITS) for value in coefficients],
        }


def _fitted(features: np.ndarray, signs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (features @ line[1:] + line[0])
        pull = -signs * weights / (1 + np.exp(margins))
        value = STRENGTH * (weights * np.logaddexp(0, -margins)).sum() + 0.5 * (line[1:] ** 2).sum()
        return value, np.concatenate([[STRENGTH * pull.sum()], STRENGTH * (features.T @ pull) + line[1:]])

    bounds = [(None, None)]
    bounds += [(0, None) if name in FOR else (None, 0) if name in AGAINST else (None, None) for name in NAMES]
    return minimize(loss, np.zeros(features.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B").x


def trained(samples: Sequence[Sample]) -> Line:
    """Return a model; which claim of a partly grounded answer is wrong it finds out itself, where nobody has said."""
    labels = [one.labels for one in samples]
    line = Line(samples, labels)
    for _ in range(ROUNDS):
        labels = [_told_apart(one, line) for one in samples]
        line = Line(samples, labels)
    return line


def _told_apart(sample: Sample, line: Line) -> np.ndarray:
    if not sample.labels[1:].size or (sample.labels != _UNKNOWN).all():
        return sample.labels
    odds = line.odds(sample)
    labels = (odds > 0).astype(int)
    labels[odds.argmin()], labels[odds.argmax()] = 0, 1
    return labels


def shares(sample: Sample, odds: np.ndarray, settings: np.ndarray) -> tuple[float, float, float]:
    """Return how likely each label is by slope, offset, and the four biases."""
    return shares_of([float(each) for each in settings[0] * odds + settings[1]], settings[2:], is_mixed=sample.mixed)


def settled(samples: Sequence[Sample], odds: Sequence[np.ndarray]) -> np.ndarray:
    """Return the settings that fit unseen odds best, held near those that say nothing."""

    def loss(settings: np.ndarray) -> float:
        found = [
            shares(one, each, settings)[LABELS.index(one.answer.label)] for one, each in zip(samples, odds, strict=True)
        ]
        return -np.log(np.array(found) + 1e-6).sum() + HOLD * ((settings - START) ** 2).sum()

    return minimize(loss, START, method="Nelder-Mead", options={"maxiter": 300}).x


def folds_of(samples: Sequence[Sample], seed: int) -> np.ndarray:
    """Return each sample's fold; what shares a context or a subject is never split."""
    groups = sorted({one.answer.group for one in samples})
    np.random.RandomState(seed).shuffle(groups)
    of_group = {group: at % FOLDS for at, group in enumerate(groups)}
    return np.array([of_group[one.answer.group] for one in samples])


def unseen_odds(samples: Sequence[Sample], own: Sequence[Sample], folds: np.ndarray) -> list[np.ndarray]:
    """Return each sample's odds by a model that saw nothing of its fold."""
    odds: list[np.ndarray] = [np.zeros(0)] * len(samples)
    for fold in range(FOLDS):
        line = trained([one for one, its in zip(samples, folds, strict=True) if its != fold] + list(own))
        for at in np.where(folds == fold)[0]:
            odds[at] = line.odds(samples[at])
    return odds


def judged_unseen(samples: Sequence[Sample], odds: Sequence[np.ndarray], folds: np.ndarray) -> list[int]:
    """Return what each is taken for, with settings of the other folds."""
    taken = [0] * len(samples)
    for fold in range(FOLDS):
        others = np.where(folds != fold)[0]
        settings = settled([samples[at] for at in others], [odds[at] for at in others])
        for at in np.where(folds == fold)[0]:
            taken[at] = int(np.argmax(shares(samples[at], odds[at], settings)))
    return taken


def figures(samples: Sequence[Sample], taken: Sequence[int]) -> dict:
    """Return macro-F1, accuracy, the confusion, and the right ones by kind."""
    confusion = np.zeros((3, 3), int)
    kinds: dict[str, list[int]] = {}
    for one, label in zip(samples, taken, strict=True):
        own = LABELS.index(one.answer.label)
        confusion[own, label] += 1
        count = kinds.setdefault(f"{one.answer.label} {one.answer.kind}", [0, 0])
        count[0] += own == label
        count[1] += 1
    f1 = [2 * confusion[at, at] / max(confusion[at].sum() + confusion[:, at].sum(), 1) for at in range(3)]
    return {
        "macro_f1": round(float(np.mean(f1)), 4),
        "accuracy": round(float(np.trace(confusion) / confusion.sum()), 4),
        "confusion": confusion.tolist(),
        "kinds": {kind: f"{right} of {count}" for kind, (right, count) in sorted(kinds.items())},
    }


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    judged = [sample_of(one) for one in judged_answers(arguments.dataset)]
    own = [sample_of(one) for one in own_answers(Path(__file__).parent / "data")]

    alone = trained(own)
    held_out = [int(np.argmax(shares(one, alone.odds(one), START))) for one in judged]
    report: dict = {"development wholly held out": figures(judged, held_out)}
    for seed in SEEDS:
        folds = folds_of(judged, seed)
        odds = unseen_odds(judged, own, folds)
        report[f"five-fold by subject, seed {seed}"] = figures(judged, judged_unseen(judged, odds, folds))
    own_folds = folds_of(own, 0)
    own_odds = unseen_odds(own, [], own_folds)
    report["own answers, five-fold by context"] = figures(own, judged_unseen(own, own_odds, own_folds))
    report["each kind unseen"] = _without_kind(judged, own)

    folds = folds_of(judged, SEEDS[0])
    settings = settled(judged, unseen_odds(judged, own, folds))
    names = ("slope", "offset", "partly", "ungrounded", "single", "mixed")
    written = {"features": NAMES, **trained([*judged, *own]).exported()}
    written |= {name: round(float(value), DIGITS) for name, value in zip(names, settings, strict=True)}
    target = Path(str(files("penstock_gateway.domain.guardrails.grounding"))) / "weights.json"
    target.write_text(json.dumps(written, separators=(",", ":")) + "\n", encoding="utf-8")
    if arguments.report:
        arguments.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name, found in report.items():
        print(name, json.dumps(found))


def _without_kind(judged: Sequence[Sample], own: Sequence[Sample]) -> dict[str, str]:
    """Return how many of each kind are right by a model of our answers of all other kinds."""
    found: dict[str, str] = {}
    for kind in sorted({one.answer.kind for one in judged}):
        line = trained([one for one in own if one.answer.kind != kind])
        of_kind = [one for one in judged if one.answer.kind == kind]
        right = sum(
            int(np.argmax(shares(one, line.odds(one), START))) == LABELS.index(one.answer.label) for one in of_kind
        )
        found[kind] = f"{right} of {len(of_kind)}"
    return found


if __name__ == "__main__":
    main()
