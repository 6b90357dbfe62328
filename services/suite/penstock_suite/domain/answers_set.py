"""A set of cases for `penstock eval answers`: what is asked, and what the answer must and must not be."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from penstock_suite.domain.answers import Turn
from penstock_suite.domain.failure import Misconfigured

_ROLES = frozenset({"system", "user", "assistant"})


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question, as ``input`` or as turns, and what its answer is held to; texts are looked for whatever their case and blanks."""

    id: str
    input: str = ""
    messages: tuple[Turn, ...] = ()
    expected: tuple[str, ...] = ()
    """Each must be there."""
    forbidden: tuple[str, ...] = ()
    """None may be there."""
    schema: dict[str, Any] | None = None
    """JSON Schema; the answer is asked for in that format, too."""
    rules: tuple[str, ...] = ()
    """Guardrails of the configuration that may find nothing in it."""
    reference: str = ""
    """For the judge: an answer that is right."""
    criteria: str = ""
    """For the judge: what a right answer does."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What is asked."""
        return self.messages or (Turn("user", self.input),)

    @property
    def digest(self) -> str:
        """What changes with the case: results of another one are not compared."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]

    @property
    def is_held_to_something(self) -> bool:
        """Whether anything but a judge says whether an answer is right."""
        return bool(self.expected or self.forbidden or self.rules) or self.schema is not None

    def faults_of(self, text: str) -> list[str]:
        """Return what is wrong with an answer by its elements."""
        said = _plain(text)
        faults = [f"expected: {one}" for one in self.expected if _plain(one) not in said]
        return faults + [f"forbidden: {one}" for one in self.forbidden if _plain(one) in said]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def read_cases(content: bytes) -> list[Case]:
    """Return the cases of a file of JSON lines.

    Raises:
        Misconfigured: for the first line that is none, or if there is none.
    """
    cases: list[Case] = []
    lines: dict[str, int] = {}
    for line, row in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not row.strip():
            continue
        case = _case(line, row)
        if case.id in lines:
            raise Misconfigured(f"line {line}: the id '{case.id}' is that of line {lines[case.id]}")
        lines[case.id] = line
        cases.append(case)
    if not cases:
        raise Misconfigured("the set has no cases")
    return cases


def _case(line: int, row: bytes) -> Case:
    try:
        case = msgspec.json.decode(row, type=Case)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misconfigured(f"line {line} is no case: {error}") from None
    if bool(case.input) == bool(case.messages):
        raise Misconfigured(f"line {line}: a case needs either 'input' or 'messages'")
    for turn in case.messages:
        if turn.role not in _ROLES:
            raise Misconfigured(f"line {line}: a role is one of {', '.join(sorted(_ROLES))}, not '{turn.role}'")
    if not all(map(_plain, (*case.expected, *case.forbidden))):
        raise Misconfigured(f"line {line}: an expected or forbidden text is empty")
    return case
