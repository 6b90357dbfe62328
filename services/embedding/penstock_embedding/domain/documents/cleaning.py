"""Takes out of a text what nobody sees: it splits words for a search, and hides instructions from a reader."""

from __future__ import annotations

import re

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"  # controls
    "\xad\u034f\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff"  # soft hyphens, joiners, spaces of no width
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters that are blank
    "\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff"  # marks of programs
    "\ud800-\udfff"  # halves of characters
    "\U000e0000-\U000e0fff"  # tags, further variation selectors
    "]"
    # Scripts that join letters, and emoji, need these two.
    "|(?<![\u0600-\u0dff\u1780-\u17ff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]"
)
_ASCII_LINE_ENDS = bytes.maketrans(b"\r\x0b\x0c\x1c\x1d\x1e", b"\n" * 6)
_ASCII_INVISIBLE = bytes((*range(9), *range(0x0E, 0x1C), 0x1F, 0x7F))


def clean(text: str) -> str:
    r"""Return the text with ``\n`` for every line's end, and without invisible characters.

    These go: controls but tabs, soft hyphens, zero-width characters (joiners only where no script asks for them), marks
    of direction, blank letters, Unicode tags, lone surrogates.
    """
    if text.isascii():
        return text.encode().replace(b"\r\n", b"\n").translate(_ASCII_LINE_ENDS, _ASCII_INVISIBLE).decode()
    return _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
