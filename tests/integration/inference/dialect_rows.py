"""What servers of OpenAI's format really send, and what a caller is told in each case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock_common.llm.types import FinishReason

STOP, LENGTH, CALLS, FILTERED = (
    FinishReason.STOP,
    FinishReason.LENGTH,
    FinishReason.TOOL_CALLS,
    FinishReason.CONTENT_FILTER,
)
DONE = b"data: [DONE]\n\n"
WEATHER = ("call_one", "weather", '{"city":"Oslo"}')
CLOCK = ("call_two", "clock", '{"zone":"UTC"}')


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One way to say something: the bytes of a stream, one piece a write, and what they mean.

    ``calls`` are (id, name, arguments); an id of ``""`` is one that is made up.
    """

    name: str
    frames: Sequence[bytes]
    text: str = ""
    reasoning: str = ""
    calls: Sequence[tuple[str, str, str]] = ()
    finish: FinishReason = STOP
    tokens: tuple[int, int] | None = None
    """Input and output as the server counted; None where they are estimated."""

    def __str__(self) -> str:
        return self.name


def sse(document: object) -> bytes:
    """Return an event of this data."""
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def raw(text: str) -> bytes:
    """Return an event of this text."""
    return f"data: {text}\n\n".encode()


def chunk(delta: object = None, **choice: Any) -> bytes:
    """Return a chunk of one choice."""
    return sse({"choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}]})


def call(**piece: Any) -> bytes:
    """Return a chunk with a piece of a call."""
    return chunk({"tool_calls": [piece]})


def head(index: object = None, id: object = None, name: object = None, arguments: object = None) -> bytes:
    """Return a piece of a call that has the fields that are not None."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece = {key: value for key, value in (("index", index), ("id", id)) if value is not None}
    return call(**piece, function=function)


HI = chunk({"role": "assistant", "content": "Hi"})
END = chunk({}, finish_reason="stop")
CALLED = chunk({}, finish_reason="tool_calls")


def said(name: str, *frames: bytes, text: str = "Hi", **more: Any) -> Dialect:
    """Return a dialect that says a text, by default "Hi"."""
    return Dialect(name=name, frames=frames, text=text, **more)


def called(name: str, *frames: bytes, calls: Sequence[tuple[str, str, str]] = (WEATHER,), **more: Any) -> Dialect:
    """Return a dialect that makes calls, by default the one."""
    return Dialect(name=name, frames=frames, calls=calls, finish=CALLS, **more)


TOOL_CALLS = [
    called("OpenAI's own", head(0, "call_one", "weather", ""), head(0, arguments='{"city"'),
           head(0, arguments=':"Oslo"}'), CALLED, DONE),
    called("a name in a later piece", head(0, "call_one"), head(0, name="weather"),
           head(0, arguments='{"city":"Oslo"}'), CALLED),
    called("an empty name first", head(0, "call_one", "", ""), head(0, "call_one", "weather", ""),
           head(0, arguments='{"city":"Oslo"}'), CALLED),
    called("an id in a later piece", head(0, name="weather", arguments=""), head(0, "call_one"),
           head(0, arguments='{"city":"Oslo"}'), CALLED),
    called("arguments before name and id", head(0, arguments='{"city":'), head(0, arguments='"Oslo"}'),
           head(0, "call_one", "weather"), CALLED),
    called("the name between the arguments", head(0, "call_one", arguments='{"city":'), head(0, name="weather"),
           head(0, arguments='"Oslo"}'), CALLED),
    called("name and id in pieces", head(0, "call_", "wea"), head(0, "one", "ther"),
           head(0, arguments='{"city":"Oslo"}'), CALLED),
    called("all in pieces at once", head(0, "call", "we", '{"ci'), head(0, "_one", "ather", 'ty":"Oslo"}'), CALLED),
    called("id and name in every piece", head(0, "call_one", "weather", '{"city"'),
           head(0, "call_one", "weather", ':"Os'), head(0, "call_one", "weather", 'lo"}'), CALLED),
    called("another id with every piece", head(0, "call_one", "weather", ""), head(0, "call_x77", arguments='{"city"'),
           head(0, "call_x78", arguments=':"Oslo"}'), CALLED),
    called("empty id and name in later pieces", head(0, "call_one", "weather", ""),
           head(0, "", "", '{"city":"Oslo"}'), CALLED),
    called("a blank id and name in later pieces", head(0, "call_one", "weather", ""),
           head(0, " ", "\n", '{"city":"Oslo"}'), CALLED),
    called("arguments as an object", head(0, "call_one", "weather", {"city": "Oslo"}), CALLED),
    called("arguments again at the end", head(0, "call_one", "weather", ""), head(0, arguments='{"city":"Oslo"}'),
           head(0, "call_one", "weather", '{"city":"Oslo"}'), CALLED),
    called("{} before the arguments", head(0, "call_one", "weather", "{}"), head(0, arguments='{"city":'),
           head(0, arguments='"Oslo"}'), CALLED),
    called("no arguments", head(0, "call_one", "weather"), CALLED, calls=[("call_one", "weather", "{}")]),
    called("null arguments", call(index=0, id="call_one", function={"name": "weather", "arguments": None}), CALLED,
           calls=[("call_one", "weather", "{}")]),
    called("index missing", head(None, "call_one", "weather", ""), head(arguments='{"city":"Oslo"}'), CALLED),
    called("index null", call(index=None, id="call_one", function={"name": "weather", "arguments": '{"city":"Oslo"}'}),
           CALLED),
    called("index as text", head("0", "call_one", "weather", ""), head("0", arguments='{"city":"Oslo"}'),
           head("1", "call_two", "clock", ""), head("1", arguments='{"zone":"UTC"}'), CALLED, calls=[WEATHER, CLOCK]),
    called("index as a word", head("a", "call_one", "weather", ""), head("a", arguments='{"city":"Oslo"}'),
           head("b", "call_two", "clock", ""), head("b", arguments='{"zone":"UTC"}'), CALLED, calls=[WEATHER, CLOCK]),
    called("index as a float", head(0.0, "call_one", "weather", ""), head(0.0, arguments='{"city":"Oslo"}'), CALLED),
    called("index below 0", head(-1, "call_one", "weather", ""), head(-1, arguments='{"city":"Oslo"}'),
           head(-1, "call_two", "clock", '{"zone":"UTC"}'), CALLED, calls=[WEATHER, CLOCK]),
    called("index from 1, with gaps", head(1, "call_one", "weather", ""), head(1, arguments='{"city":"Oslo"}'),
           head(10**9, "call_two", "clock", '{"zone":"UTC"}'), CALLED, calls=[WEATHER, CLOCK]),
    called("another index with every piece", head(0, "call_one", "weather", ""), head(1, arguments='{"city":'),
           head(2, arguments='"Oslo"}'), CALLED),
    called("the second call begins at the first's index", head(0, "call_one", "weather", ""),
           head(0, arguments='{"city":"Oslo"}'), head(0, "call_two", "clock", ""), head(1, arguments='{"zone":"UTC"}'),
           CALLED, calls=[WEATHER, CLOCK]),
    called("several without an index, told apart by id", head(None, "call_one", "weather", ""),
           head(arguments='{"city":"Oslo"}'), head(None, "call_two", "clock", ""), head(arguments='{"zone":"UTC"}'),
           CALLED, calls=[WEATHER, CLOCK]),
    called("several without an index, in turns", head(None, "call_one", "weather", '{"city":'),
           head(None, "call_two", "clock", '{"zone":'), head(None, "call_one", arguments='"Oslo"}'),
           head(None, "call_two", arguments='"UTC"}'), CALLED, calls=[WEATHER, CLOCK]),
    called("several of one index", head(0, "call_one", "weather", '{"city":"Oslo"}'),
           head(0, "call_two", "clock", '{"zone":"UTC"}'), CALLED, calls=[WEATHER, CLOCK]),
    called("several without index and id", head(name="weather", arguments='{"city":"Oslo"}'),
           head(name="weather", arguments='{"city":"Rome"}'), CALLED,
           calls=[("", "weather", '{"city":"Oslo"}'), ("", "weather", '{"city":"Rome"}')]),
    called("several of one id", head(0, "call_one", "weather", '{"city":"Oslo"}'),
           head(1, "call_one", "weather", '{"city":"Rome"}'), CALLED,
           calls=[WEATHER, ("", "weather", '{"city":"Rome"}')]),
    called("several in one chunk", chunk({"tool_calls": [
        {"index": 0, "id": "call_one", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
        {"index": 1, "id": "call_two", "function": {"name": "clock", "arguments": '{"zone":"UTC"}'}}]}), CALLED,
        calls=[WEATHER, CLOCK]),
    called("no id at all", head(0, name="weather", arguments='{"city":"Oslo"}'), CALLED,
           calls=[("", "weather", '{"city":"Oslo"}')]),
    called("a number for an id", head(0, 7, "weather", '{"city":"Oslo"}'), CALLED,
           calls=[("7", "weather", '{"city":"Oslo"}')]),
    called("function_call", chunk({"function_call": {"name": "weather", "arguments": ""}}),
           chunk({"function_call": {"arguments": '{"city":"Oslo"}'}}), chunk({}, finish_reason="function_call"),
           calls=[("", "weather", '{"city":"Oslo"}')]),
    called("stop where calls were made", head(0, "call_one", "weather", '{"city":"Oslo"}'), END),
    called("calls in the chunk that ends it", chunk({"tool_calls": [
        {"index": 0, "id": "call_one", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}]},
        finish_reason="tool_calls")),
    called("calls as one object", chunk({"tool_calls": {
        "index": 0, "id": "call_one", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}}), CALLED),
    called("the function's fields beside the call's", call(index="0", id="call_one", name="weather",
                                                           arguments={"city": "Oslo"}), CALLED),
    called("a pair cut in two within the arguments", head(0, "call_one", "weather", ""),
           raw(r'{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":\"\ud83d"}}]}}]}'),
           raw(r'{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\ude00\"}"}}]}}]}'),
           CALLED, calls=[("call_one", "weather", '{"x":"😀"}')]),
    called("an escaped escape within the arguments", head(0, "call_one", "weather", ""),
           head(0, arguments='{"x":"\\ud83d"}'), CALLED, calls=[("call_one", "weather", '{"x":"\\ud83d"}')]),
    called("a lone half in a name", raw(r'{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_one",'
                                        r'"function":{"name":"f\ud83d","arguments":"{}"}}]}}]}'), CALLED,
           calls=[("call_one", "f\ufffd", "{}")]),
    called("empty lists of calls beside text", chunk({"content": "Hi", "tool_calls": []}),
           chunk({"content": None, "tool_calls": None}), head(0, "call_one", "weather", '{"city":"Oslo"}'), CALLED,
           text="Hi"),
]  # fmt: skip

TEXTS = [
    said("no [DONE]", HI, END),
    said("[DONE] in quotes", HI, END, b'data: "[DONE]"\n\n'),
    said("twice prefixed", b'data: data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n', END, DONE),
    said("CR LF", HI.replace(b"\n", b"\r\n"), END.replace(b"\n", b"\r\n"), DONE.replace(b"\n", b"\r\n")),
    said("CR", HI.replace(b"\n", b"\r"), END.replace(b"\n", b"\r"), DONE.replace(b"\n", b"\r")),
    said("a BOM", b"\xef\xbb\xbf" + HI, END, DONE),
    said("blanks before anything", b"\n\n \n" + HI, END, DONE),
    said("data of several lines", b'data: {"choices":\ndata: [{"index":0,"delta":{"content":"Hi"}}]}\n\n', END, DONE),
    said("ids, names and times to retry", b"id: 1\nretry: 10\nevent: message\n" + HI, END, DONE),
    said("events with a name of their own", b"event: chunk\n" + HI, b"event: chunk\n" + END, DONE),
    said("comments", b": OPENROUTER PROCESSING\n\n", HI, b":\n\n", END, DONE),
    said("empty data", b"data:\n\n", b"data: \n\n", b"data\n\n", HI, b"data:\n\n", END, DONE),
    said("named pings", b"event: ping\ndata: {}\n\n", HI, b"event: ping\ndata: now\n\n", b"event: ping\n\n", END, DONE),
    said("pings without a name", raw("ping"), raw("keep-alive"), HI, raw('"ping"'), raw("null"), raw("[]"), raw("{}"),
         raw("true"), raw("7"), sse({"type": "ping"}), sse({"type": "heartbeat", "message": "working"}), END, DONE),
    said("no role, an empty one, another's", chunk({"content": "H"}), chunk({"role": "", "content": "i"}),
         chunk({"role": "model", "content": ""}), END),
    said("Azure's first chunk", sse({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}), HI, END, DONE),
    said("choices null and missing", sse({"choices": None, "id": "x"}), sse({"id": "x"}), HI, END, DONE),
    said("choices as one object", sse({"choices": {"delta": {"content": "Hi"}}}), END),
    said("a choice more", sse({"choices": [{"index": 0, "delta": {"content": "Hi"}},
                                           {"index": 1, "delta": {"content": "Ho"}}]}), END),
    said("choices without numbers", sse({"choices": [{"delta": {"content": "Hi"}}, {"delta": {"content": "Ho"}}]}),
         END),
    said("a choice numbered by text", sse({"choices": [{"index": "0", "delta": {"content": "Hi"}}]}), END),
    said("side fields of any type", sse({"id": None, "object": 7, "created": "now", "model": None, "service_tier": {},
                                         "system_fingerprint": {"x": 1}, "usage": [],
                                         "choices": [{"index": 0, "delta": {"role": 7, "content": "Hi", "name": []},
                                                      "logprobs": "?", "finish_reason": None, "stop_reason": {}}]}),
         END),
    said("an unreadable event after the end", HI, END, raw('{"usage":{"prompt_tok'), DONE),
    said("an unreadable event without choices", HI, raw('{"id":"x","choices":[],"usage":{"prompt_to'), END, DONE),
    said("an unreadable event of another name", HI, b"event: debug\ndata: {oops\n\n", END, DONE),
    said("content as a list of parts", chunk({"content": [{"type": "text", "text": "H"}]}),
         chunk({"content": [{"type": "text", "text": "i"}, {"type": "reference", "reference_ids": [1]}]}), END, DONE),
    said("content as a list with thoughts", chunk({"content": [{"type": "thinking", "thinking": [
        {"type": "text", "text": "Hm"}]}]}), chunk({"content": [{"type": "thinking", "thinking": [
            {"type": "text", "text": "."}], "closed": True}, {"type": "text", "text": "Hi"}]}), END, reasoning="Hm."),
    said("content as strings in a list", chunk({"content": ["H", "i"]}), END),
    said("content as an object", chunk({"content": {"type": "text", "text": "Hi"}}), END),
    said("content as a number", chunk({"content": 4}), chunk({"content": 2}), END, text="42"),
    said("a delta that is text", chunk("Hi"), END),
    said("reasoning_content", chunk({"reasoning_content": "Hm."}), HI, END, reasoning="Hm."),
    said("reasoning", chunk({"reasoning": "Hm.", "reasoning_details": [
        {"type": "reasoning.text", "text": "Hm.", "index": 0}]}), HI, END, reasoning="Hm."),
    said("reasoning by both names", chunk({"reasoning": "Hm.", "reasoning_content": "Hm."}), HI, END, reasoning="Hm."),
    said("reasoning as a list", chunk({"reasoning_content": [{"type": "text", "text": "Hm."}]}), HI, END,
         reasoning="Hm."),
    said("reasoning and content in one delta", chunk({"reasoning": "Hm.", "content": "Hi"}), END, reasoning="Hm."),
    said("a whole completion as one event", sse({"object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}), DONE),
    said("a message that repeats the deltas", HI, chunk({}, message={"content": "Hi"}, finish_reason="stop"), DONE),
    said("content after the end", chunk({"content": "H"}), END, chunk({"content": "i"}), DONE),
    said("an end with every chunk", chunk({"content": "H"}, finish_reason="stop"),
         chunk({"content": "i"}, finish_reason="length"), DONE, finish=LENGTH),
    said("an end that is no text", chunk({"content": "Hi"}, finish_reason={"type": "max_tokens"}), finish=LENGTH),
    said("finishReason", sse({"choices": [{"index": "0", "delta": {"content": "Hi"}, "finishReason": "MAX_TOKENS"}]}),
         finish=LENGTH),
    said("a pair cut in two", raw(r'{"choices":[{"index":0,"delta":{"content":"Hi \ud83d"}}]}'),
         raw(r'{"choices":[{"index":0,"delta":{"content":"\ude00!"}}]}'), END, text="Hi 😀!"),
    said("a pair cut in two, a ping between", raw(r'{"choices":[{"index":0,"delta":{"content":"Hi \ud83d"}}]}'),
         b": ping\n\n", raw("null"), raw(r'{"choices":[{"index":0,"delta":{"content":"\ude00"}}]}'), END, text="Hi 😀"),
    said("lone halves", raw(r'{"choices":[{"index":0,"delta":{"content":"a\ud83db\ude00"}}]}'),
         raw(r'{"choices":[{"index":0,"delta":{"content":"c\ud83d"}}]}'), END, text="a\ufffdb\ufffdc\ufffd"),
    said("lone halves of reasoning", raw(r'{"choices":[{"index":0,"delta":{"reasoning":"a\ud83d"}}]}'), HI, END,
         reasoning="a\ufffd"),
    said("a lone half in a side field", raw(r'{"id":"\ud83d","choices":[{"index":0,"delta":{"content":"Hi"}}]}'), END),
    said("raw control characters", b'data: {"choices":[{"index":0,"delta":{"content":"H\ti"}}]}\n\n', END, text="H\ti"),
    said("numbers that are none", raw('{"created":NaN,"x":1e999,"choices":[{"index":0,"delta":{"content":"Hi"}}]}'),
         END),
]  # fmt: skip


def counted(name: str, usage: object, tokens: tuple[int, int] | None) -> Dialect:
    """Return a dialect that says "Hi" and counts so."""
    return said(f"usage: {name}", HI, END, sse({"choices": [], "usage": usage}), DONE, tokens=tokens)


USAGES = [
    counted("as it should be", {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}, (7, 2)),
    counted("floats", {"prompt_tokens": 7.0, "completion_tokens": 2.9, "total_tokens": 9.0}, (7, 2)),
    counted("text", {"prompt_tokens": "7", "completion_tokens": "2", "total_tokens": "?"}, (7, 2)),
    counted("details of any type", {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": "none",
                                    "completion_tokens_details": [1], "cost": "0"}, (7, 2)),
    counted("false", False, None),
    counted("null", None, None),
    counted("a list", [7, 2], None),
    counted("an empty object", {}, None),
    counted("null counts", {"prompt_tokens": None, "completion_tokens": None}, None),
    counted("negative", {"prompt_tokens": -7, "completion_tokens": -2, "total_tokens": -9}, None),
    counted("huge", {"prompt_tokens": 2**70, "completion_tokens": 1e300}, None),
    said("usage: in the choice", HI, chunk({}, finish_reason="stop",
                                           usage={"prompt_tokens": 7, "completion_tokens": 2}), DONE, tokens=(7, 2)),
    said("usage: with every chunk", chunk({"content": "H"}), sse({"choices": [], "usage": {"prompt_tokens": 7,
                                                                                          "completion_tokens": 1}}),
         chunk({"content": "i"}, finish_reason="stop"),
         sse({"choices": [], "usage": {"prompt_tokens": None, "completion_tokens": 2}}), DONE, tokens=(7, 2)),
]  # fmt: skip

FINISHES = [
    said(f"ends by {word!r}", HI, chunk({}, finish_reason=word), finish=finish)
    for word, finish in [
        ("stop", STOP), ("end_turn", STOP), ("stop_sequence", STOP), ("STOP", STOP), ("eos", STOP), ("eos_token", STOP),
        ("COMPLETE", STOP), ("a word that nobody knows", STOP), ("length", LENGTH), ("MAX_TOKENS", LENGTH),
        ("max_tokens", LENGTH), ("model_length", LENGTH), ("model_context_window_exceeded", LENGTH), ("SAFETY", FILTERED),
        ("content_filter", FILTERED), ("content_filtered", FILTERED), ("refusal", FILTERED), ("RECITATION", FILTERED),
        ("PROHIBITED_CONTENT", FILTERED), ("tool_use", CALLS), ("TOOL_CALLS", CALLS), (True, STOP), (1, STOP),
    ]
]  # fmt: skip
RUNNING = [
    said(f"runs on with {word!r}", chunk({"content": "H"}, finish_reason=word),
         chunk({"content": "i"}, finish_reason=word), END)
    for word in [None, "", "null", "None", False, 0, [], {}]
]  # fmt: skip

DIALECTS = [*TOOL_CALLS, *TEXTS, *USAGES, *FINISHES, *RUNNING]

ERRORS = {
    "an object": sse({"error": {"message": "slow down", "code": 429}}),
    "a code in text": sse({"error": {"message": "slow down", "code": "429"}}),
    "text": sse({"error": "it broke"}),
    "true": sse({"error": True, "message": "it broke"}),
    "a list": sse({"error": [{"message": "it broke"}]}),
    "errors": sse({"errors": [{"message": "it broke", "code": 500}]}),
    "in an array": sse([{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}]),
    "object: error": sse({"object": "error", "message": "it broke", "type": "InternalServerError", "code": 500}),
    "type: error": sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
    "detail": sse({"detail": "it broke"}),
    "a list of details": sse({"detail": [{"loc": ["body"], "msg": "it broke", "type": "value_error"}]}),
    "message and code": sse({"code": 429, "message": "slow down"}),
    "beside choices": sse({"choices": [], "error": {"code": 502, "message": "it broke"}}),
    "with a finish reason": sse({"error": {"code": 502, "message": "it broke"},
                                 "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}),
    "within a choice": sse({"choices": [{"index": 0, "error": {"code": 502, "message": "it broke"}}]}),
    "a finish reason alone": chunk({}, finish_reason="error"),
    "a named event": b"event: error\ndata: it broke\n\n",
    "llama.cpp's field": b'error: {"code":500,"message":"it broke","type":"server_error"}\n\n',
    "odd types": sse({"error": {"message": ["it broke"], "innererror": "x", "details": 7, "code": {"a": 1}}}),
}  # fmt: skip
