"""Money as people write and read it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

_DIGITS = 9
_MOST = 9_000_000_000_000_000_000


def nano_usd_from(text: str) -> int:
    """Return the nano-dollars that ``2500``, ``$2,500.00`` or ``0.005`` says.

    Raises:
        ValueError: if it is no amount, or one that cannot be said exactly.
    """
    try:
        scaled = Decimal(text.removeprefix("$").replace(",", "")).scaleb(_DIGITS)
        nano_usd = int(scaled)
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError("an amount in USD such as 2500 or 0.5 is expected") from None
    if nano_usd != scaled or not 0 <= nano_usd <= _MOST:
        raise ValueError(f"an amount from 0 to 9000000000 with at most {_DIGITS} decimals is expected")
    return nano_usd


def usd_text(nano_usd: int) -> str:
    """Return dollars and cents, and what is less than a cent to its last digit: ``$2,500.00``, ``$0.0005``."""
    sign = "-" if nano_usd < 0 else ""
    whole, rest = divmod(abs(nano_usd), 10**_DIGITS)
    return f"{sign}${whole:,}.{f'{rest:09}'.rstrip('0'):0<2}"
