"""The classifier with the weights that are shipped: what it takes prompts for, and what it makes of what is around them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from penstock_common.contract.router import Subject
from penstock_router.domain.classification.classifier import Classifier
from penstock_router.domain.classification.features import HEAD_CHARS, figures_of, names
from penstock_router.domain.classification.lexicon import lexicon
from penstock_router.domain.classification.model import Unusable, packed, read, shipped

# None of them is in the data that the weights are trained on.
PROMPTS = (
    ("Who composed the Moonlight Sonata?", "faq", "low"),
    ("how many ounces in a pound", "faq", "low"),
    ("How do I block a number on an Android phone?", "faq", "medium"),
    ("python: check if a file exists", "code", "low"),
    ("Write a bash function that retries a command three times and waits a second in between.", "code", "medium"),
    ("Implement a connection pool in Go with health checks, metrics, graceful shutdown and integration tests.", "code", "high"),
    ("A pack of 6 eggs costs 2.10. What do 10 eggs cost?", "reasoning", "low"),
    ("Prove that the rationals are dense, discuss what carries over to integers, and why.", "reasoning", "high"),
    ("What is our policy on carrying over leave?", "internal_docs", "low"),
    ("Compare our supplier contracts with the procurement policy and list every clause that contradicts it.",
     "internal_docs", "high"),
    ("Translate 'good afternoon' into Czech.", "general", "low"),
    ("Write a friendly email to my tenants about the broken boiler.", "general", "medium"),
    ("Wer hat das Telefon erfunden?", "faq", "low"),
    ("Schreib mir bitte eine herzliche Geburtstagskarte für meinen Onkel.", "general", "medium"),
    ("Écris une fonction Python qui compte les voyelles d'une phrase.", "code", "low"),
    ("¿Cuántos días de vacaciones nos corresponden según nuestro convenio?", "internal_docs", "low"),
    ("Dimostra che la somma di due numeri pari è pari.", "reasoning", "medium"),
    ("Напиши стихотворение о дожде, три строфы.", "general", "medium"),
    ("用 Python 写一个函数,判断一个数是否为质数。", "code", "low"),
    ("当社の出張規程では、グリーン車は利用できますか?", "internal_docs", "medium"),
)  # fmt: skip


@pytest.fixture(scope="module")
def classifier():
    return Classifier()


def ask(classifier, text, vector=None, *, has_tools=False, has_images=False, **around):
    return classifier.classify(Subject(text, **around), vector, has_tools=has_tools, has_images=has_images)


def test_prompts_of_several_languages_are_taken_for_what_they_are(classifier):
    read_as = [(ask(classifier, text), task, complexity) for text, task, complexity in PROMPTS]
    wrong_tasks = [task for reading, task, _ in read_as if reading.task != task]
    wrong_complexities = [complexity for reading, _, complexity in read_as if reading.complexity != complexity]
    assert len(wrong_tasks) <= 1, wrong_tasks
    assert len(wrong_complexities) <= 3, wrong_complexities


def test_without_a_vector_of_its_size_it_goes_by_features_and_says_so(classifier):
    text = "python: check if a file exists"
    assert not ask(classifier, text).by_vector
    assert ask(classifier, text, [0.1] * 512) == ask(classifier, text)
    assert ask(classifier, text, [384**-0.5] * 384).by_vector


@pytest.mark.parametrize(
    "text", ["", " ", "?", "\n", "…", "🎉🎉", "a" * 100_000, "= " * 4000, "\x00", "１２３", "½", "²"]
)
def test_nothing_is_no_text_that_it_cannot_read(classifier, text):
    reading = ask(classifier, text)
    assert reading.task in classifier.tasks
    assert 0 < reading.task_confidence <= 1
    assert 0 < reading.complexity_confidence <= 1


@pytest.mark.parametrize(
    ("text", "by_vector"),
    [
        ("كم عدد أيام الإجازة السنوية في شركتنا؟", False),
        ("हमारी कंपनी में कितनी छुट्टियाँ मिलती हैं?", False),
        ("Translate «شكرا» into English, please.", True),
        ("有給休暇は何日ですか?", True),
    ],
)
def test_the_vector_does_not_count_where_its_model_reads_nothing(classifier, text, by_vector):
    assert ask(classifier, text, [384**-0.5] * 384).by_vector == by_vector


def test_it_abstains_below_the_thresholds(classifier):
    sure, unsure = ask(classifier, "Who composed the Moonlight Sonata?"), ask(classifier, "ok so that")
    assert sure.task_confidence > unsure.task_confidence
    assert not ask(Classifier(task_threshold=0, complexity_threshold=0), "ok so that").abstains
    assert ask(Classifier(task_threshold=1.01), "Who composed the Moonlight Sonata?").abstains
    assert ask(Classifier(complexity_threshold=1.01), "Who composed the Moonlight Sonata?").abstains


def test_a_follow_up_is_read_with_the_turn_before(classifier):
    code = "Write a Rust function that parses a date and returns an error for a bad one."
    alone, after = (
        ask(classifier, "and with a leap year?"),
        ask(classifier, "and with a leap year?", earlier=code, turns=2),
    )
    assert after.task == "code" != alone.task
    for short in ("thanks", "ok", "and now in Go?", "please fix the bug in it"):
        reading = ask(classifier, short, earlier=code, turns=2)
        assert (reading.task, reading.abstains) == ("code", False)
    assert ask(classifier, code, earlier="Who was Ada Lovelace?") == ask(classifier, code)


def test_tools_images_and_long_conversations_make_work_likelier(classifier):
    text = "How do I block a number on an Android phone?"
    plain = ask(classifier, text)
    assert plain.complexity == "medium"
    assert ask(classifier, text, has_images=True).complexity_confidence > plain.complexity_confidence
    hard = "Implement a connection pool in Go with health checks, metrics, graceful shutdown and integration tests."
    for around in ({"has_tools": True}, {"turns": 20}):
        assert ask(classifier, hard, **around).complexity_confidence > ask(classifier, hard).complexity_confidence


def test_a_text_costs_no_more_than_its_head_and_tail():
    calls = []
    for words in (400, 40_000):
        text = "The quick fox of our handbook compares every clause. " * (words // 9)
        count = 0

        def counted(frame, event, argument):
            nonlocal count
            count += event == "call"

        sys.setprofile(counted)
        figures_of(text)
        sys.setprofile(None)
        calls.append(count)
    assert max(calls) < 1000
    assert calls[1] <= calls[0] * 1.05


def test_the_end_of_a_long_text_is_seen():
    story = "It rained, and the band played on. " * 200
    assert len(story) > HEAD_CHARS
    asked = names().index("asked howmany")
    assert figures_of(story + "How many days are there in a leap year?")[asked] > 0
    assert figures_of(story)[asked] == 0


def test_figures_have_names():
    assert len(figures_of("Who?")) == len(names()) == len(set(names()))


@pytest.mark.parametrize(
    ("text", "cue"),
    [
        ("Übersetze das", "translate"),
        ("Наш регламент", "our"),
        ("請帮我写一封信", "write"),
        ("우리 회사 규정", "our"),
        ("Demuestra que", "prove"),
        ("how many days", "howmany"),
    ],
)
def test_cues_are_known_in_many_languages(text, cue):
    assert figures_of(text)[lexicon().cues.index(cue)] > 0


def test_weights_are_for_the_figures_they_were_trained_on(monkeypatch):
    content = packed(shipped(), "again")
    again = read(content)
    assert again.version.startswith("again-")
    np.testing.assert_array_equal(again.without.inner, shipped().without.inner)
    monkeypatch.setattr("penstock_router.domain.classification.model.names", lambda: ("length",))
    with pytest.raises(Unusable, match="train again"):
        read(content)


@pytest.mark.parametrize("content", [b"", b"PK", b"{}"])
def test_what_is_no_file_of_weights_is_told(content):
    with pytest.raises(Unusable, match="no weights"):
        read(content)


def test_numpy_is_loaded_by_the_first_classifier_only():
    script = (
        "import sys\nimport penstock_router.app\nimport penstock_router.domain.classification.classifier as c\n"
        "assert 'numpy' not in sys.modules\nc.Classifier()\nassert 'numpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_training_learns_and_is_the_same_again():
    from penstock_router.domain.classification.training import Labelled, Plan, read_by, trained

    rows = [
        Labelled(text, task, complexity, [float(task == name) for name in ("faq", "code", "general")])
        for text, task, complexity in PROMPTS * 3
        if task in {"faq", "code", "general"}
    ]
    tasks, plan = ("faq", "code", "general"), Plan(members=1, hidden=16, epochs=20, batch=8)
    models = [trained(rows, tasks, np.ones(len(rows), bool), plan) for _ in range(2)]
    assert packed(models[0], "x") == packed(models[1], "x")
    with_vector, without = read_by(read(packed(models[0], "x")), rows)
    right = [tasks.index(row.task) for row in rows]
    assert (with_vector.sum(axis=2).argmax(axis=1) == right).mean() > 0.9
    assert (without.sum(axis=2).argmax(axis=1) == right).mean() > 0.7
