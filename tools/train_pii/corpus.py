"""Makes the texts that train the detector of names: the author's templates, filled with lists of names and words."""

from __future__ import annotations

import importlib
import pkgutil
import random
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
_SLOT = re.compile(r"\{([A-Za-z#])(\d?)\}")
LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "ru")
_LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ\u1e00-\u1eff '\-]{2,24}$")
_CYRILLIC = re.compile(r"[\u0400-\u052f\-]{2,24}$")


_MONTHS = {
    "en": "January February March April May June July August September October November December Jan Feb Aug Sept Oct Nov Dec",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "de\u00a0enero de\u00a0mayo de\u00a0agosto",
}


_LISTED = {"B": "brands", "P": "places", "M": "days", "G": "nationalities"}
_SIGNS = "abcdefghkmnpqrstuvwxyzABCDEFGHKLMNPQRSTUVWXYZ23456789"


class Names(NamedTuple):
    """First and last names of a locale."""

    first: list[str]
    last: list[str]


def names_by_locale() -> dict[str, Names]:
    """Return the names that Faker has (MIT licence), in scripts with capitals."""
    import faker.providers.person as persons

    found: dict[str, Names] = {}
    for module in pkgutil.iter_modules(persons.__path__):
        provider = importlib.import_module(f"faker.providers.person.{module.name}").Provider
        first, last = set[str](), set[str]()
        for attribute in dir(provider):
            if not re.search(r"first_name|last_name|surname", attribute) or re.search("format|pair", attribute):
                continue
            listed = getattr(provider, attribute)
            if isinstance(listed, (list, tuple, dict)):
                names = [one for one in listed if isinstance(one, str) and (_LATIN.match(one) or _CYRILLIC.match(one))]
                (first if "first" in attribute else last).update(one.strip() for one in names)
        if len(first) > 30 and len(last) > 15:
            found[module.name] = Names(sorted(first), sorted(last))
    return found


def word_lists() -> dict[str, list[str]]:
    """Return the author's lists."""
    said = tomllib.loads((HERE / "words.toml").read_text(encoding="utf-8"))
    return {name: value.split("|") if name == "company_ends" else value.split() for name, value in said.items()}


