"""Who a key belongs to, and for how long what was learnt of it holds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from penstock_common.background import background_work
from penstock_common.errors import InvalidCredentials, RateLimited, ScopeMissing, ServiceUnavailable
from penstock_gateway.domain.access import authentication
from penstock_gateway.domain.access.authentication import Authenticator, Clock, KeyFreshness
from penstock_gateway.domain.access.identity import (
    OPERATORS,
    TENANT_SCOPES,
    KeyRecord,
    KeyScope,
    Tenant,
    TenantRecord,
    Tier,
    UserRecord,
    UserRole,
    digest_of,
    new_key,
)
from penstock_gateway.domain.access.look_ups import BATCH, FoundKey, KeyStoreUnavailable
from penstock_gateway.domain.access.policy import INFERENCE, Policy
from penstock_gateway.domain.access.tenancy import TenantDirectory, Terms
from penstock_gateway.tenant_settings import TierSettings

PEPPER = b"p" * 32
DEMO = Tenant("demo", Tier("pro"))
KEY = new_key()[0]
FRESHNESS = KeyFreshness(fresh=timedelta(seconds=5), stale=timedelta(seconds=30), patience=timedelta(seconds=10))
ANYTHING = Policy.any_of(*KeyScope)


def guess():
    """Return a key that nobody has, made as ours are: how is no secret."""
    return new_key()[0]


@dataclass
class Store:
    """A key store that a test fills and takes down."""

    records: dict[bytes, FoundKey] = field(default_factory=dict)
    is_down: bool = False
    asked: int = 0
    """How many questions."""
    batches: list[int] = field(default_factory=list)
    """About how many keys each."""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether it answers; cleared, it is silent."""

    def __post_init__(self):
        self.open.set()

    async def find_many(self, digests):
        self.asked += 1
        self.batches.append(len(digests))
        await self.open.wait()
        if self.is_down:
            raise KeyStoreUnavailable
        return {digest: self.records[digest] for digest in digests if digest in self.records}

    def keep(self, key=KEY, created_tenant=None, user=None, **fields):
        digest = digest_of(PEPPER, key)
        scopes = frozenset({KeyScope.INFERENCE})
        record = KeyRecord(**{"id": "k1", "tenant": "demo", "digest": digest, "scopes": scopes, **fields})
        self.records[digest] = FoundKey(record, created_tenant, user)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
async def authenticator(store, clock):
    digest = digest_of(PEPPER, "configured-key")
    configured = {digest: KeyRecord("config-demo-1", "demo", digest, frozenset({KeyScope.INFERENCE}))}
    directory = TenantDirectory({"demo": DEMO}, {"pro": DEMO.tier})
    async with background_work() as in_background:
        yield Authenticator(
            PEPPER,
            directory,
            configured,
            store,
            in_background,
            freshness=FRESHNESS,
            clock=Clock(clock.monotonic, clock.now),
        )
        store.open.set()


async def settled():
    """Return when what was begun beside the requests has ended."""
    for _ in range(5):
        await asyncio.sleep(0)


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


@pytest.mark.parametrize(
    "key",
    [guess(), "psk_unknown", "configured-key ", "Configured-key", "x" * 512, "\ud800", "\x00", KEY + "\n", "_" * 53],
    ids=range(9),  # new keys in names would be other names in every process that runs tests
)
async def test_unknown_key_is_refused_without_saying_why(authenticator, key):
    with pytest.raises(InvalidCredentials, match=r"^The API key is not valid\.$"):
        await id_of(authenticator, key)


async def test_what_cannot_be_a_key_of_ours_is_refused_without_asking(authenticator, store):
    body, _, check = KEY.rpartition("_")
    for key in (f"{body}_{check[::-1]}", KEY.swapcase(), KEY[:-1], f"{KEY}0", KEY.replace("psk", "sk")):
        with pytest.raises(InvalidCredentials):
            await id_of(authenticator, key)
    assert store.asked == 0


