"""What proves a model's reasoning, as a caller is given it to hand back: ``encrypted_content``.

It holds whose it is, so that no model is handed another's, and the text that is proven, as clients shorten what they show.
What a provider gave beside a call and wants back (Gemini's thought signature) travels in the same way, with the call's id:
this format has no place for it. It is not secret to its holder: what is secret in it the provider has encrypted.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from penstock_common.llm.encrypted_reasoning import EncryptedReasoning, hidden_of
from penstock_common.llm.types import Reasoning

_BEGINNING = "pk1r."


class Sealed(msgspec.Struct, array_like=True):
    """What is in one; ``call_id`` says that ``extra_json`` is of that call."""

    origin: str = ""
    text: str = ""
    signature: bytes = b""
    hidden: bytes = b""
    extra_json: str = ""
    call_id: str = ""


_DECODER = msgspec.msgpack.Decoder(Sealed)


def encrypted_content(sealed: Sealed) -> str:
    """Return what a caller is given."""
    return _BEGINNING + urlsafe_b64encode(msgspec.msgpack.encode(sealed)).decode()


def opened(content: str, item_id: str) -> Sealed | None:
    """Return what is in one that a caller hands back, OpenAI's own among them; None where it was altered on its way."""
    if not content.startswith(_BEGINNING):
        return Sealed(hidden=hidden_of(EncryptedReasoning(id=item_id, encrypted_content=content)))
    try:
        return _DECODER.decode(urlsafe_b64decode(content.removeprefix(_BEGINNING)))
    except (ValueError, msgspec.DecodeError):
        return None


def reasoning_in(sealed: Sealed) -> Reasoning:
    """Return the turn's part that it stands for."""
    return Reasoning(
        text=sealed.text,
        signature=sealed.signature,
        hidden=sealed.hidden,
        extra_json=sealed.extra_json,
        origin=sealed.origin,
    )
