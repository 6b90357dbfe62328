"""Webhooks as the domain has them: signatures, when a message is tried again, and where it may go."""

import base64
import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec
import pytest

from penstock_gateway.domain.webhooks.delivery import (
    JITTER,
    RETRY_AFTER,
    Delivery,
    DeliveryState,
    Outcome,
    after_try,
    message,
)
from penstock_gateway.domain.webhooks.endpoint import Endpoint, is_public
from penstock_gateway.domain.webhooks.signature import secret_from, signed_headers

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
SENT_AT = datetime.fromtimestamp(1614265330, UTC)


def delivery(**changes):
    whole = {"id": "msg_1", "webhook": "w", "type": "t", "body": "{}", "created_at": NOW, "next_at": NOW}
    return Delivery(**whole | changes)


def test_a_signature_is_the_one_that_the_standards_own_libraries_make():
    secret = secret_from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", SENT_AT, '{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_secret_signs_while_one_takes_over_from_the_other():
    secrets = [b"a" * 24, b"b" * 24]
    signatures = signed_headers(secrets, "i", NOW, "ä")["webhook-signature"].split()
    content = f"i.{int(NOW.timestamp())}.ä".encode()
    made = [base64.b64encode(hmac.new(secret, content, sha256).digest()).decode() for secret in secrets]
    assert signatures == [f"v1,{one}" for one in made]


@pytest.mark.parametrize("text", ["", "x", "whsec_", "whsec_*", "whsec_" + base64.b64encode(b"a" * 23).decode()])
def test_what_is_no_secret_is_refused_and_not_told(text):
    with pytest.raises(ValueError, match="a webhook's secret") as refused:
        secret_from(text)
    assert text.removeprefix("whsec_") in ("", "x", "*") or text not in str(refused.value)


def test_a_message_is_tried_again_ever_later_until_its_tries_are_used_up():
    tried, waits = delivery(), []
    failed = Outcome(500, "it answered 500")
    while tried.state is DeliveryState.WAITING:
        tried = after_try(tried, failed, NOW, 0.5)
        waits.append(tried.next_at - NOW)
    assert (tried.state, tried.attempts, tried.error) == (DeliveryState.EXHAUSTED, 10, "it answered 500")
    assert tuple(waits[:-1]) == RETRY_AFTER
    assert timedelta(hours=75) < sum(RETRY_AFTER, timedelta()) < timedelta(hours=76)
    spread = {after_try(delivery(), failed, NOW, draw).next_at - NOW for draw in (0, 1)}
    assert spread == {RETRY_AFTER[0] * (1 - JITTER), RETRY_AFTER[0] * (1 + JITTER)}


def test_what_came_of_a_try():
    assert after_try(delivery(), Outcome(204), NOW, 0).state is DeliveryState.DELIVERED
    assert after_try(delivery(error="x"), Outcome(204), NOW, 0).error == ""
    assert after_try(delivery(), Outcome(410, "it answered 410"), NOW, 0).state is DeliveryState.DISABLED
    assert after_try(delivery(), Outcome(302, "it answered 302"), NOW, 0).state is DeliveryState.WAITING


def test_a_message_has_a_type_a_time_and_data():
    text = message("budget.threshold", NOW + timedelta(microseconds=1500), {"a": "1"})
    assert msgspec.json.decode(text) == {
        "type": "budget.threshold",
        "timestamp": "2026-11-16T12:00:00.001Z",
        "data": {"a": "1"},
    }


def test_an_address_is_told_by_what_does_not_show_it():
    one, other = (Endpoint("w", f"https://h.example.com/{way}", (b"",)) for way in ("s3cret", "b"))
    assert one.address != other.address
    assert "s3cret" not in one.address


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("100.63.255.254", True),
        ("100.64.0.1", False),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - looked at, and not bound
        ("169.254.169.254", False),
        ("192.0.0.8", False),
        ("198.18.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::1", False),
        ("2001:0:1::1", False),
        ("2002:7f00:1::", False),
        ("fc00::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::1", False),
        ("::", False),
        ("localhost", False),
    ],
)
def test_where_a_message_may_go(address, public):
    assert is_public(address) is public
