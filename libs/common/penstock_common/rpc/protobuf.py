"""Codecs over generated messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from penstock_common.errors import InvalidRequest
from penstock_common.llm.convert import UnknownRoleError

ValueT = TypeVar("ValueT")
MessageT = TypeVar("MessageT")


class ProtobufCodec(Generic[ValueT, MessageT]):
    """Implements ``Codec`` with a message type, and what turns a value into it and back."""

    __slots__ = ("_from_message", "_message", "_to_message")

    def __init__(
        self,
        message: type[MessageT],
        to_message: Callable[[ValueT], MessageT],
        from_message: Callable[[MessageT], ValueT],
    ) -> None:
        self._message: Any = message
        self._to_message: Callable[[ValueT], Any] = to_message
        self._from_message = from_message

    @property
    def descriptor(self) -> Descriptor:
        """The message's kind."""
        return self._message.DESCRIPTOR

    def encode(self, value: ValueT, /) -> bytes:
        """Return the message's bytes."""
        return self._to_message(value).SerializeToString()

    def canonical(self, message: bytes) -> bytes:
        """Return a message that ``decode`` has read, written so that equal ones are the same bytes: map entries in order."""
        return self._message.FromString(message).SerializeToString(deterministic=True)

    def decode(self, message: bytes, /) -> ValueT:
        """Return the value.

        Raises:
            InvalidRequest: if the bytes are no such message, or say what this version does not know.
        """
        try:
            return self._from_message(self._message.FromString(message))
        except DecodeError:
            raise InvalidRequest(f"The bytes are no {self._message.DESCRIPTOR.full_name}.") from None
        except UnknownRoleError as error:
            raise InvalidRequest(f"{error} is missing or not a known role.", field=f"input.{error}") from None


def same(message: type[MessageT]) -> ProtobufCodec[MessageT, MessageT]:
    """Return the codec of a message that is its own value."""
    return ProtobufCodec(message, _itself, _itself)


def _itself(message: MessageT) -> MessageT:
    return message


def unwritten(value: Any) -> Any:
    """Stand for the direction of a codec that this side never takes, such as writing a request that it serves."""
    raise NotImplementedError(f"{type(value).__name__} is not written here")


def unread(message: Any) -> Any:
    """Stand for the direction of a codec that this side never takes, such as reading a response that it gives."""
    raise NotImplementedError(f"{type(message).__name__} is not read here")
