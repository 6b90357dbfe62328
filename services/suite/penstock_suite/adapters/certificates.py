"""Certificates of a deployment's own processes: an authority kept in a folder, and whom a certificate names."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from penstock_suite.domain.failure import SuiteFailure

_RENEW_BEFORE = timedelta(days=30)
_LIFE_OF_AUTHORITY = timedelta(days=3650)
# Clocks that disagree by a little shall not matter.
_SINCE = timedelta(minutes=5)
_LOOPBACK = ipaddress.ip_address("127.0.0.1")

Key = ec.EllipticCurvePrivateKey


def provide_certificates(folder: Path, hosts: list[str], life: timedelta) -> list[str]:
    """Leave ``folder/HOST/{ca,cert,key}.pem`` for every host; return those that had to be made.

    Raises:
        SuiteFailure: if a file cannot be read or written.
    """
    try:
        authority = Authority.kept(folder / "authority")
        return [host for host in hosts if authority.provide(folder / host, host, life, _RENEW_BEFORE)]
    except OSError as error:
        raise SuiteFailure(f"{error.filename}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise SuiteFailure(f"the authority in {folder}/authority cannot be used: {error}") from None


def name_in(certificate: Path) -> str:
    """Return the first host that a PEM certificate is for, empty where it names none.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no certificate.
    """
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    return next((str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)), "")


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that signs others, and its key."""

    certificate: x509.Certificate
    key: Key

    @classmethod
    def kept(cls, folder: Path) -> Authority:
        """Return the authority of the folder; it is made where there is none."""
        certificate, key = folder / "ca.pem", folder / "key.pem"
        if certificate.is_file() and key.is_file():
            return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), _loaded(key))
        made = cls._made()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(key, _pem(made.key))
        _write(certificate, _pem(made.certificate))
        return made

    @classmethod
    def _made(cls) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Penstock deployment")])
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = _builder(name, name, key, _LIFE_OF_AUTHORITY)
        extended = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(extended.sign(key, hashes.SHA256()), key)

    def provide(self, folder: Path, host: str, life: timedelta, renew_before: timedelta) -> bool:
        """Leave ``ca.pem``, ``cert.pem`` and ``key.pem`` in the folder; return whether they had to be made.

        The certificate is for ``host``, ``localhost`` and 127.0.0.1. One that this authority signed stays until
        ``renew_before`` its end.
        """
        if self._is_good(folder, renew_before):
            return False
        key = ec.generate_private_key(ec.SECP256R1())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder / "key.pem", _pem(key))
        _write(folder / "cert.pem", _pem(self._signed(host, key, life)))
        _write(folder / "ca.pem", _pem(self.certificate))
        return True

    def _signed(self, host: str, key: Key, life: timedelta) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        names = [x509.DNSName(host), x509.DNSName("localhost"), x509.IPAddress(_LOOPBACK)]
        # Each is a server to some and a client of others.
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            _builder(subject, self.certificate.subject, key, life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256())

    def _is_good(self, folder: Path, renew_before: timedelta) -> bool:
        try:
            held = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
            held.verify_directly_issued_by(self.certificate)
            authority = (folder / "ca.pem").read_bytes()
            key = _loaded(folder / "key.pem")
        except (OSError, ValueError, TypeError, InvalidSignature):
            return False
        is_pair = key.public_key() == held.public_key()
        lasts = held.not_valid_after_utc - renew_before > datetime.now(UTC)
        return is_pair and lasts and authority == _pem(self.certificate)


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, life: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SINCE)
        .not_valid_after(now + life)
    )


def _pem(value: x509.Certificate | Key) -> bytes:
    if isinstance(value, x509.Certificate):
        return value.public_bytes(serialization.Encoding.PEM)
    return value.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _loaded(path: Path) -> Key:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds another kind of key")
    return key


def _write(path: Path, content: bytes) -> None:
    """Put the file there whole, for its owner alone."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)
