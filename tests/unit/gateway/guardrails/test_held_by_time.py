"""Text of an answer waits for its rules no longer than the pipelines say: how fast an upstream is decides nothing else."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_common.llm.types import TextDelta, Usage
from penstock_gateway.app.guardrails import pipelines_of
from penstock_gateway.domain.guardrails.pii.detector import Detector
from penstock_gateway.domain.guardrails.pipeline.answer import GuardedAnswer
from penstock_gateway.domain.guardrails.pipeline.lane import Lane, Verdicts
from penstock_gateway.domain.guardrails.pipeline.patience import NEVER
from penstock_gateway.domain.guardrails.pipeline.rails import HOLD_FOR, Rails
from penstock_gateway.domain.guardrails.pipeline.refusing import TOO_SLOW, AnswerRefused
from penstock_gateway.domain.guardrails.rules.personal import PersonalData

sys.path.insert(0, str(Path(__file__).parent))
from pipeline_world import FINISHED, STARTED, guarding_of, rails_of, settings_of
from test_pipeline_streams import KEY, REDACTED, RULES, SAID, with_look

SLOW = {
    **RULES,
    "words": {"kind": "injection", "classifier": False, "surfaces": ["output"]},
    "open": {"kind": "pii", "types": ["credit_card", "email"], "held_too_long": "all"},
    "opened": {"kind": "exfiltration", "held_too_long": "all"},
    "zeus": {"kind": "words", "deny": ["project zeus"], "action": "refuse", "text": "No.", "held_too_long": "all"},
    "gone": {"kind": "words", "deny": ["project zeus"], "action": "redact", "on_failure": "open"},
    "ends": {"kind": "words", "deny": ["project zeus"], "action": "refuse", "held_too_long": "refuse"},
    "waits": {"kind": "injection", "classifier": False, "surfaces": ["output"], "held_too_long": "wait"},
}
CARD = "4539 1488 0343 6467"


def slowly(*output, look=None, **pipeline):
    guarding = guarding_of(SLOW, output=list(output), **pipeline)
    return guarding if look is None else with_look(guarding, look)


async def in_a_lane(guarding, *pieces):
    """Return what leaves of each piece, by the time that what waits has done so for too long; and the rest."""
    lane = Lane(0, "text", guarding, Verdicts(guarding))
    left = [await lane.feed(piece) + await lane.late() for piece in pieces]
    return [*left, await lane.end()]


class Upstream:
    """Gives pieces, each once it is let; the first at once."""

    def __init__(self, pieces, on_piece=None):
        self._pieces, self.let, self._on_piece = [*pieces], asyncio.Semaphore(1), on_piece
        self.closed_while_read = self.is_read = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self._pieces:
            raise StopAsyncIteration
        self.is_read = True
        try:
            await self.let.acquire()
        finally:
            self.is_read = False
        if self._on_piece:
            self._on_piece()
        return self._pieces.pop(0)

    async def aclose(self):
        self.closed_while_read |= self.is_read
        self._pieces = []


def texts(batch):
    return "".join(event.text for event in batch if isinstance(event, TextDelta))


@pytest.mark.parametrize("rule", ["words", "cards", "secret", "leaks", "opened", "gone"])
async def test_text_leaves_although_the_upstream_says_nothing_more(rule):
    upstream = Upstream(
        [(STARTED, TextDelta(text="A fine day it is, and ")), (TextDelta(text="more"), Usage(), FINISHED)]
    )
    guarded = GuardedAnswer(upstream, slowly(rule, hold_for="1ms"))
    said = ""
    async with asyncio.timeout(20):
        while "it is, " not in said:
            said += texts(await anext(guarded))
        # Until then the upstream was not let go on.
        upstream.let.release()
        said += "".join([texts(batch) async for batch in guarded])
    assert said == "A fine day it is, and more"


async def test_what_waits_is_told_by_its_age_and_not_by_the_last_piece():
    words, left, waiting = [f"word{at} " for at in range(40)], [], []

    def a_second_later():
        now[0] += 1.0
        waiting.append(min(max(0, int(now[0]) - 2), len(words)) - len(left))

    now = [0.0]
    upstream = Upstream([(STARTED,), *[(TextDelta(text=one),) for one in words], (Usage(), FINISHED)], a_second_later)
    guarding = slowly("words", hold_for="4s")
    guarding.parts = guarding.parts._replace(clock=lambda: now[0])
    upstream.let = asyncio.Semaphore(100)
    async for batch in GuardedAnswer(upstream, guarding):
        left += texts(batch).split()
    assert " ".join([*left, ""]) == "".join(words)
    # One piece a second: those of four seconds wait, and no more.
    assert 3 <= max(waiting) <= 5


async def test_without_patience_nothing_is_read_ahead_and_fast_answers_wait_for_their_sentence():
    pieces = [(STARTED,), *[(TextDelta(text=one),) for one in "The day is fine. It"], (Usage(), FINISHED)]
    upstream = Upstream(pieces)
    upstream.let = asyncio.Semaphore(100)
    got = [texts(batch) async for batch in GuardedAnswer(upstream, slowly("words"))]
    assert [one for one in got if one] == ["The day is fine. ", "It"]


OUTPUT = ["cards", "rivals", "orders", "leaks"]


async def test_what_is_told_by_its_signs_is_redacted_as_ever_wherever_the_upstream_is_slow():
    for at in range(1, len(SAID)):
        assert "".join(await in_a_lane(slowly(*OUTPUT), SAID[:at], SAID[at:])) == REDACTED, at
    pieces = await in_a_lane(slowly(*OUTPUT), *SAID)
    assert "".join(pieces) == REDACTED
    # Of what is ordinary no more than its longest match waits (15 for 'orders'), and the word.
    assert len("".join(pieces[: SAID.index("See ") + 30])) > SAID.index("See ") - 40


async def test_phrases_that_may_have_begun_wait_and_other_text_does_not():
    left = await in_a_lane(slowly("rivals"), "It is what Wile \u200bE.", " and Ac", "ademy said: aсme ", "corp", "se")
    # The last is spelled with a letter that looks so.
    assert left == ["It is what ", "Wile \u200bE. and ", "Academy said: ", "", "aсme corpse", ""]
    left = await in_a_lane(slowly("rivals"), "of acme\n", " corp")
    assert left == ["of ", "", "[REDACTED]"]


async def test_where_all_leaves_what_goes_on_is_found_from_there_on():
    left = await in_a_lane(slowly("open"), "It is 4539 1488 ", "0343 6467, and bob@other", ".example.org wrote.")
    assert left[0] == "It is 4539 1488 "
    assert "0343" not in "".join(left[1:]) and "[CREDIT_CARD]" in left[1]
    assert "example" not in "".join(left)
    left = await in_a_lane(
        slowly("opened"), "See [all of it](https://evil.example/x?d=words%20of%20", "the%20chat%20there) now"
    )
    assert "the%20chat" not in "".join(left) and left[-2].endswith("[link removed] now")
    left = await in_a_lane(slowly("gone"), "About project ", "Ze", "us, and of ze", "us.")
    assert left[0] == "About project "
    assert "".join(left) == "About project Ze[REDACTED], and of zeus."
    with pytest.raises(AnswerRefused, match="No"):
        await in_a_lane(slowly("zeus"), "About project ", "Zeus it ", "is.")


async def test_a_rule_may_end_an_answer_that_is_too_slow_or_wait_for_it():
    with pytest.raises(AnswerRefused) as caught:
        await in_a_lane(slowly("ends"), "About pro")
    assert caught.value.message == TOO_SLOW
    guarding = slowly("ends")
    lane = Lane(0, "text", guarding, Verdicts(guarding))
    assert await lane.feed("") + await lane.late() == ""
    assert await in_a_lane(slowly("waits"), "A fine ", "day") == ["", "", "A fine day"]


async def test_names_are_found_in_the_words_that_are_there_and_signs_wait():
    class Named(PersonalData):
        """Finds one name, by what follows it too."""

    look = Named(Detector(), ["email", "credit_card", "api_key"], beside=True)
    left = await in_a_lane(
        slowly("keys", look=look), "He pays by card, 4539 1488 ", f"0343 6467 at once\n{KEY}\nDone and ", "over"
    )
    assert left[0].startswith("He pays") and "4539" not in left[0]
    assert "".join(left) == "He pays by card, [CREDIT_CARD] at once\n[API_KEY]\nDone and over"
    look = Named(Detector(), ["email", "credit_card"], beside=True)
    left = await in_a_lane(slowly("keys", look=look), "He pays by card, 4539 1488 ", "0343 6467 at once")
    assert left[0].startswith("He pays") and "".join(left) == "He pays by card, [CREDIT_CARD] at once"


async def test_time_runs_for_what_waits_alone():
    now = [0.0]
    guarding = slowly("words", hold_for="4s")
    guarding.parts = guarding.parts._replace(clock=lambda: now[0])
    lane = Lane(0, "text", guarding, Verdicts(guarding))
    assert lane.due == NEVER
    await lane.feed("It is ")
    now[0] = 1.0
    await lane.feed("fine. A ")
    assert lane.due == 5.0
    now[0] = 2.0
    await lane.feed("day is ")
    assert lane.due == 5.0
    assert await lane.late() == "A day is " and lane.due == NEVER
    await lane.feed("near")
    assert lane.due == 6.0
    await lane.end()
    assert lane.due == NEVER


async def test_a_caller_who_leaves_while_nothing_comes_ends_the_read_first():
    upstream = Upstream([(STARTED, TextDelta(text="A fine day it is, and ")), (Usage(), FINISHED)])
    guarded = GuardedAnswer(upstream, slowly("words", hold_for="1ms"))
    said = ""
    async with asyncio.timeout(20):
        while "it is" not in said:
            said += texts(await anext(guarded))
    assert upstream.is_read
    await guarded.aclose()
    assert not upstream.closed_while_read and not upstream.is_read
    reading = asyncio.ensure_future(anext(GuardedAnswer(upstream := Upstream([()] * 3), slowly("words"))))
    while not upstream.let.locked():
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait((reading,))
    assert not upstream.is_read


@pytest.mark.parametrize(
    ("output", "ended"),
    [(["zeus"], True), (["words"], False)],
)
async def test_a_late_refusal_ends_the_read_that_goes_on(output, ended):
    upstream = Upstream([(STARTED, TextDelta(text="Of project zeus")), (Usage(), FINISHED)])
    guarded = GuardedAnswer(upstream, slowly(*output, hold_for="1ms"))
    async with asyncio.timeout(20):
        if ended:
            with pytest.raises(AnswerRefused):
                async for _ in guarded:
                    pass
            assert not upstream.is_read
        else:
            upstream.let.release()
            assert "".join([texts(batch) async for batch in guarded]) == "Of project zeus"


async def test_the_last_pipeline_that_says_so_decides_how_long():
    rails = rails_of(SLOW, output=["words"])
    assert rails.held("t", "m", "k").hold_for == HOLD_FOR == 5.0
    rules = {"a": SLOW["words"], "b": SLOW["cards"]}
    section = [
        {"output": ["a"], "hold_for": "1s"},
        {"models": ["m"], "output": ["b"], "hold_for": "3s"},
        {"output": ["a"]},
    ]
    rails = Rails(pipelines_of(settings_of(rules, pipelines=section)))
    assert rails.held("t", "m", "k").hold_for == 3.0
    assert rails.held("t", "other", "k").hold_for == 1.0


@pytest.mark.parametrize(
    ("rules", "pipeline", "told"),
    [
        ({"a": {"kind": "length", "most_characters": 5, "held_too_long": "all"}}, {}, "has no 'held_too_long'"),
        ({"a": SLOW["words"]}, {"hold_for": "0s"}, "must be more than"),
        ({"a": SLOW["words"]}, {"hold_for": "11m"}, "must be at most"),
    ],
)
async def test_what_makes_no_sense_stops_the_start(rules, pipeline, told):
    with pytest.raises(ConfigurationError, match=told):
        settings_of(rules, pipelines=[{"output": ["a"], **pipeline}])
