"""Posts to webhooks: to the internet at large alone, unless an endpoint may be inside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from penstock_common.http.address import parse_address
from penstock_common.http.client import HttpClient
from penstock_common.http.failures import HttpFailure
from penstock_common.http.pool import AddressInfo, LookUp, addresses_of
from penstock_common.http.request_head import RequestHead
from penstock_common.http.response import Response
from penstock_common.http.retrying import retry_after
from penstock_gateway import __version__
from penstock_gateway.domain.webhooks.delivery import Outcome
from penstock_gateway.domain.webhooks.endpoint import Endpoint, is_public

MAX_ANSWER_BYTES = 64 * 1024
"""Of an answer, which nobody reads; a longer one costs its connection."""
_SUCCESS = range(200, 300)


class HttpSender:
    """Implements ``courier.Sender``. Redirects are failures: nobody has said that what is signed may go elsewhere."""

    def __init__(self, connect_timeout: timedelta, timeout: timedelta, look_up: LookUp = addresses_of) -> None:
        self._connect_seconds = connect_timeout.total_seconds()
        self._seconds = timeout.total_seconds()
        self._look_up = look_up

    async def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Return how it went."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(endpoint, headers, body)
        except TimeoutError:
            return Outcome(error=f"no answer within {self._seconds:g} s")
        except HttpFailure as error:
            return Outcome(error=str(error) or type(error).__name__)

    async def _post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Outcome:
        address = parse_address(endpoint.url)
        all_headers = {"Content-Type": "application/json", "User-Agent": f"penstock/{__version__}", **headers}
        head = RequestHead("POST", address, all_headers)
        # One for each try: an hour may lie between two, and where a name leads is looked up, and judged, anew.
        async with HttpClient(self._look_up if endpoint.allow_private else self._outside) as client:
            response = await client.pool(address.origin).request(head, body, self._connect_seconds)
            return await _outcome(response)

    async def _outside(self, host: str, port: int) -> list[AddressInfo]:
        """Return where a name leads, if all of that is outside: what is judged is what is dialled."""
        found = await self._look_up(host, port)
        if not found or not all(is_public(str(place[0])) for *_, place in found):
            raise OSError("the name leads to an address that is not of the internet at large: allow_private permits it")
        return found


async def _outcome(response: Response) -> Outcome:
    try:
        await response.read_up_to(MAX_ANSWER_BYTES)
    finally:
        response.release()
    status = response.status
    if status in _SUCCESS:
        return Outcome(status)
    return Outcome(status, f"it answered {status}", retry_after(response.headers))
