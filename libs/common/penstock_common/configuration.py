"""The configuration file: one YAML document, read once, validated per section.

A role declares the sections it uses as a ``Section``; only their references
are resolved, so a role without providers holds no provider's key.

- ``${NAME}`` reads the environment, ``${file:/run/secrets/x}`` a file.
- ``PENSTOCK_CACHE__MODE=off`` overrides ``cache: {mode: …}``; the value is YAML.
- Durations are ``500ms``, ``3s``, ``10m``, ``1h``.
- An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import os
import re
import types
import typing
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from yaml.parser import ParserError
from yaml.scanner import ScannerError

_ENVIRONMENT_PREFIX = "PENSTOCK_"
_REFERENCE = re.compile(r"\$\{(?:(file):)?([^}]+)\}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?)(ms|s|m|h|d)")
_MICROSECONDS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_MOST_WHOLE = 999_999_999


class ConfigurationError(Exception):
    """The configuration cannot be used; the message says where and what to do, a line per fault."""


def parse_duration(text: str) -> timedelta:
    """Return the duration that ``500ms``, ``3s``, ``10m``, ``1h`` or ``30d`` says.

    Raises:
        ValueError: if it is written in another way.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("a duration such as 500ms, 3s, 10m or 1h is expected")
    try:
        return timedelta(microseconds=round(Decimal(match[1]) * _MICROSECONDS[match[2]]))
    except OverflowError:
        raise ValueError("the duration is too long") from None


def _read_duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    try:
        return parse_duration(value if isinstance(value, str) else "")
    except ValueError as error:
        raise PydanticCustomError("duration", "{reason}", {"reason": str(error)}) from None


def format_duration(value: timedelta) -> str:
    """Return the shortest exact form that the configuration file accepts."""
    microseconds = value // timedelta(microseconds=1)
    for unit in ("h", "m", "s", "ms"):
        whole, rest = divmod(microseconds, _MICROSECONDS[unit])
        if whole and not rest and whole <= _MOST_WHOLE:
            return f"{whole}{unit}"
    unit = "ms" if microseconds // 1_000 <= _MOST_WHOLE else "s"
    digits = f"{Decimal(microseconds) / _MICROSECONDS[unit]:f}"
    return f"{digits}{unit}"


Duration = Annotated[timedelta, BeforeValidator(_read_duration), PlainSerializer(format_duration)]


