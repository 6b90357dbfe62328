"""JSON that was valid: an example, changed in a few places, and written as text that a decoder may not like."""

from __future__ import annotations

import copy
import gzip
import json
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from values import FLOATS, INTEGERS, TEXTS

_OPENAPI = Path(__file__).resolve().parent.parent / "proto" / "go" / "openapi" / "penstock.openapi.json"
_MOST_PLACES = 400


@dataclass(frozen=True)
class Literally:
    """Text that stands in the document as it is."""

    text: str


@dataclass(frozen=True)
class Twice:
    """A member that comes twice under one name."""

    first: Any
    second: Any


_LITERALS = tuple(
    map(
        Literally,
        (
            "1e400", "-1e400", "NaN", "Infinity", "-0", "00", "1.", ".5", "1e-9999", "9" * 400, "0." + "1" * 400,
            "tru", "'x'", '"\\ud800"', '"\\uZZZZ"', '"\\x"', '"\t"', "[" * 70 + "]" * 70, "[" * 20_000,
            '{"a":' * 300 + "1" + "}" * 300, "[" + "{}," * 20_000 + "{}]", "[" + "0," * 260_000 + "0]", "",
        ),
    )
)  # fmt: skip


@cache
def known_names() -> tuple[str, ...]:
    """Return the name of every property that the OpenAPI document has."""
    found: set[str] = set()

    def look(node: Any) -> None:
        if isinstance(node, dict):
            properties = node.get("properties")
            found.update(properties if isinstance(properties, dict) else ())
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)

    look(json.loads(_OPENAPI.read_text()))
    return tuple(sorted(found))


def written(value: Any) -> str:
    """Return a document as text."""
    if isinstance(value, Literally):
        return value.text
    if isinstance(value, dict):
        members: list[str] = []
        for name, member in value.items():
            each = (member.first, member.second) if isinstance(member, Twice) else (member,)
            members += [f"{json.dumps(name)}:{written(one)}" for one in each]
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return written(value.first) if isinstance(value, Twice) else json.dumps(value)


def _scalars() -> st.SearchStrategy[Any]:
    literals = st.integers(0, len(_LITERALS) - 1).map(_LITERALS.__getitem__)
    return st.one_of(TEXTS, INTEGERS, FLOATS, st.booleans(), st.none(), literals)


VALUES = st.one_of(
    _scalars(),
    st.lists(_scalars(), max_size=3),
    st.dictionaries(st.one_of(st.sampled_from(known_names()), TEXTS), _scalars(), max_size=3),
)


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value of a document, its root first."""
    found = [path]
    if isinstance(node, dict):
        steps: Any = node.items()
    elif isinstance(node, list):
        steps = enumerate(node)
    else:
        return found
    for step, child in steps:
        found += _places(child, (*path, step))
    return found


@st.composite
def documents(draw: st.DrawFn, examples: st.SearchStrategy[Any]) -> Any:
    """Return an example that was changed up to four times."""
    document = copy.deepcopy(draw(examples))
    for _ in range(draw(st.sampled_from((1, 1, 1, 0, 0, 2, 3)))):
        place = draw(st.sampled_from(_places(document)[:_MOST_PLACES]))
        document = _changed(draw, document, place)
    return document


def _changed(draw: st.DrawFn, node: Any, place: tuple[Any, ...]) -> Any:
    if place and isinstance(node, dict | list):
        if len(place) == 1 and draw(st.sampled_from((False, False, False, True))):
            del node[place[0]]
        else:
            node[place[0]] = _changed(draw, node[place[0]], place[1:])
        return node
    how = draw(st.sampled_from(("add", "replace", "repeat", "wrap", "twice")))
    if how == "add" and isinstance(node, dict):
        node[draw(st.one_of(st.sampled_from(known_names()), TEXTS))] = draw(VALUES)
        return node
    if how == "add" and isinstance(node, list):
        return [*node, draw(VALUES)]
    if how == "repeat" and isinstance(node, list):
        return node * draw(st.sampled_from((2, 3, 200)))
    if how == "wrap":
        return draw(st.sampled_from(([node], {"value": node}, [[node]])))
    return Twice(node, draw(VALUES)) if how == "twice" else draw(VALUES)


_WHOLE = "as it is"
_SPOILT = ("cut", "flipped", "utf-16", "bom", "latin-1", "twice", "spaced")


@st.composite
def texts(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """Return a document as bytes, one time in five spoilt on the way."""
    text = written(draw(values))
    data = text.encode("utf-8", "surrogatepass")
    how = draw(st.sampled_from((_WHOLE,) * 24 + _SPOILT))
    if how in ("utf-16", "latin-1"):
        return text.encode(how, "replace")
    if how == "bom":
        return b"\xef\xbb\xbf" + data
    if how == "twice":
        return data + data
    if how == "spaced":
        return b" \r\n\t" + data + b"\n\n"
    if how == "cut":
        return data[: draw(st.integers(0, len(data)))]
    return spoilt(draw, data) if how == "flipped" else data


def spoilt(draw: st.DrawFn, data: bytes, pieces: tuple[bytes, ...] = (b"",)) -> bytes:
    """Return bytes of which a few were cut out, put in or exchanged."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.sampled_from((0, 0, 1, 1, 2, 5, 40)))
        put = draw(st.one_of(st.sampled_from(pieces), st.binary(max_size=6)))
        data = data[:at] + put + data[at + gone :]
    return data


_ENCODERS = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"GZIP": lambda data: gzip.compress(data)[:-5],
    b"gzip ": lambda data: data,
    b"br": lambda data: data,
}


def encoded(draw: st.DrawFn, data: bytes) -> tuple[bytes, bytes]:
    """Return a name of Content-Encoding, and the body as somebody sends it who says so; nothing of it mostly."""
    name = draw(st.sampled_from((b"",) * 20 + tuple(_ENCODERS)))
    return name, _ENCODERS[name](data) if name else data
