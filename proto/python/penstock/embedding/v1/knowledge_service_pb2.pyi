from penstock.knowledge.v1 import knowledge_pb2 as _knowledge_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChunkRequest(_message.Message):
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

class ChunkResponse(_message.Message):
    __slots__ = ("chunks", "document")
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Chunk]
    document: _knowledge_pb2.Document
    def __init__(self, chunks: _Optional[_Iterable[_Union[_knowledge_pb2.Chunk, _Mapping]]] = ..., document: _Optional[_Union[_knowledge_pb2.Document, _Mapping]] = ...) -> None: ...

class PutBaseRequest(_message.Message):
    __slots__ = ("tenant", "id", "name", "attributes", "spec", "create_only", "change_only")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CREATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    CHANGE_ONLY_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    id: str
    name: str
    attributes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Attribute]
    spec: _knowledge_pb2.IndexSpec
    create_only: bool
    change_only: bool
    def __init__(self, tenant: _Optional[str] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[_knowledge_pb2.Attribute, _Mapping]]] = ..., spec: _Optional[_Union[_knowledge_pb2.IndexSpec, _Mapping]] = ..., create_only: bool = ..., change_only: bool = ...) -> None: ...

class PutBaseResponse(_message.Message):
    __slots__ = ("base",)
    BASE_FIELD_NUMBER: _ClassVar[int]
    base: _knowledge_pb2.KnowledgeBase
    def __init__(self, base: _Optional[_Union[_knowledge_pb2.KnowledgeBase, _Mapping]] = ...) -> None: ...

class GetBaseRequest(_message.Message):
    __slots__ = ("tenant", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class GetBaseResponse(_message.Message):
    __slots__ = ("base",)
    BASE_FIELD_NUMBER: _ClassVar[int]
    base: _knowledge_pb2.KnowledgeBase
    def __init__(self, base: _Optional[_Union[_knowledge_pb2.KnowledgeBase, _Mapping]] = ...) -> None: ...

class ListBasesRequest(_message.Message):
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

class ListBasesResponse(_message.Message):
    __slots__ = ("bases", "next_page_token")
    BASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bases: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.KnowledgeBase]
    next_page_token: str
    def __init__(self, bases: _Optional[_Iterable[_Union[_knowledge_pb2.KnowledgeBase, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteBaseRequest(_message.Message):
    __slots__ = ("tenant", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class DeleteBaseResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class PutDocumentRequest(_message.Message):
    __slots__ = ("tenant", "base", "id", "content", "filename", "media_type", "title", "attributes", "labels", "language", "if_version")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    id: str
    content: bytes
    filename: str
    media_type: str
    title: str
    attributes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Attribute]
    labels: _containers.RepeatedScalarFieldContainer[str]
    language: str
    if_version: int
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., id: _Optional[str] = ..., content: _Optional[bytes] = ..., filename: _Optional[str] = ..., media_type: _Optional[str] = ..., title: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[_knowledge_pb2.Attribute, _Mapping]]] = ..., labels: _Optional[_Iterable[str]] = ..., language: _Optional[str] = ..., if_version: _Optional[int] = ...) -> None: ...

class PutDocumentResponse(_message.Message):
    __slots__ = ("document", "unchanged")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    document: _knowledge_pb2.Document
    unchanged: bool
    def __init__(self, document: _Optional[_Union[_knowledge_pb2.Document, _Mapping]] = ..., unchanged: bool = ...) -> None: ...

class ChangeDocumentRequest(_message.Message):
    __slots__ = ("tenant", "base", "id", "attributes", "replace_attributes", "labels", "replace_labels", "cancel")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    REPLACE_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    REPLACE_LABELS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    id: str
    attributes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Attribute]
    replace_attributes: bool
    labels: _containers.RepeatedScalarFieldContainer[str]
    replace_labels: bool
    cancel: bool
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., id: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[_knowledge_pb2.Attribute, _Mapping]]] = ..., replace_attributes: bool = ..., labels: _Optional[_Iterable[str]] = ..., replace_labels: bool = ..., cancel: bool = ...) -> None: ...

class ChangeDocumentResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: _knowledge_pb2.Document
    def __init__(self, document: _Optional[_Union[_knowledge_pb2.Document, _Mapping]] = ...) -> None: ...

