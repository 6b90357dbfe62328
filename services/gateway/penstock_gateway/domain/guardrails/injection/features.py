"""What the classifier sees of a piece of text: words, cues and how they stand to each other, quotes, marks and its surface.

Each feature is a string; ``slots`` hashes them. Structural ones count whole; n-grams share one weight among them, so that a
long piece says no more than a short one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from penstock_gateway.domain.guardrails.injection.cues import Cue, cues_of, quotations
from penstock_gateway.domain.guardrails.injection.finding import Surface
from penstock_gateway.domain.guardrails.injection.lexicon import Hit
from penstock_gateway.domain.guardrails.injection.rules import Match, matches

SLOTS = 1 << 19
# Whoever changes what is seen raises it: weights of another number are refused.
VERSION = 2
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
# Cues that stand closer than this, in characters, are seen together.
_NEAR, _FAR = 30, 110
_MARKS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("template token", r"<\|[a-z_]{2,30}\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>|</?s>\s*\[|<\|start_header"),
        ("role line", r"(?:^|\n)[^\S\n]{0,40}(?:#{1,4}[^\S\n]{0,40})?\W{0,3}(?:system|assistant|human|user|developer)\W{0,3}\s*:"),
        ("role in json", r"[\"']role[\"']\s*:\s*[\"'](?:system|developer|assistant)"),
        ("closing tag", r"</\s*(?:\w*[_-]?)(?:user|doc\w*|retriev\w*|context|tool\w*|input|query|system|data|email|passage|result|untrusted|content|instructions?)\w*\s*>"),
        ("role tag", r"<\s*/?\s*(?:system|admin|developer|instructions?|assistant|operator|priority|root)[\w-]*\s*>"),
        ("ruled line", r"(?<![=#>*\-])[=#>*\-]{3,}\s*(?:end|begin|start|stop|new|system|task|priority|admin|override)|\[\s*(?:end|begin|start|system|admin|new)\b[^\]]{0,40}\]"),
        ("html comment", r"<!--"),
        ("hidden style", r"display\s*:\s*none|font-size\s*:\s*0|visibility\s*:\s*hidden|opacity\s*:\s*0|color\s*:\s*(?:#fff|white)|aria-hidden|sr-only"),
        ("image", r"!\[[^\]]*\]\("),
        ("link", r"(?<!!)\[[^\]]+\]\("),
        ("iframe", r"<\s*(?:iframe|img|object|embed|script|link)\b"),
        ("url", r"\bhttps?://"),
        ("query", r"\?[\w-]+=[^\s)]{3,}"),
        ("long query", r"\?[\w.-]+=[^\s)\"']{24,}|[?&/#](?:[\w-]*=)?[A-Za-z0-9+/_-]{28,}|%20[^\s)]*%20"),
        ("placeholder in url", r"https?://[^\s)]*(?:\{[^}\s]+\}|\[[^\]\s]+\]|<[^>\s]+>|[A-Z]{4,}_[A-Z_]{3,})"),
        ("email", r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+"),
        ("host", r"(?<!\w-)\b[\w-]+\.(?:example|com|net|org|io|co|dev|info)\b"),
        ("call", r"\b(?:[a-z_]+(?:\.[a-z_]+)+|[a-z_][a-z]*_[a-z_]+)\s*\(|\b[a-z]{3,}\(\)"),
        ("local address", r"\b(?:169\.254\.169\.254|localhost|127\.0\.0\.1|metadata\.google|file://|/proc/self|/etc/(?:passwd|shadow)|~/\.(?:ssh|aws)|\.env\b)"),
        ("shell", r"\brm -rf|\bcurl\b[^\n]{0,80}\||\bnc -|/bin/(?:ba)?sh|\bbase64 -d|\bchmod\b|\bos\.(?:environ|system)|subprocess|eval\("),
        ("setting", r"\b\w+\s*=\s*(?:off|none|0|false|disabled|true|unrestricted|null|max)\b|\bset \w+ (?:to|=)"),
        ("capitals", r"(?-i:\b[A-Z]{3,}(?:[ _-]+[A-Z]{2,}){2,})"),
        ("you are", r"\byou(?:'re| are)\b"),
        ("question", r"\?\s*$|\?[\"”']?\s*$"),
        ("first question", r"^\W*(?:what|why|how|who|which|when|where|is|are|can|could|does|do|did|should|would|has|have|will)\b"),
        ("refusal", r"\b(?:i (?:can(?:'t|not)|won't|will not|am not able|'m not able|'m unable|don't)|sorry|i'm afraid|not able to)\b"),
        ("my instructions", r"\bmy (?:\w+ ){0,2}(?:instructions|prompt|rules|guidelines|configuration|briefing)\b"),
        ("here are", r"\bhere(?:'s| is| are)\b|\bas you (?:asked|wished|like)\b|\bof course\b|\bsure\b|\bcertainly\b"),
        ("triple quote", r"\"\"\"|'''|```"),
        ("colon after a machine", r"\b(?:assistant|ai|llm|bot|agent|model|chatbot|gpt|copilot|claude|assistent|asistente|assistente|ки|助手|アシスタント)\w*\s*[:,：，]"),
        ("brackets", r"\[[^\]\n]{12,}\]|\([^)\n]{30,}\)|<[^>\n]{30,}>"),
        ("at", r"(?<![\w.])@[a-z]{3,}"),
        ("code", r"[;{}]\s*(?:\n|$)|\bdef |\breturn\b|\bimport |==|\bSELECT\b|=>"),
    )
)  # fmt: skip


_TELLING = frozenset(
    {"drop", "system_prompt", "machine", "unbound", "conceal", "persona", "comply", "steer", "secret", "harm", "place"}
)


# Without one of these in small letters the pattern cannot hold; looking for them costs next to nothing.
_NEEDLES = {
    "role in json": ("role",), "closing tag": ("</",), "role tag": ("<",), "html comment": ("<!--",), "image": ("![",), "link": ("](",),
    "iframe": ("<",), "url": ("://",), "query": ("?",), "placeholder in url": ("://",), "email": ("@",), "host": (".",), "call": ("(",),
    "question": ("?",), "at": ("@",), "setting": ("=", "set "), "code": (";", "{", "}", "def ", "return", "import ", "==", "select", "=>"),
    "shell": ("rm -rf", "curl", "nc -", "/bin/", "base64", "chmod", "os.", "subprocess", "eval("),
    "hidden style": ("display", "font-size", "visibility", "opacity", "color", "aria-hidden", "sr-only"),
    "local address": ("169.", "localhost", "127.", "metadata", "file:", "/proc", "/etc/", "~/", ".env"),
    "my instructions": ("my ",), "you are": ("you",), "triple quote": ('"""', "'''", "```"),
}  # fmt: skip
_ANYTHING = ("",)


class Undone(NamedTuple):
    """What was undone to read a piece: the disguise; how many invisible characters and look-alikes."""

    disguise: str = ""
    invisible: int = 0
    disguised: int = 0


NOTHING_UNDONE = Undone()


class Seen(NamedTuple):
    """Features of a piece: those that count most, those that count whole, and those that share a weight."""

    strong: list[str]
    whole: list[str]
    shared: list[str]
    matches: list[Match]
    """The rules that hold of it, with their places in it."""


def seen(
    text: str,
    surface: Surface,
    undone: Undone = NOTHING_UNDONE,
    *,
    is_whole: bool = True,
    hits: list[Hit] | None = None,
) -> Seen:
    """Return the features of a piece as it is read.

    Not ``is_whole``: it is one of several, of which those that no rule and no telling cue is in are not looked at closer. ``hits``: those of the lexicon, where they are known.
    """
    read = cues_of(text, surface, hits)
    held = matches(text, read, surface)
    if not (is_whole or held or any(cue.concept in _TELLING for cue in read)):
        return Seen(["nothing"], [], [], held)
    place = surface.value
    strong = [f"rule {match.name}{chr(39) * match.quoted}" for match in held]
    strong += [f"{rule} {place}" for rule in strong]
    strong.append(f"rules {min(len(strong), 8)}")
    whole = [f"surface {place}"]
    low = text.lower()
    for name, pattern in _MARKS:
        if any(needle in low for needle in _NEEDLES.get(name, _ANYTHING)) and pattern.search(text):
            whole += (f"mark {name}", f"mark {place} {name}")
    whole += [f"undone {undone.disguise}", "undone"] if undone.disguise else []
    whole += ["invisible"] if undone.invisible > 2 else []
    whole += ["disguised"] if undone.disguised > 3 else []
    whole += _cues(read, place)
    return Seen(strong, list(dict.fromkeys(whole)), list(dict.fromkeys(_grams(low, quotations(text, surface)))), held)


def _cues(read: Sequence[Cue], place: str) -> Iterator[str]:
    first = min((cue.start for cue in read), default=0)
    for number, cue in enumerate(read):
        yield f"cue {cue.name}"
        yield f"cue {cue.name} {place}"
        if cue.start == first and first < 4:
            yield f"first {cue.name}"
        yield from _together(read, number, place)
    yield f"cues {min(len({cue.name for cue in read}), 12)}"


def _together(read: Sequence[Cue], number: int, place: str) -> Iterator[str]:
    cue = read[number]
    within: list[str] = []
    for other in read[number + 1 : number + 14]:
        gap = other.start - cue.start
        if gap > _FAR:
            break
        if other.name == cue.name:
            continue
        if other.sentence == cue.sentence:
            yield f"pair {cue.name} {other.name}"
            yield f"pair {cue.name} {other.name} {place}"
            if gap <= _NEAR:
                yield f"near {cue.name} {other.name}"
            within.append(other.name)
        else:
            yield f"across {cue.name} {other.name}"
    ordered = list(dict.fromkeys(within))[:4]
    for at, middle in enumerate(ordered):
        for last in ordered[at + 1 :]:
            yield f"three {' '.join(sorted((cue.name, middle, last)))}"


def _grams(low: str, quotes: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Yield words and pairs of words; those that are quoted are others than those that are said."""
    before = two_before = ""
    for one in _WORD.finditer(low):
        word = one[0]
        if quotes and any(start < one.start() < end for start, end in quotes):
            word = f"'{word}"
        yield word
        if before:
            yield f"{before} {word}"
        if two_before:
            yield f"{two_before} _ {word}"
        before, two_before = word, before
        if len(word) > 5:
            yield f"^{word[:5]}"
    if low.isascii():
        return
    for one in _UNSPACED.finditer(low):
        piece = one[0]
        mark = "'" if any(start < one.start() < end for start, end in quotes) else ""
        for at in range(len(piece) - 1):
            yield mark + piece[at : at + 2]
            yield mark + piece[at : at + 3]


def slots(features: Sequence[str]) -> list[int]:
    """Return where the features' weights stand."""
    return [crc32(feature.encode()) % SLOTS for feature in features]
