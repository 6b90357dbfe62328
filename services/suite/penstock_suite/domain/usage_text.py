"""Usage as text: when a turn of the calendar begins, and tables for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from penstock_suite.domain.usage import STEPS, UsageLine, UsageRequest, UsageSums, exact_usd

# What a spreadsheet takes for a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def turn_text(moment: datetime, by: Sequence[str], zone: str) -> str:
    """Return when a turn begins by the clocks of its zone, as short as its step lets it be."""
    local = moment.astimezone(ZoneInfo(zone))
    if "month" in by:
        return f"{local:%Y-%m}"
    if "minute" in by or "hour" in by:
        return f"{local:%Y-%m-%d %H:%M%z}"
    return f"{local:%Y-%m-%d}"


def usage_csv(lines: Sequence[UsageLine], wanted: UsageRequest) -> str:
    """Return a table with a stable head: times with their zone, amounts in dollars with nine decimals.

    What callers wrote themselves never begins like a formula.
    """
    by = [word for word in wanted.by if word not in STEPS]
    zone, has_turns = ZoneInfo(wanted.zone), len(by) < len(wanted.by)
    figures = [name for name in UsageSums.__struct_fields__ if not name.endswith("_nano_usd")]
    head = [*(("start", "end") if has_turns else ()), *by, *figures, "cost", "saved", "currency"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for line in lines:
        turn = [one.astimezone(zone).isoformat() for one in (line.start, line.end) if one is not None]
        names = [_harmless(line.groups.get(word, "")) for word in by]
        sums = [getattr(line.sums, name) for name in figures]
        money = [exact_usd(line.sums.cost_nano_usd), exact_usd(line.sums.saved_nano_usd), "USD"]
        writer.writerow([*turn, *names, *sums, *money])
    return out.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULAS) else text
