"""A thousand texts of many kinds: made by a generator whose seed is fixed, from words and signs of this file."""

from __future__ import annotations

import random

SEED = 20_261_121
COUNT = 1000

_WORDS = {
    "english": "river gateway token budget cat sleeps while invoice refuses quickly seven policies because nobody asked "
    "whether cheaper mountains could translate slow questions into answers",
    "german": "Straße Übergang Schlüssel größer weil niemand Donaudampfschifffahrt kostet fünf Äpfel heißen Prüfung",
    "french": "l'été café naïve garçon où déjà être façade cœur élève aujourd'hui",
    "spanish": "mañana corazón ¿cuándo? niño aquí también había ¡rápido!",
    "polish": "zażółć gęślą jaźń źródło świątynia",
    "turkish": "İstanbul ığdır çözüm göğüs şeker",
    "vietnamese": "tiếng Việt đường phố người học",
    "russian": "река шлюз стоимость сегодня никто не спросил почему дешевле",
    "greek": "ποτάμι πύλη κόστος σήμερα γιατί",
    "arabic": "نهر بوابة تكلفة اليوم لماذا لا",
    "hebrew": "נהר שער עלות היום למה",
    "hindi": "नदी द्वार लागत आज क्यों नहीं",
    "thai": "แม่น้ำ ประตู ราคา วันนี้ ทำไม",
    "chinese": "水力 发电站 为什么 今天 没有 人 询问 便宜",
    "japanese": "水門 は なぜ 今日 カタカナ ひらがな 安い です か",
    "korean": "강 문 비용 오늘 왜 아무도 묻지",
}
_EMOJI = "🙂 🚀 👩🏽‍💻 🇩🇪 ❤️ 🧪 🏳️‍🌈 👨‍👩‍👧 ✅ ½ ™ → ≥ ∑ √2 ﬁ Ａ"
_CODE = (
    "def f(x): return x[{n}] + 1  # why?",
    "SELECT a, b FROM t{n} WHERE id = {n} AND name LIKE '%x%';",
    "for (int i = 0; i < {n}; ++i) {{ sum += a[i]; }}",
    '{{"id": {n}, "tags": ["a", null, true], "price": {n}.50}}',
    "curl -X POST http://127.0.0.1:80{n}/v1 -H 'X-Key: {n}' | jq .",
    "^[a-z]{{2,{n}}}\\d+$",
    "<div class='c{n}'>&amp; &lt;b&gt;</div>",
    "git rebase -i HEAD~{n} && make -j{n}",
)
_NUMBERS = ("{n}", "{n},250.50 EUR", "-{n}.{n}e-{n}", "0x{n}f", "{n}:{n}:30", "2024-0{n}-1{n}", "+49 {n}0 1{n}3{n}")
_NEARLY_EMPTY = ("a", "?", "\t\n", "🙂", "...", "1", " x ", "é", "水", "--", "\u200b", "&")


def varied_texts() -> list[str]:
    """Return the texts, none empty and no two equal."""
    chance = random.Random(SEED)
    made: dict[str, None] = dict.fromkeys(_NEARLY_EMPTY)
    kinds = (_single_word, _sentence, _mixed_scripts, _code, _numbers, _paragraph, _beyond_the_window, _shouted)
    while len(made) < COUNT:
        made[kinds[len(made) % len(kinds)](chance)] = None
    return list(made)


def nearly_empty() -> int:
    """Return how many texts, the first ones, hold next to nothing."""
    return len(_NEARLY_EMPTY)


def _single_word(chance: random.Random) -> str:
    word = chance.choice(" ".join(_WORDS.values()).split())
    return word + chance.choice(("", "", "s", str(chance.randrange(100)), "-" + word))


def _words(chance: random.Random, language: str, count: int) -> str:
    return " ".join(chance.choices(_WORDS[language].split(), k=count))


def _sentence(chance: random.Random) -> str:
    return _words(chance, chance.choice(list(_WORDS)), chance.randrange(3, 20)).capitalize() + chance.choice(".?!")


def _mixed_scripts(chance: random.Random) -> str:
    parts = [_words(chance, language, chance.randrange(1, 5)) for language in chance.sample(list(_WORDS), 3)]
    return f" {chance.choice(_EMOJI.split())} ".join(parts)


def _code(chance: random.Random) -> str:
    lines = chance.sample(_CODE, chance.randrange(1, 4))
    return "\n".join(line.format(n=chance.randrange(2, 90)) for line in lines)


def _numbers(chance: random.Random) -> str:
    return " ".join(text.format(n=chance.randrange(1, 10)) for text in chance.sample(_NUMBERS, chance.randrange(1, 5)))


def _paragraph(chance: random.Random) -> str:
    return " ".join(_sentence(chance) for _ in range(chance.randrange(3, 9)))


def _beyond_the_window(chance: random.Random) -> str:
    return " ".join(_sentence(chance) for _ in range(chance.randrange(15, 60)))


def _shouted(chance: random.Random) -> str:
    return _words(chance, "english", chance.randrange(1, 8)).upper() + "!" * chance.randrange(1, 6)
