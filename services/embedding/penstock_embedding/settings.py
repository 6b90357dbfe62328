"""What the embedding service reads of the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from penstock_common.addresses import BaseUrl, DatabaseUrl, Target
from penstock_common.configuration import RELOADED, Duration, Secret, Section
from penstock_common.faults import KeyPath, refuse
from penstock_common.llm.types import NANO_USD_PER_USD, UnitPrices
from penstock_common.sections import DEFAULT_EMBEDDING_MODEL, Qdrant, Secrets
from penstock_common.sql.address import DatabaseLimits

Positive = Annotated[Duration, Field(gt=timedelta())]
Revision = Annotated[str, Field(max_length=128, pattern=r"^[^/\s]*$")]


class PriceSettings(Section):
    """USD per million tokens."""

    input: Annotated[Decimal, Field(ge=0, le=1_000_000)] = Decimal(0)
    """For the tokens of the texts."""

    def unit_prices(self) -> UnitPrices:
        """Return the price in nano-dollars per million tokens, rounded to whole ones."""
        return UnitPrices(input_nano_usd=int((self.input * NANO_USD_PER_USD).to_integral_value()))


_UNDECLARED = (
    "with standbys each upstream declares its 'revision', alike for all: their vectors are compared with one another. "
    "Where you do not know that they serve the same weights, leave the standbys out"
)
_LONE_ATTEMPTS = 10
_MOST_ATTEMPTS_WITH_STANDBYS = 2


class ProviderStandby(Section):
    """A provider that speaks OpenAI's embeddings format, or Gemini's."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^/\s]+$")] = "provider"
    """What the ledger calls it."""
    base_url: Annotated[BaseUrl, Field(min_length=1)]
    """Ends before ``/embeddings``, such as https://api.openai.com/v1; of Gemini it is https://generativelanguage.googleapis.com."""
    format: Literal["openai", "gemini"] = "openai"
    """What it speaks: OpenAI's embeddings, or Gemini's ``batchEmbedContents``, which takes 100 texts at once."""
    api_key: Secret = Secret("")
    """What it asks for; write `${NAME}` rather than the key itself."""
    model: str = ""
    """The provider's own name of the model; empty: the one that callers use."""
    revision: Revision = ""
    """What tells this model's vectors from another version's, in words of yours: answers carry it. Needed with standbys."""
    price: PriceSettings | None = None
    """Where it is not `embedding.price`."""
    max_inputs: Annotated[int, Field(ge=1, le=2048)] = 2048
    """Texts in one request to it; more are sent in several. With standbys, the smallest of theirs counts."""
    connect_timeout: Positive = timedelta(seconds=3)
    """Until a connection stands."""
    timeout: Positive = timedelta(seconds=30)
    """Of one attempt."""
    timeout_with_others: Positive = timedelta(seconds=10)
    """The same while another upstream could be asked instead."""


class ProviderSettings(ProviderStandby):
    """The provider that is asked first, and how all are asked."""

    standbys: list[ProviderStandby] = []
    """Providers of the same model and revision, asked in this order when those before fail."""
    attempts: Annotated[int, Field(ge=1, le=_LONE_ATTEMPTS)] = 2
    """Times that each is asked for the same texts before the next one is, or the caller is told; 2 at the most with standbys."""
    max_in_flight: Annotated[int, Field(ge=1)] = 256
    """Requests of callers at once; further ones are refused."""