@pytest.mark.parametrize("length", [513, 1024 * 1024])
async def test_overlong_key_is_refused_before_anything_is_computed_or_asked(authenticator, store, length, monkeypatch):
    monkeypatch.setattr(authentication, "digest_of", None)
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
    clock.advance(2.499)
    await id_of(authenticator)
    assert store.asked == 1


async def test_key_in_use_is_looked_up_again_beside_its_requests(authenticator, store, clock):
    store.keep()
    await id_of(authenticator)
    clock.advance(2.5)
    store.open.clear()
    # The store is silent, and nobody waits for it.
    for _ in range(3):
        assert await id_of(authenticator) == "k1"
    await settled()
    assert store.asked == 2
    store.open.set()
    await settled()
    clock.advance(4.999)
    assert await id_of(authenticator) == "k1"


async def test_revocation_is_seen_without_waiting_where_the_key_is_in_use(authenticator, store, clock):
    store.keep()
    await id_of(authenticator)
    store.keep(revoked_at=clock.now())
    clock.advance(2.5)
    assert await id_of(authenticator) == "k1"
    await settled()
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)
    assert store.asked == 2


async def test_many_requests_of_one_key_ask_once(authenticator, store):
    store.keep()
    store.open.clear()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(id_of(authenticator)) for _ in range(50)]
        await settled()
        store.open.set()
    assert {task.result() for task in asking} == {"k1"}
    assert store.asked == 1


async def test_request_that_leaves_takes_nobody_with_it(authenticator, store):
    store.keep()
    store.open.clear()
    first = asyncio.create_task(id_of(authenticator))
    await settled()
    second = asyncio.create_task(id_of(authenticator))
    first.cancel()
    await settled()
    store.open.set()
    assert await second == "k1"
    assert store.asked == 1


async def test_silent_store_holds_up_the_first_requests_only(authenticator, store, clock):
    store.keep()
    await id_of(authenticator)
    clock.advance(5)
    store.open.clear()
    waiting = asyncio.create_task(id_of(authenticator))
    await settled()
    assert not waiting.done()
    # Its patience is over for those who come now.
    clock.advance(10)
    assert await id_of(authenticator) == "k1"
    assert store.asked == 2
    with pytest.raises(ServiceUnavailable):
        clock.advance(15)
        await id_of(authenticator)
    store.open.set()
    assert await waiting == "k1"


async def test_guesses_do_not_pile_up_before_a_silent_store(authenticator, store):
    store.open.clear()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(refusal_of(authenticator, guess())) for _ in range(2_100)]
        await settled()
        assert sum(task.done() for task in asking) == 100
        assert store.asked == 1
        store.open.set()
    kinds = [task.result() for task in asking]
    assert (kinds.count(InvalidCredentials), kinds.count(RateLimited)) == (2_000, 100)
    assert max(store.batches) == BATCH


async def test_guesses_take_no_known_keys_place(authenticator, store, clock):
    store.keep()
    await id_of(authenticator)
    clock.advance(5)
    store.open.clear()
    async with asyncio.TaskGroup() as group:
        guessing = [group.create_task(refusal_of(authenticator, guess())) for _ in range(3_000)]
        await settled()
        known = group.create_task(id_of(authenticator))
        await settled()
        assert store.batches[-1] == 1, "the known key has a question of its own"
        store.open.set()
        assert await known == "k1"
    assert {task.result() for task in guessing} == {InvalidCredentials, RateLimited}


async def test_a_key_that_was_just_made_is_found_behind_many_guesses(authenticator, store):
    store.open.clear()
    fresh = guess()
    async with asyncio.TaskGroup() as group:
        for _ in range(1_500):
            group.create_task(refusal_of(authenticator, guess()))
        await settled()
        store.keep(fresh)
        honest = group.create_task(id_of(authenticator, fresh))
        await settled()
        store.open.set()
        assert await honest == "k1"
    assert store.asked <= 9