class Filler:
    """Fills templates; ``held`` are names that the model of letters has not seen."""

    def __init__(self, locales: dict[str, Names], common: dict[str, list[str]], dice: random.Random) -> None:
        self.locales, self.common, self.dice = locales, common, dice
        self.words = word_lists()
        self.by_language: dict[str, list[Names]] = defaultdict(list)
        for locale, names in locales.items():
            self.by_language[locale[:2]].append(names)
        self.latin = [names for names in locales.values() if _LATIN.match(names.first[0])]

    def names(self, language: str) -> Names:
        """Return the names of a locale, of the language's own in two of five cases."""
        if language == "ru":
            return self.dice.choice(self.by_language["ru"] * 3 + self.by_language["bg"] + self.by_language["uk"])
        own = self.by_language.get(language)
        return self.dice.choice(own) if own and self.dice.random() < 0.4 else self.dice.choice(self.latin)

    def full(self, language: str) -> str:
        """Return a whole name, as people write theirs."""
        names, dice = self.names(language), self.dice
        first, last = dice.choice(names.first), dice.choice(names.last)
        form = dice.random()
        if form < 0.62:
            return f"{first} {last}"
        if form < 0.70:
            return f"{first} {dice.choice(names.first)} {last}"
        if form < 0.78:
            return f"{first} {last}-{dice.choice(names.last)}"
        if form < 0.84:
            return f"{first} {last} {dice.choice(names.last)}"
        if form < 0.88:
            return f"{first[0]}. {last}"
        if form < 0.92:
            return f"{first} {dice.choice('ABCDEFGHJKLMNPRSTW')}. {last}"
        if form < 0.95:
            return f"{first} {dice.choice(('van', 'de', 'von', 'del', 'da', 'bin', 'Le', 'De', 'Mc'))} {last}".replace(
                "Mc ", "Mc"
            )
        return first if form < 0.98 else last

    def company(self) -> str:
        """Return a company's name, in one of two cases with a family's."""
        dice = self.dice
        names = dice.choice(self.latin)
        head = dice.choice(self.words["company_heads"]) if dice.random() < 0.5 else dice.choice(names.last)
        if dice.random() < 0.3:
            head += " " + dice.choice(self.words["company_heads"])
        if dice.random() < 0.12:
            return f"{head} & {dice.choice(self.dice.choice(self.latin).last)}"
        return f"{head} {dice.choice(self.words['company_ends'])}"

    def value(self, slot: str, language: str) -> tuple[str, bool]:
        """Return what a slot becomes, and whether that is a person."""
        dice, names = self.dice, self.names(language)
        if slot == "N":
            return self.full(language), True
        if slot in "FfLUI":
            name = dice.choice(names.first if slot in "Ff" else names.last)
            return {"f": name.lower(), "U": name.upper(), "I": name[0] + "."}.get(slot, name), True
        if slot in _LISTED:
            return dice.choice(self.words[_LISTED[slot]]), False
        if slot == "C":
            return self.company(), False
        if slot == "d":
            return self.written_date(language), False
        return (self.word(slot, language) if slot in "AKWw" else self.number(slot)), False

    def word(self, slot: str, language: str) -> str:
        """Return a secret (K), an acronym (A), or a common word, with a capital (W) or without."""
        dice = self.dice
        if slot == "K":
            return "".join(dice.choices(_SIGNS, k=dice.randint(9, 30))) + str(dice.randint(10, 99))
        if slot == "A":
            made = "".join(dice.choices("ABCDEFGHIKLMNOPRSTUVWXZ", k=dice.randint(2, 5)))
            return dice.choice(self.words["acronyms"]) if dice.random() < 0.5 else made
        word = dice.choice(self.common.get(language, self.common["en"]))
        if slot == "w":
            return word.lower()
        if language in {"en", "de"} and dice.random() < 0.6:
            return dice.choice(self.words["german" if language == "de" else "english"])
        return word[0].upper() + word[1:]

    def written_date(self, language: str) -> str:
        """Return a date with its month as a word, with or without a year."""
        dice, day = self.dice, self.dice.randint(1, 28)
        month = dice.choice(_MONTHS.get(language, _MONTHS["en"]).split())
        dated = (
            f"{day}. {month}"
            if language == "de"
            else f"{month} {day}"
            if language == "en" and dice.random() < 0.3
            else f"{day} {month}"
        )
        return dated + (f" {dice.randint(1950, 2032)}" if dice.random() < 0.5 else "")

    def number(self, slot: str) -> str:
        """Return a mail address (E), a telephone number (H), a date (D), an address (S) or a number."""
        dice = self.dice
        if slot == "E":
            names = dice.choice(self.latin)
            local = re.sub(r"[^a-z]", "", dice.choice(names.first).lower()) or "info"
            return f"{local}.{dice.randint(1, 99)}@{dice.choice(('mail', 'post', 'firm'))}.example"
        if slot == "H":
            return dice.choice(
                ("+44 1632 960{}", "01632 960 {}", "+49 30 23125 {}", "06 39 98 {} 10", "555-0{}")
            ).format(dice.randint(100, 199))
        if slot == "D":
            return f"{dice.randint(1, 28):02d}.{dice.randint(1, 12):02d}.{dice.randint(1950, 2032)}"
        if slot == "S":
            return dice.choice(
                ("{} Long Lane, Marsh End", "Ringweg {}, 20999 Nordheim", "{}, rue du Port, 29999 Plouvan")
            ).format(dice.randint(1, 99))
        return dice.choice((str(dice.randint(1, 99999)), f"{dice.randint(10, 99)}-{dice.randint(100, 9999)}"))

    def filled(self, template: str, language: str) -> tuple[str, list[tuple[int, int]]]:
        """Return a text and where its persons are."""
        text, spans, last = "", [], 0
        for match in _SLOT.finditer(template):
            text += template[last : match.start()]
            value, is_person = self.value(match[1], language)
            if is_person:
                spans.append((len(text), len(text) + len(value)))
            text += value
            last = match.end()
        return text + template[last:], spans


def templates() -> list[tuple[str, str]]:
    """Return the author's templates with their languages. A name of a company's is written {C}, or stands before its form."""
    lines = (HERE / "templates.txt").read_text(encoding="utf-8").splitlines()
    return [(line[:2], line[3:].replace("\\n", "\n")) for line in lines if line.strip() and not line.startswith("#")]


# What is a person's name in form, and a company's, a street's or a theorem's in meaning.
_NO_PERSON = re.compile(
    r"\b(GmbH|Ltd|Inc|LLP|LLC|Motors|Group|Foods|Street|Avenue|Hotel|Bridge|equation|theorem|& Sons)\b|'s (?:is a restaurant|didn't)|^Die Firma"
)


def made(filler: Filler, count: int) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return so many texts, each of one to three templates of one language, with where their persons are."""
    dice, found = filler.dice, []
    by_language: dict[str, list[str]] = defaultdict(list)
    for language, template in templates():
        by_language[language].append(template)
    weights = [len(by_language[language]) ** 0.8 for language in LANGUAGES]
    for _ in range(count):
        language = dice.choices(LANGUAGES, weights)[0]
        text, spans = "", list[tuple[int, int]]()
        for part in range(dice.choice((1, 1, 1, 2, 2, 3))):
            template = dice.choice(by_language[language])
            filled, persons = filler.filled(template, language)
            if _NO_PERSON.search(template) and "{N" not in template:
                persons = []
            text += "" if not part else dice.choice((" ", "\n", "\n\n"))
            spans += [(start + len(text), end + len(text)) for start, end in persons]
            text += filled
        found.append((text, spans))
    return found
