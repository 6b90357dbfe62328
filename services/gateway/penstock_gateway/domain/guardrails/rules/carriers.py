"""Links, images and frames in answers that carry data away."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from penstock_gateway.domain.guardrails.injection.addresses import Way
from penstock_gateway.domain.guardrails.injection.exfiltration import Carrier, defused
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Hold, LocalLook, Surface


class Exfiltration(LocalLook):
    """Looks for addresses that say more than where something lies; those of ``allowed`` hosts may."""

    hold = Hold(carriers=True)

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(one.lower() for one in allowed)

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found."""
        _, taken = defused(text, self._allowed)
        return [Found(one.tag, one.start, one.end, _mark(one)) for one in taken]


def _mark(carrier: Carrier) -> str:
    removed = f"[{'image' if carrier.way is Way.LOADED else 'link'} removed]"
    return f"{carrier.text.strip()} {removed}" if carrier.text.strip() else removed
