"""What the public gRPC port shows of itself."""

from __future__ import annotations

import grpc

from penstock_common.configuration import ConfigurationError
from penstock_suite.settings import TlsSettings


def public_credentials(tls: TlsSettings | None) -> grpc.ServerCredentials | None:
    """Return the credentials of ``listen.tls``; None for plaintext.

    Raises:
        ConfigurationError: if a file cannot be read.
    """
    if tls is None:
        return None
    try:
        return grpc.ssl_server_credentials([(tls.key_file.read_bytes(), tls.cert_file.read_bytes())])
    except OSError as error:
        raise ConfigurationError(f"'listen.tls': {error.filename}: {error.strerror}") from None
