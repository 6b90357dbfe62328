"""`penstock certificates`: what the roles of a deployment prove themselves with."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from penstock_suite.adapters.local_authority import Authority
from penstock_suite.domain.failure import SuiteFailure

_RENEW_BEFORE = timedelta(days=30)


def provide_certificates(folder: Path, hosts: list[str], life: timedelta) -> list[str]:
    """Leave ``folder/HOST/{ca,cert,key}.pem`` for every host; return those that had to be made.

    Raises:
        SuiteFailure: if a file cannot be read or written.
    """
    try:
        authority = Authority.kept(folder / "authority")
        return [host for host in hosts if authority.provide(folder / host, host, life, _RENEW_BEFORE)]
    except OSError as error:
        raise SuiteFailure(f"{error.filename}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise SuiteFailure(f"the authority in {folder}/authority cannot be used: {error}") from None
