"""The token of one answer: sent with its request, and renewed once where it is refused."""

from __future__ import annotations

from http import HTTPStatus

from penstock_common.http.request_head import header_line
from penstock_inference.adapters.providers.http.access_token import AccessToken


class Access:
    """What one answer knows of its token; ``sent`` is the last that it was asked with."""

    __slots__ = ("_refused", "_token", "sent")

    def __init__(self, token: AccessToken) -> None:
        self._token = token
        self._refused = False
        self.sent = ""

    async def header(self) -> bytes:
        """Return the line that carries a token.

        Raises:
            AttemptFailed: where none is to be had.
        """
        self.sent = await self._token.get()
        return header_line("Authorization", f"Bearer {self.sent}")

    def is_renewed_for(self, status: int) -> bool:
        """Return whether a refusal is of the token, for the first time: then the next is another."""
        if status != HTTPStatus.UNAUTHORIZED or self._refused:
            return False
        self._refused = True
        self._token.refused(self.sent)
        return True
