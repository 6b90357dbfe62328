from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from penstock.knowledge.v1 import knowledge_pb2 as _knowledge_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateKnowledgeBaseRequest(_message.Message):
    __slots__ = ("id", "tenant", "name", "attributes", "spec")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    name: str
    attributes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Attribute]
    spec: _knowledge_pb2.IndexSpec
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., name: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[_knowledge_pb2.Attribute, _Mapping]]] = ..., spec: _Optional[_Union[_knowledge_pb2.IndexSpec, _Mapping]] = ...) -> None: ...

class CreateKnowledgeBaseResponse(_message.Message):
    __slots__ = ("base",)
    BASE_FIELD_NUMBER: _ClassVar[int]
    base: _knowledge_pb2.KnowledgeBase
    def __init__(self, base: _Optional[_Union[_knowledge_pb2.KnowledgeBase, _Mapping]] = ...) -> None: ...

class UpdateKnowledgeBaseRequest(_message.Message):
    __slots__ = ("id", "tenant", "name", "attributes")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    name: str
    attributes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Attribute]
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., name: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[_knowledge_pb2.Attribute, _Mapping]]] = ...) -> None: ...

class UpdateKnowledgeBaseResponse(_message.Message):
    __slots__ = ("base",)
    BASE_FIELD_NUMBER: _ClassVar[int]
    base: _knowledge_pb2.KnowledgeBase
    def __init__(self, base: _Optional[_Union[_knowledge_pb2.KnowledgeBase, _Mapping]] = ...) -> None: ...

class GetKnowledgeBaseRequest(_message.Message):
    __slots__ = ("id", "tenant")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class GetKnowledgeBaseResponse(_message.Message):
    __slots__ = ("base",)
    BASE_FIELD_NUMBER: _ClassVar[int]
    base: _knowledge_pb2.KnowledgeBase
    def __init__(self, base: _Optional[_Union[_knowledge_pb2.KnowledgeBase, _Mapping]] = ...) -> None: ...

class ListKnowledgeBasesRequest(_message.Message):
    __slots__ = ("tenant", "page_size", "page_token", "descending")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    page_size: int
    page_token: str
    descending: bool
    def __init__(self, tenant: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., descending: bool = ...) -> None: ...

class ListKnowledgeBasesResponse(_message.Message):
    __slots__ = ("bases", "next_page_token")
    BASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bases: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.KnowledgeBase]
    next_page_token: str
    def __init__(self, bases: _Optional[_Iterable[_Union[_knowledge_pb2.KnowledgeBase, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteKnowledgeBaseRequest(_message.Message):
    __slots__ = ("id", "tenant")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class DeleteKnowledgeBaseResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class PutDocumentRequest(_message.Message):
    __slots__ = ("base", "id", "tenant", "content", "filename", "media_type", "title", "attributes", "labels", "language", "if_version")
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    base: str
    id: str
    tenant: str
    content: bytes
    filename: str
    media_type: str
    title: str
    attributes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Attribute]
    labels: _containers.RepeatedScalarFieldContainer[str]
    language: str
    if_version: int
    def __init__(self, base: _Optional[str] = ..., id: _Optional[str] = ..., tenant: _Optional[str] = ..., content: _Optional[bytes] = ..., filename: _Optional[str] = ..., media_type: _Optional[str] = ..., title: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[_knowledge_pb2.Attribute, _Mapping]]] = ..., labels: _Optional[_Iterable[str]] = ..., language: _Optional[str] = ..., if_version: _Optional[int] = ...) -> None: ...

class PutDocumentResponse(_message.Message):
    __slots__ = ("document", "unchanged")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    document: _knowledge_pb2.Document
    unchanged: bool
    def __init__(self, document: _Optional[_Union[_knowledge_pb2.Document, _Mapping]] = ..., unchanged: bool = ...) -> None: ...

class UpdateDocumentRequest(_message.Message):
    __slots__ = ("base", "id", "tenant", "attributes", "replace_attributes", "labels", "replace_labels", "cancel")
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    REPLACE_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    REPLACE_LABELS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    base: str
    id: str
    tenant: str
    attributes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Attribute]
    replace_attributes: bool
    labels: _containers.RepeatedScalarFieldContainer[str]
    replace_labels: bool
    cancel: bool
    def __init__(self, base: _Optional[str] = ..., id: _Optional[str] = ..., tenant: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[_knowledge_pb2.Attribute, _Mapping]]] = ..., replace_attributes: bool = ..., labels: _Optional[_Iterable[str]] = ..., replace_labels: bool = ..., cancel: bool = ...) -> None: ...

class UpdateDocumentResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: _knowledge_pb2.Document
    def __init__(self, document: _Optional[_Union[_knowledge_pb2.Document, _Mapping]] = ...) -> None: ...

