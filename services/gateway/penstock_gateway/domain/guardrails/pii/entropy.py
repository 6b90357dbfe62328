"""What a secret looks like: random signs, and not what stands for one."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

_IS_PLACEHOLDER = re.compile(
    r"[*x_.\-•…<>#?]+$|\$(?![2156ay][aby$]|argon)|%[^0-9]|%\d?[sd]$|\{|<|\[|\(\(|(?:none|null|nil|true|false|undefined)$|os\.|process\.|secrets\.|vault:|env\.|data\.|var\.|enc\[|self\.|config\.|settings\.",
    re.IGNORECASE,
)
_HAS_PLACEHOLDER = re.compile(
    r"\*{3}|x{5}|\.\.\.|_{5}|…|•|your[-_ ]|my[-_]?(?:secret|token|key|pass)|example|placeholder|redacted|masked|changeme|change[-_]me|replace|dummy|-here|_here|getenv|env\[|secretkeyref|ihr[-_]|dein[-_]|votre|tu[-_]clave",
    re.IGNORECASE,
)
_BITS = 3.0


def is_placeholder(value: str) -> bool:
    """Return whether a value only shows where a secret goes, or where it comes from."""
    return bool(_IS_PLACEHOLDER.match(value) or _HAS_PLACEHOLDER.search(value, 0, 64)) or len(set(value)) <= 2


def entropy(value: str) -> float:
    """Return the bits for each sign (Shannon)."""
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())


def has_mixed_signs(value: str, least: int) -> bool:
    """Return whether it has digits and letters mixed as no word or number has them."""
    if len(value) < least:
        return False
    digits = sum(each.isdigit() for each in value)
    letters = sum(each.isalpha() for each in value)
    if not digits or not letters:
        return False
    changes = sum(_class(one) != _class(other) for one, other in pairwise(value))
    return changes >= 3 and (digits > 1 or changes >= 4)


def _class(sign: str) -> int:
    if sign.isdigit():
        return 0
    if sign.isupper():
        return 1
    return 2 if sign.isalpha() else 3


def is_random(value: str, least: int) -> bool:
    """Return whether a value of at least so many signs is no words: mixed, and hardly a sign twice."""
    return len(value) >= least and has_mixed_signs(value, least) and entropy(value) >= _BITS
