"""Requests signed with AWS credentials (SigV4), by botocore: its chain of credentials, their renewal, its signature.

Alone in importing botocore, which takes most of a second and is for those alone who have no Bedrock API key.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ProfileNotFound
from botocore.session import Session

from penstock_common.http.body import Body
from penstock_common.http.request_head import header_line
from penstock_inference.adapters.providers.bedrock.settings import BedrockSettings
from penstock_inference.domain.failure import AttemptFailed, FailureKind

_SERVICE = "bedrock"
_THREADS = 4
_SIGNED = ("X-Amz-Date", "X-Amz-Security-Token", "Authorization")

_LOG = logging.getLogger(__name__)


class _Signature(SigV4Auth):
    """Signs a body by its digest, so that a large one need not be there at once."""

    def __init__(self, credentials: Any, region: str, digest: str) -> None:
        super().__init__(credentials, _SERVICE, region)
        self._digest = digest

    def payload(self, request: AWSRequest) -> str:
        """Return the digest of the body; see botocore."""
        del request
        return self._digest


class Signer:
    """Signs requests in threads of its own: credentials are had, and renewed, over networks and from programs."""

    def __init__(self, settings: BedrockSettings) -> None:
        """Read AWS' configuration; credentials are looked for with the first request.

        Raises:
            ValueError: if there is no such profile.
        """
        self._region = settings.signing_region
        self._session: Any = Session(profile=settings.aws_profile or None)
        if settings.has_own_credentials:
            self._session.set_credentials(
                settings.aws_access_key_id.get_secret_value(),
                settings.aws_secret_access_key.get_secret_value(),
                settings.aws_session_token.get_secret_value() or None,
            )
        try:
            self._session.get_scoped_config()
        except ProfileNotFound as error:
            raise ValueError(str(error)) from None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="aws-signing")
        self._finding = Lock()

    async def lines(self, url: str, content_type: str, body: bytes | Body) -> bytes:
        """Return the lines of the head that sign exactly this request.

        Raises:
            AttemptFailed: CREDENTIALS, where there are none.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._lines, url, content_type, body)

    def close(self) -> None:
        """Sign no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _lines(self, url: str, content_type: str, body: bytes | Body) -> bytes:
        request = AWSRequest("POST", url, headers={"Content-Type": content_type})
        _Signature(self._credentials(), self._region, _digest(body)).add_auth(request)
        return b"".join(header_line(name, request.headers[name]) for name in _SIGNED if name in request.headers)

    def _credentials(self) -> Any:
        try:
            with self._finding:
                found = self._session.get_credentials()
            if found is not None:
                return found.get_frozen_credentials()
        except Exception as error:
            # Botocore's own, and what its sources raise beside: of programs that are not there, of files.
            _LOG.warning("aws_credentials_failed: %s", error)
            raise AttemptFailed(FailureKind.CREDENTIALS, "AWS credentials could not be had") from error
        raise AttemptFailed(FailureKind.CREDENTIALS, "there are no AWS credentials")


def _digest(body: bytes | Body) -> str:
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest()
    digest = hashlib.sha256()
    for piece in body.pieces():
        digest.update(piece)
    return digest.hexdigest()