class GetDocumentRequest(_message.Message):
    __slots__ = ("base", "id", "tenant")
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    base: str
    id: str
    tenant: str
    def __init__(self, base: _Optional[str] = ..., id: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class GetDocumentResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: _knowledge_pb2.Document
    def __init__(self, document: _Optional[_Union[_knowledge_pb2.Document, _Mapping]] = ...) -> None: ...

class ListDocumentsRequest(_message.Message):
    __slots__ = ("base", "tenant", "page_size", "page_token", "state", "descending", "ids")
    BASE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    base: str
    tenant: str
    page_size: int
    page_token: str
    state: _knowledge_pb2.DocumentState
    descending: bool
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, base: _Optional[str] = ..., tenant: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[_knowledge_pb2.DocumentState, str]] = ..., descending: bool = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ListDocumentsResponse(_message.Message):
    __slots__ = ("documents", "next_page_token")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Document]
    next_page_token: str
    def __init__(self, documents: _Optional[_Iterable[_Union[_knowledge_pb2.Document, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListChunksRequest(_message.Message):
    __slots__ = ("base", "document", "tenant", "page_size", "page_token")
    BASE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    base: str
    document: str
    tenant: str
    page_size: int
    page_token: str
    def __init__(self, base: _Optional[str] = ..., document: _Optional[str] = ..., tenant: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListChunksResponse(_message.Message):
    __slots__ = ("chunks", "next_page_token")
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Chunk]
    next_page_token: str
    def __init__(self, chunks: _Optional[_Iterable[_Union[_knowledge_pb2.Chunk, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetOriginalRequest(_message.Message):
    __slots__ = ("base", "id", "tenant")
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    base: str
    id: str
    tenant: str
    def __init__(self, base: _Optional[str] = ..., id: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class GetOriginalResponse(_message.Message):
    __slots__ = ("content", "media_type", "filename")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    media_type: str
    filename: str
    def __init__(self, content: _Optional[bytes] = ..., media_type: _Optional[str] = ..., filename: _Optional[str] = ...) -> None: ...

class DeleteDocumentRequest(_message.Message):
    __slots__ = ("base", "id", "tenant")
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    base: str
    id: str
    tenant: str
    def __init__(self, base: _Optional[str] = ..., id: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class DeleteDocumentResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class WatchIngestRequest(_message.Message):
    __slots__ = ("base", "tenant")
    BASE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    base: str
    tenant: str
    def __init__(self, base: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class WatchIngestResponse(_message.Message):
    __slots__ = ("progress",)
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    progress: _knowledge_pb2.IngestProgress
    def __init__(self, progress: _Optional[_Union[_knowledge_pb2.IngestProgress, _Mapping]] = ...) -> None: ...

class ChunkDocumentRequest(_message.Message):
    __slots__ = ("content", "filename", "media_type", "spec")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    filename: str
    media_type: str
    spec: _knowledge_pb2.IndexSpec
    def __init__(self, content: _Optional[bytes] = ..., filename: _Optional[str] = ..., media_type: _Optional[str] = ..., spec: _Optional[_Union[_knowledge_pb2.IndexSpec, _Mapping]] = ...) -> None: ...

class ChunkDocumentResponse(_message.Message):
    __slots__ = ("chunks", "document")
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Chunk]
    document: _knowledge_pb2.Document
    def __init__(self, chunks: _Optional[_Iterable[_Union[_knowledge_pb2.Chunk, _Mapping]]] = ..., document: _Optional[_Union[_knowledge_pb2.Document, _Mapping]] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("bases", "query", "options", "tenant", "labels")
    BASES_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    bases: _containers.RepeatedScalarFieldContainer[str]
    query: str
    options: _knowledge_pb2.SearchOptions
    tenant: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, bases: _Optional[_Iterable[str]] = ..., query: _Optional[str] = ..., options: _Optional[_Union[_knowledge_pb2.SearchOptions, _Mapping]] = ..., tenant: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _knowledge_pb2.SearchResult
    def __init__(self, result: _Optional[_Union[_knowledge_pb2.SearchResult, _Mapping]] = ...) -> None: ...

class BuildIndexRequest(_message.Message):
    __slots__ = ("base", "tenant", "spec", "again")
    BASE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    AGAIN_FIELD_NUMBER: _ClassVar[int]
    base: str
    tenant: str
    spec: _knowledge_pb2.IndexSpec
    again: bool
    def __init__(self, base: _Optional[str] = ..., tenant: _Optional[str] = ..., spec: _Optional[_Union[_knowledge_pb2.IndexSpec, _Mapping]] = ..., again: bool = ...) -> None: ...

class BuildIndexResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: _knowledge_pb2.IndexVersion
    def __init__(self, index: _Optional[_Union[_knowledge_pb2.IndexVersion, _Mapping]] = ...) -> None: ...

class ListIndexesRequest(_message.Message):
    __slots__ = ("base", "tenant")
    BASE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    base: str
    tenant: str
    def __init__(self, base: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class ListIndexesResponse(_message.Message):
    __slots__ = ("indexes",)
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    indexes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.IndexVersion]
    def __init__(self, indexes: _Optional[_Iterable[_Union[_knowledge_pb2.IndexVersion, _Mapping]]] = ...) -> None: ...

class SwitchIndexRequest(_message.Message):
    __slots__ = ("base", "tenant", "version", "force", "reason")
    BASE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    base: str
    tenant: str
    version: int
    force: bool
    reason: str
    def __init__(self, base: _Optional[str] = ..., tenant: _Optional[str] = ..., version: _Optional[int] = ..., force: bool = ..., reason: _Optional[str] = ...) -> None: ...

class SwitchIndexResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: _knowledge_pb2.IndexVersion
    def __init__(self, index: _Optional[_Union[_knowledge_pb2.IndexVersion, _Mapping]] = ...) -> None: ...

class DropIndexRequest(_message.Message):
    __slots__ = ("base", "version", "tenant")
    BASE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    base: str
    version: int
    tenant: str
    def __init__(self, base: _Optional[str] = ..., version: _Optional[int] = ..., tenant: _Optional[str] = ...) -> None: ...

class DropIndexResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class PutEvaluationRequest(_message.Message):
    __slots__ = ("base", "tenant", "queries")
    BASE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    base: str
    tenant: str
    queries: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.EvaluationQuery]
    def __init__(self, base: _Optional[str] = ..., tenant: _Optional[str] = ..., queries: _Optional[_Iterable[_Union[_knowledge_pb2.EvaluationQuery, _Mapping]]] = ...) -> None: ...

class PutEvaluationResponse(_message.Message):
    __slots__ = ("queries",)
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    queries: int
    def __init__(self, queries: _Optional[int] = ...) -> None: ...
