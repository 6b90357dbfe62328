"""UsageService as the commands ask for it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from penstock.gateway.v1 import usage_service_pb2 as pb
from penstock_suite.domain.usage import UsageLine, UsageRequest, UsageSums

_PAGE = 500


class UsageClient:
    """Implements ``UsageLines``: converts, asks, converts."""

    async def _ask(self, method: str, request: Any) -> Any:
        """Return what the service answers, or raise the ``SuiteFailure`` that says why not."""
        raise NotImplementedError

    async def usage(self, wanted: UsageRequest) -> list[UsageLine]:
        """Return every line of a report, page after page."""
        request = pb.QueryUsageRequest(by=wanted.by, time_zone=wanted.zone, page_size=_PAGE)
        request.filter.tenant = wanted.tenant
        request.filter.tag.extend(f"{key}={value}" for key, value in wanted.tags.items())
        for name, values in wanted.where.items():
            getattr(request.filter, name).extend(values)
        for name in ("since", "until"):
            moment = getattr(wanted, name)
            if moment is not None:
                getattr(request.filter, name).FromDatetime(moment)
        found: list[UsageLine] = []
        while True:
            page = await self._ask("QueryUsage", request)
            found += map(_line, page.lines)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token


def _line(told: pb.UsageLine) -> UsageLine:
    has_turn = told.HasField("start")
    return UsageLine(
        groups=dict(told.groups),
        start=told.start.ToDatetime(tzinfo=UTC) if has_turn else None,
        end=told.end.ToDatetime(tzinfo=UTC) if has_turn else None,
        sums=UsageSums(**{name: getattr(told.sums, name) for name in UsageSums.__struct_fields__}),
    )
