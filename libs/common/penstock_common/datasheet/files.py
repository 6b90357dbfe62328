"""Datasheets as files: those that Penstock brings, and those that a configuration names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from penstock_common.configuration import RELOADED, Configuration, ConfigurationError, Section
from penstock_common.datasheet.known import Datasheet, Entry
from penstock_common.datasheet.sheet import Sheet
from penstock_common.faults import Fault
from penstock_common.file_contents import file_contents

_REVISION_DIGITS = 12


class DatasheetSettings(Section):
    """Where more is said of models."""

    datasheets: Annotated[list[Path], RELOADED] = []
    """Files that say more of models than Penstock knows by itself, or otherwise; later ones stand over earlier ones, and
    what is said of a model under ``upstreams`` over all. See docs/models.md."""


def datasheet_of(configuration: Configuration) -> Datasheet:
    """Return what is known of models where this configuration is read.

    Raises:
        ConfigurationError: with every fault of the files, by their lines.
    """
    return read_datasheet(configuration.settings(DatasheetSettings).datasheets)


def read_datasheet(more: Sequence[Path] = ()) -> Datasheet:
    """Return what is known by Penstock's own files, and by ``more``.

    Raises:
        ConfigurationError: with every fault of the files, by their lines.
    """
    entries: list[Entry] = []
    faults: list[Fault] = []
    for path in (*packaged_files(), *more):
        try:
            entries += _entries_in(path)
        except ConfigurationError as error:
            faults += error.faults
    if faults:
        raise ConfigurationError(*faults)
    return Datasheet(entries)


def packaged_files() -> list[Path]:
    """Return the files that Penstock brings, which the checkout shows as deploy/models."""
    folder = Path(str(files("penstock_common.datasheet"))) / "models"
    return sorted(folder.glob("*.yaml"))


def revision_with(revision: str, more: Sequence[Path]) -> str:
    """Return the revision of a configuration together with the datasheets that it names; by itself where it names none."""
    if not more:
        return revision
    digest = hashlib.sha256(revision.encode())
    for path in more:
        digest.update(file_contents(path))
    return digest.hexdigest()[:_REVISION_DIGITS]


def _entries_in(path: Path) -> list[Entry]:
    # No variable reaches into a datasheet.
    read = Configuration.load(path, environment={})
    read.refuse_unknown_sections(set(Sheet.model_fields))
    read.settings(Sheet)
    written = read.document.get("models") or []
    return [Entry.of(entry, str(path), read.places, index) for index, entry in enumerate(written)]
