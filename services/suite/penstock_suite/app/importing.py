"""`penstock config import`: reads another gateway's file, and writes ours with what could not be carried."""

from __future__ import annotations

from pathlib import Path

import yaml

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.importing.deployment import Imported
from penstock_suite.domain.importing.litellm import NotLiteLlm, imported

MAX_FILE_BYTES = 4 * 1024 * 1024
"""Bound on what is read."""
_LINE_WIDTH = 120


def import_litellm(file: Path, to: str) -> tuple[Imported, str]:
    """Return what LiteLLM's file says in our words, and the text of ours, which is called ``to``.

    Raises:
        Misconfigured: if it cannot be read, or is none.
    """
    found = imported_from(file)
    return found, told(found, file.name, to)


def imported_from(file: Path) -> Imported:
    """Return what LiteLLM's file says, in our words.

    Raises:
        Misconfigured: if it cannot be read, or is none.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Misconfigured(f"{file}: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise Misconfigured(f"{file}: it has more than {MAX_FILE_BYTES} bytes")
    try:
        return imported(yaml.safe_load(content))
    except RecursionError:
        raise Misconfigured(f"{file}: it is nested too deeply") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark is not None else ""
        raise Misconfigured(f"{file}:{line} it is no YAML") from None
    except NotLiteLlm as error:
        raise Misconfigured(f"{file}: {error}") from None


def told(found: Imported, source: str, path: str) -> str:
    """Return the text of our file: how it came to be, what was not carried, and the document."""
    lines = [
        f"Made of {source}, a configuration of LiteLLM's.",
        "",
        f"  penstock config check --config {path}",
        f"  penstock up --config {path}",
    ]
    if found.notes:
        lines += ["", "Not carried:", *(f"- {text}" for text in found.notes)]
    comments = "".join(f"# {line}".rstrip() + "\n" for line in lines)
    document = yaml.dump(found.document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=_LINE_WIDTH)
    return f"{comments}\n{document}"


class _Plain(yaml.SafeDumper):
    """Writes what is there twice twice."""

    def ignore_aliases(self, data: object) -> bool:
        """Return True: no anchors."""
        del data
        return True
