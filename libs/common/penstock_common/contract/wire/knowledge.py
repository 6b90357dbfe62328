"""``KnowledgeService`` of ``penstock.embedding.v1`` on the wire."""

from __future__ import annotations

from typing import TypeVar

from penstock.embedding.v1 import knowledge_service_pb2 as pb
from penstock_common.contract import knowledge_calls as values
from penstock_common.rpc.fields import fields_codec
from penstock_common.rpc.method import StreamMethod, UnaryMethod

_SERVICE = "/penstock.embedding.v1.KnowledgeService/"
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


def _unary(name: str, request: type[RequestT], response: type[ResponseT]) -> UnaryMethod[RequestT, ResponseT]:
    codecs = (
        fields_codec(getattr(pb, f"{name}Request"), request),
        fields_codec(getattr(pb, f"{name}Response"), response),
    )
    return UnaryMethod[RequestT, ResponseT](f"{_SERVICE}{name}", *codecs)


CHUNK = _unary("Chunk", values.ChunkRequest, values.ChunkResponse)
PUT_BASE = _unary("PutBase", values.PutBaseRequest, values.PutBaseResponse)
GET_BASE = _unary("GetBase", values.GetBaseRequest, values.GetBaseResponse)
LIST_BASES = _unary("ListBases", values.ListBasesRequest, values.ListBasesResponse)
DELETE_BASE = _unary("DeleteBase", values.DeleteBaseRequest, values.DeleteBaseResponse)
PUT_DOCUMENT = _unary("PutDocument", values.PutDocumentRequest, values.PutDocumentResponse)
CHANGE_DOCUMENT = _unary("ChangeDocument", values.ChangeDocumentRequest, values.ChangeDocumentResponse)
GET_DOCUMENT = _unary("GetDocument", values.GetDocumentRequest, values.GetDocumentResponse)
LIST_DOCUMENTS = _unary("ListDocuments", values.ListDocumentsRequest, values.ListDocumentsResponse)
LIST_CHUNKS = _unary("ListChunks", values.ListChunksRequest, values.ListChunksResponse)
GET_ORIGINAL = _unary("GetOriginal", values.GetOriginalRequest, values.GetOriginalResponse)
DELETE_DOCUMENT = _unary("DeleteDocument", values.DeleteDocumentRequest, values.DeleteDocumentResponse)
WATCH_INGEST = StreamMethod[values.WatchIngestRequest, values.WatchIngestResponse](
    f"{_SERVICE}WatchIngest",
    fields_codec(pb.WatchIngestRequest, values.WatchIngestRequest),
    fields_codec(pb.WatchIngestResponse, values.WatchIngestResponse),
)
SEARCH = _unary("Search", values.SearchRequest, values.SearchResponse)
BUILD_INDEX = _unary("BuildIndex", values.BuildIndexRequest, values.BuildIndexResponse)
LIST_INDEXES = _unary("ListIndexes", values.ListIndexesRequest, values.ListIndexesResponse)
SWITCH_INDEX = _unary("SwitchIndex", values.SwitchIndexRequest, values.SwitchIndexResponse)
DROP_INDEX = _unary("DropIndex", values.DropIndexRequest, values.DropIndexResponse)
PUT_EVALUATION = _unary("PutEvaluation", values.PutEvaluationRequest, values.PutEvaluationResponse)
