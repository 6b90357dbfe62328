"""What is kept of somebody who asked by a token of somebody else's, for what is done of it later."""

from __future__ import annotations

import msgspec


class Asker(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What is kept of somebody who asked by a token, as nobody can look that up: whose it was, and what it gave."""

    issuer: str
    subject: str
    team: str = ""
    models: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
