"""Message Batches on the wire: the request's fields, and the objects of the answers.

https://platform.claude.com/docs/en/api/creating-message-batches, as read from the types of anthropic-python 2.14.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

PATH = "/v1/messages/batches"


class BatchRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One request of a batch: an id of the caller's own, and the body that ``POST /v1/messages`` would have."""

    custom_id: str
    params: msgspec.Raw


class BatchCreation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of ``POST /v1/messages/batches``, as the OpenAPI document tells it; it is read as it comes."""

    requests: list[BatchRequest]


class RequestCounts(msgspec.Struct, kw_only=True):
    """How many requests there are, by what became of them; all are ``processing`` until the batch has ended."""

    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


class MessageBatch(msgspec.Struct, kw_only=True):
    """A batch; moments are RFC 3339, and null until they come."""

    id: str
    type: Literal["message_batch"] = "message_batch"
    processing_status: Literal["in_progress", "canceling", "ended"]
    request_counts: RequestCounts
    ended_at: str | None
    created_at: str
    expires_at: str
    archived_at: str | None
    cancel_initiated_at: str | None
    results_url: str | None
    """A path of this API, as Penstock does not know by which name it is reached; SDKs follow it."""


class MessageBatchList(msgspec.Struct, kw_only=True):
    """A page of batches."""

    data: list[MessageBatch]
    has_more: bool
    first_id: str | None
    last_id: str | None


class DeletedMessageBatch(msgspec.Struct, kw_only=True):
    """A batch that is there no more."""

    id: str
    type: Literal["message_batch_deleted"] = "message_batch_deleted"


class Succeeded(msgspec.Struct, kw_only=True, tag="succeeded"):
    """A request that was answered."""

    message: msgspec.Raw


class Errored(msgspec.Struct, kw_only=True, tag="errored"):
    """A request that was refused, or failed; ``error`` is what ``POST /v1/messages`` would have answered."""

    error: dict[str, Any]


class Canceled(msgspec.Struct, kw_only=True, tag="canceled"):
    """A request that was not executed, as the batch was cancelled."""


class Expired(msgspec.Struct, kw_only=True, tag="expired"):
    """A request that was not executed within the batch's window."""


class IndividualResponse(msgspec.Struct, kw_only=True):
    """One line of the results."""

    custom_id: str
    result: Succeeded | Errored | Canceled | Expired
