"""What of the sampling parameters a model takes."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import SamplingParams
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.unsupported import FieldPolicy

_DEFAULT_SAMPLING = SamplingParams()
_REFUSABLE_FIELDS = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "top_k", "stop")


def sampling_taken(sampling: SamplingParams, facts: ModelFacts, policy: FieldPolicy) -> SamplingParams:
    """Return the parameters without those that the model does not take, and with the nearest effort that it does.

    An effort that is another than was asked for is noted as left out.

    Raises:
        AttemptFailed: UNSUPPORTED for one that may not be left out.
    """
    asked = sampling.reasoning_effort
    effort = facts.nearest_effort(asked) if asked else ""
    left_out = {
        name: getattr(_DEFAULT_SAMPLING, name)
        for name in _REFUSABLE_FIELDS
        if getattr(sampling, name) not in (None, ())
        and not facts.takes_sampling(name, effort)
        and not policy.sends(name, f"input.sampling.{name}", "is not taken by this model")
    }
    if effort != asked:
        policy.drop(f"reasoning_effort={asked}")
        left_out["reasoning_effort"] = effort
    return msgspec.structs.replace(sampling, **left_out) if left_out else sampling
