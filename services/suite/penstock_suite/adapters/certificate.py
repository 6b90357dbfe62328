"""Whom a certificate names."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509


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
