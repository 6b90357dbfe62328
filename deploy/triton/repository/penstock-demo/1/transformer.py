"""The network in numpy: weights, the KV cache of all slots, and one forward pass over any mix of them.

Same architecture as `deploy/triton/demo_model/network.py`, which trained it: layer norm without bias, rotary
positions, causal attention, SwiGLU, tied embeddings. float32 throughout; the file holds float16.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

Array = NDArray[np.float32]
Ids = NDArray[np.int64]

ROTARY_BASE = 10_000.0
NORM_EPSILON = 1e-5
# Slots whose single tokens attend in one product, all as far as the longest of them: more would wait for one long
# conversation, fewer would spend their time in Python.
GROUP_SLOTS = 16


class SlotCache:
    """Keys and values of all slots, [layers, slots, heads, context, head width] each.

    Memory is taken page by page as slots fill; what lies past a slot's length is finite and never weighs anything.
    """

    def __init__(self, shape: tuple[int, int, int, int, int]) -> None:
        self.keys: Array = np.zeros(shape, np.float32)
        self.values: Array = np.zeros(shape, np.float32)


@dataclass(frozen=True)
class Step:
    """What one slot contributes to a pass: ids that are new to it, the first one's position, and thus its length."""

    slot: int
    start: int
    ids: Sequence[int]


@dataclass(frozen=True)
class _Layer:
    attention_norm: Array
    qkv: Array
    attention_out: Array
    feed_forward_norm: Array
    gate_up: Array
    down: Array


@dataclass(frozen=True)
class _Group:
    """Neighbouring slots that add one token each; the slots between them ride along and are ignored."""

    slots: slice
    length: int
    rows: Ids  # of the pass
    members: Ids  # slots, counted from the group's first
    hidden: Array  # [slots, 1, 1, length]: 0 where a slot may look, else -inf


class _Singles:
    """The steps of one token each: the bulk of a busy pass, so their attention is batched."""

    def __init__(self, steps: Sequence[tuple[int, Step]]) -> None:
        self.rows = np.array([row for row, _ in steps], np.int64)
        self.slots = np.array([step.slot for _, step in steps], np.int64)
        self.positions = np.array([step.start for _, step in steps], np.int64)
        self.groups = list(self._grouped())

    def _grouped(self) -> Iterator[_Group]:
        for first in np.unique(self.slots // GROUP_SLOTS) * GROUP_SLOTS:
            chosen = (self.slots >= first) & (self.slots < first + GROUP_SLOTS)
            members, lengths = self.slots[chosen] - first, self.positions[chosen] + 1
            size, length = int(members.max()) + 1, int(lengths.max())
            # A slot that rides along looks at one position: a row without any would not be a number.
            seen = np.ones(size, np.int64)
            seen[members] = lengths
            hidden = np.where(np.arange(length) < seen[:, None], np.float32(0), np.float32(-np.inf))
            yield _Group(slice(first, first + size), length, self.rows[chosen], members, hidden[:, None, None])


class Transformer:
    """A causal language model with a fixed number of slots; one pass at a time."""

    def __init__(self, weights: Path, slots: int) -> None:
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
        self.cache = SlotCache((len(self._layers), slots, self.heads, self.context_tokens, self.head_width))

    def forward(self, steps: Sequence[Step]) -> Array:
        """Logits [steps, vocabulary] of the token that follows each step; no slot may occur twice.

        All new tokens of all steps go through each matrix in one product.
        """
        ids = np.concatenate([np.asarray(step.ids, np.int64) for step in steps])
        ends = np.cumsum([len(step.ids) for step in steps])
        positions = np.concatenate([np.arange(step.start, step.start + len(step.ids)) for step in steps])
        rows = list(zip(ends.tolist(), steps, strict=True))
        singles = _Singles([(end - 1, step) for end, step in rows if len(step.ids) == 1])
        chunks = [(slice(end - len(step.ids), end), step) for end, step in rows if len(step.ids) > 1]
        cosine, sine = self._cosine[positions, None], self._sine[positions, None]
        x = self._embedding[ids]
        for index, layer in enumerate(self._layers):
            qkv = (_normalise(x, layer.attention_norm) @ layer.qkv).reshape(len(ids), 3, self.heads, self.head_width)
            query, key, value = _rotate(qkv[:, 0], cosine, sine), _rotate(qkv[:, 1], cosine, sine), qkv[:, 2]
            keys, values = self.cache.keys[index], self.cache.values[index]
            mixed = np.empty((len(ids), self.heads * self.head_width), np.float32)
            if singles.groups:
                keys[singles.slots, :, singles.positions] = key[singles.rows]
                values[singles.slots, :, singles.positions] = value[singles.rows]
            for group in singles.groups:
                mixed[group.rows] = _attend_together(group, query[group.rows], keys, values)
            for chunk, step in chunks:
                past = slice(step.start, step.start + len(step.ids))
                keys[step.slot, :, past] = key[chunk].transpose(1, 0, 2)
                values[step.slot, :, past] = value[chunk].transpose(1, 0, 2)
                mixed[chunk] = _attend(query[chunk], keys[step.slot, :, : past.stop], values[step.slot, :, : past.stop])
            x = x + mixed @ layer.attention_out
            gate, up = np.split(_normalise(x, layer.feed_forward_norm) @ layer.gate_up, 2, axis=-1)
            x = x + (_silu(gate) * up) @ layer.down
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


def _attend_together(group: _Group, query: Array, keys: Array, values: Array) -> Array:
    """Attention of one new token per member [members, heads, head width] over its slot: [members, width]."""
    padded = np.zeros((len(group.hidden), *query.shape[1:]), np.float32)
    padded[group.members] = query
    past = values[group.slots, :, : group.length]
    scores = padded[:, :, None] @ keys[group.slots, :, : group.length].transpose(0, 1, 3, 2)
    mixed = _softmax(scores * np.float32(query.shape[-1] ** -0.5) + group.hidden) @ past
    return mixed[group.members].reshape(len(query), -1)


def _attend(query: Array, keys: Array, values: Array) -> Array:
    """Causal attention of new tokens [new, heads, head width] over their slot up to themselves: [new, width]."""
    new, length = len(query), keys.shape[1]
    scores = query.transpose(1, 0, 2) @ keys.transpose(0, 2, 1) * np.float32(query.shape[-1] ** -0.5)
    scores += np.triu(np.full((new, length), -np.inf, np.float32), length - new + 1)
    return (_softmax(scores) @ values).transpose(1, 0, 2).reshape(new, -1)


def _softmax(scores: Array) -> Array:
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return scores / scores.sum(-1, keepdims=True)


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
