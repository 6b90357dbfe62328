"""An authority of one's own, and what it has signed for this machine."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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
        """Return new files in ``folder``, good for a day."""
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority = _builder("Penstock test authority", authority_key, ca=True).sign(authority_key, hashes.SHA256())
        own_key = ec.generate_private_key(ec.SECP256R1())
        subjects = [x509.DNSName(name) for name in ("localhost", *names)]
        alternatives = x509.SubjectAlternativeName([*subjects, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        own = (
            _builder("localhost", own_key, ca=False)
            .issuer_name(authority.subject)
            .add_extension(alternatives, critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        made = cls(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
        made.ca.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        made.cert.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            own_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return made


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
