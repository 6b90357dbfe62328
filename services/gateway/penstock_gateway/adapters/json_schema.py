"""JSON Schema by the library ``jsonschema-rs``: nothing is fetched, and patterns run in linear time."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import islice
from typing import Any, cast

import jsonschema_rs
import pydantic_core

from penstock_common.llm.types import JsonSchema, ResponseFormat
from penstock_gateway.domain.structured.burden import MOST_WORK, TooMuch, steps_of
from penstock_gateway.domain.structured.mending import mended
from penstock_gateway.domain.structured.schema import LONGEST_PREFACE, Problem, Schema, behind_thoughts

_ANY_OBJECT = '{"type":"object"}'
_KEPT = 256
# Values in quotes that are none of texts.
_MOST_UNQUOTED = 64
_LITERAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?|true|false|null")
_LONGEST_FAULT = 300
_PATTERN_BYTES = 1 << 20
# What is said of members; what the whole must have, an answer may not have yet.
_OF_MEMBERS = ("$schema", "$id", "$defs", "definitions", "properties", "patternProperties", "additionalProperties")


def schema_of(wanted: ResponseFormat) -> Schema | None:
    """Return the schema of a format, ready; None where there is none that can be checked."""
    text = wanted.schema_json or _ANY_OBJECT if isinstance(wanted, JsonSchema) else _ANY_OBJECT
    return _compiled(text)


@lru_cache(maxsize=_KEPT)
def _compiled(text: str) -> RustSchema | None:
    try:
        return RustSchema(json.loads(text))
    except (ValueError, RecursionError):
        # ``jsonschema_rs.ValidationError`` is a ValueError, and so is a text that is no JSON.
        return None


class RustSchema:
    """One schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Raises ValueError if it is no schema, refers to anything outside itself, or is too much to apply."""
        self._steps = steps_of(schema)
        self._validator = _validator(schema)
        kind = schema.get("type")
        self._begins = {"object": "{", "array": "["}.get(kind) if isinstance(kind, str) else None
        members = {name: schema[name] for name in _OF_MEMBERS if name in schema}
        self._of_members = _validator(members) if "properties" in members and self._begins == "{" else None

    def problem(self, text: str) -> Problem | None:
        """Return what is wrong with a whole text, the first of it; None: nothing.

        Raises:
            TooMuch: if it would take too long to say.
        """
        try:
            value = pydantic_core.from_json(text, allow_inf_nan=False)
        except ValueError as error:
            return Problem(is_json=False, told=f"it is not JSON ({error}).")
        if self._is_too_much(text):
            raise TooMuch("the schema is too large for a text of so many values")
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as fault:
            where = "/".join(map(str, fault.instance_path))
            return Problem(is_json=True, told=f"at {where or 'the top'}: {fault.message}"[:_LONGEST_FAULT])
        return None

    def fitted(self, text: str) -> str | None:
        """Return the text as it is accepted, with what stands in quotes where none may be out of them; None: nothing helps.

        Raises:
            TooMuch: as ``problem``.
        """
        if self._is_too_much(text):
            raise TooMuch("the schema is too large for a text of so many values")
        value = pydantic_core.from_json(text, allow_inf_nan=False)
        if not _unquote(self._validator, value) or not self._validator.is_valid(value):
            return None
        return json.dumps(value, ensure_ascii=False)

    def is_lost(self, beginning: str) -> bool:
        """Return whether no text that begins so can be accepted: it is no JSON, or a member that is complete has a fault.

        Thoughts, words or a fence of Markdown before it are none of its faults yet.
        """
        said = behind_thoughts(beginning)
        if said is None:
            return False
        begun = said.lstrip()
        if not begun.startswith(("{", "[")):
            preface = begun[: LONGEST_PREFACE + 1]
            return self._begins is not None and len(preface) > LONGEST_PREFACE and not {"{", "["} & set(preface)
        if self._begins is not None and not begun.startswith(self._begins):
            return True
        value = _begun_value(begun)
        if value is None:
            return True
        if self._of_members is None or not isinstance(value, dict) or not value or self._is_too_much(begun):
            return False
        members = cast("dict[str, Any]", value)
        # The last one may go on.
        members.popitem()
        if self._of_members.is_valid(members):
            return False
        return not _unquote(self._of_members, members) or not self._of_members.is_valid(members)

    def _is_too_much(self, text: str) -> bool:
        # Each value but the first has a comma or a bracket before it.
        return self._steps * (1 + text.count(",") + text.count("{") + text.count("[")) > MOST_WORK


def _begun_value(begun: str) -> object:
    """Return what stands in a text that has begun, as far as that is seen; None: it is no JSON, nor as good as."""
    try:
        return pydantic_core.from_json(begun, allow_partial=True, allow_inf_nan=False)
    except ValueError:
        made = mended(begun, may_go_on=True)
    if made is None:
        return None
    try:
        return pydantic_core.from_json(made.text, allow_inf_nan=False) if made.text else {}
    except ValueError:
        return None


def _unquote(validator: Any, value: Any) -> bool:
    """Take what the schema wants as a number, a truth value or null out of its quotes; return whether that was all of its faults."""
    faults = list(islice(validator.iter_errors(value), _MOST_UNQUOTED + 1))
    if len(faults) > _MOST_UNQUOTED:
        return False
    for fault in faults:
        kind, said = fault.kind, fault.instance
        if not isinstance(kind, jsonschema_rs.ValidationErrorKind.Type) or not isinstance(said, str):
            return False
        if not fault.instance_path or not _LITERAL.fullmatch(said):
            return False
        *path, last = fault.instance_path
        at = value
        for step in path:
            at = at[step]
        at[last] = json.loads(said)
    return True


def _validator(schema: dict[str, Any]) -> Any:
    return jsonschema_rs.validator_for(
        schema, offline=True, pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES)
    )
