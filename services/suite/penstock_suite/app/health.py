"""`penstock health`: whether a role on this machine says that it serves."""

from __future__ import annotations

from pathlib import Path

import grpc

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.rpc.security import Security
from penstock_suite.adapters.addresses import parse_address
from penstock_suite.adapters.certificates import name_in
from penstock_suite.adapters.gateway_client import health_of
from penstock_suite.app.serve import listen_of
from penstock_suite.domain.requests import Role
from penstock_suite.settings import RoleSettings


async def health(role: Role, config: Path) -> str:
    """Return the status of ``grpc.health.v1``, such as SERVING; UNREACHABLE where nobody answers.

    Raises:
        ConfigurationError: if the configuration cannot be used.
    """
    settings = Configuration.load(config).settings(RoleSettings)
    here = parse_address(listen_of(role, settings), "listen").from_here
    try:
        credentials, certificate = _expected(role, settings)
        # The certificate names the role's own host, and we ask by loopback.
        name = name_in(certificate) if certificate is not None else ""
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"a certificate of the {role} cannot be read: {error}") from None
    return await health_of(str(here), credentials, server_name=name)


def _expected(role: Role, settings: RoleSettings) -> tuple[grpc.ChannelCredentials | None, Path | None]:
    """Return what to ask with, and the certificate that must answer."""
    if role is Role.GATEWAY:
        tls = settings.listen.tls
        return (
            (None, None) if tls is None else (grpc.ssl_channel_credentials(tls.cert_file.read_bytes()), tls.cert_file)
        )
    inside = settings.services.tls
    credentials = Security.of(settings.services, settings.secrets).channel_credentials()
    return credentials, inside.cert_file if inside is not None else None
