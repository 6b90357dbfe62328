"""The batches of one answer over upstreams that a test plays: what is held, what is sent, what a leaver leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from penstock_common.errors import DeadlineExceeded, PenstockError, UnsupportedParameter, UpstreamFailed
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    Plan,
    Role,
    Started,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.priority import Priority
from penstock_common.telemetry.steps import Steps
from penstock_common.testing.fake_clock import FakeClock
from penstock_inference.domain.batches import Batches
from penstock_inference.domain.catalogue import Capability, Catalogue, Model, Timeouts, WholeAnswers
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.generation import Generation, GenerationParts, Pauses
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.load.adaptive_limit import Aimd
from penstock_inference.domain.load.gate import Gate, GateLimits
from penstock_inference.domain.pool import Pool
from penstock_inference.domain.upstream import Gap, Stopped, UpstreamCall, UpstreamEvent

CANDIDATE = Candidate(upstream="u", model="m")
QUESTION = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="x" * 40),)),))
# Four bytes a token, and four for the turn.
ASKED = 14
END: list[UpstreamEvent] = [Usage(input_tokens=7, output_tokens=2), Stopped(FinishReason.STOP)]


class Answered:
    """Brings these reads, then ends, or waits for ever."""

    def __init__(
        self,
        reads: Sequence[Sequence[UpstreamEvent]],
        *,
        stalls: bool = False,
        sent: bool = True,
        unread_bytes: int = 0,
    ) -> None:
        self._reads = list(reads)
        self._stalls = stalls
        self.sent = sent
        self.unread_bytes = unread_bytes
        self.dropped = ()
        self.ended = False
        self.closed = 0
        self.stalled = asyncio.Event()
        self.call: UpstreamCall | None = None

    def again(self) -> Answered:
        """Return one that does the same."""
        return Answered(self._reads, stalls=self._stalls, sent=self.sent, unread_bytes=self.unread_bytes)

    def ask(self, call: UpstreamCall) -> Answered:
        self.call = call
        return self

    async def read(self) -> Sequence[UpstreamEvent]:
        if not self._reads and self._stalls:
            self.stalled.set()
            await asyncio.Event().wait()
        events = self._reads.pop(0) if self._reads else ()
        self.ended = not self._reads and not self._stalls
        return events

    async def aclose(self) -> None:
        self.closed += 1


def batches_of(upstream: Answered, steps: Steps, *, whole: bool, answers_whole: bool = False) -> Batches:
    """Return the batches of one generation."""
    rule = WholeAnswers.ALONE if answers_whole else WholeAnswers.NEVER
    catalogue = Catalogue([Model(CANDIDATE, whole_answers=rule)])
    parts = GenerationParts({"u": Pool([Endpoint(upstream)])}, catalogue)
    return Batches(Generation(QUESTION, Plan(candidates=(CANDIDATE,)), None, whole), parts, steps)


def kinds(batch: Sequence[object]) -> list[type]:
    """Return what a batch consists of."""
    return [type(event) for event in batch]


class Broken(Answered):
    """An adapter with a fault of its own: raises this when asked, when read the nth time, or when closed."""

    def __init__(self, error: Exception, when: str, reads: Sequence[Sequence[UpstreamEvent]] = ()) -> None:
        super().__init__(reads)
        self._error = error
        self._when = when

    def ask(self, call: UpstreamCall) -> Answered:
        if self._when == "ask":
            raise self._error
        return super().ask(call)

    async def read(self) -> Sequence[UpstreamEvent]:
        if self._when == "read" and not self._reads:
            raise self._error
        return await super().read()

    async def aclose(self) -> None:
        await super().aclose()
        if self._when == "close":
            raise self._error


def batches_of_two(first: Answered, second: Answered, steps: Steps, *, whole: bool) -> Batches:
    """Return the batches of a generation with two candidates."""
    candidates = (Candidate(upstream="first", model="m"), Candidate(upstream="second", model="m"))
    pools = {"first": Pool([Endpoint(first)]), "second": Pool([Endpoint(second)])}
    parts = GenerationParts(pools, Catalogue(map(Model, candidates)))
    return Batches(Generation(QUESTION, Plan(candidates=candidates), None, whole), parts, steps)


SECRET = "what the exception says"
UNEXPECTED = [
    UnicodeEncodeError("latin-1", SECRET, 0, 1, "not in range"),
    ValueError(SECRET),
    KeyError(SECRET),
    AttributeError(SECRET),
    RecursionError(SECRET),
    OverflowError(SECRET),
    RuntimeError(SECRET),
    OSError(SECRET),
    ExceptionGroup(SECRET, [ValueError(SECRET)]),
]


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("when", ["ask", "read"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
async def test_no_exception_of_an_adapter_passes_by_fail_over(error: Exception, when: str, whole: bool) -> None:
    second, steps = Answered([[TextDelta(text="a"), *END]]), Steps()
    read = [batch async for batch in batches_of_two(Broken(error, when), second, steps, whole=whole)]
    assert [kinds(batch) for batch in read] == [[Started, TextDelta, Usage, Finished]]
    assert read[0][0].answered_by.upstream == "second"
    assert [step.attributes["outcome"] for step in steps.recorded] == ["adapter_error", "answered"]


async def test_an_exception_after_deltas_were_held_is_made_good_for_who_does_not_stream() -> None:
    first = Broken(KeyError(SECRET), "read", [[TextDelta(text="half")]])
    second = Answered([[TextDelta(text="a"), *END]])
    (batch,) = [batch async for batch in batches_of_two(first, second, Steps(), whole=True)]
    assert batch[1] == TextDelta(text="a")
    assert first.closed == 1


async def test_an_exception_that_nobody_makes_good_is_an_upstreams_failure_without_its_words() -> None:
    with pytest.raises(UpstreamFailed) as told:
        [batch async for batch in batches_of(Broken(ValueError(SECRET), "read"), Steps(), whole=False)]
    assert SECRET not in str(told.value)


async def test_an_exception_within_an_answer_ends_it_as_an_upstreams_failure() -> None:
    upstream = Broken(ValueError(SECRET), "read", [[TextDelta(text="a")]])
    batches = batches_of(upstream, Steps(), whole=False)
    assert kinds(await anext(batches)) == [Started, TextDelta]
    with pytest.raises(UpstreamFailed) as told:
        await anext(batches)
    assert SECRET not in str(told.value)


async def test_an_adapter_that_cannot_close_spoils_no_answer() -> None:
    upstream = Broken(ValueError(SECRET), "close", [[TextDelta(text="a"), *END]])
    read = [kinds(batch) async for batch in batches_of(upstream, Steps(), whole=False)]
    assert read == [[Started, TextDelta, Usage, Finished]]


@pytest.mark.parametrize(("sent", "left"), [(False, 100), (True, 100 - ASKED)], ids=["not sent", "sent"])
async def test_what_was_never_sent_takes_no_tokens_of_the_upstreams_limit(sent: bool, left: int) -> None:
    upstream = Broken(AttemptFailed(FailureKind.UNSUPPORTED, "seed is not supported"), "read")
    upstream.sent = sent
    gate = Gate(GateLimits(tokens_per_minute=600), FakeClock())
    parts = GenerationParts({"u": Pool([Endpoint(upstream)], gate=gate)}, Catalogue([Model(CANDIDATE)]))
    with pytest.raises(UnsupportedParameter):
        await _read_all(Batches(Generation(QUESTION, Plan(candidates=(CANDIDATE,))), parts, Steps()))
    assert gate.try_enter(Priority.DEFAULT, left)
    assert not gate.try_enter(Priority.DEFAULT, 1)


@pytest.mark.parametrize("is_out", [False, True], ids=["who is well", "who is out"])
async def test_time_is_left_for_who_is_well(is_out: bool) -> None:
    first, second, health = Answered([[TextDelta(text="a"), *END]]), Answered([]), Health()
    candidates = (Candidate(upstream="first", model="m"), Candidate(upstream="second", model="m"))
    upstreams = zip(candidates, (first, second), strict=True)
    pools = {name.upstream: Pool([Endpoint(one)], health.upstream(name.upstream)) for name, one in upstreams}
    if is_out:
        pools["second"].places("m")[0].eject(health.clock(), "connect")
    models = [Model(candidate, whole_answers=WholeAnswers.ALONE) for candidate in candidates]
    parts = GenerationParts(pools, Catalogue(models))
    await _read_all(Batches(Generation(QUESTION, Plan(candidates=candidates), whole=True), parts, Steps()))
    # In one piece, which says of no silence early that it is one.
    assert first.call is not None
    assert first.call.whole is is_out


@pytest.mark.parametrize(
    ("failure", "is_lower"),
    [
        (AttemptFailed(FailureKind.RATE_LIMITED, "429"), True),
        (AttemptFailed(FailureKind.TIMEOUT, "silent", stage="idle"), True),
        (AttemptFailed(FailureKind.TIMEOUT, "silent", stage="first_token", hurried=True), False),
        (AttemptFailed(FailureKind.TIMEOUT, "too long", stage="total"), False),
        (AttemptFailed(FailureKind.SERVER_ERROR, "500"), False),
    ],
    ids=["a refusal", "a silence", "a caller in a hurry", "a reader that may have taken long", "an error"],
)
async def test_what_an_upstream_takes_at_once_is_less_after_what_is_too_much_for_it_alone(
    failure: AttemptFailed, is_lower: bool
) -> None:
    learned, pauses = Aimd(initial=100), Pauses(sleep=lambda _: asyncio.sleep(0))
    gate = Gate(GateLimits(concurrent_requests=100), FakeClock(), learned)
    pools = {"u": Pool([Endpoint(Broken(failure, "read"))], gate=gate)}
    parts = GenerationParts(pools, Catalogue([Model(CANDIDATE)]), pauses)
    with pytest.raises(PenstockError):
        await _read_all(Batches(Generation(QUESTION, Plan(candidates=(CANDIDATE,))), parts, Steps()))
    assert (learned.value < 100) is is_lower


async def test_what_is_there_at_once_is_one_batch() -> None:
    upstream = Answered([[TextDelta(text="a"), *END]])
    read = [kinds(batch) async for batch in batches_of(upstream, Steps(), whole=False)]
    assert read == [[Started, TextDelta, Usage, Finished]]
    assert upstream.closed == 1


async def test_the_end_never_delays_content() -> None:
    upstream = Answered([[TextDelta(text="a")], [TextDelta(text="b")], END])
    read = [kinds(batch) async for batch in batches_of(upstream, Steps(), whole=False)]
    assert read == [[Started, TextDelta], [TextDelta], [Usage, Finished]]


async def test_for_who_does_not_stream_all_is_one_batch_and_deltas_are_merged() -> None:
    upstream, steps = Answered([[TextDelta(text="a")], [TextDelta(text="b")], END]), Steps()
    (batch,) = [batch async for batch in batches_of(upstream, steps, whole=True)]
    assert kinds(batch) == [Started, TextDelta, Usage, Finished]
    assert batch[1] == TextDelta(text="ab")
    assert upstream.call is not None
    assert not upstream.call.whole
    # The upstream streamed: its first token has a time.
    assert "time_to_first_token_ms" in steps.recorded[0].attributes


async def test_nothing_is_asked_before_the_first_batch_is() -> None:
    upstream = Answered([END])
    batches = batches_of(upstream, Steps(), whole=False)
    assert upstream.call is None
    await batches.aclose()
    assert [batch async for batch in batches] == []
    assert upstream.call is None


TOLD = Usage(input_tokens=7, cached_input_tokens=3, output_tokens=1)
TEXT = [[TextDelta(text="12345678")], [TextDelta(text="12345678")]]


@pytest.mark.parametrize("whole", [False, True], ids=["streams", "does not"])
@pytest.mark.parametrize(
    ("upstream", "owed"),
    [
        (Answered(TEXT, stalls=True), (ASKED, 0, 4)),
        (Answered([], stalls=True), (ASKED, 0, 0)),
        (Answered([], stalls=True, sent=False), None),
        (Answered([], stalls=True, unread_bytes=256 + 8), (ASKED, 0, 2)),
        (Answered([[TOLD, TextDelta(text="12345678")]], stalls=True), (7, 3, 2)),
        (Answered([[TOLD]], stalls=True), (7, 3, 1)),
    ],
    ids=["some text", "no token yet", "not sent yet", "a part of a whole", "counted so far", "counted before a token"],
)
async def test_who_leaves_owes_the_prompt_once_it_was_sent_and_what_was_written(
    upstream: Answered, owed: tuple[int, int, int] | None, whole: bool
) -> None:
    upstream, steps = upstream.again(), Steps()
    batches = batches_of(upstream, steps, whole=whole, answers_whole=upstream.unread_bytes > 0)
    asking = asyncio.ensure_future(_read_all(batches))
    await upstream.stalled.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (step,) = steps.recorded
    names = ("owed_input_tokens", "owed_cached_input_tokens", "owed_output_tokens")
    found = tuple(step.attributes.get(name) for name in names)
    assert found == (owed or (None, None, None))
    assert step.attributes["outcome"] == "cancelled"
    assert upstream.closed == 1


async def _read_all(batches: Batches) -> None:
    async for _ in batches:
        pass


@pytest.mark.parametrize("whole", [False, True], ids=["streams", "does not"])
async def test_who_is_answered_too_late_owes_what_was_written_by_then(whole: bool) -> None:
    upstream, steps = Answered(TEXT, stalls=True), Steps()
    parts = GenerationParts({"u": Pool([Endpoint(upstream)])}, Catalogue([Model(CANDIDATE)]))
    with pytest.raises(DeadlineExceeded):
        await _read_all(Batches(Generation(QUESTION, Plan(candidates=(CANDIDATE,)), 0.05, whole), parts, steps))
    (step,) = steps.recorded
    assert (step.attributes["owed_input_tokens"], step.attributes["owed_output_tokens"]) == (ASKED, 4)
    assert upstream.closed > 0


class SlowToClose(Answered):
    """Breaks off after its reads, and closes when a test lets it."""

    def __init__(self, reads: Sequence[Sequence[UpstreamEvent]]) -> None:
        super().__init__(reads)
        self.closing = asyncio.Event()

    async def aclose(self) -> None:
        await super().aclose()
        if self.closed == 1:
            self.closing.set()
            await asyncio.Event().wait()


@pytest.mark.parametrize("whole", [False, True], ids=["streams", "does not"])
async def test_who_leaves_while_a_broken_attempt_is_closed_leaves_nothing_open(whole: bool) -> None:
    first, second, steps = SlowToClose(TEXT), Answered([[TextDelta(text="a"), *END]]), Steps()
    asking = asyncio.ensure_future(_read_all(batches_of_two(first, second, steps, whole=whole)))
    await first.closing.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (step,) = steps.recorded
    assert step.attributes["outcome"] == "cut"
    # Of one who was sent nothing nothing is owed for an attempt that came to nothing.
    assert step.attributes.get("owed_output_tokens") == (None if whole else 4)
    assert first.closed > 1
    assert second.call is None


async def test_who_leaves_before_a_broken_attempt_is_made_good_owes_it_once() -> None:
    upstream, steps, waiting = Answered(TEXT), Steps(), asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    parts = GenerationParts(
        {"u": Pool([Endpoint(upstream)])}, Catalogue([Model(CANDIDATE)]), Pauses(chance=lambda: 0.5, sleep=sleep)
    )
    batches = Batches(Generation(QUESTION, Plan(candidates=(CANDIDATE,))), parts, steps)
    asking = asyncio.ensure_future(_read_all(batches))
    await waiting.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (step,) = steps.recorded
    assert (step.attributes["owed_input_tokens"], step.attributes["owed_output_tokens"]) == (ASKED, 4)
    assert upstream.closed > 0
    assert [batch async for batch in batches] == []


async def test_a_broken_attempt_is_closed_before_another_is_asked() -> None:
    first, steps = Answered(TEXT), Steps()

    class Second(Answered):
        def ask(self, call: UpstreamCall) -> Answered:
            assert first.closed == 1
            return super().ask(call)

    second = Second([[TextDelta(text="12345678" * 2), TextDelta(text="9"), *END]])
    read = [event for batch in [b async for b in batches_of_two(first, second, steps, whole=False)] for event in batch]
    assert "".join(event.text for event in read if isinstance(event, TextDelta)) == "12345678" * 2 + "9"
    assert [step.attributes["outcome"] for step in steps.recorded] == ["cut", "answered"]


async def test_a_deadline_that_passes_while_another_makes_an_answer_whole_is_told_as_one() -> None:
    candidates = (Candidate(upstream="first", model="m"), Candidate(upstream="second", model="m"))
    pools = {"first": Pool([Endpoint(Answered(TEXT))]), "second": Pool([Endpoint(Answered([], stalls=True))])}
    parts = GenerationParts(pools, Catalogue(map(Model, candidates)))
    with pytest.raises(DeadlineExceeded, match="16 characters"):
        await _read_all(Batches(Generation(QUESTION, Plan(candidates=candidates), 0.05), parts, Steps()))


def made_whole(first: Answered, second: Answered, steps: Steps, *, may_recover: bool = True) -> Batches:
    """Return the batches of an answer that the first gives until it breaks off, and that the second can go on with."""
    candidates = (Candidate(upstream="first", model="m"), Candidate(upstream="second", model="m"))
    pools = {"first": Pool([Endpoint(first)]), "second": Pool([Endpoint(second)])}
    able = frozenset({Capability.CHAT, Capability.PREFILL})
    parts = GenerationParts(pools, Catalogue([Model(candidates[0]), Model(candidates[1], capabilities=able)]))
    return Batches(Generation(QUESTION, Plan(candidates=candidates), may_recover=may_recover), parts, steps)


async def events_of(batches: Batches) -> list[GenerationEvent]:
    return [event for batch in [each async for each in batches] for event in batch]


async def test_a_continuation_that_nobody_counted_is_reckoned_by_what_it_wrote_itself() -> None:
    goes_on = Answered([[TextDelta(text="abcd"), Stopped(FinishReason.STOP)]])
    events = await events_of(made_whole(Answered(TEXT), goes_on, Steps()))
    (usage,) = [event for event in events if isinstance(event, Usage)]
    # Four tokens of the first, and one of its own; it was asked the question, and the turn that was begun.
    assert (usage.output_tokens, usage.input_tokens, usage.estimated) == (4 + 1, ASKED + 4, True)


@pytest.mark.parametrize("text", ["12345678", "12345678" * 2, "12345678" * 2 + "9"], ids=["a part", "all", "more"])
async def test_whoever_makes_an_answer_whole_is_heard_when_it_speaks_and_not_when_it_ends(text: str) -> None:
    steps, anew = Steps(), Answered([[TextDelta(text=text)]], stalls=True)
    batches = batches_of_two(Answered(TEXT), anew, steps, whole=False)
    reading = asyncio.ensure_future(_read_all(batches))
    await anew.stalled.wait()
    (place,) = batches._parts.pools["second"].places("m")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what is known of it
    assert (place.in_flight, place.waiting) == (1, {})
    assert "time_to_first_token_ms" in steps.recorded[1].attributes
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


@pytest.mark.parametrize(
    ("given", "broke"), [("", ["first"]), ("12345678" * 2, ["first"]), ("12345678" * 2 + "9", ["first", "second"])],
    ids=["nothing", "nothing new", "something new"],
)  # fmt: skip
async def test_who_gave_the_caller_something_before_it_broke_off_is_a_break_of_its_own(
    given: str, broke: list[str]
) -> None:
    breaks = Answered([[TextDelta(text=given)]] if given else [])
    whole = Answered([[TextDelta(text="12345678" * 2 + "9"), *END]])
    candidates = tuple(Candidate(upstream=name, model="m") for name in ("first", "second", "third"))
    upstreams = zip(candidates, (Answered(TEXT), breaks, whole), strict=True)
    pools = {candidate.upstream: Pool([Endpoint(upstream)]) for candidate, upstream in upstreams}
    parts = GenerationParts(pools, Catalogue(map(Model, candidates)))
    events = await events_of(Batches(Generation(QUESTION, Plan(candidates=candidates)), parts, Steps()))
    assert isinstance(events[-1], Finished)
    assert [made.broke.upstream for made in events[-1].recoveries] == broke
    assert events[-1].answered_by.upstream == "third"


class OneByOne(Answered):
    """Answers each call as the next of these does."""

    def __init__(self, *answers: Answered) -> None:
        super().__init__([])
        self.answers = list(answers)

    def ask(self, call: UpstreamCall) -> Answered:
        return self.answers.pop(0).ask(call)


async def test_a_way_of_going_on_that_was_not_even_asked_for_is_no_attempt() -> None:
    refused = Broken(AttemptFailed(FailureKind.UNSUPPORTED, "no turn can be begun here"), "read")
    anew = Answered([[TextDelta(text="12345678" * 2 + "9"), *END]])
    steps = Steps()
    events = await events_of(made_whole(Answered(TEXT), OneByOne(refused, anew), steps))
    assert [step.attributes["outcome"] for step in steps.recorded] == ["cut", "unsupported_parameter", "answered"]
    assert isinstance(events[-1], Finished)
    assert events[-1].attempts == 2


async def test_a_retry_that_was_refused_before_is_not_told_of_who_breaks_off_later() -> None:
    steps, first = Steps(), Broken(AttemptFailed(FailureKind.SERVER_ERROR, "503"), "read")
    batches = made_whole(first, Answered(TEXT), steps, may_recover=False)
    batches._parts.pools["first"].health.budget.tokens = 0  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as after many failures
    with pytest.raises(UpstreamFailed):
        await events_of(batches)
    assert [step.attributes.get("retry") for step in steps.recorded] == ["budget", None]


@pytest.mark.parametrize(
    ("reads", "outcome"), [([], "timeout:first_token"), (TEXT, "timeout:idle")], ids=["before the answer", "within it"]
)
async def test_silence_is_borne_a_shorter_time_while_another_is_left(
    reads: Sequence[Sequence[UpstreamEvent]], outcome: str
) -> None:
    candidates = (Candidate(upstream="first", model="m"), Candidate(upstream="second", model="m"))
    first, second, steps = Answered(reads, stalls=True), Answered([*TEXT, END]), Steps()
    pools = {"first": Pool([Endpoint(first)]), "second": Pool([Endpoint(second)])}
    short, hour = timedelta(milliseconds=20), timedelta(hours=1)
    timeouts = Timeouts(
        first_token=hour, headers=hour, idle=hour, total=hour, first_token_with_others=short, idle_with_others=short
    )
    parts = GenerationParts(pools, Catalogue(Model(each, timeouts=timeouts) for each in candidates))
    await _read_all(Batches(Generation(QUESTION, Plan(candidates=candidates)), parts, steps))
    assert [step.attributes["outcome"] for step in steps.recorded][1:] == ["answered"]
    assert steps.recorded[0].attributes["outcome"] in (outcome, "timeout:headers")


DOUBTED = [[TextDelta(text="a")], [Gap()], [TextDelta(text="b")], [TextDelta(text="c")]]
STOPPED: list[UpstreamEvent] = [TextDelta(text="d"), Stopped(FinishReason.STOP)]


@pytest.mark.parametrize(
    "upstream",
    [Answered([*DOUBTED, STOPPED]), Answered([*DOUBTED, STOPPED], stalls=True)],
    ids=["that ends", "whose end never comes"],
)
@pytest.mark.parametrize("whole", [False, True], ids=["streams", "does not"])
async def test_what_comes_after_a_gap_is_given_once_the_end_has_shown_that_it_is_all(
    upstream: Answered, whole: bool
) -> None:
    upstream = upstream.again()
    model = Model(CANDIDATE, timeouts=Timeouts(end=timedelta(milliseconds=20)))
    parts = GenerationParts({"u": Pool([Endpoint(upstream)])}, Catalogue([model]))
    read = [
        batch
        async for batch in Batches(Generation(QUESTION, Plan(candidates=(CANDIDATE,)), None, whole), parts, Steps())
    ]
    texts = ["".join(event.text for event in batch if isinstance(event, TextDelta)) for batch in read]
    assert texts == (["abcd"] if whole else ["a", "bcd"])


async def test_nothing_of_what_comes_after_a_gap_is_given_where_the_answer_breaks_off() -> None:
    batches = batches_of(Answered(DOUBTED, stalls=False), Steps(), whole=False)
    assert kinds(await anext(batches)) == [Started, TextDelta]
    with pytest.raises(UpstreamFailed, match="after 1 characters"):
        await anext(batches)
