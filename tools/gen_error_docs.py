"""Writes docs/errors.md from the contract's comments and the code that sends errors; ``--check`` only compares.

Run it after a change of ``error_reason.proto``, ``penstock_common/status.py`` or the gateway's OpenAI errors.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from google.rpc import error_details_pb2

from penstock.errors.v1 import error_reason_pb2
from penstock_common import errors
from penstock_common.status import code_of, error_from_status, status_from_error
from penstock_gateway.domain.life.admission import BudgetExceeded, BudgetReserved
from penstock_gateway.surfaces.wire_formats.anthropic import errors as anthropic
from penstock_gateway.surfaces.wire_formats.openai.errors import error_response

ROOT = Path(__file__).parent.parent
PROTO = ROOT / "proto/penstock/errors/v1/error_reason.proto"
PAGE = ROOT / "docs/errors.md"

_ENUM_PREFIX = "ERROR_REASON_"

_ADVICE = {
    "INVALID_REQUEST": "Change the field that `BadRequest` and `param` name.",
    "CONTEXT_LENGTH_EXCEEDED": "Shorten the conversation, or ask a model with a larger window.",
    "UNSUPPORTED_PARAMETER": "Leave the parameter out, or ask a model that takes it.",
    "INVALID_CREDENTIALS": "Send a key that is valid: `authorization: Bearer …`.",
    "MODEL_NOT_PERMITTED": "Ask a model that the key may use; `GET /v1/models` lists them.",
    "MODEL_NOT_FOUND": "Correct the name; `GET /v1/models` lists those there are.",
    "RATE_LIMITED": "Wait as long as `RetryInfo` or `Retry-After` says; send less at once.",
    "QUOTA_EXHAUSTED": "Wait for the next period, or have the quota raised.",
    "OVERLOADED": "Try again after the time given; another replica may be free at once.",
    "NO_HEALTHY_UPSTREAM": "Ask another model. Operator: `penstock status` shows the upstreams.",
    "UPSTREAM_FAILED": "Ask another model, or later; every candidate has been tried already.",
    "UPSTREAM_TIMEOUT": "Ask a faster model, or grant more time.",
    "CONTENT_REFUSED": "Change the content; the upstream's policy refuses it.",
    "GUARDRAIL_REFUSED": "Change the content; a rule of the operator's refuses it.",
    "INTERNAL": "Give `x-request-id` to the operator, who finds the cause in the log.",
    "PEER_NOT_PERMITTED": "Give the process a certificate with the name of its role, or name it in `services.peers`.",
    "RIGHTS_EXCEEDED": "Name the bound that `metadata` names, no wider than your own key's, or use a key without it.",
    "SCOPE_MISSING": "Use a key with the scope that `metadata` names.",
    "ADDRESS_NOT_PERMITTED": "Call from a network that the key allows, or use another key.",
    "RESOURCE_NOT_FOUND": "Correct the name; the list of its kind has those there are.",
    "RESOURCE_EXISTS": "Choose another name.",
    "RESOURCE_STATE": "Look at it first; the message says what stands in the way.",
    "RESOURCE_CHANGED": "Read it again, and decide anew.",
    "IDEMPOTENCY_KEY_REUSED": "Take a new key for a new request; repeat a request under its key unchanged.",
    "IDEMPOTENCY_IN_PROGRESS": "Repeat the request after the time given, under the same key.",
    "NOT_CACHED": "Ask again without `only_if_cached`.",
    "NOTHING_RELEVANT": "Ask otherwise, or with `when_nothing: answer`; the knowledge bases hold nothing on it.",
    "DEADLINE_EXCEEDED": "Grant more time, or ask for a shorter answer.",
    "SERVICE_UNAVAILABLE": "Try again. Operator: the service that `metadata` names does not answer.",
}

_HEAD = """# Errors

<!-- Written by tools/gen_error_docs.py from the contract and the code; do not edit. -->

Over gRPC a failed call carries a `google.rpc.Status`; its `ErrorInfo` has the domain `penstock.dev` and one of the
reasons below. Over HTTP the OpenAI format carries the same as `{"error": {"message", "type", "param", "code"}}`.
The message says what to change; a program decides by the reason or the code. A `previous_response_id` that is not there has the code
`previous_response_not_found`.

"Retry" says whether the same request may succeed later. Where it says no, HTTP answers to faults of ours or of an
upstream carry `x-should-retry: false`, so that clients do not repeat what was already tried here.

| Reason | gRPC status | HTTP | OpenAI `type` / `code` | Details besides `ErrorInfo` | Retry | `metadata`, for example | What to do |
|---|---|---|---|---|---|---|---|
"""

_BUDGETS = """
## Budgets

