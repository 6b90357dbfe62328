"""Runs any model of sentence-transformers, on a GPU where there is one: the extra ``torch``. Blocking."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from penstock_common.configuration import ConfigurationError
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector

# Enough for any window of prose; only the tokens of what is longer are counted by its head.
_HEAD_CHARACTERS_PER_TOKEN = 16
_REVISION_HEX = 16


class TorchModel:
    """A model by its folder or its name on the hub; ``device`` is auto, cpu or cuda.

    On CUDA weights and states are float16, elsewhere as the model has them.

    Raises:
        ConfigurationError: if the extra is not installed, or the model or the device is not there.
    """

    def __init__(self, source: str, device: str) -> None:
        try:
            torch: Any = import_module("torch")
            sentence_transformers: Any = import_module("sentence_transformers")
        except ImportError as error:
            raise ConfigurationError(
                f"'embedding.runtime' is sentence_transformers, and {error.name} is not installed: "
                "pip install 'penstock-embedding[torch]'"
            ) from None
        has_cuda: bool = torch.cuda.is_available()
        if device == "cuda" and not has_cuda:
            raise ConfigurationError("'embedding.device' is cuda, and torch finds no such device")
        on_cuda = has_cuda and device != "cpu"
        # "auto" would be "as the file has it"; on a processor float16 is slow, and often not there at all.
        options: dict[str, Any] = {"model_kwargs": {"dtype": torch.float16 if on_cuda else torch.float32}}
        try:
            self._encoder: Any = sentence_transformers.SentenceTransformer(
                source, device="cuda" if on_cuda else "cpu", **options
            )
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the embedding model {source} cannot be loaded: {error}") from error
        self.max_tokens: int = self._encoder.max_seq_length or self._encoder.tokenizer.model_max_length
        self.revision = f"torch-{'fp16' if on_cuda else 'fp32'}-{self._digest()}"

    def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        """Return the texts with the number of their tokens, cut to the window."""
        heads = [text[: self.max_tokens * _HEAD_CHARACTERS_PER_TOKEN] for text in texts]
        encoded = self._encoder.tokenizer(heads, truncation=False, padding=False, verbose=False)
        counts = [len(token_ids) for token_ids in encoded["input_ids"]]
        return [
            PreparedText(text, min(count, self.max_tokens), count > self.max_tokens)
            for text, count in zip(texts, counts, strict=True)
        ]

    def run(self, batch: Sequence[PreparedText]) -> list[Vector]:
        """Return the vectors of texts that run together."""
        texts = [text.content for text in batch]
        vectors = self._encoder.encode(
            texts, batch_size=len(texts), normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return vectors.astype("float32").tolist()

    def _digest(self) -> str:
        digest = hashlib.sha256(str(self.max_tokens).encode())
        for name, tensor in sorted(self._encoder.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(-1).numpy().tobytes())
        digest.update(self._encoder.tokenizer.backend_tokenizer.to_str().encode())
        return digest.hexdigest()[:_REVISION_HEX]
