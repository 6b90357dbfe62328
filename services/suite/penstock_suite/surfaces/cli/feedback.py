"""`penstock feedback list|give|summary|delete`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from penstock_suite.domain.administration import Administration, OpenAdministration
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.feedback import (
    Dimension,
    FeedbackFilter,
    FeedbackGiven,
    FeedbackRow,
    FeedbackSummary,
    Figure,
    Reason,
    SummaryRequest,
    Thumb,
)
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, YesOption, group, read_choice, read_number
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = """What people made of answers: what was said, saying it, and what it comes to."""
TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose; to give and to delete, an operator names it.")]
ModelOption = Annotated[str, typer.Option(metavar="NAME", help="Of answers of this public model only.")]
AnswerOption = Annotated[str, typer.Option(metavar="ID", help="Of this answer only.")]

_TITLES = ("when", "tenant", "answer", "model", "upstream", "task", "thumb", "score", "reason", "user", "said")
_COUNTED = ("judgements", "up", "down", "up ratio", "mean score", "corrections", "reasons")
_PAGE = 500
_MOST_LISTED = 100_000
_WIDTH = 60


def feedback(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    _add_list(cli, opened)
    _add_give(cli, opened)
    _add_summary(cli, opened)
    _add_delete(cli, opened)
    return cli


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List what was said, the newest first.")
    @administering(opened)
    def list_feedback(
        ask: Ask,
        *,
        tenant: TenantOption = "",
        model: ModelOption = "",
        answer: AnswerOption = "",
        user: Annotated[str, typer.Option(metavar="USER", help="By this user only.")] = "",
        thumb: Annotated[str, typer.Option(metavar="up|down", help="With this thumb only.")] = "",
        content: Annotated[
            bool, typer.Option("--content", help="Corrections and comments, too; that is in the audit log.")
        ] = False,
        limit: Annotated[str, typer.Option(metavar="NUMBER", help="At most so many.")] = "100",
        as_json: JsonOption = False,
    ) -> None:
        most = read_number(limit, "--limit", _MOST_LISTED)
        said = read_choice(thumb, "--thumb", Thumb) if thumb else None
        wanted = FeedbackFilter(tenant=tenant, answer_id=answer, model=model, user=user, thumb=said)
        with failures_told(as_json=as_json):
            rows, is_all = ask(lambda administration: _listed(administration, wanted, most, with_content=content))
            if as_json:
                print_json(rows)
            else:
                print_table(_TITLES, map(_row, rows), to_the_right={"score"})
            if not is_all:
                note(f"There are more than {most}: say --limit.")


async def _listed(
    administration: Administration, wanted: FeedbackFilter, most: int, *, with_content: bool
) -> tuple[list[FeedbackRow], bool]:
    found: list[FeedbackRow] = []
    token = ""
    while True:
        size = min(_PAGE, most - len(found))
        page = await administration.feedback_page(wanted, size, token, with_content=with_content)
        found += page.rows
        token = page.next_token
        if not token or len(found) >= most:
            return found, not token


def _add_give(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("give", help="Say what you make of an answer; said again, the later word counts.")
    @administering(opened)
    def give(
        ask: Ask,
        *,
        answer_id: Annotated[
            str,
            typer.Argument(
                metavar="ID", help="The id that an answer carries, such as chatcmpl-…, or its x-request-id."
            ),
        ],
        up: Annotated[bool, typer.Option("--up", help="It is good.")] = False,
        down: Annotated[bool, typer.Option("--down", help="It is bad.")] = False,
        score: Annotated[str, typer.Option(metavar="NUMBER", help="How good, from 0 to 1.")] = "",
        correction: Annotated[str, typer.Option(metavar="TEXT", help="What it should have been.")] = "",
        reason: Annotated[str, typer.Option(metavar="WORD", help=", ".join(one.value for one in Reason))] = "",
        comment: Annotated[str, typer.Option(metavar="TEXT", help="Anything else.")] = "",
        user: Annotated[str, typer.Option(metavar="USER", help="Who says so; else whoever types it.")] = "",
        tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="May be repeated.")] = None,
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        given = FeedbackGiven(
            tenant=tenant,
            answer_id=answer_id,
            thumb=_thumb(up=up, down=down),
            score=_score(score),
            correction=correction,
            reason=read_choice(reason, "--reason", Reason) if reason else None,
            comment=comment,
            user=user,
            tags=_tags(tag or ()),
        )
        with failures_told(as_json=as_json):
            row = ask(lambda administration: administration.give_feedback(given))
            if as_json:
                print_json(row)
                return
            disputed = f" The cache's entry {row.disputed_entry} is disputed." if row.disputed_entry else ""
            note(f"Kept, of the answer {row.generation_id} by {row.upstream}/{row.upstream_model}.{disputed}")


def _thumb(*, up: bool, down: bool) -> Thumb | None:
    if up and down:
        raise typer.BadParameter("it is up or down", param_hint="'--up' / '--down'")
    return Thumb.UP if up else Thumb.DOWN if down else None


def _score(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise typer.BadParameter("a number from 0 to 1 is expected", param_hint="'--score'") from None


def _tags(texts: Iterable[str]) -> dict[str, str]:
    parted = [text.partition("=") for text in texts]
    if not all(equals for _, equals, _ in parted):
        raise typer.BadParameter("NAME=VALUE is expected", param_hint="'--tag'")
    return {name: value for name, _, value in parted}


def _add_summary(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("summary", help="Sum up what each author said last of each answer.")
    @administering(opened)
    def summary(
        ask: Ask,
        *,
        by: Annotated[
            list[str] | None,
            typer.Option(metavar="WORD", help=f"{', '.join(one.value for one in Dimension)}; may be repeated."),
        ] = None,
        tenant: TenantOption = "",
        model: ModelOption = "",
        since: Annotated[str, typer.Option(metavar="TIME", help="Such as 2026-01-31 or 2026-01-31T12:00Z.")] = "",
        until: Annotated[str, typer.Option(metavar="TIME", help="The first moment that is not of it.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        chosen = tuple(read_choice(word, "--by", Dimension) for word in by or ["model"])
        wanted = SummaryRequest(
            tenant=tenant, model=model, by=chosen, since=_time(since, "--since"), until=_time(until, "--until")
        )
        with failures_told(as_json=as_json):
            told = ask(lambda administration: administration.summarize_feedback(wanted))
            if as_json:
                print_json(told.lines)
                return
            titles = (*[dimension.value for dimension in chosen], *_COUNTED)
            rows = [(*_names(line, chosen), *_figures(line)) for line in told.lines]
            print_table(titles, rows, to_the_right={*_COUNTED[:-1]})
            if told.is_cut:
                note("There are more lines: narrow it by --model, --since or --until.")


def _time(text: str, option: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a time such as 2026-01-31T12:00Z is expected", param_hint=f"'{option}'") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _names(line: FeedbackSummary, chosen: Sequence[Dimension]) -> list[str]:
    named = {
        Dimension.MODEL: line.model,
        Dimension.UPSTREAM: f"{line.upstream}/{line.upstream_model}",
        Dimension.TASK: line.task,
        Dimension.PROMPT: line.prompt,
        Dimension.DAY: line.day,
    }
    return [escape(named[dimension]) or "-" for dimension in chosen]


def _figures(line: FeedbackSummary) -> Sequence[str]:
    return (
        f"{line.judgements:,}",
        f"{line.thumbs_up:,}",
        f"{line.thumbs_down:,}",
        _figure(line.up_ratio),
        _figure(line.mean_score),
        f"{line.corrections:,}",
        _by_reason(line.reasons),
    )


def _figure(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"


def _by_reason(counts: Mapping[str, int]) -> str:
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {reason}" for reason, count in most_first) or "-"


def _add_delete(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("delete", help="Erase what a user said, what was said of an answer, or all of a tenant's.")
    @administering(opened)
    def delete(
        ask: Ask,
        *,
        user: Annotated[str, typer.Option(metavar="USER", help="What this user said.")] = "",
        answer: AnswerOption = "",
        tenant: TenantOption = "",
        yes: YesOption = False,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if not (user or answer or yes):
                raise Misconfigured("this erases all feedback of the tenant: say --yes, or name --user or --answer")
            wanted = FeedbackFilter(tenant=tenant, user=user, answer_id=answer, everything=not (user or answer))
            deleted = ask(lambda administration: administration.delete_feedback(wanted))
            if as_json:
                print_json({"deleted": deleted})
                return
            note(f"{deleted:,} erased.")


def _row(row: FeedbackRow) -> Sequence[str]:
    said = " ".join((row.comment or row.correction).split())
    return (
        row.created_at.isoformat(timespec="seconds"),
        escape(row.tenant),
        row.generation_id,
        escape(row.model),
        escape(f"{row.upstream}/{row.upstream_model}"),
        escape(row.task) or "-",
        row.thumb or "-",
        "-" if row.score is None else f"{row.score:.2f}",
        row.reason or "-",
        escape(row.user) or "-",
        escape(said if len(said) <= _WIDTH else said[: _WIDTH - 1] + "…") or "-",
    )
