"""Asks with every use of the vocabulary, and says what became of it: sent, noted as left out, left out, or refused."""

from __future__ import annotations

from collections.abc import Callable

from penstock_common.llm.types import GenerationInput, UnsupportedFields
from penstock_inference.adapters.providers.carried import How, Row
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.unsupported import FieldPolicy

Body = Callable[[GenerationInput, FieldPolicy], bytes]
"""Returns what a request's body is, having told the policy of what it is without."""
SENT = (How.YES, How.CONVERTED)


def became(body: Body, value: GenerationInput, mode: UnsupportedFields, sign: str) -> tuple[str, tuple[str, ...]]:
    """Return what became of a use, whose ``sign`` stands in bodies that hold it, and what was noted as left out."""
    policy = FieldPolicy(mode)
    try:
        sent = body(value, policy)
    except AttemptFailed as failed:
        return ("refused, may be dropped" if failed.may_be_dropped else "refused"), ()
    return ("sent" if sign in sent.decode() else "left out"), policy.dropped


def expected(row: Row, mode: UnsupportedFields) -> str:
    """Return what a table says becomes of a use."""
    if row.how in SENT:
        return "sent"
    if row.how is How.NEVER:
        return "refused"
    if row.how is How.HINT:
        return "left out"
    return {
        UnsupportedFields.REFUSE: "refused, may be dropped",
        UnsupportedFields.DROP: "left out",
        UnsupportedFields.PASS: "sent",
    }[mode]
