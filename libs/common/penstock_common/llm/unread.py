"""What a provider says of its answer beside what is read of it: a mirror of that answer with nothing but the unread members.

It travels as one JSON object, as ``Finished.unread`` has it, in the shape of a whole answer of its format: nothing of
it is read here. A surface of the same format sets it beside what it tells itself; the others leave it out.
"""

from __future__ import annotations

import msgspec

OPENAI_CHAT = "openai_chat"
"""The format of chat completions; the other two have the names of their blocks, ``anthropic`` and ``openai_responses``."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode


def members_of(raw: bytes) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON object, each as it stands.

    Raises:
        msgspec.DecodeError: if it is none.
    """
    return _OBJECT.decode(raw)


def united(told: bytes, unread: bytes) -> bytes:
    """Return a JSON value with the members of another of its shape beside its own.

    Objects are united, and lists of as many objects one by one; an empty list or anything else gives way to what is unread.
    A list that has other things in it than the mirror's stays as it is told: nobody knows what belongs to what.
    """
    if told == unread:
        return told
    if unread.startswith(b"{") and told.startswith(b"{"):
        members = members_of(told)
        for name, more in members_of(unread).items():
            known = members.get(name)
            members[name] = more if known is None else msgspec.Raw(united(bytes(known), bytes(more)))
        return _encode(members)
    if unread.startswith(b"[") and told.startswith(b"["):
        ours, theirs = _LIST.decode(told), _LIST.decode(unread)
        if len(ours) != len(theirs):
            return told if ours else unread
        return _encode([msgspec.Raw(united(bytes(one), bytes(other))) for one, other in zip(ours, theirs, strict=True)])
    return unread
