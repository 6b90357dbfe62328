"""What a text must have for rules to find anything in it: a digit, a sign, a word that introduces a secret.

A look at the new end of a stream, cheap beside what the rules cost, that proves for most prose that nothing is there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from penstock_gateway.domain.guardrails.pii.credentials import COMMAND_WORDS, NAME_WORDS, STEMS
from penstock_gateway.domain.guardrails.pii.mails import DOT_WORDS
from penstock_gateway.domain.guardrails.pii.spoken import DIGIT_WORDS

# A word of as many characters may be a key.
_LONG = 16
CUE_REACH = 440
"""Characters behind the name of a secret within which its value stands."""

# Digits of a number that is spelled out have one word of four letters at least among them; years in words have these.
_SPELLED = {*DOT_WORDS, *(one for one in DIGIT_WORDS if len(one) > 3), "nineteen", "thousand"}
_NAMES = {*NAME_WORDS, *COMMAND_WORDS, "login"}


def _any(words: set[str]) -> str:
    return "|".join(sorted(one for one in words if one.isascii()))


_TRIGGER = re.compile(
    rf"(?P<part>[0-9@=*]|://|-----|\b(?:{_any(_SPELLED)}))|(?P<cue>{_any(set(STEMS))}|(?<![a-z])(?:{_any(_NAMES)})(?![a-z]))"
)
_REACH = max(_LONG, *(len(one) for one in _SPELLED | _NAMES))
# Less than any place from which something reaches.
NOWHERE = -1_000_000


class Last(NamedTuple):
    """Where the last ``part`` of something that is found begins, and the last ``cue`` that something follows; ``NOWHERE``: there is none."""

    part: int
    cue: int


def last_triggers(text: str, start: int) -> Last:
    """Return where the last things begin without which rules find nothing in ``text[start:]``.

    What began before ``start`` and goes on behind it is seen. In a text that is not ASCII everything may be both.
    """
    if start and not text[start - 1].isspace():
        start = max(0, start - _REACH)
    new = text[start:]
    if not new.isascii():
        return Last(len(text) - 1, len(text) - 1)
    part = len(text) - 1 if len(new) >= _LONG and any([len(word) >= _LONG for word in new.split()]) else NOWHERE
    cue = NOWHERE
    for match in _TRIGGER.finditer(new.lower()):
        if match.lastgroup == "cue":
            cue = start + match.start()
        else:
            part = max(part, start + match.start())
    return Last(part, cue)