A budget that has no room is told by a reason of those above, and by a code of its own, so that a program knows whether to wait
([limits](limits.md#what-is-told)):

| The budget | Reason | HTTP | OpenAI `type` / `code` | Anthropic `error.type` / `error.details.error_code` | Retry | What to do |
|---|---|---|---|---|---|---|
"""

_OF_BUDGETS = {
    "is spent": (
        BudgetExceeded("Example.", limit="search-month", scope="team search"),
        "Wait until it begins anew (`resets_at`), or have it raised. What costs nothing is still answered.",
    ),
    "is held by requests under way": (
        BudgetReserved("Example.", limit="search-month", scope="team search", retry_after=timedelta(seconds=2)),
        "Wait as long as `RetryInfo` or `Retry-After` says: what they do not use comes free.",
    ),
}


@dataclass(frozen=True, slots=True)
class Documented:
    """One value of the enum, as the contract's comment has it."""

    reason: str
    status: str
    details: str
    metadata: dict[str, str]


class InconsistentError(Exception):
    """The contract says one thing and the code another; the message names both."""


def main() -> int:
    """Write the page, or compare it; return 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on a difference")
    check = parser.parse_args().check
    try:
        page = _page()
    except InconsistentError as error:
        print(error)
        return 1
    if not check:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print(f"{PAGE.relative_to(ROOT)} is not what the contract and the code say; run tools/gen_error_docs.py")
    return 1


def _page() -> str:
    rows = {documented.reason: _row(documented) for documented in _documented()}
    leftover = sorted(set(_ADVICE) - set(rows))
    if leftover:
        raise InconsistentError(f"tools/gen_error_docs.py advises on {', '.join(leftover)}, which the contract lacks")
    budgets = (_budget_row(what, error, advice) for what, (error, advice) in _OF_BUDGETS.items())
    return f"{_HEAD}{''.join(row for _, row in sorted(rows.items()))}{_BUDGETS}{''.join(budgets)}"


def _documented() -> Iterator[Documented]:
    """Yield every value that is sent, read from the contract's comments."""
    comment: list[str] = []
    for line in PROTO.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        value = re.match(rf"{_ENUM_PREFIX}(\w+) = (\d+);", text)
        if value and value[2] != "0":
            yield _parsed(value[1], " ".join(comment))
        comment = [*comment, text.removeprefix("//").strip()] if text.startswith("//") else []


def _parsed(reason: str, comment: str) -> Documented:
    match = re.match(r"([A-Z_]+)(?:, with ((?:[A-Z]\w+)(?: and [A-Z]\w+)*))?[.,]", comment)
    if match is None:
        raise InconsistentError(f"the comment of {reason} does not begin with a status: {comment}")
    example = re.search(r"metadata: (\{.*?\})", comment)
    return Documented(reason, match[1], match[2] or "", json.loads(example[1]) if example else {})


def _row(documented: Documented) -> str:
    error = _error_of(documented)
    _compare(documented, error)
    response = error_response(error)
    body = json.loads(response.body)["error"]
    cells = (
        f"`{documented.reason}`",
        code_of(error).name,
        str(response.status),
        f"`{body['type']}` / " + (f"`{body['code']}`" if body["code"] else "none"),
        documented.details,
        _retry(error, response.status),
        f"`{json.dumps(documented.metadata)}`" if documented.metadata else "",
        _advice(documented.reason),
    )
    return f"| {' | '.join(cells)} |\n"


def _budget_row(what: str, error: errors.PenstockError, advice: str) -> str:
    """Return what callers of each format are told of a budget."""
    info, response = error_details_pb2.ErrorInfo(), error_response(error)
    for detail in status_from_error(error).details:
        detail.Unpack(info)
    openai = json.loads(response.body)["error"]
    told = json.loads(anthropic.error_body(error))["error"]
    code = told.get("details", {}).get("error_code")
    cells = (
        what,
        f"`{info.reason.removeprefix(_ENUM_PREFIX)}`",
        str(response.status),
        f"`{openai['type']}` / `{openai['code']}`",
        f"`{told['type']}` / " + (f"`{code}`" if code else "none"),
        _retry(error, response.status),
        advice,
    )
    return f"| {' | '.join(cells)} |\n"


def _error_of(documented: Documented) -> errors.PenstockError:
    """Return the error that travels under this reason, with the example's metadata."""
    if f"{_ENUM_PREFIX}{documented.reason}" not in dict(error_reason_pb2.ErrorReason.items()):
        raise InconsistentError(f"{documented.reason} is not in the generated code; generate it again")
    info = error_details_pb2.ErrorInfo(reason=documented.reason, domain="penstock.dev", metadata=documented.metadata)
    status = status_from_error(errors.InternalError("Example."))
    status.details[0].Pack(info)
    error = error_from_status(status)
    if error is None:
        raise InconsistentError(
            f"{documented.reason} is in the contract, and penstock_common/status.py has no error for it"
        )
    return error


def _compare(documented: Documented, error: errors.PenstockError) -> None:
    """Raise where the comment and what is sent differ."""
    sent = {detail.type_url.rpartition(".")[2] for detail in status_from_error(error).details} - {"ErrorInfo"}
    said = set(documented.details.split(" and ")) - {""}
    if documented.status != code_of(error).name or said != sent:
        raise InconsistentError(
            f"{documented.reason}: the contract says {documented.status} with {sorted(said)}, "
            f"the code sends {code_of(error).name} with {sorted(sent)}"
        )


def _retry(error: errors.PenstockError, http_status: int) -> str:
    if hasattr(error, "retry_after"):
        return "after the time given"
    return "perhaps" if isinstance(error, errors.InternalError) and http_status == 500 else "no"  # noqa: PLR2004 - HTTP


def _advice(reason: str) -> str:
    if reason not in _ADVICE:
        raise InconsistentError(f"tools/gen_error_docs.py has no advice for {reason}")
    return _ADVICE[reason]


if __name__ == "__main__":
    sys.exit(main())
