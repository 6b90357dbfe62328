"""OpenAI's encrypted reasoning as the hidden content of ``Reasoning``: with the id that it is checked against.

The Responses API gives a reasoning item an id beside its ``encrypted_content``, and refuses the
one without the other. Both travel as one small JSON object.
"""

from __future__ import annotations

import msgspec

_BEGINNING = b'{"id":'


class EncryptedReasoning(msgspec.Struct, frozen=True):
    """The id and the content of one reasoning item."""

    id: str
    encrypted_content: str


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(EncryptedReasoning)


def hidden_of(reasoning: EncryptedReasoning) -> bytes:
    """Return the hidden content that stands for it."""
    return _ENCODER.encode(reasoning)


def is_encrypted(hidden: bytes) -> bool:
    """Return whether hidden content looks like OpenAI's: that of others is base64, or begins otherwise."""
    return hidden[: len(_BEGINNING)] == _BEGINNING


def encrypted_in(hidden: bytes) -> EncryptedReasoning | None:
    """Return what hidden content stands for; None where it is another provider's."""
    try:
        return _DECODER.decode(hidden) if is_encrypted(hidden) else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