class GetDocumentRequest(_message.Message):
    __slots__ = ("tenant", "base", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class GetDocumentResponse(_message.Message):
    __slots__ = ("document",)
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    document: _knowledge_pb2.Document
    def __init__(self, document: _Optional[_Union[_knowledge_pb2.Document, _Mapping]] = ...) -> None: ...

class ListDocumentsRequest(_message.Message):
    __slots__ = ("tenant", "base", "page_size", "page_token", "state", "descending", "ids")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    page_size: int
    page_token: str
    state: _knowledge_pb2.DocumentState
    descending: bool
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[_knowledge_pb2.DocumentState, str]] = ..., descending: bool = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ListDocumentsResponse(_message.Message):
    __slots__ = ("documents", "next_page_token")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Document]
    next_page_token: str
    def __init__(self, documents: _Optional[_Iterable[_Union[_knowledge_pb2.Document, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListChunksRequest(_message.Message):
    __slots__ = ("tenant", "base", "document", "page_size", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    document: str
    page_size: int
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., document: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListChunksResponse(_message.Message):
    __slots__ = ("chunks", "next_page_token")
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Chunk]
    next_page_token: str
    def __init__(self, chunks: _Optional[_Iterable[_Union[_knowledge_pb2.Chunk, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetOriginalRequest(_message.Message):
    __slots__ = ("tenant", "base", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("tenant", "base", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class DeleteDocumentResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class WatchIngestRequest(_message.Message):
    __slots__ = ("tenant", "base")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ...) -> None: ...

class WatchIngestResponse(_message.Message):
    __slots__ = ("progress",)
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    progress: _knowledge_pb2.IngestProgress
    def __init__(self, progress: _Optional[_Union[_knowledge_pb2.IngestProgress, _Mapping]] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("tenant", "bases", "query", "labels", "options")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASES_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    bases: _containers.RepeatedScalarFieldContainer[str]
    query: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    options: _knowledge_pb2.SearchOptions
    def __init__(self, tenant: _Optional[str] = ..., bases: _Optional[_Iterable[str]] = ..., query: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., options: _Optional[_Union[_knowledge_pb2.SearchOptions, _Mapping]] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _knowledge_pb2.SearchResult
    def __init__(self, result: _Optional[_Union[_knowledge_pb2.SearchResult, _Mapping]] = ...) -> None: ...

class BuildIndexRequest(_message.Message):
    __slots__ = ("tenant", "base", "spec", "again")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    AGAIN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    spec: _knowledge_pb2.IndexSpec
    again: bool
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., spec: _Optional[_Union[_knowledge_pb2.IndexSpec, _Mapping]] = ..., again: bool = ...) -> None: ...

class BuildIndexResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: _knowledge_pb2.IndexVersion
    def __init__(self, index: _Optional[_Union[_knowledge_pb2.IndexVersion, _Mapping]] = ...) -> None: ...

class ListIndexesRequest(_message.Message):
    __slots__ = ("tenant", "base")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ...) -> None: ...

class ListIndexesResponse(_message.Message):
    __slots__ = ("indexes",)
    INDEXES_FIELD_NUMBER: _ClassVar[int]
    indexes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.IndexVersion]
    def __init__(self, indexes: _Optional[_Iterable[_Union[_knowledge_pb2.IndexVersion, _Mapping]]] = ...) -> None: ...

class SwitchIndexRequest(_message.Message):
    __slots__ = ("tenant", "base", "version", "force")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    version: int
    force: bool
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., version: _Optional[int] = ..., force: bool = ...) -> None: ...

class SwitchIndexResponse(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: _knowledge_pb2.IndexVersion
    def __init__(self, index: _Optional[_Union[_knowledge_pb2.IndexVersion, _Mapping]] = ...) -> None: ...

class DropIndexRequest(_message.Message):
    __slots__ = ("tenant", "base", "version")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    version: int
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class DropIndexResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class PutEvaluationRequest(_message.Message):
    __slots__ = ("tenant", "base", "queries")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    queries: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.EvaluationQuery]
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., queries: _Optional[_Iterable[_Union[_knowledge_pb2.EvaluationQuery, _Mapping]]] = ...) -> None: ...

class PutEvaluationResponse(_message.Message):
    __slots__ = ("queries",)
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    queries: int
    def __init__(self, queries: _Optional[int] = ...) -> None: ...
