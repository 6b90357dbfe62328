"""Trains the detector of names: first how names look, then what stands around them. Seeded; writes the weights."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from zlib import crc32

import numpy as np
from corpus import Filler, Names, made, names_by_locale, word_lists
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier

from penstock_gateway.domain.guardrails.pii.features import around, features_of, may_be_a_name
from penstock_gateway.domain.guardrails.pii.likeness import (
    CONTEXT_BITS,
    VERSION,
    WORD_BITS,
    Weights,
    grams,
    packed,
    weights_from,
)
from penstock_gateway.domain.guardrails.pii.rules import found_by_rules
from penstock_gateway.domain.guardrails.pii.scanned import Scanned
from penstock_gateway.domain.guardrails.pii.tokens import tokens_of

_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "ru")
_COMMON = 25_000
# A step of a weight of eight bits.
_STEPS = 127


def common_words() -> dict[str, list[str]]:
    """Return the frequent words of each language that a dictionary knows; of German, nouns with their capitals."""
    import simplemma
    from wordfreq import top_n_list

    found: dict[str, list[str]] = {}
    for language in _LANGUAGES:
        words: list[str] = []
        for word in top_n_list(language, _COMMON):
            if not word.isalpha() or not simplemma.is_known(word, language):
                continue
            lemma = simplemma.lemmatize(word, language) if language == "de" else word
            words.append(word.capitalize() if language == "de" and lemma[:1].isupper() else word)
        found[language] = words
    return found


def learned_words(locales: dict[str, Names], common: dict[str, list[str]]) -> tuple[list[str], list[int], list[float]]:
    """Return words with their class (0 ordinary, 1 name, 2 place or brand) and how much each counts."""
    counts: dict[str, int] = {}
    for names in locales.values():
        for name in {part.lower() for one in (*names.first, *names.last) for part in (one, *one.split())}:
            counts[name] = counts.get(name, 0) + 1
    words, classes, weights = list(counts), [1] * len(counts), [1 + 0.5 * min(4, counts[one]) for one in counts]
    lists = word_lists()
    for listed in common.values():
        for rank, word in enumerate(listed):
            words.append(word.lower())
            classes.append(0)
            weights.append(3.0 if rank < 1500 else 1.2 if rank < 8000 else 0.6)
    for kind in ("brands", "places"):
        for word in lists[kind]:
            words.append(word.lower())
            classes.append(2)
            weights.append(4.0)
    for kind in ("german", "english", "days", "company_heads", "acronyms", "nationalities"):
        for word in lists[kind]:
            words.append(word.lower())
            classes.append(0)
            weights.append(2.0)
    return words, classes, weights


def letters(words: list[str], classes: list[int], weights: list[float]) -> tuple[dict[str, float], list[bytes]]:
    """Return the tables of letters: names against words, places and brands against words."""
    mask = (1 << WORD_BITS) - 1
    rows, columns, values = [], [], []
    for row, word in enumerate(words):
        features = grams(word)
        rows += [row] * len(features)
        columns += [feature & mask for feature in features]
        values += [1.0, *[(len(features) - 1) ** -0.5] * (len(features) - 1)]
    matrix = csr_matrix((values, (rows, columns)), shape=(len(words), 1 << WORD_BITS), dtype=np.float32)
    kinds, counted = np.array(classes), np.array(weights)
    head: dict[str, float] = {}
    tables: list[bytes] = []
    for name, positive in (("name", 1), ("other", 2)):
        chosen = kinds >= 0 if positive == 1 else kinds != 1
        model = SGDClassifier(
            "log_loss", alpha=3e-7 if positive == 1 else 1e-5, max_iter=20, average=True, tol=None, random_state=17
        )
        balance = np.where(kinds == positive, 1.0 if positive == 1 else 12.0, 1.0)
        model.fit(matrix[chosen], kinds[chosen] == positive, sample_weight=(counted * balance)[chosen])
        table, scale = quantised(model.coef_[0])
        head |= {f"{name}_scale": scale, f"{name}_bias": float(model.intercept_[0])}
        tables.append(table)
    return head, tables


def quantised(weights: np.ndarray) -> tuple[bytes, float]:
    """Return weights as eight bits, and the scale."""
    scale = float(np.percentile(np.abs(weights[weights != 0]), 99.98)) / _STEPS
    return np.clip(np.round(weights / scale), -_STEPS, _STEPS).astype(np.int8).tobytes(), scale


def examples(
    texts: list[tuple[str, list[tuple[int, int]]]], weights: Weights, dice: random.Random
) -> tuple[csr_matrix, np.ndarray]:
    """Return the features of each word that is judged, and whether it is part of a name."""
    mask = (1 << CONTEXT_BITS) - 1
    rows, columns, labels = [], [], []
    for text, spans in texts:
        scanned = Scanned(text)
        known = found_by_rules(scanned)
        tokens = tokens_of(scanned.text, known)
        all_ = around(scanned.text, tokens, known, weights)
        tagged = "o"
        for place, token in enumerate(tokens):
            is_name = any(start <= token.start and token.end <= end for start, end in spans)
            if may_be_a_name(all_, place):
                features = features_of(all_, place, tagged if dice.random() > 0.05 else dice.choice("oN"))
                # Words of templates are few: without them the rest has to tell, too.
                kept = [one for one in features if one[0] not in "pbPxX" or dice.random() > 0.45]
                rows += [len(labels)] * len(kept)
                columns += [crc32(one.encode()) & mask for one in kept]
                labels.append(is_name)
            tagged = "N" if is_name else "o"
    shape = (len(labels), 1 << CONTEXT_BITS)
    return csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape), np.array(labels)


def unnamed(folder: Path) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return the router's training prompts in Latin and Cyrillic script: they hold hardly a private person."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        if path.stem in {"chinese", "japanese"}:
            continue
        found += [(json.loads(line)["prompt"], []) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return found


def split(locales: dict[str, Names], dice: random.Random) -> dict[str, Names]:
    """Return seven names of ten, so that contexts are learned with names that the letters have not seen."""
    return {
        locale: Names(
            [one for one in names.first if dice.random() < 0.7], [one for one in names.last if dice.random() < 0.7]
        )
        for locale, names in locales.items()
    }


def main() -> None:
    """Train, and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=26_000)
    parser.add_argument("--prompts", type=Path, required=True, help="tools/train_router/data")
    parser.add_argument("--threshold", type=float, default=-0.5, help="log-odds from which a word is a name")
    parser.add_argument("--threshold-alone", type=float, default=2.0, help="the same where nothing else was found")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    dice = random.Random(17)
    locales, common = names_by_locale(), common_words()
    fewer = split(locales, dice)
    head, tables = letters(*learned_words(fewer, common))
    empty = {"context_scale": 0.0, "context_bias": 0.0, "threshold": given.threshold, "version": VERSION}
    partial = weights_from(packed(head | empty, [*tables, bytes(1 << CONTEXT_BITS)]))
    texts = made(Filler(locales, common, dice), given.texts) + unnamed(given.prompts) * 2
    matrix, labels = examples(texts, partial, dice)
    model = SGDClassifier("log_loss", alpha=2e-5, max_iter=14, tol=None, random_state=3, average=True)
    model.fit(matrix, labels)
    context, scale = quantised(model.coef_[0])
    head, tables = letters(*learned_words(locales, common))
    head |= {
        "context_scale": scale,
        "context_bias": float(model.intercept_[0]),
        "threshold": given.threshold,
        "threshold_alone": given.threshold_alone,
        "version": VERSION,
    }
    given.output.write_bytes(packed(head, [*tables, context]))
    print(
        f"{len(texts)} texts, {len(labels)} words, {labels.mean():.1%} of names; {given.output.stat().st_size:,} bytes"
    )


if __name__ == "__main__":
    main()
