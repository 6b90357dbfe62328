"""Who may listen where, and who is let in."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import InvalidCredentials
from penstock_common.rpc.scope import NOBODY
from penstock_common.rpc.security import TOKEN_KEY, Certificates, Security, TokenGuard, TokenSender
from penstock_common.rpc.server_call import ServerCall
from penstock_common.sections import MutualTls, Secrets, Services
from penstock_common.telemetry.steps import Steps

TOKEN = Security(token="t" * 32)
PROVEN = Security(Certificates(b"", b"", b""))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/tmp/x"])
def test_loopback_needs_no_proof(address: str):
    Security().refuse_open_bind(address, "services.router.listen")


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "router:1", ":1", "localhost.example:1"])
def test_other_addresses_need_certificates_or_a_token(address: str):
    with pytest.raises(ConfigurationError, match=r"'services.router.listen'.*services.tls.*service_token_file"):
        Security().refuse_open_bind(address, "services.router.listen")
    TOKEN.refuse_open_bind(address, "services.router.listen")
    PROVEN.refuse_open_bind(address, "services.router.listen")


def test_missing_certificate_is_named(tmp_path: Path):
    missing = tmp_path / "nowhere.pem"
    tls = MutualTls(cert_file=missing, key_file=missing, ca_file=missing)
    with pytest.raises(ConfigurationError, match=r"'services.tls.cert_file'.*nowhere.pem"):
        Security.of(Services(tls=tls), Secrets())


@pytest.mark.parametrize("held", [b"short", b"k" * 31, b"\xff" * 40, b" " * 40, b"\n" * 33 + b"x"])
def test_token_that_is_short_or_no_text_is_refused(tmp_path: Path, held: bytes):
    (tmp_path / "token").write_bytes(held)
    with pytest.raises(ConfigurationError, match="service_token_file"):
        Security.of(Services(), Secrets(service_token_file=tmp_path / "token"))


def test_token_is_read_without_the_line_end_that_editors_leave(tmp_path: Path):
    (tmp_path / "token").write_text("a" * 32 + "\n")
    assert Security.of(Services(), Secrets(service_token_file=tmp_path / "token")).token == "a" * 32


def test_place_that_nobody_named_is_asked_for():
    with pytest.raises(ConfigurationError, match="'services.cache.target' is missing"):
        Services().target_of("cache")
    assert Services().listen_of("cache") == "127.0.0.1:9003"


HELD = "Service-token-of-the-suite-0123456789"


def call_with(*metadata: tuple[str, str | bytes]) -> ServerCall:
    return ServerCall("/x.Y/Z", scope=NOBODY, deadline=None, steps=Steps(), metadata=metadata)


@pytest.mark.parametrize(
    "shown",
    [
        "", HELD[:-1], HELD + "x", HELD + " ", " " + HELD, HELD.lower(), HELD.swapcase(), HELD[::-1], "x" * len(HELD),
        "Sérvice-token", b"\xff" * len(HELD), HELD.encode()[:-1] + b"\x00",
    ],
)  # fmt: skip
async def test_guard_refuses_every_other_token(shown: str | bytes):
    with pytest.raises(InvalidCredentials, match="service token"):
        await TokenGuard(HELD).on_start(call_with(("authorization", f"Bearer {HELD}"), (TOKEN_KEY, shown)))


async def test_guard_refuses_a_call_that_shows_no_token():
    for metadata in ((), (("authorization", f"Bearer {HELD}"),), ((TOKEN_KEY + "-bin", HELD),)):
        with pytest.raises(InvalidCredentials):
            await TokenGuard(HELD).on_start(call_with(*metadata))


async def test_guard_lets_in_what_the_sender_sends():
    sent = TokenSender(HELD).outgoing((("traceparent", "00"),))
    await TokenGuard(HELD).on_start(call_with(*sent))
    await TokenGuard(HELD).on_start(call_with((TOKEN_KEY, HELD.encode())))


async def test_guard_without_a_token_lets_nobody_in():
    for metadata in ((), ((TOKEN_KEY, ""),)):
        with pytest.raises(InvalidCredentials):
            await TokenGuard("").on_start(call_with(*metadata))
