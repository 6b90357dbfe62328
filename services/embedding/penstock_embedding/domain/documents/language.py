"""Tells a text's language by its script and its most frequent small words: enough to choose how its words are stemmed."""

from __future__ import annotations

import re
from collections import Counter

_LOOKED_AT = 4_000
_FEWEST_LETTERS = 12
_FEWEST_HITS = 3
_LEAD = 1.15
"""How far the best must be before the second, as a factor; closer ones cannot be told apart."""

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\u1100-\u11ff\uac00-\ud7af]")),
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
)
_LETTERS = re.compile(r"[^\W\d_]")
_WORDS = re.compile(r"[^\W\d_]+")
_KANA_PART = 0.05
"""Japanese has Chinese characters, too; so much kana among them tells it."""

_SMALL_WORDS = {
    "en": "the of and to in is that for it with as was on are be by this not or from at which have an you if",
    "de": "der die und das den von zu mit sich des auf ist für im dem nicht ein eine als auch werden aus bei wird sind",
    "fr": "le la les de des et du en un une que est pour dans qui sur au par pas plus ce avec sont il aux ne cette",
    "es": "el la los de las que y en del un una por con para se no es al como más lo su pero sus este son está",
    "it": "il di che la e un per non in è del della sono le con una si da dei alla nel più gli delle ha anche questo",
    "pt": "o a de que e do da em um para com não uma os no se na por mais as dos como mas ao ou são das foi também",
    "nl": "de het een van en in is dat op te voor met niet zijn aan er om ook als bij door naar uit wordt deze maar",
    "sv": "och i att en som är på det för av med den till inte ett om har de från kan eller var vi ska när",
    "da": "og i at er en det til på som af for med den der ikke et de har om kan eller fra vi ved skal blev også",
    "no": "og i er det som på en til av for at med den ikke et har de om kan eller fra vi ved skal ble også etter",
    "fi": "ja on ei se että oli ovat mutta kun niin tai myös jos kuin sen joka ole voi mukaan jälkeen sekä hän tämä",
    "hu": "a az és hogy nem is egy ez azt van meg de csak volt ha mint vagy már ki kell lehet amely szerint még el",
    "ro": "și de în a la cu pe nu că o din este care un mai pentru sau să sunt ca prin au fost după dar acest",
    "tr": "ve bir bu için ile da de olarak çok daha gibi olan ne en o kadar sonra değil her ama ya veya var göre",
    "pl": "i w na nie się z do że jest to jak o po przez od dla są oraz ale być ma lub za tym może został",
    "cs": "a v se na je že to z do s o pro jako i ale za by od po které není jsou který nebo při bude podle",
    "ru": "и в не на что с по как это из к у для от о но за же или то при его если до был так является",
    "uk": "і в не на що з до як це та у для від про за або але також є при його якщо був які щоб після",
    "bg": "и на да в се за не от с е че са по като при до или това който те след ще може беше има",
}
_LANGUAGES_OF: dict[str, list[str]] = {}
for _language, _words in _SMALL_WORDS.items():
    for _word in set(_words.split()):
        _LANGUAGES_OF.setdefault(_word, []).append(_language)


def language_of(text: str) -> str:
    """Return the BCP 47 language of most of the text, or nothing where that cannot be told."""
    sample = _sample(text)
    letters = len(_LETTERS.findall(sample))
    if letters < _FEWEST_LETTERS:
        return "" if letters == 0 else _by_script(sample, letters)
    return _by_script(sample, letters) or _by_words(sample)


def _sample(text: str) -> str:
    """Return the text's beginning, and as much of its middle."""
    if len(text) <= 2 * _LOOKED_AT:
        return text
    middle = len(text) // 2
    return f"{text[:_LOOKED_AT]} {text[middle : middle + _LOOKED_AT]}"


def _by_script(sample: str, letters: int) -> str:
    if sample.isascii():
        return ""
    counts = {language: len(script.findall(sample)) for language, script in _SCRIPTS}
    if counts["ja"] >= _KANA_PART * (counts["ja"] + counts["zh"]) > 0:
        counts["ja"] += counts.pop("zh")
    language = max(counts, key=counts.__getitem__)
    return language if counts[language] * 2 > letters else ""


def _by_words(sample: str) -> str:
    points: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for word in _WORDS.findall(sample.lower()):
        languages = _LANGUAGES_OF.get(word, ())
        for language in languages:
            hits[language] += 1
            points[language] += 1 / len(languages)  # pyright: ignore[reportArgumentType]
    ranked = sorted(points, key=lambda language: -points[language])
    if not ranked or hits[ranked[0]] < _FEWEST_HITS:
        return ""
    is_clear = len(ranked) == 1 or points[ranked[0]] >= _LEAD * points[ranked[1]]
    return ranked[0] if is_clear else ""
