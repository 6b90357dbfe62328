"""The examples of upstreams that the package carries, one file for each provider."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from penstock_suite.domain.example import Example, example_of

_SUFFIX = ".yaml"


def examples() -> Mapping[str, Example]:
    """Return an example for each provider, by the provider's name."""
    found = sorted((files("penstock_suite") / "examples").iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(_SUFFIX): example_of(file.read_text(encoding="utf-8"))
        for file in found
        if file.name.endswith(_SUFFIX)
    }
