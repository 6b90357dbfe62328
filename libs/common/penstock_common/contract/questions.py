"""What upstreams are asked that is no conversation: one question, one answer."""

from __future__ import annotations

from penstock_common.llm.types import Candidate, Plan, UnitPrices, Value
from penstock_common.priority import Priority


class RerankRequest(Value, frozen=True):
    """How well do these documents answer the query? ``top_n`` 0: all are wanted.

    ``max_tokens_per_document`` is how much of each is read, 0: as the upstream does.
    """

    query: str
    documents: tuple[str, ...]
    plan: Plan
    top_n: int = 0
    max_tokens_per_document: int = 0
    priority: Priority = Priority.DEFAULT


class RankedDocument(Value, frozen=True):
    """A document by its index in the request, and its score as the upstream said it."""

    index: int
    score: float


class AnsweredQuestion(Value, frozen=True):
    """Who answered, and what is owed: for tokens, and for Cohere's search units (a query with up to a hundred documents)."""

    answered_by: Candidate
    input_tokens: int = 0
    is_estimated: bool = False
    search_units: int = 0
    unit_prices: UnitPrices = UnitPrices()
    cost_nano_usd: int = 0
    attempts: int = 1


class RerankResponse(Value, frozen=True):
    """The documents that were wanted, the best first; equal ones in the order of the request."""

    ranked: tuple[RankedDocument, ...]
    answered: AnsweredQuestion


class ModeratedText(Value, frozen=True, tag="text"):
    """A text."""

    text: str


class ModeratedImage(Value, frozen=True, tag="image"):
    """An image by its https: or data: URL."""

    url: str


ModeratedPart = ModeratedText | ModeratedImage


class ModeratedContent(Value, frozen=True):
    """What one verdict is about: one text, or, with ``is_parts``, parts that are judged together."""

    parts: tuple[ModeratedPart, ...]
    is_parts: bool = False


class ModerateRequest(Value, frozen=True):
    """What is objectionable about these? Each is judged by itself."""

    contents: tuple[ModeratedContent, ...]
    plan: Plan
    priority: Priority = Priority.DEFAULT


class VerdictCategory(Value, frozen=True):
    """How far a content is in a category, by the upstream's word; ``input_types``: what of it was judged."""

    name: str
    flagged: bool
    score: float
    input_types: tuple[str, ...] = ()


class Verdict(Value, frozen=True):
    """What is objectionable about one content, categories in the upstream's order."""

    flagged: bool
    categories: tuple[VerdictCategory, ...] = ()


class ModerateResponse(Value, frozen=True):
    """A verdict of each content, in their order; ``model`` is the upstream's own name of what judged."""

    verdicts: tuple[Verdict, ...]
    model: str
    answered: AnsweredQuestion
