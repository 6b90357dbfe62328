"""Requests about vector stores and files: what is read out of them, and what is refused, by its name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from penstock_common.contract.knowledge import (
    AttributeValue,
    Chunk,
    Comparison,
    Document,
    DocumentFailure,
    Filter,
    Hit,
    IndexSpec,
    SearchResult,
    Splitter,
)
from penstock_common.errors import InternalError, InvalidRequest, ResourceNotFound, UnsupportedParameter
from penstock_gateway.domain.access.identity import OPERATORS, Caller
from penstock_gateway.domain.life.search import merged
from penstock_gateway.surfaces.wire_formats.keeping import StoresCall
from penstock_gateway.surfaces.wire_formats.openai.files import form
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import attached, batches, search, stores, wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.attributes import attributes_told, read_attributes
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import in_openais_words
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.filters import read_filter
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.paging import read_cursor
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.render import file_told, hit_told
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.strategy import check_same, strategy_told

STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}}


def nested(depth: int) -> Any:
    one: Any = {"type": "eq", "key": "a", "value": 1}
    for _ in range(depth - 1):
        one = {"type": "and", "filters": [one]}
    return one


def static(size: int, overlap: int) -> Any:
    return {"type": "static", "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}}


def comparison(**members: Any) -> Any:
    return {"query": "q", "filters": {"type": "eq", "key": "a", "value": 1, **members}}


REFUSED: list[tuple[Callable[[bytes], Any], Any, str]] = [
    (search.parse_search, {}, "query"),
    (search.parse_search, {"query": ""}, "query"),
    (search.parse_search, {"query": " "}, "query"),
    (search.parse_search, {"query": "q" * 4097}, "query"),
    (search.parse_search, {"query": []}, "query"),
    (search.parse_search, {"query": ["q"] * 9}, "query"),
    (search.parse_search, {"query": ["q", ""]}, "query[1]"),
    (search.parse_search, {"query": "q", "max_num_results": 0}, "max_num_results"),
    (search.parse_search, {"query": "q", "max_num_results": 51}, "max_num_results"),
    (search.parse_search, {"query": "q", "rewrite_query": True}, "rewrite_query"),
    (search.parse_search, {"query": "q", "ranking_options": {"ranker": "best"}}, "ranking_options.ranker"),
    (search.parse_search, {"query": "q", "ranking_options": {"score_threshold": 1.1}}, "ranking_options.score_threshold"),
    (search.parse_search, {"query": "q", "ranking_options": {"hybrid_search": {}}}, "ranking_options.hybrid_search"),
    (search.parse_search, {"query": "q", "labels": ["a"]}, "labels"),
    (search.parse_search, {"query": "q", "filters": []}, "filters"),
    (search.parse_search, {"query": "q", "filters": {}}, "filters.type"),
    (search.parse_search, comparison(type="like"), "filters.type"),
    (search.parse_search, comparison(type=["eq"]), "filters.type"),
    (search.parse_search, comparison(key=""), "filters.key"),
    (search.parse_search, comparison(key=3), "filters.key"),
    (search.parse_search, comparison(value=None), "filters.value"),
    (search.parse_search, comparison(value=[1]), "filters.value"),
    (search.parse_search, comparison(value=10**400), "filters.value"),
    (search.parse_search, comparison(type="gt", value="3"), "filters.value"),
    (search.parse_search, comparison(type="in", value=3), "filters.value"),
    (search.parse_search, comparison(type="in", value=[]), "filters.value"),
    (search.parse_search, comparison(type="nin", value=[1] * 65), "filters.value"),
    (search.parse_search, comparison(type="nin", value=[1, {}]), "filters.value[1]"),
    (search.parse_search, comparison(operator="eq"), "filters.operator"),
    (search.parse_search, {"query": "q", "filters": {"type": "and", "filters": []}}, "filters.filters"),
    (search.parse_search, {"query": "q", "filters": {"type": "or", "filters": [nested(1), 3]}}, "filters.filters[1]"),
    (search.parse_search, {"query": "q", "filters": nested(6)}, "filters" + ".filters[0]" * 5),
    (search.parse_search, {"query": "q", "filters": {"type": "or", "filters": [nested(1)] * 64}}, "filters"),
    (stores.parse_creation, {"expires_after": {"anchor": "last_active_at", "days": 1}}, "expires_after"),
    (stores.parse_creation, {"description": "d"}, "description"),
    (stores.parse_creation, {"name": "n" * 257}, "name"),
    (stores.parse_creation, {"name": "a\0b"}, "name"),
    (stores.parse_creation, {"metadata": {"a": 1}}, "metadata"),
    (stores.parse_creation, {"chunking_strategy": {"type": "static"}}, "chunking_strategy.static"),
    (stores.parse_creation, {"chunking_strategy": {**STATIC, "type": "auto"}}, "chunking_strategy.static"),
    (stores.parse_creation, {"chunking_strategy": {"type": "words"}}, "chunking_strategy.type"),
    (stores.parse_creation, {"chunking_strategy": static(99, 0)}, "chunking_strategy.static.max_chunk_size_tokens"),
    (stores.parse_creation, {"chunking_strategy": static(4097, 0)}, "chunking_strategy.static.max_chunk_size_tokens"),
    (stores.parse_creation, {"chunking_strategy": static(200, 101)}, "chunking_strategy.static.chunk_overlap_tokens"),
    (stores.parse_creation, {"chunking_strategy": static(200, -1)}, "chunking_strategy.static.chunk_overlap_tokens"),
    (stores.parse_change, {"expires_after": {}}, "expires_after"),
    (stores.parse_change, {"file_ids": []}, "file_ids"),
    (attached.parse_attachment, {}, "file_id"),
    (attached.parse_attachment, {"file_id": "f", "attributes": {"a": [1]}}, "attributes"),
    (attached.parse_change, {}, "attributes"),
    (batches.parse_creation, {}, "file_ids"),
    (batches.parse_creation, {"file_ids": ["f"], "files": []}, "file_ids"),
    (batches.parse_creation, {"file_ids": []}, "file_ids"),
    (batches.parse_creation, {"files": []}, "files"),
    (batches.parse_creation, {"file_ids": ["f"] * 2001}, "file_ids"),
    (batches.parse_creation, {"files": [{"file_id": "f"}], "attributes": {}}, "attributes"),
    (batches.parse_creation, {"files": [{}]}, "files[0].file_id"),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "body", "param"), REFUSED)
def test_what_cannot_be_honoured_is_refused_by_its_name(parse: Callable[[bytes], Any], body: Any, param: str) -> None:
    with pytest.raises((InvalidRequest, UnsupportedParameter)) as refused:
        parse(json.dumps(body).encode())
    error = refused.value
    assert (error.field if isinstance(error, InvalidRequest) else error.parameter) == param


def test_a_filter_is_read_as_it_is_meant() -> None:
    given = {
        "type": "or",
        "filters": [
            {"type": "eq", "key": "a", "value": True},
            {"type": "and", "filters": [{"type": "lte", "key": "b", "value": 2}]},
            {"type": "nin", "key": "c", "value": ["x", 1.5]},
        ],
    }
    assert read_filter(given) == Filter(
        any_of=[
            Filter(comparison=Comparison("a", "eq", [AttributeValue(flag=True)])),
            Filter(all_of=[Filter(comparison=Comparison("b", "lte", [AttributeValue(number=2.0)]))]),
            Filter(comparison=Comparison("c", "nin", [AttributeValue(text="x"), AttributeValue(number=1.5)])),
        ]
    )
    assert read_filter(None) is None
    assert read_filter(nested(5)) is not None


@pytest.mark.parametrize(
    "attributes",
    [
        {"": 1},
        {"a b": 1},
        {"ä": 1},
        {"a" * 65: 1},
        {"a": "x" * 513},
        {"a": "x\0"},
        {"a": float("inf")},
        {f"a{number}": 1 for number in range(17)},
    ],
)
def test_attributes_are_bounded_and_never_cut(attributes: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_attributes(attributes, "attributes")
    assert refused.value.field.startswith("attributes")


def test_attributes_come_back_as_they_were() -> None:
    given = {"a": "x", "b": 3, "c": 1.5, "d": False, "e": 2**53 + 2}
    told = attributes_told(read_attributes(given, "attributes"))
    assert told == given
    assert [type(value) for value in told.values()] == [str, int, float, bool, float]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("order=up", "order"),
        ("after=", "after"),
        ("after=%00", "after"),
        ("before=" + "x" * 129, "before"),
        ("after=a&before=b", "before"),
        ("limit=1&limit=2", "limit"),
        ("include=x", "include"),
        ("&".join(f"a{number}=1" for number in range(17)), ""),
        ("after=%ff", ""),
    ],
)
def test_a_cursor_that_means_nothing_is_refused(query: str, param: str) -> None:
    with pytest.raises((InvalidRequest, UnsupportedParameter)) as refused:
        read_cursor(query)
    error = refused.value
    assert (error.field if isinstance(error, InvalidRequest) else error.parameter) == param


def test_a_cursor_has_openais_defaults() -> None:
    cursor = read_cursor("after=vs_1&filter=failed", further=("filter",))
    assert (cursor.limit, cursor.descending, cursor.after, cursor.before) == (20, True, "vs_1", "")
    assert cursor.others == {"filter": "failed"}


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    return f'--X\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"


PURPOSE = part("purpose", b"assistants")
FILE = part("file", b"a\r\n--Y", "C:\\dir\\a\tb.txt")
KIND = "multipart/form-data; boundary=X"


async def read(body: bytes, kind: str, size: int = 5) -> tuple[str, bytes, dict[str, str]]:
    """Return a form's file, by name and content, and its fields; it comes in pieces of that size."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    name, content, fields = "", b"", dict[str, str]()
    async for one in form.parts_of(pieces(), kind):
        if isinstance(one, form.FileBegins):
            name = one.filename
        elif isinstance(one, bytes):
            content += one
        else:
            fields = dict(one.fields)
    return name, content, fields


