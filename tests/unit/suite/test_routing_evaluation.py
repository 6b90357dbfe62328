"""Judging a classifier by labelled prompts: what is counted, and what a bad line says."""

import json

import pytest

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.routing_evaluation import Prompt, Read, evaluation, read_prompts

TASKS = ("faq", "code")


def lines(*rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def read(task, complexity="low", sure=0.8, *, abstains=False, microseconds=100.0):
    return Read(task, complexity, sure, sure, abstains, by_vector=True, microseconds=microseconds)


def test_what_is_right_and_what_is_taken_for_what():
    prompts = [Prompt("1", "a", "faq", "low"), Prompt("2", "b", "faq", "high"), Prompt("3", "c", "code", "low")]
    told = evaluation(prompts, [read("faq"), read("code", abstains=True), read("code")], {"dataset": "d"})
    assert (told.task_accuracy, told.complexity_accuracy) == (0.666667, 0.666667)
    assert (told.decided_task_accuracy, told.abstained_ratio) == (1.0, 0.333333)
    assert told.confusion["task"] == {"code": {"code": 1}, "faq": {"code": 1, "faq": 1}}
    assert told.confusion["complexity"] == {"high": {"low": 1}, "low": {"low": 2}}
    assert told.intervals["task_accuracy"].n == 3


def test_the_calibration_error_is_how_far_confidence_is_off():
    prompts = [Prompt(str(n), "a", "faq", None) for n in range(4)]
    told = evaluation(
        prompts, [read("faq", sure=0.95), read("faq", sure=0.95), read("code", sure=0.55), read("faq", sure=0.55)], {}
    )
    # Two that are 95 % sure and right, two that are 55 % sure and half right.
    assert told.task_calibration_error == pytest.approx((0.05 * 2 + 0.05 * 2) / 4)


def test_labels_that_are_missing_are_not_judged():
    told = evaluation([Prompt("1", "a", None, "low")], [read("faq")], {})
    assert (told.task_accuracy, told.task_calibration_error, told.decided_task_accuracy) == (None, None, None)
    assert (told.complexity_accuracy, told.confusion["task"]) == (1.0, {})


def test_a_line_without_an_id_has_its_number():
    found = read_prompts(
        b"\xef\xbb\xbf" + lines({"prompt": "a", "task": "faq"}) + b"\n\n" + lines({"prompt": "b"}), TASKS
    )
    assert [(one.id, one.task) for one in found] == [("1", "faq"), ("3", None)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no prompts"),
        (lines({"prompt": "a"}) + b"\n{", "line 2 is no prompt"),
        (b"[]", "line 1 is no prompt: Expected `object`"),
        (b"\xff", "line 1 is no prompt"),
        (lines({"prompt": " "}), "line 1 is no prompt: it is empty"),
        (lines({"prompt": "a", "task": "law"}), "line 1: task is one of faq, code, not 'law'"),
        (lines({"prompt": "a", "complexity": "hard"}), "line 1: complexity is one of low, medium, high, not 'hard'"),
        (lines({"id": "x", "prompt": "a"}, {"id": "x", "prompt": "b"}), "line 2: the id 'x' is that of line 1"),
    ],
)
def test_a_bad_line_is_told_by_its_number(content, told):
    with pytest.raises(Misconfigured, match=told):
        read_prompts(content, TASKS)
