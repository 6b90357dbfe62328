"""How the next token is chosen: the sampling parameters of a request, checked, and the draw itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class InvalidRequestError(ValueError):
    """The request cannot be served as it is; the message is for the caller."""


@dataclass(frozen=True)
class SamplingParameters:
    """vLLM's names and ranges; an absent temperature means greedy, an absent max_tokens the rest of the context."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0  # 0 or -1: all
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    ignore_eos: bool = False  # go on past the end of the answer, for load tests


_RANGES: dict[str, tuple[type, float, float]] = {
    "temperature": (float, 0.0, 100.0),
    "top_p": (float, 1e-6, 1.0),
    "top_k": (int, -1, 1_000_000),
    "max_tokens": (int, 1, 1_000_000_000),
    "seed": (int, -(2**63), 2**64),
    "presence_penalty": (float, -2.0, 2.0),
    "frequency_penalty": (float, -2.0, 2.0),
}
_KNOWN = (*_RANGES, "stop", "ignore_eos")


def parse_sampling_parameters(text: str) -> SamplingParameters:
    """The parameters in a JSON object; raises InvalidRequestError that names what is wrong. null means absent."""
    try:
        raw = json.loads(text or "{}")
    except ValueError as error:
        raise InvalidRequestError(f"sampling_parameters is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise InvalidRequestError("sampling_parameters must be a JSON object")
    if unknown := sorted(set(raw) - set(_KNOWN)):
        raise InvalidRequestError(f"unknown sampling parameter {unknown[0]!r}, known: {', '.join(_KNOWN)}")
    present = {key: value for key, value in raw.items() if value is not None}
    return SamplingParameters(**{key: _convert(key, value) for key, value in present.items()})


def _convert(key: str, value: Any) -> Any:
    if key == "stop":
        return _stop_strings(value)
    if key == "ignore_eos":
        if not isinstance(value, bool):
            raise InvalidRequestError("ignore_eos must be true or false")
        return value
    kind, low, high = _RANGES[key]
    try:
        # Strings are taken as numbers, as the vLLM backend's own examples send them.
        number = kind(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or not low <= number <= high or (kind is int and float(value) != number):
        raise InvalidRequestError(f"{key} must be {'an integer' if kind is int else 'a number'} in [{low}, {high}]")
    return number


def _stop_strings(value: Any) -> tuple[str, ...]:
    strings = (value,) if isinstance(value, str) else value
    if not isinstance(strings, list | tuple) or not all(isinstance(item, str) and item for item in strings):
        raise InvalidRequestError("stop must be a string or a list of strings, none empty")
    return tuple(strings)


class Sampler:
    """Draws the tokens of one sequence; the same seed and logits give the same tokens."""

    def __init__(self, parameters: SamplingParameters, banned: tuple[int, ...]) -> None:
        self._parameters = parameters
        self._banned = list(banned)
        seed = parameters.seed
        self._random = np.random.default_rng(None if seed is None else seed % 2**64)
        self._counts: dict[int, int] = {}

    @property
    def is_plain(self) -> bool:
        """Whether the likeliest token is taken, whatever came before."""
        parameters = self._parameters
        return not (parameters.temperature or parameters.presence_penalty or parameters.frequency_penalty)

    @property
    def banned(self) -> list[int]:
        """Tokens that are never chosen."""
        return self._banned

    def choose(self, logits: Array) -> int:
        """The next token for logits [vocabulary]."""
        logits = self._penalised(logits, self._counts)
        token = int(logits.argmax()) if self._parameters.temperature == 0 else self._draw(logits)
        self._counts[token] = self._counts.get(token, 0) + 1
        return token

    def _penalised(self, logits: Array, counts: Mapping[int, int]) -> Array:
        logits = logits.copy()
        logits[self._banned] = -np.inf
        presence, frequency = self._parameters.presence_penalty, self._parameters.frequency_penalty
        if counts and (presence or frequency):
            tokens = np.fromiter(counts.keys(), np.int64)
            uses = np.fromiter(counts.values(), np.float32)
            logits[tokens] -= np.float32(presence) + np.float32(frequency) * uses
        return logits

    def _draw(self, logits: Array) -> int:
        order = np.argsort(-logits, kind="stable")
        if self._parameters.top_k > 0:
            order = order[: self._parameters.top_k]
        scaled = logits[order].astype(np.float64) / max(self._parameters.temperature, 1e-3)
        probabilities = np.exp(scaled - scaled[0])
        probabilities /= probabilities.sum()
        cumulative = probabilities.cumsum()
        # The smallest set that reaches top_p, https://arxiv.org/abs/1904.09751.
        size = int(np.searchsorted(cumulative, self._parameters.top_p * (1 - 1e-9))) + 1
        size = min(size, len(order))
        point = self._random.random() * cumulative[size - 1]
        return int(order[min(int(np.searchsorted(cumulative[:size], point, side="right")), size - 1)])


def choose_all(samplers: Sequence[Sampler], logits: Array) -> list[int]:
    """The next token of each sequence, for logits [sequences, vocabulary], which are spoilt.

    Those that take the likeliest, nearly all of them, are done in one go.
    """
    tokens = [-1] * len(samplers)
    plain: list[int] = []
    for row, sampler in enumerate(samplers):
        if sampler.is_plain:
            logits[row, sampler.banned] = -np.inf
            plain.append(row)
        else:
            tokens[row] = sampler.choose(logits[row])
    for row, token in zip(plain, logits[plain].argmax(-1).tolist(), strict=True):
        tokens[row] = token
    return tokens