async def test_a_wrong_key_that_comes_again_and_again_is_asked_about_once_a_second(authenticator, store, clock):
    old = guess()
    for _ in range(10):
        assert await refusal_of(authenticator, old) is InvalidCredentials
    assert store.asked == 1
    clock.advance(1)
    assert await refusal_of(authenticator, old) is InvalidCredentials
    assert store.asked == 2


async def refusal_of(authenticator, key):
    with pytest.raises((InvalidCredentials, RateLimited, ServiceUnavailable)) as refused:
        await id_of(authenticator, key)
    return refused.type


async def test_silent_store_refuses_unknown_keys_for_now(store, clock):
    async with background_work() as in_background:
        impatient = KeyFreshness(patience=timedelta(milliseconds=20))
        authenticator = Authenticator(PEPPER, TenantDirectory({}, {}), {}, store, in_background, freshness=impatient)
        store.open.clear()
        with pytest.raises(ServiceUnavailable):
            await id_of(authenticator)
        store.open.set()


async def test_a_loop_that_stood_still_is_not_taken_for_a_silent_store(store, clock):
    store.keep()
    store.open.clear()
    loop = asyncio.get_running_loop()

    def stall():
        # All of the time that a request waits; the answer comes right behind, by a few steps of the loop.
        began = loop.time()
        while loop.time() < began + 0.5:
            pass
        hop(5)

    def hop(left):
        if left:
            loop.call_soon(hop, left - 1)
        else:
            store.open.set()

    async with background_work() as in_background:
        patience = KeyFreshness(patience=timedelta(milliseconds=100))
        directory = TenantDirectory({"demo": DEMO}, {"pro": DEMO.tier})
        authenticator = Authenticator(PEPPER, directory, {}, store, in_background, freshness=patience)
        asking = asyncio.create_task(id_of(authenticator))
        await settled()
        loop.call_soon(stall)
        assert await asking == "k1"


# Rights


async def test_created_tenant_has_the_limits_of_its_tier(authenticator, store, clock):
    acme = TenantRecord("acme", "pro", frozenset({"fast"}), ("eu",), clock.now())
    store.keep(tenant="acme", created_tenant=acme)
    caller = await authenticator.authenticate(KEY, INFERENCE)
    assert caller.tenant == Tenant("acme", Tier("pro"), frozenset({"fast"}), ("eu",))


async def test_created_tenant_whose_tier_is_gone_gets_the_strictest(authenticator, store, clock):
    store.keep(tenant="acme", created_tenant=TenantRecord("acme", "gold", frozenset(), (), clock.now()))
    assert (await authenticator.authenticate(KEY, INFERENCE)).tenant.tier == Tier("free", rules=STRICTEST)


async def test_configured_tenant_hides_a_created_one(authenticator, store, clock):
    other = TenantRecord("demo", "free", frozenset(), (), clock.now(), disabled_at=clock.now())
    store.keep(created_tenant=other)
    assert (await authenticator.authenticate(KEY, INFERENCE)).tenant == DEMO


async def test_key_of_a_disabled_tenant_is_refused(authenticator, store, clock):
    disabled = TenantRecord("acme", "pro", frozenset(), (), clock.now(), disabled_at=clock.now())
    store.keep(tenant="acme", created_tenant=disabled)
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)


@pytest.mark.parametrize(
    ("role", "kept"),
    [
        (UserRole.VIEWER, {KeyScope.READ}),
        (UserRole.MEMBER, {KeyScope.READ, KeyScope.INFERENCE}),
        (UserRole.ADMIN, set(TENANT_SCOPES)),
        (UserRole.REVIEWER, {KeyScope.READ, KeyScope.REVIEW}),
    ],
)
async def test_key_has_no_scope_that_its_users_role_does_not_permit(authenticator, store, clock, role, kept):
    user = UserRecord("u1", "demo", "ada", role, clock.now())
    store.keep(user_id="u1", user=user, scopes=frozenset(KeyScope))
    assert (await authenticator.authenticate(KEY, ANYTHING)).scopes == kept


