"""Messages to webhooks by https: to who proves to be who the address names, and to nobody else, until they do."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from structlog.testing import capture_logs

from penstock_common.sql.database import open_database
from penstock_gateway.adapters.sql.webhooks.schema import WEBHOOKS
from penstock_gateway.adapters.sql.webhooks.store import SqlDeliveries
from penstock_gateway.adapters.sql.webhooks.tables import deliveries, tries
from penstock_gateway.adapters.webhooks.http_sender import HttpSender
from penstock_gateway.domain.webhooks.courier import Courier, CourierParts
from penstock_gateway.domain.webhooks.delivery import RETRY_AFTER, Delivery
from penstock_gateway.domain.webhooks.endpoint import Endpoint

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
ENOUGH = timedelta(seconds=30)
DAY = timedelta(days=1)


class Authority:
    """Vouches for receivers, as far as they are who they say."""

    def __init__(self, folder):
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority")])
        own = self._certificate(self._name, self._key, (DAY, DAY), self._key)
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        signed = own.add_extension(constraint, critical=True).sign(self._key, hashes.SHA256())
        self.path = folder / "authority.pem"
        self.path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def receiver(self, name, host="localhost", valid=(DAY, DAY), *, by_itself=False):
        """Return the file of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        signer, issuer = (key, subject) if by_itself else (self._key, self._name)
        made = self._certificate(subject, key, valid, signer, issuer)
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        signed = made.add_extension(names, critical=False).sign(signer, hashes.SHA256())
        own = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self._folder / f"{name}.pem"
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + own)
        return path

    def _certificate(self, subject, key, valid, signer, issuer=None):
        now, (before, after) = datetime.now(UTC), valid
        of_signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - before)
            .not_valid_after(now + after)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(of_signer, critical=False)
        )


@pytest.fixture
def authority(tmp_path, monkeypatch):
    made = Authority(tmp_path)
    # Whom this machine trusts.
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    return made


class Receiver:
    """What came, and the certificate that is shown to who connects."""

    def __init__(self):
        self.came, self.port, self.context = [], 0, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    async def take(self, request):
        await request.read()
        self.came.append(request.headers["webhook-id"])
        return web.Response(status=204)


@pytest.fixture
async def receiver(authority):
    made = Receiver()
    made.context.load_cert_chain(authority.receiver("good"))
    app = web.Application()
    app.router.add_post("/hook", made.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=made.context)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


class Counted:
    """What an observer hears."""

    def __init__(self):
        self.results = []

    def tried(self, webhook, result):
        self.results.append(result)


BAD = {
    "self-signed": ({"by_itself": True}, "self-signed certificate"),
    "expired": ({"valid": (2 * DAY, -DAY)}, "certificate has expired"),
    "not yet valid": ({"valid": (-DAY, 2 * DAY)}, "certificate is not yet valid"),
    "another's": ({"host": "other.example"}, "Hostname mismatch"),
}


@pytest.mark.parametrize(("made", "why"), BAD.values(), ids=BAD)
async def test_who_proves_to_be_nobody_gets_nothing_and_is_tried_again(made, why, authority, receiver, tmp_path):
    receiver.context.load_cert_chain(authority.receiver("bad", **made))
    async with open_database(f"sqlite:///{tmp_path}/webhooks.db") as engine:
        async with engine.begin() as connection:
            await connection.run_sync(WEBHOOKS.metadata.create_all)
        store, clock, counted = SqlDeliveries(engine), [NOW], Counted()
        known = {
            "ops": Endpoint("ops", f"https://localhost:{receiver.port}/hook", (b"s" * 24,), allow_private=True),
        }
        sends = CourierParts(store, HttpSender(ENOUGH, ENOUGH), counted)
        courier = Courier(sends, lambda: known, lambda: clock[0], lambda: 0.5)
        await store.add(Delivery(id="msg_1", webhook="ops", type="t", body="{}", created_at=NOW, next_at=NOW))
        with capture_logs() as logged:
            assert await courier.deliver() == 1
        (told,) = [line for line in logged if line["event"] == "webhook_not_delivered"]
        assert (told["webhook"], told["id"], told["state"]) == ("ops", "msg_1", "waiting")
        assert why in told["reason"]
        assert receiver.came == []
        async with engine.connect() as connection:
            (kept,) = (await connection.execute(select(tries))).all()
            (waits,) = (await connection.execute(select(deliveries))).all()
        assert (kept.status, why in kept.error, waits.attempts) == (0, True, 1)
        assert waits.next_at.replace(tzinfo=UTC) == NOW + RETRY_AFTER[0]
        # It is not asked before that, and then finds whoever has mended their certificate.
        assert await courier.deliver() == 0
        receiver.context.load_cert_chain(authority.receiver("mended"))
        clock[0] += RETRY_AFTER[0]
        assert await courier.deliver() == 1
    assert (receiver.came, counted.results) == (["msg_1"], ["failed", "delivered"])
