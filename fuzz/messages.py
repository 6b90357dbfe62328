"""Messages of the contract, made from the descriptors that are shipped, and bytes that were messages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from documents import spoilt
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st
from values import DATA, FLOATS, INTEGERS, TEXTS

DESCRIPTORS = Path(__file__).resolve().parent.parent / "proto" / "python" / "penstock" / "descriptors.binpb"
_MOST_FIELDS = 4
_DEEPEST = 5
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_MODELS = ("fast", "fast", "fast", "vectors", "no-such-model", "")


@dataclass(frozen=True)
class Method:
    """A method of the contract, its verb and path on the typed API, and an example of what it takes."""

    path: str
    verb: str
    rest: str
    takes: Descriptor
    example: dict[str, Any]

    @property
    def is_of_admins(self) -> bool:
        """Whether it is for those who administer."""
        services = (
            "AdminService",
            "PromptService",
            "StatusService",
            "FeedbackService",
            "KnowledgeService",
            "UsageService",
            "BudgetService",
            "WebhookService",
            "ReviewService",
        )
        return any(service in self.path for service in services)


@cache
def methods() -> tuple[Method, ...]:
    """Return every method of every service that is shipped."""
    shipped = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in shipped.file:
        pool.Add(file)
    services = [pool.FindServiceByName(f"{file.package}.{each.name}") for file in shipped.file for each in file.service]
    return tuple(_method(each) for service in services for each in service.methods)


def _method(method: MethodDescriptor) -> Method:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    path = f"/{method.containing_service.full_name}/{method.name}"
    return Method(path, verb.upper(), getattr(rule, verb), method.input_type, _EXAMPLES.get(method.name, {}))


_CHAT = {
    "input": {
        "model": "fast",
        "messages": [
            {"role": "ROLE_SYSTEM", "parts": [{"text": "Be brief."}]},
            {
                "role": "ROLE_USER",
                "parts": [{"text": "Where?"}, {"image": {"media_type": "image/png", "data": "iVBORw0KGgo="}}],
            },
            {"role": "ROLE_ASSISTANT", "tool_calls": [{"id": "c1", "name": "place", "arguments_json": "{}"}]},
            {"role": "ROLE_TOOL", "tool_call_id": "c1", "parts": [{"text": "Oslo"}]},
        ],
        "tools": [{"name": "place", "parameters_json": '{"type":"object"}'}],
        "sampling": {"temperature": 0.5, "max_output_tokens": 20, "stop": ["x"]},
    }
}
_NAME = "made-by-fuzzing"
SPARE_UPSTREAM = "spare-for-fuzzing"
"""One that no public model has: whoever leaves it out does no honest request harm."""
_BASE_ID, _IN_BASE = {"id": _NAME, "tenant": "app"}, {"base": _NAME, "tenant": "app"}
_REVIEW = {"tenant": _NAME, "id": "rev_" + "0" * 32}
_WEBHOOK = {"tenant": _NAME, "name": "w"}
_JOB = {"id": "job_0123456789abcdef0123456789abcdef"}
_SPEC = {"splitter": {"kind": "SPLITTER_KIND_RECURSIVE", "max_tokens": 64}}
_YEAR = {"name": "year", "value": {"number": 2024}}
_SINCE_2020 = {"comparison": {"attribute": "year", "operator": "COMPARISON_OPERATOR_GTE", "values": [{"number": 2020}]}}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "Chat": _CHAT,
    "StreamChat": _CHAT,
    "Embed": {"model": "vectors", "inputs": ["one", "two"]},
    "GetModel": {"name": "fast"},
    "CreateTenant": {"name": _NAME, "tier": "pro", "models": ["fast"]},
    "GetTenant": {"name": "app"},
    "UpdateTenant": {"tenant": {"name": _NAME, "tier": "free"}, "update_mask": "tier"},
    "DisableTenant": {"name": _NAME},
    "EnableTenant": {"name": _NAME},
    "ListTenants": {"page_size": 5},
    "CreateKey": {"tenant": _NAME, "label": "a", "scopes": ["KEY_SCOPE_INFERENCE"]},
    "ListKeys": {"tenant": _NAME, "page_size": 2},
    "RotateKey": {"id": "unknownunknown"},
    "RevokeKey": {"id": "unknownunknown"},
    "CreateTeam": {"tenant": _NAME, "name": "a"},
    "ListTeams": {"tenant": _NAME},
    "ArchiveTeam": {"tenant": _NAME, "name": "a"},
    "RestoreTeam": {"tenant": _NAME, "name": "a"},
    "RevokeSubject": {"tenant": _NAME, "issuer": "https://login.example.com", "subject": "a"},
    "ListRevokedSubjects": {"tenant": _NAME},
    "RestoreSubject": {"tenant": _NAME, "subject": "a"},
    "CreateUser": {"tenant": _NAME, "name": "a", "role": "USER_ROLE_MEMBER"},
    "ListUsers": {"tenant": _NAME},
    "ListAuditEntries": {"tenant": _NAME, "page_size": 3},
    "ClearCache": {"tenant": "app"},
    "ListCacheEntries": {"tenant": "app", "page_size": 2},
    "GetCacheEntry": {"tenant": "app", "id": "unknownunknown"},
    "DeleteCacheEntries": {"tenant": "app", "tag": "a", "dry_run": True},
    "DisputeCacheEntry": {"tenant": "app", "id": "unknownunknown"},
    "ImportCacheEntries": {"tenant": "app", "rows": [{"question": "a", "answer": "b", "model": "fast"}]},
    "ExplainCache": {"stored": "a", "asked": "b"},
    "ShredCacheTenant": {"tenant": _NAME},
    "RotateCacheKeys": {"tenant": "app"},
    "GiveFeedback": {"generation_id": "chatcmpl-0123456789abcdef01234567", "thumb": "THUMB_DOWN", "score": 0.5},
    "ListFeedback": {"tenant": "app", "page_size": 2},
    "SummarizeFeedback": {"by": ["DIMENSION_MODEL", "DIMENSION_DAY"]},
    "DeleteFeedback": {"tenant": _NAME, "user": "a"},
    "QueryUsage": {"filter": {"tag": ["env=prod"]}, "by": ["team", "tag:env", "day"], "time_zone": "Europe/Berlin"},
    "ListRequests": {"filter": {"tenant": "app", "outcome": ["ok"]}, "page_size": 2},
    "CreateBudget": {"budget": {"tenant": _NAME, "name": "b", "amount_nano_usd": "1", "alert_percents": [80]}},
    "GetBudget": {"tenant": _NAME, "name": "b"},
    "ListBudgets": {"tenant": _NAME, "over_percent": 80, "page_size": 2},
    "UpdateBudget": {"budget": {"tenant": _NAME, "name": "b", "amount_nano_usd": "2"}, "update_mask": "amountNanoUsd"},
    "DeleteBudget": {"tenant": _NAME, "name": "b"},
    "GrantGrace": {
        "tenant": _NAME,
        "name": "b",
        "amount_nano_usd": "1",
        "until": "2099-01-01T00:00:00Z",
        "reason": "a",
    },
    "SubmitJob": {"chat": _CHAT, "options": {"max_attempts": 1, "deadline": "60s", "metadata": {"a": "b"}}},
    "CreateWebhook": {
        "webhook": {"tenant": _NAME, "name": "w", "url": "https://hook.example.com/", "events": ["job.*"]}
    },
    "GetWebhook": _WEBHOOK,
    "ListWebhooks": {"tenant": _NAME},
    "UpdateWebhook": {"webhook": {**_WEBHOOK, "url": "https://hook.example.com/b"}, "update_mask": "url"},
    "DeleteWebhook": _WEBHOOK,
    "RotateWebhookSecret": {**_WEBHOOK, "overlap": "60s"},
    "TestWebhook": _WEBHOOK,
    "ListWebhookDeliveries": {**_WEBHOOK, "states": ["WEBHOOK_DELIVERY_STATE_WAITING"], "page_size": 2},
    "RedeliverWebhook": {**_WEBHOOK, "delivery_id": "msg_a"},
    "OpenReview": {"text": "a", "context": "b", "surface": "REVIEW_SURFACE_OUTPUT", "model": "fast", "hold": True},
    "ListReviews": {"states": ["REVIEW_STATE_OPEN"], "source": "REVIEW_SOURCE_RULE", "overdue": True, "page_size": 2},
    "GetReview": {**_REVIEW, "with_content": True},
    "GetReviewOutcome": _REVIEW,
    "ClaimReview": {**_REVIEW, "lease": "60s"},
    "ClaimNextReview": {"tenant": _NAME, "rule": "a", "lease": "60s"},
    "DecideReview": {**_REVIEW, "claim": 1, "decision": "REVIEW_DECISION_EDIT", "edited": "a", "note": "b"},
    "ReleaseReview": {**_REVIEW, "claim": 1, "note": "a"},
    "EscalateReview": {**_REVIEW, "claim": 1, "note": "a"},
    "ExportReviews": {"tenant": _NAME, "rule": "a", "since": "2026-01-01T00:00:00Z", "page_size": 2},
    "GetJob": _JOB,
    "ListJobs": {"states": ["JOB_STATE_QUEUED", "JOB_STATE_DEAD"], "page_size": 2},
    "WatchJob": {**_JOB, "after_event": 1},
    "GetJobResult": _JOB,
    "CancelJob": _JOB,
    "DeleteJob": _JOB,
    "RedriveJobs": {"tenant": "app", "target": "fast", "limit": 3, "dry_run": True},
    "GetJobDepths": {"tenant": "app"},
    "GetStanding": {"tenant": _NAME, "name": "b"},
    "ExplainLimits": {"tenant": "app", "model": "fast", "team": "a"},
    "ProbeUpstream": {"upstream": SPARE_UPSTREAM},
    "EjectUpstream": {"upstream": SPARE_UPSTREAM, "duration": "1s", "reason": "a"},
    "RestoreUpstream": {"upstream": SPARE_UPSTREAM, "model": "m"},
    "CreateKnowledgeBase": {"id": _NAME, "tenant": "app", "spec": _SPEC},
    "UpdateKnowledgeBase": {**_BASE_ID, "name": "a", "attributes": [_YEAR]},
    "GetKnowledgeBase": _BASE_ID,
    "ListKnowledgeBases": {"tenant": "app", "page_size": 2},
    "DeleteKnowledgeBase": {"id": "unknown", "tenant": "app"},
    "PutDocument": {**_IN_BASE, "id": "a", "content": "QSBib2F0Lg==", "filename": "a.txt", "attributes": [_YEAR]},
    "UpdateDocument": {**_IN_BASE, "id": "a", "replace_labels": True, "labels": ["law"]},
    "GetDocument": {**_IN_BASE, "id": "a"},
    "ListDocuments": {**_IN_BASE, "page_size": 2},
    "ListChunks": {**_IN_BASE, "document": "a", "page_size": 2},
    "GetOriginal": {**_IN_BASE, "id": "a"},
    "DeleteDocument": {**_IN_BASE, "id": "a"},
    "WatchIngest": _IN_BASE,
    "Search": {"bases": [_NAME], "tenant": "app", "query": "a boat", "options": {"limit": 2, "filter": _SINCE_2020}},
    "ChunkDocument": {"content": "QSBib2F0Lg==", "filename": "a.txt", "spec": _SPEC},
    "BuildIndex": {**_IN_BASE, "spec": _SPEC, "again": True},
    "ListIndexes": _IN_BASE,
    "SwitchIndex": {**_IN_BASE, "version": 2, "force": True, "reason": "a"},
    "DropIndex": {**_IN_BASE, "version": 2},
    "PutEvaluation": {**_IN_BASE, "queries": [{"query": "a boat", "relevant": [{"document": "a", "grade": 3}]}]},
}


@cache
def _of_field(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if kind in _RANGES:
        low, high = _RANGES[kind]
        return INTEGERS.map(lambda value: min(max(value, low), high))
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return FLOATS
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return st.one_of(st.sampled_from([value.number for value in field.enum_type.values]), st.sampled_from((77, -1)))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return DATA
    texts = TEXTS.filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))
    return st.one_of(st.sampled_from(_MODELS), texts) if field.name == "model" else texts


@st.composite
def messages(draw: st.DrawFn, method: Method) -> Message:
    """Return a message that the method takes: its example, changed by fields of any value; or one of nothing else."""
    message = message_factory.GetMessageClass(method.takes)()
    if method.example and draw(st.sampled_from((True, True, True, False))):
        json_format.ParseDict(method.example, message)
    _fill(draw, message, _DEEPEST)
    return message


def _fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    fields = tuple(message.DESCRIPTOR.fields)
    chosen = draw(st.lists(st.sampled_from(fields), max_size=_MOST_FIELDS)) if fields else []
    for field in chosen:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _fill_map(draw, message, field)
        elif field.message_type is not None:
            _fill_message(draw, message, field, depth)
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(_of_field(field), max_size=3)))
        else:
            setattr(message, field.name, draw(_of_field(field)))


def _fill_map(draw: st.DrawFn, message: Message, field: FieldDescriptor) -> None:
    parts = field.message_type.fields_by_name
    if parts["value"].message_type is None:
        getattr(message, field.name)[draw(_of_field(parts["key"]))] = draw(_of_field(parts["value"]))


def _fill_message(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    if not depth:
        return
    inner = getattr(message, field.name)
    if field.is_repeated:
        old = len(inner) and draw(st.booleans())
        inner = inner[draw(st.integers(0, len(inner) - 1))] if old else inner.add()
    else:
        inner.SetInParent()
    _fill(draw, inner, depth - 1)


@st.composite
def wire_messages(draw: st.DrawFn, method: Method) -> bytes:
    """Return bytes for the method, one time in four spoilt."""
    data = draw(messages(method)).SerializeToString()
    how = draw(st.sampled_from(("whole",) * 9 + ("spoilt", "cut", "any")))
    if how == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if how == "any":
        return draw(st.binary(max_size=200))
    return spoilt(draw, data, _PIECES) if how == "spoilt" else data


# Wire types and lengths that are none: RFC-less, https://protobuf.dev/programming-guides/encoding.
_PIECES = (
    b"\x0a\xff\xff\xff\xff\x0f", b"\x0b", b"\x0c", b"\x0b" * 200, b"\x0a\x02\x0a\x00" * 50, b"\x00", b"\x07\x07",
    b"\xff" * 11, b"\x0a\x01\xff", b"\x12\x04\xed\xa0\x80\x00", b"\xf8\xff\xff\xff\x0f\x01",
)  # fmt: skip


def as_json(message: Message, instead: dict[str, Any]) -> dict[str, Any]:
    """Return a message as the typed API takes it; the example where it has no such form, as a time in the year 10⁹."""
    try:
        return json_format.MessageToDict(message, preserving_proto_field_name=True)
    except (ValueError, json_format.Error):
        return instead
