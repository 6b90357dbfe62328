"""What is kept of somebody who asked by a token of somebody else's, for what is done of it later."""

from __future__ import annotations

import msgspec

from penstock_gateway.domain.access.identity import Caller


class Asker(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What is kept of somebody who asked by a token, as nobody can look that up: whose it was, and what it gave."""

    issuer: str
    subject: str
    team: str = ""
    models: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


def asker_of(caller: Caller) -> Asker | None:
    """Return what is kept of a caller; None of one who has a key, which is looked up anew."""
    if not caller.issuer:
        return None
    return Asker(
        issuer=caller.issuer,
        subject=caller.subject,
        team=caller.team,
        models=tuple(sorted(caller.models)),
        scopes=tuple(sorted(caller.scopes)),
    )