@pytest.mark.parametrize("size", [1, 5, 64, 10_000])
async def test_a_form_is_read_wherever_its_pieces_are_cut(size: int) -> None:
    body = PURPOSE + part("expires_after[seconds]", b"3600") + FILE + b"--X--\r\n"
    fields = {"purpose": "assistants", "expires_after[seconds]": "3600"}
    assert await read(body, KIND, size) == ("ab.txt", b"a\r\n--Y", fields)


@pytest.mark.parametrize(
    ("body", "kind", "param"),
    [
        (PURPOSE + b"--X--\r\n", KIND, "file"),
        (FILE + b"--X--\r\n", KIND, "purpose"),
        (PURPOSE + PURPOSE + FILE + b"--X--\r\n", KIND, "purpose"),
        (PURPOSE + FILE + part("expires", b"3600") + b"--X--\r\n", KIND, "expires"),
        (PURPOSE + FILE + FILE + b"--X--\r\n", KIND, "file"),
        (PURPOSE + part("file", b"", "a") + b"--X--\r\n", KIND, "file"),
        (PURPOSE + part("file", b"a") + b"--X--\r\n", KIND, "file"),
        (PURPOSE + part("file", b"a", "/") + b"--X--\r\n", KIND, "file"),
        (PURPOSE + FILE, KIND, ""),
        (b"junk" + PURPOSE + FILE + b"--X--\r\n", KIND, ""),
        (PURPOSE + FILE.replace(b"\r\n", b"\n") + b"--X--\r\n", KIND, ""),
        (b"--X\r\nA: " + b"b" * 10_000 + b"\r\n\r\n" + FILE + b"--X--\r\n", KIND, ""),
        (b"--X\r\n" + b"A: b\r\n" * 100 + b"\r\na\r\n--X--\r\n", KIND, ""),
        (b"".join(part(f"a{number}", b"x") for number in range(20)) + b"--X--\r\n", KIND, "a0"),
        (part("purpose", b"x" * 2000) + FILE + b"--X--\r\n", KIND, "purpose"),
        (b"--X\r\n\r\na\r\n--X--\r\n", KIND, ""),
        (b"", KIND, ""),
        (b"{}", "application/json", ""),
        (PURPOSE + FILE + b"--X--\r\n", "multipart/form-data", ""),
        (PURPOSE + FILE + b"--X--\r\n", "multipart/mixed; boundary=X", ""),
        (PURPOSE + FILE + b"--X--\r\n", "multipart/form-data; boundary=" + "X" * 71, ""),
    ],
)
async def test_a_form_that_is_none_is_refused(body: bytes, kind: str, param: str) -> None:
    with pytest.raises((InvalidRequest, UnsupportedParameter)) as refused:
        await read(body, kind)
    error = refused.value
    assert (error.field if isinstance(error, InvalidRequest) else error.parameter) == param


