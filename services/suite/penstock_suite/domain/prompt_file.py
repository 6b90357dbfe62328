"""A version of a prompt in a file, and the values of its variables on a command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.prompts import PromptDraft


def read_draft(text: str, source: str) -> PromptDraft:
    """Return the version that a YAML file says.

    Raises:
        Misconfigured: if it is no YAML, or says what a version does not have.
    """
    # What it comes with takes longer to load than most commands to run.
    from penstock_common.configuration import ConfigurationError
    from penstock_common.yaml_document import read_yaml

    try:
        return msgspec.convert(read_yaml(text, source).value, PromptDraft)
    except ConfigurationError as error:
        raise Misconfigured(str(error)) from None
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{source}: {error}") from None


def written_draft(draft: PromptDraft) -> str:
    """Return the version as ``read_draft`` reads it."""
    return msgspec.yaml.encode(draft).decode()


def read_values(given: Sequence[str]) -> dict[str, Any]:
    """Return the values by name: ``NAME=TEXT``, or ``NAME:=JSON``.

    Raises:
        Misconfigured: if one is neither, or no JSON.
    """
    values: dict[str, Any] = {}
    for word in given:
        name, mark, text = word.partition("=")
        if not mark or not name.rstrip(":"):
            raise Misconfigured(f"--var: '{word[:64]}' is neither NAME=TEXT nor NAME:=JSON")
        if not name.endswith(":"):
            values[name] = text
            continue
        try:
            values[name[:-1]] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            raise Misconfigured(f"--var: what {name[:-1]} is to be is no JSON") from None
    return values
