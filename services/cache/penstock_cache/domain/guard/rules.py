"""What forbids a hit, rule by rule; each speaks for itself and returns what it objects to, or None."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import NamedTuple

from penstock_cache.domain.guard.comparison import Comparison, Edit, squeezed
from penstock_cache.domain.guard.facts import Facts, facts_of, line_of, missing_numbers
from penstock_cache.domain.guard.text import Word, has_no_spaces, is_misspelling, is_mixed, stem
from penstock_cache.domain.guard.tongue import tongue_of
from penstock_cache.domain.guard.verdict import Reason
from penstock_cache.domain.guard.vocabulary import (
    ALL_PREPOSITIONS,
    AVOIDANCES,
    BACK_REFERENCES,
    COMMUTATIVE,
    CONDITIONS,
    FIRM_PREPOSITIONS,
    MEASURES,
    MODALS,
    NEGATIVE_PREFIXES,
    OPPOSITES,
    PREPOSITIONS,
    QUESTIONS,
    TENSES,
)

_ASKED_BY_WHICH = frozenset(("why", "when", "where", "how"))
# From this share of common words on, in order, the question itself is the same one.
VERBATIM_RATIO = 0.85
# Below this share of common words, in order, an opposite may belong to another statement.
ALIKE_RATIO = 0.3
HALF_RATIO = 0.5
TURNED_NAMES = 2
SHORTEST_DENIED = 4
# Texts whose turned part is longer say the same in another order, or something else altogether.
MAX_TURNED_WORDS = 30
_NOTHING: frozenset[str] = frozenset()
_AND_OR = {"and", "or"}
_ARTICLES = frozenset(("a", "an", "the"))
_PRONOUNS = {"me": "i", "them": "they", "him": "he", "us": "we"}


class Objection(NamedTuple):
    """What differs, as a reason and for people."""

    reason: Reason
    detail: str


def objections(whole: Comparison, core: Comparison) -> list[Objection]:
    """Return every rule's objection, the weightiest kind first."""
    found = [rule(whole, core) for rule in _RULES]
    return [objection for objection in found if objection is not None]


def _language(whole: Comparison, core: Comparison) -> Objection | None:
    stored, asked = whole.stored.languages, whole.asked.languages
    if stored != asked and ((stored and asked) or core.is_near):
        return Objection("language", _change(stored, asked))
    one, other = tongue_of(whole.stored.words), tongue_of(whole.asked.words)
    return Objection("language", f"{one} → {other}") if one and other and one != other else None


def _number(whole: Comparison, core: Comparison) -> Objection | None:
    if core.stored.marked != core.asked.marked and core.is_near:
        return Objection("number", _change(core.stored.marked, core.asked.marked))
    one = missing_numbers(core.stored.numbers, whole.asked.numbers)
    other = missing_numbers(core.asked.numbers, whole.stored.numbers)
    if not _is_telling(core, one, other):
        stored, asked = whole.stored.formulas, whole.asked.formulas
        return Objection("number", _change(stored, asked)) if stored and asked and stored != asked else None
    is_version = all(number.is_version for number in (*one, *other))
    is_unit = {number.value for number in one} == {number.value for number in other} and one
    reason: Reason = "unit" if is_unit else "version" if is_version else "number"
    return Objection(reason, _change(map(str, one), map(str, other)))


def _date(whole: Comparison, core: Comparison) -> Objection | None:
    one, other = core.stored.dates - whole.asked.dates, core.asked.dates - whole.stored.dates
    return Objection("date", _change(one, other)) if _is_telling(core, one, other) else None


def _tense(whole: Comparison, core: Comparison) -> Objection | None:
    for edit in core.edits if core.is_near else ():
        stored, asked = _tenses(edit.stored), _tenses(edit.asked)
        if stored and asked and not stored & asked:
            return Objection("date", _change((_shown(edit.stored),), (_shown(edit.asked),)))
    return None


def _tenses(words: Iterable[Word]) -> set[str]:
    return {TENSES[word.text] for word in words if word.text in TENSES}


def _is_telling(core: Comparison, one: Collection[object], other: Collection[object]) -> bool:
    """Return whether each text has what the other lacks; in nearly equal ones it is enough that one lacks it."""
    return bool(one and other) or (bool(one or other) and core.is_near and _is_of_edits(core))


