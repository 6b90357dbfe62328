"""A method of the contract, declared once: its path, how its messages are written, whether its responses stream.

Servicers and clients speak values. On a socket a codec turns them into bytes
and back; in process they pass by reference.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from penstock_common.rpc.server_call import ServerCall

ValueT = TypeVar("ValueT")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class Codec(Protocol[ValueT]):
    """Writes one kind of message as bytes, and reads it."""

    def encode(self, value: ValueT, /) -> bytes:
        """Return the message."""
        ...

    def decode(self, message: bytes, /) -> ValueT:
        """Return the value; ``decode(encode(value)) == value``.

        Raises:
            InvalidRequest: if the bytes are no such message, or say what this version does not know.
        """
        ...


class Method(Generic[RequestT, ResponseT]):
    """One method; ``path`` is ``/package.Service/Method``, as it stands on the wire."""

    __slots__ = ("path", "request", "response", "service")

    def __init__(self, path: str, request: Codec[RequestT], response: Codec[ResponseT]) -> None:
        self.path = path
        self.request = request
        self.response = response
        self.service = path.split(".", 2)[1]
        """The role that serves it, by the package's name: ``router`` of ``/penstock.router.v1.RouterService/Route``."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"


class UnaryMethod(Method[RequestT, ResponseT]):
    """One request, one response."""

    __slots__ = ()

    def served_by(self, behaviour: Callable[[RequestT, ServerCall], Coroutine[Any, Any, ResponseT]]) -> Handler:
        """Return the handler that a service registers."""
        return Handler(self, behaviour, streams=False)


class StreamMethod(Method[RequestT, ResponseT]):
    """One request, a stream of responses."""

    __slots__ = ()

    def served_by(self, behaviour: Callable[[RequestT, ServerCall], AsyncGenerator[ResponseT, None]]) -> Handler:
        """Return the handler that a service registers."""
        return Handler(self, behaviour, streams=True)


class Handler:
    """A method and who serves it: a coroutine function, or an async generator function where responses stream."""

    __slots__ = ("behaviour", "method", "streams")

    def __init__(self, method: Method[Any, Any], behaviour: Callable[[Any, ServerCall], Any], *, streams: bool) -> None:
        self.method = method
        self.behaviour = behaviour
        self.streams = streams
