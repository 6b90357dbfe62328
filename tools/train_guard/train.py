"""Train what the cache's guard has learned, judge it on what it has not seen, and write weights.json and a report.

`python tools/train_guard/train.py DATA [--report FILE]`; DATA holds semantic_pairs.jsonl, semantic_pairs_extra.jsonl and
semantic_pairs_neighbours.jsonl. Needs scikit-learn beside the project's own packages. Seeded; about a minute.
"""

import argparse
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from pairs import Pair, read
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from vectors import similarities_of

from penstock_cache.domain.evaluation import JudgedPair, bare, by_kind, figures_of, guarded
from penstock_cache.domain.guard.comparison import compare
from penstock_cache.domain.guard.features import NAMES, features_of
from penstock_cache.domain.guard.guard import VETOED_SCORE
from penstock_cache.domain.guard.rules import objections
from penstock_cache.domain.guard.text import tidy

SEED = 11
FOLDS = 5
# Pairs built like the judged ones weigh most; neighbours are many and easy.
WEIGHTS = {"development": 4.0, "direct": 1.0, "reworded": 4.0, "neighbour": 0.25}
DIGITS = 5
THRESHOLDS = (0.5, 0.6, 0.7, 0.74, 0.75, 0.76, 0.77, 0.78, 0.8, 0.85, 0.9, 0.95)


class Learned:
    """A logistic model and boosted trees over the features; their log odds are averaged."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        scaler = StandardScaler().fit(features)
        line = LogisticRegression(C=0.3, max_iter=2000).fit(scaler.transform(features), labels, sample_weight=weights)
        self.coefficients = line.coef_[0] / scaler.scale_
        self.intercept = float(line.intercept_[0] - self.coefficients @ scaler.mean_)
        self.trees = HistGradientBoostingClassifier(
            max_iter=100, learning_rate=0.07, max_depth=4, min_samples_leaf=20, l2_regularization=3, max_features=0.5,
            random_state=SEED,
        ).fit(features, labels, sample_weight=weights)  # fmt: skip

    def log_odds(self, features: np.ndarray) -> np.ndarray:
        """Return the averaged log odds, not calibrated yet."""
        return (features @ self.coefficients + self.intercept + self.trees.decision_function(features)) / 2

    def exported(self) -> dict:
        """Return the weights as learned.py reads them."""
        return {
            "intercept": round(self.intercept, DIGITS),
            "coefficients": [round(float(value), DIGITS) for value in self.coefficients],
            "trees_start": round(float(self.trees._baseline_prediction.item()), DIGITS),  # noqa: SLF001 - no public name
            "trees": [_tree(predictors[0].nodes) for predictors in self.trees._predictors],  # noqa: SLF001 - as above
        }


def _tree(nodes: np.ndarray) -> list[list]:
    leaves = nodes["is_leaf"].astype(bool)
    return [
        [-1 if leaf else int(feature) for leaf, feature in zip(leaves, nodes["feature_idx"], strict=True)],
        [
            0 if leaf else round(float(value), DIGITS)
            for leaf, value in zip(leaves, nodes["num_threshold"], strict=True)
        ],
        [0 if leaf else int(left) for leaf, left in zip(leaves, nodes["left"], strict=True)],
        [0 if leaf else int(right) for leaf, right in zip(leaves, nodes["right"], strict=True)],
        [round(float(value), DIGITS) if leaf else 0 for leaf, value in zip(leaves, nodes["value"], strict=True)],
    ]


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    pairs = read(arguments.data, FOLDS)
    similarities = similarities_of(pairs)
    found = [_measured(pair, similarity) for pair, similarity in zip(pairs, similarities, strict=True)]
    features, vetoes = np.array([each for each, _ in found]), [veto for _, veto in found]
    labels = np.array([pair.is_same for pair in pairs])
    weights = np.array([WEIGHTS[pair.source] for pair in pairs])

    unseen = _unseen(pairs, features, labels, weights)
    slope, offset = _calibration(pairs, unseen, labels, np.array(vetoes))
    scores = 1 / (1 + np.exp(-(slope * unseen + offset)))
    model = Learned(features, labels, weights).exported()
    target = Path(str(files("penstock_cache.domain.guard"))) / "weights.json"
    written = {"features": NAMES, "slope": slope, "offset": offset, **model}
    target.write_text(json.dumps(written, separators=(",", ":")) + "\n", encoding="utf-8")

    judged = [
        JudgedPair(pair.kind, pair.is_same, min(score, VETOED_SCORE) if veto else float(score), veto, float(similarity))
        for pair, score, veto, similarity in zip(pairs, scores, vetoes, similarities, strict=True)
    ]
    report = _report(pairs, judged, ~np.isnan(unseen))
    if arguments.report:
        arguments.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for threshold in THRESHOLDS:
        print(threshold, {name: _brief(values) for name, values in report["thresholds"][str(threshold)].items()})


def _measured(pair: Pair, similarity: float) -> tuple[list[float], bool]:
    whole, core = compare(tidy(pair.stored), tidy(pair.asked))
    found = objections(whole, core)
    return features_of(whole, core, found, similarity), bool(found)


def _unseen(pairs: Sequence[Pair], features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return each pair's log odds by a model that saw nothing of its groups; NaN where a pair's groups span folds."""
    unseen = np.full(len(pairs), np.nan)
    for fold in range(FOLDS):
        seen = np.array([fold not in pair.groups for pair in pairs])
        judged = np.array([pair.groups == (fold,) for pair in pairs])
        unseen[judged] = Learned(features[seen], labels[seen], weights[seen]).log_odds(features[judged])
    return unseen


def _calibration(
    pairs: Sequence[Pair], log_odds: np.ndarray, labels: np.ndarray, vetoes: np.ndarray
) -> tuple[float, float]:
    """Fit Platt's slope and offset on unseen pairs that no rule forbids, right and wrong ones weighing the same."""
    kept = np.array([pair.source != "neighbour" for pair in pairs]) & ~vetoes
    fit = LogisticRegression(C=1e6, class_weight="balanced").fit(log_odds[kept, None], labels[kept])
    return round(float(fit.coef_[0, 0]), DIGITS), round(float(fit.intercept_[0]), DIGITS)


def _report(pairs: Sequence[Pair], judged: Sequence[JudgedPair], known: np.ndarray) -> dict:
    sources: dict[str, list[JudgedPair]] = {}
    for pair, verdict, is_known in zip(pairs, judged, known, strict=True):
        if is_known:
            sources.setdefault(pair.source, []).append(verdict)
    return {
        "thresholds": {
            str(threshold): {name: figures_of(found, guarded(threshold))._asdict() for name, found in sources.items()}
            for threshold in THRESHOLDS
        },
        "by_kind": {
            str(threshold): {
                kind: each._asdict() for kind, each in by_kind(sources["development"], guarded(threshold)).items()
            }
            for threshold in THRESHOLDS
        },
        "cosine": {
            str(threshold): figures_of(sources["development"], bare(threshold))._asdict()
            for threshold in (0.8, 0.9, 0.95)
        },
        "cosine_by_kind": {kind: each._asdict() for kind, each in by_kind(sources["development"], bare(0.8)).items()},
    }


def _brief(values: dict) -> str:
    def percent(ratio: float | None) -> str:
        return "–" if ratio is None else f"{ratio:.1%}"

    return (
        f"hits {values['hits']}, served true {percent(values['served_true_ratio'])}, false of hits"
        f" {percent(values['false_of_hits_ratio'])}, served false {percent(values['served_false_ratio'])}"
    )


if __name__ == "__main__":
    main()
