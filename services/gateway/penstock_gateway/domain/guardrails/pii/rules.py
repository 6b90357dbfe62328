"""All rules over one text: what is found by form, check digit and the words around it, without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from penstock_gateway.domain.guardrails.pii.credentials import keys
from penstock_gateway.domain.guardrails.pii.finding import Finding, without_overlaps
from penstock_gateway.domain.guardrails.pii.links import links
from penstock_gateway.domain.guardrails.pii.mails import mails
from penstock_gateway.domain.guardrails.pii.networks import addresses
from penstock_gateway.domain.guardrails.pii.numbers import cards, ibans, social_security_numbers
from penstock_gateway.domain.guardrails.pii.papers import dates_of_birth, passports
from penstock_gateway.domain.guardrails.pii.phones import phones
from penstock_gateway.domain.guardrails.pii.scanned import Scanned
from penstock_gateway.domain.guardrails.pii.spoken import spoken

RULES: tuple[Callable[[Scanned], Iterator[Finding]], ...] = (
    links,
    keys,
    mails,
    ibans,
    cards,
    social_security_numbers,
    addresses,
    dates_of_birth,
    passports,
    phones,
    spoken,
)


def found_by_rules(scanned: Scanned) -> list[Finding]:
    """Return what the rules find, in places of ``scanned.text``, without overlaps."""
    return without_overlaps([one for rule in RULES for one in rule(scanned)])
