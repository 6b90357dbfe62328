"""Scripts from files, YAML or JSON, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from penstock_faults.named import SCRIPTS
from penstock_faults.script import Script


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
        broken = step.broken
        if broken is not None and sum(at is not None for at in (broken.events, broken.bytes, broken.wire_bytes)) > 1:
            raise ScriptError(f"{where}.break: one of 'events', 'bytes' and 'wire_bytes' says where, not several")
        if step.drop in ("end", "repeat"):
            raise ScriptError(f"{where}.drop: nothing was begun; 'stall', 'close' and 'reset' are possible")
