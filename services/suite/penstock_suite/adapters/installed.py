"""Which packages this Python has, by what is written about them: nothing is loaded."""

from __future__ import annotations

import re
from importlib import metadata

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def missing_packages(package: str) -> list[str]:
    """Return the distributions that ``package`` needs, itself included, and that are not installed.

    A package without a distribution, as in a checkout on the path, is not looked at.
    """
    try:
        required = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []
    # Those of extras and of other platforms stand behind a marker.
    named = [_NAME.match(requirement) for requirement in required if ";" not in requirement]
    return [found[0] for found in named if found is not None and not _is_installed(found[0])]


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
