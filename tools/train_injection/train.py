"""Train the classifier of prompt injection, judge it on what it has not seen, and write its weights and a report.

`python tools/train_injection/train.py DATA [--report FILE] [--output FILE]`; DATA holds injection.jsonl (judged), and texts of other
sets that are benign here. Seeded. Needs scikit-learn, numpy and scipy beside the project's packages.
"""

import argparse
import json
import random
from collections import defaultdict
from importlib.resources import files
from pathlib import Path
from zlib import crc32

import numpy as np
from generate import Text, from_slots, hand_written, in_disguise
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from penstock_gateway.domain.guardrails.injection.classifier import SHARED, STRONG, packed
from penstock_gateway.domain.guardrails.injection.detector import CERTAIN
from penstock_gateway.domain.guardrails.injection.features import SLOTS, slots
from penstock_gateway.domain.guardrails.injection.finding import Surface
from penstock_gateway.domain.guardrails.injection.folding import folded
from penstock_gateway.domain.guardrails.injection.reading import read
from penstock_gateway.domain.guardrails.injection.rules import AGREEING, agreeing

SHIPPED = Path(str(files("penstock_gateway.domain.guardrails.injection"))) / "weights.bin"
SEED = 20
PER_GRAMMAR = 220
FOLDS = 5
STRENGTH = 0.5
# Of hand-written and development texts that are harmless, as models say that have not seen them.
FALSE_ALARMS = 0.015
WEIGHTS = {"hand": 2.0, "slots": 0.5, "disguise": 0.5, "other sets": 0.7, "development": 2.0}


class Row:
    """A text and the features of its pieces."""

    def __init__(self, text: Text, marked: str = "") -> None:
        self.text = text
        parts = read(text.text).parts
        surface = Surface(text.surface)
        self.undone = [part.undone for part in parts]
        self.holds = [not marked or marked in part.text for part in parts]
        self.features, self.agreeing = [], []
        self.is_certain = any(len(said.split()) > 2 for _, _, said in folded(text.text).hidden)
        for part in parts:
            seen = part.seen(surface)
            self.agreeing.append(agreeing(seen.matches) >= AGREEING)
            self.is_certain |= any(match.name in CERTAIN for match in seen.matches)
            share = SHARED / max(len(seen.shared), 1) ** 0.5
            held = dict.fromkeys(slots(seen.whole), 1.0) | dict.fromkeys(slots(seen.strong), STRONG)
            for slot in slots(seen.shared):
                held[slot] = held.get(slot, 0.0) + share
            self.features.append(held)

    def for_training(self):
        """Yield the pieces that have the text's label."""
        for held, undone, holds in zip(self.features, self.undone, self.holds, strict=True):
            if not self.text.is_attack or (
                holds and (undone or self.text.source != "disguise" or not any(self.undone))
            ):
                yield held


def matrix(rows):
    """Return the sparse matrix of features."""
    indptr, indices, data = [0], [], []
    for held in rows:
        indices.extend(held)
        data.extend(held.values())
        indptr.append(len(indices))
    return csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, SLOTS), dtype=np.float32)


class Set:
    """Rows with their matrix, made once."""

    def __init__(self, rows):
        self.rows = rows
        self.all = matrix(held for row in rows for held in row.features)
        self.bounds = np.cumsum([0, *(len(row.features) for row in rows)])
        train, labels, weights, owner = [], [], [], []
        for number, row in enumerate(rows):
            mine = list(row.for_training())
            train += mine
            labels += [row.text.is_attack] * len(mine)
            weights += [WEIGHTS[row.text.source] / (len(mine) ** 0.5 if mine else 1)] * len(mine)
            owner += [number] * len(mine)
        self.train, self.labels = matrix(train), np.array(labels)
        self.weights, self.owner = np.array(weights), np.array(owner)

    def fit(self, keep):
        """Return a model of the rows that are kept."""
        chosen = keep[self.owner]
        labels, weights = self.labels[chosen], self.weights[chosen].copy()
        # Attacks and benign texts weigh the same, however many there are.
        weights[labels] *= 0.5 / weights[labels].sum()
        weights[~labels] *= 0.5 / weights[~labels].sum()
        model = LogisticRegression(C=STRENGTH, solver="liblinear", max_iter=200)
        return model.fit(self.train[chosen], labels, weights * chosen.sum())

    def scores(self, model, which, threshold=None):
        """Return each text's log odds: those of the worst piece; with a threshold, as the detector lifts them."""
        raw = self.all @ model.coef_[0].astype(np.float32) + model.intercept_[0]
        if threshold is not None:
            agree = np.array([each for row in self.rows for each in row.agreeing])
            raw = np.where(agree & (raw >= 0), np.maximum(raw, threshold), raw)
            certain = np.array([row.is_certain for row in self.rows for _ in row.features])
            raw = np.where(certain, np.inf, raw)
        return np.array([raw[self.bounds[n] : self.bounds[n + 1]].max() for n in np.flatnonzero(which)])


def development(data):
    """Return the development texts; of a long attack, the passage that holds it is known by its name."""
    rows = []
    for line in (data / "injection.jsonl").read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        text = Text(one["text"], one["label"] == "attack", one["kind"], one["surface"], "development", one["id"])
        marked = ""
        if one["long"] and text.is_attack:
            passages = [p for p in one["text"].split("\n\n") if "file-" in p[:20]]
            marked = passages[0].split("\n", 1)[1][:60] if passages else ""
        rows.append(Row(text, marked))
    return rows