def test_a_file_is_cut_as_its_store_is_or_refused() -> None:
    given = attached.parse_attachment(json.dumps({"file_id": "f", "chunking_strategy": STATIC}).encode())
    check_same(given.chunking_strategy, IndexSpec("", Splitter("auto", 200, 50)))
    for spec in (None, IndexSpec(), IndexSpec("", Splitter("auto", 200, 20))):
        with pytest.raises(UnsupportedParameter):
            check_same(given.chunking_strategy, spec)
        check_same(None, spec)
        check_same(wire.ChunkingStrategy(type="auto"), spec)
    assert strategy_told(None).type == "other"


@pytest.mark.parametrize(
    ("reason", "code"),
    [("unsupported", "unsupported_file"), ("encrypted", "invalid_file"), ("timeout", "server_error")],
)
def test_a_failure_has_one_of_openais_codes(reason: str, code: str) -> None:
    failed = Document(id="f", knowledge_base="k", state="failed", failure=DocumentFailure(reason, "Do this.", "page 2"))
    told = file_told(failed, strategy_told(None))
    assert told.last_error is not None
    assert (told.status, told.last_error.code) == ("failed", code)
    assert told.last_error.message == f"{reason}: Do this. (page 2)"


def hit(chunk: str, score: float) -> Hit:
    made = Chunk(id=chunk, document="d", document_version=1, ordinal=0, text="t", start=0, end=1)
    return Hit(chunk=made, knowledge_base="k", score=score)


