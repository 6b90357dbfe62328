"""Keys: their form, their checksum, their digest, their life."""

from __future__ import annotations

import hashlib
import hmac
import re
import string
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_gateway.domain.access.identity import Caller, KeyRecord, KeyScope, Tenant, Tier, digest_of, new_key

BASE62 = string.digits + string.ascii_letters
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_new_key_has_prefix_id_secret_and_checksum():
    key, key_id = new_key()
    match = re.fullmatch(r"psk_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})_([0-9A-Za-z]{6})", key)
    assert match is not None
    assert match[1] == key_id


def test_checksum_is_the_crc32_of_what_precedes_it_in_base62():
    key, _ = new_key()
    body, _, checksum = key.rpartition("_")
    number = 0
    for digit in checksum:
        number = number * 62 + BASE62.index(digit)
    assert number == zlib.crc32(body.encode())


def test_new_keys_never_repeat():
    assert len({new_key() for _ in range(2_000)}) == 2_000


@given(st.binary(min_size=32, max_size=64), st.text(max_size=600))
def test_digest_is_the_hmac_of_the_whole_key(pepper, key):
    encoded = key.encode(errors="surrogatepass")
    assert digest_of(pepper, key) == hmac.new(pepper, encoded, hashlib.sha256).digest()


@pytest.mark.parametrize(
    ("revoked_at", "expires_at", "is_live"),
    [
        (None, None, True),
        (NOW, None, False),
        (NOW + timedelta(days=1), None, False),
        (None, NOW + timedelta(microseconds=1), True),
        (None, NOW, False),
        (None, NOW - timedelta(microseconds=1), False),
    ],
)
def test_key_lives_until_it_is_revoked_or_expires(revoked_at, expires_at, is_live):
    record = KeyRecord("k", "t", b"", frozenset(), expires_at=expires_at, revoked_at=revoked_at)
    assert record.is_live(NOW) is is_live


@pytest.mark.parametrize(
    ("of_key", "of_tenant", "allowed"),
    [((), (), True), (("a",), (), True), ((), ("a",), True), (("b",), ("a",), False), (("a",), ("b",), False)],
)
def test_model_needs_the_permission_of_key_and_tenant(of_key, of_tenant, allowed):
    tenant = Tenant("t", Tier("own"), models=frozenset(of_tenant))
    caller = Caller(tenant, "k", frozenset({KeyScope.INFERENCE}), models=frozenset(of_key))
    assert caller.may_use("a") is allowed
