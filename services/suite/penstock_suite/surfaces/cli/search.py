"""`penstock search BASE QUERY`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from penstock_common.contract.knowledge import Comparison, Filter, Hit, SearchMode, SearchOptions, SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.knowledge_options import TenantOption, read_attributes
from penstock_suite.surfaces.cli.options import JsonOption, command, read_words
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json

_HELP = """Search knowledge bases: what answers best, with the place that it stands in.

--filter is NAME=TEXT or NAME:=JSON, repeatable, where all of them hold; or a filter of the contract as JSON, such as
{"any_of": [{"comparison": {"attribute": "year", "operator": "gte", "values": [{"number": 2024}]}}]}.
"""
_MODES: dict[str, SearchMode] = {
    "hybrid": "hybrid",
    "dense": "dense",
    "sparse": "sparse",
    "rerank": "hybrid_rerank",
}


def search(opened: OpenAdministration) -> typer.Typer:
    """Return the command."""
    cli = command()

    @cli.command("search", help=_HELP)
    @administering(opened)
    def find(
        ask: Ask,
        *,
        base: Annotated[str, typer.Argument(metavar="BASE", help="Ids of knowledge bases, with commas between.")],
        query: Annotated[str, typer.Argument(metavar="QUERY")],
        tenant: TenantOption = "",
        mode: Annotated[str, typer.Option(metavar="|".join(_MODES), help="How it is searched.")] = "hybrid",
        limit: Annotated[int, typer.Option(metavar="NUMBER", min=1, max=50)] = 5,
        where: Annotated[
            list[str] | None, typer.Option("--filter", metavar="NAME=TEXT|NAME:=JSON|JSON", help="Of which documents.")
        ] = None,
        min_score: Annotated[float, typer.Option(metavar="0..1", min=0.0, max=1.0, help="The least.")] = 0.0,
        diversity: Annotated[
            float, typer.Option(metavar="0..1", min=0.0, max=1.0, help="How much what says the same is held back.")
        ] = 0.0,
        per_document: Annotated[int, typer.Option(metavar="NUMBER", min=0, help="The most of one document.")] = 0,
        version: Annotated[
            int, typer.Option(metavar="NUMBER", min=0, help="Of the index; else the one that serves.")
        ] = 0,
        labels: Annotated[
            str, typer.Option(metavar="A,B", help="Search as a key with these labels; an operator's has none.")
        ] = "",
        explain: Annotated[bool, typer.Option("--explain", help="Also how each hit came about.")] = False,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if mode not in _MODES:
                raise Misconfigured(f"--mode: there is no '{mode}'; there are {', '.join(_MODES)}")
            options = SearchOptions(
                mode=_MODES[mode],
                limit=limit,
                filter=read_filter(where or ()),
                min_score=min_score,
                diversity=diversity,
                max_per_document=per_document,
                index_version=version,
            )
            wanted = SearchRequest(
                tenant=tenant, bases=read_words(base), query=query, labels=read_words(labels), options=options
            )
            result = ask(lambda administration: administration.search(wanted))
            if as_json:
                print_json(result)
            else:
                _show(result, explain=explain)

    return cli


def read_filter(texts: Sequence[str]) -> Filter | None:
    """Return what each text says, of which all hold; None where there is none.

    Raises:
        Misconfigured: if one is neither an attribute nor a filter.
    """
    found = [_filter(text) for text in texts]
    if len(found) < 2:
        return found[0] if found else None
    return Filter(all_of=found)


def _filter(text: str) -> Filter:
    if not text.lstrip().startswith("{"):
        (attribute,) = read_attributes([text])
        return Filter(comparison=Comparison(attribute.name, "eq", (attribute.value,)))
    try:
        return msgspec.convert(json.loads(text), Filter)
    except ValueError as error:
        raise Misconfigured(f"--filter: {error}") from None


def _show(result: SearchResult, *, explain: bool) -> None:
    out = console()
    for place, hit in enumerate(result.hits, start=1):
        out.print(f"[bold]{place}. {escape(_title(hit))}[/]  {hit.score:.3f}  [dim]{escape(_where(hit))}[/]")
        out.print(f"   {escape(' '.join((hit.snippet or hit.chunk.text).split()))}")
        if explain:
            out.print(f"   [dim]{_scores(hit)}; chunk {escape(hit.chunk.id)}[/]")
    if not result.hits:
        note("Nothing is found: ask in other words, or look whether all is taken in with 'penstock knowledge list'.")
    for missing in result.degraded:
        note(f"The part '{missing}' was asked for, and took no part.")
    if result.query_truncated:
        note("The question is longer than the model's window: its end was not looked at.")
    if explain:
        for index in result.searched:
            version = f"version {index.version}, {index.model} {index.model_revision[:12]}"
            note(f"{index.knowledge_base}: {version}, generation {index.generation}.")


def _title(hit: Hit) -> str:
    return hit.title or hit.filename or hit.chunk.document


def _where(hit: Hit) -> str:
    page = f", page {hit.chunk.page}" if hit.chunk.page else ""
    headings = f", {' > '.join(hit.chunk.headings)}" if hit.chunk.headings else ""
    return f"{hit.knowledge_base}/{hit.chunk.document}@{hit.chunk.document_version}{page}{headings}"


def _scores(hit: Hit) -> str:
    parts: dict[str, Any] = {name: getattr(hit.scores, name) for name in ("dense", "sparse", "fused", "rerank")}
    return ", ".join(f"{name} {score:.4f}" for name, score in parts.items() if score is not None) or "no parts"
