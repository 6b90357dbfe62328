"""Who may listen where, and who is let in."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_common.rpc.security import Certificates, Security
from penstock_common.sections import MutualTls, Secrets, Services

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