def test_what_several_searches_find_is_there_once_in_one_order() -> None:
    first = SearchResult(hits=[hit("b", 0.5), hit("a", 0.5), hit("c", 0.1)], query_tokens=2, degraded=["rerank"])
    second = SearchResult(hits=[hit("c", 0.9)], query_tokens=3, query_truncated=True)
    found = merged([first, second], 3)
    assert [(one.chunk.id, one.score) for one in found.hits] == [("c", 0.9), ("a", 0.5), ("b", 0.5)]
    assert (found.query_tokens, found.query_truncated, found.degraded) == (5, True, ["rerank"])
    assert len(merged([first, second], 2).hits) == 2


def test_a_score_is_0_to_1_and_a_hit_has_a_name() -> None:
    assert [hit_told(hit("a", score)).score for score in (-0.2, 0.3, 1.0000001)] == [0, 0.3, 1]
    assert hit_told(hit("a", 1)).filename == "d"


def call(body: Any = None) -> StoresCall:
    return StoresCall(caller=Caller(OPERATORS, "k", frozenset()), names={"store": "vs_1"}, query="", body=body)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ResourceNotFound("There is no base.", kind="knowledge base"), "There is no vector store 'vs_1'."),
        (ResourceNotFound("x", kind="document", name="f"), "There is no file 'f'."),
        (ResourceNotFound("There is no file 'f'.", kind="file", name="f"), "There is no file 'f'."),
        (
            InvalidRequest("splitter.max_tokens must be at most 254.", field="splitter.max_tokens"),
            "'chunking_strategy.static.max_chunk_size_tokens' must be at most 254.",
        ),
        (InternalError(), "Internal error. Give the request id to the operator."),
    ],
)
def test_errors_are_told_in_openais_words(error: Exception, told: str) -> None:
    assert str(in_openais_words(error, call())) == told


@pytest.mark.parametrize(
    ("body", "param"), [(wire.StoreCreation(), "metadata"), (wire.FileChange(), "attributes"), (None, "attributes")]
)
def test_an_attribute_that_is_refused_is_named_as_the_request_has_it(body: Any, param: str) -> None:
    error = in_openais_words(
        InvalidRequest("The attribute 'tenant' is not yours.", field="attributes[0].name"), call(body)
    )
    assert isinstance(error, InvalidRequest)
    assert (error.field, "tenant" in error.message) == (param, True)
