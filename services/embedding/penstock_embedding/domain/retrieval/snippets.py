"""The sentence of a chunk that a question is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from penstock_common.contract.knowledge import Chunk
from penstock_embedding.domain.knowledge.ports import Terms
from penstock_embedding.domain.retrieval.analysis import query_terms, terms_among
from penstock_embedding.domain.retrieval.languages import language_of, primary
from penstock_embedding.domain.retrieval.sentences import Sentence, sentences_of

_LEAST_CHARACTERS = 20
"""Shorter ones are mostly headings: they win against what follows by more words alone."""
_SHORT = 0.7


def best_sentence(text: str, weights: Terms, language: str = "") -> Sentence:
    """Return the sentence with the rarest words of a question; the first one where none has any."""
    best, most = Sentence(0, 0), -1.0
    known = primary(language) or language_of(text)
    for sentence in sentences_of(text):
        part = text[sentence.start : sentence.end]
        score = sum(weights[term] for term in terms_among(part, known, weights))
        if len(part) < _LEAST_CHARACTERS or part.startswith("#"):
            score *= _SHORT
        if score > most:
            best, most = sentence, score
    return best


def terms_for_diversity(chunks: Iterable[Chunk]) -> Mapping[str, Terms]:
    """Return the words of each chunk, by its id."""
    return {chunk.id: query_terms(chunk.text) for chunk in chunks}
