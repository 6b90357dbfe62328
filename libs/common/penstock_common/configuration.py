"""The configuration file: one YAML document, read once, validated per section.

A role declares the sections it uses as a ``Section``; only their references
are resolved, so a role without providers holds no provider's key.

- ``${NAME}`` reads the environment, ``${file:/run/secrets/x}`` a file, both without the white space around what
  they hold; ``$${`` is a literal ``${``.
- ``PENSTOCK_CACHE__MODE=off`` overrides ``cache: {mode: …}``; the value is YAML.
- Durations are ``500ms``, ``3s``, ``10m``, ``1h``.
- An unknown key is an error that names the nearest known one; a section whose name begins with ``x-`` is the
  writer's own, such as for anchors.
"""

from __future__ import annotations

import hashlib
import os
import re
import typing
from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from penstock_common.faults import (
    ConfigurationError,
    Fault,
    KeyPath,
    Places,
    fault_at,
    faults_of,
    nearest,
    refuse,
    refuse_key,
)
from penstock_common.file_contents import file_contents
from penstock_common.whole_numbers import MAX_INT32, MAX_WHOLE_NUMBER, whole_numbers
from penstock_common.yaml_document import read_yaml

__all__ = [
    "MAX_INT32",
    "MAX_WHOLE_NUMBER",
    "RELOADED",
    "Configuration",
    "ConfigurationError",
    "Duration",
    "Fault",
    "Reloaded",
    "Secret",
    "Section",
    "format_duration",
    "parse_duration",
]

_ENVIRONMENT_PREFIX = "PENSTOCK_"
_OWN_PREFIX = "x-"
_REFERENCE = re.compile(r"\$\$\{|\$\{(?:(file):)?([^}]*)(\}?)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?)(ms|s|m|h|d)")
_MICROSECONDS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_MOST_WHOLE = 999_999_999
_PASSES = 4
_REVISION_DIGITS = 12


class Reloaded:
    """Notes of a setting that a running process takes over: all that stands below it, without a restart."""


RELOADED = Reloaded()


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
        faults: list[tuple[KeyPath, str]] = []
        for name, field in cls.model_fields.items():
            if name in section:
                section[name] = _resolve(section[name], field.annotation, (name,), faults)
        refuse(faults)
        return section

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        refuse(
            (path, f"it must be at most {MAX_WHOLE_NUMBER}")
            for name in type(self).model_fields
            for path, number in whole_numbers(getattr(self, name), (name,))
            if number > MAX_WHOLE_NUMBER
        )
        return self


def _resolve(value: Any, annotation: Any, path: KeyPath, faults: list[tuple[KeyPath, str]]) -> Any:
    """Return the value with its references resolved; what cannot be is added to the faults."""
    if isinstance(value, str):
        return _resolve_text(value, path, faults)
    if isinstance(value, list):
        items = enumerate(typing.cast("list[Any]", value))
        return [_resolve_text(item, (*path, at), faults) if isinstance(item, str) else item for at, item in items]
    if isinstance(value, dict) and typing.get_origin(annotation) is dict and typing.get_args(annotation)[1] is str:
        texts = typing.cast("dict[Any, Any]", value).items()
        return {
            key: _resolve_text(item, (*path, key), faults) if isinstance(item, str) else item for key, item in texts
        }
    return value


def _resolve_text(text: str, path: KeyPath, faults: list[tuple[KeyPath, str]]) -> str:
    if "${" not in text:
        return text
    try:
        return _REFERENCE.sub(_replaced, text)
    except _UnresolvedError as error:
        faults.append((path, str(error)))
        return text


class _UnresolvedError(Exception):
    """A reference leads to nothing; the message says why, and quotes nothing that it led to."""