class TritonStandby(Section):
    """A Triton that serves the model with our graph's tensors. The tokenizer is found as for the other runtimes."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^/\s]+$")] = "embedding"
    """What the ledger calls it."""
    target: Annotated[Target, Field(min_length=1)]
    """host:port, of its gRPC."""
    model: Annotated[str, Field(max_length=128, pattern=r"^[^/\s]*$")] = ""
    """Its name there; empty: the one that callers use."""
    version: Annotated[str, Field(pattern=r"^[0-9]{0,18}$")] = ""
    """Empty: the newest one when the service starts. Another version is another revision, and takes a new start."""
    revision: Revision = ""
    """What tells this model's vectors from another version's, in words of yours: answers carry it. Needed with standbys."""
    price: PriceSettings | None = None
    """Where it is not `embedding.price`."""
    timeout: Positive = timedelta(seconds=10)
    """Of one attempt at one batch; less where its callers have less left."""
    timeout_with_others: Positive = timedelta(seconds=5)
    """The same while another Triton could be asked instead."""


class TritonSettings(TritonStandby):
    """The Triton that is asked first, and how all are asked."""

    standbys: list[TritonStandby] = []
    """Tritons of the same model and revision, asked in this order when those before fail."""
    start_timeout: Positive = timedelta(seconds=60)
    """How long a start waits for a server, where none is there. A model that is loaded by the first request waits for nothing."""
    attempts: Annotated[int, Field(ge=1, le=_LONE_ATTEMPTS)] = 2
    """Times that each is sent the same batch before the next one is, or the callers are told; 2 at the most with standbys."""
    runs_at_once: Annotated[int, Field(ge=1, le=256)] = 4
    """Batches that may be under way."""


class ModelSettings(Section):
    """A model, and what runs it."""

    runtime: Literal["onnx", "sentence_transformers", "triton", "provider"] = "onnx"
    """What runs it: ONNX Runtime without torch; sentence-transformers with the extra ``torch``; a Triton; a provider."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """For sentence-transformers; on CUDA it runs in float16."""
    provider: ProviderSettings | None = None
    """For the runtime of that name."""
    triton: TritonSettings | None = None
    """For the runtime of that name."""
    path: Path | None = None
    """A sentence-transformers directory, or for ``onnx`` one with ``model.onnx`` and ``tokenizer.json``. Empty: an installed
    package that carries the model, else the hub."""
    hub_id: str = ""
    """Such as sentence-transformers/all-MiniLM-L6-v2; needs the package huggingface-hub."""
    pooling: Literal["", "mean", "cls"] = ""
    """For ``onnx``, what a text's vector is made of: the mean of its tokens, or the first one. Empty: as the model's directory
    says, else the mean."""
    query_prefix: Annotated[str, Field(max_length=512)] = ""
    """What the model wants before a question, with the blank that ends it; its card tells."""
    passage_prefix: Annotated[str, Field(max_length=512)] = ""
    """The same before what is searched."""
    window_tokens: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """The most that the model takes of one text, special tokens included; 0: as its files say. Of a provider nothing else says
    it, and pieces of documents can only be held against what is said here."""
    price: Annotated[PriceSettings, RELOADED] = PriceSettings()
    min_dimensions: Annotated[int, Field(ge=0)] = 0
    """Callers may ask for shorter vectors, down to so many values: for models that are trained for it. 0: none may."""
    dimensions: Annotated[int, Field(ge=0, le=65_536)] = 0
    """Values of a vector, as `triton` or `provider` has to answer; 0: as many as the first answer has. An answer of another
    length is a failure, and reaches nobody."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        refuse(
            ((name,), f"the section '{name}' and 'runtime: {name}' go together")
            for name, section in (("provider", self.provider), ("triton", self.triton))
            if (self.runtime == name) != (section is not None)
        )
        refuse(_contradictions_of("provider", self.provider))
        refuse(_contradictions_of("triton", self.triton))
        return self


