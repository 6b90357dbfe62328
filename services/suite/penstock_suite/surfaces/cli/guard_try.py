"""`penstock guard try`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured
from penstock_suite.domain.requests import GuardTrialRequest
from penstock_suite.surfaces.cli.options import JsonOption
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.guard_trial import GuardTrial

_HELP = """Tell what rules would have done with traffic of before, before they act on any.

RULES is a configuration file with `guardrails.rules`; each rule looks by itself at every text of its surfaces, whatever
the pipelines say. Lines are JSON: requests with `messages` and `answer`, cases, or exported reviews. Nobody else is asked,
and nothing of a text is told. Exit code 1 where a rule finds something in more of the lines than --max-hit-rate, or has failed.
"""

Try = Callable[[GuardTrialRequest], "GuardTrial"]


def add_try(cli: typer.Typer, run: Try) -> None:
    """Add the command to the group; ``run`` tries the rules."""

    @cli.command("try", help=_HELP)
    def try_(
        *,
        rules: Annotated[Path, typer.Argument(metavar="RULES.yaml", help="The file with the rules.")],
        traffic: Annotated[Path, typer.Option("--on", metavar="FILE.jsonl", help="Traffic, packed by gzip or not.")],
        names: Annotated[
            list[str] | None, typer.Option("--rule", metavar="NAME", help="This rule alone; may be repeated.")
        ] = None,
        max_hit_rate: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where a rule finds something in more lines.")
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if max_hit_rate is not None and not 0 <= max_hit_rate <= 1:
                raise Misconfigured(f"--max-hit-rate must be between 0 and 1, not {max_hit_rate:g}")
            found = run(GuardTrialRequest(rules, traffic, tuple(names or ())))
            print_json(found) if as_json else _show(found)
            faults = [] if max_hit_rate is None else list(_missed(found, max_hit_rate))
            for fault in faults:
                note(fault)
            if faults:
                raise typer.Exit(ExitCode.FAILED)


def _missed(found: GuardTrial, max_hit_rate: float) -> Iterator[str]:
    for one in found.rules:
        if one.failed:
            yield f"'{one.rule}' failed at {one.failed} of {one.texts} texts: what it would have found there is not known."
        if (one.lines.ratio or 0) > max_hit_rate:
            yield f"'{one.rule}' finds something in {one.lines.ratio:.2%} of the lines, more than {max_hit_rate:.2%}."


def _show(found: GuardTrial) -> None:
    rows = [
        (
            escape(one.rule),
            one.action,
            f"{one.lines.hits} of {one.lines.n}",
            "-" if one.lines.ratio is None else f"{one.lines.ratio:.2%} ({one.lines.low:.2%} to {one.lines.high:.2%})",
            ", ".join(f"{escape(kind)} {count}" for kind, count in one.by_kind.items()) or "-",
            str(one.failed),
            f"{one.p95_microseconds:.0f}",
        )
        for one in found.rules
    ]
    print_table(("rule", "would", "lines", "rate (95 %)", "found", "failed", "microseconds, p95"), rows)
    for one in found.rules:
        for example in one.examples:
            note(f"{escape(one.rule)}: {escape(example)}")
    note(f"{found.lines} lines, {found.texts} texts; {found.unread} parts are no texts and were not looked at.")
