"""Scripts from files, YAML or JSON, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from penstock_faults.named import SCRIPTS
from penstock_faults.script import Script, Step

# RFC 9110, 5.1 and 5.5: a line's end within would begin another header, or the body.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

_LEAST_STATUS = 200
_MOST_STATUS = 999
"""What HTTP/1.1 can write; providers have statuses of their own beyond 599."""


class ScriptError(ValueError):
    """A script that cannot be played; the message says why, and what there is instead."""


def script_of(name_or_file: str) -> Script:
    """Return the script of that name, else the one that the file holds.

    Raises:
        ScriptError: if there is neither, or it cannot be played.
    """
    if name_or_file in SCRIPTS:
        return SCRIPTS[name_or_file]
    path = Path(name_or_file)
    if not path.is_file():
        known = ", ".join(sorted(SCRIPTS))
        raise ScriptError(f"there is no script '{name_or_file}', and no file of that name; there are {known}")
    try:
        return read_script(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: {error}") from None


def read_script(text: str, source: str = "the script") -> Script:
    """Return the script that a text holds, YAML or JSON.

    Raises:
        ScriptError: if it holds none.
    """
    try:
        document: Any = yaml.safe_load(text)
        script = msgspec.convert(document, Script, str_keys=True)
    except yaml.YAMLError as error:
        raise ScriptError(f"{source}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ScriptError(f"{source}: it is nested deeper than any script is") from None
    except msgspec.ValidationError as error:
        raise ScriptError(f"{source}: {error}") from None
    _refuse_contradictions(script, source)
    return script


def script_text(script: Script) -> str:
    """Return a script as YAML, to begin another with."""
    return yaml.safe_dump(msgspec.to_builtins(script, str_keys=False), sort_keys=False, allow_unicode=True, width=110)


def _refuse_contradictions(script: Script, source: str) -> None:
    for number, step in enumerate(script.steps):
        where = f"{source}: steps[{number}]"
        if step.times is None and step.seconds is None and number + 1 < len(script.steps):
            raise ScriptError(
                f"{where} is for ever, and no request would meet the next one: give it 'times' or 'seconds'"
            )
        if (step.times is not None and step.times < 1) or (step.seconds is not None and step.seconds <= 0):
            raise ScriptError(f"{where}: 'times' and 'seconds' must be more than nothing")
        if not _LEAST_STATUS <= step.status <= _MOST_STATUS:
            raise ScriptError(f"{where}.status: a response's is {_LEAST_STATUS} to {_MOST_STATUS}, not {step.status}")
        broken = step.broken
        if broken is not None and sum(at is not None for at in (broken.events, broken.bytes, broken.wire_bytes)) > 1:
            raise ScriptError(f"{where}.break: one of 'events', 'bytes' and 'wire_bytes' says where, not several")
        if step.drop in ("end", "repeat"):
            raise ScriptError(f"{where}.drop: nothing was begun; 'stall', 'close' and 'reset' are possible")
        for name, value in _fields_of(step):
            if not _NAME.fullmatch(name):
                raise ScriptError(f"{where}.headers: {name!a} is no header's name")
            if not _VALUE.fullmatch(value):
                raise ScriptError(f"{where}: the header '{name}' has a value that no header can have: {value!a}")


def _fields_of(step: Step) -> Iterator[tuple[str, str]]:
    """Yield what a step puts into the head of a response as it stands."""
    yield from step.headers.items()
    if step.retry_after:
        yield "retry-after", step.retry_after
    if step.body is not None:
        yield "content-type", step.body.content_type