def other_sets(data, random_):
    """Return texts of sets that were made for something else: benign, as far as their authors know."""
    texts = []
    for name, key, surface, count in (
        ("routing_prompts_extra.jsonl", "prompt", "user", 821),
        ("routing_prompts.jsonl", "prompt", "user", 400),
        ("semantic_pairs_extra.jsonl", "a", "user", 300),
        ("semantic_pairs.jsonl", "b", "user", 200),
        ("grounding.jsonl", "answer", "output", 120),
        ("retrieval/corpus.jsonl", "text", "document", 160),
        ("retrieval/corpus.jsonl", "text", "tool_output", 60),
    ):
        rows = [json.loads(line) for line in (data / name).read_text(encoding="utf-8").splitlines()]
        for number, row in enumerate(random_.sample(rows, min(count, len(rows)))):
            texts.append(Text(row[key], False, "other sets", surface, "other sets", f"{name}:{number}"))
    return texts


def figures(rows, scores, threshold):
    """Return recall and false alarms at a threshold, and what they are by kind."""
    attack = np.array([row.text.is_attack for row in rows])
    hit = scores >= threshold
    order = scores.argsort().argsort()
    auc = (order[attack].sum() - attack.sum() * (attack.sum() - 1) / 2) / (attack.sum() * (~attack).sum())
    by_kind = defaultdict(lambda: [0, 0])
    for row, flagged in zip(rows, hit, strict=True):
        by_kind[f"{'attack' if row.text.is_attack else 'benign'} {row.text.kind}"][0] += int(flagged)
        by_kind[f"{'attack' if row.text.is_attack else 'benign'} {row.text.kind}"][1] += 1
    return {
        "recall": round(float(hit[attack].mean()), 4),
        "false_alarms": round(float(hit[~attack].mean()), 4),
        "auc": round(float(auc), 4),
        "by_kind": {kind: f"{n}/{of}" for kind, (n, of) in sorted(by_kind.items())},
    }


def at_rate(benign, rate):
    """Return the lowest threshold with at most this share of benign scores at or above it."""
    ordered = np.sort(benign)[::-1]
    return float(np.nextafter(ordered[int(rate * len(ordered))], np.inf))


def out_of_fold(texts, judged, keep, threshold=None):
    """Return the scores of judged texts by models that have seen neither them nor what was made of them."""
    groups = np.array([crc32(row.text.group.encode()) % FOLDS for row in texts.rows])
    scores = np.full(len(texts.rows), np.nan)
    for fold in range(FOLDS):
        model = texts.fit(keep & (groups != fold))
        which = judged & (groups == fold)
        scores[which] = texts.scores(model, which, threshold)
    return scores[judged]


def report(texts, threshold):
    """Return figures of what models say that have not seen the texts."""
    rows = texts.rows
    source = np.array([row.text.source for row in rows])
    is_development, is_rewritten = source == "development", np.array(["rewritten" in row.text.group for row in rows])
    honest = ~is_rewritten
    judged = [row for row in rows if row.text.source == "development"]
    held_out = texts.scores(texts.fit(honest & ~is_development), is_development, threshold)
    found = {"development held out": figures(judged, held_out, threshold)}
    folds = out_of_fold(texts, is_development, honest, threshold)
    found["development, five folds"] = figures(judged, folds, threshold)
    for name, scores in (("development held out", held_out), ("development, five folds", folds)):
        benign = np.array([not row.text.is_attack for row in judged])
        found[name]["recall at false alarms"] = {
            str(rate): round(float((scores[~benign] >= at_rate(scores[benign], rate)).mean()), 4)
            for rate in (0.0, 0.0084, 0.02, 0.05)
        }
    return found


def everything(data, random_):
    """Return all texts with their features: hand-written, of slots, in disguise, of other sets, development."""
    hand, slots_ = hand_written(), from_slots(random_, PER_GRAMMAR)
    own = [Row(text) for text in [*hand, *slots_, *in_disguise(hand + slots_, random_, 350)]]
    return [*own, *(Row(text) for text in other_sets(data, random_)), *development(data)]


def trained(texts):
    """Return the model of all texts, the threshold as a probability, and what out of folds it finds at it."""
    keep = np.ones(len(texts.rows), bool)
    hard = np.array([row.text.source in {"hand", "development"} for row in texts.rows])
    scores = out_of_fold(texts, hard, keep)
    benign = np.array([not row.text.is_attack for row, is_hard in zip(texts.rows, hard, strict=True) if is_hard])
    threshold = at_rate(scores[benign], FALSE_ALARMS)
    judged = {
        "recall": round(float((scores[~benign] >= threshold).mean()), 4),
        "false_alarms": round(float((scores[benign] >= threshold).mean()), 4),
        "threshold": round(threshold, 4),
    }
    return texts.fit(keep), float(1 / (1 + np.exp(-threshold))), judged


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, default=SHIPPED)
    parser.add_argument("--name", default="1", help="What the version begins with.")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--only-weights", action="store_true", help="Judge nothing but what the threshold needs.")
    arguments = parser.parse_args()
    texts = Set(everything(arguments.data, random.Random(SEED)))
    model, threshold, judged = trained(texts)
    content = packed(
        [float(weight) for weight in model.coef_[0]], float(model.intercept_[0]), threshold, arguments.name
    )
    arguments.output.write_bytes(content)
    counts = defaultdict(int)
    for row in texts.rows:
        counts[f"{row.text.source}, {'attack' if row.text.is_attack else 'benign'}"] += 1
    found = {"texts": dict(counts), "hand-written and development, five folds": judged}
    if not arguments.only_weights:
        found |= report(texts, float(np.log(threshold / (1 - threshold))))
    print(json.dumps(found, indent=1))
    if arguments.report:
        arguments.report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
