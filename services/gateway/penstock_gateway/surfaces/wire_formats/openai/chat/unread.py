"""What a provider of the same format said beside, in the last chunks of a stream; see ``beside``."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import Finished
from penstock_common.llm.unread import OPENAI_CHAT, members_of
from penstock_gateway.surfaces.wire_formats.beside import Members, unread_of, with_members

_encode = msgspec.json.Encoder().encode
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_DATA, _END = b"data: ", b"\n\n"


def frame_with_unread(frame: bytes, finished: Finished) -> bytes:
    """Return the chunk that ends the first choice with what was said of the answer, and of that choice."""
    members = unread_of(finished, OPENAI_CHAT)
    members.pop("usage", None)
    choices = _LIST.decode(members.pop("choices", b"[]"))
    if choices:
        choice = members_of(choices[0])
        if "message" in choice:
            choice["delta"] = choice.pop("message")
        members["choices"] = msgspec.Raw(b"[%b]" % _encode(choice))
    return _framed(frame, members)


def usage_frame_with_unread(frame: bytes, finished: Finished) -> bytes:
    """Return the chunk that tells the usage with what was said of the answer, and of its usage."""
    members = unread_of(finished, OPENAI_CHAT)
    members.pop("choices", None)
    return _framed(frame, members)


def _framed(frame: bytes, members: Members) -> bytes:
    return _DATA + with_members(frame.removeprefix(_DATA).removesuffix(_END), members) + _END
