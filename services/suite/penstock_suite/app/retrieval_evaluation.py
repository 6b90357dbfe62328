"""`penstock eval retrieval`: documents and questions through the real parts, built in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from penstock_common.configuration import Configuration
from penstock_common.contract.knowledge import SearchMode, SearchOptions, Splitter
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_common.errors import PenstockError
from penstock_common.points.opening import open_points
from penstock_common.points.store import Engine
from penstock_common.rpc.client import Channel
from penstock_common.sections import Qdrant
from penstock_embedding.adapters.parsing.parser import SandboxedParser
from penstock_embedding.adapters.rerank import open_reranker
from penstock_embedding.app.models import counters_of, found_models
from penstock_embedding.domain.chunking.chunker import StructureChunker
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import Parsed
from penstock_embedding.domain.retrieval.analysis import ANALYSIS_VERSION
from penstock_embedding.domain.retrieval.bounds import SearchLimits
from penstock_embedding.domain.retrieval.ranking import DENSE_WEIGHT, FUSION_RANKS, SPARSE_WEIGHT
from penstock_embedding.domain.retrieval.reranking import Reranker
from penstock_embedding.domain.retrieval.search import Searcher
from penstock_embedding.settings import EmbeddingSettings, Settings
from penstock_suite.app.plan import load
from penstock_suite.app.retrieval_index import (
    BASE,
    TENANT,
    EvaluatedModel,
    EvaluationIndex,
    OneModel,
    cut_all,
    read_all,
)
from penstock_suite.app.wiring import Wiring
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.requests import RetrievalEvaluationRequest, Role
from penstock_suite.domain.retrieval_dataset import (
    CorpusDocument,
    Question,
    digest_of,
    read_corpus,
    read_queries,
    subjects_of,
)
from penstock_suite.domain.retrieval_evaluation import Ranked, RetrievalEvaluation, Run, judged

_MODES: Mapping[str, SearchMode] = {
    "dense": "dense",
    "sparse": "sparse",
    "hybrid": "hybrid",
    "hybrid+rerank": "hybrid_rerank",
}
_DEPTH = 10
_MOST_SIZES = 2
# Loads of a machine must not change what is found.
_PATIENT = SearchLimits(leg_timeout=60.0, rerank_timeout=120.0)
_PATIENT_STORE = {"timeout": "60s", "write_timeout": "60s"}


class Progress(Protocol):
    """Who watches."""

    def stage(self, name: str, steps: int) -> None:
        """Hear what begins, and how many steps it has."""
        ...

    def step(self, steps: int = 1) -> None:
        """Hear that some are done."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What every run uses."""

    channel: Channel
    settings: EmbeddingSettings
    reranker: Reranker
    progress: Progress


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is judged by; documents as they were read."""

    corpus: Sequence[CorpusDocument]
    questions: Sequence[Question]
    read: Mapping[str, Parsed]
    left_out: Mapping[str, str]


async def evaluate_retrieval(request: RetrievalEvaluationRequest, progress: Progress) -> RetrievalEvaluation:
    """Return what was found of the questions; nothing is left behind.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        Misconfigured: if the corpus or the questions cannot be used, with the line, or a splitter cannot.
    """
    corpus = read_corpus(request.corpus)
    questions = read_queries(request.queries, corpus)
    written = load(request.selection)
    configuration = Configuration({"embedding": written.document.get("embedding") or {}}, written.source)
    async with AsyncExitStack() as stack:
        reranker = await open_reranker(request.reranker, stack)
        parts = await opened(configuration, reranker, progress, stack)
        dataset = await read(corpus, questions, progress)
        names = request.models or ("",)
        wanted = [(model, splitter) for model in names for splitter in request.splitters or ("auto",)]
        runs = [await _run(parts, dataset, model, splitter, request.modes) for model, splitter in wanted]
    return RetrievalEvaluation(
        modes=runs[0].modes,
        runs=runs,
        documents=len(corpus),
        queries=len(questions),
        qrels=digest_of(questions),
        setting={
            "corpus": request.corpus.name,
            "queries": request.queries.name,
            "reranker": reranker.name,
            "analysis": ANALYSIS_VERSION,
            "fusion": {"ranks": FUSION_RANKS, "dense": DENSE_WEIGHT, "sparse": SPARSE_WEIGHT},
            "depth": _DEPTH,
        },
    )


async def opened(configuration: Configuration, reranker: Reranker, progress: Progress, stack: AsyncExitStack) -> Parts:
    """Return the parts, with the embedding service of the configuration in this process until the stack is left."""
    channel = await Wiring(configuration, {Role.EMBEDDING: None}, stack).channel(Role.EMBEDDING)
    return Parts(channel, configuration.settings(Settings).embedding, reranker, progress)


async def read(corpus: Sequence[CorpusDocument], questions: Sequence[Question], progress: Progress) -> Dataset:
    """Return the documents as they are read in processes apart."""
    progress.stage("reading", 1)
    async with SandboxedParser.open(ParsingLimits()) as parser:
        parsed, left_out = await read_all(parser, corpus)
    progress.step()
    return Dataset(corpus, questions, parsed, left_out)


@dataclass(frozen=True, slots=True)
class Built:
    """An index that can be searched."""

    searcher: Searcher
    model: EvaluatedModel
    chunks: int


@asynccontextmanager
async def built(parts: Parts, dataset: Dataset, name: str, splitter: str) -> AsyncGenerator[Built, None]:
    """Yield an index of the documents that is searched with the model and the splitter of these names.

    Raises:
        Misconfigured: if there is no such model, or the splitter asks for what it does not take.
    """
    model = await _model(parts, name)
    wanted = splitter_of(splitter)
    try:
        cut = await cut_all(dataset.corpus, dataset.read, StructureChunker(), wanted, model)
    except PenstockError as error:
        raise Misconfigured(f"--splitter {splitter}: {error}") from None
    async with _store() as engine:
        index = EvaluationIndex(engine, model)
        parts.progress.stage(f"{model.name}, {splitter}: documents", len(cut))
        await index.fill(1, wanted, cut, parts.progress.step)
        yield Built(Searcher(index, index.vectors, OneModel(model), parts.reranker, _PATIENT), model, index.size)


async def _run(parts: Parts, dataset: Dataset, name: str, splitter: str, modes: Sequence[str]) -> Run:
    began = time.monotonic()
    async with built(parts, dataset, name, splitter) as index:
        ranked: dict[str, list[Ranked]] = {}
        for mode in modes:
            parts.progress.stage(f"{index.model.name}, {splitter}: {mode}", len(dataset.questions))
            ranked[mode] = [await _ask(index.searcher, one, mode, parts.progress) for one in dataset.questions]
    qualities, gains = judged(dataset.questions, ranked, subjects_of(dataset.corpus))
    return Run(
        model=index.model.name,
        model_revision=await index.model.revision(),
        splitter=splitter,
        chunks=index.chunks,
        modes=qualities,
        gains=gains,
        left_out=dict(dataset.left_out),
        seconds=round(time.monotonic() - began, 1),
    )


async def _ask(searcher: Searcher, question: Question, mode: str, progress: Progress) -> Ranked:
    options = SearchOptions(mode=_MODES[mode], limit=_DEPTH, max_per_document=1)
    request = SearchRequest(tenant=TENANT, bases=(BASE,), query=question.query, options=options)
    began = time.perf_counter()
    try:
        result = await searcher.search(request)
    except PenstockError as error:
        raise SuiteFailure(f"question {question.id or question.query!r}: {error}") from error
    progress.step()
    documents = tuple(hit.chunk.document for hit in result.hits)
    return Ranked(documents, (time.perf_counter() - began) * 1000, tuple(result.degraded))


async def _model(parts: Parts, name: str) -> EvaluatedModel:
    named = name or parts.settings.model
    counters = counters_of(await asyncio.to_thread(found_models, parts.settings))
    if named not in counters:
        raise Misconfigured(
            f"--model {named}: the configuration has {', '.join(counters)}; others go to embedding.models"
        )
    return await EvaluatedModel.reached(parts.channel, named, counters[named])


@asynccontextmanager
async def _store() -> AsyncGenerator[Engine, None]:
    with TemporaryDirectory(prefix="penstock-evaluation-") as folder:
        settings: dict[str, Any] = {"path": Path(folder) / "vectors", **_PATIENT_STORE}
        async with open_points(Qdrant.model_validate(settings)) as engine:
            yield engine


def splitter_of(text: str) -> Splitter:
    """Return the splitter of `KIND[:MAX_TOKENS[:OVERLAP_TOKENS]]`.

    Raises:
        Misconfigured: if it is not of this form.
    """
    kind, *sizes = text.split(":")
    if kind not in ("auto", "recursive", "markdown", "html", "code", "table") or len(sizes) > _MOST_SIZES:
        raise Misconfigured(
            f"--splitter {text}: write auto, recursive, markdown, html, code or table, and perhaps "
            ":MAX_TOKENS[:OVERLAP_TOKENS] behind it"
        )
    if not all(size.isascii() and size.isdigit() for size in sizes):
        raise Misconfigured(f"--splitter {text}: sizes are whole numbers of tokens")
    numbers = [int(size) for size in sizes]
    return Splitter(kind, numbers[0] if numbers else 0, numbers[1] if len(numbers) > 1 else None)
