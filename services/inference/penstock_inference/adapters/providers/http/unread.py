"""Finds what of an answer is not read: the members that a provider's own format has and no event of ours tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock_common.llm.unread import members_of

MAX_UNREAD_BYTES = 256 * 1024
"""Bound on what is kept of one answer; of more, nothing is."""
_OURS = "x_penstock"
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encode = msgspec.json.Encoder().encode

Read = Mapping[str, Any]
"""Names of members that are read: with those of the objects in them, or None for all of what they are."""


class Unread:
    """Finds what is not ``read`` of an answer's objects.

    Nearly all that a plain server says is read: one look of the decoder tells so, and costs no more.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known = msgspec.json.Decoder(_strict("Known", read))

    def of(self, raw: bytes) -> bytes:
        """Return the object with nothing but what is not read; b"" where nothing is left, or what is no object."""
        try:
            self._known.decode(raw)
        except _UNREADABLE:
            return self._left_of(raw)
        return b""

    def _left_of(self, raw: bytes) -> bytes:
        try:
            left = _left(raw, self._read)
        except _UNREADABLE:
            return b""
        if len(left) > MAX_UNREAD_BYTES:
            return b""
        # The ends of lines in a JSON text are blanks.
        return left.replace(b"\n", b" ").replace(b"\r", b" ")


def _left(raw: bytes, read: Read) -> bytes:
    """Return what is left of an object, or of each of a list; b"" where nothing is."""
    if raw.startswith(b"["):
        each = [_left(bytes(one), read) for one in _LIST.decode(raw)]
        return b"[%b]" % b",".join([one or b"{}" for one in each]) if any(each) else b""
    if not raw.startswith(b"{"):
        return b""
    left: dict[str, msgspec.Raw] = {}
    for name, value in members_of(raw).items():
        if name not in read:
            if not name.startswith(_OURS):
                # Bytes that are no UTF-8 must not reach a caller.
                left[name] = msgspec.Raw(bytes(value).decode("utf-8", "replace").encode())
            continue
        below = read[name]
        if below is not None and (more := _left(bytes(value), below)):
            left[name] = msgspec.Raw(more)
    return _encode(left) if left else b""


def _strict(name: str, read: Read) -> Any:
    """Return the type of an object, or a list of them, that has no other members than those."""
    fields: list[tuple[str, Any, Any]] = []
    for member, below in read.items():
        if below is None:
            fields.append((member, msgspec.Raw, msgspec.UNSET))
        else:
            inner = _strict(f"{name}_{member}", below)
            fields.append((member, inner | list[inner] | None, None))
    return msgspec.defstruct(name, fields, forbid_unknown_fields=True, gc=False)
