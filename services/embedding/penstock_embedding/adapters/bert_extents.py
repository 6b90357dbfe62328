"""What a BERT's states are like, value by value: how large they get, and their means. Quantising its weights needs both.

A forward pass in numpy over a few texts of different kinds, once, when the
graph is built. The largest states belong to the special tokens and hardly
depend on the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from penstock_embedding.adapters.model_files import BertConfig

Array = npt.NDArray[Any]

CALIBRATION_TEXTS = (
    "?",
    "a",
    "Hello.",
    "How do I reset my password?",
    "The gateway refuses an expired key.",
    "A cat sleeps on the sofa while it rains in Hamburg.",
    "Our quarterly report costs less than $1,250.50 in 2024.",
    "Das Wasserkraftwerk wurde 1954 gebaut.",
    "SELECT * FROM t WHERE id = 1;",
    "def f(x): return x[3] + 1  # why?",
    "https://a.b/c?d=e",
    "Translate the following sentence into French and explain the grammar of every word in it.",
    "...",
    "ขอบคุณ ครับ ผม ไม่ เข้าใจ ภาษา นี้ ช่วย อธิบาย อีก ครั้ง",
    "شكرا جزيلا، هل يمكنك مساعدتي في حل هذه المشكلة؟",
    "धन्यवाद, मुझे यह वाक्य समझ में नहीं आया।",
    "תודה רבה, אני לא מבין את המשפט הזה.",
    "ありがとうございます、この文の意味が分かりません。",
    "감사합니다. 이 문장을 이해하지 못했어요.",
    "谢谢你。我不明白这句话的意思。请再解释一遍。",
    "Спасибо, я не понимаю этого предложения.",
    "Ευχαριστώ, δεν καταλαβαίνω αυτή την πρόταση.",
    "Dziękuję, nie rozumiem tego zdania.",
    "🙂 🚀 ✅ → ≥ ™",
)


@dataclass(slots=True)
class States:
    """What one kind of states was like: the largest magnitude of each value, and its mean over all tokens."""

    extent: Array
    total: Array
    tokens: int

    @property
    def mean(self) -> Array:
        """The mean of each value."""
        return self.total / self.tokens


def measure(weights: dict[str, Array], config: BertConfig, texts: Sequence[Sequence[int]]) -> dict[str, States]:
    """Return what the states that enter the products are like, by their names in ``bert_graph``.

    ``texts`` are token ids.
    """
    seen: dict[str, States] = {}
    for token_ids in texts:
        _Pass(weights, config, seen).run(token_ids)
    return seen


class _Pass:
    def __init__(self, weights: dict[str, Array], config: BertConfig, seen: dict[str, States]) -> None:
        self._weights = weights
        self._config = config
        self._states = seen

    def run(self, token_ids: Sequence[int]) -> None:
        states = self._weights["embeddings.word_embeddings.weight"][list(token_ids)]
        states = states + self._weights["embeddings.position_embeddings.weight"][: len(token_ids)]
        states = states + self._weights["embeddings.token_type_embeddings.weight"][0]
        states = self._seen("states", self._normed(states, "embeddings.LayerNorm"))
        for number in range(self._config.num_hidden_layers):
            states = self._layer(states, f"encoder.layer.{number}.", f"layer{number}_")

    def _seen(self, name: str, states: Array) -> Array:
        extent, total = np.abs(states).max(axis=0), states.sum(axis=0)
        known = self._states.get(name)
        if known is None:
            self._states[name] = States(extent, total, len(states))
        else:
            known.extent = np.maximum(extent, known.extent)
            known.total = known.total + total
            known.tokens += len(states)
        return states

    def _layer(self, states: Array, source: str, name: str) -> Array:
        mixed = self._seen(name + "mixed_joined", self._attention(states, source))
        attended = self._dense(mixed, source + "attention.output.dense") + states
        attended = self._seen(name + "attended", self._normed(attended, source + "attention.output.LayerNorm"))
        wide = self._seen(name + "gelu", _gelu(self._dense(attended, source + "intermediate.dense")))
        narrow = self._dense(wide, source + "output.dense")
        return self._seen(name + "states", self._normed(narrow + attended, source + "output.LayerNorm"))

    def _attention(self, states: Array, source: str) -> Array:
        query, key, value = (
            self._dense(states, f"{source}attention.self.{kind}")
            .reshape(len(states), self._config.num_attention_heads, -1)
            .transpose(1, 0, 2)
            for kind in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        return (shares @ value).transpose(1, 0, 2).reshape(len(states), -1)

    def _dense(self, states: Array, source: str) -> Array:
        # Not @: the threads of a BLAS spin for one another where processors are busy, and a second becomes twenty.
        product = np.einsum("ti,oi->to", states, self._weights[source + ".weight"])
        return product + self._weights[source + ".bias"]

    def _normed(self, states: Array, source: str) -> Array:
        centred = states - states.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self._config.layer_norm_eps)
        return centred / deviation * self._weights[source + ".weight"] + self._weights[source + ".bias"]


def _gelu(states: Array) -> Array:
    """Return GELU by its tanh approximation (arXiv:1606.08415): near enough for extents."""
    return states * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (states + 0.044715 * states**3)))
