"""The records of a JSON text: the elements of its largest array of objects."""

from __future__ import annotations

import re

import msgspec

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]')
_LEAST_RECORDS = 3


class _Array(msgspec.Struct, gc=False):
    depth: int
    elements: list[tuple[int, int]] = []


def records_in(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return the spans of the records between two places, each with the comma behind it; none where it is no such JSON."""
    if text[start : start + 1] not in ("[", "{") or text[end - 1 : end] not in ("]", "}"):
        return []
    found = _Found()
    for match in _TOKEN.finditer(text, start, end):
        sign = match.group()
        if sign in ("[", "{"):
            found.opens(sign, match.start())
        elif sign in ("]", "}"):
            if not found.closes(sign, match.end()):
                return []
        elif sign == ",":
            found.goes_on(match.end())
    return [] if found.open_at else found.best


class _Found:
    """What lies open at a place in a JSON text, and the longest array of objects that was closed before it."""

    def __init__(self) -> None:
        self.open_at: list[int] = []
        self.best: list[tuple[int, int]] = []
        self._arrays: list[_Array] = []

    def opens(self, sign: str, at: int) -> None:
        if sign == "[":
            self._arrays.append(_Array(len(self.open_at)))
        self.open_at.append(at)

    def closes(self, sign: str, end: int) -> bool:
        """Return whether there was something to close."""
        if not self.open_at:
            return False
        opened = self.open_at.pop()
        inner = self._arrays[-1] if self._arrays else None
        if inner is None:
            return True
        if sign == "]" and inner.depth == len(self.open_at):
            self._arrays.pop()
            if len(inner.elements) >= _LEAST_RECORDS and _length(inner.elements) > _length(self.best):
                self.best = inner.elements
        elif inner.depth == len(self.open_at) - 1:
            inner.elements.append((opened, end))
        return True

    def goes_on(self, end: int) -> None:
        """Count a comma to the record before it."""
        inner = self._arrays[-1] if self._arrays else None
        if inner is not None and inner.elements and inner.depth == len(self.open_at) - 1:
            begun, _ = inner.elements[-1]
            inner.elements[-1] = (begun, end)


def _length(spans: list[tuple[int, int]]) -> int:
    return spans[-1][1] - spans[0][0] if spans else 0
