"""The language of a prompt, by the library that the router ships with."""

import json
from collections import Counter
from pathlib import Path

import pytest
from py3langid import langid

from penstock_common.languages import LANGUAGES
from penstock_router.adapters.language import language_reader

PROMPTS = Path(__file__).parents[3] / "tools/train_router/data"


@pytest.fixture(scope="module")
def reader():
    return language_reader()


def test_prompts_of_eighteen_languages_are_told_apart(reader):
    seen, wrong = Counter(), Counter()
    for path in PROMPTS.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            one = json.loads(line)
            language = one.get("language", "en")
            seen[language] += 1
            wrong[language] += reader.language_of(one["prompt"]) != language
    assert len(seen) == 18
    assert sum(wrong.values()) <= 0.02 * sum(seen.values())
    # Swedish and Norwegian are near each other, and there are few.
    assert all(wrong[language] <= max(0.05 * count, 4) for language, count in seen.items())


@pytest.mark.parametrize(
    "text",
    ["", "42", "ok", "👍", "1 + 1 = ?", "def f(x):\n    return x + 1", "for i in range(10): print(i)", '{"a": [1, 2]}'],
)
def test_what_is_in_no_language_tells_none(reader, text):
    assert reader.language_of(text) == ""


def test_a_long_text_is_told_by_its_beginning(reader):
    german = "Warum dauert der Bau meines Hauses so lange, und wer haftet dafür? " * 15
    assert reader.language_of(german + "why does it take so long " * 10_000) == "de"


def test_the_languages_that_rules_may_name_are_known_to_the_library(reader):
    everything = langid.LanguageIdentifier.from_modelpath(Path(langid.__file__).parent / langid.MODEL_FILE)
    assert set(everything.nb_classes) >= LANGUAGES


def test_a_reload_reads_no_model_again(reader):
    assert language_reader() is reader
