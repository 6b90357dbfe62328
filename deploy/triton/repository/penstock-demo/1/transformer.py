"""The network in numpy: weights, KV caches, and one forward pass over sequences of any lengths.

Same architecture as `deploy/triton/demo_model/network.py`, which trained it: layer norm without bias, rotary
positions, causal attention, SwiGLU, tied embeddings. float32 throughout; the file holds float16.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

Array = NDArray[np.float32]
Ids = NDArray[np.int64]

ROTARY_BASE = 10_000.0
NORM_EPSILON = 1e-5
CACHE_GROWTH_TOKENS = 64


class Cache:
    """Keys and values of one sequence, [layers, heads, capacity, head width] each; grows as needed."""

    def __init__(self, layers: int, heads: int, head_width: int) -> None:
        self.length = 0
        self.keys: Array = np.empty((layers, heads, 0, head_width), np.float32)
        self.values: Array = np.empty_like(self.keys)

    def reserve(self, tokens: int) -> None:
        """Make room for that many more tokens."""
        needed = self.length + tokens
        if needed <= self.keys.shape[2]:
            return
        extra = needed + CACHE_GROWTH_TOKENS - self.keys.shape[2]
        padding = ((0, 0), (0, 0), (0, extra), (0, 0))
        self.keys, self.values = np.pad(self.keys, padding), np.pad(self.values, padding)


@dataclass(frozen=True)
class Step:
    """What one sequence contributes to a pass: its cache and the ids that are new since the last one."""

    cache: Cache
    ids: Sequence[int]


@dataclass(frozen=True)
class _Layer:
    attention_norm: Array
    qkv: Array
    attention_out: Array
    feed_forward_norm: Array
    gate_up: Array
    down: Array


class Transformer:
    """A causal language model; not safe for concurrent use of the same cache."""

    def __init__(self, weights: Path) -> None:
        with safe_open(weights, framework="numpy") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118 - no dict
        self.context_tokens = int(metadata["context_tokens"])
        self.heads = int(metadata["heads"])
        self._embedding = tensors["embedding.weight"]
        self._unembedding = np.ascontiguousarray(self._embedding.T)
        self._norm = tensors["norm.weight"]
        self._layers = [_layer(tensors, index) for index in range(int(metadata["layers"]))]
        self.head_width = self._embedding.shape[1] // self.heads
        self._cosine, self._sine = _rotary_tables(self.context_tokens, self.head_width)

    def new_cache(self) -> Cache:
        """An empty cache for a new sequence."""
        return Cache(len(self._layers), self.heads, self.head_width)

    def forward(self, steps: Sequence[Step]) -> Array:
        """Logits [sequences, vocabulary] of the token that follows each sequence; the caches grow by the new ids.

        All new tokens of all sequences go through each matrix in one product; only attention works by sequence.
        """
        ids = np.concatenate([np.asarray(step.ids, np.int64) for step in steps])
        starts = [step.cache.length for step in steps]
        ends = np.cumsum([len(step.ids) for step in steps])
        positions = np.concatenate(
            [np.arange(start, start + len(step.ids)) for start, step in zip(starts, steps, strict=True)]
        )
        for step in steps:
            step.cache.reserve(len(step.ids))
        cosine, sine = self._cosine[positions, None], self._sine[positions, None]
        x = self._embedding[ids]
        for index, layer in enumerate(self._layers):
            qkv = (_normalise(x, layer.attention_norm) @ layer.qkv).reshape(len(ids), 3, self.heads, self.head_width)
            query, key = _rotate(qkv[:, 0], cosine, sine), _rotate(qkv[:, 1], cosine, sine)
            mixed = np.empty((len(ids), self.heads * self.head_width), np.float32)
            for step, end in zip(steps, ends, strict=True):
                rows = slice(end - len(step.ids), end)
                mixed[rows] = _attend(step.cache, index, query[rows], key[rows], qkv[rows, 2])
            x = x + mixed @ layer.attention_out
            gate, up = np.split(_normalise(x, layer.feed_forward_norm) @ layer.gate_up, 2, axis=-1)
            x = x + (_silu(gate) * up) @ layer.down
        for step in steps:
            step.cache.length += len(step.ids)
        return _normalise(x[ends - 1], self._norm) @ self._unembedding


def _layer(tensors: dict[str, Array], index: int) -> _Layer:
    def matrix(name: str) -> Array:
        return np.ascontiguousarray(tensors[f"layers.{index}.{name}.weight"].T)

    return _Layer(
        attention_norm=tensors[f"layers.{index}.attention_norm.weight"],
        qkv=matrix("qkv"),
        attention_out=matrix("attention_out"),
        feed_forward_norm=tensors[f"layers.{index}.feed_forward_norm.weight"],
        gate_up=matrix("gate_up"),
        down=matrix("down"),
    )


def _attend(cache: Cache, layer: int, query: Array, key: Array, value: Array) -> Array:
    """Causal attention of the new tokens [new, heads, head width] over the cache and themselves: [new, width]."""
    start, new = cache.length, len(query)
    cache.keys[layer, :, start : start + new] = key.transpose(1, 0, 2)
    cache.values[layer, :, start : start + new] = value.transpose(1, 0, 2)
    keys, values = cache.keys[layer, :, : start + new], cache.values[layer, :, : start + new]
    scores = query.transpose(1, 0, 2) @ keys.transpose(0, 2, 1) * np.float32(query.shape[-1] ** -0.5)
    if new > 1:
        scores += np.triu(np.full((new, start + new), -np.inf, np.float32), start + 1)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    return (scores @ values).transpose(1, 0, 2).reshape(new, -1)


def _normalise(x: Array, weight: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(NORM_EPSILON)) * weight


def _silu(x: Array) -> Array:
    return x * (np.float32(0.5) + np.float32(0.5) * np.tanh(np.float32(0.5) * x))


def _rotary_tables(length: int, head_width: int) -> tuple[Array, Array]:
    frequencies = ROTARY_BASE ** (-np.arange(0, head_width, 2) / head_width)
    angles = np.outer(np.arange(length), frequencies)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _rotate(x: Array, cosine: Array, sine: Array) -> Array:
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate((first * cosine - second * sine, first * sine + second * cosine), axis=-1)
