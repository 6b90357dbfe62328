"""Questions and answers in a file, JSON lines or CSV: what each line says, and what is wrong with it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import msgspec

from penstock_suite.domain.cache_entries import CacheEntry, ImportedRow
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.terminal import harmless

_FIELDS = ("question", "answer", "tags", "model", "system", "language", "ttl")
# An export has them, and they say nothing of how a row goes in.
_EXPORTED = frozenset(
    {
        "id",
        "created_at",
        "expires_at",
        "origin",
        "hits",
        "threshold",
        "same_answers",
        "different_answers",
        "alias_of",
        "saved_tokens",
        "saved_nano_usd",
    }
)
_BOM = b"\xef\xbb\xbf"
_SEPARATOR = ";"

ParseDuration = Callable[[str], timedelta]


class BadLine(msgspec.Struct, frozen=True):
    """A line that does not go in; ``reason`` is a sentence."""

    line: int
    reason: str


class Rows(msgspec.Struct, frozen=True):
    """What a file says, in its order."""

    good: tuple[ImportedRow, ...]
    bad: tuple[BadLine, ...]


class _NotARow(Exception):
    pass


def read_rows(content: bytes, model: str, parse_duration: ParseDuration) -> Rows:
    """Return the rows of a file, whose own model wins over ``model``; a line that is no row is told, and ends nothing.

    A file whose first character is a brace is JSON lines, any other CSV with a line of titles. A line that gives
    another answer to a question of an earlier one is bad.

    Raises:
        Misconfigured: if it is CSV, and its titles are not ours, or it is not UTF-8.
    """
    content = content.removeprefix(_BOM)
    lines = _json_lines(content) if content.lstrip()[:1] in (b"{", b"") else _csv_lines(content)
    good: list[ImportedRow] = []
    bad: list[BadLine] = []
    answered: dict[tuple[str, str, str], ImportedRow] = {}
    for line, said in lines:
        try:
            row = _row(line, said, model, parse_duration)
        except _NotARow as error:
            bad.append(BadLine(line, str(error)))
            continue
        first = answered.setdefault((row.model, row.system, row.question), row)
        if first.answer == row.answer:
            good.append(row)
        else:
            bad.append(BadLine(line, f"another answer to the question of line {first.line}"))
    return Rows(tuple(good), tuple(bad))


def exported_line(entry: CacheEntry, now: float) -> bytes:
    """Return the entry as a line that ``read_rows`` takes, its life as long as is left of it at Unix seconds ``now``."""
    said = msgspec.to_builtins(entry, builtin_types=())
    del said["is_private"]
    if entry.expires_at is not None:
        said["ttl"] = f"{max(1, round(entry.expires_at.timestamp() - now))}s"
    if entry.is_private:
        said["private"] = True
    return harmless(msgspec.json.encode(said).decode()).encode() + b"\n"


def _json_lines(content: bytes) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for line, text in enumerate(content.split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            said = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield line, f"not JSON: {error}"
            continue
        yield line, said if isinstance(said, dict) else "not an object"


def _csv_lines(content: bytes) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Misconfigured(f"line {line} is not UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    titles = [title.strip().lower() for title in next(reader, [])]
    unknown = [title for title in titles if title not in _FIELDS]
    if unknown or not {"question", "answer"} <= set(titles) or len(set(titles)) < len(titles):
        raise Misconfigured(
            f"the first line must be titles, of {', '.join(_FIELDS)}, each at most once, and question and answer "
            f"among them; it is '{','.join(titles)[:200]}'"
        )
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"not CSV: {error}"
            return
        if not any(cells):
            continue
        if len(cells) != len(titles):
            yield line, f"{len(cells)} fields, and not {len(titles)} as the first line has"
            continue
        yield line, {title: cell for title, cell in zip(titles, cells, strict=True) if cell}


def _row(line: int, said: Mapping[str, Any] | str, model: str, parse_duration: ParseDuration) -> ImportedRow:
    if isinstance(said, str):
        raise _NotARow(said)
    if said.get("private"):
        raise _NotARow("it served one user alone, and an export does not say whom")
    if unknown := [name for name in said if name not in (*_FIELDS, "private") and name not in _EXPORTED]:
        raise _NotARow(f"'{unknown[0][:64]}' is not known; known are {', '.join(_FIELDS)}")
    texts = {name: _text(said, name) for name in ("question", "answer", "model", "system", "language")}
    if not texts["model"] and not model:
        raise _NotARow("it names no model, and --model none for those that do not")
    for name in ("question", "answer"):
        if not texts[name].strip():
            raise _NotARow(f"{name} is missing or empty")
    language = texts["language"]
    return ImportedRow(
        line=line,
        question=texts["question"],
        answer=texts["answer"],
        model=texts["model"] or model,
        system=texts["system"],
        tags=(*_tags(said.get("tags")), *((f"language:{language}",) if language else ())),
        ttl=_ttl(said.get("ttl"), parse_duration),
    )


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _NotARow(f"{name} is not a text")
    return value


def _tags(value: Any) -> Sequence[str]:
    if value is None:
        return ()
    tags: Any = value.split(_SEPARATOR) if isinstance(value, str) else value
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in cast("list[Any]", tags)):
        raise _NotARow("tags is neither a list of texts nor a text with ';' between them")
    return list(dict.fromkeys(tag.strip() for tag in cast("list[str]", tags) if tag.strip()))


def _ttl(value: Any, parse_duration: ParseDuration) -> timedelta | None:
    if value is None:
        return None
    text = str(value)
    try:
        # A number is one of seconds.
        ttl = parse_duration(f"{text}s" if text.isdecimal() else text)
    except ValueError:
        raise _NotARow(f"ttl is '{text[:32]}', and not a time such as 90s, 12h or 30d") from None
    if ttl <= timedelta():
        raise _NotARow("ttl is not longer than zero")
    return ttl
