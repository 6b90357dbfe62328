"""What the configuration says of answers that are to be JSON, as the domain knows it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from penstock_common.telemetry import semconv
from penstock_common.telemetry.metrics import Counters
from penstock_gateway.adapters.json_schema import schema_of
from penstock_gateway.domain.structured.terms import StructuredOutput, Terms, Told
from penstock_gateway.settings import Settings


def schema_terms_by_name(settings: Settings) -> dict[str, Terms]:
    """Return what holds for the public models that have ``structured_output``, by their names."""
    said = ((one.name, one.structured_output) for one in settings.models)
    return {name: Terms(one.repairs) for name, one in said if one is not None}


def structured_output_for(settings: Settings, registry: CollectorRegistry) -> StructuredOutput:
    """Return what answers are checked with; what becomes of each is counted."""
    answers = structured_answers(registry)

    def note(model: str, outcome: Told) -> None:
        answers.add((model, outcome.value))

    return StructuredOutput(schema_terms_by_name(settings), schema_of, note)


def structured_answers(registry: CollectorRegistry) -> Counters:
    """Return the counters of answers that were to be JSON."""
    told = "Answers that were to be JSON, by what became of them."
    return Counters(registry, semconv.METRIC_STRUCTURED_ANSWERS, told, ("model", "outcome"))
