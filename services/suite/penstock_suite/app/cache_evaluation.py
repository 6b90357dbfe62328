"""`penstock eval cache`: pairs of questions through the real cache, built in this process over a folder that goes with it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from penstock_common.configuration import Configuration
from penstock_common.contract.cache import (
    Deletion,
    EntryFilter,
    ExplainRequest,
    LookupRequest,
    Meaning,
    Near,
    Probe,
    Scope,
    StoreRequest,
)
from penstock_common.contract.wire.cache import LOOKUP, STORE
from penstock_common.contract.wire.cache_entries import DELETE_ENTRIES, EXPLAIN
from penstock_common.errors import PenstockError, ServiceUnavailable
from penstock_common.llm.types import Batch, Candidate, Finished, FinishReason, Started, TextDelta, Usage
from penstock_common.rpc.client import Channel
from penstock_suite.app.plan import load
from penstock_suite.app.wiring import Wiring
from penstock_suite.domain.cache_evaluation import Evaluation, Opinion, Pair, Seen, evaluation, judge, read_pairs
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.requests import EvaluationRequest, Role

_TENANT = "evaluation"
_SECONDS = 60.0
_READY_SECONDS = 60.0
_KEPT_SECONDS = 5.0
_POLL_SECONDS = 0.001
_NOBODY = Candidate(upstream="", model="evaluation")
# Loads of a machine must not turn hits into misses.
_PATIENT = "30s"
# Sections that would reach out of this process, or into what is kept elsewhere.
_LEFT_OUT = ("redis", "services", "qdrant", "secrets", "telemetry", "tls")


async def evaluate_cache(request: EvaluationRequest) -> Evaluation:
    """Return what was found of the dataset's pairs; nothing is left behind.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        Misconfigured: if the dataset cannot be read, or a line of it is no pair.
    """
    try:
        pairs = read_pairs(request.dataset.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{request.dataset} cannot be read: {error.strerror}") from None
    written = load(request.selection)
    with TemporaryDirectory(prefix="penstock-evaluation-") as folder:
        document = scratch_document(dict(written.document), Path(folder), request.threshold)
        configuration = Configuration(document, written.source)
        async with built_cache(configuration) as channel:
            cache = ServedCache(channel, request.model, together=request.together)
            await cache.ready()
            judged = await judge(cache, pairs, together=request.together, warm=request.warm)
            return evaluation(judged, _setting(request, document, cache.vector_model))


def scratch_document(document: Mapping[str, Any], folder: Path, threshold: float | None) -> dict[str, Any]:
    """Return the configuration with everything that a cache keeps in a folder of its own."""
    (folder / "key").write_bytes(secrets.token_bytes(32))
    Path(folder / "key").chmod(0o600)
    scratch = {name: section for name, section in document.items() if name not in _LEFT_OUT}
    written = cast("dict[str, Any]", document.get("cache") or {})
    semantic = {**cast("dict[str, Any]", written.get("semantic") or {}), "timeout": _PATIENT}
    if threshold is not None:
        # What the file says of the strict one must not lie below.
        semantic |= {"threshold": threshold, "strict_threshold": max(threshold, semantic.get("strict_threshold", 0.0))}
    # Every pair has its answer, however few may be kept in real life.
    scratch["cache"] = {**written, "mode": "semantic", "semantic": semantic, "unset_temperature": "cache"}
    scratch["qdrant"] = {"path": str(folder / "qdrant"), "timeout": _PATIENT}
    scratch["secrets"] = {"cache_key_file": str(folder / "key")}
    scratch.setdefault("embedding", {})
    return scratch


@asynccontextmanager
async def built_cache(configuration: Configuration) -> AsyncGenerator[Channel]:
    """Yield the way to a cache of this process."""
    async with AsyncExitStack() as stack:
        yield await Wiring(configuration, {Role.CACHE: None, Role.EMBEDDING: None}, stack).channel(Role.CACHE)


class ServedCache:
    """Implements ``CacheUnderTest`` over the cache's own service. A pair's answer says whose it is.

    By themselves, pairs have fingerprints of their own, and so never meet; together they have one.
    """

    def __init__(self, channel: Channel, model: str, *, together: bool) -> None:
        self.vector_model = ""
        """Name and revision of what made the vectors, once one was made."""
        self._channel = channel
        self._scope = Scope(_TENANT, model)
        self._together = together
        self._near: Near | None = None
        self._generation = ""

    async def ready(self) -> None:
        """Wait until something can be compared.

        Raises:
            SuiteFailure: if nothing can be, for a minute.
        """
        began = time.monotonic()
        while True:
            try:
                told = await self._explain("ready", "ready?")
            except ServiceUnavailable as error:
                if time.monotonic() - began > _READY_SECONDS:
                    raise SuiteFailure(f"the cache matches nothing by meaning: {error.message}") from None
                await asyncio.sleep(10 * _POLL_SECONDS)
                continue
            if told.reason == "off":
                raise Misconfigured(f"'cache.semantic.models.{self._scope.model}' matches nothing by meaning")
            return

    async def store(self, pair: Pair) -> bool:
        """Have ``a`` answered; return whether it is kept."""
        request = StoreRequest(
            scope=self._scope, probe=self._probe(pair, pair.a), events=_answer(pair.id), tags=(_tag(pair),)
        )
        return not await self._channel.call(STORE, request, timeout=_SECONDS) and await self._is_kept(pair)

    async def look_up(self, pair: Pair) -> Seen:
        """Ask ``b``."""
        request = LookupRequest(self._scope, self._probe(pair, pair.b))
        began = time.perf_counter()
        found = await self._channel.call(LOOKUP, request, timeout=_SECONDS)
        taken = (time.perf_counter() - began) * 1000
        self._near, self._generation = found.near, found.generation
        self.vector_model = found.vector_model or self.vector_model
        if found.hit is None:
            return Seen("", found.bypass_reason or found.miss_reason, taken)
        served = "".join(event.text for event in found.hit.events if isinstance(event, TextDelta))
        return Seen(served.partition(" ")[2], "", taken)

    async def teach(self, pair: Pair) -> None:
        """Have ``b`` answered, as after the look-up before."""
        answer = _answer(pair.id if pair.same_answer else f"not-{pair.id}")
        request = StoreRequest(
            scope=self._scope,
            probe=self._probe(pair, pair.b),
            events=answer,
            generation=self._generation,
            near=self._near,
            tags=(f"taught:{pair.id}",),
        )
        await self._channel.call(STORE, request, timeout=_SECONDS)
        await self._is_there(f"taught:{pair.id}")

    async def explain(self, pair: Pair) -> Opinion:
        """Say what it thinks of the pair."""
        try:
            told = await self._explain(pair.a, pair.b)
        except PenstockError as error:
            return Opinion(0.0, 0.0, served=False, reason=error.message)
        return Opinion(told.similarity, told.score, told.served, told.reason)

    async def _explain(self, stored: str, asked: str) -> Any:
        return await self._channel.call(EXPLAIN, ExplainRequest(self._scope, stored, asked), timeout=_SECONDS)

    async def _is_kept(self, pair: Pair) -> bool:
        return await self._is_there(_tag(pair))

    async def _is_there(self, tag: str) -> bool:
        """Return whether an entry of the tag is there; answers are kept in the background."""
        wanted = Deletion(EntryFilter(self._scope, tag=tag), dry_run=True)
        began = time.monotonic()
        while not await self._channel.call(DELETE_ENTRIES, wanted, timeout=_SECONDS):
            if time.monotonic() - began > _KEPT_SECONDS:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def _probe(self, pair: Pair, text: str) -> Probe:
        # Another digest each time: what is equal is not to be judged. One user: what speaks of the person is compared, too.
        common = b"" if self._together else pair.id.encode()
        return Probe(
            digest=secrets.token_bytes(32),
            meaning=Meaning(text=text, fingerprint=hashlib.sha256(b"evaluation " + common).digest(), user=_TENANT),
        )


def _tag(pair: Pair) -> str:
    return f"pair:{hashlib.sha256(pair.id.encode()).hexdigest()[:32]}"


def _answer(whose: str) -> Batch:
    return (
        Started(generation_id="", answered_by=_NOBODY),
        TextDelta(text=f"answer {whose}"),
        Usage(input_tokens=1, output_tokens=1),
        Finished(reason=FinishReason.STOP, answered_by=_NOBODY),
    )


def _setting(request: EvaluationRequest, document: Mapping[str, Any], vector_model: str) -> dict[str, Any]:
    weights = files("penstock_cache").joinpath("domain", "guard", "weights.json")
    version = hashlib.sha256(weights.read_bytes()).hexdigest()[:12] if weights.is_file() else ""
    return {
        "dataset": request.dataset.name,
        "model": request.model,
        "embedding_model": vector_model,
        "guard": version,
        "threshold": document["cache"]["semantic"].get("threshold", "default"),
        "order": "together" if request.together else "one by one",
        "state": "warm" if request.warm else "cold",
    }