class Section(BaseModel):
    """A part of the configuration: frozen, unknown keys refused, references resolved.

    Only fields that the class declares are resolved. A role that needs fewer
    keys than the file has sets ``extra="ignore"`` and never sees the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _resolve_references(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        section: dict[str, Any] = dict(typing.cast("dict[str, Any]", data))
        known = {field.alias or name: field.annotation for name, field in cls.model_fields.items()}
        return {key: _resolve(value, known[key]) if key in known else value for key, value in section.items()}


def _resolve(value: Any, annotation: Any) -> Any:
    if isinstance(value, str):
        return _resolve_text(value)
    if isinstance(value, list):
        return [_resolve_text(item) if isinstance(item, str) else item for item in typing.cast("list[Any]", value)]
    if isinstance(value, dict) and typing.get_origin(annotation) is dict and typing.get_args(annotation)[1] is str:
        texts = typing.cast("dict[Any, Any]", value)
        return {key: _resolve_text(item) if isinstance(item, str) else item for key, item in texts.items()}
    return value


def _resolve_text(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] == "file":
            try:
                return Path(match[2]).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it holds no text"
                raise PydanticCustomError(
                    "reference", "the file {path}: {reason}", {"path": match[2], "reason": reason}
                ) from None
        found = os.environ.get(match[2])
        if found is None:
            raise PydanticCustomError("reference", "the environment variable {name} is not set", {"name": match[2]})
        return found

    return _REFERENCE.sub(replace, text)


def resolved_if_possible(value: object) -> str:
    """Return the text of a value that only other roles need, as it is written where its references cannot be resolved."""
    try:
        return _resolve_text(str(value))
    except PydanticCustomError:
        return str(value)


SettingsT = TypeVar("SettingsT", bound=BaseModel)


class Configuration:
    """The parsed file, before any role has looked at it."""

    def __init__(self, document: dict[str, Any], source: str = "the configuration") -> None:
        self._document = document
        self._source = source

    @classmethod
    def load(cls, path: Path, environment: Mapping[str, str] | None = None) -> Configuration:
        """Return the file with environment overrides applied.

        Raises:
            ConfigurationError: if the file cannot be read or is not a YAML mapping.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{path}: it is not UTF-8 text") from None
        return cls.parse(text, environment, source=str(path))

    @classmethod
    def parse(
        cls, text: str, environment: Mapping[str, str] | None = None, source: str = "the configuration"
    ) -> Configuration:
        """Return the document in ``text`` with environment overrides applied."""
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{source} is not valid YAML: {_place_and_problem(error)}") from None
        if document is None:
            document = {}
        if not isinstance(document, dict):
            raise ConfigurationError(f"{source} must hold a mapping of sections")
        sections = typing.cast("dict[str, Any]", document)
        _override(sections, os.environ if environment is None else environment)
        return cls(sections, source)

    @property
    def document(self) -> Mapping[str, Any]:
        """The sections as they are written, references unresolved."""
        return self._document

    def settings(self, settings_type: type[SettingsT]) -> SettingsT:
        """Return the sections that ``settings_type`` declares, validated.

        Raises:
            ConfigurationError: one line per fault, each naming its key.
        """
        wanted = {name: self._document[name] for name in settings_type.model_fields if name in self._document}
        try:
            return settings_type.model_validate(wanted)
        except ValidationError as error:
            lines = [_describe(settings_type, fault) for fault in error.errors(include_url=False)]
            raise ConfigurationError(f"{self._source}: " + "; ".join(dict.fromkeys(lines))) from None

    def refuse_unknown_sections(self, known: set[str]) -> None:
        """Raise ConfigurationError if the file has a section that no role knows."""
        for name in map(str, self._document):
            if name not in known:
                raise ConfigurationError(f"{self._source}: unknown section '{name}'{_nearest(name, known)}")


def _override(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Apply ``PENSTOCK_SECTION__KEY=value``; names without ``__`` are not ours."""
    for name, raw in sorted(environment.items()):
        if not name.startswith(_ENVIRONMENT_PREFIX) or "__" not in name:
            continue
        *path, last = name.removeprefix(_ENVIRONMENT_PREFIX).lower().split("__")
        place = document
        for key in path:
            if place.get(key) is None:
                place[key] = {}
            inner = place[key]
            if not isinstance(inner, dict):
                raise ConfigurationError(f"{name}: '{key}' is not a section that a variable can reach into")
            place = typing.cast("dict[str, Any]", inner)
        try:
            place[last] = yaml.safe_load(raw)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{name} is not valid YAML: {_place_and_problem(error)}") from None


def _place_and_problem(error: yaml.YAMLError) -> str:
    """Return what is wrong without the text around it, which may be a secret."""
    mark = getattr(error, "problem_mark", None)
    place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    # The other kinds of error quote the names of aliases and tags.
    speaks = isinstance(error, ScannerError | ParserError)
    return place + (str(error.problem) if speaks else "it cannot be read here")


def _describe(settings_type: type[BaseModel], fault: Any) -> str:
    location: tuple[str | int, ...] = fault["loc"]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{where}'{_nearest(str(location[-1]), _known_keys(settings_type, location[:-1]))}"
    if fault["type"] == "missing":
        return f"'{where}' is missing"
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"'{where}': {message}" if where else message


def _known_keys(model: Any, path: tuple[str | int, ...]) -> set[str]:
    """Return the keys of the model at ``path`` below ``model``, of all that may stand there; empty where it is none."""
    annotations: list[Any] = [model]
    for part in path:
        models = [found for annotation in annotations for found in _models_within(annotation)]
        if not models:
            return set()
        fields = [field for found in models if (field := found.model_fields.get(str(part))) is not None]
        # Otherwise a place in a list, a key of a mapping or a branch of a union, which hold the same models.
        annotations = [field.annotation for field in fields] or annotations
    return {key for annotation in annotations for found in _models_within(annotation) for key in found.model_fields}


def _models_within(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for argument in typing.get_args(annotation) for found in _models_within(argument)]


def _nearest(name: str, known: set[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else f"; known are {', '.join(sorted(known))}" if known else ""


Secret = SecretStr
