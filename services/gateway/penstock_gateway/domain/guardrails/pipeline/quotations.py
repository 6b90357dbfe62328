"""What an answer quotes beside its text: where it was found, and its words."""

from __future__ import annotations

from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding
from penstock_gateway.domain.guardrails.pipeline.json_texts import values_of, with_originals
from penstock_gateway.domain.guardrails.pipeline.lane import Verdicts
from penstock_gateway.domain.guardrails.pipeline.looks import Looks
from penstock_gateway.domain.guardrails.pipeline.rule import Surface
from penstock_gateway.domain.guardrails.pipeline.texts import is_quoted


def quoted(citations_json: str) -> str:
    """Return what citations say."""
    return "\n".join(text for _, _, text in values_of(citations_json, is_quoted))


class Quotations:
    """The citations of an answer, as the caller may see them."""

    def __init__(self, guarding: Guarding, verdicts: Verdicts) -> None:
        self._guarding = guarding
        self._looks = Looks(guarding, verdicts, Surface.OUTPUT)
        rules = guarding.held.output.get(Surface.OUTPUT, ())
        # What needs the whole answer has seen them by then, and how long an answer is is told by its text.
        self._rules = [rule for rule in rules if rule.reads_reasoning and not (rule.enforces and rule.needs_all)]

    async def seen(self, citations_json: str) -> str:
        """Return citations as they may be seen.

        Raises:
            AnswerRefused: if a rule ends the answer.
        """
        for rule in self._rules:
            citations_json = await self._looks.in_strings(rule, citations_json, is_quoted)
        return with_originals(citations_json, self._guarding.pseudonyms.originals)
