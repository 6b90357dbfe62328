"""Who a key belongs to, and for how long what was learnt of it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from penstock_common.errors import InvalidCredentials, ScopeMissing, ServiceUnavailable
from penstock_gateway.domain.authentication import Authenticator, KeyFreshness, KeyStoreUnavailable
from penstock_gateway.domain.identity import KeyRecord, KeyScope, Tenant, Tier, digest_of
from penstock_gateway.domain.policy import INFERENCE, Policy

PEPPER = b"p" * 32
DEMO = Tenant("demo", Tier("pro"))
KEY = "psk_stored"
FRESHNESS = KeyFreshness(fresh=timedelta(seconds=5), stale=timedelta(seconds=30))


@dataclass
class Store:
    """A key store that a test fills and takes down."""

    records: dict[bytes, KeyRecord] = field(default_factory=dict)
    is_down: bool = False
    asked: int = 0

    async def find(self, digest):
        self.asked += 1
        if self.is_down:
            raise KeyStoreUnavailable
        return self.records.get(digest)

    def keep(self, key=KEY, **fields):
        digest = digest_of(PEPPER, key)
        scopes = frozenset({KeyScope.INFERENCE})
        self.records[digest] = KeyRecord(**{"id": "k1", "tenant": "demo", "digest": digest, "scopes": scopes, **fields})


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def authenticator(store, clock):
    digest = digest_of(PEPPER, "configured-key")
    configured = {digest: KeyRecord("config-demo-1", "demo", digest, frozenset({KeyScope.INFERENCE}))}
    return Authenticator(PEPPER, {"demo": DEMO}, configured, store, FRESHNESS, monotonic=clock.monotonic, now=clock.now)


async def id_of(authenticator, key=KEY, policy=INFERENCE):
    return (await authenticator.authenticate(key, policy)).key_id


async def test_configured_key_needs_no_store(authenticator, store):
    store.is_down = True
    assert await id_of(authenticator, "configured-key") == "config-demo-1"
    assert store.asked == 0


async def test_stored_key_proves_tenant_scopes_and_models(authenticator, store):
    store.keep(models=frozenset({"fast"}))
    caller = await authenticator.authenticate(KEY, INFERENCE)
    assert (caller.tenant, caller.key_id, caller.models) == (DEMO, "k1", frozenset({"fast"}))


async def test_missing_key_is_told_how_to_send_one(authenticator):
    with pytest.raises(InvalidCredentials, match="Authorization: Bearer KEY"):
        await id_of(authenticator, "")


@pytest.mark.parametrize("key", ["psk_unknown", "configured-key ", "Configured-key", "x" * 512, "\ud800", "\x00"])
async def test_unknown_key_is_refused_without_saying_why(authenticator, key):
    with pytest.raises(InvalidCredentials, match=r"^The API key is not valid\.$"):
        await id_of(authenticator, key)


@pytest.mark.parametrize("length", [513, 1024 * 1024])
async def test_overlong_key_is_refused_before_anything_is_computed_or_asked(authenticator, store, length):
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator, "x" * length)
    assert store.asked == 0


async def test_key_of_a_tenant_that_is_gone_is_refused(authenticator, store):
    store.keep(tenant="gone")
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)


async def test_expired_key_is_refused_also_while_remembered(authenticator, store, clock):
    store.keep(expires_at=clock.now() + timedelta(seconds=2))
    assert await id_of(authenticator) == "k1"
    clock.advance(2)
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)
    assert store.asked == 1


async def test_missing_scope_is_named(authenticator, store):
    store.keep()
    with pytest.raises(ScopeMissing) as refused:
        await id_of(authenticator, policy=Policy.any_of(KeyScope.ADMIN, KeyScope.OPERATOR))
    assert refused.value.scope == "admin"


async def test_store_is_asked_once_while_a_key_is_fresh(authenticator, store, clock):
    store.keep()
    await id_of(authenticator)
    clock.advance(4.999)
    await id_of(authenticator)
    assert store.asked == 1
    clock.advance(0.001)
    await id_of(authenticator)
    assert store.asked == 2


async def test_revocation_is_seen_once_the_key_is_no_longer_fresh(authenticator, store, clock):
    store.keep()
    await id_of(authenticator)
    store.keep(revoked_at=clock.now())
    clock.advance(5)
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)


async def test_deleted_key_is_forgotten_even_when_the_store_goes_down_afterwards(authenticator, store, clock):
    store.keep()
    await id_of(authenticator)
    store.records.clear()
    clock.advance(5)
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)
    store.is_down = True
    with pytest.raises(ServiceUnavailable):
        await id_of(authenticator)


async def test_remembered_key_works_while_the_store_is_down_until_it_is_stale(authenticator, store, clock):
    store.keep()
    await id_of(authenticator)
    store.is_down = True
    clock.advance(29.999)
    assert await id_of(authenticator) == "k1"
    clock.advance(0.001)
    with pytest.raises(ServiceUnavailable) as refused:
        await id_of(authenticator)
    assert refused.value.service == "keys"


async def test_revoked_key_stays_refused_while_the_store_is_down(authenticator, store, clock):
    store.keep(revoked_at=clock.now())
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)
    store.is_down = True
    clock.advance(10)
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)


async def test_unknown_key_is_not_refused_for_good_while_the_store_is_down(authenticator, store):
    store.is_down = True
    with pytest.raises(ServiceUnavailable):
        await id_of(authenticator)


async def test_key_works_at_once_after_it_was_guessed_too_early(authenticator, store):
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)
    store.keep()
    assert await id_of(authenticator) == "k1"


async def test_guesses_do_not_fill_the_memory(authenticator, store):
    store.keep()
    await id_of(authenticator)
    for guess in range(1_000):
        with pytest.raises(InvalidCredentials):
            await id_of(authenticator, f"guess-{guess}")
    assert len(authenticator._seen) == 1
