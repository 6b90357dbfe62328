"""Texts that others have written, on a terminal."""

from __future__ import annotations

import re

# Control characters but for tabs and new lines, and what turns the direction of a line.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return the text with escapes in the place of what a terminal obeys; JSON says the same as before."""
    return _COMMANDS.sub(lambda command: f"\\u{ord(command.group()):04x}", text)