class FurtherModel(ModelSettings):
    """A model beside the service's own, loaded when somebody first asks for it, and then kept."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^/\s]+$")]
    """What callers and indexes ask for."""


class EmbeddingSettings(ModelSettings):
    """Section ``embedding``."""

    model: Annotated[str, Field(min_length=1, max_length=128)] = DEFAULT_EMBEDDING_MODEL
    """What callers ask for."""
    models: list[FurtherModel] = []
    """Further models, such as one that an index is to change to."""
    load: Literal["at_start", "on_first_use"] = "at_start"
    """When the model is loaded: with the stack, or by the first request."""
    cache_dir: Path = Path("~/.cache/penstock/models")
    """Where prepared graphs are kept, 24 MB each."""
    max_batch: Annotated[int, Field(ge=1, le=1024)] = 64
    """Texts that run together, whichever callers they belong to."""
    max_batch_tokens: Annotated[int, Field(ge=1)] = 512
    """Tokens that run together, padding included. Measured: 386 short texts/s at 512, 305 at 1024, 251 at 4096, as a
    batch's values then outgrow the processor's second-level cache; and 181, 206 and 296 MB of memory."""
    max_padding: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of these tokens that may be padding; 1 where runs cost much and tokens little, as on GPUs."""
    max_wait: Duration = timedelta(milliseconds=2)
    """How long a text waits for companions while the model is busy anyway; an idle model starts at once."""
    max_waiting: Annotated[int, Field(ge=1)] = 8192
    """Texts that wait before further requests are refused."""
    max_waiting_tokens: Annotated[int, Field(ge=1)] = 131_072
    """The same in tokens; 10 to 15 seconds of a processor's work."""
    passage_batch_tokens: Annotated[int, Field(ge=1)] = 256
    """Tokens of documents that run together. A caller who comes meanwhile waits for them."""
    passage_turn: Annotated[int, Field(ge=1, le=1000)] = 8
    """Of so many batches one is of documents, while callers fill all others; where no caller waits, all are."""

    @model_validator(mode="after")
    def _names_differ(self) -> EmbeddingSettings:
        names = [self.model, *(further.name for further in self.models)]
        refuse(
            (("models", index, "name"), f"the name '{further.name}' is taken: give each model its own")
            for index, further in enumerate(self.models)
            if further.name in names[: index + 1]
        )
        return self

    def of(self, further: FurtherModel) -> EmbeddingSettings:
        """Return the settings of a service whose own model is this one."""
        own = {name: getattr(further, name) for name in ModelSettings.model_fields}
        return self.model_copy(update={**own, "model": further.name, "models": [], "load": "on_first_use"})


def _contradictions_of(key: str, first: ProviderSettings | TritonSettings | None) -> Iterator[tuple[KeyPath, str]]:
    """Yield why upstreams may not stand in for each other: nobody has said that their vectors may be compared."""
    if first is None or not first.standbys:
        return
    if first.attempts > _MOST_ATTEMPTS_WITH_STANDBYS:
        yield (key, "attempts"), f"with standbys at most {_MOST_ATTEMPTS_WITH_STANDBYS} are made at each upstream"
    if not first.revision:
        yield (key, "revision"), _UNDECLARED
    names = {first.name}
    for index, standby in enumerate(first.standbys):
        where = (key, "standbys", index)
        if not standby.revision and first.revision:
            yield (*where, "revision"), _UNDECLARED
        elif standby.revision != first.revision and first.revision:
            others = f"'{standby.revision}' is not '{first.revision}', and vectors of two revisions may not be compared"
            yield (*where, "revision"), f"{others}: leave this standby out, or have it serve the same"
        if standby.name in names:
            yield (*where, "name"), f"the name '{standby.name}' is taken: give each upstream its own"
        names.add(standby.name)


_MEBIBYTE = 1024 * 1024


