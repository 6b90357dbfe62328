"""Tables as text: a row a line, with bars, as in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table_row(cells: Iterable[str]) -> str:
    """Return one row; what is within a cell stands on one line."""
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of which the first is the head, without those that are blank."""
    kept = [row for row in rows if any(cell and not cell.isspace() for cell in row)]
    if not kept:
        return ""
    lines = [table_row(row) for row in kept]
    lines.insert(1, table_row(["---"] * len(kept[0])))
    return "\n".join(lines)
