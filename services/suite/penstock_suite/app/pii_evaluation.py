"""`penstock eval pii`: texts with marked entities through the gateway's own detector, built in this process."""

from __future__ import annotations

import time
import zlib
from pathlib import Path

from penstock_gateway.adapters.guardrails.pii import detector
from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.pii_evaluation import Entity, PiiEvaluation, Seen, Text, evaluation, read_texts
from penstock_suite.domain.requests import PiiEvaluationRequest

_PACKED = b"\x1f\x8b"
# gzip's frame for zlib.
_GZIP_BITS = 16 + zlib.MAX_WBITS
_MAX_BYTES = 256 * 1024 * 1024


def evaluate_pii(request: PiiEvaluationRequest) -> PiiEvaluation:
    """Return what the detector finds in the dataset's texts.

    Raises:
        Misconfigured: if the dataset cannot be read, or a line of it is no text with its entities.
    """
    texts = read_texts(read_dataset(request.dataset))
    found = detector() if request.with_names else Detector()
    return evaluation(
        [_seen(found, text) for text in texts], {"dataset": request.dataset.name, "names": request.with_names}
    )


def read_dataset(path: Path) -> bytes:
    """Return what a file holds, packed by gzip or not.

    Raises:
        Misconfigured: if it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None
    return unpacked(content) if content.startswith(_PACKED) else content


def unpacked(content: bytes) -> bytes:
    """Return what gzip packed, of at most 256 MiB.

    Raises:
        Misconfigured: if it is no whole gzip stream, or longer.
    """
    stream = zlib.decompressobj(_GZIP_BITS)
    try:
        plain = stream.decompress(content, _MAX_BYTES)
    except zlib.error as error:
        raise Misconfigured(f"the dataset is no gzip stream: {error}") from None
    if not stream.eof:
        raise Misconfigured(f"the dataset ends within its gzip stream, or has more than {_MAX_BYTES:,} bytes")
    return plain


def _seen(found: Detector, text: Text) -> Seen:
    began = time.perf_counter()
    findings = found.findings(text.text)
    taken = (time.perf_counter() - began) * 1000
    return Seen(text, tuple(Entity(one.kind.value, one.start, one.end) for one in findings), taken)
