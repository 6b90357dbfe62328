"""`penstock jobs list|show|watch|result|cancel|redrive|depth`, with `pause|resume|paused`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.administration import Administration, OpenAdministration
from penstock_suite.domain.failure import ExitCode
from penstock_suite.domain.jobs import KINDS, STATES, DepthRow, JobEventRow, JobRow, JobsWanted, RedriveWanted
from penstock_suite.domain.terminal import harmless
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.job_pauses import add_pauses
from penstock_suite.surfaces.cli.options import DryRunOption, JsonOption, YesOption, group
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_HELP = "Jobs: requests that were accepted and are answered later."
_TITLES = ("job", "tenant", "kind", "for", "state", "priority", "attempts", "done", "created", "error")
_TO_THE_RIGHT = {"attempts", "done"}
_WATCH_HELP = """Show how far a job is, until it ends; exit code 1 unless it succeeds.

Ctrl-C ends the watching, not the job.
"""
_REDRIVE_HELP = """Have a dead or failed job begin anew, or all of a tenant's that are dead.

They begin with all attempts before them, and are billed as they would have been.
"""
_MOST_ERROR = 60

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="An id such as job_0195….")]
TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")]


def jobs(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    for add in (_add_list, _add_show, _add_watch, _add_result, _add_cancel, _add_redrive, _add_depth):
        add(cli, opened)
    add_pauses(cli, opened)
    return cli


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List jobs, the newest first.")
    @administering(opened)
    def list_jobs(
        ask: Ask,
        *,
        tenant: TenantOption = "",
        status: Annotated[list[str] | None, typer.Option(metavar="|".join(STATES), help="Repeatable.")] = None,
        kind: Annotated[list[str] | None, typer.Option(metavar="|".join(KINDS), help="Repeatable.")] = None,
        key_id: Annotated[str, typer.Option("--key-id", metavar="ID", help="Submitted by this key.")] = "",
        batch: Annotated[str, typer.Option(metavar="ID", help="Of this batch.")] = "",
        most: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="So many at most.")] = 50,
        as_json: JsonOption = False,
    ) -> None:
        wanted = JobsWanted(
            tenant=tenant,
            states=_words(status, STATES, "--status"),
            kinds=_words(kind, KINDS, "--kind"),
            key_id=key_id,
            batch=batch,
            most=most,
        )
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.jobs(wanted))
            if as_json:
                print_json(found)
            elif found:
                print_table(_TITLES, map(_row, found), to_the_right=_TO_THE_RIGHT)
            else:
                note("There are none.")


def _add_show(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("show", help="Show how a job stands; nothing of what it asks or answers.")
    @administering(opened)
    def show(ask: Ask, *, job: JobArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.job(tenant, job))
            if as_json:
                print_json(found)
            else:
                print_table(("", ""), _facts(found))


def _add_watch(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("watch", help=_WATCH_HELP)
    @administering(opened)
    def watch(
        ask: Ask,
        *,
        job: JobArgument,
        tenant: TenantOption = "",
        after: Annotated[int, typer.Option(min=0, metavar="N", help="Only what follows this event.")] = 0,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            last = ask(lambda administration: _watched(administration, (tenant, job, after), as_json=as_json))
            if last is None or last.state != "succeeded":
                raise typer.Exit(ExitCode.FAILED)


async def _watched(administration: Administration, which: tuple[str, str, int], *, as_json: bool) -> JobRow | None:
    async with administration.watched_job(*which) as events:
        return await (_as_json(events) if as_json else _on_the_terminal(events))


async def _as_json(events: AsyncIterator[JobEventRow]) -> JobRow | None:
    last: JobRow | None = None
    async for event in events:
        print_json(event)
        last = event.job or last
    return last


async def _on_the_terminal(events: AsyncIterator[JobEventRow]) -> JobRow | None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    last: JobRow | None = None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("waits", total=None)
        async for event in events:
            if event.text:
                sys.stdout.write(harmless(event.text))
                sys.stdout.flush()
            last = event.job or last
            _show(progress, bar, event)
    if last is not None:
        sys.stdout.write("\n")
        note(f"{last.id} {last.state}{': ' + last.error if last.error and last.state != 'succeeded' else ''}")
    return last


def _show(progress: Progress, bar: TaskID, event: JobEventRow) -> None:
    words = {"started": "runs", "put_back": "waits again", "redriven": "begins anew"}
    if event.kind in words:
        progress.update(bar, description=words[event.kind])
    if event.job is not None:
        progress.update(bar, description=event.job.state, completed=event.job.done, total=event.job.total or None)


def _add_result(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("result", help="Write what came of a job, as JSON.")
    @administering(opened)
    def result(ask: Ask, *, job: JobArgument, tenant: TenantOption = "") -> None:
        with failures_told(as_json=True):
            print_json(ask(lambda administration: administration.job_result(tenant, job)))


def _add_cancel(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("cancel", help="End a job that waits at once, and one that runs within seconds.")
    @administering(opened)
    def cancel(ask: Ask, *, job: JobArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.cancel_job(tenant, job))
            if as_json:
                print_json(found)
            elif found.cancels:
                note(f"{found.id} runs, and ends within seconds.")
            else:
                note(f"{found.id} is {found.state}.")


def _add_redrive(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("redrive", help=_REDRIVE_HELP)
    @administering(opened)
    def redrive(
        ask: Ask,
        *,
        job: Annotated[str, typer.Argument(metavar="JOB", help="One; without it, all that are so.")] = "",
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose; an operator must name one.")] = "",
        target: Annotated[str, typer.Option("--for", metavar="NAME", help="Those for this model or base.")] = "",
        status: Annotated[list[str] | None, typer.Option(metavar="dead|failed", help="dead without it.")] = None,
        limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="So many at most.")] = 1000,
        dry_run: DryRunOption = False,
        yes: YesOption = False,
        as_json: JsonOption = False,
    ) -> None:
        wanted = RedriveWanted(
            tenant=tenant,
            job_id=job,
            target=target,
            states=_words(status, ("dead", "failed"), "--status"),
            limit=limit,
            dry_run=dry_run,
        )
        if not (job or target or dry_run or yes):
            raise typer.BadParameter("name a job or --for, or say --yes for all that are dead", param_hint="'JOB'")
        with failures_told(as_json=as_json):
            count, more = ask(lambda administration: administration.redrive_jobs(wanted))
            if as_json:
                print_json({"redriven": count, "more": more, "dry_run": dry_run})
            else:
                note(f"{count} {'would begin' if dry_run else 'begin'} anew{'; there are more' if more else ''}.")


def _add_depth(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("depth", help="Show how many jobs wait and run, by priority.")
    @administering(opened)
    def depth(ask: Ask, *, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            queue = ask(lambda administration: administration.job_depths(tenant))
            if as_json:
                print_json(queue)
                return
            if queue.depths:
                titles = ("priority", "queued", "running", "oldest")
                print_table(titles, map(_depth, queue.depths), to_the_right=_DEPTHS)
            else:
                note("No jobs wait or run.")
            note(f"{queue.workers} processes run jobs." if queue.workers else "Nobody runs jobs: start a worker.")


_DEPTHS = {"queued", "running", "oldest"}


def _depth(depth: DepthRow) -> Sequence[str]:
    return depth.priority, str(depth.queued), str(depth.running), f"{depth.oldest_wait_seconds:,.1f} s"


def _row(job: JobRow) -> Sequence[str]:
    done = f"{job.done}/{job.total}" if job.total else str(job.done or "")
    attempts = f"{job.attempts}/{job.max_attempts}"
    error = job.error if len(job.error) <= _MOST_ERROR else f"{job.error[:_MOST_ERROR]}…"
    what = (job.id, job.tenant, job.kind, job.target, job.state, job.priority, attempts, done, _moment(job.created_at))
    return *map(escape, what), escape(error)


def _facts(job: JobRow) -> list[tuple[str, str]]:
    facts = {
        "id": job.id,
        "tenant": job.tenant,
        "key": job.key_id,
        "kind": f"{job.kind} for {job.target}",
        "state": f"{job.state}, asked to end" if job.cancels else job.state,
        "priority": job.priority,
        "attempts": f"{job.attempts} of {job.max_attempts}",
        "progress": f"{job.done} of {job.total}" if job.total else str(job.done),
        "created": _moment(job.created_at),
        "due": _moment(job.due_at),
        "deadline": _moment(job.deadline_at),
        "started": _moment(job.started_at),
        "ended": _moment(job.ended_at),
        "result kept until": _moment(job.result_expires_at),
        "error": job.error,
        "webhook": job.webhook,
        "batch": f"{job.batch}, line {job.line}" if job.batch else "",
        "request": job.request_id,
        **{f"metadata {name}": value for name, value in job.metadata.items()},
    }
    return [(name, escape(value)) for name, value in facts.items() if value]


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _words(given: list[str] | None, known: Sequence[str], option: str) -> tuple[str, ...]:
    for word in given or ():
        if word not in known:
            raise typer.BadParameter(f"one of {', '.join(known)} is expected", param_hint=f"'{option}'")
    return tuple(given or ())
