"""The kinds of the ledger's entries."""

from __future__ import annotations

CHARGE, CORRECTION = "charge", "correction"
"""What a request cost; and by how much an earlier entry was wrong."""