async def test_key_of_a_disabled_or_missing_user_is_refused(authenticator, store, clock):
    one, two = guess(), guess()
    store.keep(one, user_id="u1")
    store.keep(two, user_id="u2", user=UserRecord("u2", "demo", "b", UserRole.ADMIN, clock.now(), clock.now()))
    for key in (one, two):
        with pytest.raises(InvalidCredentials):
            await id_of(authenticator, key)


async def test_operators_key_has_no_tenant_and_no_other_scope(authenticator, store):
    store.keep(tenant="", scopes=frozenset({KeyScope.OPERATOR, KeyScope.INFERENCE}))
    caller = await authenticator.authenticate(KEY, ANYTHING)
    assert (caller.tenant, caller.scopes) == (OPERATORS, {KeyScope.OPERATOR})


async def test_tenants_key_is_never_an_operators(authenticator, store):
    store.keep(scopes=frozenset({KeyScope.OPERATOR, KeyScope.ADMIN}))
    assert (await authenticator.authenticate(KEY, ANYTHING)).scopes == {KeyScope.ADMIN}


async def test_remembered_key_waits_for_nothing(authenticator, store):
    store.keep()
    await id_of(authenticator)
    store.open.clear()
    for key in (KEY, "configured-key"):
        coroutine = authenticator.authenticate(key, INFERENCE)
        with pytest.raises(StopIteration) as ended:
            coroutine.send(None)
        assert ended.value.value.tenant == DEMO


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
    clock.advance(1)
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


async def test_key_works_within_a_second_after_it_was_guessed_too_early(authenticator, store, clock):
    with pytest.raises(InvalidCredentials):
        await id_of(authenticator)
    store.keep()
    clock.advance(1)
    assert await id_of(authenticator) == "k1"


async def test_guesses_do_not_fill_the_memory(authenticator, store, monkeypatch):
    monkeypatch.setattr("penstock_gateway.domain.access.authentication._MAX_GUESSES", 100)
    store.keep()
    await id_of(authenticator)
    for _ in range(1_000):
        with pytest.raises(InvalidCredentials):
            await id_of(authenticator, guess())
    assert len(authenticator._seen) == 1
    assert len(authenticator._guesses) == 100


STRICTEST = TierSettings(requests_per_minute=10, concurrent_requests=2).rules()
PRO, SLOW = (Tier("pro", rules=TierSettings(requests_per_minute=each).rules()) for each in (100, 1))


async def test_a_created_key_has_the_limits_of_the_tiers_that_are_taken_over(authenticator, store, clock):
    store.keep(tenant="new", created_tenant=TenantRecord("new", "pro", frozenset(), (), clock.now()))
    before = await authenticator.authenticate(KEY, INFERENCE)
    authenticator.take_over(Terms({}, {"pro": SLOW}), {})
    after = await authenticator.authenticate(KEY, INFERENCE)
    assert after.tenant.tier == SLOW != before.tenant.tier
    # The store is not asked: it may be away.
    assert store.asked == 1


async def test_a_key_that_was_refused_for_its_tenant_works_with_it(authenticator, store):
    store.keep(tenant="later")
    with pytest.raises(InvalidCredentials):
        await authenticator.authenticate(KEY, INFERENCE)
    later = Tenant("later", PRO)
    authenticator.take_over(Terms({"later": later}, {}), {})
    assert (await authenticator.authenticate(KEY, INFERENCE)).tenant == later


async def test_a_configured_key_that_is_gone_is_refused_at_once(authenticator):
    assert await id_of(authenticator, "configured-key") == "config-demo-1"
    authenticator.take_over(Terms({"demo": DEMO}, {}), {})
    with pytest.raises(InvalidCredentials):
        await authenticator.authenticate("configured-key", INFERENCE)


async def test_no_more_keys_are_remembered_than_there_is_room_for(authenticator, store, monkeypatch):
    monkeypatch.setattr(authentication, "_MAX_CACHED_KEYS", 2)
    for number, key in enumerate(new_key()[0] for _ in range(5)):
        store.keep(key, id=f"k{number}")
        assert await id_of(authenticator, key) == f"k{number}"
        assert len(authenticator._seen) <= 2
