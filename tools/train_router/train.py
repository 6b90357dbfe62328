"""Train the router's classifier, judge it on what it has not seen, and write weights.npz and a report.

`python tools/train_router/train.py DATA [--also FILE] [--output FILE] [--report FILE]`; DATA holds routing_prompts.jsonl (judged by cross-validation)
and routing_prompts_extra.jsonl (training only); this folder's data/ is training only, too, and judged language by language.
Seeded; some ten minutes on one core.
"""

import argparse
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
from vectors import vectors_of

from penstock_router.domain.classification.model import COMPLEXITIES, packed
from penstock_router.domain.classification.training import (
    Labelled,
    Plan,
    at_temperature,
    cross_validated,
    fitted,
    labels_of,
    read_by,
    temperature_of,
    trained,
)

TASKS = ("faq", "code", "reasoning", "internal_docs", "general")
OWN = Path(__file__).parent / "data"
SHIPPED = Path(str(files("penstock_router.domain.classification"))) / "weights.npz"
MEDIUM, SMALL = Plan(members=4), Plan(members=2)
# Left out together: who knows one of them knows something of the others.
FAMILIES = (
    ("de", "nl", "sv"),
    ("fr", "it"),
    ("es", "pt"),
    ("pl", "ru", "uk", "cs"),
    ("zh", "ja", "ko"),
    ("ar", "hi", "tr"),
)
WAYS = ("with vector", "by features alone")


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--also", type=Path, action="append", default=[], help="More prompts, for training only.")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="Where the weights go.")
    parser.add_argument("--name", default="1", help="What the version begins with.")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--only-weights", action="store_true", help="Judge nothing.")
    arguments = parser.parse_args()
    judged = _lines(arguments.data / "routing_prompts.jsonl")
    more = [row for path in [arguments.data / "routing_prompts_extra.jsonl", *arguments.also] for row in _lines(path)]
    own = [row for path in sorted(OWN.glob("*.jsonl")) for row in _lines(path)]
    raw = [*judged, *more, *own]
    vectors = vectors_of([row["prompt"] for row in raw])
    rows = [Labelled(row["prompt"], row["task"], row["complexity"], v) for row, v in zip(raw, vectors, strict=True)]
    model = trained(rows, TASKS, np.arange(len(rows)) < len(judged))
    arguments.output.write_bytes(packed(model, arguments.name))
    print(arguments.output.stat().st_size, "bytes", model.with_vector[-2:], model.without[-2:], flush=True)
    if not arguments.only_weights:
        languages = np.array([row.get("language", "") for row in raw])
        report = {**_development(rows, len(judged), len(own)), "languages": _languages(rows, languages)}
        print(json.dumps(report, indent=1))
        if arguments.report:
            arguments.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _development(rows: list[Labelled], development: int, own: int) -> dict:
    """Cross-validate the development prompts; the others are in training only."""
    found = {}
    for name, kept, plan in (("all", len(rows), MEDIUM), ("without own prompts", len(rows) - own, SMALL)):
        some = rows[:kept]
        judged = np.arange(kept) < development
        unseen = cross_validated(some, TASKS, judged, plan)
        labels = labels_of(some[:development], TASKS)
        for which, joint in zip(WAYS, unseen, strict=True):
            found[f"{name}, {which}"] = figures(joint, labels)
            print(name, which, found[f"{name}, {which}"], flush=True)
    return found


def _languages(rows: list[Labelled], languages: np.ndarray) -> dict:
    """Judge families of languages by models that have seen none of this folder's prompts in them."""
    found = {}
    for family in FAMILIES:
        is_mine = np.isin(languages, family)
        mine = [row for row, left_out in zip(rows, is_mine, strict=True) if left_out]
        others = [row for row, left_out in zip(rows, is_mine, strict=True) if not left_out]
        labels = labels_of(mine, TASKS)
        both = read_by(fitted(others, TASKS, SMALL), mine)
        found[" ".join(family)] = {"prompts": len(mine)} | {
            which: figures(joint, labels) for which, joint in zip(WAYS, both, strict=True)
        }
        print(family, found[" ".join(family)], flush=True)
    return found


def figures(joint: np.ndarray, labels: np.ndarray) -> dict:
    """Return accuracies, and calibration errors; temperatures are those of the other half of the rows."""
    return {
        "task": _judged(joint.sum(axis=2), labels // len(COMPLEXITIES)),
        "complexity": _judged(joint.sum(axis=1), labels % len(COMPLEXITIES)),
    }


def _judged(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    half = np.arange(len(labels)) % 2 == 0
    sure = np.empty_like(probabilities)
    for judged in (half, ~half):
        sure[judged] = at_temperature(probabilities[judged], temperature_of(probabilities[~judged], labels[~judged]))
    right = sure.argmax(axis=1) == labels
    confidence = sure.max(axis=1)
    surest = np.argsort(-confidence)[: round(0.9 * len(labels))]
    return {
        "accuracy": round(float(right.mean()), 4),
        "calibration_error": round(calibration_error(confidence, right), 4),
        "accuracy_of_the_surest_90_percent": round(float(right[surest].mean()), 4),
    }


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error over ten bins of equal width."""
    bins = np.minimum((confidence * 10).astype(int), 9)
    return sum(
        (bins == each).mean() * abs(confidence[bins == each].mean() - right[bins == each].mean())
        for each in np.unique(bins)
    )


if __name__ == "__main__":
    main()
