"""Access tokens for Google Cloud, by Google's own library, which blocks: it runs in threads of its own."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

import google.auth
from google.auth import exceptions, transport

from penstock_inference.adapters.providers.http.access_token import Token
from penstock_inference.domain.failure import AttemptFailed, FailureKind

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SECONDS = 10
"""For one request of the library's."""
_LIFE_WHERE_NONE_IS_SAID = 300.0


class GoogleCredentials:
    """Those of a file, or those that the library finds where the process runs."""

    def __init__(self, document: str) -> None:
        """Take the file's contents, or ''.

        Raises:
            ValueError: if they are no credentials. What they hold is not told.
        """
        self._credentials: Any = _credentials_in(document) if document else None

    async def obtain(self) -> Token:
        """Return a new token.

        Raises:
            AttemptFailed: CREDENTIALS where none is granted, CONNECT where nobody could be asked.
        """
        return await asyncio.to_thread(self._obtained)

    def _obtained(self) -> Token:
        request = _Request()
        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=[SCOPE], request=request)
            credentials = self._credentials
            credentials.refresh(request)
        except exceptions.TransportError:
            raise AttemptFailed(FailureKind.CONNECT, "no access token: Google's token server was not reached") from None
        except exceptions.GoogleAuthError as error:
            kind = FailureKind.CONNECT if error.retryable else FailureKind.CREDENTIALS
            raise AttemptFailed(kind, "Google granted no access token") from error
        if not credentials.token:
            raise AttemptFailed(FailureKind.CREDENTIALS, "Google granted no access token")
        return Token(credentials.token, _seconds_until(credentials.expiry))


def _credentials_in(document: str) -> Any:
    try:
        info = json.loads(document)
        with warnings.catch_warnings():
            # It warns of credentials that an attacker may have written: the operator wrote these.
            warnings.simplefilter("ignore", DeprecationWarning)
            credentials, _ = google.auth.load_credentials_from_dict(info, scopes=[SCOPE])
    except (ValueError, AttributeError, TypeError, KeyError, exceptions.GoogleAuthError):
        raise ValueError("it holds no credentials of Google's that can be read") from None
    return credentials


def _seconds_until(expiry: datetime | None) -> float:
    if expiry is None:
        return _LIFE_WHERE_NONE_IS_SAID
    # The library's times are UTC, and do not say so.
    return (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()


class _Answer(transport.Response):
    """What came back; see the library's interface."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self._status, self._headers, self._data = status, headers, data

    @property
    def status(self) -> int:
        """The status."""
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        return self._headers

    @property
    def data(self) -> bytes:
        """The body."""
        return self._data


class _Request(transport.Request):
    """The library's requests, by the standard library: it brings none of its own, and they are few."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        """Return the response, whatever its status.

        Raises:
            TransportError: where there is none.
        """
        data = body.encode() if isinstance(body, str) else body
        if not url.startswith(("https://", "http://")):
            raise exceptions.TransportError("not an address of HTTP")
        request = urllib.request.Request(url, data, dict(headers or {}), method=method)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=timeout or _SECONDS) as response:  # noqa: S310 - checked above
                return _Answer(response.status, dict(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _Answer(error.code, dict(error.headers), error.read())
        except (OSError, HTTPException, ValueError) as error:
            raise exceptions.TransportError(str(error)) from error
