from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RelayPlace(_message.Message):
    __slots__ = ("upstream", "method", "path", "allowed_regions")
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_REGIONS_FIELD_NUMBER: _ClassVar[int]
    upstream: str
    method: str
    path: str
    allowed_regions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, upstream: _Optional[str] = ..., method: _Optional[str] = ..., path: _Optional[str] = ..., allowed_regions: _Optional[_Iterable[str]] = ...) -> None: ...

class FindRelayRequest(_message.Message):
    __slots__ = ("place",)
    PLACE_FIELD_NUMBER: _ClassVar[int]
    place: RelayPlace
    def __init__(self, place: _Optional[_Union[RelayPlace, _Mapping]] = ...) -> None: ...

class FindRelayResponse(_message.Message):
    __slots__ = ("pattern", "price_nano_usd", "max_request_bytes")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    PRICE_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    MAX_REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    pattern: str
    price_nano_usd: int
    max_request_bytes: int
    def __init__(self, pattern: _Optional[str] = ..., price_nano_usd: _Optional[int] = ..., max_request_bytes: _Optional[int] = ...) -> None: ...

class RelayRequest(_message.Message):
    __slots__ = ("head", "piece")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    head: RelayRequestHead
    piece: bytes
    def __init__(self, head: _Optional[_Union[RelayRequestHead, _Mapping]] = ..., piece: _Optional[bytes] = ...) -> None: ...

class RelayRequestHead(_message.Message):
    __slots__ = ("place", "query", "headers", "length")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    place: RelayPlace
    query: str
    headers: _containers.RepeatedCompositeFieldContainer[RelayHeader]
    length: int
    def __init__(self, place: _Optional[_Union[RelayPlace, _Mapping]] = ..., query: _Optional[str] = ..., headers: _Optional[_Iterable[_Union[RelayHeader, _Mapping]]] = ..., length: _Optional[int] = ...) -> None: ...

class RelayHeader(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class RelayResponse(_message.Message):
    __slots__ = ("head", "piece")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    head: RelayResponseHead
    piece: bytes
    def __init__(self, head: _Optional[_Union[RelayResponseHead, _Mapping]] = ..., piece: _Optional[bytes] = ...) -> None: ...

class RelayResponseHead(_message.Message):
    __slots__ = ("status", "headers", "length")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    status: int
    headers: _containers.RepeatedCompositeFieldContainer[RelayHeader]
    length: int
    def __init__(self, status: _Optional[int] = ..., headers: _Optional[_Iterable[_Union[RelayHeader, _Mapping]]] = ..., length: _Optional[int] = ...) -> None: ...
