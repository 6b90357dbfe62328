"""Learn the weights of the built-in reranker from questions with their relevant documents.

    .venv/bin/python tools/train_reranker/train.py CORPUS QUERIES [--also QUERIES] [--output FILE]

Documents are indexed and searched by the product's own parts. Each question's candidates are compared in pairs, better ones
against worse ones (RankNet's loss, linear, with a quadratic penalty). What is reported is held out by subject: no document
or sibling of a judged question was learned from.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from penstock_common.configuration import Configuration
from penstock_common.contract.knowledge import SearchOptions
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_embedding.domain.retrieval.features import NAMES, features_of
from penstock_embedding.domain.retrieval.learned import Weights
from penstock_embedding.domain.retrieval.reranking import Passage
from penstock_embedding.domain.retrieval.search import Searcher
from penstock_suite.app.retrieval_evaluation import built, opened, read
from penstock_suite.app.retrieval_index import BASE, TENANT
from penstock_suite.domain.retrieval_dataset import Question, read_corpus, read_queries, subjects_of
from penstock_suite.domain.retrieval_evaluation import Ranked, judged

SPLITTERS = ("auto", "recursive:96", "auto:256")
FOLDS = 8
SEED = 13
STEPS = 400
RATE = 0.05
PENALTIES = (1.0, 3.0, 10.0)
# A passage of the right document that does not hold the answer.
BESIDE = 0.5
TAG = re.compile(r"<[^>]*>|\|")
OUTPUT = Path("services/embedding/penstock_embedding/domain/retrieval/reranker.json")

Matrix = npt.NDArray[np.float64]


class Spanned(msgspec.Struct, frozen=True):
    """The part of a question's line that says where the answer stands."""

    query: str
    relevant: list[dict[str, Any]]


class Case(NamedTuple):
    """A question with its candidates: features, grades, their documents; and its subject."""

    question: Question
    features: Matrix
    grades: Matrix
    documents: Sequence[str]
    subject: str


class Recorder:
    """A reranker that keeps what it is asked."""

    name = "recorder"

    def __init__(self) -> None:
        self.passages: Sequence[Passage] = ()

    async def scores(self, query: str, passages: Sequence[Passage], deadline: float | None) -> list[float]:
        """Keep the passages."""
        self.passages = passages
        return [0.5] * len(passages)


class Silent:
    """Nobody watches."""

    def stage(self, name: str, steps: int) -> None:
        """Tell what begins."""
        print(name, flush=True)

    def step(self, steps: int = 1) -> None:
        """Say nothing."""


async def gathered(corpus_file: Path, files: Sequence[Path]) -> tuple[dict[str, list[Case]], int]:
    """Return the cases of each splitter, and how many of them are of the first file."""
    corpus = read_corpus(corpus_file)
    questions = [question for file in files for question in read_queries(file, corpus)]
    spans = [one for file in files for one in spans_of(file)]
    subjects, recorder = subjects_of(corpus), Recorder()
    found: dict[str, list[Case]] = {}
    async with AsyncExitStack() as stack:
        parts = await opened(Configuration({}), recorder, Silent(), stack)
        dataset = await read(corpus, questions, parts.progress)
        for splitter in SPLITTERS:
            async with built(parts, dataset, "", splitter) as index:
                found[splitter] = [
                    case_of(question, answers, await candidates(index.searcher, recorder, question), subjects)
                    for question, answers in zip(questions, spans, strict=True)
                ]
    return found, len(read_queries(files[0], corpus))


async def candidates(searcher: Searcher, recorder: Recorder, question: Question) -> Sequence[Passage]:
    """Return what a search would have reranked."""
    options = SearchOptions(mode="hybrid_rerank")
    await searcher.search(SearchRequest(tenant=TENANT, bases=(BASE,), query=question.query, options=options))
    return recorder.passages


def spans_of(file: Path) -> list[dict[str, str]]:
    """Return, for each question, the span that answers in each document."""
    lines = [msgspec.json.decode(line, type=Spanned) for line in file.read_bytes().splitlines() if line.strip()]
    return [{one["doc"]: one.get("answer_span", "") for one in line.relevant} for line in lines]


def case_of(question: Question, spans: dict[str, str], passages: Sequence[Passage], subjects: Any) -> Case:
    """Return what is learned from a question."""
    plain = {document: plain_text(span) for document, span in spans.items() if span}
    holding = {one.document for one in passages if plain.get(one.document, "\0") in plain_text(one.text)}

    def grade(one: Passage) -> float:
        whole = question.grades.get(one.document, 0)
        if not whole or one.document not in holding:
            return float(whole)
        return float(whole) if plain[one.document] in plain_text(one.text) else BESIDE

    first = question.relevant[0].doc
    return Case(
        question,
        np.array(features_of(question.query, passages)),
        np.array([grade(one) for one in passages]),
        [one.document for one in passages],
        subjects.get(first, first),
    )


