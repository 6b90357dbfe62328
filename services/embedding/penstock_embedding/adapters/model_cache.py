"""The folder of prepared graphs: each is built once and named by what went into it."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from penstock_common.configuration import ConfigurationError
from penstock_embedding.adapters.model_files import ModelFiles, ReadyFiles

# To be raised whenever bert_graph or bert_extents make something else from the same files.
BUILDER_VERSION = 2
_REVISION_HEX = 16

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A graph on disk, and the revision of the vectors it makes."""

    graph: Path
    revision: str


def revision_of_ready(files: ReadyFiles) -> str:
    """Return the revision of the vectors of a graph that is run as it is."""
    return f"onnx-{files.digest()[:_REVISION_HEX]}"


def prepare(files: ModelFiles, folder: Path) -> PreparedModel:
    """Return the graph of a model, building it if no process has yet.

    Raises:
        ConfigurationError: if the folder cannot be written.
    """
    revision = f"int8-{BUILDER_VERSION}-{files.digest()[:_REVISION_HEX]}"
    graph = folder / f"{revision}.onnx"
    if not graph.is_file():
        try:
            _build(files, graph)
        except OSError as error:
            raise ConfigurationError(f"'embedding.cache_dir': {folder}: {error.strerror}") from None
    return PreparedModel(graph, revision)


def _build(files: ModelFiles, graph: Path) -> None:
    # Needed on the first start only: onnx costs 30 MB of memory and 0.2 s.
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from penstock_embedding.adapters.bert_extents import CALIBRATION_TEXTS, measure
    from penstock_embedding.adapters.bert_graph import build_graph
    from penstock_embedding.adapters.tokenization import read_tokenizer

    began = time.monotonic()
    graph.parent.mkdir(parents=True, exist_ok=True)
    try:
        weights = load_file(files.weights)
    except SafetensorError as error:
        raise ConfigurationError(f"{files.weights} cannot be read: {error}") from None
    tokenizer = read_tokenizer(files.tokenizer)
    texts = [tokenizer.encode(text).ids for text in CALIBRATION_TEXTS]
    model = build_graph(weights, files.config, measure(weights, files.config, texts), files.pooling)
    descriptor, temporary = tempfile.mkstemp(dir=graph.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(model.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
        # Two processes may have built the same: the last one wins, with equal bytes.
        Path(temporary).replace(graph)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _LOG.info("prepared %s in %.1f s", graph.name, time.monotonic() - began)
