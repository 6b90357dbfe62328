"""`penstock index list|build|switch|rollback|drop|evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock_common.contract.knowledge import EvaluationQuery, IndexVersion
from penstock_common.contract.knowledge_calls import BuildIndexRequest, PutEvaluationRequest, SwitchIndexRequest
from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.failure import Misconfigured, NotThere
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.knowledge import ModelOption, OverlapOption, SplitterOption, TokensOption, read_spec
from penstock_suite.surfaces.cli.knowledge_options import BaseArgument, TenantOption
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = """Versions of a knowledge base's index: what it is made with. One serves, others are built beside it.

A version that finds worse than the one that serves is switched to with --force alone, by the questions of
'penstock index evaluate'. Rolling back takes no building: the version before is kept up to date.
"""
_TITLES = ("version", "state", "model", "revision", "splitter", "tokens", "documents", "chunks", "quality", "made")
_EVALUATE_HELP = """Keep the questions that versions are compared by, from a file of JSON lines; an empty file deletes them.

A line is {"query": "…", "relevant": [{"document": "ID", "grade": 3}]}: 3 answers it, 2 in part, 1 is background.
"""

VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="From 'penstock index list BASE'.")]

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit log.")]


def index(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    for add in (_add_list, _add_build, _add_switch, _add_rollback, _add_drop, _add_evaluate):
        add(cli, opened)
    return cli


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List the versions, the newest first.")
    @administering(opened)
    def list_indexes(ask: Ask, *, base: BaseArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.indexes(tenant, base))
            if as_json:
                print_json(found)
                return
            print_table(_TITLES, map(_row, found), to_the_right={"version", "tokens", "documents", "chunks"})
            for version in found:
                if version.error:
                    note(f"Version {version.number}: {version.error}")


def _add_build(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("build", help="Begin a version beside the one that serves; documents that come go into both.")
    @administering(opened)
    def build(
        ask: Ask,
        *,
        base: BaseArgument,
        tenant: TenantOption = "",
        model: ModelOption = "",
        splitter: SplitterOption = "auto",
        tokens: TokensOption = 0,
        overlap: OverlapOption = None,
        again: Annotated[
            bool, typer.Option("--again", help="Though there is a version like it: its vectors were lost.")
        ] = False,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            wanted = BuildIndexRequest(tenant, base, read_spec(model, splitter, tokens, overlap), again)
            begun = ask(lambda administration: administration.build_index(wanted))
            if as_json:
                print_json(begun)
            else:
                note(f"Version {begun.number} is being built: see 'penstock index list {base}', then switch to it.")


def _add_switch(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("switch", help="Have a version serve, at once for every search that begins after it.")
    @administering(opened)
    def switch(
        ask: Ask,
        *,
        base: BaseArgument,
        version: VersionArgument,
        tenant: TenantOption = "",
        force: Annotated[
            bool, typer.Option("--force", help="Though it finds worse, or nobody can say; it is in the audit log.")
        ] = False,
        reason: ReasonOption = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            wanted = SwitchIndexRequest(tenant, base, version, force)
            _show_serving(ask(lambda administration: administration.switch_index(wanted, reason)), as_json=as_json)


def _add_rollback(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("rollback", help="Have the version serve that served before.")
    @administering(opened)
    def roll_back(
        ask: Ask, *, base: BaseArgument, tenant: TenantOption = "", reason: ReasonOption = "",
        as_json: JsonOption = False,
    ) -> None:  # fmt: skip
        with failures_told(as_json=as_json):
            # Back to what was good before: it is not judged again, so nothing is forced.
            wanted = SwitchIndexRequest(tenant, base, 0)
            _show_serving(ask(lambda administration: administration.switch_index(wanted, reason)), as_json=as_json)


def _add_drop(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("drop", help="Delete a version that does not serve, and end its building.")
    @administering(opened)
    def drop(
        ask: Ask, *, base: BaseArgument, version: VersionArgument, tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:  # fmt: skip
        with failures_told(as_json=as_json):
            if not ask(lambda administration: administration.drop_index(tenant, base, version)):
                raise NotThere(f"there is no version {version}: see 'penstock index list {base}'")
            if as_json:
                print_json({"dropped": version})
            else:
                note(f"Version {version} is deleted.")


def _add_evaluate(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("evaluate", help=_EVALUATE_HELP)
    @administering(opened)
    def evaluate(
        ask: Ask,
        *,
        base: BaseArgument,
        file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines, UTF-8.")],
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            wanted = PutEvaluationRequest(tenant, base, read_questions(_content(file)))
            kept = ask(lambda administration: administration.put_evaluation(wanted))
            if as_json:
                print_json({"queries": kept})
            else:
                note(f"{kept:,} questions are kept: the quality of versions is in 'penstock index list {base}'.")


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from None


def read_questions(content: bytes) -> list[EvaluationQuery]:
    """Return the questions of JSON lines.

    Raises:
        Misconfigured: if a line is none, or names no document.
    """
    found: list[EvaluationQuery] = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            question = msgspec.json.decode(line, type=EvaluationQuery)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Misconfigured(f"line {number}: {error}") from None
        if not question.query or not question.relevant:
            raise Misconfigured(f"line {number}: query and relevant must not be empty")
        found.append(question)
    return found


def _show_serving(serving: IndexVersion, *, as_json: bool) -> None:
    if as_json:
        print_json(serving)
    else:
        note(f"Version {serving.number} serves.")


def _row(version: IndexVersion) -> Sequence[str]:
    splitter = version.spec.splitter
    best = max(version.quality, key=lambda quality: quality.ndcg, default=None)
    return (
        str(version.number),
        version.state,
        escape(version.spec.model),
        escape(version.model_revision[:12]),
        splitter.kind,
        str(splitter.max_tokens or ""),
        f"{version.documents:,} of {version.documents_total:,}",
        f"{version.chunks:,}",
        f"nDCG@10 {best.ndcg:.3f} ({best.mode})" if best is not None else "[dim]not judged[/]",
        f"{version.created_at:%Y-%m-%d}",
    )