def learned(cases: Sequence[Case], penalty: float) -> Matrix:
    """Return the weights, by Adam over all pairs."""
    differences: list[Matrix] = []
    importance: list[Matrix] = []
    for case in cases:
        better = [at for at, grade in enumerate(case.grades) if grade > 0]
        for at in better:
            worse = np.flatnonzero(case.grades < case.grades[at])
            if worse.size:
                differences.append(case.features[at] - case.features[worse])
                share = 3 * len(better) * np.sqrt(worse.size) * len(cases)
                importance.append((case.grades[at] - case.grades[worse]) / share)
    spread = np.vstack([case.features for case in cases]).std(0) + 1e-6
    pairs, weight = np.vstack(differences) / spread, np.concatenate(importance)
    values = np.zeros(pairs.shape[1])
    mean, square = np.zeros_like(values), np.zeros_like(values)
    for step in range(1, STEPS + 1):
        slope = -(weight / (1 + np.exp(pairs @ values))) @ pairs + penalty * values / len(cases)
        mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope**2
        values = values - RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return values / spread


def held_out(of_splitters: dict[str, list[Case]], penalty: float) -> dict[str, list[Matrix]]:
    """Return scores of each case by weights that were learned without its subject."""
    subjects = sorted({case.subject for case in of_splitters[SPLITTERS[0]]})
    np.random.default_rng(SEED).shuffle(subjects)
    scores: dict[str, list[Matrix]] = {name: [np.zeros(0)] * len(cases) for name, cases in of_splitters.items()}
    for fold in range(FOLDS):
        out = set(subjects[fold::FOLDS])
        weights = learned([one for cases in of_splitters.values() for one in cases if one.subject not in out], penalty)
        for name, cases in of_splitters.items():
            for at in (at for at, case in enumerate(cases) if case.subject in out):
                scores[name][at] = cases[at].features @ weights
    return scores


def plain_text(text: str) -> str:
    """Return a text without tags and the lines of tables, and with single blanks: spans are of files, passages of what was read."""
    return " ".join(TAG.sub(" ", text).split())


def ranked(case: Case, scores: Matrix) -> Ranked:
    """Return the documents by their best passage."""
    best: dict[str, float] = {}
    for document, score in zip(case.documents, scores.tolist(), strict=True):
        best[document] = max(score, best.get(document, -np.inf))
    return Ranked(tuple(sorted(best, key=lambda one: (-best[one], one))), 0.0)


def calibrated(scores: Matrix, relevant: Matrix) -> tuple[float, float]:
    """Return scale and offset of the logistic that tells how likely a score is right (Platt's, by Newton's steps)."""
    inputs = np.column_stack([scores, np.ones_like(scores)])
    values = np.zeros(2)
    for _ in range(50):
        likely = 1 / (1 + np.exp(-np.clip(inputs @ values, -30, 30)))
        slope = inputs.T @ (relevant - likely) - 1e-3 * values
        curve = (inputs * (likely * (1 - likely))[:, None]).T @ inputs + 1e-3 * np.eye(2)
        values = values + np.linalg.solve(curve, slope)
    return float(values[0]), float(values[1])


def report(cases: Sequence[Case], scores: Sequence[Matrix], count: int, subjects: Any, name: str) -> float:
    """Print what is found of the first file's questions; return nDCG@10."""
    questions = [case.question for case in cases[:count]]
    answers = [ranked(case, one) for case, one in zip(cases[:count], scores[:count], strict=True)]
    quality = judged(questions, {"hybrid+rerank": answers}, subjects)[0]["hybrid+rerank"]
    kinds = ", ".join(f"{kind} {one.ndcg_10:.2f}/{one.hit_1:.2f}" for kind, one in quality.by_kind.items())
    print(f"{name}: nDCG@10 {quality.ndcg_10:.3f}, hit@1 {quality.hit_1:.3f}; {kinds}", flush=True)
    return quality.ndcg_10


def main() -> None:
    """Learn, report what was held out, and write the weights of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--also", type=Path, action="append", default=[], help="further questions to learn from")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    of_splitters, count = asyncio.run(gathered(asked.corpus, [asked.queries, *asked.also]))
    subjects = subjects_of(read_corpus(asked.corpus))
    best: tuple[float, float, dict[str, list[Matrix]]] = (-1.0, 0.0, {})
    for penalty in PENALTIES:
        scores = held_out(of_splitters, penalty)
        quality = [
            report(cases, scores[name], count, subjects, f"penalty {penalty:g}, {name}")
            for name, cases in of_splitters.items()
        ]
        best = max(best, (sum(quality), penalty, scores), key=lambda one: one[0])
    _, penalty, scores = best
    every = [(case, one) for name, cases in of_splitters.items() for case, one in zip(cases, scores[name], strict=True)]
    likely = calibrated(
        np.concatenate([one for _, one in every]),
        np.concatenate([(case.grades > BESIDE).astype(float) for case, _ in every]),
    )
    weights = learned([case for case, _ in every], penalty)
    named = {name: round(float(weight), 4) for name, weight in zip(NAMES, weights, strict=True)}
    revision = hashlib.sha256(msgspec.json.encode(named, order="sorted")).hexdigest()[:8]
    made = Weights(revision, named, round(likely[0], 4), round(likely[1], 4))
    asked.output.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    spread = np.vstack([case.features for case, _ in every]).std(0)
    print({name: round(float(w * s), 2) for name, w, s in zip(NAMES, weights, spread, strict=True)})
    print(f"penalty {penalty:g}; written: {asked.output}")


if __name__ == "__main__":
    main()