def _replaced(match: re.Match[str]) -> str:
    kind, name, end = match.groups()
    if name is None:
        return "${"
    if not end or not name or (kind is None and not _VARIABLE.fullmatch(name)):
        # The name is not told: it may be a secret that holds these characters.
        raise _UnresolvedError("a reference is written ${NAME} or ${file:/path}, and a literal ${ is written $${")
    held = _held_by_file(name) if kind else os.environ.get(name)
    what = f"the file {name}" if kind else f"the environment variable {name}"
    if held is None:
        raise _UnresolvedError(f"{what} is not set")
    # Editors, `echo` and mounted secrets end a file in a line end, and shells quote one into a variable.
    value = held.strip().removeprefix("\ufeff")
    if (place := _control_character(value)) is not None:
        raise _UnresolvedError(f"{what} holds a control character, such as the end of a line, at character {place + 1}")
    return value


def _held_by_file(path: str) -> str:
    try:
        return file_contents(Path(path)).decode()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds no text"
        raise _UnresolvedError(f"the file {path}: {reason}") from None


def _control_character(text: str) -> int | None:
    return next((place for place, character in enumerate(text) if character < " " or character == "\x7f"), None)


def resolved_if_possible(value: object) -> str:
    """Return the text of a value that only other roles need, as it is written where its references cannot be resolved."""
    return _resolve_text(str(value), (), [])


SettingsT = TypeVar("SettingsT", bound=BaseModel)


class Configuration:
    """The parsed file, before any role has looked at it."""

    def __init__(
        self,
        document: dict[str, Any],
        source: str = "the configuration",
        places: Places | None = None,
        revision: str = "",
    ) -> None:
        self._document = document
        self._source = source
        self.revision = revision
        """Of the file as it was written: the first 12 hexadecimal digits of its SHA-256, as `sha256sum` prints it."""
        self.places: Places = {(): Fault("", file=source), **(places or {})}
        """Where each setting is written."""

    @classmethod
    def load(cls, path: Path, environment: Mapping[str, str] | None = None) -> Configuration:
        """Return the file with environment overrides applied.

        Raises:
            ConfigurationError: if the file cannot be read or is not a YAML mapping.
        """
        try:
            content = file_contents(path)
            text = content.decode("utf-8-sig")
        except OSError as error:
            raise ConfigurationError(Fault(str(error.strerror), file=str(path))) from None
        except UnicodeDecodeError:
            raise ConfigurationError(Fault("it is not UTF-8 text", file=str(path))) from None
        parsed = cls.parse(text, environment, source=str(path))
        parsed.revision = _revision(content)
        return parsed

    @classmethod
    def parse(
        cls, text: str, environment: Mapping[str, str] | None = None, source: str = "the configuration"
    ) -> Configuration:
        """Return the document in ``text`` with environment overrides applied."""
        read = read_yaml(text, source)
        document = {} if read.value is None else read.value
        if not isinstance(document, dict):
            raise ConfigurationError(Fault("it must hold a mapping of sections", file=source))
        sections = typing.cast("dict[str, Any]", document)
        places: dict[KeyPath, Fault] = {path: Fault("", file=source, line=line) for path, line in read.lines.items()}
        # What is there for its anchors is nobody's section.
        sections = {name: value for name, value in sections.items() if not str(name).startswith(_OWN_PREFIX)}
        _override(sections, places, os.environ if environment is None else environment)
        return cls(sections, source, places, _revision(text.encode()))

    @property
    def document(self) -> Mapping[str, Any]:
        """The sections as they are written, references unresolved."""
        return self._document

    @property
    def source(self) -> str:
        """What errors call it."""
        return self._source

    def with_document(self, document: dict[str, Any]) -> Configuration:
        """Return another document, told of by the places of this one."""
        return Configuration(document, self._source, self.places, self.revision)

    def fault(self, path: KeyPath, message: str) -> Fault:
        """Return a fault at the place where ``path`` is written."""
        return fault_at(path, message, self.places)

    def settings(self, settings_type: type[SettingsT]) -> SettingsT:
        """Return the sections that ``settings_type`` declares, validated.

        Raises:
            ConfigurationError: with every fault, each naming its key.
        """
        wanted = {name: self._document[name] for name in settings_type.model_fields if name in self._document}
        try:
            return settings_type.model_validate(wanted)
        except ValidationError as error:
            faults = self._faults(settings_type, wanted, error)
        raise ConfigurationError(*dict.fromkeys(faults))

    def _faults(self, settings_type: type[BaseModel], wanted: dict[str, Any], error: ValidationError) -> list[Fault]:
        found: dict[KeyPath, list[Fault]] = {}
        # What holds between settings is looked at once each is valid: with the faulty ones left out, so far as that works.
        rest = deepcopy(wanted)
        for _ in range(_PASSES):
            told = faults_of(settings_type, error.errors(include_url=False), self.places)
            # What is said of a section whose own keys were left out may follow from that.
            fresh = {path: new for path, new in told.items() if not any(path == other[: len(path)] for other in found)}
            found |= fresh
            if sum(_leave_out(rest, path) for path in sorted(fresh, key=len, reverse=True)) == 0:
                break
            try:
                settings_type.model_validate(rest)
                break
            except ValidationError as next_error:
                error = next_error
        return [fault for faults in found.values() for fault in faults]

    def refuse_unknown_sections(self, known: set[str]) -> None:
        """Raise ConfigurationError if the file has sections that no role knows."""
        unknown = [name for name in self._document if name not in known]
        if unknown:
            told = (self.fault((name,), f"unknown section '{name}'{nearest(str(name), known)}") for name in unknown)
            raise ConfigurationError(*told)