def _unit(whole: Comparison, core: Comparison) -> Objection | None:
    one, other = core.stored.units - core.asked.units, core.asked.units - core.stored.units
    dimensions = {dimension for dimension, _ in one} & {dimension for dimension, _ in other}
    is_temperature = {dimension for dimension, _ in one | other} == {"celsius", "fahrenheit"}
    if one and other and (dimensions or is_temperature or core.is_near):
        return Objection("unit", _change((f"{d} {s}" for d, s in one), (f"{d} {s}" for d, s in other)))
    return None


def _is_of_edits(comparison: Comparison) -> bool:
    """Return whether what differs stands within the text rather than before it."""
    return any(not edit.is_before for edit in comparison.edits)


def _entity(whole: Comparison, core: Comparison) -> Objection | None:
    disguised = {word.shown for facts in (whole.stored, whole.asked) for word in facts.words if is_mixed(word.text)}
    if disguised and {word.shown for word in whole.stored.words} != {word.shown for word in whole.asked.words}:
        return Objection("entity", f"letters of several scripts: {', '.join(sorted(disguised))}")
    one, other = _unquoted(whole.stored, whole.asked), _unquoted(whole.asked, whole.stored)
    if one and other and core.overlap >= HALF_RATIO:
        return Objection("entity", _change(one, other))
    if (objection := _told(whole) or _signs(core)) is not None:
        return objection
    one, other = core.stored.codes - whole.asked.codes, core.asked.codes - whole.stored.codes
    one = {code for code in one if code not in whole.asked.joined}
    other = {code for code in other if code not in whole.stored.joined}
    if one and other and core.overlap >= HALF_RATIO:
        return Objection("entity", _change(one, other))
    if not core.is_near:
        return None
    for edit in core.edits:
        stored, asked = _names(edit.stored, whole.asked), _names(edit.asked, whole.stored)
        if stored and asked:
            return Objection("entity", _change(stored, asked))
    return None


def _signs(core: Comparison) -> Objection | None:
    """Object to other signs between words that are nearly the same: x > 5, x < 5; ls -l, ls -L."""
    one, other = core.stored.signs - core.asked.signs, core.asked.signs - core.stored.signs
    if core.is_near and ((one and core.asked.signs) or (other and core.stored.signs)):
        return Objection("entity", _change(one, other))
    lonely = [
        [word.shown for word in words if has_no_spaces(word.text)] for words in (core.only_stored, core.only_asked)
    ]
    return Objection("entity", _change(*lonely)) if all(lonely) and core.stored.stems & core.asked.stems else None


def _told(whole: Comparison) -> Objection | None:
    """Object to one task for two texts: "Translate into Dutch: …"."""
    task, stored, asked = whole.stored.task, whole.stored.told, whole.asked.told
    if not task or task != whole.asked.task or not (stored and asked):
        return None
    told = Comparison(facts_of(stored), facts_of(asked))
    if told.only_stored or told.only_asked:
        return Objection("entity", f"{_shown(told.only_stored) or '–'} → {_shown(told.only_asked) or '–'}")
    return None


def _unquoted(facts: Facts, other: Facts) -> set[str]:
    """Return which quotes the other text has nowhere."""
    return {quote for quote in facts.quotes - other.quotes if line_of(quote) not in other.line}


def replaced(core: Comparison) -> list[tuple[str, str]]:
    """Return which content words stand for which others in two nearly equal texts."""
    if not core.is_near:
        return []
    lonely, others = set(core.only_stored), set(core.only_asked)
    return [
        (_shown(edit.stored), _shown(edit.asked))
        for edit in core.edits
        if lonely.intersection(edit.stored) and others.intersection(edit.asked)
    ]


def _names(words: Iterable[Word], other: Facts) -> list[str]:
    return [word.shown for word in words if word.is_name and word.is_content and squeezed((word,)) not in other.joined]


def moved_prepositions(core: Comparison) -> int:
    """Return how many prepositions stand for others in two nearly equal texts."""
    return sum(
        any(word.text in PREPOSITIONS for word in edit.stored) and any(word.text in PREPOSITIONS for word in edit.asked)
        for edit in (core.edits if core.is_near else ())
    )


def _direction(whole: Comparison, core: Comparison) -> Objection | None:
    turned = (core.stored.sources & core.asked.targets) | (core.stored.targets & core.asked.sources)
    kept = (core.stored.sources & core.asked.sources) | (core.stored.targets & core.asked.targets)
    if len(turned) >= TURNED_NAMES and not turned & kept:
        return Objection("direction", " ⇄ ".join(sorted(turned)))
    return _recounted(whole) or _related(core) or _swap(core) or (None if whole is core else _swap(whole))


