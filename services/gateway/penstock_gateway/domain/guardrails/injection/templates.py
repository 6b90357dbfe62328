"""Tokens by which chat templates tell turns apart: found, and made harmless.

ChatML (`<|im_start|>`), Llama 2 (`[INST]`, `<<SYS>>`), Llama 3 (`<|start_header_id|>`), Gemma (`<start_of_turn>`), Mistral,
Phi (`<|system|>`), Harmony (`<|channel|>`), DeepSeek and Command-R write them. A server that tokenises text with special
tokens allowed takes those in a document for its own.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# DeepSeek writes full-width bars and the block U+2581.
TOKEN = re.compile(
    r"<[|｜][\w\u2581][\w\u2581 ]{0,40}[|｜]>"
    r"|\[/?(?:INST|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\]"
    r"|<</?SYS>>"
    r"|</?(?:start_of_turn|end_of_turn|bos|eos|s|pad|unk|tool_call|tool_response|think)>"
    r"|<\|?(?:END_OF_TURN|START_OF_TURN|SYSTEM|USER|CHATBOT)_TOKEN\|?>"
    r"|<extra_id_\d{1,3}>",
    re.IGNORECASE,
)
# HTML's own <s> (struck out) is no token unless a turn stands beside it.
_AMBIGUOUS = re.compile(r"</?(?:s|think)>", re.IGNORECASE)
_TURN = re.compile(r"(?:\[/?INST\]|<</?SYS>>)", re.IGNORECASE)
_WORD_JOINER = "\u2060"


class SpecialToken(NamedTuple):
    """A token, and where it stands."""

    text: str
    start: int
    end: int


def special_tokens(text: str) -> list[SpecialToken]:
    """Return the tokens of chat templates in a text."""
    if "<" not in text and "[" not in text:
        return []
    has_turns = _TURN.search(text) is not None
    return [
        SpecialToken(one[0], one.start(), one.end())
        for one in TOKEN.finditer(text)
        if has_turns or not _AMBIGUOUS.fullmatch(one[0])
    ]


def neutralised(text: str) -> str:
    """Return the text with a word joiner (U+2060) in each token, so that no tokeniser takes it for one.

    It looks the same to a person. Nothing else changes, and what is neutral stays as it is.
    """
    tokens = special_tokens(text)
    if not tokens:
        return text
    kept: list[str] = []
    at = 0
    for token in tokens:
        kept += [text[at : token.start + 1], _WORD_JOINER, text[token.start + 1 : token.end]]
        at = token.end
    kept.append(text[at:])
    return "".join(kept)
