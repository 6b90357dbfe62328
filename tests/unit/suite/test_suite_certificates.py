"""Certificates of a deployment without an authority of its own, and what one role reads of a configuration."""

import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from penstock_suite.adapters.certificates import name_in, provide_certificates
from penstock_suite.app.check import role_settings
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.requests import Role

YEAR = timedelta(days=365)


def test_each_host_gets_a_certificate_of_one_authority(tmp_path):
    assert provide_certificates(tmp_path, ["router", "cache"], YEAR) == ["router", "cache"]
    for host in ("router", "cache"):
        assert name_in(tmp_path / host / "cert.pem") == host
        assert (tmp_path / host / "ca.pem").read_bytes() == (tmp_path / "authority" / "ca.pem").read_bytes()
        context = ssl.create_default_context(cafile=tmp_path / host / "ca.pem")
        context.load_cert_chain(tmp_path / host / "cert.pem", tmp_path / host / "key.pem")


def test_keys_are_their_owners_alone(tmp_path):
    provide_certificates(tmp_path, ["router"], YEAR)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*.pem")} == {0o600}
    assert stat.S_IMODE((tmp_path / "authority").stat().st_mode) == 0o700


def test_a_certificate_that_lasts_stays(tmp_path):
    provide_certificates(tmp_path, ["router"], YEAR)
    before = (tmp_path / "router" / "cert.pem").read_bytes()
    assert provide_certificates(tmp_path, ["router", "cache"], YEAR) == ["cache"]
    assert (tmp_path / "router" / "cert.pem").read_bytes() == before


def test_a_certificate_that_ends_soon_is_renewed_under_the_same_authority(tmp_path):
    provide_certificates(tmp_path, ["router"], timedelta(days=29))
    authority = (tmp_path / "authority" / "ca.pem").read_bytes()
    assert provide_certificates(tmp_path, ["router"], YEAR) == ["router"]
    renewed = x509.load_pem_x509_certificate((tmp_path / "router" / "cert.pem").read_bytes())
    assert renewed.not_valid_after_utc > datetime.now(UTC) + timedelta(days=364)
    assert (tmp_path / "authority" / "ca.pem").read_bytes() == authority


@pytest.mark.parametrize("damage", ["cert.pem", "key.pem", "ca.pem"])
def test_what_was_damaged_is_made_again(tmp_path, damage):
    provide_certificates(tmp_path, ["router", "cache"], YEAR)
    (tmp_path / "router" / damage).write_text("no longer")
    assert provide_certificates(tmp_path, ["router", "cache"], YEAR) == ["router"]


def test_a_new_authority_signs_anew(tmp_path):
    provide_certificates(tmp_path, ["router"], YEAR)
    (tmp_path / "authority" / "key.pem").unlink()
    assert provide_certificates(tmp_path, ["router"], YEAR) == ["router"]


def test_a_broken_authority_is_a_sentence(tmp_path):
    provide_certificates(tmp_path, ["router"], YEAR)
    (tmp_path / "authority" / "key.pem").write_text("no key")
    with pytest.raises(SuiteFailure, match="authority"):
        provide_certificates(tmp_path, ["router"], YEAR)


DOCUMENT = """
upstreams:
  - {name: far, provider: openai, base_url: 'https://far.test/v1', api_key: '${file:%s/provider-key}', models: [{name: m, context_window: 10}]}
models: [{name: fast, candidates: [far/m]}]
services: {router: {listen: '0.0.0.0:9002'}, inference: {listen: '127.0.0.1:9005'}}
"""


def test_a_role_needs_no_secret_of_another(tmp_path):
    config = tmp_path / "penstock.yaml"
    config.write_text(DOCUMENT.replace("0.0.0.0", "127.0.0.1") % tmp_path)
    sections = role_settings(Role.ROUTER, config)
    assert sections["models"][0]["candidates"] == ["far/m"]
    with pytest.raises(Misconfigured, match="provider-key"):
        role_settings(Role.INFERENCE, config)
    (tmp_path / "provider-key").write_text("sk-of-the-provider")
    assert "sk-of-the-provider" not in str(role_settings(Role.INFERENCE, config))


def test_a_role_that_strangers_reach_is_a_fault_of_that_role_alone(tmp_path):
    config = tmp_path / "penstock.yaml"
    config.write_text(DOCUMENT % tmp_path)
    (tmp_path / "provider-key").write_text("sk")
    with pytest.raises(Misconfigured, match=r"services\.router\.listen"):
        role_settings(Role.ROUTER, config)
    role_settings(Role.INFERENCE, config)