def _related(core: Comparison) -> Objection | None:
    """Object to another relation between the same words: near the town, outside the town; this and that, this or that."""
    for edit in core.edits if core.is_near else ():
        stored, asked = {word.text for word in edit.stored}, {word.text for word in edit.asked}
        one, other = stored & ALL_PREPOSITIONS, asked & ALL_PREPOSITIONS
        is_other_place = one and other and not one & other and (one | other) & FIRM_PREPOSITIONS
        if is_other_place or {"".join(stored), "".join(asked)} == _AND_OR:
            return Objection("direction", f"{_shown(edit.stored)} → {_shown(edit.asked)}")
    return None


def _recounted(whole: Comparison) -> Objection | None:
    """Object to two numbers that have exchanged what they count."""
    stored, asked = whole.stored.counted, whole.asked.counted
    for number, noun in stored - asked:
        others = {other for other, same in asked if same == noun} - {number}
        if any((other, moved) in stored and (number, moved) in asked for other in others for _, moved in stored):
            return Objection("direction", f"{number:g} {noun} → {min(others):g} {noun}")
    return None


def _swap(comparison: Comparison) -> Objection | None:
    """Object to two edits that exchange their words around words that are no mere "and"."""
    stored, asked = _keys(comparison.stored), _keys(comparison.asked)
    if sorted(stored) != sorted(asked) or stored == asked:
        return None
    start = next(at for at, (one, other) in enumerate(zip(stored, asked, strict=True)) if one != other)
    end = len(stored) - next(
        at for at, (one, other) in enumerate(zip(reversed(stored), reversed(asked), strict=True)) if one != other
    )
    old, new = stored[start:end], asked[start:end]
    if len(old) > MAX_TURNED_WORDS:
        return None
    for first in range(1, len(old)):
        for last in range(1, len(old) - first + 1):
            middle = old[first : len(old) - last]
            if new == old[len(old) - last :] + middle + old[:first] and not _commutes(middle):
                return Objection("direction", f"{' '.join(old)} → {' '.join(new)}")
    return None


def _keys(facts: Facts) -> list[str]:
    return [_PRONOUNS.get(word.text, word.stem) for word in facts.words if word.text not in _ARTICLES]


def _commutes(middle: list[str]) -> bool:
    return not middle or set(middle) <= COMMUTATIVE


def _negation(whole: Comparison, core: Comparison) -> Objection | None:
    if not core.is_near or (core.stored.negations - core.asked.negations) % 2 == 0:
        return None
    return Objection("negation", f"{core.stored.negations} → {core.asked.negations}")


def _comparative(whole: Comparison, core: Comparison) -> Objection | None:
    stored = {word.text for word in core.stored.words} | {word.stem for word in core.stored.words}
    asked = {word.text for word in core.asked.words} | {word.stem for word in core.asked.words}
    for one, other in _opposites(stored - asked, asked - stored, is_near=core.is_near):
        is_turned_twice = one in asked or other in stored
        is_alike = core.is_near if {one, other} & PREPOSITIONS else core.overlap >= ALIKE_RATIO
        if is_alike and not is_turned_twice:
            return Objection("comparative", f"{one} → {other}")
    return None


def _opposites(stored: set[str], asked: set[str], *, is_near: bool) -> Iterator[tuple[str, str]]:
    partners = _partners()
    for word in sorted(stored):
        for other in partners.get(word, _NOTHING) & asked:
            yield word, other
    for word in sorted(stored | asked) if is_near else ():
        bare = _without_negative_prefix(word, asked if word in stored else stored)
        if bare:
            yield (word, bare) if word in stored else (bare, word)
    if stored & AVOIDANCES and not asked & AVOIDANCES:
        yield "avoid", ""
    if asked & AVOIDANCES and not stored & AVOIDANCES:
        yield "", "avoid"


@cache
def _partners() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for one, other in OPPOSITES:
        for word, partner in ((one, other), (other, one)):
            for form in (word, stem(word)):
                found.setdefault(form, set()).update((partner, stem(partner)))
    return {word: frozenset(partners) for word, partners in found.items()}


