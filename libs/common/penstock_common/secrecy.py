"""Why something that was sealed cannot be read."""

from __future__ import annotations


class Unreadable(Exception):
    """The bytes were not sealed for this tenant, under this kind and id, or were changed, or their key is gone."""


class KeyGone(Unreadable):
    """They were sealed by a key that is gone, or that this process has not heard of yet, or in an older format."""
