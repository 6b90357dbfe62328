"""What a command is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Selection:
    """Which stack: its configuration (None: the packaged one) and its state folder (None: the default one)."""

    config: Path | None = None
    state: Path | None = None
    without_triton: bool = False


@dataclass(frozen=True, slots=True)
class UpRequest:
    """Start a stack; on a signal, requests in flight have ``grace`` to end."""

    selection: Selection
    grace: timedelta = timedelta(seconds=30)
    workers: int = 1
    """Processes that answer requests; 1 answers them in the command's own."""


class Exports(StrEnum):
    """What can be exported."""

    LEDGER = "ledger"
    AUDIT_LOG = "audit_log"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which rows to write to a new file: from ``since`` on, before ``until``, or those that no export has taken."""

    what: Exports
    file: Path
    since: datetime | None = None
    until: datetime | None = None
    new_only: bool = False


class Role(StrEnum):
    """What a process of its own can be; the edge is a program by itself."""

    GATEWAY = "gateway"
    ROUTER = "router"
    CACHE = "cache"
    EMBEDDING = "embedding"
    INFERENCE = "inference"
    WORKER = "worker"
    """Runs jobs: a gateway that nobody reaches."""

    @property
    def package(self) -> str:
        """The Python package that it is built by."""
        return f"penstock_{Role.GATEWAY if self is Role.WORKER else self}"


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """Run one role; on a signal, calls in flight have ``grace`` to end."""

    role: Role
    config: Path
    grace: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayTarget:
    """Which gateway to ask, with an operator's key. Without ``ca_file`` it speaks plaintext."""

    grpc_address: str
    key: str
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Administered:
    """What to administer: a gateway at an address, or the stack of a selection, whether it runs or not."""

    selection: Selection
    gateway: GatewayTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTarget:
    """Where to chat. An empty ``model`` means the first that the key may use."""

    grpc_address: str
    key: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """Judge the cache by the pairs of a file, with what is said of a public model, or with another threshold."""

    selection: Selection
    dataset: Path
    model: str
    threshold: float | None = None
    warm: bool = False
    together: bool = False


@dataclass(frozen=True, slots=True)
class RoutingEvaluationRequest:
    """Judge the router's classifier by the labelled prompts of a file, with their vectors or by features alone."""

    selection: Selection
    dataset: Path
    with_vectors: bool = True


@dataclass(frozen=True, slots=True)
class InjectionEvaluationRequest:
    """Judge the injection detector by the labelled texts of a file; ``rules_alone`` as inline, without the classifier."""

    dataset: Path
    rules_alone: bool = False
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class GuardExplainRequest:
    """Tell what the injection detector finds in a text that enters at ``surface``."""

    text: str
    surface: str


@dataclass(frozen=True, slots=True)
class GuardCheckRequest:
    """Tell what the rules that hold for a tenant's request say of a text on a ``surface``."""

    text: str
    surface: str
    tenant: str
    model: str
    key: str
    config: Path | None


@dataclass(frozen=True, slots=True)
class GuardTrialRequest:
    """Tell what the rules of a file would have done with the lines of another; ``names`` are those that are tried, none: all."""

    rules: Path
    traffic: Path
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterTrainingRequest:
    """Train the router's classifier by the labelled prompts of a file, and of others that are not judged.

    ``feedback``: a file of `penstock feedback list --json`, whose tags label prompts by their answers' ids.
    """

    selection: Selection
    dataset: Path
    output: Path
    also: tuple[Path, ...] = ()
    overwrites: bool = False
    feedback: Path | None = None


@dataclass(frozen=True, slots=True)
class CompressionEvaluationRequest:
    """Judge compression by the questions of a file, with what is said of a public model (empty: the defaults), or otherwise."""

    selection: Selection
    dataset: Path
    model: str = ""
    method: str | None = None
    keep: float | None = None
    meaning: bool | None = None


@dataclass(frozen=True, slots=True)
class GroundingEvaluationRequest:
    """Judge the grounding check by the labelled answers of a file."""

    dataset: Path


@dataclass(frozen=True, slots=True)
class PiiEvaluationRequest:
    """Judge the detector of personal data by the texts of a file, with persons and addresses or by rules alone."""

    dataset: Path
    with_names: bool = True


@dataclass(frozen=True, slots=True)
class AnswersEvaluationRequest:
    """Judge the answers of the target's model by the cases of a file, and by a model where ``judge`` names one."""

    target: ChatTarget
    dataset: Path
    judge: str = ""
    against: Path | None = None
    config: Path | None = None
    concurrency: int = 4
    timeout_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class RetrievalEvaluationRequest:
    """Judge search modes by documents and questions, with each of the models and each of the splitters (none: the defaults)."""

    selection: Selection
    corpus: Path
    queries: Path
    models: tuple[str, ...] = ()
    splitters: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("dense", "sparse", "hybrid", "hybrid+rerank")
    reranker: str = ""


@dataclass(frozen=True, slots=True)
class RehearseRequest:
    """Rehearse failures: which rows (none: all), for which public model (empty: the first that has two candidates).

    ``timers``: what the upstreams' timers are cut to; None leaves them as they are.
    """

    selection: Selection
    only: tuple[str, ...] = ()
    model: str = ""
    timers: timedelta | None = None


@dataclass(frozen=True, slots=True)
class PlayRequest:
    """Play a script, by its name or from a file, at an address, on the wire of ``triton`` or of one that HTTP carries."""

    wire: str
    listen: str
    script: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRequest:
    """Pass connections on, badly: ``up`` and ``down`` say whether that holds for what clients send and what they get."""

    listen: str
    to: str
    latency: timedelta = timedelta()
    jitter: timedelta = timedelta()
    bytes_per_second: int = 0
    slice_bytes: int = 0
    cut_after_bytes: int | None = None
    cut_by: str = "reset"
    up: bool = True
    down: bool = True
