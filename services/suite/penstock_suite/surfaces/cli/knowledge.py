"""`penstock knowledge list|create|delete|documents|document|delete-document`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast

import typer

from penstock_common.contract.knowledge import Document, IndexSpec, KnowledgeBase, Splitter, SplitterKind
from penstock_common.contract.knowledge_calls import ListChunksRequest, ListDocumentsRequest, PutBaseRequest
from penstock_suite.domain.administration import Administration, OpenAdministration
from penstock_suite.domain.failure import Misconfigured, NotThere
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.knowledge_options import BaseArgument, TenantOption, read_attributes
from penstock_suite.surfaces.cli.options import JsonOption, YesOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_BASES = ("id", "name", "documents", "pending", "failed", "chunks", "bytes", "serves", "made")
_DOCUMENTS = ("id", "title", "state", "version", "chunks", "bytes", "labels", "type", "updated")
_STATES = ("pending", "ready", "failed", "cancelled")
SPLITTERS = ("auto", "recursive", "markdown", "html", "code", "table", "semantic")

ModelOption = Annotated[str, typer.Option(metavar="NAME", help="The embedding model; the service's own without it.")]
SplitterOption = Annotated[str, typer.Option(metavar="|".join(SPLITTERS), help="How documents are cut.")]
TokensOption = Annotated[int, typer.Option(metavar="NUMBER", min=0, help="The most of one chunk; 0 for 192.")]
OverlapOption = Annotated[
    int | None, typer.Option(metavar="NUMBER", min=0, help="Tokens that the next chunk repeats; an eighth without it.")
]
DocumentArgument = Annotated[str, typer.Argument(metavar="ID", help="From 'penstock knowledge documents BASE'.")]


def knowledge(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group("Knowledge bases, and the documents in them; 'penstock ingest' puts documents in.")
    for add in (_add_list, _add_create, _add_delete, _add_documents, _add_document, _add_delete_document):
        add(cli, opened)
    return cli


def read_spec(model: str, splitter: str, tokens: int, overlap: int | None) -> IndexSpec:
    """Return what an index is to be made with.

    Raises:
        Misconfigured: if there is no such splitter.
    """
    if splitter not in SPLITTERS:
        raise Misconfigured(f"--splitter: there is no '{splitter}'; there are {', '.join(SPLITTERS)}")
    return IndexSpec(model, Splitter(cast("SplitterKind", splitter), tokens, overlap))


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List a tenant's knowledge bases.")
    @administering(opened)
    def list_bases(ask: Ask, *, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            bases = ask(lambda administration: administration.bases(tenant))
            if as_json:
                print_json(bases)
            elif bases:
                print_table(
                    _BASES, map(_base_row, bases), to_the_right={"documents", "pending", "failed", "chunks", "bytes"}
                )
            else:
                note("No knowledge bases yet: make one with 'penstock knowledge create ID'.")


def _add_create(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("create", help="Make a knowledge base, and the first version of its index.")
    @administering(opened)
    def create(
        ask: Ask,
        *,
        base: Annotated[str, typer.Argument(metavar="ID", help="1 to 64 lower-case letters, digits, - and _.")],
        tenant: TenantOption = "",
        name: Annotated[str, typer.Option(metavar="TEXT", help="For people.")] = "",
        attribute: Annotated[list[str] | None, typer.Option(metavar="NAME=TEXT|NAME:=JSON", help="Repeatable.")] = None,
        model: ModelOption = "",
        splitter: SplitterOption = "auto",
        tokens: TokensOption = 0,
        overlap: OverlapOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            wanted = PutBaseRequest(
                tenant=tenant,
                id=base,
                name=name,
                attributes=read_attributes(attribute or ()),
                spec=read_spec(model, splitter, tokens, overlap),
            )
            made = ask(lambda administration: administration.create_base(wanted))
            if as_json:
                print_json(made)
            else:
                note(f"The knowledge base {made.id} is made: fill it with 'penstock ingest PATH… --base {made.id}'.")


def _add_delete(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("delete", help="Delete a knowledge base with all that is in it.")
    @administering(opened)
    def delete(
        ask: Ask, *, base: BaseArgument, tenant: TenantOption = "", yes: YesOption = False, as_json: JsonOption = False
    ) -> None:
        with failures_told(as_json=as_json):
            if not yes:
                raise Misconfigured(f"all documents of {base} would be deleted: say --yes")
            if not ask(lambda administration: administration.delete_base(tenant, base)):
                raise NotThere(f"there is no knowledge base '{base}': see 'penstock knowledge list'")
            if as_json:
                print_json({"deleted": base})
            else:
                note(f"The knowledge base {base} is deleted.")


def _add_documents(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("documents", help="List the documents of a knowledge base, and why some could not be taken in.")
    @administering(opened)
    def documents(
        ask: Ask,
        *,
        base: BaseArgument,
        tenant: TenantOption = "",
        only: Annotated[str, typer.Option(metavar="|".join(_STATES), help="Those alone.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if only and only not in _STATES:
                raise Misconfigured(f"--only: there is no '{only}'; there are {', '.join(_STATES)}")
            wanted = ListDocumentsRequest(tenant, base, state=only)
            found = ask(lambda administration: administration.documents(wanted))
            if as_json:
                print_json(found)
                return
            if not found:
                note(f"No documents: put some in with 'penstock ingest PATH… --base {base}'.")
                return
            print_table(_DOCUMENTS, map(_document_row, found), to_the_right={"version", "chunks", "bytes"})
            for document in found:
                if document.failure is not None:
                    note(f"{document.id}: {_failure(document)}")


def _add_document(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("document", help="Show a document, and with --chunks what it was cut into.")
    @administering(opened)
    def show(
        ask: Ask,
        *,
        base: BaseArgument,
        document: DocumentArgument,
        tenant: TenantOption = "",
        chunks: Annotated[bool, typer.Option("--chunks", help="Also its chunks.")] = False,
        as_json: JsonOption = False,
    ) -> None:
        async def both(administration: Administration):
            found = await administration.document(tenant, base, document)
            wanted = ListChunksRequest(tenant, base, document)
            return found, (await administration.chunks(wanted) if chunks else [])

        with failures_told(as_json=as_json):
            found, cut = ask(both)
            if as_json:
                print_json({"document": found, "chunks": cut} if chunks else found)
                return
            print_table(_DOCUMENTS, [_document_row(found)])
            if found.failure is not None:
                note(_failure(found))
            for chunk in cut:
                typer.echo(f"--- {chunk.ordinal}: {chunk.start}-{chunk.end}, {chunk.tokens} tokens, {chunk.id}")
                typer.echo(escape(chunk.text))


def _add_delete_document(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("delete-document", help="Delete a document: no search finds it from then on.")
    @administering(opened)
    def delete(
        ask: Ask, *, base: BaseArgument, document: DocumentArgument, tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:  # fmt: skip
        with failures_told(as_json=as_json):
            if not ask(lambda administration: administration.delete_document(tenant, base, document)):
                raise NotThere(f"there is no document '{document}': see 'penstock knowledge documents {base}'")
            if as_json:
                print_json({"deleted": document})
            else:
                note(f"The document {document} is deleted.")


def _base_row(base: KnowledgeBase) -> Sequence[str]:
    return (
        escape(base.id),
        escape(base.name),
        f"{base.documents:,}",
        f"{base.documents_pending:,}",
        f"{base.documents_failed:,}",
        f"{base.chunks:,}",
        f"{base.bytes:,}",
        f"version {base.serving}" if base.serving else "[dim]nothing[/]",
        f"{base.created_at:%Y-%m-%d}",
    )


def _document_row(document: Document) -> Sequence[str]:
    return (
        escape(document.id),
        escape(document.title or document.filename),
        document.state,
        str(document.version),
        f"{document.chunks:,}",
        f"{document.bytes:,}",
        escape(" ".join(document.labels)) or "[dim]all[/]",
        escape(document.media_type),
        f"{document.updated_at:%Y-%m-%d}" if document.updated_at else "",
    )


def _failure(document: Document) -> str:
    assert document.failure is not None, "asked of documents that failed"
    place = f" ({document.failure.place})" if document.failure.place else ""
    return f"{document.failure.reason}{place}: {document.failure.message}"
