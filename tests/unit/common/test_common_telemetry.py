"""Steps and trace contexts as records that travel."""

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.telemetry.steps import STEPS_KEY, Step, Steps, end, steps_from_metadata
from penstock_common.telemetry.trace_context import TraceContext, TraceStarter

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"

attributes = st.dictionaries(
    st.text(max_size=5),
    st.text(max_size=5) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.booleans(),
    max_size=3,
)
step_trees = st.recursive(
    st.builds(
        Step,
        name=st.text(max_size=5),
        start_ns=st.integers(0, 2**62),
        end_ns=st.integers(0, 2**62),
        error=st.text(max_size=5),
        attributes=attributes,
    ),
    lambda children: st.builds(
        Step, name=st.text(max_size=5), start_ns=st.integers(0, 2**62), children=st.lists(children, max_size=3)
    ),
    max_leaves=10,
)


def test_a_step_has_the_time_and_attributes_it_was_taken_with():
    steps = Steps()
    before = time.time_ns()
    with steps.step("lookup", tier="exact") as step:
        step.attributes["hit"] = True
    assert before <= step.start_ns <= step.end_ns <= time.time_ns()
    assert (step.name, step.attributes, step.error) == ("lookup", {"tier": "exact", "hit": True}, "")
    assert step.seconds == (step.end_ns - step.start_ns) / 1e9


def test_an_exception_marks_its_step_and_goes_on():
    steps = Steps()
    with pytest.raises(ZeroDivisionError), steps.step("outer"), steps.step("inner"):
        raise ZeroDivisionError
    assert [(step.name, step.error) for step in steps.recorded] == [
        ("outer", "ZeroDivisionError"),
        ("inner", "ZeroDivisionError"),
    ]
    assert all(step.end_ns for step in steps.recorded)


def test_a_step_may_be_ended_by_hand_with_an_error():
    steps = Steps()
    step = steps.begin("attempt", upstream="u")
    assert step.end_ns == 0
    end(step, "UPSTREAM_FAILED")
    assert step.end_ns >= step.start_ns
    assert step.error == "UPSTREAM_FAILED"


def test_steps_do_not_share_their_attributes_or_children():
    steps = Steps()
    first, second = steps.begin("a"), steps.begin("b")
    first.attributes["x"] = 1
    first.children.append(second)
    assert (second.attributes, second.children) == ({}, [])
    assert Steps().recorded == []


@given(st.lists(step_trees, max_size=4))
def test_steps_come_back_from_metadata_as_they_were(recorded):
    steps = Steps()
    steps.recorded.extend(recorded)
    entry = steps.to_metadata()
    assert entry[0] == STEPS_KEY
    assert STEPS_KEY.endswith("-bin")
    assert steps_from_metadata((("other", "x"), entry)) == recorded


@pytest.mark.parametrize("metadata", [None, (), (("other", "x"),)])
def test_metadata_without_steps_bring_none(metadata):
    assert steps_from_metadata(metadata) == []


def starter(ratio=0.0, seed=1):
    return TraceStarter(ratio, random.Random(seed))


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_trace_from_outside_is_continued_and_its_sampling_kept(flags, sampled, ratio):
    context = starter(ratio).start(f"00-{TRACE_ID}-{SPAN_ID}-{flags}")
    assert (context.trace_id_hex, context.parent_span_id) == (TRACE_ID, int(SPAN_ID, 16))
    assert context.sampled is sampled
    assert context.span_id not in (0, context.parent_span_id)


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-0",
        f"00-{TRACE_ID}-{SPAN_ID}-zz",
        f"00-{TRACE_ID}-{SPAN_ID}-01-more",
        f"00-{TRACE_ID}-{SPAN_ID}-01\n",
        f" 00-{TRACE_ID}-{SPAN_ID}-01",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID[:-1]}٣-{SPAN_ID}-01",
    ],
)
def test_what_is_no_traceparent_starts_a_trace_of_our_own(traceparent):
    context = starter(1.0).start(traceparent)
    assert context.parent_span_id == 0
    assert context.trace_id_hex != TRACE_ID
    assert context.sampled


@given(st.integers(0, 2**32), st.floats(0, 1))
def test_a_context_is_the_next_hops_parent(seed, ratio):
    first = TraceStarter(ratio, random.Random(seed)).start("")
    assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]", first.traceparent)
    second = TraceStarter(0.5, random.Random(seed + 1)).start(first.traceparent)
    assert second == TraceContext(first.trace_id, second.span_id, first.span_id, first.sampled)


@given(st.integers(0, 2**32), st.booleans())
def test_a_stranger_decides_against_sampling_only(seed, sampled):
    parent = f"00-{TRACE_ID}-{SPAN_ID}-0{int(sampled)}"
    never, always = (TraceStarter(ratio, random.Random(seed)).start(parent, believed=False) for ratio in (0.0, 1.0))
    assert (never.sampled, always.sampled) == (False, sampled)
    assert never.trace_id_hex == TRACE_ID


def test_a_stranger_who_wants_every_trace_gets_our_share_of_them():
    traces = starter(0.1)
    drawn = [traces.start(f"00-{TRACE_ID}-{SPAN_ID}-01", believed=False).sampled for _ in range(10_000)]
    assert 850 < sum(drawn) < 1150


@pytest.mark.parametrize(
    ("ratio", "least", "most"), [(0.0, 0, 0), (0.1, 850, 1150), (0.5, 4800, 5200), (1.0, 10_000, 10_000)]
)
def test_about_the_ratio_of_new_traces_is_sampled(ratio, least, most):
    traces = starter(ratio, seed=7)
    assert least <= sum(traces.start("").sampled for _ in range(10_000)) <= most
