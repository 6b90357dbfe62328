"""Scripts: read and written, and which step a request meets."""

from __future__ import annotations

import json

import pytest

from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.named import SCRIPTS
from penstock_faults.playback import Playback
from penstock_faults.reading import ScriptError, read_script, script_of, script_text
from penstock_faults.reply import prefix_of, tokens_of
from penstock_faults.script import TOKENS, Break, Pace, Script, Step, lasting, once
from penstock_faults.tcp import FaultProxy
from penstock_faults.triton import TritonUpstream

SCRIPT = """
name: mine
prefill: refuses
steps:
  - {times: 2, status: 503, retry_after: 1500ms}
  - {seconds: 3, drop: stall}
  - answer: {tokens: [a, b], finish_reason: length, usage: {prompt_tokens: 1, completion_tokens: 9}}
    break: {by: close, events: 2}
    hold: {2: seen}
"""


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_script_by_name_is_what_it_is_written_as(name):
    assert read_script(script_text(SCRIPTS[name])) == SCRIPTS[name]
    assert SCRIPTS[name].about


def test_yaml_and_json_say_the_same():
    script = read_script(SCRIPT)
    first, second, third = script.steps
    assert (first.times, first.status, first.retry_after) == (2, 503, "1500ms")
    assert (second.seconds, second.drop) == (3, "stall")
    assert third.broken == Break(by="close", events=2)
    assert third.hold == {2: "seen"}
    as_json = json.dumps({"name": "mine", "steps": [{"hold": {"2": "seen"}, "break": {"by": "close", "events": 2}}]})
    assert read_script(as_json).steps[0].hold == {2: "seen"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: [", "while parsing"),
        ("- 1", "object"),
        ("stepss: []", "stepss"),
        ("steps: [{breaks: {}}]", "breaks"),
        ("steps: [{status: bad}]", "status"),
        ("steps: [{break: {by: explode}}]", "explode"),
        ("steps: [{}, {}]", "give it 'times' or 'seconds'"),
        ("steps: [{times: 0}]", "more than nothing"),
        ("steps: [{seconds: -1}]", "more than nothing"),
        ("steps: [{break: {events: 1, bytes: 2}}]", "one of"),
        ("steps: [{drop: end}]", "nothing was begun"),
        ('steps: [{headers: {x-a: "1\\r\\nx-b: 2"}}]', "'x-a' has a value that no header can have"),
        ('steps: [{headers: {x-a: "1\\n"}}]', "'x-a' has a value that no header can have"),
        ('steps: [{headers: {"x-a\\r\\nx-b": "1"}}]', "no header's name"),
        ('steps: [{headers: {x-a: "日"}}]', "'x-a' has a value that no header can have"),
        ('steps: [{status: 429, retry_after: "1\\r\\n"}]', "'retry-after' has a value that no header can have"),
        ('steps: [{body: {content_type: "a/b\\r\\n"}}]', "'content-type' has a value that no header can have"),
        ("steps: [{status: 99}]", "200 to 999"),
        ("steps: [{status: 1000}]", "200 to 999"),
        ("steps: " + "[" * 5000 + "]" * 5000, "nested deeper"),
    ],
)
def test_what_cannot_be_played_is_refused_with_a_reason(text, says):
    with pytest.raises(ScriptError, match=says):
        read_script(text, "mine.yaml")


def test_a_name_goes_before_a_file_and_neither_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").write_text("name: file")
    (tmp_path / "mine.yaml").write_text("name: file")
    assert script_of("good") is SCRIPTS["good"]
    assert script_of("mine.yaml").name == "file"
    with pytest.raises(ScriptError, match="there is no script 'nothing'.*cut-reset"):
        script_of("nothing")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_steps_end_by_number_and_by_time():
    clock = Clock()
    down, slow = lasting(Step(status=503), 10), once(Step(status=429))
    playback = Playback(Script(steps=(slow, down)), clock)
    assert playback.next_step() is slow
    clock.now += 1000
    # Its time begins with its first request.
    assert playback.next_step() is down
    clock.now += 9.9
    assert playback.next_step() is down
    clock.now += 0.1
    assert playback.next_step() == Step()
    assert playback.requests == 4


def test_every_so_many_requests_one_is_slow():
    step = Step(pace=Pace(slow_every=3))
    playback = Playback(Script(steps=(step,)))
    slow = []
    for _ in range(7):
        slow.append(playback.is_slow(playback.next_step()))
    assert slow == [False, False, True, False, False, True, False]


@pytest.mark.parametrize("size", range(len("".join(TOKENS)) + 1))
def test_what_follows_a_beginning_makes_the_answer_whole(size):
    text = "".join(TOKENS)
    rest = tokens_of(TOKENS, text[:size], "continues", asked_to_continue=False)
    assert text[:size] + "".join(rest) == text
    assert "" not in rest


@pytest.mark.parametrize(
    ("prefill", "asked", "rest"),
    [
        ("refuses", False, None),
        ("ignores", True, TOKENS),
        ("when_asked", False, TOKENS),
        ("when_asked", True, TOKENS[1:]),
        ("continues", False, TOKENS[1:]),
    ],
)
def test_a_beginning_is_taken_as_the_script_says(prefill, asked, rest):
    assert tokens_of(TOKENS, TOKENS[0], prefill, asked_to_continue=asked) == rest
    assert tokens_of(TOKENS, "", prefill, asked_to_continue=asked) == TOKENS


def test_a_beginning_that_is_of_another_answer_is_passed_over():
    assert tokens_of(TOKENS, "Somebody", "continues", asked_to_continue=True) == TOKENS


@pytest.mark.parametrize(
    ("messages", "prefix"),
    [
        (None, ""),
        ([], ""),
        ([{"role": "user", "content": "a"}], ""),
        ([{"role": "assistant", "content": "a"}], "a"),
        ([{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "ab"),
        ([{"role": "assistant", "content": None}], ""),
        (["a"], ""),
    ],
)
def test_a_beginning_is_an_assistants_last_turn(messages, prefix):
    assert prefix_of(messages) == prefix


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", "127.0.0.1:0"), ("::1", "[::1]:0")], ids=["IPv4", "IPv6"])
def test_what_listens_is_told_as_clients_write_it(host, told):
    script = SCRIPTS["good"]
    assert ScriptedUpstream(script, host=host).base_url == f"http://{told}/v1"
    assert FaultProxy("127.0.0.1:1", host=host).address == TritonUpstream(script, host=host).target == told
