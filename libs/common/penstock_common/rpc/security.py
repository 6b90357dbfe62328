"""How processes of the suite prove themselves to each other: by certificates both ways, or by a shared token."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path

import grpc

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import InvalidCredentials
from penstock_common.key_material import read_token
from penstock_common.rpc.scope import Metadata
from penstock_common.rpc.server_call import ServerCall
from penstock_common.sections import MutualTls, Secrets, Services

TOKEN_KEY = "penstock-service-token"  # noqa: S105 - the name of the metadata, not a token

_LOOPBACK = ("127.", "localhost:", "[::1]:", "unix:")


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM contents: a chain, its key, and the authority that everyone inside must be signed by."""

    chain: bytes
    key: bytes
    authority: bytes

    @classmethod
    def read(cls, files: MutualTls) -> Certificates:
        """Return what the files hold.

        Raises:
            ConfigurationError: if one cannot be read.
        """
        return cls(
            _read(files.cert_file, "services.tls.cert_file"),
            _read(files.key_file, "services.tls.key_file"),
            _read(files.ca_file, "services.tls.ca_file"),
        )


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
        """Return what a client shows; None for plaintext."""
        if self.certificates is None:
            return None
        held = self.certificates
        return grpc.ssl_channel_credentials(held.authority, held.key, held.chain)

    def server_credentials(self) -> grpc.ServerCredentials | None:
        """Return what a server shows, and that it asks clients for theirs; None for plaintext."""
        if self.certificates is None:
            return None
        held = self.certificates
        return grpc.ssl_server_credentials([(held.key, held.chain)], held.authority, require_client_auth=True)


class TokenSender:
    """Adds the service token to every outgoing call."""

    def __init__(self, token: str) -> None:
        self._entry = (TOKEN_KEY, token)

    def outgoing(self, metadata: Metadata) -> Metadata:
        """Return the metadata with the token."""
        return (*metadata, self._entry)


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


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"'{setting}': {path}: {error.strerror}") from None
