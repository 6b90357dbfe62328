"""How processes of the suite prove themselves to each other: by certificates both ways, or by a shared token."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from penstock_common.certificates import Certificates, Renewal
from penstock_common.configuration import ConfigurationError
from penstock_common.errors import InvalidCredentials, PeerNotPermitted
from penstock_common.key_material import read_token
from penstock_common.peers import Guestlist
from penstock_common.rpc.scope import Metadata
from penstock_common.rpc.server_call import ServerCall
from penstock_common.sections import Secrets, Services

_log = structlog.get_logger(__name__)

TOKEN_KEY = "penstock-service-token"  # noqa: S105 - the name of the metadata, not a token

# Of a certificate's subject alternative names these two, as gRPC calls them.
_NAMES = ("peer_dns", "peer_uri")
_LOOPBACK = ("127.", "localhost:", "[::1]:", "unix:")


@dataclass(frozen=True, slots=True)
class Security:
    """What a process shows and asks for inside the suite; by default nothing, which only loopback may have."""

    certificates: Certificates | None = None
    token: str = ""

    @classmethod
    def of(cls, services: Services, secrets: Secrets) -> Security:
        """Return what the configuration says.

        Raises:
            ConfigurationError: if a file cannot be read, or the token is too short.
        """
        certificates = Certificates.read(services.tls) if services.tls is not None else None
        return cls(certificates, read_token(secrets.service_token_file, "secrets.service_token_file"))

    def refuse_open_bind(self, address: str, setting: str) -> None:
        """Let a process listen for the others only where strangers cannot reach it, or must prove themselves.

        Raises:
            ConfigurationError: if they need not.
        """
        if self.certificates is None and not self.token and not address.startswith(_LOOPBACK):
            raise ConfigurationError(
                f"'{setting}' is {address}, which other machines reach: set 'services.tls' or "
                "'secrets.service_token_file', or listen on 127.0.0.1"
            )

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Return what a client shows as the files were when they were read; None for plaintext."""
        return None if self.certificates is None else channel_credentials(self.certificates)

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """Return what a server shows, and that it asks clients for theirs; None for plaintext."""
        return None if self.certificates is None else server_credentials(self.certificates)


def channel_credentials(held: Certificates) -> grpc.ChannelCredentials:
    """Return what a client shows."""
    return grpc.ssl_channel_credentials(held.authority, held.key, held.chain)


def server_credentials(held: Certificates) -> grpc.ServerCredentials:
    """Return what a server shows, renewed whenever its files are; where there is an authority, it asks clients, too.

    gRPC asks before each handshake. Connections that are made already stay what they are.
    """
    renewal = Renewal(held)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        found = renewal.look()
        return None if found is None else _shown(found)

    fetch: Any = renewed  # may say that nothing is new, whatever its type says
    return grpc.dynamic_ssl_server_credentials(_shown(held), fetch, require_client_authentication=bool(held.authority))


def _shown(held: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(held.key, held.chain)], held.authority or None)


class TokenSender:
    """Adds the service token to every outgoing call."""

    def __init__(self, token: str) -> None:
        self._entry = (TOKEN_KEY, token)

    def outgoing(self, metadata: Metadata) -> Metadata:
        """Return the metadata with the token."""
        return (*metadata, self._entry)


class PeerGuard:
    """Lets calls in from those whose certificate says that they may call this role, before a message is decoded."""

    def __init__(self, guests: Guestlist) -> None:
        self._guests = guests

    async def on_start(self, call: ServerCall) -> None:
        """Look at the names in the caller's certificate.

        Raises:
            PeerNotPermitted: if none of them may call this role.
        """
        shown = call.context.auth_context()
        try:
            self._guests.admit(name.decode() for kind in _NAMES for name in shown.get(kind, ()))
        except PeerNotPermitted as refusal:
            _log.warning("peer_not_permitted", method=call.path, peer=refusal.peer, address=call.context.peer())
            raise

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """Do nothing."""


class TokenGuard:
    """Lets calls in that carry the service token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def on_start(self, call: ServerCall) -> None:
        """Compare in constant time.

        Raises:
            InvalidCredentials: if the token is missing or another.
        """
        shown = next((value for key, value in call.metadata if key == TOKEN_KEY), "")
        shown = shown.encode() if isinstance(shown, str) else shown
        # A guard without a token would let everybody in who shows none.
        if not self._token or not hmac.compare_digest(shown, self._token):
            raise InvalidCredentials(
                "This port is for services of the suite, and the service token is missing or wrong."
            )

    def on_end(self, call: ServerCall, error: BaseException | None) -> None:
        """Do nothing."""
