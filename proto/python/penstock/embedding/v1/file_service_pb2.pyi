from google.protobuf import timestamp_pb2 as _timestamp_pb2
from penstock.knowledge.v1 import knowledge_pb2 as _knowledge_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StoredFile(_message.Message):
    __slots__ = ("id", "filename", "purpose", "bytes", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., filename: _Optional[str] = ..., purpose: _Optional[str] = ..., bytes: _Optional[int] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Attachment(_message.Message):
    __slots__ = ("file", "attributes", "labels")
    FILE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    file: str
    attributes: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Attribute]
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, file: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[_knowledge_pb2.Attribute, _Mapping]]] = ..., labels: _Optional[_Iterable[str]] = ...) -> None: ...

class FileBatch(_message.Message):
    __slots__ = ("id", "base", "created_at", "cancelled", "pending", "ready", "failed", "documents_cancelled")
    ID_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_CANCELLED_FIELD_NUMBER: _ClassVar[int]
    id: str
    base: str
    created_at: _timestamp_pb2.Timestamp
    cancelled: bool
    pending: int
    ready: int
    failed: int
    documents_cancelled: int
    def __init__(self, id: _Optional[str] = ..., base: _Optional[str] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., cancelled: bool = ..., pending: _Optional[int] = ..., ready: _Optional[int] = ..., failed: _Optional[int] = ..., documents_cancelled: _Optional[int] = ...) -> None: ...

class PutFileRequest(_message.Message):
    __slots__ = ("tenant", "filename", "purpose", "content")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    filename: str
    purpose: str
    content: bytes
    def __init__(self, tenant: _Optional[str] = ..., filename: _Optional[str] = ..., purpose: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class PutFileResponse(_message.Message):
    __slots__ = ("file",)
    FILE_FIELD_NUMBER: _ClassVar[int]
    file: StoredFile
    def __init__(self, file: _Optional[_Union[StoredFile, _Mapping]] = ...) -> None: ...

class GetFileRequest(_message.Message):
    __slots__ = ("tenant", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class GetFileResponse(_message.Message):
    __slots__ = ("file",)
    FILE_FIELD_NUMBER: _ClassVar[int]
    file: StoredFile
    def __init__(self, file: _Optional[_Union[StoredFile, _Mapping]] = ...) -> None: ...

class GetFileContentRequest(_message.Message):
    __slots__ = ("tenant", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class GetFileContentResponse(_message.Message):
    __slots__ = ("file", "content")
    FILE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    file: StoredFile
    content: bytes
    def __init__(self, file: _Optional[_Union[StoredFile, _Mapping]] = ..., content: _Optional[bytes] = ...) -> None: ...

class ListFilesRequest(_message.Message):
    __slots__ = ("tenant", "after", "page_size", "descending", "purpose")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    after: str
    page_size: int
    descending: bool
    purpose: str
    def __init__(self, tenant: _Optional[str] = ..., after: _Optional[str] = ..., page_size: _Optional[int] = ..., descending: bool = ..., purpose: _Optional[str] = ...) -> None: ...

class ListFilesResponse(_message.Message):
    __slots__ = ("files", "more")
    FILES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[StoredFile]
    more: bool
    def __init__(self, files: _Optional[_Iterable[_Union[StoredFile, _Mapping]]] = ..., more: bool = ...) -> None: ...

class DeleteFileRequest(_message.Message):
    __slots__ = ("tenant", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class DeleteFileResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: bool = ...) -> None: ...

class AttachFilesRequest(_message.Message):
    __slots__ = ("tenant", "base", "files", "batch")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    files: _containers.RepeatedCompositeFieldContainer[Attachment]
    batch: bool
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., files: _Optional[_Iterable[_Union[Attachment, _Mapping]]] = ..., batch: bool = ...) -> None: ...

class AttachFilesResponse(_message.Message):
    __slots__ = ("document", "batch")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    document: _knowledge_pb2.Document
    batch: FileBatch
    def __init__(self, document: _Optional[_Union[_knowledge_pb2.Document, _Mapping]] = ..., batch: _Optional[_Union[FileBatch, _Mapping]] = ...) -> None: ...

class GetBatchRequest(_message.Message):
    __slots__ = ("tenant", "base", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class GetBatchResponse(_message.Message):
    __slots__ = ("batch",)
    BATCH_FIELD_NUMBER: _ClassVar[int]
    batch: FileBatch
    def __init__(self, batch: _Optional[_Union[FileBatch, _Mapping]] = ...) -> None: ...

class CancelBatchRequest(_message.Message):
    __slots__ = ("tenant", "base", "id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    id: str
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class CancelBatchResponse(_message.Message):
    __slots__ = ("batch",)
    BATCH_FIELD_NUMBER: _ClassVar[int]
    batch: FileBatch
    def __init__(self, batch: _Optional[_Union[FileBatch, _Mapping]] = ...) -> None: ...

class ListBatchDocumentsRequest(_message.Message):
    __slots__ = ("tenant", "base", "id", "after", "page_size", "descending", "state")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    base: str
    id: str
    after: str
    page_size: int
    descending: bool
    state: _knowledge_pb2.DocumentState
    def __init__(self, tenant: _Optional[str] = ..., base: _Optional[str] = ..., id: _Optional[str] = ..., after: _Optional[str] = ..., page_size: _Optional[int] = ..., descending: bool = ..., state: _Optional[_Union[_knowledge_pb2.DocumentState, str]] = ...) -> None: ...

class ListBatchDocumentsResponse(_message.Message):
    __slots__ = ("documents", "more")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[_knowledge_pb2.Document]
    more: bool
    def __init__(self, documents: _Optional[_Iterable[_Union[_knowledge_pb2.Document, _Mapping]]] = ..., more: bool = ...) -> None: ...