def _without_negative_prefix(word: str, others: set[str]) -> str:
    """Return the word that it denies, if that is among the others: "invalid" denies "valid"."""
    for prefix in NEGATIVE_PREFIXES:
        bare = word.removeprefix(prefix)
        if bare != word and len(bare) >= SHORTEST_DENIED and bare in others:
            return bare
    return ""


def _quantifier(whole: Comparison, core: Comparison) -> Objection | None:
    return _near_sets("quantifier", core, lambda facts: facts.quantifiers)


def _format(whole: Comparison, core: Comparison) -> Objection | None:
    return _near_sets("format", whole if whole.is_near else core, lambda facts: facts.formats)


def _audience(whole: Comparison, core: Comparison) -> Objection | None:
    return _near_sets("audience", whole if whole.is_near else core, lambda facts: facts.audiences)


def _near_sets(reason: Reason, comparison: Comparison, chosen: Callable[[Facts], frozenset[str]]) -> Objection | None:
    stored, asked = chosen(comparison.stored), chosen(comparison.asked)
    if stored == asked or not comparison.is_near or not _is_of_edits(comparison):
        return None
    return Objection(reason, _change(stored - asked, asked - stored))


def _intent(whole: Comparison, core: Comparison) -> Objection | None:
    stored, asked = _modal_of(core.stored), _modal_of(core.asked)
    if stored and asked and stored != asked and core.is_near:
        return Objection("intent", f"{stored} → {asked}")
    stored, asked = question_of(core.stored), question_of(core.asked)
    if not (stored and asked and stored != asked and core.is_near):
        return None
    if "which" in {stored, asked} and {stored, asked} & _ASKED_BY_WHICH:
        return None
    return Objection("intent", f"{stored} → {asked}")


def _modal_of(facts: Facts) -> str:
    """Return whether it asks what may be, must be or is; empty where it asks otherwise, or asks you to answer."""
    texts = [word.text for word in facts.words[:2]]
    return MODALS.get(texts[0], "") if len(texts) > 1 and texts[1] != "you" else ""


def question_of(facts: Facts) -> str:
    """Return which kind of question it asks; empty where it begins with none."""
    texts = [word.text for word in facts.words[:7]]
    for at, text in enumerate(texts):
        if text in QUESTIONS:
            following = texts[at + 1] if at + 1 < len(texts) else ""
            return f"how {following}" if text == "how" and following in MEASURES else QUESTIONS[text]
        if text in TENSES and at == 0:
            return "whether"
    return ""


def _scope(whole: Comparison, core: Comparison) -> Objection | None:
    for comparison in (core, whole):
        if not comparison.is_near or comparison.overlap < VERBATIM_RATIO:
            continue
        added = [edit for edit in comparison.edits if _adds(edit)]
        if added and not all(edit.is_before for edit in added):
            edit = next(edit for edit in added if not edit.is_before)
            return Objection("scope", _change((_shown(edit.stored),), (_shown(edit.asked),)))
    return None


def _condition(whole: Comparison, core: Comparison) -> Objection | None:
    """Object to a question that stayed, where what stands before it changes what is asked."""
    if whole is core or core.overlap < VERBATIM_RATIO:
        return None
    for edit in core.edits:
        back = [word.shown for side in (edit.stored, edit.asked) for word in side if word.text in BACK_REFERENCES]
        if back:
            return Objection("scope", f"refers back: {back[0]}")
    states = [{word.text for word in facts.words if word.text in CONDITIONS} for facts in (whole.stored, whole.asked)]
    return Objection("scope", _change(*states)) if states[0] != states[1] else None


def _adds(edit: Edit) -> bool:
    """Return whether content stands on one side of the edit and none on the other."""
    if len(edit.stored) == len(edit.asked) and all(
        is_misspelling(one.text, other.text) for one, other in zip(edit.stored, edit.asked, strict=True)
    ):
        return False
    stored, asked = (any(word.is_content for word in side) for side in (edit.stored, edit.asked))
    return stored != asked


def _shown(words: Iterable[Word]) -> str:
    return " ".join(word.shown for word in words)


def _change(stored: Iterable[str], asked: Iterable[str]) -> str:
    return f"{', '.join(sorted(stored)) or '–'} → {', '.join(sorted(asked)) or '–'}"


_RULES: tuple[Callable[[Comparison, Comparison], Objection | None], ...] = (
    _language, _number, _unit, _date, _tense, _entity, _direction, _negation, _comparative, _quantifier, _format,
    _audience, _intent, _scope, _condition,
)  # fmt: skip