class KnowledgeSettings(Section):
    """Section ``knowledge``: documents and their indexes, where the service has ``sql``. What nobody uses is not opened."""

    enabled: bool = True
    """Whether the service keeps documents."""
    sql: DatabaseUrl = ""
    """Where they are kept. Empty: where ``sql`` is, with SQLite in a file `knowledge.sqlite` beside that one, so that taking
    documents in holds no ledger row up."""
    path: Path | None = None
    """Folder of the embedded engine of their vectors, which is not the cache's; `penstock up` takes one in the state folder."""
    keep_originals: bool = False
    """Whether what was put can be had again, beside the text that was read out of it. Both lie sealed."""
    max_document_bytes: Annotated[int, Field(ge=1, le=31 * _MEBIBYTE)] = 31 * _MEBIBYTE
    """The most of one document: a message between services has 32 MiB."""
    max_bases_of_a_tenant: Annotated[int, Field(ge=1)] = 1_000
    """Knowledge bases of one tenant."""
    max_documents_of_a_tenant: Annotated[int, Field(ge=1)] = 1_000_000
    """Documents of one tenant, of all its knowledge bases."""
    max_bytes_of_a_tenant: Annotated[int, Field(ge=1)] = 100 * 1024 * _MEBIBYTE
    """The same in bytes of what was put."""
    max_files_of_a_tenant: Annotated[int, Field(ge=1)] = 100_000
    """Files that one tenant has uploaded to `/v1/files` and not deleted; one has `max_document_bytes` at the most."""
    max_file_bytes_of_a_tenant: Annotated[int, Field(ge=1)] = 16 * 1024 * _MEBIBYTE
    """The same in bytes."""
    ingest_concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    """Documents that are taken in at once by one process; each is in memory meanwhile."""
    ingest_small_bytes: Annotated[int, Field(ge=0)] = 256 * 1024
    """One more is taken in at once where it is no larger than this: it need not wait until large ones end. 0 for none."""
    ingest_attempts: Annotated[int, Field(ge=1, le=100)] = 20
    """Times that a document is tried while a part of the service is away, or dies of it, before it has failed."""
    ingest_retry: Positive = timedelta(seconds=1)
    """What lies between the first two attempts; each further pause is twice as long, up to a minute."""
    lease: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(seconds=30)
    """After so long another process takes over what one that has died was at, with PostgreSQL."""
    build_rate: Annotated[float, Field(gt=0)] = 200
    """Chunks a second that the building of an index version embeds at the most, beside what callers ask for."""
    kept_versions: Annotated[int, Field(ge=1, le=16)] = 2
    """Index versions of a knowledge base that are kept current besides the one that serves; older ones are deleted."""
    kept_for: Positive = timedelta(days=7)
    """How long a version that has served is kept for a return to it."""
    least_evaluation_queries: Annotated[int, Field(ge=1)] = 20
    """With fewer questions nobody can say whether a version finds worse, and a switch to it has to be forced."""
    most_evaluation_queries: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Of more questions so many are asked, evenly chosen."""
    allowed_loss: Annotated[float, Field(ge=0, le=1)] = 0.01
    """How much nDCG at 10 a switch may cost."""
    evaluation_modes: Annotated[list[Literal["hybrid", "dense", "sparse", "hybrid_rerank"]], Field(min_length=1)] = [
        "hybrid",
        "hybrid_rerank",
    ]
    """In which versions are compared, each of which has to hold: those in which the knowledge bases are searched. With a
    `reranker` that takes long, leave `hybrid_rerank` out, or lower `most_evaluation_queries`."""
    search_candidates: Annotated[int, Field(ge=10, le=1_000)] = 100
    """Chunks that each way to search proposes, before those are left out that are not to be shown."""
    search_leg_timeout: Positive = timedelta(seconds=2)
    """Of one way to search, half of it for the look at the vectors; where the other one answers, that is the answer, which
    says so."""
    search_start_timeout: Positive = timedelta(seconds=10)
    """What a search waits for a model that is loaded by its first text, such as after a start: within the request's time, and
    with `search_leg_timeout` of it left."""
    reranker: str = ""
    """What takes the second look: a directory with `tokenizer.json` and `model.onnx` of a cross-encoder; empty for the
    built-in one, which needs no model."""
    rerank_timeout: Positive = timedelta(seconds=3)
    """Of the second look at the best; after it they stay in their order."""
    rerank_candidates: Annotated[int, Field(ge=1, le=200)] = 32
    """How many get that second look."""
    database_connections: Annotated[int, Field(ge=2, le=64)] = 8
    """To the database, at once."""
    database_timeout: Positive = timedelta(seconds=30)
    """What one statement may take, waiting for a lock included."""

    @property
    def database_limits(self) -> DatabaseLimits:
        """How much of the database one process may use."""
        return DatabaseLimits(pool_size=self.database_connections, statement_timeout=self.database_timeout)


class StorageSettings(Section):
    """Where documents are kept; copying them needs no more."""

    knowledge: KnowledgeSettings = KnowledgeSettings()
    sql: DatabaseUrl = ""


class Settings(Section):
    """The embedding service's sections."""

    embedding: EmbeddingSettings = EmbeddingSettings()
    """The model of `/v1/embeddings`; without the section there is none."""
    knowledge: KnowledgeSettings = KnowledgeSettings()
    """Documents, and how they are found."""
    sql: DatabaseUrl = ""
    qdrant: Qdrant = Qdrant()
    secrets: Secrets = Secrets()
