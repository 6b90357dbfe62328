"""What can be found, and where: never what it says."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a finding is."""

    EMAIL = "email"
    PHONE = "phone"
    CREDIT_CARD = "credit_card"
    IBAN = "iban"
    SSN_US = "ssn_us"
    IP_ADDRESS = "ip_address"
    PASSPORT = "passport"
    DATE_OF_BIRTH = "date_of_birth"
    PERSON = "person"
    ADDRESS = "address"
    API_KEY = "api_key"
    URL_WITH_TOKEN = "url_with_token"  # noqa: S105 - a kind, no secret


class Finding(NamedTuple):
    """Code points ``start`` to ``end`` of a text are of this kind, as sure as ``score`` (0 to 1) says."""

    kind: Kind
    start: int
    end: int
    score: float


# Of two findings that overlap the one that stands first here stays.
_ORDER = {
    kind: place
    for place, kind in enumerate(
        (
            Kind.URL_WITH_TOKEN,
            Kind.API_KEY,
            Kind.EMAIL,
            Kind.IBAN,
            Kind.CREDIT_CARD,
            Kind.IP_ADDRESS,
            Kind.SSN_US,
            Kind.DATE_OF_BIRTH,
            Kind.PASSPORT,
            Kind.PHONE,
            Kind.ADDRESS,
            Kind.PERSON,
        )
    )
}


def without_overlaps(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings in the order of the text; of those that overlap, the more certain kind and then the longer one."""
    kept: list[Finding] = []
    for one in sorted(findings, key=lambda found: (_ORDER[found.kind], found.start - found.end, found.start)):
        at = bisect_left(kept, one.start, key=lambda other: other.start)
        is_free = at == 0 or kept[at - 1].end <= one.start
        if is_free and (at == len(kept) or one.end <= kept[at].start):
            kept.insert(at, one)
    return kept
