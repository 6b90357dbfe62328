"""The ledger's word for every way a request ends."""

from __future__ import annotations

import asyncio

import pytest

from penstock_common import errors
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.life.admission import TurnedAway
from penstock_gateway.domain.life.settlement import outcome_of

WORDS = {
    errors.InvalidRequest: "invalid_request",
    errors.UnsupportedParameter: "unsupported_parameter",
    errors.ContextLengthExceeded: "context_length_exceeded",
    errors.InvalidCredentials: "invalid_credentials",
    errors.ScopeMissing: "scope_missing",
    errors.ModelNotPermitted: "model_not_permitted",
    errors.ModelNotFound: "model_not_found",
    errors.GuardrailRefused: "guardrail_refused",
    errors.NotCached: "not_cached",
    errors.NothingRelevant: "nothing_relevant",
    errors.AddressNotPermitted: "address_not_permitted",
    errors.RightsExceeded: "rights_exceeded",
    errors.PeerNotPermitted: "peer_not_permitted",
    errors.ResourceNotFound: "resource_not_found",
    errors.ResourceExists: "resource_exists",
    errors.ResourceState: "resource_state",
    errors.ResourceChanged: "resource_changed",
    errors.IdempotencyKeyReused: "idempotency_key_reused",
    errors.IdempotencyInProgress: "idempotency_in_progress",
    errors.RateLimited: "rate_limited",
    errors.QuotaExhausted: "quota_exhausted",
    errors.Overloaded: "overloaded",
    errors.ServiceUnavailable: "service_unavailable",
    errors.NoHealthyUpstream: "no_healthy_upstream",
    errors.UpstreamFailed: "upstream_failed",
    errors.UpstreamTimeout: "upstream_timeout",
    errors.ContentRefused: "content_refused",
    errors.DeadlineExceeded: "deadline_exceeded",
    errors.InternalError: "internal_error",
}


@pytest.mark.parametrize(("error", "word"), WORDS.items(), ids=lambda value: str(value))
def test_error_has_its_snake_case_name(error, word):
    assert outcome_of(error("x")) == word


def test_every_error_has_a_word():
    known = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert known - {errors.PenstockError} == set(WORDS)


def test_every_word_fits_its_column():
    assert max(len(word) for word in WORDS.values()) <= ledger.c.outcome.type.length


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (None, "ok"),
        (TurnedAway("full"), "overloaded"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (ValueError("secret"), "internal_error"),
        (KeyboardInterrupt(), "internal_error"),
    ],
)
def test_other_endings_have_words_too(error, word):
    assert outcome_of(error) == word
