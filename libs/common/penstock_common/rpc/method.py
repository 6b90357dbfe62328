"""A method of the contract, declared once: its path, how its messages are written, whether its responses stream.

Servicers and clients speak values. On a socket a codec turns them into bytes
and back; in process they pass by reference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from penstock_common.rpc.server_call import ServerCall

ValueT = TypeVar("ValueT")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
ResponseT_co = TypeVar("ResponseT_co", covariant=True)


END_OF_ANSWER = b""
"""What ends an answer on a socket while requests of its call are still being sent: then the caller sends no more."""


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


class Responses(Protocol[ResponseT_co]):
    """What a servicer answers with one by one: an asynchronous generator, or what is iterated and closed like one."""

    def __aiter__(self) -> AsyncIterator[ResponseT_co]:
        """Iterate once, in one task."""
        ...

    def __anext__(self) -> Coroutine[Any, Any, ResponseT_co]:
        """Return the next."""
        ...

    def aclose(self) -> Coroutine[Any, Any, None]:
        """End it, wherever it is; may be repeated."""
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

    def served_by(self, behaviour: Callable[[RequestT, ServerCall], Responses[ResponseT]]) -> Handler:
        """Return the handler that a service registers."""
        return Handler(self, behaviour, streams=True)


class DuplexMethod(Method[RequestT, ResponseT]):
    """A stream of requests, a stream of responses; the codecs are those of one message.

    No response is written as no bytes: that is ``END_OF_ANSWER``.
    """

    __slots__ = ()

    def served_by(self, behaviour: Callable[[AsyncIterator[RequestT], ServerCall], Responses[ResponseT]]) -> Handler:
        """Return the handler that a service registers."""
        return Handler(self, behaviour, streams=True)


class Handler:
    """A method and who serves it: a coroutine function, or one that returns ``Responses`` where they stream."""

    __slots__ = ("behaviour", "method", "streams")

    def __init__(self, method: Method[Any, Any], behaviour: Callable[[Any, ServerCall], Any], *, streams: bool) -> None:
        self.method = method
        self.behaviour = behaviour
        self.streams = streams