def _revision(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_REVISION_DIGITS]


def _leave_out(document: Any, path: KeyPath) -> bool:
    """Remove what stands at the path; False where nothing does, so that what is missing stays missing."""
    if not path:
        return False
    *above, last = path
    for part in above:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return False
    if not isinstance(document, dict) or last not in document:
        return False
    del document[last]
    return True


def _override(document: dict[str, Any], places: dict[KeyPath, Fault], environment: Mapping[str, str]) -> None:
    """Apply ``PENSTOCK_SECTION__KEY=value``; names without ``__`` are not ours."""
    given: dict[KeyPath, str] = {}
    for name, raw in sorted(environment.items()):
        if not name.startswith(_ENVIRONMENT_PREFIX) or "__" not in name:
            continue
        path = tuple(name.removeprefix(_ENVIRONMENT_PREFIX).lower().split("__"))
        if (before := given.setdefault(path, name)) != name:
            raise ConfigurationError(Fault(f"{before} says the same setting: keep one", file=name))
        *above, last = path
        place = document
        for key in above:
            if place.get(key) is None:
                place[key] = {}
            inner = place[key]
            if not isinstance(inner, dict):
                raise ConfigurationError(Fault(f"'{key}' is not a section that a variable can reach into", file=name))
            place = typing.cast("dict[str, Any]", inner)
        place[last] = read_yaml(raw, name).value
        places[path] = Fault("", file=name)


class Secret(SecretStr):
    """A key that travels in headers: shown nowhere, and refused where it could not be sent."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a secret, and a look at what it holds."""
        return core_schema.no_info_after_validator_function(
            _sendable, super().__get_pydantic_core_schema__(source, handler)
        )


def _sendable(secret: Secret) -> Secret:
    text = secret.get_secret_value()
    place = _control_character(text)
    if place is not None:
        refuse_key(f"it holds a control character, such as the end of a line, at character {place + 1}")
    foreign = next((place for place, character in enumerate(text) if character > "~"), None)
    if foreign is not None:
        refuse_key(f"it holds at character {foreign + 1} one that no header can carry: only ASCII, and no other blank")
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        refuse_key("it begins and ends with a quotation mark, which `docker --env-file` keeps: leave them out")
    return secret
