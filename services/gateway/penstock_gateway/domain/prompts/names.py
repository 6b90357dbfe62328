"""What prompts and labels may be called: what fits into a path, a header and a tag."""

from __future__ import annotations

import re

from penstock_common.errors import InvalidRequest

_PROMPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# No number, which would be taken for a version.
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


def may_be_prompt(name: str) -> bool:
    """Return whether there may be a prompt of this name; others are not looked for."""
    return _PROMPT.fullmatch(name) is not None


def may_be_label(name: str) -> bool:
    """Return whether there may be a label of this name; others are not looked for."""
    return _LABEL.fullmatch(name) is not None


def prompt_name(name: str) -> str:
    """Return the name if it may be a prompt's."""
    if not may_be_prompt(name):
        raise InvalidRequest(
            "name must have 1 to 128 characters of A-Z a-z 0-9 . _ -, the first a letter or digit", field="name"
        )
    return name


def label_name(name: str) -> str:
    """Return the name if it may be a label's."""
    if not may_be_label(name):
        raise InvalidRequest(
            "label must have 1 to 64 characters of A-Z a-z 0-9 . _ -, the first a letter", field="label"
        )
    return name
