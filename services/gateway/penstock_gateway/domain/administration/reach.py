"""What a key may give: nothing that it has not itself, in any of its bounds.

Who gives more could give it to itself, and a bound that its holder can lift is
none. So it is asked of everything that makes a key, or brings one back to life.

A scope is no such bound: what a key with ``admin`` may give is every scope of a
tenant, which is what that scope means, and ``operator`` gives any.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Network, collapse_addresses

from penstock_common.errors import ModelNotPermitted, RightsExceeded
from penstock_gateway.domain.access.identity import KeyRecord, KeyScope
from penstock_gateway.domain.access.networks import Network
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.registry import KeyFilter, Place, Records

_PAGE = 500


def check_within(actor: Actor, record: KeyRecord) -> None:
    """Check that a key is no wider than the actor's own.

    Raises:
        ModelNotPermitted: if it may ask a model that the actor's may not.
        RightsExceeded: if it is accepted from elsewhere, or for longer, is of another team, or finds documents that the
            actor's does not.
    """
    beyond = record.models - actor.models
    if actor.models and (beyond or not record.models):
        model = min(beyond, default="")
        raise ModelNotPermitted("Your API key names models, and may give no key that does not.", model=model)
    if actor.networks and not _lie_within(record.networks, actor.networks):
        own = ", ".join(str(network) for network in actor.networks[:8])
        raise RightsExceeded(
            f"Your API key is accepted from {own} alone, and may give no key that is accepted from elsewhere: "
            "name allowed_networks within those.",
            bound="allowed_networks",
        )
    if not _ends_by(record.expires_at, actor.expires_at):
        end = actor.expires_at.isoformat(timespec="seconds") if actor.expires_at else ""
        raise RightsExceeded(
            f"Your API key is accepted until {end}, and may give no key that is accepted longer: "
            "name a lifetime that ends by then.",
            bound="expires_at",
        )
    if actor.team and record.team != actor.team:
        raise RightsExceeded(
            f"Your API key is of the team '{actor.team}', and may give no key that is not.", bound="team"
        )
    unseen = record.labels - actor.labels
    if unseen and not actor.is_operator:
        own = ", ".join(sorted(actor.labels)[:8]) or "none"
        raise RightsExceeded(
            f"Your API key has not the label '{min(unseen)}', and may give no key that has: its own labels are {own}. "
            "An operator gives any.",
            bound="labels",
        )


async def check_revival(
    actor: Actor, records: Records, wanted: KeyFilter, gained: frozenset[KeyScope], now: datetime
) -> None:
    """Check that keys which are to come back to life, or to gain one of the scopes, are no wider than the actor's own.

    Raises:
        ModelNotPermitted, RightsExceeded: as ``check_within``, for any of them.
    """
    if not actor.is_bounded:
        return
    after: Place | None = None
    while True:
        found = await records.keys(wanted, after, _PAGE)
        for record in found:
            if record.is_live(now) and record.scopes & gained:
                check_within(actor, record)
        if len(found) < _PAGE:
            return
        last = found[-1]
        assert last.created_at is not None, "stored keys know when they were made"
        after = Place(last.created_at, last.id)


def _ends_by(end: datetime | None, latest: datetime | None) -> bool:
    return latest is None or (end is not None and end <= latest)


def _lie_within(inner: Iterable[Network], outer: Iterable[Network]) -> bool:
    """Return whether each network is a part of the others' union; none at all means everywhere, and is not."""
    narrow = tuple(inner)
    four = list(collapse_addresses(network for network in outer if isinstance(network, IPv4Network)))
    six = list(collapse_addresses(network for network in outer if not isinstance(network, IPv4Network)))

    def is_within(network: Network) -> bool:
        if isinstance(network, IPv4Network):
            return any(network.subnet_of(wide) for wide in four)
        return any(network.subnet_of(wide) for wide in six)

    return bool(narrow) and all(is_within(network) for network in narrow)
