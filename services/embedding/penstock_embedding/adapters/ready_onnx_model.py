"""Runs a graph in ONNX Runtime that somebody else has made, such as a hub's int8 export. Blocking: see ``model_worker``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from penstock_common.configuration import ConfigurationError
from penstock_embedding.adapters.model_files import ReadyFiles
from penstock_embedding.adapters.onnx_model import session_options
from penstock_embedding.adapters.tokenization import WindowTokenizer, tensors_of
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector

_TOKEN_IDS, _MASK, _TYPES = "input_ids", "attention_mask", "token_type_ids"
_STATES_RANK = 3
_SMALLEST = 1e-12


class ReadyOnnxModel:
    """A tokenizer and a session.

    Each text runs alone. Such graphs take one scale for all that runs together
    where they quantise their states, so a vector would depend on its
    neighbours (measured on bge-small's int8: cosine to itself alone 0.993 at the
    worst); and alone texts of 192 tokens run faster, too.

    Raises:
        ConfigurationError: if it is no graph of a text encoder.
    """

    def __init__(self, files: ReadyFiles) -> None:
        self._tokenizer = WindowTokenizer(files.tokenizer, files.max_tokens)
        self._pools_first = files.pooling == "cls"
        try:
            self._session = onnxruntime.InferenceSession(
                str(files.graph), session_options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # The runtime has a type of its own for each way a file cannot be a graph.
            raise ConfigurationError(f"{files.graph} cannot be loaded: {error}") from error
        self._inputs = {node.name for node in self._session.get_inputs()}
        if not {_TOKEN_IDS, _MASK} <= self._inputs <= {_TOKEN_IDS, _MASK, _TYPES}:
            raise ConfigurationError(
                f"{files.graph} takes {', '.join(sorted(self._inputs))}; "
                f"a text encoder takes {_TOKEN_IDS}, {_MASK} and perhaps {_TYPES}"
            )
        self._output: str = self._session.get_outputs()[0].name

    def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts' tokens, in order, cut to the window."""
        return self._tokenizer.prepare(texts)

    def run(self, batch: Sequence[PreparedText]) -> list[Vector]:
        """Return the vectors of texts, one after another."""
        return [self._vector(text).tolist() for text in batch]

    def _vector(self, text: PreparedText) -> npt.NDArray[np.float32]:
        token_ids, mask = tensors_of([text])
        feed = {_TOKEN_IDS: token_ids, _MASK: mask}
        if _TYPES in self._inputs:
            feed[_TYPES] = np.zeros_like(token_ids)
        outputs: Any = self._session.run([self._output], feed)
        # Of one text: the states of its tokens, or what the graph has pooled itself.
        states: npt.NDArray[np.float32] = outputs[0]
        if states.ndim == _STATES_RANK:
            states = states[:, 0] if self._pools_first else states.mean(axis=1)
        return states[0] / max(float(np.linalg.norm(states[0])), _SMALLEST)
