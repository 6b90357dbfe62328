"""Signatures of Standard Webhooks: HMAC-SHA256 over the id, the time and the body."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64


def secret_from(text: str) -> bytes:
    """Return the bytes of a secret that is written ``whsec_`` and base64.

    Raises:
        ValueError: if it is written in another way, or has not 24 to 64 bytes. The secret is not told.
    """
    if not text.startswith(PREFIX):
        raise ValueError(f"a webhook's secret begins with {PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"a webhook's secret is base64 behind {PREFIX}") from None
    if not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
        raise ValueError(f"a webhook's secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes")
    return secret


def signed_headers(secrets: Iterable[bytes], message_id: str, now: datetime, body: str) -> dict[str, str]:
    """Return the three headers; each secret signs, so that a receiver can go over from one to another."""
    stamp = str(int(now.timestamp()))
    content = f"{message_id}.{stamp}.{body}".encode()
    signatures = [base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
