"""From a request to a plan: filter the candidates, order them, say why."""

from __future__ import annotations

import random
from collections.abc import Sequence

from penstock_common.contract.router import Requirements, RouteRequest
from penstock_common.errors import ContextLengthExceeded, ModelNotFound, ModelNotPermitted, UnsupportedParameter
from penstock_common.llm.types import Plan
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel

# How the caller's request names what a capability serves.
_PARAMETER_OF_CAPABILITY = {
    "tools": "input.tools",
    "json_schema": "input.response_format",
    "vision": "input.messages",
    "chat": "input.model",
}


class Router:
    """Decides; carries no tokens and keeps no state between requests."""

    def __init__(self, catalogue: Catalogue, chance: random.Random) -> None:
        self._catalogue = catalogue
        self._chance = chance

    def plan(self, request: RouteRequest) -> Plan:
        """Return the candidates that can answer, best first, and what each is billed at.

        Raises:
            ModelNotFound: no public model has this name.
            ModelNotPermitted: every candidate is outside the allowed regions.
            UnsupportedParameter: no candidate can do what the request asks for.
            ContextLengthExceeded: the conversation fits no candidate.
        """
        model = self._catalogue.find(request.model)
        if model is None:
            known = ", ".join(entry.name for entry in self._catalogue.all()[:10])
            raise ModelNotFound(f"The model '{request.model}' does not exist. Available: {known}.", model=request.model)
        needs, allowed_regions = request.requirements, request.allowed_regions
        fitting, left_out = _filter(model, needs, allowed_regions)
        if not fitting:
            raise _nobody_fits(model, needs, allowed_regions)
        ordered, how = self._order(model, fitting)
        reason = f"{model.name}: {ordered[0].candidate} first {how}"
        if left_out:
            reason += "; left out " + ", ".join(left_out)
        return Plan(
            candidates=tuple([entry.candidate for entry in ordered]),
            reason=reason,
            prices=tuple([entry.prices for entry in ordered]),
            unsupported=model.unsupported,
        )

    def models(self) -> list[PublicModel]:
        """Return every public model, sorted by name."""
        return self._catalogue.all()

    def _order(self, model: PublicModel, fitting: list[UpstreamModel]) -> tuple[list[UpstreamModel], str]:
        weights = [model.weights.get(entry.candidate, 0) for entry in fitting]
        if not any(weights):
            return fitting, "by order"
        first = self._chance.choices(fitting, weights)[0]
        return [first, *(entry for entry in fitting if entry is not first)], "by weight"


def _filter(
    model: PublicModel, needs: Requirements, allowed_regions: Sequence[str]
) -> tuple[list[UpstreamModel], list[str]]:
    fitting: list[UpstreamModel] = []
    left_out: list[str] = []
    for entry in model.candidates:
        objection = _objection(entry, needs, allowed_regions)
        if objection is None:
            fitting.append(entry)
        else:
            left_out.append(f"{entry.candidate} ({objection})")
    return fitting, left_out


def _objection(entry: UpstreamModel, needs: Requirements, allowed_regions: Sequence[str]) -> str | None:
    missing = needs.capabilities - entry.capabilities
    if missing:
        return f"lacks {', '.join(sorted(missing))}"
    if allowed_regions and entry.region not in allowed_regions:
        return f"is in {entry.region or 'no named region'}"
    if needs.min_input_tokens > entry.context_window_tokens:
        return f"takes {entry.context_window_tokens} tokens"
    return None


def _nobody_fits(
    model: PublicModel, needs: Requirements, allowed_regions: Sequence[str]
) -> ModelNotPermitted | UnsupportedParameter | ContextLengthExceeded:
    """Return the error of the first filter that nobody passes."""
    capable = [entry for entry in model.candidates if not needs.capabilities - entry.capabilities]
    if not capable:
        missing = sorted(needs.capabilities - model.capabilities) or sorted(needs.capabilities)
        return UnsupportedParameter(
            f"No candidate of the model '{model.name}' supports {', '.join(missing)}.",
            parameter=_PARAMETER_OF_CAPABILITY.get(missing[0], "input"),
        )
    if allowed_regions and all(entry.region not in allowed_regions for entry in capable):
        return ModelNotPermitted(
            f"No candidate of the model '{model.name}' is in a region your key allows ({', '.join(allowed_regions)}).",
            model=model.name,
        )
    window = max(entry.context_window_tokens for entry in capable)
    return ContextLengthExceeded(
        f"The conversation has at least {needs.min_input_tokens} tokens; the model '{model.name}' takes {window}.",
        input_tokens=needs.min_input_tokens,
        max_input_tokens=window,
    )
