"""The probabilities of an answer's tokens, from Gemini's form to OpenAI's, which the contract has."""

from __future__ import annotations

from itertools import zip_longest

import msgspec


class _Token(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Alternatives(msgspec.Struct):
    candidates: list[_Token] = []


class _Result(msgspec.Struct, rename="camel"):
    chosen_candidates: list[_Token] = []
    top_candidates: list[_Alternatives] = []


class _Alternative(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int]


class _Told(_Alternative):
    top_logprobs: list[_Alternative]


_RESULT = msgspec.json.Decoder(_Result | None)
_encode = msgspec.json.Encoder().encode


def logprobs_json_of(result: msgspec.Raw) -> str:
    """Return a JSON array of the tokens that were chosen, each with its alternatives; '' where there are none to read."""
    try:
        read = _RESULT.decode(result)
    except msgspec.DecodeError:
        return ""
    if read is None or not read.chosen_candidates:
        return ""
    nobody = _Alternatives()
    pairs = zip_longest(read.chosen_candidates, read.top_candidates[: len(read.chosen_candidates)], fillvalue=nobody)
    told = [
        _Told(
            chosen.token,
            chosen.log_probability,
            list(chosen.token.encode()),
            [_alternative(one) for one in top.candidates],
        )
        for chosen, top in pairs
        if isinstance(chosen, _Token) and isinstance(top, _Alternatives)
    ]
    return _encode(told).decode()


def _alternative(token: _Token) -> _Alternative:
    return _Alternative(token.token, token.log_probability, list(token.token.encode()))
