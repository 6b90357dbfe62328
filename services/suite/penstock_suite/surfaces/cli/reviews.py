"""`penstock reviews list|show|open|outcome|claim|decide|release|escalate|export`."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.review_export import FORMATS, examples
from penstock_suite.domain.reviews import (
    DECISIONS,
    SOURCES,
    STATES,
    SURFACES,
    ReviewClaim,
    ReviewListing,
    ReviewOpening,
    ReviewRow,
    ReviewRuling,
    SeenReview,
)
from penstock_suite.domain.terminal import harmless
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group, read_duration
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = "Reviews: what was flagged, who is at it, and what was decided."
_TITLES = ("review", "tenant", "state", "source", "rule", "surface", "times", "due", "reviewer")

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="From 'penstock reviews list'.")]
TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose; an operator names one.")]
ClaimOption = Annotated[int, typer.Option(min=1, metavar="N", help="As 'penstock reviews claim' has told it.")]
NoteOption = Annotated[str, typer.Option("--note", metavar="TEXT", help="At most 1024 characters.")]
SourceOption = Annotated[str, typer.Option(metavar="|".join(SOURCES), help="Of this source only.")]
RuleOption = Annotated[str, typer.Option(metavar="NAME", help="Of this rule only.")]


def reviews(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    for add in (_add_list, _add_show, _add_open, _add_outcome, _add_claim, _add_decide, _add_giving, _add_export):
        add(cli, opened)
    return cli


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List items without what they hold: undecided ones, the oldest first.")
    @administering(opened)
    def list_reviews(
        ask: Ask,
        *,
        tenant: TenantOption = "",
        status: Annotated[list[str] | None, typer.Option(metavar="|".join(STATES), help="Repeatable.")] = None,
        source: SourceOption = "",
        rule: RuleOption = "",
        overdue: Annotated[bool, typer.Option("--overdue", help="Those only that should be decided by now.")] = False,
        most: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="So many at most.")] = 50,
        as_json: JsonOption = False,
    ) -> None:
        _check(status or (), STATES, "--status")
        _check((source,) if source else (), SOURCES, "--source")
        wanted = ReviewListing(tenant=tenant, states=tuple(status or ()), source=source, rule=rule, overdue=overdue)
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.reviews(wanted, most))
            if as_json:
                print_json(found)
            elif found:
                print_table(_TITLES, map(_row, found), to_the_right=("times",))
            else:
                note("There are none.")


def _add_show(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("show", help="Show an item; what it holds, with --content, which leaves an audit entry.")
    @administering(opened)
    def show(
        ask: Ask,
        *,
        review: IdArgument,
        tenant: TenantOption = "",
        content: Annotated[bool, typer.Option("--content", help="What it holds, too.")] = False,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            seen = ask(lambda administration: administration.review(tenant, review, with_content=content))
            if as_json:
                print_json(seen)
                return
            print_table(_TITLES, [_row(seen.review)])
            if content and seen.content is None:
                note("What it held is kept no longer.")
            _print_content(seen)


def _add_open(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("open", help="Have a text judged.")
    @administering(opened)
    def open_review(
        ask: Ask,
        *,
        text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be judged.")],
        context: Annotated[str, typer.Option(metavar="TEXT", help="What it stands beside.")] = "",
        surface: Annotated[str, typer.Option(metavar="|".join(SURFACES), help="Where it was found.")] = "output",
        model: Annotated[str, typer.Option(metavar="NAME", help="The public model that it came of.")] = "",
        hold: Annotated[bool, typer.Option("--hold", help="It goes nowhere before somebody decides.")] = False,
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        _check((surface,), SURFACES, "--surface")
        wanted = ReviewOpening(tenant=tenant, text=text, context=context, surface=surface, model=model, hold=hold)
        with failures_told(as_json=as_json):
            _told(ask(lambda administration: administration.open_review(wanted)), "waits", as_json=as_json)


def _add_outcome(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("outcome", help="Say what came of an item, and the text that may go out.")
    @administering(opened)
    def outcome(ask: Ask, *, review: IdArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            told = ask(lambda administration: administration.review_outcome(tenant, review))
            if as_json:
                print_json(told)
                return
            note(f"{told.id} is {told.state}{f': {told.decision}' if told.decision else ''}.")
            if told.text:
                _print(told.text)


def _add_claim(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("claim", help="Claim an item, or the one that is due first; the number is what deciding asks for.")
    @administering(opened)
    def claim(
        ask: Ask,
        *,
        review: Annotated[str, typer.Argument(metavar="[ID]", help="The next one without it.")] = "",
        lease: Annotated[str, typer.Option(metavar="DURATION", help="At most 8h.")] = "",
        source: SourceOption = "",
        rule: RuleOption = "",
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        _check((source,) if source else (), SOURCES, "--source")
        duration = read_duration(lease, "--lease") if lease else None
        wanted = ReviewClaim(tenant=tenant, id=review, source=source, rule=rule, lease=duration)
        with failures_told(as_json=as_json):
            claimed = ask(lambda administration: administration.claim_review(wanted))
            _told(claimed, f"is yours under the number {claimed.claim}", as_json=as_json)


def _add_decide(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("decide", help="End a claimed item: allow, block, or edit with --text.")
    @administering(opened)
    def decide(
        ask: Ask,
        *,
        review: IdArgument,
        decision: Annotated[str, typer.Argument(metavar="|".join(DECISIONS), help="What it comes to.")],
        claim: ClaimOption,
        text: Annotated[str, typer.Option(metavar="TEXT", help="What takes its place; for an edit.")] = "",
        why: NoteOption = "",
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        _check((decision,), DECISIONS, "DECISION")
        ruling = ReviewRuling(tenant=tenant, id=review, claim=claim, decision=decision, edited=text, note=why)
        with failures_told(as_json=as_json):
            decided = ask(lambda administration: administration.decide_review(ruling))
            _told(decided, f"is decided: {decided.decision}", as_json=as_json)


def _add_giving(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("release", help="Give a claimed item back to the queue.")
    @administering(opened)
    def release(
        ask: Ask,
        *,
        review: IdArgument,
        claim: ClaimOption,
        why: NoteOption = "",
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        ruling = ReviewRuling(tenant=tenant, id=review, claim=claim, note=why)
        with failures_told(as_json=as_json):
            released = ask(lambda administration: administration.release_review(ruling))
            _told(released, "is nobody's again", as_json=as_json)

    @cli.command("escalate", help="Hand a claimed item to those who decide escalated ones.")
    @administering(opened)
    def escalate(
        ask: Ask,
        *,
        review: IdArgument,
        claim: ClaimOption,
        why: NoteOption = "",
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        ruling = ReviewRuling(tenant=tenant, id=review, claim=claim, note=why)
        with failures_told(as_json=as_json):
            escalated = ask(lambda administration: administration.escalate_review(ruling))
            _told(escalated, "is escalated", as_json=as_json)


def _add_export(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("export", help="Write decided items as labelled examples, one JSON line each; leaves an audit entry.")
    @administering(opened)
    def export(
        ask: Ask,
        *,
        form: Annotated[
            str, typer.Option("--format", metavar="|".join(FORMATS), help="Those of 'penstock eval', or all.")
        ] = "all",
        rule: RuleOption = "",
        source: SourceOption = "",
        since: Annotated[str, typer.Option(metavar="DURATION", help="Decided within the last 7d, or the like.")] = "",
        tenant: TenantOption = "",
    ) -> None:
        _check((form,), FORMATS, "--format")
        _check((source,) if source else (), SOURCES, "--source")
        after = datetime.now(UTC) - read_duration(since, "--since") if since else None
        wanted = ReviewListing(tenant=tenant, source=source, rule=rule)
        with failures_told(as_json=False):
            decided = ask(lambda administration: administration.decided_reviews(wanted, after))
            made = examples(decided, form)
            for example in made:
                _print(json.dumps(example))
            note(f"{len(made)} of {len(decided)} decided items are examples of this form.")


def _check(words: Collection[str], known: Sequence[str], option: str) -> None:
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"one of {', '.join(known)} is expected", param_hint=f"'{option}'")


def _told(review: ReviewRow, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(review)
    else:
        note(f"{review.id} {what}.")


def _row(review: ReviewRow) -> Sequence[str]:
    state = review.decision or ("escalated" if review.escalated and review.state == "open" else review.state)
    due = f"{review.due_at:%Y-%m-%d %H:%M} UTC" if review.due_at else ""
    what = (review.id, review.tenant, state, review.source, review.rule, review.surface)
    return *map(escape, what), str(review.times), due, escape(review.reviewer)


def _print_content(seen: SeenReview) -> None:
    content = seen.content
    if content is None:
        return
    for title, text in (("beside", content.context), ("text", content.text)):
        if text:
            note(f"{title}:")
            _print(text)
    for found in content.found:
        note(f"{found.kind} at {found.start} to {found.end}")
    if content.edited:
        note("edited:")
        for line in difflib.unified_diff(content.text.splitlines(), content.edited.splitlines(), lineterm="", n=1):
            _print(line)
    for said in content.notes:
        note(said)


def _print(text: str) -> None:
    sys.stdout.write(harmless(text) + "\n")
