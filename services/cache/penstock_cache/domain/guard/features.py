"""A comparison in numbers, for what is learned: each between 0 and about 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from penstock_cache.domain.guard.comparison import Comparison
from penstock_cache.domain.guard.facts import Facts, missing_numbers
from penstock_cache.domain.guard.lexicon import is_known
from penstock_cache.domain.guard.rules import Objection, moved_prepositions, question_of, replaced
from penstock_cache.domain.guard.text import Word

NAMES = (
    "similarity", "vetoes", "replaced", "replaced_rare", "overlap", "whole_overlap", "shared", "lonely_short", "lonely_long",
    "names_short", "names_long", "rare_short", "numbers_short", "numbers_core", "dates_short", "dates_core", "negations", "quantifiers",
    "formats", "audiences", "length_ratio", "length_short", "question", "turned", "objections", "same_order", "prepositions",
    "rest_words", "rest_names", "rest_numbers", "refers_back",
    "inversions",
)  # fmt: skip

MAX_ORDERED = 12
_BACKWARDS = frozenset(
    [
        "it",
        "its",
        "that",
        "this",
        "these",
        "those",
        "there",
        "them",
        "they",
        "such",
        "one",
        "ones",
        "so",
        "then",
        "he",
        "she",
        "him",
        "her",
    ]
)


def features_of(whole: Comparison, core: Comparison, found: Sequence[Objection], similarity: float) -> list[float]:
    """Return the features in the order of ``NAMES``."""
    short, other, lonely_short, lonely_long = _sides(core)
    long_words = max(len(whole.stored.words), len(whole.asked.words), 1)
    swaps = replaced(core)
    return [
        similarity,
        float(bool(found)),
        _few(len(swaps), 2),
        float(any(not is_known(text.lower()) for swap in swaps for text in swap)),
        core.overlap,
        whole.overlap,
        len(short.stems & other.stems) / max(len(short.stems), 1),
        _few(len(lonely_short), 4),
        _few(len(lonely_long), 8),
        _few(_names(lonely_short), 2),
        _few(_names(lonely_long), 3),
        _few(sum(not is_known(word.text) for word in lonely_short), 2),
        _few(len(missing_numbers(short.numbers, _long(whole).numbers)), 2),
        _few(len(missing_numbers(other.numbers, short.numbers)), 2),
        _few(len(short.dates - _long(whole).dates), 2),
        _few(len(other.dates - short.dates), 2),
        float((core.stored.negations - core.asked.negations) % 2),
        _differs(core, lambda facts: facts.quantifiers),
        _differs(core, lambda facts: facts.formats),
        _differs(core, lambda facts: facts.audiences),
        len(short.words) / long_words,
        min(len(short.words) / 20, 1.0),
        float(question_of(core.stored) != question_of(core.asked)),
        float(bool(core.stored.sources & core.asked.targets or core.stored.targets & core.asked.sources)),
        _few(len(found), 3),
        float(not core.edits),
        _few(moved_prepositions(core), 2),
        *_rest(whole, core),
        _inversions(core),
    ]


def _sides(core: Comparison) -> tuple[Facts, Facts, Sequence[Word], Sequence[Word]]:
    if len(core.stored.words) <= len(core.asked.words):
        return core.stored, core.asked, core.only_stored, core.only_asked
    return core.asked, core.stored, core.only_asked, core.only_stored


def _inversions(core: Comparison) -> float:
    """Return the share of the shared content words' pairs that stand the other way round."""
    places = {word.stem: at for at, word in enumerate(core.asked.words) if word.is_content}
    order = list(dict.fromkeys(places[word.stem] for word in core.stored.words if word.stem in places))[:MAX_ORDERED]
    pairs = [(one, other) for at, one in enumerate(order) for other in order[at + 1 :]]
    return sum(one > other for one, other in pairs) / len(pairs) if pairs else 0.0


def _rest(whole: Comparison, core: Comparison) -> Iterable[float]:
    """Return what stands beside the sentence that was compared: in small talk, or in a condition."""
    short, other, _, _ = _sides(core)
    beside = [word for word in _long(whole).words if word.stem not in other.stems and word.stem not in short.stems]
    names = sum(word.is_name for word in beside if word.is_content)
    numbers = missing_numbers(missing_numbers(_long(whole).numbers, other.numbers), short.numbers)
    refers = any(word.text in _BACKWARDS for word in other.words) and not any(
        word.text in _BACKWARDS for word in short.words
    )
    return _few(len(beside), 40), _few(names, 4), _few(len(numbers), 3), float(refers)


def _long(whole: Comparison) -> Facts:
    return max((whole.asked, whole.stored), key=lambda facts: len(facts.words))


def _few(count: int, enough: int) -> float:
    return min(count / enough, 1.0)


def _names(words: Iterable[Word]) -> int:
    return sum(word.is_name for word in words)


def _differs(core: Comparison, chosen: Callable[[Facts], frozenset[str]]) -> float:
    return float(chosen(core.stored) != chosen(core.asked))
