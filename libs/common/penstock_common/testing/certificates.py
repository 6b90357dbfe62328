"""An authority of one's own, and what it has signed for this machine."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROLES = ("edge", "gateway", "router", "cache", "embedding", "inference")

_VALID_FOR = timedelta(days=1)
# Clocks that disagree by a little shall not matter.
_VALID_SINCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the authority, a certificate that it signed for this machine and ``names``, and that one's key."""

    ca: Path
    cert: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, *names: str) -> Self:
        """Return new files in ``folder``, good for a day and for every role of the suite."""
        Authority().sign(folder, *ROLES, *names)
        return cls.within(folder)

    @classmethod
    def within(cls, folder: Path) -> Self:
        """Return where the files of a folder are."""
        return cls(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs any number of certificates."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    name: str = field(default_factory=lambda: f"Penstock test authority {secrets.token_hex(4)}")
    """No other's: where several are trusted, who has signed is found by the name."""

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self._own().public_bytes(serialization.Encoding.PEM)

    def sign(
        self, folder: Path, *names: str, uris: Sequence[str] = (), common_name: str = "localhost"
    ) -> CertificateFiles:
        """Return files in ``folder``, made or overwritten: a certificate for ``localhost`` and ``names``, and its key."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subjects = [x509.DNSName(name) for name in ("localhost", *names)]
        places = [x509.UniformResourceIdentifier(uri) for uri in uris]
        here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        own = (
            _builder(common_name, key, ca=False)
            .issuer_name(self._own().subject)
            .add_extension(x509.SubjectAlternativeName([*subjects, *places, here]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        files = CertificateFiles.within(folder)
        files.ca.write_bytes(self.pem)
        files.cert.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _own(self) -> x509.Certificate:
        return _builder(self.name, self.key, ca=True).sign(self.key, hashes.SHA256())


def _builder(name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID_SINCE)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    # An authority signs itself.
    return builder.issuer_name(subject) if ca else builder
