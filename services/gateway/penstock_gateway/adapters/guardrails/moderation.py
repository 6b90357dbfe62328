"""A classifier of safety somewhere else, asked as OpenAI's moderations are: a provider's, or a model of your own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from penstock_common.http.address import parse_address
from penstock_common.http.client import HttpClient
from penstock_common.http.request_head import RequestHead
from penstock_gateway import __version__
from penstock_gateway.domain.guardrails.pipeline.rule import WHOLE, Found, Runs, Surface

MAX_ANSWER_BYTES = 256 * 1024
_CONNECT_SECONDS = 2.0
_OK = 200


class ModerationFailed(Exception):
    """It did not answer as it should."""


class _Result(msgspec.Struct):
    flagged: bool = False
    categories: dict[str, bool] = {}
    category_scores: dict[str, float] = {}


class _Answer(msgspec.Struct):
    results: list[_Result]


class Moderation:
    """Asks a URL about texts; what is flagged is found, or what has a score of at least ``threshold`` where one is set."""

    runs = Runs.REMOTE
    hold = WHOLE

    def __init__(self, client: HttpClient, url: str, api_key: str = "", threshold: float | None = None) -> None:
        self._client, self._address, self._threshold = client, parse_address(url), threshold
        self._headers: Mapping[str, str] = {
            "Content-Type": "application/json",
            "User-Agent": f"penstock/{__version__}",
            **({"Authorization": f"Bearer {api_key}"} if api_key else {}),
        }

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Never asked."""
        raise NotImplementedError

    async def find(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return the text, once for each category that it is of.

        Raises:
            ModerationFailed: if nobody says so.
            HttpFailure: if nobody can be reached.
        """
        head = RequestHead("POST", self._address, self._headers)
        body = msgspec.json.encode({"input": text})
        response = await self._client.pool(self._address.origin).request(head, body, _CONNECT_SECONDS)
        try:
            answered = await response.read_up_to(MAX_ANSWER_BYTES)
        finally:
            response.release()
        if response.status != _OK:
            raise ModerationFailed(f"it answered {response.status}")
        try:
            (result,) = msgspec.json.decode(answered, type=_Answer).results
        except (msgspec.MsgspecError, ValueError) as error:
            raise ModerationFailed("it answered something else") from error
        return [Found(kind, 0, len(text)) for kind in self._kinds(result)]

    def _kinds(self, result: _Result) -> list[str]:
        if self._threshold is None:
            named = [name for name, holds in result.categories.items() if holds]
            return named or ["flagged"] if result.flagged else []
        return [name for name, score in result.category_scores.items() if score >= self._threshold]
