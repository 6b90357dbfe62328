"""``FileService`` of ``penstock.embedding.v1`` on the wire."""

from __future__ import annotations

from typing import TypeVar

from penstock.embedding.v1 import file_service_pb2 as pb
from penstock_common.contract import file_calls as values
from penstock_common.rpc.fields import fields_codec
from penstock_common.rpc.method import UnaryMethod

_SERVICE = "/penstock.embedding.v1.FileService/"
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


def _unary(name: str, request: type[RequestT], response: type[ResponseT]) -> UnaryMethod[RequestT, ResponseT]:
    codecs = (
        fields_codec(getattr(pb, f"{name}Request"), request),
        fields_codec(getattr(pb, f"{name}Response"), response),
    )
    return UnaryMethod[RequestT, ResponseT](f"{_SERVICE}{name}", *codecs)


PUT_FILE = _unary("PutFile", values.PutFileRequest, values.PutFileResponse)
GET_FILE = _unary("GetFile", values.GetFileRequest, values.GetFileResponse)
GET_FILE_CONTENT = _unary("GetFileContent", values.GetFileContentRequest, values.GetFileContentResponse)
LIST_FILES = _unary("ListFiles", values.ListFilesRequest, values.ListFilesResponse)
DELETE_FILE = _unary("DeleteFile", values.DeleteFileRequest, values.DeleteFileResponse)
ATTACH_FILES = _unary("AttachFiles", values.AttachFilesRequest, values.AttachFilesResponse)
GET_BATCH = _unary("GetBatch", values.GetBatchRequest, values.GetBatchResponse)
CANCEL_BATCH = _unary("CancelBatch", values.CancelBatchRequest, values.CancelBatchResponse)
LIST_BATCH_DOCUMENTS = _unary("ListBatchDocuments", values.ListBatchDocumentsRequest, values.ListBatchDocumentsResponse)
