"""A recorded stream, cut at every byte: what the caller gets is the whole answer or an error."""

from __future__ import annotations

import pytest

from penstock_common import errors
from penstock_common.testing.openai_upstream import Answer, End

# Characters of one to four bytes, so that cuts fall within them.
ANSWER = Answer(tokens=["Hé", "llo ", "wörld, ", "日本", " 👋🏽", "."])
TEXT = "".join(ANSWER.tokens)
WIRE = b"".join(ANSWER.body("m").frames)
END_OF_FINISH = WIRE.index(b'"stop"') + WIRE[WIRE.index(b'"stop"') :].index(b"\n\n") + 2
ENDS = pytest.mark.parametrize(
    ("end", "delimited"), [(End.RESET, True), (End.FIN, True), (End.CLEAN, True), (End.FIN, False)]
)


def without_finish(end: End, *, delimited: bool) -> range:
    """Return the offsets at which a cut leaves the answer without a sign of its end."""
    # What is not clean at one byte is not clean at any: there, every fifth is enough.
    ends_cleanly = end is End.CLEAN or (end is End.FIN and not delimited)
    return range(1, END_OF_FINISH, 1 if ends_cleanly else 5)


@ENDS
@pytest.mark.timeout(120)
async def test_a_cut_is_never_a_success(end: End, delimited: bool, caller, first):
    for offset in without_finish(end, delimited=delimited):
        cut = Answer(tokens=ANSWER.tokens, cut_at_byte=offset, end=end, delimited=delimited)
        first.enqueue(cut, cut)
        outcome = await caller.ask("first/m", may_recover=False)
        assert isinstance(outcome.error, errors.UpstreamFailed), offset
        assert outcome.answer.finished is None
        assert TEXT.startswith(outcome.answer.text), offset
        # A cut before any content is retried, and meets the second of the two; until so many cuts have spent the budget.
        is_budget_spent = outcome.steps[0].attributes.get("retry") == "budget"
        sent = 1 if outcome.answer.text or is_budget_spent else 2
        assert len(outcome.steps) == sent
        if sent == 1:
            first.drop_queue()


@ENDS
async def test_a_cut_after_the_end_is_the_whole_answer(end: End, delimited: bool, caller, first):
    for offset in range(END_OF_FINISH, len(WIRE) + 1, 1 if end is End.CLEAN else 7):
        first.enqueue(Answer(tokens=ANSWER.tokens, cut_at_byte=offset, end=end, delimited=delimited))
        outcome = await caller.ask("first/m")
        assert outcome.error is None, offset
        assert outcome.answer.text == TEXT
        assert outcome.answer.usage is not None
        assert outcome.answer.usage.estimated is (offset <= WIRE.index(b"data: [DONE]") - 1)
