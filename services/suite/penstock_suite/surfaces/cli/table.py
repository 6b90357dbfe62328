"""Records as a table: one line each, however narrow the terminal, so that an id can be copied and a line can be cut."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.table import Table

# Wider than any record; lines end where their text does, or are wrapped by the terminal itself.
_WIDTH = 100_000


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, to_the_right: Collection[str] = ()) -> None:
    """Write titles and rows, whose texts are rich's markup: escape what others have written."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=True, justify="right" if title in to_the_right else "left")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, width=_WIDTH).print(table, crop=False)
