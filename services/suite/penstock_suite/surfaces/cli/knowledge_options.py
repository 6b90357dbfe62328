"""Options that the commands about documents share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated

import typer

from penstock_common.contract.knowledge import Attribute, AttributeValue
from penstock_suite.domain.failure import Misconfigured

TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose knowledge; an operator must name one.")]
BaseArgument = Annotated[str, typer.Argument(metavar="BASE", help="From 'penstock knowledge list'.")]


def read_attributes(texts: Iterable[str]) -> tuple[Attribute, ...]:
    """Return what ``NAME=TEXT`` and ``NAME:=JSON`` say, in the order of their names.

    Raises:
        Misconfigured: if one is written in another way.
    """
    found: dict[str, Attribute] = {}
    for text in texts:
        name, is_there, value = text.partition("=")
        if not is_there or not name.rstrip(":"):
            raise Misconfigured(f"'{text}' is no attribute: write NAME=TEXT, or NAME:=JSON for a number, true or false")
        if name.endswith(":"):
            found[name[:-1]] = Attribute(name[:-1], _json(text, value))
        else:
            found[name] = Attribute(name, AttributeValue(text=value))
    return tuple(found[name] for name in sorted(found))


def _json(text: str, value: str) -> AttributeValue:
    try:
        read = json.loads(value)
    except ValueError:
        read = None
    if isinstance(read, bool):
        return AttributeValue(flag=read)
    if isinstance(read, int | float):
        return AttributeValue(number=float(read))
    if isinstance(read, str):
        return AttributeValue(text=read)
    raise Misconfigured(f"'{text}': what follows := must be a number, true, false or a text in quotes")
